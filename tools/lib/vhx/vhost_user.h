/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Connections of vhost-user, and the socket that they come by. */
#ifndef VHX_VHOST_USER_H
#define VHX_VHOST_USER_H

#include <pthread.h>
#include <linux/vhost_types.h>

#include "device.h"
#include "driver.h"
#include "session.h"

/* Regions of one SET_MEM_TABLE, and so file descriptors of a message. */
#define WIRE_REGIONS	8

/* Flags of a header: version 1, then these. */
#define FLAGS_VERSION	0x1
#define FLAGS_VERSION_MASK	0x3
#define FLAGS_REPLY	0x4
#define FLAGS_NEED_REPLY	0x8

struct wire_header {
	u32 request;
	u32 flags;
	u32 size;
};

struct wire_region {
	u64 gpa;
	u64 size;
	u64 uaddr;
	u64 offset;
};

struct wire_memory {
	u32 nr;
	u32 padding;
	struct wire_region region[WIRE_REGIONS];
};

struct wire_one_region {
	u64 padding;
	struct wire_region region;
};

struct wire_log {
	u64 size;
	u64 offset;
};

union payload {
	u64 num;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_iotlb_msg iotlb;
	struct wire_memory memory;
	struct wire_one_region one_region;
	struct wire_log log;
};

/**
 * struct kick_source - waits for the first kick of a queue
 * @source: first: it is what the session hands back
 * @queue: the queue
 */
struct kick_source {
	struct vhx_source source;
	struct vhx_queue *queue;
};

/**
 * struct conn - a front-end that has come
 * @dev: its device
 * @next: another one of the same driver
 * @source: its socket
 * @since_ms: when it came
 * @is_dead: to be ended when nothing of it is in work
 * @protocol_features: negotiated
 * @status: device status field, virtio 1.3 §2.1
 * @rarp_s: second of the last SEND_RARP
 * @nr_rarps: how many in it
 * @have: bytes of a message that have come
 * @size: bytes of its payload
 * @header: of it
 * @payload: of it
 * @nr_fds: file descriptors with it
 * @fd: these; -1: taken over
 * @request_mutex: guards @request_fd, which bursts use
 * @request_fd: where the front-end is asked, or -1
 * @kick: by queue
 */
struct conn {
	struct vhx_device dev;
	struct conn *next;
	struct vhx_source source;
	u64 since_ms;
	bool is_dead;
	u64 protocol_features;
	u64 status;
	time_t rarp_s;
	unsigned int nr_rarps;
	size_t have;
	u32 size;
	struct wire_header header;
	union payload payload;
	unsigned int nr_fds;
	int fd[WIRE_REGIONS];
	pthread_mutex_t request_mutex;
	int request_fd;
	struct kick_source kick[VHX_QUEUES_MAX];
};

/* messages.c */
int vhx_message_run(struct conn *conn);

/* vhost_user.c */
struct conn *vhx_vhost_user_connected(struct vhx_driver *driver, int fd);
void vhx_vhost_user_disconnect(struct conn *conn);

#endif /* VHX_VHOST_USER_H */
