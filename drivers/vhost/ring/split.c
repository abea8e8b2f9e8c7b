// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Split virtqueues, virtio 1.3 §2.7, legacy layout included: the areas'
 * addresses are the caller's, so the two differ in byte order alone.
 */
#include "chain.h"

/* Driver Area: struct vring_avail, then used_event. */
#define AVAIL_FLAGS	0
#define AVAIL_IDX	2
#define AVAIL_RING	4
/* Device Area: struct vring_used, then avail_event. */
#define USED_FLAGS	0
#define USED_IDX	2
#define USED_RING	4

static u32 used_event_off(const struct vhx_ring *ring)
{
	return AVAIL_RING + 2 * ring->num;
}

static u32 avail_event_off(const struct vhx_ring *ring)
{
	return USED_RING + sizeof(struct vring_used_elem) * ring->num;
}

static int load16_acquire(struct vhx_ring *ring, enum vhx_area area, u32 off,
			  u16 *val)
{
	__virtio16 raw;
	int err = vhx_mem_load16_acquire(ring->mem, area, off, &raw);

	if (err)
		return vhx_ring_fail(ring, err, area == VHX_DRIVER ?
				     VHX_CAUSE_AVAIL_READ :
				     VHX_CAUSE_USED_READ);
	*val = __virtio16_to_cpu(ring->is_le, raw);
	return 0;
}

static int store16_release(struct vhx_ring *ring, u32 off, u16 val)
{
	__virtio16 raw = __cpu_to_virtio16(ring->is_le, val);
	int err = vhx_mem_store16_release(ring->mem, VHX_DEVICE, off, raw);

	return err ? vhx_ring_fail(ring, err, VHX_CAUSE_USED_WRITE) : 0;
}

/*
 * Looks how far the driver got. The acquire pairs with the driver's barrier
 * between an avail entry and the index that publishes it (§2.7.13.3), so the
 * entries and descriptors below the index may be read afterwards.
 */
static int read_avail_idx(struct vhx_ring *ring)
{
	u16 idx;
	int err = load16_acquire(ring, VHX_DRIVER, AVAIL_IDX, &idx);

	if (err)
		return err;
	if ((u16)(idx - ring->avail_pos) > ring->num)
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_AVAIL_JUMP);
	ring->avail_idx = idx;
	return 0;
}

static int split_start(struct vhx_ring *ring, u32 base)
{
	u16 used;
	int err;

	err = store16_release(ring, USED_FLAGS, 0);
	if (err)
		return err;
	err = load16_acquire(ring, VHX_DEVICE, USED_IDX, &used);
	if (err)
		return err;
	ring->is_packed = false;
	ring->flags = 0;
	ring->used_pos = used;
	ring->avail_pos = base;
	ring->avail_idx = base;
	ring->is_signalled_valid = false;
	return 0;
}

static u32 split_base(const struct vhx_ring *ring)
{
	return ring->avail_pos;
}

/*
 * Copies @nr avail entries from avail_pos on, in two parts at the ring's end.
 * Return: how many are in range, or -EINVAL when the first is not.
 */
static int read_heads(struct vhx_ring *ring, u16 *head, unsigned int nr)
{
	u16 num = ring->num, at = ring->avail_pos & (num - 1);
	unsigned int i, part = min_t(unsigned int, nr, num - at);
	int err;

	err = vhx_mem_read(ring->mem, VHX_DRIVER, AVAIL_RING + 2 * at, head,
			   2 * part);
	if (!err && unlikely(part < nr))
		err = vhx_mem_read(ring->mem, VHX_DRIVER, AVAIL_RING,
				   head + part, 2 * (nr - part));
	if (err)
		return vhx_ring_fail(ring, err, VHX_CAUSE_AVAIL_READ);

	for (i = 0; i < nr; i++) {
		head[i] = __virtio16_to_cpu(ring->is_le,
					    (__force __virtio16)head[i]);
		if (unlikely(head[i] >= num))
			break;
	}
	return i ? (int)i : vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_HEAD);
}

static int split_fetch(struct vhx_ring *ring, struct vhx_burst *burst,
		       unsigned int max)
{
	int nr, err;

	vhx_burst_begin(burst);
	if (ring->avail_idx == ring->avail_pos) {
		err = read_avail_idx(ring);
		if (err || ring->avail_idx == ring->avail_pos)
			return err;
	}
	/* Chains handed back come on top of a full ring: not more than that. */
	nr = min_t(u16, max, ring->avail_idx - ring->avail_pos);
	nr = read_heads(ring, burst->head, min_t(u16, nr, ring->num));
	if (nr < 0)
		return nr;
	err = vhx_mem_gather(ring->mem, burst->head, burst->desc, nr);
	if (err)
		return vhx_ring_fail(ring, err, VHX_CAUSE_DESC_READ);

	err = 0;
	if (vhx_chain_add_plain(ring, burst, false, nr) < (unsigned int)nr)
		err = vhx_chain_add(ring, burst, burst->nr, nr, nr);
	return burst->nr ? (int)burst->nr : err;
}

/* A struct vring_used_elem in one piece: it is copied as such at once. */
static __virtio64 encode(const struct vhx_ring *ring,
			 const struct vhx_used *used)
{
	u64 id = used->id, len = used->len;

	return __cpu_to_virtio64(ring->is_le, ring->is_le ? len << 32 | id :
				 id << 32 | len);
}

/* Writes up to @nr entries, to the ring's end at most. Return: how many. */
static int write_used(struct vhx_ring *ring, const struct vhx_used *used,
		      unsigned int nr, u16 pos)
{
	__virtio64 *elem = ring->scratch.val;
	u16 at = pos & (ring->num - 1);
	unsigned int i;
	int err;

	nr = min(nr, (unsigned int)(ring->num - at));
	for (i = 0; i < nr; i++)
		elem[i] = encode(ring, &used[i]);
	err = vhx_mem_write(ring->mem, VHX_DEVICE,
			    USED_RING + sizeof(elem[0]) * at, elem,
			    sizeof(elem[0]) * nr);
	return err ? vhx_ring_fail(ring, err, VHX_CAUSE_USED_WRITE) :
		(int)nr;
}

static int split_complete(struct vhx_ring *ring, const struct vhx_used *used,
			  unsigned int nr)
{
	u16 pos = ring->used_pos;
	unsigned int done = 0;
	int ret;

	if (vhx_ring_is_one_enough(ring, used, nr)) {
		ret = write_used(ring, &used[nr - 1], 1, pos);
		if (ret < 0)
			return ret;
		done = nr;
	}
	while (done < nr) {
		ret = write_used(ring, used + done, nr - done, pos + done);
		if (ret < 0)
			return ret;
		done += ret;
	}
	/*
	 * The release keeps the entries, and what was written into the
	 * buffers, before the index that publishes them; pairs with the
	 * driver's barrier after it read the index (§2.7.14).
	 */
	ret = store16_release(ring, USED_IDX, pos + nr);
	if (ret)
		return ret;
	ring->used_pos = pos + nr;
	/* Over 2^16 entries without a call: the distance lost its meaning. */
	if ((u16)(ring->used_pos - ring->signalled_pos) < nr)
		ring->is_signalled_valid = false;
	return 0;
}

static int write_flags(struct vhx_ring *ring, u16 flags)
{
	int err;

	if (ring->flags == flags)
		return 0;
	err = store16_release(ring, USED_FLAGS, flags);
	if (!err)
		ring->flags = flags;
	return err;
}

static int split_arm(struct vhx_ring *ring)
{
	int err;

	err = ring->has_event_idx ?
		store16_release(ring, avail_event_off(ring), ring->avail_idx) :
		write_flags(ring, 0);
	if (err)
		return err;
	/*
	 * Either the driver sees that we want a kick, or we see what it
	 * published: pairs with its barrier between the avail index and the
	 * read of the suppression field (§2.7.13.4.1).
	 */
	virt_mb();
	err = read_avail_idx(ring);
	return err ? err : ring->avail_idx != ring->avail_pos;
}

static int split_disarm(struct vhx_ring *ring)
{
	/* With EVENT_IDX the event we left behind is passed: no kick comes. */
	return ring->has_event_idx ? 0 :
		write_flags(ring, VRING_USED_F_NO_NOTIFY);
}

static int split_call_needed(struct vhx_ring *ring)
{
	u16 old = ring->signalled_pos, new = ring->used_pos, val;
	bool is_old_valid = ring->is_signalled_valid;
	int err;

	/*
	 * Either the driver sees what we published, or we see that it wants
	 * a call: pairs with its barrier between the suppression field and
	 * the last look at the used index (§2.7.14).
	 */
	virt_mb();
	if (ring->calls_on_empty && ring->avail_idx == ring->avail_pos) {
		err = read_avail_idx(ring);
		if (err)
			return err;
		if (ring->avail_idx == ring->avail_pos)
			return 1;
	}
	if (!ring->has_event_idx) {
		err = load16_acquire(ring, VHX_DRIVER, AVAIL_FLAGS, &val);
		return err ? err : !(val & VRING_AVAIL_F_NO_INTERRUPT);
	}
	err = load16_acquire(ring, VHX_DRIVER, used_event_off(ring), &val);
	if (err)
		return err;
	ring->signalled_pos = new;
	ring->is_signalled_valid = true;
	return !is_old_valid || vring_need_event(val, new, old);
}

const struct vhx_ring_ops vhx_split_ops = {
	.start = split_start,
	.base = split_base,
	.fetch = split_fetch,
	.complete = split_complete,
	.arm = split_arm,
	.disarm = split_disarm,
	.call_needed = split_call_needed,
};
