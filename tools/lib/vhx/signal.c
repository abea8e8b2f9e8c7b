// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Signals to eventfds of peers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/io_uring.h>

#include "signal.h"

#define EVENTS	64		/* of vhx_signals.aio; the kernel has room for more */
#define HEADS	4096		/* bytes of a vhx_uring: where its rings begin and end */
#define TRIES	100		/* then it is not others that make it full */

/**
 * vhx_signal_open - prepare for vhx_signal()
 * @signals: the session's
 *
 * Without room for it in /proc/sys/fs/aio-max-nr, or without aio, signals are
 * written.
 */
void vhx_signal_open(struct vhx_signals *signals)
{
	signals->nothing = memfd_create("vhx-nothing", MFD_CLOEXEC);
	if (signals->nothing < 0 || syscall(SYS_io_setup, EVENTS, &signals->aio))
		signals->aio = 0;
}

/**
 * vhx_signal_close - undo vhx_signal_open()
 * @signals: the session's
 */
void vhx_signal_close(struct vhx_signals *signals)
{
	if (signals->aio)
		syscall(SYS_io_destroy, signals->aio);
	if (signals->nothing >= 0)
		close(signals->nothing);
}

/* Return: 0, or the errno that the kernel refuses it with. */
static int submit(struct vhx_signals *signals, struct iocb *iocb)
{
	struct io_event event[EVENTS];
	unsigned int tries = 0;

	/*
	 * Completions were kept, which nobody looks at. If there are none, another
	 * thread has just taken them out.
	 */
	while (syscall(SYS_io_submit, signals->aio, 1L, &iocb) != 1)
		if (errno != EAGAIN || tries++ == TRIES ||
		    syscall(SYS_io_getevents, signals->aio, 0L, (long)EVENTS,
			    event, NULL) < 0)
			return errno;
	return 0;
}

/* As /proc says it. */
static bool is_eventfd(int fd)
{
	char path[32], target[32];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = 0;
	return !strcmp(target, "anon_inode:[eventfd]");
}

/**
 * vhx_signal_can - whether a descriptor of a peer's can be signalled
 * @signals: the session's
 * @fd: the descriptor, of any kind
 *
 * A read into nowhere fails, without a signal, after the kernel saw to it that
 * what it was to signal is an eventfd.
 *
 * Return: true if it is an eventfd; what is written there does not wait then,
 * unless the peer wants that
 */
bool vhx_signal_can(struct vhx_signals *signals, int fd)
{
	struct iocb read_nowhere = {
		.aio_lio_opcode = IOCB_CMD_PREADV,
		.aio_fildes = (u32)signals->nothing, .aio_nbytes = 1,
		.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (u32)fd,
	};
	int flags, err = EAGAIN;

	if (signals->aio)
		err = submit(signals, &read_nowhere);
	/* Without aio, or room in it. */
	if (err == EAGAIN ? !is_eventfd(fd) : err != EFAULT)
		return false;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/**
 * vhx_signal - add one to an eventfd of a peer's
 * @signals: the session's
 * @fd: the eventfd, or -1
 *
 * A write may wait for as long as the peer likes, which can make the counter full
 * and O_NONBLOCK go at any time. The kernel's own signals do not wait: that of a
 * read of nothing is one.
 *
 * Context: any
 */
void vhx_signal(struct vhx_signals *signals, int fd)
{
	const u64 one = 1;
	struct iocb read_nothing = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (u32)signals->nothing,
		.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (u32)fd,
	};

	if (fd < 0 || (signals->aio && !submit(signals, &read_nothing)))
		return;
	/* The reader only needs it readable, so EAGAIN of a full counter is fine. */
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}

static bool uring_open(struct vhx_uring *uring)
{
	struct io_uring_params params = {};
	char *heads;

	uring->fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	if (uring->fd < 0)
		return false;
	heads = mmap(NULL, HEADS, PROT_READ | PROT_WRITE, MAP_SHARED, uring->fd,
		     IORING_OFF_SQ_RING);
	if (heads == MAP_FAILED)
		return false;
	uring->heads = heads;
	uring->tail = (u32 *)(heads + params.sq_off.tail);
	uring->head = (u32 *)(heads + params.cq_off.head);
	return params.features & IORING_FEAT_SINGLE_MMAP;
}

/**
 * vhx_uring_close - let go what vhx_uring_signal() took
 * @uring: the one
 */
void vhx_uring_close(struct vhx_uring *uring)
{
	if (uring->heads)
		munmap(uring->heads, HEADS);
	if (uring->fd >= 0)
		close(uring->fd);
	*uring = (struct vhx_uring){ .fd = -1 };
}

/* Has it signal @fd from now on. */
static void aim(struct vhx_uring *uring, int fd)
{
	if (uring->fd >= 0)
		syscall(SYS_io_uring_register, uring->fd,
			IORING_UNREGISTER_EVENTFD, NULL, 0);
	if ((uring->fd < 0 && !uring_open(uring)) ||
	    syscall(SYS_io_uring_register, uring->fd, IORING_REGISTER_EVENTFD,
		    &fd, 1))
		vhx_uring_close(uring);
	uring->is_aimed = true;
}

/**
 * vhx_uring_signal - add one to an eventfd of a peer's, at less cost
 * @uring: one for each eventfd; 0, but for @fd, before the first time
 * @fd: the eventfd; another one than last time, if @is_aimed is false
 *
 * The kernel's own signal for something that was completed waits for nobody, and
 * nothing is quickly completed. io_uring may be forbidden to a program, and takes
 * a descriptor and a page.
 *
 * Context: one thread at a time
 * Return: whether it did; if not, vhx_signal() does
 */
bool vhx_uring_signal(struct vhx_uring *uring, int fd)
{
	if (unlikely(!uring->is_aimed))
		aim(uring, fd);
	if (uring->fd < 0)
		return false;
	__atomic_store_n(uring->tail, uring->nr + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, uring->fd, 1, 0, 0, NULL, 0) != 1) {
		__atomic_store_n(uring->tail, uring->nr, __ATOMIC_RELEASE);
		return false;
	}
	__atomic_store_n(uring->head, ++uring->nr, __ATOMIC_RELEASE);
	return true;
}
