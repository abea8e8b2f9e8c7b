// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a kick waits for its run, and a frame for being published: histograms of one
 * device at a time. Off, this costs a branch that is patched out at a few places of a
 * run. On, wake-ups are timed, of all devices, and what was timed is used by the runs of
 * that device.
 */
#include <linux/log2.h>

#include "vhx.h"

/* Module parameter latency: tid of a worker of the device, 0: off. */
static int wanted;
/* How often it was set: histograms of another turn are old ones. */
static unsigned int turn;
/* When it was; wake-ups before that do not count. */
static u64 since;

/**
 * vhx_latency_set - choose whom to measure
 * @tid: of a worker; 0: nobody
 *
 * Context: the lock of module parameters
 * Return: 0, -EINVAL (less than 0)
 */
int vhx_latency_set(int tid)
{
	if (tid < 0)
		return -EINVAL;
	WRITE_ONCE(wanted, tid);
	WRITE_ONCE(since, ktime_get_ns());
	WRITE_ONCE(turn, turn + 1);
	if (tid)
		static_branch_enable(&vhx_poll_is_timing);
	else
		static_branch_disable(&vhx_poll_is_timing);
	return 0;
}

/**
 * vhx_latency_get - whom the parameter says
 *
 * Return: tid or 0
 */
int vhx_latency_get(void)
{
	return READ_ONCE(wanted);
}

/**
 * vhx_latency_is_on - whether a device is measured
 * @dev: the device
 *
 * Context: any
 * Return: true if one of its rings has the worker that is meant
 */
bool vhx_latency_is_on(const struct vhx_dev *dev)
{
	const struct vhx_vq *vq;
	int tid = READ_ONCE(wanted);

	for (vq = dev->vq; tid && vq < dev->vq + VHX_VQS; vq++)
		if (vhx_worker_tid(&vq->work) == tid)
			return true;
	return false;
}

static void count_ns(u64 *buckets, u64 ns)
{
	unsigned int i = ns ? ilog2(ns) : 0;

	vhx_count(&buckets[min(i, VHX_LATENCY_BUCKETS - 1)], 1);
}

static void begin_turn(struct vhx_latency *latency)
{
	unsigned int i;

	for (i = 0; i < VHX_LATENCY_BUCKETS; i++) {
		WRITE_ONCE(latency->pickup[i], 0);
		WRITE_ONCE(latency->publish[i], 0);
	}
	latency->ready = 0;
	latency->turn = READ_ONCE(turn);
}

/**
 * vhx_latency_begin - a run begins, maybe after a kick
 * @vq: the vq, running or not
 *
 * Context: worker, vq mutex
 */
void vhx_latency_begin(struct vhx_vq *vq)
{
	struct vhx_latency *latency = &vq->latency;
	u64 kicked = vhx_poll_take(&vq->kick_poll);

	latency->is_on = vhx_latency_is_on(vq->dev);
	if (!latency->is_on)
		return;
	if (latency->turn != READ_ONCE(turn))
		begin_turn(latency);
	if (kicked && kicked >= READ_ONCE(since))
		count_ns(latency->pickup, ktime_get_ns() - kicked);
}

/**
 * vhx_latency_ready - note when the backend woke the worker, if it did
 * @vq: a started vq in a run, whose backend is not waited for
 *
 * Context: worker, vq mutex
 */
void vhx_latency_ready(struct vhx_vq *vq)
{
	struct vhx_latency *latency = &vq->latency;
	u64 ready = vhx_poll_take(&vq->backend_poll);

	if (latency->is_on && !latency->ready && ready >= READ_ONCE(since))
		latency->ready = ready;
}

/**
 * vhx_latency_publish - used entries are published
 * @vq: a started vq
 *
 * Context: vq mutex
 */
void vhx_latency_publish(struct vhx_vq *vq)
{
	struct vhx_latency *latency = &vq->latency;

	if (latency->is_on && latency->ready)
		count_ns(latency->publish, ktime_get_ns() - latency->ready);
	latency->ready = 0;
}

/**
 * vhx_latency_forget - the backend was ready for nothing, or is another one
 * @vq: a vq whose backend is not waited for
 *
 * Context: vq mutex
 */
void vhx_latency_forget(struct vhx_vq *vq)
{
	vhx_poll_take(&vq->backend_poll);
	vq->latency.ready = 0;
}
