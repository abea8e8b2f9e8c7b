/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_POLL_H
#define VHX_POLL_H

#include <linux/jump_label.h>
#include <linux/poll.h>
#include <linux/wait.h>

#include "worker.h"

/**
 * struct vhx_poll - turns a file's readiness into queued work
 * @wait: our entry in the file's wait queue
 * @table: how vfs_poll() hands us that queue
 * @wqh: the queue, NULL when not waiting
 * @work: what to queue
 * @events: EPOLL* that count
 * @is_kick: readiness is a kick, else the backend's
 * @wakes: how often it queued @work; written under the lock of @wqh
 * @is_timed: the next wake-up is to be timed; no bool, see vhx_dev.has_msg_v2
 * @woke: when the last one came that was, in ns
 * @first: when the first one came since vhx_poll_take(), in ns; 0: none that was timed
 */
struct vhx_poll {
	wait_queue_entry_t wait;
	poll_table table;
	wait_queue_head_t *wqh;
	struct vhx_work *work;
	__poll_t events;
	bool is_kick;
	u64 wakes;
	u8 is_timed;
	u64 woke;
	u64 first;
};

/* All wake-ups are timed, for vhx_poll_take(). */
DECLARE_STATIC_KEY_FALSE(vhx_poll_is_timing);

void vhx_poll_init(struct vhx_poll *poll, struct vhx_work *work,
		   __poll_t events);
int vhx_poll_start(struct vhx_poll *poll, struct file *file);
void vhx_poll_stop(struct vhx_poll *poll);
void vhx_poll_time(struct vhx_poll *poll);
u64 vhx_poll_take(struct vhx_poll *poll);
bool vhx_poll_woke(const struct vhx_poll *poll, u64 *ns);

#endif /* VHX_POLL_H */
