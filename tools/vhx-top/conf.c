// SPDX-License-Identifier: GPL-2.0-only
/*
 * modprobe.d(5). Of files with one name in several folders the first counts; all are
 * read by their names. Dashes in names of modules are the same as underscores; those of
 * aliases and install rules are patterns.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "text.h"
#include "tree.h"

#define LINE_MAX_LEN	4096	/* bytes of a line; more of it is left out */
#define FILES_MAX	1024
#define NODE_ALIAS	"char_major_10_238"

static const char *const folders[] = {
	"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d",
	"/usr/lib/modprobe.d", "/lib/modprobe.d",
};

/* A file of modprobe.d. */
struct file {
	char name[256];
	unsigned int folder;
};

/**
 * struct pass - one look at all lines; rules are known by names that stand elsewhere
 * @conf: is filled
 * @is_second: @conf has the alias already
 */
struct pass {
	struct conf *conf;
	bool is_second;
};

static int by_name(const void *a, const void *b)
{
	const struct file *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order ? order : (one->folder > other->folder) -
		(one->folder < other->folder);
}

static bool is_conf(const char *name)
{
	size_t len = strlen(name);

	return *name != '.' && len > 5 && !strcmp(name + len - 5, ".conf");
}

static void complain(struct conf *conf, const char *path, int err)
{
	char text[sizeof(conf->error)];

	if (*conf->error)
		return;
	snprintf(text, sizeof(text), "%s: %s", path, strerror(err));
	text_clean(conf->error, sizeof(conf->error), text);
}

static void note_change(struct conf *conf, const char *path)
{
	int64_t changed = tree_changed("%s", path);

	if (changed > conf->changed)
		conf->changed = changed;
}

static size_t find_files(struct conf *conf, struct file *files)
{
	struct dirent *entry;
	size_t nr = 0;
	unsigned int i;
	DIR *dir;

	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		dir = tree_dir("%s", folders[i]);
		if (!dir && errno != ENOENT)
			complain(conf, folders[i], errno);
		note_change(conf, folders[i]);
		while (dir && nr < FILES_MAX && (entry = readdir(dir))) {
			if (!is_conf(entry->d_name))
				continue;
			snprintf(files[nr].name, sizeof(files[nr].name), "%s",
				 entry->d_name);
			files[nr++].folder = i;
		}
		if (dir)
			closedir(dir);
	}
	if (nr)
		qsort(files, nr, sizeof(*files), by_name);
	return nr;
}

static void unify(char *name)
{
	for (; *name; name++)
		if (*name == '-')
			*name = '_';
}

static void add_setting(struct conf *conf, const char *word, const char *where)
{
	struct setting *setting = &conf->settings[conf->nr_settings];
	size_t len = strcspn(word, "=");
	char name[sizeof(setting->name)];

	if (!*word || conf->nr_settings == SETTINGS_MAX)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)len, word);
	unify(name);
	text_clean(setting->name, sizeof(setting->name), name);
	text_clean(setting->value, sizeof(setting->value),
		   word[len] ? word + len + 1 : "");
	text_clean(setting->where, sizeof(setting->where), where);
	conf->nr_settings++;
}

/* Words of a line, one at a time; quotes are for the kernel to judge. */
static char *next_word(char **at)
{
	char *word;

	*at += strspn(*at, " \t");
	if (!**at)
		return NULL;
	word = *at;
	*at += strcspn(*at, " \t");
	if (**at)
		*(*at)++ = 0;
	return word;
}

/* As the rule has it: once said, it is not taken back. */
static void take_strict(struct conf *conf, const char *word, const char *where)
{
	if (conf->is_strict || strcmp(word, "strict=1"))
		return;
	conf->is_strict = true;
	text_clean(conf->strict_where, sizeof(conf->strict_where), where);
}

static void take_options(const struct pass *pass, const char *module, char *rest,
			 const char *where)
{
	char *word;

	while ((word = next_word(&rest))) {
		if (!strcmp(module, "vhx_net"))
			add_setting(pass->conf, word, where);
		else if (!strcmp(module, pass->conf->target))
			take_strict(pass->conf, word, where);
	}
}

static void block(struct conf *conf, const char *by, const char *where)
{
	if (*conf->blocked_where)
		return;
	conf->blocked_by = by;
	text_clean(conf->blocked_where, sizeof(conf->blocked_where), where);
}

/* An alias is not followed to a module that is on the blacklist. */
static void take_blacklist(struct conf *conf, const char *module, const char *where)
{
	if (!*conf->target || strcmp(module, conf->target))
		return;
	conf->is_off = true;
	block(conf, "the blacklist has what opens of /dev/vhost-net load", where);
}

/* The first that fits counts. */
static void take_rule(const struct pass *pass, const char *module, const char *rest,
		      const char *where)
{
	struct conf *conf = pass->conf;

	if (!fnmatch(module, "vhx_net", 0))
		block(conf, "an install rule takes the place of vhx_net", where);
	if (!*conf->target || fnmatch(module, conf->target, 0) || conf->has_rule ||
	    *conf->other_where)
		return;
	conf->has_rule = strstr(rest, "vhx_net") || strstr(rest, "vhx-net");
	if (conf->has_rule)
		text_clean(conf->rule_where, sizeof(conf->rule_where), where);
	else
		text_clean(conf->other_where, sizeof(conf->other_where), where);
}

static void take_line(const struct pass *pass, char *line, const char *where)
{
	struct conf *conf = pass->conf;
	char *what, *module, *target;

	what = next_word(&line);
	if (!what || *what == '#')
		return;
	module = next_word(&line);
	if (!module)
		return;
	unify(module);
	if (pass->is_second && !strcmp(what, "options")) {
		take_options(pass, module, line, where);
	} else if (pass->is_second && !strcmp(what, "install")) {
		take_rule(pass, module, line, where);
	} else if (pass->is_second && !strcmp(what, "blacklist")) {
		take_blacklist(conf, module, where);
	} else if (!pass->is_second && !strcmp(what, "alias") &&
		   !fnmatch(module, NODE_ALIAS, 0) && !*conf->target) {
		target = next_word(&line);
		if (!target)
			return;
		unify(target);
		text_clean(conf->target, sizeof(conf->target), target);
		text_clean(conf->target_where, sizeof(conf->target_where), where);
	}
}

/* Lines, of which a backslash at the end makes one with the next. */
static void take_text(const struct pass *pass, const char *text, const char *path)
{
	char line[LINE_MAX_LEN], where[400];
	unsigned int number = 1, first = 1;
	size_t len = 0;

	for (; *text; text++) {
		if (*text == '\\' && text[1] == '\n') {
			text++;
			number++;
		} else if (*text == '\n') {
			line[len] = 0;
			snprintf(where, sizeof(where), "%s:%u", path, first);
			take_line(pass, line, where);
			first = ++number;
			len = 0;
		} else if (len + 1 < sizeof(line)) {
			line[len++] = *text;
		}
	}
	line[len] = 0;
	snprintf(where, sizeof(where), "%s:%u", path, first);
	take_line(pass, line, where);
}

static void take_files(const struct pass *pass, const struct file *files, size_t nr)
{
	char path[320], *text;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (i && !strcmp(files[i].name, files[i - 1].name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folders[files[i].folder],
			 files[i].name);
		if (!pass->is_second)
			note_change(pass->conf, path);
		text = tree_text("%s", path);
		if (text)
			take_text(pass, text, path);
		else
			complain(pass->conf, path, errno);
		free(text);
	}
}

/* Return: what stands behind a name and an equals sign, or NULL */
static char *value_of(char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) || word[len] != '=' ? NULL : word + len + 1;
}

/* modprobe takes MODULE.NAME=VALUE from there, and has a blacklist; so has the kernel. */
static void take_cmdline_word(struct conf *conf, char *word, const char *where)
{
	size_t len = strlen(conf->target);
	char *list, *name;

	if (!strncmp(word, "vhx_net.", 8) || !strncmp(word, "vhx-net.", 8))
		add_setting(conf, word + 8, where);
	else if (len && !strncmp(word, conf->target, len) && word[len] == '.')
		take_strict(conf, word + len + 1, where);
	list = value_of(word, "modprobe.blacklist");
	while ((name = strsep(&list, ","))) {
		unify(name);
		take_blacklist(conf, name, where);
	}
	list = value_of(word, "module_blacklist");
	while ((name = strsep(&list, ",")))
		if (!strcmp(name, "vhx_net"))
			block(conf, "module_blacklist has vhx_net", where);
}

static void take_cmdline(struct conf *conf)
{
	char *text = tree_text("/proc/cmdline"), *at = text, *word;

	if (text)
		text[strcspn(text, "\n")] = 0;
	while (at && (word = next_word(&at)))
		take_cmdline_word(conf, word, "/proc/cmdline");
	free(text);
}

/**
 * conf_read - what modprobe is told of vhx
 * @conf: is filled
 *
 * Return: 0, -ENOMEM
 */
int conf_read(struct conf *conf)
{
	struct file *files = calloc(FILES_MAX, sizeof(*files));
	struct pass pass = { .conf = conf };
	size_t nr;

	memset(conf, 0, sizeof(*conf));
	if (!files)
		return -ENOMEM;
	nr = find_files(conf, files);
	take_files(&pass, files, nr);
	pass.is_second = true;
	take_files(&pass, files, nr);
	take_cmdline(conf);
	free(files);
	return 0;
}
