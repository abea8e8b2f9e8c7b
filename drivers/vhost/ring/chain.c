// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The walk over a chain: bounds, loops, indirect tables, readable before
 * writable. It works on snapshots and knows no ring format.
 */
#include "mem.h"

/**
 * vhx_chain_decode - bring a raw descriptor into host byte order
 * @ring: the ring it came from
 * @desc: raw snapshot
 * @slot: result
 */
void vhx_chain_decode(const struct vhx_ring *ring,
		      const struct vring_desc *desc, struct vhx_slot *slot)
{
	slot->addr = __virtio64_to_cpu(ring->is_le, desc->addr);
	slot->len = __virtio32_to_cpu(ring->is_le, desc->len);
	slot->flags = __virtio16_to_cpu(ring->is_le, desc->flags);
	slot->next = __virtio16_to_cpu(ring->is_le, desc->next);
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

/* virtio 1.3 §2.7.5.3 */
static int open_indirect(struct vhx_ring *ring, const struct vhx_slot *slot,
			 struct vhx_table *table)
{
	const u32 size = sizeof(struct vring_desc);

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
 * vhx_chain_walk - follow a chain to its end and append it to a burst
 * @ring: the ring
 * @burst: where it goes; chain[nr] with slots from slot[nr_slots] on; its
 *         direct table is set up by the caller, once a burst
 * @head: snapshot of the chain's first slot
 *
 * A zero-length slot is legal and only advances. The caller fills in the
 * chain's id and pos.
 *
 * Return: 0, or -EINVAL, -ENOBUFS, -EFAULT, -EAGAIN with the chains and slots
 * of @burst as they were.
 */
int vhx_chain_walk(struct vhx_ring *ring, struct vhx_burst *burst,
		   const struct vhx_slot *head)
{
	struct vhx_chain *chain = &burst->chain[burst->nr];
	struct vhx_table *table = &burst->direct;
	struct vhx_slot slot = *head;
	u16 first = burst->nr_slots;
	u32 steps = 1;
	int err;

	*chain = (struct vhx_chain){ .slot = &burst->slot[first] };
	for (;;) {
		if (slot.flags & VRING_DESC_F_INDIRECT) {
			err = table->is_indirect ?
				vhx_ring_fail(ring, -EINVAL,
					      "indirect table in an indirect table") :
				open_indirect(ring, &slot, &burst->indirect);
			if (err)
				break;
			table = &burst->indirect;
			steps = 0;
			slot.next = 0;
		} else {
			err = add_slot(ring, burst, chain, &slot);
			if (err || !(slot.flags & VRING_DESC_F_NEXT))
				break;
		}
		if (slot.next >= table->nr) {
			err = vhx_ring_fail(ring, -EINVAL,
					    "next descriptor out of range");
			break;
		}
		/* More steps than entries: the chain bites its tail. */
		if (++steps > table->nr) {
			err = vhx_ring_fail(ring, -EINVAL, "descriptor loop");
			break;
		}
		err = read_slot(ring, table, slot.next, &slot);
		if (err)
			break;
	}
	if (err)
		burst->nr_slots = first;
	else
		burst->nr++;
	return err;
}
