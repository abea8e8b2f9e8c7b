/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A device and its queues, whatever transport its client speaks.
 *
 * Locks: vhx_session.mutex guards all that is not said to be under another, and
 * is held while callbacks run. vhx_queue.is_locked guards the ring and what a
 * burst reads: bursts try it once, the session waits for it. The regions, the
 * IOTLB and the log of a device change with all its queues locked, in the order
 * of their indexes.
 */
#ifndef VHX_DEVICE_H
#define VHX_DEVICE_H

#include <linux/virtio_config.h>

#include "queue.h"

/**
 * struct vhx_transport_ops - what a device asks of its connection to the client
 * @ask_iotlb: ask the client for a translation; from bursts. Return: 0 or an
 *             errno: it was not asked
 * @watch_kick: have vhx_queue_kicked() called if the queue was kicked and at
 *              each kick, or no more; on the session's thread
 * @hang_up: disconnect the peer soon, for it broke the rules
 */
struct vhx_transport_ops {
	int (*ask_iotlb)(struct vhx_device *dev, u64 iova, u8 perm);
	int (*watch_kick)(struct vhx_queue *queue, bool is_on);
	void (*hang_up)(struct vhx_device *dev);
};

/**
 * struct vhx_device - one guest's device
 * @driver: where it came to
 * @transport: its connection to the client
 * @priv: the user's
 * @name: see vhx_device_ifname()
 * @max_queues: queues that the client may use
 * @nr_queues: queues that it did use: those before have been made
 * @queue: the queues
 * @regions: guest memory
 * @iotlb: translations, with VIRTIO_F_ACCESS_PLATFORM, else NULL
 * @log: the dirty log's memory, or NULL
 * @log_off: where the bitmap begins in it
 * @log_len: bytes of the bitmap
 * @offered: features that the guest may accept
 * @features: what it accepted
 * @has_enable: queues begin disabled: VHOST_USER_F_PROTOCOL_FEATURES
 * @is_connected: the user was told of the peer
 * @is_live: between new_device() and destroy_device()
 * @was_live: it was once
 * @is_refused: the user did not want it
 * @is_to_announce: when it is live: @mac
 * @mac: the guest's address
 * @has_news: a queue of it is broken, and untold
 * @mtu: bytes, or 0
 */
struct vhx_device {
	struct vhx_driver *driver;
	const struct vhx_transport_ops *transport;
	void *priv;
	char name[108];
	unsigned int max_queues;
	unsigned int nr_queues;
	struct vhx_queue *queue[VHX_QUEUES_MAX];
	struct vhx_regions regions;
	struct vhx_iotlb *iotlb;
	struct vhx_mapping *log;
	u64 log_off;
	u64 log_len;
	u64 offered;
	u64 features;
	bool has_enable;
	bool is_connected;
	bool is_live;
	bool was_live;
	bool is_refused;
	bool is_to_announce;
	u8 mac[6];
	bool has_news;
	unsigned int mtu;
};

static inline bool vhx_has_feature(const struct vhx_device *dev,
				   unsigned int bit)
{
	return dev->features & BIT_ULL(bit);
}

/* device.c: all with the session locked */
int vhx_device_init(struct vhx_device *dev, struct vhx_driver *driver,
		    const struct vhx_transport_ops *transport,
		    const char *name);
void vhx_device_exit(struct vhx_device *dev);
void vhx_device_reset(struct vhx_device *dev);
struct vhx_queue *vhx_device_queue(struct vhx_device *dev, unsigned int index);
int vhx_device_set_features(struct vhx_device *dev, u64 features);
int vhx_device_set_regions(struct vhx_device *dev,
			   struct vhx_regions *regions);
int vhx_device_add_region(struct vhx_device *dev,
			  const struct vhx_region *region);
int vhx_device_remove_region(struct vhx_device *dev, u64 gpa, u64 uaddr,
			     u64 size);
int vhx_device_set_log(struct vhx_device *dev, int fd, u64 offset, u64 len);
int vhx_device_update_iotlb(struct vhx_device *dev, u64 iova, u64 size,
			    u64 uaddr, u8 perm);
int vhx_device_invalidate_iotlb(struct vhx_device *dev, u64 iova, u64 size);
void vhx_device_update(struct vhx_device *dev);
void vhx_device_stop(struct vhx_device *dev);
bool vhx_device_is_cut(const struct vhx_device *dev);
void vhx_device_announce(struct vhx_device *dev, const u8 *mac);
void vhx_device_tell_news(struct vhx_device *dev);

#endif /* VHX_DEVICE_H */
