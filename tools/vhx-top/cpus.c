// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"

#define WORDS		(sizeof(((struct cpus *)0)->bits) / sizeof(long))

static bool has(const struct cpus *cpus, unsigned int cpu)
{
	return CPU_ISSET_S(cpu, sizeof(*cpus), (const cpu_set_t *)cpus->bits);
}

/* Return: behind the number, or NULL. */
static const char *number(const char *text, unsigned long *n)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return NULL;
	*n = strtoul(text, &end, 10);
	return *n < CPUS_MAX ? end : NULL;
}

/**
 * cpus_parse - read a list as the kernel writes it
 * @cpus: result
 * @text: 0-3,7
 *
 * Return: 0, -EINVAL (no such list, or an empty one)
 */
int cpus_parse(struct cpus *cpus, const char *text)
{
	unsigned long first, last;

	memset(cpus, 0, sizeof(*cpus));
	for (;;) {
		text = number(text, &first);
		last = first;
		if (text && *text == '-')
			text = number(text + 1, &last);
		if (!text || last < first)
			return -EINVAL;
		for (; first <= last; first++)
			CPU_SET_S(first, sizeof(*cpus), cpus_set_of(cpus));
		if (!*text || *text == '\n')
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

/**
 * cpus_print - write a list
 * @cpus: the set
 * @text: result; ends in ... where there is no room for more
 * @size: bytes of @text, 16 or more
 */
void cpus_print(const struct cpus *cpus, char *text, size_t size)
{
	size_t len = 0;

	*text = 0;
	for (unsigned int i = 0, last; i < CPUS_MAX; i = last + 1) {
		last = i;
		if (!has(cpus, i))
			continue;
		while (last + 1 < CPUS_MAX && has(cpus, last + 1))
			last++;
		if (size - len < 16) {
			snprintf(text + len, size - len, ",...");
			return;
		}
		len += (size_t)snprintf(text + len, size - len,
					last > i ? "%s%u-%u" : "%s%u",
					len ? "," : "", i, last);
	}
}

/* Whether all of @some are in @all. */
bool cpus_contain(const struct cpus *all, const struct cpus *some)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (some->bits[i] & ~all->bits[i])
			return false;
	return true;
}
