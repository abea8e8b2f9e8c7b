/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libvhx beside librte_vhost: a *peer* is one of the two, with a guest of its own;
 * a *cell* is one kind of traffic. Frames move in batches of BATCH, which a peer
 * does in bursts. Functions return 0 or more, or -errno.
 */
#ifndef LIB_BENCH_H
#define LIB_BENCH_H

#include <x86intrin.h>

#include "frontend.h"

#define RING		256	/* slots of each ring */
#define BATCH		32	/* frames */
/*
 * Bytes of a buffer, the guest's or libvhx's: an odd number of cache lines, as
 * mbufs have. At a power of two apart they would share a few sets of the cache.
 */
#define BUF_SIZE	1600

enum op { DEQUEUE, ENQUEUE, FORWARD, OPS };

/**
 * struct cell - one kind of traffic
 * @name: what it is called, but for format and length
 * @features: that the guest accepts
 * @layout: how its buffers are cut
 * @len: bytes of a frame
 * @room: bytes of a buffer of its receiveq
 * @burst: frames at a time, a divisor of BATCH
 */
struct cell {
	const char *name;
	uint64_t features;
	const struct layout *layout;
	unsigned int len;
	unsigned int room;
	unsigned int burst;
};

/**
 * struct lane - a ring of the guest, as a polling driver has it; lib_lane.h
 * @vq: where it lies
 * @buf: of slot 0; those of the others follow
 * @gpa: of that
 * @len: bytes of each, for the device
 * @flags: of each descriptor
 * @held: packed: flags of the first that is not published
 * @avail: buffers that were made available so far
 * @published: of them, those that the device may see
 * @used: of them, those that came back
 * @seen: split: how far the device was seen to have got
 */
struct lane {
	struct vq *vq;
	uint8_t *buf;
	uint64_t gpa;
	uint32_t len;
	uint16_t flags;
	uint16_t held;
	uint32_t avail;
	uint32_t published;
	uint32_t used;
	uint32_t seen;
};

/**
 * struct guest - the guest of a peer; lib_guest.c
 * @front: its rings and its memory
 * @cell: what it does
 * @tx_buf: RING buffers to send from, in turn
 * @rx_area: RING buffers to receive into
 * @rx_buf: they, by head
 * @head: of frames that were sent, in turn
 * @sent: frames so far
 * @back: of them, those whose buffers came back
 * @received: frames so far
 * @used: buffers that a frame takes
 * @lane: its rings, while it has a core of its own
 */
struct guest {
	struct front front;
	const struct cell *cell;
	uint8_t *tx_buf;
	uint8_t *rx_area;
	uint8_t *rx_buf[RING];
	int head[RING];
	uint32_t sent;
	uint32_t back;
	uint32_t received;
	unsigned int used;
	struct lane lane[2];
};

int guest_open(struct guest *g, const struct cell *cell, const char *path);
int guest_prepare(struct guest *g);
void guest_close(struct guest *g);
void guest_mark(struct guest *g);
int guest_lanes(struct guest *g);
int guest_send(struct guest *g, bool checks);
int guest_take_back(struct guest *g, bool checks);
int guest_receive(struct guest *g, bool checks);
void guest_frame(const struct guest *g, uint8_t *frame, uint32_t seq);

/**
 * struct peer_ops - one of the two libraries; one device at a time
 * @name: for the report
 * @init: once
 * @listen: the socket that a guest may come to
 * @wait: until the rings of the guest that came run
 * @close: after that guest has gone
 * @hold: make BATCH frames of @len bytes to give
 * @frame: where frame @i is that is held
 * @take: from the guest, @nr frames to be held from @at on. Return: how many
 * @give: to the guest, @nr of those that are held. Return: how many
 * @drop: free @nr of those that are held
 */
struct peer_ops {
	const char *name;
	int (*init)(bool has_hugepages);
	const char *(*listen)(void);
	int (*wait)(void);
	void (*close)(void);
	int (*hold)(unsigned int len);
	uint8_t *(*frame)(unsigned int i, unsigned int *len);
	unsigned int (*take)(unsigned int at, unsigned int nr);
	unsigned int (*give)(unsigned int at, unsigned int nr);
	void (*drop)(unsigned int at, unsigned int nr);
};

extern const struct peer_ops peer_vhx, peer_dpdk;

/* lib_cores.c */
int cores_start(int cpu);
int cores_move(const struct peer_ops *ops, struct guest *g, enum op op,
	       unsigned int frames, uint64_t *time);

static inline uint64_t cycles(void)
{
	uint64_t now;

	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
}

/* lib_call.c */
void calls_report(void);

/* lib_count.c */
int count_fork(int *status);
void count_begin(void);
unsigned int count_end(void);

#endif /* LIB_BENCH_H */
