/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split ring: the device asks for a kick and goes to sleep, against a driver
 * that publishes. Nothing that is published waits for ever. A ring that the
 * device cannot parse stops; a driver that mends it at any time, and publishes
 * more, is heard. Indexes do not wrap here.
 *
 * holds: EVENT_IDX
 * holds: FLAGS
 * caught: EVENT_IDX NO_BARRIER
 * caught: FLAGS NO_BARRIER
 * caught: EVENT_IDX NO_SECOND_LOOK
 * caught: FLAGS NO_SECOND_LOOK
 * caught: EVENT_IDX DRIVER_NO_BARRIER
 * caught: EVENT_IDX LOOKS_ONCE
 * caught: FLAGS LOOKS_ONCE
 * caught: EVENT_IDX LOOKS_TWICE
 */
#define SIDES		2
#define LOCATIONS	3
#include "memory.pml"

#define DRIVER		0
#define DEVICE		1
#define AVAIL_IDX	0
#define WANTED		1	/* avail_event, or used->flags */
#define MENDED		2	/* the descriptor of the bad one */
#define NO_NOTIFY	1
#define N		5
#define BAD		2	/* that one is mended before the last is published */

byte consumed;
bit kick = 1;			/* net.c: vhx_net_set_backend() queues a run */

inline publish(nr)		/* virtqueue_add() */
{
	nr++;
	store_release(DRIVER, AVAIL_IDX, nr)
}

active proctype driver()
{
	byte old, new, wanted;

	do
	:: new == N -> break
	:: new < N ->
		old = new;
		if
		:: new + 1 == N -> store(DRIVER, MENDED, 1)
		:: new + 2 < N -> publish(new)
		:: new + 1 < N
		fi;
		publish(new);
#ifndef DRIVER_NO_BARRIER
		full_barrier(DRIVER);	/* virtqueue_kick_prepare() */
#endif
		wanted = load(WANTED);
#ifdef EVENT_IDX
		kick = kick || (old <= wanted && wanted < new)
#else
		kick = kick || wanted != NO_NOTIFY
#endif
	od;
	consumed == N
}

byte pos, idx, seen;		/* vhx_ring.avail_pos, .avail_idx */
byte flags;			/* vhx_ring.flags */
bit is_stopped;			/* vhx_vq.is_stopped */
byte stopped_idx;		/* vhx_vq.stopped_idx */

inline write_flags(val)		/* split.c: write_flags() */
{
	if
	:: flags != val -> store_release(DEVICE, WANTED, val); flags = val
	:: else
	fi
}

inline arm()			/* split.c: split_arm() */
{
#ifdef EVENT_IDX
	store_release(DEVICE, WANTED, idx);
#else
	write_flags(0);
#endif
#ifndef NO_BARRIER
	full_barrier(DEVICE);
#endif
#ifndef NO_SECOND_LOOK
	idx = load(AVAIL_IDX);	/* read_avail_idx() */
#endif
}

active proctype device()	/* tx.c: send_all(), rx.c: fetch_more() */
{
end:	atomic { kick -> kick = 0 };
again:
#ifdef FLAGS
	if			/* vhx_run_disarm(), split_disarm() */
	:: !is_stopped -> write_flags(NO_NOTIFY)
	:: else
	fi;
#endif
	if			/* split_fetch() */
	:: idx == pos -> idx = load(AVAIL_IDX)
	:: else
	fi;
	if
	:: idx == pos ->
		arm();
		if
		:: idx == pos -> goto end
		:: else -> goto again
		fi
	:: idx != pos && (pos < BAD || load(MENDED)) ->
		pos++;
		consumed = pos;
		is_stopped = 0;	/* vhx_run_publish() */
		goto again
	:: else
	fi;
	seen = idx;		/* run.c: stop() */
	arm();
	if
#ifdef LOOKS_TWICE
	:: is_stopped
#else
	:: is_stopped && stopped_idx == seen && idx == seen
#endif
	:: else ->
		is_stopped = 1;
		stopped_idx = seen;
#ifndef LOOKS_ONCE
		kick = 1
#endif
	fi;
	goto end
}
