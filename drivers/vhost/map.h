/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_MAP_H
#define VHX_MAP_H

#include <linux/types.h>

/**
 * struct vhx_range - a run of addresses that the owner backs with memory
 * @first: first address
 * @last: last address, inclusive, so that a range may end at U64_MAX
 * @uaddr: owner's address of @first
 * @max_last: highest @last of this range and all before it
 */
struct vhx_range {
	u64 first;
	u64 last;
	u64 uaddr;
	u64 max_last;
};

/**
 * struct vhx_map - ranges sorted by first address; they may overlap
 * @nr: how many
 * @range: the ranges
 */
struct vhx_map {
	unsigned int nr;
	struct vhx_range range[];
};

struct vhx_map *vhx_map_alloc(unsigned int nr);
void vhx_map_free(struct vhx_map *map);
void vhx_map_sort(struct vhx_map *map);
const struct vhx_range *vhx_map_find(const struct vhx_map *map, u64 addr);

static inline bool vhx_range_has(const struct vhx_range *range, u64 addr)
{
	return addr >= range->first && addr <= range->last;
}

#endif /* VHX_MAP_H */
