/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packed ring: the device publishes used descriptors and asks the driver's event
 * area, flags and position, whether a call is wanted, against a driver that
 * writes it and goes to sleep. As call_split.pml: the driver gets to see all,
 * and may ask for its call some descriptors ahead. Descriptor i is used once
 * USED is over i; no lap ends here.
 *
 * holds: EVENT_IDX
 * holds: FLAGS
 * caught: EVENT_IDX NO_BARRIER
 * caught: FLAGS NO_BARRIER
 * caught: EVENT_IDX ASKS_FIRST
 * caught: EVENT_IDX LAST_ONLY
 * caught: EVENT_IDX DRIVER_NO_BARRIER
 * caught: EVENT_IDX DRIVER_NO_SECOND_LOOK
 */
#define SIDES		2
#define LOCATIONS	3
#include "memory.pml"

#define DRIVER		0
#define DEVICE		1
#define USED		0	/* flags of the descriptors */
#define EVENT_POS	1
#define EVENT_FLAGS	2
#define ENABLE		0
#define DISABLE		1
#define DESC		2
#define N		5

bit call;			/* the call eventfd, an interrupt */

inline complete()		/* packed.c: packed_complete() */
{
	store_release(DEVICE, USED, used)
}

inline call_needed()		/* packed.c: packed_call_needed() */
{
#ifndef NO_BARRIER
	full_barrier(DEVICE);
#endif
	flags = load(EVENT_FLAGS);
	is_needed = flags != DISABLE;
	if
	:: flags == DESC ->
		event = load(EVENT_POS);
#ifdef LAST_ONLY
		is_needed = !is_valid || event + 1 == used
#else
		is_needed = !is_valid || (signalled <= event && event < used)
#endif
	:: else
	fi;
	signalled = used;
	is_valid = 1
}

active proctype device()	/* tx.c: send_burst(), run.c: vhx_run_publish() */
{
	byte used, signalled, flags, event;
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
	:: seen = load(USED);
		if
		:: seen == N -> break
		:: else
		fi;
		event = seen;	/* virtqueue_enable_cb_prepare_packed() */
#ifdef EVENT_IDX
		if		/* virtqueue_enable_cb_delayed_packed() */
		:: seen + 1 < N -> event++
		:: true
		fi;
		store(DRIVER, EVENT_POS, event);
		store_release(DRIVER, EVENT_FLAGS, DESC);
#else
		store_release(DRIVER, EVENT_FLAGS, ENABLE);
#endif
#ifndef DRIVER_NO_BARRIER
		full_barrier(DRIVER);
#endif
#ifndef DRIVER_NO_SECOND_LOOK
		used = load(USED);	/* virtqueue_poll_packed() */
#endif
		if
		:: used <= event -> call -> call = 0
		:: else
		fi;
		if		/* virtqueue_disable_cb_packed(), or not yet */
		:: store_release(DRIVER, EVENT_FLAGS, DISABLE)
		:: true
		fi
	od
}
