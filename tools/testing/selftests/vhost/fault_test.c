// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults of memory and of copies, injected one by one: the first, the second and
 * so on of each call in the life of a device, and of each way of a frame on its
 * worker. A call fails with an errno that Documentation/uapi.rst has for it, or
 * succeeds nevertheless, and works when it is made again; a worker tries again.
 * No frame is lost or doubled, and the next ones pass.
 */
#include "fault_life.h"

MACVTAP_BEFORE_MAIN()

#define SECS	600
#define MANY	8

FIXTURE(fault) {
	struct victim v;
	struct fault f;		/* of this thread, or of a worker */
	unsigned int slab, page, copy, unreported;	/* points */
	int kmsg;
};

typedef FIXTURE_DATA(fault) fix;

FIXTURE_VARIANT(fault) {
	uint64_t features;
	enum backend kind;
	uint8_t mode;
};

#define FEATURES	(F_V1 | F_MRG | F_EVENT | F_INDIRECT)

FIXTURE_VARIANT_ADD(fault, split_task) {
	.features = FEATURES, .mode = TASK,
};
FIXTURE_VARIANT_ADD(fault, split_log_kthread) {
	.features = FEATURES | F_LOG_ALL, .mode = KTHREAD,
};
FIXTURE_VARIANT_ADD(fault, split_iotlb_task) {
	.features = FEATURES | F_PLATFORM, .mode = TASK,
};
FIXTURE_VARIANT_ADD(fault, macvtap_split_task) {
	.features = F_V1 | F_MRG, .kind = BE_MACVTAP, .mode = TASK,
};
FIXTURE_VARIANT_ADD(fault, packed_kthread) {
	.features = FEATURES | F_PACKED, .mode = KTHREAD,
};
FIXTURE_VARIANT_ADD(fault, packed_iotlb_kthread) {
	.features = FEATURES | F_PLATFORM | F_PACKED, .mode = KTHREAD,
};
FIXTURE_VARIANT_ADD(fault, macvtap_packed_log_task) {
	.features = FEATURES | F_LOG_ALL | F_PACKED, .kind = BE_MACVTAP,
	.mode = TASK,
};
FIXTURE_VARIANT_ADD(fault, packet_legacy_task) {
	.features = F_EVENT, .kind = BE_PACKET, .mode = TASK,
};

FIXTURE_SETUP(fault)
{
	self->kmsg = kmsg_open();
	self->v.mode = variant->mode;
	if (!is_ours())
		SKIP(_exit(255), "in-tree promises none of this");
	if (fault_missing())
		SKIP(_exit(255), "this kernel has no %s", fault_missing());
	SKIP_UNLESS_OFFERED(variant->features);
	ASSERT_EQ(0, victim_create(&self->v, variant->kind, variant->features));
}

FIXTURE_TEARDOWN(fault)
{
	DIAG("%u points: %u of slabs, %u of pages, %u of copies, %u not reported",
	     self->slab + self->page + self->copy + self->unreported, self->slab,
	     self->page, self->copy, self->unreported);
	victim_destroy(&self->v);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static void count_point(fix *f)
{
	const char *kind = f->f.kind;

	f->slab += !strcmp(kind, "failslab");
	f->page += !strcmp(kind, "fail_page_alloc");
	f->copy += !strcmp(kind, "fail_usercopy");
	f->unreported += !*kind;
}

/* -- the calls ----------------------------------------------------------- */

/* The errno is one of the step's, and nothing changed. Then it works. */
static int fail_well(fix *f, const struct step *s, int ret)
{
	if (ret != -s->errnos[0] && ret != -s->errnos[1]) {
		snprintf(f->v.why, sizeof(f->v.why), "returns %d", ret);
		return -EPROTO;
	}
	if (s->runs_on && traffic(&f->v))
		return -EPROTO;
	return live(&f->v, s, s + 1, true);
}

/*
 * A life in which the @n-th of a step fails, with traffic once after it, and the
 * end. Return: 0, or -errno with why.
 */
static int live_with_fault(fix *f, const struct step *s, unsigned int n,
			   bool *is_injected)
{
	const struct step *to = s + 1, *end = steps + ARRAY_SIZE(steps);
	int ret = victim_begin(&f->v);

	*is_injected = false;
	if (!ret)
		ret = live(&f->v, steps, s, false);
	if (!ret && s->before)
		ret = s->before(&f->v);
	if (ret)
		return ret;
	f->v.q = s->q;
	ret = fault_arm(&f->f, n);
	if (!ret)
		ret = s->take(&f->v);
	*is_injected = fault_disarm(&f->f);
	if (ret)
		ret = fail_well(f, s, ret);
	while (to < end && to[-1].take != traffic)
		to++;
	if (!ret)
		ret = live(&f->v, s + 1, to, true);
	return ret || to == end ? ret : live(&f->v, end - 1, end, true);
}

static bool fail_call(struct __test_metadata *_metadata, fix *self,
		      const struct step *s, unsigned int n)
{
	bool is_injected;

	EXPECT_EQ(0, live_with_fault(self, s, n, &is_injected)) {
		TH_LOG("%s, %u: %s (%s %s)", s->name, n, self->v.why,
		       self->f.kind, self->f.where);
	}
	victim_end(&self->v);
	if (is_injected)
		count_point(self);
	return is_injected;
}

/*
 * A stack that is at hand spares a new thread some allocations, and what comes
 * after has other numbers then: of many points the last are looked at again.
 */
TEST_F_TIMEOUT(fault, each_of_a_call_errno_or_ok, SECS)
{
	ASSERT_EQ(0, fault_open(&self->f, gettid()));
	for (const struct step *s = steps; s < steps + ARRAY_SIZE(steps); s++) {
		unsigned int n = 1;

		if (s->is_plain || is_left_out(&self->v, s))
			continue;
		while (fail_call(_metadata, self, s, n))
			n++;
		for (unsigned int last = 1; n > MANY && last <= 3; last++)
			fail_call(_metadata, self, s, n - last);
	}
	fault_close(&self->f);
	EXPECT_LT(0, self->slab);
	EXPECT_LT(0, self->copy);
}

/* -- the worker ---------------------------------------------------------- */

static const struct burst bursts[] = {
	{ "tx small", TX, 100, &one_piece },
	{ "tx in two", TX, 1500, &two_pieces },
	{ "tx large", TX, 9000, &one_piece },
	{ "rx small", RX, 100, &one_piece },
	{ "rx in two", RX, 1500, &two_pieces },
	{ "rx large", RX, 9000, &one_piece },
};

/* A life up to its first traffic; ring @q has a worker to itself. */
static int work_begin(fix *f, unsigned int q)
{
	const struct step *s = steps;
	int ret = victim_begin(&f->v);

	while (s->take != traffic)
		s++;
	if (!ret)
		ret = live(&f->v, steps, s + 1, true);
	if (!ret)
		ret = fault_open(&f->f, worker_tid_of(getpid(), q));
	if (ret)
		victim_end(&f->v);
	return ret;
}

static void work_end(fix *f)
{
	if (f->v.d.fd < 0)
		return;
	fault_close(&f->f);
	victim_end(&f->v);
}

/* The @n-th of a burst fails. What is wrong then ends that life. */
static bool move_with_fault(fix *f, const struct burst *b, unsigned int n,
			    bool *is_injected)
{
	*is_injected = false;
	if (f->v.d.fd < 0 && work_begin(f, b->q))
		return false;
	if (victim_moves(&f->v, b, &f->f, n, is_injected) && !traffic(&f->v))
		return true;
	work_end(f);
	return false;
}

TEST_F_TIMEOUT(fault, each_of_a_frame_ok, SECS)
{
	for (const struct burst *b = bursts; b < bursts + ARRAY_SIZE(bursts);
	     b++) {
		/* a frame in one buffer */
		bool is_injected = b->q == TX || b->len < 4000 ||
				   has(&self->v.d, F_MRG);

		for (unsigned int n = 1; is_injected; n++) {
			EXPECT_TRUE(move_with_fault(self, b, n, &is_injected)) {
				TH_LOG("%s, %u: %s (%s %s)", b->name, n,
				       self->v.why, self->f.kind,
				       self->f.where);
			}
			if (is_injected)
				count_point(self);
		}
		work_end(self);
	}
	EXPECT_LT(0, self->page);
	EXPECT_LT(0, self->copy);
}

TEST_HARNESS_MAIN
