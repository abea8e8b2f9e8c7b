/* SPDX-License-Identifier: GPL-2.0-only */
/* What /proc/PID/fdinfo/FD says: of a node of vhx_net, or of a tap. */
#ifndef FDINFO_H
#define FDINFO_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_RX, RING_TX, RINGS };

#define FDINFO_CAUSES	16	/* causes that one ring may have stopped for */
#define FDINFO_BUCKETS	64	/* of a histogram: powers of two */

/* What libvhx alone drops for: libvhx(3). */
#define LIBRARY_DROPS(X) \
	X(drop_pkt_room) X(drop_offload) X(drop_disabled) X(drop_share)

/* Counters of a ring, by the names that the kernel and libvhx give them. */
#define RING_COUNTERS(X) \
	X(frames) X(bytes) X(bursts) \
	X(burst_1) X(burst_2) X(burst_4) X(burst_8) X(burst_16) X(burst_32) \
	X(burst_64) \
	X(kicks) X(kicks_empty) X(calls) X(calls_saved) X(errors) \
	X(runs) X(sleeps) \
	X(guest_waits) X(guest_wait_ns) X(host_waits) X(host_wait_ns) \
	X(gso) X(csum) X(dirty_pages) \
	X(drop_short) X(drop_long) X(drop_writable) X(drop_header) \
	X(drop_refused) X(drop_gone) X(drop_room) X(drop_fault) X(drop_nomem) \
	LIBRARY_DROPS(X) \
	X(polls) X(poll_hits) X(poll_ns) X(poll_skips) X(poll_auto) \
	X(iotlb_waits) X(iotlb_misses) X(iotlb_hits) X(retries) \
	X(iotlb_found)

#define COUNTER_FIELD(name)	uint64_t name;
struct counters {
	RING_COUNTERS(COUNTER_FIELD)
};

#undef COUNTER_FIELD

#define COUNTERS	(sizeof(struct counters) / sizeof(uint64_t))

#define BURST_BUCKETS	7	/* burst_1 to burst_64 */
#define DROP_REASONS	13	/* drop_short to drop_share */

extern const char *const counter_names[COUNTERS];
extern const unsigned int counter_first_burst, counter_first_drop;

#define COUNTER_INDEX(name)	(offsetof(struct counters, name) / sizeof(uint64_t))

enum ring_state { RING_UNKNOWN, RING_STOPPED, RING_RUNNING, RING_FAILED };

/**
 * struct stop - how often a ring stopped for a cause
 * @cause: its name
 * @nr: how often
 */
struct stop {
	char cause[32];
	uint64_t nr;
};

/**
 * struct ring - what the kernel says of a ring
 * @state: whether it runs
 * @cause: why it failed last, or ""
 * @format: split or packed, or ""
 * @backend: kind of its backend, or ""
 * @ifname: interface of that, or ""
 * @size: entries; 0: unknown
 * @queue: of the interface; -1: unknown
 * @worker: tid of its worker; 0: none
 * @counters: since the device has an owner
 * @told: which of these it tells: bit n of the n-th
 * @stops: how often it stopped, by cause
 * @nr_stops: how many of these there are
 * @pickup: kicks by the time until the worker began: [n] is from 2^n ns on
 * @publish: bursts by the time from readiness to used entries, the same
 */
struct ring {
	enum ring_state state;
	char cause[80];
	char format[16];
	char backend[16];
	char ifname[IF_NAMESIZE];
	unsigned int size;
	int queue;
	int worker;
	struct counters counters;
	uint64_t told;
	struct stop stops[FDINFO_CAUSES];
	unsigned int nr_stops;
	uint64_t pickup[FDINFO_BUCKETS];
	uint64_t publish[FDINFO_BUCKETS];
};

/**
 * struct fdinfo - what the kernel says of an open file
 * @is_vhx: of a device of vhx_net; else nothing below but @tap is set
 * @owner: pid of the owner; 0: none
 * @features: names of what guest and device agreed on, with blanks between
 * @has_latency: whether latencies are measured
 * @ring: both rings
 * @tap: interface of a tap's queue, or ""
 */
struct fdinfo {
	bool is_vhx;
	int owner;
	char features[400];
	bool has_latency;
	struct ring ring[RINGS];
	char tap[IF_NAMESIZE];
};

/* Whether it is told; where not, it is 0, and not known. */
static inline bool ring_tells(const struct ring *ring, size_t counter)
{
	return ring->told >> counter & 1;
}

extern const char *const ring_names[RINGS];

void fdinfo_parse_ring(struct ring *ring, const char *key, const char *val);
void fdinfo_parse(struct fdinfo *info, const char *text);
int fdinfo_read(struct fdinfo *info, int pid, int fd);
const char *fdinfo_state(enum ring_state state);

#endif /* FDINFO_H */
