/* SPDX-License-Identifier: GPL-2.0-only */
/* What vhost_ring.c does for a packed ring. */
#ifndef VHOST_PACKED_H
#define VHOST_PACKED_H

#include "vhost_lib.h"

void packed_rewind(struct vq *vq, uint16_t pos);
int packed_add(struct vq *vq, const struct seg *s, int n_out, int n_in);
void packed_publish(struct vq *vq);
bool packed_kick_wanted(struct vq *vq);
unsigned int packed_used(struct vq *vq);
int packed_pop(struct vq *vq, uint32_t *len);
void packed_want_call(struct vq *vq, unsigned int n);

#endif /* VHOST_PACKED_H */
