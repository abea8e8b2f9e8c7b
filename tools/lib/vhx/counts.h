/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Counters of a queue that are put together when somebody asks. */
#ifndef VHX_COUNTS_H
#define VHX_COUNTS_H

#include <vhx/vhx.h>

#include "ring/ring.h"

/**
 * struct vhx_counts - what the datapath counts at little cost
 * @stats: counters that are counted as they are told; the others there are 0
 * @bursts_of: completions, by how many frames they were of; those of none are of
 *             buffers whose frames were dropped
 * @calls_failed: times that the ring could not say whether it wants a call
 * @wait_ns: how long frames waited for buffers; while they do less than 0: the clock
 *           is to be added
 * @stops: times that the ring stopped, by enum vhx_cause
 * @is_watched: the ring is started: what comes into its kick descriptor is a kick
 * @kicks: those that were read, or that stood in a descriptor that is used no more
 * @unread: so much of what stands in the kick descriptor is no kick, or counted
 * @armed_pos: the ring's position when kicks were asked for last
 *
 * They are written with the queue locked. @stats and @stops are read without.
 */
struct vhx_counts {
	struct vhx_queue_stats stats;
	u64 bursts_of[VHX_BURST_MAX + 1];
	u64 calls_failed;
	s64 wait_ns;
	u64 stops[VHX_CAUSES];
	bool is_watched;
	u64 kicks;
	u64 unread;
	u16 armed_pos;
};

void vhx_counts_begin_wait(struct vhx_counts *counts);
void vhx_counts_end_wait(struct vhx_counts *counts);
void vhx_counts_offloads(struct vhx_counts *counts, u8 flags, u8 gso_type);
void vhx_counts_watch_kicks(struct vhx_counts *counts, int kick);
void vhx_counts_unwatch_kicks(struct vhx_counts *counts, int kick);
void vhx_counts_replace_kicks(struct vhx_counts *counts, int old, int kick);
bool vhx_counts_read_kicks(struct vhx_counts *counts, u64 read);
void vhx_counts_sum_up(const struct vhx_counts *counts, int kick,
		       struct vhx_queue_stats *stats);

/**
 * vhx_counts_end_wait_if_any - frames were given
 * @counts: of a receiveq
 *
 * Context: the queue is locked
 */
static inline void vhx_counts_end_wait_if_any(struct vhx_counts *counts)
{
	if (unlikely(counts->wait_ns < 0))
		vhx_counts_end_wait(counts);
}

#endif /* VHX_COUNTS_H */
