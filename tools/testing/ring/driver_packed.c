// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The driver half of a packed virtqueue, virtio 1.3 §2.8, written from the
 * driver's side of the text: it shares no line with the engine. Places in the
 * ring are counted on and on: their slot and wrap counter follow.
 */
#include "driver.h"

#define AVAIL	0x80u
#define USED	0x8000u

static u32 slot_of(const struct driver *drv, u64 place)
{
	return (u32)(place % drv->num);
}

static bool wrap_of(const struct driver *drv, u64 place)
{
	return !(place / drv->num & 1);
}

u16 packed_pos(const struct driver *drv, u64 place)
{
	return (u16)(slot_of(drv, place) | (u32)wrap_of(drv, place) << 15);
}

static u64 place_of(const struct driver *drv, u16 pos)
{
	return (pos & 0x7fffu) + (pos >> 15 ? 0 : drv->num);
}

static u8 *event_at(const struct driver *drv, enum vhx_area area, u32 off)
{
	return mem_at(drv->mem, area, off, 2);
}

static u16 load16(const struct driver *drv, const u8 *p)
{
	u16 raw = __atomic_load_n((const u16 *)(const void *)p,
				  __ATOMIC_ACQUIRE);

	return __virtio16_to_cpu(drv->is_le, (__force __virtio16)raw);
}

static void store16(const struct driver *drv, u8 *p, u16 val)
{
	__virtio16 raw = __cpu_to_virtio16(drv->is_le, val);

	__atomic_store_n((u16 *)(void *)p, (__force u16)raw, __ATOMIC_RELEASE);
}

/* The words of a descriptor; its flags go last, with the second one. */
union raw_desc {
	struct vring_packed_desc desc;
	u64 word[2];
};

static u64 *words_of(const struct driver *drv, u32 slot)
{
	return (u64 *)(void *)mem_at(drv->mem, VHX_DESC, slot * 16, 16);
}

static void encode(const struct driver *drv, const struct vhx_slot *slot,
		   union raw_desc *raw)
{
	raw->desc.addr = (__force __le64)
		__cpu_to_virtio64(drv->is_le, slot->addr);
	raw->desc.len = (__force __le32)
		__cpu_to_virtio32(drv->is_le, slot->len);
	raw->desc.id = (__force __le16)
		__cpu_to_virtio16(drv->is_le, slot->next);
	raw->desc.flags = (__force __le16)
		__cpu_to_virtio16(drv->is_le, slot->flags);
}

void packed_set_desc(struct driver *drv, u32 slot, const struct vhx_slot *desc)
{
	u64 *dst = words_of(drv, slot);
	union raw_desc raw;

	encode(drv, desc, &raw);
	__atomic_store_n(&dst[0], raw.word[0], __ATOMIC_RELAXED);
	__atomic_store_n(&dst[1], raw.word[1], __ATOMIC_RELEASE);
}

void packed_get_desc(const struct driver *drv, u32 slot, struct vhx_slot *desc)
{
	const u64 *src = words_of(drv, slot);
	union raw_desc raw;

	raw.word[1] = __atomic_load_n(&src[1], __ATOMIC_ACQUIRE);
	raw.word[0] = __atomic_load_n(&src[0], __ATOMIC_RELAXED);
	desc->addr = __virtio64_to_cpu(drv->is_le,
				       (__force __virtio64)raw.desc.addr);
	desc->len = __virtio32_to_cpu(drv->is_le,
				      (__force __virtio32)raw.desc.len);
	desc->next = __virtio16_to_cpu(drv->is_le,
				       (__force __virtio16)raw.desc.id);
	desc->flags = __virtio16_to_cpu(drv->is_le,
					(__force __virtio16)raw.desc.flags);
}

void packed_set_entry(struct driver *drv, u64 table, u32 i,
		      const struct vhx_slot *desc)
{
	u32 off = (u32)(table - drv->mem->guest_iova) + i * 16;
	union raw_desc raw;

	encode(drv, desc, &raw);
	memcpy(mem_at(drv->mem, MEM_GUEST, off, 16), &raw, 16);
}

void packed_set_event(struct driver *drv, u16 pos, u16 flags)
{
	store16(drv, event_at(drv, VHX_DRIVER, 0), pos);
	store16(drv, event_at(drv, VHX_DRIVER, 2), flags);
}

u16 packed_event_pos(const struct driver *drv)
{
	return load16(drv, event_at(drv, VHX_DEVICE, 0));
}

u16 packed_event_flags(const struct driver *drv)
{
	return load16(drv, event_at(drv, VHX_DEVICE, 2));
}

/* Flags that make the descriptor at @place available. */
u16 packed_avail_flags(const struct driver *drv, u64 place)
{
	return wrap_of(drv, place) ? AVAIL : USED;
}

static u32 packed_area_len(enum vhx_area area, u16 num, bool has_event_idx)
{
	(void)has_event_idx;
	return area == VHX_DESC ? 16u * num : 4;
}

/*
 * All that went before @base left its descriptors used, in this lap or in the
 * last. No id is a slot's number, nor below any ring's size.
 */
static void packed_reset(struct driver *drv, u32 base)
{
	u64 place = place_of(drv, (u16)base);
	u32 i;

	for (i = 0; i < VHX_AREAS; i++)
		memset(drv->mem->area[i], 0, drv->mem->len[i]);
	for (i = 0; i < drv->num; i++) {
		bool wrap = wrap_of(drv, place) == (i < slot_of(drv, place));

		packed_set_desc(drv, i, &(struct vhx_slot){
			.flags = wrap ? AVAIL | USED : 0 });
		drv->free[i] = (u16)(DRIVER_IDS - 1 - i);
		drv->nr_used_slots[drv->free[i]] = 0;
	}
	drv->nr_free = drv->num;
	drv->nr_free_ids = drv->num;
	drv->in_batch = false;
	drv->has_held = false;
	drv->added_place = place;
	drv->avail_place = place;
	drv->kicked_place = place;
	drv->used_place = place;
	drv->nr_added = 0;
	drv->nr_polled = 0;
}

static void write_table(struct driver *drv, const struct driver_buf *buf)
{
	struct vhx_slot slot;
	unsigned int i;

	for (i = 0; i < buf->nr; i++) {
		slot = buf->slot[i];
		slot.next = 0x5a5a;
		packed_set_entry(drv, buf->table, i, &slot);
	}
}

/*
 * Appends a descriptor. The flags of all may be written at once but those of
 * the first of a batch, which the device looks at before the others (§2.8.2).
 */
static void append(struct driver *drv, struct vhx_slot slot)
{
	slot.flags |= packed_avail_flags(drv, drv->added_place);
	if (drv->added_place == drv->avail_place) {
		drv->held = slot;
		drv->has_held = true;
	} else {
		packed_set_desc(drv, slot_of(drv, drv->added_place), &slot);
	}
	drv->added_place++;
}

/* A list is in the ring or in a table, not partly in both (§2.8.5). */
static int packed_add(struct driver *drv, const struct driver_buf *buf)
{
	bool has_table = buf->nr > buf->nr_direct;
	u32 i, nr = has_table ? 1 : buf->nr;
	struct vhx_slot slot;
	u16 id;

	if (nr > drv->nr_free)
		return -ENOSPC;
	id = drv->free[--drv->nr_free_ids];
	if (has_table)
		write_table(drv, buf);
	for (i = 0; i < nr; i++) {
		if (has_table)
			slot = (struct vhx_slot){
				.addr = buf->table,
				.len = buf->nr * 16,
				.flags = VRING_DESC_F_INDIRECT,
			};
		else
			slot = buf->slot[i];
		/* The id counts in the last one alone (§2.8.6). */
		slot.next = i + 1 < nr ? 0x5a5a : id;
		if (i + 1 < nr)
			slot.flags |= VRING_DESC_F_NEXT;
		append(drv, slot);
	}
	drv->nr_free -= nr;
	drv->nr_used_slots[id] = (u16)nr;
	drv->order[drv->nr_added++ % drv->num] = id;
	return id;
}

static void packed_publish(struct driver *drv)
{
	if (drv->has_held)
		packed_set_desc(drv, slot_of(drv, drv->avail_place),
				&drv->held);
	drv->has_held = false;
	drv->avail_place = drv->added_place;
}

/* One by one: is the descriptor that the device waits for a new one? */
static bool packed_wants_kick(struct driver *drv)
{
	u16 flags, event;
	u64 place = drv->kicked_place;

	virt_mb();	/* pairs with the one in packed.c:packed_arm() */
	drv->kicked_place = drv->avail_place;
	flags = packed_event_flags(drv);
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	event = packed_event_pos(drv);
	for (; place != drv->avail_place; place++)
		if (packed_pos(drv, place) == event)
			return true;
	return false;
}

static bool is_used(const struct driver *drv, struct vhx_slot *desc)
{
	u16 want = wrap_of(drv, drv->used_place) ? AVAIL | USED : 0;

	packed_get_desc(drv, slot_of(drv, drv->used_place), desc);
	return (desc->flags & (AVAIL | USED)) == want;
}

/* In order one may stand for a batch, whose last buffer it names (§2.8.8). */
static bool packed_poll(struct driver *drv, struct vhx_used *used)
{
	struct vhx_slot desc;
	u32 nr;

	if (!drv->in_batch) {
		if (!is_used(drv, &desc))
			return false;
		drv->batch.id = desc.next;
		/* The length counts with WRITE alone (§2.8.4). */
		drv->batch.len = desc.flags & VRING_DESC_F_WRITE ? desc.len : 0;
	}
	*used = drv->batch;
	if (drv->is_in_order) {
		used->id = drv->order[drv->nr_polled % drv->num];
		drv->in_batch = used->id != drv->batch.id;
		used->len = drv->in_batch ? 0 : drv->batch.len;
	}
	nr = drv->nr_used_slots[used->id];
	if (!nr) {
		fprintf(stderr, "# used id %u is not in flight\n", used->id);
		abort();
	}
	drv->nr_used_slots[used->id] = 0;
	drv->free[drv->nr_free_ids++] = used->id;
	drv->nr_free += nr;
	drv->used_place += nr;
	drv->nr_polled++;
	used->count = (u16)nr;
	return true;
}

static bool packed_enable_calls(struct driver *drv, u16 skip)
{
	struct vhx_slot desc;

	if (drv->has_event_idx)
		packed_set_event(drv, packed_pos(drv, drv->used_place + skip),
				 VRING_PACKED_EVENT_FLAG_DESC);
	else
		packed_set_event(drv, 0x5a5a, VRING_PACKED_EVENT_FLAG_ENABLE);
	virt_mb();	/* pairs with the one in packed.c:packed_call_needed() */
	return drv->in_batch || is_used(drv, &desc);
}

static void packed_disable_calls(struct driver *drv)
{
	packed_set_event(drv, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
}

static u32 packed_base_after(u16 num, u32 base, u64 nr)
{
	const struct driver drv = { .num = num };
	u16 pos = packed_pos(&drv, place_of(&drv, (u16)base) + nr);

	return pos | (u32)pos << 16;
}

static u32 packed_base_before(u16 num, u32 nr)
{
	return packed_base_after(num, 0x8000, 2ull * num * nr - nr);
}

const struct driver_ops driver_packed_ops = {
	.area_len = packed_area_len,
	.reset = packed_reset,
	.add = packed_add,
	.publish = packed_publish,
	.wants_kick = packed_wants_kick,
	.poll = packed_poll,
	.enable_calls = packed_enable_calls,
	.disable_calls = packed_disable_calls,
	.base_after = packed_base_after,
	.base_before = packed_base_before,
	.is_packed = true,
};
