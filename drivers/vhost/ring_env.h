/* SPDX-License-Identifier: GPL-2.0-only */
/* What the ring engine takes from its surroundings: the kernel half. */
#ifndef VHX_RING_ENV_H
#define VHX_RING_ENV_H

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/types.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_ring.h>

#endif /* VHX_RING_ENV_H */
