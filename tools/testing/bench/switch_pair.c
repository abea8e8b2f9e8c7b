// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two guests of switch_bench. Of each frame the length, the header and the
 * number in its first line are checked, of every WHOLE-th all bytes: that one was
 * written anew in each line.
 */
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib_lane.h"
#include "switch_bench.h"

#define WHOLE		17	/* frames; odd, or it would always be the same of a burst */
#define GREETINGS	1000	/* until both are known: a tap may take seconds */
#define GREETING_NS	5000000

bool has_one_core;

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void sleep_until(uint64_t ns)
{
	struct timespec t = {
		(time_t)(ns / 1000000000), (long)(ns % 1000000000),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

/* On one core the switch has its turn now. */
static void relax(void)
{
	if (has_one_core)
		sched_yield();
}

/* -- A, and B's answers -------------------------------------------------------- */

static void number_first(uint8_t *frame, uint32_t seq)
{
	memcpy(frame + ETH_HLEN, &seq, sizeof(seq));
}

/* A frame of A's with the next number is ready to be published. */
static void add_frame(struct pair *p)
{
	struct lane *l = &p->a.lane[TX];
	uint8_t *frame = l->buf + slot_of(l->avail) * BUF_SIZE +
			 p->a.front.d.hdr_len;

	if (p->a.sent % WHOLE == 0)
		number(frame, p->a.cell->len, p->a.sent);
	else
		number_first(frame, p->a.sent);
	p->a.sent++;
	lane_add(l);
}

/* Buffers that were sent. Return: 0 or -EPROTO */
static int take_back(struct guest *g)
{
	uint32_t len;
	int ret;

	do
		ret = lane_pop(&g->lane[TX], &len);
	while (ret >= 0);
	return ret == -EAGAIN ? 0 : ret;
}

/* Never more than B has buffers for. Return: frames, or -EPROTO */
static int send_batch(struct pair *p)
{
	struct lane *l = &p->a.lane[TX];
	int ret;

	if (p->a.sent - p->b.received > RING - BATCH)
		return 0;
	if (RING - (l->avail - l->used) < BATCH) {
		ret = take_back(&p->a);
		if (ret || RING - (l->avail - l->used) < BATCH)
			return ret;
	}
	for (unsigned int i = 0; i < BATCH; i++)
		add_frame(p);
	lane_publish_kick(l);
	return BATCH;
}

/* Of B, to whoever knows A. */
static int answer(struct pair *p)
{
	struct guest *g = &p->b;
	struct lane *l = &g->lane[TX];
	int ret = take_back(g);

	if (ret || l->avail - l->used == RING)
		return ret;
	frame_fill(l->buf + slot_of(l->avail) * BUF_SIZE + g->front.d.hdr_len,
		   g->cell->len, true, 0);
	lane_add(l);
	lane_publish_kick(l);
	return 0;
}

/* -- B, and what A hears of it -------------------------------------------------- */

static bool is_expected(struct pair *p, const uint8_t *buf, uint32_t len)
{
	unsigned int hlen = p->b.front.d.hdr_len;
	uint32_t seq = p->b.received;

	if (seq % WHOLE)
		return len == hlen + p->b.cell->len &&
		       !memcmp(buf + hlen + ETH_HLEN, &seq, sizeof(seq)) &&
		       is_plain(buf, hlen);
	number(p->frame, p->b.cell->len, seq);
	return is_right(&p->b, buf, len, p->frame);
}

/* Return: frames, at most a batch, or -errno: -EBADMSG also of one that is lost */
static int receive_batch(struct pair *p)
{
	struct lane *l = &p->b.lane[RX];
	int nr, ret = 0;
	uint32_t len;

	for (nr = 0; nr < BATCH; nr++, p->b.received++) {
		ret = lane_pop(l, &len);
		if (ret < 0)
			break;
		if (!is_expected(p, l->buf + ret * BUF_SIZE, len))
			return -EBADMSG;
		lane_add(l);
	}
	lane_publish_kick(l);
	return ret < 0 && ret != -EAGAIN ? ret : nr;
}

/* Takes all that came to a guest, whatever it is. Return: frames or -errno */
static int drop_all(struct guest *g)
{
	struct lane *l = &g->lane[RX];
	uint32_t len;
	int nr, ret;

	for (nr = 0; (ret = lane_pop(l, &len)) >= 0; nr++)
		lane_add(l);
	lane_publish_kick(l);
	return ret == -EAGAIN ? nr : ret;
}

/* All that was sent arrives. */
static int receive_rest(struct pair *p)
{
	struct patience patience = {};
	int ret = 0;

	while (p->b.received != p->a.sent && ret >= 0) {
		ret = receive_batch(p);
		if (!ret && is_over(&patience))
			ret = -ETIMEDOUT;
		if (!ret)
			relax();
	}
	return ret < 0 ? ret : take_back(&p->a);
}

/* -- both ------------------------------------------------------------------------ */

/* A switch may drop frames until it has taken notice of both guests. */
static int meet(struct pair *p)
{
	bool has_a = false, has_b = false;
	int ret = 0;

	for (int i = 0; i < GREETINGS && !(has_a && has_b); i++) {
		ret = take_back(&p->a);
		if (!ret)
			ret = answer(p);
		if (ret)
			return ret;
		add_frame(p);
		lane_publish_kick(&p->a.lane[TX]);
		sleep_until(clock_ns() + GREETING_NS);
		ret = drop_all(&p->a);
		has_a |= ret > 0;
		if (ret >= 0)
			ret = drop_all(&p->b);
		has_b |= ret > 0;
		if (ret < 0)
			return ret;
	}
	if (!has_a || !has_b)
		return -ENOLINK;
	sleep_until(clock_ns() + 4 * GREETING_NS);
	ret = drop_all(&p->b);
	p->b.received = p->a.sent;
	return ret < 0 ? ret : 0;
}

/* By a socket, or by NODE=TAP. */
static int open_guest(struct guest *g, const struct cell *cell,
		      const char *path, int *tap)
{
	const char *name = strchr(path, '=');
	char node[64];

	if (!name)
		return guest_open(g, cell, path);
	snprintf(node, sizeof(node), "%.*s", (int)(name - path), path);
	return guest_open_tap(g, cell, node, name + 1, tap);
}

/* Nothing that pair_close() would close. */
void pair_init(struct pair *p)
{
	front_init(&p->a.front);
	front_init(&p->b.front);
	p->tap[0] = -1;
	p->tap[1] = -1;
}

/**
 * pair_open - bring two guests to a switch
 * @p: the pair, after pair_init()
 * @cell: how they are
 * @path: of two ports: sockets, or NODE=TAP
 *
 * Return: 0, -EOPNOTSUPP: the switch lacks a feature, or another errno
 */
int pair_open(struct pair *p, const struct cell *cell, char *const path[2])
{
	int ret = open_guest(&p->a, cell, path[0], &p->tap[0]);

	if (!ret)
		ret = open_guest(&p->b, cell, path[1], &p->tap[1]);
	if (!ret)
		ret = guest_lanes(&p->a);
	if (!ret)
		ret = guest_lanes(&p->b);
	if (!ret)
		guest_frame(&p->a, p->frame, 0);
	return ret ? ret : meet(p);
}

void pair_close(struct pair *p)
{
	guest_close(&p->a);
	guest_close(&p->b);
	for (unsigned int i = 0; i < 2; i++)
		if (p->tap[i] >= 0)
			close(p->tap[i]);
}

/* The switch hears again where B is. Return: 0 or -errno */
int pair_greet(struct pair *p)
{
	struct patience patience = {};
	int ret = answer(p);

	while (!ret) {
		ret = drop_all(&p->a);
		if (!ret && is_over(&patience))
			return -ETIMEDOUT;
		relax();
	}
	return ret < 0 ? ret : 0;
}

/* As fast as the switch goes, for @time cycles. Return: 0 or -errno */
int pair_stream(struct pair *p, uint64_t time, struct stream *s)
{
	uint32_t before = p->b.received;
	uint64_t from = cycles(), last = from, now;
	int got, sent;

	vq_calls_off(&p->b.front.d.vq[RX]);
	s->idle = 0;
	do {
		got = receive_batch(p);
		if (got < 0)
			return got;
		sent = send_batch(p);
		if (sent < 0)
			return sent;
		now = cycles();
		if (!got && !sent) {
			s->idle += now - last;
			relax();
		}
		last = now;
	} while (now - from < time);
	s->frames = p->b.received - before;
	s->time = now - from;
	return receive_rest(p);
}

/* One frame, for which B looks. @time: cycles until B has it. */
int pair_ping(struct pair *p, uint64_t *time)
{
	struct lane *l = &p->b.lane[RX];
	struct patience patience = {};
	uint64_t from;

	vq_calls_off(l->vq);
	add_frame(p);
	from = cycles();
	lane_publish_kick(&p->a.lane[TX]);
	while (!is_used(l)) {
		if (is_over(&patience))
			return -ETIMEDOUT;
		relax();
	}
	*time = cycles() - from;
	return receive_rest(p);
}

/*
 * @nr bursts of the cell, with a gap behind each; B wants a call for the next frame,
 * as a guest that sleeps. A switch that stands still gets no more than its ring
 * holds.
 */
int pair_pace(struct pair *p, unsigned int nr, uint64_t gap_ns)
{
	uint64_t at = clock_ns();
	int ret = 0;

	for (unsigned int i = 0; i < nr && ret >= 0; i++) {
		lane_want_call(&p->b.lane[RX]);
		for (unsigned int k = 0; k < p->a.cell->burst; k++)
			add_frame(p);
		lane_publish_kick(&p->a.lane[TX]);
		at += gap_ns;
		sleep_until(at);
		ret = receive_batch(p);
		if (ret >= 0 && p->a.sent - p->b.received > RING / 2)
			ret = receive_rest(p);
		if (ret >= 0)
			ret = take_back(&p->a);
	}
	return ret < 0 ? ret : receive_rest(p);
}
