/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Calls to the guest. */
#ifndef VHX_NOTIFY_H
#define VHX_NOTIFY_H

#include "queue.h"

/* with the queue locked */
void vhx_notify_call(struct vhx_queue *queue);

#endif /* VHX_NOTIFY_H */
