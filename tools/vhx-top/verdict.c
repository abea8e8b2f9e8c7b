// SPDX-License-Identifier: GPL-2.0-only
/*
 * What limits a ring, by the difference of two looks. The rules are tried in order,
 * and the first that holds is the verdict:
 *
 * broken: the ring failed. Nothing moves, and nothing else is of interest.
 * starved: its worker waited for a CPU. All that the others see, a guest without
 *	buffers or a full backend, may be for want of a worker that runs.
 * worker-limited: its worker used a CPU up, polling aside. Whoever waits for it
 *	waits for that.
 * backend-limited: the backend took no more. It is before guest-limited, since the
 *	host can mend it; on one ring only one of the two is counted.
 * guest-limited: frames waited for buffers of the guest.
 * idle: hardly a frame, and none of the above: one frame that waits for buffers is
 *	no idle ring.
 * ok: frames move, and nobody waits for long.
 *
 * Of what nobody counts for nothing is said: "unknown" in place of ok.
 */
#include <stdio.h>
#include <string.h>

#include "verdict.h"

static const char *const names[VERDICTS] = {
	[VERDICT_BROKEN] = "broken",
	[VERDICT_STARVED] = "starved",
	[VERDICT_WORKER] = "worker-limited",
	[VERDICT_BACKEND] = "backend-limited",
	[VERDICT_GUEST] = "guest-limited",
	[VERDICT_OK] = "ok",
	[VERDICT_UNKNOWN] = "unknown",
	[VERDICT_IDLE] = "idle",
};

/* Return: the word for a verdict */
const char *verdict_name(enum verdict verdict)
{
	return names[verdict];
}

static int percent(double share)
{
	return (int)(share * 100 + 0.5);
}

/* Time of the worker that went into looking, of all rings that it has. */
static double polled(const struct device *device, const struct rate *rate,
		     unsigned int ring)
{
	double sum = 0;
	unsigned int i;

	for (i = 0; i < RINGS; i++)
		if (device->worker[i].tid == device->worker[ring].tid)
			sum += rate->ring[i].poll;
	return sum;
}

static bool is_idle(const struct device *device, const struct rate *rate,
		    unsigned int ring)
{
	if (device->info.ring[ring].state == RING_STOPPED)
		return true;
	if (rate->ring[ring].has_frames)
		return rate->ring[ring].frames < IDLE_FRAMES;
	return rate->worker[ring].is_known && rate->worker[ring].run < IDLE_SHARE;
}

/* What is dropped most, if anything is. */
static void tell_drops(struct opinion *opinion, const struct rate *rate,
		       unsigned int ring)
{
	const struct ring_rate *r = &rate->ring[ring];
	const uint64_t *drops = (const uint64_t *)&r->diff + counter_first_drop;
	unsigned int i, most = 0;

	for (i = 1; i < DROP_REASONS; i++)
		if (drops[i] > drops[most])
			most = i;
	if (drops[most])
		snprintf(opinion->why, sizeof(opinion->why),
			 "%.0f frames/s dropped, most for %s", r->drops,
			 counter_names[counter_first_drop + most] + strlen("drop_"));
	else if (ring == RING_RX && rate->queue_drops > 0)
		snprintf(opinion->why, sizeof(opinion->why),
			 "%.0f frames/s dropped before the ring: queue full",
			 rate->queue_drops);
}

/* A thread of a switch may be busy with other ports. */
static bool is_used(const struct device *device, const struct rate *rate,
		    unsigned int ring)
{
	return device->kind != DEVICE_SWITCH || !is_idle(device, rate, ring);
}

/* libvhx counts a wait until the next frame is given: the last may have no end. */
static bool has_waiters(const struct device *device, const struct rate *rate,
			unsigned int ring)
{
	const struct ring_rate *r = &rate->ring[ring];

	return device->kind != DEVICE_SWITCH || r->diff.guest_waits ||
	       r->frames > 0 || r->drops > 0 ||
	       (ring == RING_RX && rate->queue_drops > 0);
}

static void judge_worker(struct opinion *opinion, const struct device *device,
			 const struct rate *rate, unsigned int ring)
{
	const struct task_rate *worker = &rate->worker[ring];

	if (worker->has_wait && worker->wait > STARVED_SHARE) {
		opinion->verdict = VERDICT_STARVED;
		snprintf(opinion->why, sizeof(opinion->why),
			 "its worker waited for CPU %d %d%% of the time",
			 device->worker[ring].cpu, percent(worker->wait));
	} else if (worker->is_known && is_used(device, rate, ring) &&
		   worker->run - polled(device, rate, ring) > WORKER_SHARE) {
		opinion->verdict = VERDICT_WORKER;
		snprintf(opinion->why, sizeof(opinion->why),
			 "its worker used %d%% of CPU %d%s", percent(worker->run),
			 device->worker[ring].cpu,
			 device->kind == DEVICE_SWITCH ? ", for all ports on it" :
			 "");
	}
}

static void judge_waits(struct opinion *opinion, const struct device *device,
			const struct rate *rate, unsigned int nr)
{
	const struct ring_rate *ring = &rate->ring[nr];

	if (ring->host_wait > BACKEND_SHARE) {
		opinion->verdict = VERDICT_BACKEND;
		snprintf(opinion->why, sizeof(opinion->why),
			 "the backend was full %d%% of the time",
			 percent(ring->host_wait));
	} else if (ring->guest_wait > GUEST_SHARE &&
		   has_waiters(device, rate, nr)) {
		opinion->verdict = VERDICT_GUEST;
		snprintf(opinion->why, sizeof(opinion->why),
			 "frames waited for the guest's buffers %d%% of the time",
			 percent(ring->guest_wait));
	}
}

static const char *why_unknown(const struct device *device,
			       const struct rate *rate)
{
	if (device->kind == DEVICE_SWITCH && device->mute)
		return device->mute;
	if (!rate->is_known)
		return "seen once so far";
	if (device->kind == DEVICE_HIDDEN)
		return "of another user, who may read it alone";
	return "vhost_net does not count for it";
}

/**
 * verdict_ring - what limits a ring
 * @opinion: is filled
 * @device: at the second look
 * @rate: what happened to it since the first
 * @ring: which ring
 */
void verdict_ring(struct opinion *opinion, const struct device *device,
		  const struct rate *rate, unsigned int ring)
{
	const struct ring *now = &device->info.ring[ring];

	*opinion = (struct opinion){ .verdict = VERDICT_UNKNOWN };
	if (now->state == RING_FAILED) {
		opinion->verdict = VERDICT_BROKEN;
		snprintf(opinion->why, sizeof(opinion->why), "%s: %s",
			 ring_names[ring], *now->cause ? now->cause : "failed");
		return;
	}
	if (rate->is_known) {
		judge_worker(opinion, device, rate, ring);
		if (opinion->verdict == VERDICT_UNKNOWN)
			judge_waits(opinion, device, rate, ring);
		if (opinion->verdict != VERDICT_UNKNOWN)
			return;
	}
	if (rate->is_known && is_idle(device, rate, ring))
		opinion->verdict = VERDICT_IDLE;
	else if (rate->ring[ring].is_known)
		opinion->verdict = VERDICT_OK;
	else
		strcpy(opinion->why, why_unknown(device, rate));
	tell_drops(opinion, rate, ring);
}

/**
 * verdict_device - what limits a device
 * @opinion: is filled
 * @rings: what limits each ring
 */
void verdict_device(struct opinion *opinion, const struct opinion *rings)
{
	const struct opinion *rx = &rings[RING_RX], *tx = &rings[RING_TX];

	if (rx->verdict == tx->verdict)
		*opinion = *rx->why ? *rx : *tx;
	else
		*opinion = rx->verdict < tx->verdict ? *rx : *tx;
}
