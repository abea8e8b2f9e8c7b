/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packed ring: the device asks for a kick by its event area, position and
 * flags, and goes to sleep, against a driver that makes descriptors available.
 * As arm_split.pml: nothing waits for ever, and a driver that mends a ring which
 * has stopped is heard. Descriptor i is available once HEADS is over i; no lap
 * ends here.
 *
 * holds: EVENT_IDX
 * holds: FLAGS
 * caught: EVENT_IDX NO_BARRIER
 * caught: FLAGS NO_BARRIER
 * caught: EVENT_IDX NO_SECOND_LOOK
 * caught: FLAGS NO_SECOND_LOOK
 * caught: EVENT_IDX DRIVER_NO_BARRIER
 * caught: EVENT_IDX PASSED_EVENT_STAYS
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
bit has_failed;			/* and no run is under way */
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
		:: new + 1 == N -> has_failed && !kick -> store(DRIVER, MENDED, 1)
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
	store_release(DEVICE, EVENT_POS, idx);
	store_event_flags(DESC);
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
end:	atomic { kick -> kick = 0; has_failed = 0 };
again:
	if			/* packed_disarm() */
	:: flags != DESC -> store_event_flags(DISABLE)
	:: else
	fi;
	idx = load(HEADS);	/* packed_fetch(): look_ahead() */
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
		goto again
	:: else
	fi;
	arm();			/* vhx_run_fail() */
	full_barrier(DEVICE);	/* who learns of it sees all that was stored */
	has_failed = 1;
	goto end
}
