// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The walk over a chain: bounds, loops, indirect tables, readable before
 * writable. It works on snapshots and knows no ring format.
 */
#include "chain.h"

/**
 * struct walk - a chain as far as the walk over it came
 * @slot: of the burst, the one behind the chain
 * @out_len: bytes that the device may read
 * @in_len: bytes that the device may write
 * @nr_out: slots that the device may read
 * @nr_in: slots that the device may write
 * @steps_left: slots that the burst may still see
 *
 * All that works on it is inline, so that it is in registers.
 */
struct walk {
	struct vhx_slot *slot;
	u32 out_len;
	u32 in_len;
	unsigned int nr_out;
	unsigned int nr_in;
	unsigned int steps_left;
};

/* Appends a slot to the chain, virtio 1.3 §2.7.4.2. */
static __always_inline int add_slot(struct vhx_ring *ring, struct walk *walk)
{
	const struct vhx_slot *slot = walk->slot;
	bool is_in = slot->flags & VRING_DESC_F_WRITE;
	u32 len = slot->len;

	if (unlikely(!is_in && walk->nr_in))
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_DESC_ORDER);
	if (unlikely(!walk->steps_left))
		return vhx_ring_fail(ring, -ENOBUFS, VHX_CAUSE_CHAIN_DESCS);
	walk->steps_left--;
	if (unlikely(!len))
		return 0;
	if (unlikely(vhx_chain_wraps(slot)))
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_DESC_WRAP);
	walk->slot++;
	if (is_in) {
		walk->in_len += len;
		walk->nr_in++;
	} else {
		walk->out_len += len;
		walk->nr_out++;
	}
	if (unlikely((is_in ? walk->in_len : walk->out_len) < len))
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_CHAIN_LEN);
	return 0;
}

/* Return: how many entries an indirect table has, or an errno */
static __always_inline int count_entries(struct vhx_ring *ring,
					 const struct vhx_slot *slot)
{
	const u32 size = sizeof(struct vring_desc);

	if (slot->flags & VRING_DESC_F_NEXT)
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_TABLE_NEXT);
	if (!slot->len || slot->len % size)
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_TABLE_ALIGN);
	if (slot->len / size > VHX_INDIRECT_MAX)
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_TABLE_LEN);
	if (vhx_chain_wraps(slot))
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_TABLE_WRAP);
	return slot->len / size;
}

/*
 * Appends the slots of an indirect table, virtio 1.3 §2.7.5.3, §2.8.19. Tables are
 * taken without INDIRECT_DESC, too, as in-tree does: they are bounded alike, and
 * drivers that are wrong there work.
 */
static __always_inline int walk_table(struct vhx_ring *ring,
				      struct vhx_burst *burst, bool is_packed,
				      struct walk *walk)
{
	const u32 size = sizeof(struct vring_desc);
	const u64 iova = walk->slot->addr;
	const int nr = count_entries(ring, walk->slot);
	u32 at = 0, first = 0, nr_window = 0, steps = 0, next, i;
	bool is_last;
	int err;

	if (nr < 0)
		return nr;
	for (;;) {
		/* They mostly stand in a row: one copy serves the next few. */
		if (at - first >= nr_window) {
			first = at;
			nr_window = min_t(u32, VHX_WINDOW, nr - at);
			err = vhx_mem_read_iova(ring->mem, iova + at * size,
						burst->window,
						nr_window * size);
			if (err)
				return vhx_ring_fail(ring, err,
						     VHX_CAUSE_TABLE_READ);
		}
		/* The guest's index: not beyond the window, even by speculation. */
		i = array_index_nospec(at - first, VHX_WINDOW);
		vhx_chain_decode(ring, is_packed, &burst->window[i],
				 walk->slot);
		/* There the other flags are reserved, and ignored (§2.8.7). */
		if (is_packed)
			walk->slot->flags &= VRING_DESC_F_WRITE;
		steps++;
		if (unlikely(walk->slot->flags & VRING_DESC_F_INDIRECT))
			return vhx_ring_fail(ring, -EINVAL,
					     VHX_CAUSE_TABLE_IN_TABLE);
		/* Looked at before add_slot(), which moves on to the next. */
		is_last = is_packed ? ++at == (u32)nr :
			!(walk->slot->flags & VRING_DESC_F_NEXT);
		next = walk->slot->next;
		err = add_slot(ring, walk);
		if (err || is_last)
			return err;
		if (is_packed)
			continue;
		at = next;
		if (unlikely(at >= (u32)nr))
			return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_NEXT);
		/* More steps than entries: the chain bites its tail. */
		if (unlikely(steps == (u32)nr))
			return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_DESC_LOOP);
	}
}

/* Follows a chain from its head on. @desc: snapshots of it and @nr - 1 behind it. */
static __always_inline int walk_ring(struct vhx_ring *ring,
				     struct vhx_burst *burst, bool is_packed,
				     struct walk *walk, u16 head,
				     const struct vring_desc *desc,
				     unsigned int nr, struct vhx_used *used)
{
	struct vring_desc one;
	unsigned int steps;
	u16 flags, at = head;
	int err;

	*used = (struct vhx_used){ .id = head, .count = 1 };
	for (steps = 0;;) {
		vhx_chain_decode(ring, is_packed, desc, walk->slot);
		steps++;
		flags = walk->slot->flags;
		/* The id is the last one's (§2.8.6). */
		if (is_packed) {
			used->id = walk->slot->next;
			used->count = steps;
		} else {
			at = walk->slot->next;
		}
		if (flags & VRING_DESC_F_INDIRECT) {
			if (is_packed && steps > 1)
				return vhx_ring_fail(ring, -EINVAL,
						     VHX_CAUSE_TABLE_IN_CHAIN);
			return walk_table(ring, burst, is_packed, walk);
		}
		err = add_slot(ring, walk);
		if (err || !(flags & VRING_DESC_F_NEXT))
			return err;
		/* In packed rings slots stand in a row. */
		if (is_packed && ++at == ring->num)
			at = 0;
		if (unlikely(at >= ring->num))
			return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_NEXT);
		if (unlikely(steps == ring->num))
			return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_DESC_LOOP);
		if (steps < nr) {
			desc++;
			continue;
		}
		err = vhx_mem_gather(ring->mem, &at, &one, 1);
		if (err)
			return vhx_ring_fail(ring, err, VHX_CAUSE_DESC_READ);
		desc = &one;
	}
}

/* Follows the chain that begins with burst->desc[@at], and appends it to the burst. */
static __always_inline int add_chain(struct vhx_ring *ring,
				     struct vhx_burst *burst, bool is_packed,
				     unsigned int at, unsigned int nr)
{
	struct vhx_slot *first = &burst->slot[burst->nr_slots];
	struct vhx_chain *chain = &burst->chain[burst->nr];
	struct walk walk = {
		.slot = first, .steps_left = VHX_SLOTS_MAX - burst->nr_steps,
	};
	int err;

	err = walk_ring(ring, burst, is_packed, &walk, is_packed ?
			ring->avail_pos & ~VHX_WRAP : burst->head[at],
			&burst->desc[at], is_packed ? nr - at : 1,
			&burst->used[burst->nr]);
	if (unlikely(err))
		return err;
	chain->slot = first;
	chain->out_len = walk.out_len;
	chain->in_len = walk.in_len;
	chain->nr_out = walk.nr_out;
	chain->nr_in = walk.nr_in;
	chain->pos = ring->avail_pos;
	burst->nr++;
	burst->nr_slots = walk.slot - burst->slot;
	burst->nr_steps = VHX_SLOTS_MAX - walk.steps_left;
	return 0;
}

/* Asks for what heads from burst->desc[@i] on point at, tables or buffers. */
static void want(struct vhx_ring *ring, const struct vhx_burst *burst,
		 unsigned int i, unsigned int nr)
{
	struct vhx_slot slot;

	for (; i < nr; i++) {
		vhx_chain_decode(ring, ring->is_packed, &burst->desc[i], &slot);
		vhx_mem_want_iova(ring->mem, slot.addr, slot.len,
				  slot.flags & VRING_DESC_F_WRITE);
	}
}

static __always_inline int add_chains(struct vhx_ring *ring,
				      struct vhx_burst *burst, bool is_packed,
				      unsigned int at, unsigned int nr,
				      unsigned int room)
{
	unsigned int count;
	int err;

	for (; at < nr; at += count) {
		err = add_chain(ring, burst, is_packed, at, nr);
		if (unlikely(err == -EAGAIN))
			want(ring, burst, at + 1, nr);
		if (unlikely(err))
			return err;
		count = is_packed ? burst->used[burst->nr - 1].count : 1;
		if (unlikely(count > room - at)) {
			burst->nr--;
			burst->nr_slots = burst->chain[burst->nr].slot -
				burst->slot;
			return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_TOO_MANY);
		}
		ring->avail_pos = is_packed ?
			vhx_packed_advance(ring, ring->avail_pos, count) :
			(u16)(ring->avail_pos + 1);
	}
	return 0;
}

/**
 * vhx_chain_add - append chains to a burst, whatever they are
 * @ring: the ring; its avail_pos is before the first of them, and then behind them
 * @burst: the burst
 * @at: the first of their heads in @burst's desc
 * @nr: how many descriptors are in @burst's desc, heads in a split ring; of a packed
 *      ring's last chain more may be behind them
 * @room: how many there can be, and what they go on with, counted as @nr: what is not
 *        completed yet cannot be available again
 *
 * A zero-length slot is legal and only advances.
 *
 * Return: 0, or -EINVAL, -ENOBUFS, -EFAULT, -ENXIO, -EPERM, -EAGAIN with the
 * chains before that one appended.
 */
int vhx_chain_add(struct vhx_ring *ring, struct vhx_burst *burst,
		  unsigned int at, unsigned int nr, unsigned int room)
{
	/* Once for each format, which is a constant there. */
	return ring->is_packed ?
		add_chains(ring, burst, true, at, nr, room) :
		add_chains(ring, burst, false, at, nr, nr);
}
