// SPDX-License-Identifier: GPL-2.0-only
/* Owner, reset and end of a device. */
#include <linux/err.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vhx.h"

/**
 * vhx_dev_create - a device without an owner
 *
 * Context: may sleep; charged to the caller
 * Return: the device or NULL
 */
struct vhx_dev *vhx_dev_create(void)
{
	struct vhx_dev *dev = kvzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);

	if (!dev)
		return NULL;
	mutex_init(&dev->mutex);
	ratelimit_state_init(&dev->ratelimit, 5 * HZ, 10);
	vhx_iotlb_init(&dev->iotlb);
	vhx_net_init(dev);
	return dev;
}

/*
 * Back to having no owner. In this order: with no backend no run touches the
 * rings, with no kick nothing queues work, and then the worker can go.
 */
static void drop_owner(struct vhx_dev *dev)
{
	struct vhx_vq *vq;

	if (!dev->mm)
		return;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		vhx_net_stop(vq);
		vhx_vq_reset(vq);
	}
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++)
		vhx_worker_attach(&vq->work, NULL);
	vhx_worker_destroy(dev->worker);
	dev->worker = NULL;
	vhx_iotlb_replace(dev, NULL);
	vhx_notify_set(&dev->log, VHOST_FILE_UNBIND);
	dev->log_base = 0;
	dev->has_msg_v2 = false;
	memset(dev->features, 0, sizeof(dev->features));
	mmdrop(dev->mm);
	dev->mm = NULL;
}

/**
 * vhx_dev_destroy - free a device
 * @dev: the device, which nobody else has
 *
 * Context: may sleep
 */
void vhx_dev_destroy(struct vhx_dev *dev)
{
	mutex_lock(&dev->mutex);
	drop_owner(dev);
	/* An IOTLB may be there without an owner. */
	vhx_iotlb_replace(dev, NULL);
	mutex_unlock(&dev->mutex);
	vhx_map_free(dev->map);
	kvfree(dev);
}

/**
 * vhx_dev_is_owner - whether the caller is the owner
 * @dev: the device
 *
 * By address space: a thread is, a forked child is not.
 *
 * Context: dev mutex
 */
bool vhx_dev_is_owner(const struct vhx_dev *dev)
{
	return dev->mm && dev->mm == current->mm;
}

/**
 * vhx_dev_set_owner - VHOST_SET_OWNER
 * @dev: the device
 *
 * Context: dev mutex; may sleep
 * Return: 0, -EBUSY (has one), -ENOMEM (no worker could be had)
 */
int vhx_dev_set_owner(struct vhx_dev *dev)
{
	struct vhx_worker *worker;
	struct vhx_vq *vq;

	if (dev->mm)
		return -EBUSY;
	worker = vhx_worker_create(0, VHX_HAS_VHOST_TASK);
	if (!worker)
		return -ENOMEM;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++)
		vhx_worker_attach(&vq->work, worker);
	mmgrab(current->mm);
	dev->mm = current->mm;
	dev->owner = current->tgid;
	dev->worker = worker;
	return 0;
}

/**
 * vhx_dev_reset_owner - VHOST_RESET_OWNER
 * @dev: the device
 *
 * All that the owner set up is forgotten, but an empty memory table stays.
 *
 * Context: owner, dev mutex; may sleep
 * Return: 0 or -ENOMEM
 */
int vhx_dev_reset_owner(struct vhx_dev *dev)
{
	struct vhx_map *map = vhx_map_alloc();

	if (!map)
		return -ENOMEM;
	drop_owner(dev);
	vhx_memtab_replace(dev, map);
	return 0;
}

/**
 * vhx_dev_set_log_base - VHOST_SET_LOG_BASE
 * @dev: the device
 * @base: owner's address of the dirty log
 *
 * For both rings, or for none.
 *
 * Context: owner, dev mutex
 * Return: 0, -EFAULT (wider than a pointer; a ring runs that logs elsewhere
 * than in the owner's memory)
 */
int vhx_dev_set_log_base(struct vhx_dev *dev, u64 base)
{
	struct vhx_vq *vq;

	if (base != (unsigned long)base)
		return -EFAULT;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++)
		if (vq->backend && !vhx_vq_is_log_ok(vq, base, dev->map))
			return -EFAULT;
	dev->log_base = base;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		mutex_lock(&vq->mutex);
		vq->mem.dirty.base = base;
		mutex_unlock(&vq->mutex);
	}
	return 0;
}

/**
 * vhx_dev_set_log - VHOST_SET_LOG_FD
 * @dev: the device
 * @fd: eventfd, or VHOST_FILE_UNBIND
 *
 * Context: owner, dev mutex
 * Return: 0, -EBADF, -EINVAL (not an eventfd)
 */
int vhx_dev_set_log(struct vhx_dev *dev, int fd)
{
	struct vhx_vq *rx = &dev->vq[VHX_RXQ], *tx = &dev->vq[VHX_TXQ];
	int err;

	mutex_lock(&rx->mutex);
	mutex_lock_nested(&tx->mutex, VHX_TXQ);
	err = vhx_notify_set(&dev->log, fd);
	mutex_unlock(&tx->mutex);
	mutex_unlock(&rx->mutex);
	return err;
}
