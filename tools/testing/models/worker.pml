/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker that goes to sleep against two who queue its work: a kick and the
 * tap, say. What they announced before they queued is seen by a run. One work;
 * its place in the queue is a bit.
 *
 * holds:
 * caught: NO_BARRIER_AFTER_CLEAR
 * caught: CLEARED_AFTER_RUN
 * caught: QUEUE_LOOKED_AT_FIRST
 * caught: TEST_WITHOUT_BARRIER
 * caught: WAKES_BEFORE_ADDING
 */
#define SIDES		3
#define LOCATIONS	3
#include "memory.pml"

#define WORKER		2
#define QUEUED		2	/* vhx_work.flags; 0 and 1: what is announced */
#define TIMES		2

bit is_added;			/* vhx_worker.queue */
bit is_running = 1;		/* task_struct.__state */
byte seen[2];

inline wake()			/* wake_up_process(): has a full barrier */
{
	full_barrier(me);
	is_running = 1
}

inline queue()			/* worker.c: vhx_worker_queue() */
{
#ifdef TEST_WITHOUT_BARRIER
	if
	:: load(QUEUED) -> was_queued = 1
	:: else ->
#endif
	/* test_and_set_bit() */
	atomic {
		full_barrier(me) -> was_queued = mem[QUEUED]; mem[QUEUED] = 1
	};
#ifdef TEST_WITHOUT_BARRIER
	fi;
#endif
	if
	:: !was_queued ->
#ifdef WAKES_BEFORE_ADDING
		wake();
		is_added = 1
#else
		is_added = 1;	/* llist_add() */
		wake()
#endif
	:: else
	fi
}

active [2] proctype producer()	/* poll.c: wake() */
{
	byte nr, me = _pid - SIDES;
	bit was_queued;

	do
	:: nr == TIMES -> break
	:: nr < TIMES ->
		nr++;
		store(me, me, nr);
		queue()
	od;
	seen[me] == TIMES
}

inline run_work()			/* worker.c: run_queue(), behind its first test */
{
	is_running = 1;
#ifndef CLEARED_AFTER_RUN
	store(WORKER, QUEUED, 0);	/* clear_bit() */
#ifndef NO_BARRIER_AFTER_CLEAR
	full_barrier(WORKER);
#endif
#endif
	seen[0] = load(0);	/* vhx_work.fn() */
	seen[1] = load(1);
#ifdef CLEARED_AFTER_RUN
	store(WORKER, QUEUED, 0)
#endif
}

inline take()			/* llist_del_all(): xchg() is a full barrier */
{
	atomic { full_barrier(WORKER) -> was_added = is_added; is_added = 0 }
}

active proctype worker()	/* kthread_run_queue(), the kernel's vhost_task_fn() */
{
	bit was_added;

	do
	::
#ifdef QUEUE_LOOKED_AT_FIRST
		take();
		is_running = 0;
#else
		is_running = 0;	/* set_current_state(TASK_INTERRUPTIBLE) */
		take();
#endif
		if
		:: was_added -> run_work()
		:: else ->
end:			is_running	/* schedule() */
		fi
	od
}
