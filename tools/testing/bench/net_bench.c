// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a packet costs the worker of a /dev/vhost-net node: CPU time of its
 * thread over packets. In a machine on which an instruction takes 1 ns (`vm run
 * -i`) that is instructions a packet. Variants take turns, in several rounds.
 *
 *   net_bench [-r ROUNDS] [-c CELL]... [-x CELL]... [-w FILE] [-t MS]
 *	[-p DRIVER,WORKER] NAME:NODE[:packed]...
 *
 * The first variant is what the others are compared with. A CELL is part of the name
 * of a row: -c for those that are wanted, -x for those that are not. With -w it is
 * all of it, and FILE gets a line of each measurement for where.py: row, variant,
 * frames and the worker's time in ns. With -t it is by the clock: a measurement takes
 * so long, rounds go A B B A, figures have quartiles, and perf counts where it can.
 * -p names the CPU of the driver, on which the host's side of a tap runs as well, and
 * that of the worker.
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

#define WARM_UP		512	/* frames: what buffers are cut from had its turn */
#define ONLY_MAX	16
#define FRAMES		4096	/* a measurement, of bursts of BURST_MAX */

/* Parts of names of rows. */
struct names {
	const char *part[ONLY_MAX];
	unsigned int nr;
};

static struct names wanted, unwanted;	/* by -c and -x */
static int rounds = 5;		/* by -r */
static FILE *where;		/* by -w */
static int clock_ms;		/* by -t; 0: not by the clock */
static int driver_cpu = -1, worker_cpu = -1;	/* by -p */
static bool has_counters;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Return: bursts that make a measurement, or -errno. */
static int warm_up(struct bench *b)
{
	int64_t from = now_ns(), ns;
	int nr = 0, ret;

	do {
		ret = burst(b);
		nr++;
		ns = now_ns() - from;
	} while (!ret && (nr * b->cell->burst < WARM_UP ||
			  ns < clock_ms * 1000000LL / 4));
	if (ret)
		return ret;
	return clock_ms ? nr * (clock_ms * 1e6 / ns) + 1 : FRAMES / BURST_MAX;
}

static int timed(struct bench *b, const char *name, struct sample *s)
{
	int bursts = warm_up(b), ret = bursts < 0 ? bursts : 0;
	unsigned int frames = bursts * b->cell->burst;
	int64_t all;

	if (ret)
		return ret;
	poll(NULL, 0, 1);
	usage_begin(&b->workers);
	mark_begin();
	b->vq->calls = 0;
	all = now_ns();
	if (b->cell->is_stream)
		ret = stream(b, frames);
	for (int i = 0; i < bursts && !ret && !b->cell->is_stream; i++)
		ret = burst(b);
	all = now_ns() - all;
	/* the worker's last steps, to its sleep */
	poll(NULL, 0, 1);
	mark_end();
	usage_end(&b->workers, s, frames);
	s->all = (double)all / frames;
	s->calls = (double)b->vq->calls / frames;
	if (where)
		fprintf(where, "%s\t%s\t%u\t%.0f\n", b->cell->name, name, frames,
			s->worker * frames);
	/* a kernel that keeps no CPU times */
	return ret || s->worker > 0 ? ret : -ENODATA;
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
	b.is_pinned = worker_cpu != driver_cpu;
	ret = port_open(&b, v);
	if (!ret)
		ret = usage_open(&b.workers, worker_cpu);
	if (!ret)
		ret = check(&b);
	if (!ret)
		ret = c->is_latency ? latency(&b, &s->worker) :
				      timed(&b, v->name, s);
	usage_close(&b.workers);
	port_close(&b);
	return ret;
}

/* All rounds of one kind of traffic: the variants in turn; then its row. */
static int row(const struct cell *c, const struct variant *v, int nr)
{
	static struct row found;

	found = (struct row){ .cell = c, .v = v, .nr = nr, .rounds = rounds };
	for (int r = 0; r < rounds; r++)
		for (int k = 0; k < nr; k++) {
			int i = clock_ms && r % 2 ? nr - 1 - k : k;
			int ret = measure(c, &v[i], &found.s[i][r]);

			found.has[i] = !ret;
			if (!ret || ret == -EOPNOTSUPP)
				continue;
			printf("%s, %s: %s\n", c->name, v[i].name,
			       strerror(-ret));
			return 1;
		}
	if (clock_ms)
		clock_row(&found, has_counters);
	else
		table_row(&found);
	return 0;
}

static bool is_among(const struct names *names, const struct cell *c)
{
	for (unsigned int i = 0; i < names->nr; i++)
		if (where ? !strcmp(c->name, names->part[i]) :
			    !!strstr(c->name, names->part[i]))
			return true;
	return false;
}

static bool is_wanted(const struct cell *c)
{
	return (!wanted.nr || is_among(&wanted, c)) && !is_among(&unwanted, c);
}

static void name_add(struct names *names, const char *part)
{
	if (names->nr < ONLY_MAX)
		names->part[names->nr++] = part;
}

static int options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "r:c:x:w:t:p:")) != -1) {
		if (opt == 'r')
			rounds = atoi(optarg);
		else if (opt == 'c')
			name_add(&wanted, optarg);
		else if (opt == 'x')
			name_add(&unwanted, optarg);
		else if (opt == 'w')
			where = fopen(optarg, "w");
		else if (opt == 't')
			clock_ms = atoi(optarg);
		else if (opt != 'p' || sscanf(optarg, "%d,%d", &driver_cpu,
					      &worker_cpu) != 2)
			return -EINVAL;
		if (opt == 'w' && !where)
			return -errno;
	}
	return rounds < 1 || rounds > ROUNDS_MAX || clock_ms < 0 ? -EINVAL : 0;
}

/* A place of its own for the driver, and for what it makes. */
static int settle(void)
{
	struct sched_param fifo = { .sched_priority = 1 };
	cpu_set_t set;

	CPU_ZERO(&set);
	if (driver_cpu >= 0)
		CPU_SET(driver_cpu, &set);
	if (netns_enter())
		return -errno;
	if (driver_cpu >= 0 && sched_setaffinity(0, sizeof(set), &set))
		return -errno;
	/* Bursts reach a worker on the same CPU whole: it does not preempt. */
	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &fifo) ?
		-errno : 0;
}

static void header(const struct variant *v, int nr)
{
	int ret;

	if (!clock_ms) {
		table_header(v, nr);
		return;
	}
	ret = usage_probe();
	has_counters = !ret;
	if (ret)
		printf("no counters of instructions and cycles here: perf_event_open(): %s\n",
		       strerror(-ret));
	clock_header(has_counters);
}

int main(int argc, char **argv)
{
	struct variant v[VARIANTS_MAX];
	int nr = 0, rows = 0, failed = 0;

	if (options(argc, argv))
		return 2;
	for (; optind < argc && nr < VARIANTS_MAX; optind++, nr++)
		if (variant_parse(&v[nr], argv[optind]))
			return 2;
	if (!nr)
		return 2;
	if (settle()) {
		perror("net_bench");
		return 1;
	}
	header(v, nr);
	for (unsigned int i = 0; i < nr_cells; i++) {
		if (!is_wanted(&cells[i]))
			continue;
		rows++;
		failed |= row(&cells[i], v, nr);
	}
	if (!rows) {
		fprintf(stderr, "net_bench: no row has such a name\n");
		return 2;
	}
	if (where && fclose(where))
		failed = 1;
	return failed;
}
