// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that cannot be accessed for a moment: the ring goes on by itself, no
 * frame is lost and none is moved twice. Kicks come with new buffers only.
 * And memory that takes a moment: what the driver does meanwhile is seen.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>

#include "flow_lib.h"
#include "harness.h"

#define PAGE	4096UL
#define RING	2048	/* its areas are in pages of their own, used_event too */

FIXTURE(retry) {
	struct flow f;
	struct dev *d;
	struct vq *rx, *tx;
	int kmsg;
};

FIXTURE_VARIANT(retry) {
	uint64_t features;
};

/* Without EVENT_IDX a split ring is written before it is read. */
FIXTURE_VARIANT_ADD(retry, split_event) { .features = F_V1 | F_EVENT };
FIXTURE_VARIANT_ADD(retry, packed) { .features = F_V1 | F_PACKED };
FIXTURE_VARIANT_ADD(retry, packed_event) {
	.features = F_V1 | F_PACKED | F_EVENT,
};

FIXTURE_SETUP(retry)
{
	struct dev *d = &self->f.d;

	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	self->d = d;
	self->rx = &d->vq[RX];
	self->tx = &d->vq[TX];
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(d, variant->features));
	ASSERT_EQ(0, vq_setup(d, RX, RING));
	ASSERT_EQ(0, vq_setup(d, TX, RING));
	self->f.tx_buf = guest_alloc(d, FLOW_ROOM, PAGE);
	self->f.rx_buf = guest_alloc(d, FLOW_ROOM, PAGE);
	ASSERT_EQ(0, flow_start(&self->f, RX));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	ASSERT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, flow_rx(&self->f));
}

FIXTURE_TEARDOWN(retry)
{
	dev_close(&self->f.d);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(retry) fix;

/* Where the driver says what is available, and the device what is used. */
static void *avail_page(struct vq *vq)
{
	return is_packed(vq) ? (void *)vq->packed : (void *)vq->avail;
}

static void *used_page(struct vq *vq)
{
	return is_packed(vq) ? (void *)vq->packed : (void *)vq->used;
}

static int allow(void *page, int prot)
{
	return mprotect(page, PAGE, prot) ? -errno : 0;
}

/* A frame that is published and not kicked yet. Return: head. */
static int tx_publish(fix *s)
{
	struct flow *f = &s->f;
	int head;

	frame_fill(f->frame, FLOW_LEN, false, ++f->seq);
	head = tx_add(s->tx, NULL, f->frame, FLOW_LEN, &one_piece, f->tx_buf);
	vq_publish(s->tx);
	return head;
}

/* Return: 0 if the frame of tx_publish() is the next that came out. */
static int tx_came(fix *s)
{
	struct flow *f = &s->f;
	struct virtio_net_hdr h;
	int n = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);

	if (n < 0)
		return n;
	return n == FLOW_LEN && !memcmp(f->frame, f->seen, n) ? 0 : -EBADMSG;
}

/* Until the device met the fault, or gave up. Return: 0 if it will try again. */
static int met(fix *s, struct vq *vq)
{
	const char *name = vq == s->tx ? "vhx-tx-retries" : "vhx-rx-retries";
	struct pollfd err = { .fd = vq->err, .events = POLLIN };
	int64_t end = now_ms() + WAIT_MS;

	if (dev_counter(s->d, name) < 0)
		return event_wait(vq->err, SOON_MS) ? 0 : -EIO;
	while (dev_counter(s->d, name) < 1) {
		if (poll(&err, 1, 1))
			return -EIO;
		if (now_ms() > end)
			return -ETIMEDOUT;
	}
	return 0;
}

static int used(struct vq *vq, int head)
{
	int ret = vq_wait(vq, 1, SOON_MS);

	if (ret)
		return ret;
	return vq_pop(vq, NULL) == head ? 0 : -EPROTO;
}

TEST_F(retry, tx_unreadable_ring_goes_on_ok)
{
	int head = tx_publish(self);

	ASSERT_EQ(0, allow(avail_page(self->tx), PROT_NONE));
	vq_kick(self->tx);
	EXPECT_EQ(0, met(self, self->tx));
	ASSERT_EQ(0, allow(avail_page(self->tx), PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, event_read(self->tx->err));
}

TEST_F(retry, tx_unreadable_frame_goes_out_ok)
{
	int head = tx_publish(self);

	ASSERT_EQ(0, allow(self->f.tx_buf, PROT_NONE));
	vq_kick(self->tx);
	EXPECT_EQ(0, met(self, self->tx));
	ASSERT_EQ(0, allow(self->f.tx_buf, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, event_read(self->tx->err));
}

/* A driver that refills on used buffers would never kick. */
TEST_F(retry, rx_unreadable_ring_goes_on_ok)
{
	int head = rx_add(self->rx, FLOW_ROOM, &one_piece, self->f.rx_buf);

	vq_publish(self->rx);
	ASSERT_EQ(0, allow(avail_page(self->rx), PROT_NONE));
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	EXPECT_EQ(0, met(self, self->rx));
	ASSERT_EQ(0, allow(avail_page(self->rx), PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, flow_rx_done(&self->f, head));
	EXPECT_EQ(0, flow_rx(&self->f));
	EXPECT_EQ(0, event_read(self->rx->err));
}

TEST_F(retry, tx_unwritable_used_sends_once_ok)
{
	int head = tx_publish(self);

	ASSERT_EQ(0, allow(used_page(self->tx), PROT_READ));
	vq_kick(self->tx);
	EXPECT_EQ(0, tx_came(self));
	EXPECT_EQ(0, met(self, self->tx));
	vq_kick(self->tx);
	ASSERT_EQ(0, allow(used_page(self->tx), PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, used(self->tx, head));
	/* which looks at the next frame that comes out */
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, event_read(self->tx->err));
}

TEST_F(retry, rx_unwritable_used_loses_nothing_ok)
{
	int head = rx_add(self->rx, FLOW_ROOM, &one_piece, self->f.rx_buf);

	vq_publish(self->rx);
	ASSERT_EQ(0, allow(used_page(self->rx), PROT_READ));
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	EXPECT_EQ(0, met(self, self->rx));
	ASSERT_EQ(0, allow(used_page(self->rx), PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, flow_rx_done(&self->f, head));
	EXPECT_EQ(0, flow_rx(&self->f));
	EXPECT_EQ(0, event_read(self->rx->err));
}

/* What could not be completed in time is when the ring is stopped. */
TEST_F(retry, tx_stop_completes_what_was_sent_ok)
{
	int head = tx_publish(self);

	ASSERT_EQ(0, allow(used_page(self->tx), PROT_READ));
	vq_kick(self->tx);
	EXPECT_EQ(0, tx_came(self));
	EXPECT_EQ(0, event_wait(self->tx->err, WAIT_MS));
	ASSERT_EQ(0, allow(used_page(self->tx), PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	EXPECT_EQ(0, used(self->tx, head));
	EXPECT_EQ(vq_base_after(self->tx, 2), dev_get_base(self->d, TX));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* Else it is the driver's again: a frame that goes twice, but no lost buffer. */
TEST_F(retry, tx_stop_loses_no_buffer_ok)
{
	int head = tx_publish(self);

	ASSERT_EQ(0, allow(used_page(self->tx), PROT_READ));
	vq_kick(self->tx);
	EXPECT_EQ(0, tx_came(self));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	EXPECT_EQ(vq_base_after(self->tx, 1), dev_get_base(self->d, TX));
	ASSERT_EQ(0, allow(used_page(self->tx), PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, used(self->tx, head));
	EXPECT_EQ(0, tx_came(self));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* Where a driver says which used buffer it wants a call for. */
static void *event_page(struct vq *vq)
{
	return is_packed(vq) ? (void *)vq->driver_event :
	       (void *)((uintptr_t)vq_used_event(vq) & ~(PAGE - 1));
}

/*
 * The device has no buffer for the second frame, gives the first one to the driver
 * and reads whether that wants a call. A driver that refills by then is not asked
 * for a kick: the device looks once more.
 */
TEST_F(retry, rx_refill_on_used_needs_no_kick)
{
	struct vq *vq = self->rx;
	struct held held;

	ASSERT_EQ(0, flow_stop(&self->f, RX));
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	ASSERT_LE(0, rx_add(vq, FLOW_ROOM, &one_piece, self->f.rx_buf));
	vq_publish(vq);
	vq_want_call(vq, 2);
	ASSERT_EQ(0, page_take(&held, event_page(vq)));
	ASSERT_EQ(0, flow_start(&self->f, RX));
	ASSERT_EQ(0, event_wait(held.fd, WAIT_MS));
	EXPECT_EQ(1, vq_used(vq));
	EXPECT_LE(0, rx_add(vq, FLOW_ROOM, &one_piece, self->f.tx_buf));
	vq_publish(vq);
	EXPECT_FALSE(vq_kick_wanted(vq));
	ASSERT_EQ(0, page_give(&held));
	EXPECT_EQ(0, vq_spin(vq, 2, SOON_MS));
}

TEST_HARNESS_MAIN
