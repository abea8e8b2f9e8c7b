/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vhost_task that may be killed at any time, against two who queue work, while
 * the ring moves to another worker and the first is freed. Nobody wakes a task
 * that is gone, nobody touches a worker that is freed, freeing ends, and what was
 * announced is seen by a run. One work; its place in a queue is a bit. Its other
 * bit and what is announced are visible at once here: see worker.pml.
 *
 * holds:
 * caught: NO_GRACE_PERIOD_WHEN_KILLED
 * caught: WAKES_THE_DEAD
 * caught: NO_GRACE_PERIOD_WHEN_FREED
 * caught: REST_IS_DROPPED
 * caught: REST_STAYS_QUEUED
 * caught: ATTACH_QUEUES_NOTHING
 */
#define SIDES		2
#define LOCATIONS	2
#include "memory.pml"

#define TASK		0
#define OWNER		1
#define ATTACHED	0	/* vhx_work.worker: 0, then 1 */
#define IS_DEAD		1	/* vhx_worker.is_dead of the first */

bit is_queued;			/* vhx_work.flags */
bit is_added[2];		/* vhx_worker.queue of both workers */
bit is_task_gone, is_freed;	/* of the first */
bit is_stopped, is_killed, has_exited, exit_mutex;	/* struct vhost_task */
bit is_reading[2];		/* rcu_read_lock() */
bit announced[2], seen[2];

inline synchronize_rcu(side)
{
	full_barrier(side);
	!is_reading[0];
	!is_reading[1];
}

inline queue(to, was_queued)	/* worker.c: vhx_worker_queue() */
{
	to = load(ATTACHED);
	assert(to || !is_freed);
	if
#ifndef WAKES_THE_DEAD
	:: !to && load(IS_DEAD)
#endif
	:: else ->
		/* test_and_set_bit() */
		atomic { was_queued = is_queued; is_queued = 1 };
		if
		:: !was_queued ->
			assert(to || !is_freed);
			is_added[to] = 1;
			/* vhost_task_wake() */
			assert(to || !is_freed && !is_task_gone)
		:: else
		fi
	fi
}

inline hand_over(to, was_queued)	/* worker.c: hand_over() */
{
#ifndef REST_IS_DROPPED
	if
	:: atomic { is_added[0] -> is_added[0] = 0 };
#ifndef REST_STAYS_QUEUED
		is_queued = 0;
#endif
		queue(to, was_queued)
	:: else
	fi
#else
	skip
#endif
}

inline run_work(worker)		/* worker.c: run_queue() */
{
	is_added[worker] = 0;
	is_queued = 0;
	atomic { seen[0] = announced[0]; seen[1] = announced[1] }
}

active [2] proctype producer()	/* poll.c: wake() */
{
	byte me = _pid - SIDES;
	bit to, was_queued;

	announced[me] = 1;
	is_reading[me] = 1;
	queue(to, was_queued);
	is_reading[me] = 0;
	seen[me]
}

active proctype task()		/* the kernel's vhost_task_fn() */
{
	bit to, was_queued;

	do
	:: is_added[0] && !is_stopped -> run_work(0)
	:: break		/* SIGKILL, or vhost_task_stop() */
	od;
	atomic { !exit_mutex -> exit_mutex = 1 };
	if
	:: !is_stopped ->
		is_killed = 1;
		store(TASK, IS_DEAD, 1);	/* worker.c: task_killed() */
#ifndef NO_GRACE_PERIOD_WHEN_KILLED
		synchronize_rcu(TASK);
#endif
		hand_over(to, was_queued)
	:: else
	fi;
	exit_mutex = 0;
	has_exited = 1;
	is_task_gone = 1
}

active proctype owner()		/* ATTACH_VRING_WORKER, FREE_WORKER */
{
	bit to, was_queued;

	store_release(OWNER, ATTACHED, 1);	/* vhx_worker_attach() */
#ifndef ATTACH_QUEUES_NOTHING
	full_barrier(OWNER);	/* the vq mutex; dev.c: vhx_dev_attach_worker() */
	queue(to, was_queued);
#endif
#ifndef NO_GRACE_PERIOD_WHEN_FREED
	synchronize_rcu(OWNER);	/* dev.c: vhx_dev_free_worker() */
#endif
	atomic { !exit_mutex -> exit_mutex = 1 };	/* vhost_task_stop() */
	if
	:: !is_killed -> is_stopped = 1; assert(!is_task_gone)
	:: else
	fi;
	exit_mutex = 0;
	has_exited;
	hand_over(to, was_queued);	/* worker.c: vhx_worker_destroy() */
	is_freed = 1
}

active proctype other()		/* the worker that the ring moves to */
{
end:	do
	:: is_added[1] -> run_work(1)
	od
}
