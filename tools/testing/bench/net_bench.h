/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of net_bench share. */
#ifndef NET_BENCH_H
#define NET_BENCH_H

#include "net_lib.h"

#define RING		256
#define BUF_SIZE	2048
#define BURST_MAX	32
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

extern const struct cell cells[];
extern const unsigned int nr_cells;

struct variant {
	char *name, *node;
	bool is_packed;
};

/* One node under one kind of traffic. */
struct bench {
	const struct cell *cell;
	struct dev d;
	struct vq *vq;
	int tap, pkt;
	unsigned int used;	/* used elements a frame */
	uint8_t *buf[RING];	/* by id */
	uint8_t frame[BURST_MAX][BUF_SIZE];
	unsigned int frames;	/* of a stream */
	unsigned int got;	/* atomic, of a stream */
};

/* net_port.c */
int port_open(struct bench *b, const struct variant *v);
void port_close(struct bench *b);

/* net_traffic.c */
int rx_post(struct bench *b, uint8_t *buf);
int burst(struct bench *b);
int check(struct bench *b);
int stream(struct bench *b, unsigned int frames);

#endif /* NET_BENCH_H */
