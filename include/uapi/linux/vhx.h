/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What vhx's /dev/vhost-net has beyond <linux/vhost.h>. Other modules behind
 * that node answer these with ENOTTY or ENOBUFS.
 */
#ifndef _UAPI_LINUX_VHX_H
#define _UAPI_LINUX_VHX_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

/* Feature sets that an open node can offer to its client. */
#define VHX_FEATURES_ALL	0	/* all that vhx has on this kernel */
#define VHX_FEATURES_LINUX_6_1	1	/* vhost_net of Linux 6.1 */
#define VHX_FEATURES_LINUX_6_12	2	/* vhost_net of Linux 6.12 */
#define VHX_FEATURES_LINUX_7_3	3	/* vhost_net of Linux 7.3 */

/**
 * struct vhx_feature_set - argument of VHX_SET_FEATURE_SET
 * @set: VHX_FEATURES_*
 * @reserved: must be zero
 */
struct vhx_feature_set {
	__u32 set;
	__u32 reserved;
};

/*
 * Pins what GET_FEATURES offers on this file, so that a guest can migrate to
 * and from hosts with that kernel's own vhost_net. What this kernel's tun
 * cannot do is left out of a set.
 *
 * Errors: EINVAL (no such set, @reserved not zero), EBUSY (has an owner, or
 * features are accepted: SET_FEATURES of 0 takes them back), EFAULT.
 */
#define VHX_SET_FEATURE_SET	_IOW(VHOST_VIRTIO, 0xe0, struct vhx_feature_set)

/* How long rings are polled for which the client does not say it. */
#define VHX_BUSYLOOP_OFF	0	/* not at all */
#define VHX_BUSYLOOP_AUTO	1	/* as long as it pays */

/**
 * struct vhx_busyloop - argument of VHX_SET_BUSYLOOP
 * @mode: VHX_BUSYLOOP_*
 * @reserved: must be zero
 */
struct vhx_busyloop {
	__u32 mode;
	__u32 reserved;
};

/*
 * Takes the place of the module parameter busyloop on this file. A ring for
 * which VHOST_SET_VRING_BUSYLOOP_TIMEOUT comes does what that says, 0 included,
 * for as long as there is this owner.
 *
 * Errors: EINVAL (no such mode, @reserved not zero), EBUSY (has an owner),
 * EFAULT.
 */
#define VHX_SET_BUSYLOOP	_IOW(VHOST_VIRTIO, 0xe1, struct vhx_busyloop)

#endif /* _UAPI_LINUX_VHX_H */
