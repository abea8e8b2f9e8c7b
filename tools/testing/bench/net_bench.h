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
#define WORKERS_MAX	2	/* threads that a device begins with */
#define COUNTERS	2	/* of perf: see net_usage.c */

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

/* What one measurement found, a packet. */
struct sample {
	double worker;		/* ns; of a latency all that passes */
	double all;		/* ns, of the loop: driver, host and worker */
	double calls;
	double count[COUNTERS];	/* of the worker, by perf; NAN: nobody counts */
};

/* All that was found of one kind of traffic. */
struct row {
	const struct cell *cell;
	const struct variant *v;
	int nr, rounds;		/* variants, and samples of each */
	struct sample s[VARIANTS_MAX][ROUNDS_MAX];
	bool has[VARIANTS_MAX];
};

/* What serves a device, and what it has taken so far. */
struct workers {
	unsigned int nr;
	int tid[WORKERS_MAX];
	int64_t ns[WORKERS_MAX];
	int perf[WORKERS_MAX][COUNTERS];	/* descriptors, or -1 */
	uint64_t was[WORKERS_MAX][2 + COUNTERS];
};

/* One node under one kind of traffic. */
struct bench {
	const struct cell *cell;
	struct dev d;
	struct iotlb iotlb;	/* of cells with F_PLATFORM */
	struct workers workers;
	bool is_pinned;		/* driver and worker have a CPU each */
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

/* net_usage.c */
int usage_probe(void);
int usage_open(struct workers *w, int cpu);
void usage_begin(struct workers *w);
void usage_end(struct workers *w, struct sample *s, unsigned int frames);
void usage_close(struct workers *w);

/* net_table.c */
void table_header(const struct variant *v, int nr);
void table_row(const struct row *r);
void clock_header(bool has_counters);
void clock_row(const struct row *r, bool has_counters);

#endif /* NET_BENCH_H */
