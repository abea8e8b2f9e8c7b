/* SPDX-License-Identifier: GPL-2.0-only */
/* The lanes of a port: which thread has which of its pairs. */
#ifndef LANES_H
#define LANES_H

#include "switch.h"

static inline unsigned int lanes_thread(const struct port *port,
					unsigned int pair)
{
	return (port->thread + pair) % config.threads;
}

int lanes_open(struct port *port);
void lanes_close(struct port *port);
void lanes_set(struct port *port, unsigned int queue, bool is_running);
void lanes_sum(const struct port *port, struct port_stats *sum);

#endif /* LANES_H */
