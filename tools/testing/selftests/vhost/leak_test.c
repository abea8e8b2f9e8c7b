// SPDX-License-Identifier: GPL-2.0-only
/*
 * What remains when a device is gone: nothing. Each test lives a number of
 * lives of one kind and compares the machine's counters before and after.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <unistd.h>

#include "harness.h"

#define WARM_UP		10
#define LIVES		100
#define RING		256
#define SLACK_KB	4096	/* noise of the machine */

struct counters {
	long free_kb;		/* MemFree and what can be dropped */
	long slab_kb;		/* SUnreclaim */
	long vmalloc_kb;
	long percpu_kb;
	long stack_kb;
	int refs;		/* of the module */
	int fds;		/* of this process */
};

FIXTURE(leak) {
	struct dev d;
	struct net n;
	struct counters before;
	uint8_t frame[1500];
	int kmsg;
};

static long meminfo(const char *key)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			kb = strtol(line + strlen(key), NULL, 10);
	}
	if (f)
		fclose(f);
	return kb;
}

static int module_refs(void)
{
	char path[96];
	int refs = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module_name());
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &refs) != 1)
		refs = -1;
	if (f)
		fclose(f);
	return refs;
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/*
 * KASAN holds back what was freed, megabytes of it, until its slab is shrunk:
 * those of frames, and of kmalloc().
 */
static void shrink_slabs(void)
{
	static const char *const slabs[] = {
		"/sys/kernel/slab/kmalloc-*/shrink",
		"/sys/kernel/slab/skbuff_*/shrink",
	};
	glob_t found;

	for (size_t s = 0; s < ARRAY_SIZE(slabs); s++) {
		if (glob(slabs[s], 0, NULL, &found))
			continue;
		for (size_t i = 0; i < found.gl_pathc; i++) {
			int fd = open(found.gl_pathv[i], O_WRONLY | O_CLOEXEC);

			if (fd < 0 || write(fd, "1", 1) != 1)
				DIAG("%s: %m", found.gl_pathv[i]);
			if (fd >= 0)
				close(fd);
		}
		globfree(&found);
	}
}

static void count(struct counters *c)
{
	shrink_slabs();
	c->free_kb = meminfo("MemFree:") + meminfo("Buffers:") +
		     meminfo("Cached:") + meminfo("SReclaimable:");
	c->slab_kb = meminfo("SUnreclaim:");
	c->vmalloc_kb = meminfo("VmallocUsed:");
	c->percpu_kb = meminfo("Percpu:");
	c->stack_kb = meminfo("KernelStack:");
	c->refs = module_refs();
	c->fds = open_files();
}

static bool over(const struct counters *a, const struct counters *b)
{
	return b->slab_kb > a->slab_kb + SLACK_KB ||
	       b->vmalloc_kb > a->vmalloc_kb + SLACK_KB ||
	       b->percpu_kb > a->percpu_kb + SLACK_KB ||
	       b->stack_kb > a->stack_kb + SLACK_KB / 4 ||
	       b->free_kb < a->free_kb - 4 * SLACK_KB ||
	       b->refs > a->refs || b->fds > a->fds;
}

/*
 * The kernel frees some things after a grace period: look again until the
 * deadline. Return: 0, or -EUCLEAN when something is missing for good.
 */
static int compare(const struct counters *before)
{
	int64_t end = now_ms() + WAIT_MS;
	struct counters c;

	do {
		count(&c);
		if (!over(before, &c))
			return 0;
		poll(NULL, 0, 50);
	} while (now_ms() < end);
	DIAG("slab %+ld vmalloc %+ld percpu %+ld stack %+ld free %+ld KiB, refs %+d, files %+d",
	     c.slab_kb - before->slab_kb, c.vmalloc_kb - before->vmalloc_kb,
	     c.percpu_kb - before->percpu_kb, c.stack_kb - before->stack_kb,
	     c.free_kb - before->free_kb, c.refs - before->refs,
	     c.fds - before->fds);
	return -EUCLEAN;
}

FIXTURE_SETUP(leak)
{
	self->kmsg = kmsg_open();
	self->d.fd = -1;
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, 12));
	frame_fill(self->frame, sizeof(self->frame), true, 1);
	ASSERT_LE(0, module_refs());
}

FIXTURE_TEARDOWN(leak)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(leak) fix;

/* One life, ended at @state of its set-up. Return: 0, 1: no such state. */
static int live_until(fix *f, int state)
{
	struct dev *d = &f->d;
	int ret = dev_open(d);

	if (state > 0 && !ret)
		ret = dev_own(d);
	if (state > 1 && !ret)
		ret = dev_features(d, F_V1 | F_MRG);
	if (state > 2 && !ret)
		ret = dev_mem(d);
	if (state > 3 && !ret)
		ret = dev_mem_table(d);
	if (state > 4 && !ret)
		ret = vq_setup(d, RX, RING);
	if (state > 5 && !ret)
		ret = dev_backend(d, RX, f->n.tap);
	if (state > 6 && !ret)
		ret = vq_setup(d, TX, RING);
	if (state > 7 && !ret)
		ret = dev_backend(d, TX, f->n.tap);
	if (state > 8 && !ret)
		ret = dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0);
	if (state > 9 && !ret)
		ret = dev_own(d);
	dev_close(d);
	return ret;
}

TEST_F(leak, closed_in_every_state_ok)
{
	for (int i = -WARM_UP; i < LIVES; i++) {
		if (!i)
			count(&self->before);
		ASSERT_EQ(0, live_until(self, (i + WARM_UP) % 11));
	}
	EXPECT_EQ(0, compare(&self->before));
}

/* Frames in the ring, in the device and in the tap when it ends. */
static int live_with_frames(fix *f, bool stop)
{
	struct dev *d = &f->d;
	uint8_t *buf;
	int ret = dev_setup(d, F_V1 | F_MRG);

	for (int q = 0; q < 2 && !ret; q++) {
		ret = vq_setup(d, q, RING);
		if (!ret)
			ret = dev_backend(d, q, f->n.tap);
	}
	if (ret)
		return ret;
	buf = guest_alloc(d, RING * 4096, 4096);
	for (int i = 0; i < 100; i++) {
		tx_add(&d->vq[TX], NULL, f->frame, 200, &one_piece,
		       buf + i * 2048);
		pkt_send(f->n.pkt, NULL, f->frame, sizeof(f->frame));
	}
	for (int i = 0; i < 20; i++)
		rx_add(&d->vq[RX], 2048, &one_piece, buf + (200 + i) * 2048);
	vq_publish_kick(&d->vq[RX]);
	vq_publish_kick(&d->vq[TX]);
	ret = vq_wait(&d->vq[TX], 1, WAIT_MS);
	if (stop && !ret)
		ret = dev_backend(d, RX, -1);
	if (stop && !ret)
		ret = dev_backend(d, TX, -1);
	dev_close(d);
	return ret;
}

TEST_F(leak, closed_with_frames_ok)
{
	for (int i = -WARM_UP; i < LIVES / 2; i++) {
		if (!i)
			count(&self->before);
		ASSERT_EQ(0, live_with_frames(self, false));
	}
	EXPECT_EQ(0, compare(&self->before));
}

TEST_F(leak, stopped_with_frames_ok)
{
	for (int i = -WARM_UP; i < LIVES / 2; i++) {
		if (!i)
			count(&self->before);
		ASSERT_EQ(0, live_with_frames(self, true));
	}
	EXPECT_EQ(0, compare(&self->before));
}

/* Dropped frames free their pages. */
TEST_F(leak, bad_frames_ok)
{
	struct dev *d = &self->d;
	struct vq *vq = &d->vq[TX];
	uint8_t *buf;

	ASSERT_EQ(0, dev_setup(d, F_V1));
	ASSERT_EQ(0, vq_setup(d, TX, RING));
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	buf = guest_alloc(d, RING * 2048, 4096);
	for (int i = -20; i < 200; i++) {
		if (!i)
			count(&self->before);
		for (int k = 0; k < 100; k++) {
			/* a 13-byte frame, and one with a GSO type unknown */
			tx_add(vq, NULL, self->frame, k & 1 ? 13 : 1000,
			       &one_piece, buf + k * 2048);
			if (!(k & 1))
				buf[k * 2048 + 1] = 0x7f;
		}
		vq_publish_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 100, WAIT_MS));
		while (vq_pop(vq, NULL) >= 0)
			;
	}
	EXPECT_EQ(0, compare(&self->before));
}

/* Nothing holds the tap once the device is closed or stopped. */
TEST_F(leak, tap_can_go_ok)
{
	for (int i = 0; i < 10; i++) {
		char name[16];
		int tap;

		snprintf(name, sizeof(name), "gone%d", i);
		tap = tap_open(name, 0, 12);
		ASSERT_LE(0, tap);
		ASSERT_EQ(0, dev_setup(&self->d, F_V1));
		for (int q = 0; q < 2; q++) {
			ASSERT_EQ(0, vq_setup(&self->d, q, RING));
			ASSERT_EQ(0, dev_backend(&self->d, q, tap));
		}
		for (int q = 0; q < 2 && i & 1; q++) {
			ASSERT_EQ(0, dev_backend(&self->d, q, -1));
		}
		if (!(i & 1))
			dev_close(&self->d);
		close(tap);
		EXPECT_EQ(-ENOENT, (int)link_packets(name, true));
		dev_close(&self->d);
	}
}

/* The worker ends with its device. */
TEST_F(leak, worker_gone_ok)
{
	int64_t end;

	ASSERT_EQ(0, dev_setup(&self->d, F_V1));
	EXPECT_LT(0, worker_tid(getpid()));
	dev_close(&self->d);
	for (end = now_ms() + WAIT_MS; now_ms() < end; poll(NULL, 0, 5)) {
		if (worker_tid(getpid()) < 0)
			break;
	}
	EXPECT_GT(0, worker_tid(getpid()));
}

/* An open node keeps the module; a closed one does not. */
TEST_F(leak, module_reference_ok)
{
	int refs = module_refs();

	ASSERT_EQ(0, dev_open(&self->d));
	EXPECT_EQ(refs + 1, module_refs());
	dev_close(&self->d);
	EXPECT_EQ(refs, module_refs());
}

TEST_HARNESS_MAIN
