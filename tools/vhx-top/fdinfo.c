// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines of fdinfo. A key that is not known here is of a newer module, one that is
 * not there is 0: neither is an error.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fdinfo.h"
#include "text.h"
#include "tree.h"

#define TEXT_MAX	32768	/* bytes of a file of fdinfo */
#define PREFIX		"vhx-"

#define COUNTER_NAME(name)	#name,
const char *const counter_names[COUNTERS] = {
	RING_COUNTERS(COUNTER_NAME)
};

#undef COUNTER_NAME

const unsigned int counter_first_burst = COUNTER_INDEX(burst_1);
const unsigned int counter_first_drop = COUNTER_INDEX(drop_short);

#define BIT_OF(name)	1ULL << COUNTER_INDEX(name) |
/* The kernel has none of these, and what it does not say is 0. */
static const uint64_t of_library = LIBRARY_DROPS(BIT_OF) BIT_OF(iotlb_found) 0;

static_assert(COUNTERS <= 64, "a bit for each");

const char *const ring_names[RINGS] = { [RING_RX] = "rx", [RING_TX] = "tx" };

static const char *const state_names[] = {
	[RING_UNKNOWN] = "unknown", [RING_STOPPED] = "stopped",
	[RING_RUNNING] = "running", [RING_FAILED] = "failed",
};

/* Return: the state in the kernel's words */
const char *fdinfo_state(enum ring_state state)
{
	return state_names[state];
}

static enum ring_state state_of(const char *val)
{
	unsigned int i;

	for (i = RING_STOPPED; i <= RING_FAILED; i++)
		if (!strcmp(val, state_names[i]))
			return i;
	return RING_UNKNOWN;
}

static uint64_t number(const char *val)
{
	return strtoull(val, NULL, 10);
}

static int small_number(const char *val)
{
	uint64_t n = number(val);

	return n > INT32_MAX ? 0 : (int)n;
}

/* Of a ring that was not set up it is 1. */
static unsigned int size_of(const char *val)
{
	int size = small_number(val);

	return size > 1 ? (unsigned int)size : 0;
}

/* Return: what stands behind a prefix, or NULL */
static const char *behind(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key, prefix, len) ? NULL : key + len;
}

static void add_stop(struct ring *ring, const char *cause, uint64_t nr)
{
	struct stop *stop;

	if (ring->nr_stops == FDINFO_CAUSES)
		return;
	stop = &ring->stops[ring->nr_stops++];
	text_clean(stop->cause, sizeof(stop->cause), cause);
	stop->nr = nr;
}

/* A bucket is named by its lower end in ns, a power of two. */
static void add_bucket(uint64_t *buckets, const char *end, uint64_t nr)
{
	uint64_t ns = number(end);

	if (ns)
		buckets[63 - __builtin_clzll(ns)] += nr;
}

static void parse_counter(struct ring *ring, const char *key, uint64_t val)
{
	uint64_t *counters = (uint64_t *)&ring->counters;
	const char *rest;
	unsigned int i;

	rest = behind(key, "stop_");
	if (rest)
		add_stop(ring, rest, val);
	rest = behind(key, "pickup_");
	if (rest)
		add_bucket(ring->pickup, rest, val);
	rest = behind(key, "publish_");
	if (rest)
		add_bucket(ring->publish, rest, val);
	for (i = 0; i < COUNTERS; i++)
		if (!strcmp(key, counter_names[i]))
			break;
	if (i == COUNTERS)
		return;
	counters[i] = val;
	ring->told |= 1ULL << i;
}

/**
 * fdinfo_parse_ring - what a key says of a ring
 * @ring: is filled
 * @key: its name, without that of the ring
 * @val: its value
 */
void fdinfo_parse_ring(struct ring *ring, const char *key, const char *val)
{
	if (!strcmp(key, "state"))
		ring->state = state_of(val);
	else if (!strcmp(key, "cause"))
		text_clean(ring->cause, sizeof(ring->cause), val);
	else if (!strcmp(key, "format"))
		text_clean(ring->format, sizeof(ring->format), val);
	else if (!strcmp(key, "backend"))
		text_clean(ring->backend, sizeof(ring->backend), val);
	else if (!strcmp(key, "ifname"))
		text_clean(ring->ifname, sizeof(ring->ifname), val);
	else if (!strcmp(key, "size"))
		ring->size = size_of(val);
	else if (!strcmp(key, "queue"))
		ring->queue = small_number(val);
	else if (!strcmp(key, "worker"))
		ring->worker = small_number(val);
	else
		parse_counter(ring, key, number(val));
}

static void parse_device(struct fdinfo *info, const char *key, const char *val)
{
	const char *rest;
	unsigned int i;

	info->is_vhx = true;
	for (i = 0; i < RINGS; i++) {
		rest = behind(key, ring_names[i]);
		if (rest && *rest == '-') {
			fdinfo_parse_ring(&info->ring[i], rest + 1, val);
			return;
		}
	}
	if (!strcmp(key, "owner"))
		info->owner = small_number(val);
	else if (!strcmp(key, "features"))
		text_clean(info->features, sizeof(info->features), val);
	else if (!strcmp(key, "latency"))
		info->has_latency = number(val);
}

static void parse_line(struct fdinfo *info, char *line)
{
	char *val = strchr(line, ':');
	const char *key;
	char *end;

	if (!val)
		return;
	*val++ = 0;
	val += strspn(val, " \t");
	for (end = val + strlen(val); end > val && end[-1] == ' '; end--)
		end[-1] = 0;
	key = behind(line, PREFIX);
	if (key)
		parse_device(info, key, val);
	else if (!strcmp(line, "iff"))
		text_clean(info->tap, sizeof(info->tap), val);
}

/**
 * fdinfo_parse - what the lines of a file say
 * @info: is filled; nothing in it is kept
 * @text: lines of "KEY:\tVALUE"
 */
void fdinfo_parse(struct fdinfo *info, const char *text)
{
	char line[512];
	size_t len;
	int i;

	memset(info, 0, sizeof(*info));
	for (i = 0; i < RINGS; i++)
		info->ring[i].queue = -1;
	for (; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len >= sizeof(line))
			continue;
		memcpy(line, text, len);
		line[len] = 0;
		parse_line(info, line);
	}
	for (i = 0; info->is_vhx && i < RINGS; i++)
		info->ring[i].told = ~of_library;
}

/**
 * fdinfo_read - what the kernel says of a descriptor
 * @info: is filled
 * @pid: of the process
 * @fd: descriptor of that
 *
 * Return: 0 or -errno
 */
int fdinfo_read(struct fdinfo *info, int pid, int fd)
{
	char text[TEXT_MAX];
	ssize_t len = tree_read(text, sizeof(text), "/proc/%d/fdinfo/%d", pid, fd);

	fdinfo_parse(info, text);
	return len < 0 ? (int)len : 0;
}
