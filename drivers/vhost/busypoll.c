// SPDX-License-Identifier: GPL-2.0-only
/*
 * The polling window: instead of asking for a kick or a wake-up at once, a run
 * that found nothing looks again for a while.
 *
 * It holds its own vq mutex, so it makes way for all who may want that: calls
 * of the control plane, which hold the device's mutex first. It makes way for
 * the other queue, too: a kick or a frame there queues work, by hooks that are
 * armed while that queue is idle. User memory is read, so preemption stays on.
 *
 * The client may say how long a window is. Else, and if the device is set so,
 * each ring chooses: it knows how long it waited of late, whether it polled
 * meanwhile or slept, since the hook that wakes the worker says when that was.
 * So nothing is tried out, and a ring whose waits are long costs nothing.
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "trace.h"
#include "vhx.h"

/* Module parameter busyloop: VHX_BUSYLOOP_* of devices that are opened. */
unsigned int vhx_busyloop = VHX_BUSYLOOP_OFF;
/* Module parameter busyloop_share: percent. */
unsigned int vhx_busyloop_share = 10;

/* A window that a ring chooses, in ns. A wake-up takes a few us: longer does not pay. */
#define WINDOW_MAX	50000U
#define WINDOW_MIN	5000U

/* In units of vhx_window.hits. */
#define ALL_HITS	256

/* Polling that may be saved up while nothing is polled, in ns. */
#define CREDIT_MAX	1000000

/**
 * struct span - one window
 * @from: its begin, in ns
 * @end: it is over then, in ns
 *
 * The clock is the same on every CPU: unlike local_clock() it may be read here,
 * where the worker can migrate.
 */
struct span {
	u64 from;
	u64 end;
};

/* What wakes the worker when the ring has something again. */
static struct vhx_poll *hook_of(struct vhx_vq *vq)
{
	return vhx_index_of(vq) == VHX_TXQ ? &vq->kick_poll : &vq->backend_poll;
}

/* Takes a window out of the credit. Return: false if there is no room for it. */
static bool take(struct vhx_dev *dev, u64 now, unsigned int len)
{
	struct vhx_credit *credit = &dev->credit;
	bool is_taken;

	spin_lock(&credit->lock);
	/* Another worker may have read the clock after us. */
	if (now > credit->at) {
		credit->left += (now - credit->at) *
				READ_ONCE(vhx_busyloop_share) / 100;
		credit->left = min_t(s64, credit->left, CREDIT_MAX);
		credit->at = now;
	}
	is_taken = credit->left >= len;
	if (is_taken)
		credit->left -= len;
	spin_unlock(&credit->lock);
	return is_taken;
}

/* @left: of a window that was taken, ns; less than 0 if it ran over */
static void give_back(struct vhx_dev *dev, s64 left)
{
	spin_lock(&dev->credit.lock);
	dev->credit.left = min_t(s64, dev->credit.left + left, CREDIT_MAX);
	spin_unlock(&dev->credit.lock);
}

/* A wait is over that took @gap ns. */
static void learn(struct vhx_window *window, u64 gap)
{
	window->hits -= window->hits / 4;
	if (gap > WINDOW_MAX)
		return;
	window->hits += ALL_HITS / 4;
	window->gap -= window->gap / 4;
	window->gap += gap / 4;
}

/*
 * A wait begins. Return: for how long to poll, in ns: twice what it takes of late
 * if most waits were short; or 0.
 */
static unsigned int choose(struct vhx_vq *vq, u64 now)
{
	struct vhx_window *window = &vq->window;
	unsigned int len;
	u64 woke;

	if (window->is_waiting && vhx_poll_woke(hook_of(vq), &woke))
		learn(window, max(woke, window->from) - window->from);
	window->is_waiting = true;
	window->from = now;
	vhx_poll_time(hook_of(vq));
	if (window->hits < ALL_HITS / 2)
		return 0;
	len = clamp(2 * window->gap, WINDOW_MIN, WINDOW_MAX);
	if (take(vq->dev, now, len))
		return len;
	vhx_count(&vq->stats.poll_skips, 1);
	return 0;
}

/* Return: whether to poll. */
static bool open_window(struct vhx_vq *vq, struct span *span)
{
	u64 len = (u64)vq->window.timeout << 10;

	if (!len && !vhx_busypoll_is_auto(vq))
		return false;
	span->from = ktime_get_ns();
	if (!len)
		len = choose(vq, span->from);
	span->end = span->from + len;
	if (len)
		vhx_count(&vq->stats.polls, 1);
	return len;
}

/* After each that was opened. */
static void close_window(struct vhx_vq *vq, const struct span *span, bool is_hit)
{
	u64 now = ktime_get_ns();

	trace_vhx_busypoll(vq, now - span->from, is_hit);
	vhx_count(&vq->stats.poll_ns, now - span->from);
	if (is_hit)
		vhx_count(&vq->stats.poll_hits, 1);
	if (!vhx_busypoll_is_auto(vq))
		return;
	give_back(vq->dev, span->end - now);
	if (!is_hit)
		return;
	learn(&vq->window, now - span->from);
	vq->window.is_waiting = false;
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
static bool may_go_on(const struct vhx_vq *vq, const struct span *span)
{
	return !need_resched() && !signal_pending(current) &&
	       !is_other_waiting(vq) &&
	       !mutex_is_locked(&vq->dev->mutex) && ktime_get_ns() < span->end;
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
	struct span span;
	int ret = 0;

	if (!open_window(vq, &span))
		return 0;
	while (!ret && may_go_on(vq, &span)) {
		cpu_relax();
		ret = vq->ring.ops->fetch(&vq->ring, &vq->burst, VHX_BURST_MAX);
	}
	close_window(vq, &span, ret > 0);
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
	struct span span;
	size_t len = 0;

	if (!open_window(vq, &span))
		return 0;
	while (!len && may_go_on(vq, &span)) {
		cpu_relax();
		len = vq->backend->ops->peek(vq->backend);
	}
	close_window(vq, &span, len);
	return len;
}

/**
 * vhx_busypoll_init - first set-up, to what the module parameter says
 * @dev: the device
 */
void vhx_busypoll_init(struct vhx_dev *dev)
{
	spin_lock_init(&dev->credit.lock);
	vhx_busypoll_set_mode(dev, READ_ONCE(vhx_busyloop));
}

/**
 * vhx_busypoll_reset - forget what the owner set
 * @vq: a vq without a backend
 *
 * Context: dev mutex
 */
void vhx_busypoll_reset(struct vhx_vq *vq)
{
	mutex_lock(&vq->mutex);
	WRITE_ONCE(vq->window.is_set, false);
	vq->window.timeout = 0;
	vq->window.is_waiting = false;
	vq->window.hits = 0;
	mutex_unlock(&vq->mutex);
}

/**
 * vhx_busypoll_is_auto - whether the ring chooses its windows
 * @vq: the vq
 *
 * Return: false if the client did, or if there are none
 * Context: any
 */
bool vhx_busypoll_is_auto(const struct vhx_vq *vq)
{
	return READ_ONCE(vq->dev->is_busyloop_auto) &&
	       !READ_ONCE(vq->window.is_set);
}

/**
 * vhx_busypoll_set_mode - VHX_SET_BUSYLOOP
 * @dev: a device without an owner
 * @mode: VHX_BUSYLOOP_*
 *
 * Context: dev mutex
 * Return: 0, -EINVAL (no such mode)
 */
int vhx_busypoll_set_mode(struct vhx_dev *dev, unsigned int mode)
{
	if (mode > VHX_BUSYLOOP_AUTO)
		return -EINVAL;
	WRITE_ONCE(dev->is_busyloop_auto, mode == VHX_BUSYLOOP_AUTO);
	return 0;
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
	vq->window.timeout = state->num;
	WRITE_ONCE(vq->window.is_set, true);
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
	state->num = vq->window.timeout;
	return 0;
}
