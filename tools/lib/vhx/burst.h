/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What bursts of both directions begin and end with. */
#ifndef VHX_BURST_H
#define VHX_BURST_H

#include <string.h>

#include "device.h"
#include "notify.h"

/* Short frames are most frames: 32 to 64 bytes are copied without a call. */
static inline void vhx_burst_copy(u8 *dst, const u8 *src, u32 len)
{
	typedef u8 part __attribute__((vector_size(16), aligned(1), may_alias));
	const part *head = (const part *)src, *tail = (const part *)(src + len);
	part *to = (part *)dst, *to_tail = (part *)(dst + len);
	part a, b, c, d;

	if (len - 32 > 32) {
		memcpy(dst, src, len);
		return;
	}
	a = head[0];
	b = head[1];
	c = tail[-2];
	d = tail[-1];
	to[0] = a;
	to[1] = b;
	to_tail[-2] = c;
	to_tail[-1] = d;
}

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
	/* In one comparison, as they mostly are. */
	if (likely(queue->runs & queue->is_taken_up & queue->is_ready))
		return queue;
	if (queue->runs && queue->is_taken_up) {
		err = vhx_queue_lacks_memory(queue) ? -EAGAIN :
			vhx_queue_find_areas(queue);
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
			     VHX_CAUSE_BUF_IOTLB :
			     VHX_CAUSE_BUF_OUTSIDE);
}

/* dequeue.c: with the session locked */
bool vhx_queue_discard(struct vhx_queue *queue);
/* ahead.c: with the queue locked */
void vhx_queue_look_ahead(struct vhx_queue *queue);

#endif /* VHX_BURST_H */
