/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of CPUs, and lists of them in words: 0-3,7. */
#ifndef CPUS_H
#define CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

/* As many as Linux has at most. */
#define CPUS_MAX	8192

/**
 * struct cpus - a set of CPUs
 * @bits: one a CPU, for CPU_SET_S() and sched_setaffinity()
 */
struct cpus {
	unsigned long bits[CPUS_MAX / (8 * sizeof(long))];
};

static inline cpu_set_t *cpus_set_of(struct cpus *cpus)
{
	return (cpu_set_t *)cpus->bits;
}

int cpus_parse(struct cpus *cpus, const char *text);
void cpus_print(const struct cpus *cpus, char *text, size_t size);
bool cpus_contain(const struct cpus *all, const struct cpus *some);

#endif /* CPUS_H */
