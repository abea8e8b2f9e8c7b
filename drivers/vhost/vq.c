// SPDX-License-Identifier: GPL-2.0-only
/*
 * Set-up of one ring, its start and its stop. All calls hold dev->mutex, so
 * what the vq mutex is taken for is the worker alone.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "vhx.h"

/**
 * vhx_vq_init - first set-up
 * @vq: the vq
 * @dev: its device
 * @run: what a kick or a ready backend runs on the worker
 */
void vhx_vq_init(struct vhx_vq *vq, struct vhx_dev *dev,
		 void (*run)(struct vhx_work *work))
{
	mutex_init(&vq->mutex);
	vq->dev = dev;
	vq->ring.ops = &vhx_split_ops;
	vq->ring.mem = &vq->mem;
	vq->ring.num = 1;
	vhx_work_init(&vq->work, run);
	vhx_poll_init(&vq->kick_poll, &vq->work, EPOLLIN);
	vhx_poll_init(&vq->backend_poll, &vq->work,
		      vhx_index_of(vq) == VHX_TXQ ? EPOLLOUT : EPOLLIN);
}

static void put_kick(struct vhx_vq *vq, struct file *file)
{
	vhx_poll_stop(&vq->kick_poll);
	swap(vq->kick, file);
	if (file)
		fput(file);
}

/**
 * vhx_vq_reset - forget all that the owner set up
 * @vq: a vq without a backend
 *
 * Context: dev mutex
 */
void vhx_vq_reset(struct vhx_vq *vq)
{
	mutex_lock(&vq->mutex);
	put_kick(vq, NULL);
	vhx_notify_set(&vq->call, VHOST_FILE_UNBIND);
	vhx_notify_set(&vq->err, VHOST_FILE_UNBIND);
	memset(vq->mem.area, 0, sizeof(vq->mem.area));
	vq->ring.num = 1;
	vq->base = 0;
	mutex_unlock(&vq->mutex);
}

/* virtio 1.3 §2.7 for the sizes; the last field of two areas is EVENT_IDX's */
static bool are_areas_ok(const struct vhx_vq *vq, void __user *const *area)
{
	u32 num = vq->ring.num, event = vq->ring.has_event_idx ? 2 : 0;

	return access_ok(area[VHX_DESC], 16 * num) &&
	       access_ok(area[VHX_DRIVER], 4 + 2 * num + event) &&
	       access_ok(area[VHX_DEVICE], 4 + 8 * num + event);
}

/**
 * vhx_vq_set_features - take up the accepted features of the ring
 * @vq: the vq, running or not
 *
 * All but the byte order, which a running ring keeps.
 *
 * Context: dev mutex, vq mutex
 */
void vhx_vq_set_features(struct vhx_vq *vq)
{
	u64 features = vq->dev->features;

	vq->ring.has_event_idx = vhx_has_feature(features,
						 VIRTIO_RING_F_EVENT_IDX);
	vq->ring.calls_on_empty = vhx_has_feature(features,
						  VIRTIO_F_NOTIFY_ON_EMPTY);
	/* Calls that were counted by other rules mean nothing now. */
	vq->ring.is_signalled_valid = false;
}

/**
 * vhx_vq_start - take up the ring
 * @vq: a stopped vq
 *
 * Context: owner, dev mutex, vq mutex
 * Return: 0, -EFAULT (no memory table, ring not accessible)
 */
int vhx_vq_start(struct vhx_vq *vq)
{
	vq->ring.is_le = vhx_has_feature(vq->dev->features,
					 VIRTIO_F_VERSION_1) ||
			 virtio_legacy_is_little_endian();
	vhx_vq_set_features(vq);
	if (!vq->dev->map || !are_areas_ok(vq, vq->mem.area))
		return -EFAULT;
	vq->mem.desc_len = sizeof(struct vring_desc) * vq->ring.num;
	return vq->ring.ops->start(&vq->ring, vq->base);
}

/**
 * vhx_vq_stop - leave the ring; where it was is the base of the next start
 * @vq: a started vq
 *
 * Context: dev mutex, vq mutex
 */
void vhx_vq_stop(struct vhx_vq *vq)
{
	vq->base = vq->ring.ops->base(&vq->ring);
}

/**
 * vhx_vq_wait_backend - run again when the backend is ready
 * @vq: a started vq
 *
 * Context: worker, vq mutex
 * Return: 0, or -EINVAL when the backend is in error
 */
int vhx_vq_wait_backend(struct vhx_vq *vq)
{
	int err = vhx_poll_start(&vq->backend_poll, vq->dev->worker,
				 vq->backend->file);

	return err ? vhx_ring_fail(&vq->ring, err, "backend in error") : 0;
}

/**
 * vhx_vq_fail - stop the ring until the next kick
 * @vq: a started vq
 * @err: why, with vhx_ring.cause
 *
 * Context: worker, vq mutex
 */
void vhx_vq_fail(struct vhx_vq *vq, int err)
{
	unsigned int tries = 8;
	u16 seen;

	/* An owner that is being killed has no memory any more. */
	if (fatal_signal_pending(current))
		return;
	vhx_notify_error(vq, err, vq->ring.cause);
	/*
	 * A driver that mends the ring shall be heard: ask for a kick after
	 * what it published, until that is not behind it already.
	 */
	do {
		seen = vq->ring.avail_idx;
		vq->ring.ops->arm(&vq->ring);
	} while (vq->ring.avail_idx != seen && --tries);
}

/**
 * vhx_vq_set_num - VHOST_SET_VRING_NUM
 * @vq: the vq
 * @state: entries in state->num
 *
 * Context: owner, dev mutex
 * Return: 0, -EBUSY (running), -EINVAL (not a power of two up to 32768)
 */
int vhx_vq_set_num(struct vhx_vq *vq, const struct vhost_vring_state *state)
{
	if (vq->backend)
		return -EBUSY;
	if (!state->num || state->num > 0x8000 ||
	    (state->num & (state->num - 1)))
		return -EINVAL;
	mutex_lock(&vq->mutex);
	vq->ring.num = state->num;
	mutex_unlock(&vq->mutex);
	return 0;
}

/**
 * vhx_vq_set_base - VHOST_SET_VRING_BASE
 * @vq: the vq
 * @state: next avail index in state->num
 *
 * Context: owner, dev mutex
 * Return: 0, -EBUSY (running), -EINVAL (over 16 bits)
 */
int vhx_vq_set_base(struct vhx_vq *vq, const struct vhost_vring_state *state)
{
	if (vq->backend)
		return -EBUSY;
	if (state->num > 0xffff)
		return -EINVAL;
	mutex_lock(&vq->mutex);
	vq->base = state->num;
	mutex_unlock(&vq->mutex);
	return 0;
}

/**
 * vhx_vq_get_base - VHOST_GET_VRING_BASE
 * @vq: the vq, running or not
 * @state: result in state->num
 *
 * Context: owner, dev mutex
 * Return: 0
 */
int vhx_vq_get_base(struct vhx_vq *vq, struct vhost_vring_state *state)
{
	mutex_lock(&vq->mutex);
	state->num = vq->backend ? vq->ring.ops->base(&vq->ring) : vq->base;
	mutex_unlock(&vq->mutex);
	return 0;
}

static bool fits_pointer(u64 uaddr)
{
	return uaddr == (unsigned long)uaddr;
}

/**
 * vhx_vq_set_addr - VHOST_SET_VRING_ADDR
 * @vq: the vq, running or not
 * @addr: where the ring lies in the owner
 *
 * The addresses need not lie in the memory table. Those of a stopped ring
 * are checked when it starts.
 *
 * Context: owner, dev mutex
 * Return: 0, -EOPNOTSUPP (flags), -EFAULT (wider than a pointer), -EINVAL
 * (alignment; running and not accessible)
 */
int vhx_vq_set_addr(struct vhx_vq *vq, const struct vhost_vring_addr *addr)
{
	void __user *area[VHX_AREAS];

	/* VHOST_VRING_F_LOG comes with the dirty log. */
	if (addr->flags)
		return -EOPNOTSUPP;
	if (!fits_pointer(addr->desc_user_addr) ||
	    !fits_pointer(addr->avail_user_addr) ||
	    !fits_pointer(addr->used_user_addr))
		return -EFAULT;
	if (addr->avail_user_addr % VRING_AVAIL_ALIGN_SIZE ||
	    addr->used_user_addr % VRING_USED_ALIGN_SIZE ||
	    addr->log_guest_addr % VRING_USED_ALIGN_SIZE)
		return -EINVAL;

	area[VHX_DESC] = (void __user *)(unsigned long)addr->desc_user_addr;
	area[VHX_DRIVER] = (void __user *)(unsigned long)addr->avail_user_addr;
	area[VHX_DEVICE] = (void __user *)(unsigned long)addr->used_user_addr;
	if (vq->backend && !are_areas_ok(vq, area))
		return -EINVAL;

	mutex_lock(&vq->mutex);
	memcpy(vq->mem.area, area, sizeof(area));
	mutex_unlock(&vq->mutex);
	/* A ring that stopped where its areas were may go on now. */
	vhx_worker_queue(vq->dev->worker, &vq->work);
	return 0;
}

/**
 * vhx_vq_set_kick - VHOST_SET_VRING_KICK
 * @vq: the vq, running or not
 * @file: eventfd in file->fd, or VHOST_FILE_UNBIND
 *
 * A kick that is pending in the eventfd already runs the ring at once.
 *
 * Context: owner, dev mutex
 * Return: 0, -EBADF, -EINVAL (not an eventfd, or one in error)
 */
int vhx_vq_set_kick(struct vhx_vq *vq, const struct vhost_vring_file *file)
{
	struct file *kick = NULL;
	int err = 0;

	if (file->fd != VHOST_FILE_UNBIND) {
		kick = eventfd_fget(file->fd);
		if (IS_ERR(kick))
			return PTR_ERR(kick);
	}
	mutex_lock(&vq->mutex);
	put_kick(vq, kick);
	if (kick)
		err = vhx_poll_start(&vq->kick_poll, vq->dev->worker, kick);
	mutex_unlock(&vq->mutex);
	return err;
}

/**
 * vhx_vq_set_call - VHOST_SET_VRING_CALL
 * @vq: the vq, running or not
 * @file: eventfd in file->fd, or VHOST_FILE_UNBIND
 *
 * No signal goes to the old eventfd after this returns.
 *
 * Context: owner, dev mutex
 * Return: 0, -EBADF, -EINVAL (not an eventfd)
 */
int vhx_vq_set_call(struct vhx_vq *vq, const struct vhost_vring_file *file)
{
	int err;

	mutex_lock(&vq->mutex);
	err = vhx_notify_set(&vq->call, file->fd);
	mutex_unlock(&vq->mutex);
	return err;
}

/**
 * vhx_vq_set_err - VHOST_SET_VRING_ERR
 * @vq: the vq, running or not
 * @file: eventfd in file->fd, or VHOST_FILE_UNBIND
 *
 * Context: owner, dev mutex
 * Return: 0, -EBADF, -EINVAL (not an eventfd)
 */
int vhx_vq_set_err(struct vhx_vq *vq, const struct vhost_vring_file *file)
{
	int err;

	mutex_lock(&vq->mutex);
	err = vhx_notify_set(&vq->err, file->fd);
	mutex_unlock(&vq->mutex);
	return err;
}
