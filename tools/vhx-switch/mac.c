// SPDX-License-Identifier: GPL-2.0-only
/* The table of MAC addresses: who was seen on which port. */
#include <string.h>
#include <time.h>

#include "switch.h"

/* A power of two; where an address has no room it is not learnt: flooded. */
#define ENTRIES	4096
#define PROBES	8

struct entry {
	uint8_t mac[ETH_ALEN];
	uint16_t vlan;
	struct port *port;
	time_t seen;
};

static struct entry table[ENTRIES];

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

static bool is_old(const struct entry *entry)
{
	return now() - entry->seen >= (time_t)config.age_s;
}

/* The entry of an address, or one that it may have, or NULL. */
static struct entry *find(const uint8_t *mac, unsigned int vlan)
{
	struct entry *entry, *room = NULL;
	uint32_t hash = vlan * 2654435761u;
	unsigned int i;

	for (i = 0; i < ETH_ALEN; i++)
		hash = (hash ^ mac[i]) * 16777619u;
	for (i = 0; i < PROBES; i++) {
		entry = &table[(hash + i) % ENTRIES];
		if (entry->port && entry->vlan == vlan &&
		    !memcmp(entry->mac, mac, ETH_ALEN))
			return entry;
		if (!room && (!entry->port || is_old(entry)))
			room = entry;
	}
	return room;
}

/* An address was seen on a port. */
void mac_learn(const uint8_t *mac, unsigned int vlan, struct port *port)
{
	struct entry *entry;

	if (mac[0] & 1)
		return;
	entry = find(mac, vlan);
	if (!entry)
		return;
	memcpy(entry->mac, mac, ETH_ALEN);
	entry->vlan = (uint16_t)vlan;
	entry->port = port;
	entry->seen = now();
}

/* Return: the port of an address, or NULL: nobody knows. */
struct port *mac_find(const uint8_t *mac, unsigned int vlan)
{
	struct entry *entry = find(mac, vlan);

	if (!entry || !entry->port || entry->vlan != vlan ||
	    memcmp(entry->mac, mac, ETH_ALEN) || is_old(entry))
		return NULL;
	return entry->port;
}

/* The port is gone. */
void mac_forget(const struct port *port)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		if (table[i].port == port)
			table[i].port = NULL;
}

void mac_each(void (*fn)(const uint8_t *mac, unsigned int vlan,
			 const struct port *port, unsigned int age_s,
			 void *arg), void *arg)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		if (table[i].port && !is_old(&table[i]))
			fn(table[i].mac, table[i].vlan, table[i].port,
			   (unsigned int)(now() - table[i].seen), arg);
}
