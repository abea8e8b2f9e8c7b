/* SPDX-License-Identifier: GPL-2.0-only */
/* A dirty log: a bitmap of guest pages, a bit for 4 KiB. */
#ifndef LOG_LIB_H
#define LOG_LIB_H

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "vhost_lib.h"

#define LOG_PAGE	4096ULL
#define LOG_TOP		0x200000000ULL		/* guest addresses below it */
#define LOG_SIZE	(LOG_TOP / LOG_PAGE / 8)

static inline uint8_t *log_alloc(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Where the bit of a page is: the log is one of longs, as this machine has them. */
static inline size_t log_byte(uint64_t page)
{
	return (page / 8) ^ (HOST_IS_BE ? sizeof(long) - 1 : 0);
}

static inline bool log_has(const uint8_t *log, uint64_t at)
{
	uint64_t page = at / LOG_PAGE;

	return __atomic_load_n(&log[log_byte(page)], __ATOMIC_ACQUIRE) &
	       1 << page % 8;
}

static inline void log_set(uint8_t *log, uint64_t at, uint64_t len)
{
	for (uint64_t page = at / LOG_PAGE; page <= (at + len - 1) / LOG_PAGE;
	     page++)
		log[log_byte(page)] |= 1 << page % 8;
}

/* Return: pages that are dirty. */
static inline unsigned int log_count(const uint8_t *log)
{
	unsigned int n = 0;

	for (size_t i = 0; i < LOG_SIZE; i++)
		n += __builtin_popcount(log[i]);
	return n;
}

static inline int log_base(struct dev *d, const void *log)
{
	return dev_u64(d, VHOST_SET_LOG_BASE, (uintptr_t)log);
}

static inline int log_fd(struct dev *d, int fd)
{
	return dev_ioctl(d, VHOST_SET_LOG_FD, &fd, sizeof(fd));
}

#endif /* LOG_LIB_H */
