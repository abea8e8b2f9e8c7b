/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The areas of a ring, for those who find them: their length, and what is done
 * there, by format and size (virtio 1.3 §2.7, §2.8).
 */
#ifndef VHX_AREA_H
#define VHX_AREA_H

#include "mem.h"

/**
 * vhx_area_is_packed - the format that was chosen for a ring
 * @ring: the ring, started or not
 *
 * Return: true: packed, false: split
 */
static inline bool vhx_area_is_packed(const struct vhx_ring *ring)
{
	return ring->ops == &vhx_packed_ops;
}

/**
 * vhx_area_len - bytes of an area
 * @ring: the ring, whose ops, num and has_event_idx are set
 * @area: the area
 *
 * The last field of two split areas is EVENT_IDX's.
 *
 * Return: bytes, at least 4
 */
static inline u32 vhx_area_len(const struct vhx_ring *ring, enum vhx_area area)
{
	u32 num = ring->num, event = ring->has_event_idx ? 2 : 0;

	if (area == VHX_DESC)
		return (u32)sizeof(struct vring_desc) * num;
	if (vhx_area_is_packed(ring))
		return sizeof(struct vring_packed_desc_event);
	if (area == VHX_DRIVER)
		return 4 + 2 * num + event;
	return 4 + (u32)sizeof(struct vring_used_elem) * num + event;
}

/**
 * vhx_area_is_read - whether the engine reads an area
 * @area: the area
 *
 * Return: true if it does
 */
static inline bool vhx_area_is_read(enum vhx_area area)
{
	return area != VHX_DEVICE;
}

/**
 * vhx_area_is_written - whether the engine writes an area
 * @ring: the ring, whose ops are set
 * @area: the area
 *
 * Return: true if it does; a packed ring's descriptors are written as well
 */
static inline bool vhx_area_is_written(const struct vhx_ring *ring,
				       enum vhx_area area)
{
	return area == VHX_DEVICE ||
	       (area == VHX_DESC && vhx_area_is_packed(ring));
}

#endif /* VHX_AREA_H */
