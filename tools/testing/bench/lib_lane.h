/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lanes: a polling driver's half of a ring, split or packed. A slot has the same
 * buffer always, since the devices complete in order. Frames differ in every cache
 * line, and who receives one compares all of it, while the sender may write the
 * next one where that came from.
 */
#ifndef LIB_LANE_H
#define LIB_LANE_H

#include <errno.h>
#include <string.h>

#include "lib_bench.h"

#define F_AVAIL		(1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED		(1 << VRING_PACKED_DESC_F_USED)
#define LINE		64	/* bytes */
#define AHEAD		4	/* frames */
#define LATE_MS		1000
#define LOOKS		0xffff	/* for nothing, before the clock is read */

/* How long nothing came. */
struct patience {
	int64_t end;
	unsigned int looks;
};

static inline bool is_over(struct patience *p)
{
	if (++p->looks & LOOKS)
		return false;
	if (!p->end)
		p->end = now_ms() + LATE_MS;
	return now_ms() > p->end;
}

static inline unsigned int slot_of(uint32_t at)
{
	return at % RING;
}

/* The driver's wrap counter, which begins at 1. */
static inline bool wrap_of(uint32_t at)
{
	return !(at / RING % 2);
}

/* The next buffer becomes available, when that is published. */
static inline void lane_add(struct lane *l)
{
	unsigned int slot = slot_of(l->avail);
	struct vring_packed_desc *desc = &l->vq->packed[slot];
	uint16_t flags = l->flags | (wrap_of(l->avail) ? F_AVAIL : F_USED);

	if (!is_packed(l->vq)) {
		l->vq->avail->ring[slot] = slot;
	} else {
		desc->addr = l->gpa + slot * BUF_SIZE;
		desc->len = l->len;
		desc->id = slot;
		if (l->avail == l->published)
			l->held = flags;
		else
			desc->flags = flags;
	}
	l->avail++;
}

static inline void lane_publish(struct lane *l)
{
	unsigned int slot = slot_of(l->published);

	if (l->avail == l->published)
		return;
	if (is_packed(l->vq))
		__atomic_store_n(&l->vq->packed[slot].flags, l->held,
				 __ATOMIC_RELEASE);
	else
		__atomic_store_n(&l->vq->avail->idx, (uint16_t)l->avail,
				 __ATOMIC_RELEASE);
	l->published = l->avail;
}

/* Where a lane is, for the functions of the kselftests. */
static inline uint16_t position(uint32_t at)
{
	return slot_of(at) | wrap_of(at) << VRING_PACKED_EVENT_F_WRAP_CTR;
}

/* Kicks the device if it asks for that. */
static inline void lane_publish_kick(struct lane *l)
{
	struct vq *vq = l->vq;

	if (l->avail == l->published)
		return;
	vq->packed_added += l->avail - l->published;
	vq->packed_avail = position(l->avail);
	vq->avail_idx = (uint16_t)l->avail;
	lane_publish(l);
	if (vq_kick_wanted(vq))
		vq_kick(vq);
}

/* Asks for a call when the next buffer is used. */
static inline void lane_want_call(struct lane *l)
{
	l->vq->packed_used = position(l->used);
	l->vq->used_idx = (uint16_t)l->used;
	vq_want_call(l->vq, 1);
}

static inline bool is_used(struct lane *l)
{
	bool wrap = wrap_of(l->used);
	uint16_t flags;

	if (is_packed(l->vq)) {
		flags = __atomic_load_n(&l->vq->packed[slot_of(l->used)].flags,
					__ATOMIC_ACQUIRE);
		return !(flags & F_AVAIL) != wrap && !(flags & F_USED) != wrap;
	}
	if (l->seen == l->used)
		l->seen += (uint16_t)(__atomic_load_n(&l->vq->used->idx,
						      __ATOMIC_ACQUIRE) -
				      (uint16_t)l->seen);
	return l->seen != l->used;
}

/* Return: the slot of the next buffer that was used, -EAGAIN, -EPROTO. */
static inline int lane_pop(struct lane *l, uint32_t *len)
{
	unsigned int slot = slot_of(l->used), id;
	const uint8_t *next;

	if (l->used == l->published || !is_used(l))
		return -EAGAIN;
	if (is_packed(l->vq)) {
		id = l->vq->packed[slot].id;
		*len = l->vq->packed[slot].len;
	} else {
		id = l->vq->used->ring[slot].id;
		*len = l->vq->used->ring[slot].len;
	}
	l->used++;
	/* as PMDs do: else the guest is what an enqueue waits for */
	next = l->buf + slot_of(l->used + AHEAD) * BUF_SIZE;
	__builtin_prefetch(next);
	__builtin_prefetch(next + LINE);
	return id == slot ? (int)slot : -EPROTO;
}

/* What is the frame's own in each line, and at the end in the last byte. */
static inline void number(uint8_t *frame, unsigned int len, uint32_t seq)
{
	unsigned int at;

	seq *= 0x9e3779b1;
	for (at = ETH_HLEN; at + sizeof(seq) <= len; at += LINE)
		memcpy(frame + at, &seq, sizeof(seq));
	memcpy(frame + len - sizeof(seq), &seq, sizeof(seq));
}

/* The header of a frame without offloads, in one buffer. */
static inline bool is_plain(const uint8_t *buf, unsigned int hlen)
{
	static const struct virtio_net_hdr_mrg_rxbuf plain = { .num_buffers = 1 };

	return !memcmp(buf, &plain, hlen);
}

static inline bool is_right(const struct guest *g, const uint8_t *buf,
			    uint32_t len, const uint8_t *frame)
{
	unsigned int hlen = g->front.d.hdr_len;

	return len == hlen + g->cell->len && is_plain(buf, hlen) &&
	       !memcmp(buf + hlen, frame, g->cell->len);
}

#endif /* LIB_LANE_H */
