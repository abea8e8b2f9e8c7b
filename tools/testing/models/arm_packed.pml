/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packed ring: the device asks for a kick by its event area, position and
 * flags, and goes to sleep, against a driver that makes descriptors available.
 * As arm_split.pml: nothing waits for ever, and a driver that mends a ring which
 * stops is heard. Descriptor i is available once HEADS is over i; no lap
 * ends here.
 *
 * holds: EVENT_IDX
 * holds: FLAGS
 * holds: EVENT_IDX UNPARSED
 * holds: FLAGS UNPARSED
 * caught: EVENT_IDX NO_BARRIER
 * caught: FLAGS NO_BARRIER
 * caught: EVENT_IDX NO_SECOND_LOOK
 * caught: FLAGS NO_SECOND_LOOK
 * caught: EVENT_IDX DRIVER_NO_BARRIER
 * caught: EVENT_IDX PASSED_EVENT_STAYS
 * caught: EVENT_IDX TAKES_BACK
 * caught: EVENT_IDX LOOKS_ONCE
 * caught: FLAGS LOOKS_ONCE
 * caught: EVENT_IDX QUEUES_EARLY
 */
#define SIDES		2
#define LOCATIONS	4
#include "memory.pml"

#define DRIVER		0
#define DEVICE		1
#define HEADS		0	/* flags of the descriptors */
#define EVENT_POS	1
#define EVENT_FLAGS	2
#define MENDED		3	/* the descriptor of the bad one */
#define ENABLE		0
#define DISABLE		1
#define DESC		2
#define N		5
#define BAD		2	/* that one is mended before the last is published */

byte consumed;
bit kick = 1;			/* net.c: vhx_net_set_backend() queues a run */

inline publish(nr)		/* virtqueue_add_packed() */
{
	nr++;
	store_release(DRIVER, HEADS, nr)
}

active proctype driver()
{
	byte old, new, event, wanted;

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
		full_barrier(DRIVER);	/* virtqueue_kick_prepare_packed() */
#endif
		if		/* Linux reads both at once; others may not */
		:: wanted = load(EVENT_FLAGS); event = load(EVENT_POS)
		:: event = load(EVENT_POS); wanted = load(EVENT_FLAGS)
		fi;
		kick = kick || wanted == ENABLE ||
		       (wanted == DESC && old <= event && event < new)
	od;
	consumed == N
}

byte pos, idx;			/* vhx_ring.avail_pos, .avail_idx */
byte flags = ENABLE;		/* vhx_ring.flags */
bit is_more;
bit is_stopped;			/* vhx_vq.is_stopped */
byte seen, old_flags, stopped_idx;	/* vhx_vq.stopped_idx */

inline store_event_flags(val)	/* packed.c: store_event_flags() */
{
	if
	:: flags != val -> store_release(DEVICE, EVENT_FLAGS, val); flags = val
	:: else
	fi
}

inline arm()			/* packed.c: packed_arm() */
{
#ifdef EVENT_IDX
	if
#ifndef TAKES_BACK
	:: flags == ENABLE && load(HEADS) > idx
#endif
	:: else ->
		store_release(DEVICE, EVENT_POS, idx);
		store_event_flags(DESC)
	fi;
#else
	store_event_flags(ENABLE);
#endif
#ifndef NO_BARRIER
	full_barrier(DEVICE);
#endif
	is_more = 0;
#ifndef NO_SECOND_LOOK
	if			/* count_available() */
	:: load(HEADS) > idx ->
		is_more = 1;
#ifndef PASSED_EVENT_STAYS
		store_event_flags(ENABLE)
#endif
	:: else
	fi
#endif
}

active proctype device()	/* tx.c: send_all(), rx.c: fetch_more() */
{
end:	atomic { kick -> kick = 0 };
again:
	if			/* vhx_run_disarm(), packed_disarm() */
	:: flags != DESC && !is_stopped -> store_event_flags(DISABLE)
	:: else
	fi;
	if			/* packed_fetch(): look_ahead(), a burst at most */
	:: idx = load(HEADS)
	:: load(HEADS) > idx -> idx++
	:: idx != pos
	fi;
	if
	:: idx == pos ->
		arm();
		if
		:: is_more -> goto again
		:: else -> goto end
		fi
	:: idx != pos && (pos < BAD || load(MENDED)) ->
		pos++;
		consumed = pos;
		is_stopped = 0;	/* vhx_run_publish() */
		goto again
	:: else
	fi;
#ifdef UNPARSED
	idx = pos;		/* packed_fetch() failed, not what comes after it */
#endif
	seen = idx;		/* run.c: stop() */
	old_flags = flags;
	arm();
	if
	:: is_stopped && stopped_idx == seen && flags == old_flags
	:: else ->
		is_stopped = 1;
		stopped_idx = seen;
#ifndef LOOKS_ONCE
#ifndef QUEUES_EARLY
		full_barrier(DEVICE);	/* vhx_worker_queue(): test_and_set_bit() */
#endif
		kick = 1
#endif
	fi;
	goto end
}
