/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket. */
#ifndef CTL_H
#define CTL_H

#include <poll.h>

/* Clients that are answered at a time, and descriptors to poll. */
#define CTL_CLIENTS	8
#define CTL_FDS		(CTL_CLIENTS + 1)

int ctl_open(const char *path);
unsigned int ctl_fds(struct pollfd *fds);
void ctl_serve(const struct pollfd *fds, unsigned int nr);
void ctl_close(const char *path);
int ctl_ask(const char *path, const char *other, char *const *words);

#endif /* CTL_H */
