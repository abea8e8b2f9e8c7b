/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* A queue: one ring, and what bursts work with. */
#ifndef VHX_QUEUE_H
#define VHX_QUEUE_H

#include <sched.h>
#include <linux/virtio_net.h>
#include <vhx/vhx.h>

#include "ring/area.h"
#include "counts.h"
#include "signal.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif

/* Chains that may be completed together: a burst and the longest frame's. */
#define VHX_USED_MAX	(VHX_BURST_MAX + VHX_SLOTS_MAX)
/* Descriptors that a receiveq may save up to be looked at, see enqueue.c. */
#define VHX_SHARE_MAX	65536
/* Bytes of the virtio-net header with num_buffers, virtio 1.3 §5.1.6 */
#define VHX_HLEN_MAX	((u32)sizeof(struct virtio_net_hdr_mrg_rxbuf))

/**
 * struct vhx_queue - one virtqueue
 * @is_locked: guards the ring and what a burst reads, see device.h
 * @runs: bursts may use it; written under the lock
 * @is_ready: the areas are found; behind an IOTLB they may get lost
 * @is_broken: the guest broke the ring; until it is started again
 * @is_untold: client and user are still to hear of that, by the session
 * @why_broken: for the log, and for who asks; VHX_CAUSE_NONE: it never was since it
 *              was started
 * @err_broken: negative errno
 * @waits: a translation is to come, and the kick eventfd is signalled then
 * @wants_kicks: notifications are on
 * @hlen: bytes of the guest's header
 * @plain_hdr: the header of a frame in one buffer, without offloads
 * @is_mergeable: VIRTIO_NET_F_MRG_RXBUF
 * @has_csum: to the guest, it takes frames without checksum
 * @gso_types: to the guest, kinds of GSO frames that it takes, by bit
 * @has_offload: from the guest, its header means something
 * @ring: the engine's half
 * @mem: where the ring lies
 * @counts: counters, read without the lock
 * @call: eventfd to signal the guest, or -1
 * @uring: signals @call
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
 * @offloads: dequeue: headers of the frames in work, in one
 * @share: enqueue: descriptors that may be looked at
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
	bool is_untold;
	enum vhx_cause why_broken;
	int err_broken;
	bool waits;
	bool wants_kicks;
	u32 hlen;
	u8 plain_hdr[VHX_HLEN_MAX];
	bool is_mergeable;
	bool has_csum;
	bool has_offload;
	u32 gso_types;
	struct vhx_ring ring;
	struct vhx_mem mem;
	struct vhx_counts counts;
	int call;
	struct vhx_uring uring;
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
	u64 offloads;
	int share;
	unsigned int cursor;
	unsigned int nr_used;
	u16 staged;
	struct vhx_burst burst;
	struct vhx_used used[VHX_USED_MAX];
};

/* Behind an IOTLB areas that got lost may be found again, else by other regions. */
static inline bool vhx_queue_lacks_memory(const struct vhx_queue *queue)
{
	return !queue->is_ready && !queue->mem.xlate.iotlb;
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

#endif /* VHX_QUEUE_H */
