// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the runs of both rings have in common: completions, waiting for the
 * backend, and what becomes of a run that cannot go on.
 */
#include <linux/sched/signal.h>

#include "trace.h"
#include "vhx.h"

/*
 * Runs in a row that may fail for want of memory: after the first the ring is
 * left alone for 1 ms, then for 2, 4, 8 …, which makes half a second.
 */
#define RETRIES_MAX	9

/* Looks in a row of which only the last is told, if the ring stays wrong. */
#define LOOKS_MAX	8

/* Runs in a row for which a backend said that it is ready, and was not. */
#define IDLES_MAX	16
#define IDLE_MS		10

static void retry(struct work_struct *work)
{
	struct vhx_vq *vq = container_of(to_delayed_work(work), struct vhx_vq,
					 retry);

	vhx_worker_queue(&vq->work);
}

/**
 * vhx_run_init - first set-up
 * @vq: the vq
 */
void vhx_run_init(struct vhx_vq *vq)
{
	INIT_DELAYED_WORK(&vq->retry, retry);
}

/**
 * vhx_run_sleep - count a run after which the ring waits for a kick
 * @vq: a started vq that was asked for one, and has nothing
 *
 * Context: worker, vq mutex
 */
void vhx_run_sleep(struct vhx_vq *vq)
{
	vhx_count(&vq->stats.sleeps, 1);
	vhx_count(&vq->stats.kicks_empty, vq->kicks - vq->kicks_served);
	vq->kicks_served = vq->kicks;
}

/**
 * vhx_run_publish - give the driver what is staged in vhx_vq.used
 * @vq: a started vq
 *
 * What cannot be written stays staged, for the next run to begin with: these
 * frames were moved, and must not be moved again.
 *
 * Context: vq mutex, on the owner's mm
 * Return: 0, or an errno of vhx_ring_ops.complete or call_needed
 */
int vhx_run_publish(struct vhx_vq *vq)
{
	int err;

	if (!vq->nr_used)
		return 0;
	err = vq->ring.ops->complete(&vq->ring, vq->used, vq->nr_used);
	if (err)
		return err;
	trace_vhx_complete(vq, vq->nr_used);
	if (static_branch_unlikely(&vhx_poll_is_timing))
		vhx_latency_publish(vq);
	vhx_count_burst(&vq->stats);
	vq->nr_used = 0;
	vq->nr_retries = 0;
	vq->nr_idles = 0;
	vq->is_stopped = false;
	vq->nr_looks = 0;
	return vhx_notify_call(vq);
}

/**
 * vhx_run_disarm - tell the driver that kicks are not needed
 * @vq: a started vq
 *
 * Not of a ring that stopped: it may stop again, and what the driver publishes
 * after the look at it must kick.
 *
 * Context: worker, vq mutex
 * Return: 0, or an errno of vhx_ring_ops.disarm
 */
int vhx_run_disarm(struct vhx_vq *vq)
{
	return vq->is_stopped ? 0 : vq->ring.ops->disarm(&vq->ring);
}

/**
 * vhx_run_wait_backend - run again when the backend is ready
 * @vq: a started vq
 *
 * A backend may say for ever that it is ready, as a packet socket does whose
 * frames go through a ring of its own: that shall not cost a CPU.
 *
 * Context: worker, vq mutex
 * Return: 0, or -EINVAL when the backend is in error
 */
int vhx_run_wait_backend(struct vhx_vq *vq)
{
	struct vhx_backend *backend = vq->backend;
	int ret;

	if (static_branch_unlikely(&vhx_poll_is_timing))
		vhx_latency_forget(vq);
	ret = vhx_poll_start(&vq->backend_poll, backend->file);
	if (ret < 0 && backend->ops->clear_error &&
	    backend->ops->clear_error(backend))
		ret = vhx_poll_start(&vq->backend_poll, backend->file);
	trace_vhx_backend_wait(vq, ret);
	if (ret < 0)
		return vhx_ring_fail(&vq->ring, ret, VHX_CAUSE_BACKEND_ERROR);
	if (!ret) {
		vq->nr_idles = 0;
		vhx_count(&vq->stats.sleeps, 1);
	} else if (vq->nr_idles < IDLES_MAX) {
		vq->nr_idles++;
		vhx_worker_queue(&vq->work);
	} else {
		schedule_delayed_work(&vq->retry, msecs_to_jiffies(IDLE_MS));
	}
	return 0;
}

/**
 * vhx_run_may_retry - whether a run that fails for want of memory comes again
 * @vq: a started vq
 *
 * Context: worker, vq mutex
 * Return: false if it failed too often without a completion
 */
bool vhx_run_may_retry(const struct vhx_vq *vq)
{
	return vq->nr_retries < RETRIES_MAX;
}

/**
 * vhx_run_drop - count frames that are dropped
 * @vq: a started vq
 * @reason: why
 * @nr: how many
 *
 * Context: worker, vq mutex
 */
void vhx_run_drop(struct vhx_vq *vq, enum vhx_drop reason, unsigned int nr)
{
	trace_vhx_drop(vq, reason, nr);
	vhx_count(&vq->stats.drop[reason], nr);
}

/**
 * vhx_run_refuse - count a frame that the backend did not take or give
 * @vq: a started vq
 * @err: errno of its send() or recv(), or why the rest of it failed
 *
 * tun says -EINVAL for a header that is wrong or that it cannot make, -EIO when
 * the interface is down and -EBADFD when it is gone.
 *
 * Context: worker, vq mutex
 */
void vhx_run_refuse(struct vhx_vq *vq, int err)
{
	enum vhx_drop reason = VHX_DROP_REFUSED;

	switch (err) {
	case -EINVAL:
		if (vq->backend->hlen)
			reason = VHX_DROP_HEADER;
		break;
	case -EBADFD:
	case -EIO:
	case -ENETDOWN:
	case -ENODEV:
	case -ENXIO:
		reason = VHX_DROP_GONE;
		break;
	case -EFAULT:
		reason = VHX_DROP_FAULT;
		break;
	case -ENOMEM:
	case -ENOBUFS:
		reason = VHX_DROP_NOMEM;
		break;
	}
	vhx_run_drop(vq, reason, 1);
}

static void end_waits(struct vhx_vq *vq)
{
	vhx_wait_end(&vq->stats.guest);
	vhx_wait_end(&vq->stats.host);
}

static bool comes_again(const struct vhx_vq *vq, int err)
{
	return (err == -EFAULT || err == -ENOMEM) && vhx_run_may_retry(vq);
}

static void retry_later(struct vhx_vq *vq, int err)
{
	/* A kick may have run the ring before it is time. */
	if (schedule_delayed_work(&vq->retry,
				  msecs_to_jiffies(1 << vq->nr_retries))) {
		trace_vhx_ring_retry(vq, err, 1 << vq->nr_retries);
		vq->nr_retries++;
		vhx_count(&vq->stats.retries, 1);
	}
}

/* The ring stands still, or goes on looking at what is wrong. */
static void tell_stop(struct vhx_vq *vq, int err, enum vhx_cause cause)
{
	end_waits(vq);
	vhx_count(&vq->stats.stops[cause], 1);
	WRITE_ONCE(vq->last_stop, cause);
	WRITE_ONCE(vq->is_failed, true);
	vhx_notify_error(vq, err, cause);
}

/*
 * Stops the ring until the next kick. A driver may mend it at any time and shall
 * be heard: it is asked for a kick after what it published, and the ring is
 * looked at once more, for what came before the driver could see that.
 * Return: whether that look is to come.
 */
static bool stop(struct vhx_vq *vq, int err)
{
	struct vhx_ring *ring = &vq->ring;
	u16 seen = ring->avail_idx, flags = ring->flags;
	bool was_asked = vq->is_stopped && vq->stopped_idx == seen;
	enum vhx_cause cause = ring->cause;
	int ret;

	if (vq->mem.is_ready) {
		ret = ring->ops->arm(ring);
		if (comes_again(vq, ret)) {
			retry_later(vq, ret);
			return false;
		}
		/* Or it was asked in just this way before this look. */
		if (!was_asked || ring->avail_idx != seen ||
		    ring->flags != flags) {
			vq->is_stopped = true;
			vq->stopped_idx = seen;
			/* A driver may go on with that, for ever. */
			if (++vq->nr_looks % LOOKS_MAX == 0)
				tell_stop(vq, err, cause);
			return true;
		}
	}
	vq->nr_looks = 0;
	tell_stop(vq, err, cause);
	return false;
}

/**
 * vhx_run_fail - what becomes of a ring whose run could not go on
 * @vq: a started vq
 * @err: why, with vhx_ring.cause
 *
 * Memory that cannot be had or accessed (-ENOMEM, -EFAULT) may be there in a
 * moment, and a driver that was not asked for a kick sends none: the ring runs
 * again by itself. What stays wrong, and all else, stops the ring until the
 * next kick.
 *
 * Context: worker, vq mutex
 * Return: whether it is to run once more, before it stops or by another worker
 */
bool vhx_run_fail(struct vhx_vq *vq, int err)
{
	/* The client was asked for an address, and its answer runs the ring. */
	if (err == -EAGAIN) {
		vhx_count(&vq->stats.iotlb_waits, 1);
		return false;
	}
	/*
	 * An owner that is being killed has no memory any more. If another
	 * process has it too, this run is the next worker's: to queue it brings
	 * it there, or nowhere.
	 */
	if (fatal_signal_pending(current))
		return true;
	if (!comes_again(vq, err))
		return stop(vq, err);
	retry_later(vq, err);
	return false;
}

/**
 * vhx_run_stop - no more runs of a ring
 * @vq: a started vq
 *
 * What could not be published to the end is the driver's again.
 *
 * Context: dev mutex, vq mutex
 */
void vhx_run_stop(struct vhx_vq *vq)
{
	cancel_delayed_work_sync(&vq->retry);
	vq->nr_retries = 0;
	vq->nr_idles = 0;
	vq->is_stopped = false;
	vq->nr_looks = 0;
	end_waits(vq);
	if (vq->nr_used)
		vhx_ring_rewind(&vq->ring, vq->staged);
	vq->nr_used = 0;
	vq->stats.published = vq->stats.frames;
}
