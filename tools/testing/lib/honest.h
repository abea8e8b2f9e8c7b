/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Honest guests on ports of vhx-switch, who send each other frames of 60 bytes
 * with a number in them, and look how long these take.
 */
#ifndef HONEST_H
#define HONEST_H

#include "frontend.h"

#define FEATURES	(F_V1 | F_MRG | F_EVENT | F_INDIRECT)
#define NUM	256
#define ROOM	2048

struct honest {
	struct front f;
	uint8_t *buf;
	uint8_t mac[ETH_ALEN];
};

int honest_open(struct honest *g, const char *path, uint8_t number);
void honest_fill(uint8_t *frame, const uint8_t *to, const uint8_t *from,
		 uint32_t seq);
int64_t honest_cross_within(struct honest *from, struct honest *to,
			    uint32_t seq, bool is_broadcast, int64_t limit_us);
int64_t honest_cross(struct honest *from, struct honest *to, uint32_t seq,
		     bool is_broadcast);
int honest_wait_up(struct honest *from, struct honest *to);

#endif /* HONEST_H */
