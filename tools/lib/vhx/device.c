// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A device: features, memory, and when its user hears of what. All with the
 * session locked.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "session.h"

/**
 * vhx_device_init - a device of a peer that has come
 * @dev: zeroed
 * @driver: where it came to
 * @transport: the way it came by
 * @name: see vhx_device_ifname()
 *
 * Return: 0, or what the user's connected() refused it with
 */
int vhx_device_init(struct vhx_device *dev, struct vhx_driver *driver,
		    const struct vhx_transport_ops *transport,
		    const char *name)
{
	const struct vhx_device_ops *ops = driver->ops;
	int err = 0;

	dev->driver = driver;
	dev->transport = transport;
	dev->wake = driver->session->wake;
	dev->max_queues = 2 * driver->queue_pairs;
	dev->offered = driver->features;
	strncpy(dev->name, name, sizeof(dev->name) - 1);
	if (ops->connected)
		err = ops->connected(dev, driver->arg);
	dev->is_connected = err >= 0;
	return err < 0 ? err : 0;
}

static void lock_queues(struct vhx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_lock(dev->queue[i]);
}

static void unlock_queues(struct vhx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_unlock(dev->queue[i]);
}

/* What the queues know of memory is found anew. */
static void unlock_queues_anew(struct vhx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_set_memory(dev->queue[i]);
	unlock_queues(dev);
}

static void drop_log(struct vhx_device *dev)
{
	if (dev->log)
		vhx_mapping_destroy(dev->log);
	dev->log = NULL;
}

/**
 * vhx_device_exit - the peer has gone
 * @dev: the device, after vhx_device_init() failed or not
 */
void vhx_device_exit(struct vhx_device *dev)
{
	const struct vhx_device_ops *ops = dev->driver->ops;
	unsigned int i;

	vhx_device_stop(dev);
	if (dev->is_connected && ops->disconnected)
		ops->disconnected(dev, dev->driver->arg);
	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_destroy(dev->queue[i]);
	drop_log(dev);
	vhx_region_unmap_all(&dev->regions);
	free(dev->iotlb);
}

/**
 * vhx_device_queue - a queue by its index
 * @dev: the device
 * @index: as the client says
 *
 * Return: the queue, or NULL: no such queue, or no memory for it
 */
struct vhx_queue *vhx_device_queue(struct vhx_device *dev, unsigned int index)
{
	struct vhx_queue *queue;

	if (index >= dev->max_queues)
		return NULL;
	while (dev->nr_queues <= index) {
		queue = vhx_queue_create(dev, dev->nr_queues);
		if (!queue)
			return NULL;
		vhx_queue_lock(queue);
		vhx_queue_set_features(queue);
		vhx_queue_set_memory(queue);
		vhx_queue_unlock(queue);
		dev->queue[dev->nr_queues] = queue;
		/* Bursts look at the number first. */
		__atomic_store_n(&dev->nr_queues, dev->nr_queues + 1,
				 __ATOMIC_RELEASE);
	}
	return dev->queue[index];
}

static bool can_run(const struct vhx_device *dev, unsigned int index)
{
	const struct vhx_queue *queue;

	if (index >= dev->nr_queues || dev->is_refused)
		return false;
	queue = dev->queue[index];
	return queue->is_started && queue->is_enabled;
}

static void set_runs(struct vhx_queue *queue, bool runs)
{
	vhx_queue_lock(queue);
	queue->runs = runs && !queue->is_broken;
	vhx_queue_unlock(queue);
}

static void tell(struct vhx_queue *queue, bool is_up)
{
	const struct vhx_driver *driver = queue->dev->driver;

	if (queue->is_up == is_up)
		return;
	queue->is_up = is_up;
	if (is_up)
		set_runs(queue, true);
	if (driver->ops->vring_state_changed)
		driver->ops->vring_state_changed(queue->dev, queue->index,
						 is_up, driver->arg);
	if (!is_up)
		set_runs(queue, false);
}

static void make_live(struct vhx_device *dev)
{
	const struct vhx_driver *driver = dev->driver;
	int err = 0;

	if (driver->ops->new_device)
		err = driver->ops->new_device(dev, driver->arg);
	if (err < 0) {
		vhx_session_log(driver->session, VHX_LOG_WARN,
				"%s: device refused: %s", dev->name,
				strerror(-err));
		dev->is_refused = true;
		dev->transport->hang_up(dev);
		return;
	}
	dev->is_live = true;
}

/**
 * vhx_device_update - tell the user what has changed
 * @dev: the device
 *
 * A device is live while the queues of its first pair run.
 */
void vhx_device_update(struct vhx_device *dev)
{
	const struct vhx_driver *driver = dev->driver;
	bool is_live = can_run(dev, 0) && can_run(dev, 1);
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		if (!is_live || !can_run(dev, i))
			tell(dev->queue[i], false);
	if (dev->is_live && !is_live) {
		dev->is_live = false;
		if (driver->ops->destroy_device)
			driver->ops->destroy_device(dev, driver->arg);
	}
	if (!dev->is_live && is_live)
		make_live(dev);
	for (i = 0; dev->is_live && i < dev->nr_queues; i++)
		if (can_run(dev, i))
			tell(dev->queue[i], true);
	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_update_discard(dev->queue[i]);
}

/**
 * vhx_device_set_features - what the guest accepted
 * @dev: the device
 * @features: VIRTIO_F_* and so on, by bit
 *
 * Any time: QEMU switches the dirty log on and off while queues run.
 *
 * Return: 0, -EINVAL (not offered), -ENOMEM
 */
int vhx_device_set_features(struct vhx_device *dev, u64 features)
{
	const struct vhx_driver *driver = dev->driver;
	struct vhx_iotlb *iotlb = NULL;
	unsigned int i;

	if (features & ~dev->offered)
		return -EINVAL;
	if (features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)) {
		iotlb = calloc(1, sizeof(*iotlb));
		if (!iotlb)
			return -ENOMEM;
		iotlb->ask = (int (*)(void *, u64, u8))
			dev->transport->ask_iotlb;
		iotlb->arg = dev;
	}
	lock_queues(dev);
	dev->features = features;
	swap(dev->iotlb, iotlb);
	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_set_features(dev->queue[i]);
	unlock_queues_anew(dev);
	free(iotlb);
	if (dev->is_live && driver->ops->features_changed)
		driver->ops->features_changed(dev, features, driver->arg);
	return 0;
}

/**
 * vhx_device_set_regions - other guest memory
 * @dev: the device
 * @regions: mapped; the device's from here on, and what it had is there
 *
 * Return: 0
 */
int vhx_device_set_regions(struct vhx_device *dev,
			   struct vhx_regions *regions)
{
	lock_queues(dev);
	swap(dev->regions, *regions);
	unlock_queues_anew(dev);
	return 0;
}

/**
 * vhx_device_add_region - more guest memory
 * @dev: the device
 * @region: mapped, the device's if this succeeds
 *
 * Return: 0, -E2BIG, -EEXIST
 */
int vhx_device_add_region(struct vhx_device *dev,
			  const struct vhx_region *region)
{
	int err;

	lock_queues(dev);
	err = vhx_region_add(&dev->regions, region);
	unlock_queues_anew(dev);
	return err;
}

/**
 * vhx_device_remove_region - less guest memory
 * @dev: the device
 * @gpa: the region's guest address
 * @uaddr: the client's address
 * @size: its size
 *
 * Return: 0, -ENOENT
 */
int vhx_device_remove_region(struct vhx_device *dev, u64 gpa, u64 uaddr,
			     u64 size)
{
	struct vhx_region region;
	int err;

	lock_queues(dev);
	err = vhx_region_remove(&dev->regions, gpa, uaddr, size, &region);
	unlock_queues_anew(dev);
	if (!err)
		vhx_region_unmap(&region);
	return err;
}

/**
 * vhx_device_set_log - where the dirty log is
 * @dev: the device
 * @fd: a file; stays the caller's
 * @offset: where in it the bitmap begins
 * @len: bytes of it
 *
 * Return: 0, -EINVAL (the file ends before it), or an errno of mmap()
 */
int vhx_device_set_log(struct vhx_device *dev, int fd, u64 offset, u64 len)
{
	u64 skip = offset % (u64)sysconf(_SC_PAGESIZE), end;
	struct vhx_mapping *log;
	struct stat st;
	int err;

	if (!len || __builtin_add_overflow(offset, len, &end))
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode) && end > (u64)st.st_size)
		return -EINVAL;
	log = vhx_mapping_create(fd, offset - skip, len + skip, dev->wake,
				 &err);
	if (!log)
		return err;
	lock_queues(dev);
	swap(dev->log, log);
	dev->log_off = skip;
	dev->log_len = len;
	unlock_queues_anew(dev);
	if (log)
		vhx_mapping_destroy(log);
	return 0;
}

/**
 * vhx_device_update_iotlb - a translation
 * @dev: the device
 * @iova: first address
 * @size: bytes, at least 1
 * @uaddr: the client's address
 * @perm: VHOST_ACCESS_*
 *
 * Return: 0, -EINVAL (no IOTLB, empty, it wraps, or what is aligned for the guest
 * would not be here)
 */
int vhx_device_update_iotlb(struct vhx_device *dev, u64 iova, u64 size,
			    u64 uaddr, u8 perm)
{
	const struct vhx_iotlb_entry entry = {
		.first = iova, .last = iova + (size - 1), .uaddr = uaddr,
		.perm = perm,
	};
	unsigned int i;

	if (!dev->iotlb || !size || entry.last < iova ||
	    uaddr + (size - 1) < uaddr || !vhx_is_aligned_alike(iova, uaddr))
		return -EINVAL;
	lock_queues(dev);
	vhx_iotlb_update(dev->iotlb, &entry);
	for (i = 0; i < dev->nr_queues; i++) {
		vhx_xlate_answer(&dev->queue[i]->mem.xlate, &entry);
		dev->queue[i]->is_ready = false;
	}
	unlock_queues(dev);
	for (i = 0; i < dev->nr_queues; i++) {
		vhx_queue_take_up(dev->queue[i]);
		/* Users who sleep until the guest kicks may have something to do. */
		vhx_signal(dev->driver->session, dev->queue[i]->kick);
	}
	return 0;
}

/**
 * vhx_device_invalidate_iotlb - translations that are none any more
 * @dev: the device
 * @iova: first address
 * @size: bytes, at least 1
 *
 * When this returns nothing is read or written there any more.
 *
 * Return: 0, -EINVAL (no IOTLB, empty)
 */
int vhx_device_invalidate_iotlb(struct vhx_device *dev, u64 iova, u64 size)
{
	u64 last = iova + (size - 1);

	if (!dev->iotlb || !size)
		return -EINVAL;
	/* All 2^64 addresses are asked for in two halves, or by a wrap. */
	if (last < iova)
		last = UINT64_MAX;
	lock_queues(dev);
	vhx_iotlb_invalidate(dev->iotlb, iova, last);
	unlock_queues_anew(dev);
	return 0;
}

/**
 * vhx_device_stop - stop all queues
 * @dev: the device
 */
void vhx_device_stop(struct vhx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_stop(dev->queue[i]);
}

/**
 * vhx_device_reset - as it was when its peer came, but for guest memory
 * @dev: the device
 */
void vhx_device_reset(struct vhx_device *dev)
{
	unsigned int i;

	vhx_device_stop(dev);
	for (i = 0; i < dev->nr_queues; i++) {
		dev->queue[i]->base = 0;
		vhx_queue_enable(dev->queue[i], !dev->has_enable);
	}
	vhx_device_set_features(dev, 0);
}

/**
 * vhx_device_is_cut - whether the client cut off memory that it had given
 * @dev: the device
 *
 * Return: true if it did
 */
bool vhx_device_is_cut(const struct vhx_device *dev)
{
	return vhx_region_is_cut(&dev->regions) ||
	       (dev->log && __atomic_load_n(&dev->log->is_cut,
					    __ATOMIC_ACQUIRE));
}

struct vhx_driver *vhx_device_driver(const struct vhx_device *dev)
{
	return dev->driver;
}

void vhx_device_set_private(struct vhx_device *dev, void *priv)
{
	dev->priv = priv;
}

void *vhx_device_get_private(const struct vhx_device *dev)
{
	return dev->priv;
}

const char *vhx_device_ifname(const struct vhx_device *dev)
{
	return dev->name;
}

uint64_t vhx_device_features(const struct vhx_device *dev)
{
	return dev->features;
}

unsigned int vhx_device_mtu(const struct vhx_device *dev)
{
	return dev->mtu;
}

unsigned int vhx_device_queues(const struct vhx_device *dev)
{
	return __atomic_load_n(&dev->nr_queues, __ATOMIC_ACQUIRE);
}
