// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a packet costs the worker of a /dev/vhost-net node: CPU time of its
 * thread over packets. In a machine on which an instruction takes 1 ns (`vm run
 * -i`) that is instructions a packet. Variants take turns, in several rounds.
 *
 *   net_bench [-r ROUNDS] [-c CELL]... [-w FILE] NAME:NODE[:packed]...
 *
 * The first variant is what the others are compared with. A CELL is part of the name
 * of a row. With -w it is all of it, and FILE gets a line of each measurement for
 * where.py: row, variant, frames and the worker's time in ns.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net_bench.h"
#include "where_mark.h"

#define ROUNDS_MAX	32
#define WARM_UP		512	/* frames: what buffers are cut from had its turn */
#define ONLY_MAX	16
#define FRAMES		4096	/* a measurement, of bursts of BURST_MAX */

/* What one measurement found, a packet. */
struct sample {
	double worker;		/* ns; of a latency all that passes */
	double all;		/* ns, of the loop: driver, host and worker */
	double calls;
};

static const char *wanted[ONLY_MAX];	/* by -c; none: all rows */
static unsigned int nr_wanted;
static int rounds = 5;		/* by -r */
static FILE *where;		/* by -w */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int timed(struct bench *b, const char *name, struct sample *s)
{
	unsigned int bursts = FRAMES / BURST_MAX;
	unsigned int frames = bursts * b->cell->burst;
	int tid = worker_tid(getpid()), ret = 0;
	int64_t ns, all;

	for (unsigned int i = 0; i < WARM_UP / b->cell->burst && !ret; i++)
		ret = burst(b);
	poll(NULL, 0, 1);
	ns = worker_ns(tid);
	mark_begin();
	b->vq->calls = 0;
	all = now_ns();
	if (b->cell->is_stream)
		ret = stream(b, frames);
	for (unsigned int i = 0; i < bursts && !ret && !b->cell->is_stream; i++)
		ret = burst(b);
	all = now_ns() - all;
	/* the worker's last steps, to its sleep */
	poll(NULL, 0, 1);
	mark_end();
	ns = worker_ns(tid) - ns;
	s->worker = (double)ns / frames;
	s->all = (double)all / frames;
	s->calls = (double)b->vq->calls / frames;
	if (where)
		fprintf(where, "%s\t%s\t%u\t%lld\n", b->cell->name, name, frames,
			(long long)ns);
	return ret;
}

/* Return: 0, -EOPNOTSUPP: the node does not offer that, or another errno. */
static int measure(const struct cell *c, const struct variant *v,
		   struct sample *s)
{
	static struct bench b;
	int ret;

	memset(&b, 0, sizeof(b));
	b.cell = c;
	b.tap = -1;
	b.pkt = -1;
	ret = port_open(&b, v);
	if (!ret)
		ret = check(&b);
	if (!ret)
		ret = c->is_latency ? latency(&b, &s->worker) :
				      timed(&b, v->name, s);
	port_close(&b);
	return ret;
}

static int by_worker(const void *a, const void *b)
{
	double d = ((const struct sample *)a)->worker -
		   ((const struct sample *)b)->worker;

	return (d > 0) - (d < 0);
}

static int by_calls(const void *a, const void *b)
{
	double d = ((const struct sample *)a)->calls -
		   ((const struct sample *)b)->calls;

	return (d > 0) - (d < 0);
}

/* A row below that of a stream, whose samples it sorts anew. */
static void calls_row(struct sample (*s)[ROUNDS_MAX], const bool *has, int nr)
{
	printf("%-22s", "  calls a 1000");
	for (int i = 0; i < nr; i++) {
		if (!has[i]) {
			printf("%22s", "-");
			continue;
		}
		qsort(s[i], rounds, sizeof(**s), by_calls);
		printf(" %6.1f %6.1f        ", 1000 * s[i][0].calls,
		       1000 * s[i][rounds / 2].calls);
	}
	printf("\n");
}

/* All rounds of one kind of traffic: the variants in turn; then its row. */
static int row(const struct cell *c, const struct variant *v, int nr)
{
	struct sample s[VARIANTS_MAX][ROUNDS_MAX];
	double median[VARIANTS_MAX];
	bool has[VARIANTS_MAX];

	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < nr; i++) {
			int ret = measure(c, &v[i], &s[i][r]);

			has[i] = !ret;
			if (!ret || ret == -EOPNOTSUPP)
				continue;
			printf("%s, %s: %s\n", c->name, v[i].name,
			       strerror(-ret));
			return 1;
		}
	printf("%-22s", c->name);
	for (int i = 0; i < nr; i++) {
		if (!has[i]) {
			printf("%22s", "-");
			continue;
		}
		qsort(s[i], rounds, sizeof(**s), by_worker);
		median[i] = s[i][rounds / 2].worker;
		printf(" %6.0f %6.0f", s[i][0].worker, median[i]);
		if (c->is_latency)
			printf("%8s", "");
		else
			printf(" %7.0f", 1e6 / s[i][rounds / 2].all);
	}
	for (int i = 1; i < nr; i++) {
		if (has[i - 1] && has[i])
			printf(" %6.3f", median[i] / median[i - 1]);
		else
			printf(" %6s", "-");
	}
	printf("\n");
	if (c->is_stream)
		calls_row(s, has, nr);
	fflush(stdout);
	return 0;
}

static bool is_wanted(const struct cell *c)
{
	for (unsigned int i = 0; i < nr_wanted; i++)
		if (where ? !strcmp(c->name, wanted[i]) :
			    !!strstr(c->name, wanted[i]))
			return true;
	return !nr_wanted;
}

static void header(const struct variant *v, int nr)
{
	printf("%-22s", "");
	for (int i = 0; i < nr; i++)
		printf("%22s", v[i].name);
	for (int i = 1; i < nr; i++)
		printf("  %d / %d", i + 1, i);
	printf("\n%-22s", "");
	for (int i = 0; i < nr; i++)
		printf(" %6s %6s %7s", "min", "median", "kpps");
	printf("\n");
}

static int options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "r:c:w:")) != -1) {
		if (opt == 'r')
			rounds = atoi(optarg);
		else if (opt == 'c' && nr_wanted < ONLY_MAX)
			wanted[nr_wanted++] = optarg;
		else if (opt == 'w')
			where = fopen(optarg, "w");
		else
			return -EINVAL;
		if (opt == 'w' && !where)
			return -errno;
	}
	return rounds < 1 || rounds > ROUNDS_MAX ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct sched_param fifo = { .sched_priority = 1 };
	struct variant v[VARIANTS_MAX];
	int nr = 0, failed = 0;

	if (options(argc, argv))
		return 2;
	for (; optind < argc && nr < VARIANTS_MAX; optind++, nr++)
		if (variant_parse(&v[nr], argv[optind]))
			return 2;
	if (!nr)
		return 2;
	/* Bursts reach a worker on the same CPU whole: it does not preempt. */
	if (netns_enter() || sched_setscheduler(0, SCHED_FIFO |
						SCHED_RESET_ON_FORK, &fifo)) {
		perror("net_bench");
		return 1;
	}
	header(v, nr);
	for (unsigned int i = 0; i < nr_cells; i++)
		if (is_wanted(&cells[i]))
			failed |= row(&cells[i], v, nr);
	if (where && fclose(where))
		failed = 1;
	return failed;
}
