// SPDX-License-Identifier: GPL-2.0-only
/*
 * Polling windows that rings choose, <linux/vhx.h>. Driver and worker share a CPU: so
 * the waits between them are short on a busy machine, too. What must not be is counted
 * by the device, not by the clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <linux/vhx.h>

#include "harness.h"

#define PARAMS		"/sys/module/vhx_net/parameters/"
#define RING		256
#define LEN		100
#define SAVED_UP	1000000	/* ns of polling that a device may save up */
#define SLOW_MS		5	/* between two frames; 100 times a window */
#define SHARE		5	/* percent */

FIXTURE(autopoll) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[LEN];
	int kmsg;
	int64_t from;			/* ms: nothing was polled before */
	char mode[16], share[16];	/* parameters as they were */
};

FIXTURE_VARIANT(autopoll) {
	int q;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(autopoll, tx_split) { .q = TX, .features = F_EVENT };
FIXTURE_VARIANT_ADD(autopoll, tx_packed) {
	.q = TX, .features = F_V1 | F_PACKED | F_EVENT,
};
FIXTURE_VARIANT_ADD(autopoll, rx_split) { .q = RX, .features = F_EVENT };

typedef FIXTURE_DATA(autopoll) fix;

static int param_set(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMS "%s", name);
	return write_text(path, value);
}

static void param_get(const char *name, char *value, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), PARAMS "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, value, size - 1);
	value[n > 0 ? n - (value[n - 1] == '\n') : 0] = 0;
	close(fd);
}

static int set_share(void)
{
	char text[8];

	snprintf(text, sizeof(text), "%d", SHARE);
	return param_set("busyloop_share", text);
}

static int set_mode(struct dev *d, uint32_t mode, uint32_t reserved)
{
	struct vhx_busyloop arg = { .mode = mode, .reserved = reserved };

	return dev_ioctl(d, VHX_SET_BUSYLOOP, &arg, sizeof(arg));
}

/* Driver and worker on one CPU, or on any. */
static int share_cpu(bool is_shared)
{
	int cpu = sched_getcpu(), ret;
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (i == cpu || !is_shared)
			CPU_SET(i, &set);
	ret = sched_setaffinity(0, sizeof(set), &set);
	if (!ret)
		ret = sched_setaffinity(worker_tid(getpid()), sizeof(set), &set);
	return ret ? -errno : 0;
}

/* A device whose rings choose. */
static int set_up(fix *f, uint64_t features)
{
	int ret = net_open(&f->n, BE_TAP, features & F_V1 ? 12 : 10);

	if (!ret)
		ret = dev_open(&f->d);
	if (!ret)
		ret = set_mode(&f->d, VHX_BUSYLOOP_AUTO, 0);
	if (!ret)
		ret = dev_own(&f->d);
	if (!ret)
		ret = dev_features(&f->d, features);
	if (!ret)
		ret = dev_mem(&f->d);
	if (!ret)
		ret = dev_mem_table(&f->d);
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&f->d, q, RING);
	if (!ret)
		f->buf = guest_alloc(&f->d, RING * 2048, 4096);
	for (int q = 0; q < 2 && !ret; q++)
		ret = dev_backend(&f->d, q, f->n.tap);
	return ret ? ret : share_cpu(true);
}

FIXTURE_SETUP(autopoll)
{
	if (strcmp(module_name(), "vhx_net"))
		SKIP(_exit(255), "an ioctl of vhx_net alone");
	self->d.fd = -1;
	self->kmsg = kmsg_open();
	param_get("busyloop", self->mode, sizeof(self->mode));
	param_get("busyloop_share", self->share, sizeof(self->share));
	frame_fill(self->frame, LEN, variant->q == RX, 1);
	self->from = now_ms();
	ASSERT_EQ(0, set_up(self, variant->features));
}

FIXTURE_TEARDOWN(autopoll)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_EQ(0, param_set("busyloop", self->mode));
	EXPECT_EQ(0, param_set("busyloop_share", self->share));
	EXPECT_QUIET_KERNEL(self->kmsg);
}

/* What fdinfo has of a ring. */
static int64_t count(const struct dev *d, int q, const char *name)
{
	char text[32];

	snprintf(text, sizeof(text), "vhx-%s-%s", q == TX ? "tx" : "rx", name);
	return dev_counter(d, text);
}

static int64_t count_both(const struct dev *d, const char *name)
{
	return count(d, RX, name) + count(d, TX, name);
}

/* One frame, as soon as the one before is done. Return: 0 or -errno. */
static int move_one(fix *f, int q)
{
	struct vq *vq = &f->d.vq[q];
	int64_t end = now_ms() + WAIT_MS;
	int ret = q == RX ? rx_add(vq, 2048, &one_piece, f->buf) :
		tx_add(vq, NULL, f->frame, LEN, &one_piece, f->buf);

	if (ret < 0)
		return ret;
	vq_publish_kick(vq);
	if (q == RX)
		ret = pkt_send(f->n.pkt, NULL, f->frame, LEN);
	if (ret < 0)
		return ret;
	while (!vq_used(vq)) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		sched_yield();
	}
	return vq_pop(vq, NULL) < 0 ? -EPROTO : 0;
}

/* Frame after frame, until @name counts. Return: 0 or -errno. */
static int move_until(fix *f, int q, const char *name, int64_t n)
{
	int64_t end = now_ms() + 3 * WAIT_MS;
	int ret = 0;

	while (!ret && count(&f->d, q, name) < n) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		for (int i = 0; i < 32 && !ret; i++)
			ret = move_one(f, q);
	}
	return ret;
}

/* The shortest wait there is may be longer than a window on a debug kernel. */
#define ASSERT_MOVES_UNTIL(name, n) do {				\
	int __ret = move_until(self, variant->q, name, n);		\
									\
	if (__ret == -ETIMEDOUT && slowness() > 1)			\
		SKIP(return, "no wait is short on this kernel");	\
	ASSERT_EQ(0, __ret);						\
} while (0)

/*
 * Return: 0 if both rings polled no more than SHARE when all is added up: a window
 * that ran over, as on a CPU that something else had, is made up for.
 */
static int stays_in_share(fix *f, int64_t from)
{
	int64_t end = now_ms() + 3 * WAIT_MS, ns;
	int ret = 0;

	while (!ret) {
		ns = count_both(&f->d, "poll_ns");
		if (ns <= (now_ms() + 1 - from) * 10000 * SHARE + SAVED_UP)
			return 0;
		if (now_ms() >= end)
			return -EDQUOT;
		ret = move_one(f, TX);
	}
	return ret;
}

/* A frame comes while the worker polls if they have a CPU each. */
TEST_F(autopoll, steady_traffic_hits_ok)
{
	int64_t end = now_ms() + 3 * WAIT_MS;
	struct dev *d = &self->d;
	int q = variant->q;

	EXPECT_EQ(0, param_set("busyloop_share", "100"));
	ASSERT_EQ(0, share_cpu(false));
	while (!count(d, q, "poll_hits") && count(d, q, "polls") < 2000) {
		if (now_ms() >= end)
			SKIP(return, "no two CPUs, or both busy");
		for (int i = 0; i < 32; i++)
			ASSERT_EQ(0, move_one(self, q));
	}
	EXPECT_LE(1, count(d, q, "poll_hits"));
	EXPECT_LE(count(d, q, "poll_hits"), count(d, q, "polls"));
	EXPECT_LT(0, count(d, q, "poll_ns"));
}

/* The first waits after traffic may be polled, then none is. */
TEST_F(autopoll, slow_stream_does_not_poll)
{
	fix *f = self;
	int64_t polls = 0;

	EXPECT_EQ(0, param_set("busyloop_share", "100"));
	ASSERT_MOVES_UNTIL("polls", 1);
	for (int i = 0; i < 60; i++) {
		poll(NULL, 0, SLOW_MS);
		ASSERT_EQ(0, move_one(f, variant->q));
		if (i == 20)
			polls = count(&f->d, variant->q, "polls");
	}
	/* a worker without a CPU may take a wait for a shorter one */
	EXPECT_GT(polls + 5, count(&f->d, variant->q, "polls"));
}

static int64_t sleeps_of(int tid)
{
	char path[64], line[128];
	long long n = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "voluntary_ctxt_switches: %lld", &n);
	if (file)
		fclose(file);
	return n;
}

TEST_F(autopoll, idle_device_does_not_wake)
{
	fix *f = self;
	int64_t end = now_ms() + WAIT_MS, polls, sleeps;
	int tid = worker_tid(getpid());

	EXPECT_EQ(0, param_set("busyloop_share", "100"));
	ASSERT_MOVES_UNTIL("polls", 1);
	/* it comes to rest */
	do {
		polls = count_both(&f->d, "polls");
		sleeps = sleeps_of(tid);
		poll(NULL, 0, 200);
	} while (sleeps != sleeps_of(tid) && now_ms() < end);
	ASSERT_LT(0, sleeps);
	poll(NULL, 0, 500);
	EXPECT_EQ(sleeps, sleeps_of(tid));
	EXPECT_EQ(polls, count_both(&f->d, "polls"));
}

TEST_F(autopoll, share_is_not_exceeded_ok)
{
	fix *f = self;

	EXPECT_EQ(0, set_share());
	/* what was saved up is used up */
	ASSERT_MOVES_UNTIL("poll_skips", 100);
	EXPECT_LT(0, count(&f->d, variant->q, "polls"));
	EXPECT_EQ(0, stays_in_share(f, self->from));
}

/* A guest that kicks for nothing looks like one that has short waits. */
TEST_F(autopoll, kicks_for_nothing_stay_in_share_ok)
{
	fix *f = self;
	int64_t end = now_ms() + 3 * WAIT_MS;

	EXPECT_EQ(0, set_share());
	while (count(&f->d, TX, "poll_skips") < 100 && now_ms() < end)
		for (int i = 0; i < 32; i++) {
			vq_kick(&f->d.vq[TX]);
			sched_yield();
		}
	EXPECT_EQ(0, stays_in_share(f, self->from));
	if (slowness() > 1 && count(&f->d, TX, "poll_skips") < 100)
		SKIP(return, "few waits are short on this kernel");
	EXPECT_LE(100, count(&f->d, TX, "poll_skips"));
}

TEST_F(autopoll, share_of_zero_does_not_poll)
{
	fix *f = self;

	EXPECT_EQ(0, param_set("busyloop_share", "0"));
	/* before any traffic, so there is nothing saved up */
	ASSERT_MOVES_UNTIL("poll_skips", 10);
	EXPECT_EQ(0, count(&f->d, variant->q, "polls"));
	EXPECT_EQ(0, count(&f->d, variant->q, "poll_ns"));
}

TEST_F(autopoll, client_window_wins_ok)
{
	fix *f = self;
	int q = variant->q;

	EXPECT_EQ(0, param_set("busyloop_share", "100"));
	EXPECT_EQ(1, count(&f->d, q, "poll_auto"));
	EXPECT_EQ(0, dev_get_window(&f->d, q));
	ASSERT_EQ(0, dev_set_window(&f->d, q, 0));
	EXPECT_EQ(0, count(&f->d, q, "poll_auto"));
	EXPECT_EQ(1, count(&f->d, !q, "poll_auto"));
	for (int i = 0; i < 200; i++)
		ASSERT_EQ(0, move_one(f, q));
	EXPECT_EQ(0, count(&f->d, q, "polls"));
	EXPECT_EQ(0, count(&f->d, q, "poll_skips"));
	/* its own window needs no share */
	EXPECT_EQ(0, param_set("busyloop_share", "0"));
	ASSERT_EQ(0, dev_set_window(&f->d, q, 7));
	EXPECT_EQ(7, dev_get_window(&f->d, q));
	ASSERT_EQ(0, move_until(f, q, "polls", 1));
	/* for as long as there is this owner */
	ASSERT_EQ(0, dev_ioctl(&f->d, VHOST_RESET_OWNER, NULL, 0));
	EXPECT_EQ(1, count(&f->d, q, "poll_auto"));
}

TEST_F(autopoll, mode_bad_values_einval)
{
	struct dev d = {};

	EXPECT_EQ(-EBUSY, set_mode(&self->d, VHX_BUSYLOOP_OFF, 0));
	EXPECT_EQ(2, count_both(&self->d, "poll_auto"));
	ASSERT_EQ(0, param_set("busyloop", "off"));
	ASSERT_EQ(0, dev_open(&d));
	EXPECT_EQ(-EINVAL, set_mode(&d, VHX_BUSYLOOP_AUTO + 1, 0));
	EXPECT_EQ(-EINVAL, set_mode(&d, UINT32_MAX, 0));
	EXPECT_EQ(-EINVAL, set_mode(&d, VHX_BUSYLOOP_AUTO, 1));
	EXPECT_EQ(-EFAULT, dev_ioctl(&d, VHX_SET_BUSYLOOP, NULL, 0));
	EXPECT_EQ(0, count_both(&d, "poll_auto"));
	EXPECT_EQ(0, set_mode(&d, VHX_BUSYLOOP_AUTO, 0));
	EXPECT_EQ(2, count_both(&d, "poll_auto"));
	EXPECT_EQ(0, set_mode(&d, VHX_BUSYLOOP_OFF, 0));
	EXPECT_EQ(0, count_both(&d, "poll_auto"));
	dev_close(&d);
}

/* Of devices that are opened from then on. */
TEST_F(autopoll, parameter_is_default_ok)
{
	struct dev first = {}, second = {};

	ASSERT_EQ(0, param_set("busyloop", "off"));
	ASSERT_EQ(0, dev_open(&first));
	ASSERT_EQ(0, param_set("busyloop", "auto\n"));
	ASSERT_EQ(0, dev_open(&second));
	EXPECT_EQ(0, count_both(&first, "poll_auto"));
	EXPECT_EQ(2, count_both(&second, "poll_auto"));
	dev_close(&first);
	dev_close(&second);
}

TEST_F(autopoll, parameter_bad_values_einval)
{
	static const char *const modes[] = { "on", "1", "autos", " auto", "50" };
	static const char *const shares[] = { "101", "-1", "x", "4294967297" };
	char text[16];

	ASSERT_EQ(0, param_set("busyloop", "auto"));
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(-EINVAL, param_set("busyloop", modes[i]));
	param_get("busyloop", text, sizeof(text));
	EXPECT_STREQ("auto", text);
	ASSERT_EQ(0, param_set("busyloop_share", "100"));
	for (int i = 0; i < 4; i++)
		EXPECT_GT(0, param_set("busyloop_share", shares[i]));
	param_get("busyloop_share", text, sizeof(text));
	EXPECT_STREQ("100", text);
}

TEST_HARNESS_MAIN
