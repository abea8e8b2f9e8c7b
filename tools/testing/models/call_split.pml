/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split ring: the device publishes used entries and asks whether the driver
 * wants a call, against a driver that asks for one and goes to sleep. The driver
 * gets to see all entries. It may ask for its call some entries ahead; then it
 * sleeps until that many are there. Indexes do not wrap here.
 *
 * holds: EVENT_IDX
 * holds: FLAGS
 * caught: EVENT_IDX NO_BARRIER
 * caught: FLAGS NO_BARRIER
 * caught: EVENT_IDX ASKS_FIRST
 * caught: EVENT_IDX LAST_ONLY
 * caught: EVENT_IDX DRIVER_NO_BARRIER
 * caught: FLAGS DRIVER_NO_BARRIER
 * caught: EVENT_IDX DRIVER_NO_SECOND_LOOK
 */
#define SIDES		2
#define LOCATIONS	2
#include "memory.pml"

#define DRIVER		0
#define DEVICE		1
#define USED_IDX	0
#define WANTED		1	/* used_event, or avail->flags */
#define NO_INTERRUPT	1
#define N		5

bit call;			/* the call eventfd, an interrupt */

inline complete()		/* split.c: split_complete() */
{
	store_release(DEVICE, USED_IDX, used)
}

inline call_needed()		/* split.c: split_call_needed() */
{
#ifndef NO_BARRIER
	full_barrier(DEVICE);
#endif
	wanted = load(WANTED);
#ifdef EVENT_IDX
	is_needed = !is_valid || (signalled <= wanted && wanted < used);
#ifdef LAST_ONLY
	is_needed = !is_valid || wanted + 1 == used;
#endif
	signalled = used;
	is_valid = 1
#else
	is_needed = wanted != NO_INTERRUPT
#endif
}

active proctype device()	/* tx.c: send_burst(), run.c: vhx_run_publish() */
{
	byte used, signalled, wanted;
	bit is_valid, is_needed;

	do
	:: used == N -> break
	:: used < N ->
		if
		:: used++
		:: used + 2 <= N -> used = used + 2
		fi;
#ifdef ASKS_FIRST
		call_needed();
		complete();
#else
		complete();
		call_needed();
#endif
		if		/* notify.c: vhx_notify_call() */
		:: is_needed -> call = 1
		:: else
		fi
	od
}

active proctype driver()	/* virtnet_poll() and what it calls */
{
	byte seen, event, used;

	do
	:: seen = load(USED_IDX);
		if
		:: seen == N -> break
		:: else
		fi;
		event = seen;	/* virtqueue_enable_cb_prepare() */
#ifdef EVENT_IDX
		if		/* virtqueue_enable_cb_delayed() */
		:: seen + 1 < N -> event++
		:: true
		fi;
		store(DRIVER, WANTED, event);
#else
		store(DRIVER, WANTED, 0);
#endif
#ifndef DRIVER_NO_BARRIER
		full_barrier(DRIVER);
#endif
#ifndef DRIVER_NO_SECOND_LOOK
		used = load(USED_IDX);	/* virtqueue_poll() */
#endif
		if
		:: used <= event -> call -> call = 0
		:: else
		fi;
#ifdef FLAGS
		store(DRIVER, WANTED, NO_INTERRUPT)	/* virtqueue_disable_cb() */
#endif
	od
}
