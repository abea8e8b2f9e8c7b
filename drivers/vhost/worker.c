// SPDX-License-Identifier: GPL-2.0-only
/*
 * Worker threads. Two kinds behind one ops: a vhost_task, which is a thread
 * of the owner and so charged and limited with it, and a kthread that borrows
 * the owner's mm, credentials and cgroups, by request or on kernels that have no
 * vhost_task. What it borrows charges it to the owner; the limits are looked at
 * here.
 *
 * Which worker a work goes to is said by the work and may change at any time:
 * who queues reads it under RCU. Work that is queued already runs once more
 * where it is.
 *
 * A vhost_task dies with the process that made it, which the memory may
 * outlive. Work that it has left, and work queued afterwards, just never runs
 * until it is attached to another worker: nothing waits for work, since all that
 * a work uses is guarded by its vq mutex, and destroying the worker joins the
 * thread.
 */
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/kcov.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "trace.h"
#include "worker.h"

#define WORK_QUEUED	0

struct worker_ops {
	int (*create)(struct vhx_worker *worker, const char *name);
	void (*wake)(struct vhx_worker *worker);
	void (*stop)(struct vhx_worker *worker);
};

/**
 * struct vhx_worker - one thread
 * @dev: number of its device
 * @id: its own, in the device
 * @tgid: the owner's pid
 * @is_asleep: it found nothing to run when it last looked
 * @queue: works to run, newest first
 * @ops: which kind of thread
 * @vtsk: the thread, when it is a vhost_task
 * @is_dead: that thread was killed with its process; no bool, see vhx_dev.has_msg_v2
 * @task: the thread, when it is a kthread
 * @tid: of either, in the initial pid namespace; 0: it did not begin yet
 * @mm: owner's mm, which a kthread borrows
 * @cred: a copy of the owner's credentials, which a kthread takes over
 * @owner: who creates the worker; valid until @ready
 * @ready: a kthread has taken up @mm and the owner's cgroups
 * @err: how that went
 * @kcov_handle: who collects the coverage of works, if anybody; a number, of newer
 *               kernels a struct
 * @rcu: frees it, for who looks at @tid
 */
struct vhx_worker {
	u32 dev;
	unsigned int id;
	pid_t tgid;
	bool is_asleep;
	struct llist_head queue;
	const struct worker_ops *ops;
	struct vhost_task *vtsk;
	u8 is_dead;
	struct task_struct *task;
	pid_t tid;
	struct mm_struct *mm;
	struct cred *cred;
	struct task_struct *owner;
	struct completion ready;
	int err;

	typeof(kcov_common_handle()) kcov_handle;
	struct rcu_head rcu;
};

/* Runs what is queued. Entered in TASK_INTERRUPTIBLE; false: go to sleep. */
static bool run_queue(void *data)
{
	struct vhx_worker *worker = data;
	struct vhx_work *work, *next;
	struct llist_node *node;

	WRITE_ONCE(worker->tid, current->pid);
	node = llist_del_all(&worker->queue);
	if (!node) {
		if (!worker->is_asleep)
			trace_vhx_worker_sleep(worker->dev, worker->tgid, worker->id);
		worker->is_asleep = true;
		return false;
	}

	__set_current_state(TASK_RUNNING);
	if (worker->is_asleep)
		trace_vhx_worker_wake(worker->dev, worker->tgid, worker->id);
	worker->is_asleep = false;
	node = llist_reverse_order(node);
	llist_for_each_entry_safe(work, next, node, node) {
		clear_bit(WORK_QUEUED, &work->flags);
		/*
		 * A kick from here on queues again; one before is seen by
		 * fn(). Pairs with test_and_set_bit() in vhx_worker_queue().
		 */
		smp_mb__after_atomic();
		kcov_remote_start_common(worker->kcov_handle);
		work->fn(work);
		kcov_remote_stop();
		cond_resched();
	}
	return true;
}

/* What is still queued goes where it now belongs, if anywhere. */
static void hand_over(struct vhx_worker *worker)
{
	struct vhx_work *work, *next;
	struct llist_node *node;

	node = llist_reverse_order(llist_del_all(&worker->queue));
	llist_for_each_entry_safe(work, next, node, node) {
		clear_bit(WORK_QUEUED, &work->flags);
		vhx_worker_queue(work);
	}
}

/*
 * The last act of a killed vhost_task. Nothing waits for the worker (see the
 * head of this file), but who queues work must not wake a task that is gone:
 * not every kernel's vhost_task holds a reference on it. After the grace period
 * nobody adds to the queue any more, and no work may stay there: it could not be
 * queued anywhere else. Pairs with the read section of vhx_worker_queue().
 */
static void task_killed(void *data)
{
	struct vhx_worker *worker = data;

	WRITE_ONCE(worker->is_dead, true);
	synchronize_rcu();
	hand_over(worker);
}

static int task_create(struct vhx_worker *worker, const char *name)
{
	struct vhost_task *vtsk;

	vtsk = vhost_task_create(run_queue, task_killed, worker, name);
	if (IS_ERR_OR_NULL(vtsk))
		return vtsk ? PTR_ERR(vtsk) : -ENOMEM;
	worker->vtsk = vtsk;
	vhost_task_start(vtsk);
	return 0;
}

static void task_wake(struct vhx_worker *worker)
{
	vhost_task_wake(worker->vtsk);
}

static void task_stop(struct vhx_worker *worker)
{
	vhost_task_stop(worker->vtsk);
}

static const struct worker_ops task_ops = {
	.create = task_create,
	.wake = task_wake,
	.stop = task_stop,
};

static int kthread_run_queue(void *data)
{
	struct vhx_worker *worker = data;

	/* First: the owner's mm is none of those that a change of user touches. */
	commit_creds(worker->cred);
	kthread_use_mm(worker->mm);
	/* In all hierarchies, the unified one too. */
	worker->err = cgroup_attach_task_all(worker->owner, current);
	complete(&worker->ready);

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		if (!run_queue(worker))
			schedule();
	}
	__set_current_state(TASK_RUNNING);
	kthread_unuse_mm(worker->mm);
	return 0;
}

static bool run_nothing(void *data)
{
	return false;
}

static void ignore_kill(void *data)
{
}

/*
 * Whether the caller's limits have room for a thread. pids.max is told to who
 * forks alone, so a task is made, which ends at once. Where there are no tasks,
 * nobody can be asked.
 */
static int try_thread(void)
{
	struct vhost_task *vtsk;

	if (!VHX_CAN_MAKE_TASKS)
		return 0;
	vtsk = vhost_task_create(run_nothing, ignore_kill, NULL, "vhx-limits");
	if (IS_ERR_OR_NULL(vtsk))
		return -EAGAIN;
	vhost_task_start(vtsk);
	vhost_task_stop(vtsk);
	return 0;
}

/* RLIMIT_NPROC, of this user and of those above, as for a thread of its own. */
static bool is_over_nproc(void)
{
	unsigned long max = min_t(unsigned long, rlimit(RLIMIT_NPROC), LONG_MAX);
	struct ucounts *ucounts = current_ucounts();

	if (uid_eq(current_user()->uid, GLOBAL_ROOT_UID))
		return false;
	for (; ucounts; ucounts = ucounts->ns->ucounts) {
		if (get_rlimit_value(ucounts, UCOUNT_RLIMIT_NPROC) > max)
			return !capable(CAP_SYS_RESOURCE) &&
			       !capable(CAP_SYS_ADMIN);
		max = get_userns_rlimit_max(ucounts->ns, UCOUNT_RLIMIT_NPROC);
	}
	return false;
}

static int kthread_start(struct vhx_worker *worker, const char *name)
{
	struct task_struct *task;
	int err;

	err = try_thread();
	if (err)
		return err;
	worker->mm = get_task_mm(current);
	if (!worker->mm)
		return -ESRCH;
	err = -ENOMEM;
	worker->cred = prepare_kernel_cred(current);
	if (!worker->cred)
		goto err_mm;

	task = kthread_create(kthread_run_queue, worker, "%s", name);
	if (IS_ERR(task)) {
		err = PTR_ERR(task);
		goto err_cred;
	}
	worker->task = task;
	worker->owner = current;
	init_completion(&worker->ready);
	wake_up_process(task);
	wait_for_completion(&worker->ready);
	err = worker->err;
	/* It is counted by now. */
	if (!err && is_over_nproc())
		err = -EAGAIN;
	if (err)
		goto err_task;
	return 0;

err_task:
	/* The credentials are its own. */
	kthread_stop(task);
	goto err_mm;
err_cred:
	put_cred(worker->cred);
err_mm:
	mmput(worker->mm);
	return err;
}

static void kthread_wake(struct vhx_worker *worker)
{
	wake_up_process(worker->task);
}

static void kthread_end(struct vhx_worker *worker)
{
	kthread_stop(worker->task);
	mmput(worker->mm);
}

static const struct worker_ops kthread_ops = {
	.create = kthread_start,
	.wake = kthread_wake,
	.stop = kthread_end,
};

/**
 * vhx_worker_create - start a worker for the calling process
 * @dev: number of the device
 * @id: its number in the device, under VHX_WORKERS_MAX
 * @is_task: a vhost_task, else a kthread
 *
 * The thread is named vhost-<tid of the caller>, which tools look for, and
 * -<id> when that is not 0. With the longest tid this just fits TASK_COMM_LEN.
 *
 * Context: the owner; may sleep
 * Return: the worker, or ERR_PTR(): -ENOMEM (no memory, or no more threads for
 * the owner), -ERESTARTNOINTR (no thread is made with a signal pending)
 */
struct vhx_worker *vhx_worker_create(u32 dev, unsigned int id, bool is_task)
{
	struct vhx_worker *worker;
	char name[32];

	worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	if (!worker)
		return ERR_PTR(-ENOMEM);
	worker->dev = dev;
	worker->id = id;
	worker->tgid = current->tgid;
	init_llist_head(&worker->queue);
	worker->kcov_handle = kcov_common_handle();
	if (id)
		snprintf(name, sizeof(name), "vhost-%d-%x", current->pid, id);
	else
		snprintf(name, sizeof(name), "vhost-%d", current->pid);
	worker->ops = is_task ? &task_ops : &kthread_ops;
	if (worker->ops->create(worker, name)) {
		kfree(worker);
		return ERR_PTR(signal_pending(current) ? -ERESTARTNOINTR :
			       -ENOMEM);
	}
	return worker;
}

/**
 * vhx_worker_destroy - end a worker
 * @worker: the worker; nothing may queue work on it any more
 *
 * Work that is still queued goes where it now belongs, if anywhere.
 *
 * Context: may sleep; no lock that a work takes
 */
void vhx_worker_destroy(struct vhx_worker *worker)
{
	worker->ops->stop(worker);
	hand_over(worker);
	kfree_rcu(worker, rcu);
}

/**
 * vhx_worker_tid - which thread runs a work
 * @work: the work
 *
 * Context: any
 * Return: tid in the initial pid namespace; 0: none, or it did not begin yet
 */
pid_t vhx_worker_tid(const struct vhx_work *work)
{
	const struct vhx_worker *worker;
	pid_t tid;

	rcu_read_lock();
	worker = rcu_dereference(work->worker);
	tid = worker ? READ_ONCE(worker->tid) : 0;
	rcu_read_unlock();
	return tid;
}

/**
 * vhx_worker_is_dead - whether a worker was killed with its process
 * @worker: the worker
 *
 * Return: true if it runs nothing any more; it hands over what it has left, or
 * has done so
 */
bool vhx_worker_is_dead(const struct vhx_worker *worker)
{
	return READ_ONCE(worker->is_dead);
}

/**
 * vhx_worker_attach - say where work goes from now on
 * @work: the work, queued or not
 * @worker: the worker, or NULL: nowhere
 *
 * The worker that it leaves may still get it until a grace period has passed.
 *
 * Context: dev mutex
 */
void vhx_worker_attach(struct vhx_work *work, struct vhx_worker *worker)
{
	rcu_assign_pointer(work->worker, worker);
}

/**
 * vhx_worker_queue - have work run
 * @work: the work; queued twice before it runs, it runs once
 *
 * Context: any
 */
void vhx_worker_queue(struct vhx_work *work)
{
	struct vhx_worker *worker;

	rcu_read_lock();
	worker = rcu_dereference(work->worker);
	/* A full barrier: what we announce is visible before the bit. */
	if (worker && !READ_ONCE(worker->is_dead) &&
	    !test_and_set_bit(WORK_QUEUED, &work->flags)) {
		llist_add(&work->node, &worker->queue);
		worker->ops->wake(worker);
	}
	rcu_read_unlock();
}
