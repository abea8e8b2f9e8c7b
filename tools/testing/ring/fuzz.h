/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the bytes of a fuzzer's input mean: a header, a script of one-byte
 * operations, the avail ring or the driver's event area, the descriptors, and
 * the guest's memory from address 0 on. What is missing at the end is zero.
 */
#ifndef RING_TEST_FUZZ_H
#define RING_TEST_FUZZ_H

#include <stdint.h>

#define FUZZ_NUM_LOG2	9	/* rings of up to 256 entries */
#define FUZZ_GUEST_LEN	0x2000	/* bytes at address 0 */

enum fuzz_flag {
	FUZZ_IS_LE = 1,
	FUZZ_IS_IN_ORDER = 2,
	FUZZ_HAS_EVENT_IDX = 4,
	FUZZ_CALLS_ON_EMPTY = 8,
	FUZZ_CHANGES = 16,	/* memory changes after each read of it */
	FUZZ_PACKED = 32,	/* the ring's size is num_log2 + 1 */
};

struct fuzz_header {
	uint8_t num_log2;	/* modulo FUZZ_NUM_LOG2, of a split ring */
	uint8_t flags;		/* enum fuzz_flag */
	uint8_t nr_ops;		/* bytes of the script */
	uint8_t nr_avail;	/* available at the start, modulo num + 2 */
};

/* An operation is its number and an argument above it. */
enum fuzz_op {
	FUZZ_FETCH,		/* up to argument * 2 + 2 */
	FUZZ_COMPLETE,		/* argument + 1 of those held */
	FUZZ_ARM,
	FUZZ_DISARM,
	FUZZ_CALL,
	FUZZ_UNFETCH,		/* from argument on, modulo the burst */
	FUZZ_PUBLISH,		/* argument more; packed: descriptors */
	FUZZ_FAIL,		/* the argument-th access from here */
};

#define FUZZ_OP_BITS	3
#define FUZZ_OP(op, arg) ((uint8_t)((op) | (arg) << FUZZ_OP_BITS))

#endif /* RING_TEST_FUZZ_H */
