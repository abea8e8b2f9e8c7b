// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Packed virtqueues, virtio 1.3 §2.8. Driver and device write the same ring;
 * what a descriptor is say its flags against the wrap counter of a side. A
 * position is the index of a descriptor with that counter in bit 15, as in
 * SET_VRING_BASE and in the event areas.
 */
#include "mem.h"

#define WRAP		(1 << VRING_PACKED_EVENT_F_WRAP_CTR)
#define F_AVAIL		(1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED		(1 << VRING_PACKED_DESC_F_USED)

/* Event areas: struct vring_packed_desc_event. */
#define EVENT_POS	0
#define EVENT_FLAGS	2
#define EVENT_FLAGS_MASK	3

/* Flags that are looked at first; then as many as were seen already. */
#define FLAGS_FIRST	4u

static u16 index_of(u16 pos)
{
	return pos & ~WRAP;
}

/* The position @count, up to a lap, further on. */
static u16 advance(const struct vhx_ring *ring, u16 pos, u32 count)
{
	u32 index = index_of(pos) + count;

	if (index < ring->num)
		return pos + count;
	return (index - ring->num) | (~pos & WRAP);
}

/* From @from on to @to, 0 … 2 laps - 1: then positions come again. */
static u32 distance(const struct vhx_ring *ring, u16 from, u16 to)
{
	u32 ahead = index_of(to) + ((from ^ to) & WRAP ? ring->num : 0);

	if (ahead < index_of(from))
		ahead += 2 * ring->num;
	return ahead - index_of(from);
}

/* §2.8.1: the driver's counter in one flag, its inverse in the other. */
static bool is_available(u16 flags, u16 pos)
{
	return (flags & (F_AVAIL | F_USED)) == (pos & WRAP ? F_AVAIL : F_USED);
}

static int load_flags(struct vhx_ring *ring, u16 pos, u16 *flags,
		      unsigned int nr)
{
	__virtio16 raw[VHX_BURST_MAX];
	unsigned int i;
	int err;

	err = vhx_mem_load_flags_acquire(ring->mem, index_of(pos), raw, nr);
	if (err)
		return vhx_ring_fail(ring, err, "descriptor not readable");
	for (i = 0; i < nr; i++)
		flags[i] = __virtio16_to_cpu(ring->is_le, raw[i]);
	return 0;
}

static int load_event(struct vhx_ring *ring, u32 off, u16 *val)
{
	__virtio16 raw;
	int err = vhx_mem_load16_acquire(ring->mem, VHX_DRIVER, off, &raw);

	if (err)
		return vhx_ring_fail(ring, err, "event area not readable");
	*val = __virtio16_to_cpu(ring->is_le, raw);
	return 0;
}

static int store_event(struct vhx_ring *ring, u32 off, u16 val)
{
	__virtio16 raw = __cpu_to_virtio16(ring->is_le, val);
	int err = vhx_mem_store16_release(ring->mem, VHX_DEVICE, off, raw);

	return err ? vhx_ring_fail(ring, err, "event area not writable") : 0;
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
		return vhx_ring_fail(ring, -EINVAL, "base out of range");
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
 * Which descriptors are available is read before anything else of them; the
 * acquire pairs with the driver's barrier before it writes the flags of a head
 * (§2.8.21.1), so that all of the chain may be read afterwards. Lines that the
 * driver may be writing are left alone: one goes as far ahead as one has come.
 * Return: how many flags are in burst->head.
 */
static int load_heads(struct vhx_ring *ring, struct vhx_burst *burst,
		      unsigned int max)
{
	u16 pos = ring->avail_pos;
	unsigned int nr = 0, part;
	int err;

	max = min_t(unsigned int, max, ring->num);
	do {
		part = min3(max - nr, nr ? nr : FLAGS_FIRST,
			    (unsigned int)(ring->num - index_of(pos)));
		err = load_flags(ring, pos, burst->head + nr, part);
		if (err)
			return err;
		nr += part;
		if (!is_available(burst->head[nr - 1], pos))
			break;
		pos = advance(ring, pos, part);
	} while (nr < max);
	return nr;
}

/* Asks for what stands at @pos and behind, as far as flags were seen. */
static void want_rest(struct vhx_ring *ring, const u16 *flags, u16 pos,
		      unsigned int nr)
{
	struct vring_desc desc;
	struct vhx_slot slot;

	for (; nr && is_available(*flags, pos); nr--, flags++) {
		if (vhx_mem_read(ring->mem, VHX_DESC,
				 sizeof(desc) * index_of(pos), &desc,
				 sizeof(desc)))
			break;
		vhx_chain_decode(ring, &desc, &slot);
		vhx_mem_want_iova(ring->mem, slot.addr, slot.len,
				  slot.flags & VRING_DESC_F_WRITE);
		pos = advance(ring, pos, 1);
	}
}

/* One chain from @pos on, of @room descriptors at most. */
static int fetch_chain(struct vhx_ring *ring, struct vhx_burst *burst, u16 pos,
		       unsigned int room)
{
	struct vhx_chain *chain = &burst->chain[burst->nr];
	u16 nr_slots = burst->nr_slots;
	int err = vhx_chain_walk(ring, burst, index_of(pos), NULL);

	if (err)
		return err;
	chain->pos = pos;
	if (chain->count <= room)
		return 0;
	burst->nr--;
	burst->nr_slots = nr_slots;
	return vhx_ring_fail(ring, -EINVAL,
			     "more descriptors available than the ring has");
}

static int packed_fetch(struct vhx_ring *ring, struct vhx_burst *burst,
			unsigned int max)
{
	unsigned int at = 0, room;
	u16 pos = ring->avail_pos;
	int seen, err = 0;

	vhx_chain_begin(ring, burst);
	seen = load_heads(ring, burst, max);
	if (seen < 0)
		return seen;
	/* What is not completed yet cannot be available again. */
	room = ring->num - distance(ring, ring->used_pos, pos);
	while (at < (unsigned int)seen && is_available(burst->head[at], pos)) {
		err = fetch_chain(ring, burst, pos, room - at);
		if (err)
			break;
		at += burst->chain[burst->nr - 1].count;
		pos = advance(ring, pos, burst->chain[burst->nr - 1].count);
	}
	if (err == -EAGAIN)
		want_rest(ring, burst->head + at + 1, advance(ring, pos, 1),
			  seen - at - 1);
	ring->avail_pos = pos;
	ring->avail_idx = pos;
	return burst->nr ? burst->nr : err;
}

/* The upper half of a used descriptor: len, id and flags. */
static __virtio64 encode(const struct vhx_ring *ring,
			 const struct vhx_used *used, u16 pos)
{
	u16 flags = (pos & WRAP ? F_AVAIL | F_USED : 0) |
		    (used->len ? VRING_DESC_F_WRITE : 0);

	return __cpu_to_virtio64(ring->is_le, (u64)flags << 48 |
				 (u64)used->id << 32 | used->len);
}

/* Writes @nr of them, a burst at most, from @pos on, the first one last. */
static int write_used(struct vhx_ring *ring, const struct vhx_used *used,
		      unsigned int nr, u16 pos)
{
	__virtio64 raw[VHX_BURST_MAX];
	u16 slot[VHX_BURST_MAX];
	unsigned int i;
	int err;

	for (i = 0; i < nr; i++) {
		raw[i] = encode(ring, &used[i], pos);
		slot[i] = index_of(pos);
		pos = advance(ring, pos, used[i].count);
	}
	err = vhx_mem_scatter_release(ring->mem, slot, raw, nr);
	return err ? vhx_ring_fail(ring, err, "ring not writable") : 0;
}

static int packed_complete(struct vhx_ring *ring, const struct vhx_used *used,
			   unsigned int nr)
{
	unsigned int i, first = min_t(unsigned int, nr, VHX_BURST_MAX);
	u16 old = ring->used_pos, pos = old;
	bool is_one_enough = vhx_ring_is_one_enough(ring, used, nr);
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		if (i && i % VHX_BURST_MAX == 0 && !is_one_enough)
			err = write_used(ring, used + i,
					 min_t(unsigned int, nr - i,
					       VHX_BURST_MAX), pos);
		pos = advance(ring, pos, used[i].count);
	}
	/*
	 * The driver looks at the first before the others, so that its release
	 * publishes all, and what was written into the buffers; pairs with the
	 * driver's barrier after it read the flags (§2.8.22).
	 */
	if (!err)
		err = is_one_enough ?
			write_used(ring, &used[nr - 1], 1, old) :
			write_used(ring, used, first, old);
	if (err)
		return err;
	ring->used_pos = pos;
	/* Over two laps without a call: the distance lost its meaning. */
	if (distance(ring, ring->signalled_pos, pos) <
	    distance(ring, ring->signalled_pos, old))
		ring->is_signalled_valid = false;
	return 0;
}

static int packed_arm(struct vhx_ring *ring)
{
	u16 flags, want = VRING_PACKED_EVENT_FLAG_ENABLE;
	int err = 0;

	if (ring->has_event_idx) {
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
	err = load_flags(ring, ring->avail_idx, &flags, 1);
	if (err)
		return err;
	if (!is_available(flags, ring->avail_idx))
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
