// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a frame takes through a /dev/vhost-net node, and what share of a CPU its
 * worker takes, at so many frames a second. The driver has a CPU of its own, on which
 * it spins, and so has the worker. Variants take turns, in rounds; of each the round in
 * the middle by its median is printed.
 *
 *   net_pace [-r ROUNDS] [-c ROW] NAME:NODE:WINDOW...
 *
 * WINDOW is in units of 1024 ns, as QEMU's poll-us is; or auto=SHARE, of vhx_net.
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

#include "median.h"
#include "net_bench.h"

#define WARM_UP		512	/* frames: what buffers are cut from had its turn */
#define WARM_UP_RATE	50	/* frames at the rate */
#define FRAMES_MAX	5000
#define DEADLINE	5000000000LL	/* ns, of one measurement */
#define LATE		10		/* gaps; what is later is not caught up */
#define PARAMS		"/sys/module/vhx_net/parameters/"

#define TX_64	{ "", TX, 64, 1, BASE, 0, &one_piece }
#define RX_64	{ "", RX, 64, 1, BASE, 1526, &one_piece }

static const struct pace_row {
	const char *name;
	struct cell cell;
	unsigned int rate;	/* frames a second */
	unsigned int frames;	/* a measurement */
} rows[] = {
	{ "tx 1k", TX_64, 1000, 200 },
	{ "tx 10k", TX_64, 10000, 1000 },
	{ "tx 100k", TX_64, 100000, FRAMES_MAX },
	{ "rx 1k", RX_64, 1000, 200 },
	{ "rx 10k", RX_64, 10000, 1000 },
	{ "rx 100k", RX_64, 100000, FRAMES_MAX },
};

#define ROWS	(sizeof(rows) / sizeof(*rows))

struct variant_pace {
	struct variant node;
	const char *share;	/* percent, of a ring that chooses; or NULL */
	unsigned int window;
};

enum { P50, P99, CPU, RATE, VALUES };

/* What one measurement found; P50 first, to sort by. */
struct pace_sample {
	double val[VALUES];
};

/* Frames on their way come back in order. */
static struct pace {
	struct bench b;
	const struct pace_row *row;
	unsigned int sent, done;
	int64_t stamp[RING];		/* ns */
	double took[FRAMES_MAX];	/* us */
} pace;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int pin(pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set) ? -errno : 0;
}

static int send_one(struct pace *p)
{
	struct bench *b = &p->b;
	unsigned int i = p->sent++ % RING;
	int ret;

	p->stamp[i] = now_ns();
	if (b->cell->q == RX)
		return feed(b);
	ret = tx_add(b->vq, &b->hdr, b->frame[0], b->cell->len, b->cell->layout,
		     b->buf[i]);
	vq_publish_kick(b->vq);
	return ret < 0 ? ret : 0;
}

static int take_back(struct pace *p)
{
	struct bench *b = &p->b;
	int64_t ns = now_ns();
	int id;

	while ((id = vq_pop(b->vq, NULL)) >= 0) {
		p->took[p->done] = (ns - p->stamp[p->done % RING]) / 1000.;
		p->done++;
		if (b->cell->q == TX)
			continue;
		if (rx_post(b, b->buf[id]) < 0)
			return -ENOSPC;
		vq_publish_kick(b->vq);
	}
	return id == -EAGAIN ? 0 : id;
}

/* A frame each time one is due, and no more than half a ring on their way. */
static int run_at_rate(struct pace *p, unsigned int frames)
{
	const int64_t gap = 1000000000 / p->row->rate;
	int64_t now = now_ns(), due = now, end = now + DEADLINE;
	int ret = 0;

	p->sent = 0;
	p->done = 0;
	for (; p->done < frames && !ret; now = now_ns()) {
		if (now > end)
			return -ETIMEDOUT;
		if (p->sent < frames && now >= due &&
		    p->sent - p->done < RING / 2) {
			due = now - due > LATE * gap ? now + gap : due + gap;
			ret = send_one(p);
		}
		if (!ret && vq_used(p->b.vq))
			ret = take_back(p);
		/* an emulator goes on with the other CPU */
		__builtin_ia32_pause();
	}
	return ret;
}

static int timed(struct pace *p, double *val)
{
	const unsigned int frames = p->row->frames;
	int ret = 0, tid = worker_tid(getpid());
	int64_t ns, mine, all;

	for (int i = 0; i < WARM_UP && !ret; i++)
		ret = burst(&p->b);
	if (!ret)
		ret = run_at_rate(p, WARM_UP_RATE);
	/* what a thread took is known when it sleeps */
	poll(NULL, 0, 1);
	ns = worker_ns(tid);
	mine = worker_ns(getpid());
	all = now_ns();
	if (!ret)
		ret = run_at_rate(p, frames);
	all = now_ns() - all;
	poll(NULL, 0, 1);
	mine = worker_ns(getpid()) - mine;
	ns = worker_ns(tid) - ns;
	if (!ret && mine < all / 100 * 95) {
		printf("%s: the driver had its CPU for %.0f %% of the time\n",
		       p->row->name, 100. * mine / all);
		ret = -EBUSY;
	}
	qsort(p->took, frames, sizeof(*p->took), by_value);
	val[P50] = p->took[frames / 2];
	val[P99] = p->took[frames * 99 / 100];
	val[CPU] = 100. * ns / all;
	val[RATE] = 1e9 * frames / all;
	return ret;
}

/* Before the node is opened. */
static int set_mode(const struct variant_pace *v)
{
	int ret;

	if (!v->share)
		return 0;
	ret = write_text(PARAMS "busyloop", "auto");
	return ret ? ret : write_text(PARAMS "busyloop_share", v->share);
}

/* QEMU has no call without poll-us. */
static int set_window(struct dev *d, const struct variant_pace *v)
{
	int ret = 0;

	for (int q = 0; q < 2 && !ret && v->window; q++)
		ret = dev_set_window(d, q, v->window);
	return ret;
}

static int measure(const struct pace_row *row, const struct variant_pace *v,
		   double *val)
{
	struct pace *p = &pace;
	int ret = set_mode(v);

	memset(p, 0, sizeof(*p));
	p->row = row;
	p->b.cell = &row->cell;
	p->b.tap = -1;
	p->b.pkt = -1;
	if (!ret)
		ret = port_open(&p->b, &v->node);
	if (v->share)
		write_text(PARAMS "busyloop", "off");
	if (!ret)
		ret = set_window(&p->b.d, v);
	if (!ret)
		ret = pin(worker_tid(getpid()), 1);
	if (!ret)
		ret = check(&p->b);
	if (!ret)
		ret = timed(p, val);
	if (ret)
		printf("%s, %s: %s; %u frames sent, %u done\n", row->name,
		       v->node.name, strerror(-ret), p->sent, p->done);
	port_close(&p->b);
	return ret;
}

static int run_row(const struct pace_row *row, const struct variant_pace *v, int nr,
		   int rounds)
{
	struct pace_sample s[VARIANTS_MAX][ROUNDS_MAX];

	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < nr; i++)
			if (measure(row, &v[i], s[i][r].val))
				return 1;
	printf("%-8s", row->name);
	for (int i = 0; i < nr; i++) {
		const double *val = s[i][rounds / 2].val;

		qsort(s[i], rounds, sizeof(**s), by_value);
		printf("  %5.1f / %5.1f / %3.0f", val[P50], val[P99], val[CPU]);
	}
	printf("\n");
	for (int i = 0; i < nr; i++)
		if (s[i][rounds / 2].val[RATE] < 0.99 * row->rate)
			printf("  %s: no more than %.0f frames a second\n",
			       v[i].node.name, s[i][rounds / 2].val[RATE]);
	return 0;
}

static int pace_parse(struct variant_pace *v, char *text)
{
	char *window;

	memset(v, 0, sizeof(*v));
	v->node.name = strsep(&text, ":");
	v->node.node = strsep(&text, ":");
	window = strsep(&text, ":");
	if (!window || text)
		return -EINVAL;
	if (!strncmp(window, "auto=", 5))
		v->share = window + 5;
	else
		v->window = atoi(window);
	return 0;
}

int main(int argc, char **argv)
{
	int opt, nr = 0, rounds = 1, failed = 0;
	struct variant_pace v[VARIANTS_MAX];
	const char *only = "";

	while ((opt = getopt(argc, argv, "r:c:")) != -1) {
		if (opt == 'r')
			rounds = atoi(optarg);
		else if (opt == 'c')
			only = optarg;
		else
			return 2;
	}
	for (; optind < argc && nr < VARIANTS_MAX; optind++, nr++)
		if (pace_parse(&v[nr], argv[optind]))
			return 2;
	if (!nr || rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	errno = -netns_enter();
	if (!errno)
		errno = -pin(0, 0);
	if (errno) {
		perror("net_pace");
		return 1;
	}
	setlinebuf(stdout);
	printf("%-8s", "");
	for (int i = 0; i < nr; i++)
		printf("  %-19s", v[i].node.name);
	printf("\n%-8s", "");
	for (int i = 0; i < nr; i++)
		printf("  %-19s", "p50 / p99 us / CPU%");
	printf("\n");
	for (size_t i = 0; i < ROWS; i++)
		if (strstr(rows[i].name, only))
			failed |= run_row(&rows[i], v, nr, rounds);
	return failed;
}
