// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Both halves at once, each in a thread of its own, asleep whenever there is
 * nothing to do: a wake-up that gets lost is a deadline missed.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include "fixture.h"

#define WAIT_MS		10000	/* deadline of what must happen */
#define PAYLOAD_LEN	128	/* bytes of one buffer */
#define PIECE_LEN	16	/* bytes of one piece */

#define RACE_COUNT	40000	/* buffers; fewer in tiny rings */

/* The harness leaves by _exit(): a report must not be lost. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1";
}

/**
 * struct race - what the two threads share
 * @rig: the ring; drv belongs to the driver thread, ring to the device thread
 * @kick: eventfd, driver to device
 * @call: eventfd, device to driver
 * @total: buffers to pass
 * @is_over: the driver thread has got all of them back, or gave up
 * @cause: what went wrong first, or NULL
 * @nr_kicks: kicks sent
 * @nr_calls: calls sent
 * @nr_sleeps: times that the device thread waited
 */
struct race {
	struct rig *rig;
	int kick;
	int call;
	u32 total;
	bool is_over;
	const char *cause;
	u32 nr_kicks;
	u32 nr_calls;
	u32 nr_sleeps;
};

/* What the driver thread knows of a buffer in flight. */
struct flight {
	u64 token;
	u16 payload;
	u16 nr_in;
};

struct guest {
	struct race *race;
	struct flight *flight;	/* by id, DRIVER_IDS of them */
	u16 *free_payload;
	u32 nr_free;
	u32 nr_offered;
	u32 nr_back;
	u64 seed;
};

static void race_fail(struct race *race, const char *cause)
{
	const char *none = NULL;

	__atomic_compare_exchange_n(&race->cause, &none, cause, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	__atomic_store_n(&race->is_over, true, __ATOMIC_RELEASE);
}

static bool race_is_over(const struct race *race)
{
	return __atomic_load_n(&race->is_over, __ATOMIC_ACQUIRE);
}

static void wake(int fd)
{
	const u64 one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static bool sleep_on(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	u64 count;

	return poll(&pfd, 1, WAIT_MS) == 1 &&
		read(fd, &count, sizeof(count)) == sizeof(count);
}

static u8 *payload_at(struct rig *rig, u64 addr)
{
	return mem_at(&rig->mem, MEM_GUEST, (u32)(addr - RIG_IOVA), PIECE_LEN);
}

static bool guest_offer(struct guest *guest)
{
	struct rig *rig = guest->race->rig;
	u32 bits = rig_random(&guest->seed), i;
	struct vhx_slot slot[7];
	/* In order, runs of buffers without a writable piece come back as one. */
	bool is_read_only = rig->variant.is_in_order && bits >> 7 & 7;
	struct flight flight = {
		.nr_in = is_read_only ? 0 : 1 + (bits >> 2 & 3),
	};
	u32 nr_out = 1 + (bits & 1);
	struct driver_buf buf = { .slot = slot, .nr = nr_out + flight.nr_in };
	int id;

	if (!guest->nr_free)
		return false;
	flight.token = ((u64)bits << 32) + guest->nr_offered;
	flight.payload = guest->free_payload[guest->nr_free - 1];
	/* Whatever it is, it fits into an empty ring. */
	if (bits & 0x10 && rig->variant.num >= 16)
		buf.nr_direct = buf.nr;
	else
		buf.nr_direct = rig->variant.num > 1 ? bits >> 5 & 1 : 0;
	buf.table = RIG_IOVA + flight.payload * RIG_TABLE_LEN * 16ull;
	for (i = 0; i < buf.nr; i++) {
		u64 word = flight.token + i;

		slot[i] = (struct vhx_slot){
			.addr = rig_scratch(rig) +
				flight.payload * PAYLOAD_LEN + i * PIECE_LEN,
			.len = PIECE_LEN,
			.flags = i < nr_out ? 0 : VRING_DESC_F_WRITE,
		};
		memcpy(payload_at(rig, slot[i].addr), &word, sizeof(word));
	}
	flight.payload = (u16)(flight.payload | (nr_out == 2 ? 0x8000 : 0));
	id = rig->drv.ops->add(&rig->drv, &buf);
	if (id < 0)
		return false;
	guest->flight[id] = flight;
	guest->nr_free--;
	guest->nr_offered++;
	return true;
}

/* Every writable piece holds the token, inverted, and its number. */
static bool guest_check(struct guest *guest, const struct vhx_used *used)
{
	const struct flight *flight = &guest->flight[used->id];
	struct rig *rig = guest->race->rig;
	u32 nr_out = flight->payload & 0x8000 ? 2 : 1, i;
	u16 payload = flight->payload & 0x7fff;
	u64 word;

	if (used->len != flight->nr_in * PIECE_LEN)
		return false;
	for (i = 0; i < flight->nr_in; i++) {
		memcpy(&word, payload_at(rig, rig_scratch(rig) +
					 payload * PAYLOAD_LEN +
					 (nr_out + i) * PIECE_LEN),
		       sizeof(word));
		if (word != ~flight->token + i)
			return false;
	}
	guest->free_payload[guest->nr_free++] = payload;
	return true;
}

static bool guest_fill(struct guest *guest)
{
	struct race *race = guest->race;
	struct driver *drv = &race->rig->drv;
	u32 nr = 1 + rig_random(&guest->seed) % 40, i;

	for (i = 0; i < nr && guest->nr_offered < race->total; i++)
		if (!guest_offer(guest))
			break;
	if (!i)
		return false;
	drv->ops->publish(drv);
	if (drv->ops->wants_kick(drv)) {
		race->nr_kicks++;
		wake(race->kick);
	}
	return true;
}

static bool guest_drain(struct guest *guest)
{
	struct driver *drv = &guest->race->rig->drv;
	struct vhx_used used;
	bool has_some = false;

	while (drv->ops->poll(drv, &used)) {
		has_some = true;
		guest->nr_back++;
		if (!guest_check(guest, &used))
			race_fail(guest->race, "a buffer came back wrong");
	}
	return has_some;
}

/* Sleeps till at least one of those in flight is done. */
static void guest_wait(struct guest *guest)
{
	struct driver *drv = &guest->race->rig->drv;
	u32 in_flight = guest->nr_offered - guest->nr_back;
	u16 skip = 0;

	if (rig_random(&guest->seed) & 1)
		skip = (u16)(rig_random(&guest->seed) % in_flight);
	if (!drv->ops->enable_calls(drv, skip) &&
	    !sleep_on(guest->race->call))
		race_fail(guest->race, "a call got lost");
	if (rig_random(&guest->seed) & 1)
		drv->ops->disable_calls(drv);
}

static void *guest_run(void *arg)
{
	struct guest *guest = arg;
	struct race *race = guest->race;

	while (guest->nr_back < race->total && !race_is_over(race)) {
		bool has_room = guest_fill(guest);
		bool has_some = guest_drain(guest);

		if (!has_room && !has_some)
			guest_wait(guest);
		if (!(rig_random(&guest->seed) & 31))
			sched_yield();
	}
	__atomic_store_n(&race->is_over, true, __ATOMIC_RELEASE);
	wake(race->kick);
	return NULL;
}

static bool device_answer(struct rig *rig, const struct vhx_chain *chain)
{
	u64 token, word;
	u32 i;

	memcpy(&token, payload_at(rig, chain->slot[0].addr), sizeof(token));
	for (i = 1; i < chain->nr_out; i++) {
		memcpy(&word, payload_at(rig, chain->slot[i].addr),
		       sizeof(word));
		if (word != token + i)
			return false;
	}
	for (i = 0; i < chain->nr_in; i++) {
		word = ~token + i;
		memcpy(payload_at(rig, chain->slot[chain->nr_out + i].addr),
		       &word, sizeof(word));
	}
	return chain->nr_out != 0;
}

/* Return: how many buffers were answered, or -errno. */
static int device_burst(struct race *race, u64 *seed)
{
	struct rig *rig = race->rig;
	struct vhx_ring *ring = &rig->ring;
	struct vhx_used used[VHX_BURST_MAX];
	u32 max = 1 + rig_random(seed) % VHX_BURST_MAX, i, keep;
	int nr = ring->ops->fetch(ring, &rig->burst, max), err;

	if (nr <= 0)
		return nr;
	keep = (u32)nr;
	if (nr > 1 && !(rig_random(seed) & 7)) {
		keep = 1 + rig_random(seed) % ((u32)nr - 1);
		vhx_ring_unfetch(ring, &rig->burst, keep);
	}
	for (i = 0; i < keep; i++) {
		const struct vhx_chain *chain =
			vhx_burst_chain(&rig->burst, i);

		if (!device_answer(rig, chain))
			race_fail(race, "a buffer arrived wrong");
		used[ring->is_in_order ? i : keep - 1 - i] =
			rig_used(&rig->burst.used[i], chain->in_len);
	}
	err = ring->ops->complete(ring, used, keep);
	return err ? err : (int)keep;
}

static int device_call(struct race *race)
{
	struct vhx_ring *ring = &race->rig->ring;
	int ret = ring->ops->call_needed(ring);

	if (ret > 0) {
		race->nr_calls++;
		wake(race->call);
	}
	return ret;
}

static void *device_run(void *arg)
{
	struct race *race = arg;
	struct vhx_ring *ring = &race->rig->ring;
	u64 seed = 99;
	int ret = 0;

	while (ret >= 0 && !race_is_over(race)) {
		ret = ring->ops->disarm(ring);
		while (ret >= 0) {
			ret = device_burst(race, &seed);
			if (ret <= 0)
				break;
			ret = device_call(race);
		}
		if (ret >= 0)
			ret = ring->ops->arm(ring);
		if (ret)
			continue;
		race->nr_sleeps++;
		if (!sleep_on(race->kick))
			race_fail(race, "a kick got lost");
	}
	if (ret < 0)
		race_fail(race, vhx_cause_text(ring->cause));
	wake(race->call);
	return NULL;
}

RIG_FIXTURE(race)
RIG_SPLIT_FLAGS(race, 1);
RIG_SPLIT_FLAGS(race, 2);
RIG_SPLIT_FLAGS(race, 16);
RIG_SPLIT_FLAGS(race, 256);
RIG_SPLIT_EVENT(race, 1);
RIG_SPLIT_EVENT(race, 2);
RIG_SPLIT_EVENT(race, 16);
RIG_SPLIT_EVENT(race, 256);
RIG_SPLIT_IN_ORDER(race, 16);
RIG_PACKED_FLAGS(race, 1);
RIG_PACKED_FLAGS(race, 256);
RIG_PACKED_EVENT(race, 1);
RIG_PACKED_EVENT(race, 3);
RIG_PACKED_EVENT(race, 100);
RIG_PACKED_IN_ORDER(race, 16);

TEST_F_TIMEOUT(race, two_threads_ok, 120)
{
	struct rig *rig = self->rig;
	u16 num = rig->variant.num, i;
	struct race race = {
		.rig = rig,
		.kick = eventfd(0, EFD_CLOEXEC),
		.call = eventfd(0, EFD_CLOEXEC),
		.total = num < 16 ? RACE_COUNT / 4 : RACE_COUNT,
	};
	struct guest guest = {
		.race = &race,
		.flight = calloc(DRIVER_IDS, sizeof(*guest.flight)),
		.free_payload = calloc(num, sizeof(u16)),
		.nr_free = num,
		.seed = num,
	};
	pthread_t guest_thread, device_thread;

	ASSERT_LE(0, race.kick);
	ASSERT_LE(0, race.call);
	for (i = 0; i < num; i++)
		guest.free_payload[i] = i;
	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
	ASSERT_EQ(0, pthread_create(&guest_thread, NULL, guest_run, &guest));
	ASSERT_EQ(0, pthread_create(&device_thread, NULL, device_run, &race));
	pthread_join(guest_thread, NULL);
	pthread_join(device_thread, NULL);

	if (race.cause)
		TH_LOG("%s", race.cause);
	EXPECT_EQ(NULL, race.cause);
	EXPECT_EQ(race.total, guest.nr_back);
	EXPECT_LT(0, race.nr_sleeps);
	EXPECT_LT(0, race.nr_calls);
	/* The suppression is of some use where there is room for it. */
	if (num >= 16) {
		EXPECT_LT(race.nr_kicks, race.total / 2);
		EXPECT_LT(race.nr_calls, race.total / 2);
	}
	TH_LOG("%u buffers, %u kicks, %u calls, %u sleeps", race.total,
	       race.nr_kicks, race.nr_calls, race.nr_sleeps);
	close(race.kick);
	close(race.call);
	free(guest.flight);
	free(guest.free_payload);
}

/* One decision at the same moment on both sides, over and over. */
RIG_FIXTURE(meet)
RIG_SPLIT_FLAGS(meet, 2);
RIG_SPLIT_EVENT(meet, 2);
RIG_PACKED_FLAGS(meet, 1);
RIG_PACKED_EVENT(meet, 1);
RIG_PACKED_FLAGS(meet, 3);
RIG_PACKED_EVENT(meet, 3);

#define NR_MEETS	10000u

/**
 * struct meet - what the two threads share
 * @rig: the ring
 * @round: the one that the driver may start
 * @done: the last one that the driver has finished
 * @notified: what the driver saw or asked for in it: no wake-up was lost
 * @publishes: it publishes a buffer, else it asks for calls
 */
struct meet {
	struct rig *rig;
	u32 round;
	u32 done;
	bool notified;
	bool publishes;
};

static void wait_for(const u32 *round, u32 want)
{
	u32 i;

	for (i = 1; __atomic_load_n(round, __ATOMIC_ACQUIRE) != want; i++)
		if (!(i & 255))
			sched_yield();
}

/* A few instructions, so that the two meet in every way. */
static void dawdle(u64 *seed)
{
	volatile u32 i = rig_random(seed) & 63;

	while (i)
		i--;
}

static void *meet_driver(void *arg)
{
	struct meet *meet = arg;
	struct driver *drv = &meet->rig->drv;
	struct vhx_used used;
	u64 seed = 5;
	u32 round;

	for (round = 1; round <= NR_MEETS; round++) {
		if (!meet->publishes) {
			drv->ops->disable_calls(drv);
			rig_offer(meet->rig, 1);
		}
		wait_for(&meet->round, round);
		dawdle(&seed);
		if (meet->publishes) {
			rig_offer(meet->rig, 1);
			meet->notified = drv->ops->wants_kick(drv);
		} else {
			meet->notified = drv->ops->enable_calls(drv, 0);
		}
		__atomic_store_n(&meet->done, round, __ATOMIC_RELEASE);
		wait_for(&meet->round, 0x80000000 | round);
		while (drv->ops->poll(drv, &used))
			;
		__atomic_store_n(&meet->done, 0x80000000 | round,
				 __ATOMIC_RELEASE);
	}
	return NULL;
}

/* The device's half of a round. Return: 1 when the driver is not waited for. */
static int meet_device(struct meet *meet, u32 round, u64 *seed)
{
	struct vhx_ring *ring = &meet->rig->ring;
	struct vhx_burst *burst = &meet->rig->burst;
	struct vhx_used used;
	int ret = ring->ops->disarm(ring);

	while (!ret && !meet->publishes)
		ret = ring->ops->fetch(ring, burst, 1);
	__atomic_store_n(&meet->round, round, __ATOMIC_RELEASE);
	dawdle(seed);
	if (meet->publishes) {
		ret = ring->ops->arm(ring);
	} else {
		used = rig_used(&burst->used[0], 0);
		ret = ring->ops->complete(ring, &used, 1) ?:
			ring->ops->call_needed(ring);
	}
	wait_for(&meet->done, round);
	if (meet->publishes) {
		if (ring->ops->fetch(ring, burst, 1) != 1)
			return -EBADMSG;
		used = rig_used(&burst->used[0], 0);
		if (ring->ops->complete(ring, &used, 1))
			return -EBADMSG;
	}
	__atomic_store_n(&meet->round, 0x80000000 | round, __ATOMIC_RELEASE);
	wait_for(&meet->done, 0x80000000 | round);
	return ret;
}

/* Return: meetings after which both sides would sleep for ever, or -1. */
static int nr_lost(struct rig *rig, bool publishes)
{
	struct meet meet = { .rig = rig, .publishes = publishes };
	pthread_t thread;
	u64 seed = 3;
	int ret = 0, lost = 0;
	u32 round;

	if (rig_restart(rig, rig_base_before(rig, 1)) || rig_cycle(rig, 1) ||
	    rig_call_needed(rig) < 0 ||
	    pthread_create(&thread, NULL, meet_driver, &meet))
		return -1;
	for (round = 1; round <= NR_MEETS; round++) {
		ret = meet_device(&meet, round, &seed);
		lost += ret < 0 || (!ret && !meet.notified);
	}
	pthread_join(thread, NULL);
	return lost;
}

TEST_F_TIMEOUT(meet, arm_against_publish_ok, 120)
{
	EXPECT_EQ(0, nr_lost(self->rig, true));
}

TEST_F_TIMEOUT(meet, complete_against_enable_calls_ok, 120)
{
	EXPECT_EQ(0, nr_lost(self->rig, false));
}

TEST_HARNESS_MAIN
