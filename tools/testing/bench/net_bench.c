// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a packet costs the worker of a /dev/vhost-net node: CPU time of its
 * thread over packets. In a machine on which an instruction takes 1 ns (`vm run
 * -i`) that is instructions a packet. Variants take turns, in several rounds.
 *
 *   net_bench [-r ROUNDS] [-c CELL] NAME:NODE[:packed]...
 *
 * The first variant is what the others are compared with.
 */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/if_packet.h>

#include "net_lib.h"

#define RING		256
#define BUF_SIZE	2048
#define BURST_MAX	32
#define ROUNDS_MAX	32
#define VARIANTS_MAX	8
#define WARM_UP		512	/* frames: what buffers are cut from had its turn */
#define FRAMES		4096	/* a measurement, of bursts of BURST_MAX */
#define BASE		(F_V1 | F_EVENT)

/* One kind of traffic. */
struct cell {
	const char *name;
	unsigned int q;		/* RX or TX */
	unsigned int len;	/* bytes of a frame */
	unsigned int burst;	/* frames that the driver handles at a time */
	uint64_t features;
	unsigned int room;	/* rx: bytes of a buffer */
	const struct layout *layout;
	bool is_stream;		/* rx: bursts come while the driver works */
};

static const struct cell cells[] = {
	{ "tx 64", TX, 64, 32, BASE, 0, &one_piece },
	{ "rx 64", RX, 64, 32, BASE, 1526, &one_piece },
	{ "tx 1500", TX, 1500, 32, BASE, 0, &one_piece },
	{ "rx 1500", RX, 1500, 32, BASE, 1526, &one_piece },
	{ "tx 64 mrg", TX, 64, 32, BASE | F_MRG, 0, &one_piece },
	{ "rx 64 mrg", RX, 64, 32, BASE | F_MRG, 1536, &one_piece },
	{ "tx 1500 mrg", TX, 1500, 32, BASE | F_MRG, 0, &one_piece },
	{ "rx 1500 mrg", RX, 1500, 32, BASE | F_MRG, 1536, &one_piece },
	{ "rx 1500 mrg 4 buffers", RX, 1500, 32, BASE | F_MRG, 512,
	  &one_piece },
	{ "tx 64 indirect", TX, 64, 32, BASE | F_INDIRECT, 0, &two_pieces },
	{ "tx 64 chained", TX, 64, 32, BASE, 0, &two_pieces },
	{ "rx 64 chained", RX, 64, 32, BASE, 1526, &two_pieces },
	{ "tx 64 burst 1", TX, 64, 1, BASE, 0, &one_piece },
	{ "rx 64 burst 1", RX, 64, 1, BASE, 1526, &one_piece },
	{ "tx 64 no event-idx", TX, 64, 32, F_V1, 0, &one_piece },
	{ "rx 64 no event-idx", RX, 64, 32, F_V1, 1526, &one_piece },
	{ "rx 64 stream", RX, 64, 32, BASE | F_MRG, 1536, &one_piece, true },
	{ "rx 1500 stream", RX, 1500, 32, BASE | F_MRG, 1536, &one_piece, true },
};

#define CELLS	(sizeof(cells) / sizeof(*cells))

struct variant {
	char *name, *node;
	bool is_packed;
};

/* What one measurement found, a packet. */
struct sample {
	double worker;		/* ns */
	double all;		/* ns, of the loop: driver, host and worker */
	double calls;
};

/* One node under one kind of traffic. */
struct bench {
	const struct cell *cell;
	struct dev d;
	struct vq *vq;
	int tap, pkt;
	unsigned int used;	/* used elements a frame */
	uint8_t *buf[RING];	/* by id */
	uint8_t *next;		/* tx: the buffers in turn */
	uint8_t frame[BURST_MAX][BUF_SIZE];
	unsigned int got;	/* atomic, of a stream */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* A packet socket that sends past the queueing discipline and sees nothing. */
static int feeder_open(const char *name)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int feed(struct bench *b)
{
	struct iovec iov[BURST_MAX];
	struct mmsghdr msg[BURST_MAX] = {};
	unsigned int n = b->cell->burst;

	for (unsigned int i = 0; i < n; i++) {
		iov[i] = (struct iovec){ b->frame[i], b->cell->len };
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	return sendmmsg(b->pkt, msg, n, 0) == (int)n ? 0 : -EIO;
}

static int rx_post(struct bench *b, uint8_t *buf)
{
	int id = rx_add(b->vq, b->cell->room, b->cell->layout, buf);

	if (id >= 0)
		b->buf[id] = buf;
	return id;
}

/* Posts what the last burst used up, then has one received. */
static int rx_burst(struct bench *b)
{
	int ret = feed(b);
	int id;

	if (!ret)
		ret = vq_wait(b->vq, b->cell->burst * b->used, WAIT_MS);
	if (ret)
		return ret;
	while ((id = vq_pop(b->vq, NULL)) >= 0)
		if (rx_post(b, b->buf[id]) < 0)
			return -ENOSPC;
	vq_publish_kick(b->vq);
	return 0;
}

static int tx_burst(struct bench *b)
{
	const struct cell *c = b->cell;
	int ret;

	for (unsigned int i = 0; i < c->burst; i++) {
		ret = tx_add(b->vq, NULL, b->frame[i], c->len, c->layout,
			     b->buf[i]);
		if (ret < 0)
			return ret;
	}
	vq_publish_kick(b->vq);
	ret = vq_wait(b->vq, c->burst, WAIT_MS);
	while (vq_pop(b->vq, NULL) >= 0)
		;
	return ret;
}

static int burst(struct bench *b)
{
	return b->cell->q == TX ? tx_burst(b) : rx_burst(b);
}

/* The frames of a burst as they come out of the tap. */
static int tx_check(struct bench *b)
{
	struct virtio_net_hdr h;
	uint8_t got[BUF_SIZE];
	int fd = pkt_open("vb0", PACKET_HDR);
	int ret = fd < 0 ? fd : tx_burst(b);

	for (unsigned int i = 0; i < b->cell->burst && !ret; i++) {
		int n = pkt_recv(fd, &h, got, sizeof(got), WAIT_MS);

		if (n != (int)b->cell->len || memcmp(got, b->frame[i], n))
			ret = -EBADMSG;
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/* One frame of used elements against what was sent. */
static int rx_check_frame(struct bench *b, const uint8_t *frame)
{
	unsigned int hdr = b->d.hdr_len, left = b->cell->len;

	for (unsigned int i = 0; i < b->used; i++) {
		unsigned int skip = i ? 0 : hdr;
		uint32_t len = 0;
		int id = vq_pop(b->vq, &len);
		uint8_t *buf = id < 0 ? NULL : b->buf[id];

		if (!buf || len < skip || len - skip > left ||
		    memcmp(buf + skip, frame, len - skip) ||
		    (!i && has(&b->d, F_MRG) &&
		     buf[10] + (buf[11] << 8) != (int)b->used))
			return -EBADMSG;
		frame += len - skip;
		left -= len - skip;
		if (rx_post(b, buf) < 0)
			return -ENOSPC;
	}
	return left ? -EBADMSG : 0;
}

static int rx_check(struct bench *b)
{
	int ret = feed(b);

	if (!ret)
		ret = vq_wait(b->vq, b->cell->burst * b->used, WAIT_MS);
	for (unsigned int i = 0; i < b->cell->burst && !ret; i++)
		ret = rx_check_frame(b, b->frame[i]);
	if (!ret)
		vq_publish_kick(b->vq);
	return ret;
}

static int prepare(struct bench *b, const struct variant *v)
{
	const struct cell *c = b->cell;
	uint8_t *mem;
	int ret;

	setenv("VHX_NODE", v->node, 1);
	ret = dev_setup(&b->d, c->features | (v->is_packed ? F_PACKED : 0));
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&b->d, q, RING);
	if (ret)
		return ret;
	b->vq = &b->d.vq[c->q];
	b->used = c->q == TX ? 1 :
		(b->d.hdr_len + c->len + c->room - 1) / c->room;
	mem = guest_alloc(&b->d, RING * BUF_SIZE, 4096);
	/* the worker shall not be the first to touch it */
	memset(mem, 0, RING * BUF_SIZE);
	for (unsigned int i = 0; i < RING; i++)
		b->buf[i] = mem + i * BUF_SIZE;
	for (unsigned int i = 0; i < c->burst; i++)
		frame_fill(b->frame[i], c->len, c->q == RX, i + 1);
	if (c->q == RX) {
		for (int i = 0; i < RING && b->vq->n_free >= 2; i++)
			rx_post(b, mem + i * BUF_SIZE);
		vq_publish(b->vq);
	}
	b->tap = tap_open("vb0", 0, b->d.hdr_len);
	if (b->tap < 0)
		return b->tap;
	ret = link_up("vb0", 1500);
	b->pkt = ret ? ret : feeder_open("vb0");
	return b->pkt < 0 ? b->pkt : dev_backend(&b->d, c->q, b->tap);
}

/* Sends bursts as long as the tap and the ring have room for one more. */
static void *feed_stream(void *arg)
{
	struct bench *b = arg;

	for (unsigned int sent = 0; sent < FRAMES; sent += b->cell->burst) {
		while ((int)(sent - __atomic_load_n(&b->got, __ATOMIC_ACQUIRE)) >
		       (int)(RING - 2 * b->cell->burst))
			sched_yield();
		if (feed(b))
			break;
	}
	return NULL;
}

/* A driver that takes what is there and sleeps when nothing is. */
static int stream(struct bench *b)
{
	pthread_t t;
	int id, ret;

	b->got = 0;
	if (pthread_create(&t, NULL, feed_stream, b))
		return -EAGAIN;
	do {
		ret = vq_wait(b->vq, 1, WAIT_MS);
		while (!ret && (id = vq_pop(b->vq, NULL)) >= 0) {
			ret = rx_post(b, b->buf[id]) < 0 ? -ENOSPC : 0;
			__atomic_add_fetch(&b->got, 1, __ATOMIC_RELEASE);
		}
		vq_publish_kick(b->vq);
	} while (!ret && b->got < FRAMES);
	/* nobody waits for what does not come */
	__atomic_store_n(&b->got, FRAMES, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	return ret;
}

static int timed(struct bench *b, struct sample *s)
{
	unsigned int bursts = FRAMES / BURST_MAX;
	int tid = worker_tid(getpid()), ret = 0;
	int64_t ns, all;

	for (unsigned int i = 0; i < WARM_UP / b->cell->burst && !ret; i++)
		ret = burst(b);
	poll(NULL, 0, 1);
	ns = worker_ns(tid);
	b->vq->calls = 0;
	all = now_ns();
	if (b->cell->is_stream)
		ret = stream(b);
	for (unsigned int i = 0; i < bursts && !ret && !b->cell->is_stream; i++)
		ret = burst(b);
	all = now_ns() - all;
	/* the worker's last steps, to its sleep */
	poll(NULL, 0, 1);
	ns = worker_ns(tid) - ns;
	s->worker = (double)ns / bursts / b->cell->burst;
	s->all = (double)all / bursts / b->cell->burst;
	s->calls = (double)b->vq->calls / bursts / b->cell->burst;
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
	ret = prepare(&b, v);
	if (!ret)
		ret = c->q == TX ? tx_check(&b) : rx_check(&b);
	if (!ret)
		ret = timed(&b, s);
	dev_close(&b.d);
	if (b.tap >= 0)
		close(b.tap);
	if (b.pkt >= 0)
		close(b.pkt);
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
static void calls_row(struct sample (*s)[ROUNDS_MAX], const bool *has, int nr,
		      int rounds)
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
static int row(const struct cell *c, const struct variant *v, int nr,
	       int rounds)
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
		printf(" %6.0f %6.0f %7.0f", s[i][0].worker, median[i],
		       1e6 / s[i][rounds / 2].all);
	}
	for (int i = 1; i < nr; i++) {
		if (has[i - 1] && has[i])
			printf(" %6.3f", median[i] / median[i - 1]);
		else
			printf(" %6s", "-");
	}
	printf("\n");
	if (c->is_stream)
		calls_row(s, has, nr, rounds);
	fflush(stdout);
	return 0;
}

static int variant_parse(struct variant *v, char *text)
{
	char *how;

	v->name = strsep(&text, ":");
	v->node = strsep(&text, ":");
	how = strsep(&text, ":");
	v->is_packed = how && !strcmp(how, "packed");
	return v->node && (!how || v->is_packed) ? 0 : -EINVAL;
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

int main(int argc, char **argv)
{
	struct sched_param fifo = { .sched_priority = 1 };
	struct variant v[VARIANTS_MAX];
	int opt, nr = 0, rounds = 5, failed = 0;
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
		if (variant_parse(&v[nr], argv[optind]))
			return 2;
	if (!nr || rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	/* Bursts reach a worker on the same CPU whole: it does not preempt. */
	if (netns_enter() || sched_setscheduler(0, SCHED_FIFO |
						SCHED_RESET_ON_FORK, &fifo)) {
		perror("net_bench");
		return 1;
	}
	header(v, nr);
	for (size_t i = 0; i < CELLS; i++)
		if (strstr(cells[i].name, only))
			failed |= row(&cells[i], v, nr, rounds);
	return failed;
}
