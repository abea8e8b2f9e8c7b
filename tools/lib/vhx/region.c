// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Guest memory: files of the client's that are mapped here. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vhx/vhx.h>

#include "region.h"

static struct vhx_mapping *mappings;
static pthread_mutex_t mappings_lock = PTHREAD_MUTEX_INITIALIZER;

/* One that is not in use, or a new one. */
static struct vhx_mapping *take_mapping(void)
{
	struct vhx_mapping *mapping = mappings;

	for (; mapping; mapping = mapping->next)
		if (!mapping->start)
			return mapping;
	mapping = calloc(1, sizeof(*mapping));
	if (mapping) {
		mapping->next = mappings;
		__atomic_store_n(&mappings, mapping, __ATOMIC_RELEASE);
	}
	return mapping;
}

/**
 * vhx_mapping_create - map a part of a peer's file
 * @fd: the file; stays the caller's, and may be closed afterwards
 * @offset: of its first byte, a multiple of a page
 * @len: bytes
 * @wake: eventfd to signal when it is cut off
 * @err: result: 0, -ENOMEM, or an errno of mmap()
 *
 * Return: the mapping or NULL
 */
struct vhx_mapping *vhx_mapping_create(int fd, u64 offset, u64 len, int wake,
				       int *err)
{
	struct vhx_mapping *mapping = NULL;
	void *start;

	*err = -ENOMEM;
	if (len > SIZE_MAX / 2)
		return NULL;
	start = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	if (start == MAP_FAILED) {
		*err = -errno;
		return NULL;
	}
	/* Guests' memory is in no core dump of ours. */
	madvise(start, len, MADV_DONTDUMP);
	pthread_mutex_lock(&mappings_lock);
	mapping = take_mapping();
	if (mapping) {
		*err = 0;
		mapping->len = len;
		mapping->wake = wake;
		mapping->is_cut = false;
		__atomic_store_n(&mapping->start, start, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&mappings_lock);
	if (!mapping)
		munmap(start, len);
	return mapping;
}

/**
 * vhx_mapping_destroy - unmap
 * @mapping: the mapping
 */
void vhx_mapping_destroy(struct vhx_mapping *mapping)
{
	void *start = mapping->start;

	pthread_mutex_lock(&mappings_lock);
	munmap(start, mapping->len);
	__atomic_store_n(&mapping->start, NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&mappings_lock);
}

bool vhx_sigbus(const siginfo_t *info)
{
	const u64 one = 1;
	struct vhx_mapping *mapping;
	int saved = errno;

	if (info->si_signo != SIGBUS || info->si_code <= 0)
		return false;
	mapping = __atomic_load_n(&mappings, __ATOMIC_ACQUIRE);
	for (; mapping; mapping = mapping->next) {
		u8 *start = __atomic_load_n(&mapping->start, __ATOMIC_ACQUIRE);

		/* What faults is mapped, so its entry stands still. */
		if (!start || (uintptr_t)info->si_addr - (uintptr_t)start >=
		    mapping->len)
			continue;
		if (mmap(start, mapping->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS |
			 MAP_NORESERVE, -1, 0) == MAP_FAILED)
			return false;
		__atomic_store_n(&mapping->is_cut, true, __ATOMIC_RELEASE);
		if (write(mapping->wake, &one, sizeof(one)) < 0)
			errno = saved;
		return true;
	}
	return false;
}

/**
 * vhx_region_map - map a region
 * @region: gpa, size and uaddr are set, the rest is the result
 * @fd: the file; stays the caller's, and may be closed afterwards
 * @offset: where in the file the region begins
 * @wake: eventfd to signal when it is cut off
 *
 * Return: 0, -EINVAL (empty, wraps, the file ends before it, or what is aligned
 * for the client would not be here), -ENOMEM, or an errno of fstat() or mmap()
 */
int vhx_region_map(struct vhx_region *region, int fd, u64 offset, int wake)
{
	u64 block, skip, end;
	struct stat st;
	int err;

	if (!region->size || region->gpa + (region->size - 1) < region->gpa ||
	    region->uaddr + (region->size - 1) < region->uaddr ||
	    __builtin_add_overflow(offset, region->size, &end) ||
	    !vhx_is_aligned_alike(offset, region->uaddr))
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	region->offset = offset;
	region->dev = st.st_dev;
	region->ino = st.st_ino;
	/* A device file says nothing of its size. */
	if (S_ISREG(st.st_mode) && end > (u64)st.st_size)
		return -EINVAL;
	/* Huge pages are mapped from a huge page on. */
	block = (u64)sysconf(_SC_PAGESIZE);
	if (S_ISREG(st.st_mode) && (u64)st.st_blksize > block)
		block = (u64)st.st_blksize;
	if (block & (block - 1))
		return -EINVAL;
	skip = offset & (block - 1);
	region->mapping = vhx_mapping_create(fd, offset - skip,
					     region->size + skip, wake, &err);
	if (region->mapping)
		region->ptr = region->mapping->start + skip;
	return err;
}

/**
 * vhx_region_unmap - undo vhx_region_map()
 * @region: the region
 */
void vhx_region_unmap(struct vhx_region *region)
{
	vhx_mapping_destroy(region->mapping);
	region->mapping = NULL;
}

/**
 * vhx_region_unmap_all - unmap what is in a table, which is empty afterwards
 * @regions: the table
 */
void vhx_region_unmap_all(struct vhx_regions *regions)
{
	while (regions->nr)
		vhx_region_unmap(&regions->region[--regions->nr]);
}

/**
 * vhx_region_add - add a mapped region
 * @regions: the table
 * @region: the region, which is copied
 *
 * Return: 0, -E2BIG, -EEXIST (overlaps another)
 */
int vhx_region_add(struct vhx_regions *regions,
		   const struct vhx_region *region)
{
	struct vhx_region *at = regions->region + regions->nr;
	u64 last = region->gpa + (region->size - 1);
	unsigned int i;

	if (regions->nr == VHX_REGIONS_MAX)
		return -E2BIG;
	for (i = 0; i < regions->nr; i++) {
		struct vhx_region *other = &regions->region[i];

		if (other->gpa > last) {
			at = other;
			break;
		}
		if (other->gpa + (other->size - 1) >= region->gpa)
			return -EEXIST;
	}
	memmove(at + 1, at, (regions->nr - (size_t)(at - regions->region)) *
		sizeof(*at));
	*at = *region;
	regions->nr++;
	return 0;
}

/**
 * vhx_region_remove - take a region out
 * @regions: the table
 * @gpa: its guest address
 * @uaddr: the client's address
 * @size: its size
 * @removed: result, still mapped
 *
 * Return: 0, -ENOENT
 */
int vhx_region_remove(struct vhx_regions *regions, u64 gpa, u64 uaddr,
		      u64 size, struct vhx_region *removed)
{
	struct vhx_region *at = regions->region;
	struct vhx_region *end = at + regions->nr;

	for (; at < end; at++) {
		if (at->gpa != gpa || at->uaddr != uaddr || at->size != size)
			continue;
		*removed = *at;
		memmove(at, at + 1, (size_t)(end - at - 1) * sizeof(*at));
		regions->nr--;
		return 0;
	}
	return -ENOENT;
}

/**
 * vhx_region_find - the region of a guest address
 * @regions: the table
 * @gpa: the address
 *
 * Return: the region or NULL
 */
const struct vhx_region *vhx_region_find(const struct vhx_regions *regions,
					 u64 gpa)
{
	unsigned int low = 0, high = regions->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct vhx_region *region = &regions->region[mid];

		if (gpa - region->gpa < region->size)
			return region;
		if (gpa < region->gpa)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/**
 * vhx_region_find_uaddr - the region of a client's address
 * @regions: the table
 * @uaddr: the address
 *
 * Return: the region or NULL
 */
const struct vhx_region *vhx_region_find_uaddr(const struct vhx_regions *regions,
					       u64 uaddr)
{
	unsigned int i;

	for (i = 0; i < regions->nr; i++)
		if (uaddr - regions->region[i].uaddr < regions->region[i].size)
			return &regions->region[i];
	return NULL;
}

/**
 * vhx_region_is_there - whether a table has this region of this file
 * @regions: the table
 * @region: as vhx_region_map() left it
 *
 * Return: true if it has
 */
bool vhx_region_is_there(const struct vhx_regions *regions,
			 const struct vhx_region *region)
{
	const struct vhx_region *at = vhx_region_find(regions, region->gpa);

	return at && at->gpa == region->gpa && at->size == region->size &&
	       at->uaddr == region->uaddr && at->offset == region->offset &&
	       at->dev == region->dev && at->ino == region->ino;
}

/**
 * vhx_region_is_cut - whether the client cut memory off
 * @regions: the table
 *
 * Return: true if it did
 */
bool vhx_region_is_cut(const struct vhx_regions *regions)
{
	unsigned int i;

	for (i = 0; i < regions->nr; i++)
		if (__atomic_load_n(&regions->region[i].mapping->is_cut,
				    __ATOMIC_ACQUIRE))
			return true;
	return false;
}
