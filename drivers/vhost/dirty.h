/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_DIRTY_H
#define VHX_DIRTY_H

#include <linux/uio.h>

#include "map.h"

/* <linux/vhost.h>: one bit of the log stands for so much of guest memory. */
#define VHX_DIRTY_PAGE	0x1000

/**
 * struct vhx_dirty - the dirty log as one ring writes it
 * @base: owner's address of the bitmap
 * @map: guest memory, to find the guest's addresses of the owner's
 * @logs_buffers: VHOST_F_LOG_ALL
 * @logs_ring: VHOST_VRING_F_LOG
 * @ring_gpa: guest physical address of the Device Area, without an IOTLB
 * @is_fresh: bits were set that the client was not told of
 * @is_failed: what was written to the ring could not be logged
 * @faults: waits of this run for pages of the log
 * @was_vain: the last wait for a page was, and none could be written since
 * @pages: that were marked so far, each time
 */
struct vhx_dirty {
	u64 base;
	const struct vhx_map *map;
	bool logs_buffers;
	bool logs_ring;
	u64 ring_gpa;
	bool is_fresh;
	bool is_failed;
	unsigned int faults;
	bool was_vain;
	u64 pages;
};

bool vhx_dirty_is_base_ok(u64 base, u64 gpa, u64 len);
bool vhx_dirty_is_map_ok(u64 base, const struct vhx_map *map);
int vhx_dirty_log_gpa(struct vhx_dirty *dirty, u64 gpa, u64 len);
int vhx_dirty_log_uaddr(struct vhx_dirty *dirty, u64 uaddr, u64 len);
int vhx_dirty_log_iov(struct vhx_dirty *dirty, const struct iovec *iov,
		      unsigned int nr, size_t len);

#endif /* VHX_DIRTY_H */
