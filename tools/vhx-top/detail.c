// SPDX-License-Identifier: GPL-2.0-only
/* One device: both rings side by side, then their histograms, in 79 places. */
#include <string.h>

#include "detail.h"
#include "number.h"

#define WIDTH	79
#define LABEL	14	/* places of what stands in front */
#define HALF	31	/* places of a ring, after a blank */
#define BAR	16	/* places of the longest bar */

typedef void (*half_fn)(char *text, size_t size, const struct view *view,
			unsigned int i);

static const struct ring *ring_of(const struct view *view, unsigned int i)
{
	return &view->device->info.ring[i];
}

static void put_line(FILE *out, const char *label, const char *rx, const char *tx)
{
	char line[256] = "";

	number_fit(line, sizeof(line), label, -LABEL);
	strcat(line, " ");
	number_fit(line, sizeof(line), rx, -HALF);
	strcat(line, " ");
	number_fit(line, sizeof(line), tx, -HALF);
	fprintf(out, "%s\n", line);
}

static void put_half(FILE *out, const char *label, const struct view *view,
		     half_fn half)
{
	char text[RINGS][80] = { "", "" };
	unsigned int i;

	for (i = 0; i < RINGS; i++)
		half(text[i], sizeof(text[i]), view, i);
	put_line(out, label, text[RING_RX], text[RING_TX]);
}

/* Names with blanks between, in lines. */
static void put_features(FILE *out, const char *names)
{
	size_t len, used = 0;

	for (names += strspn(names, " "); *names; names += strspn(names, " ")) {
		len = strcspn(names, " ");
		if (used && used + 1 + len > WIDTH) {
			fputc('\n', out);
			used = 0;
		}
		fprintf(out, "%s%.*s", used ? " " : "", (int)len, names);
		used += (used ? 1 : 0) + len;
		names += len;
	}
	if (used)
		fputc('\n', out);
}

static void put_verdict(char *text, size_t size, const struct view *view,
			unsigned int i)
{
	snprintf(text, size, "%s", verdict_name(view->ring[i].verdict));
}

static void put_state(char *text, size_t size, const struct view *view,
		      unsigned int i)
{
	const struct ring *ring = ring_of(view, i);

	if (ring->size)
		snprintf(text, size, "%s, %s, %u entries",
			 fdinfo_state(ring->state), ring->format, ring->size);
	else
		snprintf(text, size, "%s", fdinfo_state(ring->state));
}

static void put_cause(char *text, size_t size, const struct view *view,
		      unsigned int i)
{
	snprintf(text, size, "%s", ring_of(view, i)->cause);
}

static void put_backend(char *text, size_t size, const struct view *view,
			unsigned int i)
{
	const struct ring *ring = ring_of(view, i);

	size_t len;

	snprintf(text, size, "%s%s%s", ring->backend, *ring->ifname ? " " : "",
		 ring->ifname);
	len = strlen(text);
	if (ring->queue >= 0)
		snprintf(text + len, size - len, ", queue %d", ring->queue);
}

static void put_worker(char *text, size_t size, const struct view *view,
		       unsigned int i)
{
	const struct task *worker = &view->device->worker[i];

	if (worker->tid)
		snprintf(text, size, "%d on CPU %d%s", worker->tid, worker->cpu,
			 worker->is_kthread ? ", kthread" : "");
}

static void put_times(char *text, size_t size, const struct view *view,
		      unsigned int i)
{
	const struct task_rate *rate = &view->rate.worker[i];
	size_t len;

	if (!rate->is_known)
		return;
	snprintf(text, size, "%.1f%%", rate->run * 100);
	len = strlen(text);
	if (rate->has_wait)
		snprintf(text + len, size - len, ", waits %.1f%%", rate->wait * 100);
}

static void put_frames(char *text, size_t size, const struct view *view,
		       unsigned int i)
{
	if (view->rate.ring[i].has_frames)
		number_put(text, size, view->rate.ring[i].frames);
}

static void put_bytes(char *text, size_t size, const struct view *view,
		      unsigned int i)
{
	if (view->rate.ring[i].has_frames)
		number_put(text, size, view->rate.ring[i].bytes);
}

#define COUNTED(name, format, val)	TOLD(name, format, val, frames)

#define TOLD(name, format, val, counter)				\
static void put_##name(char *text, size_t size, const struct view *view, \
		       unsigned int i)					\
{									\
	const struct ring_rate *rate = &view->rate.ring[i];		\
									\
	if (rate->is_known &&						\
	    ring_tells(ring_of(view, i), COUNTER_INDEX(counter)))	\
		snprintf(text, size, format, val);			\
}

COUNTED(burst, "%.1f", rate->burst)
COUNTED(kicks, "%.3f", rate->kicks)
COUNTED(calls, "%.3f", rate->calls)
COUNTED(guest, "%.1f%%", rate->guest_wait * 100)
TOLD(host, "%.1f%%", rate->host_wait * 100, host_wait_ns)
TOLD(poll, "%.1f%%", rate->poll * 100, poll_ns)
COUNTED(drops, "%.1f", rate->drops)
COUNTED(misses, "%.1f", rate->misses)

static const struct {
	const char *label;
	half_fn half;
} rows[] = {
	{ "verdict", put_verdict },
	{ "state", put_state },
	{ "failed last", put_cause },
	{ "backend", put_backend },
	{ "worker", put_worker },
	{ "CPU", put_times },
	{ "frames/s", put_frames },
	{ "bytes/s", put_bytes },
	{ "frames/burst", put_burst },
	{ "kicks/frame", put_kicks },
	{ "calls/frame", put_calls },
	{ "guest waits", put_guest },
	{ "host waits", put_host },
	{ "polls", put_poll },
	{ "drops/s", put_drops },
	{ "IOTLB miss/s", put_misses },
};

/* Counters that are not 0, in all: drops and stops. */
static void put_totals(FILE *out, const struct view *view)
{
	char text[80];
	unsigned int i, k;

	for (i = 0; i < RINGS; i++) {
		const struct ring *ring = ring_of(view, i);
		const uint64_t *all = (const uint64_t *)&ring->counters;

		for (k = counter_first_drop; k < counter_first_drop + DROP_REASONS; k++) {
			snprintf(text, sizeof(text), "%ju frames", (uintmax_t)all[k]);
			if (all[k])
				put_line(out, counter_names[k],
					 i == RING_RX ? text : "",
					 i == RING_TX ? text : "");
		}
		for (k = 0; k < ring->nr_stops; k++) {
			snprintf(text, sizeof(text), "%s: %ju times",
				 ring->stops[k].cause,
				 (uintmax_t)ring->stops[k].nr);
			put_line(out, "stopped for", i == RING_RX ? text : "",
				 i == RING_TX ? text : "");
		}
	}
}

static void put_bar(char *text, size_t size, uint64_t nr, uint64_t most)
{
	unsigned int places = most ? (unsigned int)((double)nr * BAR / (double)most + 0.5) : 0;
	char number[32];

	if (!nr)
		return;
	number_put(number, sizeof(number), (double)nr);
	snprintf(text, size, "%6s %.*s", number, (int)(places ? places : 1),
		 "################");
}

static uint64_t largest(const uint64_t *buckets, unsigned int nr)
{
	uint64_t most = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (buckets[i] > most)
			most = buckets[i];
	return most;
}

static void put_buckets(FILE *out, const char *label, const uint64_t *rx,
			const uint64_t *tx, const uint64_t *most)
{
	char text[RINGS][80] = { "", "" };

	put_bar(text[RING_RX], sizeof(text[0]), *rx, most[RING_RX]);
	put_bar(text[RING_TX], sizeof(text[0]), *tx, most[RING_TX]);
	put_line(out, label, text[RING_RX], text[RING_TX]);
}

static void put_bursts(FILE *out, const struct view *view)
{
	static const char *const labels[BURST_BUCKETS] = {
		"  1", "  2-3", "  4-7", "  8-15", "  16-31", "  32-63", "  64"
	};
	const uint64_t *bursts[RINGS];
	uint64_t most[RINGS];
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		bursts[i] = (const uint64_t *)&ring_of(view, i)->counters +
			counter_first_burst;
		most[i] = largest(bursts[i], BURST_BUCKETS);
	}
	if (!most[RING_RX] && !most[RING_TX])
		return;
	fputs("\nbursts by frames, since the device has its owner\n", out);
	for (i = 0; i < BURST_BUCKETS; i++)
		put_buckets(out, labels[i], bursts[RING_RX] + i,
			    bursts[RING_TX] + i, most);
}

static void put_latency(FILE *out, const char *title, const uint64_t *rx,
			const uint64_t *tx)
{
	uint64_t most[RINGS] = {
		largest(rx, FDINFO_BUCKETS), largest(tx, FDINFO_BUCKETS)
	};
	char label[40] = "  ";
	unsigned int i;

	if (!most[RING_RX] && !most[RING_TX])
		return;
	fprintf(out, "\n%s\n", title);
	for (i = 0; i < FDINFO_BUCKETS; i++) {
		if (!rx[i] && !tx[i])
			continue;
		number_time(label + 2, sizeof(label) - 2, (double)(1ULL << i));
		put_buckets(out, label, rx + i, tx + i, most);
	}
}

/**
 * detail_put - print all that is known of a device
 * @out: where to
 * @view: the device
 */
void detail_put(FILE *out, const struct view *view)
{
	const struct device *device = view->device;
	const struct ring *rx = ring_of(view, RING_RX);
	const struct ring *tx = ring_of(view, RING_TX);
	unsigned int i;

	fprintf(out, "%s, pid %d, %s %d, %s %s\n", device->vm, device->pid,
		device->kind == DEVICE_SWITCH ? "queue pair" : "descriptor",
		device->fd, device_kind(device->kind), device->node);
	fprintf(out, "%s%s%s\n", verdict_name(view->all.verdict),
		*view->all.why ? ": " : "", view->all.why);
	put_features(out, device->info.features);
	fputc('\n', out);
	put_line(out, "", "rx: to the guest", "tx: from the guest");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		put_half(out, rows[i].label, view, rows[i].half);
	put_totals(out, view);
	put_bursts(out, view);
	put_latency(out, "pickup: from a kick until the worker begins",
		    rx->pickup, tx->pickup);
	put_latency(out, "publish: from a frame in the backend until the guest has it",
		    rx->publish, tx->publish);
}
