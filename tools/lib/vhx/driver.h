/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Drivers: paths that guests come to. */
#ifndef VHX_DRIVER_H
#define VHX_DRIVER_H

#include <time.h>
#include <vhx/vhx.h>

#include "account.h"

struct vhx_session;

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
 * @account: what its peers have here
 * @path: as it was registered
 * @flags: VHX_DRIVER_*
 * @is_started: guests may come
 * @is_leaving: to be unregistered when a callback has returned
 * @features: offered to those that come
 * @protocol_features: of vhost-user, that may be offered
 * @queue_pairs: theirs at most
 * @max_peers: that may be there at a time
 * @setup_ms: in which a peer has to have a device that runs; 0: for ever
 * @log_until: seconds: when it may log anew
 * @log_left: lines of each level until then
 * @log_lost: lines that were not told since @log_until began
 * @ops: the user's callbacks: @own_ops
 * @own_ops: a copy of them
 * @arg: for @ops
 */
struct vhx_driver {
	struct vhx_session *session;
	struct vhx_driver *next;
	const struct vhx_driver_ops *serve;
	void *server;
	struct vhx_account *account;
	char path[108];
	unsigned int flags;
	bool is_started;
	bool is_leaving;
	u64 features;
	u64 protocol_features;
	unsigned int queue_pairs;
	unsigned int max_peers;
	unsigned int setup_ms;
	time_t log_until;
	unsigned int log_left[VHX_LOG_DEBUG + 1];
	unsigned int log_lost;
	const struct vhx_device_ops *ops;
	struct vhx_device_ops own_ops;
	void *arg;
};

int vhx_driver_create(struct vhx_session *session, const char *path,
		      unsigned int flags, const struct vhx_driver_ops *serve,
		      struct vhx_driver **driver);

struct vhx_driver *vhx_driver_let_go(struct vhx_session *session);
void vhx_driver_free(struct vhx_driver *driver);

/* log.c */
void vhx_driver_log(struct vhx_driver *driver, enum vhx_log_level level,
		    const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* VHX_DRIVER_H */
