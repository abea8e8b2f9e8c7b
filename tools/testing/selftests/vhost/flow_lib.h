/* SPDX-License-Identifier: GPL-2.0-only */
/* One frame at a time through a device and a tap, for tests of set-up. */
#ifndef FLOW_LIB_H
#define FLOW_LIB_H

#include "net_lib.h"

#define FLOW_LEN	300	/* bytes of a frame */
#define FLOW_ROOM	2048	/* bytes of a buffer for one */

struct flow {
	struct dev d;
	struct net n;
	uint8_t *tx_buf, *rx_buf;	/* where the next frame lies */
	uint8_t frame[FLOW_LEN];
	uint8_t seen[FLOW_LEN + 1];
	uint32_t seq;
};

int flow_start(struct flow *f, unsigned int q);
int flow_stop(struct flow *f, unsigned int q);
int flow_tx_add(struct flow *f);
int flow_tx_done(struct flow *f, int head);
int flow_tx(struct flow *f);
int flow_rx_add(struct flow *f);
int flow_rx_inject(struct flow *f);
int flow_rx_done(struct flow *f, int head);
int flow_rx(struct flow *f);

#endif /* FLOW_LIB_H */
