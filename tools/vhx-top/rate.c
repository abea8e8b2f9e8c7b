// SPDX-License-Identifier: GPL-2.0-only
/* Differences of two looks at a device. Pure: no file is read here. */
#include <string.h>

#include "rate.h"

#define NS_PER_S	1e9

/* Of an interface: what counts from 0 again is another one. */
static uint64_t since(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

/* What goes back alone was read between two writes, or of two sources. */
static uint64_t more(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : 0;
}

/* Whether a ring counts from 0 again: its device has a new owner. */
static bool is_reset(const struct counters *before, const struct counters *now)
{
	return now->frames < before->frames || now->runs < before->runs;
}

/* Times of two files are not read at the same moment. */
static double share(uint64_t ns, double seconds)
{
	double part = (double)ns / (seconds * NS_PER_S);

	return part > 1 ? 1 : part;
}

static double ratio(uint64_t some, uint64_t all)
{
	return all ? (double)some / (double)all : 0;
}

/* Return: frames dropped for any reason */
uint64_t rate_dropped(const struct counters *counters)
{
	const uint64_t *all = (const uint64_t *)counters;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < DROP_REASONS; i++)
		sum += all[counter_first_drop + i];
	return sum;
}

static void rate_ring(struct ring_rate *rate, const struct ring *before,
		      const struct ring *now, double seconds)
{
	const uint64_t *old = (const uint64_t *)&before->counters;
	const uint64_t *new = (const uint64_t *)&now->counters;
	uint64_t *diff = (uint64_t *)&rate->diff;
	bool from_0 = is_reset(&before->counters, &now->counters);
	unsigned int i;

	for (i = 0; i < COUNTERS; i++)
		diff[i] = from_0 ? new[i] : more(old[i], new[i]);
	rate->is_known = true;
	rate->has_frames = true;
	rate->frames = (double)rate->diff.frames / seconds;
	rate->bytes = (double)rate->diff.bytes / seconds;
	rate->burst = ratio(rate->diff.frames, rate->diff.bursts);
	rate->kicks = ratio(rate->diff.kicks, rate->diff.frames);
	rate->calls = ratio(rate->diff.calls, rate->diff.frames);
	rate->drops = (double)rate_dropped(&rate->diff) / seconds;
	rate->misses = (double)rate->diff.iotlb_misses / seconds;
	rate->guest_wait = share(rate->diff.guest_wait_ns, seconds);
	rate->host_wait = share(rate->diff.host_wait_ns, seconds);
	rate->poll = share(rate->diff.poll_ns, seconds);
}

static void rate_worker(struct task_rate *rate, const struct task *before,
			const struct task *now, double seconds)
{
	uint64_t run, wait;

	if (!now->tid || before->tid != now->tid || before->start != now->start)
		return;
	/* Then one has times in ns and the other in ticks, which do not compare. */
	if (before->has_wait != now->has_wait)
		return;
	run = more(before->run_ns, now->run_ns);
	wait = more(before->wait_ns, now->wait_ns);
	rate->is_known = true;
	rate->run = share(run, seconds);
	rate->has_wait = now->has_wait;
	/* A wait is counted when it ends. */
	if (rate->has_wait)
		rate->wait = !run && !wait && before->state == 'R' &&
			now->state == 'R' ? 1 : share(wait, seconds);
}

/* Of in-tree, frames are those of the interface; tx of a tap goes to the guest. */
static void rate_interface(struct rate *rate, const struct device *before,
			   const struct device *now)
{
	const struct netdev *old = &before->net, *new = &now->net;
	struct ring_rate *rx = &rate->ring[RING_RX], *tx = &rate->ring[RING_TX];

	if (!old->is_known || !new->is_known || !now->is_first)
		return;
	rate->queue_drops = (double)since(old->tx_drops, new->tx_drops) /
		rate->seconds;
	if (device_counts(now))
		return;
	rx->has_frames = true;
	tx->has_frames = true;
	rx->frames = (double)since(old->tx_frames, new->tx_frames) / rate->seconds;
	rx->bytes = (double)since(old->tx_bytes, new->tx_bytes) / rate->seconds;
	tx->frames = (double)since(old->rx_frames, new->rx_frames) / rate->seconds;
	tx->bytes = (double)since(old->rx_bytes, new->rx_bytes) / rate->seconds;
}

/**
 * rate_between - what happened to a device
 * @rate: is filled
 * @before: the first look, or NULL: it was not there
 * @now: the second one
 * @seconds: between them
 */
void rate_between(struct rate *rate, const struct device *before,
		  const struct device *now, double seconds)
{
	unsigned int i;

	memset(rate, 0, sizeof(*rate));
	if (!before || seconds <= 0)
		return;
	rate->is_known = true;
	rate->seconds = seconds;
	for (i = 0; i < RINGS; i++) {
		if (device_counts(now))
			rate_ring(&rate->ring[i], &before->info.ring[i],
				  &now->info.ring[i], seconds);
		rate_worker(&rate->worker[i], &before->worker[i],
			    &now->worker[i], seconds);
	}
	rate_interface(rate, before, now);
}
