/* SPDX-License-Identifier: GPL-2.0-only */
/* What happened to a device between two looks. */
#ifndef RATE_H
#define RATE_H

#include "devices.h"

/**
 * struct ring_rate - what happened to a ring
 * @is_known: whether kernel or switch count for this ring; else there may be frames alone
 * @has_frames: whether frames and bytes are known
 * @diff: of each counter
 * @frames: a second
 * @bytes: a second
 * @burst: frames a burst; 0: none
 * @kicks: a frame
 * @calls: a frame
 * @drops: a second, for all reasons
 * @misses: of the IOTLB, a second
 * @guest_wait: share of the time that frames waited for buffers of the guest
 * @host_wait: share of the time that the backend was full
 * @poll: share of the time that the worker polled this ring
 */
struct ring_rate {
	bool is_known;
	bool has_frames;
	struct counters diff;
	double frames, bytes;
	double burst, kicks, calls;
	double drops, misses;
	double guest_wait, host_wait, poll;
};

/**
 * struct task_rate - what a worker had
 * @is_known: whether @run is
 * @has_wait: whether @wait is
 * @run: share of a CPU
 * @wait: share of the time that it was to run and another one did
 */
struct task_rate {
	bool is_known, has_wait;
	double run, wait;
};

/**
 * struct rate - what happened to a device
 * @is_known: whether it was there at the first look
 * @seconds: between the looks
 * @ring: of each ring
 * @worker: of the worker of each ring
 * @queue_drops: frames a second that the interface dropped since its queue to the
 *	guest was full
 */
struct rate {
	bool is_known;
	double seconds;
	struct ring_rate ring[RINGS];
	struct task_rate worker[RINGS];
	double queue_drops;
};

void rate_between(struct rate *rate, const struct device *before,
		  const struct device *now, double seconds);
uint64_t rate_dropped(const struct counters *counters);

#endif /* RATE_H */
