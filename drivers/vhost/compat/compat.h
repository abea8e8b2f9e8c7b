/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Force-included before every source. The code is written for the newest
 * kernel; what an older one lacks is added here under its new name. Each gap
 * is found by compiling probe/<name>.c, which defines VHX_HAVE_<NAME>; no
 * version is asked for, since distributions backport.
 */
#ifndef VHX_COMPAT_H
#define VHX_COMPAT_H

#ifdef MODULE
#define pr_fmt(fmt)	KBUILD_MODNAME ": " fmt
#endif

#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>

#include <vhx-config.h>

/*
 * This file is compiled with every source, so what would need headers that few
 * sources include is a macro and not an inline. If a probe is wrong and the kernel
 * does have what is defined here, the build fails on the second definition.
 */

/* Drop when < 6.4 is gone. Workers then are kthreads. */
#ifndef VHX_HAVE_VHOST_TASK
struct vhost_task;

static inline struct vhost_task *
vhost_task_create(bool (*fn)(void *data), void (*handle_kill)(void *data),
		  void *data, const char *name)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void vhost_task_start(struct vhost_task *vtsk) {}
static inline void vhost_task_stop(struct vhost_task *vtsk) {}
static inline void vhost_task_wake(struct vhost_task *vtsk) {}
#else
#include <linux/sched/vhost_task.h>
#endif

#define VHX_CAN_MAKE_TASKS	__is_defined(VHX_HAVE_VHOST_TASK)

/* Drop when < 6.4 is gone: <linux/vhost.h>. */
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER	_IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER	_IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15,		\
				       struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER	_IOWR(VHOST_VIRTIO, 0x16,		\
				      struct vhost_vring_worker)
#endif

/* Drop when < 6.17 is gone: <linux/vhost.h>. */
#ifndef VHOST_SET_FORK_FROM_OWNER
#define VHOST_FORK_OWNER_KTHREAD	0
#define VHOST_FORK_OWNER_TASK		1
#define VHOST_SET_FORK_FROM_OWNER	_IOW(VHOST_VIRTIO, 0x84, __u8)
#define VHOST_GET_FORK_FROM_OWNER	_IOR(VHOST_VIRTIO, 0x85, __u8)
#endif

/* Drop when < 6.8 is gone. */
#ifndef VHX_HAVE_EVENTFD_SIGNAL_ONE
static inline void vhx_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}

#define eventfd_signal(ctx)	vhx_eventfd_signal(ctx)
#endif

/* Drop when < 7.2 is gone. */
#ifndef VHOST_GET_FEATURES_ARRAY
struct vhost_features_array {
	__u64 count;
	__u64 features[];
};

#define VHOST_GET_FEATURES_ARRAY _IOR(VHOST_VIRTIO, 0x83,		\
				      struct vhost_features_array)
#define VHOST_SET_FEATURES_ARRAY _IOW(VHOST_VIRTIO, 0x83,		\
				      struct vhost_features_array)
#endif

/* Drop when < 7.3 is gone. */
#ifndef VHX_HAVE_TUN_WAKE_QUEUE
#define tun_wake_queue(file, consumed)	do { } while (0)
#endif

/*
 * Where an XDP buffer for tun has its virtio-net header: newer kernels look
 * at the start of the buffer, older ones behind its length. Drop the latter
 * when < 7.2 is gone.
 */
#ifdef VHX_HAVE_TUN_XDP_HDR
#define VHX_TUN_HDR_OFF		offsetof(struct tun_xdp_hdr, gso)
#define vhx_tun_set_buflen(buf, size)					\
	(((struct tun_xdp_hdr *)(buf))->buflen = (size))
#else
struct tun_xdp_hdr { int is_gone; };
#define VHX_TUN_HDR_OFF		0
#define vhx_tun_set_buflen(buf, size)	do { } while (0)
#endif

#endif /* VHX_COMPAT_H */
