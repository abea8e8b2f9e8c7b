/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The driver half of a virtqueue: what a guest does. One ops table a format,
 * so that a test body serves them all.
 */
#ifndef RING_TEST_DRIVER_H
#define RING_TEST_DRIVER_H

#include "mem.h"

/**
 * struct driver_buf - a buffer to offer
 * @slot: addr, len and VRING_DESC_F_WRITE of each piece, readable ones first
 * @nr: pieces
 * @nr_direct: how many of them go into the ring itself, the others go into
 *             an indirect table; equal to @nr when there is no table
 * @table: iova of the table
 */
struct driver_buf {
	const struct vhx_slot *slot;
	unsigned int nr;
	unsigned int nr_direct;
	u64 table;
};

struct driver;

/**
 * struct driver_ops - one ring format
 */
struct driver_ops {
	/** @area_len: bytes of an area, to the byte. */
	u32 (*area_len)(enum vhx_area area, u16 num, bool has_event_idx);
	/** @reset: empty ring, of which both sides stand at @base. */
	void (*reset)(struct driver *drv, u32 base);
	/**
	 * @add: put a buffer into the ring, not yet visible.
	 * Return: the id it comes back with, or -ENOSPC.
	 */
	int (*add)(struct driver *drv, const struct driver_buf *buf);
	/** @publish: make visible what was added. */
	void (*publish)(struct driver *drv);
	/** @wants_kick: whether the device asked for a kick for the last publish. */
	bool (*wants_kick)(struct driver *drv);
	/** @poll: take one completed buffer. Return: false when there is none. */
	bool (*poll)(struct driver *drv, struct vhx_used *used);
	/**
	 * @enable_calls: ask for a call when @skip more positions than the
	 * next one are completed (@skip is for EVENT_IDX).
	 * Return: true when completed buffers are there already.
	 */
	bool (*enable_calls)(struct driver *drv, u16 skip);
	/** @disable_calls: no call needed; a hint. */
	void (*disable_calls)(struct driver *drv);
	/** @base_after: base of a ring at rest, @nr positions after @base. */
	u32 (*base_after)(u16 num, u32 base, u64 nr);
	/** @base_before: base @nr positions before all counters are as first. */
	u32 (*base_before)(u16 num, u32 nr);
	/** @is_packed: the format is packed, else split. */
	bool is_packed;
};

/**
 * struct driver - driver half of one ring
 * @ops: its format
 * @mem: the ring's memory
 * @num: entries of the ring
 * @is_le: as vhx_ring
 * @has_event_idx: as vhx_ring
 * @is_in_order: as vhx_ring
 * @order: ids in the order of their adding, a ring of @num
 * @batch: last of the completed batch that poll() hands out, in order
 * @in_batch: poll() is within a batch
 * @free: stack of free slots; packed: of free ids
 * @nr_free: free slots
 * @next: copy of the links of the chains in flight
 * @nr_used_slots: slots of the chain with an id, 0 for none in flight
 * @added_pos: next avail entry to write
 * @avail_pos: what was published
 * @kicked_pos: what was published when we last looked whether to kick
 * @used_pos: next used entry to read
 * @nr_free_ids: packed: ids in @free
 * @held: packed: first descriptor that was added and not published
 * @has_held: there is one
 * @nr_added: packed: buffers added
 * @nr_polled: packed: buffers taken back
 * @added_place: packed, as @added_pos: descriptors since that of slot 0 whose
 *               wrap counter is 1
 * @avail_place: as @avail_pos
 * @kicked_place: as @kicked_pos
 * @used_place: as @used_pos
 */
struct driver {
	const struct driver_ops *ops;
	struct vhx_mem *mem;
	u16 num;
	bool is_le;
	bool has_event_idx;
	bool is_in_order;
	u16 *order;
	struct vhx_used batch;
	bool in_batch;
	u16 *free;
	u32 nr_free;
	u16 *next;
	u16 *nr_used_slots;
	u16 added_pos;
	u16 avail_pos;
	u16 kicked_pos;
	u16 used_pos;
	u32 nr_free_ids;
	struct vhx_slot held;
	bool has_held;
	u32 nr_added;
	u32 nr_polled;
	u64 added_place;
	u64 avail_place;
	u64 kicked_place;
	u64 used_place;
};

/* Ids that a buffer may have. */
#define DRIVER_IDS	65536u

extern const struct driver_ops driver_split_ops;
extern const struct driver_ops driver_packed_ops;

/* Raw access to a split ring, for drivers that break the rules. */
void split_set_desc(struct driver *drv, u16 i, const struct vhx_slot *slot);
void split_set_entry(struct driver *drv, u64 table, u32 i,
		     const struct vhx_slot *slot);
void split_push_head(struct driver *drv, u16 head);
void split_set_avail_idx(struct driver *drv, u16 idx);
void split_set_avail_flags(struct driver *drv, u16 flags);
void split_set_used_event(struct driver *drv, u16 idx);
void split_set_used(struct driver *drv, u16 flags, u16 idx);
u16 split_used_flags(const struct driver *drv);
u16 split_used_idx(const struct driver *drv);
u16 split_avail_event(const struct driver *drv);

/* And to a packed one; vhx_slot.next is the id. */
void packed_set_desc(struct driver *drv, u32 slot, const struct vhx_slot *desc);
void packed_get_desc(const struct driver *drv, u32 slot, struct vhx_slot *desc);
void packed_set_entry(struct driver *drv, u64 table, u32 i,
		      const struct vhx_slot *desc);
void packed_set_event(struct driver *drv, u16 pos, u16 flags);
u16 packed_event_pos(const struct driver *drv);
u16 packed_event_flags(const struct driver *drv);
u16 packed_pos(const struct driver *drv, u64 place);
u16 packed_avail_flags(const struct driver *drv, u64 place);

#endif /* RING_TEST_DRIVER_H */
