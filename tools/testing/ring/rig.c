// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * One ring with both its halves, and a model of what must come out of it.
 * Functions with a result return -EBADMSG when it is not what the model says.
 */
#include <sys/mman.h>
#include "rig.h"

/* Next to memory of the guest, where an access is a fault: a page at least. */
#define GUARD_LEN	4096u

__thread unsigned int ring_env_nr_mb;

static void *alloc(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p) {
		fprintf(stderr, "# out of memory\n");
		abort();
	}
	return p;
}

/*
 * Zeroes between two guards, up to the second to the byte. A large part is never
 * touched, which on the heap costs AddressSanitizer more than a test does.
 */
static u8 *guest_alloc(u32 len)
{
	u32 room = (len + GUARD_LEN - 1) & ~(GUARD_LEN - 1);
	u8 *p = mmap(NULL, room + 2 * GUARD_LEN, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED ||
	    mprotect(p + GUARD_LEN, room, PROT_READ | PROT_WRITE)) {
		fprintf(stderr, "# out of memory\n");
		abort();
	}
	return p + GUARD_LEN + room - len;
}

static void guest_free(u8 *guest, u32 len)
{
	u32 room = (len + GUARD_LEN - 1) & ~(GUARD_LEN - 1);

	munmap(guest + len - room - GUARD_LEN, room + 2 * GUARD_LEN);
}

struct rig *rig_create(const struct rig_variant *variant)
{
	struct rig *rig = alloc(1, sizeof(*rig));
	u16 num = variant->num;
	unsigned int i;

	rig->variant = *variant;
	for (i = 0; i < VHX_AREAS; i++)
		rig->mem.len[i] = variant->driver->area_len((enum vhx_area)i, num,
							    variant->has_event_idx);
	rig->mem.len[MEM_GUEST] = num * RIG_TABLE_LEN * 16u + RIG_SCRATCH_LEN;
	for (i = 0; i < VHX_AREAS; i++)
		rig->mem.area[i] = alloc(1, rig->mem.len[i]);
	rig->mem.area[MEM_GUEST] = guest_alloc(rig->mem.len[MEM_GUEST]);
	rig->mem.guest_iova = RIG_IOVA;

	rig->drv.free = alloc(num, sizeof(u16));
	rig->drv.next = alloc(num, sizeof(u16));
	rig->drv.nr_used_slots = alloc(DRIVER_IDS, sizeof(u16));
	rig->drv.order = alloc(num, sizeof(u16));
	rig->table_of = alloc(DRIVER_IDS, sizeof(u16));
	rig->free_table = alloc(num, sizeof(u16));
	while (rig->queue_mask < num)
		rig->queue_mask = 2 * rig->queue_mask + 1;
	rig->offered = alloc(rig->queue_mask + 1, sizeof(*rig->offered));
	rig->done = alloc(rig->queue_mask + 1, sizeof(*rig->done));
	if (rig_restart(rig, 0))
		abort();
	return rig;
}

void rig_destroy(struct rig *rig)
{
	unsigned int i;

	for (i = 0; i < VHX_AREAS; i++)
		free(rig->mem.area[i]);
	guest_free(rig->mem.area[MEM_GUEST], rig->mem.len[MEM_GUEST]);
	free(rig->drv.free);
	free(rig->drv.next);
	free(rig->drv.nr_used_slots);
	free(rig->drv.order);
	free(rig->table_of);
	free(rig->free_table);
	free(rig->offered);
	free(rig->done);
	free(rig);
}

/* The device half anew at @base, as after a stop; the driver stays. */
int rig_reattach(struct rig *rig, u32 base)
{
	const struct rig_variant *variant = &rig->variant;

	/* What the engine has to set must not be right by chance. */
	memset(&rig->ring, 0x5a, sizeof(rig->ring));
	rig->ring.ops = variant->ops;
	rig->ring.mem = &rig->mem;
	rig->ring.cause = VHX_CAUSE_NONE;
	rig->ring.num = variant->num;
	rig->ring.is_le = variant->is_le;
	rig->ring.has_event_idx = variant->has_event_idx;
	rig->ring.is_in_order = variant->is_in_order;
	rig->ring.calls_on_empty = false;
	rig->ring.is_signalled_valid = true;
	rig->ring.flags = VRING_USED_F_NO_NOTIFY;
	return rig->ring.ops->start(&rig->ring, base);
}

/* Both halves anew, as after a reset of the device. */
int rig_restart(struct rig *rig, u32 base)
{
	const struct rig_variant *variant = &rig->variant;
	u16 i;

	rig->mem.fail_at = MEM_FAILS_NEVER;
	rig->mem.on_access = NULL;
	rig->drv.ops = variant->driver;
	rig->drv.mem = &rig->mem;
	rig->drv.num = variant->num;
	rig->drv.is_le = variant->is_le;
	rig->drv.has_event_idx = variant->has_event_idx;
	rig->drv.is_in_order = variant->is_in_order;
	rig->drv.ops->reset(&rig->drv, base);
	rig->nr_free_tables = variant->num;
	for (i = 0; i < variant->num; i++)
		rig->free_table[i] = i;
	rig->nr_offered = 0;
	rig->nr_fetched = 0;
	rig->nr_done = 0;
	rig->nr_polled = 0;
	rig->done_pos = 0;
	rig->polled_pos = 0;
	rig->start_base = base;
	memset(&rig->burst, 0xa5, sizeof(rig->burst));
	rig->burst.nr = 0;
	return rig_reattach(rig, base);
}

u64 rig_scratch(const struct rig *rig)
{
	return RIG_IOVA + rig->mem.len[MEM_GUEST] - RIG_SCRATCH_LEN;
}

/* Piece @i of a buffer. No two pieces of any two buffers are alike. */
void rig_piece(const struct rig_shape *shape, unsigned int i,
	       struct vhx_slot *slot)
{
	bool is_empty = i < 32 && shape->empty >> i & 1;

	slot->addr = 0x100000000000ULL + ((u64)shape->token << 22) + i * 4096u;
	slot->len = is_empty ? 0 : 1 + (shape->token * 7 + i * 13) % 4000;
	slot->flags = i < shape->nr_out ? 0 : VRING_DESC_F_WRITE;
	slot->next = 0;
}

/* Adds a buffer, not yet published. Return: its id, or -ENOSPC. */
int rig_add(struct rig *rig, struct rig_shape shape)
{
	struct vhx_slot slot[2 * VHX_SLOTS_MAX];
	struct driver_buf buf = {
		.slot = slot,
		.nr = shape.nr_out + shape.nr_in,
		.nr_direct = shape.nr_direct,
	};
	unsigned int i;
	int id;

	if (buf.nr - buf.nr_direct > RIG_TABLE_LEN)
		abort();
	shape.token = rig->token;
	for (i = 0; i < buf.nr; i++)
		rig_piece(&shape, i, &slot[i]);
	if (buf.nr > buf.nr_direct) {
		if (!rig->nr_free_tables)
			return -ENOSPC;
		shape.table = rig->free_table[rig->nr_free_tables - 1];
		buf.table = RIG_IOVA + shape.table * RIG_TABLE_LEN * 16ull;
	}
	id = rig->drv.ops->add(&rig->drv, &buf);
	if (id < 0)
		return id;
	if (buf.nr > buf.nr_direct)
		rig->nr_free_tables--;
	else
		shape.table = UINT16_MAX;
	rig->table_of[id] = shape.table;
	shape.id = (u16)id;
	rig->offered[rig->nr_offered++ & rig->queue_mask] = shape;
	rig->token++;
	return id;
}

/* Offers @nr buffers of one slot each. Return: for how many there was room. */
unsigned int rig_offer(struct rig *rig, unsigned int nr)
{
	struct rig_shape shape = { .nr_direct = 1 };
	unsigned int i;

	for (i = 0; i < nr; i++) {
		shape.nr_out = rig->token & 1;
		shape.nr_in = !shape.nr_out;
		if (rig_add(rig, shape) < 0)
			break;
	}
	rig->drv.ops->publish(&rig->drv);
	return i;
}

/* Whether a chain is all of @shape and nothing else. */
bool rig_chain_matches(const struct vhx_chain *chain, u16 id,
		       const struct rig_shape *shape)
{
	unsigned int i, at = 0, nr_out = 0;
	u32 out_len = 0, in_len = 0;
	const u16 mask = VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT;
	struct vhx_slot want;

	for (i = 0; i < (u32)shape->nr_out + shape->nr_in; i++) {
		rig_piece(shape, i, &want);
		if (!want.len)
			continue;
		if (at >= (u32)chain->nr_out + chain->nr_in ||
		    chain->slot[at].addr != want.addr ||
		    chain->slot[at].len != want.len ||
		    (chain->slot[at].flags & mask) != want.flags)
			return false;
		at++;
		nr_out += i < shape->nr_out;
		*(i < shape->nr_out ? &out_len : &in_len) += want.len;
	}
	return at == (u32)chain->nr_out + chain->nr_in &&
		chain->nr_out == nr_out && chain->out_len == out_len &&
		chain->in_len == in_len && id == shape->id;
}

/* Fetches and compares with what was offered. */
int rig_fetch(struct rig *rig, unsigned int max)
{
	struct rig_shape *shape;
	const struct vhx_slot *slot = rig->burst.slot;
	int i, nr = rig->ring.ops->fetch(&rig->ring, &rig->burst, max);

	if (nr <= 0)
		return nr;
	if (nr != rig->burst.nr || (u32)nr > max ||
	    (u32)nr > rig->nr_offered - rig->nr_fetched)
		return -EBADMSG;
	for (i = 0; i < nr; i++) {
		const struct vhx_chain *chain =
			vhx_burst_chain(&rig->burst, (u32)i);

		shape = &rig->offered[(rig->nr_fetched + (u32)i) &
				      rig->queue_mask];
		if (chain->slot != slot ||
		    vhx_burst_out_len(&rig->burst, (u32)i) != chain->out_len ||
		    vhx_burst_in_len(&rig->burst, (u32)i) != chain->in_len ||
		    !rig_chain_matches(chain, rig->burst.used[i].id, shape)) {
			fprintf(stderr, "# buffer %u came out wrong\n",
				shape->token);
			return -EBADMSG;
		}
		slot += chain->nr_out + chain->nr_in;
	}
	if (slot != rig->burst.slot + rig->burst.nr_slots)
		return -EBADMSG;
	rig->nr_fetched += (u32)nr;
	return nr;
}

/* Hands back chain @i of the burst and those after it. */
void rig_unfetch(struct rig *rig, unsigned int i)
{
	vhx_ring_unfetch(&rig->ring, &rig->burst, i);
	rig->nr_fetched -= rig->burst.nr - i;
	rig->burst.nr = (u16)i;
}

int rig_complete(struct rig *rig, const struct vhx_used *used, unsigned int nr)
{
	unsigned int i;
	int err = rig->ring.ops->complete(&rig->ring, used, nr);

	for (i = 0; !err && i < nr; i++) {
		rig->done[rig->nr_done++ & rig->queue_mask] = used[i];
		rig->done_pos += used[i].count;
	}
	return err;
}

/* Completes all that was fetched last. */
int rig_complete_burst(struct rig *rig)
{
	struct vhx_used used[VHX_BURST_MAX];
	unsigned int i, nr = rig->burst.nr;

	for (i = 0; i < nr; i++)
		used[i] = rig_used(&rig->burst.used[i],
				   rig->burst.chain[i].in_len);
	rig->burst.nr = 0;
	return rig_complete(rig, used, nr);
}

/* The driver takes back all that was completed. Return: how many. */
int rig_poll(struct rig *rig)
{
	struct vhx_used used, *want;
	u16 table;
	int nr = 0;

	while (rig->drv.ops->poll(&rig->drv, &used)) {
		want = &rig->done[rig->nr_polled++ & rig->queue_mask];
		if (used.id != want->id || used.len != want->len ||
		    used.count != want->count)
			return -EBADMSG;
		rig->polled_pos += used.count;
		table = rig->table_of[used.id];
		if (table != UINT16_MAX)
			rig->free_table[rig->nr_free_tables++] = table;
		nr++;
	}
	return rig->nr_polled == rig->nr_done ? nr : -EBADMSG;
}

/* @nr buffers, which have to fit, go all the way round. Return: 0. */
int rig_cycle(struct rig *rig, unsigned int nr)
{
	unsigned int got = 0;
	int n;

	if (rig_offer(rig, nr) != nr)
		return -ENOSPC;
	while (got < nr) {
		n = rig_fetch(rig, VHX_BURST_MAX);
		if (n <= 0)
			return n ? n : -EBADMSG;
		n = rig_complete_burst(rig);
		if (n)
			return n;
		got = nr - (rig->nr_offered - rig->nr_fetched);
	}
	n = rig_poll(rig);
	return n == (int)nr ? 0 : -EBADMSG;
}
