/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames on their way out of a port. */
#ifndef OUT_H
#define OUT_H

#include "switch.h"

void out_flush(struct lane *lane);
unsigned int out_retry(struct lane *lane);
/* with all planes locked */
void out_drop(struct port *port);

#endif /* OUT_H */
