/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames that lack checksums, or are longer than a segment. */
#ifndef GSO_H
#define GSO_H

#include "switch.h"

bool gso_is_sound(const struct vhx_pkt *frame);
bool gso_fits(const struct port *port, const struct vhx_pkt *frame);
uint32_t gso_segment(const struct vhx_pkt *frame, uint32_t at,
		     struct vhx_pkt *segment);

#endif /* GSO_H */
