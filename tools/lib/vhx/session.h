/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The event loop, and the drivers that it serves. */
#ifndef VHX_SESSION_H
#define VHX_SESSION_H

#include <linux/aio_abi.h>
#include <pthread.h>
#include <vhx/vhx.h>

#include "ring_env.h"

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
 * struct vhx_driver_ops - what serves a driver's path
 * @start: let guests come
 * @reap: end the devices that hung up, or whose memory was cut off
 * @close: end all devices, and what start() made; free what it has of its own
 */
struct vhx_driver_ops {
	int (*start)(struct vhx_driver *driver);
	void (*reap)(struct vhx_driver *driver);
	void (*close)(struct vhx_driver *driver);
};

/**
 * struct vhx_driver - a path that guests come to
 * @session: its session
 * @next: another driver of the session
 * @serve: what serves the path
 * @server: for @serve
 * @path: as it was registered
 * @flags: VHX_DRIVER_*
 * @is_started: guests may come
 * @features: offered to those that come
 * @queue_pairs: theirs at most
 * @ops: the user's callbacks
 * @arg: for @ops
 */
struct vhx_driver {
	struct vhx_session *session;
	struct vhx_driver *next;
	const struct vhx_driver_ops *serve;
	void *server;
	char path[108];
	unsigned int flags;
	bool is_started;
	u64 features;
	unsigned int queue_pairs;
	const struct vhx_device_ops *ops;
	void *arg;
};

/**
 * struct vhx_session - an event loop
 * @mutex: held while something is done, callbacks included
 * @epoll: polls all sources, and @wake
 * @wake: eventfd: look for what is to be reaped, or for the end
 * @wake_source: of @wake
 * @aio: makes the kernel signal, see vhx_signal(); 0: none
 * @nothing: a file without contents
 * @thread: runs it, if @has_thread
 * @has_thread: it was started
 * @is_ending: the thread is to end
 * @log: where messages go
 * @log_arg: for @log
 * @drivers: list of its drivers
 */
struct vhx_session {
	pthread_mutex_t mutex;
	int epoll;
	int wake;
	struct vhx_source wake_source;
	aio_context_t aio;
	int nothing;
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
void vhx_session_log(const struct vhx_session *session,
		     enum vhx_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* notify.c */
void vhx_signal_open(struct vhx_session *session);
void vhx_signal_close(struct vhx_session *session);
void vhx_signal(struct vhx_session *session, int fd);
/* driver.c */
int vhx_driver_create(struct vhx_session *session, const char *path,
		      unsigned int flags, const struct vhx_driver_ops *serve,
		      struct vhx_driver **driver);
/* vhost_user.c */
extern const struct vhx_driver_ops vhx_vhost_user_serve;
int vhx_vhost_user_register(struct vhx_driver *driver);

#endif /* VHX_SESSION_H */
