// SPDX-License-Identifier: GPL-2.0-only
/* What the workers of a device take: CPU time, and what perf counts. */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/perf_event.h>

#include "net_bench.h"

/* What a read() of a group of counters gives. */
struct group {
	uint64_t nr, enabled, running;	/* the last two in ns */
	uint64_t value[COUNTERS];
};

/* In the order of sample.count. */
static const uint64_t events[COUNTERS] = {
	PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_CPU_CYCLES,
};

static int perf_open(int tid, unsigned int i, int leader)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE, .size = sizeof(attr),
		.config = events[i],
		.read_format = PERF_FORMAT_GROUP |
			       PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	int fd = syscall(SYS_perf_event_open, &attr, tid, -1, leader,
			 PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void perf_close(int *fd)
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

/* All of them or none. Return: 0 or -errno. */
static int perf_open_all(int tid, int *fd)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		fd[i] = -1;
	for (unsigned int i = 0; i < COUNTERS; i++) {
		int ret = perf_open(tid, i, fd[0]);

		if (ret < 0) {
			perf_close(fd);
			return ret;
		}
		fd[i] = ret;
	}
	return 0;
}

/* Return: 0: this machine counts, or -errno. */
int usage_probe(void)
{
	int fd[COUNTERS];
	int ret = perf_open_all(0, fd);

	perf_close(fd);
	return ret;
}

/*
 * Finds the workers of this process's device, and binds them.
 * @cpu: or -1
 * Return: 0 or -errno: -ESRCH when there is none
 */
int usage_open(struct workers *w, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET(cpu, &set);
	for (w->nr = 0; w->nr < WORKERS_MAX; w->nr++) {
		int tid = worker_tid_of(getpid(), w->nr);

		if (tid < 0)
			break;
		if (cpu >= 0 && sched_setaffinity(tid, sizeof(set), &set))
			return -errno;
		w->tid[w->nr] = tid;
		perf_open_all(tid, w->perf[w->nr]);
	}
	return w->nr ? 0 : -ESRCH;
}

static void perf_read(int fd, uint64_t *was)
{
	struct group g;

	memset(&g, 0, sizeof(g));
	if (fd >= 0 && read(fd, &g, sizeof(g)) == sizeof(g))
		memcpy(was, &g.enabled, (2 + COUNTERS) * sizeof(*was));
}

void usage_begin(struct workers *w)
{
	for (unsigned int i = 0; i < w->nr; i++) {
		perf_read(w->perf[i][0], w->was[i]);
		w->ns[i] = worker_ns(w->tid[i]);
	}
}

/* A counter that shared its hardware with others stood still in between. */
static void count_add(struct workers *w, unsigned int i, struct sample *s,
		      unsigned int frames)
{
	uint64_t now[2 + COUNTERS] = {};
	double enabled, running;

	perf_read(w->perf[i][0], now);
	enabled = now[0] - w->was[i][0];
	running = now[1] - w->was[i][1];
	for (unsigned int c = 0; c < COUNTERS; c++) {
		double n = now[2 + c] - w->was[i][2 + c];

		if (w->perf[i][0] < 0 || (enabled && !running))
			s->count[c] = NAN;
		else if (running)
			s->count[c] += n * enabled / running / frames;
	}
}

/* What they took since usage_begin(), a frame. */
void usage_end(struct workers *w, struct sample *s, unsigned int frames)
{
	s->worker = 0;
	memset(s->count, 0, sizeof(s->count));
	for (unsigned int i = 0; i < w->nr; i++) {
		s->worker += (double)(worker_ns(w->tid[i]) - w->ns[i]) / frames;
		count_add(w, i, s, frames);
	}
}

void usage_close(struct workers *w)
{
	for (unsigned int i = 0; i < w->nr; i++)
		perf_close(w->perf[i]);
}
