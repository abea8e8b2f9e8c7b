// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: their modes, the ioctls that make, move and free them, and what
 * may happen to them while frames flow: a move, the end of their process, its
 * exec. Where in-tree has no such ioctls, its one worker is put through it.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "worker_lib.h"

#define BURSTS		50
#define MOVES		20
/* deadline of them: each has two grace periods */
#define MOVES_MS	(15000 * slowness())

FIXTURE(mode) {
	struct dev d;
	int kmsg;
};

FIXTURE_SETUP(mode)
{
	self->d.fd = -1;
	self->kmsg = kmsg_open();
	if (!has_fork_ioctls())
		SKIP(return, "in-tree has no modes before 6.12");
	ASSERT_EQ(0, dev_open(&self->d));
}

FIXTURE_TEARDOWN(mode)
{
	dev_close(&self->d);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

/* What module and kernel have when nobody says what he wants. */
static int default_mode(void)
{
	char c = param_of(is_ours() ? module_name() : "vhost",
			  "fork_from_owner_default");

	return c == 'Y' && kernel_has_tasks() ? TASK : KTHREAD;
}

TEST_F(mode, default_is_the_parameter_ok)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(default_mode(), fork_get(&self->d));
}

/* A kernel without vhost_task takes TASK and says that it is KTHREAD. */
TEST_F(mode, set_and_get_ok)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(0, fork_set(&self->d, KTHREAD));
	EXPECT_EQ(KTHREAD, fork_get(&self->d));
	EXPECT_EQ(0, fork_set(&self->d, TASK));
	EXPECT_EQ(kernel_has_tasks() ? TASK : KTHREAD, fork_get(&self->d));
}

TEST_F(mode, unknown_mode_einval)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(-EINVAL, fork_set(&self->d, 2));
	EXPECT_EQ(-EINVAL, fork_set(&self->d, 0xff));
	EXPECT_EQ(default_mode(), fork_get(&self->d));
}

TEST_F(mode, null_efault)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_FORK_FROM_OWNER, NULL,
				     0));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_GET_FORK_FROM_OWNER, NULL,
				     0));
}

TEST_F(mode, set_after_owner_ebusy)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, fork_set(&self->d, KTHREAD));
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EBUSY, fork_set(&self->d, TASK));
	EXPECT_EQ(-EBUSY, fork_set(&self->d, 2));
	EXPECT_EQ(-EBUSY, dev_ioctl(&self->d, VHOST_SET_FORK_FROM_OWNER, NULL,
				    0));
	EXPECT_EQ(KTHREAD, fork_get(&self->d));
}

TEST_F(mode, reset_owner_forgets_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, fork_set(&self->d, !default_mode()));
	ASSERT_EQ(0, dev_own(&self->d));
	ASSERT_EQ(0, dev_ioctl(&self->d, VHOST_RESET_OWNER, NULL, 0));
	EXPECT_EQ(default_mode(), fork_get(&self->d));
}

/* A task is a thread of the owner's process, a kthread is not. */
TEST_F(mode, thread_is_of_its_kind_ok)
{
	char path[64];

	RUN_IF_SET_UP();
	for (int mode = KTHREAD; mode <= TASK; mode++) {
		ASSERT_EQ(0, fork_set(&self->d, mode));
		ASSERT_EQ(0, dev_own(&self->d));
		snprintf(path, sizeof(path), "/proc/self/task/%d",
			 worker_tid(getpid()));
		EXPECT_EQ(fork_get(&self->d) == TASK ? 0 : -1,
			  access(path, F_OK));
		dev_close(&self->d);
		ASSERT_EQ(0, dev_open(&self->d));
	}
}

/* Workers of either kind count against the limit of the owner's user. */
TEST_F(mode, nproc_limit_enomem)
{
	struct rlimit one = { 1, 1 };

	RUN_IF_SET_UP();
	ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &one));
	ASSERT_EQ(0, setuid(65534));
	for (int mode = KTHREAD; mode <= TASK; mode++) {
		ASSERT_EQ(0, fork_set(&self->d, mode));
		EXPECT_EQ(-ENOMEM, dev_own(&self->d));
	}
}

FIXTURE(pool) {
	struct dev d;
	int kmsg;
};

MODE_VARIANTS(pool);

FIXTURE_SETUP(pool)
{
	self->d.fd = -1;
	self->kmsg = kmsg_open();
	NEEDS_WORKERS();
	ASSERT_EQ(0, dev_open(&self->d));
	ASSERT_EQ(0, fork_set(&self->d, variant->mode));
	ASSERT_EQ(0, dev_own(&self->d));
}

FIXTURE_TEARDOWN(pool)
{
	dev_close(&self->d);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

TEST_F(pool, before_owner_einval)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	EXPECT_EQ(-EINVAL, worker_new(d));
	EXPECT_EQ(-EINVAL, worker_free(d, 0));
	EXPECT_EQ(-EINVAL, worker_attach(d, RX, 0));
	EXPECT_EQ(-EINVAL, worker_get(d, RX));
}

TEST_F(pool, other_process_eperm)
{
	struct dev *d = &self->d;
	int status;
	pid_t pid;

	RUN_IF_SET_UP();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(worker_new(d) != -EPERM || worker_free(d, 0) != -EPERM ||
		      worker_attach(d, RX, 0) != -EPERM ||
		      worker_get(d, RX) != -EPERM);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(pool, bad_argument_efault)
{
	static const unsigned long nrs[] = {
		VHOST_NEW_WORKER, VHOST_FREE_WORKER, VHOST_ATTACH_VRING_WORKER,
		VHOST_GET_VRING_WORKER,
	};

	RUN_IF_SET_UP();
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, nrs[i], NULL, 0));
	}
}

TEST_F(pool, ring_index_enobufs)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(-ENOBUFS, worker_get(&self->d, 2));
	EXPECT_EQ(-ENOBUFS, worker_attach(&self->d, 2, 0));
	EXPECT_EQ(-ENOBUFS, worker_attach(&self->d, 2, 99));
}

TEST_F(pool, first_workers_are_the_parameter_ok)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(0, worker_get(&self->d, RX));
	EXPECT_EQ(first_workers() - 1, worker_get(&self->d, TX));
	EXPECT_LT(0, worker_tid_of(getpid(), 0));
	EXPECT_EQ(first_workers() == 2, worker_tid_of(getpid(), 1) > 0);
}

TEST_F(pool, attach_moves_one_ring_ok)
{
	struct dev *d = &self->d;
	int id;

	RUN_IF_SET_UP();
	id = worker_new(d);
	ASSERT_LE(first_workers(), id);
	EXPECT_LT(0, worker_tid_of(getpid(), id));
	EXPECT_EQ(0, worker_attach(d, TX, id));
	EXPECT_EQ(id, worker_get(d, TX));
	EXPECT_EQ(0, worker_get(d, RX));
	EXPECT_EQ(0, worker_attach(d, TX, id));
	EXPECT_EQ(0, worker_attach(d, TX, 0));
	EXPECT_EQ(0, worker_get(d, TX));
	EXPECT_EQ(0, worker_free(d, id));
	EXPECT_EQ(0, worker_gone(getpid(), id));
}

TEST_F(pool, attach_unknown_enodev)
{
	struct dev *d = &self->d;
	int id;

	RUN_IF_SET_UP();
	id = worker_new(d);
	ASSERT_EQ(0, worker_free(d, id));
	EXPECT_EQ(-ENODEV, worker_attach(d, TX, id));
	EXPECT_EQ(-ENODEV, worker_attach(d, TX, WORKERS_MAX));
	EXPECT_EQ(-ENODEV, worker_attach(d, TX, -1));
	EXPECT_EQ(first_workers() - 1, worker_get(d, TX));
}

TEST_F(pool, free_unknown_enodev)
{
	struct dev *d = &self->d;
	int id;

	RUN_IF_SET_UP();
	id = worker_new(d);
	EXPECT_EQ(0, worker_free(d, id));
	EXPECT_EQ(-ENODEV, worker_free(d, id));
	EXPECT_EQ(-ENODEV, worker_free(d, WORKERS_MAX));
	EXPECT_EQ(-ENODEV, worker_free(d, -1));
}

TEST_F(pool, free_attached_ebusy)
{
	struct dev *d = &self->d;
	int id;

	RUN_IF_SET_UP();
	id = worker_new(d);
	ASSERT_EQ(0, worker_attach(d, RX, id));
	EXPECT_EQ(-EBUSY, worker_free(d, id));
	EXPECT_EQ(id, worker_get(d, RX));
	ASSERT_EQ(0, worker_attach(d, RX, worker_get(d, TX)));
	EXPECT_EQ(0, worker_free(d, id));
}

/* The worker that SET_OWNER made is one like the others, as in-tree. */
TEST_F(pool, free_first_worker_ok)
{
	struct dev *d = &self->d;
	int id;

	RUN_IF_SET_UP();
	id = worker_new(d);
	ASSERT_EQ(0, worker_attach(d, RX, id));
	ASSERT_EQ(0, worker_attach(d, TX, id));
	EXPECT_EQ(0, worker_free(d, 0));
	EXPECT_EQ(0, worker_gone(getpid(), 0));
	EXPECT_EQ(id, worker_get(d, RX));
	EXPECT_EQ(0, worker_new(d));
	EXPECT_LT(0, worker_tid_of(getpid(), 0));
}

TEST_F(pool, too_many_enomem)
{
	struct dev *d = &self->d;
	int max = workers_max(d);

	RUN_IF_SET_UP();
	for (int id = first_workers(); id < max; id++) {
		EXPECT_EQ(id, worker_new(d));
		EXPECT_LT(0, worker_tid_of(getpid(), id));
	}
	EXPECT_EQ(-ENOMEM, worker_new(d));
	EXPECT_EQ(0, worker_free(d, max - 1));
	EXPECT_EQ(max - 1, worker_new(d));
	ASSERT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	for (int id = 0; id < max; id++) {
		EXPECT_EQ(0, worker_gone(getpid(), id));
	}
	ASSERT_EQ(0, dev_own(d));
	EXPECT_EQ(0, worker_get(d, RX));
}

FIXTURE(worker) {
	struct rig r;
	int kmsg;
	int moves;
	bool is_done;
};

MODE_VARIANTS(worker);

typedef FIXTURE_DATA(worker) fix;

FIXTURE_SETUP(worker)
{
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, rig_open(&self->r));
}

FIXTURE_TEARDOWN(worker)
{
	rig_close(&self->r);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static void *receiver(void *arg)
{
	long ret = 0;

	for (int i = 0; i < BURSTS && !ret; i++)
		ret = rig_recv(arg);
	return (void *)ret;
}

/* Both ways at once. Return: 0 or what went wrong first. */
static long traffic(struct rig *r)
{
	pthread_t t;
	void *received;
	long sent = 0;

	if (pthread_create(&t, NULL, receiver, r))
		return -errno;
	for (int i = 0; i < BURSTS && !sent; i++)
		sent = rig_send(r);
	pthread_join(t, &received);
	return sent ? sent : (long)received;
}

TEST_F(worker, rings_run_on_their_own_ok)
{
	struct rig *r = &self->r;
	int tid[2];

	NEEDS_WORKERS();
	ASSERT_EQ(0, rig_start(r, variant->mode));
	ASSERT_NE(worker_get(&r->d, RX), worker_get(&r->d, TX));
	for (int q = 0; q < 2; q++) {
		int64_t before[2];

		for (int i = 0; i < 2; i++) {
			tid[i] = worker_tid_of(getpid(), worker_get(&r->d, i));
			ASSERT_LT(0, tid[i]);
			before[i] = worker_ns(tid[i]);
		}
		EXPECT_EQ(0, q == TX ? rig_send(r) : rig_recv(r));
		EXPECT_EQ(0, worker_ran(tid[q], before[q]));
	}
	EXPECT_EQ(0, traffic(r));
}

static void kick_both(struct rig *r, int n)
{
	for (int i = 0; i < n; i++)
		vq_kick(&r->d.vq[i & 1]);
}

/* Move a ring to a new worker and free the old one, again and again. */
static void *mover(void *arg)
{
	fix *f = arg;
	struct dev *d = &f->r.d;

	while (!__atomic_load_n(&f->is_done, __ATOMIC_ACQUIRE)) {
		int q = f->moves & 1;
		int old = worker_get(d, q), id = worker_new(d);
		long ret = id < 0 ? id : worker_attach(d, q, id);

		if (!ret)
			ret = worker_free(d, old);
		if (ret)
			return (void *)ret;
		__atomic_add_fetch(&f->moves, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool needs_more(fix *f, int64_t since)
{
	return __atomic_load_n(&f->moves, __ATOMIC_RELAXED) < MOVES &&
	       now_ms() < since + MOVES_MS;
}

static long stop_mover(fix *f, pthread_t t)
{
	void *ret;

	__atomic_store_n(&f->is_done, true, __ATOMIC_RELEASE);
	pthread_join(t, &ret);
	return ret ? (long)ret : f->moves < MOVES ? -ETIMEDOUT : 0;
}

TEST_F(worker, moved_under_traffic_ok)
{
	int64_t since = now_ms();
	pthread_t t;

	NEEDS_WORKERS();
	ASSERT_EQ(0, rig_start(&self->r, variant->mode));
	ASSERT_EQ(0, pthread_create(&t, NULL, mover, self));
	do {
		ASSERT_EQ(0, traffic(&self->r));
	} while (needs_more(self, since));
	EXPECT_EQ(0, stop_mover(self, t));
}

/* The kicks are as fast as can be: most come in the middle of a move. */
TEST_F(worker, freed_against_kicks_ok)
{
	struct rig *r = &self->r;
	int64_t since = now_ms();
	pthread_t t;

	NEEDS_WORKERS();
	ASSERT_EQ(0, rig_start(r, variant->mode));
	ASSERT_EQ(0, pthread_create(&t, NULL, mover, self));
	while (needs_more(self, since)) {
		kick_both(r, 100);
	}
	EXPECT_EQ(0, stop_mover(self, t));
	EXPECT_EQ(0, rig_works(r));
}

/* Rings stop and start while they move. */
TEST_F(worker, moved_against_backend_ok)
{
	struct rig *r = &self->r;
	int64_t since = now_ms();
	pthread_t t;

	NEEDS_WORKERS();
	ASSERT_EQ(0, rig_start(r, variant->mode));
	ASSERT_EQ(0, pthread_create(&t, NULL, mover, self));
	for (int i = 0; needs_more(self, since); i++) {
		ASSERT_EQ(0, dev_backend(&r->d, i & 1, -1));
		vq_kick(&r->d.vq[i & 1]);
		ASSERT_EQ(0, dev_backend(&r->d, i & 1, r->n.tap));
	}
	EXPECT_EQ(0, stop_mover(self, t));
	EXPECT_EQ(0, rig_works(r));
}

/*
 * A process that owns the device and tells of each burst it has sent by a
 * byte, for ever or until @argv is to be run instead.
 */
static pid_t busy_owner(struct rig *r, uint8_t mode, int *told, char **argv)
{
	int pipefd[2];
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid) {
		close(pipefd[1]);
		*told = pipefd[0];
		return pid;
	}
	if (rig_start(r, mode))
		_exit(1);
	for (int i = 0; !argv || i < 20; i++)
		if (rig_works(r) || write(pipefd[1], "", 1) != 1)
			_exit(2);
	fcntl(r->d.fd, F_SETFD, 0);
	execv(argv[0], argv);
	_exit(3);
}

static int listen_to(int told, int n)
{
	char c;

	for (; n; n--)
		if (event_wait(told, WAIT_MS) || read(told, &c, 1) != 1)
			return -ETIMEDOUT;
	return 0;
}

/* Killed in the middle of traffic; the node is still open here. */
TEST_F(worker, owner_killed_file_survives_ok)
{
	struct rig *r = &self->r;
	int status, told;
	uint64_t v;
	pid_t pid;

	for (int round = 0; round < 5; round++) {
		pid = busy_owner(r, variant->mode, &told, NULL);
		ASSERT_LT(0, pid);
		EXPECT_EQ(0, listen_to(told, 5 + round));
		kill(pid, SIGKILL);
		kick_both(r, 1000);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		kick_both(r, 1000);
		EXPECT_EQ(0, dev_get_u64(&r->d, VHOST_GET_FEATURES, &v));
		EXPECT_EQ(0, dev_u64(&r->d, VHOST_SET_FEATURES, F_V1));
		EXPECT_EQ(-EPERM, dev_get_base(&r->d, TX));
		close(told);
		rig_close(r);
		EXPECT_EQ(0, worker_gone(pid, 0));
		EXPECT_EQ(0, worker_gone(pid, 1));
		ASSERT_EQ(0, rig_open(r));
	}
}

/* Killed as the last who has the node open. */
TEST_F(worker, owner_killed_is_cleaned_up_ok)
{
	struct rig *r = &self->r;
	int status, told;
	pid_t pid;

	pid = busy_owner(r, variant->mode, &told, NULL);
	ASSERT_LT(0, pid);
	close(r->d.fd);
	r->d.fd = -1;
	EXPECT_EQ(0, listen_to(told, 5));
	kill(pid, SIGKILL);
	kick_both(r, 1000);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, worker_gone(pid, 0));
	EXPECT_EQ(0, worker_gone(pid, 1));
	close(told);
}

/*
 * The owner becomes another program and keeps the node open. Tasks end with
 * its old threads, kthreads go on with its old memory; both till the close.
 */
TEST_F(worker, owner_execs_ok)
{
	char *cat[] = { "/bin/cat", NULL };
	struct rig *r = &self->r;
	int in[2], told, status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_LE(0, dup2(in[0], 0));
	pid = busy_owner(r, variant->mode, &told, cat);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, listen_to(told, 20));
	/* the end of this pipe is the exec */
	while (event_wait(told, 0)) {
		kick_both(r, 10);
	}
	EXPECT_EQ(0, read(told, &c, 1));
	kick_both(r, 1000);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(-EPERM, dev_get_base(&r->d, TX));
	if (variant->mode == TASK && kernel_has_tasks()) {
		EXPECT_EQ(0, worker_gone(pid, 0));
	} else {
		EXPECT_LT(0, worker_tid_of(pid, 0));
	}
	close(in[1]);
	close(in[0]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	rig_close(r);
	EXPECT_EQ(0, worker_gone(pid, 0));
	EXPECT_EQ(0, worker_gone(pid, 1));
	ASSERT_EQ(0, rig_open(r));
}

TEST_HARNESS_MAIN
