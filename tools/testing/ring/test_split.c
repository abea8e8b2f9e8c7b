// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the fields of a split ring mean, value by value.
 */
#include "fixture.h"

RIG_FIXTURE(split)
RIG_SPLIT_ALL_SIZES(split);

RIG_FIXTURE(split_in_order)
RIG_SPLIT_IN_ORDER(split_in_order, 4);
RIG_SPLIT_IN_ORDER(split_in_order, 256);

RIG_FIXTURE(split_flags)
RIG_ALL_SIZES_FLAGS(split_flags);

RIG_FIXTURE(split_event)
RIG_ALL_SIZES_EVENT(split_event);

TEST_F(split, start_clears_used_flags_ok)
{
	struct rig *rig = self->rig;

	split_set_used(&rig->drv, VRING_USED_F_NO_NOTIFY, 77);
	ASSERT_EQ(0, rig_reattach(rig, 77));
	EXPECT_EQ(0, split_used_flags(&rig->drv));
	EXPECT_EQ(77, split_used_idx(&rig->drv));
	/* And the engine knows: the next disarm writes again. */
	ASSERT_EQ(0, rig_disarm(rig));
	EXPECT_EQ(rig->variant.has_event_idx ? 0 : VRING_USED_F_NO_NOTIFY,
		  split_used_flags(&rig->drv));
}

TEST_F(split_flags, disarm_sets_the_flag_ok)
{
	struct rig *rig = self->rig;
	u32 nr_access;

	ASSERT_EQ(0, rig_disarm(rig));
	EXPECT_EQ(VRING_USED_F_NO_NOTIFY, split_used_flags(&rig->drv));
	nr_access = rig->mem.nr_access;
	ASSERT_EQ(0, rig_disarm(rig));
	EXPECT_EQ(nr_access, rig->mem.nr_access);
	ASSERT_EQ(0, rig_arm(rig));
	EXPECT_EQ(0, split_used_flags(&rig->drv));
	ASSERT_EQ(0, rig_arm(rig));
	EXPECT_EQ(0, split_used_flags(&rig->drv));
}

TEST_F(split_event, arm_writes_avail_event_ok)
{
	struct rig *rig = self->rig;
	unsigned int i;

	ASSERT_EQ(0, rig_restart(rig, 65530));
	for (i = 0; i < 12; i++) {
		ASSERT_EQ(0, rig_arm(rig));
		EXPECT_EQ((u16)(65530 + i), split_avail_event(&rig->drv));
		EXPECT_EQ(0, split_used_flags(&rig->drv));
		ASSERT_EQ(0, rig_cycle(rig, 1));
		ASSERT_EQ(0, rig_disarm(rig));
		EXPECT_EQ((u16)(65530 + i), split_avail_event(&rig->drv));
		EXPECT_EQ(0, split_used_flags(&rig->drv));
	}
}

/* Only bit 0 of the driver's flags means anything. */
TEST_F(split_flags, flags_decide_calls)
{
	struct rig *rig = self->rig;
	static const struct {
		u16 flags;
		int want;
	} truth[] = {
		{ 0, 1 }, { 1, 0 }, { 0xfffe, 1 }, { 0xffff, 0 }, { 0x100, 1 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(truth); i++) {
		split_set_avail_flags(&rig->drv, truth[i].flags);
		ASSERT_EQ(0, rig_cycle(rig, 1));
		EXPECT_EQ(truth[i].want, rig_call_needed(rig));
	}
}

TEST_F(split_event, flags_are_ignored_with_event_idx_calls)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	split_set_avail_flags(&rig->drv, VRING_AVAIL_F_NO_INTERRUPT);
	split_set_used_event(&rig->drv, 1);
	ASSERT_EQ(0, rig_cycle(rig, 1));
	EXPECT_EQ(1, rig_call_needed(rig));
}

/*
 * used_event against entries old … old + step - 1, one by one, at an offset
 * from the last entry signalled; at every place around the wrap.
 */
TEST_F(split_event, used_event_decides_calls)
{
	struct rig *rig = self->rig;
	unsigned int most = rig_min(rig->variant.num, 6), step;
	u32 base;
	int off;

	for (base = 65525; base < 65525 + 15; base++) {
		for (step = 1; step <= most; step++) {
			for (off = -3; off < (int)most + 3; off++) {
				u16 old = (u16)(base + 1);
				int want = off >= 0 && off < (int)step;

				ASSERT_EQ(0, rig_restart(rig, base & 0xffff));
				ASSERT_EQ(0, rig_cycle(rig, 1));
				ASSERT_EQ(1, rig_call_needed(rig));
				split_set_used_event(&rig->drv,
						     (u16)(old + off));
				ASSERT_EQ(0, rig_cycle(rig, step));
				ASSERT_EQ(want, rig_call_needed(rig));
				ASSERT_EQ(0, rig_call_needed(rig));
			}
		}
	}
}

/* Completes @nr buffers and looks at no event meanwhile. */
static int complete_many(struct rig *rig, unsigned int nr)
{
	unsigned int part;
	int err = 0;

	for (; nr && !err; nr -= part) {
		part = rig_min(nr, rig->variant.num);
		err = rig_cycle(rig, part);
	}
	return err;
}

/* The event that is farthest away was not passed by 65535 entries … */
TEST_F(split_event, used_event_after_65535_skips_call)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	split_set_used_event(&rig->drv, 0);
	ASSERT_EQ(0, complete_many(rig, 65535));
	EXPECT_EQ(0, rig_call_needed(rig));
}

/* … but by 65536, though the indexes are equal again, … */
TEST_F(split_event, used_event_after_65536_calls)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	split_set_used_event(&rig->drv, 0);
	ASSERT_EQ(0, complete_many(rig, 65536));
	EXPECT_EQ(1, rig_call_needed(rig));
	/* … and then the distance counts again. */
	ASSERT_EQ(0, rig_cycle(rig, 1));
	EXPECT_EQ(0, rig_call_needed(rig));
}

TEST_F(split_event, used_event_after_65537_calls)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	split_set_used_event(&rig->drv, 100);
	ASSERT_EQ(0, complete_many(rig, 65537));
	EXPECT_EQ(1, rig_call_needed(rig));
}

/* After start() nobody knows what was signalled: the first call is made. */
TEST_F(split_event, first_after_start_calls)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_LE(0, rig_call_needed(rig));
	ASSERT_EQ(0, rig_reattach(rig, rig_base(rig)));
	rig->drv.ops->disable_calls(&rig->drv);
	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	rig->drv.ops->disable_calls(&rig->drv);
	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(0, rig_call_needed(rig));
}

/* A call without EVENT_IDX's say-so is late for nobody: the next is right. */
TEST_F(split_event, used_event_after_call_on_empty_calls)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	rig->ring.calls_on_empty = true;
	split_set_used_event(&rig->drv, 2);
	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(1, rig_call_needed(rig));
	rig->ring.calls_on_empty = false;
	ASSERT_EQ(0, rig_cycle(rig, 1));
	EXPECT_EQ(1, rig_call_needed(rig));
}

/*
 * A driver that publishes a second ring's worth while the first one is out,
 * which is then handed back: more is available than the ring has entries.
 */
TEST_F(split, unfetch_on_top_of_full_ring_ok)
{
	struct rig *rig = self->rig;
	unsigned int num = rig_min(rig->variant.num, 64), left, i;
	struct rig_shape shape = { .nr_out = 1, .nr_direct = 1 };
	u32 base;
	int nr;

	for (base = 65530; base < 65530 + 16; base++) {
		ASSERT_EQ(0, rig_restart(rig, base & 0xffff));
		for (i = 0; i < num; i++)
			ASSERT_LE(0, rig_add(rig, shape));
		rig->drv.ops->publish(&rig->drv);
		ASSERT_EQ(num, rig_fetch(rig, VHX_BURST_MAX));
		split_set_avail_idx(&rig->drv, (u16)(base + 2 * num));
		ASSERT_EQ(1, rig_arm(rig));
		rig_unfetch(rig, 0);
		for (left = 2 * num; left; left -= (unsigned int)nr) {
			nr = rig->ring.ops->fetch(&rig->ring, &rig->burst,
						  VHX_BURST_MAX);
			ASSERT_LT(0, nr);
			ASSERT_GE(rig->variant.num, nr);
			ASSERT_GE(left, nr);
		}
	}
}

/* Byte for byte: id, len and index are in the ring's byte order. */
TEST_F(split, used_entry_layout_ok)
{
	struct rig *rig = self->rig;
	static const u8 le[] = { 0, 0, 1, 0, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12 };
	static const u8 be[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78 };
	struct vhx_used used = { .count = 1, .len = 0x12345678 };

	ASSERT_EQ(1, rig_offer(rig, 1));
	ASSERT_EQ(1, rig_fetch(rig, 1));
	ASSERT_EQ(0, rig_complete(rig, &used, 1));
	EXPECT_EQ(0, memcmp(rig->mem.area[VHX_DEVICE], rig->variant.is_le ? le : be, 12));
}

/* In order, one entry stands for a batch that has nothing to read (§2.7.9). */
TEST_F(split_in_order, batch_is_one_entry_ok)
{
	struct rig *rig = self->rig;
	unsigned int i, nr = rig_min(rig->variant.num, VHX_BURST_MAX);
	struct vhx_used used[VHX_BURST_MAX];
	u8 *ring = rig->mem.area[VHX_DEVICE] + 4;

	ASSERT_EQ(nr, rig_offer(rig, nr));
	ASSERT_EQ(nr, rig_fetch(rig, nr));
	for (i = 0; i < nr; i++)
		used[i] = rig_used(&rig->burst.used[i], 0);
	memset(ring, 0x77, 8u * nr);
	ASSERT_EQ(0, rig_complete(rig, used, nr));
	EXPECT_EQ(used[nr - 1].id, ring[0]);
	EXPECT_EQ(0, ring[4]);
	for (i = 8; i < 8u * nr; i++)
		ASSERT_EQ(0x77, ring[i]);
	EXPECT_EQ(nr, rig_poll(rig));
}

TEST_HARNESS_MAIN
