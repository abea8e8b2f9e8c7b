// SPDX-License-Identifier: GPL-2.0-only
/* Both directions over every size of ring, and over its ends. */
#include <errno.h>

#include "harness.h"

#define SLOT	256UL		/* bytes of buffer behind each slot */
#define LEN	100		/* bytes of frame */
#define QUEUE	400		/* frames that a tap's queue surely takes */

FIXTURE(rings) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[LEN], seen[LEN * 2];
	int kmsg;
};

FIXTURE_VARIANT(rings) {
	unsigned int num;
	uint64_t features;
};

#define ALL	(F_V1 | F_MRG | F_EVENT | F_INDIRECT)

FIXTURE_VARIANT_ADD(rings, num_1) { 1, F_V1 };
FIXTURE_VARIANT_ADD(rings, num_1_event) { 1, ALL };
FIXTURE_VARIANT_ADD(rings, num_2) { 2, F_V1 | F_MRG };
FIXTURE_VARIANT_ADD(rings, num_2_event) { 2, ALL };
FIXTURE_VARIANT_ADD(rings, num_64_event) { 64, ALL };
FIXTURE_VARIANT_ADD(rings, num_256) { 256, F_V1 };
FIXTURE_VARIANT_ADD(rings, num_1024_event) { 1024, ALL };
FIXTURE_VARIANT_ADD(rings, num_32768) { 32768, F_V1 | F_MRG };
FIXTURE_VARIANT_ADD(rings, num_32768_event) { 32768, ALL };

FIXTURE_SETUP(rings)
{
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(&self->d, variant->features));
	ASSERT_EQ(0, vq_setup(&self->d, RX, variant->num));
	ASSERT_EQ(0, vq_setup(&self->d, TX, variant->num));
	self->buf = guest_alloc(&self->d, variant->num * SLOT, 4096);
}

FIXTURE_TEARDOWN(rings)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(rings) fix;

/* Frames carry their number behind the Ethernet header. */
static void number(fix *f, uint32_t seq)
{
	memcpy(f->frame + ETH_HLEN, &seq, sizeof(seq));
}

static int tx_put(fix *f, uint32_t seq)
{
	number(f, seq);
	return tx_add(&f->d.vq[TX], NULL, f->frame, LEN, &one_piece,
		      f->buf + seq % f->d.vq[TX].num * SLOT);
}

static int tx_seen(fix *f, uint32_t seq)
{
	struct virtio_net_hdr h;
	int n = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);

	number(f, seq);
	if (n != LEN)
		return n < 0 ? n : -EMSGSIZE;
	return memcmp(f->frame, f->seen, LEN) ? -EBADMSG : 0;
}

/* Send @total frames, the ring full at each kick. */
static int tx_laps(fix *f, uint32_t total)
{
	struct vq *vq = &f->d.vq[TX];
	uint32_t put = 0, got = 0;
	int ret;

	frame_fill(f->frame, LEN, false, 3);
	while (got < total) {
		uint32_t room = put - got;

		for (; put < total && room < vq->num; put++, room++)
			tx_put(f, put);
		vq_publish_kick(vq);
		ret = vq_wait(vq, put - got, 2 * WAIT_MS);
		for (; !ret && got < put; got++) {
			if (vq_pop(vq, NULL) < 0)
				return -EPROTO;
			ret = tx_seen(f, got);
		}
		if (ret)
			return ret;
	}
	return 0;
}

static int rx_check(fix *f, uint32_t seq)
{
	uint32_t len = 0;
	int head = vq_pop(&f->d.vq[RX], &len);

	if (head < 0 || len != LEN + 12)
		return -EPROTO;
	number(f, seq);
	return memcmp(f->buf + seq % f->d.vq[RX].num * SLOT + 12, f->frame,
		      LEN) ? -EBADMSG : 0;
}

/* Receive @total frames, some of them queued before the buffers come. */
static int rx_laps(fix *f, uint32_t total)
{
	struct vq *vq = &f->d.vq[RX];
	uint32_t put = 0, sent = 0, got = 0;
	int ret = 0;

	frame_fill(f->frame, LEN, true, 4);
	while (got < total) {
		for (; put < total && put - got < vq->num; put++)
			rx_add(vq, SLOT, &one_piece,
			       f->buf + put % vq->num * SLOT);
		vq_publish_kick(vq);
		for (; sent < put && sent - got < QUEUE && !ret; sent++) {
			number(f, sent);
			ret = pkt_send(f->n.pkt, NULL, f->frame, LEN);
		}
		if (!ret)
			ret = vq_wait(vq, sent - got, WAIT_MS);
		for (; !ret && got < sent; got++)
			ret = rx_check(f, got);
		if (ret)
			return ret;
	}
	return 0;
}

static uint32_t enough(unsigned int num)
{
	return num < 100 ? 300 : num < 2000 ? 2 * num + 100 : num;
}

TEST_F_TIMEOUT(rings, tx_laps_ok, 60)
{
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	EXPECT_EQ(0, tx_laps(self, enough(variant->num)));
}

TEST_F_TIMEOUT(rings, rx_laps_ok, 60)
{
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	EXPECT_EQ(0, rx_laps(self, enough(variant->num) < 3000 ?
			     enough(variant->num) : 3000));
}

/* From any base, over the end of the 16-bit index. */
TEST_F_TIMEOUT(rings, index_wrap_ok, 60)
{
	struct dev *d = &self->d;
	uint16_t base = 65536 - 150;

	for (int q = 0; q < 2; q++) {
		vq_rewind(&d->vq[q], base);
		ASSERT_EQ(0, dev_state(d, VHOST_SET_VRING_BASE, q, base));
		ASSERT_EQ(0, dev_backend(d, q, self->n.tap));
	}
	EXPECT_EQ(0, tx_laps(self, 300));
	EXPECT_EQ(0, rx_laps(self, 300));
	EXPECT_EQ(150, dev_get_base(d, TX));
	EXPECT_EQ(150, dev_get_base(d, RX));
}

/* More frames than a 16-bit index counts, in one life of the ring. */
TEST_F_TIMEOUT(rings, over_65536_frames_ok, 120)
{
	struct vq *vq = &self->d.vq[TX];
	uint32_t done = 0;

	if (variant->num != 256)
		SKIP(return, "done with the ring of 256");
	frame_fill(self->frame, LEN, false, 3);
	close(self->n.pkt);
	self->n.pkt = -1;
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	while (done < 66000) {
		for (int i = 0; i < 240; i++) {
			tx_put(self, i);
		}
		vq_publish_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 240, WAIT_MS));
		while (vq_pop(vq, NULL) >= 0)
			done++;
	}
	EXPECT_EQ((int)(done & 0xffff), dev_get_base(&self->d, TX));
	EXPECT_EQ((int64_t)done, link_packets("vt0", true));
}

TEST_HARNESS_MAIN
