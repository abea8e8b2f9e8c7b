// SPDX-License-Identifier: GPL-2.0-only
/* What a worker is charged to. */
#include <sys/resource.h>

#include "worker_lib.h"

#define LONE_ID	54321		/* a user that has no processes */

FIXTURE(life) {
	struct rig r;
	int kmsg;
};

MODE_VARIANTS(life);

typedef FIXTURE_DATA(life) fix;

FIXTURE_SETUP(life)
{
	self->r.d.fd = -1;
	self->kmsg = kmsg_open();
	if (!is_ours())
		SKIP(_exit(255), "in-tree has no worker ioctls here");
	ASSERT_EQ(0, rig_open(&self->r));
	ASSERT_EQ(0, fork_set(&self->r.d, variant->mode));
}

FIXTURE_TEARDOWN(life)
{
	rig_close(&self->r);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static void set_nproc(struct __test_metadata *_metadata, rlim_t max)
{
	struct rlimit r = { max, max };

	ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &r));
	ASSERT_EQ(0, setuid(LONE_ID));
}

/* This process and three workers; who is freed makes room. */
TEST_F(life, nproc_bounds_workers_enomem)
{
	struct dev *d = &self->r.d;
	int first = first_workers();

	set_nproc(_metadata, 4);
	ASSERT_EQ(0, dev_own(d));
	for (int id = first; id < 3; id++) {
		EXPECT_EQ(id, worker_new(d));
	}
	EXPECT_EQ(-ENOMEM, worker_new(d));
	ASSERT_EQ(0, worker_free(d, 2));
	ASSERT_EQ(0, worker_gone(getpid(), 2));
	EXPECT_EQ(2, worker_new(d));
	EXPECT_EQ(-ENOMEM, worker_new(d));
}

/* The limit is of the user, whatever the device. */
TEST_F(life, nproc_bounds_all_devices_enomem)
{
	int64_t until = now_ms() + WAIT_MS;
	struct dev d[4];

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, dev_open(&d[i]));
		ASSERT_EQ(0, fork_set(&d[i], variant->mode));
	}
	set_nproc(_metadata, 1 + 3 * first_workers());
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, dev_own(&d[i]));
	}
	EXPECT_EQ(-ENOMEM, dev_own(&d[3]));
	dev_close(&d[0]);
	/* a thread is charged for until all of it has gone */
	while (dev_own(&d[3])) {
		ASSERT_GT(until, now_ms());
		poll(NULL, 0, 5);
	}
	for (int i = 1; i < 4; i++)
		dev_close(&d[i]);
}

TEST_HARNESS_MAIN
