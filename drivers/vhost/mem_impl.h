/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel half of the seam: ring areas are addresses of the owner. The
 * worker and the ioctls run on the owner's mm, and memtab and vq.c checked
 * the areas with access_ok() against the ring's num before the engine starts.
 */
#ifndef VHX_MEM_IMPL_H
#define VHX_MEM_IMPL_H

#include <linux/uaccess.h>

#include "xlate.h"

/**
 * struct vhx_mem - memory of one ring
 * @area: addresses in the owner, by enum vhx_area
 * @desc_len: bytes of the Descriptor Area
 * @xlate: finds what descriptors point at
 */
struct vhx_mem {
	void __user *area[VHX_AREAS];
	u32 desc_len;
	struct vhx_xlate xlate;
};

static inline int vhx_mem_read(struct vhx_mem *mem, enum vhx_area area,
			       u32 off, void *dst, u32 len)
{
	return copy_from_user(dst, mem->area[area] + off, len) ? -EFAULT : 0;
}

static inline int vhx_mem_gather(struct vhx_mem *mem, const u16 *slot,
				 struct vring_desc *dst, unsigned int nr)
{
	const u64 __user *desc = mem->area[VHX_DESC];
	u64 *to = (u64 *)dst;
	unsigned int i;

	/* One window for all: opening it costs more than the copies. */
	if (!user_read_access_begin(desc, mem->desc_len))
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

static inline int vhx_mem_load16_acquire(struct vhx_mem *mem,
					 enum vhx_area area, u32 off,
					 __virtio16 *val)
{
	if (get_user(*val, (__virtio16 __user *)(mem->area[area] + off)))
		return -EFAULT;
	virt_rmb();
	return 0;
}

static inline int vhx_mem_write(struct vhx_mem *mem, enum vhx_area area,
				u32 off, const void *src, u32 len)
{
	return copy_to_user(mem->area[area] + off, src, len) ? -EFAULT : 0;
}

static inline int vhx_mem_store16_release(struct vhx_mem *mem,
					  enum vhx_area area, u32 off,
					  __virtio16 val)
{
	/*
	 * put_user() has no release form. A full barrier: what we read from a
	 * buffer is read, what we wrote is written, before the store.
	 */
	virt_mb();
	if (put_user(val, (__virtio16 __user *)(mem->area[area] + off)))
		return -EFAULT;
	return 0;
}

#endif /* VHX_MEM_IMPL_H */
