// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A device: features, memory, and when its user hears of what. All with the
 * session locked.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "driver.h"
#include "notify.h"
#include "session.h"

/**
 * vhx_device_init - a device of a peer that has come
 * @dev: zeroed
 * @driver: where it came to
 * @transport: its connection to the client
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
	if (is_up) {
		queue->is_up = true;
		set_runs(queue, true);
	}
	if (driver->ops->vring_state_changed)
		driver->ops->vring_state_changed(queue->dev, queue->index,
						 is_up, driver->arg);
	/* Until now its kick descriptor could be asked for. */
	if (!is_up) {
		queue->is_up = false;
		set_runs(queue, false);
	}
}

/**
 * vhx_device_announce - tell the user to announce the guest
 * @dev: the device; one that is not live yet is announced when it is
 * @mac: the guest's address
 */
void vhx_device_announce(struct vhx_device *dev, const u8 *mac)
{
	const struct vhx_driver *driver = dev->driver;

	dev->is_to_announce = !dev->is_live;
	if (!dev->is_live)
		memcpy(dev->mac, mac, sizeof(dev->mac));
	else if (driver->ops->announced)
		driver->ops->announced(dev, mac, driver->arg);
}

static void make_live(struct vhx_device *dev)
{
	struct vhx_driver *driver = dev->driver;
	int err = 0;

	if (driver->ops->new_device)
		err = driver->ops->new_device(dev, driver->arg);
	if (err < 0) {
		vhx_driver_log(driver, VHX_LOG_WARN,
			       "%s: device refused: %s", dev->name,
			       strerror(-err));
		dev->is_refused = true;
		dev->transport->hang_up(dev);
		return;
	}
	dev->is_live = true;
	dev->was_live = true;
	if (dev->is_to_announce)
		vhx_device_announce(dev, dev->mac);
}

/**
 * vhx_device_update - tell the user what has changed
 * @dev: the device
 *
 * A device is live while a queue runs. Each starts by its own kick, and that of a
 * guest which sends nothing may never come.
 */
void vhx_device_update(struct vhx_device *dev)
{
	const struct vhx_driver *driver = dev->driver;
	bool is_live = false;
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		is_live |= can_run(dev, i);
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

static bool is_any_started(const struct vhx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		if (dev->queue[i]->is_started)
			return true;
	return false;
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
	/*
	 * While a queue runs, translations stay: QEMU switches the log on and off.
	 * A guest that starts anew may have changed them, and nobody told us.
	 */
	if (features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) &&
	    (!dev->iotlb || !is_any_started(dev))) {
		iotlb = calloc(1, sizeof(*iotlb));
		if (!iotlb)
			return -ENOMEM;
		iotlb->ask = (int (*)(void *, u64, u8))
			dev->transport->ask_iotlb;
		iotlb->arg = dev;
	}
	lock_queues(dev);
	dev->features = features;
	if (iotlb || !(features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)))
		swap(dev->iotlb, iotlb);
	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_set_features(dev->queue[i]);
	unlock_queues_anew(dev);
	free(iotlb);
	if (dev->is_live && driver->ops->features_changed)
		driver->ops->features_changed(dev, features, driver->arg);
	return 0;
}

/*
 * Users who sleep until the guest kicks may have something to do now. A kick of a
 * queue that is not started would start it.
 */
static void wake_users(struct vhx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		if (dev->queue[i]->is_started)
			vhx_notify_user(dev->queue[i]);
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
	wake_users(dev);
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
	wake_users(dev);
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
 * Return: 0, -EINVAL (empty), or as vhx_mapping_create()
 */
int vhx_device_set_log(struct vhx_device *dev, int fd, u64 offset, u64 len)
{
	struct vhx_mapping *log;
	int err;
	u8 *ptr;

	if (!len)
		return -EINVAL;
	err = vhx_mapping_create(dev->driver->account, fd, offset, len, &log,
				 &ptr);
	if (err)
		return err;
	lock_queues(dev);
	swap(dev->log, log);
	dev->log_off = (u64)(ptr - dev->log->start);
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
		dev->queue[i]->waits = false;
	}
	unlock_queues(dev);
	for (i = 0; i < dev->nr_queues; i++)
		vhx_queue_take_up(dev->queue[i]);
	wake_users(dev);
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

static void tell_broken(struct vhx_queue *queue, const char *why, int err)
{
	struct vhx_driver *driver = queue->dev->driver;

	vhx_signal(&driver->session->signals, queue->err);
	vhx_driver_log(driver, VHX_LOG_WARN,
		       "%s: queue %u stopped: %s: %s", queue->dev->name,
		       queue->index, why, strerror(-err));
	if (driver->ops->vring_broken)
		driver->ops->vring_broken(queue->dev, queue->index, why,
					  driver->arg);
}

/**
 * vhx_device_tell_news - tell client, operator and user of queues that are broken
 * @dev: the device
 */
void vhx_device_tell_news(struct vhx_device *dev)
{
	const char *why = NULL;
	unsigned int i;
	bool is_news;
	int err = 0;

	if (!__atomic_exchange_n(&dev->has_news, false, __ATOMIC_ACQUIRE))
		return;
	for (i = 0; i < dev->nr_queues; i++) {
		struct vhx_queue *queue = dev->queue[i];

		vhx_queue_lock(queue);
		is_news = queue->is_untold;
		queue->is_untold = false;
		if (is_news) {
			why = vhx_cause_text(queue->why_broken);
			err = queue->err_broken;
		}
		vhx_queue_unlock(queue);
		if (is_news)
			tell_broken(queue, why, err);
	}
}

void vhx_device_disconnect(struct vhx_device *dev)
{
	dev->transport->hang_up(dev);
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
