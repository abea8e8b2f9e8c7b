// SPDX-License-Identifier: GPL-2.0-only
/* Guest to host: frames out of the ring, into each kind of backend. */
#include <errno.h>
#include <sys/eventfd.h>

#include "harness.h"
#include "data_variants.h"

#define RING	256

static const unsigned int sizes[] = {
	14, 15, 60, 64, 128, 1500, 1514, 3000, 3647, 3648, 3649, 4096, 9000,
	16384, 65000, FRAME_MAX,
};

FIXTURE(tx) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t *frame, *seen;
	int kmsg;
};

DATA_VARIANTS(tx);

FIXTURE_SETUP(tx)
{
	unsigned int hdr = backend_hdr(variant->features);

	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, variant->kind, hdr));
	ASSERT_EQ(0, dev_setup(&self->d, variant->features));
	ASSERT_EQ(0, vq_setup(&self->d, RX, RING));
	ASSERT_EQ(0, vq_setup(&self->d, TX, RING));
	self->buf = guest_alloc(&self->d, 64 << 20, 4096);
	self->frame = malloc(FRAME_MAX + 1);
	self->seen = malloc(FRAME_MAX + 1);
}

FIXTURE_TEARDOWN(tx)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(tx) fix;

static int start(fix *f)
{
	return dev_backend(&f->d, TX, f->n.tap);
}

static int stop(fix *f)
{
	return dev_backend(&f->d, TX, -1);
}

/* Add test frame @seq of @len bytes to the ring, unpublished. */
static int add(fix *f, size_t len, uint32_t seq, const struct layout *l)
{
	uint8_t *at = f->buf + (seq % RING) * 66000UL;

	frame_fill(f->frame, len, false, seq);
	return tx_add(&f->d.vq[TX], NULL, f->frame, len, l, at);
}

/* Return: 0 if frame @seq is the next that comes out. */
static int seen_in(fix *f, size_t len, uint32_t seq, int ms)
{
	struct virtio_net_hdr h;
	int n = pkt_recv(f->n.pkt, &h, f->seen, FRAME_MAX + 1, ms);

	if (n < 0)
		return n;
	frame_fill(f->frame, len, false, seq);
	return n == (int)len && !memcmp(f->frame, f->seen, n) ? 0 : -EBADMSG;
}

static int seen(fix *f, size_t len, uint32_t seq)
{
	return seen_in(f, len, seq, WAIT_MS);
}

/* Return: 0 if @head comes back as the next used chain, nothing written. */
static int sent(fix *f, int head)
{
	uint32_t len = ~0u;
	int ret = vq_wait(&f->d.vq[TX], 1, WAIT_MS);

	if (ret)
		return ret;
	return vq_pop(&f->d.vq[TX], &len) == head && !len ? 0 : -EPROTO;
}

static int one(fix *f, size_t len, uint32_t seq, const struct layout *l)
{
	int head = add(f, len, seq, l);
	int ret;

	if (head < 0)
		return head;
	vq_publish_kick(&f->d.vq[TX]);
	ret = sent(f, head);
	return ret ? ret : seen(f, len, seq);
}

TEST_F(tx, frame_sizes_ok)
{
	ASSERT_EQ(0, start(self));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		EXPECT_EQ(0, one(self, sizes[i], i, &two_pieces)) {
			TH_LOG("size %u", sizes[i]);
		}
	}
}

TEST_F(tx, header_in_frame_descriptor_ok)
{
	ASSERT_EQ(0, start(self));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		EXPECT_EQ(0, one(self, sizes[i], i, &one_piece)) {
			TH_LOG("size %u", sizes[i]);
		}
	}
}

/* Header in 1-byte pieces, an empty descriptor, the frame in three. */
TEST_F(tx, scattered_layout_ok)
{
	ASSERT_EQ(0, start(self));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		EXPECT_EQ(0, one(self, sizes[i], i, &scattered)) {
			TH_LOG("size %u", sizes[i]);
		}
	}
}

static int gso_one(fix *f, uint16_t gso_size, size_t len)
{
	struct virtio_net_hdr h, got;
	struct vq *vq = &f->d.vq[TX];
	int n, ret;

	hdr_gso_tcp4(&h, gso_size);
	frame_tcp4(f->frame, len, false, len);
	n = tx_add(vq, &h, f->frame, len, &two_pieces, f->buf);
	vq_publish_kick(vq);
	ret = sent(f, n);
	if (ret)
		return ret;
	n = pkt_recv(f->n.pkt, &got, f->seen, FRAME_MAX + 1, WAIT_MS);
	if (n != (int)len || memcmp(f->frame, f->seen, len))
		return n < 0 ? n : -EBADMSG;
	if (got.gso_type != h.gso_type || got.gso_size != h.gso_size)
		return -EPROTO;
	if (got.flags != h.flags || got.csum_start != h.csum_start ||
	    got.csum_offset != h.csum_offset)
		return -EPROTOTYPE;
	return 0;
}

TEST_F(tx, gso_header_passes_ok)
{
	if (has(&self->d, F_VNET_HDR))
		SKIP(return, "the header ends at the device");
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, gso_one(self, 1448, 4000));
	EXPECT_EQ(0, gso_one(self, 536, 3000));
	EXPECT_EQ(0, gso_one(self, 1448, 20000));
	EXPECT_EQ(0, gso_one(self, 1448, 64000));
}

TEST_F(tx, csum_header_passes_ok)
{
	if (has(&self->d, F_VNET_HDR))
		SKIP(return, "the header ends at the device");
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, gso_one(self, 0, 60));
	EXPECT_EQ(0, gso_one(self, 0, 1400));
	EXPECT_EQ(0, gso_one(self, 0, 8000));
}

/* A burst under one kick: in order, complete, announced once. */
TEST_F(tx, burst_calls_once_ok)
{
	struct vq *vq = &self->d.vq[TX];

	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 16; i++) {
		ASSERT_LE(0, add(self, 64 + i, i, &one_piece));
	}
	vq_want_call(vq, 16);
	vq_publish_kick(vq);
	ASSERT_EQ(0, event_wait(vq->call, WAIT_MS));
	EXPECT_EQ(0, vq_spin(vq, 16, WAIT_MS));
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(1, event_read(vq->call));
	for (int i = 0; i < 16; i++) {
		EXPECT_EQ(0, seen(self, 64 + i, i));
	}
}

/* When idle, the device asks for a kick about the very next chain. */
TEST_F(tx, idle_arms_ok)
{
	struct vq *vq = &self->d.vq[TX];

	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 16; i++) {
		ASSERT_LE(0, add(self, 64, i, &one_piece));
	}
	vq_publish_kick(vq);
	ASSERT_EQ(0, vq_wait(vq, 16, WAIT_MS));
	/* GET_VRING_BASE excludes the worker: it has finished its turn */
	EXPECT_EQ(vq_base_after(vq, 16), dev_get_base(&self->d, TX));
	if (is_packed(vq) && has(&self->d, F_EVENT)) {
		EXPECT_EQ(VRING_PACKED_EVENT_FLAG_DESC,
			  g16(vq->dev, vq->device_event->flags));
		EXPECT_EQ((uint16_t)vq_base_after(vq, 16),
			  g16(vq->dev, vq->device_event->off_wrap));
	} else if (is_packed(vq)) {
		EXPECT_EQ(VRING_PACKED_EVENT_FLAG_ENABLE,
			  g16(vq->dev, vq->device_event->flags));
	} else if (has(&self->d, F_EVENT)) {
		EXPECT_EQ(16, g16(vq->dev, *vq_avail_event(vq)));
	} else {
		EXPECT_EQ(0, vq->used->flags);
	}
}

TEST_F(tx, no_interrupt_skips_call)
{
	struct vq *vq = &self->d.vq[TX];

	if (has(&self->d, F_EVENT))
		SKIP(return, "the flag means nothing with EVENT_IDX");
	vq_calls_off(vq);
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 8; i++) {
		ASSERT_LE(0, add(self, 64, i, &one_piece));
		vq_publish_kick(vq);
		EXPECT_EQ(0, vq_spin(vq, i + 1, WAIT_MS));
	}
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(0, event_read(vq->call));
}

/* The first call after a start is always sent; then used_event rules. */
TEST_F(tx, used_event_far_skips_call)
{
	struct vq *vq = &self->d.vq[TX];

	if (!has(&self->d, F_EVENT))
		SKIP(return, "needs EVENT_IDX");
	ASSERT_EQ(0, start(self));
	vq_want_call(vq, 200);
	ASSERT_LE(0, add(self, 64, 0, &one_piece));
	vq_publish_kick(vq);
	EXPECT_EQ(0, event_wait(vq->call, WAIT_MS));
	EXPECT_EQ(0, vq_spin(vq, 1, WAIT_MS));
	EXPECT_EQ(1, event_read(vq->call));
	for (int i = 1; i < 8; i++) {
		ASSERT_LE(0, add(self, 64, i, &one_piece));
		vq_publish_kick(vq);
		EXPECT_EQ(0, vq_spin(vq, i + 1, WAIT_MS));
	}
	vq_want_call(vq, 10);
	for (int i = 8; i < 12; i++) {
		ASSERT_LE(0, add(self, 64, i, &one_piece));
		vq_publish_kick(vq);
		EXPECT_EQ(0, vq_spin(vq, i + 1, WAIT_MS));
	}
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(1, event_read(vq->call));
}

TEST_F(tx, first_call_after_each_start_ok)
{
	struct vq *vq = &self->d.vq[TX];

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, start(self));
		vq_want_call(vq, 200);
		ASSERT_LE(0, add(self, 64, i, &one_piece));
		vq_publish(vq);
		vq_kick(vq);
		EXPECT_EQ(0, event_wait(vq->call, WAIT_MS));
		ASSERT_EQ(0, stop(self));
		EXPECT_EQ(1, event_read(vq->call));
	}
}

/* With NOTIFY_ON_EMPTY an emptied ring calls, asked for or not. */
TEST_F(tx, notify_on_empty_ok)
{
	struct vq *vq = &self->d.vq[TX];

	SPLIT_ONLY(&self->d);
	ASSERT_EQ(0, dev_features(&self->d, self->d.features | F_EMPTY));
	vq->avail->flags = g16(vq->dev, VRING_AVAIL_F_NO_INTERRUPT);
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 4; i++) {
		*vq_used_event(vq) = g16(vq->dev, 30000);
		ASSERT_LE(0, add(self, 64, i, &one_piece));
		vq_publish_kick(vq);
		EXPECT_EQ(0, event_wait(vq->call, WAIT_MS));
		EXPECT_EQ(0, vq_spin(vq, i + 1, WAIT_MS));
		event_read(vq->call);
	}
}

static int base_at(fix *f, uint16_t idx)
{
	vq_rewind(&f->d.vq[TX], idx);
	return dev_state(&f->d, VHOST_SET_VRING_BASE, TX, idx);
}

TEST_F(tx, index_wraps_ok)
{
	SPLIT_ONLY(&self->d);
	ASSERT_EQ(0, base_at(self, 65530));
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 12; i++) {
		EXPECT_EQ(0, one(self, 100 + i, i, &two_pieces));
	}
	EXPECT_EQ(6, dev_get_base(&self->d, TX));
}

TEST_F(tx, index_wraps_in_burst_ok)
{
	struct vq *vq = &self->d.vq[TX];

	SPLIT_ONLY(&self->d);
	ASSERT_EQ(0, base_at(self, 65500));
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 100; i++) {
		ASSERT_LE(0, add(self, 64 + i, i, &one_piece));
	}
	vq_publish_kick(vq);
	EXPECT_EQ(0, vq_wait(vq, 100, WAIT_MS));
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(0, seen(self, 64 + i, i));
	}
}

TEST_F(tx, stop_and_restart_ok)
{
	struct dev *d = &self->d;
	uint32_t base = vq_base_after(&d->vq[TX], 0);

	for (int i = 0; i < 6; i++) {
		ASSERT_EQ(0, dev_state(d, VHOST_SET_VRING_BASE, TX, base));
		ASSERT_EQ(0, start(self));
		EXPECT_EQ(0, one(self, 100, i, i & 1 ? &scattered :
				 &two_pieces));
		ASSERT_EQ(0, stop(self));
		base = dev_get_base(d, TX);
		if (!has(d, F_PACKED)) {
			EXPECT_EQ(i + 1u, base);
		}
	}
}

/* Stopped, the ring is the driver's: nothing moves until the restart. */
TEST_F(tx, stopped_ring_keeps_still_ok)
{
	struct vq *vq = &self->d.vq[TX];
	int head;

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, one(self, 100, 0, &one_piece));
	ASSERT_EQ(0, stop(self));
	head = add(self, 200, 1, &one_piece);
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(vq_base_after(vq, 1), dev_get_base(&self->d, TX));
	EXPECT_EQ(0, vq_used(vq));
	ASSERT_EQ(0, start(self));
	vq_kick(vq);
	EXPECT_EQ(0, sent(self, head));
	EXPECT_EQ(0, seen(self, 200, 1));
}

/* Chains of very many pieces; 1024 is what an iovec takes. */
static int long_chain(fix *f, unsigned int pieces)
{
	struct vq *vq = &f->d.vq[TX];
	struct vring_desc *t = guest_alloc(&f->d, 16 * 1024, 16);
	unsigned int hdr = f->d.hdr_len, len = (pieces - 1) * 40;

	memset(f->buf, 0, hdr);
	frame_fill(f->buf + hdr, len, false, pieces);
	for (unsigned int i = 0; i < pieces; i++) {
		desc_put(&f->d, &t[i],
			 gpa(&f->d, f->buf) + (i ? hdr + (i - 1) * 40 : 0),
			 i ? 40 : hdr, i < pieces - 1 ? VRING_DESC_F_NEXT : 0,
			 i + 1);
	}
	desc_put(&f->d, &vq->desc[0], gpa(&f->d, t), pieces * sizeof(*t),
		 VRING_DESC_F_INDIRECT, 0);
	vq_push(vq, 0);
	vq_publish_kick(vq);
	return len;
}

TEST_F(tx, long_indirect_chain_ok)
{
	static const unsigned int pieces[] = { 2, 17, 64, 255, 1000, 1024 };

	if (!has(&self->d, F_INDIRECT))
		SKIP(return, "needs INDIRECT_DESC");
	SPLIT_ONLY(&self->d);
	ASSERT_EQ(0, start(self));
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		int len = long_chain(self, pieces[i]);

		EXPECT_EQ(0, sent(self, 0)) {
			TH_LOG("%u pieces", pieces[i]);
		}
		EXPECT_EQ(0, seen(self, len, pieces[i]));
	}
}

/* A driver must not, but those that do work on in-tree: it harms nobody. */
TEST_F(tx, indirect_without_feature_ok)
{
	int len;

	if (has(&self->d, F_INDIRECT))
		SKIP(return, "INDIRECT_DESC was negotiated");
	SPLIT_ONLY(&self->d);
	ASSERT_EQ(0, start(self));
	len = long_chain(self, 17);
	EXPECT_EQ(0, sent(self, 0));
	EXPECT_EQ(0, seen(self, len, 17));
}

TEST_F(tx, full_ring_chain_ok)
{
	struct vq *vq = &self->d.vq[TX];
	struct seg s[RING];
	unsigned int hdr = self->d.hdr_len;

	memset(self->buf, 0, hdr);
	frame_fill(self->buf + hdr, (RING - 1) * 20, false, 7);
	for (int i = 0; i < RING; i++) {
		s[i].p = self->buf + (i ? hdr + (i - 1) * 20 : 0);
		s[i].len = i ? 20 : hdr;
	}
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 3; i++) {
		int head = vq_add(vq, s, RING, 0);

		ASSERT_LE(0, head);
		vq_publish_kick(vq);
		EXPECT_EQ(0, sent(self, head));
		EXPECT_EQ(0, seen(self, (RING - 1) * 20, 7));
	}
}

/* Spec 2.7.5.3.1: a table's descriptors are chained by next, in any order. */
TEST_F(tx, indirect_follows_next_ok)
{
	struct vq *vq = &self->d.vq[TX];
	struct vring_desc *t = guest_alloc(&self->d, 64, 16);
	unsigned int hdr = self->d.hdr_len;
	uint64_t at = gpa(&self->d, self->buf);

	if (!has(&self->d, F_INDIRECT))
		SKIP(return, "needs INDIRECT_DESC");
	SPLIT_ONLY(&self->d);
	memset(self->buf, 0, hdr);
	frame_fill(self->buf + hdr, 100, false, 9);
	desc_put(&self->d, &t[0], at, hdr, VRING_DESC_F_NEXT, 2);
	desc_put(&self->d, &t[2], at + hdr, 60, VRING_DESC_F_NEXT, 1);
	desc_put(&self->d, &t[1], at + hdr + 60, 40, 0, 0);
	desc_put(&self->d, &vq->desc[0], gpa(&self->d, t), 3 * sizeof(*t),
		 VRING_DESC_F_INDIRECT, 0);
	ASSERT_EQ(0, start(self));
	vq_push(vq, 0);
	vq_publish_kick(vq);
	EXPECT_EQ(0, vq_spin(vq, 1, WAIT_MS));
	EXPECT_EQ(0, seen_in(self, 100, 9, SOON_MS));
}

/* A table may be longer than the chain in it. */
TEST_F(tx, indirect_table_tail_unused_ok)
{
	struct vq *vq = &self->d.vq[TX];
	struct vring_desc *t = guest_alloc(&self->d, 16 * 16, 16);
	unsigned int hdr = self->d.hdr_len;

	if (!has(&self->d, F_INDIRECT))
		SKIP(return, "needs INDIRECT_DESC");
	SPLIT_ONLY(&self->d);
	memset(t, 0xff, 16 * 16);
	memset(self->buf, 0, hdr);
	frame_fill(self->buf + hdr, 100, false, 3);
	desc_put(&self->d, &t[0], gpa(&self->d, self->buf), hdr + 100, 0, 0);
	desc_put(&self->d, &vq->desc[0], gpa(&self->d, t), 16 * 16,
		 VRING_DESC_F_INDIRECT, 0);
	ASSERT_EQ(0, start(self));
	vq_push(vq, 0);
	vq_publish_kick(vq);
	EXPECT_EQ(0, sent(self, 0));
	EXPECT_EQ(0, seen(self, 100, 3));
}

/* The guest's header ends here where the tap has none. */
TEST_F(tx, device_strips_header_ok)
{
	int tap;

	if (variant->kind != BE_TAP)
		SKIP(return, "needs a tap without virtio header");
	tap = tap_open("vt1", 0, 0);
	ASSERT_LE(0, tap);
	ASSERT_EQ(0, link_up("vt1", 9000));
	close(self->n.pkt);
	self->n.pkt = pkt_open("vt1", PACKET_HDR);
	ASSERT_LE(0, self->n.pkt);
	ASSERT_EQ(0, dev_features(&self->d, self->d.features | F_VNET_HDR));
	ASSERT_EQ(0, dev_backend(&self->d, TX, tap));
	EXPECT_EQ(0, one(self, 60, 1, &one_piece));
	EXPECT_EQ(0, one(self, 1514, 2, &two_pieces));
	EXPECT_EQ(0, one(self, 9014, 3, &scattered));
	EXPECT_EQ(0, one(self, 14, 4, &scattered));
}

/* Runs into the ring's end many times, with the kicks the device asks for. */
TEST_F(tx, stream_with_wanted_kicks_ok)
{
	struct vq *vq = &self->d.vq[TX];
	uint32_t put = 0, got = 0;

	ASSERT_EQ(0, start(self));
	while (got < 3000) {
		while (put < 3000 && vq->n_free >= 3 && put - got < RING) {
			ASSERT_LE(0, add(self, 60 + put % 700, put,
					 put % 3 ? &one_piece : &two_pieces));
			put++;
			if (put % 7 == 0)
				vq_publish_kick(vq);
		}
		vq_publish_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
		while (vq_pop(vq, NULL) >= 0) {
			ASSERT_EQ(0, seen(self, 60 + got % 700, got));
			got++;
		}
	}
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
