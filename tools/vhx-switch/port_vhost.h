/* SPDX-License-Identifier: GPL-2.0-only */
/* Ports that are guests: vhost-user sockets and CUSE nodes. */
#ifndef PORT_VHOST_H
#define PORT_VHOST_H

#include "switch.h"

/**
 * struct spec - what a description says that is wanted when a port is opened
 * @is_client: vhost-user: the guest's side listens
 * @is_mergeable: of a guest: its driver may get frames in several buffers
 * @takes_any: of a guest: its memory may be a file of any kind
 * @pairs: vhost-user: queue pairs
 * @mode: vhost-user: rights of the socket
 * @group: vhost-user: group of the socket, or -1
 * @thread: of the first pair; -1: any
 */
struct spec {
	bool is_client;
	bool is_mergeable;
	bool takes_any;
	unsigned int pairs;
	mode_t mode;
	gid_t group;
	int thread;
};

extern const struct port_ops port_vhost_ops, port_cuse_ops;

int port_vhost_open(struct port *port, const struct spec *spec, char *why,
		    size_t size);

#endif /* PORT_VHOST_H */
