// SPDX-License-Identifier: GPL-2.0-only
/* Descriptor addresses to the owner's addresses. */
#include <linux/errno.h>
#include <linux/uaccess.h>

#include "xlate.h"

/*
 * Finds @addr and cuts @len (at least 1) to what is contiguous from there.
 * Guests have few regions and nearly all buffers lie in one, so the range
 * found last is tried first.
 */
static void __user *find(struct vhx_xlate *xlate, u64 addr, u64 *len)
{
	const struct vhx_range *range = xlate->hit;
	u64 rest;

	if (!range || !vhx_range_has(range, addr)) {
		range = xlate->map ? vhx_map_find(xlate->map, addr) : NULL;
		if (!range)
			return NULL;
		xlate->hit = range;
	}
	/* Of a range over all 2^64 addresses the length itself would wrap. */
	rest = range->last - addr;
	if (*len - 1 > rest)
		*len = rest + 1;
	return (void __user *)(unsigned long)
		(range->uaddr + (addr - range->first));
}

/**
 * vhx_xlate_slots - turn descriptors into iovecs
 * @xlate: the way
 * @slot: the descriptors, none empty, none wrapping
 * @nr: how many
 * @iov: result
 * @max: room in @iov
 *
 * A descriptor that spans regions takes several iovecs. The addresses are as
 * the owner gave them: who copies checks access_ok().
 *
 * Context: vq mutex
 * Return: iovecs used, -EFAULT (not in the owner's memory), -ENOBUFS
 */
int vhx_xlate_slots(struct vhx_xlate *xlate, const struct vhx_slot *slot,
		    unsigned int nr, struct iovec *iov, unsigned int max)
{
	unsigned int i, used = 0;
	u64 addr, left, len;

	for (i = 0; i < nr; i++) {
		addr = slot[i].addr;
		for (left = slot[i].len; left; left -= len, addr += len) {
			if (used == max)
				return -ENOBUFS;
			len = left;
			iov[used].iov_base = find(xlate, addr, &len);
			if (!iov[used].iov_base)
				return -EFAULT;
			iov[used++].iov_len = len;
		}
	}
	return used;
}

/**
 * vhx_xlate_read - copy from a descriptor address
 * @xlate: the way
 * @addr: address; @addr + @len does not wrap
 * @dst: destination
 * @len: bytes
 *
 * Context: vq mutex, on the owner's mm; may fault
 * Return: 0 or -EFAULT
 */
int vhx_xlate_read(struct vhx_xlate *xlate, u64 addr, void *dst, u32 len)
{
	void __user *uaddr;
	u64 part;

	for (; len; len -= part, addr += part, dst += part) {
		part = len;
		uaddr = find(xlate, addr, &part);
		if (!uaddr || copy_from_user(dst, uaddr, part))
			return -EFAULT;
	}
	return 0;
}
