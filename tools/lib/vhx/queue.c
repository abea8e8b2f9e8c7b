// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Set-up of one queue, its start and its stop. All with the session locked, so
 * that what a queue is locked for is a burst alone.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "burst.h"
#include "driver.h"
#include "session.h"

/*
 * A message may name any queue, and makes all up to that: what bursts work with
 * is pages that are there when one is under way.
 */
struct vhx_queue *vhx_queue_create(struct vhx_device *dev, unsigned int index)
{
	struct vhx_queue *queue = mmap(NULL, sizeof(*queue),
				       PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (queue == MAP_FAILED)
		return NULL;
	queue->dev = dev;
	queue->index = index;
	queue->kick = -1;
	queue->call = -1;
	queue->uring.fd = -1;
	queue->err = -1;
	queue->is_enabled = !dev->has_enable;
	queue->ring.mem = &queue->mem;
	queue->ring.ops = &vhx_split_ops;
	queue->is_legacy_be = __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__;
	return queue;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vhx_queue_destroy(struct vhx_queue *queue)
{
	close_fd(&queue->kick);
	close_fd(&queue->call);
	vhx_uring_close(&queue->uring);
	close_fd(&queue->err);
	munmap(queue, sizeof(*queue));
}

/**
 * vhx_queue_set_num - how many entries the ring has
 * @queue: the queue
 * @num: entries
 *
 * Return: 0, -EBUSY (started), -EINVAL (over 32768; not a power of two is found
 * out at the start, which knows the format)
 */
int vhx_queue_set_num(struct vhx_queue *queue, u32 num)
{
	if (queue->is_started)
		return -EBUSY;
	if (!num || num > 0x8000)
		return -EINVAL;
	queue->num = num;
	return 0;
}

/**
 * vhx_queue_set_base - where to start
 * @queue: the queue
 * @base: next avail index; of a packed ring next avail and, in the upper half,
 *        next used position
 *
 * Return: 0, -EBUSY (started)
 */
int vhx_queue_set_base(struct vhx_queue *queue, u32 base)
{
	if (queue->is_started)
		return -EBUSY;
	queue->base = base;
	return 0;
}

/**
 * vhx_queue_get_base - where it would start again
 * @queue: the queue
 *
 * Return: as VHOST_GET_VRING_BASE gives it
 */
u32 vhx_queue_get_base(struct vhx_queue *queue)
{
	u32 base = queue->base;

	vhx_queue_lock(queue);
	if (queue->is_taken_up)
		base = queue->ring.ops->base(&queue->ring);
	vhx_queue_unlock(queue);
	return base;
}

static bool is_packed(const struct vhx_queue *queue)
{
	return vhx_area_is_packed(&queue->ring);
}

static u8 area_perm(const struct vhx_queue *queue, enum vhx_area area)
{
	return (vhx_area_is_read(area) ? VHOST_ACCESS_RO : 0) |
	       (vhx_area_is_written(&queue->ring, area) ? VHOST_ACCESS_WO : 0);
}

/* Without an IOTLB an area is named by the client's address of it. */
static int find_area(struct vhx_queue *queue, enum vhx_area area)
{
	u32 len = vhx_area_len(&queue->ring, area);
	struct vhx_mem *mem = &queue->mem;
	const struct vhx_region *region;
	u64 off;

	region = vhx_region_find_uaddr(&queue->dev->regions, mem->addr[area]);
	if (!region)
		return -EFAULT;
	off = mem->addr[area] - region->uaddr;
	if (len > region->size - off)
		return -EFAULT;
	mem->ptr[area] = region->ptr + off;
	mem->gpa[area] = region->gpa + off;
	return 0;
}

/**
 * vhx_queue_find_areas - find where the ring lies
 * @queue: the queue, whose format and size are known
 *
 * Context: the queue is locked
 * Return: 0, -EINVAL (alignment), -EFAULT, -EPERM, -EAGAIN (the client was asked)
 */
int vhx_queue_find_areas(struct vhx_queue *queue)
{
	struct vhx_mem *mem = &queue->mem;
	enum vhx_area area;
	int err = 0;

	queue->is_ready = false;
	/* They may not be where flags were written that are remembered. */
	vhx_ring_forget_flags(&queue->ring);
	/* virtio 1.3 §2.8.10.1; the rest as for split rings, beforehand. */
	if (is_packed(queue) &&
	    mem->addr[VHX_DRIVER] % sizeof(struct vring_packed_desc_event))
		return vhx_ring_fail(&queue->ring, -EINVAL, VHX_CAUSE_RING_ALIGN);
	for (area = VHX_DESC; area < VHX_AREAS && !err; area++) {
		if (!mem->addr[area])
			err = -EFAULT;
		else if (mem->xlate.iotlb)
			err = vhx_xlate_area(&mem->xlate, mem->addr[area],
					     vhx_area_len(&queue->ring, area),
					     area_perm(queue, area),
					     &mem->ptr[area], &mem->gpa[area]);
		else
			err = find_area(queue, area);
	}
	if (err)
		return vhx_ring_fail(&queue->ring, err, VHX_CAUSE_RING_ACCESS);
	queue->is_ready = true;
	return 0;
}

/**
 * vhx_queue_fail - stop a ring that its guest broke
 * @queue: the queue
 * @err: why, with vhx_ring.cause
 *
 * Context: the queue is locked
 */
void vhx_queue_fail(struct vhx_queue *queue, int err)
{
	/* The client was asked for an address, and its answer goes on. */
	if (err == -EAGAIN) {
		/* Without an IOTLB it is a region that is being replaced. */
		queue->counts.stats.iotlb_waits +=
			queue->mem.xlate.iotlb && !queue->waits;
		queue->waits = true;
		return;
	}
	queue->is_broken = true;
	queue->runs = false;
	queue->counts.stats.errors++;
	queue->counts.stops[queue->ring.cause]++;
	queue->why_broken = queue->ring.cause;
	queue->err_broken = err;
	queue->is_untold = true;
	/* Not from here: the log and callbacks may ask something of the queue. */
	__atomic_store_n(&queue->dev->has_news, true, __ATOMIC_RELEASE);
	vhx_session_wake(queue->dev->driver->session);
}

/**
 * vhx_queue_set_memory - take up other regions, translations or a log
 * @queue: the queue
 *
 * Context: the queue is locked
 */
void vhx_queue_set_memory(struct vhx_queue *queue)
{
	struct vhx_device *dev = queue->dev;
	struct vhx_mem *mem = &queue->mem;

	vhx_xlate_reset(&mem->xlate, &dev->regions, dev->iotlb);
	mem->dirty.log = NULL;
	if (dev->log && vhx_has_feature(dev, VHOST_F_LOG_ALL)) {
		mem->dirty.log = dev->log->start + dev->log_off;
		mem->dirty.len = dev->log_len;
	}
	queue->is_ready = false;
	queue->waits = false;
	/* A region that is being replaced: the ring goes on with the new one. */
	if (queue->is_taken_up && !queue->is_broken && !mem->xlate.iotlb)
		vhx_queue_find_areas(queue);
}

static bool takes_gso(const struct vhx_device *dev, unsigned int feature)
{
	return vhx_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM) &&
	       vhx_has_feature(dev, feature);
}

/**
 * vhx_queue_set_features - take up what the guest accepted
 * @queue: the queue
 *
 * All but format and byte order, which a started ring keeps.
 *
 * Context: the queue is locked
 */
void vhx_queue_set_features(struct vhx_queue *queue)
{
	const struct vhx_device *dev = queue->dev;

	queue->ring.has_event_idx = vhx_has_feature(dev,
						    VIRTIO_RING_F_EVENT_IDX);
	queue->ring.is_in_order = vhx_has_feature(dev, VIRTIO_F_IN_ORDER);
	queue->ring.calls_on_empty = vhx_has_feature(dev,
						     VIRTIO_F_NOTIFY_ON_EMPTY);
	queue->ring.is_signalled_valid = false;
	queue->is_mergeable = vhx_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF);
	queue->hlen = queue->is_mergeable ||
		      vhx_has_feature(dev, VIRTIO_F_VERSION_1) ?
		VHX_HLEN_MAX : (u32)sizeof(struct virtio_net_hdr);
	memset(queue->plain_hdr, 0, sizeof(queue->plain_hdr));
	/* With num_buffers it is version 1, or merges: little-endian but there. */
	queue->plain_hdr[queue->ring.is_le ? 10 : 11] = 1;
	queue->has_offload = vhx_has_feature(dev, VIRTIO_NET_F_CSUM);
	queue->has_csum = vhx_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM);
	queue->gso_types = 1u << VIRTIO_NET_HDR_GSO_NONE;
	if (takes_gso(dev, VIRTIO_NET_F_GUEST_TSO4))
		queue->gso_types |= 1u << VIRTIO_NET_HDR_GSO_TCPV4;
	if (takes_gso(dev, VIRTIO_NET_F_GUEST_TSO6))
		queue->gso_types |= 1u << VIRTIO_NET_HDR_GSO_TCPV6;
	queue->is_ready = false;
}

/* Chooses the format and checks what was set before it was known. */
static int check_set_up(struct vhx_queue *queue)
{
	const struct vhx_device *dev = queue->dev;
	struct vhx_ring *ring = &queue->ring;

	ring->ops = vhx_has_feature(dev, VIRTIO_F_RING_PACKED) ?
		&vhx_packed_ops : &vhx_split_ops;
	ring->is_le = is_packed(queue) || !queue->is_legacy_be ||
		      vhx_has_feature(dev, VIRTIO_F_VERSION_1);
	ring->num = (u16)queue->num;
	if (!queue->num)
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_RING_NO_SIZE);
	if (!is_packed(queue) && (queue->num & (queue->num - 1)))
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_RING_SIZE);
	if (!is_packed(queue) && queue->base > UINT16_MAX)
		return vhx_ring_fail(ring, -EINVAL, VHX_CAUSE_RING_BASE);
	return 0;
}

static int take_up(struct vhx_queue *queue)
{
	struct vhx_ring *ring = &queue->ring;
	int err;

	err = check_set_up(queue);
	if (err)
		return err;
	vhx_queue_set_features(queue);
	queue->share = VHX_SHARE_MAX;
	err = vhx_queue_find_areas(queue);
	if (err)
		return err;
	err = ring->ops->start(ring, queue->base);
	if (!err && !queue->wants_kicks)
		err = ring->ops->disarm(ring);
	return err;
}

/**
 * vhx_queue_take_up - take up the ring of a started queue, unless it was
 * @queue: the queue
 *
 * Behind an IOTLB, it is tried again with each answer.
 *
 * Return: 0, -EINVAL (the ring is broken)
 */
int vhx_queue_take_up(struct vhx_queue *queue)
{
	int err = 0;

	if (!queue->is_started)
		return 0;
	vhx_queue_lock(queue);
	if (!queue->is_taken_up && !queue->is_broken) {
		err = take_up(queue);
		queue->is_taken_up = !err;
		if (err)
			vhx_queue_fail(queue, err);
		else if (!(queue->index & 1))
			vhx_queue_look_ahead(queue);
	}
	err = queue->is_broken ? -EINVAL : 0;
	vhx_queue_unlock(queue);
	return err;
}

static void watch_kick(struct vhx_queue *queue, bool is_on)
{
	if (queue->waits_for_kick == is_on)
		return;
	queue->waits_for_kick = is_on;
	queue->dev->transport->watch_kick(queue, is_on);
}

/*
 * Its kicks are the user's again, who may have asked for them by now and sleep:
 * whatever was kicked for meanwhile, he looks once more.
 */
static void hand_back_kicks(struct vhx_queue *queue)
{
	int err = 0;
	bool is_asked;

	vhx_queue_lock(queue);
	is_asked = queue->wants_kicks;
	if (!is_asked && queue->runs && queue->is_taken_up && queue->is_ready)
		err = queue->ring.ops->disarm(&queue->ring);
	if (err)
		vhx_queue_fail(queue, err);
	vhx_queue_unlock(queue);
	if (is_asked)
		vhx_notify_user(queue);
}

/**
 * vhx_queue_update_discard - see to a transmitq that is started and disabled
 * @queue: the queue
 *
 * Its frames are taken and dropped (vhost-user, "Ring states"), so that a guest
 * that sends on it goes on.
 */
void vhx_queue_update_discard(struct vhx_queue *queue)
{
	bool is_on = queue->is_started && !queue->is_enabled &&
		     queue->index & 1 && queue->kick >= 0;

	if (queue->discards == is_on)
		return;
	queue->discards = is_on;
	watch_kick(queue, is_on);
	if (is_on)
		vhx_queue_kicked(queue);
	else
		hand_back_kicks(queue);
}

/**
 * vhx_queue_kicked - a kick of a queue that bursts do not use
 * @queue: the queue, whose kicks are watched
 */
void vhx_queue_kicked(struct vhx_queue *queue)
{
	if (!queue->is_started) {
		vhx_queue_start(queue);
	} else if (vhx_queue_discard(queue)) {
		/* What is readable is told of anew. */
		watch_kick(queue, false);
		watch_kick(queue, true);
	}
}

/**
 * vhx_queue_start - the first kick, or what stands for it
 * @queue: the queue
 *
 * Return: 0, -EINVAL (the ring cannot be taken up; its error eventfd was told)
 */
int vhx_queue_start(struct vhx_queue *queue)
{
	int err;

	watch_kick(queue, false);
	if (queue->is_started)
		return 0;
	vhx_queue_lock(queue);
	queue->why_broken = VHX_CAUSE_NONE;
	vhx_counts_watch_kicks(&queue->counts, queue->kick);
	vhx_queue_unlock(queue);
	queue->is_started = true;
	err = vhx_queue_take_up(queue);
	vhx_device_update(queue->dev);
	return err;
}

/**
 * vhx_queue_stop - stop the ring, as GET_VRING_BASE does
 * @queue: the queue, started or not
 *
 * When this returns nothing is read or written there any more.
 */
void vhx_queue_stop(struct vhx_queue *queue)
{
	watch_kick(queue, false);
	queue->is_started = false;
	vhx_device_update(queue->dev);
	vhx_queue_lock(queue);
	vhx_counts_unwatch_kicks(&queue->counts, queue->kick);
	vhx_counts_end_wait(&queue->counts);
	if (queue->is_taken_up)
		queue->base = queue->ring.ops->base(&queue->ring);
	queue->is_taken_up = false;
	queue->is_broken = false;
	queue->wants_kicks = false;
	queue->mem.xlate.nr_misses = 0;
	vhx_queue_unlock(queue);
}

/**
 * vhx_queue_set_addr - where the ring lies
 * @queue: the queue, started or not
 * @addr: addresses of the client's, or an IOMMU's
 *
 * Return: 0, -EINVAL (alignment; started, and the ring is not in guest memory)
 */
int vhx_queue_set_addr(struct vhx_queue *queue,
		       const struct vhost_vring_addr *addr)
{
	const u64 addrs[VHX_AREAS] = {
		[VHX_DESC] = addr->desc_user_addr,
		[VHX_DRIVER] = addr->avail_user_addr,
		[VHX_DEVICE] = addr->used_user_addr,
	};
	int err = 0;

	/* virtio 1.3 §2.7, §2.8.10.1 */
	if (addrs[VHX_DESC] % 16 || addrs[VHX_DRIVER] % 2 ||
	    addrs[VHX_DEVICE] % 4)
		return -EINVAL;
	vhx_queue_lock(queue);
	memcpy(queue->mem.addr, addrs, sizeof(addrs));
	queue->is_ready = false;
	if (queue->is_taken_up && !queue->is_broken)
		err = vhx_queue_find_areas(queue);
	if (err && err != -EAGAIN)
		vhx_queue_fail(queue, err);
	err = queue->is_broken ? -EINVAL : 0;
	vhx_queue_unlock(queue);
	return err;
}

/**
 * vhx_queue_set_endian - byte order of a legacy guest
 * @queue: the queue
 * @is_be: big-endian
 *
 * Return: 0, -EBUSY (started)
 */
int vhx_queue_set_endian(struct vhx_queue *queue, bool is_be)
{
	if (queue->is_started)
		return -EBUSY;
	queue->is_legacy_be = is_be;
	return 0;
}

static void replace_kick(struct vhx_queue *queue, int fd)
{
	int old = queue->kick;

	vhx_queue_lock(queue);
	vhx_counts_replace_kicks(&queue->counts, old, fd);
	queue->kick = fd;
	queue->is_polled = fd < 0;
	vhx_queue_unlock(queue);
	close_fd(&old);
}

/**
 * vhx_queue_set_kick - where the guest kicks
 * @queue: the queue, started or not
 * @fd: eventfd, which is ours from here on, or -1: the queue is to be polled
 *
 * Return: 0, or an errno of watching it
 */
int vhx_queue_set_kick(struct vhx_queue *queue, int fd)
{
	bool was_started = queue->is_started;

	/* The user may be polling the old one. */
	if (queue->is_up || queue->discards) {
		queue->is_started = false;
		vhx_device_update(queue->dev);
	}
	watch_kick(queue, false);
	replace_kick(queue, fd);
	queue->is_started = was_started;
	if (was_started) {
		vhx_device_update(queue->dev);
		return 0;
	}
	if (queue->is_polled)
		return vhx_queue_start(queue);
	watch_kick(queue, true);
	return 0;
}

static void set_fd(struct vhx_queue *queue, int *to, int fd)
{
	int old;

	vhx_queue_lock(queue);
	old = *to;
	*to = fd;
	/* If it is the call's. */
	queue->uring.is_aimed = false;
	vhx_queue_unlock(queue);
	close_fd(&old);
}

/**
 * vhx_queue_set_call - where to signal the guest
 * @queue: the queue, started or not
 * @fd: eventfd, which is ours from here on, or -1: nowhere
 *
 * Calls that went nowhere may have been missed: the new one gets one.
 *
 * Return: 0
 */
int vhx_queue_set_call(struct vhx_queue *queue, int fd)
{
	set_fd(queue, &queue->call, fd);
	if (queue->is_started)
		vhx_signal(&queue->dev->driver->session->signals, fd);
	return 0;
}

/**
 * vhx_queue_set_err - where to signal that the ring is broken
 * @queue: the queue, started or not
 * @fd: eventfd, which is ours from here on, or -1: nowhere
 *
 * Return: 0
 */
int vhx_queue_set_err(struct vhx_queue *queue, int fd)
{
	set_fd(queue, &queue->err, fd);
	return 0;
}

/**
 * vhx_queue_enable - let bursts use it, or not
 * @queue: the queue, started or not
 * @is_enabled: whether
 *
 * Return: 0
 */
int vhx_queue_enable(struct vhx_queue *queue, bool is_enabled)
{
	queue->is_enabled = is_enabled;
	vhx_device_update(queue->dev);
	return 0;
}
