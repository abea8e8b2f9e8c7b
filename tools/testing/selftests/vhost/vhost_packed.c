// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest half of a packed virtqueue, virtio 1.3 §2.8. A buffer's id is the
 * slot of its head. The device is one that completes in order, so used elements
 * stand where the buffers did.
 */
#include <errno.h>

#include "vhost_lib.h"
#include "vhost_packed.h"

#define F_AVAIL	(1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED	(1 << VRING_PACKED_DESC_F_USED)
#define WRAP	(1 << VRING_PACKED_EVENT_F_WRAP_CTR)

/* The slot @n behind a position, and its wrap counter: a position again. */
static uint16_t advance(const struct vq *vq, uint16_t pos, unsigned int n)
{
	unsigned int slot = (pos & ~WRAP) + n;

	if (slot < vq->num)
		return slot | (pos & WRAP);
	return (slot - vq->num) | (~pos & WRAP);
}

static uint16_t slot_of(uint16_t pos)
{
	return pos & ~WRAP;
}

static uint16_t avail_flags(uint16_t pos)
{
	return pos & WRAP ? F_AVAIL : F_USED;
}

static uint16_t load16(struct vq *vq, const uint16_t *field)
{
	return g16(vq->dev, __atomic_load_n(field, __ATOMIC_ACQUIRE));
}

static void store16(struct vq *vq, uint16_t *field, uint16_t v)
{
	__atomic_store_n(field, g16(vq->dev, v), __ATOMIC_RELEASE);
}

/* The id of the descriptor at a slot. */
static uint16_t id_at(const struct vq *vq, uint16_t slot)
{
	return g16(vq->dev, vq->packed[slot].id);
}

static bool is_used(struct vq *vq, uint16_t pos)
{
	uint16_t flags = load16(vq, &vq->packed[slot_of(pos)].flags);

	return !(flags & F_AVAIL) == !(pos & WRAP) &&
	       !(flags & F_USED) == !(pos & WRAP);
}

/* Start over at @pos, as SET_VRING_BASE names it: all were used before. */
void packed_rewind(struct vq *vq, uint16_t pos)
{
	for (unsigned int i = 0; i < vq->num; i++) {
		bool lap = !(pos & WRAP) == (i >= slot_of(pos));

		vq->packed[i] = (struct vring_packed_desc){
			.flags = g16(vq->dev, lap ? F_AVAIL | F_USED : 0),
		};
		vq->next[i] = 1;
	}
	vq->packed_avail = pos;
	vq->packed_used = pos;
	vq->packed_held = pos;
	vq->packed_added = 0;
	vq->packed_flags = 0;
	vq->packed_is_batch = false;
	vq->n_free = vq->num;
	vq->driver_event->off_wrap = 0;
	vq->driver_event->flags = g16(vq->dev, VRING_PACKED_EVENT_FLAG_ENABLE);
	vq->device_event->off_wrap = 0;
	vq->device_event->flags = g16(vq->dev, VRING_PACKED_EVENT_FLAG_ENABLE);
}

/* Writes one descriptor; the head of what is not published keeps its flags. */
static void put(struct vq *vq, uint16_t pos, struct vring_packed_desc desc)
{
	struct vring_packed_desc *to = &vq->packed[slot_of(pos)];

	desc.flags |= avail_flags(pos);
	to->addr = g64(vq->dev, desc.addr);
	to->len = g32(vq->dev, desc.len);
	to->id = g16(vq->dev, desc.id);
	if (pos == vq->packed_held)
		vq->packed_flags = desc.flags;
	else
		to->flags = g16(vq->dev, desc.flags);
}

static void put_table(struct vq *vq, uint16_t pos, const struct seg *s,
		      int n_out, int n)
{
	uint16_t id = slot_of(pos);
	struct vring_packed_desc *t = (struct vring_packed_desc *)
		(vq->tables + (size_t)id * TABLE_LEN);

	for (int i = 0; i < n; i++)
		t[i] = (struct vring_packed_desc){
			.addr = g64(vq->dev, gpa(vq->dev, s[i].p)),
			.len = g32(vq->dev, s[i].len),
			.flags = g16(vq->dev,
				     i >= n_out ? VRING_DESC_F_WRITE : 0),
		};
	put(vq, pos, (struct vring_packed_desc){
		.addr = gpa(vq->dev, t), .len = n * sizeof(*t), .id = id,
		.flags = VRING_DESC_F_INDIRECT,
	});
}

int packed_add(struct vq *vq, const struct seg *s, int n_out, int n_in)
{
	int n = n_out + n_in;
	bool table = has(vq->dev, F_INDIRECT) && n > 1 && n <= TABLE_LEN;
	unsigned int slots = table ? 1 : n;
	uint16_t pos = vq->packed_avail, id = slot_of(pos);

	if (vq->n_free < slots)
		return -ENOSPC;
	if (table)
		put_table(vq, pos, s, n_out, n);
	for (int i = 0; i < n && !table; i++)
		put(vq, advance(vq, pos, i), (struct vring_packed_desc){
			.addr = gpa(vq->dev, s[i].p), .len = s[i].len, .id = id,
			.flags = (i < n - 1 ? VRING_DESC_F_NEXT : 0) |
				 (i >= n_out ? VRING_DESC_F_WRITE : 0),
		});
	vq->next[id] = slots;
	vq->packed_avail = advance(vq, pos, slots);
	vq->packed_added += slots;
	vq->n_free -= slots;
	return id;
}

void packed_publish(struct vq *vq)
{
	if (!vq->packed_flags)
		return;
	store16(vq, &vq->packed[slot_of(vq->packed_held)].flags,
		vq->packed_flags);
	vq->packed_flags = 0;
	vq->packed_held = vq->packed_avail;
}

/* What was added since the last time; a full barrier is before it. */
bool packed_kick_wanted(struct vq *vq)
{
	uint16_t new = slot_of(vq->packed_avail), old = new - vq->packed_added;
	uint16_t off, flags;

	flags = load16(vq, &vq->device_event->flags);
	off = load16(vq, &vq->device_event->off_wrap);
	vq->packed_added = 0;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	return vring_need_event(slot_of(off) - ((off ^ vq->packed_avail) & WRAP ?
						vq->num : 0), new, old);
}

/* In order, the element of the last of several buffers stands for all. */
static void open_batch(struct vq *vq)
{
	vq->packed_is_batch = true;
	vq->packed_last = has(vq->dev, F_IN_ORDER) ?
		id_at(vq, slot_of(vq->packed_used)) :
		slot_of(vq->packed_used);
	vq->packed_len = g32(vq->dev,
			     vq->packed[slot_of(vq->packed_used)].len);
}

unsigned int packed_used(struct vq *vq)
{
	uint16_t pos = vq->packed_used, last = vq->packed_last;
	bool is_batch = vq->packed_is_batch;
	unsigned int n = 0, seen = vq->n_free;

	while (seen < vq->num && (is_batch || is_used(vq, pos))) {
		uint16_t id = slot_of(pos);

		if (!is_batch)
			last = has(vq->dev, F_IN_ORDER) ? id_at(vq, id) : id;
		is_batch = id != last;
		seen += vq->next[id];
		pos = advance(vq, pos, vq->next[id]);
		n++;
	}
	return n;
}

int packed_pop(struct vq *vq, uint32_t *len)
{
	uint16_t id = slot_of(vq->packed_used);

	if (vq->n_free == vq->num)
		return -EAGAIN;
	if (!vq->packed_is_batch) {
		if (!is_used(vq, vq->packed_used))
			return -EAGAIN;
		if (id_at(vq, id) >= vq->num ||
		    (!has(vq->dev, F_IN_ORDER) && id_at(vq, id) != id))
			return -ERANGE;
		open_batch(vq);
	}
	vq->packed_is_batch = id != vq->packed_last;
	if (len)
		*len = vq->packed_is_batch ? 0 : vq->packed_len;
	vq->packed_used = advance(vq, vq->packed_used, vq->next[id]);
	vq->n_free += vq->next[id];
	return id;
}

/* Asks for a call for the @n-th used element from here on. */
void packed_want_call(struct vq *vq, unsigned int n)
{
	uint16_t pos = vq->packed_used;

	while (--n)
		pos = advance(vq, pos, vq->next[slot_of(pos)]);
	vq->driver_event->off_wrap = g16(vq->dev, pos);
	store16(vq, &vq->driver_event->flags, has(vq->dev, F_EVENT) ?
		VRING_PACKED_EVENT_FLAG_DESC : VRING_PACKED_EVENT_FLAG_ENABLE);
}
