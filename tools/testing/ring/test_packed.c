// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the fields of a packed ring mean, value by value.
 */
#include "fixture.h"
#include "raw_packed.h"

RIG_FIXTURE(packed)
RIG_PACKED_ALL_SIZES(packed);

RIG_FIXTURE(packed_event)
RIG_PACKED_EVENT(packed_event, 1);
RIG_PACKED_EVENT(packed_event, 2);
RIG_PACKED_EVENT(packed_event, 3);
RIG_PACKED_EVENT(packed_event, 5);

RIG_FIXTURE(packed_flags)
RIG_PACKED_FLAGS(packed_flags, 1);
RIG_PACKED_FLAGS(packed_flags, 7);

RIG_FIXTURE(packed_in_order)
RIG_PACKED_IN_ORDER(packed_in_order, 3);
RIG_PACKED_IN_ORDER(packed_in_order, 256);

#define ENABLE	VRING_PACKED_EVENT_FLAG_ENABLE
#define DISABLE	VRING_PACKED_EVENT_FLAG_DISABLE
#define DESC	VRING_PACKED_EVENT_FLAG_DESC

/* Byte for byte, in each of the two laps, with and without something written. */
TEST_F(packed, used_descriptor_layout_ok)
{
	struct rig *rig = self->rig;
	static const u8 want[2][2][8] = {
		{ { 0x78, 0x56, 0x34, 0x12, 0xcd, 0xab, 0x82, 0x80 },
		  { 0, 0, 0, 0, 0xcd, 0xab, 0x80, 0x80 } },
		{ { 0x78, 0x56, 0x34, 0x12, 0xcd, 0xab, 2, 0 },
		  { 0, 0, 0, 0, 0xcd, 0xab, 0, 0 } },
	};
	struct vhx_used used = { .id = 0xabcd, .count = 1 };
	unsigned int i, lap, num = rig->variant.num;

	for (lap = 0; lap < 2; lap++) {
		for (i = 0; i < 2; i++) {
			u32 n = lap * num + (num > 1 ? i : 0);
			u32 base = rig_base_before(rig, 2 * num);
			const u8 *desc = rig->mem.area[VHX_DESC] + n % num * 16;

			base = rig->variant.driver->base_after((u16)num, base,
							       n);
			ASSERT_EQ(0, rig_restart(rig, base));
			put_chain(rig, 0, 1, 9, 0xabcd);
			ASSERT_EQ(1, raw_fetch(rig, 1));
			used.len = i ? 0 : 0x12345678;
			ASSERT_EQ(0, rig_complete(rig, &used, 1));
			EXPECT_EQ(0, memcmp(desc + 8, want[lap][i], 8));
			EXPECT_EQ(0x10, desc[1]);
		}
	}
}

/* A chain leaves one used descriptor; the next one is behind all of it. */
TEST_F(packed, completion_skips_the_chain_ok)
{
	struct rig *rig = self->rig;
	unsigned int num = rig->variant.num, nr, lap;
	u64 at = 0;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, num + 1)));
	for (lap = 0; lap < 3; lap++) {
		for (nr = 1; nr <= rig_min(num, 9); nr++) {
			u16 id = (u16)(7 * nr);
			struct vhx_used used = {
				.id = id, .count = (u16)nr, .len = nr };
			struct vhx_slot slot;
			u32 i;

			put_chain(rig, at, nr, 9, id);
			ASSERT_EQ(1, raw_fetch(rig, 64));
			ASSERT_TRUE(raw_is_filled(rig, 0, nr, 9));
			ASSERT_EQ(id, rig->burst.used[0].id);
			ASSERT_EQ(nr, rig->burst.used[0].count);
			ASSERT_EQ(0, rig->ring.ops->complete(&rig->ring,
							     &used, 1));
			slot = get(rig, at);
			ASSERT_EQ(id, slot.next);
			ASSERT_EQ(nr, slot.len);
			for (i = 1; i < nr; i++)
				ASSERT_EQ(9, get(rig, at + i).len);
			at += nr;
			ASSERT_EQ(pos_after(rig, at) | (u32)pos_after(rig, at) << 16,
				  rig_base(rig));
		}
	}
}

/* What was not offered in this lap, whatever the flags of the other parts. */
TEST_F(packed, half_available_flags_are_not_available_ok)
{
	struct rig *rig = self->rig;
	static const u16 flags[] = { 0, 0x80, 0x8000, 0x8080 };
	unsigned int i, lap;

	for (lap = 0; lap < 2; lap++) {
		u32 base = rig_base_before(rig, (lap + 1) * rig->variant.num);
		u16 good = base & 0x8000 ? 0x80 : 0x8000;

		for (i = 0; i < ARRAY_SIZE(flags); i++) {
			struct vhx_slot slot = {
				.addr = 0x1000, .len = 9,
				.flags = flags[i] | F_WRITE };

			ASSERT_EQ(0, rig_restart(rig, base));
			packed_set_desc(&rig->drv, pos_after(rig, 0) & 0x7fff,
					&slot);
			ASSERT_EQ(flags[i] == good, rig_arm(rig));
			ASSERT_EQ(flags[i] == good, raw_fetch(rig, 64));
		}
	}
}

/* A driver may not, and the device must not look for them for ever. */
TEST_F(packed, buffer_taken_back_is_forgotten_ok)
{
	struct rig *rig = self->rig;

	put_chain(rig, 0, 1, 9, 0);
	ASSERT_EQ(1, raw_fetch(rig, 1));
	rig_unfetch(rig, 0);
	ASSERT_EQ(1, rig_arm(rig));
	put(rig, 0, (struct vhx_slot){ .flags = 0x8080 });
	ASSERT_EQ(0, raw_fetch(rig, 1));
	EXPECT_EQ(0, rig_arm(rig));
}

/* Each id comes back as it was: what it names is the driver's business. */
TEST_F(packed, any_id_is_echoed_ok)
{
	struct rig *rig = self->rig;
	static const u16 ids[] = { 0, 1, 0x7fff, 0x8000, 0xffff, 1, 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		struct vhx_used used;

		put_chain(rig, i, 1, 9, ids[i]);
		ASSERT_EQ(1, raw_fetch(rig, 64));
		ASSERT_EQ(ids[i], rig->burst.used[0].id);
		used = rig_used(&rig->burst.used[0], 5);
		ASSERT_EQ(0, rig->ring.ops->complete(&rig->ring, &used, 1));
		ASSERT_EQ(ids[i], get(rig, i).next);
	}
}

TEST_F(packed, start_asks_for_kicks_ok)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_disarm(rig));
	EXPECT_EQ(DISABLE, packed_event_flags(&rig->drv));
	ASSERT_EQ(0, rig_reattach(rig, rig_base(rig)));
	EXPECT_EQ(ENABLE, packed_event_flags(&rig->drv));
	ASSERT_EQ(0, rig_disarm(rig));
	EXPECT_EQ(DISABLE, packed_event_flags(&rig->drv));
}

/* A ring that was a split one before. */
TEST_F(packed, start_says_the_format_ok)
{
	struct rig *rig = self->rig;

	rig->ring.is_packed = false;
	ASSERT_EQ(0, rig->ring.ops->start(&rig->ring, rig_base(rig)));
	EXPECT_TRUE(rig->ring.is_packed);
	EXPECT_EQ(0, rig_cycle(rig, 1));
}

TEST_F(packed, start_takes_both_halves_of_the_base_ok)
{
	struct rig *rig = self->rig;
	const struct driver_ops *driver = rig->variant.driver;
	u16 len = rig->variant.num;
	u32 num = rig_min(len, 5), i, k;

	for (i = 0; i < 2 * num; i++) {
		for (k = i + 1; k < i + num; k++) {
			u32 used = driver->base_after(len, 0x8000, i) & 0xffff;
			u32 avail = driver->base_after(len, 0x8000, k) & 0xffff;

			if (!used)
				continue;
			ASSERT_EQ(0, rig_reattach(rig, avail | used << 16));
			ASSERT_EQ(avail | used << 16, rig_base(rig));
		}
	}
}

/* The upper half alone is missing from a client that does not know of it. */
TEST_F(packed, start_without_upper_half_is_at_rest_ok)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_reattach(rig, 0x8000));
	EXPECT_EQ(0x80008000, rig_base(rig));
	if (rig->variant.num > 1) {
		ASSERT_EQ(0, rig_reattach(rig, 1));
		EXPECT_EQ(0x00010001, rig_base(rig));
	}
}

TEST_F(packed, start_out_of_range_einval)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, i;
	const u32 bad[] = {
		num, num | 0x8000, 0x7fff, 0xffff, num | num << 16,
		0x8000 | num << 16, num << 16 | 0x80008000, 0xffffffff,
		num | 0x80008000,
	};

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* The largest ring reaches further than an index can say. */
		if (num == 32768)
			continue;
		rig->ring.cause = VHX_CAUSE_NONE;
		EXPECT_EQ(-EINVAL, rig_reattach(rig, bad[i]));
		EXPECT_NE(VHX_CAUSE_NONE, rig->ring.cause);
	}
}

/* used is up to a lap behind avail, and never ahead of it. */
TEST_F(packed, start_with_used_too_far_behind_einval)
{
	struct rig *rig = self->rig;
	const struct driver_ops *ops = rig->variant.driver;
	u16 num = rig->variant.num;
	u32 k;

	for (k = 0; k < 2u * rig_min(num, 9); k++) {
		u32 back = k & 1 ? k / 2 : 2 * num - 1 - k / 2;
		u32 avail = ops->base_after(num, 0x8000, back) & 0xffff;

		EXPECT_EQ(back > num ? -EINVAL : 0,
			  rig_reattach(rig, avail | 0x80000000));
	}
}

TEST_F(packed_flags, arm_and_disarm_write_once_ok)
{
	struct rig *rig = self->rig;
	u32 nr_access;

	ASSERT_EQ(0, rig_disarm(rig));
	EXPECT_EQ(DISABLE, packed_event_flags(&rig->drv));
	nr_access = rig->mem.nr_access;
	ASSERT_EQ(0, rig_disarm(rig));
	EXPECT_EQ(nr_access, rig->mem.nr_access);
	ASSERT_EQ(0, rig_arm(rig));
	EXPECT_EQ(ENABLE, packed_event_flags(&rig->drv));
	/* One look, no write. */
	nr_access = rig->mem.nr_access;
	ASSERT_EQ(0, rig_arm(rig));
	EXPECT_EQ(nr_access + 1, rig->mem.nr_access);
}

TEST_F(packed_event, arm_writes_the_event_ok)
{
	struct rig *rig = self->rig;
	unsigned int i;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 3)));
	for (i = 0; i < 12; i++) {
		ASSERT_EQ(0, rig_arm(rig));
		EXPECT_EQ(pos_after(rig, i), packed_event_pos(&rig->drv));
		EXPECT_EQ(DESC, packed_event_flags(&rig->drv));
		ASSERT_EQ(0, rig_cycle(rig, 1));
		ASSERT_EQ(0, rig_disarm(rig));
		EXPECT_EQ(pos_after(rig, i), packed_event_pos(&rig->drv));
		EXPECT_EQ(DESC, packed_event_flags(&rig->drv));
	}
}

/*
 * An event behind the driver would come two laps later, or never: a ring that
 * is left with buffers in it asks for any kick.
 */
TEST_F(packed_event, arm_behind_the_driver_enables_ok)
{
	struct rig *rig = self->rig;
	u32 nr_access;

	ASSERT_EQ(0, rig_arm(rig));
	ASSERT_EQ(1, rig_offer(rig, 1));
	ASSERT_EQ(1, rig_arm(rig));
	EXPECT_EQ(ENABLE, packed_event_flags(&rig->drv));
	/* Two looks, no write: it is not taken back for a moment. */
	nr_access = rig->mem.nr_access;
	ASSERT_EQ(1, rig_arm(rig));
	EXPECT_EQ(nr_access + 2, rig->mem.nr_access);
	ASSERT_EQ(1, rig_fetch(rig, 1));
	ASSERT_EQ(0, rig_arm(rig));
	EXPECT_EQ(DESC, packed_event_flags(&rig->drv));
	EXPECT_EQ(pos_after(rig, 1), packed_event_pos(&rig->drv));
	/* What is handed back is not behind: the event is for the next one. */
	rig_unfetch(rig, 0);
	ASSERT_EQ(1, rig_arm(rig));
	EXPECT_EQ(DESC, packed_event_flags(&rig->drv));
	EXPECT_EQ(pos_after(rig, 1), packed_event_pos(&rig->drv));
}

/* The flags alone, of which two bits count. */
TEST_F(packed, event_flags_decide_calls)
{
	struct rig *rig = self->rig;
	static const struct {
		u16 flags;
		int want;
	} truth[] = {
		{ ENABLE, 1 }, { DISABLE, 0 }, { 3, 1 }, { 0x8000, 1 },
		{ 0x8001, 0 }, { 0xfffd, 0 }, { 0xffff, 1 },
	};
	unsigned int i;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	for (i = 0; i < ARRAY_SIZE(truth); i++) {
		packed_set_event(&rig->drv, pos_after(rig, i + 1),
				 truth[i].flags);
		ASSERT_EQ(0, rig_cycle(rig, 1));
		EXPECT_EQ(truth[i].want, rig_call_needed(rig));
	}
}

/* Without EVENT_IDX a position means nothing. */
TEST_F(packed_flags, event_without_the_feature_calls)
{
	struct rig *rig = self->rig;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		packed_set_event(&rig->drv, pos_after(rig, i + 3), DESC);
		ASSERT_EQ(0, rig_cycle(rig, 1));
		EXPECT_EQ(1, rig_call_needed(rig));
	}
}

/* One by one: was @event among positions @from … @to - 1? */
static int is_among(const struct rig *rig, u16 event, u64 from, u64 to)
{
	for (; from != to; from++)
		if (pos_after(rig, from) == event)
			return 1;
	return 0;
}

/* Every event against every run of completions from every place. */
TEST_F(packed_event, event_decides_calls)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, at, step, ev;

	for (at = 0; at < 2 * num; at++) {
		for (step = 1; step <= num; step++) {
			for (ev = 0; ev < 2 * num; ev++) {
				u16 event = pos_after(rig, ev);
				u32 base;

				base = rig_base_before(rig, at + 1);
				ASSERT_EQ(0, rig_restart(rig, base));
				ASSERT_EQ(0, rig_cycle(rig, 1));
				ASSERT_EQ(1, rig_call_needed(rig));
				packed_set_event(&rig->drv, event, DESC);
				ASSERT_EQ(0, rig_cycle(rig, step));
				ASSERT_EQ(is_among(rig, event, 1, 1 + step),
					  rig_call_needed(rig));
				ASSERT_EQ(0, rig_call_needed(rig));
			}
		}
	}
}

/* What a chain skips counts as used with its first descriptor. */
TEST_F(packed_event, event_within_a_skipped_chain_calls)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, nr, ev;

	for (nr = 1; nr <= num; nr++) {
		for (ev = 0; ev < 2 * num; ev++) {
			struct rig_shape shape = {
				.nr_out = (u16)nr, .nr_direct = (u16)nr };

			ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 2)));
			ASSERT_EQ(0, rig_cycle(rig, 1));
			ASSERT_EQ(1, rig_call_needed(rig));
			packed_set_event(&rig->drv, pos_after(rig, ev), DESC);
			ASSERT_LE(0, rig_add(rig, shape));
			rig->drv.ops->publish(&rig->drv);
			ASSERT_EQ(1, rig_fetch(rig, 1));
			ASSERT_EQ(0, rig_complete_burst(rig));
			ASSERT_EQ(is_among(rig, pos_after(rig, ev), 1, 1 + nr),
				  rig_call_needed(rig));
			ASSERT_EQ(1, rig_poll(rig));
		}
	}
}

/* Positions come again after two laps, and then say nothing any more. */
TEST_F(packed_event, event_after_two_laps_calls)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, i, nr;

	for (nr = 2 * num - 1; nr <= 2 * num + 1; nr++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 1)));
		ASSERT_EQ(0, rig_cycle(rig, 1));
		ASSERT_EQ(1, rig_call_needed(rig));
		/* The one that was signalled last: a whole period away. */
		packed_set_event(&rig->drv, pos_after(rig, 0), DESC);
		for (i = 0; i < nr; i++)
			ASSERT_EQ(0, rig_cycle(rig, 1));
		EXPECT_EQ(nr >= 2 * num, rig_call_needed(rig));
		packed_set_event(&rig->drv, pos_after(rig, 0), DESC);
		ASSERT_EQ(0, rig_call_needed(rig));
	}
}

/*
 * A position that the ring does not have, or flags that nobody defined: calls
 * may be too many or too few, and are right again with what the driver writes
 * next.
 */
TEST_F(packed_event, event_out_of_range_ok)
{
	struct rig *rig = self->rig;
	u16 num = rig->variant.num, i;
	const u16 bad[] = {
		num, num | 0x8000, 0x7fff, 0xffff, 2 * num, (2 * num) | 0x8000,
	};

	for (i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		u64 next = 2 * i + 1;

		packed_set_event(&rig->drv, bad[i / 2], i & 1 ? 3 : DESC);
		ASSERT_EQ(0, rig_cycle(rig, 1));
		ASSERT_LE(0, rig_call_needed(rig));
		packed_set_event(&rig->drv, pos_after(rig, next), DESC);
		ASSERT_EQ(0, rig_call_needed(rig));
		ASSERT_EQ(0, rig_cycle(rig, 1));
		ASSERT_EQ(1, rig_call_needed(rig));
	}
}

/* What stays in the event area of a ring that works costs a kick in two laps. */
TEST_F(packed_event, disarmed_kicks_once_in_two_laps)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, nr_kicks = 0, i;

	ASSERT_EQ(0, rig_arm(rig));
	for (i = 0; i < 20 * num; i++) {
		ASSERT_EQ(1, rig_offer(rig, 1));
		nr_kicks += rig->drv.ops->wants_kick(&rig->drv);
		ASSERT_EQ(0, rig_disarm(rig));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_poll(rig));
	}
	EXPECT_EQ(10, nr_kicks);
	ASSERT_EQ(0, rig_arm(rig));
	ASSERT_EQ(1, rig_offer(rig, 1));
	EXPECT_TRUE(rig->drv.ops->wants_kick(&rig->drv));
}

TEST_F(packed_event, first_after_start_calls)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	ASSERT_EQ(0, rig_reattach(rig, rig_base(rig)));
	packed_set_event(&rig->drv, pos_after(rig, 0), DESC);
	ASSERT_EQ(0, rig_cycle(rig, 1));
	EXPECT_EQ(1, rig_call_needed(rig));
}

/* In order, one descriptor stands for a batch with nothing to read (§2.8.8). */
TEST_F(packed_in_order, batch_is_one_descriptor_ok)
{
	struct rig *rig = self->rig;
	unsigned int i, nr = rig_min(rig->variant.num, VHX_BURST_MAX);
	struct vhx_used used[VHX_BURST_MAX];

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 2)));
	ASSERT_EQ(nr, rig_offer(rig, nr));
	ASSERT_EQ(nr, rig_fetch(rig, nr));
	for (i = 0; i < nr; i++)
		used[i] = rig_used(&rig->burst.used[i], 0);
	ASSERT_EQ(0, rig_complete(rig, used, nr));
	EXPECT_EQ(used[nr - 1].id, get(rig, 0).next);
	EXPECT_EQ(0, get(rig, 0).len);
	for (i = 1; i < nr; i++)
		ASSERT_EQ(used[i].id, get(rig, i).next);
	EXPECT_EQ(nr, rig_poll(rig));
}

/* Behind the batch is behind all its chains, over the end of the ring too. */
TEST_F(packed_in_order, batch_of_chains_is_one_descriptor_ok)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, at, len, nr;

	for (at = 0; at < 2 * rig_min(num, 8); at++) {
		struct vhx_used used[3] = { { .id = 0 } };
		u16 end;

		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, at)));
		for (nr = 0, len = 0; nr < 2; len += used[nr++].count) {
			used[nr].id = (u16)(0xa0 + nr);
			used[nr].count = (u16)(num > 3 ? 3 - nr : 2 - nr);
			put_chain(rig, len, used[nr].count, 9, used[nr].id);
		}
		end = pos_after(rig, len);
		for (nr = 2; nr; nr -= (u32)rig->burst.nr)
			ASSERT_LT(0, raw_fetch(rig, 64));
		ASSERT_EQ(0, rig->ring.ops->complete(&rig->ring, used, 2));
		EXPECT_EQ(0xa1, get(rig, 0).next);
		EXPECT_EQ(pos_after(rig, 0) >> 15 ? 0x8080 : 0,
			  get(rig, 0).flags);
		ASSERT_EQ(end | (u32)end << 16, rig_base(rig));
		put_chain(rig, len, 1, 9, 0xb0);
		ASSERT_EQ(1, raw_fetch(rig, 64));
		used[0] = rig_used(&rig->burst.used[0], 0);
		ASSERT_EQ(0, rig->ring.ops->complete(&rig->ring, used, 1));
		EXPECT_EQ(0xb0, get(rig, len).next);
		EXPECT_EQ(end >> 15 ? 0x8080 : 0, get(rig, len).flags);
	}
}

/* And of more than a burst, with one access. */
TEST_F(packed_in_order, long_batch_is_one_descriptor_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, 200), i;
	struct vhx_used used[200];
	u32 nr_access;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 100)));
	ASSERT_EQ(nr, rig_offer(rig, nr));
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(1, rig_fetch(rig, 1));
		used[i] = rig_used(&rig->burst.used[0], 0);
	}
	nr_access = rig->mem.nr_access;
	ASSERT_EQ(0, rig_complete(rig, used, nr));
	EXPECT_EQ(nr_access + 1, rig->mem.nr_access);
	EXPECT_EQ(used[nr - 1].id, get(rig, 0).next);
	for (i = 1; i < nr; i++)
		ASSERT_EQ(used[i].id, get(rig, i).next);
	EXPECT_EQ(nr, rig_poll(rig));
}

/* With something to read each has its own. */
TEST_F(packed_in_order, batch_with_lengths_is_written_whole_ok)
{
	struct rig *rig = self->rig;
	unsigned int i;
	struct vhx_used used[3];

	ASSERT_EQ(3, rig_offer(rig, 3));
	ASSERT_EQ(3, rig_fetch(rig, 3));
	for (i = 0; i < 3; i++)
		used[i] = rig_used(&rig->burst.used[i], i == 1 ? 7 : 0);
	ASSERT_EQ(0, rig_complete(rig, used, 3));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(used[i].id, get(rig, i).next);
		EXPECT_EQ(i == 1 ? 7 : 0, get(rig, i).len);
	}
	EXPECT_EQ(3, rig_poll(rig));
}

TEST_HARNESS_MAIN
