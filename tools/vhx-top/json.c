// SPDX-License-Identifier: GPL-2.0-only
/* As JSON; vhx-top(8) has the schema. What is not known is null. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"

static void put_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, *text ? json_object_new_string(text) :
			       NULL);
}

static void put_number(struct json_object *to, const char *key, uint64_t val)
{
	json_object_object_add(to, key, json_object_new_uint64(val));
}

static void put_rate(struct json_object *to, const char *key, double val,
		     bool is_known)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", val);
	json_object_object_add(to, key, is_known ?
			       json_object_new_double_s(val, text) : NULL);
}

static void put_features(struct json_object *to, const char *features)
{
	struct json_object *list = json_object_new_array();
	const char *word = features;
	size_t len;

	for (; *word; word += len + (word[len] == ' ')) {
		len = strcspn(word, " ");
		if (len)
			json_object_array_add(list, json_object_new_string_len(word, (int)len));
	}
	json_object_object_add(to, "features", list);
}

static struct json_object *counters_of(const struct ring *ring)
{
	const uint64_t *counters = (const uint64_t *)&ring->counters;
	struct json_object *to = json_object_new_object();
	char key[48];
	unsigned int i;

	for (i = 0; i < COUNTERS; i++)
		json_object_object_add(to, counter_names[i], ring_tells(ring, i) ?
				       json_object_new_uint64(counters[i]) : NULL);
	for (i = 0; i < ring->nr_stops; i++) {
		snprintf(key, sizeof(key), "stop_%s", ring->stops[i].cause);
		put_number(to, key, ring->stops[i].nr);
	}
	return to;
}

static struct json_object *buckets_of(const uint64_t *buckets)
{
	struct json_object *to = json_object_new_object();
	char key[24];
	unsigned int i;

	for (i = 0; i < FDINFO_BUCKETS; i++) {
		snprintf(key, sizeof(key), "%llu", 1ULL << i);
		if (buckets[i])
			put_number(to, key, buckets[i]);
	}
	return to;
}

static struct json_object *worker_of(const struct task *task,
				     const struct task_rate *rate)
{
	struct json_object *to;

	if (!task->tid)
		return NULL;
	to = json_object_new_object();
	put_number(to, "tid", (uint64_t)task->tid);
	put_text(to, "name", task->name);
	json_object_object_add(to, "kthread", json_object_new_boolean(task->is_kthread));
	put_number(to, "cpu", (uint64_t)task->cpu);
	put_rate(to, "cpu_share", rate->run, rate->is_known);
	put_rate(to, "wait_share", rate->wait, rate->has_wait);
	put_number(to, "run_ns", task->run_ns);
	json_object_object_add(to, "wait_ns", task->has_wait ?
			       json_object_new_uint64(task->wait_ns) : NULL);
	return to;
}

static void put_drops(struct json_object *to, const struct ring *ring,
		      const struct ring_rate *rate)
{
	const uint64_t *drops = (const uint64_t *)&rate->diff + counter_first_drop;
	struct json_object *list = json_object_new_object();
	unsigned int i;

	for (i = 0; i < DROP_REASONS; i++)
		if (ring_tells(ring, counter_first_drop + i))
			put_number(list, counter_names[counter_first_drop + i] +
				   strlen("drop_"), drops[i]);
	json_object_object_add(to, "dropped", list);
}

static bool is_told(const struct ring *ring, const struct ring_rate *rate,
		    size_t counter)
{
	return rate->is_known && ring_tells(ring, counter);
}

static void put_rates(struct json_object *to, const struct ring *ring,
		      const struct ring_rate *rate)
{
	put_rate(to, "frames_per_s", rate->frames, rate->has_frames);
	put_rate(to, "bytes_per_s", rate->bytes, rate->has_frames);
	put_rate(to, "frames_per_burst", rate->burst, rate->is_known);
	put_rate(to, "kicks_per_frame", rate->kicks, rate->is_known);
	put_rate(to, "calls_per_frame", rate->calls, rate->is_known);
	put_rate(to, "drops_per_s", rate->drops, rate->is_known);
	put_rate(to, "iotlb_misses_per_s", rate->misses, rate->is_known);
	put_rate(to, "guest_wait_share", rate->guest_wait, rate->is_known);
	put_rate(to, "host_wait_share", rate->host_wait,
		 is_told(ring, rate, COUNTER_INDEX(host_wait_ns)));
	put_rate(to, "poll_share", rate->poll,
		 is_told(ring, rate, COUNTER_INDEX(poll_ns)));
	if (rate->is_known)
		put_drops(to, ring, rate);
}

static struct json_object *ring_of(const struct view *view, unsigned int i)
{
	const struct ring *ring = &view->device->info.ring[i];
	struct json_object *to = json_object_new_object();

	put_text(to, "verdict", verdict_name(view->ring[i].verdict));
	put_text(to, "why", view->ring[i].why);
	put_text(to, "state", fdinfo_state(ring->state));
	put_text(to, "cause", ring->cause);
	put_text(to, "format", ring->format);
	json_object_object_add(to, "size", ring->size ?
			       json_object_new_uint64(ring->size) : NULL);
	put_text(to, "backend", ring->backend);
	put_text(to, "ifname", ring->ifname);
	json_object_object_add(to, "queue", ring->queue < 0 ? NULL :
			       json_object_new_int(ring->queue));
	json_object_object_add(to, "worker", worker_of(&view->device->worker[i],
						       &view->rate.worker[i]));
	put_rates(to, ring, &view->rate.ring[i]);
	if (device_counts(view->device))
		json_object_object_add(to, "counters", counters_of(ring));
	if (view->device->kind != DEVICE_VHX)
		return to;
	json_object_object_add(to, "pickup_ns", buckets_of(ring->pickup));
	json_object_object_add(to, "publish_ns", buckets_of(ring->publish));
	return to;
}

static struct json_object *interface_of(const struct view *view)
{
	const struct netdev *net = &view->device->net;
	struct json_object *to;

	if (!net->is_known)
		return NULL;
	to = json_object_new_object();
	put_number(to, "from_guest_frames", net->rx_frames);
	put_number(to, "from_guest_bytes", net->rx_bytes);
	put_number(to, "from_guest_drops", net->rx_drops);
	put_number(to, "to_guest_frames", net->tx_frames);
	put_number(to, "to_guest_bytes", net->tx_bytes);
	put_number(to, "to_guest_drops", net->tx_drops);
	return to;
}

static bool has_descriptor(const struct device *device)
{
	return device->kind == DEVICE_VHX || device->kind == DEVICE_IN_TREE;
}

static struct json_object *device_of(const struct view *view)
{
	const struct device *device = view->device;
	struct json_object *to = json_object_new_object();
	unsigned int i;

	put_text(to, "vm", device->vm);
	put_number(to, "pid", (uint64_t)device->pid);
	json_object_object_add(to, "fd", has_descriptor(device) ?
			       json_object_new_int(device->fd) : NULL);
	put_text(to, "kind", device_kind(device->kind));
	put_text(to, "node", device->node);
	put_text(to, "verdict", verdict_name(view->all.verdict));
	put_text(to, "why", view->all.why);
	if (device->kind == DEVICE_VHX) {
		put_features(to, device->info.features);
		json_object_object_add(to, "latency",
				       json_object_new_boolean(device->info.has_latency));
	}
	json_object_object_add(to, "interface", interface_of(view));
	for (i = 0; i < RINGS; i++)
		json_object_object_add(to, ring_names[i], ring_of(view, i));
	return to;
}

/**
 * json_put - print all devices
 * @out: where to
 * @watch: two looks at them
 *
 * Return: 0, -ENOMEM
 */
int json_put(FILE *out, const struct watch *watch)
{
	struct json_object *to = json_object_new_object();
	struct json_object *list = json_object_new_array();
	size_t i;

	if (!to || !list)
		return -ENOMEM;
	put_number(to, "time", (uint64_t)time(NULL));
	put_rate(to, "seconds", watch->seconds, true);
	json_object_object_add(to, "schedstat", json_object_new_boolean(watch->has_times));
	for (i = 0; i < watch->nr; i++)
		json_object_array_add(list, device_of(&watch->views[i]));
	json_object_object_add(to, "devices", list);
	fprintf(out, "%s\n", json_object_to_json_string_ext(to, JSON_C_TO_STRING_PRETTY |
		JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(to);
	return 0;
}
