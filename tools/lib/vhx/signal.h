/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Signals to eventfds of peers, which do not wait. */
#ifndef VHX_SIGNAL_H
#define VHX_SIGNAL_H

#include <linux/aio_abi.h>

#include "ring_env.h"

/**
 * struct vhx_signals - what a session signals by
 * @aio: makes the kernel signal, see vhx_signal(); 0: none
 * @nothing: a file without contents
 */
struct vhx_signals {
	aio_context_t aio;
	int nothing;
};

void vhx_signal_open(struct vhx_signals *signals);
void vhx_signal_close(struct vhx_signals *signals);
bool vhx_signal_can(struct vhx_signals *signals, int fd);
void vhx_signal(struct vhx_signals *signals, int fd);

#endif /* VHX_SIGNAL_H */
