// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backend → guest: peek, fetch, xlate, recv, complete, notify. With mergeable
 * buffers a frame takes as many chains as it needs, and the driver must see
 * them all at once: completions are published between frames only.
 */
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/virtio_net.h>

#include "trace.h"
#include "vhx.h"

/* Not an errno of any call below. */
enum { FRAME_DONE, FRAME_DROPPED, NO_BUFFERS };

/* Fetches for one frame: far more than a driver with whole buffers needs. */
#define FETCHES_MAX	128

/**
 * struct frame - the frame in work
 * @len: bytes that go into guest memory: header and frame
 * @room: how many of them fit into the chains taken so far: lengths that a
 *        guest says are not added up
 * @nr_chains: chains taken, staged in vhx_vq.used from nr_used on
 * @nr_iov: iovecs used of vhx_vq.iov
 * @nr_fetches: bursts fetched for it
 * @first: ring position of the first chain, to hand all back by
 */
struct frame {
	size_t len;
	size_t room;
	unsigned int nr_chains;
	unsigned int nr_iov;
	unsigned int nr_fetches;
	u16 first;
};

/* Hands back the chains of a frame and those fetched ahead. */
static void give_back(struct vhx_vq *vq, const struct frame *frame)
{
	if (frame->nr_chains)
		vhx_ring_rewind(&vq->ring, frame->first);
	else if (vq->cursor < vq->burst.nr)
		vhx_ring_unfetch(&vq->ring, &vq->burst, vq->cursor);
	vq->cursor = 0;
	vq->burst.nr = 0;
}

/*
 * Fetches more chains: as many as the waiting frames will need if all are as long as
 * this one, and chains as the last one.
 * Return: chains; 0: none, and the driver is asked for a kick, or the run comes
 * again.
 */
static int fetch_more(struct vhx_vq *vq, struct frame *frame)
{
	struct vhx_ring *ring = &vq->ring;
	unsigned int need = 1, want, turn;
	int ret;

	if (frame->len > vq->chain_len)
		need = min(DIV_ROUND_UP(frame->len, vq->chain_len), VHX_BURST_MAX);
	want = min(vq->backend->ops->queued(vq->backend), VHX_BURST_MAX / need) *
		need;
	/* The client is asked for all at once what it was not asked yet. */
	if (vq->mem.xlate.iotlb)
		want = VHX_BURST_MAX;
	want = clamp_t(unsigned int, want, 1, VHX_BURST_MAX);
	frame->nr_fetches++;
	vq->cursor = 0;
	vq->burst.nr = 0;
	for (turn = 0; turn < FETCHES_MAX; turn++) {
		ret = ring->ops->fetch(ring, &vq->burst, want);
		trace_vhx_fetch(vq, ret);
		if (ret) {
			vq->kicks_served = vq->kicks;
			return ret;
		}
		/* A driver that refills when it sees used buffers needs no kick. */
		if (vq->nr_used && !frame->nr_chains) {
			ret = vhx_run_publish(vq);
			if (ret)
				return ret;
			continue;
		}
		ret = ring->ops->arm(ring);
		if (ret <= 0)
			return ret;
		ret = vhx_run_disarm(vq);
		if (ret)
			return ret;
	}
	/* A driver may take back what it offered, for ever: others' turn. */
	vhx_worker_queue(&vq->work);
	return 0;
}

/* Takes the next chain for a frame. Return: 0, -EINVAL, -EFAULT, -ENOBUFS. */
static int add_chain(struct vhx_vq *vq, struct frame *frame)
{
	struct vhx_used *used = &vq->used[vq->nr_used + frame->nr_chains];
	const struct vhx_burst *burst = &vq->burst;
	unsigned int i = vq->cursor;
	u32 out_len = vhx_burst_out_len(burst, i);
	u32 in_len = vhx_burst_in_len(burst, i);
	int nr;

	if (out_len || !in_len)
		return vhx_ring_fail(&vq->ring, -EINVAL,
				     out_len ? VHX_CAUSE_READABLE :
				     VHX_CAUSE_NO_WRITABLE);
	nr = vhx_bufs_find_one(vq, i, vq->iov + frame->nr_iov,
			       VHX_SLOTS_MAX - frame->nr_iov);
	if (nr < 0)
		return nr;
	if (!frame->nr_chains)
		frame->first = vhx_burst_pos(&vq->ring, burst, i);
	*used = burst->used[i];
	used->len = min_t(size_t, in_len, frame->len - frame->room);
	frame->room += used->len;
	vq->chain_len = in_len;
	frame->nr_chains++;
	frame->nr_iov += nr;
	vq->cursor++;
	return 0;
}

/*
 * Takes chains until they hold the frame.
 * Return: FRAME_DONE; FRAME_DROPPED: it can never fit; NO_BUFFERS: the driver
 * will kick; or a negative errno. But for FRAME_DONE, no chain is kept.
 */
static int collect(struct vhx_vq *vq, struct frame *frame)
{
	unsigned int max = vq->is_mergeable ? vq->ring.num : 1;
	int ret = FRAME_DONE;

	while (frame->room < frame->len) {
		if (frame->nr_chains == max) {
			ret = FRAME_DROPPED;
			break;
		}
		if (vq->cursor == vq->burst.nr) {
			if (frame->nr_fetches == FETCHES_MAX) {
				ret = FRAME_DROPPED;
				break;
			}
			ret = fetch_more(vq, frame);
			if (!ret)
				ret = NO_BUFFERS;
			if (ret < 0 || !vq->burst.nr)
				break;
		}
		ret = add_chain(vq, frame);
		if (ret == -ENOBUFS)
			ret = FRAME_DROPPED;
		if (ret)
			break;
	}
	if (ret)
		give_back(vq, frame);
	return ret;
}

/* Writes num_buffers, virtio 1.3 §5.1.6.4: 1 where buffers do not merge. */
static int write_num_buffers(struct vhx_vq *vq, const struct frame *frame)
{
	__virtio16 nr = __cpu_to_virtio16(vq->ring.is_le, frame->nr_chains);
	const size_t off = offsetof(struct virtio_net_hdr_mrg_rxbuf,
				    num_buffers);
	struct iov_iter to;

	if (vq->hlen < sizeof(struct virtio_net_hdr_mrg_rxbuf))
		return 0;
	/* Hardly any driver cuts the header in pieces. */
	if (likely(vq->iov->iov_len >= off + sizeof(nr)))
		return put_user(nr, (__virtio16 __user *)
				(vq->iov->iov_base + off));
	iov_iter_init(&to, ITER_DEST, vq->iov, frame->nr_iov, frame->len);
	iov_iter_advance(&to, off);
	return copy_to_iter(&nr, sizeof(nr), &to) == sizeof(nr) ? 0 : -EFAULT;
}

/* Moves the frame into its chains. Return: 0, or an errno: it was dropped. */
static int receive(struct vhx_vq *vq, const struct frame *frame)
{
	static const u8 no_hdr[VHX_NET_HLEN_MAX];
	struct vhx_backend *backend = vq->backend;
	size_t len = frame->len - vq->guest_hlen;
	struct iov_iter to;
	int ret;

	backend->ahead = vq->burst.nr - vq->cursor;
	/* Another reader may have left us a longer frame: no more than is logged. */
	iov_iter_init(&to, ITER_DEST, vq->iov, frame->nr_iov, frame->len);
	if (vq->guest_hlen &&
	    copy_to_iter(no_hdr, vq->guest_hlen, &to) != vq->guest_hlen) {
		backend->ops->drop(backend);
		return -EFAULT;
	}
	ret = backend->ops->recv(backend, &to);
	if (ret < 0)
		return ret;
	return ret == len ? write_num_buffers(vq, frame) : -EMSGSIZE;
}

/*
 * Moves one frame of @len bytes with the backend's header. What it takes is
 * added to @cost: a fetch may take as long as a frame.
 * Return: FRAME_DONE, FRAME_DROPPED, NO_BUFFERS or a negative errno.
 */
static int move_frame(struct vhx_vq *vq, size_t len, unsigned int *cost)
{
	struct frame frame = { .len = len + vq->guest_hlen };
	int ret;

	ret = collect(vq, &frame);
	*cost += max(frame.nr_fetches, 1U);
	if (ret == FRAME_DROPPED) {
		vq->backend->ops->drop(vq->backend);
		vhx_run_drop(vq, VHX_DROP_ROOM, 1);
	}
	if (ret)
		return ret;

	ret = receive(vq, &frame);
	/* A part may have been written before it failed. */
	if (vq->mem.dirty.logs_buffers &&
	    vhx_dirty_log_iov(&vq->mem.dirty, vq->iov, frame.nr_iov, frame.len))
		vq->mem.dirty.is_failed = true;
	if (ret) {
		give_back(vq, &frame);
		/* Else it is there still, or others took it. */
		if (ret != -EAGAIN)
			vhx_run_refuse(vq, ret);
		return FRAME_DROPPED;
	}
	if (!vq->nr_used)
		vq->staged = frame.first;
	vq->nr_used += frame.nr_chains;
	vhx_count(&vq->stats.frames, 1);
	vhx_count(&vq->stats.bytes, frame.len - vq->hlen);
	trace_vhx_receive(vq, 1, frame.len - vq->hlen);
	return vq->nr_used < VHX_BURST_MAX ? 0 : vhx_run_publish(vq);
}

/* How many of the chains at hand hold @len bytes of a frame; 0: they do not. */
static unsigned int count_chains(const struct vhx_vq *vq, size_t len)
{
	const struct vhx_burst *burst = &vq->burst;
	unsigned int i = vq->cursor;
	u64 room = 0;

	while (i < burst->nr && room < len && (i == vq->cursor || vq->is_mergeable))
		room += vhx_burst_in_len(burst, i++);
	return room < len ? 0 : i - vq->cursor;
}

/* Stages the chains from the cursor on that @nr frames went into. Return: their bytes. */
static u64 stage(struct vhx_vq *vq, unsigned int nr)
{
	const struct vhx_burst *burst = &vq->burst;
	struct vhx_used *used = &vq->used[vq->nr_used];
	unsigned int i, at = vq->cursor;
	u32 left, in_len = 0;
	u64 sum = 0;

	for (i = 0; i < nr; i++) {
		left = vq->frame_len[i];
		sum += left;
		do {
			in_len = vhx_burst_in_len(burst, at);
			*used = burst->used[at];
			used->len = min(left, in_len);
			left -= used->len;
			used++;
			at++;
		} while (left);
	}
	vq->nr_used += at - vq->cursor;
	vq->cursor = at;
	vq->chain_len = in_len;
	return sum;
}

/*
 * Moves frames together, as most go, while the backend has such.
 * @len: of the next one
 * @offer: frames to look up chains for; where kinds of frames alternate, few
 * @cost: fetches are added
 * Return: how many; 0: the next one goes by itself; or a negative errno.
 */
static int move_burst(struct vhx_vq *vq, size_t len, unsigned int *offer,
		      unsigned int *cost, size_t *bytes)
{
	struct vhx_backend *backend = vq->backend;
	struct vhx_burst *burst = &vq->burst;
	struct frame frame = { .len = len };
	unsigned int nr, max, need;
	u64 sum;
	int ret;

	need = count_chains(vq, len);
	/* The rest of a burst may be too few: they come with others again. */
	if (!need && (vq->cursor == burst->nr || vq->is_mergeable)) {
		if (vq->cursor < burst->nr)
			vhx_ring_unfetch(&vq->ring, burst, vq->cursor);
		ret = fetch_more(vq, &frame);
		*cost += frame.nr_fetches;
		if (ret <= 0)
			return ret;
		need = count_chains(vq, len);
	}
	if (!need)
		return 0;
	max = min(backend->ops->queued(backend), *offer);
	nr = min(burst->nr - vq->cursor, max * need);
	nr = vhx_bufs_find(vq, vq->cursor, nr, VHOST_ACCESS_WO) ?
		backend->ops->recv_burst(backend, &vq->bufs, vq->is_mergeable) : 0;
	*offer = nr < max ? nr + 1 : min(2 * *offer, VHX_BURST_MAX);
	if (!nr)
		return 0;
	if (!vq->nr_used)
		vq->staged = vhx_burst_pos(&vq->ring, burst, vq->cursor);
	sum = stage(vq, nr);
	vhx_count(&vq->stats.frames, nr);
	vhx_count(&vq->stats.bytes, sum - nr * vq->hlen);
	trace_vhx_receive(vq, nr, sum - nr * vq->hlen);
	*bytes += sum;
	ret = vq->nr_used < VHX_BURST_MAX ? 0 : vhx_run_publish(vq);
	return ret ?: nr;
}

/*
 * Moves frames until there are none, no buffers, or it is others' turn.
 * Return: 0 or a negative errno.
 */
static int receive_all(struct vhx_vq *vq)
{
	struct vhx_backend *backend = vq->backend;
	const bool has_bursts = !vq->guest_hlen && !vq->mem.dirty.logs_buffers;
	unsigned int cost = 0, offer = VHX_BURST_MAX;
	size_t len, bytes = 0;
	int ret;

	ret = vhx_run_publish(vq);
	if (!ret)
		ret = vhx_run_disarm(vq);
	if (ret)
		return ret;
	for (;;) {
		len = backend->ops->peek(backend);
		if (!len) {
			/* First, for it wakes the guest. */
			ret = vhx_run_publish(vq);
			if (ret)
				return ret;
			vhx_wait_end(&vq->stats.guest);
			len = vhx_busypoll_peek(vq);
			if (!len)
				return vhx_run_wait_backend(vq);
		}
		ret = has_bursts && backend->is_easy ?
			move_burst(vq, len, &offer, &cost, &bytes) : 0;
		if (ret < 0)
			return ret;
		cost += ret;
		if (!ret) {
			ret = move_frame(vq, len, &cost);
			if (ret < 0)
				return ret;
			if (ret == NO_BUFFERS) {
				if (!vhx_work_is_queued(&vq->work)) {
					vhx_run_sleep(vq);
					vhx_wait_begin(&vq->stats.guest);
				}
				return vhx_run_publish(vq);
			}
			bytes += len;
		}
		vhx_wait_end(&vq->stats.guest);
		if (cost >= VHX_RUN_FRAMES || bytes >= VHX_RUN_BYTES)
			break;
		cond_resched();
	}
	vhx_worker_queue(&vq->work);
	return 0;
}

/**
 * vhx_rx_run - one run of a receiveq
 * @vq: a started vq
 *
 * Context: worker, vq mutex
 * Return: 0, or a negative errno for vhx_run_fail()
 */
int vhx_rx_run(struct vhx_vq *vq)
{
	static const struct frame none;
	int err, ret;

	vhx_poll_stop(&vq->backend_poll);
	if (static_branch_unlikely(&vhx_poll_is_timing))
		vhx_latency_ready(vq);
	err = receive_all(vq);
	give_back(vq, &none);
	/* Frames moved before a failure were moved. */
	ret = vhx_run_publish(vq);
	return err ? err : ret;
}
