/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames on their way out of a port; all with the plane locked. */
#ifndef OUT_H
#define OUT_H

#include "switch.h"

void out_flush(struct port *port);
unsigned int out_retry(struct port *port);
void out_drop(struct port *port);

#endif /* OUT_H */
