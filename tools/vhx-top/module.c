// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules: /sys/module of what is loaded; modules.dep and modinfo(8) of what is
 * installed. modinfo knows how modules are compressed, and where they are signed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"
#include "text.h"
#include "tree.h"

#define INFO_MAX	65536	/* bytes of what modinfo says */
#define MODINFO_PATH	"/sbin:/usr/sbin:/bin:/usr/bin"

/* One line of a file of sysfs. Return: whether it could be read */
static bool read_line(char *to, size_t size, const char *path)
{
	char text[256];

	*to = 0;
	if (tree_read(text, sizeof(text), "%s", path) < 0)
		return false;
	text[strcspn(text, "\n")] = 0;
	text_clean(to, size, text);
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct param *)a)->name, ((const struct param *)b)->name);
}

static void read_params(struct loaded *loaded, const char *name)
{
	DIR *dir = tree_dir("/sys/module/%s/parameters", name);
	struct dirent *entry;
	struct param *param;
	char path[400];

	while (dir && loaded->nr_params < PARAMS_MAX && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		param = &loaded->params[loaded->nr_params];
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", name,
			 entry->d_name);
		if (!read_line(param->value, sizeof(param->value), path))
			continue;
		text_clean(param->name, sizeof(param->name), entry->d_name);
		loaded->nr_params++;
	}
	if (dir)
		closedir(dir);
	qsort(loaded->params, loaded->nr_params, sizeof(*loaded->params), by_name);
}

/**
 * module_read_loaded - what the kernel says of a module
 * @loaded: is filled
 * @name: of the module
 */
void module_read_loaded(struct loaded *loaded, const char *name)
{
	char path[128], state[16];
	bool has_state;

	memset(loaded, 0, sizeof(*loaded));
	snprintf(path, sizeof(path), "/sys/module/%s", name);
	loaded->is_there = tree_has(path);
	if (!loaded->is_there)
		return;
	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	has_state = read_line(state, sizeof(state), path);
	loaded->is_builtin = !has_state;
	loaded->is_live = !has_state || !strcmp(state, "live");
	snprintf(path, sizeof(path), "/sys/module/%s/version", name);
	read_line(loaded->version, sizeof(loaded->version), path);
	snprintf(path, sizeof(path), "/sys/module/%s/srcversion", name);
	read_line(loaded->srcversion, sizeof(loaded->srcversion), path);
	snprintf(path, sizeof(path), "/sys/module/%s/taint", name);
	read_line(loaded->taint, sizeof(loaded->taint), path);
	read_params(loaded, name);
}

/**
 * module_param - a parameter's value
 * @params: of a module
 * @nr: how many these are
 * @name: of the parameter
 *
 * Return: the value, or NULL: there is none of that name
 */
const char *module_param(const struct param *params, size_t nr, const char *name)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(params[i].name, name))
			return params[i].value;
	return NULL;
}

/* Whether a path is that of a module, compressed or not. */
static bool is_file_of(const char *path, size_t len, const char *name)
{
	static const char *const ends[] = { ".ko", ".ko.xz", ".ko.zst", ".ko.gz" };
	size_t i, at = len, rest;

	while (at && path[at - 1] != '/')
		at--;
	if (len - at < strlen(name) || strncmp(path + at, name, strlen(name)))
		return false;
	at += strlen(name);
	rest = len - at;
	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (rest == strlen(ends[i]) && !strncmp(path + at, ends[i], rest))
			return true;
	return false;
}

/* Lines of modules.dep and modules.builtin begin with a path. */
static bool find_line(char *path, size_t size, const char *kernel, const char *file,
		      const char *name)
{
	char *text = tree_text("/lib/modules/%s/%s", kernel, file);
	const char *line;
	bool is_found = false;
	size_t len;

	*path = 0;
	for (line = text; line && *line && !is_found;) {
		len = strcspn(line, ":\n");
		is_found = is_file_of(line, len, name);
		if (is_found && *line == '/')
			snprintf(path, size, "%.*s", (int)len, line);
		else if (is_found)
			snprintf(path, size, "/lib/modules/%s/%.*s", kernel, (int)len,
				 line);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	free(text);
	return is_found;
}

/**
 * module_is_builtin - whether a module is a part of the kernel
 * @kernel: its release
 * @name: of the module
 *
 * Return: whether it is
 */
bool module_is_builtin(const char *kernel, const char *name)
{
	char path[512];

	return find_line(path, sizeof(path), kernel, "modules.builtin", name);
}

/* A file where vhx installs it, though depmod does not know of it. */
static void find_unlisted(struct installed *installed, const char *kernel,
			  const char *name)
{
	static const char *const folders[] = { "updates/dkms", "updates", "extra" };
	static const char *const ends[] = { "", ".xz", ".zst", ".gz" };
	size_t i, k;

	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		for (k = 0; k < sizeof(ends) / sizeof(*ends); k++) {
			snprintf(installed->path, sizeof(installed->path),
				 "/lib/modules/%s/%s/%s.ko%s", kernel, folders[i],
				 name, ends[k]);
			installed->is_unlisted = tree_has(installed->path);
			if (installed->is_unlisted)
				return;
		}
	}
	*installed->path = 0;
}

/* Runs it, both outputs together. Return: -errno, or its status */
static int run_modinfo(char *text, size_t size, const char *path)
{
	int fds[2], status;
	ssize_t got = 1;
	size_t len = 0;
	pid_t pid;

	*text = 0;
	if (pipe(fds))
		return -errno;
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return -errno;
	}
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		setenv("PATH", MODINFO_PATH, 1);
		setenv("LC_ALL", "C", 1);
		execlp("modinfo", "modinfo", path, NULL);
		_exit(127);
	}
	close(fds[1]);
	while (len + 1 < size && got) {
		got = read(fds[0], text + len, size - 1 - len);
		if (got > 0)
			len += (size_t)got;
		else if (got && errno != EINTR)
			break;
	}
	text[len] = 0;
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status))
		return -EIO;
	return WEXITSTATUS(status) == 127 ? -ENOENT : WEXITSTATUS(status);
}

/* Of a recorded folder, what modinfo said is recorded, too: modinfo/NAME. */
static int get_info(char *text, size_t size, const char *path, const char *name)
{
	ssize_t len;

	if (tree_is_live())
		return run_modinfo(text, size, path);
	len = tree_read(text, size, "/modinfo/%s", name);
	return len < 0 ? 1 : !!strstr(text, "modinfo: ERROR: ");
}

/* "name:what it is (type)" */
static void add_param(struct installed *installed, const char *val)
{
	struct param *param = &installed->params[installed->nr_params];
	const char *colon = strchr(val, ':'), *type = strrchr(val, '(');
	char text[sizeof(param->value)];

	if (!colon || installed->nr_params == PARAMS_MAX)
		return;
	snprintf(text, sizeof(text), "%.*s", (int)(colon - val), val);
	text_clean(param->name, sizeof(param->name), text);
	snprintf(text, sizeof(text), "%s", type ? type + 1 : "");
	text[strcspn(text, ")")] = 0;
	text_clean(param->value, sizeof(param->value), text);
	installed->nr_params++;
}

static void parse_info_line(struct installed *installed, const char *key,
			    const char *val)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} fields[] = {
		{ "version", installed->version, sizeof(installed->version) },
		{ "srcversion", installed->srcversion, sizeof(installed->srcversion) },
		{ "vermagic", installed->vermagic, sizeof(installed->vermagic) },
		{ "signer", installed->signer, sizeof(installed->signer) },
		{ "sig_key", installed->sig_key, sizeof(installed->sig_key) },
		{ "sig_hashalgo", installed->sig_hash, sizeof(installed->sig_hash) },
	};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (!strcmp(key, fields[i].key))
			text_clean(fields[i].to, fields[i].size, val);
	if (!strcmp(key, "parm"))
		add_param(installed, val);
}

static void parse_info(struct installed *installed, char *text)
{
	char *line, *next, *val;

	for (line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		val = strchr(line, ':');
		if (!val)
			continue;
		*val++ = 0;
		val += strspn(val, " \t");
		parse_info_line(installed, line, val);
	}
}

/* Its last word: "modinfo: ERROR: could not get modinfo from 'x': Invalid argument" */
static void set_error(struct installed *installed, char *text, int status)
{
	char *line = text ? strstr(text, "modinfo: ERROR: ") : NULL;
	const char *last, *at;

	if (status < 0) {
		snprintf(installed->error, sizeof(installed->error),
			 "modinfo cannot be run: %s", strerror(-status));
		return;
	}
	if (line)
		line[strcspn(line, "\n")] = 0;
	for (last = line ? line : ""; (at = strstr(last, ": "));)
		last = at + 2;
	text_clean(installed->error, sizeof(installed->error),
		   *last ? last : "modinfo says nothing");
}

/**
 * module_read_installed - what modprobe would load
 * @installed: is filled
 * @kernel: release of the kernel
 * @name: of the module
 */
void module_read_installed(struct installed *installed, const char *kernel,
			   const char *name)
{
	int64_t listed;
	char *text;
	int status;

	memset(installed, 0, sizeof(*installed));
	if (!find_line(installed->path, sizeof(installed->path), kernel, "modules.dep",
		       name))
		find_unlisted(installed, kernel, name);
	if (!*installed->path)
		return;
	installed->is_missing = !tree_has(installed->path);
	installed->changed = tree_changed("%s", installed->path);
	listed = tree_changed("/lib/modules/%s/modules.dep", kernel);
	if (listed > installed->changed)
		installed->changed = listed;
	text = malloc(INFO_MAX);
	status = text ? get_info(text, INFO_MAX, installed->path, name) : -ENOMEM;
	installed->is_known = status >= 0;
	if (!status) {
		parse_info(installed, text);
		installed->is_readable = *installed->vermagic;
	}
	if (!installed->is_readable)
		set_error(installed, text, status);
	free(text);
}
