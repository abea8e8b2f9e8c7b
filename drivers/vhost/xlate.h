/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_XLATE_H
#define VHX_XLATE_H

#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include "map.h"
#include "ring/ring.h"

struct vhx_dirty;

/* Misses of one ring that the client has not answered yet. */
#define VHX_MISSES_MAX	64
/* What is asked for at a time, and told apart by the cache: 4 KiB. */
#define VHX_XLATE_SHIFT	12
#define VHX_HITS	64

/**
 * struct vhx_miss - a translation that the client was asked for
 * @iova: the address
 * @perm: VHOST_ACCESS_* that is needed
 * @is_read: the client has read the message
 */
struct vhx_miss {
	u64 iova;
	u8 perm;
	bool is_read;
};

/**
 * struct vhx_iotlb - translations that the client hands in while rings run
 * @lock: guards @map's structure and the misses of all rings. A range is
 *        taken out under the vq mutexes too: a run may use what it found, and
 *        finds it again.
 * @map: the translations
 * @turn: index of the ring whose misses are read next; under @lock
 * @wait: who waits for a miss to read
 */
struct vhx_iotlb {
	spinlock_t lock;
	struct vhx_map *map;
	unsigned int turn;
	wait_queue_head_t wait;
};

/**
 * struct vhx_xlate - translation of one ring's addresses to the owner's
 * @map: the owner's memory by address; what is found there stays
 * @iotlb: where to find addresses instead, or NULL
 * @hit: ranges found last: one of @map, of @iotlb by page
 * @nr_misses: how many in @miss; written under the IOTLB's lock
 * @miss: asked for and not answered
 * @asked: misses so far
 * @found: addresses that were found in @iotlb, the cache included
 */
struct vhx_xlate {
	const struct vhx_map *map;
	struct vhx_iotlb *iotlb;
	const struct vhx_range *hit[VHX_HITS];
	unsigned int nr_misses;
	struct vhx_miss miss[VHX_MISSES_MAX];
	u64 asked;
	u64 found;
};

void vhx_xlate_set(struct vhx_xlate *xlate, const struct vhx_map *map,
		   struct vhx_iotlb *iotlb);
void vhx_xlate_forget_hits(struct vhx_xlate *xlate);
void vhx_xlate_forget_misses(struct vhx_xlate *xlate);
int vhx_xlate_slots(struct vhx_xlate *xlate, const struct vhx_slot *slot,
		    unsigned int nr, struct iovec *iov, unsigned int max);
unsigned int vhx_xlate_run(struct vhx_xlate *xlate,
			   const struct vhx_slot *slot, unsigned int nr,
			   u8 perm, struct iovec *iov);
int vhx_xlate_area(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm,
		   void __user **uaddr);
int vhx_xlate_read(struct vhx_xlate *xlate, u64 addr, void *dst, u32 len);
int vhx_xlate_write(struct vhx_xlate *xlate, u64 addr, const void *src,
		    u32 len, struct vhx_dirty *dirty);
void vhx_xlate_want(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm);

#endif /* VHX_XLATE_H */
