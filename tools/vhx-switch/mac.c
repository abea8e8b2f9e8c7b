// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of MAC addresses. Each port has a share of it, so that one which
 * makes addresses up drives out its own alone; and the hash has a key, so that
 * nobody knows which of them meet.
 *
 * Who looks for an address takes no lock. An entry stays an entry for ever: one
 * that leaves its bucket may become another address while a reader stands on it.
 * The bucket counts that, after the entry has left and before it changes. What
 * is changed is stored with release and read with acquire, so a reader that saw
 * any of the change finds another count than before, and looks again with the
 * lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "mac.h"

/* All shares together. */
#define ENTRIES		(PORTS_MAX * MACS_OF_PORT)
/* A power of two. A test has few, so that addresses meet. */
#ifndef BUCKETS
#define BUCKETS		ENTRIES
#endif
/* Addresses that a new one finds in use, and passes over, before it takes one. */
#define CHANCES		8

/**
 * struct mac - an address that was learnt
 * @key: the address, behind its VLAN or 0
 * @port: on which port
 * @next: in its bucket
 * @seen: second of the last time; whoever sees it notes that
 * @was_seen: @seen when it was put in front of its port's list
 * @newer: of its port: put there after it; of what follows all under the lock
 * @older: of its port: put there before it; or the next one that is spare
 */
struct mac {
	uint64_t key;
	struct port *port;
	struct mac *next;
	uint32_t seen;
	uint32_t was_seen;
	struct mac *newer;
	struct mac *older;
};

/**
 * struct bucket - addresses that the hash does not tell apart
 * @first: the first of them
 * @nr_left: how many have left
 */
struct bucket {
	struct mac *first;
	unsigned int nr_left;
};

static struct bucket *buckets;
static uint64_t secret[2];
/* Of all that is written but mac.seen, and of what follows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mac *entries, *spare;
static unsigned int nr_entries;

static uint32_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec;
}

/* Another thread may be ahead of us by a tick. */
static unsigned int age_of(const struct mac *entry)
{
	int age = (int)(now() - __atomic_load_n(&entry->seen, __ATOMIC_RELAXED));

	return age > 0 ? (unsigned int)age : 0;
}

static uint64_t key_of(const uint8_t *mac, unsigned int vlan)
{
	uint32_t head;
	uint16_t tail;

	memcpy(&head, mac, sizeof(head));
	memcpy(&tail, mac + sizeof(head), sizeof(tail));
	return (uint64_t)vlan << 48 | (uint64_t)tail << 32 | head;
}

static void mac_of(uint64_t key, uint8_t *mac)
{
	const uint32_t head = (uint32_t)key;
	const uint16_t tail = (uint16_t)(key >> 32);

	memcpy(mac, &head, sizeof(head));
	memcpy(mac + sizeof(head), &tail, sizeof(tail));
}

static struct bucket *bucket_of(uint64_t key)
{
	key = (key ^ secret[0]) * 0x9e3779b97f4a7c15;
	key = ((key ^ key >> 29) + secret[1]) * 0xbf58476d1ce4e5b9;
	return &buckets[(key >> 32) % BUCKETS];
}

static struct mac *walk(const struct bucket *bucket, uint64_t key)
{
	struct mac *entry = __atomic_load_n(&bucket->first, __ATOMIC_ACQUIRE);

	while (entry && __atomic_load_n(&entry->key, __ATOMIC_ACQUIRE) != key)
		entry = __atomic_load_n(&entry->next, __ATOMIC_ACQUIRE);
	return entry;
}

/* Return: the entry of an address, with its @port, or NULL. */
static struct mac *find(uint64_t key, struct port **port)
{
	const struct bucket *bucket = bucket_of(key);
	unsigned int nr_left = __atomic_load_n(&bucket->nr_left, __ATOMIC_ACQUIRE);
	struct mac *entry = walk(bucket, key);

	*port = entry ? __atomic_load_n(&entry->port, __ATOMIC_ACQUIRE) : NULL;
	if (__atomic_load_n(&bucket->nr_left, __ATOMIC_RELAXED) == nr_left)
		return entry;
	pthread_mutex_lock(&lock);
	entry = walk(bucket, key);
	*port = entry ? entry->port : NULL;
	pthread_mutex_unlock(&lock);
	return entry;
}

/* One that is another address by now is taken for younger than it is. */
static void touch(struct mac *entry)
{
	uint32_t second = now();

	if (__atomic_load_n(&entry->seen, __ATOMIC_RELAXED) != second)
		__atomic_store_n(&entry->seen, second, __ATOMIC_RELAXED);
}

/* -- with the table locked ----------------------------------------------------- */

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
	__atomic_store_n(&entry->port, port, __ATOMIC_RELEASE);
	entry->was_seen = __atomic_load_n(&entry->seen, __ATOMIC_RELAXED);
	entry->newer = NULL;
	entry->older = port->macs;
	*(port->macs ? &port->macs->newer : &port->oldest_mac) = entry;
	port->macs = entry;
	port->nr_macs++;
}

/* Takes it out of the table. */
static void drop(struct mac *entry)
{
	struct bucket *bucket = bucket_of(entry->key);
	struct mac **at = &bucket->first;

	while (*at != entry)
		at = &(*at)->next;
	__atomic_store_n(at, entry->next, __ATOMIC_RELEASE);
	__atomic_store_n(&bucket->nr_left, bucket->nr_left + 1,
			 __ATOMIC_RELEASE);
	leave(entry);
	entry->older = spare;
	spare = entry;
}

/* The first in the order of coming that was not seen since, of a few. */
static struct mac *oldest_of(struct port *port)
{
	unsigned int i;

	for (i = 0; i < CHANCES; i++) {
		struct mac *entry = port->oldest_mac;

		if (__atomic_load_n(&entry->seen, __ATOMIC_RELAXED) ==
		    entry->was_seen)
			break;
		leave(entry);
		join(entry, port);
	}
	return port->oldest_mac;
}

/* There are as many as all ports may have. */
static struct mac *take(void)
{
	struct mac *entry = spare;

	if (!entry)
		return &entries[nr_entries++];
	spare = entry->older;
	return entry;
}

/* What is not known of a port. */
static void learn(uint64_t key, struct port *port)
{
	struct bucket *bucket = bucket_of(key);
	struct mac *entry = walk(bucket, key);

	if (entry && entry->port == port)
		return;
	if (port->nr_macs == MACS_OF_PORT)
		drop(oldest_of(port));
	if (entry) {
		leave(entry);
		touch(entry);
		join(entry, port);
		return;
	}
	entry = take();
	__atomic_store_n(&entry->key, key, __ATOMIC_RELEASE);
	touch(entry);
	join(entry, port);
	__atomic_store_n(&entry->next, bucket->first, __ATOMIC_RELEASE);
	__atomic_store_n(&bucket->first, entry, __ATOMIC_RELEASE);
}

/* -- for all ------------------------------------------------------------------- */

/* Return: 0, -ENOMEM */
int mac_start(void)
{
	buckets = calloc(BUCKETS, sizeof(*buckets));
	entries = calloc(ENTRIES, sizeof(*entries));
	if (getrandom(secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret))
		secret[0] = (uint64_t)(uintptr_t)buckets;
	return buckets && entries ? 0 : -ENOMEM;
}

void mac_stop(void)
{
	free(entries);
	free(buckets);
}

/* An address was seen on a port. */
void mac_learn(const uint8_t *mac, unsigned int vlan, struct port *port)
{
	uint64_t key = key_of(mac, vlan);
	struct port *owner;
	struct mac *entry;

	if (mac[0] & 1)
		return;
	entry = find(key, &owner);
	if (entry && owner == port) {
		touch(entry);
		return;
	}
	pthread_mutex_lock(&lock);
	learn(key, port);
	pthread_mutex_unlock(&lock);
}

/* Return: the port of an address, or NULL: nobody knows. */
struct port *mac_find(const uint8_t *mac, unsigned int vlan)
{
	struct port *port;
	const struct mac *entry = find(key_of(mac, vlan), &port);

	return entry && age_of(entry) < config.age_s ? port : NULL;
}

/* Whoever was there is gone. */
void mac_forget(struct port *port)
{
	while (port->macs)
		drop(port->macs);
}

/* The addresses of a port, at most MACS_OF_PORT. Return: how many. */
unsigned int mac_list(const struct port *port, struct mac_seen *seen)
{
	const struct mac *entry;
	unsigned int nr = 0;

	for (entry = port->macs; entry; entry = entry->older) {
		seen[nr].age_s = age_of(entry);
		if (seen[nr].age_s >= config.age_s)
			continue;
		seen[nr].vlan = (uint16_t)(entry->key >> 48);
		mac_of(entry->key, seen[nr].mac);
		nr++;
	}
	return nr;
}
