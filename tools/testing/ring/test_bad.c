// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a driver must not do: each is refused, for its own reason, changes
 * nothing, and holds nothing up that came before it.
 */
#include "fixture.h"
#include "raw.h"

RIG_FIXTURE(bad)
RIG_SPLIT_FROM_4(bad);

/* For chains that no smaller ring can hold. */
RIG_FIXTURE(bad_long)
RIG_SPLIT_FLAGS(bad_long, 32768);
RIG_SPLIT_EVENT(bad_long, 32768);

/* Descriptor of the good buffer that goes before the bad one. */
#define GOOD	3

#define TOO_MANY	"too many"

static bool refuses(struct rig *rig, int err, const char *cause)
{
	u32 base = rig_base(rig);
	int got;

	rig->ring.cause = VHX_CAUSE_NONE;
	got = raw_fetch(rig, VHX_BURST_MAX);
	if (got == err && strstr(vhx_cause_text(rig->ring.cause), cause) &&
	    rig_base(rig) == base && !rig->burst.nr && !rig->burst.nr_slots)
		return true;
	fprintf(stderr, "# got %d, '%s' instead of %d, '%s'\n", got,
		vhx_cause_text(rig->ring.cause), err, cause);
	return false;
}

/*
 * A good buffer, then the bad one: the good one is delivered, the bad one
 * refused as often as one looks, and once repaired it is delivered.
 */
static bool refuses_after_good(struct rig *rig, u16 (*spoil)(struct rig *rig),
			       int err, const char *cause)
{
	u32 len = rig->mem.len[VHX_DEVICE];
	u8 *device = malloc(len);
	bool is_ok;
	u16 head;

	if (!device || rig_restart(rig, 65533))
		return false;
	raw_desc(rig, GOOD, 0x1000, 77, F_WRITE, 0);
	raw_offer(rig, GOOD);
	head = spoil(rig);
	raw_offer(rig, head);
	memcpy(device, rig->mem.area[VHX_DEVICE], len);

	is_ok = raw_fetch(rig, VHX_BURST_MAX) == 1 && rig->burst.nr == 1 &&
		rig->burst.nr_slots == 1 && raw_is_filled(rig, 0, 1, 77) &&
		rig->burst.used[0].id == GOOD &&
		rig_base(rig) == 65534 &&
		refuses(rig, err, cause) && refuses(rig, err, cause);

	raw_desc(rig, 0, 0x1000, 88, F_NEXT, 1);
	raw_desc(rig, 1, 0x2000, 88, F_WRITE, 0);
	rig->drv.added_pos--;
	raw_offer(rig, 0);
	is_ok = is_ok && raw_fetch(rig, VHX_BURST_MAX) == 1 &&
		rig->burst.nr == 1 && raw_is_filled(rig, 0, 2, 88) &&
		rig->burst.used[0].id == 0 && rig_base(rig) == 65535 &&
		raw_fetch(rig, VHX_BURST_MAX) == 0 &&
		!memcmp(device, rig->mem.area[VHX_DEVICE], len);
	free(device);
	return is_ok;
}

/* The body writes a bad chain to slots 0, 1 and 2 and returns its head. */
#define BAD_CHAIN_IN(area, name, err, cause)				\
static u16 name##_spoil(struct rig *rig);				\
TEST_F(area, name)							\
{									\
	struct rig *rig = self->rig;					\
									\
	EXPECT_TRUE(refuses_after_good(rig, name##_spoil, err, cause));	\
}									\
static u16 name##_spoil(struct rig *rig)

#define BAD_CHAIN(name, err, cause)	BAD_CHAIN_IN(bad, name, err, cause)

/* In a large ring a loop is too long before it is a loop for certain. */
#define LOOP_ERR	(rig->variant.num > VHX_SLOTS_MAX ? -ENOBUFS : -EINVAL)
#define LOOP_CAUSE	(rig->variant.num > VHX_SLOTS_MAX ? TOO_MANY : "loop")

BAD_CHAIN(head_is_num_einval, -EINVAL, "head")
{
	return rig->variant.num;
}

BAD_CHAIN(head_is_max_einval, -EINVAL, "head")
{
	(void)rig;
	return 65535;
}

BAD_CHAIN(next_is_num_einval, -EINVAL, "out of range")
{
	raw_desc(rig, 0, 0x1000, 9, F_NEXT, rig->variant.num);
	return 0;
}

BAD_CHAIN(next_is_max_einval, -EINVAL, "out of range")
{
	raw_desc(rig, 0, 0x1000, 9, F_NEXT, 1);
	raw_desc(rig, 1, 0x1000, 9, F_NEXT, 65535);
	return 0;
}

BAD_CHAIN(loop_to_itself_fails, LOOP_ERR, LOOP_CAUSE)
{
	raw_desc(rig, 0, 0x1000, 9, F_NEXT, 0);
	return 0;
}

BAD_CHAIN(loop_to_head_fails, LOOP_ERR, LOOP_CAUSE)
{
	raw_desc(rig, 0, 0x1000, 9, F_NEXT, 2);
	raw_desc(rig, 2, 0x1000, 9, F_NEXT, 1);
	raw_desc(rig, 1, 0x1000, 9, F_NEXT, 0);
	return 0;
}

BAD_CHAIN(loop_past_head_fails, LOOP_ERR, LOOP_CAUSE)
{
	raw_desc(rig, 2, 0x1000, 9, F_NEXT | F_WRITE, 1);
	raw_desc(rig, 1, 0x1000, 9, F_NEXT | F_WRITE, 0);
	raw_desc(rig, 0, 0x1000, 9, F_NEXT | F_WRITE, 1);
	return 2;
}

BAD_CHAIN(loop_of_zero_length_fails, LOOP_ERR, LOOP_CAUSE)
{
	raw_desc(rig, 0, 0x1000, 0, F_NEXT, 1);
	raw_desc(rig, 1, 0x1000, 0, F_NEXT, 0);
	return 0;
}

BAD_CHAIN(loop_in_table_einval, -EINVAL, "loop")
{
	u64 table = raw_table(rig, 20);

	raw_fill(rig, table, 20, 9, 0);
	raw_entry(rig, table, 19, 0x1000, 9, F_NEXT, 0);
	raw_indirect(rig, 0, table, 20);
	return 0;
}

/* No entry is looked at twice, not even the first one that comes again. */
BAD_CHAIN(loop_seen_before_second_look_einval, -EINVAL, "loop")
{
	u64 table = raw_table(rig, 2);

	raw_entry(rig, table, 0, 0x1000, 9, F_NEXT, 1);
	raw_entry(rig, table, 1, 0x1000, 9, F_NEXT | F_WRITE, 0);
	raw_indirect(rig, 0, table, 2);
	return 0;
}

BAD_CHAIN(loop_in_table_of_one_einval, -EINVAL, "loop")
{
	u64 table = raw_table(rig, 1);

	raw_entry(rig, table, 0, 0x1000, 0, F_NEXT, 0);
	raw_indirect(rig, 0, table, 1);
	return 0;
}

BAD_CHAIN(loop_in_long_table_enobufs, -ENOBUFS, TOO_MANY)
{
	u64 table = rig_scratch(rig);

	raw_entry(rig, table, 0, 0x1000, 0, F_NEXT, 60000);
	raw_entry(rig, table, 60000, 0x1000, 0, F_NEXT, 0);
	raw_indirect(rig, 0, table, 65536);
	return 0;
}

BAD_CHAIN(readable_after_writable_einval, -EINVAL, "readable")
{
	raw_desc(rig, 0, 0x1000, 9, F_NEXT | F_WRITE, 1);
	raw_desc(rig, 1, 0x1000, 9, 0, 0);
	return 0;
}

BAD_CHAIN(readable_after_writable_in_table_einval, -EINVAL, "readable")
{
	u64 table = raw_table(rig, 3);

	raw_entry(rig, table, 0, 0x1000, 9, F_NEXT, 1);
	raw_entry(rig, table, 1, 0x1000, 9, F_NEXT | F_WRITE, 2);
	raw_entry(rig, table, 2, 0x1000, 9, 0, 0);
	raw_indirect(rig, 0, table, 3);
	return 0;
}

BAD_CHAIN(readable_in_table_after_writable_einval, -EINVAL, "readable")
{
	u64 table = raw_table(rig, 1);

	raw_entry(rig, table, 0, 0x1000, 9, 0, 0);
	raw_desc(rig, 0, 0x1000, 9, F_NEXT | F_WRITE, 1);
	raw_indirect(rig, 1, table, 1);
	return 0;
}

BAD_CHAIN(address_wraps_einval, -EINVAL, "address wraps")
{
	raw_desc(rig, 0, ~0ull, 2, 0, 0);
	return 0;
}

BAD_CHAIN(address_wraps_far_einval, -EINVAL, "address wraps")
{
	raw_desc(rig, 0, 0x1000, 9, F_NEXT, 1);
	raw_desc(rig, 1, 0xffffffff00000002ull, 0xffffffff, F_WRITE, 0);
	return 0;
}

BAD_CHAIN(address_wraps_in_table_einval, -EINVAL, "address wraps")
{
	u64 table = raw_table(rig, 1);

	raw_entry(rig, table, 0, ~0ull - 7, 9, 0, 0);
	raw_indirect(rig, 0, table, 1);
	return 0;
}

/* To exactly 2^32, which would read as nothing. */
BAD_CHAIN(readable_sum_overflows_einval, -EINVAL, "4 GiB")
{
	raw_desc(rig, 0, 0x1000, 0xffffffff, F_NEXT, 1);
	raw_desc(rig, 1, 0x1000, 1, 0, 0);
	return 0;
}

BAD_CHAIN(writable_sum_overflows_einval, -EINVAL, "4 GiB")
{
	raw_desc(rig, 0, 0x1000, 9, F_NEXT, 1);
	raw_desc(rig, 1, 0x1000, 0x80000000, F_NEXT | F_WRITE, 2);
	raw_desc(rig, 2, 0x1000, 0x80000001, F_WRITE, 0);
	return 0;
}

BAD_CHAIN(sum_over_table_overflows_einval, -EINVAL, "4 GiB")
{
	u64 table = raw_table(rig, 2);

	raw_desc(rig, 0, 0x1000, 0x80000000, F_NEXT, 1);
	raw_indirect(rig, 1, table, 2);
	raw_entry(rig, table, 0, 0x1000, 0x7fffffff, F_NEXT, 1);
	raw_entry(rig, table, 1, 0x1000, 1, 0, 0);
	return 0;
}

BAD_CHAIN(table_in_table_einval, -EINVAL, "in an indirect table")
{
	u64 table = raw_table(rig, 2), inner = raw_table(rig, 3);

	raw_entry(rig, inner, 0, 0x1000, 9, 0, 0);
	raw_entry(rig, table, 0, 0x1000, 9, F_NEXT, 1);
	raw_entry(rig, table, 1, inner, 16, F_INDIRECT, 0);
	raw_indirect(rig, 0, table, 2);
	return 0;
}

BAD_CHAIN(table_first_in_itself_einval, -EINVAL, "in an indirect table")
{
	u64 table = raw_table(rig, 1);

	raw_entry(rig, table, 0, table, 16, F_INDIRECT, 0);
	raw_indirect(rig, 0, table, 1);
	return 0;
}

BAD_CHAIN(table_with_next_einval, -EINVAL, "with a next")
{
	u64 table = raw_table(rig, 1);

	raw_entry(rig, table, 0, 0x1000, 9, 0, 0);
	raw_desc(rig, 0, table, 16, F_INDIRECT | F_NEXT, 1);
	raw_desc(rig, 1, 0x1000, 9, F_WRITE, 0);
	return 0;
}

BAD_CHAIN(table_of_17_bytes_einval, -EINVAL, "multiple")
{
	u64 table = raw_table(rig, 2);

	raw_fill(rig, table, 2, 9, 0);
	raw_desc(rig, 0, table, 17, F_INDIRECT, 0);
	return 0;
}

BAD_CHAIN(table_of_15_bytes_einval, -EINVAL, "multiple")
{
	raw_desc(rig, 0, raw_table(rig, 1), 15, F_INDIRECT, 0);
	return 0;
}

BAD_CHAIN(table_of_no_bytes_einval, -EINVAL, "multiple")
{
	raw_desc(rig, 0, raw_table(rig, 1), 0, F_INDIRECT, 0);
	return 0;
}

BAD_CHAIN(table_of_65537_entries_einval, -EINVAL, "too long")
{
	u64 table = rig_scratch(rig);

	raw_entry(rig, table, 0, 0x1000, 9, 0, 0);
	raw_indirect(rig, 0, table, 65537);
	return 0;
}

BAD_CHAIN(table_of_4_gib_einval, -EINVAL, "too long")
{
	u64 table = rig_scratch(rig);

	raw_entry(rig, table, 0, 0x1000, 9, 0, 0);
	raw_desc(rig, 0, table, 0xfffffff0, F_INDIRECT, 0);
	return 0;
}

BAD_CHAIN(table_address_wraps_einval, -EINVAL, "table address")
{
	raw_indirect(rig, 0, ~0ull - 14, 1);
	return 0;
}

BAD_CHAIN(table_next_is_its_length_einval, -EINVAL, "out of range")
{
	u64 table = raw_table(rig, 3);

	raw_fill(rig, table, 3, 9, 0);
	raw_entry(rig, table, 1, 0x1000, 9, F_NEXT, 3);
	raw_indirect(rig, 0, table, 3);
	return 0;
}

BAD_CHAIN(table_next_is_max_einval, -EINVAL, "out of range")
{
	u64 table = raw_table(rig, 1);

	raw_entry(rig, table, 0, 0x1000, 9, F_NEXT, 65535);
	raw_indirect(rig, 0, table, 1);
	return 0;
}

BAD_CHAIN(table_not_mapped_efault, -EFAULT, "table not readable")
{
	raw_indirect(rig, 0, 0x1000, 1);
	return 0;
}

BAD_CHAIN(table_ends_behind_memory_efault, -EFAULT, "table not readable")
{
	u64 table = raw_table(rig, VHX_WINDOW);

	raw_fill(rig, table, VHX_WINDOW, 9, 0);
	raw_entry(rig, table, VHX_WINDOW - 1, 0x1000, 9, F_NEXT, VHX_WINDOW);
	raw_indirect(rig, 0, table, VHX_WINDOW + 1);
	return 0;
}

BAD_CHAIN(table_of_1025_slots_enobufs, -ENOBUFS, TOO_MANY)
{
	u64 table = raw_table(rig, VHX_SLOTS_MAX + 1);

	raw_fill(rig, table, VHX_SLOTS_MAX + 1, 9, F_WRITE);
	raw_indirect(rig, 0, table, VHX_SLOTS_MAX + 1);
	return 0;
}

BAD_CHAIN(table_of_1025_empty_slots_enobufs, -ENOBUFS, TOO_MANY)
{
	u64 table = raw_table(rig, VHX_SLOTS_MAX + 1);

	raw_fill(rig, table, VHX_SLOTS_MAX + 1, 0, F_WRITE);
	raw_indirect(rig, 0, table, VHX_SLOTS_MAX + 1);
	return 0;
}

BAD_CHAIN(one_direct_and_1024_in_table_enobufs, -ENOBUFS, TOO_MANY)
{
	u64 table = raw_table(rig, VHX_SLOTS_MAX);

	raw_fill(rig, table, VHX_SLOTS_MAX, 9, F_WRITE);
	raw_desc(rig, 0, 0x1000, 9, F_NEXT, 1);
	raw_indirect(rig, 1, table, VHX_SLOTS_MAX);
	return 0;
}

static u16 long_direct(struct rig *rig, u32 len)
{
	u32 i, first = GOOD + 1;

	for (i = first; i < first + VHX_SLOTS_MAX; i++)
		raw_desc(rig, i, 0x1000, len, F_NEXT, i + 1);
	raw_desc(rig, i, 0x1000, len, 0, 0);
	return (u16)first;
}

BAD_CHAIN_IN(bad_long, direct_of_1025_slots_enobufs, -ENOBUFS, TOO_MANY)
{
	return long_direct(rig, 9);
}

BAD_CHAIN_IN(bad_long, direct_of_1025_empty_slots_enobufs, -ENOBUFS, TOO_MANY)
{
	return long_direct(rig, 0);
}

/* Nor is a slot of the ring looked at twice, when the loop is all of it. */
TEST_F(bad, loop_over_the_ring_fails)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, i;

	for (i = 0; i < num; i++)
		raw_desc(rig, i, 0x1000, 9,
			 F_NEXT | (i + 1 < num ? 0 : F_WRITE), (i + 1) % num);
	raw_offer(rig, 0);
	EXPECT_TRUE(refuses(rig, LOOP_ERR, LOOP_CAUSE));
}

/* The index, rather than a chain, is wrong: seen at whatever looks at it. */
TEST_F(bad, index_jumps_einval)
{
	struct rig *rig = self->rig;
	u16 num = rig->variant.num;
	const u16 jump[] = {
		(u16)(num + 1), (u16)(num + 2), 40000, 65535,
	};
	unsigned int i;

	raw_desc(rig, 0, 0x1000, 9, 0, 0);
	for (i = 0; i < ARRAY_SIZE(jump); i++) {
		ASSERT_EQ(0, rig_restart(rig, 65530));
		split_set_avail_idx(&rig->drv, (u16)(65530 + jump[i]));
		ASSERT_TRUE(refuses(rig, -EINVAL, "jumped"));
		ASSERT_TRUE(refuses(rig, -EINVAL, "jumped"));
		EXPECT_EQ(-EINVAL, rig_arm(rig));
		rig->ring.calls_on_empty = true;
		EXPECT_EQ(-EINVAL, rig_call_needed(rig));
		split_set_avail_idx(&rig->drv, (u16)(65530 + num));
		ASSERT_EQ(rig_min(num, 64), raw_fetch(rig, 64));
	}
}

TEST_F(bad, index_goes_back_einval)
{
	struct rig *rig = self->rig;

	ASSERT_EQ(0, rig_cycle(rig, 3));
	split_set_avail_idx(&rig->drv, 2);
	EXPECT_TRUE(refuses(rig, -EINVAL, "jumped"));
	split_set_avail_idx(&rig->drv, 3);
	EXPECT_EQ(0, raw_fetch(rig, 64));
}

TEST_F(bad, index_a_whole_ring_ahead_ok)
{
	struct rig *rig = self->rig;
	unsigned int num = rig->variant.num;

	ASSERT_EQ(0, rig_restart(rig, 65530));
	ASSERT_EQ(num, rig_offer(rig, num));
	ASSERT_EQ(rig_min(num, 64), rig_fetch(rig, 64));
}

/* Nothing is refused before its turn, even with as many good ones as fit. */
TEST_F(bad, last_of_burst_comes_after_good_ones_einval)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, 64) - 1, i;

	for (i = 0; i < nr; i++) {
		raw_desc(rig, i, 0x1000, 9, 0, 0);
		raw_offer(rig, i);
	}
	raw_offer(rig, rig->variant.num);
	ASSERT_EQ(nr, raw_fetch(rig, 64));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(i, rig->burst.used[i].id);
		EXPECT_TRUE(raw_is_filled(rig, i, 1, 9));
	}
	EXPECT_TRUE(refuses(rig, -EINVAL, "head"));
}

/* The same buffer twice is the driver's own loss. */
TEST_F(bad, head_offered_twice_ok)
{
	struct rig *rig = self->rig;

	raw_desc(rig, 0, 0x1000, 9, F_NEXT, 1);
	raw_desc(rig, 1, 0x2000, 9, 0, 0);
	raw_offer(rig, 0);
	raw_offer(rig, 0);
	ASSERT_EQ(2, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, 2, 9));
	EXPECT_TRUE(raw_is_filled(rig, 1, 2, 9));
}

TEST_HARNESS_MAIN
