/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What clients ask of a device, by the names of <linux/vhost.h>, whatever
 * transport brings it: range-checked arguments, -errno back.
 */
#ifndef VHX_PROTO_H
#define VHX_PROTO_H

#include <linux/vhost_types.h>

#include "device.h"

int vhx_proto_set_vring_num(struct vhx_device *dev,
			    const struct vhost_vring_state *state);
int vhx_proto_set_vring_base(struct vhx_device *dev,
			     const struct vhost_vring_state *state);
int vhx_proto_get_vring_base(struct vhx_device *dev,
			     struct vhost_vring_state *state);
int vhx_proto_set_vring_addr(struct vhx_device *dev,
			     const struct vhost_vring_addr *addr);
int vhx_proto_set_vring_endian(struct vhx_device *dev,
			       const struct vhost_vring_state *state);
int vhx_proto_set_vring_fd(struct vhx_device *dev, unsigned int index, int fd,
			   int (*set)(struct vhx_queue *queue, int fd));
int vhx_proto_iotlb(struct vhx_device *dev, const struct vhost_iotlb_msg *msg);

#endif /* VHX_PROTO_H */
