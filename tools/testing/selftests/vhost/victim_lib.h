/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device that faults are injected into. Its memory can be made cold: then what
 * touches it first has to allocate page tables, so that each access of a worker
 * is a point to fail at.
 */
#ifndef VICTIM_LIB_H
#define VICTIM_LIB_H

#include "fault_lib.h"
#include "iotlb_lib.h"
#include "net_lib.h"

#define VICTIM_RING	64
#define BURST_FRAMES	3

struct victim {
	struct dev d;
	struct net n;
	struct iotlb t;
	struct responder r;
	bool is_answered;	/* misses are, by r */
	uint8_t mode;		/* of its workers */
	unsigned int q;		/* ring that is in work */
	int memory;		/* memfd of guest memory */
	uint8_t *log;		/* dirty log */
	int log_call;		/* its eventfd */
	uint8_t *tx_buf, *rx_buf;
	uint8_t *rx_at[VICTIM_RING];	/* buffers, by head */
	unsigned int nr_posted;	/* buffers in the receiving ring */
	unsigned int nr_added;	/* buffers ever added to it */
	uint32_t seq;		/* of the next frame */
	uint8_t frame[FRAME_MAX], seen[FRAME_MAX];
	char why[256];		/* what was wrong, or "" */
};

/* Frames of one kind, all at once. */
struct burst {
	const char *name;
	unsigned int q;
	size_t len;
	const struct layout *layout;
};

int victim_create(struct victim *v, enum backend kind, uint64_t features);
void victim_destroy(struct victim *v);
int victim_begin(struct victim *v);
void victim_end(struct victim *v);
void victim_cool(struct victim *v);
int victim_answer(struct victim *v);
bool victim_moves(struct victim *v, const struct burst *b, struct fault *f,
		  unsigned int n, bool *is_injected);

#endif /* VICTIM_LIB_H */
