// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames on their way out. Those that a guest has no buffer for yet, or one whose
 * translation is still to come, wait a moment.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gso.h"
#include "inbox.h"
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

/* Of one port no more wait than there are places left: some are for others. */
static bool has_place(const struct lane *lane, const struct vhx_pkt *frame)
{
	return lane->nr_kept + lane->nr_kept_of[frame_from(frame)] < KEPT_MAX;
}

static void keep(struct lane *lane, const struct vhx_pkt *frame)
{
	unsigned int at = (lane->first_kept + lane->nr_kept) % KEPT_MAX;
	struct kept *kept = NULL;

	if (lane->port->ops->keeps && has_place(lane, frame))
		kept = malloc(sizeof(*kept) + frame->len);
	if (!kept) {
		lane->stats.drop_full++;
		return;
	}
	kept->pkt = *frame;
	kept->pkt.data = kept->data;
	kept->until_ms = now_ms() + WAIT_MS;
	memcpy(kept->data, frame->data, frame->len);
	lane->kept[at] = kept;
	lane->nr_kept++;
	lane->nr_kept_of[frame_from(frame)]++;
}

static void forget(struct lane *lane, unsigned int nr)
{
	struct kept *kept;

	for (; nr; nr--) {
		kept = lane->kept[lane->first_kept];
		lane->nr_kept_of[frame_from(&kept->pkt)]--;
		free(kept);
		lane->first_kept = (lane->first_kept + 1) % KEPT_MAX;
		lane->nr_kept--;
	}
}

/* Return: how many frames were taken, from the first on. */
static unsigned int give(struct lane *lane, struct vhx_pkt *const *pkts,
			 unsigned int nr)
{
	return lane->via == lane ? lane->port->ops->send(lane, pkts, nr) :
				   inbox_send(lane, pkts, nr);
}

/* Sends frames that the port takes, behind those that wait. */
static void put(struct lane *lane, struct vhx_pkt *const *pkts, unsigned int nr)
{
	unsigned int done = 0;

	if (nr && !lane->nr_kept)
		done = give(lane, pkts, nr);
	for (; done < nr; done++)
		keep(lane, pkts[done]);
}

static void put_segments(struct lane *lane, const struct vhx_pkt *frame)
{
	static __thread uint8_t data[HEADROOM + VHX_FRAME_LEN_MAX];
	struct vhx_pkt segment = { .data = data, .user = frame->user };
	struct vhx_pkt *const pkts[] = { &segment };
	uint32_t at = 0;

	do {
		at = gso_segment(frame, at, &segment);
		put(lane, pkts, 1);
	} while (at && has_place(lane, frame));
	lane->stats.drop_full += !!at;
}

/* Sends of those that wait what the port takes. Return: how many. */
static unsigned int retry(struct lane *lane)
{
	struct vhx_pkt *pkts[BURST];
	unsigned int nr, done, sum = 0;

	do {
		for (nr = 0; nr < lane->nr_kept && nr < BURST; nr++)
			pkts[nr] = &lane->kept[(lane->first_kept + nr) %
					       KEPT_MAX]->pkt;
		done = nr ? give(lane, pkts, nr) : 0;
		forget(lane, done);
		sum += done;
	} while (done == BURST);
	return sum;
}

/* Whoever has the port's pairs cuts long frames: fewer bytes are handed over. */
static void hand_over(struct lane *lane)
{
	/* What waited here when the pairs changed. */
	retry(lane);
	inbox_send(lane, lane->out, lane->nr_out);
	lane->nr_out = 0;
}

/* Sends what the plane put out. */
void out_flush(struct lane *lane)
{
	unsigned int i, first = 0;

	if (!lane->nr_out)
		return;
	if (lane->via != lane) {
		hand_over(lane);
		return;
	}
	for (i = 0; i < lane->nr_out; i++) {
		if (gso_fits(lane->port, lane->out[i]))
			continue;
		put(lane, lane->out + first, i - first);
		put_segments(lane, lane->out[i]);
		first = i + 1;
	}
	put(lane, lane->out + first, lane->nr_out - first);
	lane->nr_out = 0;
}

/* Tries again with those that wait. Return: how many do no more. */
unsigned int out_retry(struct lane *lane)
{
	unsigned int done, old;

	if (!lane->nr_kept)
		return 0;
	done = retry(lane);
	for (old = 0; lane->nr_kept &&
	     lane->kept[lane->first_kept]->until_ms < now_ms(); old++)
		forget(lane, 1);
	lane->stats.drop_full += old;
	return done + old;
}

/* Whoever they are for has gone. */
void out_drop(struct port *port)
{
	struct lane *lane;

	for (lane = port->lane; lane < port->lane + config.threads; lane++) {
		lane->stats.drop_down += lane->nr_kept;
		forget(lane, lane->nr_kept);
	}
	inbox_drop(port);
}
