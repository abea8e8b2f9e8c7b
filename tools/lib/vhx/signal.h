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

/**
 * struct vhx_uring - signals one eventfd, by completing nothing
 * @fd: the io_uring, or -1: none
 * @is_aimed: it signals the eventfd that it was given last, or cannot be had
 * @nr: how often it signalled
 * @heads: mapping of the page where its rings begin and end
 * @tail: there, of its submissions
 * @head: there, of its completions
 *
 * Its one submission stays as the kernel made it: zeroes, which is IORING_OP_NOP.
 */
struct vhx_uring {
	int fd;
	bool is_aimed;
	u32 nr;
	char *heads;
	u32 *tail;
	u32 *head;
};

void vhx_signal_open(struct vhx_signals *signals);
void vhx_signal_close(struct vhx_signals *signals);
bool vhx_signal_can(struct vhx_signals *signals, int fd);
bool vhx_uring_signal(struct vhx_uring *uring, int fd);
void vhx_uring_close(struct vhx_uring *uring);
void vhx_signal(struct vhx_signals *signals, int fd);

#endif /* VHX_SIGNAL_H */
