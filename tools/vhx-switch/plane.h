/* SPDX-License-Identifier: GPL-2.0-only */
/* The thread that moves frames. */
#ifndef PLANE_H
#define PLANE_H

#include "switch.h"

extern struct port *ports[PORTS_MAX];

int plane_start(void);
void plane_stop(void);
void plane_lock(void);
void plane_unlock(void);
/* with the plane locked */
int plane_watch(int fd);
void plane_unwatch(int fd);
void plane_announce(struct port *from, const uint8_t *mac);

#endif /* PLANE_H */
