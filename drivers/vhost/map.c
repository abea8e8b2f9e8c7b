// SPDX-License-Identifier: GPL-2.0-only
/* Interval map: a sorted array, searched by halving. Pure data structure. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "map.h"

/**
 * vhx_map_alloc - an empty map with room
 * @nr: ranges that the caller will fill in, then vhx_map_sort()
 *
 * Context: may sleep; charged to the caller.
 * Return: the map or NULL
 */
struct vhx_map *vhx_map_alloc(unsigned int nr)
{
	struct vhx_map *map;

	map = kvmalloc(struct_size(map, range, nr), GFP_KERNEL_ACCOUNT);
	if (map)
		map->nr = nr;
	return map;
}

/**
 * vhx_map_free - free a map
 * @map: the map or NULL
 *
 * Context: may sleep
 */
void vhx_map_free(struct vhx_map *map)
{
	kvfree(map);
}

static int compare_first(const void *a, const void *b)
{
	const struct vhx_range *l = a, *r = b;

	return l->first < r->first ? -1 : l->first > r->first;
}

/**
 * vhx_map_sort - make a filled-in map fit for vhx_map_find()
 * @map: the map
 */
void vhx_map_sort(struct vhx_map *map)
{
	u64 max_last = 0;
	unsigned int i;

	sort(map->range, map->nr, sizeof(map->range[0]), compare_first, NULL);
	for (i = 0; i < map->nr; i++) {
		max_last = max(max_last, map->range[i].last);
		map->range[i].max_last = max_last;
	}
}

/**
 * vhx_map_find - the range that holds an address
 * @map: the map
 * @addr: the address
 *
 * Of overlapping ranges that hold it, any one.
 *
 * Return: the range or NULL
 */
const struct vhx_range *vhx_map_find(const struct vhx_map *map, u64 addr)
{
	unsigned int lo = 0, hi = map->nr, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (map->range[mid].first <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Those before lo begin low enough; max_last says when none reaches. */
	while (lo-- && map->range[lo].max_last >= addr)
		if (map->range[lo].last >= addr)
			return &map->range[lo];
	return NULL;
}
