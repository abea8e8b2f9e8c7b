// SPDX-License-Identifier: GPL-2.0-only
/* Guest → backend, a burst at a time: fetch, xlate, send, complete, notify. */
#include <linux/if_ether.h>
#include <linux/uio.h>

#include "trace.h"
#include "vhx.h"

/* Bytes of frames that a backend is asked to take together. */
#define TOGETHER	0x8000

/* Memory that cannot be had or read now may be there in a moment. */
static bool is_transient(int err)
{
	return err == -ENOMEM || err == -ENOBUFS || err == -EFAULT;
}

/*
 * Sends one buffer of the burst. One that can be read but not sent is dropped and will
 * be completed: a guest must get its buffers back.
 * Return: bytes taken, -EBUSY (backend full), -ENOMEM (later), or why the ring
 * cannot go on.
 */
static int send_buffer(struct vhx_vq *vq, unsigned int i)
{
	u32 len = vhx_burst_out_len(&vq->burst, i);
	struct vhx_backend *backend = vq->backend;
	struct iov_iter from;
	int nr, err;

	if (vhx_burst_in_len(&vq->burst, i)) {
		vhx_run_drop(vq, VHX_DROP_WRITABLE, 1);
		vhx_notify_error(vq, -EINVAL, VHX_CAUSE_WRITABLE);
		return 0;
	}
	if (len < vq->hlen + ETH_HLEN || len > vq->hlen + VHX_FRAME_MAX) {
		vhx_run_drop(vq, len > vq->hlen + VHX_FRAME_MAX ?
			     VHX_DROP_LONG : VHX_DROP_SHORT, 1);
		return 0;
	}
	nr = vhx_bufs_find_one(vq, i, vq->iov, VHX_SLOTS_MAX);
	if (nr < 0)
		return nr;

	iov_iter_init(&from, ITER_SOURCE, vq->iov, nr, len);
	if (vq->guest_hlen)
		iov_iter_advance(&from, vq->guest_hlen);
	err = backend->ops->send(backend, &from, iov_iter_count(&from));
	if (err == -EAGAIN)
		return -EBUSY;
	if (is_transient(err) && vhx_run_may_retry(vq))
		return vhx_ring_fail(&vq->ring, -ENOMEM, VHX_CAUSE_NO_MEMORY);
	if (err) {
		vhx_run_refuse(vq, err);
		return 0;
	}
	return len;
}

/*
 * Sends buffers from the @at-th of the burst on, up to the bytes of a run, while the
 * backend takes them together. Return: how many; 0: the next one goes by itself.
 * @bytes: of the run so far; theirs are added
 */
static unsigned int send_together(struct vhx_vq *vq, unsigned int at, int *bytes)
{
	const struct vhx_burst *burst = &vq->burst;
	const u32 min_len = vq->hlen + ETH_HLEN;
	unsigned int i, nr;
	int sum = 0;

	for (i = at; i < burst->nr && *bytes + sum < VHX_RUN_BYTES &&
	     sum < TOGETHER; i++) {
		u32 len = vhx_burst_out_len(burst, i);

		if (len < min_len || len > TOGETHER)
			break;
		vq->frame_len[i - at] = len;
		sum += len;
	}
	nr = vhx_bufs_find(vq, at, i - at, VHOST_ACCESS_RO);
	nr = nr ? vq->backend->ops->send_burst(vq->backend, &vq->bufs) : 0;
	for (i = 0; i < nr; i++)
		*bytes += vq->frame_len[i];
	return nr;
}

/*
 * Sends the burst up to the bytes of a run, completes what is sent, hands the
 * rest back. Return: bytes, or what send_buffer(), complete or call failed with.
 */
static int send_burst(struct vhx_vq *vq)
{
	struct vhx_burst *burst = &vq->burst;
	bool has_bursts = vq->backend->ops->send_burst && !vq->guest_hlen &&
			  burst->nr > 1;
	unsigned int i, nr, lost, frames = 0;
	int ret = 0, stop, bytes = 0, err;

	for (i = 0; i < burst->nr && bytes < VHX_RUN_BYTES; i += nr) {
		nr = has_bursts ? send_together(vq, i, &bytes) : 0;
		frames += nr;
		if (nr)
			continue;
		/* Buffers are looked up in vain once a burst at most. */
		has_bursts = false;
		ret = send_buffer(vq, i);
		if (ret < 0)
			break;
		bytes += ret;
		frames += ret > 0;
		nr = 1;
	}
	stop = min(ret, 0);
	if (i < burst->nr)
		vhx_ring_unfetch(&vq->ring, burst, i);
	if (i)
		vhx_wait_end(&vq->stats.host);
	lost = vq->backend->ops->flush(vq->backend);
	trace_vhx_send(vq, i, frames - lost, bytes - frames * vq->hlen);
	vhx_count(&vq->stats.frames, frames - lost);
	vhx_count(&vq->stats.bytes, bytes - frames * vq->hlen);
	if (unlikely(lost))
		vhx_run_drop(vq, VHX_DROP_GONE, lost);
	vq->staged = vhx_burst_pos(&vq->ring, burst, 0);
	memcpy(vq->used, burst->used, i * sizeof(*vq->used));
	vq->nr_used = i;
	err = vhx_run_publish(vq);
	return err ? err : stop ? stop : bytes;
}

/*
 * Moves bursts until the ring is empty or it is others' turn. What a run may not send
 * any more is not fetched, if frames are as long as those before: it would be handed
 * back, and its chains walked again by the next run.
 * Return: bytes moved, or a negative errno.
 */
static int send_all(struct vhx_vq *vq)
{
	struct vhx_ring *ring = &vq->ring;
	unsigned int frames = 0, want;
	int ret, bytes = 0;

	ret = vhx_run_publish(vq);
	if (ret)
		return ret;
	do {
		want = (VHX_RUN_BYTES - bytes) / vq->chain_len + 1;
		ret = vhx_run_disarm(vq);
		if (!ret)
			ret = ring->ops->fetch(ring, &vq->burst,
					       min(want, VHX_BURST_MAX));
		if (!ret)
			ret = vhx_busypoll_fetch(vq);
		if (ret < 0)
			return ret;
		if (!ret) {
			ret = ring->ops->arm(ring);
			if (!ret)
				vhx_run_sleep(vq);
			if (ret <= 0)
				return ret;
			/* A driver may take back what it offered, for ever. */
			frames++;
			continue;
		}
		vq->kicks_served = vq->kicks;
		frames += ret;
		trace_vhx_fetch(vq, ret);
		ret = send_burst(vq);
		if (ret < 0)
			return ret;
		bytes += ret;
		vq->chain_len = max(ret / vq->burst.nr, 1);
		cond_resched();
	} while (frames < VHX_RUN_FRAMES && bytes < VHX_RUN_BYTES);

	vhx_worker_queue(&vq->work);
	return 0;
}

/**
 * vhx_tx_run - one run of a transmitq
 * @vq: a started vq
 *
 * Context: worker, vq mutex
 * Return: 0, or a negative errno for vhx_run_fail()
 */
int vhx_tx_run(struct vhx_vq *vq)
{
	int err;

	vhx_poll_stop(&vq->backend_poll);
	if (static_branch_unlikely(&vhx_poll_is_timing))
		vhx_latency_ready(vq);
	err = send_all(vq);
	if (err != -EBUSY)
		return err;
	err = vhx_run_wait_backend(vq);
	if (!err)
		vhx_wait_begin(&vq->stats.host);
	return err;
}
