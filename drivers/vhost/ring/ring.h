/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The ring engine: the device half of a virtqueue, free of kernel, socket
 * and lock. The caller serialises all calls on one ring.
 *
 * Words: a *slot* is one element of a descriptor table; a *chain* is the
 * slots of one buffer, head first, with those of its indirect table; a
 * *burst* is up to VHX_BURST_MAX buffers handled together; a buffer is *plain*
 * if it is one descriptor, which says all there is to know; a *snapshot* is
 * our private copy of what the driver wrote. The engine decides on
 * snapshots alone: nothing that the driver can change is read twice.
 */
#ifndef VHX_RING_H
#define VHX_RING_H

#include "cause.h"
#include "ring_env.h"

/* Buffers in one burst. */
#define VHX_BURST_MAX		64
/*
 * Slots in one burst, and so in one chain: UIO_MAXIOV, as in-tree vhost. Those
 * of length zero count, which bounds the time that a burst takes.
 */
#define VHX_SLOTS_MAX		1024
/* Chains in one completion: a frame over many, on top of part of a burst. */
#define VHX_USED_MAX		(VHX_BURST_MAX + VHX_SLOTS_MAX)
/* Entries of an indirect table: what a 16-bit `next` can reach. */
#define VHX_INDIRECT_MAX	65536

struct vhx_mem;
struct vhx_ring;

/**
 * struct vhx_slot - snapshot of one descriptor, in host byte order
 * @addr: address as the driver gave it (gpa or iova)
 * @len: length in bytes; never 0 in a burst
 * @flags: VRING_DESC_F_*
 * @next: split: index of the next slot, valid with VRING_DESC_F_NEXT;
 *        packed: the buffer's id
 */
struct vhx_slot {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next;
};

/**
 * struct vhx_chain - one buffer of the driver
 * @slot: its slots, the device-readable ones first
 * @out_len: bytes that the device may read
 * @in_len: bytes that the device may write
 * @nr_out: how many of @slot the device may read
 * @nr_in: how many of @slot the device may write
 * @pos: ring position before it was fetched, if it is not plain: see
 *       vhx_burst_pos()
 */
struct vhx_chain {
	const struct vhx_slot *slot;
	u32 out_len;
	u32 in_len;
	u16 nr_out;
	u16 nr_in;
	u16 pos;
};

/**
 * struct vhx_used - what completes a buffer
 * @len: bytes written into its device-writable part
 * @id: names the buffer
 * @count: positions that this takes: its slots in a packed ring, else 1
 */
struct vhx_used {
	u32 len;
	u16 id;
	u16 count;
};

/* Entries of an indirect table that are read at a time. */
#define VHX_WINDOW		8

/**
 * struct vhx_burst - the buffers of one vhx_ring_ops.fetch
 * @nr: how many, oldest first
 * @nr_plain: so many, the oldest, are plain, all read or all written by the
 *            device: they are in @desc, and have no chain until
 *            vhx_burst_chain() makes one
 * @is_plain_in: the device may write them, else read
 * @pos: ring position before the oldest, if that is plain
 * @nr_slots: slots in @slot
 * @nr_steps: slots seen, those of length zero included
 * @chain: the others' chains, by number of the buffer
 * @used: what completes them, all lengths 0
 * @slot: what the chains point into, and one that may come to nothing
 * @head: scratch of split rings: indexes of the heads
 * @desc: raw snapshot of heads, of a packed ring in a row
 * @window: scratch: raw snapshot of entries of the indirect table in work
 *
 * The scratch is here and not on the stack, which kernels clear at each call.
 */
struct vhx_burst {
	unsigned int nr;
	unsigned int nr_plain;
	bool is_plain_in;
	u16 pos;
	unsigned int nr_slots;
	unsigned int nr_steps;
	struct vhx_chain chain[VHX_BURST_MAX];
	struct vhx_used used[VHX_BURST_MAX];
	struct vhx_slot slot[VHX_SLOTS_MAX + 1];
	u16 head[VHX_BURST_MAX];
	struct vring_desc desc[VHX_BURST_MAX];
	struct vring_desc window[VHX_WINDOW];
};

/**
 * struct vhx_ring_ops - one ring format
 *
 * Each is called once a burst. All return a negative errno when the ring
 * cannot go on: -EFAULT, -ENXIO or -EPERM (memory not accessible), -EAGAIN (a
 * translation was asked for, come back), -EINVAL or -ENOBUFS (the driver broke the
 * format; vhx_ring.cause says how). After an error nothing was consumed or
 * published by that call, and the call may be repeated.
 */
struct vhx_ring_ops {
	/**
	 * @start: take up the ring at @base, as SET_VRING_BASE gave it.
	 * A split ring's used index is read from it. Kicks are asked for.
	 */
	int (*start)(struct vhx_ring *ring, u32 base);
	/** @base: where start() has to go on, for GET_VRING_BASE. */
	u32 (*base)(const struct vhx_ring *ring);
	/**
	 * @fetch: take up to @max (1 … VHX_BURST_MAX) available buffers.
	 * What @burst had is forgotten, also when none come or it fails.
	 * Return: how many, 0 when the ring is empty. A bad chain ends the
	 * burst before it and is reported when it comes first.
	 */
	int (*fetch)(struct vhx_ring *ring, struct vhx_burst *burst,
		     unsigned int max);
	/**
	 * @complete: give @nr (1 … VHX_USED_MAX) fetched buffers back, by
	 * their vhx_burst.used, and publish them with one store, so that the
	 * driver sees all or none.
	 */
	int (*complete)(struct vhx_ring *ring, const struct vhx_used *used,
			unsigned int nr);
	/**
	 * @arm: ask the driver for a kick at its next buffer.
	 * Return: 1 when chains are available already (the kick for them may
	 * never come: fetch again), 0 when the ring is empty. With chains
	 * handed back it is always 1, and the kick is for what comes after
	 * the last chain that was seen.
	 */
	int (*arm)(struct vhx_ring *ring);
	/** @disarm: tell the driver that kicks are not needed; a hint. */
	int (*disarm)(struct vhx_ring *ring);
	/**
	 * @call_needed: whether the driver wants a call for what was
	 * completed since the last time. Return: 1 or 0.
	 */
	int (*call_needed)(struct vhx_ring *ring);
};

/**
 * struct vhx_scratch - used elements on their way
 * @val: they, raw; of packed rings the upper halves of descriptors
 * @slot: of packed rings: where they go
 *
 * Not on the stack, which kernels clear at each call.
 */
struct vhx_scratch {
	__virtio64 val[VHX_USED_MAX];
	u16 slot[VHX_USED_MAX];
};

/**
 * struct vhx_ring - device half of one virtqueue
 * @ops: its format
 * @mem: how to reach its memory; opaque here
 * @cause: what was wrong when an operation last failed, for the log
 * @num: entries, 1 … 32768; for split rings a power of two
 * @avail_pos: next avail entry to fetch
 * @avail_idx: how far the driver was seen to have got: entries before it are
 *             ours
 * @used_pos: next used entry to write
 * @signalled_pos: @used_pos at the last call_needed()
 * @flags: those of the used ring or device event area as last written, or
 *         VHX_FLAGS_UNKNOWN
 * @is_packed: a packed ring: the wrap counter is bit 15 of its positions
 * @is_le: ring fields are little-endian, else big-endian; packed rings are
 * @has_event_idx: VIRTIO_RING_F_EVENT_IDX was negotiated
 * @is_in_order: VIRTIO_F_IN_ORDER was negotiated
 * @calls_on_empty: VIRTIO_F_NOTIFY_ON_EMPTY was negotiated; split rings only
 * @is_signalled_valid: @signalled_pos means something
 * @scratch: what complete() works with
 *
 * The fields up to @num and the booleans from @is_le to @calls_on_empty are
 * the caller's, set before start(); all but @is_le may change between two
 * calls, if @is_signalled_valid is cleared with them. The others are the
 * engine's.
 */
struct vhx_ring {
	const struct vhx_ring_ops *ops;
	struct vhx_mem *mem;
	enum vhx_cause cause;
	u16 num;
	u16 avail_pos;
	u16 avail_idx;
	u16 used_pos;
	u16 signalled_pos;
	u16 flags;
	bool is_packed;
	bool is_le;
	bool has_event_idx;
	bool is_in_order;
	bool calls_on_empty;
	bool is_signalled_valid;
	struct vhx_scratch scratch;
};

extern const struct vhx_ring_ops vhx_split_ops;
extern const struct vhx_ring_ops vhx_packed_ops;

/* Of a packed ring's position: the wrap counter. */
#define VHX_WRAP	(1 << VRING_PACKED_EVENT_F_WRAP_CTR)

/* As vhx_ring_advance(), of a packed ring. */
static inline u16 vhx_packed_advance(const struct vhx_ring *ring, u16 pos,
				     u32 count)
{
	u32 index = (pos & ~VHX_WRAP) + count;

	if (index < ring->num)
		return (u16)(pos + count);
	return (u16)((index - ring->num) | (~pos & VHX_WRAP));
}

/**
 * vhx_ring_advance - a position further on
 * @ring: the ring
 * @pos: a position
 * @count: how far, up to a lap
 *
 * Return: the position
 */
static inline u16 vhx_ring_advance(const struct vhx_ring *ring, u16 pos,
				   u32 count)
{
	return ring->is_packed ? vhx_packed_advance(ring, pos, count) :
		(u16)(pos + count);
}

/**
 * vhx_burst_pos - the ring position before a buffer of a burst
 * @ring: the ring
 * @burst: the burst
 * @i: number of the buffer
 *
 * Return: the position, for vhx_ring_rewind()
 */
static inline u16 vhx_burst_pos(const struct vhx_ring *ring,
				const struct vhx_burst *burst, unsigned int i)
{
	return i < burst->nr_plain ? vhx_ring_advance(ring, burst->pos, i) :
		burst->chain[i].pos;
}

/*
 * Of a plain buffer, by vhx_burst.desc: its address and length, not 0; together they
 * do not wrap.
 */
static inline u64 vhx_plain_addr(const struct vring_desc *desc)
{
	return (__force u64)desc->addr;
}

static inline u32 vhx_plain_len(const struct vring_desc *desc)
{
	return (__force u32)desc->len;
}

/* A plain buffer, by number, as a slot. */
static inline struct vhx_slot vhx_plain_slot(const struct vhx_burst *burst,
					     unsigned int i)
{
	return (struct vhx_slot){
		.addr = vhx_plain_addr(&burst->desc[i]),
		.len = vhx_plain_len(&burst->desc[i]),
		.flags = burst->is_plain_in ? VRING_DESC_F_WRITE : 0,
	};
}

/* Bytes of a buffer that the device may read; 0: there are none. */
static inline u32 vhx_burst_out_len(const struct vhx_burst *burst,
				    unsigned int i)
{
	if (i >= burst->nr_plain)
		return burst->chain[i].out_len;
	return burst->is_plain_in ? 0 : vhx_plain_len(&burst->desc[i]);
}

/* Those that it may write. */
static inline u32 vhx_burst_in_len(const struct vhx_burst *burst,
				   unsigned int i)
{
	if (i >= burst->nr_plain)
		return burst->chain[i].in_len;
	return burst->is_plain_in ? vhx_plain_len(&burst->desc[i]) : 0;
}

/**
 * vhx_burst_chain - a buffer of a burst as a chain, plain or not
 * @burst: the burst
 * @i: number of the buffer
 *
 * Return: the chain
 */
static inline const struct vhx_chain *vhx_burst_chain(struct vhx_burst *burst,
						      unsigned int i)
{
	struct vhx_chain *chain = &burst->chain[i];
	bool is_in = burst->is_plain_in;

	if (i >= burst->nr_plain)
		return chain;
	burst->slot[i] = vhx_plain_slot(burst, i);
	chain->slot = &burst->slot[i];
	chain->out_len = vhx_burst_out_len(burst, i);
	chain->in_len = vhx_burst_in_len(burst, i);
	chain->nr_out = !is_in;
	chain->nr_in = is_in;
	return chain;
}

/**
 * vhx_ring_rewind - hand back a buffer and all fetched after it
 * @ring: the ring
 * @pos: vhx_burst_pos() of the oldest buffer to hand back, which must be
 *       neither completed nor handed back
 *
 * They are the driver's again and come with the next fetch().
 */
static inline void vhx_ring_rewind(struct vhx_ring *ring, u16 pos)
{
	ring->avail_pos = pos;
}

/* The same, of buffer @i of the burst at hand. */
static inline void vhx_ring_unfetch(struct vhx_ring *ring,
				    const struct vhx_burst *burst,
				    unsigned int i)
{
	vhx_ring_rewind(ring, vhx_burst_pos(ring, burst, i));
}

/* No flags of a ring: none were written that may be left as they are. */
#define VHX_FLAGS_UNKNOWN	0xffff

/**
 * vhx_ring_forget_flags - write them again, as the Device Area may be another
 * @ring: the ring, between two calls
 */
static inline void vhx_ring_forget_flags(struct vhx_ring *ring)
{
	ring->flags = VHX_FLAGS_UNKNOWN;
}

/**
 * vhx_ring_is_one_enough - whether one used element can stand for a batch
 * @ring: the ring
 * @used: the batch
 * @nr: how many
 *
 * In order, the element of the last buffer, in the place of the first, says
 * that all are used (virtio 1.3 §2.7.9, §2.8.8). The driver takes the others
 * as used up whole, which is right for buffers that it does not read
 * afterwards.
 *
 * Return: true if one used element says it all
 */
static inline bool vhx_ring_is_one_enough(const struct vhx_ring *ring,
					  const struct vhx_used *used,
					  unsigned int nr)
{
	unsigned int i;

	if (!ring->is_in_order)
		return false;
	for (i = 0; i < nr && !used[i].len; i++)
		;
	return i == nr;
}

/**
 * vhx_ring_fail - note why an operation fails
 * @ring: the ring
 * @err: negative errno
 * @cause: why, in a word
 *
 * Return: @err
 */
static inline int vhx_ring_fail(struct vhx_ring *ring, int err,
				enum vhx_cause cause)
{
	ring->cause = cause;
	return err;
}

static inline void vhx_burst_begin(struct vhx_burst *burst)
{
	burst->nr = 0;
	burst->nr_plain = 0;
	burst->is_plain_in = false;
	burst->nr_slots = 0;
	burst->nr_steps = 0;
}

#endif /* VHX_RING_H */
