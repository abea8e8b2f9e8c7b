/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Descriptors written one by one, for what no driver in its right mind does.
 */
#ifndef RING_TEST_RAW_H
#define RING_TEST_RAW_H

#include "rig.h"

#define F_NEXT		VRING_DESC_F_NEXT
#define F_WRITE		VRING_DESC_F_WRITE
#define F_INDIRECT	VRING_DESC_F_INDIRECT

/* Descriptor @i of the ring. */
static inline void raw_desc(struct rig *rig, u32 i, u64 addr, u32 len,
			    unsigned int flags, unsigned int next)
{
	split_set_desc(&rig->drv, (u16)i, &(struct vhx_slot){
		.addr = addr, .len = len,
		.flags = (u16)flags, .next = (u16)next });
}

/* Entry @i of a table. */
static inline void raw_entry(struct rig *rig, u64 table, u32 i, u64 addr,
			     u32 len, unsigned int flags, unsigned int next)
{
	split_set_entry(&rig->drv, table, i, &(struct vhx_slot){
		.addr = addr, .len = len,
		.flags = (u16)flags, .next = (u16)next });
}

/* A table of @nr entries, the last of which ends the guest's memory. */
static inline u64 raw_table(const struct rig *rig, u32 nr)
{
	return rig_scratch(rig) + RIG_SCRATCH_LEN - nr * 16ull;
}

/* Descriptor @i points to @nr entries at @table. */
static inline void raw_indirect(struct rig *rig, u32 i, u64 table, u32 nr)
{
	raw_desc(rig, i, table, nr * 16, F_INDIRECT, 0);
}

/* @nr entries of @len bytes, each linked to the next one. */
static inline void raw_fill(struct rig *rig, u64 table, u32 nr, u32 len,
			    unsigned int flags)
{
	u32 i;

	for (i = 0; i < nr; i++)
		raw_entry(rig, table, i, 0x1000 * (i + 1ull), len,
			  flags | (i + 1 < nr ? F_NEXT : 0), i + 1);
}

static inline void raw_offer(struct rig *rig, u32 head)
{
	split_push_head(&rig->drv, (u16)head);
	rig->drv.ops->publish(&rig->drv);
}

static inline int raw_fetch(struct rig *rig, unsigned int max)
{
	int i, nr = rig->ring.ops->fetch(&rig->ring, &rig->burst, max);

	for (i = 0; i < nr; i++)
		vhx_burst_chain(&rig->burst, (u32)i);
	return nr;
}

/* Whether chain @i has @nr slots of @len bytes as raw_fill() makes them. */
static inline bool raw_is_filled(const struct rig *rig, unsigned int i,
				 u32 nr, u32 len)
{
	const struct vhx_chain *chain = &rig->burst.chain[i];
	u32 k;

	for (k = 0; k < nr; k++)
		if (chain->slot[k].addr != 0x1000 * (k + 1ull) ||
		    chain->slot[k].len != len)
			return false;
	return (u32)chain->nr_out + chain->nr_in == nr &&
		chain->out_len + chain->in_len == nr * len;
}

#endif /* RING_TEST_RAW_H */
