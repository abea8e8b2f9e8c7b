/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads that move frames. */
#ifndef PLANE_H
#define PLANE_H

#include "switch.h"

extern struct port *ports[PORTS_MAX];

int plane_start(void);
void plane_stop(void);
void plane_lock(void);
void plane_unlock(void);
/* with all planes locked */
pid_t plane_tid(unsigned int thread);
int plane_watch(unsigned int thread, int fd);
void plane_unwatch(unsigned int thread, int fd);
void plane_announce(struct port *from, const uint8_t *mac);

#endif /* PLANE_H */
