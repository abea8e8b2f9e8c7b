/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The tests' half of the seam: plain memory that fails on demand, tells a
 * hook what was accessed (which may change it), and aborts on an access
 * outside of an area.
 */
#ifndef VHX_MEM_IMPL_H
#define VHX_MEM_IMPL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a descriptor points to, beside the three ring areas. */
#define MEM_GUEST	VHX_AREAS

/* vhx_mem.fail_at: no access fails. */
#define MEM_FAILS_NEVER	(~0u)

enum mem_kind { MEM_READ, MEM_WRITE };

/**
 * struct mem_access - one access that the engine made
 * @kind: read or write
 * @area: enum vhx_area or MEM_GUEST
 * @off: offset into it in bytes
 * @len: bytes
 * @p: the bytes
 */
struct mem_access {
	enum mem_kind kind;
	unsigned int area;
	u32 off;
	u32 len;
	u8 *p;
};

/**
 * struct vhx_mem - memory of one ring under test
 * @area: the ring areas, and the guest's memory last
 * @len: their lengths in bytes, to the byte: the event fields are left out
 *       when they were not negotiated
 * @guest_iova: address of the guest's memory
 * @nr_access: accesses so far; a gather counts as one
 * @fail_at: the access that fails, counted as @nr_access
 * @fail_err: how it fails: -EFAULT or -EAGAIN
 * @nr_wanted: hints of vhx_mem_want_iova() so far
 * @on_access: called after each access that succeeded
 * @arg: for @on_access
 */
struct vhx_mem {
	u8 *area[VHX_AREAS + 1];
	u32 len[VHX_AREAS + 1];
	u64 guest_iova;
	u32 nr_access;
	u32 fail_at;
	int fail_err;
	u32 nr_wanted;
	void (*on_access)(struct vhx_mem *mem, const struct mem_access *access);
	void *arg;
};

static inline u8 *mem_at(struct vhx_mem *mem, unsigned int area, u32 off,
			 u32 len)
{
	if (unlikely(!len || off > mem->len[area] ||
		     len > mem->len[area] - off)) {
		fprintf(stderr, "# area %u of %u bytes: access to %u, %u bytes\n",
			area, mem->len[area], off, len);
		abort();
	}
	return mem->area[area] + off;
}

static inline int mem_enter(struct vhx_mem *mem)
{
	return unlikely(mem->nr_access++ == mem->fail_at) ? mem->fail_err : 0;
}

static inline void mem_leave(struct vhx_mem *mem, enum mem_kind kind,
			     unsigned int area, u32 off, u32 len)
{
	struct mem_access access = {
		.kind = kind, .area = area, .off = off, .len = len,
		.p = mem->area[area] + off,
	};

	if (unlikely(mem->on_access))
		mem->on_access(mem, &access);
}

/*
 * The driver may write other descriptors than the ones offered while we read
 * a window of them. Nobody looks at those, so it is no race; say so to TSan.
 */
static inline void mem_copy_relaxed(void *dst, const u8 *src, u32 len)
{
	const u64 *from = (const u64 *)(const void *)src;
	u64 *to = dst;
	u32 i;

	for (i = 0; i < len / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static inline int vhx_mem_read(struct vhx_mem *mem, enum vhx_area area,
			       u32 off, void *dst, u32 len)
{
	const u8 *src = mem_at(mem, area, off, len);
	int err = mem_enter(mem);

	if (err) {
		memset(dst, 0xa5, len);
		return err;
	}
	if (area == VHX_DESC)
		mem_copy_relaxed(dst, src, len);
	else
		memcpy(dst, src, len);
	mem_leave(mem, MEM_READ, area, off, len);
	return 0;
}

static inline int vhx_mem_gather(struct vhx_mem *mem, const u16 *slot,
				 struct vring_desc *dst, unsigned int nr)
{
	const u32 size = sizeof(*dst);
	int err = mem_enter(mem);
	unsigned int i;

	for (i = 0; i < nr; i++)
		memcpy(&dst[i], mem_at(mem, VHX_DESC, slot[i] * size, size),
		       size);
	if (err) {
		memset(dst, 0xa5, nr * size);
		return err;
	}
	for (i = 0; i < nr; i++)
		mem_leave(mem, MEM_READ, VHX_DESC, slot[i] * size, size);
	return 0;
}

/*
 * The last 8 bytes of a packed descriptor are len, id and flags. Both sides
 * load and store them whole: ThreadSanitizer orders accesses to one address.
 */
static inline u64 *mem_word(struct vhx_mem *mem, u16 slot)
{
	return (u64 *)(void *)mem_at(mem, VHX_DESC, slot * 16u + 8, 8);
}

static inline int vhx_mem_scatter_release(struct vhx_mem *mem, u16 first,
					  const u16 *slot, __virtio64 *val,
					  unsigned int nr)
{
	int err = mem_enter(mem);
	unsigned int i;

	for (i = 1; i < nr && !err; i++) {
		__atomic_store_n(mem_word(mem, vhx_mem_at(first, slot, i)), (__force u64)val[i],
				 __ATOMIC_RELAXED);
		mem_leave(mem, MEM_WRITE, VHX_DESC, vhx_mem_at(first, slot, i) * 16u + 8, 8);
	}
	if (err)
		return err;
	__atomic_store_n(mem_word(mem, first), (__force u64)val[0],
			 __ATOMIC_RELEASE);
	mem_leave(mem, MEM_WRITE, VHX_DESC, first * 16u + 8, 8);
	memset(val, 0xa5, nr * sizeof(*val));
	return 0;
}

static inline int vhx_mem_read_avail(struct vhx_mem *mem, u16 first,
				     struct vring_desc *dst, unsigned int nr,
				     __virtio16 mask, __virtio16 want)
{
	const u32 size = sizeof(*dst);
	int err = mem_enter(mem);
	unsigned int i;

	if (err) {
		memset(dst, 0xa5, nr * size);
		return err;
	}
	for (i = 0; i < nr; i++) {
		u32 off = (first + i) * size;
		union {
			u64 word;
			__virtio16 part[4];
		} raw = {
			.word = __atomic_load_n(mem_word(mem, (u16)(first + i)),
						__ATOMIC_ACQUIRE),
		};

		mem_leave(mem, MEM_READ, VHX_DESC, off + 14, 2);
		if ((raw.part[3] & mask) != want)
			break;
		mem_copy_relaxed(&dst[i], mem_at(mem, VHX_DESC, off, size),
				 size);
		mem_leave(mem, MEM_READ, VHX_DESC, off, size);
	}
	return (int)i;
}

static inline int vhx_mem_read_iova(struct vhx_mem *mem, u64 iova, void *dst,
				    u32 len)
{
	u64 off = iova - mem->guest_iova;
	int err = mem_enter(mem);

	if (iova + (len - 1) < iova)
		abort();
	/* Where a descriptor points is the driver's fault, not the engine's. */
	if (!err && (off >= mem->len[MEM_GUEST] ||
		     len > mem->len[MEM_GUEST] - off))
		err = -EFAULT;
	if (err) {
		memset(dst, 0xa5, len);
		return err;
	}
	memcpy(dst, mem->area[MEM_GUEST] + off, len);
	mem_leave(mem, MEM_READ, MEM_GUEST, (u32)off, len);
	return 0;
}

static inline void vhx_mem_want_iova(struct vhx_mem *mem, u64 iova, u32 len,
				     bool is_write)
{
	(void)iova, (void)len, (void)is_write;
	mem->nr_wanted++;
}

static inline int vhx_mem_load16_acquire(struct vhx_mem *mem,
					 enum vhx_area area, u32 off,
					 __virtio16 *val)
{
	const u8 *src = mem_at(mem, area, off, sizeof(*val));
	int err = mem_enter(mem);

	*val = (__force __virtio16)0xa5a5;
	if (err)
		return err;
	*val = (__force __virtio16)
		__atomic_load_n((const u16 *)(const void *)src,
				__ATOMIC_ACQUIRE);
	mem_leave(mem, MEM_READ, area, off, sizeof(*val));
	return 0;
}

static inline int vhx_mem_write(struct vhx_mem *mem, enum vhx_area area,
				u32 off, const void *src, u32 len)
{
	u8 *dst = mem_at(mem, area, off, len);
	int err = mem_enter(mem);

	/* A write may fail half-way. */
	memcpy(dst, src, err ? len / 2 : len);
	if (err)
		return err;
	mem_leave(mem, MEM_WRITE, area, off, len);
	return 0;
}

static inline int vhx_mem_store16_release(struct vhx_mem *mem,
					  enum vhx_area area, u32 off,
					  __virtio16 val)
{
	u8 *dst = mem_at(mem, area, off, sizeof(val));
	int err = mem_enter(mem);

	if (err)
		return err;
	__atomic_store_n((u16 *)(void *)dst, (__force u16)val,
			 __ATOMIC_RELEASE);
	mem_leave(mem, MEM_WRITE, area, off, sizeof(val));
	return 0;
}

#endif /* VHX_MEM_IMPL_H */
