// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames on their way out. Those that a guest has no buffer for yet, or one whose
 * translation is still to come, wait a moment.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gso.h"
#include "out.h"

/* How long a frame waits; a guest that takes none for so long has stopped. */
#define WAIT_MS		200

/**
 * struct kept - a frame that waits
 * @pkt: the frame
 * @until_ms: when it is dropped
 * @data: its bytes
 */
struct kept {
	struct vhx_pkt pkt;
	uint64_t until_ms;
	uint8_t data[];
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void keep(struct port *port, const struct vhx_pkt *frame)
{
	unsigned int at = (port->first_kept + port->nr_kept) % KEPT_MAX;
	struct kept *kept = NULL;

	if (port->ops->keeps && port->nr_kept < KEPT_MAX)
		kept = malloc(sizeof(*kept) + frame->len);
	if (!kept) {
		port->stats.drop_full++;
		return;
	}
	kept->pkt = *frame;
	kept->pkt.data = kept->data;
	kept->until_ms = now_ms() + WAIT_MS;
	memcpy(kept->data, frame->data, frame->len);
	port->kept[at] = kept;
	port->nr_kept++;
}

static void forget(struct port *port, unsigned int nr)
{
	for (; nr; nr--) {
		free(port->kept[port->first_kept]);
		port->first_kept = (port->first_kept + 1) % KEPT_MAX;
		port->nr_kept--;
	}
}

/* Sends frames that the port takes, behind those that wait. */
static void put(struct port *port, struct vhx_pkt *const *pkts, unsigned int nr)
{
	unsigned int done = 0;

	if (nr && !port->nr_kept)
		done = port->ops->send(port, pkts, nr);
	for (; done < nr; done++)
		keep(port, pkts[done]);
}

static void put_segments(struct port *port, const struct vhx_pkt *frame)
{
	static uint8_t data[HEADROOM + VHX_FRAME_LEN_MAX];
	struct vhx_pkt segment = { .data = data };
	struct vhx_pkt *const pkts[] = { &segment };
	uint32_t at = 0;

	do {
		at = gso_segment(frame, at, &segment);
		put(port, pkts, 1);
	} while (at && port->nr_kept < KEPT_MAX);
	port->stats.drop_full += !!at;
}

/* Sends what the plane put out. */
void out_flush(struct port *port)
{
	unsigned int i, first = 0;

	for (i = 0; i < port->nr_out; i++) {
		if (gso_fits(port, port->out[i]))
			continue;
		put(port, port->out + first, i - first);
		put_segments(port, port->out[i]);
		first = i + 1;
	}
	put(port, port->out + first, port->nr_out - first);
	port->nr_out = 0;
}

/* Sends of those that wait what the port takes. Return: how many. */
static unsigned int retry(struct port *port)
{
	struct vhx_pkt *pkts[BURST];
	unsigned int nr, done, sum = 0;

	do {
		for (nr = 0; nr < port->nr_kept && nr < BURST; nr++)
			pkts[nr] = &port->kept[(port->first_kept + nr) %
					       KEPT_MAX]->pkt;
		done = nr ? port->ops->send(port, pkts, nr) : 0;
		forget(port, done);
		sum += done;
	} while (done == BURST);
	return sum;
}

/* Tries again with those that wait. Return: how many do no more. */
unsigned int out_retry(struct port *port)
{
	unsigned int done, old;

	if (!port->nr_kept)
		return 0;
	done = retry(port);
	for (old = 0; port->nr_kept &&
	     port->kept[port->first_kept]->until_ms < now_ms(); old++)
		forget(port, 1);
	port->stats.drop_full += old;
	return done + old;
}

/* The guest has gone. */
void out_drop(struct port *port)
{
	port->stats.drop_down += port->nr_kept;
	forget(port, port->nr_kept);
}
