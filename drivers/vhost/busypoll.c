// SPDX-License-Identifier: GPL-2.0-only
/*
 * The polling window: instead of asking for a kick or a wake-up at once, a run
 * that found nothing looks again for a while.
 *
 * It holds its own vq mutex, so it makes way for all who may want that: calls
 * of the control plane, which hold the device's mutex first. It makes way for
 * the other queue, too: a kick or a frame there queues work, by hooks that are
 * armed while that queue is idle. User memory is read, so preemption stays on.
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "vhx.h"

/*
 * The clock is the same on every CPU: unlike local_clock() it may be read
 * here, where the worker can migrate.
 */
static u64 window_end(const struct vhx_vq *vq)
{
	return ktime_get_ns() + ((u64)vq->busyloop << 10);
}

/* The other queue's work waits for the thread that runs this one's. */
static bool is_other_waiting(const struct vhx_vq *vq)
{
	const struct vhx_vq *other = &vq->dev->vq[!vhx_index_of(vq)];

	return vhx_work_is_queued(&other->work) &&
	       rcu_access_pointer(other->work.worker) ==
	       rcu_access_pointer(vq->work.worker);
}

/*
 * The device's mutex is looked at, not taken, and either answer is right: one who
 * takes it right after the look is seen by the next, and one who holds it for
 * something else costs the rest of the window, no frame.
 */
static bool may_go_on(const struct vhx_vq *vq, u64 end)
{
	return !need_resched() && !signal_pending(current) &&
	       !is_other_waiting(vq) &&
	       !mutex_is_locked(&vq->dev->mutex) && ktime_get_ns() < end;
}

/**
 * vhx_busypoll_fetch - wait a little for chains
 * @vq: a started vq whose ring is empty, and disarmed
 *
 * Context: worker, vq mutex
 * Return: chains in vhx_vq.burst, 0, or an errno of vhx_ring_ops.fetch
 */
int vhx_busypoll_fetch(struct vhx_vq *vq)
{
	int ret = 0;
	u64 end;

	if (!vq->busyloop)
		return 0;
	vhx_count(&vq->stats.polls, 1);
	end = window_end(vq);
	while (!ret && may_go_on(vq, end)) {
		cpu_relax();
		ret = vq->ring.ops->fetch(&vq->ring, &vq->burst, VHX_BURST_MAX);
	}
	if (ret > 0)
		vhx_count(&vq->stats.poll_hits, 1);
	return ret;
}

/**
 * vhx_busypoll_peek - wait a little for frames
 * @vq: a started vq whose backend has none
 *
 * Context: worker, vq mutex
 * Return: as vhx_backend_ops.peek
 */
size_t vhx_busypoll_peek(struct vhx_vq *vq)
{
	size_t len = 0;
	u64 end;

	if (!vq->busyloop)
		return 0;
	vhx_count(&vq->stats.polls, 1);
	end = window_end(vq);
	while (!len && may_go_on(vq, end)) {
		cpu_relax();
		len = vq->backend->ops->peek(vq->backend);
	}
	if (len)
		vhx_count(&vq->stats.poll_hits, 1);
	return len;
}

/**
 * vhx_busypoll_set - VHOST_SET_VRING_BUSYLOOP_TIMEOUT
 * @vq: the vq, running or not
 * @state: window in state->num, in units of 1024 ns; 0: none
 *
 * Context: owner, dev mutex
 * Return: 0
 */
int vhx_busypoll_set(struct vhx_vq *vq, const struct vhost_vring_state *state)
{
	mutex_lock(&vq->mutex);
	vq->busyloop = state->num;
	mutex_unlock(&vq->mutex);
	return 0;
}

/**
 * vhx_busypoll_get - VHOST_GET_VRING_BUSYLOOP_TIMEOUT
 * @vq: the vq, running or not
 * @state: result in state->num
 *
 * Context: owner, dev mutex
 * Return: 0
 */
int vhx_busypoll_get(struct vhx_vq *vq, struct vhost_vring_state *state)
{
	state->num = vq->busyloop;
	return 0;
}
