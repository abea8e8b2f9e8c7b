// SPDX-License-Identifier: GPL-2.0-only
/*
 * drivers/vhost/main.c checks the same. It is said here before the module is loaded:
 * one wrong value, and the module is not.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setting.h"

/**
 * struct rule - values that a parameter takes
 * @name: of the parameter
 * @words: each between blanks; "": yes or no; NULL: a number
 * @min: the lowest number
 * @max: the highest one
 * @takes: the same for people
 */
struct rule {
	const char *name, *words;
	long long min, max;
	const char *takes;
};

static const struct rule rules[] = {
	{ "features", " all 6.1 6.12 7.3 ", 0, 0, "all, 6.1, 6.12 or 7.3" },
	{ "busyloop", " off auto ", 0, 0, "off or auto" },
	{ "busyloop_share", NULL, 0, 100, "0 to 100" },
	{ "workers", NULL, 1, 2, "1 or 2" },
	{ "max_iotlb_entries", NULL, 1, 2147483647, "1 to 2147483647" },
	{ "max_mem_regions", NULL, 0, 65535, "0 to 65535" },
	{ "log_lines", NULL, 0, 4294967295LL, "0 to 4294967295" },
	{ "latency", NULL, -2147483647, 2147483647, "a thread id" },
	{ "fork_from_owner_default", "", 0, 0, "Y or N" },
};

static bool is_word(const char *words, const char *value)
{
	char word[100];

	snprintf(word, sizeof(word), " %s ", value);
	return *value && !strchr(value, ' ') && strstr(words, word);
}

static bool is_number(const struct rule *rule, const char *value)
{
	long long number;
	char *end;

	errno = 0;
	number = strtoll(value, &end, 0);
	return *value && !*end && !errno && number >= rule->min && number <= rule->max;
}

/*
 * As kstrtobool() of the kernel: "of" is the beginning of off. A name alone says yes.
 * Newer kernels take enable and disable.
 */
static bool is_bool(const char *value)
{
	if (*value == 'o' || *value == 'O')
		return value[1] && strchr("nNfF", value[1]);
	return !*value || strchr("1yYtTeE0nNfFdD", *value);
}

static bool is_taken(const struct rule *rule, const char *value)
{
	if (!rule->words)
		return is_number(rule, value);
	return *rule->words ? is_word(rule->words, value) : is_bool(value);
}

/**
 * setting_unquote - a value as the module gets it: the kernel drops quotes around it
 * @to: where to
 * @size: bytes there; what is longer is cut
 * @value: as it was given
 */
void setting_unquote(char *to, size_t size, const char *value)
{
	size_t len = strlen(value);

	if (len > 1 && *value == '"' && value[len - 1] == '"')
		snprintf(to, size, "%.*s", (int)len - 2, value + 1);
	else
		snprintf(to, size, "%s", value);
}

/**
 * setting_refused - whether vhx_net cannot be loaded with a parameter
 * @name: of the parameter
 * @value: "" for a name alone
 *
 * Return: NULL: it can; else what it takes
 */
const char *setting_refused(const char *name, const char *value)
{
	char text[96];
	size_t i;

	setting_unquote(text, sizeof(text), value);
	for (i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (!strcmp(rules[i].name, name))
			return is_taken(&rules[i], text) ? NULL : rules[i].takes;
	return NULL;
}
