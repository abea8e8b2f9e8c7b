/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Calls to the guest, and to the user. */
#ifndef VHX_NOTIFY_H
#define VHX_NOTIFY_H

#include "queue.h"

/* notify.c: with the queue locked */
void vhx_notify_signal(struct vhx_queue *queue);
/* with the session locked, and the queue not */
void vhx_notify_user(struct vhx_queue *queue);

/**
 * vhx_notify_call - signal the guest, if it wants that
 * @queue: a queue that completed something
 *
 * Context: the queue is locked
 */
static inline void vhx_notify_call(struct vhx_queue *queue)
{
	int ret = queue->ring.ops->call_needed(&queue->ring);

	if (likely(!ret))
		return;
	if (ret > 0) {
		vhx_notify_signal(queue);
		return;
	}
	queue->counts.calls_failed++;
	vhx_queue_fail(queue, ret);
}

#endif /* VHX_NOTIFY_H */
