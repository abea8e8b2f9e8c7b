// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings of a legacy guest whose byte order is not ours: the ioctls, and frames
 * through rings of such a driver. The header's fields but num_buffers
 * are between guest and tap, so frames go without one or with a zero one.
 */
#include <errno.h>
#include <linux/if_tun.h>

#include "harness.h"

#define RING	64
#define LEN	1500
#define OURS	(HOST_IS_BE ? VHOST_VRING_BIG_ENDIAN : VHOST_VRING_LITTLE_ENDIAN)
#define OTHER	(HOST_IS_BE ? VHOST_VRING_LITTLE_ENDIAN : VHOST_VRING_BIG_ENDIAN)

FIXTURE(endian) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[LEN], seen[LEN];
	int kmsg;
};

FIXTURE_VARIANT(endian) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(endian, flags) { .features = 0 };
FIXTURE_VARIANT_ADD(endian, event) { .features = F_EVENT };
FIXTURE_VARIANT_ADD(endian, mrg_event_indirect) {
	.features = F_MRG | F_EVENT | F_INDIRECT,
};
FIXTURE_VARIANT_ADD(endian, nohdr_mrg_event) {
	.features = F_MRG | F_EVENT | F_VNET_HDR,
};

typedef FIXTURE_DATA(endian) fix;

static int set_endian(fix *f, int q, unsigned int order)
{
	return dev_state(&f->d, VHOST_SET_VRING_ENDIAN, q, order);
}

static int get_endian(fix *f, int q)
{
	struct vhost_vring_state s = { .index = q, .num = ~0u };
	int ret = dev_ioctl(&f->d, VHOST_GET_VRING_ENDIAN, &s, sizeof(s));

	return ret ? ret : (int)s.num;
}

FIXTURE_SETUP(endian)
{
	uint64_t features = variant->features;
	unsigned int hdr = features & F_MRG ? 12 : 10;

	self->d.fd = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP,
			      features & F_VNET_HDR ? 0 : hdr));
	ASSERT_EQ(0, dev_setup(&self->d, features));
	self->d.is_other = true;
	for (int q = 0; q < 2; q++)
		ASSERT_EQ(0, vq_setup(&self->d, q, RING));
	self->buf = guest_alloc(&self->d, RING * 2048, 4096);
}

FIXTURE_TEARDOWN(endian)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static int start(fix *f)
{
	int ret = 0;

	for (int q = 0; q < 2 && !ret; q++)
		ret = set_endian(f, q, OTHER);
	for (int q = 0; q < 2 && !ret; q++)
		ret = dev_backend(&f->d, q, f->n.tap);
	return ret;
}

static int tx_one(fix *f, uint32_t seq, const struct layout *l)
{
	struct vq *vq = &f->d.vq[TX];
	struct virtio_net_hdr h;
	int n, ret, head;

	frame_fill(f->frame, LEN, false, seq);
	head = tx_add(vq, NULL, f->frame, LEN, l, f->buf);
	vq_publish_kick(vq);
	ret = vq_wait(vq, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(vq, NULL) != head)
		return -EPROTO;
	n = pkt_recv(f->n.pkt, &h, f->seen, LEN, WAIT_MS);
	return n == LEN && !memcmp(f->frame, f->seen, LEN) ? 0 : -EBADMSG;
}

/* One frame over @nr buffers. */
static int rx_one(fix *f, uint32_t seq, unsigned int nr, const struct layout *l)
{
	unsigned int hdr = f->d.hdr_len, size = (hdr + LEN + nr - 1) / nr;
	struct virtio_net_hdr_mrg_rxbuf *h = (void *)f->buf;
	struct vq *vq = &f->d.vq[RX];
	uint32_t len, sum = 0;
	int ret;

	/* Buffers in a row, so that the frame is in one piece. */
	for (unsigned int i = 0; i < nr; i++)
		if (rx_add(vq, size, i ? &one_piece : l, f->buf + i * size) < 0)
			return -ENOSPC;
	vq_publish_kick(vq);
	frame_fill(f->frame, LEN, true, seq);
	ret = pkt_send(f->n.pkt, NULL, f->frame, LEN);
	if (!ret)
		ret = vq_wait(vq, nr, WAIT_MS);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < nr; i++, sum += len)
		if (vq_pop(vq, &len) < 0)
			return -EPROTO;
	if (sum != hdr + LEN)
		return -EMSGSIZE;
	if (has(&f->d, F_MRG) && g16(&f->d, h->num_buffers) != nr)
		return -EPROTOTYPE;
	return memcmp(f->frame, f->buf + hdr, LEN) ? -EBADMSG : 0;
}

TEST_F(endian, ioctls_ok)
{
	for (int q = 0; q < 2; q++) {
		EXPECT_EQ(OURS, get_endian(self, q));
		EXPECT_EQ(0, set_endian(self, q, OTHER));
		EXPECT_EQ(OTHER, get_endian(self, q));
		EXPECT_EQ(-EINVAL, set_endian(self, q, 2));
		EXPECT_EQ(-EINVAL, set_endian(self, q, ~0u));
		EXPECT_EQ(OTHER, get_endian(self, q));
	}
	EXPECT_EQ(-ENOBUFS, set_endian(self, 2, OTHER));
	EXPECT_EQ(-ENOBUFS, get_endian(self, 2));
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	EXPECT_EQ(-EBUSY, set_endian(self, TX, OURS));
	EXPECT_EQ(-EBUSY, set_endian(self, TX, 2));
	EXPECT_EQ(OTHER, get_endian(self, TX));
	EXPECT_EQ(0, set_endian(self, RX, OURS));
}

TEST_F(endian, reset_owner_forgets_ok)
{
	ASSERT_EQ(0, set_endian(self, TX, OTHER));
	ASSERT_EQ(0, dev_ioctl(&self->d, VHOST_RESET_OWNER, NULL, 0));
	EXPECT_EQ(-EPERM, get_endian(self, TX));
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(OURS, get_endian(self, TX));
}

TEST_F(endian, tx_ok)
{
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 2 * RING; i++)
		ASSERT_EQ(0, tx_one(self, i, i % 2 ? &two_pieces : &one_piece));
	EXPECT_EQ(2 * RING, dev_get_base(&self->d, TX));
}

TEST_F(endian, rx_ok)
{
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 2 * RING; i++)
		ASSERT_EQ(0, rx_one(self, i, 1, i % 2 ? &two_pieces :
				    &one_piece));
	EXPECT_EQ(2 * RING, dev_get_base(&self->d, RX));
}

TEST_F(endian, rx_over_many_buffers_ok)
{
	if (!has(&self->d, F_MRG))
		SKIP(return, "needs MRG_RXBUF");
	ASSERT_EQ(0, start(self));
	for (int i = 1; i < 32; i++)
		ASSERT_EQ(0, rx_one(self, i, i, &one_piece));
}

/* The order is of the legacy interface: VERSION_1 is little-endian. */
TEST_F(endian, version_1_ignores_it_ok)
{
	uint64_t features = variant->features | F_V1;

	self->d.is_other = false;
	ASSERT_EQ(0, dev_features(&self->d, features));
	if (!(features & F_VNET_HDR)) {
		int hdr = 12;

		ASSERT_EQ(0, ioctl(self->n.tap, TUNSETVNETHDRSZ, &hdr));
	}
	for (int q = 0; q < 2; q++)
		ASSERT_EQ(0, vq_layout(&self->d, q, RING));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, tx_one(self, 1, &two_pieces));
	EXPECT_EQ(0, rx_one(self, 1, 1, &two_pieces));
	/* nor do features that come later change a ring that runs */
	ASSERT_EQ(0, dev_u64(&self->d, VHOST_SET_FEATURES, features & ~F_V1));
	ASSERT_EQ(0, dev_u64(&self->d, VHOST_SET_FEATURES, features));
	EXPECT_EQ(0, tx_one(self, 2, &two_pieces));
	EXPECT_EQ(0, rx_one(self, 2, 1, &two_pieces));
}

/* Both orders in turn on the same ring. */
TEST_F(endian, restart_in_other_order_ok)
{
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(0, tx_one(self, i, &one_piece));
		EXPECT_EQ(0, rx_one(self, i, 1, &one_piece));
		self->d.is_other = i % 2;
		for (int q = 0; q < 2; q++) {
			ASSERT_EQ(0, dev_backend(&self->d, q, -1));
			vq_rewind(&self->d.vq[q], 0);
			ASSERT_EQ(0, dev_state(&self->d, VHOST_SET_VRING_BASE,
					       q, 0));
			ASSERT_EQ(0, set_endian(self, q, self->d.is_other ?
						OTHER : OURS));
			ASSERT_EQ(0, dev_backend(&self->d, q, self->n.tap));
		}
	}
}

TEST_HARNESS_MAIN
