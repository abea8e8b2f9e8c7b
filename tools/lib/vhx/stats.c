// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* What a user asks of a queue beside bursts. */
#include <string.h>
#include <sys/uio.h>

#include "device.h"

static struct vhx_queue *find_queue(const struct vhx_device *dev,
				    unsigned int index)
{
	return index < __atomic_load_n(&dev->nr_queues, __ATOMIC_ACQUIRE) ?
		dev->queue[index] : NULL;
}

int vhx_queue_get_stats(const struct vhx_device *dev, unsigned int index,
			struct vhx_queue_stats *stats, size_t size)
{
	const struct vhx_queue *queue = find_queue(dev, index);
	struct vhx_queue_stats now;

	if (!queue)
		return -ENOENT;
	now = queue->stats;
	now.iotlb_misses = queue->mem.xlate.asked;
	/* Of a program that is older, or newer: what both know. */
	memset(stats, 0, size);
	memcpy(stats, &now, min(size, sizeof(now)));
	return 0;
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

/* Without waiting, whatever the client made of its file's O_NONBLOCK. */
static void drain(int fd)
{
	u64 count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };

	if (fd >= 0 && preadv2(fd, &iov, 1, -1, RWF_NOWAIT) != sizeof(count))
		return;
}

/* Return: as vhx_queue_notification() */
static int set_kicks(struct vhx_queue *queue, bool is_on)
{
	int ret = -ENOENT;

	vhx_queue_lock(queue);
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
	if (is_on)
		drain(queue->kick);
	return set_kicks(queue, is_on);
}

int vhx_queue_arm(struct vhx_device *dev, unsigned int index)
{
	struct vhx_queue *queue = find_queue(dev, index);

	return queue ? set_kicks(queue, true) : -ENOENT;
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
