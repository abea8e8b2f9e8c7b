// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a frame costs libvhx and librte_vhost, in one process that is guest and
 * device by turns: instructions by single-stepping, time by the clock. The two
 * take turns, in rounds. Before a cell is timed, all of its frames are checked.
 * Then frames a second with the guest on a core of its own, all of them checked
 * while they are timed; lib_cores.c.
 *
 *   lib_bench [-r ROUNDS] [-c CELL] [-H]
 *
 * -c: only cells whose name has that in it; -H: librte_vhost without hugepages.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib_bench.h"
#include "median.h"

#define ROUNDS_MAX	128
#define CHECKED		32	/* batches: four laps of a ring */
#define COUNTED		2	/* batches: some 17 us an instruction */
#define TIMED		32	/* batches a round */
#define SLICE		65536	/* frames between two cores, twice a round */
#define PAUSE_US	20000	/* between rounds, for whoever else waits */
#define PEERS		2

#define BASE		F_V1
#define ROOM		1536

static const struct cell cells[] = {
	{ "mrg", BASE | F_MRG, &one_piece, 64, ROOM, 32 },
	{ "mrg", BASE | F_MRG, &one_piece, 256, ROOM, 32 },
	{ "mrg", BASE | F_MRG, &one_piece, 1500, ROOM, 32 },
	{ "plain", BASE, &one_piece, 64, ROOM, 32 },
	{ "plain", BASE, &one_piece, 256, ROOM, 32 },
	{ "plain", BASE, &one_piece, 1500, ROOM, 32 },
	{ "in order", BASE | F_MRG | F_IN_ORDER, &one_piece, 64, ROOM, 32 },
	{ "in order", BASE | F_MRG | F_IN_ORDER, &one_piece, 256, ROOM, 32 },
	{ "in order", BASE | F_MRG | F_IN_ORDER, &one_piece, 1500, ROOM, 32 },
	{ "chained", BASE | F_MRG, &two_pieces, 64, ROOM, 32 },
	{ "chained", BASE | F_MRG, &two_pieces, 256, ROOM, 32 },
	{ "chained", BASE | F_MRG, &two_pieces, 1500, ROOM, 32 },
	{ "indirect", BASE | F_MRG | F_INDIRECT, &two_pieces, 64, ROOM, 32 },
	{ "indirect", BASE | F_MRG | F_INDIRECT, &two_pieces, 256, ROOM, 32 },
	{ "indirect", BASE | F_MRG | F_INDIRECT, &two_pieces, 1500, ROOM, 32 },
	{ "burst 8", BASE | F_MRG, &one_piece, 64, ROOM, 8 },
	{ "burst 1", BASE | F_MRG, &one_piece, 64, ROOM, 1 },
	{ "small buffers", BASE | F_MRG, &one_piece, 256, 128, 32 },
	{ "small buffers", BASE | F_MRG, &one_piece, 1500, 512, 32 },
};

#define CELLS	(sizeof(cells) / sizeof(*cells))

static const struct cell core_cells[] = {
	{ "two cores", BASE | F_MRG, &one_piece, 64, ROOM, 32 },
	{ "two cores", BASE | F_MRG, &one_piece, 1500, ROOM, 32 },
};

#define CORE_CELLS	(sizeof(core_cells) / sizeof(*core_cells))

static const char *const op_name[OPS] = { "dequeue", "enqueue", "forward" };

/* One library with its guest. */
struct peer {
	const struct peer_ops *ops;
	struct guest guest;
};

static struct peer peers[PEERS] = { { .ops = &peer_vhx }, { .ops = &peer_dpdk } };

/* What runs, and how it is measured. */
struct run {
	struct peer *peer;
	enum op op;
	bool checks;
	bool counts;
	uint64_t sum;		/* instructions or cycles of the clock */
};

/* Rounds asked for, cells, and what the clock costs and means. */
static struct {
	unsigned int rounds;
	const char *only;
	bool has_hugepages;
	int guest_cpu;		/* another one, or -1 */
	uint64_t clock;		/* cycles that reading it twice takes */
	double ns;		/* a cycle */
} setup = { .rounds = 31, .only = "", .has_hugepages = true, .guest_cpu = -1 };

/* All that is measured. Return: frames that moved. */
static unsigned int move(const struct peer_ops *ops, enum op op,
			 unsigned int burst)
{
	unsigned int at, nr;

	/* a burst that moved fewer is followed by one for the others */
	for (at = 0; at < BATCH; at += nr) {
		nr = burst < BATCH - at ? burst : BATCH - at;
		if (op != ENQUEUE)
			nr = ops->take(at, nr);
		if (op != DEQUEUE && ops->give(at, nr) != nr)
			break;
		if (op == FORWARD)
			ops->drop(at, nr);
		if (!nr)
			break;
	}
	return at;
}

static unsigned int measured_move(struct run *run)
{
	const struct peer_ops *ops = run->peer->ops;
	unsigned int burst = run->peer->guest.cell->burst, nr;
	uint64_t from;

	if (run->counts) {
		count_begin();
		nr = move(ops, run->op, burst);
		run->sum += count_end();
		return nr;
	}
	from = cycles();
	nr = move(ops, run->op, burst);
	run->sum += cycles() - from - setup.clock;
	return nr;
}

/* Makes what is held the next frames that the guest expects, or no frames. */
static void fill_held(struct run *run, bool is_valid)
{
	struct guest *g = &run->peer->guest;
	unsigned int len;

	for (unsigned int i = 0; i < BATCH; i++) {
		uint8_t *frame = run->peer->ops->frame(i, &len);

		if (is_valid)
			guest_frame(g, frame, g->received + i);
		else
			memset(frame, 0x55, len);
	}
}

/* What came from the guest, after that wrote over its own. */
static int check_held(struct run *run)
{
	struct guest *g = &run->peer->guest;
	uint8_t frame[BUF_SIZE];
	unsigned int len;

	for (unsigned int i = 0; i < BATCH; i++) {
		const uint8_t *got = run->peer->ops->frame(i, &len);

		guest_frame(g, frame, g->sent - BATCH + i);
		if (len != g->cell->len || memcmp(got, frame, len))
			return -EBADMSG;
	}
	return 0;
}

/* One batch, and what guest and user have to do for the next. */
static int move_batch(struct run *run)
{
	struct guest *g = &run->peer->guest;
	int ret = 0;

	if (run->op != ENQUEUE)
		ret = guest_send(g, run->checks);
	else if (run->checks)
		fill_held(run, true);
	if (ret)
		return ret;
	if (measured_move(run) != BATCH)
		return -ENODATA;
	if (run->op == ENQUEUE && run->checks)
		fill_held(run, false);
	if (run->op != ENQUEUE)
		ret = guest_take_back(g, run->checks);
	if (!ret && run->op == DEQUEUE) {
		if (run->checks)
			ret = check_held(run);
		run->peer->ops->drop(0, BATCH);
	}
	if (!ret && run->op != DEQUEUE)
		ret = guest_receive(g, run->checks);
	return ret;
}

static int move_batches(struct run *run, unsigned int nr)
{
	struct guest *g = &run->peer->guest;
	int ret = 0;

	run->sum = 0;
	if (run->checks)
		guest_mark(g);
	/* what is forwarded is what was sent: numbers go on from there */
	if (run->op == FORWARD)
		g->received = g->sent;
	if (run->op == ENQUEUE)
		ret = run->peer->ops->hold(g->cell->len);
	for (unsigned int i = 0; i < nr && !ret; i++)
		ret = move_batch(run);
	if (run->op == ENQUEUE)
		run->peer->ops->drop(0, BATCH);
	return ret;
}

/* What one operation in a cell was measured to cost, a frame. */
struct sample {
	double steps[PEERS];
	double ns[PEERS];	/* median */
	double ratio;		/* of times, median of the rounds' */
};

static int check_and_count(enum op op, struct sample *s)
{
	for (unsigned int p = 0; p < PEERS; p++) {
		struct run run = { .peer = &peers[p], .op = op, .checks = true };
		int ret = move_batches(&run, CHECKED);

		if (ret) {
			printf("%s, %s: wrong: %s\n", peers[p].ops->name,
			       op_name[op], strerror(-ret));
			return ret;
		}
		run.checks = false;
		run.counts = true;
		ret = move_batches(&run, COUNTED);
		if (ret)
			return ret;
		s->steps[p] = (double)run.sum / COUNTED / BATCH;
	}
	return 0;
}

static int clock_both(enum op op, struct sample *s)
{
	static double ns[PEERS][ROUNDS_MAX], ratio[ROUNDS_MAX];

	for (unsigned int r = 0; r < setup.rounds; r++) {
		for (unsigned int i = 0; i < PEERS; i++) {
			/* the first of a round is each in turn */
			unsigned int p = (i + r) % PEERS;
			struct run run = { .peer = &peers[p], .op = op };
			int ret = move_batches(&run, TIMED);

			if (ret)
				return ret;
			ns[p][r] = (double)run.sum * setup.ns / TIMED / BATCH;
		}
		ratio[r] = ns[0][r] / ns[1][r];
	}
	for (unsigned int p = 0; p < PEERS; p++)
		s->ns[p] = median(ns[p], setup.rounds);
	s->ratio = median(ratio, setup.rounds);
	return 0;
}

static int open_both(const struct cell *cell)
{
	int ret = 0;

	for (unsigned int p = 0; p < PEERS && !ret; p++) {
		const struct peer_ops *ops = peers[p].ops;
		const char *path = ops->listen();

		ret = path ? guest_open(&peers[p].guest, cell, path) : -EIO;
		if (!ret)
			ret = ops->wait();
		if (ret)
			printf("%s: no guest: %s\n", ops->name, strerror(-ret));
	}
	return ret;
}

static void close_both(void)
{
	for (unsigned int p = 0; p < PEERS; p++) {
		guest_close(&peers[p].guest);
		peers[p].ops->close();
	}
}

/* Prints a row for each operation. @over: rows over 1 by steps and by time. */
static int measure(const struct cell *cell, const char *name, int over[2])
{
	int ret = open_both(cell);

	for (enum op op = DEQUEUE; op < OPS && !ret; op++) {
		struct sample s;

		/* nothing new when frames come from the guest */
		if (op == DEQUEUE && cell->room < ROOM)
			continue;
		ret = check_and_count(op, &s);
		if (!ret)
			ret = clock_both(op, &s);
		if (ret)
			break;
		printf("%-28s %-8s %6.0f %6.0f %6.2f   %6.1f %6.1f %6.2f\n",
		       name, op_name[op], s.steps[0], s.steps[1],
		       s.steps[0] / s.steps[1], s.ns[0], s.ns[1], s.ratio);
		over[0] += s.steps[0] > s.steps[1];
		over[1] += s.ratio > 1;
		over[2]++;
	}
	close_both();
	return ret;
}

/* A cell of @table by its number, those of packed rings behind the others. */
static bool find_cell(const struct cell *table, unsigned int nr, unsigned int i,
		      struct cell *cell, char name[64])
{
	*cell = table[i % nr];
	if (i >= nr)
		cell->features |= F_PACKED;
	snprintf(name, 64, "%s %u %s", i < nr ? "split" : "packed", cell->len,
		 cell->name);
	return strstr(name, setup.only);
}

/* One round: A B B A, the first of it each in turn. @ns: a frame */
static int round_of_cores(enum op op, unsigned int round, double ns[PEERS])
{
	ns[0] = 0;
	ns[1] = 0;
	for (unsigned int i = 0; i < 2 * PEERS; i++) {
		unsigned int p = ((i + 1) / 2 + round) % PEERS;
		uint64_t time;
		int ret = cores_move(peers[p].ops, &peers[p].guest, op, SLICE,
				     &time);

		if (ret) {
			printf("%s, %s: wrong: %s\n", peers[p].ops->name,
			       op_name[op], strerror(-ret));
			return ret;
		}
		ns[p] += (double)time * setup.ns / SLICE / 2;
	}
	usleep(PAUSE_US);
	return 0;
}

/* Prints a row for each direction. */
static int measure_cores(const struct cell *cell, const char *name, int below[2])
{
	static double ns[PEERS][ROUNDS_MAX], ratio[ROUNDS_MAX];
	int ret = open_both(cell);

	for (unsigned int p = 0; p < PEERS && !ret; p++)
		ret = guest_lanes(&peers[p].guest);
	for (enum op op = DEQUEUE; op <= ENQUEUE && !ret; op++) {
		unsigned int r, nr = setup.rounds;
		double both[PEERS], mid;

		for (r = 0; r < nr && !ret; r++) {
			ret = round_of_cores(op, r, both);
			ns[0][r] = both[0];
			ns[1][r] = both[1];
			ratio[r] = both[1] / both[0];
		}
		if (ret)
			break;
		mid = median(ratio, nr);
		printf("%-28s %-8s %6.2f %6.2f %6.2f   %.2f ... %.2f\n", name,
		       op_name[op], 1e3 / median(ns[0], nr),
		       1e3 / median(ns[1], nr), mid, ratio[nr / 4],
		       ratio[nr - 1 - nr / 4]);
		below[0] += mid < 1;
		below[1]++;
	}
	close_both();
	return ret;
}

static int measure_all_cores(void)
{
	int below[2] = {}, ret;

	if (setup.guest_cpu < 0) {
		printf("no second core\n");
		return 0;
	}
	ret = cores_start(setup.guest_cpu);
	if (ret)
		printf("%s\n", ret < 0 ? strerror(-ret) :
		       "no real-time scheduling: what else runs shows");
	for (unsigned int i = 0; i < 2 * CORE_CELLS && ret >= 0; i++) {
		struct cell cell;
		char name[64];

		if (!find_cell(core_cells, CORE_CELLS, i, &cell, name))
			continue;
		if (!below[1])
			printf("%-28s %-8s %20s   %s\n"
			       "%-28s %-8s %6s %6s %6s   %s\n", "", "",
			       "million frames a s", "quartiles", "", "", "vhx",
			       "dpdk", "ratio", "of ratio");
		ret = measure_cores(&cell, name, below);
		if (ret)
			printf("%s: %s\n", name, strerror(-ret));
		fflush(stdout);
	}
	if (below[1])
		printf("%d rows; below 1.00: %d\n", below[1], below[0]);
	return ret < 0;
}

static int measure_all(void)
{
	int over[3] = {};

	for (unsigned int i = 0; i < 2 * CELLS; i++) {
		struct cell cell;
		char name[64];
		int ret;

		if (!find_cell(cells, CELLS, i, &cell, name))
			continue;
		if (!over[2])
			printf("%-28s %-8s %20s   %20s\n"
			       "%-28s %-8s %6s %6s %6s   %6s %6s %6s\n", "",
			       "", "instructions a frame", "ns a frame", "", "",
			       "vhx", "dpdk", "ratio", "vhx", "dpdk", "ratio");
		ret = measure(&cell, name, over);
		if (ret) {
			printf("%s: %s\n", name, strerror(-ret));
			return 1;
		}
		fflush(stdout);
	}
	if (over[2])
		printf("%d rows; over 1.00: %d by instructions, %d by time\n",
		       over[2], over[0], over[1]);
	return 0;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void gauge_clock(void)
{
	uint64_t from = cycles(), once;
	double ns = now_ns();

	setup.clock = ~0ull;
	for (unsigned int i = 0; i < 1000; i++) {
		once = cycles();
		once = cycles() - once;
		setup.clock = once < setup.clock ? once : setup.clock;
	}
	usleep(50000);
	setup.ns = (now_ns() - ns) / (double)(cycles() - from);
}

/* On one CPU, the tracer as well: it waits for each step. */
static int stay_here(void)
{
	int here = sched_getcpu();
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE && setup.guest_cpu < 0; cpu++)
		if (CPU_ISSET(cpu, &set) && cpu != here)
			setup.guest_cpu = cpu;
	CPU_ZERO(&set);
	CPU_SET(here, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static int run_all(void)
{
	int ret = 0;

	gauge_clock();
	for (unsigned int p = 0; p < PEERS && !ret; p++)
		ret = peers[p].ops->init(setup.has_hugepages);
	if (ret) {
		printf("no start: %s\n", strerror(-ret));
		return 1;
	}
	if (!setup.only || !strcmp(setup.only, "call"))
		calls_report();
	return measure_all() || measure_all_cores();
}

int main(int argc, char **argv)
{
	int opt, ret, status = 0;

	while ((opt = getopt(argc, argv, "r:c:H")) != -1) {
		if (opt == 'r')
			setup.rounds = (unsigned int)atoi(optarg);
		else if (opt == 'c')
			setup.only = optarg;
		else if (opt == 'H')
			setup.has_hugepages = false;
		else
			return 2;
	}
	if (!setup.rounds || setup.rounds > ROUNDS_MAX)
		return 2;
	ret = stay_here();
	if (!ret)
		ret = count_fork(&status);
	if (ret < 0) {
		fprintf(stderr, "no tracing: %s\n", strerror(-ret));
		return 1;
	}
	if (ret)
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	return run_all();
}
