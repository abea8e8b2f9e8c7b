// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a switch moves between two guests, how long a frame takes, and what it costs
 * the CPU, beside another switch: one of them runs at a time, in turns A B B A.
 * While frames move, both sides have real-time scheduling. switch.sh starts the
 * switches.
 *
 *   switch_bench [-r ROUNDS] [-c CELL] NAME:PID:PORT:PORT...
 *
 * A port is a vhost-user socket, or NODE=TAP of /dev/vhost-net: then PID is 0, and
 * what moves frames are threads that the kernel gives this process (Linux 6.4).
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "median.h"
#include "switch_bench.h"

#define ROUNDS_MAX	128
#define SIDES		2
#define BASE		(F_V1 | F_MRG | F_EVENT)
#define ROOM		1536

#define WARM_UP_NS	20000000
#define STREAM_NS	200000000
#define PINGS		250
#define PACE_NS		500000000
#define SETTLE_US	20000	/* a turn */
#define LEAVE_US	100000	/* until a switch knows that a guest left */
#define FLOOR_NS	1000	/* of CPU time: less is as much */
#define STRADDLE	0.05	/* quartiles around 1 that far apart say nothing */

enum kind { STREAM, PING, PACE };

static const char *const unit[] = {
	"million/s", "us", "% of core",
};

/**
 * struct row - one measurement
 * @name: by which it is chosen
 * @kind: what is measured
 * @gap_ns: between two frames or bursts; PACE: 0: no frame
 * @cell: how the guests are
 */
struct row {
	const char *name;
	enum kind kind;
	uint64_t gap_ns;
	struct cell cell;
};

#define SPLIT(bytes, burst) \
	{ "split", BASE, &one_piece, bytes, ROOM, burst }
#define PACKED(bytes, burst) \
	{ "packed", BASE | F_PACKED, &one_piece, bytes, ROOM, burst }

static const struct row rows[] = {
	{ "rate, split 64", STREAM, 0, SPLIT(64, BATCH) },
	{ "rate, split 1500", STREAM, 0, SPLIT(1500, BATCH) },
	{ "rate, packed 64", STREAM, 0, PACKED(64, BATCH) },
	{ "rate, packed 1500", STREAM, 0, PACKED(1500, BATCH) },
	{ "latency, split 64", PING, 0, SPLIT(64, 1) },
	{ "latency, split 1500", PING, 0, SPLIT(1500, 1) },
	{ "latency, packed 64", PING, 0, PACKED(64, 1) },
	{ "latency, packed 1500", PING, 0, PACKED(1500, 1) },
	{ "latency after 1 ms, split 64", PING, 1000000, SPLIT(64, 1) },
	{ "latency after 1 ms, packed 64", PING, 1000000, PACKED(64, 1) },
	{ "CPU, idle", PACE, 0, SPLIT(64, 1) },
	{ "CPU, split 64, 100 a s", PACE, 10000000, SPLIT(64, 1) },
	{ "CPU, packed 64, 100 a s", PACE, 10000000, PACKED(64, 1) },
	{ "CPU, split 64, 10000 a s", PACE, 100000, SPLIT(64, 1) },
	{ "CPU, packed 64, 10000 a s", PACE, 100000, PACKED(64, 1) },
	{ "CPU, split 64, bursts", PACE, 1000000, SPLIT(64, BATCH) },
	{ "CPU, split 1500, bursts", PACE, 1000000, SPLIT(1500, BATCH) },
	{ "CPU, packed 64, bursts", PACE, 1000000, PACKED(64, BATCH) },
	{ "CPU, packed 1500, bursts", PACE, 1000000, PACKED(1500, BATCH) },
};

#define ROWS	(sizeof(rows) / sizeof(*rows))

/**
 * struct side - one switch
 * @name: for the report
 * @pid: its process, which may be this one
 * @path: of its ports
 * @pair: its guests
 * @value: by round
 * @ping: cycles of all of a row
 * @nr_pings: how many
 * @idle: share of the time in which its guests had nothing to do, sum of all
 * @cpu_ns: that its process took in all slices
 * @took_ns: all slices
 * @frames: in these
 */
struct side {
	char *name;
	int pid;
	char *path[2];
	struct pair pair;
	double value[ROUNDS_MAX];
	double ping[2 * ROUNDS_MAX * PINGS];
	unsigned int nr_pings;
	double idle;
	int64_t cpu_ns;
	uint64_t took_ns;
	uint64_t frames;
};

static struct side sides[SIDES];
static unsigned int nr_sides;

static struct {
	unsigned int rounds;
	const char *only;
	double ns;		/* a cycle */
} setup = { .rounds = 15, .only = "" };

/* -- the process of a switch ---------------------------------------------------- */

/* Calls for each thread but this. Return: sum of what is returned and no errno. */
static int64_t for_threads(const struct side *s, int64_t (*call)(int, int),
			   int arg)
{
	int64_t sum = 0, ret;
	struct dirent *e;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", s->pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		int tid = atoi(e->d_name);

		ret = tid && tid != getpid() ? call(tid, arg) : 0;
		sum += ret > 0 ? ret : 0;
	}
	if (dir)
		closedir(dir);
	return sum;
}

static int64_t set_priority(int tid, int priority)
{
	const struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(tid, priority ? SCHED_FIFO : SCHED_OTHER,
				  &param) ? -errno : 0;
}

static int64_t cpu_ns(int tid, int unused)
{
	(void)unused;
	return worker_ns(tid);
}

/* In real time nobody else is on these cores, for as long as frames move. */
static void run_ahead(const struct side *s, bool is_on)
{
	for_threads(s, set_priority, is_on);
	set_priority(0, is_on);
}

/* All other processes stand still. */
static void turn_to(const struct side *s)
{
	for (unsigned int i = 0; i < nr_sides; i++)
		if (&sides[i] != s && sides[i].pid != getpid())
			kill(sides[i].pid, SIGSTOP);
	kill(s->pid, SIGCONT);
	usleep(SETTLE_US);
}

/* -- one slice --------------------------------------------------------------------- */

static int warm_up(struct side *s)
{
	struct stream stream;
	int ret = pair_greet(&s->pair);

	return ret ? ret : pair_stream(&s->pair,
				       (uint64_t)(WARM_UP_NS / setup.ns),
				       &stream);
}

static int measure_stream(struct side *s, double *value)
{
	struct stream stream = {};
	int ret = pair_stream(&s->pair, (uint64_t)(STREAM_NS / setup.ns),
			      &stream);

	*value = (double)stream.frames * 1e3 / ((double)stream.time * setup.ns);
	s->idle += (double)stream.idle / (double)stream.time;
	return ret;
}

static int measure_pings(struct side *s, const struct row *row, double *value)
{
	double *ping = s->ping + s->nr_pings;
	uint64_t time;
	int ret = 0;

	for (unsigned int i = 0; i < PINGS && !ret; i++) {
		if (row->gap_ns)
			sleep_until(clock_ns() + row->gap_ns);
		ret = pair_ping(&s->pair, &time);
		ping[i] = (double)time * setup.ns / 1e3;
	}
	*value = median(ping, PINGS);
	s->nr_pings += PINGS;
	return ret;
}

static int measure_pace(struct side *s, const struct row *row, double *value)
{
	uint64_t from = clock_ns(), took;
	int64_t used = for_threads(s, cpu_ns, 0);
	uint32_t sent = s->pair.a.sent;
	int ret = 0;

	if (row->gap_ns)
		ret = pair_pace(&s->pair, (unsigned int)(PACE_NS / row->gap_ns),
				row->gap_ns);
	else
		sleep_until(from + PACE_NS);
	used = for_threads(s, cpu_ns, 0) - used;
	took = clock_ns() - from;
	s->cpu_ns += used;
	s->took_ns += took;
	s->frames += s->pair.a.sent - sent;
	*value = 100.0 * (double)(used > FLOOR_NS ? used : FLOOR_NS) /
		 (double)took;
	return ret;
}

static int measure(struct side *s, const struct row *row, double *value)
{
	int ret;

	turn_to(s);
	run_ahead(s, true);
	ret = warm_up(s);
	/* it goes to sleep, if it does that */
	if (!ret && row->kind != STREAM)
		usleep(SETTLE_US);
	if (ret)
		;
	else if (row->kind == STREAM)
		ret = measure_stream(s, value);
	else if (row->kind == PING)
		ret = measure_pings(s, row, value);
	else
		ret = measure_pace(s, row, value);
	run_ahead(s, false);
	if (ret)
		printf("%s, %s: wrong: %s\n", s->name, row->name, strerror(-ret));
	return ret;
}

/* -- one row ------------------------------------------------------------------------ */

/* A B B A of sides that came, the first of it each in turn. */
static int measure_round(const struct row *row, unsigned int round,
			 const bool *is_here)
{
	double value = 0;
	int ret;

	for (unsigned int i = 0; i < SIDES; i++)
		sides[i].value[round] = 0;
	for (unsigned int i = 0; i < 2 * SIDES; i++) {
		unsigned int n = ((i + 1) / 2 + round) % SIDES;

		if (!is_here[n])
			continue;
		ret = measure(&sides[n], row, &value);
		if (ret)
			return ret;
		sides[n].value[round] += value / 2;
	}
	return 0;
}

/* How many times as good the first side is as the other, by round. */
static void compare(const struct row *row, double *ratio)
{
	for (unsigned int r = 0; r < setup.rounds; r++) {
		double ours = sides[0].value[r], theirs = sides[1].value[r];

		ratio[r] = row->kind == STREAM ? ours / theirs : theirs / ours;
	}
}

static void print_ratio(double *ratio)
{
	unsigned int nr = setup.rounds;
	double mid = median(ratio, nr), low, high;

	low = ratio[nr / 4];
	high = ratio[nr - 1 - nr / 4];
	printf(" %8.2f   %.2f ... %.2f%s", mid, low, high,
	       low < 1 && high > 1 && high - low > STRADDLE ?
	       ", scatter too large" : "");
}

/* What differs by kind. */
static void print_more(const struct row *row, struct side *s)
{
	unsigned int nr = s->nr_pings;

	printf("\n    %s: ", s->name);
	if (row->kind == STREAM) {
		printf("guests wait %.0f %% of the time",
		       100 * s->idle / setup.rounds / 2);
	} else if (row->kind == PACE) {
		printf("%.1f ms of CPU time in %.1f s", (double)s->cpu_ns / 1e6,
		       (double)s->took_ns / 1e9);
		if (s->frames)
			printf(", %.2f us a frame",
			       (double)s->cpu_ns / 1e3 / (double)s->frames);
	} else {
		median(s->ping, nr);
		printf("99 of 100 below %.2f us", s->ping[nr - 1 - nr / 100]);
	}
}

static void print_row(const struct row *row, const bool *is_here)
{
	double ratio[ROUNDS_MAX];

	printf("%-30s %-9s", row->name, unit[row->kind]);
	compare(row, ratio);
	for (unsigned int i = 0; i < nr_sides; i++) {
		if (!is_here[i])
			printf(" %10s", "-");
		else
			printf(" %10.3f", median(sides[i].value, setup.rounds));
	}
	if (is_here[0] && is_here[1])
		print_ratio(ratio);
	for (unsigned int i = 0; i < nr_sides; i++)
		if (is_here[i])
			print_more(row, &sides[i]);
	printf("\n");
}

/* A switch that lacks a feature has no part in it. */
static int open_sides(const struct row *row, bool *is_here)
{
	for (unsigned int i = 0; i < nr_sides; i++) {
		struct side *s = &sides[i];
		int ret;

		s->nr_pings = 0;
		s->idle = 0;
		s->cpu_ns = 0;
		s->took_ns = 0;
		s->frames = 0;
		turn_to(s);
		ret = pair_open(&s->pair, &row->cell, s->path);
		is_here[i] = !ret;
		if (ret && ret != -EOPNOTSUPP) {
			printf("%s, %s: no guests: %s\n", s->name, row->name,
			       strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static void close_sides(void)
{
	for (unsigned int i = 0; i < nr_sides; i++) {
		turn_to(&sides[i]);
		pair_close(&sides[i].pair);
		usleep(LEAVE_US);
	}
}

static int measure_row(const struct row *row)
{
	bool is_here[SIDES] = {};
	int ret;

	fprintf(stderr, "%s: %u rounds\n", row->name, setup.rounds);
	for (unsigned int i = 0; i < nr_sides; i++)
		pair_init(&sides[i].pair);
	ret = open_sides(row, is_here);
	for (unsigned int r = 0; r < setup.rounds && !ret; r++)
		ret = measure_round(row, r, is_here);
	if (!ret)
		print_row(row, is_here);
	close_sides();
	return ret;
}

static void print_wake_up(void)
{
	uint64_t time;

	set_priority(0, 1);
	if (!wake_up_time(&time))
		printf("an eventfd wakes the switch's core in %.1f us, median\n",
		       (double)time * setup.ns / 1e3);
	set_priority(0, 0);
}

static int measure_all(void)
{
	int ret = 0;

	if (!has_one_core)
		print_wake_up();
	printf("%-30s %-9s", "", "");
	for (unsigned int i = 0; i < nr_sides; i++)
		printf(" %10s", sides[i].name);
	printf("%s\n", nr_sides == SIDES ? "    ratio   quartiles" : "");
	for (unsigned int i = 0; i < ROWS && !ret; i++)
		if (strstr(rows[i].name, setup.only))
			ret = measure_row(&rows[i]);
	for (unsigned int i = 0; i < nr_sides; i++)
		kill(sides[i].pid, SIGCONT);
	return !!ret;
}

static void gauge_clock(void)
{
	uint64_t from = cycles(), ns = clock_ns();

	usleep(50000);
	setup.ns = (double)(clock_ns() - ns) / (double)(cycles() - from);
}

/* NAME:PID:PORT:PORT. Return: whether it is that */
static bool add_side(char *word)
{
	struct side *s = &sides[nr_sides++];
	char *pid;

	s->name = strsep(&word, ":");
	pid = strsep(&word, ":");
	s->path[0] = strsep(&word, ":");
	s->path[1] = word;
	if (!s->path[1])
		return false;
	s->pid = atoi(pid) ? atoi(pid) : getpid();
	return true;
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "r:c:")) != -1) {
		if (opt == 'r')
			setup.rounds = (unsigned int)atoi(optarg);
		else if (opt == 'c')
			setup.only = optarg;
		else
			return 2;
	}
	if (!setup.rounds || setup.rounds > ROUNDS_MAX || optind == argc ||
	    argc - optind > SIDES)
		return 2;
	while (optind < argc)
		if (!add_side(argv[optind++]))
			return 2;
	has_one_core = sysconf(_SC_NPROCESSORS_ONLN) == 1;
	gauge_clock();
	setvbuf(stdout, NULL, _IOLBF, 0);
	return measure_all();
}
