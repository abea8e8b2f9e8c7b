/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of net_bench share. */
#ifndef NET_BENCH_H
#define NET_BENCH_H

#include "iotlb_lib.h"
#include "net_lib.h"
#include "variant.h"

#define RING		256
#define BUF_STEP	2048	/* bytes; a buffer is cut from so many or a multiple */
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
	bool is_latency;	/* one frame at a time, on an idle device */
	bool is_macvtap;	/* else a tap */
	bool is_logged;		/* dirty pages are */
	unsigned int gso;	/* bytes of a segment of TCP, or 0 */
};

extern const struct cell cells[];
extern const unsigned int nr_cells;

/* One node under one kind of traffic. */
struct bench {
	const struct cell *cell;
	struct dev d;
	struct iotlb iotlb;	/* of cells with F_PLATFORM */
	struct vq *vq;
	const char *host_if;	/* where frames come out, and go in */
	int tap, pkt;
	uint8_t *log;		/* of dirty pages, or NULL */
	unsigned int used;	/* used elements a frame */
	uint8_t *mem;		/* of buffers, in the order in which they were posted */
	size_t step;		/* bytes from one to the next */
	uint8_t *buf[RING];	/* by id */
	struct virtio_net_hdr hdr;	/* of all frames, by what the host knows */
	uint8_t *frame[BURST_MAX];
	unsigned int frames;	/* of a stream */
	unsigned int got;	/* atomic, of a stream */
};

/* net_port.c */
int port_open(struct bench *b, const struct variant *v);
int port_check(struct bench *b);
void port_close(struct bench *b);

/* net_traffic.c */
int rx_post(struct bench *b, uint8_t *buf);
int feed(struct bench *b);
int burst(struct bench *b);
int check(struct bench *b);
int stream(struct bench *b, unsigned int frames);

/* net_latency.c */
int latency(struct bench *b, double *median_ns);

#endif /* NET_BENCH_H */
