/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Guest memory: files of the client's that are mapped here. */
#ifndef VHX_REGION_H
#define VHX_REGION_H

#include <stddef.h>
#include <sys/types.h>

#include "account.h"

/* As QEMU's and KVM's memory slots. */
#define VHX_REGIONS_MAX		509
/* Mappings of all peers: the kernel has 65530 for the whole program. */
#define VHX_MAPPINGS_MAX	32000

/**
 * struct vhx_mapping - memory of a peer's file, which may be cut off
 * @chore: unmaps it
 * @start: first byte; NULL: not in use
 * @len: bytes, in whole blocks of the file
 * @account: whose it is
 * @is_cut: it was, and memory of our own is in its place
 * @next: another one, in use or not
 *
 * None is ever freed, so that a signal handler may walk over them.
 */
struct vhx_mapping {
	struct vhx_chore chore;
	u8 *start;
	size_t len;
	struct vhx_account *account;
	bool is_cut;
	struct vhx_mapping *next;
};

/**
 * struct vhx_region - a part of guest memory
 * @gpa: guest physical address
 * @size: bytes, at least 1
 * @uaddr: the client's address of it, by which rings are named
 * @offset: where in the file it begins
 * @dev: the file's device
 * @ino: the file's inode
 * @ptr: where it is mapped here
 * @mapping: what was mapped, from a block of the file on
 */
struct vhx_region {
	u64 gpa;
	u64 size;
	u64 uaddr;
	u64 offset;
	dev_t dev;
	ino_t ino;
	u8 *ptr;
	struct vhx_mapping *mapping;
};

/**
 * struct vhx_regions - the guest memory of a device
 * @nr: how many in @region
 * @region: by guest address; none overlap
 */
struct vhx_regions {
	unsigned int nr;
	struct vhx_region region[VHX_REGIONS_MAX];
};

/**
 * vhx_is_aligned_alike - whether a ring aligned by one address is by the other
 * @a: an address of a place
 * @b: another address of it
 *
 * Fields are loaded and stored whole. Descriptors have the largest alignment of
 * all areas (virtio 1.3 §2.7, §2.8.10.1).
 *
 * Return: true if it is
 */
static inline bool vhx_is_aligned_alike(u64 a, u64 b)
{
	return !((a ^ b) & (VRING_DESC_ALIGN_SIZE - 1));
}

int vhx_mapping_create(struct vhx_account *account, int fd, u64 offset, u64 len,
		       struct vhx_mapping **mapping, u8 **ptr);
void vhx_mapping_destroy(struct vhx_mapping *mapping);

int vhx_region_identify(struct vhx_region *region, int fd, u64 offset,
			const struct vhx_account *account);
int vhx_region_map(struct vhx_region *region, int fd, u64 offset,
		   struct vhx_account *account);
const char *vhx_region_strerror(int err);
void vhx_region_unmap(struct vhx_region *region);
int vhx_region_add(struct vhx_regions *regions,
		   const struct vhx_region *region);
int vhx_region_remove(struct vhx_regions *regions, u64 gpa, u64 uaddr,
		      u64 size, struct vhx_region *removed);
void vhx_region_unmap_all(struct vhx_regions *regions);
const struct vhx_region *vhx_region_find(const struct vhx_regions *regions,
					 u64 gpa);
const struct vhx_region *vhx_region_find_uaddr(const struct vhx_regions *regions,
					       u64 uaddr);
bool vhx_region_is_there(const struct vhx_regions *regions,
			 const struct vhx_region *region);
bool vhx_region_is_cut(const struct vhx_regions *regions);

#endif /* VHX_REGION_H */
