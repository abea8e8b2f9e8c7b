// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that writes nonsense into its ring.
 *
 * Two rules. A ring that cannot be parsed stops: nothing of it is consumed,
 * the error eventfd fires, and the next kick tries again, so that a repaired
 * ring goes on. A chain that can be parsed but not sent is dropped and comes
 * back as used with length 0.
 */
#include <errno.h>
#include <poll.h>

#include "harness.h"

#define RING	256
#define OUT	0
#define NEXT	VRING_DESC_F_NEXT
#define WRITE	VRING_DESC_F_WRITE
#define TABLE	VRING_DESC_F_INDIRECT

FIXTURE(hostile) {
	struct dev d;
	struct net n;
	struct vq *vq;
	struct vring_desc *table;
	uint8_t *buf;
	uint8_t frame[128], seen[70000];
	uint64_t at;	/* gpa of buf */
	bool any_frame;	/* what was sent before may have come out */
	int kmsg;
};

FIXTURE_VARIANT(hostile) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(hostile, v1) { .features = F_V1 | F_INDIRECT };
FIXTURE_VARIANT_ADD(hostile, legacy_event) {
	.features = F_EVENT | F_INDIRECT,
};

FIXTURE_SETUP(hostile)
{
	struct dev *d = &self->d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP,
			      variant->features & F_V1 ? 12 : 10));
	ASSERT_EQ(0, dev_setup(d, variant->features));
	ASSERT_EQ(0, vq_setup(d, RX, RING));
	ASSERT_EQ(0, vq_setup(d, TX, RING));
	self->vq = &d->vq[TX];
	self->buf = guest_alloc(d, 1 << 20, 4096);
	self->table = guest_alloc(d, 2 << 20, 4096);
	self->at = gpa(d, self->buf);
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
}

FIXTURE_TEARDOWN(hostile)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(hostile) fix;

static void desc(fix *f, struct vring_desc *t, uint64_t addr, uint32_t len,
		 uint16_t flags, uint16_t next)
{
	desc_put(&f->d, t, addr, len, flags, next);
}

/* Write a good frame of 100 bytes to buf. Return: bytes with the header. */
static uint32_t good(fix *f)
{
	memset(f->buf, 0, f->d.hdr_len);
	frame_fill(f->frame, 100, false, 42);
	memcpy(f->buf + f->d.hdr_len, f->frame, 100);
	return f->d.hdr_len + 100;
}

/* The ring is sound now: the chain at @head goes out at the next kick. */
static int recovers(fix *f, uint16_t head)
{
	struct virtio_net_hdr h;
	int ret;

	desc(f, &f->vq->desc[head], f->at, good(f), OUT, 0);
	vq_kick(f->vq);
	ret = vq_wait(f->vq, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(f->vq, NULL) != head)
		return -EPROTO;
	do {
		ret = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen),
			       WAIT_MS);
	} while (f->any_frame && ret >= 0 && ret != 100);
	if (ret != 100)
		return ret < 0 ? ret : -EBADMSG;
	return memcmp(f->seen, f->frame, 100) ? -EBADMSG : 0;
}

/*
 * The next chain is a good one. It has to be before it is published: the device
 * may be looking still, for an earlier kick.
 */
static int goes_on(fix *f, uint16_t head)
{
	desc(f, &f->vq->desc[head], f->at, good(f), OUT, 0);
	vq_push(f->vq, head);
	vq_publish(f->vq);
	return recovers(f, head);
}

/*
 * Offer what is at slot 0, which cannot be parsed, and repair it.
 * Return: 0 if the device did by the first rule.
 */
static int stops(fix *f)
{
	uint64_t one = 1;

	event_read(f->vq->err);
	vq_push(f->vq, 0);
	vq_publish(f->vq);
	vq_kick(f->vq);
	if (event_wait(f->vq->err, SOON_MS))
		return -ENODATA;
	if (dev_get_base(&f->d, TX) || vq_used(f->vq))
		return -EPROTO;
	/* it stays where it is, however often it is kicked */
	event_read(f->vq->err);
	if (write(f->vq->kick, &one, sizeof(one)) != sizeof(one))
		return -errno;
	if (event_wait(f->vq->err, WAIT_MS))
		return -ENOMSG;
	if (dev_get_base(&f->d, TX) || vq_used(f->vq))
		return -EPROTOTYPE;
	return recovers(f, 0);
}

/*
 * Offer the chain at slot 0, which is no frame.
 * Return: 0 if the device did by the second rule, and goes on.
 */
static int drops(fix *f)
{
	uint32_t len = ~0u;
	int ret;

	vq_push(f->vq, 0);
	vq_publish(f->vq);
	vq_kick(f->vq);
	ret = vq_wait(f->vq, 1, SOON_MS);
	if (ret)
		return ret;
	if (vq_pop(f->vq, &len) != 0 || len)
		return -EPROTO;
	return goes_on(f, 1);
}

TEST_F(hostile, head_out_of_range_stops)
{
	static const uint16_t heads[] = { RING, RING + 1, 32768, 65535 };
	struct vq *vq = self->vq;

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		int base = dev_get_base(&self->d, TX);

		desc(self, &vq->desc[3], self->at, good(self), OUT, 0);
		event_read(vq->err);
		vq_push(vq, heads[i]);
		vq_publish(vq);
		vq_kick(vq);
		EXPECT_EQ(0, event_wait(vq->err, WAIT_MS));
		EXPECT_EQ(base, dev_get_base(&self->d, TX));
		EXPECT_EQ(0, vq_used(vq));
		vq->avail->ring[base & (RING - 1)] = g16(&self->d, 3);
		EXPECT_EQ(0, recovers(self, 3));
	}
}

/* Start the ring anew: empty, at index 0. */
static int restart(fix *f)
{
	int ret = dev_backend(&f->d, TX, -1);

	vq_rewind(f->vq, 0);
	if (!ret)
		ret = dev_state(&f->d, VHOST_SET_VRING_BASE, TX, 0);
	return ret ? ret : dev_backend(&f->d, TX, f->n.tap);
}

/* Return: 0 if an index @jump ahead stops the ring, which then recovers. */
static int jump(fix *f, uint16_t by)
{
	struct vq *vq = f->vq;
	int base = dev_get_base(&f->d, TX);

	event_read(vq->err);
	__atomic_store_n(&vq->avail->idx, g16(&f->d, base + by), __ATOMIC_RELEASE);
	vq_kick(vq);
	if (event_wait(vq->err, SOON_MS))
		return -ENODATA;
	if (dev_get_base(&f->d, TX) != base || vq_used(vq))
		return -EPROTO;
	return goes_on(f, 3);
}

TEST_F(hostile, avail_index_jump_stops)
{
	static const uint16_t jumps[] = { RING + 1, 1000, 32768, 65535 };

	for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
		EXPECT_EQ(0, jump(self, jumps[i])) {
			TH_LOG("jump %u", jumps[i]);
		}
		ASSERT_EQ(0, restart(self));
	}
}

TEST_F(hostile, avail_index_jump_repeated_stops)
{
	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(0, jump(self, 1000 + 7000 * i)) {
			TH_LOG("round %d", i);
		}
	}
}

TEST_F(hostile, descriptor_loop_stops)
{
	struct vring_desc *t = self->vq->desc;

	desc(self, &t[0], self->at, good(self), NEXT, 1);
	desc(self, &t[1], self->at, 100, NEXT, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, descriptor_to_itself_stops)
{
	desc(self, &self->vq->desc[0], self->at, good(self), NEXT, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, empty_descriptor_loop_stops)
{
	desc(self, &self->vq->desc[0], self->at, 0, NEXT, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, next_out_of_range_stops)
{
	static const uint16_t next[] = { RING, 32768, 65535 };

	for (size_t i = 0; i < sizeof(next) / sizeof(*next); i++) {
		desc(self, &self->vq->desc[0], self->at, good(self), NEXT, next[i]);
		EXPECT_EQ(0, stops(self));
		ASSERT_EQ(0, restart(self));
	}
}

TEST_F(hostile, unmapped_address_stops)
{
	desc(self, &self->vq->desc[0], GPA_BASE - 4096, good(self), OUT, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, buffer_past_memory_stops)
{
	desc(self, &self->vq->desc[0], GPA_BASE + MEM_SIZE - 10, good(self), OUT, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, address_wraps_stops)
{
	desc(self, &self->vq->desc[0], ~0ULL - 10, good(self), OUT, 0);
	EXPECT_EQ(0, stops(self));
}

/*
 * Too long for a frame and for the guest's memory: it depends on which is seen
 * first whether the ring stops or the chain is dropped. One of the two.
 */
TEST_F(hostile, length_huge_is_refused)
{
	struct vq *vq = self->vq;
	struct pollfd p[2] = {
		{ .fd = vq->err, .events = POLLIN },
		{ .fd = vq->call, .events = POLLIN },
	};
	uint32_t len = ~0u;

	good(self);
	desc(self, &vq->desc[0], self->at, ~0u, OUT, 0);
	vq_push(vq, 0);
	vq_publish(vq);
	vq_kick(vq);
	ASSERT_LT(0, poll(p, 2, WAIT_MS));
	if (dev_get_base(&self->d, TX) == 0) {
		EXPECT_EQ(0, vq_used(vq));
		EXPECT_EQ(0, recovers(self, 0));
		return;
	}
	ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
	EXPECT_EQ(0, vq_pop(vq, &len));
	EXPECT_EQ(0, len);
	EXPECT_EQ(0, goes_on(self, 1));
}

TEST_F(hostile, second_descriptor_unmapped_stops)
{
	desc(self, &self->vq->desc[0], self->at, good(self), NEXT, 1);
	desc(self, &self->vq->desc[1], 4096, 100, OUT, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, readable_after_writable_stops)
{
	desc(self, &self->vq->desc[0], self->at, 100, NEXT | WRITE, 1);
	desc(self, &self->vq->desc[1], self->at, 100, OUT, 0);
	EXPECT_EQ(0, stops(self));
}

/* Indirect tables. */
static void table(fix *f, uint32_t len)
{
	desc(f, &f->vq->desc[0], gpa(&f->d, f->table), len, TABLE, 0);
}

TEST_F(hostile, indirect_in_indirect_stops)
{
	desc(self, &self->table[0], gpa(&self->d, self->table), 16, TABLE, 0);
	table(self, 16);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, indirect_length_odd_stops)
{
	desc(self, &self->table[0], self->at, good(self), OUT, 0);
	table(self, 17);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, indirect_length_zero_stops)
{
	desc(self, &self->table[0], self->at, good(self), OUT, 0);
	table(self, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, indirect_table_huge_stops)
{
	desc(self, &self->table[0], self->at, good(self), OUT, 0);
	table(self, 65537 * 16);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, indirect_table_unmapped_stops)
{
	desc(self, &self->vq->desc[0], 4096, 16, TABLE, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, indirect_next_past_table_stops)
{
	desc(self, &self->table[0], self->at, good(self), NEXT, 1);
	table(self, 16);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, indirect_loop_stops)
{
	for (int i = 0; i < 64; i++) {
		desc(self, &self->table[i], self->at, good(self), NEXT, (i + 1) % 64);
	}
	table(self, 64 * 16);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, indirect_readable_after_writable_stops)
{
	desc(self, &self->table[0], self->at, 64, NEXT | WRITE, 1);
	desc(self, &self->table[1], self->at, 64, OUT, 0);
	table(self, 32);
	EXPECT_EQ(0, stops(self));
}

/* More pieces than an iovec has: refused, whatever they hold. */
TEST_F(hostile, chain_over_1024_pieces_stops)
{
	good(self);
	for (int i = 0; i < 1025; i++) {
		desc(self, &self->table[i], self->at, i ? 1 : 50,
		     i < 1024 ? NEXT : 0, i + 1);
	}
	table(self, 1025 * 16);
	EXPECT_EQ(0, stops(self));
}

/* Chains that parse, but are no frame. */
TEST_F(hostile, tx_writable_descriptor_is_returned)
{
	struct vq *vq = self->vq;

	event_read(vq->err);
	desc(self, &vq->desc[0], self->at, good(self), WRITE, 0);
	EXPECT_EQ(0, drops(self));
	EXPECT_EQ(0, event_wait(vq->err, 0));
}

TEST_F(hostile, tx_writable_tail_is_returned)
{
	struct vq *vq = self->vq;

	event_read(vq->err);
	desc(self, &vq->desc[0], self->at, good(self), NEXT, 2);
	desc(self, &vq->desc[2], self->at + 4096, 100, WRITE, 0);
	EXPECT_EQ(0, drops(self));
	EXPECT_EQ(0, event_wait(vq->err, 0));
}

TEST_F(hostile, tx_shorter_than_header_is_returned)
{
	good(self);
	desc(self, &self->vq->desc[0], self->at, self->d.hdr_len - 1, OUT, 0);
	EXPECT_EQ(0, drops(self));
}

TEST_F(hostile, tx_empty_chain_is_returned)
{
	desc(self, &self->vq->desc[0], self->at, 0, OUT, 0);
	EXPECT_EQ(0, drops(self));
}

TEST_F(hostile, tx_header_only_is_returned)
{
	good(self);
	desc(self, &self->vq->desc[0], self->at, self->d.hdr_len, OUT, 0);
	EXPECT_EQ(0, drops(self));
}

TEST_F(hostile, tx_frame_of_13_bytes_is_returned)
{
	good(self);
	desc(self, &self->vq->desc[0], self->at, self->d.hdr_len + 13, OUT, 0);
	EXPECT_EQ(0, drops(self));
}

TEST_F(hostile, tx_hdr_len_over_frame_is_returned)
{
	struct virtio_net_hdr *h = (void *)self->buf;

	desc(self, &self->vq->desc[0], self->at, good(self), OUT, 0);
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = 34;
	h->csum_offset = 16;
	h->hdr_len = 65535;
	hdr_swap(&self->d, h);
	EXPECT_EQ(0, drops(self));
}

TEST_F(hostile, tx_unknown_gso_type_is_returned)
{
	struct virtio_net_hdr *h = (void *)self->buf;

	desc(self, &self->vq->desc[0], self->at, good(self), OUT, 0);
	h->gso_type = 0x7f;
	h->gso_size = 1000;
	EXPECT_EQ(0, drops(self));
}

/* Longer than any frame: a tap may take it or not, the ring goes on. */
TEST_F(hostile, tx_frame_of_a_megabyte_is_returned)
{
	good(self);
	self->any_frame = true;
	desc(self, &self->vq->desc[0], self->at, 1 << 20, OUT, 0);
	EXPECT_EQ(0, drops(self));
}

/* A chain of @n pieces that are all of guest memory's first 300 MiB. */
static void huge(fix *f, int n)
{
	good(f);
	for (int i = 0; i < n; i++) {
		desc(f, &f->table[i], GPA_BASE, 300 << 20, i < n - 1 ? NEXT : 0,
		     i + 1);
	}
	table(f, n * 16);
}

TEST_F(hostile, tx_frame_of_3_gigabytes_is_returned)
{
	self->any_frame = true;
	huge(self, 10);
	EXPECT_EQ(0, drops(self));
}

/* Virtio 1.3 2.7.5.2: no chain is longer than 2^32 bytes in all. */
TEST_F(hostile, chain_over_4_gigabytes_stops)
{
	huge(self, 20);
	EXPECT_EQ(0, stops(self));
}

TEST_F(hostile, chain_of_300_gigabytes_stops)
{
	huge(self, 1000);
	EXPECT_EQ(0, stops(self));
}

/* In-tree tries a frame it cannot send again and again, for ever. */
TEST_F(hostile, tx_shorter_than_header_does_not_spin)
{
	int64_t before, after, from, to;
	int tid = worker_tid(getpid());

	ASSERT_LT(0, tid);
	desc(self, &self->vq->desc[0], self->at, 5, OUT, 0);
	vq_push(self->vq, 0);
	vq_publish(self->vq);
	vq_kick(self->vq);
	/* a measure of CPU time over a time, not a wait for something */
	poll(NULL, 0, 50 * slowness());
	before = worker_ns(tid);
	from = now_ms();
	poll(NULL, 0, 300);
	after = worker_ns(tid);
	to = now_ms();
	ASSERT_LE(0, before);
	EXPECT_LT((after - before) / 1000000, (to - from) / 4);
	EXPECT_EQ(0, dev_backend(&self->d, TX, -1));
}

/* Receiving: the same for what the guest gives as room. */
static int rx_stops(fix *f)
{
	struct vq *vq = &f->d.vq[RX];
	uint8_t frame[100];

	desc(f, &vq->desc[1], f->at, 2048, WRITE, 0);
	vq_push(vq, 0);
	vq_publish(vq);
	if (dev_backend(&f->d, RX, f->n.tap))
		return -EINVAL;
	frame_fill(frame, sizeof(frame), true, 1);
	if (pkt_send(f->n.pkt, NULL, frame, sizeof(frame)))
		return -EIO;
	vq_kick(vq);
	if (event_wait(vq->err, SOON_MS))
		return -ENODATA;
	if (dev_get_base(&f->d, RX) || vq_used(vq))
		return -EPROTO;
	/* in one store: frame and kick both made it look, and it may be still */
	vq->avail->ring[0] = g16(&f->d, 1);
	vq_kick(vq);
	if (vq_wait(vq, 1, WAIT_MS) || vq_pop(vq, NULL) != 1)
		return -ENOMSG;
	return memcmp(f->buf + f->d.hdr_len, frame, sizeof(frame)) ?
	       -EBADMSG : 0;
}

TEST_F(hostile, rx_unmapped_buffer_stops)
{
	desc(self, &self->d.vq[RX].desc[0], 4096, 2048, WRITE, 0);
	EXPECT_EQ(0, rx_stops(self));
}

TEST_F(hostile, rx_readable_buffer_stops)
{
	desc(self, &self->d.vq[RX].desc[0], self->at, 2048, OUT, 0);
	EXPECT_EQ(0, rx_stops(self));
}

TEST_F(hostile, rx_descriptor_loop_stops)
{
	desc(self, &self->d.vq[RX].desc[0], self->at, 100, WRITE | NEXT, 0);
	EXPECT_EQ(0, rx_stops(self));
}

TEST_F(hostile, rx_head_out_of_range_stops)
{
	struct vq *vq = &self->d.vq[RX];

	vq_push(vq, RING);
	vq_publish(vq);
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	frame_fill(self->frame, 100, true, 1);
	ASSERT_EQ(0, pkt_send(self->n.pkt, NULL, self->frame, 100));
	vq_kick(vq);
	EXPECT_EQ(0, event_wait(vq->err, SOON_MS));
	EXPECT_EQ(0, dev_get_base(&self->d, RX));
	/* the other ring of the device works on */
	EXPECT_EQ(0, goes_on(self, 1));
}

TEST_HARNESS_MAIN
