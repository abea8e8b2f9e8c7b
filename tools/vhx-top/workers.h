/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which threads are workers of a vhost device, whose they are, and what they serve.
 *
 * vhx_net says in fdinfo of its node which worker a ring has, and which interface.
 * In-tree says nothing: there a worker is known by its name, vhost-<pid>, and may
 * serve any of the taps of its process.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fdinfo.h"

#define TAPS_MAX	32
#define VM_LEN		64	/* bytes of a name; what is longer is cut */
#define NO_USER		((uid_t)-1)
#define BOTH_RINGS	(1 << RING_RX | 1 << RING_TX)

/**
 * struct worker - a thread that moves frames
 * @tid: its number
 * @pid: the process that owns the device
 * @user: real user of that process; NO_USER: it has ended
 * @start: when it was started, in ticks: it tells threads of one number apart
 * @is_kthread: it is a thread of the kernel, not of the owner
 * @is_bound: the kernel has bound it to a CPU
 * @rings: bits of those that it serves; both where that is not known
 * @is_known: what it serves was told by the kernel
 * @nr_taps: names in @tap
 * @has_more: there was no room in @tap for all
 * @tap: the interface that it serves; where that is not known, all of its owner
 * @vm: name that the owner was given, or of its program
 */
struct worker {
	int tid;
	int pid;
	uid_t user;
	uint64_t start;
	bool is_kthread;
	bool is_bound;
	unsigned int rings;
	bool is_known;
	size_t nr_taps;
	bool has_more;
	char tap[TAPS_MAX][IF_NAMESIZE];
	char vm[VM_LEN];
};

/**
 * struct workers - all of them, by number of process and thread
 * @at: the workers
 * @nr: how many
 * @is_cut: a process has so many that some were left out
 */
struct workers {
	struct worker *at;
	size_t nr;
	bool is_cut;
};

int workers_read(struct workers *list);
void workers_free(struct workers *list);
void workers_tell_cut(void);
bool worker_is_there(const struct worker *worker);

#endif /* WORKERS_H */
