/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * One ring with both its halves, and a model of what must come out of it.
 */
#ifndef RING_TEST_RIG_H
#define RING_TEST_RIG_H

#include "driver.h"

/* Address of the guest's memory: no valid pointer of ours. */
#define RIG_IOVA	0x7000000000ULL
/* Pieces in the indirect table of a shape. */
#define RIG_TABLE_LEN	64
/* A place for one table of any length; the guest's memory ends with it. */
#define RIG_SCRATCH_LEN	(VHX_INDIRECT_MAX * 16u)

/**
 * struct rig_variant - what a test body runs over
 * @ops: the engine's half of the format
 * @driver: the driver's half
 * @num: entries
 * @is_le: fields are little-endian
 * @has_event_idx: VIRTIO_RING_F_EVENT_IDX
 * @is_in_order: VIRTIO_F_IN_ORDER
 */
struct rig_variant {
	const struct vhx_ring_ops *ops;
	const struct driver_ops *driver;
	u16 num;
	bool is_le;
	bool has_event_idx;
	bool is_in_order;
};

/**
 * struct rig_shape - a buffer, from which all its pieces follow
 * @token: names it
 * @empty: bit i: piece i is of length zero
 * @nr_out: readable pieces, empty ones included
 * @nr_in: writable pieces, empty ones included
 * @nr_direct: pieces in the ring itself
 * @id: id that the driver knows it by
 * @table: number of its table
 */
struct rig_shape {
	u32 token;
	u32 empty;
	u16 nr_out;
	u16 nr_in;
	u16 nr_direct;
	u16 id;
	u16 table;
};

/**
 * struct rig - a ring under test
 * @variant: what it is
 * @mem: where it lies
 * @ring: the engine's half
 * @drv: the driver's half
 * @burst: what was fetched last
 * @queue_mask: length of the two queues of the model, less one: enough
 *              for all that is in flight
 * @offered: what was offered, oldest first, by number
 * @nr_offered: buffers offered
 * @nr_fetched: buffers fetched, less those handed back
 * @done: what was completed, oldest first, by number
 * @nr_done: buffers completed
 * @nr_polled: completed buffers that the driver took back
 * @done_pos: positions completed
 * @polled_pos: positions that the driver took back
 * @start_base: where both halves stood at first
 * @table_of: table of the buffer in flight, by id
 * @free_table: stack of free tables
 * @nr_free_tables: how many are in it
 * @token: of the next buffer
 */
struct rig {
	struct rig_variant variant;
	struct vhx_mem mem;
	struct vhx_ring ring;
	struct driver drv;
	struct vhx_burst burst;
	u32 queue_mask;
	struct rig_shape *offered;
	u32 nr_offered;
	u32 nr_fetched;
	struct vhx_used *done;
	u32 nr_done;
	u32 nr_polled;
	u64 done_pos;
	u64 polled_pos;
	u32 start_base;
	u16 *table_of;
	u16 *free_table;
	u32 nr_free_tables;
	u32 token;
};

struct rig *rig_create(const struct rig_variant *variant);
void rig_destroy(struct rig *rig);
int rig_reattach(struct rig *rig, u32 base);
int rig_restart(struct rig *rig, u32 base);
u64 rig_scratch(const struct rig *rig);

void rig_piece(const struct rig_shape *shape, unsigned int i,
	       struct vhx_slot *slot);
int rig_add(struct rig *rig, struct rig_shape shape);
unsigned int rig_offer(struct rig *rig, unsigned int nr);
bool rig_chain_matches(const struct vhx_chain *chain, u16 id,
		       const struct rig_shape *shape);
int rig_fetch(struct rig *rig, unsigned int max);
void rig_unfetch(struct rig *rig, unsigned int i);
int rig_complete(struct rig *rig, const struct vhx_used *used,
		 unsigned int nr);
int rig_complete_burst(struct rig *rig);
int rig_poll(struct rig *rig);
int rig_cycle(struct rig *rig, unsigned int nr);

static inline unsigned int rig_min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static inline int rig_arm(struct rig *rig)
{
	return rig->ring.ops->arm(&rig->ring);
}

static inline int rig_disarm(struct rig *rig)
{
	return rig->ring.ops->disarm(&rig->ring);
}

static inline int rig_call_needed(struct rig *rig)
{
	return rig->ring.ops->call_needed(&rig->ring);
}

static inline u32 rig_base(const struct rig *rig)
{
	return rig->ring.ops->base(&rig->ring);
}

/* A base @nr positions before the counters wrap. */
static inline u32 rig_base_before(const struct rig *rig, u32 nr)
{
	return rig->variant.driver->base_before(rig->variant.num, nr);
}

/* Where avail stands when @nr positions were fetched since the start. */
static inline u16 rig_avail_after(const struct rig *rig, u64 nr)
{
	return (u16)rig->variant.driver->base_after(rig->variant.num,
						    rig->start_base, nr);
}

static inline bool rig_is_packed(const struct rig *rig)
{
	return rig->variant.driver->is_packed;
}

/* Positions after which they come again. */
static inline u32 rig_period(const struct rig *rig)
{
	return rig_is_packed(rig) ? 2u * rig->variant.num : 65536;
}

static inline struct vhx_used rig_used(const struct vhx_used *used, u32 len)
{
	return (struct vhx_used){
		.id = used->id, .count = used->count, .len = len,
	};
}

/* xorshift64*, so that a seed gives the same run anywhere. */
static inline u32 rig_random(u64 *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (u32)((*seed * 0x2545f4914f6cdd1dULL) >> 32);
}

#endif /* RING_TEST_RIG_H */
