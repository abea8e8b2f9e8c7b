// SPDX-License-Identifier: GPL-2.0-only
/* What threads of vhx-switch hand over to each other. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "../../vhx-switch/inbox.h"

#define THREADS	3
#define LEN	60
#define PARCELS	50000
/* As inbox.c bounds them. */
#define SHORT_MAX	1024
#define LONG	65000
#define LONG_MAX	64

struct config config = { .threads = THREADS };

/* Two threads hand frames for one port to the third. */
FIXTURE(inbox) {
	struct port port;
	struct lane lane[THREADS];
	int wake;
	uint8_t data[LONG];
	struct vhx_pkt pkt;
	struct vhx_pkt *pkts;
};

typedef FIXTURE_DATA(inbox) fix;

FIXTURE_SETUP(inbox)
{
	for (unsigned int i = 0; i < THREADS; i++) {
		self->lane[i].port = &self->port;
		self->lane[i].via = &self->lane[2];
	}
	self->port.lane = self->lane;
	self->pkt = (struct vhx_pkt){ .data = self->data, .len = LEN };
	self->pkts = &self->pkt;
	self->wake = inbox_open(2);
	ASSERT_LE(0, self->wake);
}

FIXTURE_TEARDOWN(inbox)
{
	inbox_drop(&self->port);
	inbox_close(2);
}

static bool is_woken(const fix *s)
{
	return poll(&(struct pollfd){ s->wake, POLLIN, 0 }, 1, 0) == 1;
}

/* Return: the number that was sent in the next parcel, or -1. */
static int take(unsigned int *from, fix *s)
{
	struct parcel *parcel = inbox_next(2);
	int number;

	if (!parcel)
		return -1;
	memcpy(&number, parcel->pkt[0].data, sizeof(number));
	*from = (unsigned int)(parcel->from - s->lane);
	inbox_free(parcel);
	return number;
}

static void send_number(struct lane *lane, int number)
{
	uint8_t data[LEN] = "";
	struct vhx_pkt pkt = { .data = data, .len = LEN };
	struct vhx_pkt *const pkts[] = { &pkt };

	memcpy(data, &number, sizeof(number));
	inbox_send(lane, pkts, 1);
}

TEST_F(inbox, in_order_ok)
{
	unsigned int from = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			send_number(&self->lane[i & 1], i);
		EXPECT_EQ(0, take(&from, self));
		send_number(&self->lane[0], 5);
		for (int i = 1; i < 6; i++) {
			EXPECT_EQ(i, take(&from, self));
			EXPECT_EQ(i < 5 ? i & 1 : 0, from);
		}
		EXPECT_EQ(-1, take(&from, self));
	}
}

TEST_F(inbox, woken_once_and_only_asleep_ok)
{
	unsigned int from = 0;

	send_number(&self->lane[0], 0);
	EXPECT_FALSE(is_woken(self));
	EXPECT_FALSE(inbox_may_sleep(2));
	inbox_slept(2);
	EXPECT_EQ(0, take(&from, self));
	EXPECT_TRUE(inbox_may_sleep(2));
	send_number(&self->lane[0], 1);
	send_number(&self->lane[1], 2);
	EXPECT_TRUE(is_woken(self));
	uint64_t count = 0;

	ASSERT_EQ(sizeof(count), read(self->wake, &count, sizeof(count)));
	EXPECT_EQ(1, count);
}

/* Bounded by frames, and by bytes of long ones; each lane has a bound of its own. */
TEST_F(inbox, bound_of_a_lane_ok)
{
	unsigned int from = 0;

	for (unsigned int round = 0; round < 2; round++) {
		for (int i = 0; i < SHORT_MAX + 10; i++)
			EXPECT_EQ(1, inbox_send(&self->lane[0], &self->pkts, 1));
		EXPECT_EQ(10 * (round + 1), self->lane[0].stats.drop_full);
		send_number(&self->lane[1], 7);
		EXPECT_EQ(0, self->lane[1].stats.drop_full);
		for (int i = 0; i < SHORT_MAX; i++)
			EXPECT_EQ(0, take(&from, self));
		EXPECT_EQ(7, take(&from, self));
	}
	self->pkt.len = LONG;
	for (int i = 0; i < LONG_MAX + 10; i++)
		inbox_send(&self->lane[1], &self->pkts, 1);
	EXPECT_EQ(10, self->lane[1].stats.drop_full);
}

TEST_F(inbox, port_that_goes_leaves_those_of_others_ok)
{
	struct port other = self->port;
	struct lane lane = { .port = &other, .via = &self->lane[2] };
	unsigned int from = 0;

	/* The thread is found by the lane's place. */
	other.lane = self->lane;
	for (int i = 0; i < 4; i++) {
		send_number(&self->lane[0], i);
		send_number(&lane, i);
		if (i == 1)
			EXPECT_EQ(0, take(&from, self));
	}
	inbox_drop(&other);
	EXPECT_EQ(4, lane.stats.drop_down);
	EXPECT_EQ(lane.handed, lane.taken);
	for (int i = 1; i < 4; i++)
		EXPECT_EQ(i, take(&from, self));
	EXPECT_EQ(-1, take(&from, self));
}

/* -- at once --------------------------------------------------------------------- */

static void *send_all(void *arg)
{
	struct lane *lane = arg;

	for (int i = 0; i < PARCELS; i++) {
		while (lane->handed - __atomic_load_n(&lane->taken, __ATOMIC_ACQUIRE) >
		       1 << 20)
			sched_yield();
		send_number(lane, i);
	}
	return NULL;
}

/* The consumer sleeps when it may, without a limit: a wake-up that got lost fails. */
TEST_F(inbox, two_send_none_lost_ok)
{
	pthread_t thread[2];
	int next[2] = {}, number;
	unsigned int from = 0, nr = 0;
	uint64_t count;

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, send_all, &self->lane[i]));
	while (nr < 2 * PARCELS) {
		number = take(&from, self);
		if (number >= 0) {
			ASSERT_EQ(next[from]++, number);
			nr++;
			continue;
		}
		if (inbox_may_sleep(2))
			ASSERT_EQ(1, poll(&(struct pollfd){ self->wake, POLLIN, 0 },
					  1, 20000));
		inbox_slept(2);
		if (read(self->wake, &count, sizeof(count)) < 0)
			count = 0;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(self->lane[0].handed, self->lane[0].taken);
}

TEST_HARNESS_MAIN
