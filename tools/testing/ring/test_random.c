// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The engine against a model that counts in plain numbers: any operation
 * after any other, with faults in between. Seeded, so a failure repeats.
 */
#include "fixture.h"

RIG_FIXTURE(random)
RIG_ALL_SIZES(random);

#define NR_SEEDS	3
#define NR_STEPS	6000

/**
 * struct model - what plain counting says
 * @rig: the ring
 * @seed: of this run
 * @held: chains fetched and not completed, in any order
 * @nr_held: chains in @held
 * @signalled: positions completed at the last decision on a call
 * @is_signalled_known: there was one since the start
 * @event: position of the completion that the driver wants to be called for
 * @calls_off: no calls are asked for
 * @kick_due: arm() said that the ring is empty, so the next buffer kicks
 * @nr_faults: faults that hit
 * @nr_calls: calls made
 * @nr_spared: calls not made
 */
struct model {
	struct rig *rig;
	u64 seed;
	struct vhx_used held[32768];
	u32 nr_held;
	u64 signalled;
	bool is_signalled_known;
	u64 event;
	bool calls_off;
	bool kick_due;
	u32 nr_faults;
	u32 nr_calls;
	u32 nr_spared;
};

static u32 pick(struct model *m, u32 below)
{
	return rig_random(&m->seed) % below;
}

static bool offer(struct model *m)
{
	struct rig *rig = m->rig;
	u32 i, nr = 1 + pick(m, 20), before = rig->nr_offered;

	for (i = 0; i < nr; i++) {
		u32 bits = rig_random(&m->seed), most = bits & 0x100 ? 12 : 3;
		struct rig_shape shape = {
			.nr_out = (u16)pick(m, most),
			.nr_in = (u16)pick(m, most),
			.empty = bits >> 10 & bits >> 21,
		};

		if (shape.nr_out + shape.nr_in == 0)
			shape.nr_in = 1;
		if (bits & 1)
			shape.nr_direct = (u16)(shape.nr_out + shape.nr_in);
		else if (bits & 2)
			shape.nr_direct = (u16)pick(m, shape.nr_out +
						    shape.nr_in);
		if (rig_add(rig, shape) < 0)
			break;
	}
	rig->drv.ops->publish(&rig->drv);
	if (rig->nr_offered == before)
		return true;
	if (!rig->drv.ops->wants_kick(&rig->drv) && m->kick_due)
		return false;
	m->kick_due = false;
	return true;
}

static bool fetch(struct model *m)
{
	struct rig *rig = m->rig;
	u32 available = rig->nr_offered - rig->nr_fetched, keep, i;
	int nr = rig_fetch(rig, 1 + pick(m, VHX_BURST_MAX));

	if (nr == -EFAULT)
		return true;
	if (nr < 0 || !nr != !available)
		return false;
	keep = nr && !pick(m, 4) ? pick(m, (u32)nr) : (u32)nr;
	for (i = 0; i < keep; i++)
		m->held[m->nr_held++] = rig_used(&rig->burst.used[i],
						 rig->burst.chain[i].in_len);
	if (keep < (u32)nr)
		rig_unfetch(rig, keep);
	return true;
}

static bool complete_oldest(struct model *m, u32 nr)
{
	int err = rig_complete(m->rig, m->held, nr);

	if (!err) {
		m->nr_held -= nr;
		memmove(m->held, m->held + nr, m->nr_held * sizeof(m->held[0]));
	}
	return !err || err == -EFAULT;
}

static bool complete(struct model *m)
{
	u32 i, k, nr = m->nr_held ? 1 + pick(m, m->nr_held) : 0;
	struct vhx_used swap;
	int err;

	nr = rig_min(nr, VHX_USED_MAX);
	if (!nr)
		return true;
	if (m->rig->variant.is_in_order)
		return complete_oldest(m, nr);
	/* A random choice goes to the end, and from there out. */
	for (i = 0; i < nr; i++) {
		k = pick(m, m->nr_held - i);
		swap = m->held[k];
		m->held[k] = m->held[m->nr_held - 1 - i];
		m->held[m->nr_held - 1 - i] = swap;
	}
	err = rig_complete(m->rig, &m->held[m->nr_held - nr], nr);
	if (!err)
		m->nr_held -= nr;
	return !err || err == -EFAULT;
}

static bool arm(struct model *m)
{
	u32 available = m->rig->nr_offered - m->rig->nr_fetched;
	int ret = rig_arm(m->rig);

	if (ret == -EFAULT)
		return true;
	m->kick_due = !ret;
	return ret == (available != 0);
}

static bool disarm(struct model *m)
{
	int err = rig_disarm(m->rig);

	/* Without an event that was left behind the driver sees it at once. */
	if (!err && (!m->rig->variant.has_event_idx || rig_is_packed(m->rig)))
		m->kick_due = false;
	return !err || err == -EFAULT;
}

/* One by one: was the entry that the driver waits for among the new ones? */
static int wants_call(const struct model *m)
{
	u32 period = rig_period(m->rig);
	u64 pos;

	if (!m->rig->variant.has_event_idx ||
	    (rig_is_packed(m->rig) && m->calls_off))
		return !m->calls_off;
	if (!m->is_signalled_known ||
	    m->rig->done_pos - m->signalled >= period)
		return 1;
	for (pos = m->signalled; pos != m->rig->done_pos; pos++)
		if (pos % period == m->event % period)
			return 1;
	return 0;
}

static bool call(struct model *m)
{
	int want = wants_call(m), ret = rig_call_needed(m->rig);

	if (ret == -EFAULT)
		return true;
	m->signalled = m->rig->done_pos;
	m->is_signalled_known = true;
	*(ret ? &m->nr_calls : &m->nr_spared) += 1;
	return ret == want;
}

/* The driver takes back what is done and says when to call it next. */
static bool poll_used(struct model *m)
{
	struct rig *rig = m->rig;
	u32 few = rig_min(rig->variant.num, 20) + 1;
	u32 skip = pick(m, 8) ? pick(m, few) :
		pick(m, rig_period(rig));

	if (rig_poll(rig) < 0)
		return false;
	m->calls_off = !pick(m, 3);
	if (m->calls_off) {
		m->event = rig->polled_pos - 1;
		rig->drv.ops->disable_calls(&rig->drv);
	} else {
		m->event = rig->polled_pos + skip;
		rig->drv.ops->enable_calls(&rig->drv, (u16)skip);
	}
	return true;
}

/* Everything that is out comes back at last. */
static bool drain(struct model *m)
{
	struct rig *rig = m->rig;

	while (rig->nr_fetched != rig->nr_offered || m->nr_held) {
		if (rig->nr_fetched != rig->nr_offered && !fetch(m))
			return false;
		if (m->nr_held && !complete(m))
			return false;
	}
	return rig_poll(rig) >= 0 && rig->nr_polled == rig->nr_offered &&
		rig->drv.nr_free == rig->variant.num && !rig_fetch(rig, 1);
}

static bool step(struct model *m)
{
	static bool (*const ops[])(struct model *m) = {
		offer, offer, fetch, fetch, complete, call, poll_used,
		arm, disarm,
	};
	struct vhx_mem *mem = &m->rig->mem;
	bool is_ok;

	mem->nr_access = 0;
	mem->fail_err = -EFAULT;
	mem->fail_at = pick(m, 4) ? MEM_FAILS_NEVER : pick(m, 6);
	is_ok = ops[pick(m, ARRAY_SIZE(ops))](m);
	m->nr_faults += mem->nr_access > mem->fail_at;
	mem->fail_at = MEM_FAILS_NEVER;
	return is_ok;
}

static bool run(struct model *m, struct rig *rig, u64 seed)
{
	u32 i;

	memset(m, 0, sizeof(*m));
	m->rig = rig;
	m->seed = seed;
	if (rig_restart(rig, rig_base_before(rig, 6)))
		return false;
	rig->drv.ops->enable_calls(&rig->drv, 0);
	for (i = 0; i < NR_STEPS; i++) {
		if (!step(m)) {
			fprintf(stderr, "# seed %llu: step %u went wrong\n",
				(unsigned long long)seed, i);
			return false;
		}
	}
	return drain(m);
}

TEST_F(random, engine_as_model_ok)
{
	struct model *m = malloc(sizeof(*m));
	u64 seed;

	for (seed = 1; seed <= NR_SEEDS; seed++) {
		ASSERT_TRUE(run(m, self->rig, seed));
		/* All of it happened, or the run shows nothing. */
		EXPECT_LT(20, m->nr_faults);
		EXPECT_LT(20, m->nr_calls);
		EXPECT_LT(20, m->nr_spared);
	}
	free(m);
}

TEST_HARNESS_MAIN
