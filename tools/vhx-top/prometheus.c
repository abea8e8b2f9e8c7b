// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prometheus' text format. A family is one block: so all devices are gone through
 * for each. Names are as its conventions have them: seconds, bytes, and _total.
 */
#include <string.h>

#include "prometheus.h"

#define NS	(1.0 / 1000000000)
/* Buckets of a histogram of times: below 2 us and each power of two to 17 s. */
#define BUCKET_FIRST	10
#define BUCKET_LAST	33

/**
 * struct family - a metric of a counter of rings
 * @name: behind vhx_ring_
 * @counter: which
 * @scale: of its unit; 0: an integer
 * @help: what it is
 */
struct family {
	const char *name;
	size_t counter;
	double scale;
	const char *help;
};

static const struct family families[] = {
	{ "frames_total", COUNTER_INDEX(frames), 0, "Frames that passed." },
	{ "bytes_total", COUNTER_INDEX(bytes), 0, "Bytes of frames that passed." },
	{ "kicks_total", COUNTER_INDEX(kicks), 0, "Kicks by the driver." },
	{ "empty_kicks_total", COUNTER_INDEX(kicks_empty), 0,
	  "Kicks after which nothing was there." },
	{ "calls_total", COUNTER_INDEX(calls), 0, "Interrupts given to the driver." },
	{ "saved_calls_total", COUNTER_INDEX(calls_saved), 0,
	  "Interrupts that the driver did not want." },
	{ "errors_total", COUNTER_INDEX(errors), 0, "Faults of the driver." },
	{ "runs_total", COUNTER_INDEX(runs), 0, "Runs of the worker for the ring." },
	{ "sleeps_total", COUNTER_INDEX(sleeps), 0, "Runs after which the ring waits." },
	{ "guest_waits_total", COUNTER_INDEX(guest_waits), 0,
	  "Times that frames waited for buffers of the guest." },
	{ "guest_wait_seconds_total", COUNTER_INDEX(guest_wait_ns), NS,
	  "Time that frames waited for buffers of the guest." },
	{ "host_waits_total", COUNTER_INDEX(host_waits), 0,
	  "Times that the backend was full." },
	{ "host_wait_seconds_total", COUNTER_INDEX(host_wait_ns), NS,
	  "Time that the backend was full." },
	{ "gso_frames_total", COUNTER_INDEX(gso), 0, "Frames to be segmented." },
	{ "csum_frames_total", COUNTER_INDEX(csum), 0, "Frames without a checksum." },
	{ "dirty_pages_total", COUNTER_INDEX(dirty_pages), 0,
	  "Pages marked in the dirty log." },
	{ "polls_total", COUNTER_INDEX(polls), 0, "Polling windows." },
	{ "poll_hits_total", COUNTER_INDEX(poll_hits), 0,
	  "Polling windows in which something came." },
	{ "poll_seconds_total", COUNTER_INDEX(poll_ns), NS, "Time in polling windows." },
	{ "skipped_polls_total", COUNTER_INDEX(poll_skips), 0,
	  "Polling windows left out for their share of a CPU." },
	{ "iotlb_waits_total", COUNTER_INDEX(iotlb_waits), 0,
	  "Runs that ended for want of a translation." },
	{ "iotlb_misses_total", COUNTER_INDEX(iotlb_misses), 0,
	  "Translations asked for." },
	{ "iotlb_hits_total", COUNTER_INDEX(iotlb_hits), 0, "Addresses found." },
	{ "retries_total", COUNTER_INDEX(retries), 0,
	  "Runs put off for want of memory." },
};

static void put_head(FILE *out, const char *name, const char *type,
		     const char *help)
{
	fprintf(out, "# HELP vhx_%s %s\n# TYPE vhx_%s %s\n", name, help, name, type);
}

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\' || *text == '\n')
			fputc('\\', out);
		fputc(*text == '\n' ? 'n' : *text, out);
	}
}

static void put_label(FILE *out, const char *name, const char *val)
{
	fprintf(out, ",%s=\"", name);
	put_text(out, val);
	fputc('"', out);
}

/* Name and labels that all metrics of a device have; the bracket stays open. */
static void put_device(FILE *out, const char *name, const struct device *device)
{
	fprintf(out, "vhx_%s{vm=\"", name);
	put_text(out, device->vm);
	fprintf(out, "\",pid=\"%d\",fd=\"%d\"", device->pid, device->fd);
}

static void put_ring(FILE *out, const char *name, const struct device *device,
		     unsigned int i)
{
	const struct ring *ring = &device->info.ring[i];
	char queue[16] = "";

	put_device(out, name, device);
	put_label(out, "ring", ring_names[i]);
	put_label(out, "interface", ring->ifname);
	if (ring->queue >= 0)
		snprintf(queue, sizeof(queue), "%d", ring->queue);
	put_label(out, "queue", queue);
}

static void put_counter(FILE *out, uint64_t val, double scale)
{
	if (scale > 0)
		fprintf(out, "} %.9f\n", (double)val * scale);
	else
		fprintf(out, "} %ju\n", (uintmax_t)val);
}

typedef void (*ring_fn)(FILE *out, const struct device *device, unsigned int i,
			const struct family *family);

static void each_ring(FILE *out, const struct watch *watch, ring_fn put,
		      const struct family *family)
{
	size_t n;

	for (n = 0; n < watch->nr * RINGS; n++)
		if (device_counts(watch->views[n / RINGS].device))
			put(out, watch->views[n / RINGS].device, n % RINGS, family);
}

static const uint64_t *counters_of(const struct device *device, unsigned int i)
{
	return (const uint64_t *)&device->info.ring[i].counters;
}

static void put_one(FILE *out, const struct device *device, unsigned int i,
		    const struct family *family)
{
	char name[64];

	if (!ring_tells(&device->info.ring[i], family->counter))
		return;
	snprintf(name, sizeof(name), "ring_%s", family->name);
	put_ring(out, name, device, i);
	put_counter(out, counters_of(device, i)[family->counter], family->scale);
}

static void put_family(FILE *out, const struct watch *watch,
		       const struct family *family)
{
	char name[64];

	snprintf(name, sizeof(name), "ring_%s", family->name);
	put_head(out, name, "counter", family->help);
	each_ring(out, watch, put_one, family);
}

static void put_drops(FILE *out, const struct device *device, unsigned int i,
		      const struct family *family)
{
	const uint64_t *drops = counters_of(device, i) + counter_first_drop;
	unsigned int k;

	(void)family;
	for (k = 0; k < DROP_REASONS; k++) {
		if (!ring_tells(&device->info.ring[i], counter_first_drop + k))
			continue;
		put_ring(out, "ring_dropped_frames_total", device, i);
		put_label(out, "reason", counter_names[counter_first_drop + k] +
			  strlen("drop_"));
		put_counter(out, drops[k], 0);
	}
}

static void put_stops(FILE *out, const struct device *device, unsigned int i,
		      const struct family *family)
{
	const struct ring *ring = &device->info.ring[i];
	unsigned int k;

	(void)family;
	for (k = 0; k < ring->nr_stops; k++) {
		put_ring(out, "ring_stops_total", device, i);
		put_label(out, "cause", ring->stops[k].cause);
		put_counter(out, ring->stops[k].nr, 0);
	}
}

static void put_state(FILE *out, const struct device *device, unsigned int i,
		      const struct family *family)
{
	(void)family;
	put_ring(out, "ring_state", device, i);
	put_label(out, "state", fdinfo_state(device->info.ring[i].state));
	put_counter(out, 1, 0);
}

static void put_bursts(FILE *out, const struct device *device, unsigned int i,
		       const struct family *family)
{
	static const char *const ends[BURST_BUCKETS] = {
		"1", "3", "7", "15", "31", "63", "+Inf"
	};
	const uint64_t *bursts = counters_of(device, i) + counter_first_burst;
	uint64_t sum = 0;
	unsigned int k;

	(void)family;
	for (k = 0; k < BURST_BUCKETS; k++) {
		sum += bursts[k];
		put_ring(out, "ring_burst_frames_bucket", device, i);
		put_label(out, "le", ends[k]);
		put_counter(out, sum, 0);
	}
	put_ring(out, "ring_burst_frames_sum", device, i);
	put_counter(out, device->info.ring[i].counters.frames, 0);
	put_ring(out, "ring_burst_frames_count", device, i);
	put_counter(out, sum, 0);
}

/* The sum is not counted: the middle of each bucket is taken for it. */
static void put_buckets(FILE *out, const char *name, const struct device *device,
			unsigned int i, const uint64_t *buckets)
{
	double total = 0;
	uint64_t sum = 0;
	char full[64], end[32];
	unsigned int k;

	for (k = 0; k < FDINFO_BUCKETS; k++) {
		sum += buckets[k];
		total += (double)buckets[k] * 1.5 * (double)(1ULL << k) * NS;
		if (k < BUCKET_FIRST || k > BUCKET_LAST)
			continue;
		snprintf(full, sizeof(full), "%s_bucket", name);
		put_ring(out, full, device, i);
		snprintf(end, sizeof(end), "%.9g", (double)(2ULL << k) * NS);
		put_label(out, "le", end);
		put_counter(out, sum, 0);
	}
	put_ring(out, full, device, i);
	put_label(out, "le", "+Inf");
	put_counter(out, sum, 0);
	snprintf(full, sizeof(full), "%s_sum", name);
	put_ring(out, full, device, i);
	fprintf(out, "} %.9f\n", total);
	snprintf(full, sizeof(full), "%s_count", name);
	put_ring(out, full, device, i);
	put_counter(out, sum, 0);
}

static void put_pickup(FILE *out, const struct device *device, unsigned int i,
		       const struct family *family)
{
	(void)family;
	if (device->info.has_latency)
		put_buckets(out, "ring_pickup_seconds", device, i,
			    device->info.ring[i].pickup);
}

static void put_publish(FILE *out, const struct device *device, unsigned int i,
			const struct family *family)
{
	(void)family;
	if (device->info.has_latency)
		put_buckets(out, "ring_publish_seconds", device, i,
			    device->info.ring[i].publish);
}

/* Metrics of rings that are not one counter each. */
static const struct {
	const char *name;
	const char *type;
	ring_fn put;
	const char *help;
} ring_metrics[] = {
	{ "ring_state", "gauge", put_state, "1 for the state that the ring is in." },
	{ "ring_dropped_frames_total", "counter", put_drops,
	  "Frames dropped, by reason." },
	{ "ring_stops_total", "counter", put_stops,
	  "Times that the ring stopped, by cause." },
	{ "ring_burst_frames", "histogram", put_bursts, "Frames in a burst." },
	{ "ring_pickup_seconds", "histogram", put_pickup,
	  "Time from a kick until the worker began." },
	{ "ring_publish_seconds", "histogram", put_publish,
	  "Time from a frame in the backend until the guest had it." },
};

static void put_worker(FILE *out, const char *name, const struct device *device,
		       const struct task *worker)
{
	char tid[16];

	put_device(out, name, device);
	snprintf(tid, sizeof(tid), "%d", worker->tid);
	put_label(out, "tid", tid);
}

static void put_workers(FILE *out, const struct watch *watch, bool is_wait)
{
	const char *name = is_wait ? "worker_wait_seconds_total" :
		"worker_cpu_seconds_total";
	const struct task *worker;
	size_t n;

	put_head(out, name, "counter", is_wait ?
		 "Time that the worker was to run and another thread did." :
		 "CPU time of the worker.");
	for (n = 0; n < watch->nr * RINGS; n++) {
		const struct device *device = watch->views[n / RINGS].device;

		worker = &device->worker[n % RINGS];
		if (!worker->tid || (is_wait && !worker->has_wait) ||
		    (n % RINGS && worker->tid == device->worker[0].tid))
			continue;
		put_worker(out, name, device, worker);
		put_counter(out, is_wait ? worker->wait_ns : worker->run_ns, NS);
	}
}

/* One way through the interfaces. */
static void put_interface(FILE *out, const char *name,
			  const struct device *device, uint64_t to_guest,
			  uint64_t from_guest)
{
	const struct ring *ring = device->info.ring;
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		put_device(out, name, device);
		put_label(out, "interface", *ring[RING_RX].ifname ?
			  ring[RING_RX].ifname : ring[RING_TX].ifname);
		put_label(out, "direction", i ? "from_guest" : "to_guest");
		put_counter(out, i ? from_guest : to_guest, 0);
	}
}

static void put_interfaces(FILE *out, const struct watch *watch)
{
	static const char *const names[] = {
		"interface_frames_total", "interface_bytes_total",
		"interface_dropped_frames_total",
	};
	static const char *const helps[] = {
		"Frames through the interface.", "Bytes through the interface.",
		"Frames that the interface dropped.",
	};
	unsigned int k;
	size_t n;

	for (k = 0; k < 3; k++) {
		put_head(out, names[k], "counter", helps[k]);
		for (n = 0; n < watch->nr; n++) {
			const struct device *device = watch->views[n].device;
			const struct netdev *net = &device->net;

			if (!net->is_known || !device->is_first)
				continue;
			put_interface(out, names[k], device,
				      k == 0 ? net->tx_frames : k == 1 ?
				      net->tx_bytes : net->tx_drops,
				      k == 0 ? net->rx_frames : k == 1 ?
				      net->rx_bytes : net->rx_drops);
		}
	}
}

static void put_devices(FILE *out, const struct watch *watch)
{
	size_t n;

	put_head(out, "device_info", "gauge", "1 for each device.");
	for (n = 0; n < watch->nr; n++) {
		const struct device *device = watch->views[n].device;

		put_device(out, "device_info", device);
		put_label(out, "kind", device_kind(device->kind));
		put_label(out, "node", device->node);
		put_label(out, "features", device->info.features);
		put_counter(out, 1, 0);
	}
	put_head(out, "device_verdict", "gauge", "1 for what limits the device.");
	for (n = 0; n < watch->nr; n++) {
		put_device(out, "device_verdict", watch->views[n].device);
		put_label(out, "verdict", verdict_name(watch->views[n].all.verdict));
		put_counter(out, 1, 0);
	}
}

/**
 * prometheus_put - print all devices
 * @out: where to
 * @watch: two looks at them
 *
 * Return: 0
 */
int prometheus_put(FILE *out, const struct watch *watch)
{
	unsigned int i;

	put_devices(out, watch);
	for (i = 0; i < sizeof(families) / sizeof(*families); i++)
		put_family(out, watch, &families[i]);
	for (i = 0; i < sizeof(ring_metrics) / sizeof(*ring_metrics); i++) {
		put_head(out, ring_metrics[i].name, ring_metrics[i].type,
			 ring_metrics[i].help);
		each_ring(out, watch, ring_metrics[i].put, NULL);
	}
	put_workers(out, watch, false);
	put_workers(out, watch, true);
	put_interfaces(out, watch);
	return 0;
}
