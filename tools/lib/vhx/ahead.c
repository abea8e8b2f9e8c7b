// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Translations that frames to the guest will want. */
#include "burst.h"

/**
 * vhx_queue_look_ahead - ask for translations of the buffers that come next
 * @queue: a receiveq; without an IOTLB this does nothing
 *
 * A frame is not kept for a guest whose buffer has no translation yet: its sender
 * would have to. So they are asked for before there is a frame.
 *
 * Context: the queue is locked
 */
void vhx_queue_look_ahead(struct vhx_queue *queue)
{
	struct vhx_burst *burst = &queue->burst;
	const struct vhx_chain *chain;
	unsigned int i, k;
	int ret;

	/* It pays for itself, and a frame never for it. */
	if (likely(!queue->mem.xlate.iotlb) || !queue->is_ready ||
	    queue->share < VHX_SLOTS_MAX)
		return;
	ret = queue->ring.ops->fetch(&queue->ring, burst, VHX_PKTS_MAX);
	for (i = 0; ret > 0 && i < burst->nr; i++) {
		chain = vhx_burst_chain(burst, i);
		for (k = 0; k < chain->nr_in; k++)
			vhx_xlate_want(&queue->mem.xlate, chain->slot[k].addr,
				       chain->slot[k].len, VHOST_ACCESS_WO);
	}
	if (ret > 0)
		vhx_ring_unfetch(&queue->ring, burst, 0);
	else if (ret < 0)
		vhx_queue_fail(queue, ret);
	queue->share -= ret > 0 ? (int)burst->nr_steps : 0;
	queue->cursor = 0;
	burst->nr = 0;
}
