/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split ring: the device asks for a kick and goes to sleep, against a driver
 * that publishes. Nothing that is published waits for ever. A ring that the
 * device cannot parse stops; a driver that mends it once it has stopped, and
 * publishes more, is heard. Indexes do not wrap here.
 *
 * holds: EVENT_IDX
 * holds: FLAGS
 * caught: EVENT_IDX NO_BARRIER
 * caught: FLAGS NO_BARRIER
 * caught: EVENT_IDX NO_SECOND_LOOK
 * caught: FLAGS NO_SECOND_LOOK
 * caught: EVENT_IDX DRIVER_NO_BARRIER
 * caught: EVENT_IDX FAIL_ARMS_ONCE
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
bit has_failed;			/* and no run is under way */
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
		:: new + 1 == N -> has_failed && !kick -> store(DRIVER, MENDED, 1)
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
end:	atomic { kick -> kick = 0; has_failed = 0 };
again:
#ifdef FLAGS
	write_flags(NO_NOTIFY);	/* split_disarm() */
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
		goto again
	:: else
	fi;
	do			/* vhx_run_fail() */
	:: seen = idx;
		arm();
		if
		:: idx == seen -> break
		:: else
		fi
#ifdef FAIL_ARMS_ONCE
		break
#endif
	od;
	full_barrier(DEVICE);	/* who learns of it sees all that was stored */
	has_failed = 1;
	goto end
}
