/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The process that owns a device behind a node: its memory and descriptors. */
#ifndef VHX_REMOTE_H
#define VHX_REMOTE_H

#include <sys/types.h>

#include "region.h"

/**
 * struct vhx_remote - a process
 * @pid: its id; 0: none
 * @pidfd: the same, for good
 */
struct vhx_remote {
	pid_t pid;
	int pidfd;
};

int vhx_remote_open(struct vhx_remote *remote, pid_t tid);
void vhx_remote_close(struct vhx_remote *remote);
bool vhx_remote_has_thread(const struct vhx_remote *remote, pid_t tid);
int vhx_remote_take_fd(const struct vhx_remote *remote, int fd,
		       const char *kind, struct vhx_account *account);
int vhx_remote_map(const struct vhx_remote *remote,
		   const struct vhx_region *wanted, struct vhx_account *account,
		   struct vhx_regions *regions);

#endif /* VHX_REMOTE_H */
