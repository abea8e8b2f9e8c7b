/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that is weaker than a CPU's: what a side stores waits in its buffer
 * while later loads run, and leaves it in any order but that of one location.
 * So x86's store buffer is in here, and stores that overtake each other.
 * Loads run in their order; no side loads what it stores, and a location is stored
 * either with release or without.
 *
 * Who includes this says SIDES, how many there are, and LOCATIONS, up to 4.
 */
#define RELAXED	0
#define RELEASE	1

byte mem[LOCATIONS];
chan buffer[SIDES] = [4] of { byte, byte, bit };

#define store(side, at, val)		buffer[side]!at,val,RELAXED
/* Leaves the buffer when all that was stored before it has. */
#define store_release(side, at, val)	buffer[side]!at,val,RELEASE
#define full_barrier(side)		empty(buffer[side])
#define load(at)			mem[at]

#define leaves(at)	atomic { buffer[_pid]??at,val,RELAXED -> mem[at] = val }

active [SIDES] proctype drain()
{
	byte at, val;

end:	do
	:: atomic { buffer[_pid]?at,val,_ -> mem[at] = val }
	:: leaves(0)
#if LOCATIONS > 1
	:: leaves(1)
#endif
#if LOCATIONS > 2
	:: leaves(2)
#endif
#if LOCATIONS > 3
	:: leaves(3)
#endif
	od
}
