/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Clients of a node: what one open of it has. */
#ifndef VHX_CUSE_CLIENT_H
#define VHX_CUSE_CLIENT_H

#include <linux/vhost.h>

#include "device.h"
#include "driver.h"
#include "remote.h"
#include "session.h"

#ifndef VHOST_GET_FEATURES_ARRAY
#define VHOST_GET_FEATURES_ARRAY	_IOR(VHOST_VIRTIO, 0x83, __u64)
#define VHOST_SET_FEATURES_ARRAY	_IOW(VHOST_VIRTIO, 0x83, __u64)
#endif

/* Queues of one open, as in vhost-net. */
#define CLIENT_QUEUES	2
/* IOTLB messages that were not read: queues remember what they asked for. */
#define ASKED_MAX	(CLIENT_QUEUES * VHX_MISSES_MAX)
/* Words of a features array that are looked at. */
#define WORDS_MAX	64
/* Bytes of an IOTLB message, of both versions */
#define IOTLB_MSG_LEN	sizeof(struct vhost_msg_v2)

struct fuse_pollhandle;

/**
 * struct client - one open of a node
 * @dev: its device
 * @next: another one of the same node
 * @owner: who said SET_OWNER
 * @caller: thread that waits for an ioctl
 * @has_table: guest memory was set
 * @accepted: what SET_FEATURES said
 * @offloads: what the tap says of the guest, by feature bits
 * @backend_features: VHOST_BACKEND_F_*
 * @tap: by queue, what SET_BACKEND gave, or -1
 * @busyloop: by queue, in microseconds; read back, and nothing else
 * @mutex: guards what is below, which bursts use
 * @poll: who waits for an IOTLB message
 * @nr_asked: how many in @asked
 * @asked: messages that were not read
 */
struct client {
	struct vhx_device dev;
	struct client *next;
	struct vhx_remote owner;
	pid_t caller;
	bool has_table;
	u64 accepted;
	u64 offloads;
	u64 backend_features;
	int tap[CLIENT_QUEUES];
	u32 busyloop[CLIENT_QUEUES];
	pthread_mutex_t mutex;
	struct fuse_pollhandle *poll;
	unsigned int nr_asked;
	struct vhx_miss asked[ASKED_MAX];
};

/**
 * union arg - what an ioctl brings and takes
 * @num: features
 * @index: of a queue
 * @state: one number of a queue
 * @addr: where a ring lies
 * @file: a descriptor of the owner's, for a queue
 * @words: a features array, behind its count
 * @memory: guest memory
 */
union arg {
	u64 num;
	u32 index;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_vring_file file;
	struct {
		u64 count;
		u64 word[WORDS_MAX];
	} words;
	struct {
		u32 nr;
		u32 padding;
		struct vhost_memory_region region[VHX_REGIONS_MAX];
	} memory;
};

/**
 * struct call - an ioctl
 * @cmd: its number
 * @name: for the log
 * @handle: what to do. Return: 0 or an errno
 * @in: bytes that it brings
 * @out: bytes that it takes
 * @each: bytes more for each of the count in front
 * @max: of this count
 * @too_many: what more is refused with
 * @count_len: bytes of the count
 * @gives_each: these are what it takes, else what it brings
 * @is_ring: begins with the index of a queue
 * @is_free: also for who has not said SET_OWNER
 */
struct call {
	u32 cmd;
	const char *name;
	int (*handle)(struct client *client, union arg *arg);
	u16 in;
	u16 out;
	u16 each;
	u16 max;
	int too_many;
	u8 count_len;
	bool gives_each;
	bool is_ring;
	bool is_free;
};

const struct call *vhx_cuse_find_call(u32 cmd);
int vhx_cuse_call(struct client *client, const struct call *call,
		  union arg *arg);
void vhx_cuse_stop(struct client *client, unsigned int index);
int vhx_cuse_write_iotlb(struct client *client, const void *msg, size_t len);
size_t vhx_cuse_read_iotlb(struct client *client, void *msg);

/* tap.c */
int vhx_tap_look_at(int fd, char *name, u64 *offloads);
void vhx_tap_set_carrier(int fd, bool is_on);

#endif /* VHX_CUSE_CLIENT_H */
