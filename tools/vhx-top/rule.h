/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules: which workers, and where they are to be. */
#ifndef RULE_H
#define RULE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cpus.h"
#include "workers.h"

#define NAME_MAX_LEN	128
#define GROUP_LEN	PATH_MAX

/* What runs when: as it is, by nice values, in real time. */
enum rule_class { CLASS_KEPT, CLASS_OTHER, CLASS_FIFO };

/**
 * struct rule - a line of the rules, or what the command line asks for
 * @line: of the file, from 1
 * @vm: glob of names of VMs, or empty: any
 * @tap: glob of interfaces, or empty: any
 * @has_user: @user holds
 * @user: whose process owns the device
 * @rings: bits of those of which a worker serves one; 0: any
 * @has_cpus: @cpus holds
 * @cpus: where it may run
 * @class: when it runs
 * @has_nice: @nice holds
 * @nice: with CLASS_OTHER, -20 to 19
 * @priority: with CLASS_FIFO, 1 to 99
 * @cgroup: from / on, or as seen from the owner's group; empty: where it is
 */
struct rule {
	unsigned int line;
	char vm[NAME_MAX_LEN];
	char tap[NAME_MAX_LEN];
	bool has_user;
	uid_t user;
	unsigned int rings;
	bool has_cpus;
	struct cpus cpus;
	enum rule_class class;
	bool has_nice;
	int nice;
	int priority;
	char cgroup[GROUP_LEN];
};

/**
 * struct rules - those of a file, in its order
 * @at: they
 * @nr: how many
 */
struct rules {
	struct rule *at;
	unsigned int nr;
};

int rule_set(struct rule *rule, const char *key, const char *value, char *why,
	     size_t size);
bool rule_places(const struct rule *rule);
bool rule_selects(const struct rule *rule, const struct worker *worker);
int rules_read(struct rules *rules, const char *path);
void rules_free(struct rules *rules);
const struct rule *rules_find(const struct rules *rules,
			      const struct worker *worker);

#endif /* RULE_H */
