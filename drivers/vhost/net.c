// SPDX-License-Identifier: GPL-2.0-only
/* The virtio-net half: features, header lengths, the swap of a backend. */
#include <linux/err.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/virtio_net.h>

#include "trace.h"
#include "vhx.h"

/* Module parameter features: what a file offers unless it is told otherwise. */
char *vhx_feature_set = "all";

#define LINUX_6_1	(BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) | \
			 BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) | \
			 BIT_ULL(VHOST_F_LOG_ALL) | \
			 BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR) | \
			 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | \
			 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | \
			 BIT_ULL(VIRTIO_F_VERSION_1) | \
			 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))
#define LINUX_6_12	(LINUX_6_1 | BIT_ULL(VIRTIO_F_RING_RESET))
#define LINUX_7_3	(LINUX_6_12 | BIT_ULL(VIRTIO_F_IN_ORDER))

/**
 * struct feature_set - features that go together
 * @name: for the module parameter
 * @features: the words
 */
struct feature_set {
	const char *name;
	u64 features[VHX_FEATURE_WORDS];
};

static const struct feature_set feature_sets[] = {
	[VHX_FEATURES_ALL] = {
		"all", { LINUX_7_3 | BIT_ULL(VIRTIO_F_RING_PACKED),
			 VHX_TUNNEL_FEATURES }
	},
	[VHX_FEATURES_LINUX_6_1] = { "6.1", { LINUX_6_1 } },
	[VHX_FEATURES_LINUX_6_12] = { "6.12", { LINUX_6_12 } },
	[VHX_FEATURES_LINUX_7_3] = { "7.3", { LINUX_7_3, VHX_TUNNEL_FEATURES } },
};

/**
 * vhx_net_find_set - the feature set of a name
 * @name: as the module parameter has it
 *
 * Return: VHX_FEATURES_* or -EINVAL
 */
int vhx_net_find_set(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(feature_sets); i++)
		if (!strcmp(feature_sets[i].name, name))
			return i;
	return -EINVAL;
}

static void offer(struct vhx_dev *dev, unsigned int set)
{
	memcpy(dev->offered, feature_sets[set].features, sizeof(dev->offered));
}

/**
 * vhx_net_set_offer - VHX_SET_FEATURE_SET
 * @dev: a device without an owner
 * @set: VHX_FEATURES_*
 *
 * What is accepted must be on offer, so the set comes first.
 *
 * Context: dev mutex
 * Return: 0, -EBUSY (features are accepted), -EINVAL (no such set)
 */
int vhx_net_set_offer(struct vhx_dev *dev, unsigned int set)
{
	unsigned int i;

	for (i = 0; i < VHX_FEATURE_WORDS; i++)
		if (dev->features[i])
			return -EBUSY;
	if (set >= ARRAY_SIZE(feature_sets))
		return -EINVAL;
	offer(dev, array_index_nospec(set, ARRAY_SIZE(feature_sets)));
	return 0;
}

/* Has the client know of what its log has now, and of a hole in it. */
static void tell_log(struct vhx_vq *vq)
{
	if (unlikely(vq->mem.dirty.is_fresh)) {
		vq->mem.dirty.is_fresh = false;
		if (vq->dev->log)
			eventfd_signal(vq->dev->log);
	}
	if (likely(!vq->mem.dirty.is_failed))
		return;
	/*
	 * An owner that is being killed has no log any more, or its memory is
	 * another process's as well, whose next run tells.
	 */
	if (fatal_signal_pending(current))
		return;
	vq->mem.dirty.is_failed = false;
	vhx_notify_error(vq, -EIO, VHX_CAUSE_DIRTY_LOG);
}

/* Return: whether it is to run once more. */
static bool run_once(struct vhx_vq *vq)
{
	int err;

	trace_vhx_run_enter(vq);
	err = vhx_vq_prepare(vq);
	if (!err)
		err = vhx_index_of(vq) == VHX_TXQ ? vhx_tx_run(vq) :
						    vhx_rx_run(vq);
	trace_vhx_run_exit(vq, err);
	if (err)
		return vhx_run_fail(vq, err);
	vq->nr_retries = 0;
	WRITE_ONCE(vq->is_failed, false);
	return false;
}

static void run(struct vhx_work *work)
{
	struct vhx_vq *vq = container_of(work, struct vhx_vq, work);

	mutex_lock(&vq->mutex);
	if (static_branch_unlikely(&vhx_poll_is_timing))
		vhx_latency_begin(vq);
	if (!vq->backend)
		goto out;
	vq->kicks = READ_ONCE(vq->kick_poll.wakes);
	vq->mem.dirty.faults = 0;
	vhx_count(&vq->stats.runs, 1);
	/*
	 * Once more is not at once: it is others' turn, and to queue is a full
	 * barrier between asking for a kick and the look after that.
	 */
	if (run_once(vq))
		vhx_worker_queue(&vq->work);
	tell_log(vq);
out:
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
	offer(dev, vhx_net_find_set(vhx_feature_set));
}

/*
 * Header lengths, virtio 1.3 §5.1.6. With VHOST_NET_F_VIRTIO_NET_HDR the
 * header is ours and the backend's frames have none.
 */
static void set_header(struct vhx_vq *vq, struct vhx_backend *backend)
{
	const struct vhx_dev *dev = vq->dev;
	bool is_ours = vhx_has_feature(dev, VHOST_NET_F_VIRTIO_NET_HDR);

	vq->is_mergeable = vhx_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF);
	if (dev->features[1] & VHX_TUNNEL_FEATURES)
		vq->hlen = VHX_NET_HLEN_MAX;
	else if (vq->is_mergeable || vhx_has_feature(dev, VIRTIO_F_VERSION_1))
		vq->hlen = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	else
		vq->hlen = sizeof(struct virtio_net_hdr);
	vq->guest_hlen = is_ours ? vq->hlen : 0;
	backend->hlen = is_ours ? 0 : vq->hlen;
	backend->is_le = vq->ring.is_le;
	backend->stats = &vq->stats;
}

static bool is_running(const struct vhx_dev *dev)
{
	return dev->vq[VHX_RXQ].backend || dev->vq[VHX_TXQ].backend;
}

/**
 * vhx_net_set_features - VHOST_SET_FEATURES, VHOST_SET_FEATURES_ARRAY
 * @dev: the device
 * @features: words of what the guest accepted
 *
 * May come at any time: kvmtool sends it after the backend, and QEMU switches
 * the dirty log on and off. Between two runs nothing is in work, so a ring may
 * change its header lengths there.
 *
 * Context: anyone who has the device open, dev mutex
 * Return: 0, -EOPNOTSUPP (not offered), -EFAULT (running, and the dirty log
 * is not the owner's memory), -ENOMEM
 */
int vhx_net_set_features(struct vhx_dev *dev, const u64 *features)
{
	struct vhx_map *map = NULL;
	struct vhx_vq *vq;
	unsigned int i;

	for (i = 0; i < VHX_FEATURE_WORDS; i++)
		if (features[i] & ~dev->offered[i])
			return -EOPNOTSUPP;
	if ((features[0] & BIT_ULL(VHOST_F_LOG_ALL)) && is_running(dev) &&
	    !vhx_dirty_is_map_ok(dev->log_base, dev->map))
		return -EFAULT;
	if (features[0] & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)) {
		map = vhx_map_alloc();
		if (!map)
			return -ENOMEM;
	}
	/* fdinfo looks at them without a lock. */
	for (i = 0; i < VHX_FEATURE_WORDS; i++)
		WRITE_ONCE(dev->features[i], features[i]);
	/* What the client had mapped may be gone since: an empty one each time. */
	vhx_iotlb_replace(dev, map);
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		mutex_lock(&vq->mutex);
		if (vq->backend) {
			vhx_vq_set_features(vq);
			set_header(vq, vq->backend);
			vhx_worker_queue(&vq->work);
		}
		mutex_unlock(&vq->mutex);
	}
	return 0;
}

/* Step 1: find the backend behind a descriptor; the old one if it is that. */
static struct vhx_backend *resolve(int fd, struct vhx_backend *old)
{
	static const struct vhx_backend_ops *const kinds[] = {
		&vhx_backend_tap_ops, &vhx_backend_packet_ops,
	};
	struct vhx_backend *backend = ERR_PTR(-ENOTSOCK);
	struct file *file;
	unsigned int i;

	/* Once: what the number stands for may change between two looks. */
	file = fget(fd);
	if (!file)
		return ERR_PTR(-ENOTSOCK);
	if (old && old->file == file) {
		fput(file);
		return old;
	}
	for (i = 0; i < ARRAY_SIZE(kinds) && backend == ERR_PTR(-ENOTSOCK); i++)
		backend = kinds[i]->attach(file);
	if (IS_ERR(backend))
		fput(file);
	return backend;
}

/* Says why where the client could not tell. */
static int refuse(struct vhx_vq *vq, int err)
{
	if (err == -EBUSY) {
		mutex_lock(&vq->mutex);
		vhx_notify_log(vq, err, VHX_CAUSE_PACKET_RING);
		mutex_unlock(&vq->mutex);
	}
	return err;
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
		vq->told.causes = 0;
		WRITE_ONCE(vq->last_stop, VHX_CAUSE_NONE);
		WRITE_ONCE(vq->is_failed, false);
		err = vhx_vq_start(vq);
		if (err)
			return err;
	}
	vhx_poll_stop(&vq->backend_poll);
	vhx_latency_forget(vq);
	vq->nr_idles = 0;
	if (*backend)
		set_header(vq, *backend);
	else if (vq->backend)
		vhx_vq_stop(vq);
	trace_vhx_backend_set(vq, vq->backend, *backend);
	spin_lock(&vq->backend_lock);
	swap(vq->backend, *backend);
	spin_unlock(&vq->backend_lock);
	return 0;
}

/**
 * vhx_net_set_backend - VHOST_NET_SET_BACKEND
 * @vq: the vq
 * @fd: tap, macvtap or raw packet socket, or VHOST_FILE_UNBIND to stop the ring
 *
 * On failure what was there runs on. Stopping never fails.
 *
 * Context: owner, dev mutex
 * Return: 0, -ENOTSOCK (not a backend), -EINVAL (tun without interface), -EBUSY
 * (packet socket with a ring of its own), -EFAULT (no memory table, ring not
 * accessible), -ENOMEM
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
			return refuse(vq, PTR_ERR(backend));
		if (backend == vq->backend) {
			/* A ring that stopped on a backend in error retries. */
			vhx_worker_queue(&vq->work);
			return 0;
		}
	}
	mutex_lock(&vq->mutex);
	vq->mem.dirty.faults = 0;
	/* The last chance of what could not be completed. */
	if (!backend && vq->backend && !vhx_vq_prepare(vq))
		vhx_run_publish(vq);
	err = exchange(vq, &backend);
	tell_log(vq);
	mutex_unlock(&vq->mutex);

	/* Whatever was added before is looked at; a no-op on a stopped ring. */
	if (!err)
		vhx_worker_queue(&vq->work);
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
