// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints, Documentation/trace.rst: in each situation those that should come do,
 * with what happened in their fields. tools/testing/vm/trace.py runs the situations
 * under scripts, and knows the numbers.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "harness.h"
#include "flow_lib.h"
#include "iotlb_lib.h"

#define TRACEFS		"/sys/kernel/tracing"
#define PAGE		4096UL
#define RING		256
#define FRAMES		32	/* in a burst */
#define LEN		100	/* bytes of a frame in it */
#define ROOM		2048
#define KICKS		6	/* for nothing */
#define SHORTS		5	/* frames that are too short */
#define WRITABLES	2	/* with a part that is writable */
#define PAGES		3	/* that miss */
#define ENTRIES		2048	/* an IOTLB may hold, unless the module was told */
#define BAD_ADDR	4096	/* no guest memory there */

FIXTURE(trace) {
	char dir[64];		/* the instance */
	int log;		/* its events */
	char *text;		/* what came so far */
	size_t len;
	struct flow f;
	struct vq *vq;		/* of @f, by index */
	int dev;		/* number of that device */
	int kmsg;
};

typedef FIXTURE_DATA(trace) fix;

static int put(fix *s, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	return write_text(path, text);
}

FIXTURE_SETUP(trace)
{
	char text[32], path[128];

	if (!strcmp(module_name(), "vhost_net"))
		SKIP(_exit(255), "in-tree has none of these tracepoints");
	/* The namespace of these tests has a /sys of its own. */
	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "/instances", F_OK))
		SKIP(_exit(255), "no tracefs in this kernel");
	self->kmsg = kmsg_open();
	self->vq = self->f.d.vq;
	self->f.d.fd = -1;
	snprintf(self->dir, sizeof(self->dir), TRACEFS "/instances/vhx-%d", getpid());
	ASSERT_EQ(0, mkdir(self->dir, 0700));
	ASSERT_EQ(0, put(self, "buffer_size_kb", "512"));
	snprintf(text, sizeof(text), "owner == %d", getpid());
	ASSERT_EQ(0, put(self, "events/vhx/filter", text));
	ASSERT_EQ(0, put(self, "events/vhx/enable", "1"));
	snprintf(path, sizeof(path), "%s/trace_pipe", self->dir);
	self->log = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->log);
	self->text = calloc(1, 1);
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
}

FIXTURE_TEARDOWN(trace)
{
	if (self->f.d.fd >= 0)
		dev_close(&self->f.d);
	net_close(&self->f.n);
	close(self->log);
	EXPECT_EQ(0, rmdir(self->dir));
	free(self->text);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

/* What came since the last call is added to what came before. */
static int gather(fix *s)
{
	ssize_t n;

	for (;;) {
		s->text = realloc(s->text, s->len + 65536);
		n = read(s->log, s->text + s->len, 65535);
		if (n <= 0)
			break;
		s->len += n;
	}
	s->text[s->len] = 0;
	return n < 0 && errno != EAGAIN ? -errno : 0;
}

/* Events of that name, of our device, whose fields begin or go on like that. */
static int count(fix *s, const char *name, const char *fields)
{
	char head[64], us[32];
	int nr = 0;

	snprintf(head, sizeof(head), ": vhx_%s: ", name);
	snprintf(us, sizeof(us), " dev=%d ", s->dev);
	for (char *at = s->text, *end; (at = strstr(at, head)); at = end) {
		end = strchr(at, '\n');
		if (!end)
			break;
		*end = ' ';
		nr += (!s->dev || memmem(at, end - at, us, strlen(us))) &&
		      memmem(at, end + 1 - at, fields, strlen(fields));
		*end = '\n';
	}
	return nr;
}

/* Waits until so many are there. */
static int await(fix *s, int nr, const char *name, const char *fields)
{
	int64_t until = now_ms() + WAIT_MS;
	int ret;

	do {
		ret = gather(s);
		if (!ret && count(s, name, fields) >= nr)
			return 0;
		usleep(1000);
	} while (!ret && now_ms() < until);
	return ret ? ret : -ETIMEDOUT;
}

/* What came of that name, for who reads why a test failed. */
static void show(fix *s, const char *name, const char *fields)
{
	char head[64], *save = NULL, *text = strdup(s->text);

	DIAG("of vhx_%s: %s", name, fields);
	snprintf(head, sizeof(head), ": vhx_%s: ", name);
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (strstr(line, head))
			DIAG("%s", line);
	free(text);
}

#define EXPECT_EVENTS(nr, name, fields) do {				\
	EXPECT_EQ(0, await(self, nr, name, fields));			\
	EXPECT_EQ(nr, count(self, name, fields)) {			\
		show(self, name, fields);				\
	}								\
} while (0)

#define EXPECT_SOME(name, fields)					\
	EXPECT_EQ(0, await(self, 1, name, fields)) {			\
		show(self, name, fields);				\
	}

/* A device with its rings started, and room for buffers. */
static int set_up(fix *s, uint64_t features)
{
	struct flow *f = &s->f;
	int ret = dev_setup(&f->d, F_V1 | features);

	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&f->d, q, RING);
	if (ret)
		return ret;
	s->dev = dev_counter(&f->d, "vhx-dev");
	f->tx_buf = guest_alloc(&f->d, RING * ROOM, PAGE);
	f->rx_buf = guest_alloc(&f->d, RING * ROOM, PAGE);
	/* What it has queued is over before anything else happens. */
	for (int q = 0; q < 2 && !ret; q++) {
		char text[64];

		snprintf(text, sizeof(text), "ring=%d err=0 is_queued=0", q);
		ret = flow_start(f, q);
		if (!ret)
			ret = await(s, 1, "run_exit", text);
	}
	return ret;
}

static void shut_down(fix *s)
{
	dev_close(&s->f.d);
	memset(&s->f.d, 0, sizeof(s->f.d));
	s->f.d.fd = -1;
}

/* -- situations: they come to their end before what happened is looked at -- */

/* Send @nr frames in one burst. */
static int send_burst(fix *s, unsigned int nr, size_t len)
{
	struct vq *tx = &s->vq[TX];
	uint8_t frame[LEN];
	int ret = 0;

	for (unsigned int i = 0; i < nr && ret >= 0; i++) {
		frame_fill(frame, LEN, false, i);
		ret = tx_add(tx, NULL, frame, len, &one_piece,
			     s->f.tx_buf + i * ROOM);
	}
	if (ret < 0)
		return ret;
	vq_want_call(tx, nr);
	vq_publish(tx);
	vq_kick(tx);
	ret = vq_wait(tx, nr, WAIT_MS);
	for (unsigned int i = 0; i < nr; i++)
		vq_pop(tx, NULL);
	return ret;
}

/* Send a frame whose driver wants no call. */
static int send_uncalled(fix *s)
{
	struct vq *tx = &s->vq[TX];
	int ret;

	vq_calls_off(tx);
	flow_tx_add(&s->f);
	ret = vq_spin(tx, 1, WAIT_MS);
	vq_pop(tx, NULL);
	return ret;
}

/* Offer a buffer of the ring by itself, whatever is in it. */
static void offer(struct vq *vq, uint16_t head, uint64_t addr, uint16_t flags)
{
	desc_put(vq->dev, &vq->desc[head], addr, 100, flags, head);
	vq_push(vq, head);
	vq_publish(vq);
	vq_kick(vq);
}

static int drop_some(fix *s)
{
	struct vq *tx = &s->vq[TX];
	int ret = send_burst(s, SHORTS, 1);

	for (int i = 0; i < WRITABLES && !ret; i++) {
		offer(tx, vq_next_head(tx), gpa(&s->f.d, s->f.tx_buf),
		      VRING_DESC_F_WRITE);
		ret = vq_wait(tx, 1, WAIT_MS);
		tx->used_idx++;
	}
	return ret;
}

static int kick_for_nothing(fix *s)
{
	int runs = count(s, "run_exit", "ring=1 err=0 is_queued=0"), ret;

	ret = send_burst(s, 1, LEN);
	for (int i = 0; i <= KICKS && !ret; i++) {
		if (i)
			vq_kick(&s->vq[TX]);
		ret = await(s, ++runs, "run_exit", "ring=1 err=0 is_queued=0");
	}
	return ret;
}

static int fail_ring(fix *s)
{
	struct vq *tx = &s->vq[TX];

	offer(tx, 0, BAD_ADDR, 0);
	return event_wait(tx->err, WAIT_MS);
}

/* A frame that cannot be read for a moment. */
static int retry(fix *s)
{
	int head, ret;

	if (mprotect(s->f.tx_buf, PAGE, PROT_NONE))
		return -errno;
	frame_fill(s->f.frame, FLOW_LEN, false, 1);
	head = vq_add(&s->vq[TX], &(struct seg){ s->f.tx_buf, FLOW_LEN }, 1, 0);
	vq_publish_kick(&s->vq[TX]);
	ret = await(s, 1, "ring_retry", "ring=1 err=-12 ms=1");
	if (mprotect(s->f.tx_buf, PAGE, PROT_READ | PROT_WRITE))
		return -errno;
	if (!ret)
		ret = vq_wait(&s->vq[TX], 1, WAIT_MS);
	return ret ? ret : vq_pop(&s->vq[TX], NULL) == head ? 0 : -EPROTO;
}

static int poll_ring(fix *s)
{
	int ret = dev_set_window(&s->f.d, TX, 100);

	return ret ? ret : send_burst(s, 1, LEN);
}

/* Frames in pages that the IOTLB does not know; then one more than it may hold. */
static int miss(fix *s, struct iotlb *t)
{
	struct flow *f = &s->f;
	uint8_t *page;
	int ret;

	f->tx_buf = guest_alloc(&f->d, PAGES * PAGE, PAGE);
	for (int i = 0; i < PAGES; i++) {
		frame_fill(f->frame, LEN, false, i);
		tx_add(&s->vq[TX], NULL, f->frame, LEN, &one_piece,
		       f->tx_buf + i * PAGE);
	}
	vq_publish_kick(&s->vq[TX]);
	ret = await(s, PAGES, "iotlb_miss", "ring=1");
	for (int i = 0; i < PAGES && !ret; i++)
		ret = iotlb_map(t, f->tx_buf + i * PAGE, PAGE, VHOST_ACCESS_RO);
	if (!ret)
		ret = vq_wait(&s->vq[TX], PAGES, WAIT_MS);
	if (!ret)
		ret = iotlb_drop(t, gpa(&f->d, f->tx_buf), PAGE);
	page = guest_alloc(&f->d, (ENTRIES + 1) * PAGE, PAGE);
	for (int i = 0; i <= ENTRIES && !ret; i++)
		ret = iotlb_map(t, page + i * PAGE, PAGE, VHOST_ACCESS_RO);
	return ret;
}

static int set_up_iotlb(fix *s, struct iotlb *t)
{
	int ret = iotlb_open(t, &s->f.d, F_V1, true);

	s->dev = dev_counter(&s->f.d, "vhx-dev");
	for (int q = 0; q < 2 && !ret; q++) {
		struct vq *vq = &s->vq[q];

		ret = vq_setup(&s->f.d, q, RING);
		if (!ret)
			ret = iotlb_map(t, vq->desc, PAGE, VHOST_ACCESS_RO);
		if (!ret)
			ret = iotlb_map(t, vq->avail, PAGE, VHOST_ACCESS_RO);
		if (!ret)
			ret = iotlb_map(t, vq->used, PAGE, VHOST_ACCESS_RW);
		if (!ret)
			ret = flow_start(&s->f, q);
	}
	return ret;
}

/* -- tests -- */

TEST_F(trace, device_and_rings_ok)
{
	char text[64];

	ASSERT_EQ(0, set_up(self, F_EVENT));
	ASSERT_LT(0, self->dev);
	shut_down(self);
	snprintf(text, sizeof(text), "owner=%d", getpid());
	EXPECT_EVENTS(1, "owner_set", text);
	EXPECT_EVENTS(1, "owner_reset", text);
	EXPECT_EVENTS(1, "ring_start",
		      "ring=0 num=256 base=0x0 is_packed=0 has_event_idx=1 has_iotlb=0");
	EXPECT_EVENTS(1, "ring_start", "ring=1 num=256 base=0x0 ");
	EXPECT_EVENTS(1, "backend_set", "ring=0 from=none to=tap");
	EXPECT_EVENTS(1, "backend_set", "ring=1 from=tap to=none");
	EXPECT_EVENTS(2, "ring_stop", "base=0x0 ");
}

/* Two devices of one owner are told apart. */
TEST_F(trace, devices_have_numbers_ok)
{
	struct dev other = { .fd = -1 };

	ASSERT_EQ(0, set_up(self, F_EVENT));
	ASSERT_EQ(0, dev_open(&other));
	EXPECT_LT(self->dev, dev_counter(&other, "vhx-dev"));
	dev_close(&other);
}

TEST_F(trace, burst_is_counted_ok)
{
	char text[64];

	ASSERT_EQ(0, set_up(self, F_EVENT));
	ASSERT_EQ(0, send_burst(self, FRAMES, LEN));
	EXPECT_SOME("kick", "ring=1");
	EXPECT_EVENTS(1, "fetch", "ring=1 nr=32 nr_plain=32 avail=0x20 ");
	snprintf(text, sizeof(text), "ring=1 frames=32 bytes=%u dropped=0 back=0 ",
		 FRAMES * LEN);
	EXPECT_EVENTS(1, "send", text);
	EXPECT_EVENTS(1, "complete", "ring=1 nr=32 used=0x20 ");
	EXPECT_EVENTS(1, "call", "ring=1 err=0 ");
	ASSERT_EQ(0, send_uncalled(self));
	EXPECT_EVENTS(1, "call_saved", "ring=1 why=event_idx");
	ASSERT_EQ(0, flow_rx(&self->f));
	EXPECT_SOME("backend_ready", "ring=0");
	EXPECT_EVENTS(1, "receive", "ring=0 frames=1 bytes=300 ");
	EXPECT_EVENTS(1, "complete", "ring=0 nr=1 used=0x1 ");
	EXPECT_SOME("backend_wait", "ring=0 ret=0 ");
	EXPECT_SOME("worker_sleep", "worker=0 ");
	EXPECT_SOME("worker_wake", "worker=0 ");
}

TEST_F(trace, saved_calls_say_why_ok)
{
	ASSERT_EQ(0, set_up(self, 0));
	ASSERT_EQ(0, send_uncalled(self));
	EXPECT_EVENTS(1, "call_saved", "ring=1 why=flags ");
	ASSERT_EQ(0, dev_file(&self->f.d, VHOST_SET_VRING_CALL, TX, -1));
	ASSERT_EQ(0, send_uncalled(self));
	EXPECT_EVENTS(1, "call_saved", "ring=1 why=no_eventfd ");
}

TEST_F(trace, drops_say_why_ok)
{
	ASSERT_EQ(0, set_up(self, 0));
	ASSERT_EQ(0, drop_some(self));
	EXPECT_EVENTS(SHORTS, "drop", "ring=1 reason=short nr=1 ");
	EXPECT_EVENTS(WRITABLES, "drop", "ring=1 reason=writable nr=1 ");
	EXPECT_EVENTS(SHORTS + WRITABLES, "drop", "");
}

TEST_F(trace, kicks_for_nothing_ok)
{
	ASSERT_EQ(0, set_up(self, F_EVENT));
	ASSERT_EQ(0, kick_for_nothing(self));
	EXPECT_EVENTS(KICKS + 1, "kick", "ring=1");
	EXPECT_EVENTS(1, "fetch", "ring=1");
}

TEST_F(trace, failures_say_why_ok)
{
	ASSERT_EQ(0, set_up(self, 0));
	ASSERT_EQ(0, fail_ring(self));
	EXPECT_EVENTS(1, "ring_fail", "ring=1 err=-6 cause=buf_outside ");
	EXPECT_SOME("run_exit", "ring=1 err=-6 ");
}

TEST_F(trace, retries_say_when_ok)
{
	ASSERT_EQ(0, set_up(self, 0));
	ASSERT_EQ(0, retry(self));
	EXPECT_EVENTS(0, "ring_fail", "");
}

TEST_F(trace, polling_is_timed_ok)
{
	ASSERT_EQ(0, set_up(self, F_EVENT));
	ASSERT_EQ(0, poll_ring(self));
	EXPECT_SOME("busypoll", "ring=1 ns=");
	EXPECT_SOME("busypoll", "is_hit=0");
}

TEST_F(trace, iotlb_has_addresses_ok)
{
	struct iotlb t = { .view = NULL };
	char text[64];
	uint64_t iova;

	ASSERT_EQ(0, set_up_iotlb(self, &t));
	ASSERT_EQ(0, miss(self, &t));
	iova = gpa(&self->f.d, self->f.tx_buf);
	for (int i = 0; i < PAGES; i++) {
		snprintf(text, sizeof(text), "ring=1 iova=%#llx perm=1 is_needed=%d ",
			 (unsigned long long)(iova + i * PAGE), !i);
		EXPECT_EVENTS(1, "iotlb_miss", text);
		snprintf(text, sizeof(text), " iova=%#llx size=0x1000 ",
			 (unsigned long long)(iova + i * PAGE));
		EXPECT_EVENTS(1, "iotlb_update", text);
		EXPECT_EVENTS(!i, "iotlb_invalidate", text);
	}
	EXPECT_SOME("run_exit", "ring=1 err=-11 ");
	EXPECT_SOME("iotlb_evict", "nr=");
	iotlb_close(&t);
}

/* None is dead: all that the kernel lists came in the situations above. */
TEST_F(trace, each_event_comes_ok)
{
	struct iotlb t = { .view = NULL };
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	ASSERT_EQ(0, set_up(self, 0));
	ASSERT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(0, send_uncalled(self));
	ASSERT_EQ(0, drop_some(self));
	ASSERT_EQ(0, retry(self));
	ASSERT_EQ(0, poll_ring(self));
	ASSERT_EQ(0, fail_ring(self));
	shut_down(self);
	ASSERT_EQ(0, set_up_iotlb(self, &t));
	ASSERT_EQ(0, miss(self, &t));
	iotlb_close(&t);
	ASSERT_EQ(0, gather(self));
	self->dev = 0;
	dir = opendir(TRACEFS "/events/vhx");
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vhx_", 4))
			continue;
		nr++;
		EXPECT_LT(0, count(self, entry->d_name + 4, "")) {
			TH_LOG("no %s", entry->d_name);
		}
	}
	closedir(dir);
	EXPECT_LT(20, nr);
}

TEST_HARNESS_MAIN
