// SPDX-License-Identifier: GPL-2.0-only
/* Host to guest: frames out of each kind of backend, into the ring. */
#include <errno.h>
#include <linux/if_tun.h>

#include "harness.h"
#include "data_variants.h"

#define RING	256
#define BIG	(FRAME_MAX + 1 + 12)	/* takes every frame */
#define STRIDE	66000UL
#define MARK	0x77			/* what buffers hold before */

static const unsigned int sizes[] = {
	14, 15, 60, 64, 128, 1500, 1514, 3000, 3647, 3648, 3649, 4096, 9000,
	16384, 65000, FRAME_MAX,
};

FIXTURE(rx) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t *frame, *got;
	int kmsg;
};

DATA_VARIANTS(rx);

FIXTURE_SETUP(rx)
{
	unsigned int hdr = backend_hdr(variant->features);

	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, variant->kind, hdr));
	ASSERT_EQ(0, dev_setup(&self->d, variant->features));
	ASSERT_EQ(0, vq_setup(&self->d, RX, RING));
	ASSERT_EQ(0, vq_setup(&self->d, TX, RING));
	self->buf = guest_alloc(&self->d, RING * STRIDE, 4096);
	self->frame = malloc(FRAME_MAX + 1);
	self->got = malloc(BIG);
}

FIXTURE_TEARDOWN(rx)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(rx) fix;

static int start(fix *f)
{
	return dev_backend(&f->d, RX, f->n.tap);
}

static int stop(fix *f)
{
	return dev_backend(&f->d, RX, -1);
}

static uint8_t *buf_at(fix *f, unsigned int i)
{
	return f->buf + (i % RING) * STRIDE;
}

/* Offer buffer @i of @size bytes, unpublished. */
static int offer(fix *f, unsigned int i, size_t size, const struct layout *l)
{
	memset(buf_at(f, i), MARK, 12);
	return rx_add(&f->d.vq[RX], size, l, buf_at(f, i));
}

static int inject(fix *f, size_t len, uint32_t seq)
{
	frame_fill(f->frame, len, true, seq);
	return pkt_send(f->n.pkt, NULL, f->frame, len);
}

/* What the header says of buffers used; 1 where that field does not count. */
static unsigned int num_buffers(fix *f, const uint8_t *buf)
{
	const struct virtio_net_hdr_mrg_rxbuf *h = (const void *)buf;

	return has(&f->d, F_MRG) ? g16(&f->d, h->num_buffers) : 1;
}

/*
 * Take one frame that fits in buffer @i.
 * Return: 0 if it is test frame @seq of @len bytes.
 */
static int took(fix *f, unsigned int i, int head, size_t len, uint32_t seq)
{
	uint32_t used = 0;
	int ret = vq_wait(&f->d.vq[RX], 1, WAIT_MS);

	if (ret)
		return ret;
	if (vq_pop(&f->d.vq[RX], &used) != head)
		return -EPROTO;
	if (used != len + f->d.hdr_len || num_buffers(f, buf_at(f, i)) != 1)
		return -EMSGSIZE;
	frame_fill(f->frame, len, true, seq);
	return memcmp(f->frame, buf_at(f, i) + f->d.hdr_len, len) ?
	       -EBADMSG : 0;
}

static int one(fix *f, size_t len, uint32_t seq, const struct layout *l)
{
	int head = offer(f, seq, BIG, l);
	int ret;

	if (head < 0)
		return head;
	vq_publish_kick(&f->d.vq[RX]);
	ret = inject(f, len, seq);
	return ret ? ret : took(f, seq, head, len, seq);
}

TEST_F(rx, frame_sizes_ok)
{
	ASSERT_EQ(0, start(self));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		EXPECT_EQ(0, one(self, sizes[i], i, &one_piece)) {
			TH_LOG("size %u", sizes[i]);
		}
	}
}

TEST_F(rx, header_apart_ok)
{
	ASSERT_EQ(0, start(self));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		EXPECT_EQ(0, one(self, sizes[i], i, &two_pieces)) {
			TH_LOG("size %u", sizes[i]);
		}
	}
}

/* Header in 1-byte pieces, an empty descriptor, room for the frame in three. */
TEST_F(rx, scattered_layout_ok)
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
	struct vq *vq = &f->d.vq[RX];
	struct virtio_net_hdr h, *got = (void *)f->buf;
	int head = offer(f, 0, BIG, &one_piece);
	uint32_t used = 0;
	int ret;

	vq_publish_kick(vq);
	hdr_gso_tcp4(&h, gso_size);
	frame_tcp4(f->frame, len, true, len);
	ret = pkt_send(f->n.pkt, &h, f->frame, len);
	if (!ret)
		ret = vq_wait(vq, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(vq, &used) != head || used != len + f->d.hdr_len ||
	    memcmp(f->frame, f->buf + f->d.hdr_len, len))
		return -EBADMSG;
	hdr_swap(&f->d, got);
	if (got->gso_type != h.gso_type || got->gso_size != h.gso_size)
		return -EPROTO;
	if (got->flags != h.flags || got->csum_start != h.csum_start ||
	    got->csum_offset != h.csum_offset)
		return -EPROTOTYPE;
	return 0;
}

TEST_F(rx, gso_header_passes_ok)
{
	if (has(&self->d, F_VNET_HDR))
		SKIP(return, "the header ends at the device");
	if (variant->kind != BE_PACKET)
		ASSERT_EQ(0, tap_offload(self->n.tap, TUN_F_CSUM | TUN_F_TSO4));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, gso_one(self, 1448, 4000));
	EXPECT_EQ(0, gso_one(self, 536, 3000));
	EXPECT_EQ(0, gso_one(self, 1448, 20000));
	EXPECT_EQ(0, gso_one(self, 1448, 64000));
}

TEST_F(rx, csum_header_passes_ok)
{
	if (has(&self->d, F_VNET_HDR))
		SKIP(return, "the header ends at the device");
	if (variant->kind != BE_PACKET)
		ASSERT_EQ(0, tap_offload(self->n.tap, TUN_F_CSUM));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, gso_one(self, 0, 60));
	EXPECT_EQ(0, gso_one(self, 0, 1400));
	EXPECT_EQ(0, gso_one(self, 0, 8000));
}

/* Take a frame spread over many buffers of @size. Return: buffers or -errno. */
static int collect(fix *f, unsigned int first, size_t size, size_t len)
{
	struct vq *vq = &f->d.vq[RX];
	unsigned int n, want = (len + f->d.hdr_len + size - 1) / size;
	size_t at = 0;
	int ret = vq_wait(vq, want, WAIT_MS);

	if (ret)
		return ret;
	for (n = 0; n < want; n++) {
		size_t left = len + f->d.hdr_len - at;
		uint32_t used = 0;

		if (vq_pop(vq, &used) < 0)
			return -EPROTO;
		if (used != (left < size ? left : size))
			return -EMSGSIZE;
		memcpy(f->got + at, buf_at(f, first + n), used);
		at += used;
	}
	if (memcmp(f->got + f->d.hdr_len, f->frame, len))
		return -EBADMSG;
	return num_buffers(f, f->got) == want ? (int)want : -EPROTOTYPE;
}

TEST_F(rx, frame_over_many_buffers_ok)
{
	static const struct {
		unsigned int len, size, want;
	} c[] = {
		{ 1514, 1526, 1 }, { 1515, 1526, 2 }, { 9000, 1526, 6 },
		{ 9000, 100, 91 }, { 64, 13, 6 }, { 65000, 4096, 16 },
		{ 16384, 128, 129 }, { 14, 12, 3 },
	};
	unsigned int k = 0;

	if (!has(&self->d, F_MRG))
		SKIP(return, "needs MRG_RXBUF");
	ASSERT_EQ(0, start(self));
	for (size_t i = 0; i < sizeof(c) / sizeof(*c); i++) {
		for (unsigned int j = 0; j < c[i].want; j++) {
			ASSERT_LE(0, offer(self, k + j, c[i].size, &one_piece));
		}
		vq_publish_kick(&self->d.vq[RX]);
		ASSERT_EQ(0, inject(self, c[i].len, i));
		EXPECT_EQ((int)c[i].want, collect(self, k, c[i].size,
						  c[i].len)) {
			TH_LOG("frame %u, buffers %u", c[i].len, c[i].size);
		}
		k += c[i].want;
	}
}

/* Too few buffers: the frame waits for more, and nothing is half used. */
TEST_F(rx, frame_waits_for_buffers_ok)
{
	struct vq *vq = &self->d.vq[RX];

	if (!has(&self->d, F_MRG))
		SKIP(return, "needs MRG_RXBUF");
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 3; i++) {
		ASSERT_LE(0, offer(self, i, 1000, &one_piece));
	}
	vq_publish_kick(vq);
	ASSERT_EQ(0, inject(self, 4500, 1));
	/* one buffer more than that is still too few */
	ASSERT_LE(0, offer(self, 3, 1000, &one_piece));
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(0, vq_used(vq));
	ASSERT_LE(0, offer(self, 4, 1000, &one_piece));
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(5, collect(self, 0, 1000, 4500));
}

/* The virtio specification wants 1 where the field exists without MRG. */
TEST_F(rx, num_buffers_without_mrg_is_one)
{
	struct virtio_net_hdr_mrg_rxbuf *h = (void *)self->buf;
	int head;

	if (!has(&self->d, F_V1) || has(&self->d, F_MRG))
		SKIP(return, "needs VERSION_1 without MRG_RXBUF");
	ASSERT_EQ(0, start(self));
	head = offer(self, 0, BIG, &one_piece);
	vq_publish_kick(&self->d.vq[RX]);
	ASSERT_EQ(0, inject(self, 100, 5));
	EXPECT_EQ(0, took(self, 0, head, 100, 5));
	EXPECT_EQ(1, g16(&self->d, h->num_buffers));
	/* and where the header lies in pieces of one byte */
	head = offer(self, 0, BIG, &scattered);
	vq_publish_kick(&self->d.vq[RX]);
	ASSERT_EQ(0, inject(self, 100, 6));
	EXPECT_EQ(0, took(self, 0, head, 100, 6));
	EXPECT_EQ(1, g16(&self->d, h->num_buffers));
}

/* One buffer a frame, too small: the frame is dropped, the buffer stays. */
TEST_F(rx, too_small_buffer_drops_frame)
{
	unsigned int fits = 500 - self->d.hdr_len;
	int head;

	if (has(&self->d, F_MRG))
		SKIP(return, "needs one buffer a frame");
	ASSERT_EQ(0, start(self));
	head = offer(self, 0, 500, &one_piece);
	ASSERT_LE(0, head);
	vq_publish_kick(&self->d.vq[RX]);
	ASSERT_EQ(0, inject(self, 1000, 1));
	ASSERT_EQ(0, inject(self, fits + 1, 2));
	ASSERT_EQ(0, inject(self, fits, 3));
	EXPECT_EQ(0, took(self, 0, head, fits, 3));
}

/* More frames than buffers: those in the tap's queue come when buffers do. */
TEST_F(rx, full_queue_without_buffers_recovers_ok)
{
	struct vq *vq = &self->d.vq[RX];

	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 300; i++) {
		ASSERT_EQ(0, inject(self, 100, i));
	}
	EXPECT_EQ(0, vq_used(vq));
	for (int round = 0; round < 300; round += 100) {
		for (int i = 0; i < 100; i++) {
			ASSERT_LE(0, offer(self, i, 2048, &one_piece));
		}
		vq_publish_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 100, WAIT_MS));
		for (int i = 0; i < 100; i++) {
			frame_fill(self->frame, 100, true, round + i);
			EXPECT_EQ(0, memcmp(self->frame, buf_at(self, i) +
					    self->d.hdr_len, 100));
			EXPECT_LE(0, vq_pop(vq, NULL));
		}
	}
}

TEST_F(rx, no_interrupt_skips_call)
{
	struct vq *vq = &self->d.vq[RX];

	if (has(&self->d, F_EVENT))
		SKIP(return, "the flag means nothing with EVENT_IDX");
	vq_calls_off(vq);
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 8; i++) {
		ASSERT_LE(0, offer(self, i, 2048, &one_piece));
		vq_publish_kick(vq);
		ASSERT_EQ(0, inject(self, 100, i));
		EXPECT_EQ(0, vq_spin(vq, i + 1, WAIT_MS));
	}
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(0, event_read(vq->call));
}

TEST_F(rx, used_event_far_skips_call)
{
	struct vq *vq = &self->d.vq[RX];

	if (!has(&self->d, F_EVENT))
		SKIP(return, "needs EVENT_IDX");
	ASSERT_EQ(0, start(self));
	vq_want_call(vq, 200);
	for (int i = 0; i < 8; i++) {
		ASSERT_LE(0, offer(self, i, 2048, &one_piece));
		vq_publish_kick(vq);
		ASSERT_EQ(0, inject(self, 100, i));
		EXPECT_EQ(0, vq_spin(vq, i + 1, WAIT_MS));
	}
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(1, event_read(vq->call));
}

TEST_F(rx, index_wraps_ok)
{
	SPLIT_ONLY(&self->d);
	vq_rewind(&self->d.vq[RX], 65530);
	ASSERT_EQ(0, dev_state(&self->d, VHOST_SET_VRING_BASE, RX, 65530));
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 12; i++) {
		EXPECT_EQ(0, one(self, 100 + i, i, &two_pieces));
	}
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(6, dev_get_base(&self->d, RX));
}

TEST_F(rx, stop_and_restart_ok)
{
	struct dev *d = &self->d;
	uint32_t base = vq_base_after(&d->vq[RX], 0);

	for (int i = 0; i < 6; i++) {
		ASSERT_EQ(0, dev_state(d, VHOST_SET_VRING_BASE, RX, base));
		ASSERT_EQ(0, start(self));
		EXPECT_EQ(0, one(self, 100, i, i & 1 ? &scattered :
				 &two_pieces));
		ASSERT_EQ(0, stop(self));
		base = dev_get_base(d, RX);
		if (!has(d, F_PACKED)) {
			EXPECT_EQ(i + 1u, base);
		}
	}
}

/* Frames that the device holds when it stops are not lost. */
TEST_F(rx, stop_keeps_queued_frames_ok)
{
	struct vq *vq = &self->d.vq[RX];
	int head;

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, one(self, 100, 0, &one_piece));
	for (int i = 1; i < 20; i++) {
		ASSERT_EQ(0, inject(self, 100, i));
	}
	vq_kick(vq);
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(0, vq_used(vq));
	ASSERT_EQ(0, start(self));
	for (int i = 1; i < 20; i++) {
		head = offer(self, i, 2048, &one_piece);
		vq_publish_kick(vq);
		ASSERT_EQ(0, took(self, i, head, 100, i));
	}
}

/* The backend's header is ours to make where the tap has none. */
TEST_F(rx, device_makes_header_ok)
{
	struct vq *vq = &self->d.vq[RX];
	static const uint8_t zero[10];
	int tap, pkt;

	if (variant->kind != BE_TAP)
		SKIP(return, "needs a tap without virtio header");
	tap = tap_open("vt1", 0, 0);
	ASSERT_LE(0, tap);
	ASSERT_EQ(0, link_up("vt1", 1500));
	pkt = pkt_open("vt1", PACKET_HDR);
	ASSERT_LE(0, pkt);
	ASSERT_EQ(0, dev_features(&self->d, self->d.features | F_VNET_HDR));
	ASSERT_EQ(0, dev_backend(&self->d, RX, tap));
	for (int i = 0; i < 3; i++) {
		int head = offer(self, i, 2048, i & 1 ? &scattered :
				 &one_piece);

		vq_publish_kick(vq);
		frame_fill(self->frame, 300, true, i);
		ASSERT_EQ(0, pkt_send(pkt, NULL, self->frame, 300));
		EXPECT_EQ(0, took(self, i, head, 300, i));
		EXPECT_EQ(0, memcmp(buf_at(self, i), zero, sizeof(zero)));
	}
}

TEST_F(rx, stream_with_wanted_kicks_ok)
{
	struct vq *vq = &self->d.vq[RX];
	uint32_t put = 0, sent = 0, got = 0;

	ASSERT_EQ(0, start(self));
	while (got < 3000) {
		while (vq->n_free && put - got < RING) {
			ASSERT_LE(0, offer(self, put++, 2048, &one_piece));
			if (put % 7 == 0)
				vq_publish_kick(vq);
		}
		vq_publish_kick(vq);
		while (sent < 3000 && sent - got < 100) {
			ASSERT_EQ(0, inject(self, 60 + sent % 700, sent));
			sent++;
		}
		ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
		while (vq_pop(vq, NULL) >= 0) {
			frame_fill(self->frame, 60 + got % 700, true, got);
			ASSERT_EQ(0, memcmp(self->frame, buf_at(self, got) +
					    self->d.hdr_len, 60 + got % 700));
			got++;
		}
	}
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
