// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The walk over a chain: bounds, loops, indirect tables, readable before
 * writable. It works on snapshots and knows no ring format.
 */
#include "chain.h"

/**
 * struct walk - where the walk over a chain is, and the chain so far
 * @is_packed: vhx_ring.is_packed; each format is compiled for itself
 * @is_indirect: it is in an indirect table, else in the ring's own
 * @desc: raw snapshot of the ring's descriptors from the head on
 * @nr_desc: how many
 * @iova: address of the indirect table
 * @nr: entries of the table that it is in
 * @at: index of the next one
 * @steps: entries of that table seen so far
 * @first: index of the first entry in the burst's window
 * @nr_window: entries in it
 * @steps_left: slots that the burst may still see
 * @slot: of the burst, the one behind the chain
 * @chain: the chain
 *
 * All inline, so that this is in registers.
 */
struct walk {
	bool is_packed;
	bool is_indirect;
	const struct vring_desc *desc;
	unsigned int nr_desc;
	u64 iova;
	u32 nr;
	u32 at;
	u32 steps;
	u32 first;
	u32 nr_window;
	unsigned int steps_left;
	struct vhx_slot *slot;
	struct vhx_chain chain;
};

/* Entries of a table mostly stand in a row: one copy serves the next few. */
static __always_inline int read_entry(struct vhx_ring *ring,
				      struct vhx_burst *burst,
				      struct walk *walk)
{
	const u32 size = sizeof(struct vring_desc);
	u32 i;
	int err;

	if (walk->at - walk->first >= walk->nr_window) {
		walk->first = walk->at;
		walk->nr_window = min_t(u32, VHX_WINDOW, walk->nr - walk->at);
		err = vhx_mem_read_iova(ring->mem,
					walk->iova + walk->at * size,
					burst->window, walk->nr_window * size);
		if (err)
			return vhx_ring_fail(ring, err,
					     "indirect table not readable");
	}
	/* The guest's index: not beyond the window, even by speculation. */
	i = array_index_nospec(walk->at - walk->first, VHX_WINDOW);
	vhx_chain_decode(ring, walk->is_packed, &burst->window[i], walk->slot);
	/* The other flags are reserved there, and ignored (§2.8.7). */
	if (walk->is_packed)
		walk->slot->flags &= VRING_DESC_F_WRITE;
	return 0;
}

static __always_inline int read_slot(struct vhx_ring *ring, struct walk *walk)
{
	struct vring_desc desc;
	u16 at = walk->at;
	int err;

	if (walk->steps < walk->nr_desc) {
		vhx_chain_decode(ring, walk->is_packed,
				 &walk->desc[walk->steps], walk->slot);
		return 0;
	}
	err = vhx_mem_gather(ring->mem, &at, &desc, 1);
	if (err)
		return vhx_ring_fail(ring, err, "descriptor not readable");
	vhx_chain_decode(ring, walk->is_packed, &desc, walk->slot);
	return 0;
}

/*
 * virtio 1.3 §2.7.5.3, §2.8.19. Tables are taken without INDIRECT_DESC, too, as
 * in-tree does: they are bounded alike, and drivers that are wrong there work.
 */
static __always_inline int open_indirect(struct vhx_ring *ring,
					 struct walk *walk)
{
	const u32 size = sizeof(struct vring_desc);
	const struct vhx_slot *slot = walk->slot;

	if (walk->is_indirect)
		return vhx_ring_fail(ring, -EINVAL,
				     "indirect table in an indirect table");
	if (walk->is_packed && walk->steps > 1)
		return vhx_ring_fail(ring, -EINVAL,
				     "indirect table in a chain");
	if (slot->flags & VRING_DESC_F_NEXT)
		return vhx_ring_fail(ring, -EINVAL,
				     "indirect descriptor with a next one");
	if (!slot->len || slot->len % size)
		return vhx_ring_fail(ring, -EINVAL,
				     "indirect table length not a multiple of 16");
	if (slot->len / size > VHX_INDIRECT_MAX)
		return vhx_ring_fail(ring, -EINVAL, "indirect table too long");
	if (vhx_chain_wraps(slot))
		return vhx_ring_fail(ring, -EINVAL,
				     "indirect table address wraps");
	walk->is_indirect = true;
	walk->iova = slot->addr;
	walk->nr = slot->len / size;
	walk->at = 0;
	walk->steps = 0;
	return 0;
}

/*
 * Where the chain goes on after a slot. In packed rings slots stand in a row,
 * and in their indirect tables there are no links: all entries belong to the
 * chain (§2.8.7). Return: false at its end.
 */
static __always_inline bool has_next(struct walk *walk, u16 flags, u16 next)
{
	if (!walk->is_packed) {
		walk->at = next;
		return flags & VRING_DESC_F_NEXT;
	}
	walk->at++;
	if (walk->is_indirect)
		return walk->at < walk->nr;
	if (walk->at == walk->nr)
		walk->at = 0;
	return flags & VRING_DESC_F_NEXT;
}

/* Appends a slot to the chain, virtio 1.3 §2.7.4.2. */
static __always_inline int add_slot(struct vhx_ring *ring, struct walk *walk)
{
	const struct vhx_slot *slot = walk->slot;
	struct vhx_chain *chain = &walk->chain;
	bool is_in = slot->flags & VRING_DESC_F_WRITE;
	u32 sum = slot->len + (is_in ? chain->in_len : chain->out_len);

	if (!is_in && chain->nr_in)
		return vhx_ring_fail(ring, -EINVAL,
				     "readable descriptor after a writable one");
	if (!walk->steps_left)
		return vhx_ring_fail(ring, -ENOBUFS,
				     "chain of too many descriptors");
	walk->steps_left--;
	if (!slot->len)
		return 0;
	if (vhx_chain_wraps(slot))
		return vhx_ring_fail(ring, -EINVAL, "descriptor address wraps");
	if (sum < slot->len)
		return vhx_ring_fail(ring, -EINVAL, "chain over 4 GiB");
	walk->slot++;
	if (is_in) {
		chain->in_len = sum;
		chain->nr_in++;
	} else {
		chain->out_len = sum;
		chain->nr_out++;
	}
	return 0;
}

/* Appends the slot that was read, and what comes after it, to the chain. */
static __always_inline int walk_on(struct vhx_ring *ring,
				   struct vhx_burst *burst, struct walk *walk)
{
	u16 flags, next;
	int err;

	do {
		flags = walk->slot->flags;
		next = walk->slot->next;
		/* The id is the last one's (§2.8.6). */
		if (walk->is_packed && !walk->is_indirect) {
			walk->chain.id = next;
			walk->chain.count = walk->steps;
		}
		if (flags & VRING_DESC_F_INDIRECT) {
			err = open_indirect(ring, walk);
			if (err)
				return err;
		} else {
			err = add_slot(ring, walk);
			if (err || !has_next(walk, flags, next))
				return err;
		}
		if (walk->at >= walk->nr)
			return vhx_ring_fail(ring, -EINVAL,
					     "next descriptor out of range");
		/* More steps than entries: the chain bites its tail. */
		if (walk->steps == walk->nr)
			return vhx_ring_fail(ring, -EINVAL, "descriptor loop");
		err = walk->is_indirect ? read_entry(ring, burst, walk) :
			read_slot(ring, walk);
		walk->steps++;
	} while (!err);
	return err;
}

/**
 * vhx_chain_walk - follow any chain and append it to a burst
 * @ring: the ring; its avail_pos is before the chain
 * @burst: where it goes, after vhx_burst_begin()
 * @head: index of the chain's first slot
 * @desc: raw snapshot of it; of a packed ring, and of those behind it
 * @nr: how many are in @desc
 *
 * A zero-length slot is legal and only advances.
 *
 * Return: 0, or -EINVAL, -ENOBUFS, -EFAULT, -ENXIO, -EPERM, -EAGAIN with the
 * chains and slots of @burst as they were.
 */
int vhx_chain_walk(struct vhx_ring *ring, struct vhx_burst *burst, u16 head,
		   const struct vring_desc *desc, unsigned int nr)
{
	struct walk walk = {
		.is_packed = ring->is_packed,
		.desc = desc, .nr_desc = nr, .nr = ring->num, .at = head,
		.steps = 1,
		.steps_left = VHX_SLOTS_MAX - burst->nr_steps,
		.slot = &burst->slot[burst->nr_slots],
		.chain = { .id = head, .count = 1 },
	};
	struct vhx_chain *chain = &burst->chain[burst->nr];
	int err;

	vhx_chain_decode(ring, walk.is_packed, desc, walk.slot);
	/* Once for each format, which is a constant there. */
	if (walk.is_packed) {
		walk.is_packed = true;
		err = walk_on(ring, burst, &walk);
	} else {
		walk.is_packed = false;
		err = walk_on(ring, burst, &walk);
	}
	if (err)
		return err;
	/* Field by field: together they would go by way of memory. */
	chain->slot = &burst->slot[burst->nr_slots];
	chain->out_len = walk.chain.out_len;
	chain->in_len = walk.chain.in_len;
	chain->nr_out = walk.chain.nr_out;
	chain->nr_in = walk.chain.nr_in;
	chain->id = walk.chain.id;
	chain->count = walk.chain.count;
	chain->pos = ring->avail_pos;
	burst->nr++;
	burst->nr_slots = walk.slot - burst->slot;
	burst->nr_steps = VHX_SLOTS_MAX - walk.steps_left;
	return 0;
}

/**
 * vhx_chain_want - ask for what heads point at, tables or buffers
 * @ring: the ring
 * @burst: has their snapshots in desc
 * @i: the first of them
 * @nr: the one after the last of them
 */
void vhx_chain_want(struct vhx_ring *ring, const struct vhx_burst *burst,
		    unsigned int i, unsigned int nr)
{
	struct vhx_slot slot;

	for (; i < nr; i++) {
		vhx_chain_decode(ring, ring->is_packed, &burst->desc[i], &slot);
		vhx_mem_want_iova(ring->mem, slot.addr, slot.len,
				  slot.flags & VRING_DESC_F_WRITE);
	}
}
