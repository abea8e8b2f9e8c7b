// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of MAC addresses. Each port has a share of it, so that one which
 * makes addresses up drives out its own alone; and the hash has a key, so that
 * nobody knows which of them meet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "mac.h"

/* A power of two, as many as all shares together. */
#define BUCKETS		(PORTS_MAX * MACS_OF_PORT)

/**
 * struct mac - an address that was learnt
 * @mac: the address
 * @vlan: where; 0: in no VLAN
 * @port: on which port
 * @seen: second of the last time
 * @next: in its bucket
 * @newer: of its port: seen after it
 * @older: of its port: seen before it
 */
struct mac {
	uint8_t mac[ETH_ALEN];
	uint16_t vlan;
	struct port *port;
	time_t seen;
	struct mac *next;
	struct mac *newer;
	struct mac *older;
};

static struct mac **buckets;
static uint64_t key[2];

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

static bool is_old(const struct mac *entry)
{
	return now() - entry->seen >= (time_t)config.age_s;
}

static struct mac **bucket_of(const uint8_t *mac, unsigned int vlan)
{
	uint64_t word = vlan;
	unsigned int i;

	for (i = 0; i < ETH_ALEN; i++)
		word = word << 8 | mac[i];
	word = (word ^ key[0]) * 0x9e3779b97f4a7c15;
	word = ((word ^ word >> 29) + key[1]) * 0xbf58476d1ce4e5b9;
	return &buckets[(word >> 32) % BUCKETS];
}

static struct mac *find(const uint8_t *mac, unsigned int vlan)
{
	struct mac *entry = *bucket_of(mac, vlan);

	while (entry && (entry->vlan != vlan ||
			 memcmp(entry->mac, mac, ETH_ALEN)))
		entry = entry->next;
	return entry;
}

/* Takes it out of its port's list. */
static void leave(struct mac *entry)
{
	struct port *port = entry->port;

	*(entry->newer ? &entry->newer->older : &port->macs) = entry->older;
	*(entry->older ? &entry->older->newer : &port->oldest_mac) =
		entry->newer;
	port->nr_macs--;
}

/* Puts it in front of a port's list. */
static void join(struct mac *entry, struct port *port)
{
	entry->port = port;
	entry->newer = NULL;
	entry->older = port->macs;
	*(port->macs ? &port->macs->newer : &port->oldest_mac) = entry;
	port->macs = entry;
	port->nr_macs++;
}

static void unlink_entry(struct mac *entry)
{
	struct mac **at = bucket_of(entry->mac, entry->vlan);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	leave(entry);
}

/* A new one, or the port's oldest; NULL: no memory. */
static struct mac *take(struct port *port)
{
	struct mac *entry = port->oldest_mac;

	if (port->nr_macs < MACS_OF_PORT)
		return malloc(sizeof(*entry));
	unlink_entry(entry);
	return entry;
}

/* Return: 0, -ENOMEM */
int mac_start(void)
{
	buckets = calloc(BUCKETS, sizeof(struct mac *));
	if (getrandom(key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key[0] = (uint64_t)(uintptr_t)buckets;
	return buckets ? 0 : -ENOMEM;
}

void mac_stop(void)
{
	free(buckets);
}

/* An address was seen on a port. */
void mac_learn(const uint8_t *mac, unsigned int vlan, struct port *port)
{
	struct mac *entry, **bucket;

	if (mac[0] & 1)
		return;
	entry = find(mac, vlan);
	if (entry) {
		if (entry->port != port || port->macs != entry) {
			leave(entry);
			/* Of a port that has its share, one more must go. */
			if (port->nr_macs == MACS_OF_PORT)
				free(take(port));
			join(entry, port);
		}
		entry->seen = now();
		return;
	}
	entry = take(port);
	if (!entry)
		return;
	memcpy(entry->mac, mac, ETH_ALEN);
	entry->vlan = (uint16_t)vlan;
	entry->seen = now();
	bucket = bucket_of(mac, vlan);
	entry->next = *bucket;
	*bucket = entry;
	join(entry, port);
}

/* Return: the port of an address, or NULL: nobody knows. */
struct port *mac_find(const uint8_t *mac, unsigned int vlan)
{
	const struct mac *entry = find(mac, vlan);

	return entry && !is_old(entry) ? entry->port : NULL;
}

/* Whoever was there is gone. */
void mac_forget(struct port *port)
{
	struct mac *entry;

	while ((entry = port->macs)) {
		unlink_entry(entry);
		free(entry);
	}
}

/* The addresses of a port, at most MACS_OF_PORT. Return: how many. */
unsigned int mac_list(const struct port *port, struct mac_seen *seen)
{
	const struct mac *entry = port->macs;
	unsigned int nr = 0;

	for (; entry && !is_old(entry); entry = entry->older, nr++) {
		memcpy(seen[nr].mac, entry->mac, ETH_ALEN);
		seen[nr].vlan = entry->vlan;
		seen[nr].age_s = (unsigned int)(now() - entry->seen);
	}
	return nr;
}
