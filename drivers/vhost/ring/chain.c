// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The walk over a chain: bounds, loops, indirect tables, readable before
 * writable. It works on snapshots and knows no ring format.
 */
#include "mem.h"

/**
 * vhx_chain_decode - bring a raw descriptor into host byte order
 * @ring: the ring it came from
 * @desc: raw snapshot, of struct vring_packed_desc in a packed ring
 * @slot: result
 */
void vhx_chain_decode(const struct vhx_ring *ring,
		      const struct vring_desc *desc, struct vhx_slot *slot)
{
	__virtio16 flags = desc->flags, next = desc->next;

	/* The two have id and flags in each other's place (§2.8.13). */
	if (ring->is_packed)
		swap(flags, next);
	slot->addr = __virtio64_to_cpu(ring->is_le, desc->addr);
	slot->len = __virtio32_to_cpu(ring->is_le, desc->len);
	slot->flags = __virtio16_to_cpu(ring->is_le, flags);
	slot->next = __virtio16_to_cpu(ring->is_le, next);
}

/*
 * Reads entry @i through the table's window. Chains mostly lie in a row, so
 * one copy serves the next few entries as well.
 */
static int read_slot(struct vhx_ring *ring, struct vhx_table *table, u32 i,
		     struct vhx_slot *slot)
{
	u32 nr, size = sizeof(struct vring_desc);
	int err;

	if (i - table->first >= table->nr_window) {
		nr = min_t(u32, VHX_WINDOW, table->nr - i);
		if (table->is_indirect)
			err = vhx_mem_read_iova(ring->mem,
						table->iova + i * size,
						table->window, nr * size);
		else
			err = vhx_mem_read(ring->mem, VHX_DESC, i * size,
					   table->window, nr * size);
		if (err) {
			table->nr_window = 0;
			return vhx_ring_fail(ring, err, table->is_indirect ?
					     "indirect table not readable" :
					     "descriptor not readable");
		}
		table->first = i;
		table->nr_window = nr;
	}
	vhx_chain_decode(ring, &table->window[i - table->first], slot);
	/* The other flags are reserved there, and ignored (§2.8.7). */
	if (ring->is_packed && table->is_indirect)
		slot->flags &= VRING_DESC_F_WRITE;
	return 0;
}

/* Appends one slot to the chain. virtio 1.3 §2.7.4.2 */
static int add_slot(struct vhx_ring *ring, struct vhx_burst *burst,
		    struct vhx_chain *chain, const struct vhx_slot *slot)
{
	bool is_in = slot->flags & VRING_DESC_F_WRITE;
	u32 *sum = is_in ? &chain->in_len : &chain->out_len;

	if (!is_in && chain->nr_in)
		return vhx_ring_fail(ring, -EINVAL,
				     "readable descriptor after a writable one");
	if (burst->nr_steps == VHX_SLOTS_MAX)
		return vhx_ring_fail(ring, -ENOBUFS,
				     "chain of too many descriptors");
	burst->nr_steps++;
	if (!slot->len)
		return 0;
	if (slot->addr + (slot->len - 1) < slot->addr)
		return vhx_ring_fail(ring, -EINVAL, "descriptor address wraps");
	if (*sum + slot->len < *sum)
		return vhx_ring_fail(ring, -EINVAL, "chain over 4 GiB");
	burst->slot[burst->nr_slots++] = *slot;
	*sum += slot->len;
	if (is_in)
		chain->nr_in++;
	else
		chain->nr_out++;
	return 0;
}

/* @slot is number @step of @from. virtio 1.3 §2.7.5.3, §2.8.19 */
static int open_indirect(struct vhx_ring *ring, struct vhx_burst *burst,
			 const struct vhx_table *from,
			 const struct vhx_slot *slot, u32 step)
{
	const u32 size = sizeof(struct vring_desc);
	struct vhx_table *table = &burst->indirect;

	if (from->is_indirect)
		return vhx_ring_fail(ring, -EINVAL,
				     "indirect table in an indirect table");
	if (ring->is_packed && step > 1)
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
	if (slot->addr + (slot->len - 1) < slot->addr)
		return vhx_ring_fail(ring, -EINVAL,
				     "indirect table address wraps");
	table->is_indirect = true;
	table->iova = slot->addr;
	table->nr = slot->len / size;
	table->first = 0;
	table->nr_window = 0;
	return 0;
}

/**
 * vhx_chain_begin - an empty burst
 * @ring: the ring
 * @burst: the burst
 */
void vhx_chain_begin(const struct vhx_ring *ring, struct vhx_burst *burst)
{
	burst->nr = 0;
	burst->nr_slots = 0;
	burst->nr_steps = 0;
	burst->direct.is_indirect = false;
	burst->direct.nr = ring->num;
	burst->direct.first = 0;
	burst->direct.nr_window = 0;
}

/*
 * Where the chain goes on after @slot, the one at @at. In packed rings slots
 * stand in a row, and in their indirect tables there are no links: all entries
 * belong to the chain (§2.8.7). Return: false at its end.
 */
static bool has_next(const struct vhx_ring *ring,
		     const struct vhx_table *table,
		     const struct vhx_slot *slot, u32 *at)
{
	if (!ring->is_packed) {
		*at = slot->next;
		return slot->flags & VRING_DESC_F_NEXT;
	}
	++*at;
	if (table->is_indirect)
		return *at < table->nr;
	if (*at == table->nr)
		*at = 0;
	return slot->flags & VRING_DESC_F_NEXT;
}

/**
 * vhx_chain_walk - follow a chain to its end and append it to a burst
 * @ring: the ring
 * @burst: where it goes, after vhx_chain_begin()
 * @head: index of the chain's first slot
 * @slot: snapshot of it, or NULL: it is read here
 *
 * A zero-length slot is legal and only advances. The caller fills in the
 * chain's pos.
 *
 * Return: 0, or -EINVAL, -ENOBUFS, -EFAULT, -EPERM, -EAGAIN with the chains
 * and slots of @burst as they were.
 */
int vhx_chain_walk(struct vhx_ring *ring, struct vhx_burst *burst, u16 head,
		   const struct vhx_slot *slot)
{
	struct vhx_chain *chain = &burst->chain[burst->nr];
	struct vhx_table *table = &burst->direct;
	u16 first = burst->nr_slots;
	struct vhx_slot cur;
	u32 steps = 1, at = head;
	int err = 0;

	*chain = (struct vhx_chain){
		.slot = &burst->slot[first], .id = head, .count = 1,
	};
	if (slot)
		cur = *slot;
	else
		err = read_slot(ring, table, at, &cur);
	while (!err) {
		/* The id is the last one's (§2.8.6). */
		if (ring->is_packed && !table->is_indirect) {
			chain->id = cur.next;
			chain->count = steps;
		}
		if (cur.flags & VRING_DESC_F_INDIRECT) {
			err = open_indirect(ring, burst, table, &cur, steps);
			if (err)
				break;
			table = &burst->indirect;
			steps = 0;
			at = 0;
		} else {
			err = add_slot(ring, burst, chain, &cur);
			if (err || !has_next(ring, table, &cur, &at))
				break;
		}
		if (at >= table->nr) {
			err = vhx_ring_fail(ring, -EINVAL,
					    "next descriptor out of range");
			break;
		}
		/* More steps than entries: the chain bites its tail. */
		if (++steps > table->nr) {
			err = vhx_ring_fail(ring, -EINVAL, "descriptor loop");
			break;
		}
		err = read_slot(ring, table, at, &cur);
	}
	if (err)
		burst->nr_slots = first;
	else
		burst->nr++;
	return err;
}
