// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Kicks and calls: who asks for them, and who is spared them.
 */
#include "fixture.h"

RIG_FIXTURE(notify)
RIG_ALL_SIZES(notify);

/* NOTIFY_ON_EMPTY is older than packed rings. */
RIG_FIXTURE(notify_split)
RIG_SPLIT_ALL_SIZES(notify_split);

static bool offer_wants_kick(struct rig *rig)
{
	rig_offer(rig, 1);
	return rig->drv.ops->wants_kick(&rig->drv);
}

TEST_F(notify, armed_wants_kick)
{
	struct rig *rig = self->rig;
	int i;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, rig_arm(rig));
		ASSERT_EQ(0, rig_arm(rig));
		ASSERT_TRUE(offer_wants_kick(rig));
		ASSERT_EQ(1, rig_arm(rig));
		ASSERT_EQ(1, rig_fetch(rig, VHX_BURST_MAX));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_poll(rig));
	}
}

TEST_F(notify, disarmed_skips_kick)
{
	struct rig *rig = self->rig;
	int i;

	if (rig_period(rig) == 2 && rig->variant.has_event_idx)
		SKIP(return, "every second buffer is at the event again");
	for (i = 0; i < 20; i++) {
		/* With EVENT_IDX the kick that was asked for still comes. */
		ASSERT_EQ(0, rig_arm(rig));
		ASSERT_TRUE(offer_wants_kick(rig));
		ASSERT_EQ(0, rig_disarm(rig));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_poll(rig));
		ASSERT_FALSE(offer_wants_kick(rig));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_disarm(rig));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_poll(rig));
		ASSERT_FALSE(offer_wants_kick(rig));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_poll(rig));
	}
}

/* Nothing is published by accident between disarm and arm of an empty ring. */
TEST_F(notify, rearm_without_buffers_wants_kick)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_arm(rig));
	ASSERT_EQ(0, rig_disarm(rig));
	ASSERT_EQ(0, rig_disarm(rig));
	ASSERT_EQ(0, rig_arm(rig));
	ASSERT_TRUE(offer_wants_kick(rig));
}

struct late_offer {
	struct rig *rig;
	enum mem_kind kind;	/* offer after this access of arm() … */
	enum vhx_area area;	/* … to this area … */
	unsigned int skip;	/* … after so many of them */
	bool is_done;
	bool wants_kick;
};

static void offer_late(struct vhx_mem *mem, const struct mem_access *access)
{
	struct late_offer *late = mem->arg;

	if (late->is_done || access->kind != late->kind ||
	    access->area != late->area || late->skip--)
		return;
	late->is_done = true;
	late->wants_kick = offer_wants_kick(late->rig);
}

/* The buffer that comes after we asked for a kick and before we look. */
TEST_F(notify, arm_sees_buffer_that_came_between_ok)
{
	struct rig *rig = self->rig;
	struct late_offer late = {
		.rig = rig, .kind = MEM_WRITE, .area = VHX_DEVICE,
		/* A packed event is written before the flags that want it. */
		.skip = rig_is_packed(rig) && rig->variant.has_event_idx,
	};

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(0, rig_disarm(rig));
	rig->mem.arg = &late;
	rig->mem.on_access = offer_late;
	ASSERT_EQ(1, rig_arm(rig));
	rig->mem.on_access = NULL;
	ASSERT_TRUE(late.is_done);
	EXPECT_TRUE(late.wants_kick);
	EXPECT_EQ(1, rig_fetch(rig, 1));
}

/* The buffer that comes after arm() looked brings a kick. */
TEST_F(notify, buffer_after_arm_wants_kick)
{
	struct rig *rig = self->rig;
	struct late_offer late = {
		.rig = rig, .kind = MEM_READ,
		.area = rig_is_packed(rig) ? VHX_DESC : VHX_DRIVER,
	};

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(0, rig_disarm(rig));
	rig->mem.arg = &late;
	rig->mem.on_access = offer_late;
	ASSERT_EQ(0, rig_arm(rig));
	rig->mem.on_access = NULL;
	ASSERT_TRUE(late.is_done);
	EXPECT_TRUE(late.wants_kick);
	EXPECT_EQ(1, rig_fetch(rig, 1));
}

TEST_F(notify, arm_after_unfetch_sees_buffers_ok)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(1, rig_offer(rig, 1));
	ASSERT_EQ(1, rig_fetch(rig, 1));
	ASSERT_EQ(0, rig_arm(rig));
	rig_unfetch(rig, 0);
	ASSERT_EQ(1, rig_arm(rig));
	ASSERT_EQ(1, rig_fetch(rig, 1));
	ASSERT_EQ(0, rig_arm(rig));
}

/* What was handed back is known: the kick is for what comes after it. */
TEST_F(notify, arm_after_unfetch_wants_kick_for_the_next)
{
	struct rig *rig = self->rig;
	int i;

	if (rig->variant.num == 1)
		SKIP(return, "a ring of one has no next buffer");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, rig_offer(rig, 1));
		rig->drv.ops->wants_kick(&rig->drv);
		ASSERT_EQ(1, rig_fetch(rig, VHX_BURST_MAX));
		rig_unfetch(rig, 0);
		ASSERT_EQ(1, rig_arm(rig));
		ASSERT_TRUE(offer_wants_kick(rig));
		while (rig->nr_fetched != rig->nr_offered) {
			ASSERT_LT(0, rig_fetch(rig, VHX_BURST_MAX));
			ASSERT_EQ(0, rig_complete_burst(rig));
		}
		ASSERT_EQ(2, rig_poll(rig));
	}
}

/* Barriers met by the engine's accesses, in order. */
struct barriers {
	unsigned int at_write;	/* before the last write */
	unsigned int at_read;	/* before the first read */
	bool is_read;
};

static void note_barriers(struct vhx_mem *mem, const struct mem_access *access)
{
	struct barriers *seen = mem->arg;

	if (access->kind == MEM_WRITE) {
		seen->at_write = ring_env_nr_mb;
	} else if (!seen->is_read) {
		seen->is_read = true;
		seen->at_read = ring_env_nr_mb;
	}
}

/*
 * The two places where a store of ours must be seen before a load of ours is
 * made. No memory model that we can run on shows reliably that it is not.
 */
TEST_F(notify, arm_has_full_barrier_ok)
{
	struct rig *rig = self->rig;
	struct barriers seen = { .is_read = false };

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(0, rig_disarm(rig));
	rig->mem.arg = &seen;
	rig->mem.on_access = note_barriers;
	ASSERT_EQ(0, rig_arm(rig));
	ASSERT_TRUE(seen.is_read);
	EXPECT_EQ(seen.at_write + 1, seen.at_read);
}

TEST_F(notify, call_needed_has_full_barrier_ok)
{
	struct rig *rig = self->rig;
	int i;

	for (i = 0; i < 2; i++) {
		struct barriers seen = { .is_read = false };

		rig->ring.calls_on_empty = i;
		ASSERT_EQ(1, rig_offer(rig, 1));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		rig->mem.arg = &seen;
		rig->mem.on_access = note_barriers;
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_LE(0, rig_call_needed(rig));
		rig->mem.on_access = NULL;
		ASSERT_EQ(1, rig_poll(rig));
		ASSERT_TRUE(seen.is_read);
		EXPECT_EQ(seen.at_write + 1, seen.at_read);
	}
}

TEST_F(notify, enabled_calls)
{
	struct rig *rig = self->rig;
	int i;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
	for (i = 0; i < 20; i++) {
		ASSERT_FALSE(rig->drv.ops->enable_calls(&rig->drv, 0));
		ASSERT_EQ(1, rig_offer(rig, 1));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_call_needed(rig));
		ASSERT_EQ(1, rig_poll(rig));
	}
}

TEST_F(notify, disabled_skips_call)
{
	struct rig *rig = self->rig;
	int i;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_LE(0, rig_call_needed(rig));
	for (i = 0; i < 20; i++) {
		rig->drv.ops->disable_calls(&rig->drv);
		ASSERT_EQ(1, rig_offer(rig, 1));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(0, rig_call_needed(rig));
		ASSERT_EQ(1, rig_poll(rig));
	}
}

/* One call for several completions when only the last one matters. */
TEST_F(notify, call_covers_all_since_the_last_calls)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, 5), i;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_LE(0, rig_call_needed(rig));
	for (i = 0; i < nr; i++) {
		rig->drv.ops->enable_calls(&rig->drv, (u16)i);
		ASSERT_EQ(0, rig_cycle(rig, nr));
		ASSERT_EQ(1, rig_call_needed(rig));
	}
}

TEST_F(notify_split, empty_ring_calls)
{
	struct rig *rig = self->rig;
	int i;

	rig->ring.calls_on_empty = true;
	for (i = 0; i < 3; i++) {
		rig->drv.ops->disable_calls(&rig->drv);
		ASSERT_EQ(0, rig_cycle(rig, 1));
		ASSERT_EQ(1, rig_call_needed(rig));
	}
}

/* Neither what was not fetched yet nor what came unseen leaves it empty. */
TEST_F(notify_split, nonempty_ring_skips_call)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_LE(0, rig_call_needed(rig));
	rig->drv.ops->disable_calls(&rig->drv);
	ASSERT_EQ(0, rig_cycle(rig, 1));
	rig->ring.calls_on_empty = true;
	ASSERT_EQ(1, rig_offer(rig, 1));
	ASSERT_EQ(0, rig_call_needed(rig));
	ASSERT_EQ(1, rig_fetch(rig, 1));
	rig_unfetch(rig, 0);
	ASSERT_EQ(0, rig_call_needed(rig));
	ASSERT_EQ(1, rig_fetch(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
}

TEST_F(notify, empty_ring_without_the_feature_skips_call)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_LE(0, rig_call_needed(rig));
	rig->drv.ops->disable_calls(&rig->drv);
	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(0, rig_call_needed(rig));
}

TEST_HARNESS_MAIN
