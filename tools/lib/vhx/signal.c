// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Signals to eventfds of peers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "signal.h"

#define EVENTS	64		/* of vhx_signals.aio; the kernel has room for more */

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

	while (syscall(SYS_io_submit, signals->aio, 1L, &iocb) != 1)
		/* Completions were kept: nobody looks at them. */
		if (errno != EAGAIN || syscall(SYS_io_getevents, signals->aio, 0L,
					       (long)EVENTS, event, NULL) <= 0)
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
	/* A full counter is readable, which is all that it is for. */
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}
