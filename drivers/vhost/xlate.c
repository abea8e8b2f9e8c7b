// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptor and ring addresses to the owner's addresses: by the memory
 * table, or by an IOTLB whose misses the client is asked for.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

#include "dirty.h"
#include "trace.h"
#include "xlate.h"

/**
 * vhx_xlate_set - choose where to look
 * @xlate: translation of the ring's addresses
 * @map: the owner's memory or NULL
 * @iotlb: where to look instead, or NULL
 *
 * Misses that the client did not answer are forgotten.
 *
 * Context: vq mutex
 */
void vhx_xlate_set(struct vhx_xlate *xlate, const struct vhx_map *map,
		   struct vhx_iotlb *iotlb)
{
	vhx_xlate_forget_misses(xlate);
	xlate->map = map;
	xlate->iotlb = iotlb;
	vhx_xlate_forget_hits(xlate);
}

/**
 * vhx_xlate_forget_misses - want no answers any more
 * @xlate: translation of the ring's addresses
 *
 * Context: vq mutex
 */
void vhx_xlate_forget_misses(struct vhx_xlate *xlate)
{
	if (!xlate->iotlb)
		return;
	spin_lock(&xlate->iotlb->lock);
	WRITE_ONCE(xlate->nr_misses, 0);
	spin_unlock(&xlate->iotlb->lock);
}

/**
 * vhx_xlate_forget_hits - empty the cache, before ranges are freed
 * @xlate: translation of the ring's addresses
 *
 * Context: vq mutex
 */
void vhx_xlate_forget_hits(struct vhx_xlate *xlate)
{
	memset(xlate->hit, 0, sizeof(xlate->hit));
}

/*
 * Notes a miss, once a page, and calls the client. Asking is bounded: where
 * there is no room, one that was only wanted makes way for one that is needed.
 */
static void add_miss(struct vhx_xlate *xlate, u64 iova, u8 perm, bool is_needed)
{
	struct vhx_miss *miss = xlate->miss;

	for (; miss < xlate->miss + xlate->nr_misses; miss++)
		if (miss->iova >> VHX_XLATE_SHIFT == iova >> VHX_XLATE_SHIFT &&
		    (miss->perm & perm) == perm)
			return;
	if (xlate->nr_misses == VHX_MISSES_MAX) {
		if (!is_needed)
			return;
		WRITE_ONCE(xlate->nr_misses, xlate->nr_misses - 1);
		miss--;
	}
	*miss = (struct vhx_miss){ .iova = iova, .perm = perm };
	WRITE_ONCE(xlate->nr_misses, xlate->nr_misses + 1);
	WRITE_ONCE(xlate->asked, xlate->asked + 1);
	trace_vhx_iotlb_miss(xlate, iova, perm, is_needed);
	wake_up_interruptible_poll(&xlate->iotlb->wait,
				   EPOLLIN | EPOLLRDNORM);
}

static const struct vhx_range *look_up(struct vhx_xlate *xlate, u64 addr,
				       u8 perm, bool is_needed)
{
	const struct vhx_range *range;

	if (!xlate->iotlb)
		return xlate->map ? vhx_map_find(xlate->map, addr, addr) : NULL;
	/* Under one lock, so that no answer slips in between. */
	spin_lock(&xlate->iotlb->lock);
	range = vhx_map_find(xlate->iotlb->map, addr, addr);
	if (!range)
		add_miss(xlate, addr, perm, is_needed);
	spin_unlock(&xlate->iotlb->lock);
	return range;
}

/*
 * Finds @addr and cuts @len (at least 1) to what is contiguous from there.
 * Guests have few regions and nearly all buffers lie in one, so what was
 * found last is tried first. Return: 0, -ENXIO (nothing there), -EPERM,
 * -EAGAIN (asked for).
 */
static __always_inline int locate(struct vhx_xlate *xlate, u64 addr, u8 perm,
				  u64 *len, void __user **uaddr)
{
	const struct vhx_range **hit = xlate->hit, *range;
	u64 rest;

	if (xlate->iotlb)
		hit += (addr >> VHX_XLATE_SHIFT) % VHX_HITS;
	range = *hit;
	if (!range || !vhx_range_has(range, addr)) {
		range = look_up(xlate, addr, perm, true);
		if (!range)
			return xlate->iotlb ? -EAGAIN : -ENXIO;
		*hit = range;
	}
	if ((range->perm & perm) != perm)
		return -EPERM;
	/* Of a range over all 2^64 addresses the length itself would wrap. */
	rest = range->last - addr;
	if (*len - 1 > rest)
		*len = rest + 1;
	*uaddr = (void __user *)(unsigned long)
		(range->uaddr + (addr - range->first));
	return 0;
}

static void count_found(struct vhx_xlate *xlate, unsigned int nr)
{
	WRITE_ONCE(xlate->found, xlate->found + nr);
}

static inline int find(struct vhx_xlate *xlate, u64 addr, u8 perm, u64 *len,
		       void __user **uaddr)
{
	int err = locate(xlate, addr, perm, len, uaddr);

	if (!err)
		count_found(xlate, 1);
	return err;
}

static u8 perm_of(const struct vhx_slot *slot)
{
	BUILD_BUG_ON(VHOST_ACCESS_WO != VRING_DESC_F_WRITE);
	return slot->flags & VRING_DESC_F_WRITE ?: VHOST_ACCESS_RO;
}

/**
 * vhx_xlate_slots - turn descriptors into iovecs
 * @xlate: translation of the ring's addresses
 * @slot: the descriptors, none empty, none wrapping
 * @nr: how many
 * @iov: result
 * @max: room in @iov
 *
 * A descriptor that spans regions takes several iovecs. The addresses are as
 * the owner gave them: who copies checks access_ok().
 *
 * Context: vq mutex
 * Return: iovecs used, -ENXIO (not in the owner's memory), -EPERM, -ENOBUFS,
 * -EAGAIN (asked for; comes back when answered)
 */
int vhx_xlate_slots(struct vhx_xlate *xlate, const struct vhx_slot *slot,
		    unsigned int nr, struct iovec *iov, unsigned int max)
{
	const struct vhx_slot *end = slot + nr;
	unsigned int used = 0;
	u64 addr, left, len;
	int err;

	for (; slot < end; slot++) {
		addr = slot->addr;
		left = slot->len;
		do {
			if (used == max)
				return -ENOBUFS;
			len = left;
			err = find(xlate, addr, perm_of(slot), &len,
				   &iov[used].iov_base);
			if (err)
				return err;
			iov[used++].iov_len = len;
			addr += len;
			left -= len;
		} while (unlikely(left));
	}
	return used;
}

/**
 * vhx_xlate_run - turn descriptors into an iovec each
 * @xlate: translation of the ring's addresses
 * @slot: the descriptors, none empty, none wrapping; their flags are not looked at
 * @nr: how many
 * @perm: VHOST_ACCESS_*
 * @iov: result
 *
 * Stops at one that cannot be, for which vhx_xlate_slots() says why.
 *
 * Context: vq mutex
 * Return: how many
 */
unsigned int vhx_xlate_run(struct vhx_xlate *xlate,
			   const struct vhx_slot *slot, unsigned int nr,
			   u8 perm, struct iovec *iov)
{
	const struct iovec *first = iov;
	u64 len;

	for (; nr; nr--, slot++, iov++) {
		len = slot->len;
		if (unlikely(locate(xlate, slot->addr, perm, &len,
				    &iov->iov_base) || len != slot->len))
			break;
		iov->iov_len = len;
	}
	count_found(xlate, iov - first);
	return iov - first;
}

/**
 * vhx_xlate_area - find a part of a ring
 * @xlate: translation of the ring's addresses
 * @addr: its address
 * @len: its length in bytes, at least 1
 * @perm: VHOST_ACCESS_*
 * @uaddr: owner's address of it, or NULL: it is all there, but in pieces
 *
 * Context: vq mutex
 * Return: 0, -EFAULT (wraps), or -ENXIO, -EPERM, -EAGAIN as for vhx_xlate_slots()
 */
int vhx_xlate_area(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm,
		   void __user **uaddr)
{
	void __user *first, *next = NULL, *part;
	bool is_whole = true;
	u64 left, size;
	int err;

	if (addr + (len - 1) < addr)
		return -EFAULT;
	for (left = len; left; left -= size, addr += size) {
		size = left;
		err = find(xlate, addr, perm, &size, &part);
		if (err)
			return err;
		if (left == len)
			first = part;
		else
			is_whole &= part == next;
		next = part + size;
	}
	*uaddr = is_whole ? first : NULL;
	return 0;
}

/*
 * Descriptors are copied by words, which costs less than a hardened copy. That
 * would look whether @dst has room, as callers must know: it is the burst's
 * window or row, or an array of heads, which @len is cut to.
 */
static int copy_words(u64 *dst, const u64 __user *src, u64 len)
{
	u64 i;

	if (!IS_ALIGNED((unsigned long)dst | (unsigned long)src | len,
			sizeof(*dst)))
		return copy_from_user(dst, src, len) ? -EFAULT : 0;
	if (!user_read_access_begin(src, len))
		return -EFAULT;
	for (i = 0; i < len / sizeof(*dst); i++)
		unsafe_get_user(dst[i], &src[i], fault);
	user_read_access_end();
	return 0;
fault:
	user_read_access_end();
	return -EFAULT;
}

/**
 * vhx_xlate_read - copy from a descriptor address
 * @xlate: translation of the ring's addresses
 * @addr: address; @addr + @len does not wrap
 * @dst: destination
 * @len: bytes
 *
 * Context: vq mutex, on the owner's mm; may fault
 * Return: 0, -EFAULT, -ENXIO, -EPERM, -EAGAIN
 */
int vhx_xlate_read(struct vhx_xlate *xlate, u64 addr, void *dst, u32 len)
{
	void __user *uaddr;
	u64 part;
	int err;

	for (; len; len -= part, addr += part, dst += part) {
		part = len;
		err = find(xlate, addr, VHOST_ACCESS_RO, &part, &uaddr);
		if (err)
			return err;
		err = copy_words(dst, uaddr, part);
		if (err)
			return err;
	}
	return 0;
}

/**
 * vhx_xlate_write - copy to a ring address
 * @xlate: translation of the ring's addresses
 * @addr: address; @addr + @len does not wrap
 * @src: source
 * @len: bytes
 * @dirty: where to log it, if rings are logged
 *
 * Context: vq mutex, on the owner's mm; may fault
 * Return: 0, -EFAULT, -ENXIO, -EPERM, -EAGAIN
 */
int vhx_xlate_write(struct vhx_xlate *xlate, u64 addr, const void *src,
		    u32 len, struct vhx_dirty *dirty)
{
	void __user *uaddr;
	u64 part;
	int err;

	for (; len; len -= part, addr += part, src += part) {
		part = len;
		err = find(xlate, addr, VHOST_ACCESS_WO, &part, &uaddr);
		if (err)
			return err;
		if (copy_to_user(uaddr, src, part))
			return -EFAULT;
		if (dirty->logs_ring &&
		    vhx_dirty_log_uaddr(dirty, (unsigned long)uaddr, part))
			dirty->is_failed = true;
	}
	return 0;
}

/**
 * vhx_xlate_want - ask for what will be needed soon
 * @xlate: translation of the ring's addresses
 * @addr: address
 * @len: bytes
 * @perm: VHOST_ACCESS_*
 *
 * A client answers many misses about as fast as one. A no-op but with an
 * IOTLB.
 *
 * Context: vq mutex
 */
void vhx_xlate_want(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm)
{
	const u64 page = 1 << VHX_XLATE_SHIFT;
	u64 last = addr + len - 1;
	unsigned int i;

	if (!xlate->iotlb || !len || last < addr)
		return;
	for (i = 0; i < VHX_MISSES_MAX &&
	     READ_ONCE(xlate->nr_misses) < VHX_MISSES_MAX; i++) {
		look_up(xlate, addr, perm, false);
		if (last - addr < page - addr % page)
			break;
		addr += page - addr % page;
	}
}
