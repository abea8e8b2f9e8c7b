/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Buffers for the two formats: plain ones inline, all others by a walk. What both
 * check is here once.
 */
#ifndef VHX_CHAIN_H
#define VHX_CHAIN_H

#include "mem.h"

/**
 * vhx_chain_decode - bring a raw descriptor into host byte order
 * @ring: the ring it came from
 * @is_packed: vhx_ring.is_packed, which the formats know
 * @desc: raw snapshot, of struct vring_packed_desc in a packed ring
 * @slot: result
 */
static inline void vhx_chain_decode(const struct vhx_ring *ring, bool is_packed,
				    const struct vring_desc *desc,
				    struct vhx_slot *slot)
{
	__virtio16 flags = desc->flags, next = desc->next;
	/* Packed rings always are: they came with virtio 1. */
	const bool is_le = is_packed || ring->is_le;

	/* The two have id and flags in each other's place (§2.8.13). */
	if (is_packed)
		swap(flags, next);
	slot->addr = __virtio64_to_cpu(is_le, desc->addr);
	slot->len = __virtio32_to_cpu(is_le, desc->len);
	slot->flags = __virtio16_to_cpu(is_le, flags);
	slot->next = __virtio16_to_cpu(is_le, next);
}

/**
 * vhx_chain_wraps - whether the end of a slot is before its beginning
 * @slot: the slot, not empty
 *
 * Return: true if its addresses wrap around
 */
static inline bool vhx_chain_wraps(const struct vhx_slot *slot)
{
	return slot->addr + (slot->len - 1) < slot->addr;
}

/* Whether raw fields are as the host has them. */
static inline bool vhx_chain_is_native(const struct vhx_ring *ring,
				       bool is_packed)
{
	return (__force u16)__cpu_to_virtio16(is_packed || ring->is_le, 1) == 1;
}

/* Of a ring in the host's byte order. */
static inline u16 vhx_chain_raw_flags(bool is_packed,
				      const struct vring_desc *desc)
{
	return (__force u16)(is_packed ? desc->next : desc->flags);
}

/**
 * vhx_chain_add_plain - append plain buffers to a burst that has no others
 * @ring: the ring; its avail_pos is before the first of them, and then behind them
 * @burst: the burst
 * @is_packed: vhx_ring.is_packed, which the formats know
 * @nr: how many descriptors are in @burst's desc
 *
 * Stops at the first that is anything else: that and what follows are for
 * vhx_chain_add(). In a ring of another byte order than the host's none is plain.
 *
 * Return: how many the burst has
 */
static inline unsigned int vhx_chain_add_plain(struct vhx_ring *ring,
					       struct vhx_burst *burst,
					       bool is_packed, unsigned int nr)
{
	const u16 mask = VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT |
			 VRING_DESC_F_WRITE;
	const struct vring_desc *desc = burst->desc;
	u16 kind = vhx_chain_raw_flags(is_packed, desc) & VRING_DESC_F_WRITE;
	size_t i = burst->nr_plain;

	if (unlikely(!vhx_chain_is_native(ring, is_packed)))
		return burst->nr_plain;
	if (!i)
		burst->pos = ring->avail_pos;
	for (; i < nr; i++) {
		u64 addr = vhx_plain_addr(&desc[i]);

		/* Neither empty nor, but for the very last byte, wrapping. */
		if (unlikely((vhx_chain_raw_flags(is_packed, &desc[i]) & mask) !=
			     kind || addr + vhx_plain_len(&desc[i]) <= addr))
			break;
		burst->used[i].len = 0;
		burst->used[i].id = is_packed ? (__force u16)desc[i].flags :
			burst->head[i];
		burst->used[i].count = 1;
	}
	burst->nr = i;
	burst->nr_plain = i;
	burst->is_plain_in = kind;
	burst->nr_slots = i;
	burst->nr_steps = i;
	ring->avail_pos = is_packed ? vhx_packed_advance(ring, burst->pos, i) :
		(u16)(burst->pos + i);
	return i;
}

int vhx_chain_add(struct vhx_ring *ring, struct vhx_burst *burst,
		  unsigned int at, unsigned int nr, unsigned int room);

#endif /* VHX_CHAIN_H */
