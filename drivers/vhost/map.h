/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_MAP_H
#define VHX_MAP_H

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

/**
 * struct vhx_range - a run of addresses that the owner backs with memory
 * @first: first address
 * @last: last address, inclusive, so that a range may end at U64_MAX
 * @uaddr: owner's address of @first
 * @perm: VHOST_ACCESS_RO, _WO, both, or none
 * @node: place in the tree
 * @subtree_last: highest @last below @node
 * @age: place among the ranges of the map, the oldest first
 */
struct vhx_range {
	u64 first;
	u64 last;
	u64 uaddr;
	u8 perm;
	struct rb_node node;
	u64 subtree_last;
	struct list_head age;
};

/**
 * struct vhx_map - ranges of addresses; they may overlap
 * @tree: all by address
 * @ages: all by age
 * @nr: how many
 */
struct vhx_map {
	struct rb_root_cached tree;
	struct list_head ages;
	unsigned int nr;
};

struct vhx_map *vhx_map_alloc(void);
void vhx_map_free(struct vhx_map *map);
struct vhx_range *vhx_map_new_range(u64 first, u64 last, u64 uaddr, u8 perm);
void vhx_map_add(struct vhx_map *map, struct vhx_range *range);
void vhx_map_remove(struct vhx_map *map, struct vhx_range *range);
struct vhx_range *vhx_map_find(const struct vhx_map *map, u64 first, u64 last);

static inline bool vhx_range_has(const struct vhx_range *range, u64 addr)
{
	return addr >= range->first && addr <= range->last;
}

#endif /* VHX_MAP_H */
