// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Guest memory: files of the client's that are mapped here. */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vhx/vhx.h>

#include "region.h"

static_assert(sizeof(size_t) == sizeof(u64), "memory of a guest's size");

static struct vhx_mapping *mappings;
static unsigned int nr_mappings;
/* A file of zeros for what was cut off, or -1. */
static int wreck = -1;
static pthread_mutex_t mappings_lock = PTHREAD_MUTEX_INITIALIZER;

/* Room in a process; a limit of the size of files would be met by a signal. */
static void open_wreck(void)
{
	const off_t size = 1LL << 47;
	struct rlimit limit;

	if (wreck >= 0 || getrlimit(RLIMIT_FSIZE, &limit) ||
	    limit.rlim_cur != RLIM_INFINITY)
		return;
	wreck = memfd_create("vhx-wreck", MFD_CLOEXEC);
	if (wreck >= 0 && ftruncate(wreck, size)) {
		close(wreck);
		wreck = -1;
	}
}

/* One that is not in use, or a new one; charged to an account. */
static int take_mapping(struct vhx_account *account, u64 len,
			struct vhx_mapping **result)
{
	struct vhx_mapping *mapping = mappings;

	if (account->nr >= account->max_nr ||
	    len > account->max_bytes - account->bytes)
		return -EDQUOT;
	if (nr_mappings >= VHX_MAPPINGS_MAX)
		return -ENOSPC;
	open_wreck();
	while (mapping && mapping->account)
		mapping = mapping->next;
	if (!mapping) {
		mapping = calloc(1, sizeof(*mapping));
		if (!mapping)
			return -ENOMEM;
		mapping->next = mappings;
		__atomic_store_n(&mappings, mapping, __ATOMIC_RELEASE);
	}
	nr_mappings++;
	account->nr++;
	account->bytes += len;
	mapping->account = account;
	__atomic_store_n(&mapping->len, len, __ATOMIC_RELEASE);
	mapping->is_cut = false;
	*result = mapping;
	return 0;
}

static void discharge(const struct vhx_mapping *mapping)
{
	mapping->account->nr--;
	mapping->account->bytes -= mapping->len;
}

static void put_mapping(struct vhx_mapping *mapping)
{
	if (!--nr_mappings && wreck >= 0) {
		close(wreck);
		wreck = -1;
	}
	mapping->account = NULL;
}

/*
 * Memory alone has seals: memfd, tmpfs, hugetlbfs. Anything else that one asks a
 * file of, to stat it, map it, or read there, may be answered by a program of the
 * peer's, when that likes.
 */
static bool is_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

/* The block of a file: huge pages are mapped whole. Return: 0 or an errno. */
static int check_file(const struct vhx_account *account, int fd, u64 end,
		      u64 *block)
{
	struct stat st;

	*block = (u64)sysconf(_SC_PAGESIZE);
	if (!account->takes_any && !is_memory(fd))
		return -EMEDIUMTYPE;
	if (fstat(fd, &st))
		return -errno;
	/* A device file says nothing of its size. */
	if (!S_ISREG(st.st_mode))
		return 0;
	if ((u64)st.st_blksize > *block)
		*block = (u64)st.st_blksize;
	return end > (u64)st.st_size || *block & (*block - 1) ? -EINVAL : 0;
}

/**
 * vhx_mapping_create - map a part of a peer's file
 * @account: what it is charged to
 * @fd: the file; stays the caller's, and may be closed afterwards
 * @offset: where in the file the part begins
 * @len: bytes of it, at least 1
 * @result: the mapping
 * @ptr: where the part is in it
 *
 * Return: 0, -EMEDIUMTYPE (no memory), -EDQUOT (over the account's limits),
 * -ENOSPC (over the program's), -EINVAL (the file ends before it), -ENOMEM, or an
 * errno of fstat() or mmap()
 */
int vhx_mapping_create(struct vhx_account *account, int fd, u64 offset, u64 len,
		       struct vhx_mapping **result, u8 **ptr)
{
	struct vhx_mapping *mapping;
	u64 block = 1, skip, end;
	void *start;
	int err;

	if (__builtin_add_overflow(offset, len, &end) || end > INT64_MAX / 2)
		return -EINVAL;
	err = check_file(account, fd, end, &block);
	if (err)
		return err;
	skip = offset & (block - 1);
	len = (skip + len + block - 1) & ~(block - 1);
	pthread_mutex_lock(&mappings_lock);
	err = take_mapping(account, len, &mapping);
	if (err)
		goto out_unlock;
	start = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_NORESERVE, fd, (off_t)(offset - skip));
	if (start == MAP_FAILED) {
		err = -errno;
		discharge(mapping);
		put_mapping(mapping);
		goto out_unlock;
	}
	/* Guests' memory is in no core dump of ours. */
	madvise(start, len, MADV_DONTDUMP);
	__atomic_store_n(&mapping->start, start, __ATOMIC_RELEASE);
	*result = mapping;
	*ptr = mapping->start + skip;
out_unlock:
	pthread_mutex_unlock(&mappings_lock);
	return err;
}

static void unmap(struct vhx_chore *chore)
{
	struct vhx_mapping *mapping = (struct vhx_mapping *)chore;
	u8 *start = mapping->start;

	/* Before others may map something there. */
	__atomic_store_n(&mapping->start, NULL, __ATOMIC_RELEASE);
	munmap(start, mapping->len);
	pthread_mutex_lock(&mappings_lock);
	put_mapping(mapping);
	pthread_mutex_unlock(&mappings_lock);
}

/**
 * vhx_mapping_destroy - unmap, soon
 * @mapping: the mapping, which nothing uses any more
 *
 * The last one of a guest's memory gives that back to the system, which takes long.
 * The account may have others for it already, as QEMU repeats what it gave.
 */
void vhx_mapping_destroy(struct vhx_mapping *mapping)
{
	pthread_mutex_lock(&mappings_lock);
	discharge(mapping);
	pthread_mutex_unlock(&mappings_lock);
	mapping->chore.run = unmap;
	vhx_account_add(mapping->account, &mapping->chore);
}

/*
 * Puts zeros in the place of a whole mapping, which takes no further one. Where
 * the system counts what is promised, and has promised all, a file is none of it.
 */
static bool put_zeros(u8 *start, size_t len)
{
	const int prot = PROT_READ | PROT_WRITE;

	return mmap(start, len, prot, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS |
		    MAP_NORESERVE, -1, 0) != MAP_FAILED ||
	       (wreck >= 0 && mmap(start, len, prot, MAP_SHARED | MAP_FIXED |
				   MAP_NORESERVE, wreck, 0) != MAP_FAILED);
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
		size_t len = __atomic_load_n(&mapping->len, __ATOMIC_ACQUIRE);

		/* What faults is mapped, so its entry stands still; others do not. */
		if (!start || (uintptr_t)info->si_addr - (uintptr_t)start >= len ||
		    start != __atomic_load_n(&mapping->start, __ATOMIC_ACQUIRE))
			continue;
		if (!put_zeros(start, len))
			return false;
		errno = saved;
		__atomic_store_n(&mapping->is_cut, true, __ATOMIC_RELEASE);
		if (write(mapping->account->wake, &one, sizeof(one)) < 0)
			errno = saved;
		return true;
	}
	return false;
}

/**
 * vhx_region_strerror - what an errno of mapping means
 * @err: negative errno
 *
 * Return: for the log
 */
const char *vhx_region_strerror(int err)
{
	switch (err) {
	case -EMEDIUMTYPE:
		return "guest memory is no memfd, nor a file of tmpfs or hugetlbfs";
	case -EDQUOT:
		return "more guest memory, or in more parts, than this socket may have";
	case -ENOSPC:
		return "all sockets together have too many parts of guest memory";
	default:
		return strerror(-err);
	}
}

/**
 * vhx_region_identify - which part of which file a region is
 * @region: result: offset, dev, ino
 * @fd: the file
 * @offset: where in the file the region begins
 * @account: what it would be charged to
 *
 * Return: 0, -EMEDIUMTYPE (no memory), or an errno of fstat()
 */
int vhx_region_identify(struct vhx_region *region, int fd, u64 offset,
			const struct vhx_account *account)
{
	struct stat st;

	if (!account->takes_any && !is_memory(fd))
		return -EMEDIUMTYPE;
	if (fstat(fd, &st))
		return -errno;
	region->offset = offset;
	region->dev = st.st_dev;
	region->ino = st.st_ino;
	return 0;
}

/**
 * vhx_region_map - map a region
 * @region: gpa, size and uaddr are set, the rest is the result
 * @fd: the file; stays the caller's, and may be closed afterwards
 * @offset: where in the file the region begins
 * @account: what it is charged to
 *
 * Return: 0, -EINVAL (empty, wraps, or what is aligned for the client would not be
 * here), or as vhx_mapping_create()
 */
int vhx_region_map(struct vhx_region *region, int fd, u64 offset,
		   struct vhx_account *account)
{
	int err;

	if (!region->size || region->gpa + (region->size - 1) < region->gpa ||
	    region->uaddr + (region->size - 1) < region->uaddr ||
	    !vhx_is_aligned_alike(offset, region->uaddr))
		return -EINVAL;
	err = vhx_region_identify(region, fd, offset, account);
	if (err)
		return err;
	return vhx_mapping_create(account, fd, offset, region->size,
				  &region->mapping, &region->ptr);
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
