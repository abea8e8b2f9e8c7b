// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* What a user asks of a queue beside bursts. */
#include <assert.h>
#include <string.h>
#include <sys/uio.h>

#include "device.h"

static struct vhx_queue *find_queue(const struct vhx_device *dev,
				    unsigned int index)
{
	return index < __atomic_load_n(&dev->nr_queues, __ATOMIC_ACQUIRE) ?
		dev->queue[index] : NULL;
}

/* Of a program that is older, or newer, than the library: what both know. */
static void give(void *to, size_t size, const void *from, size_t have)
{
	memset(to, 0, size);
	memcpy(to, from, min(size, have));
}

int vhx_queue_get_stats(const struct vhx_device *dev, unsigned int index,
			struct vhx_queue_stats *stats, size_t size)
{
	struct vhx_queue *queue = find_queue(dev, index);
	struct vhx_queue_stats now;

	if (!queue)
		return -ENOENT;
	/* The first ones cost nothing, for who asks at each burst. */
	if (size <= offsetof(struct vhx_queue_stats, calls_saved)) {
		give(stats, size, &queue->counts.stats, size);
		return 0;
	}
	vhx_queue_lock(queue);
	vhx_counts_sum_up(&queue->counts, queue->kick, &now);
	now.dirty_pages = queue->mem.dirty.pages;
	now.iotlb_misses = queue->mem.xlate.asked;
	now.iotlb_found = queue->mem.xlate.found;
	vhx_queue_unlock(queue);
	give(stats, size, &now, sizeof(now));
	return 0;
}

const char *vhx_queue_stats_name(unsigned int i)
{
#define NAME(field)							\
	[offsetof(struct vhx_queue_stats, field) / sizeof(uint64_t)] = #field
	static const char *const names[] = {
		NAME(frames), NAME(bytes), NAME(drop_short), NAME(drop_long),
		NAME(drop_writable), NAME(drop_room), NAME(drop_pkt_room),
		NAME(drop_offload), NAME(drop_disabled), NAME(drop_share),
		NAME(gso), NAME(csum), NAME(calls), NAME(errors), NAME(sleeps),
		NAME(kicks_empty), NAME(guest_waits), NAME(iotlb_waits),
		NAME(calls_saved), NAME(kicks), NAME(bursts), NAME(burst_1),
		NAME(burst_2), NAME(burst_4), NAME(burst_8), NAME(burst_16),
		NAME(burst_32), NAME(burst_64), NAME(guest_wait_ns),
		NAME(dirty_pages), NAME(iotlb_misses), NAME(iotlb_found),
	};
#undef NAME

	static_assert(sizeof(names) / sizeof(*names) ==
		      sizeof(struct vhx_queue_stats) / sizeof(uint64_t),
		      "each counter has a name");
	return i < sizeof(names) / sizeof(*names) ? names[i] : NULL;
}

int vhx_queue_get_info(const struct vhx_device *dev, unsigned int index,
		       struct vhx_queue_info *info, size_t size)
{
	struct vhx_queue *queue = find_queue(dev, index);
	struct vhx_queue_info now = {};

	if (!queue)
		return -ENOENT;
	vhx_queue_lock(queue);
	now.state = queue->is_broken ? VHX_QUEUE_FAILED :
		queue->runs && queue->is_taken_up ? VHX_QUEUE_RUNNING :
						    VHX_QUEUE_STOPPED;
	now.cause = queue->why_broken;
	now.size = queue->num;
	now.is_packed = vhx_has_feature(dev, VIRTIO_F_RING_PACKED);
	vhx_queue_unlock(queue);
	give(info, size, &now, sizeof(now));
	return 0;
}

uint64_t vhx_queue_stops(const struct vhx_device *dev, unsigned int index,
			 unsigned int cause)
{
	const struct vhx_queue *queue = find_queue(dev, index);

	return queue && cause < VHX_CAUSES ? queue->counts.stops[cause] : 0;
}

const char *vhx_stop_name(unsigned int cause)
{
	static const char *const names[VHX_CAUSES] = {
#define NAME(CAUSE, name, text)						\
		[VHX_CAUSE_##CAUSE] = #name,
		VHX_CAUSES_OF(NAME)
#undef NAME
	};

	return cause < VHX_CAUSES ? names[cause] : NULL;
}

const char *vhx_stop_text(unsigned int cause)
{
	return cause < VHX_CAUSES ? vhx_cause_text((enum vhx_cause)cause) : NULL;
}

int vhx_queue_kick_fd(const struct vhx_device *dev, unsigned int index)
{
	const struct vhx_queue *queue = find_queue(dev, index);

	return queue && queue->is_up && queue->kick >= 0 ? queue->kick :
							  -ENOENT;
}

unsigned int vhx_queue_size(const struct vhx_device *dev, unsigned int index)
{
	const struct vhx_queue *queue = find_queue(dev, index);

	return queue && queue->is_up ? queue->num : 0;
}

/*
 * Without waiting, whatever the client made of its file's O_NONBLOCK. Return: what
 * stood there.
 */
static u64 drain(int fd)
{
	u64 count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };

	if (fd < 0 || preadv2(fd, &iov, 1, -1, RWF_NOWAIT) != sizeof(count))
		return 0;
	return count;
}

/* Counts what came of kicks: nothing, if no buffer was taken since they were on. */
static void count_arm(struct vhx_queue *queue, bool was_kicked, bool has_more)
{
	struct vhx_counts *counts = &queue->counts;

	counts->stats.sleeps += !has_more;
	counts->stats.kicks_empty += was_kicked && !has_more &&
		counts->armed_pos == queue->ring.avail_pos;
	counts->armed_pos = queue->ring.avail_pos;
}

/* @read: of the kick descriptor. Return: as vhx_queue_notification() */
static int set_kicks(struct vhx_queue *queue, bool is_on, u64 read)
{
	bool was_kicked;
	int ret = -ENOENT;

	vhx_queue_lock(queue);
	was_kicked = vhx_counts_read_kicks(&queue->counts, read);
	queue->wants_kicks = is_on;
	if (queue->runs && queue->is_taken_up && !vhx_queue_lacks_memory(queue) &&
	    (queue->is_ready || !vhx_queue_find_areas(queue)))
		ret = is_on ? queue->ring.ops->arm(&queue->ring) :
			      queue->ring.ops->disarm(&queue->ring);
	if (ret < 0 && ret != -ENOENT)
		vhx_queue_fail(queue, ret);
	/* What is there cannot be read yet: one is woken by the answer. */
	if (ret > 0 && queue->waits)
		ret = 0;
	if (is_on && ret >= 0)
		count_arm(queue, was_kicked, ret);
	vhx_queue_unlock(queue);
	return ret < 0 ? -ENOENT : ret;
}

int vhx_queue_notification(struct vhx_device *dev, unsigned int index,
			   bool is_on)
{
	struct vhx_queue *queue = find_queue(dev, index);

	if (!queue)
		return -ENOENT;
	/* What was kicked for before is found by arming it. */
	return set_kicks(queue, is_on, is_on ? drain(queue->kick) : 0);
}

int vhx_queue_arm(struct vhx_device *dev, unsigned int index)
{
	struct vhx_queue *queue = find_queue(dev, index);

	return queue ? set_kicks(queue, true, 0) : -ENOENT;
}

unsigned int vhx_queue_depth(struct vhx_device *dev, unsigned int index)
{
	struct vhx_queue *queue = find_queue(dev, index);
	struct vhx_ring *ring;
	int nr = 0;

	if (!queue)
		return 0;
	ring = &queue->ring;
	vhx_queue_lock(queue);
	if (queue->runs && queue->is_taken_up && queue->is_ready) {
		nr = ring->ops->fetch(ring, &queue->burst, VHX_PKTS_MAX);
		if (nr > 0)
			vhx_ring_unfetch(ring, &queue->burst, 0);
		/* It is no burst to go on with. */
		queue->cursor = 0;
		queue->burst.nr = 0;
		/* A split ring says how far the guest has got. */
		if (nr > 0 && !ring->is_packed)
			nr = (u16)(ring->avail_idx - ring->avail_pos);
	}
	vhx_queue_unlock(queue);
	return nr > 0 ? (unsigned int)nr : 0;
}
