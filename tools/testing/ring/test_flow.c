// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Buffers go round: bursts, laps, hand-back, base.
 */
#include "fixture.h"

RIG_FIXTURE(flow)
RIG_ALL_SIZES(flow);

TEST_F(flow, empty_ring_ok)
{
	struct rig *rig = self->rig;

	EXPECT_EQ(0, rig_fetch(rig, 1));
	EXPECT_EQ(0, rig_fetch(rig, VHX_BURST_MAX));
	EXPECT_EQ(0, rig->burst.nr);
	EXPECT_EQ(0, rig->burst.nr_slots);
	EXPECT_EQ(0, rig_base(rig));
}

TEST_F(flow, single_ok)
{
	struct rig *rig = self->rig;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(1, rig_offer(rig, 1));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_fetch(rig, 1));
		rig->burst.nr = 1;
		ASSERT_EQ(0, rig_poll(rig));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_poll(rig));
	}
	EXPECT_EQ(rig_avail_after(rig, 5), (u16)rig_base(rig));
}

TEST_F(flow, every_burst_up_to_64_ok)
{
	struct rig *rig = self->rig;
	unsigned int most = rig_min(rig->variant.num, VHX_BURST_MAX), max;

	for (max = 1; max <= most; max++) {
		ASSERT_EQ(most, rig_offer(rig, most));
		while (rig->nr_fetched != rig->nr_offered) {
			ASSERT_EQ(rig_min(max, rig->nr_offered -
					  rig->nr_fetched),
				  rig_fetch(rig, max));
			ASSERT_EQ(0, rig_complete_burst(rig));
		}
		ASSERT_EQ(0, rig_fetch(rig, max));
		ASSERT_EQ(most, rig_poll(rig));
	}
}

/* The driver's index as last seen is used up before the next look at it. */
TEST_F(flow, later_buffers_come_next_ok)
{
	struct rig *rig = self->rig;
	unsigned int num = rig->variant.num, i;

	for (i = 0; i < 3 * num && i < 1000; i++) {
		ASSERT_EQ(1, rig_offer(rig, 1));
		if (i % 3 == 2)
			continue;
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_LE(0, rig_poll(rig));
		while (rig->nr_fetched != rig->nr_offered) {
			ASSERT_EQ(1, rig_fetch(rig, 1));
			ASSERT_EQ(0, rig_complete_burst(rig));
			ASSERT_LE(0, rig_poll(rig));
		}
		ASSERT_EQ(0, rig_fetch(rig, 1));
	}
}

TEST_F(flow, many_bursts_complete_in_one_call_ok)
{
	struct rig *rig = self->rig;
	unsigned int i, lap, num = rig_min(rig->variant.num, VHX_USED_MAX);
	struct vhx_used *used = calloc(num, sizeof(*used));
	int nr;

	ASSERT_EQ(0, rig_cycle(rig, 1));
	for (lap = 0; lap < 3; lap++) {
		ASSERT_EQ(num, rig_offer(rig, num));
		for (i = 0; i < num; i += (unsigned int)nr) {
			unsigned int k;

			nr = rig_fetch(rig, VHX_BURST_MAX);
			ASSERT_LT(0, nr);
			for (k = 0; k < (unsigned int)nr; k++)
				used[i + k] = rig_used(&rig->burst.used[k],
						       0x10000 + i + k);
		}
		ASSERT_EQ(0, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete(rig, used, num));
		ASSERT_EQ(num, rig_poll(rig));
	}
	free(used);
}

/* Ids and contents over several laps of the 16-bit indexes. */
TEST_F(flow, indexes_wrap_ok)
{
	struct rig *rig = self->rig;
	unsigned int most = rig_min(rig->variant.num, 100), nr;
	u64 seed = rig->variant.num;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
	while (rig->nr_polled < 2 * 65536 + 100) {
		nr = 1 + rig_random(&seed) % most;
		ASSERT_EQ(0, rig_cycle(rig, nr));
	}
	EXPECT_EQ(rig_avail_after(rig, rig->nr_polled), (u16)rig_base(rig));
}

TEST_F(flow, completion_out_of_order_ok)
{
	struct rig *rig = self->rig;
	unsigned int i, lap, nr = rig_min(rig->variant.num, VHX_BURST_MAX);
	struct vhx_used used[VHX_BURST_MAX];

	if (rig->variant.is_in_order)
		SKIP(return, "IN_ORDER was negotiated");
	for (lap = 0; lap < 4; lap++) {
		ASSERT_EQ(nr, rig_offer(rig, nr));
		ASSERT_EQ(nr, rig_fetch(rig, nr));
		for (i = 0; i < nr; i++)
			used[nr - 1 - i] = rig_used(&rig->burst.used[i], i);
		ASSERT_EQ(0, rig_complete(rig, used, nr));
		ASSERT_EQ(nr, rig_poll(rig));
	}
}

/* The driver sees all of one call, or nothing. */
TEST_F(flow, completion_is_published_once_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, VHX_BURST_MAX);

	ASSERT_EQ(nr, rig_offer(rig, nr));
	ASSERT_EQ(nr, rig_fetch(rig, nr));
	ASSERT_EQ(0, rig_poll(rig));
	ASSERT_EQ(0, rig_complete_burst(rig));
	ASSERT_EQ(nr, rig_poll(rig));
}

TEST_F(flow, unfetch_all_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, VHX_BURST_MAX), i;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
	for (i = 0; i < 3; i++) {
		u32 base = rig_base(rig);

		ASSERT_EQ(nr, rig_offer(rig, nr));
		ASSERT_EQ(nr, rig_fetch(rig, nr));
		rig_unfetch(rig, 0);
		ASSERT_EQ(base, rig_base(rig));
		ASSERT_EQ(1, rig_arm(rig));
		ASSERT_EQ(nr, rig_fetch(rig, nr));
		ASSERT_EQ(0, rig_fetch(rig, nr));
		rig->burst.nr = (u16)nr;
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(nr, rig_poll(rig));
	}
}

TEST_F(flow, unfetch_part_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, VHX_BURST_MAX), i;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(nr, rig_offer(rig, nr));
		ASSERT_EQ(nr, rig_fetch(rig, nr));
		rig_unfetch(rig, i);
		if (i)
			ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(nr - i, rig_fetch(rig, VHX_BURST_MAX));
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(nr, rig_poll(rig));
	}
}

/* What lies before the index is ours even when the driver adds nothing. */
TEST_F(flow, unfetch_of_several_bursts_ok)
{
	struct rig *rig = self->rig;
	unsigned int num = rig_min(rig->variant.num, 1000), i;
	u16 first;

	ASSERT_EQ(num, rig_offer(rig, num));
	ASSERT_LT(0, rig_fetch(rig, 1));
	first = vhx_burst_pos(&rig->ring, &rig->burst, 0);
	for (i = 1; i < num; i++)
		ASSERT_EQ(1, rig_fetch(rig, 1));
	vhx_ring_rewind(&rig->ring, first);
	rig->nr_fetched = 0;
	for (i = 0; i < num; i++) {
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
	}
	ASSERT_EQ(num, rig_poll(rig));
}

/* Stop and start between any two calls: both halves go on where they were. */
TEST_F(flow, base_round_trip_ok)
{
	struct rig *rig = self->rig;
	unsigned int num = rig->variant.num, i;
	u32 base;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
	for (i = 0; i < 12; i++) {
		ASSERT_LE(1, rig_offer(rig, num > 1 ? 2 : 1));
		ASSERT_EQ(1, rig_fetch(rig, 1));
		ASSERT_EQ(0, rig_complete_burst(rig));
		base = rig_base(rig);
		ASSERT_EQ(0, rig_reattach(rig, base));
		ASSERT_EQ(base, rig_base(rig));
		while (rig->nr_fetched != rig->nr_offered) {
			ASSERT_EQ(1, rig_fetch(rig, 1));
			ASSERT_EQ(0, rig_complete_burst(rig));
		}
		ASSERT_EQ(0, rig_fetch(rig, 1));
		ASSERT_LE(1, rig_poll(rig));
	}
}

/*
 * Chains may be out: the used index is that of the driver's memory, or, in
 * packed rings, the upper half of the base, which says something unless 0.
 */
TEST_F(flow, start_keeps_outstanding_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr = rig_min(rig->variant.num, VHX_BURST_MAX);
	u32 base = rig_base_before(rig, rig_is_packed(rig) ?
				   rig_period(rig) : 6);

	ASSERT_EQ(0, rig_restart(rig, base));
	ASSERT_EQ(nr, rig_offer(rig, nr));
	ASSERT_EQ(nr, rig_fetch(rig, nr));
	ASSERT_EQ(0, rig_reattach(rig, rig_base(rig)));
	ASSERT_EQ(rig_avail_after(rig, nr), (u16)rig_base(rig));
	ASSERT_EQ(0, rig_fetch(rig, nr));
	rig->burst.nr = (u16)nr;
	ASSERT_EQ(0, rig_complete_burst(rig));
	ASSERT_EQ(nr, rig_poll(rig));
}

RIG_FIXTURE(plain)
RIG_SPLIT_FLAGS(plain, 8);
RIG_SPLIT_EVENT(plain, 256);
RIG_SPLIT_IN_ORDER(plain, 256);
RIG_PACKED_FLAGS(plain, 7);
RIG_PACKED_EVENT(plain, 256);
RIG_PACKED_IN_ORDER(plain, 7);

/* Buffers of one piece, or what else is not plain, in a row. Return: how many. */
static unsigned int add_row(struct rig *rig, const struct rig_shape *shapes,
			    unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr && rig_add(rig, shapes[i]) >= 0; i++)
		;
	rig->drv.ops->publish(&rig->drv);
	return i;
}

/* Rings of another byte order than the host's have no plain buffers. */
static unsigned int plain_of(const struct rig *rig, unsigned int nr)
{
	return rig->variant.is_le ==
		(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) ? nr : 0;
}

#define OUT	{ .nr_out = 1, .nr_direct = 1 }
#define IN	{ .nr_in = 1, .nr_direct = 1 }

TEST_F(plain, run_goes_round_the_end_ok)
{
	const struct rig_shape shapes[] = { OUT, OUT, OUT, OUT, OUT };
	struct rig *rig = self->rig;
	unsigned int nr = ARRAY_SIZE(shapes), i;

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 2)));
	ASSERT_EQ(nr, add_row(rig, shapes, nr));
	ASSERT_EQ(nr, rig_fetch(rig, VHX_BURST_MAX));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(rig_avail_after(rig, i),
			  vhx_burst_pos(&rig->ring, &rig->burst, i));
		EXPECT_EQ(1, rig->burst.used[i].count);
		EXPECT_EQ(0, rig->burst.used[i].len);
	}
	for (; nr; nr--) {
		ASSERT_EQ(plain_of(rig, nr), rig->burst.nr_plain);
		if (nr > 1)
			rig_unfetch(rig, 1);
		ASSERT_EQ(0, rig_complete_burst(rig));
		ASSERT_EQ(1, rig_poll(rig));
		ASSERT_EQ(nr - 1, rig_fetch(rig, VHX_BURST_MAX));
	}
}

TEST_F(plain, run_ends_before_what_is_not_ok)
{
	static const struct rig_shape first[][2] = {
		{ OUT, OUT }, { IN, IN },
	};
	static const struct rig_shape others[] = {
		{ .nr_out = 2, .nr_direct = 2 },	/* a chain */
		{ .nr_in = 2, .nr_direct = 2 },
		{ .nr_out = 1 },			/* a table */
		{ .nr_in = 1 },
		{ .nr_out = 1, .nr_in = 1, .empty = 2, .nr_direct = 1 },
		OUT, IN,		/* one of them is of the other direction */
	};
	struct rig *rig = self->rig;
	unsigned int i, k, is_plain;

	for (k = 0; k < 2; k++)
		for (i = 0; i < ARRAY_SIZE(others); i++) {
			ASSERT_EQ(2, add_row(rig, first[k], 2));
			ASSERT_EQ(1, add_row(rig, &others[i], 1));
			ASSERT_EQ(1, add_row(rig, first[k], 1));
			is_plain = i == 5 + k;
			ASSERT_EQ(4, rig_fetch(rig, VHX_BURST_MAX));
			ASSERT_EQ(plain_of(rig, is_plain ? 4 : 2),
				  rig->burst.nr_plain);
			EXPECT_EQ(plain_of(rig, k), rig->burst.is_plain_in);
			ASSERT_EQ(0, rig_complete_burst(rig));
			ASSERT_EQ(4, rig_poll(rig));
		}
}

TEST_HARNESS_MAIN
