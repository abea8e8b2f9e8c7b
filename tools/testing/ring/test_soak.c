// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Small rings that go round a million times, with all that is in a buffer,
 * every kick and every call looked at.
 */
#include "fixture.h"

RIG_FIXTURE(soak)
RIG_SPLIT_FLAGS(soak, 2);
RIG_SPLIT_EVENT(soak, 2);
RIG_SPLIT_IN_ORDER(soak, 4);
RIG_PACKED_EVENT(soak, 1);
RIG_PACKED_FLAGS(soak, 2);
RIG_PACKED_EVENT(soak, 3);
RIG_PACKED_IN_ORDER(soak, 3);

#define NR_LAPS		1000000ull

/* Chains of any length that fits, as many as are wanted or fit. */
static u32 offer(struct rig *rig, u64 *seed)
{
	u32 bits = rig_random(seed), nr = 0;

	do {
		u32 len = 1 + (bits >> 8) % rig->variant.num;
		struct rig_shape shape = {
			.nr_out = (u16)(bits >> 4 & 3 ? len : 0),
			.nr_direct = (u16)len,
		};

		shape.nr_in = (u16)(len - shape.nr_out);
		if (rig_add(rig, shape) < 0)
			break;
		nr++;
		bits = rig_random(seed);
	} while (bits & 3);
	rig->drv.ops->publish(&rig->drv);
	return nr;
}

/* Fetches and completes all, a random part at a time. */
static int serve(struct rig *rig, u64 *seed)
{
	int nr, err;

	while (rig->nr_fetched != rig->nr_offered) {
		nr = rig_fetch(rig, 1 + rig_random(seed) % 4);
		if (nr <= 0)
			return nr ? nr : -EBADMSG;
		if (nr > 1 && rig_random(seed) & 1)
			rig_unfetch(rig, 1);
		err = rig_complete_burst(rig);
		if (err)
			return err;
	}
	return rig_fetch(rig, 1);
}

TEST_F_TIMEOUT(soak, a_million_laps_ok, 120)
{
	struct rig *rig = self->rig;
	u64 seed = 1, laps = NR_LAPS * rig->variant.num;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 1)));
	while (rig->polled_pos < laps) {
		bool is_armed = rig_random(&seed) & 1;

		if (is_armed)
			ASSERT_EQ(0, rig_arm(rig));
		ASSERT_LT(0, offer(rig, &seed));
		ASSERT_TRUE(rig->drv.ops->wants_kick(&rig->drv) || !is_armed);
		ASSERT_EQ(1, rig_arm(rig));
		ASSERT_EQ(0, rig_disarm(rig));
		ASSERT_FALSE(rig->drv.ops->enable_calls(&rig->drv, 0));
		ASSERT_EQ(0, serve(rig, &seed));
		ASSERT_EQ(1, rig_call_needed(rig));
		rig->drv.ops->disable_calls(&rig->drv);
		ASSERT_LT(0, rig_poll(rig));
		ASSERT_EQ(rig->variant.num, rig->drv.nr_free);
	}
	EXPECT_EQ(rig_avail_after(rig, rig->polled_pos), (u16)rig_base(rig));
}

TEST_HARNESS_MAIN
