/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Ring and descriptor addresses to memory of ours: by regions, or by an IOTLB. */
#ifndef VHX_XLATE_H
#define VHX_XLATE_H

#include <linux/vhost_types.h>

#include "dirty.h"
#include "region.h"

/* Translations of a device, and misses of a queue that were not answered. */
#define VHX_IOTLB_MAX	2048
#define VHX_MISSES_MAX	64

/**
 * struct vhx_iotlb_entry - a translation
 * @first: first I/O virtual address
 * @last: last one
 * @uaddr: the client's address of the first
 * @age: order of coming
 * @perm: VHOST_ACCESS_*
 */
struct vhx_iotlb_entry {
	u64 first;
	u64 last;
	u64 uaddr;
	u64 age;
	u8 perm;
};

/**
 * struct vhx_iotlb - the translations of a device
 * @nr: how many in @entry
 * @age: of the next one
 * @ask: ask the client for a page; called from bursts
 * @arg: for @ask
 * @entry: by address; none overlap
 *
 * Changed with all queues locked, read with one.
 */
struct vhx_iotlb {
	unsigned int nr;
	u64 age;
	int (*ask)(void *arg, u64 iova, u8 perm);
	void *arg;
	struct vhx_iotlb_entry entry[VHX_IOTLB_MAX];
};

/**
 * struct vhx_miss - a page that the client was asked for
 * @iova: its address
 * @perm: VHOST_ACCESS_*
 */
struct vhx_miss {
	u64 iova;
	u8 perm;
};

/**
 * struct vhx_hit - addresses that lie in a row here as well
 * @first: first address
 * @size: bytes; 0: nothing was found yet
 * @ptr: where @first is
 * @gpa: guest physical address of @first
 * @perm: VHOST_ACCESS_*
 */
struct vhx_hit {
	u64 first;
	u64 size;
	u8 *ptr;
	u64 gpa;
	u8 perm;
};

/**
 * struct vhx_xlate - translation of one queue's addresses to memory
 * @hit: what was found last
 * @regions: guest memory
 * @iotlb: where to look instead, or NULL
 * @nr_misses: how many in @miss
 * @miss: asked for and not answered
 * @asked: misses so far
 * @found: addresses that were found in @iotlb and not in @hit
 */
struct vhx_xlate {
	struct vhx_hit hit;
	const struct vhx_regions *regions;
	struct vhx_iotlb *iotlb;
	unsigned int nr_misses;
	struct vhx_miss miss[VHX_MISSES_MAX];
	u64 asked;
	u64 found;
};

void vhx_xlate_reset(struct vhx_xlate *xlate, const struct vhx_regions *regions,
		     struct vhx_iotlb *iotlb);
void vhx_xlate_answer(struct vhx_xlate *xlate,
		      const struct vhx_iotlb_entry *entry);
int vhx_xlate_look_up(struct vhx_xlate *xlate, u64 addr, u8 perm);
int vhx_xlate_read(struct vhx_xlate *xlate, u64 addr, void *dst, u32 len);
int vhx_xlate_write(struct vhx_xlate *xlate, u64 addr, const void *src,
		    u32 len, struct vhx_dirty *dirty);
void vhx_xlate_want(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm);
int vhx_xlate_area(struct vhx_xlate *xlate, u64 addr, u32 len, u8 perm,
		   u8 **ptr, u64 *gpa);

/**
 * vhx_xlate_find - find an address
 * @xlate: translation of the queue's addresses
 * @addr: the address
 * @perm: VHOST_ACCESS_* that is needed
 * @len: bytes from there on; cut to what lies in a row
 * @ptr: result
 *
 * @xlate->hit is what it was found in.
 *
 * Context: the queue is locked
 * Return: 0, -EFAULT (nothing there), -EPERM, -EAGAIN (asked for)
 */
static inline int vhx_xlate_find(struct vhx_xlate *xlate, u64 addr, u8 perm,
				 u32 *len, u8 **ptr)
{
	struct vhx_hit *hit = &xlate->hit;
	u64 off = addr - hit->first;
	int err;

	if (unlikely(off >= hit->size || (hit->perm & perm) != perm)) {
		err = vhx_xlate_look_up(xlate, addr, perm);
		if (err)
			return err;
		off = addr - hit->first;
	}
	if (unlikely(*len > hit->size - off))
		*len = (u32)(hit->size - off);
	*ptr = hit->ptr + off;
	return 0;
}

/**
 * struct vhx_span - the last hit, for what is short
 * @first: first address
 * @size: what begins within so many bytes ends within the hit, up to
 *        VHX_SPAN_MARGIN bytes; 0: nothing
 * @ptr: where @first is
 */
struct vhx_span {
	u64 first;
	u64 size;
	u8 *ptr;
};

/* At least the longest frame with its header. */
#define VHX_SPAN_MARGIN	0x10100

/**
 * vhx_span - one comparison an address, until something else is looked up
 * @xlate: translation of the queue's addresses
 * @perm: VHOST_ACCESS_* that is needed
 *
 * Return: the span; its size is 0 if the last hit is short or not for @perm
 * Context: the queue is locked
 */
static inline struct vhx_span vhx_span(const struct vhx_xlate *xlate,
				       u8 perm)
{
	const struct vhx_hit *hit = &xlate->hit;
	bool is_wide = hit->size > VHX_SPAN_MARGIN && hit->perm & perm;

	return (struct vhx_span){
		.first = hit->first,
		.size = is_wide ? hit->size - VHX_SPAN_MARGIN : 0,
		.ptr = hit->ptr,
	};
}

/**
 * vhx_span_at - the span where something lies
 * @xlate: translation of the queue's addresses
 * @addr: its address
 * @perm: VHOST_ACCESS_* that is needed
 *
 * Return: as vhx_span(); its size is 0 as well if there is nothing
 * Context: the queue is locked
 */
static inline struct vhx_span vhx_span_at(struct vhx_xlate *xlate, u64 addr,
					  u8 perm)
{
	u32 len = 1;
	u8 *ptr;

	if (vhx_xlate_find(xlate, addr, perm, &len, &ptr))
		return (struct vhx_span){};
	return vhx_span(xlate, perm);
}

/**
 * vhx_span_find - where an address is
 * @span: the span
 * @addr: the address
 * @len: bytes from there on
 * @ptr: result
 *
 * Return: whether it is in the span
 */
static inline bool vhx_span_find(const struct vhx_span *span, u64 addr, u32 len,
				 u8 **ptr)
{
	u64 off = addr - span->first;

	if (unlikely(off >= span->size || len > VHX_SPAN_MARGIN))
		return false;
	*ptr = span->ptr + off;
	return true;
}

/* iotlb.c */
void vhx_iotlb_update(struct vhx_iotlb *iotlb,
		      const struct vhx_iotlb_entry *entry);
void vhx_iotlb_invalidate(struct vhx_iotlb *iotlb, u64 first, u64 last);
const struct vhx_iotlb_entry *vhx_iotlb_find(const struct vhx_iotlb *iotlb,
					     u64 iova);

#endif /* VHX_XLATE_H */
