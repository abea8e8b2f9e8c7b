// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers are charged and frozen with their owner: a task as the thread of it
 * that it is, a kthread since it joins the owner's groups.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "worker_lib.h"

#define ROOT	"/mnt/cgroup"

/* Where the owner is to be. */
struct place {
	const char *type, *options;	/* of the mount */
	bool is_threaded;
};

static const struct place v2 = { "cgroup2", NULL, false };
/* libvirt's way: the group of the process is one of threads */
static const struct place v2_threaded = { "cgroup2", NULL, true };
static const struct place v1 = { "cgroup", "none,name=vhx-test", false };
static const struct place v1_freezer = { "cgroup", "freezer", false };

/* The group that a test makes, and where in it the owner is. */
static char outer[64], group[80];

FIXTURE(cgroup) {
	struct rig r;
	int kmsg;
};

MODE_VARIANTS(cgroup);

FIXTURE_SETUP(cgroup)
{
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, rig_open(&self->r));
	/* mounts of a test end with it */
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir(ROOT, 0700));
}

FIXTURE_TEARDOWN(cgroup)
{
	rig_close(&self->r);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static int write_in(const char *dir, const char *name, const char *text)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return n < 0 ? -EIO : 0;
}

/* Wait until a file of the group holds @text. */
static int wait_for(const char *name, const char *text)
{
	int64_t end = now_ms() + WAIT_MS;
	char path[128], now[4096];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	for (;;) {
		int ret = read_file(path, now, sizeof(now));

		if (ret || strstr(now, text))
			return ret;
		if (now_ms() >= end)
			return -ETIMEDOUT;
		poll(NULL, 0, 5);
	}
}

/* The caller into a new group. Return: -ENODEV where there is no hierarchy. */
static int enter(const struct place *p)
{
	int ret = 0;

	if (mount("none", ROOT, p->type, 0, p->options))
		return -ENODEV;
	snprintf(outer, sizeof(outer), ROOT "/vhx-%d", getpid());
	snprintf(group, sizeof(group), "%s%s", outer,
		 p->is_threaded ? "/threads" : "");
	if (mkdir(outer, 0755) || (p->is_threaded && mkdir(group, 0755)))
		return -errno;
	if (p->is_threaded)
		ret = write_in(group, "cgroup.type", "threaded");
	return ret ? ret : write_in(group, "cgroup.procs", "0");
}

/* A group can go once all of its threads are, which may take them a moment. */
static int leave(const struct place *p)
{
	int64_t end = now_ms() + WAIT_MS;
	int ret = write_in(ROOT, "cgroup.procs", "0");

	while (!ret && rmdir(group)) {
		if (now_ms() >= end)
			return -errno;
		poll(NULL, 0, 5);
	}
	if (!ret && p->is_threaded && rmdir(outer))
		ret = -errno;
	return ret;
}

/* Return: 0 when worker @id is in all groups of this process. */
static int is_with_us(unsigned int id)
{
	char path[64], ours[4096], its[4096];
	int ret = read_file("/proc/self/cgroup", ours, sizeof(ours));

	snprintf(path, sizeof(path), "/proc/%d/cgroup",
		 worker_tid_of(getpid(), id));
	if (!ret)
		ret = read_file(path, its, sizeof(its));
	if (!ret && strcmp(ours, its)) {
		DIAG("owner: %sworker: %s", ours, its);
		ret = -EXDEV;
	}
	return ret;
}

static void expect_charged(struct __test_metadata *_metadata, struct rig *r,
			   uint8_t mode, const struct place *p)
{
	int ret = enter(p);

	if (ret == -ENODEV)
		SKIP(return, "this kernel has no %s hierarchy", p->type);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, rig_start(r, mode));
	EXPECT_EQ(0, is_with_us(0));
	if (is_ours()) {
		EXPECT_EQ(0, is_with_us(1));
	}
	EXPECT_EQ(0, rig_works(r));
	rig_close(r);
	EXPECT_EQ(0, leave(p));
}

TEST_F(cgroup, charged_in_cgroup2_ok)
{
	expect_charged(_metadata, &self->r, variant->mode, &v2);
}

TEST_F(cgroup, charged_in_threaded_cgroup2_ok)
{
	expect_charged(_metadata, &self->r, variant->mode, &v2_threaded);
}

TEST_F(cgroup, charged_in_cgroup1_ok)
{
	expect_charged(_metadata, &self->r, variant->mode, &v1);
}

/* This process and three workers, then no more, of either kind. */
TEST_F(cgroup, pids_max_bounds_workers_enomem)
{
	struct dev *d = &self->r.d;
	int ret;

	if (!is_ours())
		SKIP(return, "in-tree has no worker ioctls here");
	if (!kernel_has_tasks())
		SKIP(return, "this kernel tells a module nothing of pids.max");
	ret = enter(&v2);
	if (ret == -ENODEV)
		SKIP(return, "this kernel has no cgroup2 hierarchy");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, write_in(ROOT, "cgroup.subtree_control", "+pids"));
	ASSERT_EQ(0, write_in(group, "pids.max", "4"));
	ASSERT_EQ(0, fork_set(d, variant->mode));
	ASSERT_EQ(0, dev_own(d));
	EXPECT_EQ(0, three_workers_fit(d));
	rig_close(&self->r);
	EXPECT_EQ(0, leave(&v2));
	write_in(ROOT, "cgroup.subtree_control", "-pids");
}

/*
 * A process in the group that owns the device, and at each byte that it reads
 * sends and receives, then answers by one.
 */
static void owner_main(struct rig *r, uint8_t mode, int order, int answer)
{
	char c;

	if (rig_start(r, mode))
		_exit(1);
	do {
		if (rig_works(r) || write(answer, "", 1) != 1)
			_exit(2);
	} while (read(order, &c, 1) == 1);
	rig_close(r);
	_exit(0);
}

struct owner {
	pid_t pid;
	int order, answer;
};

static int owner_start(struct owner *o, struct rig *r, uint8_t mode,
		       const struct place *p)
{
	int in[2], out[2], ret = enter(p);

	if (ret || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return ret ? ret : -errno;
	o->pid = fork();
	if (!o->pid) {
		close(in[1]);
		close(out[0]);
		owner_main(r, mode, in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	o->order = in[1];
	o->answer = out[0];
	ret = write_in(ROOT, "cgroup.procs", "0");
	return o->pid < 0 ? -ECHILD : ret;
}

static int owner_answers(struct owner *o)
{
	char c;

	return event_wait(o->answer, WAIT_MS) || read(o->answer, &c, 1) != 1 ?
		-ETIMEDOUT : 0;
}

static void expect_frozen(struct __test_metadata *_metadata, struct rig *r,
			  uint8_t mode, const struct place *p)
{
	bool is_v2 = !strcmp(p->type, "cgroup2");
	bool is_task = mode == TASK && kernel_has_tasks();
	const char *name = is_v2 ? "cgroup.freeze" : "freezer.state";
	const char *frozen = is_v2 ? "1" : "FROZEN";
	const char *thawed = is_v2 ? "0" : "THAWED";
	struct owner o = { 0 };
	int status, ret = owner_start(&o, r, mode, p);

	if (ret == -ENODEV)
		SKIP(return, "this kernel has no %s hierarchy", p->type);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, owner_answers(&o));
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, write_in(group, name, frozen));
		ASSERT_EQ(1, write(o.order, "", 1));
		for (int k = 0; k < 100; k++) {
			vq_kick(&r->d.vq[k & 1]);
		}
		if (!is_v2) {
			EXPECT_EQ(0, wait_for(name, frozen));
		} else if (is_task) {
			EXPECT_EQ(0, wait_for("cgroup.events", "frozen 1"));
		}
		ASSERT_EQ(0, write_in(group, name, thawed));
		EXPECT_EQ(0, owner_answers(&o));
	}
	/* killed while frozen; in v1 that has to wait for the thaw */
	ASSERT_EQ(0, write_in(group, name, frozen));
	kill(o.pid, SIGKILL);
	if (!is_v2) {
		ASSERT_EQ(0, write_in(group, name, thawed));
	}
	ASSERT_EQ(o.pid, waitpid(o.pid, &status, 0));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	rig_close(r);
	EXPECT_EQ(0, worker_gone(o.pid, 0));
	EXPECT_EQ(0, worker_gone(o.pid, 1));
	EXPECT_EQ(0, leave(p));
}

/*
 * Frozen with kicks coming in, thawed, it works; ten times. With a kthread in
 * it a v2 group freezes all else, but never says that it is frozen.
 */
TEST_F(cgroup, frozen_by_cgroup2_ok)
{
	expect_frozen(_metadata, &self->r, variant->mode, &v2);
}

TEST_F(cgroup, frozen_by_cgroup1_ok)
{
	expect_frozen(_metadata, &self->r, variant->mode, &v1_freezer);
}

TEST_HARNESS_MAIN
