/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of MAC addresses: who was seen on which port. */
#ifndef MAC_H
#define MAC_H

#include "switch.h"

/* Addresses of one port; a new one beyond takes the place of an old one of it. */
#define MACS_OF_PORT	1024

/**
 * struct mac_seen - an address of the table
 * @mac: the address
 * @vlan: where it was seen; 0: in none
 * @port: index of its port
 * @age_s: seconds since
 */
struct mac_seen {
	uint8_t mac[ETH_ALEN];
	uint16_t vlan;
	unsigned int port;
	unsigned int age_s;
};

int mac_start(void);
void mac_stop(void);
/* from a plane, whatever others do */
void mac_learn(const uint8_t *mac, unsigned int vlan, struct port *port);
struct port *mac_find(const uint8_t *mac, unsigned int vlan);
/* with all planes locked */
void mac_forget(struct port *port);
unsigned int mac_list(const struct port *port, struct mac_seen *seen);

#endif /* MAC_H */
