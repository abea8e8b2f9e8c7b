/* SPDX-License-Identifier: GPL-2.0-only */
/* What modprobe is told of vhx: modprobe.d, and the kernel's command line. */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_MAX	32

/**
 * struct setting - a parameter that vhx_net is to get
 * @name: of the parameter
 * @value: "" for a name alone
 * @where: file and line
 */
struct setting {
	char name[32];
	char value[80];
	char where[160];
};

/**
 * struct conf - all of it
 * @target: what an open of /dev/vhost-net asks modprobe for, or "": no alias says
 *	so, and each module that has the node's number is loaded
 * @target_where: of the alias
 * @has_rule: an install rule of @target loads vhx_net
 * @rule_where: of that
 * @other_where: of another rule of @target that comes before it, or ""
 * @is_strict: nobody is to serve in place of vhx_net
 * @strict_where: of the option
 * @blocked_where: of what keeps vhx_net from being loaded, or ""
 * @blocked_by: what that is
 * @is_off: nobody is loaded in its place either
 * @settings: of vhx_net, in order
 * @nr_settings: how many
 * @changed: when a file of it was changed last, ns since 1970
 * @error: a file that could not be read, and why, or ""
 */
struct conf {
	char target[64];
	char target_where[160];
	bool has_rule;
	char rule_where[160];
	char other_where[160];
	bool is_strict;
	char strict_where[160];
	char blocked_where[160];
	const char *blocked_by;
	bool is_off;
	struct setting settings[SETTINGS_MAX];
	size_t nr_settings;
	int64_t changed;
	char error[400];
};

int conf_read(struct conf *conf);

#endif /* CONF_H */
