/* SPDX-License-Identifier: GPL-2.0-only */
/* Ports that are taps: the host's own end of the switch. */
#ifndef PORT_TAP_H
#define PORT_TAP_H

#include "switch.h"

extern const struct port_ops port_tap_ops;

int port_tap_open(struct port *port, char *why, size_t size);
void port_tap_look_after(struct port *port);

#endif /* PORT_TAP_H */
