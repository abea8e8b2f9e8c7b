/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A kselftest fixture with a ring in it, over ring formats, byte orders,
 * notification schemes and sizes.
 */
#ifndef RING_TEST_FIXTURE_H
#define RING_TEST_FIXTURE_H

#include "rig.h"
#include "kselftest_harness.h"

#define RIG_FIXTURE(area)						\
FIXTURE(area) {								\
	struct rig *rig;						\
};									\
FIXTURE_VARIANT(area) {							\
	struct rig_variant rig;						\
};									\
FIXTURE_SETUP(area)							\
{									\
	self->rig = rig_create(&variant->rig);				\
}									\
FIXTURE_TEARDOWN(area)							\
{									\
	rig_destroy(self->rig);						\
}

#define RIG_VARIANT(area, name, engine, guest, le, event, size) \
FIXTURE_VARIANT_ADD(area, name##_n##size) {				\
	.rig = {							\
		.ops = &(engine),					\
		.driver = &(guest),					\
		.num = (size),						\
		.is_le = (le),						\
		.has_event_idx = (event),				\
	},								\
}

/* VIRTIO_F_IN_ORDER, which is of version 1 alone. */
#define RIG_SPLIT_IN_ORDER(area, size)					\
FIXTURE_VARIANT_ADD(area, v1_in_order_n##size) {			\
	.rig = {							\
		.ops = &vhx_split_ops,					\
		.driver = &driver_split_ops,				\
		.num = (size),						\
		.is_le = true,						\
		.has_event_idx = true,					\
		.is_in_order = true,					\
	},								\
}

/* Packed rings are of version 1 alone, and of any size. */
#define RIG_PACKED_VARIANT(area, name, event, in_order, size)		\
FIXTURE_VARIANT_ADD(area, packed_##name##_n##size) {			\
	.rig = {							\
		.ops = &vhx_packed_ops,					\
		.driver = &driver_packed_ops,				\
		.num = (size),						\
		.is_le = true,						\
		.has_event_idx = (event),				\
		.is_in_order = (in_order),				\
	},								\
}

#define RIG_PACKED_FLAGS(area, size)					\
	RIG_PACKED_VARIANT(area, flags, false, false, size)
#define RIG_PACKED_EVENT(area, size)					\
	RIG_PACKED_VARIANT(area, event, true, false, size)
#define RIG_PACKED_IN_ORDER(area, size)					\
	RIG_PACKED_VARIANT(area, in_order, true, true, size)

#define RIG_SPLIT_VARIANT(area, name, le, event, size)			\
	RIG_VARIANT(area, name, vhx_split_ops, driver_split_ops,	\
		    le, event, size)

#define RIG_SPLIT_FLAGS(area, size)					\
	RIG_SPLIT_VARIANT(area, be_flags, false, false, size); \
	RIG_SPLIT_VARIANT(area, v1_flags, true, false, size)

#define RIG_SPLIT_EVENT(area, size)					\
	RIG_SPLIT_VARIANT(area, be_event, false, true, size); \
	RIG_SPLIT_VARIANT(area, v1_event, true, true, size)

/* For bodies about the flags alone. */
#define RIG_ALL_SIZES_FLAGS(area)					\
	RIG_SPLIT_FLAGS(area, 1);					\
	RIG_SPLIT_FLAGS(area, 2);					\
	RIG_SPLIT_FLAGS(area, 4);					\
	RIG_SPLIT_FLAGS(area, 256);					\
	RIG_SPLIT_FLAGS(area, 32768)

/* For bodies about EVENT_IDX alone. */
#define RIG_ALL_SIZES_EVENT(area)					\
	RIG_SPLIT_EVENT(area, 1);					\
	RIG_SPLIT_EVENT(area, 2);					\
	RIG_SPLIT_EVENT(area, 4);					\
	RIG_SPLIT_EVENT(area, 256);					\
	RIG_SPLIT_EVENT(area, 32768)

#define RIG_SPLIT_ALL_SIZES(area)					\
	RIG_SPLIT_IN_ORDER(area, 4);					\
	RIG_SPLIT_IN_ORDER(area, 256);					\
	RIG_ALL_SIZES_FLAGS(area);					\
	RIG_ALL_SIZES_EVENT(area)

#define RIG_PACKED_ALL_SIZES(area)					\
	RIG_PACKED_FLAGS(area, 1);					\
	RIG_PACKED_FLAGS(area, 7);					\
	RIG_PACKED_FLAGS(area, 256);					\
	RIG_PACKED_EVENT(area, 1);					\
	RIG_PACKED_EVENT(area, 2);					\
	RIG_PACKED_EVENT(area, 3);					\
	RIG_PACKED_EVENT(area, 1000);					\
	RIG_PACKED_EVENT(area, 32768);					\
	RIG_PACKED_IN_ORDER(area, 1);					\
	RIG_PACKED_IN_ORDER(area, 7);					\
	RIG_PACKED_IN_ORDER(area, 256)

#define RIG_ALL_SIZES(area)						\
	RIG_SPLIT_ALL_SIZES(area);					\
	RIG_PACKED_ALL_SIZES(area)

/* For bodies that need long chains in the ring itself. */
#define RIG_PACKED_FROM_256(area)					\
	RIG_PACKED_FLAGS(area, 256);					\
	RIG_PACKED_EVENT(area, 1000);					\
	RIG_PACKED_IN_ORDER(area, 32768)
#define RIG_SPLIT_FROM_256(area)					\
	RIG_SPLIT_FLAGS(area, 256);					\
	RIG_SPLIT_EVENT(area, 256);					\
	RIG_SPLIT_FLAGS(area, 32768);					\
	RIG_SPLIT_EVENT(area, 32768)

/* For bodies that need a few slots. */
#define RIG_SPLIT_FROM_4(area)						\
	RIG_SPLIT_FLAGS(area, 4);					\
	RIG_SPLIT_EVENT(area, 4);					\
	RIG_SPLIT_FROM_256(area)

#endif /* RING_TEST_FIXTURE_H */
