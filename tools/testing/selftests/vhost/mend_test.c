// SPDX-License-Identifier: GPL-2.0-only
/*
 * What comes late, and what takes long: features after the backend, a ring
 * that is mended after it stopped, descriptors made to cost time.
 */
#include <errno.h>
#include <poll.h>

#include "harness.h"

#define RING	1024
#define LEN	100
#define STEPS	1024		/* descriptors in one costly table */
#define FRAMES	64

FIXTURE(mend) {
	struct dev d;
	struct net n;
	struct vq *rx, *tx;
	uint8_t *buf;
	uint8_t frame[3000], seen[4096];
	int kmsg;
};

FIXTURE_VARIANT(mend) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(mend, v1_mrg) { .features = F_V1 | F_MRG | F_INDIRECT };
FIXTURE_VARIANT_ADD(mend, v1_mrg_event) {
	.features = F_V1 | F_MRG | F_INDIRECT | F_EVENT,
};

FIXTURE_SETUP(mend)
{
	struct dev *d = &self->d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(d, variant->features));
	ASSERT_EQ(0, vq_setup(d, RX, RING));
	ASSERT_EQ(0, vq_setup(d, TX, RING));
	self->rx = &d->vq[RX];
	self->tx = &d->vq[TX];
	self->buf = guest_alloc(d, 1 << 20, 4096);
}

FIXTURE_TEARDOWN(mend)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(mend) fix;

static int send_one(fix *f, uint32_t seq)
{
	frame_fill(f->frame, LEN, false, seq);
	return tx_add(f->tx, NULL, f->frame, LEN, &one_piece, f->buf);
}

/* Return: 0 if frame @seq came out and its chain back. */
static int sent(fix *f, int head, uint32_t seq)
{
	struct virtio_net_hdr h;
	int ret = vq_wait(f->tx, 1, WAIT_MS);

	if (ret)
		return ret;
	if (vq_pop(f->tx, NULL) != head)
		return -EPROTO;
	frame_fill(f->frame, LEN, false, seq);
	ret = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);
	if (ret != LEN)
		return ret < 0 ? ret : -EBADMSG;
	return memcmp(f->seen, f->frame, LEN) ? -EBADMSG : 0;
}

static int inject(fix *f, size_t len, uint32_t seq)
{
	frame_fill(f->frame, len, true, seq);
	return pkt_send(f->n.pkt, NULL, f->frame, len);
}

/* Return: 0 if frame @seq of @len bytes came in by buffer @head at @buf. */
static int received(fix *f, int head, uint8_t *buf, size_t len, uint32_t seq)
{
	uint32_t used = 0;
	int ret = vq_wait(f->rx, 1, WAIT_MS);

	if (ret)
		return ret;
	if (vq_pop(f->rx, &used) != head || used != len + 12)
		return -EPROTO;
	frame_fill(f->frame, len, true, seq);
	return memcmp(buf + 12, f->frame, len) ? -EBADMSG : 0;
}

/* As kvmtool does it: backends first, what the driver accepted afterwards. */
TEST_F(mend, features_after_backend_ok)
{
	struct dev *d = &self->d;
	int head;

	ASSERT_EQ(0, dev_u64(d, VHOST_SET_FEATURES, 0));
	ASSERT_EQ(0, dev_backend(d, RX, self->n.tap));
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	ASSERT_EQ(0, dev_u64(d, VHOST_SET_FEATURES, variant->features));

	head = send_one(self, 1);
	vq_publish_kick(self->tx);
	EXPECT_EQ(0, sent(self, head, 1));
	head = rx_add(self->rx, 2048, &one_piece, self->buf + 8192);
	vq_publish_kick(self->rx);
	ASSERT_EQ(0, inject(self, LEN, 2));
	EXPECT_EQ(0, received(self, head, self->buf + 8192, LEN, 2));
}

/* A driver that mends its ring and asks before it kicks is told to kick. */
TEST_F(mend, stopped_ring_wants_kick_for_the_next)
{
	struct vq *tx = self->tx;
	int first, second;

	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	first = send_one(self, 1);
	tx->desc[first].addr += 1ULL << 50;
	vq_publish_kick(tx);
	ASSERT_EQ(0, event_wait(tx->err, WAIT_MS));
	/* the run that failed ends with this */
	ASSERT_EQ(0, dev_get_base(&self->d, TX));

	tx->desc[first].addr -= 1ULL << 50;
	second = tx_add(tx, NULL, self->frame, LEN, &one_piece,
			self->buf + 4096);
	ASSERT_LE(0, second);
	vq_publish(tx);
	EXPECT_TRUE(vq_kick_wanted(tx));
	vq_kick(tx);
	EXPECT_EQ(0, vq_wait(tx, 2, WAIT_MS));
	EXPECT_EQ(first, vq_pop(tx, NULL));
	EXPECT_EQ(second, vq_pop(tx, NULL));
}

/* The client mends it: no kick comes, and none is needed. */
TEST_F(mend, mem_table_restarts_ring_ok)
{
	struct vhost_memory_region none = {
		.guest_phys_addr = 0, .memory_size = 4096,
		.userspace_addr = (uintptr_t)self->d.mem,
	};
	int head;

	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	ASSERT_EQ(0, dev_mem_regions(&self->d, &none, 1));
	head = send_one(self, 1);
	vq_publish_kick(self->tx);
	ASSERT_EQ(0, event_wait(self->tx->err, WAIT_MS));
	ASSERT_EQ(0, dev_mem_table(&self->d));
	ASSERT_EQ(0, vq_wait(self->tx, 1, SOON_MS));
	EXPECT_EQ(0, sent(self, head, 1));
}

/*
 * A buffer of one byte at the end of @STEPS descriptors, the others empty, and
 * each far from the one before.
 */
static void costly_table(fix *f, struct vring_desc *t)
{
	for (int i = 0; i < STEPS; i++) {
		int next = (i + 97) % STEPS;

		desc_put(&f->d, &t[i], gpa(&f->d, f->buf), next ? 0 : 1,
			 VRING_DESC_F_WRITE | (next ? VRING_DESC_F_NEXT : 0),
			 next);
	}
}

/*
 * Frames that never fit a ring full of such buffers cost little each: else
 * this test hits its deadline, and the device's ioctls wait as long.
 */
TEST_F(mend, costly_buffers_do_not_hold_the_device)
{
	struct vring_desc *t = guest_alloc(&self->d, STEPS * 16, 16);
	struct vq *rx = self->rx;
	int head;

	costly_table(self, t);
	for (int i = 0; i < RING; i++) {
		desc_put(&self->d, &rx->desc[i], gpa(&self->d, t), STEPS * 16,
			 VRING_DESC_F_INDIRECT, 0);
		vq_push(rx, i);
	}
	vq_publish(rx);
	for (int i = 0; i < FRAMES; i++)
		ASSERT_EQ(0, inject(self, 2000, i));
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	vq_kick(rx);
	/* waits for the run under way */
	EXPECT_EQ(0, dev_backend(&self->d, RX, -1));
	EXPECT_EQ(0, vq_used(rx));

	/* and with a ring of good buffers it works */
	ASSERT_EQ(0, vq_setup(&self->d, RX, RING));
	head = rx_add(rx, 4096, &one_piece, self->buf + 8192);
	vq_publish(rx);
	ASSERT_EQ(0, inject(self, LEN, 7));
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	EXPECT_EQ(0, vq_wait(rx, 1, WAIT_MS));
	EXPECT_EQ(head, vq_pop(rx, NULL));
}

/* Lengths that a signed int, or page-sized steps, turn into something else. */
TEST_F(mend, tx_frames_near_4_gigabytes_are_returned)
{
	static const uint32_t lens[] = {
		0x7fffffff, 0x80000000, 0xfffff000, 0xffffffc0, 0xfffffff0,
		0xffffffff,
	};
	struct vring_desc *t = guest_alloc(&self->d, 32 * 16, 16);
	struct vq *tx = self->tx;
	unsigned int n = sizeof(lens) / sizeof(*lens);

	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	for (unsigned int i = 0; i < n; i++) {
		uint32_t left = lens[i], part, j = 0;

		memset(self->buf, 0, 64);
		for (; left; left -= part, j++) {
			part = left < 256u << 20 ? left : 256u << 20;
			desc_put(&self->d, &t[j], GPA_BASE, part,
				 left > part ? VRING_DESC_F_NEXT : 0, j + 1);
		}
		desc_put(&self->d, &tx->desc[i], gpa(&self->d, t), j * 16,
			 VRING_DESC_F_INDIRECT, 0);
		vq_push(tx, i);
		vq_publish(tx);
		vq_kick(tx);
		ASSERT_EQ(0, vq_wait(tx, 1, SOON_MS));
		EXPECT_EQ((int)i, vq_pop(tx, NULL));
	}
}

TEST_HARNESS_MAIN
