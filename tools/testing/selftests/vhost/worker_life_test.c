// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a worker is charged to, and what becomes of a ring when the process ends
 * that made its worker but not the memory, which another one has.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "log_lib.h"
#include "worker_lib.h"

#define STACK	65536
#define RESETS	30
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

/* This process and three workers. */
TEST_F(life, nproc_bounds_workers_enomem)
{
	struct dev *d = &self->r.d;

	set_nproc(_metadata, 4);
	ASSERT_EQ(0, dev_own(d));
	EXPECT_EQ(0, three_workers_fit(d));
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

/* Who cannot be told of a worker has none. */
TEST_F(life, new_unwritable_leaves_none_efault)
{
	struct dev *d = &self->r.d;
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	int next = first_workers();

	ASSERT_EQ(0, dev_own(d));
	for (int i = 0; i < 2 * WORKERS_MAX; i++) {
		ASSERT_EQ(-EFAULT, dev_ioctl(d, VHOST_NEW_WORKER, page, 0));
	}
	EXPECT_EQ(0, worker_gone(getpid(), next));
	EXPECT_EQ(next, worker_new(d));
}

static void *new_and_free(void *arg)
{
	struct dev *d = arg;

	for (int i = 0; i < RESETS; i++) {
		int id = worker_new(d);

		if (id >= 0)
			worker_free(d, id);
	}
	return NULL;
}

static void *reset_and_own(void *arg)
{
	struct dev *d = arg;

	for (int i = 0; i < RESETS; i++) {
		dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0);
		dev_own(d);
	}
	return NULL;
}

/* A worker that is being freed when its owner goes, goes once. */
TEST_F(life, freed_against_reset_ok)
{
	struct dev *d = &self->r.d;
	pthread_t resets, frees;

	ASSERT_EQ(0, dev_own(d));
	ASSERT_EQ(0, pthread_create(&resets, NULL, reset_and_own, d));
	ASSERT_EQ(0, pthread_create(&frees, NULL, new_and_free, d));
	new_and_free(d);
	pthread_join(frees, NULL);
	pthread_join(resets, NULL);
	/* none is left half freed */
	ASSERT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, fork_set(d, variant->mode));
	ASSERT_EQ(0, dev_own(d));
	for (int id = first_workers(); id < workers_max(d); id++) {
		ASSERT_EQ(id, worker_new(d));
	}
	ASSERT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, rig_start(&self->r, variant->mode));
	EXPECT_EQ(0, rig_works(&self->r));
}

struct short_lived {
	struct dev *d;
	int until;		/* it ends when this pipe does */
	int err;
};

/* Runs on the caller's memory and in its own process, which has no libc. */
static int own_and_end(void *arg)
{
	struct short_lived *s = arg;
	char c;

	s->err = dev_own(s->d);
	syscall(SYS_read, s->until, &c, 1);
	syscall(SYS_exit_group, 0);
	return 0;
}

/* Both rings up, on workers of a process that ends with @until. */
static pid_t start_by_other(struct rig *r, int *until)
{
	static struct short_lived s;
	struct dev *d = &r->d;
	int fds[2], ret = 0;
	char *stack;
	pid_t pid;

	stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED || pipe2(fds, O_CLOEXEC))
		return -errno;
	s = (struct short_lived){ d, fds[0], 1 };
	*until = fds[1];
	pid = clone(own_and_end, stack + STACK,
		    CLONE_VM | CLONE_FILES | SIGCHLD, &s);
	if (pid < 0)
		return -errno;
	while (__atomic_load_n(&s.err, __ATOMIC_ACQUIRE) == 1)
		sched_yield();
	ret = s.err;
	if (!ret)
		ret = rig_rings(r);
	return ret ? ret : pid;
}

static bool dies_with_process(struct dev *d)
{
	return fork_get(d) == TASK;
}

/* Whether somebody waits for a page within the deadline. */
static bool page_is_wanted(struct held *held)
{
	struct pollfd p = { .fd = held->fd, .events = POLLIN };

	return poll(&p, 1, WAIT_MS) == 1;
}

/* Ends the process that made the workers. Return: 0 or -errno. */
static int end_other(struct rig *r, pid_t pid, int until)
{
	close(until);
	if (waitpid(pid, NULL, 0) != pid)
		return -errno;
	return dies_with_process(&r->d) ? worker_gone(pid, 0) : 0;
}

/* New workers for both rings. Return: 0 or -errno. */
static int move_both(struct dev *d)
{
	int ret = 0;

	for (int q = 0; q < 2 && !ret; q++) {
		int id = worker_new(d);

		ret = id < 0 ? id : worker_attach(d, q, id);
	}
	return ret;
}

/* Kicked while nobody is there to run: the next worker does it. */
TEST_F(life, process_gone_attach_goes_on_ok)
{
	struct rig *r = &self->r;
	struct vq *tx = &r->d.vq[TX];
	struct virtio_net_hdr h;
	int until;
	pid_t pid;

	pid = start_by_other(r, &until);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, rig_works(r));
	ASSERT_EQ(0, end_other(r, pid, until));
	frame_fill(r->frame, FRAME, false, r->seq++);
	tx_add(tx, NULL, r->frame, FRAME, &one_piece, r->buf);
	vq_publish(tx);
	vq_kick(tx);
	ASSERT_EQ(0, move_both(&r->d));
	/* nobody kicks again */
	EXPECT_EQ(FRAME, pkt_recv(r->n.pkt, &h, r->seen, sizeof(r->seen),
				  WAIT_MS));
	EXPECT_EQ(0, rig_reap(tx, 1, 0));
	EXPECT_EQ(0, rig_works(r));
	EXPECT_EQ(0, worker_free(&r->d, 0));
	EXPECT_EQ(0, rig_works(r));
}

/* Kicked all the while that it ends. */
TEST_F(life, process_gone_under_kicks_goes_on_ok)
{
	struct rig *r = &self->r;
	int until;
	pid_t pid;

	pid = start_by_other(r, &until);
	ASSERT_LT(0, pid);
	close(until);
	while (!waitpid(pid, NULL, WNOHANG)) {
		vq_kick(&r->d.vq[TX]);
		vq_kick(&r->d.vq[RX]);
	}
	if (dies_with_process(&r->d)) {
		ASSERT_EQ(0, worker_gone(pid, 0));
	}
	ASSERT_EQ(0, move_both(&r->d));
	EXPECT_EQ(0, rig_works(r));
}

/* A frame from and to the guest, each with a page of its own that is away. */
enum { FIRST, TO_GUEST, NEXT, AWAY };

/*
 * The worker has the second frame in its batch when it is killed: that ring
 * belongs to another one already, which was not told, as it is queued.
 */
TEST_F(life, process_gone_in_a_run_goes_on_ok)
{
	struct rig *r = &self->r;
	struct vq *tx = &r->d.vq[TX], *rx = &r->d.vq[RX];
	static struct held held[AWAY];
	struct virtio_net_hdr h;
	struct seg next;
	int until, id;
	pid_t pid;

	pid = start_by_other(r, &until);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, worker_attach(&r->d, TX, 0));
	ASSERT_EQ(0, rig_works(r));
	ASSERT_LE(0, tx_add(tx, NULL, r->frame, FRAME, &one_piece, r->buf));
	ASSERT_LE(0, rx_add(rx, 2048, &one_piece, r->buf + 8 * 4096));
	vq_publish(rx);
	next = (struct seg){ r->buf + 2 * 4096, r->d.hdr_len + FRAME };
	ASSERT_EQ(0, page_take(&held[FIRST], r->buf));
	ASSERT_EQ(0, page_take(&held[TO_GUEST], r->buf + 8 * 4096));
	ASSERT_EQ(0, page_take(&held[NEXT], next.p));

	vq_publish_kick(tx);
	ASSERT_TRUE(page_is_wanted(&held[FIRST]));
	ASSERT_EQ(0, pkt_send(r->n.pkt, NULL, r->frame, FRAME));
	vq_kick(rx);
	vq_kick(tx);
	ASSERT_EQ(0, page_give(&held[FIRST]));
	ASSERT_TRUE(page_is_wanted(&held[TO_GUEST]));
	ASSERT_LE(0, vq_add(tx, &next, 1, 0));
	vq_publish(tx);
	id = worker_new(&r->d);
	ASSERT_EQ(0, worker_attach(&r->d, TX, id));
	ASSERT_EQ(0, end_other(r, pid, until));
	ASSERT_EQ(0, page_give(&held[TO_GUEST]));
	ASSERT_EQ(0, page_give(&held[NEXT]));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(FRAME, pkt_recv(r->n.pkt, &h, r->seen,
					  sizeof(r->seen), WAIT_MS));
	}
	EXPECT_EQ(0, rig_reap(tx, 2, 0));
	/* the tap gave its frame away, so that its buffer may be free still */
	ASSERT_EQ(0, worker_attach(&r->d, RX, id));
	EXPECT_EQ(0, rig_works(r));
}

/* Killed while it waits for the log: the next worker tells of the hole. */
TEST_F(life, process_gone_before_it_logged_is_told)
{
	struct rig *r = &self->r;
	struct vq *rx = &r->d.vq[RX];
	static uint8_t log[(GPA_BASE + MEM_SIZE) / 4096 / 8 + 4096]
		__attribute__((aligned(4096)));
	struct pollfd err = { .events = POLLIN };
	uint8_t *to, *bit;
	struct held held;
	int until;
	pid_t pid;

	pid = start_by_other(r, &until);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, dev_u64(&r->d, VHOST_SET_LOG_BASE, (uintptr_t)log));
	ASSERT_EQ(0, dev_features(&r->d, F_V1 | F_EVENT | F_LOG_ALL));
	ASSERT_EQ(0, rig_works(r));
	to = r->buf + 8 * 4096;
	bit = log + log_byte(gpa(&r->d, to) / 4096);
	err.fd = rx->err;
	memset(log, 0, sizeof(log));
	ASSERT_LE(0, rx_add(rx, 2048, &one_piece, to));
	vq_publish_kick(rx);
	ASSERT_EQ(0, page_take(&held, (void *)((uintptr_t)bit & ~4095UL)));
	ASSERT_EQ(0, pkt_send(r->n.pkt, NULL, r->frame, FRAME));
	ASSERT_TRUE(page_is_wanted(&held));
	ASSERT_EQ(0, end_other(r, pid, until));
	ASSERT_EQ(0, page_give(&held));
	ASSERT_EQ(0, move_both(&r->d));
	EXPECT_EQ(0, rig_reap(rx, 1, r->d.hdr_len + FRAME));
	if (dies_with_process(&r->d)) {
		EXPECT_EQ(1, poll(&err, 1, WAIT_MS));
	} else {
		EXPECT_NE(0, *bit);
	}
	EXPECT_EQ(0, rig_works(r));
}

TEST_HARNESS_MAIN
