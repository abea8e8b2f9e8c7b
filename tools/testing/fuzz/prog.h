/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs of the fuzzer: what they are, how they change, how they run.
 */
#ifndef PROG_H
#define PROG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OPS_MAX		24
#define OP_RING		1	/* flags: the second ring */
#define OP_THREAD	2	/* runs in a second thread, beside the others */
#define OP_FLAGS	3
#define TEXT_MAX	2048	/* bytes of a program as text */
#define EXIT_FAILED	3	/* of a program that could not begin */

enum kind {
	OP_SETUP, OP_REOPEN, OP_U64, OP_STATE, OP_FILE, OP_ADDR, OP_MEM,
	OP_WORKER, OP_IOTLB, OP_READ, OP_ADD, OP_DESC, OP_POKE, OP_KICK,
	OP_SEND, OP_DRAIN, OP_WAIT, OP_INFO, OP_PAGES, OP_REAP, OP_IOCTL,
	OP_KINDS
};

/* What @a, @b and @c choose is up to the kind; each value chooses something. */
struct op {
	uint8_t kind;
	uint8_t flags;
	uint16_t a;
	uint32_t b;
	uint64_t c;
};

struct prog {
	unsigned int n;
	struct op op[OPS_MAX];
};

/* prog.c */
void random_seed(uint64_t seed);
uint64_t random_u64(void);
unsigned int random_below(unsigned int n);
void prog_seed(struct prog *p, unsigned int number);
void prog_mutate(struct prog *p, const struct prog *other);
void prog_drop(struct prog *p, unsigned int at);
int prog_print(const struct prog *p, uint64_t number, char *text);
bool prog_parse(FILE *f, struct prog *p, uint64_t *number);

/* backends.c: what a program has at hand as backend, and as a wrong one */
enum {
	TAP, MACVTAP, PACKET, BACKENDS,
	EVENT = BACKENDS, NODE, NONE, ZERO, UDP, FDS
};

extern int backends[FDS];

int backends_prepare(void);
void backends_open(void);
void backends_drain(void);
void backends_send(const struct op *op);
void backends_drain_one(const struct op *op);

/* exec.c: in a process of its own */
void exec_prog(const struct prog *p);

/* cover.c */
bool cover_open(void);
void cover_start(void);
void cover_enable(void);
unsigned int cover_take(void);
bool cover_has(unsigned int at);
unsigned int cover_new(unsigned int *copy);
unsigned int cover_total(void);
void cover_write(FILE *f);

#endif /* PROG_H */
