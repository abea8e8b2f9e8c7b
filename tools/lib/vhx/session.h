/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The event loop. */
#ifndef VHX_SESSION_H
#define VHX_SESSION_H

#include <pthread.h>
#include <vhx/vhx.h>

#include "signal.h"

/**
 * struct vhx_source - a descriptor that the session polls
 * @fd: the descriptor
 * @ready: called when it is, with EPOLL* bits
 */
struct vhx_source {
	int fd;
	void (*ready)(struct vhx_source *source, u32 events);
};

/**
 * struct vhx_session - an event loop
 * @mutex: held while something is done, callbacks included
 * @is_busy: callbacks are called
 * @has_leaving: one of @drivers is to leave
 * @epoll: polls all sources, and @wake
 * @wake: eventfd: look for what is to be reaped, or for the end
 * @wake_source: of @wake
 * @signals: what peers are signalled by
 * @thread: runs it, if @has_thread
 * @has_thread: it was started
 * @is_ending: the thread is to end
 * @log: where messages go
 * @log_arg: for @log
 * @drivers: list of its drivers
 */
struct vhx_session {
	pthread_mutex_t mutex;
	bool is_busy;
	bool has_leaving;
	int epoll;
	int wake;
	struct vhx_source wake_source;
	struct vhx_signals signals;
	pthread_t thread;
	bool has_thread;
	bool is_ending;
	vhx_log_fn log;
	void *log_arg;
	struct vhx_driver *drivers;
};

int vhx_session_add(struct vhx_session *session, struct vhx_source *source,
		    u32 events);
void vhx_session_remove(struct vhx_session *session,
			struct vhx_source *source);
void vhx_session_wake(struct vhx_session *session);

#endif /* VHX_SESSION_H */
