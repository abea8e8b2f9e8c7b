// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Call and error eventfds. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device.h"
#include "session.h"

#define EVENTS	64		/* of vhx_session.aio; the kernel has room for more */

/**
 * vhx_signal_open - prepare for vhx_signal()
 * @session: the session
 *
 * Without room for it in /proc/sys/fs/aio-max-nr, or without aio, signals are
 * written.
 */
void vhx_signal_open(struct vhx_session *session)
{
	session->nothing = memfd_create("vhx-nothing", MFD_CLOEXEC);
	if (session->nothing < 0 || syscall(SYS_io_setup, EVENTS, &session->aio))
		session->aio = 0;
}

/**
 * vhx_signal_close - undo vhx_signal_open()
 * @session: the session
 */
void vhx_signal_close(struct vhx_session *session)
{
	if (session->aio)
		syscall(SYS_io_destroy, session->aio);
	if (session->nothing >= 0)
		close(session->nothing);
}

/**
 * vhx_signal - add one to an eventfd of a peer's
 * @session: the session
 * @fd: the eventfd, or -1
 *
 * A write may wait for as long as the peer likes, which can make the counter full
 * and O_NONBLOCK go at any time. The kernel's own signals do not wait: that of a
 * read of nothing is one.
 *
 * Context: any
 */
void vhx_signal(struct vhx_session *session, int fd)
{
	const u64 one = 1;
	struct iocb read_nothing = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (u32)session->nothing,
		.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (u32)fd,
	};
	struct iocb *iocb = &read_nothing;
	struct io_event event[EVENTS];

	if (fd < 0)
		return;
	while (session->aio) {
		if (syscall(SYS_io_submit, session->aio, 1L, &iocb) == 1)
			return;
		/* Completions were kept: nobody looks at them. */
		if (errno != EAGAIN || syscall(SYS_io_getevents, session->aio, 0L,
					       (long)EVENTS, event, NULL) <= 0)
			break;
	}
	/* A full counter is readable, which is all that it is for. */
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}

/**
 * vhx_notify_call - signal the guest, if it wants that
 * @queue: a queue that completed something
 *
 * Context: the queue is locked
 */
void vhx_notify_call(struct vhx_queue *queue)
{
	int ret = queue->ring.ops->call_needed(&queue->ring);

	if (ret < 0) {
		vhx_queue_fail(queue, ret);
	} else if (ret) {
		vhx_signal(queue->dev->driver->session, queue->call);
		queue->stats.calls++;
	} else {
		queue->stats.calls_saved++;
	}
}

/**
 * vhx_notify_error - tell client and operator that a ring is broken
 * @queue: the queue
 * @err: why, with vhx_ring.cause
 *
 * Context: the queue is locked
 */
void vhx_notify_error(struct vhx_queue *queue, int err)
{
	const struct vhx_device *dev = queue->dev;

	queue->stats.errors++;
	vhx_signal(dev->driver->session, queue->err);
	vhx_session_log(dev->driver->session, VHX_LOG_WARN,
			"%s: queue %u stopped: %s: %s", dev->name,
			queue->index, queue->ring.cause ? queue->ring.cause :
			"?", strerror(-err));
}
