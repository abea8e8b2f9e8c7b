/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptors of kinds that a client of vhost-user has no reason to send. */
#ifndef FUZZ_FDS_H
#define FUZZ_FDS_H

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define ODD_FDS	16
#define ODD_LEN	0x40000

static int odd_fd[ODD_FDS];

/* A file of memory, which others may not change; or huge pages, or plain memory. */
static int odd_memfd(unsigned int flags, int seals)
{
	int fd = memfd_create("odd", MFD_CLOEXEC | flags);

	if (fd >= 0 && !ftruncate(fd, flags & MFD_HUGETLB ? 2 << 20 : ODD_LEN) &&
	    seals)
		fcntl(fd, F_ADD_SEALS, seals);
	return fd;
}

/* None is missing: what cannot be had is a directory instead. */
static inline void odd_fds_open(void)
{
	int pipes[2] = { -1, -1 };

	/* What it leaves is -1. */
	if (pipe2(pipes, O_CLOEXEC))
		pipes[0] = -1;
	odd_fd[0] = pipes[0];
	odd_fd[1] = pipes[1];
	odd_fd[2] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	odd_fd[3] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	odd_fd[4] = eventfd(1 << 20, EFD_SEMAPHORE | EFD_CLOEXEC);
	odd_fd[5] = eventfd(0, EFD_CLOEXEC);
	odd_fd[6] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	odd_fd[7] = epoll_create1(EPOLL_CLOEXEC);
	odd_fd[8] = odd_memfd(MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_WRITE);
	odd_fd[9] = odd_memfd(MFD_ALLOW_SEALING, F_SEAL_SHRINK);
	odd_fd[10] = odd_memfd(0, 0);
	odd_fd[11] = odd_memfd(MFD_HUGETLB, 0);
	odd_fd[12] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	odd_fd[13] = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	odd_fd[14] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	odd_fd[15] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < ODD_FDS; i++)
		if (odd_fd[i] < 0)
			odd_fd[i] = odd_fd[15];
}

/* The counter of the eventfd is full again, whoever read it. */
static inline void odd_fds_fill(void)
{
	uint64_t count;

	fcntl(odd_fd[5], F_SETFL, O_NONBLOCK);
	if (read(odd_fd[5], &count, sizeof(count)) < 0)
		count = 0;
	eventfd_write(odd_fd[5], ~1ULL);
	fcntl(odd_fd[5], F_SETFL, 0);
}

/*
 * Memory that was given is cut off, and is there again for the next. Who writes to
 * the full eventfd waits, whatever was made of it before.
 */
static inline void odd_fds_cut(void)
{
	fcntl(odd_fd[5], F_SETFL, 0);
	if (ftruncate(odd_fd[10], 0) || ftruncate(odd_fd[10], ODD_LEN))
		return;
}

#endif /* FUZZ_FDS_H */
