/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread of vhx-switch that goes to sleep against two that hand frames over to
 * it. Each of these hands over TIMES parcels; the last one's frames are seen.
 *
 * holds:
 * caught: NO_BARRIER_AFTER_SLEEPS
 * caught: LIST_LOOKED_AT_FIRST
 * caught: SLEEPS_LOOKED_AT_FIRST
 * caught: PUSH_WITHOUT_BARRIER
 * caught: WAKES_BEFORE_CLEARING
 */
#define SIDES		3
#define LOCATIONS	3
#include "memory.pml"

#define THREAD		2
#define SLEEPS		2	/* inbox.sleeps; 0 and 1: frames */
#define TIMES		2

bit has_parcels;		/* inbox.newest */
bit is_readable;		/* inbox.wake */
byte seen[2];

inline push()			/* inbox.c: push() */
{
#ifdef SLEEPS_LOOKED_AT_FIRST
	sleeps = load(SLEEPS);
#endif
#ifdef PUSH_WITHOUT_BARRIER
	has_parcels = 1;
#else
	atomic { full_barrier(me) -> has_parcels = 1 };
#endif
#ifndef SLEEPS_LOOKED_AT_FIRST
	sleeps = load(SLEEPS);
#endif
	if
	:: sleeps ->
#ifdef WAKES_BEFORE_CLEARING
		is_readable = 1;
#endif
		/* __atomic_exchange_n() */
		atomic { full_barrier(me) -> sleeps = mem[SLEEPS]; mem[SLEEPS] = 0 };
		if
		:: sleeps ->
#ifndef WAKES_BEFORE_CLEARING
			is_readable = 1
#else
			skip
#endif
		:: else
		fi
	:: else
	fi
}

active [2] proctype producer()	/* inbox.c: inbox_send() */
{
	byte nr, me = _pid - SIDES;
	bit sleeps;

	do
	:: nr == TIMES -> break
	:: nr < TIMES ->
		nr++;
		store(me, me, nr);
		push()
	od;
	seen[me] == TIMES
}

inline open_parcels()		/* plane.c: open_parcels(), inbox.c: inbox_next() */
{
	atomic { full_barrier(THREAD) -> has_parcels = 0 };
	seen[0] = load(0);
	seen[1] = load(1)
}

active proctype thread()	/* plane.c: run(), sleep_for_more() */
{
	bit is_empty;

	do
	:: has_parcels -> open_parcels()
	:: !has_parcels ->
		/* inbox.c: inbox_may_sleep() */
#ifdef LIST_LOOKED_AT_FIRST
		is_empty = !has_parcels;
		store(THREAD, SLEEPS, 1);
		full_barrier(THREAD);
#else
		store(THREAD, SLEEPS, 1);
#ifndef NO_BARRIER_AFTER_SLEEPS
		full_barrier(THREAD);
#endif
		is_empty = !has_parcels;
#endif
		if
		:: is_empty ->
end:			is_readable		/* epoll_wait() */
		:: else
		fi;
		store(THREAD, SLEEPS, 0);	/* inbox_slept() */
		is_readable = 0			/* read() of it */
	od
}
