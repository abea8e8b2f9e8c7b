// SPDX-License-Identifier: GPL-2.0-only
/*
 * Busy polling. Whether the machine leaves the worker alone for the length of a
 * window is up to its scheduler: what must be seen is seen once in many tries.
 */
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "harness.h"

#define RING	256
#define LEN	100
#define TRIES	50
#define SHORT	(100 * slowness())	/* ms */
#define LONG	(3000000u * slowness())	/* us, about 3 s */
#define PROMPT	(1000 * slowness())	/* ms; far less than LONG */

FIXTURE(busypoll) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[LEN], seen[LEN + 4];
	int kmsg;
};

FIXTURE_VARIANT(busypoll) {
	enum backend kind;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(busypoll, tap_flags) { .kind = BE_TAP };
FIXTURE_VARIANT_ADD(busypoll, tap_event) {
	.kind = BE_TAP, .features = F_EVENT,
};
FIXTURE_VARIANT_ADD(busypoll, macvtap_event) {
	.kind = BE_MACVTAP, .features = F_EVENT,
};
FIXTURE_VARIANT_ADD(busypoll, packet_event) {
	.kind = BE_PACKET, .features = F_EVENT,
};

typedef FIXTURE_DATA(busypoll) fix;

static int set_up(fix *f, enum backend kind, uint64_t features)
{
	int ret = net_open(&f->n, kind, 10);

	if (!ret)
		ret = dev_setup(&f->d, features);
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&f->d, q, RING);
	if (!ret)
		f->buf = guest_alloc(&f->d, RING * 2048, 4096);
	for (int q = 0; q < 2 && !ret; q++)
		ret = dev_backend(&f->d, q, f->n.tap);
	return ret;
}

FIXTURE_SETUP(busypoll)
{
	self->d.fd = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, set_up(self, variant->kind, variant->features));
}

FIXTURE_TEARDOWN(busypoll)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static int tx_add_frame(fix *f, uint32_t seq)
{
	frame_fill(f->frame, LEN, false, seq);
	return tx_add(&f->d.vq[TX], NULL, f->frame, LEN, &one_piece,
		      f->buf + (seq % RING) * 2048);
}

static int tx_seen(fix *f, uint32_t seq)
{
	struct virtio_net_hdr h;
	int n = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);

	frame_fill(f->frame, LEN, false, seq);
	if (n < 0)
		return n;
	return n == LEN && !memcmp(f->frame, f->seen, LEN) ? 0 : -EBADMSG;
}

/* One frame with a kick, so that the worker looks for more after it. */
static int tx_one(fix *f, uint32_t seq)
{
	struct vq *vq = &f->d.vq[TX];
	int ret = tx_add_frame(f, seq);

	if (ret < 0)
		return ret;
	vq_publish(vq);
	vq_kick(vq);
	ret = vq_spin(vq, 1, WAIT_MS);
	if (ret)
		return ret;
	return vq_pop(vq, NULL) < 0 ? -EPROTO : tx_seen(f, seq);
}

static int rx_one(fix *f, uint32_t seq)
{
	struct vq *vq = &f->d.vq[RX];
	uint32_t len = 0;
	int ret;

	if (rx_add(vq, 2048, &one_piece, f->buf) < 0)
		return -ENOSPC;
	vq_publish_kick(vq);
	frame_fill(f->frame, LEN, true, seq);
	ret = pkt_send(f->n.pkt, NULL, f->frame, LEN);
	if (!ret)
		ret = vq_spin(vq, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(vq, &len) < 0 || len != f->d.hdr_len + LEN)
		return -EPROTO;
	return memcmp(f->frame, f->buf + f->d.hdr_len, LEN) ? -EBADMSG : 0;
}

TEST_F(busypoll, window_any_value_ok)
{
	static const uint32_t values[] = { 1, 50, 0x80000000, ~0u, 0 };

	for (int q = 0; q < 2; q++) {
		EXPECT_EQ(0, dev_get_window(&self->d, q));
		for (int i = 0; i < 5; i++) {
			EXPECT_EQ(0, dev_set_window(&self->d, q, values[i]));
			EXPECT_EQ(values[i], dev_get_window(&self->d, q));
		}
	}
	EXPECT_EQ(-ENOBUFS, dev_set_window(&self->d, 2, 1));
	EXPECT_EQ(-ENOBUFS, dev_get_window(&self->d, 2));
	ASSERT_EQ(0, dev_set_window(&self->d, TX, 5));
	ASSERT_EQ(0, dev_ioctl(&self->d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(0, dev_get_window(&self->d, TX));
}

TEST_F(busypoll, no_window_no_polls)
{
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(0, tx_one(self, i));
		EXPECT_EQ(0, rx_one(self, i));
	}
	EXPECT_GE(0, dev_counter(&self->d, "vhx-tx-polls"));
	EXPECT_GE(0, dev_counter(&self->d, "vhx-rx-polls"));
}

/* A chain that is published within the window needs no kick. */
TEST_F(busypoll, tx_without_kick_ok)
{
	struct vq *vq = &self->d.vq[TX];
	int hits = 0;

	ASSERT_EQ(0, dev_set_window(&self->d, TX, SHORT * 1000));
	for (int i = 0; i < TRIES && hits < 5; i++) {
		ASSERT_EQ(0, tx_one(self, 2 * i));
		ASSERT_LE(0, tx_add_frame(self, 2 * i + 1));
		vq_publish(vq);
		if (!vq_spin(vq, 1, SHORT / 2))
			hits++;
		else
			vq_kick(vq);
		ASSERT_EQ(0, vq_spin(vq, 1, WAIT_MS));
		ASSERT_LE(0, vq_pop(vq, NULL));
		ASSERT_EQ(0, tx_seen(self, 2 * i + 1));
	}
	EXPECT_LE(1, hits);
	if (dev_counter(&self->d, "vhx-tx-polls") >= 0) {
		EXPECT_LE(1, dev_counter(&self->d, "vhx-tx-poll_hits"));
		EXPECT_LE(dev_counter(&self->d, "vhx-tx-poll_hits"),
			  dev_counter(&self->d, "vhx-tx-polls"));
	}
}

/* A frame that comes within the window needs no wake-up. */
TEST_F(busypoll, rx_within_window_ok)
{
	ASSERT_EQ(0, dev_set_window(&self->d, RX, SHORT * 1000));
	for (int i = 0; i < TRIES; i++)
		ASSERT_EQ(0, rx_one(self, i));
	if (dev_counter(&self->d, "vhx-rx-polls") >= 0) {
		EXPECT_LE(1, dev_counter(&self->d, "vhx-rx-poll_hits"));
		EXPECT_LE(dev_counter(&self->d, "vhx-rx-poll_hits"),
			  dev_counter(&self->d, "vhx-rx-polls"));
	}
}

/* While one queue polls for long, the other one works at once. */
TEST_F(busypoll, other_queue_gets_its_turn_ok)
{
	int64_t from = now_ms();

	ASSERT_EQ(0, dev_set_window(&self->d, TX, LONG));
	ASSERT_EQ(0, dev_set_window(&self->d, RX, LONG));
	for (int i = 0; i < TRIES; i++) {
		ASSERT_EQ(0, tx_one(self, i));
		ASSERT_EQ(0, rx_one(self, i));
	}
	EXPECT_GT(WAIT_MS, now_ms() - from);
}

/* The control plane does not wait for the end of a window. */
TEST_F(busypoll, ioctls_are_prompt_ok)
{
	struct dev *d = &self->d;
	int64_t from;

	ASSERT_EQ(0, dev_set_window(&self->d, TX, LONG));
	for (int q = 0; q < 2; q++) {
		ASSERT_EQ(0, tx_one(self, q));
		from = now_ms();
		EXPECT_EQ(0, dev_file(d, VHOST_SET_VRING_CALL, q,
				      d->vq[q].call));
		EXPECT_GT(PROMPT, now_ms() - from);
	}
	ASSERT_EQ(0, tx_one(self, 2));
	from = now_ms();
	EXPECT_EQ(0, dev_backend(d, TX, -1));
	EXPECT_GT(PROMPT, now_ms() - from);
}

TEST_F(busypoll, close_is_prompt_ok)
{
	int64_t from;

	ASSERT_EQ(0, dev_set_window(&self->d, TX, LONG));
	ASSERT_EQ(0, tx_one(self, 1));
	from = now_ms();
	dev_close(&self->d);
	EXPECT_GT(PROMPT, now_ms() - from);
}

/* A client that is killed while its worker polls ends, and with it the poll. */
TEST_F(busypoll, killed_client_ends_ok)
{
	int ready = eventfd(0, 0), status;
	uint64_t one = 1;
	int64_t from;
	pid_t pid;

	dev_close(&self->d);
	net_close(&self->n);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!set_up(self, variant->kind, variant->features) &&
		    !dev_set_window(&self->d, TX, LONG) &&
		    !dev_set_window(&self->d, RX, LONG) && !tx_one(self, 1) &&
		    !rx_one(self, 1) && write(ready, &one, sizeof(one)) > 0)
			pause();
		_exit(1);
	}
	EXPECT_EQ(0, event_wait(ready, WAIT_MS));
	from = now_ms();
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_GT(PROMPT, now_ms() - from);
	close(ready);
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
