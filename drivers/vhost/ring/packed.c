// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Packed virtqueues, virtio 1.3 §2.8. Driver and device write the same ring;
 * what a descriptor is say its flags against the wrap counter of a side. A
 * position is the index of a descriptor with that counter in bit 15, as in
 * SET_VRING_BASE and in the event areas.
 */
#include "chain.h"

/* Packed rings came with virtio 1: none has the guest's byte order. */
#define IS_LE		true

#define WRAP		(1 << VRING_PACKED_EVENT_F_WRAP_CTR)
#define F_AVAIL		(1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED		(1 << VRING_PACKED_DESC_F_USED)

/* Event areas: struct vring_packed_desc_event. */
#define EVENT_POS	0
#define EVENT_FLAGS	2
#define EVENT_FLAGS_MASK	3

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

/*
 * Return: how many of @nr descriptors from @pos on, to the end of the ring at
 * most, are available in a row, or why that is not readable.
 */
static int count_available(struct vhx_ring *ring, u16 pos, unsigned int nr)
{
	/* The driver's counter in one, its inverse in the other (§2.8.1). */
	u16 want = pos & WRAP ? F_AVAIL : F_USED;
	int ret;

	ret = vhx_mem_count_flags_acquire(ring->mem, index_of(pos), nr,
					  __cpu_to_virtio16(IS_LE, F_AVAIL | F_USED),
					  __cpu_to_virtio16(IS_LE, want));
	return ret < 0 ? vhx_ring_fail(ring, ret, "descriptor not readable") :
		ret;
}

static int load_event(struct vhx_ring *ring, u32 off, u16 *val)
{
	__virtio16 raw;
	int err = vhx_mem_load16_acquire(ring->mem, VHX_DRIVER, off, &raw);

	if (err)
		return vhx_ring_fail(ring, err, "event area not readable");
	*val = __virtio16_to_cpu(IS_LE, raw);
	return 0;
}

static int store_event(struct vhx_ring *ring, u32 off, u16 val)
{
	__virtio16 raw = __cpu_to_virtio16(IS_LE, val);
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
 * (§2.8.21.1), so that all of the chain may be read afterwards.
 * Return: how many in a row are available.
 */
static int look_ahead(struct vhx_ring *ring, unsigned int max)
{
	unsigned int to_end = ring->num - index_of(ring->avail_pos);
	u16 pos = ring->avail_pos;
	int nr, more;

	max = min_t(unsigned int, max, ring->num);
	nr = count_available(ring, pos, min(max, to_end));
	if (nr < 0 || max <= to_end || nr < (int)to_end)
		return nr;
	more = count_available(ring, advance(ring, pos, nr), max - nr);
	return more < 0 ? more : nr + more;
}

/* Copies @nr descriptors from avail_pos on, in two parts at the ring's end. */
static int read_row(struct vhx_ring *ring, struct vring_desc *desc,
		    unsigned int nr)
{
	u32 size = sizeof(*desc), at = index_of(ring->avail_pos);
	unsigned int part = min_t(unsigned int, nr, ring->num - at);
	int err;

	err = vhx_mem_read(ring->mem, VHX_DESC, size * at, desc, size * part);
	if (!err && part < nr)
		err = vhx_mem_read(ring->mem, VHX_DESC, 0, desc + part,
				   size * (nr - part));
	return err ? vhx_ring_fail(ring, err, "descriptor not readable") : 0;
}

/*
 * Takes the @nr descriptors of burst->desc, those behind them with which the last
 * chain goes on, and no more than @room: what is not completed yet cannot be
 * available again.
 */
static int add_row(struct vhx_ring *ring, struct vhx_burst *burst,
		   unsigned int nr, unsigned int room)
{
	const struct vhx_chain *chain;
	unsigned int at = 0, run, to_end;
	int err;

	while (at < nr) {
		to_end = ring->num - index_of(ring->avail_pos);
		run = vhx_chain_add_run(ring, burst, true, at,
					min3(nr - at, room - at, to_end));
		ring->avail_pos = advance(ring, ring->avail_pos, run);
		at += run;
		if (at == nr || run == to_end)
			continue;
		err = vhx_chain_walk(ring, burst, index_of(ring->avail_pos),
				     &burst->desc[at], nr - at);
		if (err == -EAGAIN)
			vhx_chain_want(ring, burst, at + 1, nr);
		if (err)
			return err;
		chain = &burst->chain[burst->nr - 1];
		if (chain->count > room - at) {
			burst->nr--;
			burst->nr_slots = chain->slot - burst->slot;
			return vhx_ring_fail(ring, -EINVAL,
				"more descriptors available than the ring has");
		}
		ring->avail_pos = advance(ring, ring->avail_pos, chain->count);
		at += chain->count;
	}
	return 0;
}

static int fetch_row(struct vhx_ring *ring, struct vhx_burst *burst,
		     unsigned int nr)
{
	unsigned int room;
	int err = read_row(ring, burst->desc, nr);

	if (err)
		return err;
	room = ring->num - distance(ring, ring->used_pos, ring->avail_pos);
	err = add_row(ring, burst, nr, room);
	ring->avail_idx = ring->avail_pos;
	return err;
}

static int packed_fetch(struct vhx_ring *ring, struct vhx_burst *burst,
			unsigned int max)
{
	unsigned int want;
	int nr, err;

	vhx_burst_begin(burst);
	/* Descriptors are looked at, and several may have made one chain. */
	do {
		want = max - burst->nr;
		nr = look_ahead(ring, want);
		err = nr > 0 ? fetch_row(ring, burst, nr) : nr;
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

static int packed_complete(struct vhx_ring *ring, const struct vhx_used *used,
			   unsigned int nr)
{
	u16 old = ring->used_pos, first = old & WRAP ? F_AVAIL | F_USED : 0;
	struct vhx_scratch *to = &ring->scratch;
	u16 flags = first, pos;
	u32 index = index_of(old);
	unsigned int i;
	int err;

	for (i = 0; i < nr; i++) {
		to->val[i] = encode(&used[i], flags);
		to->slot[i] = index;
		index += used[i].count;
		if (index >= ring->num) {
			index -= ring->num;
			flags ^= F_AVAIL | F_USED;
		}
	}
	pos = index | (flags ? WRAP : 0);
	if (vhx_ring_is_one_enough(ring, used, nr)) {
		to->val[0] = encode(&used[nr - 1], first);
		nr = 1;
	}
	/*
	 * The driver looks at the first before the others, so that its release
	 * publishes all, and what was written into the buffers; pairs with the
	 * driver's barrier after it read the flags (§2.8.22).
	 */
	err = vhx_mem_scatter_release(ring->mem, to->slot, to->val, nr);
	if (err)
		return vhx_ring_fail(ring, err, "ring not writable");
	ring->used_pos = pos;
	/* Over two laps without a call: the distance lost its meaning. */
	if (distance(ring, ring->signalled_pos, pos) <
	    distance(ring, ring->signalled_pos, old))
		ring->is_signalled_valid = false;
	return 0;
}

static int packed_arm(struct vhx_ring *ring)
{
	u16 want = VRING_PACKED_EVENT_FLAG_ENABLE;
	int ret = 0, err = 0;

	/* A driver that is past the event and asked for any kick stays so. */
	if (ring->has_event_idx && ring->flags == want)
		ret = count_available(ring, ring->avail_idx, 1);
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
	ret = count_available(ring, ring->avail_idx, 1);
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
