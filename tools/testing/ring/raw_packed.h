/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Packed descriptors written one by one, by their number since the start.
 */
#ifndef RING_TEST_RAW_PACKED_H
#define RING_TEST_RAW_PACKED_H

#include "raw.h"

/* Position of the descriptor that is @n after where the rig started. */
static inline u16 pos_after(const struct rig *rig, u64 n)
{
	return rig_avail_after(rig, n);
}

/* Makes descriptor @n after the start available. */
static inline void put(struct rig *rig, u64 n, struct vhx_slot slot)
{
	u16 pos = pos_after(rig, n);

	slot.flags |= pos >> 15 ? 0x80 : 0x8000;
	packed_set_desc(&rig->drv, pos & 0x7fff, &slot);
}

/* Chain of @nr descriptors of @len bytes, as raw_is_filled() wants it. */
static inline void put_chain(struct rig *rig, u64 n, u32 nr, u32 len, u16 id)
{
	u32 i = nr;

	/* Backwards: the head makes it available. */
	while (i--)
		put(rig, n + i, (struct vhx_slot){
			.addr = 0x1000 * (i + 1ull), .len = len,
			.flags = i + 1 < nr ? F_NEXT : 0,
			.next = i + 1 < nr ? (u16)~id : id });
}

/* Descriptor of an indirect table of @len bytes. */
static inline void put_table(struct rig *rig, u64 n, u64 table, u32 len, u16 id)
{
	put(rig, n, (struct vhx_slot){
		.addr = table, .len = len, .flags = F_INDIRECT, .next = id });
}

static inline struct vhx_slot get(const struct rig *rig, u64 n)
{
	struct vhx_slot slot;

	packed_get_desc(&rig->drv, pos_after(rig, n) & 0x7fff, &slot);
	return slot;
}

/* Whether fetch() fails for this reason, with nothing taken. */
static inline bool refuses(struct rig *rig, int err, const char *cause)
{
	u32 base = rig_base(rig);
	int got;

	rig->ring.cause = VHX_CAUSE_NONE;
	got = raw_fetch(rig, VHX_BURST_MAX);
	if (got == err && strstr(vhx_cause_text(rig->ring.cause), cause) &&
	    rig_base(rig) == base && !rig->burst.nr && !rig->burst.nr_slots)
		return true;
	fprintf(stderr, "# got %d, '%s' instead of %d, '%s'\n", got,
		vhx_cause_text(rig->ring.cause), err, cause);
	return false;
}

#endif /* RING_TEST_RAW_PACKED_H */
