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

#include <sched.h>
#include <vhx/vhx.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "ring/area.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif

/* Chains that may be completed together: a burst and the longest frame's. */
#define VHX_USED_MAX	(VHX_BURST_MAX + VHX_SLOTS_MAX)
/* Bytes of the virtio-net header with num_buffers, virtio 1.3 §5.1.6 */
#define VHX_HLEN_MAX	((u32)sizeof(struct virtio_net_hdr_mrg_rxbuf))

#define BIT_ULL(nr)	(1ULL << (nr))

/**
 * struct vhx_queue - one virtqueue
 * @is_locked: see the head of this file
 * @runs: bursts may use it; written under the lock
 * @is_ready: the areas are found; behind an IOTLB they may get lost
 * @is_broken: the guest broke the ring; until it is started again
 * @wants_kicks: notifications are on
 * @hlen: bytes of the guest's header
 * @plain_hdr: the header of a frame in one buffer, without offloads
 * @is_mergeable: VIRTIO_NET_F_MRG_RXBUF
 * @has_csum: to the guest, it takes frames without checksum
 * @gso_types: to the guest, kinds of GSO frames that it takes, by bit
 * @has_offload: from the guest, its header means something
 * @ring: the engine's half
 * @mem: where the ring lies
 * @stats: counters, read without the lock
 * @call: eventfd to signal the guest, or -1
 * @err: eventfd to signal that the ring is broken, or -1
 * @dev: its device
 * @index: of it in the device
 * @kick: eventfd of the guest's kicks, or -1
 * @is_polled: the client said that it does not kick
 * @is_started: between the first kick and GET_VRING_BASE
 * @is_taken_up: the ring is; behind an IOTLB this may have to wait
 * @is_enabled: VRING_ENABLE, or no such protocol
 * @is_up: vring_state_changed() said so
 * @waits_for_kick: the session polls @kick: see vhx_queue_kicked()
 * @discards: it is started and disabled, and what is sent there is dropped
 * @is_legacy_be: without VIRTIO_F_VERSION_1 the ring is big-endian
 * @num: entries
 * @base: where to start, while it is stopped
 * @cursor: enqueue: next chain of @burst
 * @nr_used: enqueue: completed chains in @used that are not published yet
 * @staged: enqueue: position of the first of them, to hand back by
 * @burst: chains in work
 * @used: chains to complete
 */
struct vhx_queue {
	bool is_locked;
	bool runs;
	bool is_ready;
	bool is_broken;
	bool wants_kicks;
	u32 hlen;
	u8 plain_hdr[VHX_HLEN_MAX];
	bool is_mergeable;
	bool has_csum;
	bool has_offload;
	u32 gso_types;
	struct vhx_ring ring;
	struct vhx_mem mem;
	struct vhx_queue_stats stats;
	int call;
	int err;
	struct vhx_device *dev;
	unsigned int index;
	int kick;
	bool is_polled;
	bool is_started;
	bool is_taken_up;
	bool is_enabled;
	bool is_up;
	bool waits_for_kick;
	bool discards;
	bool is_legacy_be;
	u32 num;
	u32 base;
	unsigned int cursor;
	unsigned int nr_used;
	u16 staged;
	struct vhx_burst burst;
	struct vhx_used used[VHX_USED_MAX];
};

/**
 * struct vhx_transport_ops - what a device asks of the way it came by
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
 * @transport: the way it came by
 * @priv: the user's
 * @name: see vhx_device_ifname()
 * @wake: eventfd that makes the session look for memory that was cut off
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
 * @is_refused: the user did not want it
 * @mtu: bytes, or 0
 */
struct vhx_device {
	struct vhx_driver *driver;
	const struct vhx_transport_ops *transport;
	void *priv;
	char name[108];
	int wake;
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
	bool is_refused;
	unsigned int mtu;
};

static inline bool vhx_has_feature(const struct vhx_device *dev,
				   unsigned int bit)
{
	return dev->features & BIT_ULL(bit);
}

/* Bursts look once. */
static inline bool vhx_queue_trylock(struct vhx_queue *queue)
{
	return !__atomic_exchange_n(&queue->is_locked, true, __ATOMIC_ACQUIRE);
}

/* The session waits: a burst never does. */
static inline void vhx_queue_lock(struct vhx_queue *queue)
{
	while (!vhx_queue_trylock(queue))
		sched_yield();
}

static inline void vhx_queue_unlock(struct vhx_queue *queue)
{
	__atomic_store_n(&queue->is_locked, false, __ATOMIC_RELEASE);
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

/* queue.c: all with the session locked */
struct vhx_queue *vhx_queue_create(struct vhx_device *dev, unsigned int index);
void vhx_queue_destroy(struct vhx_queue *queue);
int vhx_queue_set_num(struct vhx_queue *queue, u32 num);
int vhx_queue_set_base(struct vhx_queue *queue, u32 base);
u32 vhx_queue_get_base(struct vhx_queue *queue);
int vhx_queue_set_addr(struct vhx_queue *queue,
		       const struct vhost_vring_addr *addr);
int vhx_queue_set_endian(struct vhx_queue *queue, bool is_be);
int vhx_queue_set_kick(struct vhx_queue *queue, int fd);
int vhx_queue_set_call(struct vhx_queue *queue, int fd);
int vhx_queue_set_err(struct vhx_queue *queue, int fd);
int vhx_queue_enable(struct vhx_queue *queue, bool is_enabled);
int vhx_queue_start(struct vhx_queue *queue);
void vhx_queue_kicked(struct vhx_queue *queue);
void vhx_queue_update_discard(struct vhx_queue *queue);
void vhx_queue_stop(struct vhx_queue *queue);
int vhx_queue_take_up(struct vhx_queue *queue);
void vhx_queue_set_features(struct vhx_queue *queue);
void vhx_queue_set_memory(struct vhx_queue *queue);
void vhx_queue_fail(struct vhx_queue *queue, int err);
/* with the queue locked alone */
int vhx_queue_find_areas(struct vhx_queue *queue);

/* dequeue.c: with the session locked */
bool vhx_queue_discard(struct vhx_queue *queue);

/* enqueue.c: with the queue locked */
void vhx_queue_look_ahead(struct vhx_queue *queue);

/* notify.c: with the queue locked */
void vhx_notify_call(struct vhx_queue *queue);
void vhx_notify_error(struct vhx_queue *queue, int err);

#endif /* VHX_DEVICE_H */
