// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Calls to the guest. */
#include "device.h"
#include "driver.h"
#include "notify.h"
#include "session.h"

/* Of vhx_notify_call(): the guest wants it. */
void vhx_notify_signal(struct vhx_queue *queue)
{
	if (queue->call >= 0 && !vhx_uring_signal(&queue->uring, queue->call))
		vhx_signal(&queue->dev->driver->session->signals, queue->call);
	queue->stats.calls++;
}
