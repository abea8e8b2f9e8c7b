/* SPDX-License-Identifier: GPL-2.0-only */
/* What DKMS has of vhx. */
#ifndef DKMS_H
#define DKMS_H

#include <stdbool.h>
#include <stddef.h>

#define DKMS_MAX	8	/* versions */

enum dkms_state { DKMS_ADDED, DKMS_FAILED, DKMS_BUILT, DKMS_INSTALLED };

/**
 * struct dkms_version - a version of vhx that DKMS knows
 * @version: its name
 * @state: how far it is for a kernel
 * @is_excluded: vhx is not built for such a kernel
 * @log: what the compiler said last, if that was not installed, or ""
 */
struct dkms_version {
	char version[32];
	enum dkms_state state;
	bool is_excluded;
	char log[160];
};

/**
 * struct dkms - all of them
 * @list: by version
 * @nr: how many
 */
struct dkms {
	struct dkms_version list[DKMS_MAX];
	size_t nr;
};

void dkms_read(struct dkms *dkms, const char *kernel);
const char *dkms_state(enum dkms_state state);

#endif /* DKMS_H */
