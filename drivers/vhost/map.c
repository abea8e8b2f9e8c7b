// SPDX-License-Identifier: GPL-2.0-only
/* Interval map. Pure data structure: who calls keeps others out. */
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "map.h"

static u64 first_of(const struct vhx_range *range)
{
	return range->first;
}

static u64 last_of(const struct vhx_range *range)
{
	return range->last;
}

INTERVAL_TREE_DEFINE(struct vhx_range, node, u64, subtree_last, first_of,
		     last_of, static __maybe_unused, tree);

/**
 * vhx_map_alloc - an empty map
 *
 * Context: may sleep; charged to the caller
 * Return: the map or NULL
 */
struct vhx_map *vhx_map_alloc(void)
{
	struct vhx_map *map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);

	if (map) {
		map->tree = RB_ROOT_CACHED;
		INIT_LIST_HEAD(&map->ages);
	}
	return map;
}

/**
 * vhx_map_free - free a map and its ranges
 * @map: the map or NULL
 *
 * Context: may sleep
 */
void vhx_map_free(struct vhx_map *map)
{
	struct vhx_range *range, *next;

	if (!map)
		return;
	list_for_each_entry_safe(range, next, &map->ages, age)
		kfree(range);
	kfree(map);
}

/**
 * vhx_map_new_range - a range for vhx_map_add()
 * @first: first address
 * @last: last address, at least @first
 * @uaddr: owner's address of @first
 * @perm: VHOST_ACCESS_*
 *
 * Context: may sleep; charged to the caller
 * Return: the range, to be freed with kfree(), or NULL
 */
struct vhx_range *vhx_map_new_range(u64 first, u64 last, u64 uaddr, u8 perm)
{
	struct vhx_range *range = kmalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);

	if (range)
		*range = (struct vhx_range){ .first = first, .last = last,
					     .uaddr = uaddr, .perm = perm };
	return range;
}

/**
 * vhx_map_add - add a range, which belongs to the map from here on
 * @map: the map
 * @range: the range
 */
void vhx_map_add(struct vhx_map *map, struct vhx_range *range)
{
	tree_insert(range, &map->tree);
	list_add_tail(&range->age, &map->ages);
	map->nr++;
}

/**
 * vhx_map_remove - take a range out, which is the caller's again
 * @map: the map
 * @range: one of its ranges
 */
void vhx_map_remove(struct vhx_map *map, struct vhx_range *range)
{
	tree_remove(range, &map->tree);
	list_del(&range->age);
	map->nr--;
}

/**
 * vhx_map_find - a range that holds one of these addresses
 * @map: the map
 * @first: the first of them
 * @last: the last of them
 *
 * Of several the one that begins lowest.
 *
 * Return: the range or NULL
 */
struct vhx_range *vhx_map_find(const struct vhx_map *map, u64 first, u64 last)
{
	/* The macro's functions know no const. */
	return tree_iter_first((struct rb_root_cached *)&map->tree, first,
			       last);
}
