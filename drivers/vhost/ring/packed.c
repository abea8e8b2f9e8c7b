// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Packed virtqueues, virtio 1.3 §2.8. Driver and device write the same ring. The
 * flags of a descriptor, compared with a side's wrap counter, give its state. A
 * position is the index of a descriptor with that counter in bit 15, as in
 * SET_VRING_BASE and in the event areas.
 */
#include "chain.h"

/* Packed rings came with virtio 1: none has the guest's byte order. */
#define IS_LE		true

#define F_AVAIL		(1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED		(1 << VRING_PACKED_DESC_F_USED)

/* Event areas: struct vring_packed_desc_event. */
#define EVENT_POS	0
#define EVENT_FLAGS	2
#define EVENT_FLAGS_MASK	3

static u16 index_of(u16 pos)
{
	return pos & ~VHX_WRAP;
}

/* From @from on to @to, 0 … 2 laps - 1: then positions come again. */
static u32 distance(const struct vhx_ring *ring, u16 from, u16 to)
{
	u32 ahead;

	/* Of a ring at rest. */
	if (likely(from == to))
		return 0;
	ahead = index_of(to) + ((from ^ to) & VHX_WRAP ? ring->num : 0);
	if (ahead < index_of(from))
		ahead += 2 * ring->num;
	return ahead - index_of(from);
}

/* Of an available descriptor: the driver's counter in one, its inverse in the other (§2.8.1). */
static __virtio16 available_at(u16 pos)
{
	return __cpu_to_virtio16(IS_LE, pos & VHX_WRAP ? F_AVAIL : F_USED);
}

/* Whether the descriptor at @pos is available. Return: 1 or 0, or an errno */
static int is_available(struct vhx_ring *ring, u16 pos)
{
	const __virtio16 mask = __cpu_to_virtio16(IS_LE, F_AVAIL | F_USED);
	__virtio16 flags;
	int err;

	err = vhx_mem_load16_acquire(ring->mem, VHX_DESC,
				     sizeof(struct vring_packed_desc) * index_of(pos) +
				     offsetof(struct vring_packed_desc, flags),
				     &flags);
	if (err)
		return vhx_ring_fail(ring, err, VHX_CAUSE_DESC_READ);
	return (flags & mask) == available_at(pos);
}

static int load_event(struct vhx_ring *ring, u32 off, u16 *val)
{
	__virtio16 raw;
	int err = vhx_mem_load16_acquire(ring->mem, VHX_DRIVER, off, &raw);

	if (err)
		return vhx_ring_fail(ring, err, VHX_CAUSE_EVENT_READ);
	*val = __virtio16_to_cpu(IS_LE, raw);
	return 0;
}

static int store_event(struct vhx_ring *ring, u32 off, u16 val)
{
	__virtio16 raw = __cpu_to_virtio16(IS_LE, val);
	int err = vhx_mem_store16_release(ring->mem, VHX_DEVICE, off, raw);

	return err ? vhx_ring_fail(ring, err, VHX_CAUSE_EVENT_WRITE) : 0;
}

static int store_event_flags(struct vhx_ring *ring, u16 flags)
{
	int err;

	if (ring->flags == flags)
		return 0;
	err = store_event(ring, EVENT_FLAGS, flags);
	if (!err)
		ring->flags = flags;
	return err;
}

static int packed_start(struct vhx_ring *ring, u32 base)
{
	u16 avail = base, used = base >> 16;
	int err;

	/* DPDK's virtio-user knows no used half; both are the same at rest. */
	if (!used)
		used = avail;
	if (index_of(avail) >= ring->num || index_of(used) >= ring->num ||
	    distance(ring, used, avail) > ring->num)
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_RING_BASE);
	err = store_event(ring, EVENT_FLAGS, VRING_PACKED_EVENT_FLAG_ENABLE);
	if (err)
		return err;
	ring->is_packed = true;
	ring->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	ring->avail_pos = avail;
	ring->avail_idx = avail;
	ring->used_pos = used;
	ring->is_signalled_valid = false;
	return 0;
}

static u32 packed_base(const struct vhx_ring *ring)
{
	return ring->avail_pos | (u32)ring->used_pos << 16;
}

/*
 * Copies descriptors that are available in a row. What the driver wrote before it
 * made them so may be read then: pairs with its barrier before it writes the flags
 * of a head (§2.8.21.1), so that all of the chain may be.
 * @nr: how many at most, to the end of the ring at most
 * Return: how many, or an errno
 */
static int read_row(struct vhx_ring *ring, struct vring_desc *desc,
		    unsigned int nr)
{
	u16 pos = ring->avail_pos;
	int ret;

	ret = vhx_mem_read_avail(ring->mem, index_of(pos), desc, nr,
				 __cpu_to_virtio16(IS_LE, F_AVAIL | F_USED),
				 available_at(pos));
	return ret < 0 ? vhx_ring_fail(ring, ret, VHX_CAUSE_DESC_READ) :
		ret;
}

/* Takes @nr descriptors that stand behind those of plain buffers in burst->desc. */
static int take_row(struct vhx_ring *ring, struct vhx_burst *burst,
		    unsigned int nr)
{
	unsigned int at = burst->nr_plain, room;
	int err = 0;

	nr += at;
	room = at + ring->num - distance(ring, ring->used_pos, ring->avail_pos);
	if (burst->nr == at)
		at = vhx_chain_add_plain(ring, burst, true, min(nr, room));
	if (at < nr)
		err = vhx_chain_add(ring, burst, at, nr, room);
	ring->avail_idx = ring->avail_pos;
	return err;
}

static int packed_fetch(struct vhx_ring *ring, struct vhx_burst *burst,
			unsigned int max)
{
	unsigned int want;
	int nr, err;

	vhx_burst_begin(burst);
	/*
	 * Again at the ring's end; and several descriptors may have made one
	 * buffer.
	 */
	do {
		want = min(max - burst->nr,
			   (unsigned int)ring->num - index_of(ring->avail_pos));
		nr = read_row(ring, &burst->desc[burst->nr_plain], want);
		err = nr > 0 ? take_row(ring, burst, nr) : nr;
		/* What was handed back and is not there any more is forgotten. */
		if (!nr)
			ring->avail_idx = ring->avail_pos;
	} while (!err && nr == (int)want && burst->nr < max);
	return burst->nr ? (int)burst->nr : err;
}

/* The upper half of a used descriptor: len, id and flags. */
static __virtio64 encode(const struct vhx_used *used, u16 flags)
{
	u64 upper = (u64)flags << 48 | (u64)used->id << 32 | used->len;

	if (used->len)
		upper |= (u64)VRING_DESC_F_WRITE << 48;
	return __cpu_to_virtio64(IS_LE, upper);
}

/*
 * Encodes buffers of one position each. Return: how many of the first are that, up
 * to the end of the ring.
 */
static unsigned int encode_row(struct vhx_ring *ring,
			       const struct vhx_used *used, unsigned int nr,
			       u16 flags)
{
	/* What a count of 1 becomes. */
	const u64 out = (u64)(flags - 1) << 48;
	const u64 in = (u64)((flags | VRING_DESC_F_WRITE) - 1) << 48;
	u64 upper;
	size_t i;

	nr = min(nr, (unsigned int)ring->num - index_of(ring->used_pos));
	for (i = 0; i < nr; i++) {
		upper = (u64)used[i].count << 48 | (u64)used[i].id << 32 |
			used[i].len;
		if (upper >> 48 != 1)
			break;
		upper += (u32)upper ? in : out;
		ring->scratch.val[i] = __cpu_to_virtio64(IS_LE, upper);
	}
	return i;
}

/* Encodes buffers, and notes where each goes. Return: positions that they take. */
static noinline u32 scatter(struct vhx_ring *ring,
			    const struct vhx_used *used,
			    unsigned int nr, u16 flags)
{
	struct vhx_scratch *to = &ring->scratch;
	u32 index = index_of(ring->used_pos), count = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		to->val[i] = encode(&used[i], flags);
		to->slot[i] = index;
		count += used[i].count;
		index += used[i].count;
		if (index >= ring->num) {
			index -= ring->num;
			flags ^= F_AVAIL | F_USED;
		}
	}
	return count;
}

static int packed_complete(struct vhx_ring *ring, const struct vhx_used *used,
			   unsigned int nr)
{
	u16 old = ring->used_pos, flags = old & VHX_WRAP ? F_AVAIL | F_USED : 0;
	struct vhx_scratch *to = &ring->scratch;
	const u16 *slot = NULL;
	u32 count = nr, ahead;
	int err;

	if (unlikely(encode_row(ring, used, nr, flags) < nr)) {
		count = scatter(ring, used, nr, flags);
		slot = to->slot;
	}
	if (vhx_ring_is_one_enough(ring, used, nr)) {
		to->val[0] = encode(&used[nr - 1], flags);
		nr = 1;
	}
	/*
	 * The driver looks at the first before the others, so that its release
	 * publishes all, and what was written into the buffers; pairs with the
	 * driver's barrier after it read the flags (§2.8.22).
	 */
	err = vhx_mem_scatter_release(ring->mem, index_of(old), slot, to->val,
				      nr);
	if (err)
		return vhx_ring_fail(ring, err, VHX_CAUSE_RING_WRITE);
	ring->used_pos = vhx_packed_advance(ring, old, count);
	/* Two laps or more without a call: the distance lost its meaning. */
	ahead = distance(ring, old, ring->signalled_pos);
	if (unlikely(ahead && ahead <= count))
		ring->is_signalled_valid = false;
	return 0;
}

static int packed_arm(struct vhx_ring *ring)
{
	u16 want = VRING_PACKED_EVENT_FLAG_ENABLE;
	int ret = 0, err = 0;

	/* A driver that is past the event and asked for any kick stays so. */
	if (ring->has_event_idx && ring->flags == want)
		ret = is_available(ring, ring->avail_idx);
	if (ret < 0)
		return ret;
	if (ring->has_event_idx && !ret) {
		want = VRING_PACKED_EVENT_FLAG_DESC;
		err = store_event(ring, EVENT_POS, ring->avail_idx);
	}
	/* Its release keeps the position before the flags that want it. */
	if (!err)
		err = store_event_flags(ring, want);
	if (err)
		return err;
	/*
	 * Either the driver sees that we want a kick, or we see what it made
	 * available: pairs with its barrier between the flags of a head and
	 * the read of our event area (§2.8.21.2).
	 */
	virt_mb();
	ret = is_available(ring, ring->avail_idx);
	if (ret < 0)
		return ret;
	if (!ret)
		return ring->avail_idx != ring->avail_pos;
	/* The driver is past that event: whatever comes next shall kick. */
	err = store_event_flags(ring, VRING_PACKED_EVENT_FLAG_ENABLE);
	return err ? err : 1;
}

static int packed_disarm(struct vhx_ring *ring)
{
	/* An event that we left behind is passed: no kick comes this lap. */
	if (ring->flags == VRING_PACKED_EVENT_FLAG_DESC)
		return 0;
	return store_event_flags(ring, VRING_PACKED_EVENT_FLAG_DISABLE);
}

static int packed_call_needed(struct vhx_ring *ring)
{
	u16 old = ring->signalled_pos, new = ring->used_pos, flags, event;
	bool is_needed;
	int err;

	/*
	 * Either the driver sees what we published, or we see that it wants a
	 * call: pairs with its barrier between its event area and its last
	 * look at the ring (§2.8.22).
	 */
	virt_mb();
	err = load_event(ring, EVENT_FLAGS, &flags);
	if (err)
		return err;
	flags &= EVENT_FLAGS_MASK;
	is_needed = flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	if (ring->has_event_idx && flags == VRING_PACKED_EVENT_FLAG_DESC) {
		err = load_event(ring, EVENT_POS, &event);
		if (err)
			return err;
		is_needed = !ring->is_signalled_valid ||
			distance(ring, old, event) < distance(ring, old, new);
	}
	ring->signalled_pos = new;
	ring->is_signalled_valid = true;
	return is_needed;
}

const struct vhx_ring_ops vhx_packed_ops = {
	.start = packed_start,
	.base = packed_base,
	.fetch = packed_fetch,
	.complete = packed_complete,
	.arm = packed_arm,
	.disarm = packed_disarm,
	.call_needed = packed_call_needed,
};
