// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Calls to the guest, and to the user. */
#include "device.h"
#include "driver.h"
#include "notify.h"
#include "session.h"

/* Of vhx_notify_call(): the guest wants it. */
void vhx_notify_signal(struct vhx_queue *queue)
{
	if (queue->call >= 0 && !vhx_uring_signal(&queue->uring, queue->call))
		vhx_signal(&queue->dev->driver->session->signals, queue->call);
	queue->counts.stats.calls++;
}

/**
 * vhx_notify_user - have who uses the queue look at it, as a kick does
 * @queue: the queue
 *
 * Context: the session is locked
 */
void vhx_notify_user(struct vhx_queue *queue)
{
	vhx_queue_lock(queue);
	queue->counts.unread += queue->kick >= 0;
	vhx_queue_unlock(queue);
	vhx_signal(&queue->dev->driver->session->signals, queue->kick);
}
