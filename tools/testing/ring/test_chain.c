// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Chains of every legal shape.
 */
#include "fixture.h"
#include "raw.h"

RIG_FIXTURE(chain)
RIG_ALL_SIZES(chain);

RIG_FIXTURE(chain_raw)
RIG_SPLIT_FROM_4(chain_raw);

RIG_FIXTURE(chain_long)
RIG_SPLIT_FROM_256(chain_long);
RIG_PACKED_FROM_256(chain_long);

/* One buffer goes round and leaves as many slots as there were. */
static int round_trip(struct rig *rig, struct rig_shape shape)
{
	int nr = rig_add(rig, shape);

	if (nr < 0)
		return nr;
	rig->drv.ops->publish(&rig->drv);
	nr = rig_fetch(rig, VHX_BURST_MAX);
	if (nr == 1)
		nr = rig_complete_burst(rig) ?: rig_poll(rig);
	return nr == 1 && rig->drv.nr_free == rig->variant.num ? 1 : -EBADMSG;
}

TEST_F(chain, direct_ok)
{
	struct rig *rig = self->rig;
	unsigned int most = rig_min(rig->variant.num, 40), nr, nr_out;

	for (nr = 1; nr <= most; nr++) {
		for (nr_out = 0; nr_out <= nr; nr_out++) {
			struct rig_shape shape = {
				.nr_out = (u16)nr_out,
				.nr_in = (u16)(nr - nr_out),
				.nr_direct = (u16)nr,
			};

			ASSERT_EQ(1, round_trip(rig, shape));
		}
	}
}

TEST_F(chain, indirect_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr, nr_out;

	for (nr = 1; nr <= 4 * VHX_WINDOW; nr++) {
		for (nr_out = 0; nr_out <= nr; nr_out++) {
			struct rig_shape shape = {
				.nr_out = (u16)nr_out,
				.nr_in = (u16)(nr - nr_out),
			};

			ASSERT_EQ(1, round_trip(rig, shape));
		}
	}
}

TEST_F(chain, direct_then_indirect_ok)
{
	struct rig *rig = self->rig;
	unsigned int most = rig_min(rig->variant.num, 12), direct, nr;

	for (direct = 0; direct < most; direct++) {
		for (nr = direct + 1; nr <= direct + 12; nr++) {
			struct rig_shape shape = {
				.nr_out = (u16)(nr / 2),
				.nr_in = (u16)(nr - nr / 2),
				.nr_direct = (u16)direct,
			};

			ASSERT_EQ(1, round_trip(rig, shape));
		}
	}
}

/* Empty slots are legal, at any place, and show nowhere. */
TEST_F(chain, zero_length_slots_advance_ok)
{
	struct rig *rig = self->rig;
	struct rig_shape shape = { .nr_out = 2, .nr_in = 2 };
	unsigned int direct, most = rig_min(rig->variant.num, 4);

	for (direct = 0; direct <= most; direct++) {
		if (direct < 4 && direct == rig->variant.num)
			continue;
		shape.nr_direct = (u16)direct;
		for (shape.empty = 0; shape.empty < 16; shape.empty++)
			ASSERT_EQ(1, round_trip(rig, shape));
	}
}

TEST_F(chain, single_zero_length_slot_ok)
{
	struct rig *rig = self->rig;
	struct rig_shape shape = { .nr_out = 1, .nr_direct = 1, .empty = 1 };

	ASSERT_EQ(1, round_trip(rig, shape));
	EXPECT_EQ(0, rig->burst.chain[0].nr_out);
	shape.nr_out = 0;
	shape.nr_in = 1;
	ASSERT_EQ(1, round_trip(rig, shape));
	EXPECT_EQ(0, rig->burst.chain[0].nr_in);
}

/* A full burst of mixed shapes, over and over, with slots in any order. */
TEST_F(chain, mixed_bursts_ok)
{
	struct rig *rig = self->rig;
	u64 seed = 7;
	int lap, nr;

	for (lap = 0; lap < 50; lap++) {
		for (;;) {
			u32 bits = rig_random(&seed);
			struct rig_shape shape = {
				.nr_out = 1 + (bits & 3),
				.nr_in = (bits >> 2 & 3),
				.empty = bits >> 8 & bits >> 20 & 0xff,
			};

			if (bits & 0x10)
				shape.nr_direct = (u16)(shape.nr_out +
							shape.nr_in);
			if (rig_add(rig, shape) < 0)
				break;
			if (rig->nr_offered - rig->nr_fetched >= 300)
				break;
		}
		rig->drv.ops->publish(&rig->drv);
		while (rig->nr_fetched != rig->nr_offered) {
			nr = rig_fetch(rig, VHX_BURST_MAX);
			ASSERT_LT(0, nr);
			ASSERT_EQ(0, rig_complete_burst(rig));
		}
		ASSERT_LE(0, rig_poll(rig));
	}
}

TEST_F(chain_raw, direct_backwards_ok)
{
	struct rig *rig = self->rig;
	static const u8 order[] = { 3, 1, 2, 0 };
	unsigned int i;

	for (i = 0; i < 4; i++)
		raw_desc(rig, order[i], 0x1000 * (i + 1), 100,
			 i < 3 ? F_NEXT : 0, i < 3 ? order[i + 1] : 0xffff);
	raw_offer(rig, 3);
	ASSERT_EQ(1, raw_fetch(rig, 1));
	EXPECT_TRUE(raw_is_filled(rig, 0, 4, 100));
	EXPECT_EQ(3, rig->burst.used[0].id);
}

/* Two chains whose slots alternate share the window, not the slots. */
TEST_F(chain_raw, interleaved_ok)
{
	struct rig *rig = self->rig;

	raw_desc(rig, 0, 0x1000, 100, F_NEXT, 2);
	raw_desc(rig, 2, 0x2000, 100, 0, 0);
	raw_desc(rig, 3, 0x1000, 200, F_NEXT | F_WRITE, 1);
	raw_desc(rig, 1, 0x2000, 200, F_WRITE, 0);
	raw_offer(rig, 0);
	raw_offer(rig, 3);
	ASSERT_EQ(2, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, 2, 100));
	EXPECT_TRUE(raw_is_filled(rig, 1, 2, 200));
	EXPECT_EQ(2, rig->burst.chain[1].nr_in);
}

/* The window must not be taken for what was in it in an earlier burst. */
TEST_F(chain_raw, slots_reused_in_next_burst_ok)
{
	struct rig *rig = self->rig;
	u32 i;

	for (i = 1; i < 9; i++) {
		raw_desc(rig, 0, 0x1000, i, F_NEXT, 1);
		raw_desc(rig, 1, 0x2000, i, F_NEXT, 2);
		raw_desc(rig, 2, 0x3000, i, 0, 0);
		raw_offer(rig, 0);
		ASSERT_EQ(1, raw_fetch(rig, 1));
		ASSERT_TRUE(raw_is_filled(rig, 0, 3, i));
	}
}

TEST_F(chain_raw, indirect_in_any_order_ok)
{
	struct rig *rig = self->rig;
	static const u16 order[] = {
		0, 5, 2, 7, 8, 1, 30, 31, 29, 16, 15, 17, 9, 40, 3, 39,
	};
	unsigned int i, nr = ARRAY_SIZE(order);
	u64 table = raw_table(rig, 41);

	for (i = 0; i < nr; i++)
		raw_entry(rig, table, order[i], 0x1000 * (i + 1), 50,
			  i + 1 < nr ? F_NEXT : 0,
			  i + 1 < nr ? order[i + 1] : 0xffff);
	raw_indirect(rig, 0, table, 41);
	raw_offer(rig, 0);
	ASSERT_EQ(1, raw_fetch(rig, 1));
	EXPECT_TRUE(raw_is_filled(rig, 0, nr, 50));
}

/* Every length, with no readable byte behind the table. */
TEST_F(chain_raw, indirect_at_the_end_of_memory_ok)
{
	struct rig *rig = self->rig;
	u32 nr;

	for (nr = 1; nr <= 5 * VHX_WINDOW; nr++) {
		u64 table = raw_table(rig, nr);

		raw_fill(rig, table, nr, nr, F_WRITE);
		raw_indirect(rig, 0, table, nr);
		raw_offer(rig, 0);
		ASSERT_EQ(1, raw_fetch(rig, 1));
		ASSERT_TRUE(raw_is_filled(rig, 0, nr, nr));
	}
}

/* Each step to each place, so that the window is entered at any point. */
TEST_F(chain_raw, indirect_window_edges_ok)
{
	struct rig *rig = self->rig;
	const u32 nr = 3 * VHX_WINDOW + 1;
	u64 table = raw_table(rig, nr);
	u32 a, b;

	for (a = 1; a < nr; a++) {
		for (b = 1; b < nr; b++) {
			if (a == b)
				continue;
			raw_entry(rig, table, 0, 0x1000, 9, F_NEXT, a);
			raw_entry(rig, table, a, 0x2000, 9, F_NEXT, b);
			raw_entry(rig, table, b, 0x3000, 9, 0, 0);
			raw_indirect(rig, 2, table, nr);
			raw_offer(rig, 2);
			ASSERT_EQ(1, raw_fetch(rig, 1));
			ASSERT_TRUE(raw_is_filled(rig, 0, 3, 9));
		}
	}
}

TEST_F(chain_raw, indirect_of_65536_entries_ok)
{
	struct rig *rig = self->rig;
	u64 table = rig_scratch(rig);

	raw_entry(rig, table, 0, 0x1000, 9, F_NEXT, 65535);
	raw_entry(rig, table, 65535, 0x2000, 9, F_NEXT, 32768);
	raw_entry(rig, table, 32768, 0x3000, 9, 0, 0);
	raw_indirect(rig, 2, table, 65536);
	raw_offer(rig, 2);
	ASSERT_EQ(1, raw_fetch(rig, 1));
	EXPECT_TRUE(raw_is_filled(rig, 0, 3, 9));
}

/* virtio 1.3 §2.7.5.3.2: the device ignores WRITE of the one that refers. */
TEST_F(chain_raw, indirect_with_write_flag_ok)
{
	struct rig *rig = self->rig;
	u64 table = raw_table(rig, 2);

	raw_fill(rig, table, 2, 9, 0);
	raw_desc(rig, 0, table, 32, F_INDIRECT | F_WRITE, 0);
	raw_offer(rig, 0);
	ASSERT_EQ(1, raw_fetch(rig, 1));
	EXPECT_TRUE(raw_is_filled(rig, 0, 2, 9));
	EXPECT_EQ(2, rig->burst.chain[0].nr_out);
}

/* `next` without NEXT means nothing. */
TEST_F(chain_raw, next_without_flag_is_ignored_ok)
{
	struct rig *rig = self->rig;
	u64 table = raw_table(rig, 1);

	raw_desc(rig, 0, 0x1000, 9, F_WRITE, 0xffff);
	raw_offer(rig, 0);
	raw_entry(rig, table, 0, 0x1000, 9, 0, 0xffff);
	raw_desc(rig, 1, table, 16, F_INDIRECT, 0xffff);
	raw_offer(rig, 1);
	ASSERT_EQ(2, raw_fetch(rig, 2));
	EXPECT_TRUE(raw_is_filled(rig, 0, 1, 9));
	EXPECT_TRUE(raw_is_filled(rig, 1, 1, 9));
}

TEST_F(chain_raw, top_of_the_address_space_ok)
{
	struct rig *rig = self->rig;

	raw_desc(rig, 0, ~0ull, 1, F_NEXT, 1);
	raw_desc(rig, 1, ~0ull - 0xffff, 0x10000, F_WRITE, 0);
	raw_offer(rig, 0);
	ASSERT_EQ(1, raw_fetch(rig, 1));
	EXPECT_EQ(1, rig->burst.chain[0].out_len);
	EXPECT_EQ(0x10000, rig->burst.chain[0].in_len);
	EXPECT_EQ(~0ull, rig->burst.chain[0].slot[0].addr);
}

TEST_F(chain_raw, longest_sums_ok)
{
	struct rig *rig = self->rig;

	raw_desc(rig, 0, 0x1000, 0xfffffffe, F_NEXT, 1);
	raw_desc(rig, 1, 0x1000, 1, F_NEXT, 2);
	raw_desc(rig, 2, 0x1000, 1, F_NEXT | F_WRITE, 3);
	raw_desc(rig, 3, 0x1000, 0xfffffffe, F_WRITE, 0);
	raw_offer(rig, 0);
	ASSERT_EQ(1, raw_fetch(rig, 1));
	EXPECT_EQ(0xffffffff, rig->burst.chain[0].out_len);
	EXPECT_EQ(0xffffffff, rig->burst.chain[0].in_len);
}

TEST_F(chain_raw, indirect_of_1024_slots_ok)
{
	struct rig *rig = self->rig;
	u64 table = raw_table(rig, VHX_SLOTS_MAX);

	raw_fill(rig, table, VHX_SLOTS_MAX, 3, 0);
	raw_indirect(rig, 0, table, VHX_SLOTS_MAX);
	raw_offer(rig, 0);
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, VHX_SLOTS_MAX, 3));
}

/* Empty slots take no room, but time: they use up the steps of a burst. */
TEST_F(chain_raw, empty_slots_use_up_the_burst_ok)
{
	struct rig *rig = self->rig;
	u64 table = raw_table(rig, VHX_SLOTS_MAX);
	u64 empty = rig_scratch(rig);

	raw_fill(rig, table, VHX_SLOTS_MAX, 3, 0);
	raw_indirect(rig, 0, table, VHX_SLOTS_MAX);
	raw_fill(rig, empty, VHX_SLOTS_MAX, 0, F_WRITE);
	raw_indirect(rig, 1, empty, VHX_SLOTS_MAX);
	raw_offer(rig, 1);
	raw_offer(rig, 0);
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, 0, 0));
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, VHX_SLOTS_MAX, 3));
}

/* What does not fit the rest of a burst ends it, and comes with the next. */
TEST_F(chain_raw, burst_without_room_ends_ok)
{
	struct rig *rig = self->rig;
	u64 first = rig_scratch(rig), second = raw_table(rig, 600);

	raw_fill(rig, first, 600, 3, 0);
	raw_fill(rig, second, 600, 5, F_WRITE);
	raw_indirect(rig, 0, first, 600);
	raw_indirect(rig, 1, second, 600);
	raw_offer(rig, 0);
	raw_offer(rig, 1);
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_EQ(600, rig->burst.nr_slots);
	EXPECT_TRUE(raw_is_filled(rig, 0, 600, 3));
	EXPECT_EQ(1, rig_base(rig));
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_EQ(600, rig->burst.nr_slots);
	EXPECT_TRUE(raw_is_filled(rig, 0, 600, 5));
	EXPECT_EQ(0, raw_fetch(rig, 64));
}

/* Head 0 leaves room for one slot in a burst, heads 1 and 2 are one each. */
static void nearly_fill_burst(struct rig *rig)
{
	u64 table = rig_scratch(rig);

	raw_fill(rig, table, VHX_SLOTS_MAX - 1, 3, 0);
	raw_indirect(rig, 0, table, VHX_SLOTS_MAX - 1);
	raw_desc(rig, 1, 0x1000, 5, F_WRITE, 0);
	raw_desc(rig, 2, 0x1000, 7, F_WRITE, 0);
}

/* Chains of one slot count like those of many. */
TEST_F(chain_raw, single_slots_fill_the_burst_ok)
{
	struct rig *rig = self->rig;

	nearly_fill_burst(rig);
	for (u32 i = 0; i < 3; i++)
		raw_offer(rig, i);
	ASSERT_EQ(2, raw_fetch(rig, 64));
	EXPECT_EQ(VHX_SLOTS_MAX, rig->burst.nr_slots);
	EXPECT_TRUE(raw_is_filled(rig, 1, 1, 5));
	EXPECT_EQ(2, rig_base(rig));
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, 1, 7));
}

/* And so do plain buffers, before chains. */
TEST_F(chain_raw, plain_buffers_use_up_the_burst_ok)
{
	struct rig *rig = self->rig;

	nearly_fill_burst(rig);
	raw_offer(rig, 1);
	raw_offer(rig, 0);
	ASSERT_EQ(2, raw_fetch(rig, 64));
	EXPECT_EQ(VHX_SLOTS_MAX, rig->burst.nr_slots);
	EXPECT_TRUE(raw_is_filled(rig, 1, VHX_SLOTS_MAX - 1, 3));
	raw_offer(rig, 1);
	raw_offer(rig, 2);
	raw_offer(rig, 0);
	ASSERT_EQ(2, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 1, 1, 7));
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, VHX_SLOTS_MAX - 1, 3));
}

/* 64 chains of 16 slots fill a burst to the last slot; of 17 they do not. */
TEST_F(chain_long, full_burst_ok)
{
	struct rig *rig = self->rig;
	struct rig_shape shape = { .nr_out = 8, .nr_in = 8 };
	int i;

	for (i = 0; i < 64; i++)
		ASSERT_LE(0, rig_add(rig, shape));
	rig->drv.ops->publish(&rig->drv);
	ASSERT_EQ(64, rig_fetch(rig, 64));
	EXPECT_EQ(VHX_SLOTS_MAX, rig->burst.nr_slots);
	ASSERT_EQ(0, rig_complete_burst(rig));
	ASSERT_EQ(64, rig_poll(rig));

	shape.nr_in = 9;
	for (i = 0; i < 64; i++)
		ASSERT_LE(0, rig_add(rig, shape));
	rig->drv.ops->publish(&rig->drv);
	ASSERT_EQ(60, rig_fetch(rig, 64));
	ASSERT_EQ(0, rig_complete_burst(rig));
	ASSERT_EQ(4, rig_fetch(rig, 64));
	ASSERT_EQ(0, rig_complete_burst(rig));
	ASSERT_EQ(64, rig_poll(rig));
}

/* As long as the ring, or as a burst. */
TEST_F(chain_long, direct_of_all_slots_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, VHX_SLOTS_MAX);
	struct rig_shape shape = {
		.nr_out = (u16)(nr / 2),
		.nr_in = (u16)(nr / 2),
		.nr_direct = (u16)nr,
	};

	ASSERT_EQ(1, round_trip(rig, shape));
	ASSERT_EQ(1, round_trip(rig, shape));
}

/* A table that is not known asks for those of the rest of the burst as well. */
TEST_F(chain_raw, missing_table_wants_the_others_ok)
{
	struct rig *rig = self->rig;
	u64 table = raw_table(rig, 1);
	unsigned int i;

	raw_fill(rig, table, 1, 77, 0);
	for (i = 0; i < 3; i++) {
		raw_indirect(rig, i, table, 1);
		raw_offer(rig, i);
	}
	/* after the index, the heads and the descriptors */
	rig->mem.fail_at = rig->mem.nr_access + 3;
	rig->mem.fail_err = -EAGAIN;
	EXPECT_EQ(-EAGAIN, raw_fetch(rig, 3));
	EXPECT_EQ(2, rig->mem.nr_wanted);
	rig->mem.fail_at = MEM_FAILS_NEVER;
	EXPECT_EQ(3, raw_fetch(rig, 3));
	EXPECT_EQ(2, rig->mem.nr_wanted);
}

TEST_HARNESS_MAIN
