/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The seam: how the engine reaches ring memory. The bodies are in the
 * mem_impl.h that the include path chooses: the kernel's, the library's or
 * the tests'. A missing body is a compile warning.
 *
 * All return 0, -EFAULT (not accessible), -EPERM (not for this access) or
 * -EAGAIN (a translation was asked for), where a descriptor points also -ENXIO
 * (no memory of the guest's), and copy in bulk: a value that the
 * driver can change is read once. Offsets and lengths stay within the area as
 * the engine's num defines it.
 */
#ifndef VHX_MEM_H
#define VHX_MEM_H

#include "ring.h"

/**
 * enum vhx_area - the parts of a virtqueue (virtio 1.3 §2.6)
 * @VHX_DESC: Descriptor Area
 * @VHX_DRIVER: Driver Area: avail ring, or driver event suppression
 * @VHX_DEVICE: Device Area: used ring, or device event suppression
 * @VHX_AREAS: how many there are
 */
enum vhx_area { VHX_DESC, VHX_DRIVER, VHX_DEVICE, VHX_AREAS };

/**
 * vhx_mem_read - copy from a ring area, unordered
 * @mem: the ring's memory
 * @area: the area
 * @off: offset into it in bytes
 * @dst: destination
 * @len: bytes
 *
 * Return: 0, -EFAULT, -EPERM or -EAGAIN
 */
static inline int vhx_mem_read(struct vhx_mem *mem, enum vhx_area area,
			       u32 off, void *dst, u32 len);

/**
 * vhx_mem_gather - copy scattered descriptors in one access
 * @mem: the ring's memory
 * @slot: @nr indexes into the Descriptor Area, range-checked
 * @dst: @nr descriptors
 * @nr: how many
 *
 * Return: 0, -EFAULT, -EPERM or -EAGAIN
 */
static inline int vhx_mem_gather(struct vhx_mem *mem, const u16 *slot,
				 struct vring_desc *dst, unsigned int nr);

/**
 * vhx_mem_scatter_release - write the last 8 bytes of several descriptors, all or
 * none; logs what it dirties
 * @mem: the ring's memory
 * @first: index of the first in the Descriptor Area, range-checked
 * @slot: indexes of all, range-checked, or NULL: they stand in a row
 * @val: @nr raw values; used up
 * @nr: how many
 *
 * The first is written last, by one store after all earlier accesses. Until
 * then all are still the driver's descriptors, which the caller may want again:
 * when one cannot be written the others are as they were.
 *
 * Return: 0, -EFAULT, -EPERM or -EAGAIN
 */
static inline int vhx_mem_scatter_release(struct vhx_mem *mem, u16 first,
					  const u16 *slot, __virtio64 *val,
					  unsigned int nr);

/* Index of the @i-th of these. */
static inline u16 vhx_mem_at(u16 first, const u16 *slot, unsigned int i)
{
	return slot ? slot[i] : (u16)(first + i);
}

/**
 * vhx_mem_read_avail - copy packed descriptors in a row whose flags match
 * @mem: the ring's memory
 * @first: index of the first descriptor
 * @dst: @nr descriptors
 * @nr: how many at most, to the end of the ring at most
 * @mask: flags to look at, raw
 * @want: what they shall be, raw
 *
 * Flags are looked at first; what is copied, and what is accessed later, is read
 * after that. Nothing is read behind the first that does not match: the driver may
 * be writing there.
 *
 * Return: how many, or -EFAULT, -EPERM or -EAGAIN
 */
static inline int vhx_mem_read_avail(struct vhx_mem *mem, u16 first,
				     struct vring_desc *dst, unsigned int nr,
				     __virtio16 mask, __virtio16 want);

/**
 * vhx_mem_read_iova - copy from where a descriptor points, unordered
 * @mem: the ring's memory
 * @iova: address as the driver gave it; @iova + @len does not wrap
 * @dst: destination
 * @len: bytes
 *
 * Return: 0, -EFAULT, -ENXIO, -EPERM or -EAGAIN
 */
static inline int vhx_mem_read_iova(struct vhx_mem *mem, u64 iova, void *dst,
				    u32 len);

/**
 * vhx_mem_want_iova - say what will be accessed soon, a hint
 * @mem: the ring's memory
 * @iova: address as the driver gave it
 * @len: bytes
 * @is_write: it will be written
 *
 * Called when a translation was asked for: others that the burst needs can be
 * asked for at once.
 */
static inline void vhx_mem_want_iova(struct vhx_mem *mem, u64 iova, u32 len,
				     bool is_write);

/**
 * vhx_mem_load16_acquire - read one field; later accesses stay after it
 * @mem: the ring's memory
 * @area: the area
 * @off: offset into it in bytes, a multiple of 2
 * @val: raw value
 *
 * Return: 0, -EFAULT, -EPERM or -EAGAIN
 */
static inline int vhx_mem_load16_acquire(struct vhx_mem *mem,
					 enum vhx_area area, u32 off,
					 __virtio16 *val);

/**
 * vhx_mem_write - copy to a ring area, unordered; logs what it dirties
 * @mem: the ring's memory
 * @area: the area
 * @off: offset into it in bytes
 * @src: source
 * @len: bytes
 *
 * Return: 0, -EFAULT, -EPERM or -EAGAIN
 */
static inline int vhx_mem_write(struct vhx_mem *mem, enum vhx_area area,
				u32 off, const void *src, u32 len);

/**
 * vhx_mem_store16_release - write one field after all earlier accesses;
 * logs what it dirties
 * @mem: the ring's memory
 * @area: the area
 * @off: offset into it in bytes, a multiple of 2
 * @val: raw value
 *
 * Return: 0, -EFAULT, -EPERM or -EAGAIN
 */
static inline int vhx_mem_store16_release(struct vhx_mem *mem,
					  enum vhx_area area, u32 off,
					  __virtio16 val);

#include "mem_impl.h"

#endif /* VHX_MEM_H */
