// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Each access fails in turn, and memory changes under the engine's eyes.
 */
#include "fixture.h"
#include "raw.h"

RIG_FIXTURE(fault)
RIG_ALL_SIZES(fault);

RIG_FIXTURE(snapshot)
RIG_ALL_SIZES(snapshot);

/* More accesses than any operation here makes. */
#define ACCESS_MAX	5000

static const int errs[] = { -EFAULT, -EAGAIN };

/**
 * struct fault_op - an operation and what it must not change when it fails
 * @prepare: brings a fresh ring to where @run succeeds
 * @run: the operation. Return: @want, or a negative errno
 * @want: result without a fault
 */
struct fault_op {
	int (*prepare)(struct rig *rig);
	int (*run)(struct rig *rig);
	int want;
};

/* What must be as before after a fault; no padding, so that it compares. */
struct visible {
	u32 base;
	u16 used;	/* where the driver looks first */
	u16 used_pos;
	u16 signalled_pos;
	u16 is_signalled_valid;
};

static struct visible look(const struct rig *rig)
{
	struct vhx_slot first = { .flags = 0 };

	if (rig_is_packed(rig))
		packed_get_desc(&rig->drv,
				(u32)(rig->drv.used_place % rig->drv.num),
				&first);
	return (struct visible){
		.base = rig_base(rig),
		.used = rig_is_packed(rig) ? first.flags :
			split_used_idx(&rig->drv),
		.used_pos = rig->ring.used_pos,
		.signalled_pos = rig->ring.signalled_pos,
		.is_signalled_valid = rig->ring.is_signalled_valid,
	};
}

/*
 * Fails access 0, 1, … of the operation until it makes no more of them. Each
 * time it has to report the error, change nothing, and succeed when repeated.
 * Return: how many accesses it made, or -EBADMSG.
 */
static int fail_each(struct rig *rig, const struct fault_op *op, int err)
{
	struct visible before, after;
	bool has_failed;
	int got;
	u32 n;

	for (n = 0; n < ACCESS_MAX; n++) {
		rig->token = 0;
		if (rig_restart(rig, rig_base_before(rig, 6)) ||
		    op->prepare(rig))
			return -EBADMSG;
		before = look(rig);
		rig->ring.cause = VHX_CAUSE_NONE;
		rig->mem.nr_access = 0;
		rig->mem.fail_at = n;
		rig->mem.fail_err = err;
		got = op->run(rig);
		has_failed = rig->mem.nr_access > n;

		rig->mem.fail_at = MEM_FAILS_NEVER;
		after = look(rig);
		if (!has_failed)
			return got == op->want ? (int)n : -EBADMSG;
		if (got != err || !rig->ring.cause ||
		    memcmp(&before, &after, sizeof(after)) ||
		    op->run(rig) != op->want) {
			fprintf(stderr, "# access %u: got %d\n", n, got);
			return -EBADMSG;
		}
	}
	return -EBADMSG;
}

static int nothing(struct rig *rig)
{
	(void)rig;
	return 0;
}

static int run_start(struct rig *rig)
{
	return rig->ring.ops->start(&rig->ring, rig_base(rig)) ?:
		rig_cycle(rig, rig_min(rig->variant.num, 3));
}

/* As start(), and no more, so that faults fall into nothing else. */
static int run_start_only(struct rig *rig)
{
	return rig->ring.ops->start(&rig->ring, rig_base(rig));
}

static int offer_one(struct rig *rig)
{
	return rig_offer(rig, 1) != 1;
}

static int run_fetch_one(struct rig *rig)
{
	return rig_fetch(rig, 1);
}

static int fetch_many(struct rig *rig)
{
	unsigned int nr = rig_min(rig->variant.num, 64);

	return rig_offer(rig, nr) != nr || rig_fetch(rig, 64) != (int)nr;
}

static int run_complete(struct rig *rig)
{
	int nr = rig->burst.nr, err;
	struct vhx_burst *copy = malloc(sizeof(*copy));

	memcpy(copy, &rig->burst, sizeof(*copy));
	err = rig_complete_burst(rig);
	if (err)
		memcpy(&rig->burst, copy, sizeof(*copy));
	free(copy);
	if (err)
		return err;
	return rig_poll(rig) == nr ? 0 : -EBADMSG;
}

static int run_arm(struct rig *rig)
{
	return rig_arm(rig);
}

static int disarmed(struct rig *rig)
{
	return rig_disarm(rig);
}

static int run_disarm(struct rig *rig)
{
	int err = rig_disarm(rig);
	u16 want = rig->variant.has_event_idx ? 0 : VRING_USED_F_NO_NOTIFY;

	if (rig_is_packed(rig))
		return err ?: packed_event_flags(&rig->drv) ==
			VRING_PACKED_EVENT_FLAG_DISABLE ? 0 : -EBADMSG;
	return err ?: split_used_flags(&rig->drv) == want ? 0 : -EBADMSG;
}

static int completed_one(struct rig *rig)
{
	return rig_cycle(rig, 1);
}

static int run_call_needed(struct rig *rig)
{
	return rig_call_needed(rig);
}

/* NO_INTERRUPT: what is asked for has to survive the fault as well. */
static int completed_quietly(struct rig *rig)
{
	int err = rig_cycle(rig, 1);

	if (!err)
		err = rig_call_needed(rig) != 1;
	rig->drv.ops->disable_calls(&rig->drv);
	return err ?: rig_cycle(rig, 1);
}

static int completed_on_empty(struct rig *rig)
{
	rig->ring.calls_on_empty = true;
	return rig_cycle(rig, 1);
}

/* @min_split, @min_packed: accesses that there must be */
#define FAULT_TEST(name, prep, operation, result, min_split, min_packed) \
TEST_F(fault, name##_fails)						\
{									\
	static const struct fault_op op = {				\
		.prepare = prep, .run = operation, .want = result,	\
	};								\
	unsigned int i;							\
									\
	for (i = 0; i < ARRAY_SIZE(errs); i++)				\
		EXPECT_LE(rig_is_packed(self->rig) ? min_packed : min_split, \
			  fail_each(self->rig, &op, errs[i]));		\
}

FAULT_TEST(start, nothing, run_start_only, 0, 2, 1)
FAULT_TEST(fetch_empty, nothing, run_fetch_one, 0, 1, 1)
FAULT_TEST(fetch_one, offer_one, run_fetch_one, 1, 3, 1)
FAULT_TEST(complete, fetch_many, run_complete, 0, 2, 1)
FAULT_TEST(arm_empty, nothing, run_arm, 0, 1, 1)
FAULT_TEST(arm_disarmed, disarmed, run_arm, 0, 2, 2)
FAULT_TEST(arm_nonempty, offer_one, run_arm, 1, 1, 1)
FAULT_TEST(disarm, nothing, run_disarm, 0, 0, 1)
FAULT_TEST(call_needed, completed_one, run_call_needed, 1, 1, 1)
FAULT_TEST(call_not_needed, completed_quietly, run_call_needed, 0, 1, 1)
FAULT_TEST(call_on_empty, completed_on_empty, run_call_needed, 1, 1, 1)

/* A start that failed is repeated, and the ring then works. */
TEST_F(fault, start_again_ok)
{
	struct rig *rig = self->rig;
	u32 n;

	for (n = 0; n < (rig_is_packed(rig) ? 1 : 2); n++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
		rig->mem.nr_access = 0;
		rig->mem.fail_at = n;
		rig->mem.fail_err = -EAGAIN;
		ASSERT_EQ(-EAGAIN, run_start(rig));
		ASSERT_EQ(0, run_start(rig));
	}
}

/* Shapes that need tables, several windows, and the end of the avail ring. */
static unsigned int offer_mixed(struct rig *rig)
{
	static const struct rig_shape shapes[] = {
		{ .nr_out = 1, .nr_in = 1 },
		{ .nr_out = 1, .nr_in = 2, .nr_direct = 3 },
		{ .nr_out = 12, .nr_in = 12, .nr_direct = 2 },
		{ .nr_out = 20, .nr_in = 4, .nr_direct = 24, .empty = 6 },
		{ .nr_in = 30 },
		{ .nr_out = 1, .nr_direct = 1 },
	};
	unsigned int i, nr = 0;

	for (i = 0; i < 8; i++)
		nr += rig_add(rig, shapes[i % ARRAY_SIZE(shapes)]) >= 0;
	rig->drv.ops->publish(&rig->drv);
	return nr;
}

/*
 * A fault in a later chain ends the burst before it: what was delivered, and
 * what comes afterwards, is all there once, in order.
 */
TEST_F(fault, fetch_mixed_ok)
{
	struct rig *rig = self->rig;
	unsigned int i, nr, got, pos;
	bool has_failed = true;
	u32 n, base;
	int ret;

	for (n = 0; has_failed; n++) {
		i = n % 2;
		ASSERT_LT(n, ACCESS_MAX);
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 2)));
		nr = offer_mixed(rig);
		ASSERT_LE(1, nr);
		rig->mem.nr_access = 0;
		rig->mem.fail_at = n;
		rig->mem.fail_err = errs[i];
		base = rig_base(rig);
		ret = rig_fetch(rig, 64);
		has_failed = rig->mem.nr_access > n;
		if (has_failed && ret <= 0) {
			ASSERT_EQ(errs[i], ret);
			ASSERT_EQ(base, rig_base(rig));
			ret = 0;
		}
		ASSERT_LE(0, ret);
		got = (unsigned int)ret;
		for (i = 0, pos = 0; i < got; i++)
			pos += rig->burst.used[i].count;
		ASSERT_EQ(rig_avail_after(rig, pos), (u16)rig_base(rig));
		ASSERT_TRUE(has_failed || got == nr);
		if (got == nr)
			continue;
		ASSERT_EQ(nr - got, rig_fetch(rig, 64));
		ASSERT_EQ(0, rig_fetch(rig, 64));
	}
	EXPECT_LE(4, n);
}

struct order {
	unsigned int nr_entries;	/* used entries written */
	unsigned int nr_idx;		/* stores that publish them */
	unsigned int nr_late;		/* entries written after that */
	u32 first;			/* packed: slot that publishes */
};

static void note_order(struct vhx_mem *mem, const struct mem_access *access)
{
	struct order *order = mem->arg;

	if (access->kind != MEM_WRITE)
		return;
	if (access->area == VHX_DEVICE && access->off == 2) {
		order->nr_idx++;
		return;
	}
	order->nr_entries += access->len / 8;
	if (access->area == VHX_DESC && access->off == order->first * 16 + 8)
		order->nr_idx++;
	else
		order->nr_late += order->nr_idx;
}

/*
 * Each entry is written once, all of them before the one index, or, in packed
 * rings, before the first of them.
 */
TEST_F(fault, entries_before_index_ok)
{
	struct rig *rig = self->rig;
	unsigned int nr;

	for (nr = 1; nr <= rig_min(rig->variant.num, 64); nr++) {
		struct order order = {
			.first = rig->ring.used_pos & 0x7fff,
		};

		ASSERT_EQ(nr, rig_offer(rig, nr));
		ASSERT_EQ(nr, rig_fetch(rig, nr));
		rig->mem.arg = &order;
		rig->mem.on_access = note_order;
		ASSERT_EQ(0, rig_complete_burst(rig));
		rig->mem.on_access = NULL;
		ASSERT_EQ(nr, order.nr_entries);
		ASSERT_EQ(1, order.nr_idx);
		ASSERT_EQ(0, order.nr_late);
		ASSERT_EQ(nr, rig_poll(rig));
	}
}

/* Fetches @nr, a burst at a time. Return: the position before them. */
static u16 fetch_bursts(struct rig *rig, struct vhx_used *used, u32 nr)
{
	u32 got, i;
	u16 first = 0;

	rig->nr_fetched = 0;
	for (got = 0; got < nr; got = rig->nr_fetched) {
		if (rig_fetch(rig, VHX_BURST_MAX) <= 0)
			abort();
		if (!got)
			first = vhx_burst_pos(&rig->ring, &rig->burst, 0);
		for (i = 0; i < rig->burst.nr; i++)
			used[got + i] = rig_used(&rig->burst.used[i],
						 got + i + 1);
	}
	return first;
}

/*
 * As many as may be completed together, at the end of the ring too: when that
 * fails nothing of the driver's is gone, and what was fetched can be handed
 * back, fetched again and completed.
 */
TEST_F(fault, complete_of_many_bursts_fails)
{
	struct rig *rig = self->rig;
	u32 nr = rig_min(rig->variant.num, VHX_USED_MAX), n;
	u32 size = rig->mem.len[VHX_DESC];
	struct vhx_used *used = calloc(nr, sizeof(*used));
	u8 *before = malloc(size);
	bool has_failed = true;

	for (n = 0; has_failed; n++) {
		u16 first;
		int ret;

		ASSERT_LT(n, ACCESS_MAX);
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 6)));
		ASSERT_EQ(nr, rig_offer(rig, nr));
		first = fetch_bursts(rig, used, nr);
		memcpy(before, rig->mem.area[VHX_DESC], size);
		rig->mem.nr_access = 0;
		rig->mem.fail_at = n;
		rig->mem.fail_err = -EFAULT;
		ret = rig_complete(rig, used, nr);
		has_failed = rig->mem.nr_access > n;
		ASSERT_EQ(has_failed ? -EFAULT : 0, ret);
		rig->mem.fail_at = MEM_FAILS_NEVER;
		if (has_failed) {
			ASSERT_EQ(0, memcmp(before, rig->mem.area[VHX_DESC],
					    size));
			vhx_ring_rewind(&rig->ring, first);
			fetch_bursts(rig, used, nr);
			ASSERT_EQ(0, rig_complete(rig, used, nr));
		}
		ASSERT_EQ(nr, rig_poll(rig));
	}
	free(before);
	free(used);
}

/* What was read, to be put back afterwards. */
struct flips {
	struct mem_access access[ACCESS_MAX];
	unsigned int nr;
	unsigned int nr_idx;	/* reads of the driver's index, or of flags */
};

/* The first look at packed descriptors, at what says whose they are. */
static bool is_flags(const struct mem_access *access)
{
	return access->area == VHX_DESC && access->len == 2;
}

static void invert(const struct mem_access *access)
{
	u32 i;

	for (i = 0; i < access->len; i++)
		access->p[i] ^= is_flags(access) ? 0x80 : 0xff;
}

/* Once read, each byte is another: a second look would see it. */
static void flip(struct vhx_mem *mem, const struct mem_access *access)
{
	struct flips *flips = mem->arg;

	if (access->kind != MEM_READ || flips->nr == ACCESS_MAX)
		return;
	if (is_flags(access) ||
	    (access->area == VHX_DRIVER && access->off == 2))
		flips->nr_idx++;
	invert(access);
	flips->access[flips->nr++] = *access;
}

static int fetch_flipping(struct rig *rig, struct flips *flips,
			  unsigned int max)
{
	int ret;

	flips->nr = 0;
	flips->nr_idx = 0;
	rig->mem.arg = flips;
	rig->mem.on_access = flip;
	ret = rig_fetch(rig, max);
	rig->mem.on_access = NULL;
	while (flips->nr)
		invert(&flips->access[--flips->nr]);
	return ret;
}

/* Slots lie in a row here, so no window is read again. */
TEST_F(snapshot, first_look_counts_ok)
{
	struct rig *rig = self->rig;
	struct flips *flips = calloc(1, sizeof(*flips));
	unsigned int nr, got, lap;
	int ret;

	for (lap = 0; lap < 3; lap++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 2)));
		rig->token = lap;
		nr = offer_mixed(rig);
		ASSERT_LE(1, nr);
		for (got = 0; got < nr; got += (unsigned int)ret) {
			ret = fetch_flipping(rig, flips, lap ? 64 : 1);
			ASSERT_LT(0, ret);
			ASSERT_TRUE(rig_is_packed(rig) || flips->nr_idx <= 1);
		}
		ASSERT_EQ(0, fetch_flipping(rig, flips, 64));
	}
	free(flips);
}

/* Reads of each byte of ring and guest memory. */
struct reads {
	u8 *nr[VHX_AREAS + 1];
	u8 *nr_flags;	/* first looks at packed descriptors */
	unsigned int most;
};

static void reads_reset(struct reads *reads, const struct rig *rig)
{
	unsigned int i;

	for (i = 0; i <= MEM_GUEST; i++) {
		free(reads->nr[i]);
		reads->nr[i] = calloc(1, rig->mem.len[i]);
	}
	free(reads->nr_flags);
	reads->nr_flags = calloc(1, rig->mem.len[VHX_DESC]);
	reads->most = 0;
}

static void reads_free(struct reads *reads)
{
	unsigned int i;

	for (i = 0; i <= MEM_GUEST; i++)
		free(reads->nr[i]);
	free(reads->nr_flags);
}

static void count_reads(struct vhx_mem *mem, const struct mem_access *access)
{
	struct reads *reads = mem->arg;
	u8 *nr = is_flags(access) ? reads->nr_flags : reads->nr[access->area];
	u32 i;

	if (access->kind != MEM_READ)
		return;
	for (i = access->off; i < access->off + access->len; i++)
		if (++nr[i] > reads->most)
			reads->most = nr[i];
}

/* One fetch, one read of each byte, the driver's index included. */
TEST_F(snapshot, no_byte_is_read_twice_ok)
{
	struct rig *rig = self->rig;
	struct reads reads = { .most = 0 };
	struct rig_shape shapes[] = {
		{ .nr_out = 20, .nr_in = 12 },
		{ .nr_out = 1, .nr_direct = 1 },
		{ .nr_out = 20, .nr_in = 20, .nr_direct = 40 },
		{ .nr_out = 20, .nr_in = 20, .nr_direct = 20 },
	};
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(shapes); k++) {
		ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 1)));
		if (rig_add(rig, shapes[k]) < 0)
			continue;
		rig->drv.ops->publish(&rig->drv);
		reads_reset(&reads, rig);
		rig->mem.arg = &reads;
		rig->mem.on_access = count_reads;
		ASSERT_EQ(1, rig_fetch(rig, 1));
		rig->mem.on_access = NULL;
		ASSERT_EQ(1, reads.most);
	}
	reads_free(&reads);
}

/* And so for a burst of single slots, at the end of the ring too. */
TEST_F(snapshot, no_byte_of_a_burst_is_read_twice_ok)
{
	struct rig *rig = self->rig;
	struct reads reads = { .most = 0 };
	unsigned int nr = rig_min(rig->variant.num, 64);

	ASSERT_EQ(0, rig_restart(rig, rig_base_before(rig, 16)));
	ASSERT_EQ(nr, rig_offer(rig, nr));
	reads_reset(&reads, rig);
	rig->mem.arg = &reads;
	rig->mem.on_access = count_reads;
	ASSERT_EQ(nr, rig_fetch(rig, 64));
	rig->mem.on_access = NULL;
	/* In a small packed ring a window reaches what was read at first. */
	EXPECT_GE(rig_is_packed(rig) && nr < 64 ? 2 : 1, reads.most);
	reads_free(&reads);
}

/* No operation but fetch() looks at a descriptor, or anywhere twice. */
TEST_F(snapshot, other_operations_read_once_ok)
{
	struct rig *rig = self->rig;
	struct flips *flips = calloc(1, sizeof(*flips));

	rig->ring.calls_on_empty = true;
	ASSERT_EQ(0, rig_cycle(rig, 1));
	ASSERT_EQ(0, rig_disarm(rig));
	rig->mem.arg = flips;
	rig->mem.on_access = flip;
	EXPECT_EQ(0, rig_arm(rig));
	EXPECT_EQ(1, flips->nr);
	EXPECT_EQ(1, flips->nr_idx);
	while (flips->nr)
		invert(&flips->access[--flips->nr]);
	EXPECT_EQ(1, rig_call_needed(rig));
	EXPECT_EQ(1, flips->nr);
	free(flips);
}

TEST_HARNESS_MAIN
