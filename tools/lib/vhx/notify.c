// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Calls to the guest. */
#include "device.h"
#include "driver.h"
#include "notify.h"
#include "session.h"

/**
 * vhx_notify_call - signal the guest, if it wants that
 * @queue: a queue that completed something
 *
 * Context: the queue is locked
 */
void vhx_notify_call(struct vhx_queue *queue)
{
	int ret = queue->ring.ops->call_needed(&queue->ring);

	if (ret < 0) {
		vhx_queue_fail(queue, ret);
	} else if (ret) {
		vhx_signal(&queue->dev->driver->session->signals, queue->call);
		queue->stats.calls++;
	} else {
		queue->stats.calls_saved++;
	}
}
