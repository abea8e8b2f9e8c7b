// SPDX-License-Identifier: GPL-2.0-only
/*
 * SET_MEM_TABLE. Ranges are checked, never pinned or faulted in: clients hand
 * over tens of GiB of reserved and mostly unmapped addresses.
 */
#include <linux/err.h>
#include <linux/uaccess.h>

#include "vhx.h"

/* Module parameter max_mem_regions. */
unsigned short vhx_max_mem_regions = 509;

static int add_region(struct vhx_map *map,
		      const struct vhost_memory_region __user *from)
{
	struct vhost_memory_region region;
	struct vhx_range *range;

	if (copy_from_user(&region, from, sizeof(region)))
		return -EFAULT;
	/* Also refuses an empty region. */
	if (region.guest_phys_addr + region.memory_size - 1 <
	    region.guest_phys_addr || !region.memory_size)
		return -EFAULT;
	range = vhx_map_new_range(region.guest_phys_addr,
				  region.guest_phys_addr +
				  region.memory_size - 1,
				  region.userspace_addr, VHOST_ACCESS_RW);
	if (!range)
		return -ENOMEM;
	vhx_map_add(map, range);
	return 0;
}

static bool is_user(const struct vhx_map *map)
{
	const struct vhx_range *range;
	u64 size;

	list_for_each_entry(range, &map->ages, age) {
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
 * vhx_memtab_load - a map of the client's regions
 * @region: the regions
 * @nr: how many
 *
 * Context: may sleep and fault, so no lock; charged to the caller
 * Return: the map, or ERR_PTR(): -E2BIG (more than max_mem_regions), -EFAULT
 * (not readable, empty or wrapping region), -ENOMEM
 */
struct vhx_map *vhx_memtab_load(const struct vhost_memory_region __user *region,
				u32 nr)
{
	struct vhx_map *map;
	unsigned int i;
	int err;

	if (nr > vhx_max_mem_regions)
		return ERR_PTR(-E2BIG);
	map = vhx_map_alloc();
	if (!map)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < nr; i++) {
		err = add_region(map, &region[i]);
		if (err) {
			vhx_map_free(map);
			return ERR_PTR(err);
		}
	}
	return map;
}

/**
 * vhx_memtab_replace - put a map into place
 * @dev: the device
 * @map: the new map or NULL; result: the old one, which is the caller's
 *
 * Context: dev mutex, no vq mutex
 */
void vhx_memtab_replace(struct vhx_dev *dev, struct vhx_map **map)
{
	struct vhx_vq *rx = &dev->vq[VHX_RXQ], *tx = &dev->vq[VHX_TXQ], *vq;

	mutex_lock(&rx->mutex);
	mutex_lock_nested(&tx->mutex, VHX_TXQ);
	swap(dev->map, *map);
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		vhx_xlate_set(&vq->mem.xlate, dev->map, vq->mem.xlate.iotlb);
		vq->mem.dirty.map = dev->map;
	}
	mutex_unlock(&tx->mutex);
	mutex_unlock(&rx->mutex);
}

/**
 * vhx_memtab_set - VHOST_SET_MEM_TABLE
 * @dev: the device
 * @map: of vhx_memtab_load(); result: the old map if the new one was taken
 *
 * Overlapping regions and an empty table are accepted, as in-tree. With a
 * ring running, the owner's addresses must be user addresses; else they are
 * checked when they are used.
 *
 * Context: owner, dev mutex
 * Return: 0, -EFAULT (running and no user memory or not in the dirty log)
 */
int vhx_memtab_set(struct vhx_dev *dev, struct vhx_map **map)
{
	/* Backends change under dev->mutex, so this look is not too early. */
	if ((dev->vq[VHX_RXQ].backend || dev->vq[VHX_TXQ].backend) &&
	    (!is_user(*map) ||
	     (vhx_has_feature(dev, VHOST_F_LOG_ALL) &&
	      !vhx_dirty_is_map_ok(dev->log_base, *map))))
		return -EFAULT;
	vhx_memtab_replace(dev, map);
	/* A ring that stopped on an address without memory may go on now. */
	vhx_worker_queue(&dev->vq[VHX_RXQ].work);
	vhx_worker_queue(&dev->vq[VHX_TXQ].work);
	return 0;
}
