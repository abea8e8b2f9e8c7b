// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Chains of packed rings: those of every legal shape that split rings do not
 * have, and those that a driver must not make. Each of these is refused, for
 * its own reason, and holds nothing up that came before it.
 */
#include "fixture.h"
#include "raw_packed.h"

RIG_FIXTURE(packed_chain)
RIG_PACKED_FLAGS(packed_chain, 5);
RIG_PACKED_EVENT(packed_chain, 256);
RIG_PACKED_IN_ORDER(packed_chain, 32768);

/* Rings that a whole burst of descriptors does not fill. */
RIG_FIXTURE(packed_small)
RIG_PACKED_FLAGS(packed_small, 1);
RIG_PACKED_EVENT(packed_small, 2);
RIG_PACKED_FLAGS(packed_small, 7);
RIG_PACKED_EVENT(packed_small, 256);

/* The first that is not available ends the burst, whatever stands behind. */
TEST_F(packed_chain, gap_ends_the_burst_ok)
{
	struct rig *rig = self->rig;
	unsigned int gap, i, num = rig_min(rig->variant.num, 100);

	for (gap = 0; gap < rig_min(num, VHX_BURST_MAX); gap++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, gap)));
		for (i = 0; i < num; i++)
			if (i != gap)
				put_chain(rig, i, 1, 9, (u16)i);
		ASSERT_EQ(gap, raw_fetch(rig, 64));
		for (i = 0; i < gap; i++)
			ASSERT_EQ(i, rig->burst.used[i].id);
	}
}

/* A burst is so many chains, whatever they are made of. */
TEST_F(packed_chain, burst_of_long_chains_is_full_ok)
{
	struct rig *rig = self->rig;
	struct rig_shape shape = { .nr_out = 1, .nr_in = 1, .nr_direct = 2 };
	unsigned int i, nr = rig_min(rig->variant.num / 2, 32);

	for (i = 0; i < nr; i++)
		ASSERT_LE(0, rig_add(rig, shape));
	rig->drv.ops->publish(&rig->drv);
	ASSERT_EQ(nr, rig_fetch(rig, nr));
	ASSERT_EQ(0, rig_complete_burst(rig));
	ASSERT_EQ(nr, rig_poll(rig));
}

/* Entry @i of a table, with what has no meaning there all set. */
static void put_entry(struct rig *rig, u64 table, u32 i, u32 len, u16 flags)
{
	packed_set_entry(&rig->drv, table, i, &(struct vhx_slot){
		.addr = 0x1000 * (i + 1ull), .len = len, .flags = flags,
		.next = 0x7777 });
}

/* All entries belong to the chain, in a row; no flag but WRITE counts. */
TEST_F(packed_chain, table_flags_are_ignored_ok)
{
	struct rig *rig = self->rig;
	static const u16 flags[] = {
		0, F_NEXT, F_INDIRECT, F_NEXT | F_INDIRECT, 0x8080,
		(u16)~F_WRITE,
	};
	u64 table = raw_table(rig, 20);
	u32 i, k;

	for (k = 0; k < ARRAY_SIZE(flags); k++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 1)));
		for (i = 0; i < 20; i++)
			put_entry(rig, table, i, 9,
				  flags[k] | (i > 12 ? F_WRITE : 0));
		put_table(rig, 0, table, 20 * 16, 0xabcd);
		put_chain(rig, 1, 1, 5, 0x1234);
		ASSERT_EQ(2, raw_fetch(rig, 64));
		ASSERT_TRUE(raw_is_filled(rig, 0, 20, 9));
		EXPECT_EQ(13, rig->burst.chain[0].nr_out);
		EXPECT_EQ(0xabcd, rig->burst.used[0].id);
		EXPECT_EQ(1, rig->burst.used[0].count);
		EXPECT_TRUE(raw_is_filled(rig, 1, 1, 5));
		EXPECT_EQ(0x1234, rig->burst.used[1].id);
	}
}

/* Every length, with no readable byte behind the table. */
TEST_F(packed_chain, table_at_the_end_of_memory_ok)
{
	struct rig *rig = self->rig;
	u32 nr, i;

	for (nr = 1; nr <= 5 * VHX_WINDOW; nr++) {
		u64 table = raw_table(rig, nr);
		struct vhx_used used;

		for (i = 0; i < nr; i++)
			put_entry(rig, table, i, nr, F_WRITE);
		/* WRITE of the one that refers is ignored (§2.8.7). */
		put(rig, nr - 1, (struct vhx_slot){
			.addr = table, .len = nr * 16, .next = 3,
			.flags = F_INDIRECT | (nr & 1 ? F_WRITE : 0) });
		ASSERT_EQ(1, raw_fetch(rig, 1));
		ASSERT_TRUE(raw_is_filled(rig, 0, nr, nr));
		used = rig_used(&rig->burst.used[0], 0);
		ASSERT_EQ(0, rig->ring.ops->complete(&rig->ring, &used, 1));
	}
}

TEST_F(packed_small, chain_of_the_whole_ring_ok)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, at;

	for (at = 1; at <= rig_min(2 * num, 20); at++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, at)));
		put_chain(rig, 0, num, 9, 0xabcd);
		ASSERT_EQ(1, raw_fetch(rig, 64));
		ASSERT_TRUE(raw_is_filled(rig, 0, num, 9));
		ASSERT_EQ(num, rig->burst.used[0].count);
		ASSERT_EQ(0, raw_fetch(rig, 64));
	}
}

TEST_F(packed_small, chain_longer_than_the_ring_einval)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, i;

	for (i = num; i--; )
		put(rig, i, (struct vhx_slot){
			.addr = 0x1000, .len = 9, .flags = F_NEXT });
	EXPECT_TRUE(refuses(rig, -EINVAL, "loop"));
	EXPECT_TRUE(refuses(rig, -EINVAL, "loop"));
}

/* A chain whose end is a descriptor that is out already. */
TEST_F(packed_small, chain_into_what_is_out_einval)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, out, i;

	for (out = 1; out < rig_min(num, 20); out++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 1)));
		for (i = 0; i < out; i++)
			put_chain(rig, i, 1, 9, (u16)i);
		ASSERT_EQ(out, raw_fetch(rig, 64));
		/* One too many, then just as many as there are. */
		for (i = num; i-- > out; )
			put(rig, i, (struct vhx_slot){
				.addr = 0x1000, .len = 9, .flags = F_NEXT });
		ASSERT_TRUE(refuses(rig, -EINVAL, "more descriptors"));
		put_chain(rig, out, num - out, 9, 0xabcd);
		ASSERT_EQ(1, raw_fetch(rig, 64));
		ASSERT_EQ(num - out, rig->burst.used[0].count);
	}
}

/* So within one burst: what is fetched first is out for what follows. */
TEST_F(packed_small, chain_into_its_own_burst_einval)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, i;

	if (num == 1 || num > VHX_BURST_MAX)
		SKIP(return, "no burst goes round this ring");
	put(rig, num - 1, (struct vhx_slot){
		.addr = 0x1000, .len = 9, .flags = F_NEXT });
	for (i = num - 1; i--; )
		put_chain(rig, i, 1, 9, (u16)i);
	ASSERT_EQ(num - 1, raw_fetch(rig, 64));
	EXPECT_EQ(num - 1, rig->burst.nr_slots);
	EXPECT_TRUE(refuses(rig, -EINVAL, "more descriptors"));
}

/* A full ring that claims to be available once more. */
TEST_F(packed_small, full_ring_again_einval)
{
	struct rig *rig = self->rig;
	u32 num = rig->variant.num, got, i;

	for (i = num; i--; )
		put_chain(rig, i, 1, 9, (u16)i);
	for (got = 0; got < num; got += (u32)rig->burst.nr)
		ASSERT_LT(0, raw_fetch(rig, 64));
	ASSERT_EQ(0, raw_fetch(rig, 64));
	put_chain(rig, num, 1, 9, 0);
	EXPECT_TRUE(refuses(rig, -EINVAL, "more descriptors"));
}

/*
 * A good buffer, then the bad one: the good one is delivered, the bad one
 * refused as often as one looks, and once repaired it is delivered.
 */
static bool refuses_after_good(struct rig *rig, void (*spoil)(struct rig *rig),
			       int err, const char *cause)
{
	if (rig_restart(rig, rig_base_before(rig, 2)))
		return false;
	spoil(rig);
	put_chain(rig, 0, 1, 77, 0x1111);
	if (raw_fetch(rig, 64) != 1 || !raw_is_filled(rig, 0, 1, 77) ||
	    rig->burst.nr_slots != 1 || rig->burst.used[0].id != 0x1111 ||
	    !refuses(rig, err, cause) || !refuses(rig, err, cause))
		return false;
	put_chain(rig, 1, 2, 88, 0x2222);
	return raw_fetch(rig, 64) == 1 && raw_is_filled(rig, 0, 2, 88) &&
		rig->burst.used[0].id == 0x2222 && !raw_fetch(rig, 64);
}

/* The body writes a bad chain to descriptors 1, 2 and 3 after the start. */
#define BAD_CHAIN(name, err, cause)					\
static void name##_spoil(struct rig *rig);				\
TEST_F(packed_chain, name)						\
{									\
	struct rig *rig = self->rig;					\
									\
	EXPECT_TRUE(refuses_after_good(rig, name##_spoil, err, cause));	\
}									\
static void name##_spoil(struct rig *rig)

BAD_CHAIN(table_behind_a_descriptor_einval, -EINVAL, "in a chain")
{
	put_table(rig, 2, rig_scratch(rig), 16, 0);
	put(rig, 1, (struct vhx_slot){
		.addr = 0x1000, .len = 9, .flags = F_NEXT });
}

BAD_CHAIN(table_with_next_einval, -EINVAL, "with a next")
{
	put_chain(rig, 2, 1, 9, 0);
	put(rig, 1, (struct vhx_slot){
		.addr = rig_scratch(rig), .len = 16,
		.flags = F_INDIRECT | F_NEXT });
}

BAD_CHAIN(table_of_17_bytes_einval, -EINVAL, "multiple")
{
	put_table(rig, 1, rig_scratch(rig), 17, 0);
}

BAD_CHAIN(table_of_no_bytes_einval, -EINVAL, "multiple")
{
	put_table(rig, 1, rig_scratch(rig), 0, 0);
}

BAD_CHAIN(table_of_65537_entries_einval, -EINVAL, "too long")
{
	put_table(rig, 1, rig_scratch(rig), 65537 * 16, 0);
}

BAD_CHAIN(table_not_mapped_efault, -EFAULT, "table not readable")
{
	put_table(rig, 1, 0x1000, 16, 0);
}

BAD_CHAIN(table_of_1025_entries_enobufs, -ENOBUFS, "too many")
{
	u32 i;

	for (i = 0; i < VHX_SLOTS_MAX + 1; i++)
		put_entry(rig, rig_scratch(rig), i, 9, 0);
	put_table(rig, 1, rig_scratch(rig), (VHX_SLOTS_MAX + 1) * 16, 0);
}

BAD_CHAIN(readable_in_table_after_writable_einval, -EINVAL, "readable")
{
	put_entry(rig, rig_scratch(rig), 0, 9, F_WRITE);
	put_entry(rig, rig_scratch(rig), 1, 9, 0);
	put_table(rig, 1, rig_scratch(rig), 32, 0);
}

BAD_CHAIN(readable_after_writable_einval, -EINVAL, "readable")
{
	put_chain(rig, 2, 1, 9, 0);
	put(rig, 1, (struct vhx_slot){
		.addr = 0x1000, .len = 9, .flags = F_NEXT | F_WRITE });
}

BAD_CHAIN(address_wraps_einval, -EINVAL, "address wraps")
{
	put(rig, 1, (struct vhx_slot){ .addr = ~0ull, .len = 2 });
}

BAD_CHAIN(sum_overflows_einval, -EINVAL, "4 GiB")
{
	put_chain(rig, 2, 1, 1, 0);
	put(rig, 1, (struct vhx_slot){
		.addr = 0x1000, .len = 0xffffffff, .flags = F_NEXT });
}

/* A table that is not known asks for those of the rest of the burst as well. */
TEST_F(packed_chain, missing_table_wants_the_others_ok)
{
	struct rig *rig = self->rig;
	unsigned int i;

	put_entry(rig, rig_scratch(rig), 0, 77, 0);
	for (i = 0; i < 3; i++)
		put_table(rig, i, rig_scratch(rig), 16, (u16)i);
	/* after the descriptors */
	rig->mem.fail_at = rig->mem.nr_access + 1;
	rig->mem.fail_err = -EAGAIN;
	EXPECT_EQ(-EAGAIN, raw_fetch(rig, 3));
	EXPECT_EQ(2, rig->mem.nr_wanted);
	rig->mem.fail_at = MEM_FAILS_NEVER;
	EXPECT_EQ(3, raw_fetch(rig, 3));
	EXPECT_EQ(2, rig->mem.nr_wanted);
}

struct late_change {
	struct rig *rig;
	void (*change)(struct rig *rig);
};

/* Between the look at the flags and that at the whole. */
static void change_late(struct vhx_mem *mem, const struct mem_access *access)
{
	const struct late_change *late = mem->arg;

	if (access->area == VHX_DESC && access->len == 2) {
		mem->on_access = NULL;
		late->change(late->rig);
	}
}

static void take_back(struct rig *rig)
{
	packed_set_desc(&rig->drv, pos_after(rig, 0) & 0x7fff,
			&(struct vhx_slot){
		.addr = 0x1000, .len = 7, .flags = F_WRITE, .next = 2 });
}

static void lengthen(struct rig *rig)
{
	put_chain(rig, 0, rig->variant.num, 7, 2);
}

static void lengthen_too_much(struct rig *rig)
{
	lengthen(rig);
	put(rig, rig->variant.num - 1, (struct vhx_slot){
		.addr = 0x1000, .len = 9, .flags = F_NEXT });
}

/*
 * A driver that writes what it has given away. That it is available was seen;
 * what it is says the other look, even that it is not available.
 */
TEST_F(packed_small, head_that_changes_is_as_seen_last_ok)
{
	struct rig *rig = self->rig;
	u16 num = rig->variant.num;
	struct late_change late = { .rig = rig, .change = take_back };

	rig->mem.arg = &late;
	put_chain(rig, 0, 1, 9, 1);
	rig->mem.on_access = change_late;
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, 1, 7));
	EXPECT_EQ(1, rig->burst.chain[0].nr_in);
	EXPECT_EQ(2, rig->burst.used[0].id);

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 1)));
	late.change = lengthen;
	put_chain(rig, 0, 1, 9, 1);
	rig->mem.on_access = change_late;
	ASSERT_EQ(1, raw_fetch(rig, 64));
	EXPECT_TRUE(raw_is_filled(rig, 0, num, 7));
	EXPECT_EQ(num, rig->burst.used[0].count);
	EXPECT_EQ(0, raw_fetch(rig, 64));

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 1)));
	late.change = lengthen_too_much;
	put_chain(rig, 0, 1, 9, 1);
	rig->mem.on_access = change_late;
	EXPECT_TRUE(refuses(rig, -EINVAL, "loop"));
}

static void count_flags(struct vhx_mem *mem, const struct mem_access *access)
{
	if (access->area == VHX_DESC && access->len == 2)
		++*(u32 *)mem->arg;
}

/* A single buffer is a look at it and at a few flags, and no more. */
TEST_F(packed_small, single_buffer_leaves_the_others_alone_ok)
{
	struct rig *rig = self->rig;
	u32 nr_access, nr_flags = 0;

	ASSERT_EQ(1, rig_offer(rig, 1));
	nr_access = rig->mem.nr_access;
	rig->mem.arg = &nr_flags;
	rig->mem.on_access = count_flags;
	ASSERT_EQ(1, rig_fetch(rig, 64));
	/* a ring of one has its end there, and is looked at from its start */
	EXPECT_EQ(nr_access + 1 + (rig->variant.num == 1), rig->mem.nr_access);
	EXPECT_GE(4, nr_flags);
}

TEST_HARNESS_MAIN
