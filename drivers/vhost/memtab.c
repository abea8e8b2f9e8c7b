// SPDX-License-Identifier: GPL-2.0-only
/*
 * SET_MEM_TABLE. Ranges are checked, never pinned or faulted in: clients hand
 * over tens of GiB of reserved and mostly unmapped addresses.
 */
#include <linux/uaccess.h>

#include "vhx.h"

/* Module parameter max_mem_regions. */
unsigned short vhx_max_mem_regions = 509;

static int read_region(const struct vhost_memory_region __user *from,
		       struct vhx_range *range)
{
	struct vhost_memory_region region;

	if (copy_from_user(&region, from, sizeof(region)))
		return -EFAULT;
	/* Also refuses an empty region. */
	if (region.guest_phys_addr + region.memory_size - 1 <
	    region.guest_phys_addr || !region.memory_size)
		return -EFAULT;
	range->first = region.guest_phys_addr;
	range->last = region.guest_phys_addr + region.memory_size - 1;
	range->uaddr = region.userspace_addr;
	return 0;
}

static bool is_user(const struct vhx_map *map)
{
	const struct vhx_range *range = map->range;
	u64 size;

	for (; range < map->range + map->nr; range++) {
		size = range->last - range->first + 1;
		if (size > ULONG_MAX || range->uaddr > ULONG_MAX ||
		    range->uaddr + size - 1 < range->uaddr ||
		    !access_ok((void __user *)(unsigned long)range->uaddr,
			       size))
			return false;
	}
	return true;
}

/**
 * vhx_memtab_replace - put a map into place, free the old one
 * @dev: the device
 * @map: the new map or NULL
 *
 * Context: dev mutex, no vq mutex
 */
void vhx_memtab_replace(struct vhx_dev *dev, struct vhx_map *map)
{
	struct vhx_vq *rx = &dev->vq[VHX_RXQ], *tx = &dev->vq[VHX_TXQ];

	mutex_lock(&rx->mutex);
	mutex_lock_nested(&tx->mutex, VHX_TXQ);
	swap(dev->map, map);
	rx->mem.xlate = (struct vhx_xlate){ .map = dev->map };
	tx->mem.xlate = (struct vhx_xlate){ .map = dev->map };
	mutex_unlock(&tx->mutex);
	mutex_unlock(&rx->mutex);
	vhx_map_free(map);
}

/**
 * vhx_memtab_set - VHOST_SET_MEM_TABLE
 * @dev: the device
 * @head: count of regions
 * @region: the regions
 *
 * Overlapping regions and an empty table are accepted, as in-tree. With a
 * ring running, the owner's addresses must be user addresses; else they are
 * checked when they are used.
 *
 * Context: owner, dev mutex
 * Return: 0, -EOPNOTSUPP (padding), -E2BIG (more than max_mem_regions),
 * -EFAULT (not readable, empty or wrapping region), -ENOMEM
 */
int vhx_memtab_set(struct vhx_dev *dev, const struct vhost_memory *head,
		   const struct vhost_memory_region __user *region)
{
	struct vhx_map *map;
	unsigned int i;
	int err;

	if (head->padding)
		return -EOPNOTSUPP;
	if (head->nregions > vhx_max_mem_regions)
		return -E2BIG;
	map = vhx_map_alloc(head->nregions);
	if (!map)
		return -ENOMEM;

	for (i = 0; i < map->nr; i++) {
		err = read_region(&region[i], &map->range[i]);
		if (err)
			goto err_map;
	}
	/* Backends change under dev->mutex, so this look is not too early. */
	if ((dev->vq[VHX_RXQ].backend || dev->vq[VHX_TXQ].backend) &&
	    !is_user(map)) {
		err = -EFAULT;
		goto err_map;
	}
	vhx_map_sort(map);
	vhx_memtab_replace(dev, map);
	/* A ring that stopped on an address without memory may go on now. */
	vhx_worker_queue(dev->worker, &dev->vq[VHX_RXQ].work);
	vhx_worker_queue(dev->worker, &dev->vq[VHX_TXQ].work);
	return 0;

err_map:
	vhx_map_free(map);
	return err;
}
