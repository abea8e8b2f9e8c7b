// SPDX-License-Identifier: GPL-2.0-only
/* What devices take that have an owner, memory, rings and a tap, and nothing to do. */
#include <poll.h>
#include <stdio.h>

#include "net_scale.h"

#define WORKERS_MAX	(4 * PORTS_MAX)
#define SETTLE_MS	1000	/* what is freed after a grace period is by then */

/* Return: free memory in KiB, with the pages that processors keep for themselves. */
static double free_kib(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	unsigned long n, pages = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " pages free %lu", &n) == 1 ||
		    sscanf(line, " count: %lu", &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return pages * 4.0;
}

/* Return: how often a thread was switched out, or 0 if it is none. */
static double switches(int tid)
{
	unsigned long n, sum = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lu", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	return sum;
}

/* Threads, and how often they wake up. */
static void watch(unsigned int nr, struct idle_sample *s)
{
	static int tid[WORKERS_MAX];
	unsigned int threads = workers(tid, WORKERS_MAX);

	s->threads = (double)threads / nr;
	s->wakes = 0;
	for (unsigned int i = 0; i < threads && i < WORKERS_MAX; i++)
		s->wakes -= switches(tid[i]);
	poll(NULL, 0, IDLE_SECS * 1000);
	for (unsigned int i = 0; i < threads && i < WORKERS_MAX; i++)
		s->wakes += switches(tid[i]);
}

/* Return: 0 or -errno; either way no device is left. */
int idle(struct port *p, unsigned int nr, struct idle_sample *s)
{
	unsigned int owned, started;
	int ret = 0, gone;
	double before;
	int64_t ns;

	poll(NULL, 0, SETTLE_MS);
	before = free_kib();
	ns = now_ns();
	for (owned = 0; owned < nr && !ret; owned++)
		ret = port_own(&p[owned]);
	s->open_us = (now_ns() - ns) / 1e3 / nr;
	for (started = 0; started < nr && !ret; started++)
		ret = port_start(&p[started], BASE);
	if (!ret) {
		poll(NULL, 0, SETTLE_MS);
		s->kib = (before - free_kib()) / nr;
		watch(nr, s);
	}
	ns = now_ns();
	for (unsigned int i = 0; i < owned; i++)
		port_leave(&p[i]);
	s->close_us = (now_ns() - ns) / 1e3 / nr;
	gone = workers_leave();
	return ret ? ret : gone;
}
