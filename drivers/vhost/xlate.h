/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_XLATE_H
#define VHX_XLATE_H

#include <linux/uio.h>

#include "map.h"
#include "ring/ring.h"

/**
 * struct vhx_xlate - the way from descriptor addresses to the owner's
 * @map: the owner's memory; replaced under the vq mutex
 * @hit: range found last, or NULL
 */
struct vhx_xlate {
	const struct vhx_map *map;
	const struct vhx_range *hit;
};

int vhx_xlate_slots(struct vhx_xlate *xlate, const struct vhx_slot *slot,
		    unsigned int nr, struct iovec *iov, unsigned int max);
int vhx_xlate_read(struct vhx_xlate *xlate, u64 addr, void *dst, u32 len);

#endif /* VHX_XLATE_H */
