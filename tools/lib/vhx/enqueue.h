/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What frames to the guest need, whatever they and its buffers are. */
#ifndef VHX_ENQUEUE_H
#define VHX_ENQUEUE_H

#include "burst.h"

/* The frame waits for buffers; not an errno of any call. */
#define VHX_NO_BUFFERS	1

static inline void vhx_put16(bool is_le, u8 *to, u16 val)
{
	__virtio16 raw = __cpu_to_virtio16(is_le, val);

	memcpy(to, &raw, sizeof(raw));
}

/* Fetches chains. Return: 0, VHX_NO_BUFFERS or an errno. */
static inline int vhx_enqueue_fetch(struct vhx_queue *queue, unsigned int want)
{
	int ret;

	queue->cursor = 0;
	ret = queue->ring.ops->fetch(&queue->ring, &queue->burst,
				     min(want, (unsigned int)VHX_PKTS_MAX));
	queue->share -= (int)queue->burst.nr_steps;
	return ret < 0 ? ret : ret ? 0 : VHX_NO_BUFFERS;
}

/* Buffer @i of the burst, into the @at-th place behind those staged. */
static inline void vhx_enqueue_stage(struct vhx_queue *queue, unsigned int i,
				     unsigned int at, u32 len)
{
	struct vhx_used *used = &queue->used[queue->nr_used + at];

	*used = queue->burst.used[i];
	used->len = len;
}

/* Hands back what was fetched ahead. */
static inline void vhx_enqueue_give_back(struct vhx_queue *queue)
{
	if (queue->cursor < queue->burst.nr)
		vhx_ring_unfetch(&queue->ring, &queue->burst, queue->cursor);
	queue->cursor = 0;
	queue->burst.nr = 0;
}

/* enqueue_any.c: with the queue locked */
int vhx_enqueue_any(struct vhx_queue *queue, const struct vhx_pkt *pkt,
		    unsigned int want);

#endif /* VHX_ENQUEUE_H */
