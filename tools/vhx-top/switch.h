/* SPDX-License-Identifier: GPL-2.0-only */
/* What a running vhx-switch says of its guests' queues. */
#ifndef SWITCH_H
#define SWITCH_H

#include "fdinfo.h"
#include "netdev.h"

#define SWITCH_COMM	"vhx-switch"
#define SWITCH_ANSWER_NS	1000000000ULL	/* time that it has to answer */

/**
 * struct pair - a queue pair of a port
 * @port: name of the port
 * @path: of its socket or node, or ""
 * @number: of the pair, from 0
 * @info: what its queues are
 * @net: counters of the port; known with its first pair alone
 */
struct pair {
	char port[64];
	char path[48];
	unsigned int number;
	struct fdinfo info;
	struct netdev net;
};

/**
 * struct pairs - those of all ports, in the order of the switch
 * @list: the pairs
 * @nr: how many
 */
struct pairs {
	struct pair *list;
	size_t nr;
};

int switch_path(char *path, size_t size, const char *cmdline, size_t len);
int switch_parse_queues(struct pairs *pairs, const char *text);
int switch_parse_ports(struct pairs *pairs, const char *text);
int switch_read(struct pairs *pairs, int pid, uint64_t until);
void switch_free(struct pairs *pairs);
uint64_t switch_now(void);

#endif /* SWITCH_H */
