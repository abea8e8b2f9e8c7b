/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two guests on two ports of a switch, which one thread plays: A sends, B
 * receives, and answers with a frame now and then, so that the switch knows where
 * it is. Functions return 0 or more, or -errno.
 */
#ifndef SWITCH_BENCH_H
#define SWITCH_BENCH_H

#include "lib_bench.h"

#define SWITCH_CPU	0	/* as in switch.sh */

/* Guests and switch take turns. */
extern bool has_one_core;

/**
 * struct pair - the guests of one switch
 * @a: sends; its number of frames is that of the pair
 * @b: receives
 * @tap: of guests on /dev/vhost-net, else -1
 * @frame: that is sent, but for its number
 */
struct pair {
	struct guest a;
	struct guest b;
	int tap[2];
	uint8_t frame[BUF_SIZE];
};

/**
 * struct stream - what came of one
 * @frames: that B got
 * @time: cycles that it took
 * @idle: of them, those in which the guests had nothing to do
 */
struct stream {
	uint64_t frames;
	uint64_t time;
	uint64_t idle;
};

int guest_open_tap(struct guest *g, const struct cell *cell, const char *node,
		   const char *name, int *tap);
void pair_init(struct pair *p);
int pair_open(struct pair *p, const struct cell *cell, char *const path[2]);
void pair_close(struct pair *p);
int pair_greet(struct pair *p);
int pair_stream(struct pair *p, uint64_t time, struct stream *s);
int pair_ping(struct pair *p, uint64_t *time);
int pair_pace(struct pair *p, unsigned int nr, uint64_t gap_ns);
int wake_up_time(uint64_t *time);
void sleep_until(uint64_t ns);
uint64_t clock_ns(void);

#endif /* SWITCH_BENCH_H */
