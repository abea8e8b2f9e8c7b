/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel half of the seam. Ring areas are the owner's addresses, or an
 * IOTLB's: then they are looked up before a run, and an area that is in pieces
 * is looked up at each access. The worker and the ioctls run on the owner's
 * mm. vq.c keeps is_ready: each area was checked with access_ok() or found.
 */
#ifndef VHX_MEM_IMPL_H
#define VHX_MEM_IMPL_H

#include <linux/uaccess.h>
#include <linux/vhost_types.h>

#include "dirty.h"
#include "xlate.h"

/**
 * struct vhx_mem - memory of one ring
 * @addr: addresses of the areas as the client gave them, by enum vhx_area
 * @uaddr: where the areas are in the owner; NULL: in pieces
 * @len: bytes of the areas
 * @is_ready: @uaddr and @len are right; an IOTLB UPDATE looks without a lock
 * @xlate: finds what descriptors point at
 * @dirty: log of what we write
 */
struct vhx_mem {
	u64 addr[VHX_AREAS];
	void __user *uaddr[VHX_AREAS];
	u32 len[VHX_AREAS];
	bool is_ready;
	struct vhx_xlate xlate;
	struct vhx_dirty dirty;
};

/*
 * This and vhx_mem_write(): the area was checked. A hardened copy would look whether our
 * side stays in one object, which is a whole vq, and would search the vmalloc areas for
 * it: the engine bounds @len by its arrays, a burst's heads and a ring's scratch.
 */
static inline int vhx_mem_read(struct vhx_mem *mem, enum vhx_area area,
			       u32 off, void *dst, u32 len)
{
	const void __user *uaddr = mem->uaddr[area] + off;

	if (unlikely(!mem->uaddr[area]))
		return vhx_xlate_read(&mem->xlate, mem->addr[area] + off, dst,
				      len);
	instrument_copy_from_user_before(dst, uaddr, len);
	return raw_copy_from_user(dst, uaddr, len) ? -EFAULT : 0;
}

static inline int vhx_mem_gather(struct vhx_mem *mem, const u16 *slot,
				 struct vring_desc *dst, unsigned int nr)
{
	const u64 __user *desc = mem->uaddr[VHX_DESC];
	u64 *to = (u64 *)dst;
	unsigned int i;
	int err = 0;

	if (unlikely(!desc)) {
		for (i = 0; i < nr && !err; i++)
			err = vhx_mem_read(mem, VHX_DESC,
					   sizeof(*dst) * slot[i], &dst[i],
					   sizeof(*dst));
		return err;
	}
	/*
	 * One window for all: opening it costs more than the copies. A hardened
	 * copy would look whether @dst has room for each: it has for @nr. Slots were
	 * checked; what is read in speculation that they were not is the
	 * owner's own, at most 1 MiB behind the ring, as in-tree reads it.
	 */
	if (!user_read_access_begin(desc, mem->len[VHX_DESC]))
		return -EFAULT;
	for (i = 0; i < nr; i++) {
		unsafe_get_user(to[2 * i], desc + 2 * slot[i], fault);
		unsafe_get_user(to[2 * i + 1], desc + 2 * slot[i] + 1, fault);
	}
	user_read_access_end();
	return 0;
fault:
	user_read_access_end();
	return -EFAULT;
}

static inline int vhx_mem_read_iova(struct vhx_mem *mem, u64 iova, void *dst,
				    u32 len)
{
	return vhx_xlate_read(&mem->xlate, iova, dst, len);
}

static inline void vhx_mem_want_iova(struct vhx_mem *mem, u64 iova, u32 len,
				     bool is_write)
{
	vhx_xlate_want(&mem->xlate, iova, len,
		       is_write ? VHOST_ACCESS_WO : VHOST_ACCESS_RO);
}

/* A field must be in one piece and aligned: one access reads or writes it. */
static inline int vhx_mem_field(struct vhx_mem *mem, enum vhx_area area,
				u32 off, u32 len, u8 perm,
				void __user **field)
{
	int err = 0;

	*field = mem->uaddr[area] + off;
	if (unlikely(!mem->uaddr[area]))
		err = vhx_xlate_area(&mem->xlate, mem->addr[area] + off, len,
				     perm, field);
	if (err)
		return err;
	return *field && IS_ALIGNED((unsigned long)*field, len) ? 0 : -EFAULT;
}

static inline int vhx_mem_load16_acquire(struct vhx_mem *mem,
					 enum vhx_area area, u32 off,
					 __virtio16 *val)
{
	void __user *field;
	int err = vhx_mem_field(mem, area, off, sizeof(*val), VHOST_ACCESS_RO,
				&field);

	if (err)
		return err;
	if (get_user(*val, (__virtio16 __user *)field))
		return -EFAULT;
	virt_rmb(); /* pairs with the driver's wmb before this field */
	return 0;
}

/* The write stands even if logging fails: that is reported after the run. */
static inline void vhx_mem_log(struct vhx_mem *mem, enum vhx_area area, u32 off,
			       const void __user *uaddr, u32 len)
{
	struct vhx_dirty *dirty = &mem->dirty;
	int err;

	if (likely(!dirty->logs_ring))
		return;
	/* The address that the client gave is the guest's, or an IOMMU's. */
	if (area == VHX_DEVICE && !mem->xlate.iotlb)
		err = vhx_dirty_log_gpa(dirty, dirty->ring_gpa + off, len);
	else
		err = vhx_dirty_log_uaddr(dirty, (unsigned long)uaddr, len);
	if (err)
		dirty->is_failed = true;
}

static inline int vhx_mem_write(struct vhx_mem *mem, enum vhx_area area,
				u32 off, const void *src, u32 len)
{
	void __user *uaddr = mem->uaddr[area] + off;

	if (unlikely(!mem->uaddr[area]))
		return vhx_xlate_write(&mem->xlate, mem->addr[area] + off, src,
				       len, &mem->dirty);
	instrument_copy_to_user(uaddr, src, len);
	if (raw_copy_to_user(uaddr, src, len))
		return -EFAULT;
	vhx_mem_log(mem, area, off, uaddr, len);
	return 0;
}

static inline int vhx_mem_store16_release(struct vhx_mem *mem,
					  enum vhx_area area, u32 off,
					  __virtio16 val)
{
	void __user *field;
	int err = vhx_mem_field(mem, area, off, sizeof(val), VHOST_ACCESS_WO,
				&field);

	if (err)
		return err;
	/*
	 * put_user() has no release form. A full barrier: what we read from a
	 * buffer is read, what we wrote is written, before the store.
	 */
	virt_mb();
	if (put_user(val, (__virtio16 __user *)field))
		return -EFAULT;
	vhx_mem_log(mem, area, off, field, sizeof(val));
	return 0;
}

/* Where len, id and flags of a packed descriptor are. */
static inline u32 vhx_mem_word_off(u16 slot)
{
	return sizeof(struct vring_packed_desc) * slot +
		offsetof(struct vring_packed_desc, len);
}

/* As vhx_mem_scatter_release(), of an area that is in pieces. */
static inline int vhx_mem_scatter_pieces(struct vhx_mem *mem, u16 first,
					 const u16 *slot, __virtio64 *val,
					 unsigned int nr)
{
	__virtio64 __user *word;
	void __user *field;
	__virtio64 old;
	unsigned int i;
	u32 off;
	int err;

	/* The first last, as its store publishes all. */
	for (i = nr; i--; ) {
		off = vhx_mem_word_off(vhx_mem_at(first, slot, i));
		err = vhx_mem_field(mem, VHX_DESC, off, sizeof(old),
				    VHOST_ACCESS_RW, &field);
		if (err)
			goto err_restore;
		word = field;
		if (!i)
			/* As in vhx_mem_store16_release(). */
			virt_mb();
		err = -EFAULT;
		if (get_user(old, word) || put_user(val[i], word))
			goto err_restore;
		vhx_mem_log(mem, VHX_DESC, off, word, sizeof(old));
		val[i] = old;
	}
	return 0;

err_restore:
	while (++i < nr)
		vhx_mem_write(mem, VHX_DESC, vhx_mem_word_off(vhx_mem_at(first, slot, i)),
			      &val[i], sizeof(*val));
	return err;
}

static inline int vhx_mem_scatter_release(struct vhx_mem *mem, u16 first,
					  const u16 *slot, __virtio64 *val,
					  unsigned int nr)
{
	void __user *desc = mem->uaddr[VHX_DESC];
	__virtio64 __user *word;
	__virtio64 old;
	unsigned int i;
	int err = 0;

	if (unlikely(!desc))
		return vhx_mem_scatter_pieces(mem, first, slot, val, nr);
	/* One window for all, and @val has @nr, as in vhx_mem_gather(). */
	if (!user_access_begin(desc, mem->len[VHX_DESC]))
		return -EFAULT;
	for (i = 1; i < nr; i++) {
		word = desc + vhx_mem_word_off(vhx_mem_at(first, slot, i));
		unsafe_get_user(old, word, err_restore);
		unsafe_put_user(val[i], word, err_restore);
		val[i] = old;
	}
	/* As in vhx_mem_store16_release(). */
	virt_mb();
	word = desc + vhx_mem_word_off(first);
	unsafe_put_user(val[0], word, err_restore);
	goto out;

err_restore:
	err = -EFAULT;
	/* A fault in here comes back here and goes on with the next. */
	while (--i) {
		word = desc + vhx_mem_word_off(vhx_mem_at(first, slot, i));
		unsafe_put_user(val[i], word, err_restore);
	}
out:
	user_access_end();
	/*
	 * Log even restored entries: a migrating client may have copied the
	 * state in between.
	 */
	for (i = 0; i < nr && mem->dirty.logs_ring; i++) {
		u32 off = vhx_mem_word_off(vhx_mem_at(first, slot, i));

		vhx_mem_log(mem, VHX_DESC, off, desc + off, sizeof(*val));
	}
	return err;
}

/* As vhx_mem_read_avail(), of an area that is in pieces. */
static inline int vhx_mem_read_pieces(struct vhx_mem *mem, u16 first,
				      struct vring_desc *dst, unsigned int nr,
				      __virtio16 mask, __virtio16 want)
{
	const u32 size = sizeof(struct vring_packed_desc);
	u32 off = size * first;
	__virtio16 flags;
	unsigned int i;
	int err;

	for (i = 0; i < nr; i++, off += size) {
		err = vhx_mem_load16_acquire(mem, VHX_DESC,
					     off + offsetof(struct vring_packed_desc, flags),
					     &flags);
		if (err)
			return err;
		if ((flags & mask) != want)
			break;
		err = vhx_mem_read(mem, VHX_DESC, off, &dst[i], size);
		if (err)
			return err;
	}
	return i;
}

static inline int vhx_mem_read_avail(struct vhx_mem *mem, u16 first,
				     struct vring_desc *dst, unsigned int nr,
				     __virtio16 mask, __virtio16 want)
{
	const struct vring_packed_desc __user *desc = mem->uaddr[VHX_DESC];
	const u64 __user *from;
	u64 *to = (u64 *)dst;
	__virtio16 flags;
	unsigned int i, k;

	if (unlikely(!desc))
		return vhx_mem_read_pieces(mem, first, dst, nr, mask, want);
	/* One window for all, and @dst has @nr, as in vhx_mem_gather(). */
	if (!user_read_access_begin(desc, mem->len[VHX_DESC]))
		return -EFAULT;
	for (i = 0; i < nr; i++) {
		unsafe_get_user(flags, (const __virtio16 __user *)
				&desc[first + i].flags, fault);
		if ((flags & mask) != want)
			break;
	}
	virt_rmb(); /* pairs with the driver's wmb before these flags */
	from = (const u64 __user *)&desc[first];
	for (k = 0; k < 2 * i; k++)
		unsafe_get_user(to[k], from + k, fault);
	user_read_access_end();
	return i;
fault:
	user_read_access_end();
	return -EFAULT;
}

#endif /* VHX_MEM_IMPL_H */
