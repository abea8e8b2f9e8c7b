/* SPDX-License-Identifier: GPL-2.0-only */
/* A device whose lines of fdinfo are looked at: Documentation/ABI/fdinfo.rst. */
#ifndef STATS_LIB_H
#define STATS_LIB_H

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "net_lib.h"

#define STATS_RING	256
#define STATS_LEN	100	/* bytes of a frame */
#define STATS_ROOM	2048	/* bytes of a buffer */

struct watched {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[STATS_ROOM];
};

/* Return: a counter of ring @q, or -ENOENT. */
static inline int64_t stat_of(struct watched *w, int q, const char *name)
{
	char key[48];

	snprintf(key, sizeof(key), "vhx-%s-%s", q == TX ? "tx" : "rx", name);
	return dev_counter(&w->d, key);
}

/* The text of a key; empty if it is not there. */
static inline const char *fact_of(struct watched *w, const char *key, char *text,
				  size_t size)
{
	size_t len = strlen(key);
	char path[64], line[256];
	FILE *file;

	*text = 0;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", w->d.fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, key, len) && !strncmp(line + len, ":\t", 2))
			snprintf(text, size, "%.*s", (int)size - 1, line + len + 2);
	}
	if (file)
		fclose(file);
	return text;
}

/* Until a counter is @n. Return: 0, or -ETIMEDOUT. */
static inline int stat_wait(struct watched *w, int q, const char *name, int64_t n)
{
	int64_t end = now_ms() + WAIT_MS;

	while (stat_of(w, q, name) < n) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

/* Both rings run, and sleep. */
static inline int watched_open(struct watched *w, enum backend kind,
			       uint64_t features)
{
	int ret = net_open(&w->n, kind, kind == BE_PACKET ? PACKET_HDR :
			   features & F_V1 ? 12 : 10);

	if (!ret)
		ret = dev_setup(&w->d, features);
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&w->d, q, STATS_RING);
	if (!ret)
		w->buf = guest_alloc(&w->d, STATS_RING * STATS_ROOM, 4096);
	for (int q = 0; q < 2 && !ret; q++)
		ret = dev_backend(&w->d, q, w->n.tap);
	for (int q = 0; q < 2 && !ret; q++)
		ret = stat_wait(w, q, "sleeps", 1);
	return ret;
}

static inline uint8_t *watched_buf(struct watched *w, int i)
{
	return w->buf + i * STATS_ROOM;
}

/* Adds a frame to the host, unpublished. Return: its head. */
static inline int watched_add(struct watched *w, const struct virtio_net_hdr *h,
			      size_t len, int i)
{
	if (len >= ETH_HLEN)
		frame_fill(w->frame, len, false, i);
	return tx_add(&w->d.vq[TX], h, w->frame, len, &one_piece,
		      watched_buf(w, i));
}

static inline int watched_inject(struct watched *w, size_t len, int i)
{
	frame_fill(w->frame, len, true, i);
	return pkt_send(w->n.pkt, NULL, w->frame, len);
}

/* Takes @n used chains. Return: 0 or -errno. */
static inline int watched_pop(struct watched *w, int q, int n)
{
	struct vq *vq = &w->d.vq[q];
	int ret = n ? vq_wait(vq, n, WAIT_MS) : 0;

	for (int i = 0; i < n && !ret; i++)
		ret = vq_pop(vq, NULL) < 0 ? -EPROTO : 0;
	return ret;
}

/* What was published comes back with one call, and the ring sleeps again. */
static inline int watched_turn(struct watched *w, int q, int n)
{
	int64_t sleeps = stat_of(w, q, "sleeps");
	int ret;

	if (n)
		vq_want_call(&w->d.vq[q], n);
	vq_kick(&w->d.vq[q]);
	ret = watched_pop(w, q, n);
	return ret ? ret : stat_wait(w, q, "sleeps", sleeps + 1);
}

#endif /* STATS_LIB_H */
