/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What bursts of both directions begin and end with. */
#ifndef VHX_BURST_H
#define VHX_BURST_H

#include "device.h"

/* The queue, locked, or NULL: bursts find nothing there. */
static inline struct vhx_queue *vhx_burst_enter(struct vhx_device *dev, unsigned int index)
{
	struct vhx_queue *queue;
	int err;

	if (index >= __atomic_load_n(&dev->nr_queues, __ATOMIC_ACQUIRE))
		return NULL;
	queue = dev->queue[index];
	if (!vhx_queue_trylock(queue))
		return NULL;
	if (likely(queue->runs && queue->is_taken_up)) {
		if (likely(queue->is_ready))
			return queue;
		err = vhx_queue_find_areas(queue);
		if (!err)
			return queue;
		vhx_queue_fail(queue, err);
	}
	vhx_queue_unlock(queue);
	return NULL;
}

static inline void vhx_burst_leave(struct vhx_queue *queue)
{
	vhx_queue_unlock(queue);
}

/* Why an address of the guest's cannot be accessed, for the log. */
static inline int vhx_burst_fail_xlate(struct vhx_queue *queue, int err)
{
	return vhx_ring_fail(&queue->ring, err, err == -EPERM ?
			     "buffer not accessible by the IOTLB" :
			     "buffer outside of guest memory");
}

#endif /* VHX_BURST_H */
