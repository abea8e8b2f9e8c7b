/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Chains for the two formats: those of one slot inline, all others by a walk. What
 * both check is here once.
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

/* A hint that there is no run: what a chain is, its decoded slots say. */
static inline bool vhx_chain_is_linked(const struct vhx_ring *ring,
				       bool is_packed,
				       const struct vring_desc *desc)
{
	const u16 linked = VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT;

	return ((is_packed ? desc->next : desc->flags) &
		__cpu_to_virtio16(is_packed || ring->is_le, linked)) != 0;
}

/**
 * vhx_chain_add_run - append chains of one slot, as most are, without a walk
 * @ring: the ring; its avail_pos is before the first of them
 * @burst: the burst
 * @is_packed: vhx_ring.is_packed, which the formats know
 * @at: where they begin in @burst's head and desc
 * @nr: how many there are at most, without a wrap of the ring between them
 *
 * Stops at the first that is anything else: vhx_chain_walk() takes it, or says
 * what is wrong with it.
 *
 * Return: how many
 */
static inline unsigned int vhx_chain_add_run(const struct vhx_ring *ring,
					     struct vhx_burst *burst,
					     bool is_packed, unsigned int at,
					     unsigned int nr)
{
	const struct vring_desc *desc = &burst->desc[at];
	const u16 *head = &burst->head[at];
	struct vhx_chain *chain = &burst->chain[burst->nr];
	struct vhx_slot *slot = &burst->slot[burst->nr_slots];
	u16 pos = ring->avail_pos;
	unsigned int i;

	if (unlikely(vhx_chain_is_linked(ring, is_packed, desc)))
		return 0;
	nr = min(nr, VHX_SLOTS_MAX - burst->nr_steps);
	for (i = 0; i < nr; i++, chain++, slot++) {
		vhx_chain_decode(ring, is_packed, &desc[i], slot);
		if (unlikely(slot->flags & (VRING_DESC_F_NEXT |
					    VRING_DESC_F_INDIRECT) ||
			     !slot->len || vhx_chain_wraps(slot)))
			break;
		if (slot->flags & VRING_DESC_F_WRITE) {
			chain->out_len = 0;
			chain->in_len = slot->len;
			chain->nr_out = 0;
			chain->nr_in = 1;
		} else {
			chain->out_len = slot->len;
			chain->in_len = 0;
			chain->nr_out = 1;
			chain->nr_in = 0;
		}
		chain->slot = slot;
		chain->id = is_packed ? slot->next : head[i];
		chain->count = 1;
		chain->pos = pos++;
	}
	burst->nr += i;
	burst->nr_slots += i;
	burst->nr_steps += i;
	return i;
}

int vhx_chain_walk(struct vhx_ring *ring, struct vhx_burst *burst, u16 head,
		   const struct vring_desc *desc, unsigned int nr);
void vhx_chain_want(struct vhx_ring *ring, const struct vhx_burst *burst,
		    unsigned int i, unsigned int nr);

#endif /* VHX_CHAIN_H */
