// SPDX-License-Identifier: GPL-2.0-only
/* The virtio-net half: features, header lengths, the swap of a backend. */
#include <linux/err.h>
#include <linux/virtio_net.h>

#include "vhx.h"

static void run(struct vhx_work *work)
{
	struct vhx_vq *vq = container_of(work, struct vhx_vq, work);

	mutex_lock(&vq->mutex);
	if (vq->backend) {
		if (vhx_index_of(vq) == VHX_TXQ)
			vhx_tx_run(vq);
		else
			vhx_rx_run(vq);
	}
	mutex_unlock(&vq->mutex);
}

/**
 * vhx_net_init - first set-up of both queues
 * @dev: the device
 */
void vhx_net_init(struct vhx_dev *dev)
{
	struct vhx_vq *vq;

	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++)
		vhx_vq_init(vq, dev, run);
}

/*
 * Header lengths, virtio 1.3 §5.1.6. With VHOST_NET_F_VIRTIO_NET_HDR the
 * header is ours and the backend's frames have none.
 */
static void set_header(struct vhx_vq *vq, struct vhx_backend *backend)
{
	u64 features = vq->dev->features;
	bool is_ours = vhx_has_feature(features, VHOST_NET_F_VIRTIO_NET_HDR);

	vq->is_mergeable = vhx_has_feature(features, VIRTIO_NET_F_MRG_RXBUF);
	vq->hlen = vq->is_mergeable ||
		   vhx_has_feature(features, VIRTIO_F_VERSION_1) ?
		sizeof(struct virtio_net_hdr_mrg_rxbuf) :
		sizeof(struct virtio_net_hdr);
	vq->guest_hlen = is_ours ? vq->hlen : 0;
	backend->hlen = is_ours ? 0 : vq->hlen;
	backend->is_le = vq->ring.is_le;
}

/**
 * vhx_net_set_features - VHOST_SET_FEATURES
 * @dev: the device
 * @features: what the guest accepted
 *
 * May come at any time: kvmtool sends it after the backend. Between two runs
 * nothing is in work, so a ring may change its header lengths there.
 *
 * Context: anyone who has the device open, dev mutex
 * Return: 0, -EOPNOTSUPP (not offered)
 */
int vhx_net_set_features(struct vhx_dev *dev, u64 features)
{
	struct vhx_vq *vq;

	if (features & ~VHX_NET_FEATURES)
		return -EOPNOTSUPP;
	dev->features = features;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		mutex_lock(&vq->mutex);
		if (vq->backend) {
			vhx_vq_set_features(vq);
			set_header(vq, vq->backend);
			vhx_worker_queue(dev->worker, &vq->work);
		}
		mutex_unlock(&vq->mutex);
	}
	return 0;
}

/* Step 1: find the backend behind a descriptor; the old one if it is that. */
static struct vhx_backend *resolve(int fd, struct vhx_backend *old)
{
	struct vhx_backend *backend;
	struct file *file;

	/* Once: what the number stands for may change between two looks. */
	file = fget(fd);
	if (!file)
		return ERR_PTR(-ENOTSOCK);
	if (old && old->file == file) {
		fput(file);
		return old;
	}
	backend = vhx_backend_tap_ops.attach(file);
	if (IS_ERR(backend))
		fput(file);
	return backend;
}

/*
 * Step 2: put the backend into place, which starts the ring if it is stopped
 * and stops it if @backend is NULL. No run is under way, since it would hold
 * the mutex. Return: 0 with the old backend in @backend, or an errno.
 */
static int exchange(struct vhx_vq *vq, struct vhx_backend **backend)
{
	int err;

	if (*backend && !vq->backend) {
		err = vhx_vq_start(vq);
		if (err)
			return err;
	}
	vhx_poll_stop(&vq->backend_poll);
	if (*backend)
		set_header(vq, *backend);
	else if (vq->backend)
		vhx_vq_stop(vq);
	swap(vq->backend, *backend);
	return 0;
}

/**
 * vhx_net_set_backend - VHOST_NET_SET_BACKEND
 * @vq: the vq
 * @fd: tap or macvtap, or VHOST_FILE_UNBIND to stop the ring
 *
 * On failure what was there runs on. Stopping never fails.
 *
 * Context: owner, dev mutex
 * Return: 0, -ENOTSOCK (not a backend), -EINVAL (tun without interface),
 * -EFAULT (no memory table, ring not accessible), -ENOMEM
 */
int vhx_net_set_backend(struct vhx_vq *vq, int fd)
{
	struct vhx_backend *backend = NULL;
	int err;

	if (fd != VHOST_FILE_UNBIND) {
		if (!vq->dev->map)
			return -EFAULT;
		backend = resolve(fd, vq->backend);
		if (IS_ERR(backend))
			return PTR_ERR(backend);
		if (backend == vq->backend) {
			/* A ring that stopped on a backend in error retries. */
			vhx_worker_queue(vq->dev->worker, &vq->work);
			return 0;
		}
	}
	mutex_lock(&vq->mutex);
	err = exchange(vq, &backend);
	mutex_unlock(&vq->mutex);

	/* Whatever was added before is looked at; a no-op on a stopped ring. */
	if (!err)
		vhx_worker_queue(vq->dev->worker, &vq->work);
	/* Step 3: let go of the old one, or of the new one that failed. */
	if (backend)
		backend->ops->detach(backend);
	return err;
}

/**
 * vhx_net_stop - stop a ring for good
 * @vq: the vq, running or not
 *
 * Context: dev mutex
 */
void vhx_net_stop(struct vhx_vq *vq)
{
	struct vhx_backend *backend = NULL;

	mutex_lock(&vq->mutex);
	exchange(vq, &backend);
	mutex_unlock(&vq->mutex);
	if (backend)
		backend->ops->detach(backend);
}
