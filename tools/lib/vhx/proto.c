// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* What clients ask of a device, whatever transport brings it. */
#include "driver.h"
#include "proto.h"
#include "session.h"

/**
 * vhx_proto_set_vring_num - VHOST_SET_VRING_NUM
 * @dev: the device
 * @state: entries in state->num
 *
 * Return: 0, -EINVAL, -EBUSY, -ENOBUFS (no such queue)
 */
int vhx_proto_set_vring_num(struct vhx_device *dev,
			    const struct vhost_vring_state *state)
{
	struct vhx_queue *queue = vhx_device_queue(dev, state->index);

	return queue ? vhx_queue_set_num(queue, state->num) : -ENOBUFS;
}

/**
 * vhx_proto_set_vring_base - VHOST_SET_VRING_BASE
 * @dev: the device
 * @state: where to start in state->num
 *
 * Return: 0, -EBUSY, -ENOBUFS
 */
int vhx_proto_set_vring_base(struct vhx_device *dev,
			     const struct vhost_vring_state *state)
{
	struct vhx_queue *queue = vhx_device_queue(dev, state->index);

	return queue ? vhx_queue_set_base(queue, state->num) : -ENOBUFS;
}

/**
 * vhx_proto_get_vring_base - VHOST_GET_VRING_BASE
 * @dev: the device
 * @state: result in state->num
 *
 * Return: 0, -ENOBUFS
 */
int vhx_proto_get_vring_base(struct vhx_device *dev,
			     struct vhost_vring_state *state)
{
	struct vhx_queue *queue = vhx_device_queue(dev, state->index);

	if (!queue)
		return -ENOBUFS;
	state->num = vhx_queue_get_base(queue);
	return 0;
}

/**
 * vhx_proto_set_vring_addr - VHOST_SET_VRING_ADDR
 * @dev: the device
 * @addr: where the ring lies
 *
 * log_guest_addr is not needed: guest memory says where a write was.
 *
 * Return: 0, -EOPNOTSUPP (flags), -EINVAL, -ENOBUFS
 */
int vhx_proto_set_vring_addr(struct vhx_device *dev,
			     const struct vhost_vring_addr *addr)
{
	struct vhx_queue *queue = vhx_device_queue(dev, addr->index);

	if (!queue)
		return -ENOBUFS;
	if (addr->flags & ~(1u << VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	return vhx_queue_set_addr(queue, addr);
}

/**
 * vhx_proto_set_vring_endian - VHOST_SET_VRING_ENDIAN
 * @dev: the device
 * @state: VHOST_VRING_LITTLE_ENDIAN or VHOST_VRING_BIG_ENDIAN in state->num
 *
 * Return: 0, -EINVAL, -EBUSY, -ENOBUFS
 */
int vhx_proto_set_vring_endian(struct vhx_device *dev,
			       const struct vhost_vring_state *state)
{
	struct vhx_queue *queue = vhx_device_queue(dev, state->index);

	if (!queue)
		return -ENOBUFS;
	if (state->num > 1)
		return -EINVAL;
	return vhx_queue_set_endian(queue, state->num == 1);
}

/**
 * vhx_proto_set_vring_fd - VHOST_SET_VRING_KICK, _CALL, _ERR
 * @dev: the device
 * @index: of the queue
 * @fd: an eventfd or -1; the device's from here on, or closed
 * @set: vhx_queue_set_*()
 *
 * Return: 0, -EINVAL (no eventfd), -ENOBUFS, or what @set returns
 */
int vhx_proto_set_vring_fd(struct vhx_device *dev, unsigned int index, int fd,
			   int (*set)(struct vhx_queue *queue, int fd))
{
	struct vhx_queue *queue = vhx_device_queue(dev, index);

	int err = queue ? -EINVAL : -ENOBUFS;

	if (queue && (fd < 0 || vhx_signal_can(&dev->driver->session->signals, fd)))
		return set(queue, fd);
	if (fd >= 0)
		vhx_account_close(dev->driver->account, fd);
	return err;
}

/**
 * vhx_proto_iotlb - a message of struct vhost_msg
 * @dev: the device
 * @msg: VHOST_IOTLB_UPDATE or VHOST_IOTLB_INVALIDATE
 *
 * Return: 0, -EINVAL
 */
int vhx_proto_iotlb(struct vhx_device *dev, const struct vhost_iotlb_msg *msg)
{
	switch (msg->type) {
	case VHOST_IOTLB_UPDATE:
		return vhx_device_update_iotlb(dev, msg->iova, msg->size,
					       msg->uaddr, msg->perm);
	case VHOST_IOTLB_INVALIDATE:
		return vhx_device_invalidate_iotlb(dev, msg->iova, msg->size);
	}
	return -EINVAL;
}
