/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames that one thread hands over to another. */
#ifndef INBOX_H
#define INBOX_H

#include "switch.h"

/**
 * struct parcel - frames of one burst for one port
 * @next: the one that was handed over before it; in order: after it
 * @from: lane of the thread that hands it over
 * @cost: bytes that it counts as
 * @nr: how many frames
 * @pkt: the frames; their bytes follow
 */
struct parcel {
	struct parcel *next;
	struct lane *from;
	size_t cost;
	unsigned int nr;
	struct vhx_pkt pkt[];
};

int inbox_open(unsigned int thread);
void inbox_close(unsigned int thread);
void inbox_wake(unsigned int thread);
/* from the thread that has the lane */
unsigned int inbox_send(struct lane *lane, struct vhx_pkt *const *pkts,
			unsigned int nr);
/* from the thread itself */
struct parcel *inbox_next(unsigned int thread);
void inbox_free(struct parcel *parcel);
bool inbox_may_sleep(unsigned int thread);
void inbox_slept(unsigned int thread);
/* with all planes locked */
void inbox_drop(const struct port *port);

#endif /* INBOX_H */
