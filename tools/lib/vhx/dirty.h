/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The dirty log: a bitmap by guest address of what we wrote. */
#ifndef VHX_DIRTY_H
#define VHX_DIRTY_H

#include "ring_env.h"

/* vhost-user and <linux/vhost.h>: one bit stands for so much of guest memory. */
#define VHX_DIRTY_PAGE	0x1000

/**
 * struct vhx_dirty - the log as one queue writes it
 * @log: the bitmap, or NULL: nothing is logged
 * @len: bytes at @log
 * @pages: marked so far
 */
struct vhx_dirty {
	u8 *log;
	u64 len;
	u64 pages;
};

void vhx_dirty_set(struct vhx_dirty *dirty, u64 gpa, u64 len);

/**
 * vhx_dirty_log - log a write that was made
 * @dirty: the log
 * @gpa: first guest address
 * @len: bytes, at least 1
 *
 * Context: the queue is locked
 */
static inline void vhx_dirty_log(struct vhx_dirty *dirty, u64 gpa,
				 u64 len)
{
	if (unlikely(dirty->log))
		vhx_dirty_set(dirty, gpa, len);
}

#endif /* VHX_DIRTY_H */
