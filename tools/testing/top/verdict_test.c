// SPDX-License-Identifier: GPL-2.0-only
/* Rates of two looks, and the rules of the verdicts with their precedence. */
#include <string.h>

#include <kselftest_harness.h>

#include "verdict.h"

#define S		1000000000ULL	/* ns */
#define NEAR(a, b)	((a) - (b) < 0.001 && (b) - (a) < 0.001)

/* A device with one worker, on which nothing happens for two seconds. */
FIXTURE(verdict) {
	struct device before, now;
	struct counters *rx, *tx;	/* as they are at the second look */
	struct rate rate;
	struct opinion ring[RINGS], all;
};

FIXTURE_SETUP(verdict)
{
	struct device *device = &self->before;
	unsigned int i;

	device->kind = DEVICE_VHX;
	device->pid = 100;
	device->is_first = true;
	for (i = 0; i < RINGS; i++) {
		device->info.ring[i].state = RING_RUNNING;
		device->info.ring[i].counters.frames = 1000;
		device->info.ring[i].counters.drop_room = 50;
		device->worker[i] = (struct task){
			.tid = 101, .state = 'S', .start = 1, .run_ns = 5 * S,
			.wait_ns = 3 * S, .has_wait = true,
		};
	}
	self->now = *device;
	self->rx = &self->now.info.ring[RING_RX].counters;
	self->tx = &self->now.info.ring[RING_TX].counters;
}

FIXTURE_TEARDOWN(verdict)
{
}

typedef FIXTURE_DATA(verdict) fix;

static const char *judged(fix *f)
{
	unsigned int i;

	rate_between(&f->rate, &f->before, &f->now, 2);
	for (i = 0; i < RINGS; i++)
		verdict_ring(&f->ring[i], &f->now, &f->rate, i);
	verdict_device(&f->all, f->ring);
	return verdict_name(f->all.verdict);
}

static void work(fix *f, uint64_t run_ns, uint64_t wait_ns)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		f->now.worker[i].run_ns += run_ns;
		f->now.worker[i].wait_ns += wait_ns;
	}
}

TEST_F(verdict, rates_ok)
{
	const struct ring_rate *rx = &self->rate.ring[RING_RX];

	self->rx->frames += 4000;
	self->rx->bytes += 400000;
	self->rx->bursts += 500;
	self->rx->kicks += 40;
	self->rx->calls += 1000;
	self->rx->drop_room += 6;
	self->rx->drop_nomem += 2;
	self->rx->iotlb_misses += 10;
	self->rx->guest_wait_ns += S / 10;
	work(self, S / 2, S / 20);
	EXPECT_STREQ("ok", judged(self));
	EXPECT_TRUE(NEAR(2000, rx->frames));
	EXPECT_TRUE(NEAR(200000, rx->bytes));
	EXPECT_TRUE(NEAR(8, rx->burst));
	EXPECT_TRUE(NEAR(0.01, rx->kicks));
	EXPECT_TRUE(NEAR(0.25, rx->calls));
	EXPECT_TRUE(NEAR(4, rx->drops));
	EXPECT_TRUE(NEAR(5, rx->misses));
	EXPECT_TRUE(NEAR(0.05, rx->guest_wait));
	EXPECT_TRUE(NEAR(0.25, self->rate.worker[RING_RX].run));
	EXPECT_TRUE(NEAR(0.025, self->rate.worker[RING_TX].wait));
	EXPECT_STREQ("4 frames/s dropped, most for room", self->all.why);
}

TEST_F(verdict, counters_from_0_count)
{
	self->rx->frames = 600;		/* of another owner: less than before */
	judged(self);
	EXPECT_TRUE(NEAR(300, self->rate.ring[RING_RX].frames));
}

TEST_F(verdict, counter_that_goes_back_alone_is_0)
{
	self->before.info.ring[RING_RX].counters.guest_wait_ns = 100 * S;
	self->rx->guest_wait_ns = 100 * S - 1;
	self->rx->frames += 1000;
	EXPECT_STREQ("ok", judged(self));
	EXPECT_TRUE(NEAR(0, self->rate.ring[RING_RX].guest_wait));
	/* with the frames it is a new owner's */
	self->rx->frames = 100;
	self->rx->guest_wait_ns = S;
	EXPECT_STREQ("guest-limited", judged(self));
	EXPECT_TRUE(NEAR(0.5, self->rate.ring[RING_RX].guest_wait));
}

TEST_F(verdict, times_of_two_kinds_unknown)
{
	self->now.worker[RING_RX].has_wait = false;
	self->now.worker[RING_RX].run_ns += 2 * S;
	judged(self);
	EXPECT_FALSE(self->rate.worker[RING_RX].is_known);
	EXPECT_FALSE(self->rate.worker[RING_RX].has_wait);
	EXPECT_TRUE(self->rate.worker[RING_TX].is_known);
}

TEST_F(verdict, few_frames_idle)
{
	self->rx->frames += 19;
	EXPECT_STREQ("idle", judged(self));
	self->rx->frames += 2;
	EXPECT_STREQ("ok", judged(self));
	EXPECT_EQ(VERDICT_IDLE, self->ring[RING_TX].verdict);
}

TEST_F(verdict, stopped_idle)
{
	self->now.info.ring[RING_RX].state = RING_STOPPED;
	self->now.info.ring[RING_TX].state = RING_STOPPED;
	self->rx->frames += 10000;
	EXPECT_STREQ("idle", judged(self));
}

TEST_F(verdict, no_buffers_guest_limited)
{
	self->rx->guest_wait_ns += 2 * S * 19 / 100;
	EXPECT_STREQ("idle", judged(self));
	self->rx->guest_wait_ns += 2 * S * 2 / 100;
	EXPECT_STREQ("guest-limited", judged(self));
	EXPECT_EQ(VERDICT_IDLE, self->ring[RING_TX].verdict);
}

TEST_F(verdict, full_backend_limited)
{
	self->tx->host_wait_ns += 2 * S * 19 / 100;
	self->tx->frames += 1000;
	EXPECT_STREQ("ok", judged(self));
	self->tx->host_wait_ns += 2 * S * 2 / 100;
	EXPECT_STREQ("backend-limited", judged(self));
	EXPECT_STREQ("the backend was full 21% of the time", self->all.why);
}

TEST_F(verdict, busy_worker_limited)
{
	work(self, 2 * S * 89 / 100, 0);
	self->rx->frames += 1000;
	EXPECT_STREQ("ok", judged(self));
	work(self, 2 * S * 2 / 100, 0);
	EXPECT_STREQ("worker-limited", judged(self));
}

/* Both rings' polling is the worker's. */
TEST_F(verdict, polling_worker_not_limited)
{
	work(self, 2 * S, 0);
	self->rx->frames += 1000;
	self->rx->poll_ns += S / 10;
	EXPECT_STREQ("worker-limited", judged(self));
	self->tx->poll_ns += S / 5;
	EXPECT_STREQ("ok", judged(self));
}

TEST_F(verdict, waiting_worker_starved)
{
	work(self, S / 2, 2 * S * 19 / 100);
	self->rx->frames += 1000;
	EXPECT_STREQ("ok", judged(self));
	work(self, 0, 2 * S * 2 / 100);
	EXPECT_STREQ("starved", judged(self));
}

/* A wait is counted when it ends: one that lasts is seen by the state. */
TEST_F(verdict, worker_that_never_runs_starved)
{
	self->before.worker[RING_RX].state = 'R';
	self->now.worker[RING_RX].state = 'R';
	EXPECT_STREQ("starved", judged(self));
}

TEST_F(verdict, another_worker_unknown_share)
{
	self->now.worker[RING_RX].start = 2;
	self->now.worker[RING_TX].tid = 202;
	work(self, 2 * S, 2 * S);
	EXPECT_STREQ("idle", judged(self));
	EXPECT_FALSE(self->rate.worker[RING_RX].is_known);
	EXPECT_FALSE(self->rate.worker[RING_TX].is_known);
}

TEST_F(verdict, failed_ring_broken)
{
	struct ring *tx = &self->now.info.ring[RING_TX];

	tx->state = RING_FAILED;
	strcpy(tx->cause, "descriptor loop");
	EXPECT_STREQ("broken", judged(self));
	EXPECT_STREQ("tx: descriptor loop", self->all.why);
	EXPECT_EQ(VERDICT_IDLE, self->ring[RING_RX].verdict);
}

/* Each hides those behind it. */
TEST_F(verdict, precedence_ok)
{
	self->rx->guest_wait_ns += 2 * S;
	EXPECT_STREQ("guest-limited", judged(self));
	self->tx->host_wait_ns += 2 * S;
	EXPECT_STREQ("backend-limited", judged(self));
	work(self, 2 * S, 0);
	EXPECT_STREQ("worker-limited", judged(self));
	work(self, 0, S);
	EXPECT_STREQ("starved", judged(self));
	self->now.info.ring[RING_RX].state = RING_FAILED;
	EXPECT_STREQ("broken", judged(self));
}

TEST_F(verdict, no_schedstat_no_waits)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		self->before.worker[i].has_wait = false;
		self->now.worker[i].has_wait = false;
	}
	work(self, 2 * S, 2 * S);
	EXPECT_STREQ("worker-limited", judged(self));
}

TEST_F(verdict, seen_once_unknown)
{
	rate_between(&self->rate, NULL, &self->now, 2);
	verdict_ring(&self->ring[RING_RX], &self->now, &self->rate, RING_RX);
	EXPECT_EQ(VERDICT_UNKNOWN, self->ring[RING_RX].verdict);
	EXPECT_STREQ("seen once so far", self->ring[RING_RX].why);
}

static void become(fix *f, enum device_kind kind)
{
	f->before.kind = kind;
	f->now.kind = kind;
	memset(&f->before.info, 0, sizeof(f->before.info));
	memset(&f->now.info, 0, sizeof(f->now.info));
	f->before.net.is_known = kind == DEVICE_IN_TREE;
	f->now.net.is_known = kind == DEVICE_IN_TREE;
}

TEST_F(verdict, in_tree_by_worker_and_interface)
{
	become(self, DEVICE_IN_TREE);
	EXPECT_STREQ("idle", judged(self));
	self->now.net.tx_frames += 2000;	/* of the tap: to the guest */
	EXPECT_STREQ("unknown", judged(self));
	EXPECT_TRUE(NEAR(1000, self->rate.ring[RING_RX].frames));
	work(self, 2 * S * 95 / 100, 0);
	EXPECT_STREQ("worker-limited", judged(self));
	work(self, 0, S);
	EXPECT_STREQ("starved", judged(self));
}

/* Frames of an interface are no single queue's. */
TEST_F(verdict, in_tree_second_queue_by_worker)
{
	become(self, DEVICE_IN_TREE);
	self->now.is_first = false;
	self->now.net.tx_frames += 2000;
	EXPECT_STREQ("idle", judged(self));
	work(self, S / 10, 0);
	EXPECT_STREQ("unknown", judged(self));
	EXPECT_FALSE(self->rate.ring[RING_RX].has_frames);
}

TEST_F(verdict, hidden_by_worker)
{
	become(self, DEVICE_HIDDEN);
	EXPECT_STREQ("idle", judged(self));
	work(self, S / 10, 0);
	EXPECT_STREQ("unknown", judged(self));
	work(self, 0, S);
	EXPECT_STREQ("starved", judged(self));
}

static void become_switch(fix *f)
{
	f->before.kind = DEVICE_SWITCH;
	f->now.kind = DEVICE_SWITCH;
	f->before.net.is_known = true;
	f->now.net.is_known = true;
}

/* The last wait goes on until the next frame. */
TEST_F(verdict, switch_wait_without_frames_idle)
{
	become_switch(self);
	self->rx->guest_wait_ns += 2 * S;
	EXPECT_STREQ("idle", judged(self));
	self->now.net.tx_drops += 2;
	EXPECT_STREQ("guest-limited", judged(self));
	self->now.net.tx_drops = 0;
	self->rx->drop_share += 1;
	EXPECT_STREQ("guest-limited", judged(self));
	self->rx->drop_share -= 1;
	self->rx->frames += 1;
	EXPECT_STREQ("guest-limited", judged(self));
}

/* Its thread has other ports. */
TEST_F(verdict, switch_busy_thread_limits_busy_ring)
{
	become_switch(self);
	work(self, 2 * S, 0);
	EXPECT_STREQ("idle", judged(self));
	self->tx->frames += 100;
	EXPECT_STREQ("worker-limited", judged(self));
	EXPECT_EQ(VERDICT_IDLE, self->ring[RING_RX].verdict);
	EXPECT_STREQ("its worker used 100% of CPU 0, for all ports on it",
		     self->all.why);
}

TEST_F(verdict, mute_switch_unknown)
{
	become_switch(self);
	memset(&self->before.info, 0, sizeof(self->before.info));
	memset(&self->now.info, 0, sizeof(self->now.info));
	memset(self->now.worker, 0, sizeof(self->now.worker));
	memset(&self->now.net, 0, sizeof(self->now.net));
	self->now.mute = "it sleeps";
	EXPECT_STREQ("unknown", judged(self));
	EXPECT_STREQ("it sleeps", self->all.why);
}

TEST_F(verdict, full_queue_is_told)
{
	self->before.net.is_known = true;
	self->now.net.is_known = true;
	self->now.net.tx_drops += 200;
	EXPECT_STREQ("idle", judged(self));
	EXPECT_STREQ("100 frames/s dropped before the ring: queue full",
		     self->all.why);
}

TEST_HARNESS_MAIN
