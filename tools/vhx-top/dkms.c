// SPDX-License-Identifier: GPL-2.0-only
/*
 * DKMS has a folder of each version, in it one of each kernel that it was built for,
 * and a link kernel-KERNEL-ARCH to the version that is installed. `dkms status` says
 * the same, by a shell script that takes a second.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dkms.h"
#include "text.h"
#include "tree.h"

#define HOME	"/var/lib/dkms/vhx"

static const char *const state_names[] = {
	[DKMS_ADDED] = "added", [DKMS_FAILED] = "build failed",
	[DKMS_BUILT] = "built", [DKMS_INSTALLED] = "installed",
};

/* Return: a word for it */
const char *dkms_state(enum dkms_state state)
{
	return state_names[state];
}

/* A release of a kernel, as dkms.conf excludes it: KEY="EXPRESSION" */
static bool is_excluded(const char *version, const char *kernel)
{
	static const char key[] = "BUILD_EXCLUSIVE_KERNEL=\"";
	char *text = tree_text("/usr/src/vhx-%s/dkms.conf", version);
	char *at = text ? strstr(text, key) : NULL;
	bool is_other = false;
	regex_t exp;

	if (at) {
		at += strlen(key);
		at[strcspn(at, "\"\n")] = 0;
		if (!regcomp(&exp, at, REG_EXTENDED | REG_NOSUB)) {
			is_other = regexec(&exp, kernel, 0, NULL, 0) == REG_NOMATCH;
			regfree(&exp);
		}
	}
	free(text);
	return is_other;
}

static enum dkms_state state_of(struct dkms_version *version, const char *kernel,
				const char *name)
{
	char path[400], text[256], wanted[128];

	snprintf(path, sizeof(path), HOME "/%s/%s", name, kernel);
	if (tree_has(path))
		return DKMS_BUILT;
	/* After a success DKMS moves it away; it may be of another kernel. */
	snprintf(path, sizeof(path), HOME "/%s/build/make.log", name);
	snprintf(wanted, sizeof(wanted), " for kernel %s (", kernel);
	tree_read(text, sizeof(text), "%s", path);
	text[strcspn(text, "\n")] = 0;
	if (!strstr(text, wanted))
		return DKMS_ADDED;
	text_clean(version->log, sizeof(version->log), path);
	return DKMS_FAILED;
}

static void add(struct dkms *dkms, const char *kernel, const char *name)
{
	struct dkms_version *version = &dkms->list[dkms->nr++];

	memset(version, 0, sizeof(*version));
	text_clean(version->version, sizeof(version->version), name);
	version->is_excluded = is_excluded(name, kernel);
	version->state = state_of(version, kernel, name);
}

/* The version that a link kernel-KERNEL-ARCH leads to: VERSION/KERNEL/ARCH */
static void set_installed(struct dkms *dkms, const char *name, const char *kernel)
{
	char target[512];
	size_t i, len;

	len = strlen(kernel);
	if (strncmp(name, "kernel-", 7) || strncmp(name + 7, kernel, len) ||
	    name[7 + len] != '-' || strchr(name + 8 + len, '-'))
		return;
	if (tree_link(target, sizeof(target), HOME "/%s", name))
		return;
	target[strcspn(target, "/")] = 0;
	for (i = 0; i < dkms->nr; i++)
		if (!strcmp(dkms->list[i].version, target))
			dkms->list[i].state = DKMS_INSTALLED;
}

/* 0.10 is behind 0.9. */
static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct dkms_version *)a)->version,
			  ((const struct dkms_version *)b)->version);
}

/**
 * dkms_read - versions of vhx that DKMS knows
 * @dkms: is filled
 * @kernel: how far they are for this release
 */
void dkms_read(struct dkms *dkms, const char *kernel)
{
	DIR *dir = tree_dir(HOME);
	struct dirent *entry;

	dkms->nr = 0;
	if (!dir)
		return;
	while (dkms->nr < DKMS_MAX && (entry = readdir(dir)))
		if (*entry->d_name != '.' && strncmp(entry->d_name, "kernel-", 7) &&
		    strcmp(entry->d_name, "original_module"))
			add(dkms, kernel, entry->d_name);
	rewinddir(dir);
	while ((entry = readdir(dir)))
		set_installed(dkms, entry->d_name, kernel);
	closedir(dir);
	if (dkms->nr)
		qsort(dkms->list, dkms->nr, sizeof(*dkms->list), by_name);
}
