// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "rule.h"

#define LINE_BLANKS	" \t\r\n"

struct key {
	const char *name;
	/* Return: what is wrong, or NULL. */
	const char *(*set)(struct rule *rule, const char *value);
};

static const char *copy(char *to, size_t size, const char *value)
{
	if (*to)
		return "given twice";
	if (!*value)
		return "empty";
	if (strlen(value) >= size)
		return "too long";
	strcpy(to, value);
	return NULL;
}

/* Return: whether @text is a number between two, which @n is set to. */
static bool number(const char *text, int min, int max, int *n)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!*text || *end || strchr(LINE_BLANKS "+", *text) || value < min ||
	    value > max)
		return false;
	*n = (int)value;
	return true;
}

/* A pattern may be longer than what it is for. */
static bool is_pattern(const char *value)
{
	return strpbrk(value, "*?[\\");
}

static const char *set_vm(struct rule *rule, const char *value)
{
	if (strlen(value) >= VM_LEN && !is_pattern(value))
		return "longer than a name can be";
	return copy(rule->vm, sizeof(rule->vm), value);
}

static const char *set_tap(struct rule *rule, const char *value)
{
	if (strlen(value) >= IF_NAMESIZE && !is_pattern(value))
		return "longer than a name can be";
	return copy(rule->tap, sizeof(rule->tap), value);
}

/* A name, or a number that may have none: as of a container. */
static const char *set_user(struct rule *rule, const char *value)
{
	const struct passwd *user = getpwnam(value);
	unsigned long number;
	char *end;

	if (rule->has_user)
		return "given twice";
	rule->has_user = true;
	if (user) {
		rule->user = user->pw_uid;
		return NULL;
	}
	number = strtoul(value, &end, 10);
	rule->user = (uid_t)number;
	return *value < '0' || *value > '9' || *end || number >= NO_USER ?
	       "no such user" : NULL;
}

static const char *set_ring(struct rule *rule, const char *value)
{
	if (rule->rings)
		return "given twice";
	rule->rings = !strcmp(value, "rx") ? 1 << RING_RX :
		      !strcmp(value, "tx") ? 1 << RING_TX : 0;
	return rule->rings ? NULL : "rx or tx";
}

static const char *set_cpus(struct rule *rule, const char *value)
{
	if (rule->has_cpus)
		return "given twice";
	rule->has_cpus = true;
	return cpus_parse(&rule->cpus, value) ?
	       "a list of CPUs, such as 0-3,7" : NULL;
}

static const char *set_nice(struct rule *rule, const char *value)
{
	if (rule->has_nice)
		return "given twice";
	if (rule->class == CLASS_FIFO)
		return "not beside fifo, which has no nice values";
	rule->class = CLASS_OTHER;
	rule->has_nice = true;
	return number(value, -20, 19, &rule->nice) ? NULL : "from -20 to 19";
}

static const char *set_fifo(struct rule *rule, const char *value)
{
	if (rule->class == CLASS_FIFO)
		return "given twice";
	if (rule->class == CLASS_OTHER)
		return "not beside nice or other";
	rule->class = CLASS_FIFO;
	return number(value, 1, 99, &rule->priority) ? NULL : "from 1 to 99";
}

static const char *set_other(struct rule *rule, const char *value)
{
	if (value && *value)
		return "has no value";
	if (rule->class == CLASS_FIFO)
		return "not beside fifo";
	rule->class = CLASS_OTHER;
	return NULL;
}

static const char *set_cgroup(struct rule *rule, const char *value)
{
	return copy(rule->cgroup, sizeof(rule->cgroup), value);
}

static const struct key keys[] = {
	{ "vm", set_vm }, { "tap", set_tap }, { "user", set_user },
	{ "ring", set_ring }, { "cpus", set_cpus }, { "nice", set_nice },
	{ "fifo", set_fifo }, { "other", set_other }, { "cgroup", set_cgroup },
};

/**
 * rule_set - one word of a rule
 * @rule: begun as zeroes
 * @key: before the =
 * @value: behind it, or NULL: there was no =
 * @why: result: what is wrong, in words
 * @size: bytes of @why
 *
 * Return: 0, -EINVAL
 */
int rule_set(struct rule *rule, const char *key, const char *value, char *why,
	     size_t size)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *wrong;

		if (strcmp(keys[i].name, key))
			continue;
		if (!value && keys[i].set != set_other)
			wrong = "has to be followed by = and a value";
		else
			wrong = keys[i].set(rule, value);
		if (!wrong)
			return 0;
		snprintf(why, size, "%s%s%s: %s", key, value ? "=" : "",
			 value ? value : "", wrong);
		return -EINVAL;
	}
	snprintf(why, size, "%s: no such word: vm, tap, user, ring, cpus, nice, fifo, other, cgroup",
		 key);
	return -EINVAL;
}

/* Whether it says where workers are to be, and not just which. */
bool rule_places(const struct rule *rule)
{
	return rule->has_cpus || rule->class != CLASS_KEPT || *rule->cgroup;
}

/* Those that it may serve all have to be meant: which it is, is not known. */
static bool are_taps_meant(const char *glob, const struct worker *worker)
{
	if (!worker->nr_taps || worker->has_more)
		return false;
	for (size_t i = 0; i < worker->nr_taps; i++)
		if (fnmatch(glob, worker->tap[i], 0))
			return false;
	return true;
}

/**
 * rule_selects - whether a worker is one of those that a rule is for
 * @rule: the rule
 * @worker: the worker
 *
 * Return: true if all that @rule names of VM, tap, user and ring is so
 */
bool rule_selects(const struct rule *rule, const struct worker *worker)
{
	return (!*rule->vm || !fnmatch(rule->vm, worker->vm, 0)) &&
	       (!*rule->tap || are_taps_meant(rule->tap, worker)) &&
	       (!rule->has_user || rule->user == worker->user) &&
	       (!rule->rings || rule->rings & worker->rings);
}

/* Return: 1, 0 (a line without a rule), -EINVAL. */
static int parse_line(struct rule *rule, char *line, char *why, size_t size)
{
	char *word, *value, *rest = line;
	bool is_empty = true;

	while ((word = strtok_r(rest, LINE_BLANKS, &rest)) && *word != '#') {
		is_empty = false;
		value = strchr(word, '=');
		if (value)
			*value++ = 0;
		if (rule_set(rule, word, value, why, size))
			return -EINVAL;
	}
	if (is_empty || rule_places(rule))
		return !is_empty;
	snprintf(why, size, "says which workers, not what of them: cpus, nice, fifo, other or cgroup");
	return -EINVAL;
}

static int add(struct rules *rules, const struct rule *rule)
{
	struct rule *more = realloc(rules->at, (rules->nr + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	more[rules->nr++] = *rule;
	rules->at = more;
	return 0;
}

/**
 * rules_read - read a file of rules
 * @rules: result; unchanged after an error
 * @path: the file
 *
 * Says of each line that is wrong on stderr what is wrong with it.
 *
 * Return: 0, -EINVAL (there was such a line), -errno (no such file, and so on)
 */
int rules_read(struct rules *rules, const char *path)
{
	struct rules found = { 0 };
	unsigned int number = 0;
	char *line = NULL, why[512];
	size_t size = 0;
	ssize_t len;
	int ret, err = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return -errno;
	while ((len = getline(&line, &size, file)) >= 0) {
		struct rule rule = { .line = ++number };

		if (strlen(line) == (size_t)len) {
			ret = parse_line(&rule, line, why, sizeof(why));
		} else {
			snprintf(why, sizeof(why), "has a zero byte in it");
			ret = -EINVAL;
		}
		if (ret < 0)
			fprintf(stderr, "%s:%u: %s\n", path, number, why);
		else if (ret > 0)
			ret = add(&found, &rule);
		err = ret < 0 ? ret : err;
	}
	if (ferror(file) && !err)
		err = -EIO;
	free(line);
	fclose(file);
	if (err) {
		rules_free(&found);
		return err;
	}
	rules_free(rules);
	*rules = found;
	return 0;
}

/* What rules_read() took. */
void rules_free(struct rules *rules)
{
	free(rules->at);
	*rules = (struct rules){ 0 };
}

/* The rule that holds for a worker, the first that is for it, or NULL. */
const struct rule *rules_find(const struct rules *rules,
			      const struct worker *worker)
{
	for (unsigned int i = 0; i < rules->nr; i++)
		if (rule_selects(&rules->at[i], worker))
			return &rules->at[i];
	return NULL;
}
