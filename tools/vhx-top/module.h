/* SPDX-License-Identifier: GPL-2.0-only */
/* A kernel module: as it is loaded, and as it is installed for this kernel. */
#ifndef MODULE_H
#define MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARAMS_MAX	24

/**
 * struct param - a parameter of a module
 * @name: its name
 * @value: as sysfs has it; of an installed module its type
 */
struct param {
	char name[32];
	char value[80];
};

/**
 * struct loaded - what /sys/module says of a module
 * @is_there: whether the kernel has it
 * @is_live: its init has ended well, or it is a part of the kernel
 * @is_builtin: it is a part of the kernel
 * @version: of the module, or ""
 * @srcversion: sum of its sources, or ""
 * @taint: letters, such as OE
 * @params: those that may be read
 * @nr_params: how many
 */
struct loaded {
	bool is_there;
	bool is_live;
	bool is_builtin;
	char version[32];
	char srcversion[40];
	char taint[16];
	struct param params[PARAMS_MAX];
	size_t nr_params;
};

/**
 * struct installed - what modprobe would load
 * @path: of the file, or "": modules.dep has none of that name
 * @is_unlisted: there is a file, which modules.dep does not have
 * @is_missing: there is no such file, though modules.dep has it
 * @changed: when it, or modules.dep, was changed last, ns since 1970
 * @is_known: modinfo(8) could be asked
 * @is_readable: that understands it
 * @error: why it does not, or ""
 * @version: of the module
 * @srcversion: sum of its sources
 * @vermagic: the kernel that it was built for
 * @signer: whose key signed it, or ""
 * @sig_key: number of that key
 * @sig_hash: algorithm of the signature, or "": there is none
 * @params: that it knows, by type
 * @nr_params: how many
 */
struct installed {
	char path[512];
	bool is_unlisted;
	bool is_missing;
	int64_t changed;
	bool is_known;
	bool is_readable;
	char error[160];
	char version[32];
	char srcversion[40];
	char vermagic[128];
	char signer[128];
	char sig_key[160];
	char sig_hash[24];
	struct param params[PARAMS_MAX];
	size_t nr_params;
};

void module_read_loaded(struct loaded *loaded, const char *name);
void module_read_installed(struct installed *installed, const char *kernel,
			   const char *name);
bool module_is_builtin(const char *kernel, const char *name);
const char *module_param(const struct param *params, size_t nr, const char *name);

#endif /* MODULE_H */
