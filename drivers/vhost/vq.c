// SPDX-License-Identifier: GPL-2.0-only
/*
 * Set-up of one ring, its start and its stop. All calls hold dev->mutex, so
 * what the vq mutex is taken for is the worker alone.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/log2.h>
#include <linux/uaccess.h>

#include "trace.h"
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
	spin_lock_init(&vq->backend_lock);
	vq->dev = dev;
	vq->ring.ops = &vhx_split_ops;
	vq->ring.mem = &vq->mem;
	vq->ring.num = 1;
	vq->is_legacy_be = !virtio_legacy_is_little_endian();
	vq->bufs.iov = vq->iov;
	vq->bufs.len = vq->frame_len;
	/* The first burst of tx is whole, the first frame of rx takes one chain. */
	vq->chain_len = vhx_index_of(vq) == VHX_TXQ ? 1 : U32_MAX;
	vhx_work_init(&vq->work, run);
	vhx_run_init(vq);
	vhx_poll_init(&vq->kick_poll, &vq->work, EPOLLIN);
	vq->kick_poll.is_kick = true;
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
	memset(vq->mem.addr, 0, sizeof(vq->mem.addr));
	WRITE_ONCE(vq->mem.is_ready, false);
	vq->mem.dirty.logs_ring = false;
	vq->mem.dirty.base = 0;
	vq->mem.dirty.is_fresh = false;
	vq->mem.dirty.is_failed = false;
	vq->mem.dirty.was_vain = false;
	WRITE_ONCE(vq->ring.num, 1);
	vq->base = 0;
	vq->has_base = false;
	vq->is_legacy_be = !virtio_legacy_is_little_endian();
	mutex_unlock(&vq->mutex);
}

static bool is_packed(const struct vhx_vq *vq)
{
	return vhx_area_is_packed(&vq->ring);
}

static u32 area_len(const struct vhx_vq *vq, enum vhx_area area)
{
	return vhx_area_len(&vq->ring, area);
}

static u8 area_perm(const struct vhx_vq *vq, enum vhx_area area)
{
	return (vhx_area_is_read(area) ? VHOST_ACCESS_RO : 0) |
	       (vhx_area_is_written(&vq->ring, area) ? VHOST_ACCESS_WO : 0);
}

/*
 * virtio 1.3 §2.7, §2.8.10.1. Else a store of flags and what goes with them is
 * none. Split descriptors are read after what publishes them, wherever they lie.
 * Of an area in pieces vhx_mem_field() looks at each field.
 */
static bool is_area_aligned(const struct vhx_vq *vq, enum vhx_area area,
			    unsigned long uaddr)
{
	static const u8 split[VHX_AREAS] = {
		[VHX_DESC] = 1,
		[VHX_DRIVER] = VRING_AVAIL_ALIGN_SIZE,
		[VHX_DEVICE] = VRING_USED_ALIGN_SIZE,
	}, packed[VHX_AREAS] = {
		[VHX_DESC] = sizeof(struct vring_packed_desc),
		[VHX_DRIVER] = sizeof(struct vring_packed_desc_event),
		[VHX_DEVICE] = sizeof(struct vring_packed_desc_event),
	};

	return uaddr % (is_packed(vq) ? packed : split)[area] == 0;
}

/* An area at 0 was never set, or forgotten. */
static bool are_areas_ok(const struct vhx_vq *vq, const u64 *addr)
{
	enum vhx_area area;

	for (area = VHX_DESC; area < VHX_AREAS; area++)
		if (!addr[area] ||
		    !access_ok((void __user *)(unsigned long)addr[area],
			       area_len(vq, area)))
			return false;
	return true;
}

/* Looks up the areas of a ring behind an IOTLB. */
static int find_areas(struct vhx_vq *vq)
{
	struct vhx_mem *mem = &vq->mem;
	enum vhx_area area;
	int err;

	for (area = VHX_DESC; area < VHX_AREAS; area++) {
		mem->len[area] = area_len(vq, area);
		if (!mem->addr[area])
			return vhx_ring_fail(&vq->ring, -EFAULT,
					     VHX_CAUSE_RING_ADDRESS);
		err = vhx_xlate_area(&mem->xlate, mem->addr[area],
				     mem->len[area], area_perm(vq, area),
				     &mem->uaddr[area]);
		if (err)
			return vhx_ring_fail(&vq->ring, err,
					     VHX_CAUSE_RING_IOTLB);
	}
	return 0;
}

/**
 * vhx_vq_prepare - have the ring's areas at hand
 * @vq: the vq, before a run or a start
 *
 * Context: vq mutex
 * Return: 0, -EFAULT or -EPERM (not accessible), -EINVAL (not aligned), -EAGAIN
 * (asked for)
 */
int vhx_vq_prepare(struct vhx_vq *vq)
{
	struct vhx_mem *mem = &vq->mem;
	enum vhx_area area;
	int err = 0;

	if (likely(mem->is_ready))
		return 0;
	if (mem->xlate.iotlb) {
		err = find_areas(vq);
	} else if (are_areas_ok(vq, mem->addr)) {
		for (area = VHX_DESC; area < VHX_AREAS; area++) {
			mem->len[area] = area_len(vq, area);
			mem->uaddr[area] = (void __user *)(unsigned long)
				mem->addr[area];
		}
	} else {
		err = vhx_ring_fail(&vq->ring, -EFAULT, VHX_CAUSE_RING_ACCESS);
	}
	for (area = VHX_DESC; area < VHX_AREAS && !err; area++)
		if (!is_area_aligned(vq, area, (unsigned long)mem->uaddr[area]))
			err = vhx_ring_fail(&vq->ring, -EINVAL,
					    VHX_CAUSE_RING_ALIGN);
	/* They may not be where flags were written that are remembered. */
	vhx_ring_forget_flags(&vq->ring);
	WRITE_ONCE(mem->is_ready, !err);
	return err;
}

/**
 * vhx_vq_forget_range - look an area up again if it was there
 * @vq: the vq, running or not
 * @range: what the IOTLB lost
 *
 * Context: vq mutex
 */
void vhx_vq_forget_range(struct vhx_vq *vq, const struct vhx_range *range)
{
	struct vhx_mem *mem = &vq->mem;
	enum vhx_area area;

	for (area = VHX_DESC; area < VHX_AREAS; area++)
		if (mem->addr[area] <= range->last &&
		    mem->addr[area] + (mem->len[area] - 1) >= range->first)
			WRITE_ONCE(mem->is_ready, false);
}

/**
 * vhx_vq_is_log_ok - whether the dirty log can take what the ring writes
 * @vq: the vq
 * @base: owner's address of the log
 * @map: memory table
 *
 * Return: true if it can, or if nothing is logged
 * Context: owner, dev mutex
 */
bool vhx_vq_is_log_ok(const struct vhx_vq *vq, u64 base,
		      const struct vhx_map *map)
{
	const struct vhx_dirty *dirty = &vq->mem.dirty;

	if (vhx_has_feature(vq->dev, VHOST_F_LOG_ALL) && map &&
	    !vhx_dirty_is_map_ok(base, map))
		return false;
	/* Behind an IOTLB the address of the used ring is not one of the log. */
	return !dirty->logs_ring || vq->mem.xlate.iotlb ||
	       vhx_dirty_is_base_ok(base, dirty->ring_gpa,
				    area_len(vq, VHX_DEVICE));
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
	const struct vhx_dev *dev = vq->dev;

	vq->ring.has_event_idx = vhx_has_feature(dev, VIRTIO_RING_F_EVENT_IDX);
	vq->ring.is_in_order = vhx_has_feature(dev, VIRTIO_F_IN_ORDER);
	vq->ring.calls_on_empty = vhx_has_feature(dev,
						  VIRTIO_F_NOTIFY_ON_EMPTY);
	vq->mem.dirty.logs_buffers = vhx_has_feature(dev, VHOST_F_LOG_ALL);
	/* The areas may have become longer. */
	WRITE_ONCE(vq->mem.is_ready, false);
	/* Calls that were counted by other rules mean nothing now. */
	vq->ring.is_signalled_valid = false;
}

/**
 * vhx_vq_start - take up the ring
 * @vq: a stopped vq
 *
 * Context: owner, dev mutex, vq mutex
 * Return: 0, -EFAULT (no memory table, ring not accessible), -EINVAL (size or
 * base are of no split ring, alignment is of no packed one)
 */
int vhx_vq_start(struct vhx_vq *vq)
{
	int err;

	WRITE_ONCE(vq->ring.ops,
		   vhx_has_feature(vq->dev, VIRTIO_F_RING_PACKED) ?
		   &vhx_packed_ops : &vhx_split_ops);
	vq->ring.is_le = is_packed(vq) || !vq->is_legacy_be ||
			 vhx_has_feature(vq->dev, VIRTIO_F_VERSION_1);
	vhx_vq_set_features(vq);
	/* VPP says nothing of a new ring: both counters begin at 1 (§2.8.1). */
	if (is_packed(vq) && !vq->has_base)
		vq->base = 0x80008000;
	/* What was set while another format was accepted. */
	if (!is_packed(vq) &&
	    (!is_power_of_2(vq->ring.num) || vq->base > U16_MAX))
		return -EINVAL;
	if (!vq->dev->map ||
	    !vhx_vq_is_log_ok(vq, vq->mem.dirty.base, vq->dev->map))
		return -EFAULT;
	/*
	 * Of a ring behind an IOTLB the client maps the used ring beforehand;
	 * the other areas are asked for when it runs.
	 */
	vq->mem.uaddr[VHX_DEVICE] = NULL;
	err = vq->mem.xlate.iotlb ? 0 : vhx_vq_prepare(vq);
	if (err)
		return err;
	if (vq->ring.ops->start(&vq->ring, vq->base)) {
		vhx_xlate_forget_misses(&vq->mem.xlate);
		return -EFAULT;
	}
	trace_vhx_ring_start(vq);
	return 0;
}

/**
 * vhx_vq_stop - leave the ring; where it was is the base of the next start
 * @vq: a started vq
 *
 * Context: dev mutex, vq mutex
 */
void vhx_vq_stop(struct vhx_vq *vq)
{
	vhx_run_stop(vq);
	vq->base = vq->ring.ops->base(&vq->ring);
	vq->has_base = true;
	vhx_xlate_forget_misses(&vq->mem.xlate);
	trace_vhx_ring_stop(vq);
}

/**
 * vhx_vq_set_num - VHOST_SET_VRING_NUM
 * @vq: the vq
 * @state: entries in state->num
 *
 * Context: owner, dev mutex
 * Return: 0, -EBUSY (running), -EINVAL (over 32768, or for a split ring not a
 * power of two)
 */
int vhx_vq_set_num(struct vhx_vq *vq, const struct vhost_vring_state *state)
{
	if (vq->backend)
		return -EBUSY;
	if (!state->num || state->num > 0x8000 ||
	    (!vhx_has_feature(vq->dev, VIRTIO_F_RING_PACKED) &&
	     !is_power_of_2(state->num)))
		return -EINVAL;
	mutex_lock(&vq->mutex);
	WRITE_ONCE(vq->ring.num, state->num);
	mutex_unlock(&vq->mutex);
	return 0;
}

/**
 * vhx_vq_set_base - VHOST_SET_VRING_BASE
 * @vq: the vq
 * @state: next avail index in state->num; of a packed ring next avail and, in
 *         the upper half, next used position
 *
 * Context: owner, dev mutex
 * Return: 0, -EBUSY (running), -EINVAL (split, and over 16 bits)
 */
int vhx_vq_set_base(struct vhx_vq *vq, const struct vhost_vring_state *state)
{
	if (vq->backend)
		return -EBUSY;
	if (state->num > U16_MAX &&
	    !vhx_has_feature(vq->dev, VIRTIO_F_RING_PACKED))
		return -EINVAL;
	mutex_lock(&vq->mutex);
	vq->base = state->num;
	vq->has_base = true;
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

/**
 * vhx_vq_set_endian - VHOST_SET_VRING_ENDIAN
 * @vq: the vq
 * @state: VHOST_VRING_LITTLE_ENDIAN or VHOST_VRING_BIG_ENDIAN in state->num
 *
 * For a legacy guest whose byte order is not the host's; of no effect with
 * VIRTIO_F_VERSION_1. It is taken up when the ring starts.
 *
 * Context: owner, dev mutex
 * Return: 0, -EBUSY (running), -EINVAL (neither)
 */
int vhx_vq_set_endian(struct vhx_vq *vq, const struct vhost_vring_state *state)
{
	if (vq->backend)
		return -EBUSY;
	if (state->num != VHOST_VRING_LITTLE_ENDIAN &&
	    state->num != VHOST_VRING_BIG_ENDIAN)
		return -EINVAL;
	mutex_lock(&vq->mutex);
	vq->is_legacy_be = state->num == VHOST_VRING_BIG_ENDIAN;
	mutex_unlock(&vq->mutex);
	return 0;
}

/**
 * vhx_vq_get_endian - VHOST_GET_VRING_ENDIAN
 * @vq: the vq, running or not
 * @state: result in state->num
 *
 * Context: owner, dev mutex
 * Return: 0
 */
int vhx_vq_get_endian(struct vhx_vq *vq, struct vhost_vring_state *state)
{
	state->num = vq->is_legacy_be ? VHOST_VRING_BIG_ENDIAN :
					VHOST_VRING_LITTLE_ENDIAN;
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
 * (alignment; running and ring or its log not accessible)
 */
int vhx_vq_set_addr(struct vhx_vq *vq, const struct vhost_vring_addr *addr)
{
	const u64 areas[VHX_AREAS] = {
		[VHX_DESC] = addr->desc_user_addr,
		[VHX_DRIVER] = addr->avail_user_addr,
		[VHX_DEVICE] = addr->used_user_addr,
	};
	bool is_logged = addr->flags & BIT(VHOST_VRING_F_LOG);
	bool has_iotlb = vq->mem.xlate.iotlb;
	enum vhx_area area;

	if (addr->flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	if (!fits_pointer(addr->desc_user_addr) ||
	    !fits_pointer(addr->avail_user_addr) ||
	    !fits_pointer(addr->used_user_addr))
		return -EFAULT;
	if (addr->avail_user_addr % VRING_AVAIL_ALIGN_SIZE ||
	    addr->used_user_addr % VRING_USED_ALIGN_SIZE ||
	    addr->log_guest_addr % VRING_USED_ALIGN_SIZE)
		return -EINVAL;

	for (area = VHX_DESC; area < VHX_AREAS; area++)
		if (vq->backend && !has_iotlb &&
		    !is_area_aligned(vq, area, areas[area]))
			return -EINVAL;
	if (vq->backend && !has_iotlb &&
	    (!are_areas_ok(vq, areas) ||
	     (is_logged &&
	      !vhx_dirty_is_base_ok(vq->mem.dirty.base, addr->log_guest_addr,
				    area_len(vq, VHX_DEVICE)))))
		return -EINVAL;

	mutex_lock(&vq->mutex);
	memcpy(vq->mem.addr, areas, sizeof(areas));
	WRITE_ONCE(vq->mem.is_ready, false);
	vq->mem.dirty.logs_ring = is_logged;
	vq->mem.dirty.ring_gpa = addr->log_guest_addr;
	mutex_unlock(&vq->mutex);
	/* A ring that stopped where its areas were may go on now. */
	vhx_worker_queue(&vq->work);
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
		err = vhx_poll_start(&vq->kick_poll, kick);
	if (err > 0) {
		vhx_worker_queue(&vq->work);
		err = 0;
	}
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
