/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts a worker where a rule says, and tells where it is. */
#ifndef PLACE_H
#define PLACE_H

#include "rule.h"

/**
 * struct placement - where a worker is
 * @cpus: on which it may run
 * @class: FIFO 10, nice -5, ...
 * @cgroup: of the unified hierarchy
 */
struct placement {
	struct cpus cpus;
	char class[32];
	char cgroup[GROUP_LEN];
};

int place_worker(const struct worker *worker, const struct rule *rule, char *why,
		 size_t size);
int place_read(const struct worker *worker, struct placement *placement);

#endif /* PLACE_H */
