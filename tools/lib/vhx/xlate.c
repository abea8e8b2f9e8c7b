// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Ring and descriptor addresses to memory of ours: by regions, or by an IOTLB. */
#include <string.h>

#include "xlate.h"

#define PAGE	0x1000

/**
 * vhx_xlate_reset - look up all anew
 * @xlate: translation of the queue's addresses
 * @regions: guest memory
 * @iotlb: where to look instead, or NULL
 *
 * Context: the queue is locked
 */
void vhx_xlate_reset(struct vhx_xlate *xlate, const struct vhx_regions *regions,
		     struct vhx_iotlb *iotlb)
{
	xlate->hit.size = 0;
	xlate->regions = regions;
	xlate->iotlb = iotlb;
	xlate->nr_misses = 0;
}

/**
 * vhx_xlate_answer - take note of a translation
 * @xlate: translation of the queue's addresses
 * @entry: the translation
 *
 * Context: the queue is locked
 */
void vhx_xlate_answer(struct vhx_xlate *xlate,
		      const struct vhx_iotlb_entry *entry)
{
	unsigned int i, left = 0;

	xlate->hit.size = 0;
	for (i = 0; i < xlate->nr_misses; i++)
		if (xlate->miss[i].iova < entry->first ||
		    xlate->miss[i].iova > entry->last)
			xlate->miss[left++] = xlate->miss[i];
	xlate->nr_misses = left;
}

/* Asks once for a page, and for as many as can be noted. */
static void ask(struct vhx_xlate *xlate, u64 iova, u8 perm)
{
	struct vhx_miss *miss = xlate->miss;

	for (; miss < xlate->miss + xlate->nr_misses; miss++)
		if (miss->iova / PAGE == iova / PAGE &&
		    (miss->perm & perm) == perm)
			return;
	if (xlate->nr_misses == VHX_MISSES_MAX)
		return;
	if (xlate->iotlb->ask(xlate->iotlb->arg, iova, perm))
		return;
	*miss = (struct vhx_miss){ .iova = iova, .perm = perm };
	xlate->nr_misses++;
	xlate->asked++;
}

static void hit_region(struct vhx_hit *hit, const struct vhx_region *region,
		       u64 off)
{
	hit->ptr = region->ptr + off;
	hit->gpa = region->gpa + off;
}

static int look_up_iotlb(struct vhx_xlate *xlate, u64 iova, u8 perm)
{
	const struct vhx_iotlb_entry *entry = vhx_iotlb_find(xlate->iotlb, iova);
	struct vhx_hit *hit = &xlate->hit;
	const struct vhx_region *region;
	u64 uaddr, rest, left;

	hit->size = 0;
	if (!entry) {
		ask(xlate, iova, perm);
		return -EAGAIN;
	}
	if ((entry->perm & perm) != perm)
		return -EPERM;
	uaddr = entry->uaddr + (iova - entry->first);
	region = vhx_region_find_uaddr(xlate->regions, uaddr);
	if (!region)
		return -EFAULT;
	xlate->found++;
	rest = entry->last - iova;
	left = region->size - (uaddr - region->uaddr);
	hit->first = iova;
	/* Of a translation of all 2^64 addresses the size itself would wrap. */
	hit->size = rest < left ? rest + 1 : left;
	hit->perm = entry->perm;
	hit_region(hit, region, uaddr - region->uaddr);
	return 0;
}

/**
 * vhx_xlate_look_up - find an address that is not in the last hit
 * @xlate: translation of the queue's addresses; its hit is the result
 * @addr: the address
 * @perm: VHOST_ACCESS_* that is needed
 *
 * Context: the queue is locked
 * Return: 0, -EFAULT (nothing there), -EPERM, -EAGAIN (asked for)
 */
int vhx_xlate_look_up(struct vhx_xlate *xlate, u64 addr, u8 perm)
{
	struct vhx_hit *hit = &xlate->hit;
	const struct vhx_region *region;

	if (xlate->iotlb)
		return look_up_iotlb(xlate, addr, perm);
	region = xlate->regions ? vhx_region_find(xlate->regions, addr) : NULL;
	if (!region)
		return -EFAULT;
	hit->first = region->gpa;
	hit->size = region->size;
	hit->perm = VHOST_ACCESS_RW;
	hit_region(hit, region, 0);
	return 0;
}

/**
 * vhx_xlate_read - copy from an address
 * @xlate: translation of the queue's addresses
 * @addr: the address; @addr + @len does not wrap
 * @dst: destination
 * @len: bytes
 *
 * Context: the queue is locked
 * Return: 0, -EFAULT, -EPERM, -EAGAIN
 */
int vhx_xlate_read(struct vhx_xlate *xlate, u64 addr, void *dst, u32 len)
{
	u32 part;
	u8 *ptr;
	int err;

	for (; len; len -= part, addr += part, dst = (u8 *)dst + part) {
		part = len;
		err = vhx_xlate_find(xlate, addr, VHOST_ACCESS_RO, &part, &ptr);
		if (err)
			return err;
		memcpy(dst, ptr, part);
	}
	return 0;
}

/**
 * vhx_xlate_write - copy to an address
 * @xlate: translation of the queue's addresses
 * @addr: the address; @addr + @len does not wrap
 * @src: source
 * @len: bytes
 * @dirty: where to log it
 *
 * Context: the queue is locked
 * Return: 0, -EFAULT, -EPERM, -EAGAIN
 */
int vhx_xlate_write(struct vhx_xlate *xlate, u64 addr, const void *src,
		    u32 len, struct vhx_dirty *dirty)
{
	u32 part;
	u8 *ptr;
	int err;

	for (; len; len -= part, addr += part, src = (const u8 *)src + part) {
		part = len;
		err = vhx_xlate_find(xlate, addr, VHOST_ACCESS_WO, &part, &ptr);
		if (err)
			return err;
		memcpy(ptr, src, part);
		vhx_dirty_log(dirty, xlate->hit.gpa + (addr - xlate->hit.first),
			      part);
	}
	return 0;
}

/**
 * vhx_xlate_want - ask for what will be needed soon; a no-op without an IOTLB
 * @xlate: translation of the queue's addresses
 * @addr: address
 * @len: bytes
 * @perm: VHOST_ACCESS_*
 *
 * Context: the queue is locked
 */
void vhx_xlate_want(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm)
{
	u64 page = addr & ~(u64)(PAGE - 1), last = addr + len - 1;
	unsigned int i;

	if (!xlate->iotlb || !len || last < addr)
		return;
	for (i = 0; i < VHX_MISSES_MAX && page <= last; i++, page += PAGE) {
		if (!vhx_iotlb_find(xlate->iotlb, page < addr ? addr : page))
			ask(xlate, page < addr ? addr : page, perm);
		if (page + PAGE < page)
			break;
	}
}

/**
 * vhx_xlate_area - find a part of a ring
 * @xlate: translation of the queue's addresses
 * @addr: its address
 * @len: bytes, at least 1
 * @perm: VHOST_ACCESS_*
 * @ptr: result, or NULL: it is all there, but in pieces
 * @gpa: guest address of it, if it is in one
 *
 * Context: the queue is locked
 * Return: 0, -EFAULT, -EPERM, -EAGAIN
 */
int vhx_xlate_area(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm,
		   u8 **ptr, u64 *gpa)
{
	u8 *part, *next = NULL;
	u32 size, left = len;
	int err;

	if (addr + (len - 1) < addr)
		return -EFAULT;
	*ptr = NULL;
	for (; left; left -= size, addr += size) {
		size = left;
		err = vhx_xlate_find(xlate, addr, perm, &size, &part);
		if (err)
			return err;
		if (left == len) {
			*ptr = part;
			*gpa = xlate->hit.gpa + (addr - xlate->hit.first);
		} else if (part != next) {
			*ptr = NULL;
		}
		next = part + size;
	}
	return 0;
}
