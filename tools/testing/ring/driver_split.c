// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The driver half of a split virtqueue, virtio 1.3 §2.7, written from the
 * driver's side of the text: it shares no line with the engine.
 */
#include "driver.h"

static u8 *avail_at(const struct driver *drv, u32 off)
{
	return mem_at(drv->mem, VHX_DRIVER, off, 2);
}

static u8 *used_at(const struct driver *drv, u32 off)
{
	return mem_at(drv->mem, VHX_DEVICE, off, 2);
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

static void encode(const struct driver *drv, const struct vhx_slot *slot,
		   struct vring_desc *desc)
{
	desc->addr = __cpu_to_virtio64(drv->is_le, slot->addr);
	desc->len = __cpu_to_virtio32(drv->is_le, slot->len);
	desc->flags = __cpu_to_virtio16(drv->is_le, slot->flags);
	desc->next = __cpu_to_virtio16(drv->is_le, slot->next);
}

void split_set_desc(struct driver *drv, u16 i, const struct vhx_slot *slot)
{
	union {
		struct vring_desc desc;
		u64 word[2];
	} raw;
	u64 *dst = (u64 *)(void *)mem_at(drv->mem, VHX_DESC, i * 16u, 16);

	encode(drv, slot, &raw.desc);
	/* Atomic for those who read a window of descriptors around theirs. */
	__atomic_store_n(&dst[0], raw.word[0], __ATOMIC_RELAXED);
	__atomic_store_n(&dst[1], raw.word[1], __ATOMIC_RELAXED);
}

void split_set_entry(struct driver *drv, u64 table, u32 i,
		     const struct vhx_slot *slot)
{
	u32 off = (u32)(table - drv->mem->guest_iova) + i * 16;
	struct vring_desc desc;

	encode(drv, slot, &desc);
	memcpy(mem_at(drv->mem, MEM_GUEST, off, 16), &desc, 16);
}

void split_set_avail_idx(struct driver *drv, u16 idx)
{
	drv->added_pos = idx;
	drv->avail_pos = idx;
	store16(drv, avail_at(drv, 2), idx);
}

void split_push_head(struct driver *drv, u16 head)
{
	__virtio16 raw = __cpu_to_virtio16(drv->is_le, head);
	u32 i = drv->added_pos++ % drv->num;

	drv->order[i] = head;
	memcpy(avail_at(drv, 4 + 2 * i), &raw, 2);
}

void split_set_avail_flags(struct driver *drv, u16 flags)
{
	store16(drv, avail_at(drv, 0), flags);
}

void split_set_used_event(struct driver *drv, u16 idx)
{
	store16(drv, avail_at(drv, 4 + 2u * drv->num), idx);
}

void split_set_used(struct driver *drv, u16 flags, u16 idx)
{
	store16(drv, used_at(drv, 0), flags);
	store16(drv, used_at(drv, 2), idx);
}

u16 split_used_flags(const struct driver *drv)
{
	return load16(drv, used_at(drv, 0));
}

u16 split_used_idx(const struct driver *drv)
{
	return load16(drv, used_at(drv, 2));
}

u16 split_avail_event(const struct driver *drv)
{
	return load16(drv, used_at(drv, 4 + 8u * drv->num));
}

static u32 split_area_len(enum vhx_area area, u16 num, bool has_event_idx)
{
	if (area == VHX_DESC)
		return 16u * num;
	return (area == VHX_DRIVER ? 2u : 8u) * num + (has_event_idx ? 6 : 4);
}

static void split_reset(struct driver *drv, u32 base)
{
	u32 i;

	drv->nr_free = drv->num;
	for (i = 0; i < drv->num; i++)
		drv->free[i] = (u16)(drv->num - 1 - i);
	memset(drv->nr_used_slots, 0, drv->num * sizeof(u16));
	for (i = 0; i < VHX_AREAS; i++)
		memset(drv->mem->area[i], 0, drv->mem->len[i]);
	drv->in_batch = false;
	drv->kicked_pos = (u16)base;
	drv->used_pos = (u16)base;
	split_set_avail_idx(drv, (u16)base);
	split_set_used(drv, 0, (u16)base);
}

static void write_table(struct driver *drv, const struct driver_buf *buf)
{
	struct vhx_slot slot;
	unsigned int i, nr = buf->nr - buf->nr_direct;

	for (i = 0; i < nr; i++) {
		slot = buf->slot[buf->nr_direct + i];
		slot.next = (u16)(i + 1);
		if (i + 1 < nr)
			slot.flags |= VRING_DESC_F_NEXT;
		split_set_entry(drv, buf->table, i, &slot);
	}
}

static int split_add(struct driver *drv, const struct driver_buf *buf)
{
	bool has_table = buf->nr > buf->nr_direct;
	unsigned int i, nr = buf->nr_direct + has_table;
	struct vhx_slot slot;
	u16 head, at;

	if (nr > drv->nr_free)
		return -ENOSPC;
	at = drv->free[--drv->nr_free];
	head = at;
	for (i = 0; i < nr; i++, at = slot.next) {
		if (i < buf->nr_direct)
			slot = buf->slot[i];
		else
			slot = (struct vhx_slot){
				.addr = buf->table,
				.len = (buf->nr - buf->nr_direct) * 16,
				.flags = VRING_DESC_F_INDIRECT,
			};
		slot.next = 0x5a5a;
		if (i + 1 < nr) {
			slot.flags |= VRING_DESC_F_NEXT;
			slot.next = drv->free[--drv->nr_free];
		}
		drv->next[at] = slot.next;
		split_set_desc(drv, at, &slot);
	}
	if (has_table)
		write_table(drv, buf);
	drv->nr_used_slots[head] = (u16)nr;
	split_push_head(drv, head);
	return head;
}

static void split_publish(struct driver *drv)
{
	split_set_avail_idx(drv, drv->added_pos);
}

static bool split_wants_kick(struct driver *drv)
{
	u16 old = drv->kicked_pos, event;

	virt_mb();	/* pairs with the one in split.c:split_arm() */
	drv->kicked_pos = drv->avail_pos;
	if (!drv->has_event_idx)
		return !(split_used_flags(drv) & VRING_USED_F_NO_NOTIFY);
	event = split_avail_event(drv);
	/* The event lies within what was published since the last look. */
	return (u16)(event - old) < (u16)(drv->avail_pos - old);
}

static void read_used(struct driver *drv, struct vhx_used *used)
{
	struct vring_used_elem elem;

	memcpy(&elem, mem_at(drv->mem, VHX_DEVICE,
			     4 + 8u * (drv->used_pos % drv->num), 8), 8);
	used->id = (u16)__virtio32_to_cpu(drv->is_le, elem.id);
	used->len = __virtio32_to_cpu(drv->is_le, elem.len);
	used->count = 1;
	if (__virtio32_to_cpu(drv->is_le, elem.id) >= drv->num) {
		fprintf(stderr, "# used id is out of range\n");
		abort();
	}
}

/*
 * In order one entry may stand for a batch, whose last buffer it names
 * (virtio 1.3 §2.7.9); of those before it no length is known.
 */
static void read_batch(struct driver *drv, struct vhx_used *used)
{
	if (!drv->in_batch)
		read_used(drv, &drv->batch);
	used->id = drv->order[drv->used_pos % drv->num];
	used->count = 1;
	drv->in_batch = used->id != drv->batch.id;
	used->len = drv->in_batch ? 0 : drv->batch.len;
}

static bool split_poll(struct driver *drv, struct vhx_used *used)
{
	u16 at, i;

	if (split_used_idx(drv) == drv->used_pos)
		return false;
	if (drv->is_in_order)
		read_batch(drv, used);
	else
		read_used(drv, used);
	drv->used_pos++;
	if (!drv->nr_used_slots[used->id]) {
		fprintf(stderr, "# used id %u is not in flight\n", used->id);
		abort();
	}
	at = used->id;
	for (i = drv->nr_used_slots[used->id]; i; i--) {
		drv->free[drv->nr_free++] = at;
		at = drv->next[at];
	}
	drv->nr_used_slots[used->id] = 0;
	return true;
}

static bool split_enable_calls(struct driver *drv, u16 skip)
{
	if (drv->has_event_idx)
		split_set_used_event(drv, (u16)(drv->used_pos + skip));
	else
		split_set_avail_flags(drv, 0);
	virt_mb();	/* pairs with the one in split.c:split_call_needed() */
	return split_used_idx(drv) != drv->used_pos;
}

static void split_disable_calls(struct driver *drv)
{
	if (drv->has_event_idx)
		split_set_used_event(drv, (u16)(drv->used_pos - 1));
	else
		split_set_avail_flags(drv, VRING_AVAIL_F_NO_INTERRUPT);
}

static u32 split_base_after(u16 num, u32 base, u64 nr)
{
	(void)num;
	return (u16)(base + nr);
}

static u32 split_base_before(u16 num, u32 nr)
{
	(void)num;
	return (u16)(65536 - nr);
}

const struct driver_ops driver_split_ops = {
	.area_len = split_area_len,
	.reset = split_reset,
	.add = split_add,
	.publish = split_publish,
	.wants_kick = split_wants_kick,
	.poll = split_poll,
	.enable_calls = split_enable_calls,
	.disable_calls = split_disable_calls,
	.base_after = split_base_after,
	.base_before = split_base_before,
};
