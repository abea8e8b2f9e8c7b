/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The library's half of the seam: rings lie in mapped memory that the guest
 * writes at the same time. Fields are loaded and stored whole; what is copied
 * in bulk is fenced from the compiler, which must not read it again.
 */
#ifndef VHX_MEM_IMPL_H
#define VHX_MEM_IMPL_H

#include <string.h>

#include "xlate.h"

/**
 * struct vhx_mem - memory of one ring
 * @addr: addresses of the areas as the client gave them, by enum vhx_area
 * @ptr: where the areas are here; NULL: in pieces, behind an IOTLB
 * @gpa: guest addresses of the areas that are in one piece
 * @xlate: finds what descriptors point at
 * @dirty: log of what we write
 */
struct vhx_mem {
	u64 addr[VHX_AREAS];
	u8 *ptr[VHX_AREAS];
	u64 gpa[VHX_AREAS];
	struct vhx_xlate xlate;
	struct vhx_dirty dirty;
};

/* What was copied is a copy: the compiler may not look at the source again. */
static inline void vhx_mem_fence(void)
{
	__asm__ volatile("" ::: "memory");
}

/* One avail entry or used element, as in bursts of one, is no call. */
static inline void vhx_mem_copy(void *dst, const void *src, u32 len)
{
	if (len == sizeof(__virtio16))
		memcpy(dst, src, sizeof(__virtio16));
	else if (len == sizeof(struct vring_used_elem))
		memcpy(dst, src, sizeof(struct vring_used_elem));
	else
		memcpy(dst, src, len);
}

static inline int vhx_mem_read(struct vhx_mem *mem, enum vhx_area area,
			       u32 off, void *dst, u32 len)
{
	if (unlikely(!mem->ptr[area]))
		return vhx_xlate_read(&mem->xlate, mem->addr[area] + off, dst,
				      len);
	vhx_mem_copy(dst, mem->ptr[area] + off, len);
	vhx_mem_fence();
	return 0;
}

static inline int vhx_mem_gather(struct vhx_mem *mem, const u16 *slot,
				 struct vring_desc *dst, unsigned int nr)
{
	const struct vring_desc *src = (void *)mem->ptr[VHX_DESC];
	unsigned int i;
	int err = 0;

	if (unlikely(!src)) {
		for (i = 0; i < nr && !err; i++)
			err = vhx_mem_read(mem, VHX_DESC,
					   sizeof(*dst) * slot[i], &dst[i],
					   sizeof(*dst));
		return err;
	}
	for (i = 0; i < nr; i++)
		dst[i] = src[slot[i]];
	vhx_mem_fence();
	return 0;
}

/* Of an indirect table: entry by entry, since a load from two stores waits. */
static inline int vhx_mem_read_iova(struct vhx_mem *mem, u64 iova, void *dst,
				    u32 len)
{
	const u32 size = sizeof(struct vring_desc);
	u32 part = len;
	size_t at;
	u8 *ptr;
	int err = vhx_xlate_find(&mem->xlate, iova, VHOST_ACCESS_RO, &part,
				 &ptr);

	if (err)
		return err;
	if (unlikely(part < len || len % size))
		err = vhx_xlate_read(&mem->xlate, iova, dst, len);
	else
		for (at = 0; at < len; at += size)
			memcpy((u8 *)dst + at, ptr + at, size);
	vhx_mem_fence();
	return err;
}

static inline void vhx_mem_want_iova(struct vhx_mem *mem, u64 iova, u32 len,
				     bool is_write)
{
	vhx_xlate_want(&mem->xlate, iova, len,
		       is_write ? VHOST_ACCESS_WO : VHOST_ACCESS_RO);
}

/* A field must be in one piece: it is read and written in one access. */
static inline int vhx_mem_field(struct vhx_mem *mem, enum vhx_area area,
				u32 off, u32 len, u8 perm, u8 **field,
				u64 *gpa)
{
	int err;

	*field = mem->ptr[area] + off;
	*gpa = mem->gpa[area] + off;
	if (likely(mem->ptr[area]))
		return 0;
	err = vhx_xlate_area(&mem->xlate, mem->addr[area] + off, len, perm,
			     field, gpa);
	return err ? err : *field ? 0 : -EFAULT;
}

static inline int vhx_mem_load16_acquire(struct vhx_mem *mem,
					 enum vhx_area area, u32 off,
					 __virtio16 *val)
{
	const u8 *field = mem->ptr[area];
	int err;

	if (likely(field)) {
		field += off;
	} else {
		/* Variables of its own go by address: others are in registers. */
		u8 *found;
		u64 gpa;

		err = vhx_mem_field(mem, area, off, sizeof(*val),
				    VHOST_ACCESS_RO, &found, &gpa);
		if (err)
			return err;
		field = found;
	}
	*val = (__force __virtio16)
		__atomic_load_n((const u16 *)(const void *)field,
				__ATOMIC_ACQUIRE);
	return 0;
}

static inline int vhx_mem_write(struct vhx_mem *mem, enum vhx_area area,
				u32 off, const void *src, u32 len)
{
	if (unlikely(!mem->ptr[area]))
		return vhx_xlate_write(&mem->xlate, mem->addr[area] + off, src,
				       len, &mem->dirty);
	vhx_mem_copy(mem->ptr[area] + off, src, len);
	vhx_dirty_log(&mem->dirty, mem->gpa[area] + off, len);
	return 0;
}

static inline int vhx_mem_store16_release(struct vhx_mem *mem,
					  enum vhx_area area, u32 off,
					  __virtio16 val)
{
	u64 gpa = mem->gpa[area] + off;
	u8 *field = mem->ptr[area];
	int err;

	/* As in vhx_mem_load16_acquire(). */
	if (likely(field)) {
		field += off;
	} else {
		u64 found_gpa;
		u8 *found;

		err = vhx_mem_field(mem, area, off, sizeof(val),
				    VHOST_ACCESS_WO, &found, &found_gpa);
		if (err)
			return err;
		field = found;
		gpa = found_gpa;
	}
	__atomic_store_n((u16 *)(void *)field, (__force u16)val,
			 __ATOMIC_RELEASE);
	vhx_dirty_log(&mem->dirty, gpa, sizeof(val));
	return 0;
}

/* Where len, id and flags of a packed descriptor are. */
static inline u32 vhx_mem_word_off(u16 slot)
{
	return (u32)sizeof(struct vring_packed_desc) * slot +
		(u32)offsetof(struct vring_packed_desc, len);
}

/* As vhx_mem_scatter_release(), of an area that is in one piece and not logged. */
static inline void vhx_mem_scatter_plain(u8 *desc, u16 first, const u16 *slot,
					 const __virtio64 *val, unsigned int nr)
{
	u64 *word = (u64 *)(void *)(desc + vhx_mem_word_off(first));
	unsigned int i;

	if (!slot)
		for (i = 1; i < nr; i++)
			__atomic_store_n(&word[2 * i], (__force u64)val[i],
					 __ATOMIC_RELAXED);
	else
		for (i = 1; i < nr; i++)
			__atomic_store_n((u64 *)(void *)(desc + vhx_mem_word_off(slot[i])),
					 (__force u64)val[i], __ATOMIC_RELAXED);
	__atomic_store_n(word, (__force u64)val[0], __ATOMIC_RELEASE);
}

static inline int vhx_mem_scatter_release(struct vhx_mem *mem, u16 first,
					  const u16 *slot, __virtio64 *val,
					  unsigned int nr)
{
	unsigned int i;
	u8 *field;
	u64 gpa;
	u32 off;
	int err;

	/* The first last: until then all are the driver's. */
	if (likely(mem->ptr[VHX_DESC] && !mem->dirty.log)) {
		vhx_mem_scatter_plain(mem->ptr[VHX_DESC], first, slot, val, nr);
		return 0;
	}
	/* While the queue is locked, what was found once is found again. */
	if (unlikely(!mem->ptr[VHX_DESC]))
		for (i = 0; i < nr; i++) {
			off = vhx_mem_word_off(vhx_mem_at(first, slot, i));
			err = vhx_mem_field(mem, VHX_DESC, off, sizeof(*val),
					    VHOST_ACCESS_WO, &field, &gpa);
			if (err)
				return err;
		}
	for (i = nr; i--;) {
		off = vhx_mem_word_off(vhx_mem_at(first, slot, i));
		err = vhx_mem_field(mem, VHX_DESC, off, sizeof(*val),
				    VHOST_ACCESS_WO, &field, &gpa);
		if (err)
			return err;
		__atomic_store_n((u64 *)(void *)field, (__force u64)val[i],
				 __ATOMIC_RELEASE);
		vhx_dirty_log(&mem->dirty, gpa, sizeof(*val));
	}
	return 0;
}

static inline int vhx_mem_read_avail(struct vhx_mem *mem, u16 first,
				     struct vring_desc *dst, unsigned int nr,
				     __virtio16 mask, __virtio16 want)
{
	const struct vring_desc *desc = (void *)mem->ptr[VHX_DESC], *end;
	const u32 size = sizeof(struct vring_packed_desc);
	u32 off = size * first;
	__virtio16 flags;
	unsigned int i;
	int err;

	if (likely(desc)) {
		desc += first;
		for (end = desc + nr; desc < end; desc++, dst++) {
			/* Where a split ring's has next, a packed one has flags. */
			flags = (__force __virtio16)
				__atomic_load_n((const u16 *)&desc->next,
						__ATOMIC_ACQUIRE);
			if ((flags & mask) != want)
				break;
			*dst = *desc;
		}
		vhx_mem_fence();
		return (int)nr - (int)(end - desc);
	}
	for (i = 0; i < nr; i++, off += size) {
		err = vhx_mem_load16_acquire(mem, VHX_DESC, off +
					     (u32)offsetof(struct vring_packed_desc, flags),
					     &flags);
		if (err)
			return err;
		if ((flags & mask) != want)
			break;
		err = vhx_mem_read(mem, VHX_DESC, off, &dst[i], size);
		if (err)
			return err;
	}
	return (int)i;
}

#endif /* VHX_MEM_IMPL_H */
