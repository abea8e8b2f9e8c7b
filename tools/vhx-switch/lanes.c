// SPDX-License-Identifier: GPL-2.0-only
/* The lanes of a port: which thread has which of its pairs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"

/* Return: 0, -ENOMEM */
int lanes_open(struct port *port)
{
	size_t size = config.threads * sizeof(struct lane);
	unsigned int i;

	port->lane = aligned_alloc(CACHE_LINE, size);
	if (!port->lane)
		return -ENOMEM;
	memset(port->lane, 0, size);
	for (i = 0; i < config.threads; i++) {
		port->lane[i].port = port;
		port->lane[i].via = &port->lane[port->thread];
	}
	return 0;
}

void lanes_close(struct port *port)
{
	free(port->lane);
}

static bool runs(const struct port *port, unsigned int queue)
{
	return port->queues[queue / 8] & 1 << queue % 8;
}

/* Where frames go from a thread: those with the same sender and way stay in order. */
static struct lane *via_of(const struct port *port, unsigned int thread)
{
	struct lane *lane;
	unsigned int i;

	for (i = 0; i < config.threads; i++) {
		lane = &port->lane[(thread + i) % config.threads];
		if (lane->nr_to)
			return lane;
	}
	/* They wait where the first pair is going to be. */
	return &port->lane[port->thread];
}

/* A queue comes or goes; with all planes locked. */
void lanes_set(struct port *port, unsigned int queue, bool is_running)
{
	uint8_t bit = (uint8_t)(1 << queue % 8);
	struct lane *lane;
	unsigned int i;

	port->queues[queue / 8] = (uint8_t)((port->queues[queue / 8] & ~bit) |
					    (is_running ? bit : 0));
	for (i = 0; i < config.threads; i++) {
		port->lane[i].nr_from = 0;
		port->lane[i].nr_to = 0;
		port->lane[i].to[0] = 0;
	}
	for (i = 0; i < PAIRS_MAX; i++) {
		lane = &port->lane[lanes_thread(port, i)];
		if (runs(port, 2 * i))
			lane->to[lane->nr_to++] = (uint8_t)i;
		if (runs(port, 2 * i + 1))
			lane->from[lane->nr_from++] = (uint8_t)i;
	}
	for (i = 0; i < config.threads; i++)
		port->lane[i].via = via_of(port, i);
}

/* What all lanes counted. */
void lanes_sum(const struct port *port, struct port_stats *sum)
{
	uint64_t *to = (uint64_t *)sum;
	unsigned int i, k;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < config.threads; i++)
		for (k = 0; k < sizeof(*sum) / sizeof(*to); k++)
			to[k] += ((const uint64_t *)&port->lane[i].stats)[k];
}
