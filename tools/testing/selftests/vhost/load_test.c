// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes while frames flow: another backend, a tap that goes away, an owner
 * that dies, another call eventfd, memory that is unmapped, rings that are
 * rewritten. Bounded by counts, not by time.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <net/if.h>
#include <linux/if_tun.h>

#include "harness.h"

#define RING	256

FIXTURE(load) {
	struct dev d;
	struct net n;
	struct vq *tx;
	uint8_t *buf;
	uint8_t frame[2048];
	pthread_t thread;
	bool stop;		/* atomic */
	uint64_t sent, used;	/* atomic */
	int kmsg;
};

FIXTURE_VARIANT(load) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(load, v1) { .features = F_V1 };
FIXTURE_VARIANT_ADD(load, v1_mrg_event_indirect) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,
};

FIXTURE_VARIANT_ADD(load, packed_mrg_event_indirect) {
	.features = F_V1 | F_PACKED | F_MRG | F_EVENT | F_INDIRECT,
};

typedef FIXTURE_DATA(load) fix;

static int ready(fix *f, uint64_t features)
{
	int ret = dev_setup(&f->d, features);

	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&f->d, q, RING);
	f->tx = &f->d.vq[TX];
	f->buf = guest_alloc(&f->d, RING * 2048, 4096);
	return ret;
}

FIXTURE_SETUP(load)
{
	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, 12));
	ASSERT_EQ(0, ready(self, variant->features));
	frame_fill(self->frame, sizeof(self->frame), false, 1);
}

FIXTURE_TEARDOWN(load)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static void add(fix *f)
{
	uint64_t i = f->sent++;

	tx_add(f->tx, NULL, f->frame, 200, i & 1 ? &one_piece : &two_pieces,
	       f->buf + i % RING * 2048);
}

/* A driver that sends as fast as frames come back, and kicks each time. */
static void *sender(void *arg)
{
	fix *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		while (f->tx->n_free > 2 && f->sent - f->used < 64)
			add(f);
		vq_publish(f->tx);
		vq_kick(f->tx);
		vq_wait(f->tx, 1, 20);
		while (vq_pop(f->tx, NULL) >= 0)
			__atomic_add_fetch(&f->used, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int sender_start(fix *f)
{
	f->stop = false;
	return pthread_create(&f->thread, NULL, sender, f);
}

static int sender_stop(fix *f)
{
	__atomic_store_n(&f->stop, true, __ATOMIC_RELEASE);
	return pthread_join(f->thread, NULL);
}

/* Wait until @n more frames came back. Return: 0 or -ETIMEDOUT. */
static int progress(fix *f, unsigned int n, int ms)
{
	uint64_t from = __atomic_load_n(&f->used, __ATOMIC_ACQUIRE);
	int64_t end = now_ms() + ms;

	while (__atomic_load_n(&f->used, __ATOMIC_ACQUIRE) < from + n) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return 0;
}

/* Everything that the driver offered comes back. */
static int drain(fix *f, int ms)
{
	int64_t end = now_ms() + ms;

	vq_kick(f->tx);
	while (f->used < f->sent) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		vq_spin(f->tx, 1, 50);
		while (vq_pop(f->tx, NULL) >= 0)
			f->used++;
	}
	return 0;
}

TEST_F(load, backend_swap_ok)
{
	int tap[2] = { self->n.tap, tap_open("vt1", 0, 12) };
	int64_t rx[2];

	ASSERT_LE(0, tap[1]);
	ASSERT_EQ(0, link_up("vt1", 1500));
	ASSERT_EQ(0, dev_backend(&self->d, TX, tap[0]));
	ASSERT_EQ(0, sender_start(self));
	for (int i = 1; i <= 50; i++) {
		ASSERT_EQ(0, dev_backend(&self->d, TX, tap[i & 1]));
		ASSERT_EQ(0, progress(self, 20, WAIT_MS));
	}
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, WAIT_MS));
	ASSERT_EQ(0, dev_backend(&self->d, TX, -1));
	rx[0] = link_packets("vt0", true);
	rx[1] = link_packets("vt1", true);
	EXPECT_LT(100, rx[0]);
	EXPECT_LT(100, rx[1]);
	EXPECT_EQ((int64_t)self->sent, rx[0] + rx[1]);
}

TEST_F(load, stop_and_start_ok)
{
	struct dev *d = &self->d;

	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	ASSERT_EQ(0, sender_start(self));
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(0, dev_backend(d, TX, -1));
		ASSERT_EQ(0, dev_state(d, VHOST_SET_VRING_BASE, TX,
				       dev_get_base(d, TX)));
		ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
		ASSERT_EQ(0, progress(self, 10, WAIT_MS));
	}
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, WAIT_MS));
	EXPECT_EQ((int64_t)self->sent, link_packets("vt0", true));
}

/* Every ioctl that QEMU issues on a running ring. */
TEST_F(load, live_ioctls_ok)
{
	struct dev *d = &self->d;

	ASSERT_EQ(0, dev_backend(d, RX, self->n.tap));
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	ASSERT_EQ(0, sender_start(self));
	for (int i = 0; i < 30; i++) {
		EXPECT_EQ(0, dev_mem_table(d));
		EXPECT_EQ(0, dev_u64(d, VHOST_SET_FEATURES, d->features));
		EXPECT_EQ(0, vq_set_addr(self->tx));
		EXPECT_EQ(0, dev_file(d, VHOST_SET_VRING_ERR, TX,
				      self->tx->err));
		EXPECT_EQ(0, dev_file(d, VHOST_SET_VRING_CALL, TX,
				      self->tx->call));
		EXPECT_EQ(0, dev_file(d, VHOST_SET_VRING_KICK, TX,
				      self->tx->kick));
		ASSERT_EQ(0, progress(self, 5, WAIT_MS));
	}
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, WAIT_MS));
	EXPECT_EQ((int64_t)self->sent, link_packets("vt0", true));
}

/* When SET_VRING_CALL returns, no signal goes to the old eventfd. */
TEST_F(load, call_swap_quiets_old_ok)
{
	int efd[2] = { self->tx->call, eventfd(0, EFD_NONBLOCK) };

	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	ASSERT_EQ(0, sender_start(self));
	for (int i = 1; i <= 60; i++) {
		int old = efd[~i & 1];

		ASSERT_EQ(0, dev_file(&self->d, VHOST_SET_VRING_CALL, TX,
				      efd[i & 1]));
		event_read(old);
		__atomic_store_n(&self->tx->call, efd[i & 1], __ATOMIC_RELEASE);
		ASSERT_EQ(0, progress(self, 5, WAIT_MS));
		EXPECT_EQ(0, event_read(old));
	}
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, WAIT_MS));
	close(efd[1]);
}

/* A tap that is deleted takes no frames, and keeps no descriptors. */
TEST_F(load, tap_deleted_returns_all)
{
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	ASSERT_EQ(0, sender_start(self));
	ASSERT_EQ(0, progress(self, 200, WAIT_MS));
	ASSERT_EQ(0, link_del("vt0"));
	/* more than the ring holds, unless they come back */
	EXPECT_EQ(0, progress(self, 2 * RING, SOON_MS));
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, SOON_MS));
	EXPECT_EQ(0, dev_backend(&self->d, TX, -1));
}

/* The same without traffic at that moment; then another tap takes over. */
TEST_F(load, tap_deleted_then_replaced_ok)
{
	struct dev *d = &self->d;
	int tap;

	ASSERT_EQ(0, dev_backend(d, RX, self->n.tap));
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	ASSERT_EQ(0, link_del("vt0"));
	tap = tap_open("vt2", 0, 12);
	ASSERT_LE(0, tap);
	ASSERT_EQ(0, link_up("vt2", 1500));
	ASSERT_EQ(0, dev_backend(d, RX, tap));
	ASSERT_EQ(0, dev_backend(d, TX, tap));
	ASSERT_EQ(0, sender_start(self));
	EXPECT_EQ(0, progress(self, 100, WAIT_MS));
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, WAIT_MS));
	EXPECT_EQ((int64_t)self->sent, link_packets("vt2", true));
}

TEST_F(load, tap_down_returns_all)
{
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	ASSERT_EQ(0, sender_start(self));
	ASSERT_EQ(0, progress(self, 100, WAIT_MS));
	ASSERT_EQ(0, run("ip link set vt0 down"));
	EXPECT_EQ(0, progress(self, 2 * RING, SOON_MS));
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, SOON_MS));
}

/* The owner dies in the middle; the tap and the node serve the next one. */
TEST_F(load, owner_killed_ok)
{
	for (int i = 0; i < 5; i++) {
		int status, p[2];
		char c = 0;
		pid_t pid;

		dev_close(&self->d);
		ASSERT_EQ(0, pipe(p));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (ready(self, variant->features) ||
			    dev_backend(&self->d, RX, self->n.tap) ||
			    dev_backend(&self->d, TX, self->n.tap) ||
			    sender_start(self) || progress(self, 50, WAIT_MS))
				c = 1;
			if (write(p[1], &c, 1) != 1)
				_exit(1);
			pause();
		}
		ASSERT_EQ(1, read(p[0], &c, 1));
		EXPECT_EQ(0, c);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		close(p[0]);
		close(p[1]);
		ASSERT_EQ(0, ready(self, variant->features));
		self->sent = 0;
		self->used = 0;
		ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
		ASSERT_EQ(0, sender_start(self));
		EXPECT_EQ(0, progress(self, 50, WAIT_MS));
		ASSERT_EQ(0, sender_stop(self));
		EXPECT_EQ(0, drain(self, WAIT_MS));
	}
}

/* The owner dies, a child of it keeps the file open and closes it last. */
TEST_F(load, owner_killed_file_inherited_ok)
{
	int status, p[2];
	char c = 0;
	pid_t pid;

	dev_close(&self->d);
	ASSERT_EQ(0, dev_open(&self->d));
	ASSERT_EQ(0, pipe(p));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fd = self->d.fd;
		struct dev *d = &self->d;

		c = dev_own(d) || dev_features(d, F_V1) || dev_mem(d) ||
		    dev_mem_table(d) || vq_setup(d, RX, RING) ||
		    vq_setup(d, TX, RING);
		self->tx = &d->vq[TX];
		self->buf = guest_alloc(d, RING * 2048, 4096);
		c |= dev_backend(d, TX, self->n.tap) || sender_start(self) ||
		     progress(self, 50, WAIT_MS) || fd != d->fd;
		if (write(p[1], &c, 1) != 1)
			_exit(1);
		pause();
	}
	ASSERT_EQ(1, read(p[0], &c, 1));
	EXPECT_EQ(0, c);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(-EPERM, dev_backend(&self->d, TX, -1));
	close(self->d.fd);
	ASSERT_EQ(0, ready(self, variant->features));
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	ASSERT_EQ(0, sender_start(self));
	EXPECT_EQ(0, progress(self, 50, WAIT_MS));
	ASSERT_EQ(0, sender_stop(self));
}

/* Each pair of a multi-queue tap has a device of its own. */
TEST_F(load, multi_queue_tap_ok)
{
	fix other = { .kmsg = -1 };
	int64_t rx;
	int a, b;

	a = tap_open("mq0", IFF_MULTI_QUEUE, 12);
	b = tap_open("mq0", IFF_MULTI_QUEUE, 12);
	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, link_up("mq0", 1500));
	memcpy(other.frame, self->frame, sizeof(other.frame));
	ASSERT_EQ(0, ready(&other, variant->features));
	ASSERT_EQ(0, dev_backend(&self->d, TX, a));
	ASSERT_EQ(0, dev_backend(&other.d, TX, b));
	ASSERT_EQ(0, sender_start(self));
	ASSERT_EQ(0, sender_start(&other));
	EXPECT_EQ(0, progress(self, 300, WAIT_MS));
	EXPECT_EQ(0, progress(&other, 300, WAIT_MS));
	ASSERT_EQ(0, sender_stop(self));
	ASSERT_EQ(0, sender_stop(&other));
	EXPECT_EQ(0, drain(self, WAIT_MS));
	EXPECT_EQ(0, drain(&other, WAIT_MS));
	rx = link_packets("mq0", true);
	EXPECT_EQ((int64_t)(self->sent + other.sent), rx);
	dev_close(&other.d);
}

/* A queue that is detached from its tap, attached again while it runs. */
TEST_F(load, queue_detach_attach_ok)
{
	struct ifreq off = { .ifr_flags = IFF_DETACH_QUEUE };
	struct ifreq on = { .ifr_flags = IFF_ATTACH_QUEUE };
	int a, b;

	a = tap_open("mq0", IFF_MULTI_QUEUE, 12);
	b = tap_open("mq0", IFF_MULTI_QUEUE, 12);
	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, link_up("mq0", 1500));
	ASSERT_EQ(0, ioctl(b, TUNSETQUEUE, &off));
	ASSERT_EQ(0, dev_backend(&self->d, RX, b));
	ASSERT_EQ(0, dev_backend(&self->d, TX, b));
	ASSERT_EQ(0, ioctl(b, TUNSETQUEUE, &on));
	ASSERT_EQ(0, sender_start(self));
	EXPECT_EQ(0, progress(self, 100, WAIT_MS));
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, WAIT_MS));
	EXPECT_EQ((int64_t)self->sent, link_packets("mq0", true));
}

#define DELAY	"/sys/module/suspend/parameters/pm_test_delay"

/* As a suspend does, all tasks that can be are frozen, for a second. */
static int freeze_machine(void)
{
	int ret = write_text("/sys/power/pm_test", "freezer");

	if (!ret)
		ret = write_text(DELAY, "1");
	if (!ret)
		ret = write_text("/sys/power/state", "freeze");
	write_text("/sys/power/pm_test", "none");
	write_text(DELAY, "5");		/* as a kernel has it at boot */
	return ret;
}

/* The time of waits goes on meanwhile. */
TEST_F(load, frozen_machine_goes_on_ok)
{
	if (access("/sys/power/pm_test", W_OK))
		SKIP(return, "this kernel cannot try a suspend");
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	ASSERT_EQ(0, sender_start(self));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, progress(self, 100, WAIT_MS));
		EXPECT_EQ(0, freeze_machine());
	}
	EXPECT_EQ(0, progress(self, 100, WAIT_MS));
	ASSERT_EQ(0, sender_stop(self));
	EXPECT_EQ(0, drain(self, WAIT_MS));
}

TEST_HARNESS_MAIN
