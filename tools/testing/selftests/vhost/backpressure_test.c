// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taps with IFF_BACKPRESSURE, whose netdev queue stops when the tap's ring is
 * full and waits for whoever takes frames out of the ring to wake it.
 */
#include <errno.h>
#include <linux/if_tun.h>

#include "harness.h"

#ifndef IFF_BACKPRESSURE
#define IFF_BACKPRESSURE	0x0080
#endif

#define RING	256
#define QUEUE	64	/* frames in the tap's ring */
#define FRAMES	(5 * QUEUE)
#define LEN	200

FIXTURE(backpressure) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[2048];
	int kmsg;
};

typedef FIXTURE_DATA(backpressure) fix;

static int open_tap(const char *name)
{
	unsigned int features = 0;
	int fd = tap_open(name, IFF_BACKPRESSURE, 12);

	if (fd < 0)
		return fd;
	if (ioctl(fd, TUNGETFEATURES, &features) ||
	    !(features & IFF_BACKPRESSURE)) {
		close(fd);
		return -EOPNOTSUPP;
	}
	/* noqueue has nowhere to keep frames */
	if (run("ip link set %s txqueuelen %d up", name, QUEUE) ||
	    run("tc qdisc replace dev %s root pfifo limit 1000", name))
		return -EIO;
	return fd;
}

FIXTURE_SETUP(backpressure)
{
	self->d.fd = -1;
	self->n.pkt = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, netns_enter());
	self->n.tap = open_tap("vt0");
	if (self->n.tap == -EOPNOTSUPP)
		SKIP(return, "no IFF_BACKPRESSURE in this kernel");
	ASSERT_LE(0, self->n.tap);
	self->n.pkt = pkt_open("vt0", PACKET_HDR);
	ASSERT_LE(0, self->n.pkt);
	ASSERT_EQ(0, dev_setup(&self->d, F_V1 | F_EVENT));
	ASSERT_EQ(0, vq_setup(&self->d, RX, RING));
	self->buf = guest_alloc(&self->d, RING * 2048, 4096);
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
}

FIXTURE_TEARDOWN(backpressure)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static int inject(fix *f, uint32_t seq, size_t len)
{
	frame_fill(f->frame, len, true, seq);
	return pkt_send(f->n.pkt, NULL, f->frame, len);
}

/* Send until the tap's ring is full and most frames wait in the qdisc. */
static int fill(fix *f)
{
	int ret = 0;

	for (int i = 0; i < FRAMES && !ret; i++)
		ret = inject(f, i, LEN);
	/* what went into the ring counts as sent: not all did */
	return ret ? ret : link_packets("vt0", false) < FRAMES ? 0 : -EPROTO;
}

/* Return: how many of @n frames came, in order, with @room buffers at once. */
static int take(fix *f, int n, unsigned int room)
{
	struct vq *vq = &f->d.vq[RX];
	unsigned int offered = 0;
	uint8_t *at;
	int got;

	for (got = 0; got < n; got++) {
		while (offered < got + room) {
			at = f->buf + offered++ % RING * 2048;
			if (rx_add(vq, 1024, &one_piece, at) < 0)
				return -ENOSPC;
		}
		vq_publish_kick(vq);
		if (vq_wait(vq, 1, SOON_MS))
			break;
		frame_fill(f->frame, LEN, true, got);
		at = f->buf + got % RING * 2048;
		if (vq_pop(vq, NULL) < 0 || memcmp(at + 12, f->frame, LEN))
			break;
	}
	return got;
}

TEST_F(backpressure, stopped_queue_resumes_ok)
{
	RUN_IF_SET_UP();
	for (int i = 0; i < 2; i++) {
		vq_rewind(&self->d.vq[RX], 0);
		ASSERT_EQ(0, dev_backend(&self->d, RX, -1));
		ASSERT_EQ(0, dev_state(&self->d, VHOST_SET_VRING_BASE, RX, 0));
		ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
		for (int k = 0; k < FRAMES; k++)
			ASSERT_EQ(0, inject(self, k, LEN));
		EXPECT_EQ(FRAMES, take(self, FRAMES, i ? RING / 2 : 1));
	}
}

TEST_F(backpressure, stop_and_start_keep_frames_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, fill(self));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, dev_backend(&self->d, RX, -1));
		ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	}
	EXPECT_EQ(FRAMES, take(self, FRAMES, 16));
}

TEST_F(backpressure, swap_keeps_frames_ok)
{
	int other;

	RUN_IF_SET_UP();
	other = open_tap("vt1");
	ASSERT_LE(0, other);
	ASSERT_EQ(0, fill(self));
	ASSERT_EQ(0, dev_backend(&self->d, RX, other));
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	EXPECT_EQ(FRAMES, take(self, FRAMES, 16));
	close(other);
}

/*
 * Frames that were peeked at when senders filled the ring again have no place
 * to go back to: up to a batch may be lost, but the others follow.
 */
TEST_F(backpressure, stop_half_way_goes_on_ok)
{
	struct vq *vq = &self->d.vq[RX];
	uint32_t seq;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, fill(self));
	for (int i = 0; i < 100; i++)
		ASSERT_LE(0, rx_add(vq, 1024, &one_piece,
				    self->buf + i * 2048));
	vq_publish_kick(vq);
	ASSERT_EQ(0, vq_wait(vq, 100, WAIT_MS));
	ASSERT_EQ(0, dev_backend(&self->d, RX, -1));
	for (int i = 0; i < 100; i++)
		ASSERT_LE(0, vq_pop(vq, NULL));
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	for (seq = 100; seq < FRAMES; seq++) {
		ASSERT_LE(0, rx_add(vq, 1024, &one_piece, self->buf));
		vq_publish_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 1, SOON_MS));
		ASSERT_LE(0, vq_pop(vq, NULL));
		do {
			frame_fill(self->frame, LEN, true, seq);
		} while (memcmp(self->buf + 12, self->frame, LEN) &&
			 seq++ < 100 + QUEUE);
		ASSERT_EQ(0, memcmp(self->buf + 12, self->frame, LEN));
	}
}

/* Frames that fit no buffer are taken as well. */
TEST_F(backpressure, drop_wakes_queue_ok)
{
	struct vq *vq = &self->d.vq[RX];

	RUN_IF_SET_UP();
	for (int i = 0; i < FRAMES; i++)
		ASSERT_EQ(0, inject(self, i, 1400));
	ASSERT_EQ(0, inject(self, 7, LEN));
	ASSERT_LE(0, rx_add(vq, 1024, &one_piece, self->buf));
	vq_publish_kick(vq);
	ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
	frame_fill(self->frame, LEN, true, 7);
	EXPECT_EQ(0, memcmp(self->buf + 12, self->frame, LEN));
}

TEST_HARNESS_MAIN
