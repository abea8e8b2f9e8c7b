/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes that have a vhost-net node open. */
#ifndef PROCS_H
#define PROCS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "task.h"

#define NODE_MAX	48	/* bytes of the path of a node */
#define OF_ONE_MAX	1024	/* nodes, taps and workers each of a process */

/**
 * struct open_node - a descriptor of a node
 * @fd: its number
 * @path: of the node, such as /dev/vhost-net
 */
struct open_node {
	int fd;
	char path[NODE_MAX];
};

/**
 * struct open_tap - a descriptor of a queue of a tap
 * @fd: its number
 * @ifname: of the tap
 * @queue: how many of the same tap were before it
 */
struct open_tap {
	int fd;
	char ifname[IF_NAMESIZE];
	int queue;
};

/**
 * struct proc - a process that uses vhost-net, or serves guests itself
 * @task: its first thread
 * @is_hidden: its descriptors are not for us to see: there are no nodes and taps
 * @is_switch: it has the name of vhx-switch
 * @nodes: by descriptor
 * @nr_nodes: how many
 * @taps: by descriptor
 * @nr_taps: how many
 * @workers: tids of threads named vhost-PID, in ascending order
 * @nr_workers: how many
 */
struct proc {
	struct task task;
	bool is_hidden;
	bool is_switch;
	struct open_node *nodes;
	size_t nr_nodes;
	struct open_tap *taps;
	size_t nr_taps;
	int *workers;
	size_t nr_workers;
};

/**
 * struct procs - all of them, by pid
 * @list: the processes
 * @nr: how many
 * @is_cut: one has more than OF_ONE_MAX of something; the rest is left out
 */
struct procs {
	struct proc *list;
	size_t nr;
	bool is_cut;
};

int procs_read(struct procs *procs);
void procs_free(struct procs *procs);

#endif /* PROCS_H */
