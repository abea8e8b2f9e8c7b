/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Why a ring stops: the same words in the log, in the counters and in
 * Documentation/trouble.rst.
 */
#ifndef VHX_RING_CAUSE_H
#define VHX_RING_CAUSE_H

/* X(NAME, name, text) of each cause; @name is what its counter is called. */
#define VHX_CAUSES_OF(X)						\
	X(NONE, none, "none")						\
	X(AVAIL_JUMP, avail_jump, "avail index jumped by more than the ring") \
	X(AVAIL_READ, avail_read, "avail ring not readable")		\
	X(USED_READ, used_read, "used ring not readable")		\
	X(USED_WRITE, used_write, "used ring not writable")		\
	X(RING_WRITE, ring_write, "ring not writable")			\
	X(EVENT_READ, event_read, "event area not readable")		\
	X(EVENT_WRITE, event_write, "event area not writable")		\
	X(HEAD, head, "head out of range")				\
	X(TOO_MANY, too_many, "more descriptors available than the ring has") \
	X(DESC_READ, desc_read, "descriptor not readable")		\
	X(DESC_ORDER, desc_order, "readable descriptor after a writable one") \
	X(DESC_WRAP, desc_wrap, "descriptor address wraps")		\
	X(DESC_LOOP, desc_loop, "descriptor loop")			\
	X(NEXT, next, "next descriptor out of range")			\
	X(CHAIN_DESCS, chain_descs, "chain of too many descriptors")	\
	X(CHAIN_LEN, chain_len, "chain over 4 GiB")			\
	X(TABLE_NEXT, table_next, "indirect descriptor with a next one") \
	X(TABLE_IN_CHAIN, table_in_chain, "indirect table in a chain")	\
	X(TABLE_IN_TABLE, table_in_table, "indirect table in an indirect table") \
	X(TABLE_ALIGN, table_align, "indirect table length not a multiple of 16") \
	X(TABLE_LEN, table_len, "indirect table too long")		\
	X(TABLE_WRAP, table_wrap, "indirect table address wraps")	\
	X(TABLE_READ, table_read, "indirect table not readable")	\
	X(READABLE, readable, "readable descriptor")			\
	X(NO_WRITABLE, no_writable, "nothing writable in a buffer")	\
	X(BUF_OUTSIDE, buf_outside, "buffer outside the memory table")	\
	X(BUF_IOTLB, buf_iotlb, "buffer not accessible by the IOTLB")	\
	X(BUF_REGIONS, buf_regions, "buffer in too many regions")	\
	X(NO_MEMORY, no_memory, "no memory for a frame")		\
	X(RING_ADDRESS, ring_address, "ring without an address")	\
	X(RING_ACCESS, ring_access, "ring not accessible")		\
	X(RING_IOTLB, ring_iotlb, "ring not accessible by the IOTLB")	\
	X(RING_ALIGN, ring_align, "ring not aligned")			\
	X(RING_BASE, ring_base, "base out of range")			\
	X(RING_NO_SIZE, ring_no_size, "started without a size")		\
	X(RING_SIZE, ring_size, "size is not a power of two")		\
	X(BACKEND_ERROR, backend_error, "backend in error")		\
	/* Told as they are, of rings that go on. */			\
	X(WRITABLE, writable, "writable descriptor, dropped")		\
	X(DIRTY_LOG, dirty_log, "dirty log not accessible")		\
	X(PACKET_RING, packet_ring,					\
	  "packet socket with PACKET_RX_RING or PACKET_TX_RING cannot be a backend")

enum vhx_cause {
#define VHX_CAUSE_ENUM(NAME, name, text)	VHX_CAUSE_##NAME,
	VHX_CAUSES_OF(VHX_CAUSE_ENUM)
#undef VHX_CAUSE_ENUM
	VHX_CAUSES
};

/**
 * vhx_cause_text - a cause in words
 * @cause: the cause
 *
 * Return: a few words without a full stop
 */
static inline const char *vhx_cause_text(enum vhx_cause cause)
{
	static const char *const texts[VHX_CAUSES] = {
#define VHX_CAUSE_TEXT(NAME, name, text)				\
		[VHX_CAUSE_##NAME] = text,
		VHX_CAUSES_OF(VHX_CAUSE_TEXT)
#undef VHX_CAUSE_TEXT
	};

	return texts[cause];
}

/**
 * vhx_cause_name - a cause in one word, for counters
 * @cause: the cause
 *
 * Return: lower case, with underscores
 */
static inline const char *vhx_cause_name(enum vhx_cause cause)
{
	static const char *const names[VHX_CAUSES] = {
#define VHX_CAUSE_NAME(NAME, name, text)				\
		[VHX_CAUSE_##NAME] = #name,
		VHX_CAUSES_OF(VHX_CAUSE_NAME)
#undef VHX_CAUSE_NAME
	};

	return names[cause];
}

#endif /* VHX_RING_CAUSE_H */
