// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhx-switch --threads 2: frames between ports of one thread and of two. The
 * program is $VHX_SWITCH. What a guest gets from another is what that sent, all of
 * it, in order: a guest has no more frames under way than it has buffers.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <kselftest_harness.h>

#include "honest.h"

#define FRAMES	5000
#define WINDOW	48		/* frames under way: below buffers of both kinds */
#define LEN_MAX	1500
#define TURNS	10
#define HLEN	12
#define MSS	1000
#define TCP4_LEN	54		/* of headers */
#define F_OFFLOADS	(BIT_ULL(VIRTIO_NET_F_CSUM) | BIT_ULL(VIRTIO_NET_F_HOST_TSO4))
#define OTHERS	64		/* buffers of honest_cross() */
#define WINDOWS	(NUM - OTHERS)
/* Both pairs of port m are guests here. */
enum { A, B, C, M, M2, GUESTS };
#define PORTS	M2

static const uint8_t everybody[] = { 255, 255, 255, 255, 255, 255 };

/* How a port is described; those of thread 1 are b, c, and the second pair of m. */
static const char *const more[PORTS] = {
	"thread=0", "thread=1", "thread=1", "thread=0,queues=2",
};

FIXTURE(threads) {
	pid_t pid;
	char dir[64];
	char ctl[80];
	char path[PORTS][80];
	struct honest guest[GUESTS];
	uint32_t next[GUESTS][GUESTS];	/* by receiver and sender */
	uint32_t nr_sent[GUESTS];
	unsigned int nr_wrong;
	pthread_t thread;
	bool is_over;
};

typedef FIXTURE_DATA(threads) fix;

static void describe(const fix *s, unsigned int port, char *spec, size_t size)
{
	snprintf(spec, size, "vhost-user,name=%c,path=%s,%s", "abcm"[port],
		 s->path[port], more[port]);
}

static pid_t start_switch(fix *s)
{
	char spec[PORTS][160];
	pid_t pid = fork();

	for (unsigned int i = 0; i < PORTS; i++)
		describe(s, i, spec[i], sizeof(spec[i]));
	if (!pid) {
		execl(getenv("VHX_SWITCH"), "vhx-switch", "--threads", "2",
		      "--offload", "--ctl", s->ctl, "--port", spec[0], "--port",
		      spec[1], "--port", spec[2], "--port", spec[3], NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && access(s->path[PORTS - 1], F_OK); i++)
		usleep(10000);
	return pid;
}

FIXTURE_SETUP(threads)
{
	for (int i = 0; i < GUESTS; i++)
		front_init(&self->guest[i].f);
	ASSERT_NE(NULL, getenv("VHX_SWITCH"));
	strcpy(self->dir, "/tmp/vhx-threads-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->ctl, sizeof(self->ctl), "%s/ctl", self->dir);
	for (int i = 0; i < PORTS; i++)
		snprintf(self->path[i], sizeof(self->path[i]), "%s/%c",
			 self->dir, "abcm"[i]);
	self->pid = start_switch(self);
	ASSERT_LT(0, self->pid);
	for (int i = A; i <= C; i++)
		ASSERT_EQ(0, honest_open(&self->guest[i], self->path[i], i));
	for (int i = A; i <= C; i++)
		ASSERT_EQ(0, honest_wait_up(&self->guest[i],
					    &self->guest[i == A ? B : A]));
}

/* It ends well: under a sanitizer that is, without a word of it. */
FIXTURE_TEARDOWN(threads)
{
	int status = -1;

	kill(self->pid, SIGTERM);
	for (int i = 0; i < 1000 && !waitpid(self->pid, &status, WNOHANG); i++)
		usleep(10000);
	EXPECT_EQ(0, status);
	if (status)
		kill(self->pid, SIGKILL);
	for (int i = A; i <= M; i++)
		front_close(&self->guest[i].f);
	rmdir(self->dir);
}

/* -- frames -------------------------------------------------------------------- */

static uint32_t len_of(uint32_t seq)
{
	return 60 + seq * 37 % (LEN_MAX - 60);
}

static void fill(fix *s, uint8_t *frame, const uint8_t *to, unsigned int from,
		 uint32_t seq)
{
	honest_fill(frame, to, s->guest[from].mac, seq);
	frame[18] = (uint8_t)(1 + from);
	for (uint32_t i = 19; i < len_of(seq); i++)
		frame[i] = (uint8_t)(seq + i * 7);
}

/* A frame that fill() made. Those that honest_cross() left are others. */
static void check(fix *s, unsigned int at, const uint8_t *frame, uint32_t len)
{
	uint8_t want[LEN_MAX];
	unsigned int from;
	uint32_t seq;

	if (frame[12] != 0x88 || !frame[18] || frame[18] > GUESTS)
		return;
	from = frame[18] - 1u;
	seq = s->next[at][from]++;
	fill(s, want, frame, from, seq);
	if (len == len_of(seq) && !memcmp(frame, want, len))
		return;
	memcpy(&seq, frame + 14, sizeof(seq));
	if (!s->nr_wrong++)
		fprintf(stderr, "# %u from %u: frame %u of %u bytes, not %u\n", at,
			from, seq, len, s->next[at][from] - 1);
}

/* Takes what came to a guest, and gives its buffers back. */
static void take(fix *s, unsigned int at)
{
	struct honest *g = &s->guest[at];
	struct vq *vq = &g->f.d.vq[RX];
	uint32_t len;
	int head;

	while ((head = vq_pop(vq, &len)) >= 0) {
		uint8_t *buf = g->buf + (vq->desc[head].addr - gpa(&g->f.d, g->buf));

		check(s, at, buf + HLEN, len - HLEN);
		rx_add(vq, ROOM, &one_piece, buf);
		vq_publish_kick(vq);
	}
}

static int send_one(fix *s, unsigned int from, const uint8_t *to, uint32_t seq)
{
	struct honest *g = &s->guest[from];
	struct vq *tx = &g->f.d.vq[TX];
	uint8_t frame[LEN_MAX];
	int ret;

	while (vq_pop(tx, NULL) >= 0)
		;
	fill(s, frame, to, from, seq);
	ret = tx_add(tx, NULL, frame, len_of(seq), &one_piece,
		     g->buf + (NUM + OTHERS + s->nr_sent[from]++ % WINDOWS) * ROOM);
	vq_publish_kick(tx);
	return ret < 0 ? ret : 0;
}

/**
 * struct stream - frames from one guest to one, or to two
 * @from: the sender
 * @to: the receivers
 * @address: where they are sent
 * @sent: how many were
 */
struct stream {
	unsigned int from;
	unsigned int to[2];
	const uint8_t *address;
	uint32_t sent;
};

static uint32_t seen(const fix *s, const struct stream *stream)
{
	uint32_t a = s->next[stream->to[0]][stream->from];
	uint32_t b = s->next[stream->to[1]][stream->from];

	return a < b ? a : b;
}

/* Return: 0, -ETIMEDOUT: some got lost, -EBADMSG, or an errno of a ring */
static int run_streams(fix *s, struct stream *stream, unsigned int nr, uint32_t frames)
{
	int64_t end = now_ms() + 4 * WAIT_MS;
	unsigned int i, nr_done = 0;
	int ret = 0;

	memset(s->next, 0, sizeof(s->next));
	while (!ret && !s->nr_wrong && nr_done < nr && now_ms() < end) {
		for (i = 0; i < GUESTS; i++)
			if (s->guest[i].buf)
				take(s, i);
		for (i = 0, nr_done = 0; i < nr && !ret; i++) {
			struct stream *one = &stream[i];

			while (!ret && one->sent < frames &&
			       one->sent - seen(s, one) < WINDOW)
				ret = send_one(s, one->from, one->address,
					       one->sent++);
			nr_done += seen(s, one) == frames;
		}
	}
	for (i = 0; i < nr && nr_done < nr; i++)
		fprintf(stderr, "# %u to %u: %u frames sent, %u seen\n",
			stream[i].from, stream[i].to[0], stream[i].sent,
			seen(s, &stream[i]));
	return ret ? ret : s->nr_wrong ? -EBADMSG : nr_done < nr ? -ETIMEDOUT : 0;
}

#define STREAM(s, a, b)	{ .from = (a), .to = { (b), (b) }, .address = (s)->guest[b].mac }

TEST_F(threads, both_ways_ok)
{
	struct stream streams[] = {
		STREAM(self, A, B), STREAM(self, B, A), STREAM(self, A, C),
		STREAM(self, C, B), STREAM(self, B, C), STREAM(self, C, A),
	};

	EXPECT_EQ(0, run_streams(self, streams, 6, FRAMES));
}

TEST_F(threads, broadcast_ok)
{
	struct stream streams[] = {
		{ .from = A, .to = { B, C }, .address = everybody },
		{ .from = B, .to = { A, C }, .address = everybody },
	};

	EXPECT_EQ(0, run_streams(self, streams, 2, FRAMES));
}

/* The address of A and B is the same: it is where it was seen last. */
TEST_F(threads, address_moves_ok)
{
	struct honest *c = &self->guest[C];

	memcpy(self->guest[B].mac, self->guest[A].mac, ETH_ALEN);
	for (uint32_t i = 0; i < 100; i++) {
		struct honest *at = &self->guest[i & 1];

		ASSERT_LE(0, honest_cross_within(at, c, 2 * i, true,
						 WAIT_MS * 1000LL));
		ASSERT_LE(0, honest_cross_within(c, at, 2 * i + 1, false,
						 WAIT_MS * 1000LL));
	}
}

/* Nobody wakes both threads but frames; each is between two threads. */
TEST_F(threads, frame_wakes_a_thread_that_sleeps_ok)
{
	for (uint32_t i = 0; i < 50; i++) {
		usleep(5000);
		ASSERT_LE(0, honest_cross_within(&self->guest[i & 1],
						 &self->guest[~i & 1], i, false,
						 WAIT_MS * 1000LL));
	}
}

/* Payload of the segments that a guest got. */
static uint32_t take_segments(struct honest *g)
{
	struct vq *vq = &g->f.d.vq[RX];
	uint32_t len, sum = 0;
	int head;

	while ((head = vq_pop(vq, &len)) >= 0) {
		uint8_t *buf = g->buf + (vq->desc[head].addr - gpa(&g->f.d, g->buf));

		if (buf[HLEN + 12] == 8 && len - HLEN - TCP4_LEN <= MSS)
			sum += len - HLEN - TCP4_LEN;
		rx_add(vq, ROOM, &one_piece, buf);
		vq_publish_kick(vq);
	}
	return sum;
}

/* Each thread that gives them out cuts them: at the same time. */
TEST_F(threads, long_frames_are_cut_ok)
{
	struct honest *a = &self->guest[A];
	struct vq *tx = &a->f.d.vq[TX];
	uint8_t frame[TCP4_LEN + 5 * MSS + 1];
	struct virtio_net_hdr hdr;
	uint32_t seen[GUESTS] = {};
	uint8_t *buf;

	front_close(&a->f);
	front_init(&a->f);
	ASSERT_EQ(0, front_open(&a->f, self->path[A], FEATURES | F_OFFLOADS, NUM));
	buf = guest_alloc(&a->f.d, 20 * 8192UL, 4096);
	ASSERT_EQ(0, honest_open(&self->guest[M], self->path[M], M));
	ASSERT_EQ(0, honest_wait_up(&self->guest[B], &self->guest[M]));
	frame_tcp4(frame, sizeof(frame), true, 1);
	memcpy(frame, everybody, ETH_ALEN);
	memcpy(frame + ETH_ALEN, a->mac, ETH_ALEN);
	hdr_gso_tcp4(&hdr, MSS);
	for (int i = 0; i < 20; i++)
		ASSERT_LE(0, tx_add(tx, &hdr, frame, sizeof(frame), &one_piece,
				    buf + i * 8192));
	vq_publish_kick(tx);
	for (int64_t end = now_ms() + WAIT_MS; now_ms() < end &&
	     seen[B] + seen[C] + seen[M] < 3 * 20 * (5 * MSS + 1);)
		for (int i = B; i <= M; i++)
			seen[i] += take_segments(&self->guest[i]);
	for (int i = B; i <= M; i++)
		EXPECT_EQ(20 * (5 * MSS + 1), seen[i]);
}

/* -- a port of two pairs, on two threads ----------------------------------------- */

/* Its second pair is a guest of its own, in another part of its memory. */
static int open_both_pairs(fix *s)
{
	struct honest *m = &s->guest[M], *m2 = &s->guest[M2];
	int ret = honest_open(m, s->path[M], M);

	if (ret)
		return ret;
	m2->f.d = m->f.d;
	m2->f.d.mem += MEM_SIZE / 2;
	m2->f.d.brk = 2 * RING_AREA;
	memcpy(m2->mac, m->mac, ETH_ALEN);
	for (unsigned int q = RX; q <= TX && !ret; q++) {
		memset(&m2->f.d.vq[q], 0, sizeof(m2->f.d.vq[q]));
		m2->f.d.vq[q].kick = -1;
		m2->f.d.vq[q].call = -1;
		m2->f.d.vq[q].err = -1;
		ret = front_layout(&m2->f, q, NUM);
		if (!ret)
			ret = front_queue(&m->f, &m2->f.d.vq[q], 2 + q);
	}
	m2->buf = guest_alloc(&m2->f.d, 2UL * NUM * ROOM, 4096);
	for (unsigned int i = 0; i < NUM / 2 && !ret; i++)
		if (rx_add(&m2->f.d.vq[RX], ROOM, &one_piece, m2->buf + i * ROOM) < 0)
			ret = -ENOSPC;
	vq_publish(&m2->f.d.vq[RX]);
	for (unsigned int q = RX; q <= TX; q++)
		vq_kick(&m2->f.d.vq[q]);
	if (!ret)
		ret = honest_wait_up(&s->guest[A], m);
	return ret ? ret : honest_wait_up(&s->guest[B], m2);
}

static void close_second_pair(fix *s)
{
	struct honest *m2 = &s->guest[M2];

	for (unsigned int q = RX; q <= TX; q++) {
		close(m2->f.d.vq[q].kick);
		close(m2->f.d.vq[q].call);
		close(m2->f.d.vq[q].err);
		free(m2->f.d.vq[q].next);
	}
	m2->buf = NULL;
}

/* A thread that has a pair of the port sends by that one. */
TEST_F(threads, pairs_on_two_threads_ok)
{
	struct stream streams[] = {
		STREAM(self, A, M), STREAM(self, B, M2), STREAM(self, C, M2),
		STREAM(self, M, B), STREAM(self, M2, A),
	}, by_other[] = { STREAM(self, A, M), STREAM(self, B, M) };

	ASSERT_EQ(0, open_both_pairs(self));
	for (int i = 0; i < 5; i++)
		streams[i].address = self->guest[streams[i].to[0]].mac;
	EXPECT_EQ(0, run_streams(self, streams, 5, FRAMES));
	/* Without that pair it hands over. */
	ASSERT_EQ(0, front_state(&self->guest[M].f, SET_VRING_ENABLE, 2, 0));
	EXPECT_EQ(0, run_streams(self, by_other, 2, FRAMES));
	close_second_pair(self);
}

/* -- ports that come and go ------------------------------------------------------ */

/* Return: 0, or -errno: the switch does not say that it did so. */
static int ask(fix *s, const char *format, ...)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ret = -EPROTO;
	char answer[3] = "";
	va_list args;

	strcpy(address.sun_path, s->ctl);
	va_start(args, format);
	if (connect(fd, (void *)&address, sizeof(address)) ||
	    vdprintf(fd, format, args) < 0)
		ret = -errno;
	else if (read(fd, answer, 3) == 3 && !memcmp(answer, "ok\n", 3))
		ret = 0;
	va_end(args);
	close(fd);
	return ret;
}

/* To B, and to all: frames that are not looked at. */
static void *send_without_end(void *arg)
{
	fix *s = arg;
	struct honest *c = &s->guest[C];
	uint8_t frame[60] = "";

	for (uint32_t i = 0; !__atomic_load_n(&s->is_over, __ATOMIC_RELAXED); i++) {
		honest_fill(frame, i % 4 ? s->guest[i & 1].mac : everybody, c->mac, i);
		frame[12] = 0x99;
		while (vq_pop(&c->f.d.vq[TX], NULL) >= 0)
			;
		tx_add(&c->f.d.vq[TX], NULL, frame, sizeof(frame), &one_piece,
		       c->buf + NUM * ROOM + i % NUM * ROOM);
		vq_publish_kick(&c->f.d.vq[TX]);
	}
	return NULL;
}

/* Its frames are on their way from one thread to the other when it goes. */
static int replace(fix *s, unsigned int port)
{
	char spec[160];
	int ret;

	describe(s, port, spec, sizeof(spec));
	ret = ask(s, "del %c\n", "abcm"[port]);
	front_close(&s->guest[port].f);
	front_init(&s->guest[port].f);
	s->guest[port].buf = NULL;
	if (!ret)
		ret = ask(s, "add %s\n", spec);
	return ret ? ret : honest_open(&s->guest[port], s->path[port], port);
}

/* A guest that goes without a word, its port that stays. */
static int reconnect(fix *s, unsigned int port)
{
	front_close(&s->guest[port].f);
	front_init(&s->guest[port].f);
	s->guest[port].buf = NULL;
	return honest_open(&s->guest[port], s->path[port], port);
}

/* The sender's ring is full until the switch has had its turn. */
static int64_t cross(struct honest *from, struct honest *to, uint32_t seq,
		     bool is_broadcast)
{
	int64_t end = now_ms() + WAIT_MS, ret;

	do {
		ret = honest_cross(from, to, seq, is_broadcast);
	} while (ret == -ENOSPC && now_ms() < end);
	return ret;
}

TEST_F(threads, ports_come_and_go_under_traffic_ok)
{
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, send_without_end, self));
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		unsigned int goes = turn & 1 ? A : B, stays = turn & 1 ? B : A;

		for (uint32_t i = 0; i < 2 * NUM; i++)
			send_one(self, stays, self->guest[goes].mac, i);
		ASSERT_EQ(0, turn % 4 < 2 ? replace(self, goes) :
					    reconnect(self, goes));
		ASSERT_LE(0, cross(&self->guest[goes], &self->guest[stays],
				   2 * turn, true));
		ASSERT_LE(0, cross(&self->guest[stays], &self->guest[goes],
				   2 * turn + 1, false));
	}
	__atomic_store_n(&self->is_over, true, __ATOMIC_RELAXED);
	pthread_join(self->thread, NULL);
}

TEST_HARNESS_MAIN
