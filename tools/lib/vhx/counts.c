// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Counters of a queue that are put together when somebody asks. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/virtio_net.h>

#include "counts.h"

static s64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (s64)now.tv_sec * 1000000000 + now.tv_nsec;
}

/**
 * vhx_counts_begin_wait - frames wait for buffers, unless they do already
 * @counts: of a receiveq
 *
 * Context: the queue is locked
 */
void vhx_counts_begin_wait(struct vhx_counts *counts)
{
	if (counts->wait_ns < 0)
		return;
	counts->stats.guest_waits++;
	counts->wait_ns -= now_ns();
}

/**
 * vhx_counts_end_wait - they do not any more
 * @counts: of a receiveq
 *
 * Context: the queue is locked
 */
void vhx_counts_end_wait(struct vhx_counts *counts)
{
	if (counts->wait_ns < 0)
		counts->wait_ns += now_ns();
}

/**
 * vhx_counts_offloads - count a frame that has any
 * @counts: of its queue
 * @flags: of its header
 * @gso_type: of its header
 *
 * Context: the queue is locked
 */
void vhx_counts_offloads(struct vhx_counts *counts, u8 flags, u8 gso_type)
{
	counts->stats.gso += !!gso_type;
	counts->stats.csum += !!(flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

/*
 * What stands in an eventfd: who is told of each kick once, as by EPOLLET, does not
 * read it. Return: 0 as well if /proc does not say.
 */
static u64 count_of(int kick)
{
	static const char key[] = "eventfd-count:";
	char path[40], text[256], *at;
	ssize_t len;
	int fd;

	if (kick < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", kick);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	at = strstr(text, key);
	return at ? strtoull(at + sizeof(key) - 1, NULL, 16) : 0;
}

/**
 * vhx_counts_watch_kicks - the ring starts
 * @counts: of its queue
 * @kick: where it is kicked, or -1
 *
 * Its client may have read the descriptor meanwhile.
 *
 * Context: the queue is locked
 */
void vhx_counts_watch_kicks(struct vhx_counts *counts, int kick)
{
	if (count_of(kick) < counts->unread)
		counts->unread = 0;
	counts->is_watched = true;
}

/* Counts those that were not read. */
static void settle_kicks(struct vhx_counts *counts, int kick)
{
	u64 count = count_of(kick);

	if (count > counts->unread)
		counts->kicks += count - counts->unread;
	counts->unread = count;
}

/**
 * vhx_counts_unwatch_kicks - the ring stops
 * @counts: of its queue
 * @kick: where it is kicked, or -1; from here on the client may read it
 *
 * Context: the queue is locked
 */
void vhx_counts_unwatch_kicks(struct vhx_counts *counts, int kick)
{
	if (counts->is_watched)
		settle_kicks(counts, kick);
	counts->is_watched = false;
}

/**
 * vhx_counts_replace_kicks - the ring is kicked elsewhere
 * @counts: of its queue
 * @old: where it was, or -1
 * @kick: where it is, or -1; what stands there was kicked for before
 *
 * Context: the queue is locked
 */
void vhx_counts_replace_kicks(struct vhx_counts *counts, int old, int kick)
{
	if (counts->is_watched)
		settle_kicks(counts, old);
	counts->unread = count_of(kick);
}

/**
 * vhx_counts_read_kicks - count those that were read
 * @counts: of the queue
 * @read: what stood in the descriptor, where there is nothing now
 *
 * Context: the queue is locked
 * Return: whether there were any
 */
bool vhx_counts_read_kicks(struct vhx_counts *counts, u64 read)
{
	bool has_any = read > counts->unread;

	if (!read)
		return false;
	if (has_any)
		counts->kicks += read - counts->unread;
	counts->unread = 0;
	return has_any;
}

static void sum_up_bursts(const struct vhx_counts *counts,
			  struct vhx_queue_stats *stats)
{
	uint64_t *const size[] = {
		&stats->burst_1, &stats->burst_2, &stats->burst_4,
		&stats->burst_8, &stats->burst_16, &stats->burst_32,
		&stats->burst_64,
	};
	unsigned int i;

	for (i = 1; i <= VHX_BURST_MAX; i++) {
		*size[31 - __builtin_clz(i)] += counts->bursts_of[i];
		stats->bursts += counts->bursts_of[i];
	}
	/* After each completion there is a call, or none. */
	stats->calls_saved = stats->bursts + counts->bursts_of[0] -
			     counts->stats.calls - counts->calls_failed;
}

/**
 * vhx_counts_sum_up - what was counted, as it is told
 * @counts: of the queue
 * @kick: where it is kicked, or -1
 * @stats: result
 *
 * Context: the queue is locked
 */
void vhx_counts_sum_up(const struct vhx_counts *counts, int kick,
		       struct vhx_queue_stats *stats)
{
	s64 ns = counts->wait_ns;
	u64 count = counts->is_watched ? count_of(kick) : 0;

	*stats = counts->stats;
	stats->guest_wait_ns = (u64)(ns < 0 ? ns + now_ns() : ns);
	stats->kicks = counts->kicks;
	if (count > counts->unread)
		stats->kicks += count - counts->unread;
	sum_up_bursts(counts, stats);
}
