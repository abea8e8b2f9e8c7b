// SPDX-License-Identifier: GPL-2.0-only
/*
 * What many devices of a /dev/vhost-net node cost: memory, threads, time and
 * wake-ups of idle ones, CPU time of the workers of busy ones, and how evenly these
 * share a processor. Variants take turns, in several rounds.
 *
 *   net_scale [-r ROUNDS] [-n DEVICES] NAME:NODE[:packed]...
 *
 * The first variant is what the others are compared with. There are no more than
 * DEVICES.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "median.h"
#include "net_scale.h"

#define NAME		"%-24s"

static int rounds = 3;			/* by -r */
static unsigned int most = PORTS_MAX;	/* by -n */
static struct port ports[PORTS_MAX];

static int failed(const char *what, unsigned int nr, const struct variant *v,
		  int ret)
{
	printf("%u %s, %s: %s\n", nr, what, v->name, strerror(-ret));
	return 1;
}

/* A figure of all variants, and its ratios. */
static void figures(const char *name, double (*val)[ROUNDS_MAX], int nr,
		    int digits, bool has_ratio)
{
	double mid[VARIANTS_MAX];

	printf(NAME, name);
	for (int i = 0; i < nr; i++) {
		mid[i] = median(val[i], rounds);
		printf(" %9.*f %9.*f", digits, val[i][0], digits, mid[i]);
	}
	for (int i = 1; i < nr && has_ratio; i++)
		printf(" %6.3f", mid[i] / mid[i - 1]);
	printf("\n");
}

static void idle_header(const struct variant *v, int nr)
{
	printf(NAME, "idle");
	for (int i = 0; i < nr; i++)
		printf(" %19s", v[i].name);
	for (int i = 1; i < nr; i++)
		printf("  %d / %d", i + 1, i);
	printf("\n" NAME, "");
	for (int i = 0; i < nr; i++)
		printf(" %9s %9s", "min", "median");
	printf("\n");
}

/* All rounds of so many devices, then their rows. */
static int idle_rows(unsigned int devices, const struct variant *v, int nr)
{
	double kib[VARIANTS_MAX][ROUNDS_MAX], threads[VARIANTS_MAX][ROUNDS_MAX],
	       opens[VARIANTS_MAX][ROUNDS_MAX], closes[VARIANTS_MAX][ROUNDS_MAX],
	       wakes[VARIANTS_MAX][ROUNDS_MAX];

	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < nr; i++) {
			struct idle_sample s = {};
			int ret;

			setenv("VHX_NODE", v[i].node, 1);
			ret = idle(ports, devices, &s);
			if (ret)
				return failed("idle", devices, &v[i], ret);
			kib[i][r] = s.kib;
			threads[i][r] = s.threads;
			opens[i][r] = s.open_us;
			closes[i][r] = s.close_us;
			wakes[i][r] = s.wakes;
		}
	printf("%u device%s\n", devices, devices > 1 ? "s" : "");
	figures("  KiB each", kib, nr, 1, true);
	figures("  threads each", threads, nr, 0, false);
	figures("  us to open and own one", opens, nr, 0, true);
	figures("  us to close one", closes, nr, 0, true);
	figures("  wake-ups in 5 s", wakes, nr, 0, false);
	fflush(stdout);
	return 0;
}

/* Idle rings are of no kind: one variant of each node. */
static int idle_table(const struct variant *all, int nr_all)
{
	static const unsigned int devices[] = { 1, 64, PORTS_MAX };
	struct variant v[VARIANTS_MAX];
	int nr = 0, ret = 0;

	for (int i = 0; i < nr_all; i++)
		if (!all[i].is_packed)
			v[nr++] = all[i];
	idle_header(v, nr);
	for (unsigned int i = 0; i < sizeof(devices) / sizeof(*devices); i++)
		if (devices[i] <= most)
			ret |= idle_rows(devices[i], v, nr);
	printf("\n");
	return ret;
}

static void busy_header(const struct variant *v, int nr)
{
	printf(NAME, "busy");
	for (int i = 0; i < nr; i++)
		printf(" %21s", v[i].name);
	for (int i = 1; i < nr; i++)
		printf("  %d / %d", i + 1, i);
	printf("\n" NAME, "devices");
	for (int i = 0; i < nr; i++)
		printf(" %6s %6s %7s", "min", "median", "max/min");
	printf("\n");
}

static void busy_row(unsigned int devices, int nr,
		     struct busy_sample (*s)[ROUNDS_MAX])
{
	double val[ROUNDS_MAX], mid[VARIANTS_MAX];
	char name[16];

	snprintf(name, sizeof(name), "%u", devices);
	printf(NAME, name);
	for (int i = 0; i < nr; i++) {
		for (int r = 0; r < rounds; r++)
			val[r] = s[i][r].worker;
		mid[i] = median(val, rounds);
		printf(" %6.0f %6.0f", val[0], mid[i]);
		for (int r = 0; r < rounds; r++)
			val[r] = s[i][r].spread;
		printf(" %7.3f", median(val, rounds));
	}
	for (int i = 1; i < nr; i++)
		printf(" %6.3f", mid[i] / mid[i - 1]);
	printf("\n");
	fflush(stdout);
}

static int busy_table(const struct variant *v, int nr)
{
	struct busy_sample s[VARIANTS_MAX][ROUNDS_MAX];

	busy_header(v, nr);
	for (unsigned int n = 1; n <= BUSY_MAX && n <= most; n *= 2) {
		for (int r = 0; r < rounds; r++)
			for (int i = 0; i < nr; i++) {
				uint64_t packed = v[i].is_packed ? F_PACKED : 0;
				int ret;

				setenv("VHX_NODE", v[i].node, 1);
				ret = busy(ports, n, BASE | packed, &s[i][r]);
				if (ret)
					return failed("busy", n, &v[i], ret);
			}
		busy_row(n, nr, s);
	}
	return 0;
}

static int options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "r:n:")) != -1) {
		if (opt == 'r')
			rounds = atoi(optarg);
		else if (opt == 'n')
			most = atoi(optarg);
		else
			return -EINVAL;
	}
	return rounds < 1 || rounds > ROUNDS_MAX || most < 1 ||
	       most > PORTS_MAX ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct sched_param fifo = { .sched_priority = 1 };
	struct variant v[VARIANTS_MAX];
	int nr = 0, ret;

	if (options(argc, argv))
		return 2;
	for (; optind < argc && nr < VARIANTS_MAX; optind++, nr++)
		if (variant_parse(&v[nr], argv[optind]))
			return 2;
	if (!nr || v[0].is_packed)
		return 2;
	/* A client is there at once for whoever calls, and no worker preempts it. */
	if (netns_enter() || sched_setscheduler(0, SCHED_FIFO |
						SCHED_RESET_ON_FORK, &fifo)) {
		perror("net_scale");
		return 1;
	}
	ret = ports_prepare(ports, most);
	if (ret) {
		printf("%u taps: %s\n", most, strerror(-ret));
		return 1;
	}
	ret = idle_table(v, nr);
	return ret | busy_table(v, nr);
}
