// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOTLB messages: read, write and poll of the node. With ACCESS_PLATFORM all
 * addresses are an IOMMU's. A miss is asked for by a message to read, and
 * answered by one to write. Who answers seldom waits for a run: only taking a
 * range out needs the rings to stand still.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "trace.h"
#include "vhx.h"

/* Module parameter max_iotlb_entries. */
int vhx_max_iotlb_entries = 2048;

/* Of a full IOTLB so much goes at once: the rings stand still meanwhile. */
#define EVICT_PART	16

/**
 * vhx_iotlb_init - first set-up
 * @iotlb: the IOTLB, off
 */
void vhx_iotlb_init(struct vhx_iotlb *iotlb)
{
	spin_lock_init(&iotlb->lock);
	init_waitqueue_head(&iotlb->wait);
}

static void lock_vqs(struct vhx_dev *dev)
{
	mutex_lock(&dev->vq[VHX_RXQ].mutex);
	mutex_lock_nested(&dev->vq[VHX_TXQ].mutex, VHX_TXQ);
}

static void unlock_vqs(struct vhx_dev *dev)
{
	mutex_unlock(&dev->vq[VHX_TXQ].mutex);
	mutex_unlock(&dev->vq[VHX_RXQ].mutex);
}

/**
 * vhx_iotlb_replace - switch to an empty IOTLB, or off
 * @dev: the device
 * @map: an empty map, or NULL
 *
 * An address means another thing then: a ring's are forgotten.
 *
 * Context: dev mutex, no vq mutex
 */
void vhx_iotlb_replace(struct vhx_dev *dev, struct vhx_map *map)
{
	struct vhx_iotlb *iotlb = &dev->iotlb;
	bool is_switch = !map != !iotlb->map;
	struct vhx_map *old;
	struct vhx_vq *vq;

	if (!map && !iotlb->map)
		return;
	lock_vqs(dev);
	spin_lock(&iotlb->lock);
	old = iotlb->map;
	WRITE_ONCE(iotlb->map, map);
	spin_unlock(&iotlb->lock);
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		vhx_xlate_set(&vq->mem.xlate, dev->map, map ? iotlb : NULL);
		WRITE_ONCE(vq->mem.is_ready, false);
		if (is_switch)
			memset(vq->mem.addr, 0, sizeof(vq->mem.addr));
	}
	unlock_vqs(dev);
	vhx_map_free(old);
	/* Wake readers of an IOTLB that is being switched off. */
	wake_up_interruptible_all(&iotlb->wait);
}

static void remove_overlaps(struct vhx_map *map, u64 first, u64 last,
			    struct list_head *removed)
{
	struct vhx_range *range;

	while ((range = vhx_map_find(map, first, last))) {
		vhx_map_remove(map, range);
		list_add(&range->age, removed);
	}
}

static void remove_oldest(struct vhx_map *map, unsigned int nr,
			  struct list_head *removed)
{
	struct vhx_range *range;

	while (nr-- && map->nr) {
		range = list_first_entry(&map->ages, struct vhx_range, age);
		vhx_map_remove(map, range);
		list_add(&range->age, removed);
	}
}

/*
 * Takes out what overlaps, and @nr_old of the oldest. The rings stand still: a
 * run finds again what it has found once, and on return nothing is read or
 * written there any more.
 */
static void take_out(struct vhx_dev *dev, u64 first, u64 last,
		     unsigned int nr_old)
{
	struct vhx_iotlb *iotlb = &dev->iotlb;
	struct vhx_range *range, *next;
	LIST_HEAD(removed);
	struct vhx_vq *vq;

	lock_vqs(dev);
	spin_lock(&iotlb->lock);
	remove_overlaps(iotlb->map, first, last, &removed);
	remove_oldest(iotlb->map, nr_old, &removed);
	spin_unlock(&iotlb->lock);
	trace_vhx_iotlb_evict(dev, nr_old);
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		vhx_xlate_forget_hits(&vq->mem.xlate);
		list_for_each_entry(range, &removed, age)
			vhx_vq_forget_range(vq, range);
	}
	unlock_vqs(dev);
	list_for_each_entry_safe(range, next, &removed, age)
		kfree(range);
}

/* What was never mapped costs no ring its run. Context: dev mutex. */
static void invalidate(struct vhx_dev *dev, u64 first, u64 last)
{
	struct vhx_iotlb *iotlb = &dev->iotlb;
	bool is_any;

	/* Ranges come and go under the dev mutex. */
	spin_lock(&iotlb->lock);
	is_any = vhx_map_find(iotlb->map, first, last);
	spin_unlock(&iotlb->lock);
	if (is_any)
		take_out(dev, first, last, 0);
}

/* Drops the misses that are answered. Return: whether there were any. */
static bool answer_misses(struct vhx_xlate *xlate, u64 first, u64 last)
{
	unsigned int i, kept = 0, nr = xlate->nr_misses;

	for (i = 0; i < nr; i++)
		if (xlate->miss[i].iova < first || xlate->miss[i].iova > last)
			xlate->miss[kept++] = xlate->miss[i];
	WRITE_ONCE(xlate->nr_misses, kept);
	return kept < nr;
}

/* The client does not know of these misses, or has no answer yet. */
static void ask_again(struct vhx_dev *dev, u64 first, u64 last)
{
	struct vhx_iotlb *iotlb = &dev->iotlb;
	struct vhx_xlate *xlate;
	unsigned int q, i;

	spin_lock(&iotlb->lock);
	for (q = 0; q < VHX_VQS; q++) {
		xlate = &dev->vq[q].mem.xlate;
		for (i = 0; i < xlate->nr_misses; i++)
			if (xlate->miss[i].iova >= first &&
			    xlate->miss[i].iova <= last)
				xlate->miss[i].is_read = false;
	}
	wake_up_interruptible_poll(&iotlb->wait, EPOLLIN | EPOLLRDNORM);
	spin_unlock(&iotlb->lock);
}

static int update(struct vhx_dev *dev, const struct vhost_iotlb_msg *msg)
{
	u64 last = msg->iova + msg->size - 1;
	struct vhx_iotlb *iotlb = &dev->iotlb;
	bool is_answer[VHX_VQS];
	struct vhx_range *range;
	unsigned int i;

	if ((msg->perm & VHOST_ACCESS_RW) &&
	    !access_ok((void __user *)(unsigned long)msg->uaddr, msg->size))
		return -EFAULT;
	range = vhx_map_new_range(msg->iova, last, msg->uaddr, msg->perm);
	if (!range)
		return -ENOMEM;

	if (iotlb->map->nr < vhx_max_iotlb_entries)
		invalidate(dev, msg->iova, last);
	else
		take_out(dev, msg->iova, last, iotlb->map->nr + 1 -
			 vhx_max_iotlb_entries +
			 vhx_max_iotlb_entries / EVICT_PART);
	spin_lock(&iotlb->lock);
	vhx_map_add(iotlb->map, range);
	for (i = 0; i < VHX_VQS; i++)
		is_answer[i] = answer_misses(&dev->vq[i].mem.xlate, msg->iova,
					     last);
	spin_unlock(&iotlb->lock);

	/* A ring that stopped for want of an area may go on now, too. */
	for (i = 0; i < VHX_VQS; i++)
		if (is_answer[i] || !READ_ONCE(dev->vq[i].mem.is_ready))
			vhx_worker_queue(&dev->vq[i].work);
	return 0;
}

/*
 * A miss stays one until it is answered. The client is asked again where it could
 * not know better, not where its answer was wrong: it would give it again.
 * Context: dev mutex. Return: 0 or -EFAULT for whatever is wrong.
 */
static int take_message(struct vhx_dev *dev, const struct vhost_iotlb_msg *msg)
{
	u64 last = msg->iova + msg->size - 1;
	int err;

	if (!dev->iotlb.map || !msg->size || last < msg->iova)
		return -EFAULT;
	switch (msg->type) {
	case VHOST_IOTLB_UPDATE:
		trace_vhx_iotlb_update(dev, msg);
		err = update(dev, msg);
		if (err == -ENOMEM)
			ask_again(dev, msg->iova, last);
		return err ? -EFAULT : 0;
	case VHOST_IOTLB_INVALIDATE:
		trace_vhx_iotlb_invalidate(dev, msg);
		invalidate(dev, msg->iova, last);
		return 0;
	default:
		return -EFAULT;
	}
}

/**
 * vhx_iotlb_write - take a message from the client
 * @dev: the device
 * @from: struct vhost_msg or struct vhost_msg_v2
 *
 * The tail of the message may be missing. As in-tree, anyone who has the file
 * may write.
 *
 * Context: may sleep
 * Return: bytes of a whole message, -EINVAL (unknown, short, UPDATE of
 * nothing), -EFAULT (refused), -EINTR (killed)
 */
ssize_t vhx_iotlb_write(struct vhx_dev *dev, struct iov_iter *from)
{
	struct vhost_iotlb_msg msg;
	size_t size, off;
	int type, err;

	if (!copy_from_iter_full(&type, sizeof(type), from))
		return -EINVAL;
	if (type == VHOST_IOTLB_MSG) {
		size = sizeof(struct vhost_msg);
		off = offsetof(struct vhost_msg, iotlb);
	} else if (type == VHOST_IOTLB_MSG_V2) {
		size = sizeof(struct vhost_msg_v2);
		off = offsetof(struct vhost_msg_v2, iotlb);
	} else {
		return -EINVAL;
	}
	iov_iter_advance(from, off - sizeof(type));
	if (!copy_from_iter_full(&msg, sizeof(msg), from))
		return -EINVAL;
	if (msg.type == VHOST_IOTLB_UPDATE && !msg.size)
		return -EINVAL;

	err = mutex_lock_killable(&dev->mutex);
	if (err)
		return err;
	err = take_message(dev, &msg);
	mutex_unlock(&dev->mutex);
	return err ? err : size;
}

/*
 * Finds the next miss to read, of the ring whose turn it is if it has one.
 * Context: the IOTLB's lock.
 */
static struct vhx_miss *next_miss(struct vhx_dev *dev)
{
	struct vhx_xlate *xlate;
	unsigned int q, i;

	for (q = 0; q < VHX_VQS; q++) {
		xlate = &dev->vq[(dev->iotlb.turn + q) % VHX_VQS].mem.xlate;
		for (i = 0; i < xlate->nr_misses; i++)
			if (!xlate->miss[i].is_read)
				return &xlate->miss[i];
	}
	return NULL;
}

static bool take_miss(struct vhx_dev *dev, struct vhost_iotlb_msg *msg)
{
	struct vhx_miss *miss;

	spin_lock(&dev->iotlb.lock);
	miss = next_miss(dev);
	if (miss) {
		miss->is_read = true;
		dev->iotlb.turn = (dev->iotlb.turn + 1) % VHX_VQS;
		msg->type = VHOST_IOTLB_MISS;
		msg->iova = miss->iova;
		msg->perm = miss->perm;
	}
	spin_unlock(&dev->iotlb.lock);
	return miss;
}

/**
 * vhx_iotlb_read - give a message to the client
 * @dev: the device
 * @to: room for struct vhost_msg or struct vhost_msg_v2, which are of one size
 * @is_nonblock: do not wait
 *
 * Context: may sleep
 * Return: bytes of a message, 0 (no room), -EAGAIN (none), -EBADFD (none, and
 * no IOTLB that could have one), -ERESTARTSYS, -EFAULT
 */
ssize_t vhx_iotlb_read(struct vhx_dev *dev, struct iov_iter *to,
		       bool is_nonblock)
{
	union {
		struct vhost_msg v1;
		struct vhost_msg_v2 v2;
	} msg = {};
	struct vhost_iotlb_msg *iotlb = &msg.v1.iotlb;
	int err;

	BUILD_BUG_ON(sizeof(msg.v1) != sizeof(msg.v2));
	if (iov_iter_count(to) < sizeof(msg))
		return 0;
	msg.v1.type = VHOST_IOTLB_MSG;
	if (READ_ONCE(dev->has_msg_v2)) {
		msg.v2.type = VHOST_IOTLB_MSG_V2;
		iotlb = &msg.v2.iotlb;
	}
	if (is_nonblock) {
		if (!take_miss(dev, iotlb))
			return -EAGAIN;
	} else {
		bool is_taken = false;

		err = wait_event_interruptible(dev->iotlb.wait,
					       (is_taken = take_miss(dev, iotlb)) ||
					       !READ_ONCE(dev->iotlb.map));
		if (err)
			return err;
		if (!is_taken)
			return -EBADFD;
	}
	if (copy_to_iter(&msg, sizeof(msg), to) == sizeof(msg))
		return sizeof(msg);
	ask_again(dev, iotlb->iova, iotlb->iova);
	return -EFAULT;
}

/**
 * vhx_iotlb_poll - whether there is a message to read
 * @dev: the device
 * @file: its file
 * @wait: where to wait
 *
 * Return: EPOLL*
 */
__poll_t vhx_iotlb_poll(struct vhx_dev *dev, struct file *file,
			poll_table *wait)
{
	__poll_t ready;

	poll_wait(file, &dev->iotlb.wait, wait);
	spin_lock(&dev->iotlb.lock);
	ready = next_miss(dev) ? EPOLLIN | EPOLLRDNORM : 0;
	spin_unlock(&dev->iotlb.lock);
	return ready;
}
