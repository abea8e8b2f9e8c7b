// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wait-queue hook: readiness of an eventfd or a socket becomes queued work.
 * Nothing is done in the wake callback itself: it may run inside another
 * eventfd's signal, where signalling is refused.
 */
#include <linux/container_of.h>
#include <linux/ktime.h>

#include "poll.h"
#include "trace.h"

DEFINE_STATIC_KEY_FALSE(vhx_poll_is_timing);

static int wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
		void *key)
{
	struct vhx_poll *poll = container_of(wait, struct vhx_poll, wait);

	if (key_to_poll(key) && !(key_to_poll(key) & poll->events))
		return 0;
	/* Read without a lock. */
	WRITE_ONCE(poll->wakes, poll->wakes + 1);
	if (READ_ONCE(poll->is_timed)) {
		WRITE_ONCE(poll->woke, ktime_get_ns());
		/* Pairs with vhx_poll_woke(). */
		smp_store_release(&poll->is_timed, false);
	}
	if (static_branch_unlikely(&vhx_poll_is_timing) && !READ_ONCE(poll->first))
		cmpxchg(&poll->first, 0, ktime_get_ns());
	if (poll->is_kick)
		trace_vhx_kick(poll->work);
	else
		trace_vhx_backend_ready(poll->work);
	vhx_worker_queue(poll->work);
	return 0;
}

static void enter(struct file *file, wait_queue_head_t *wqh, poll_table *table)
{
	struct vhx_poll *poll = container_of(table, struct vhx_poll, table);

	poll->wqh = wqh;
	add_wait_queue(wqh, &poll->wait);
}

/**
 * vhx_poll_init - set up, not waiting
 * @poll: the hook
 * @work: what readiness queues
 * @events: which readiness, EPOLL*
 */
void vhx_poll_init(struct vhx_poll *poll, struct vhx_work *work,
		   __poll_t events)
{
	init_waitqueue_func_entry(&poll->wait, wake);
	init_poll_funcptr(&poll->table, enter);
	poll->table._key = events;
	poll->wqh = NULL;
	poll->work = work;
	poll->events = events;
	poll->is_kick = false;
	poll->wakes = 0;
	poll->is_timed = false;
	poll->woke = 0;
	poll->first = 0;
}

/**
 * vhx_poll_start - wait for a file; a second start is none
 * @poll: the hook
 * @file: the file; the caller keeps it until vhx_poll_stop()
 *
 * Context: vq mutex; may sleep
 * Return: 0; 1: it is ready, and the work is not queued for that; -EINVAL for a
 * file in error, which is not waited for
 */
int vhx_poll_start(struct vhx_poll *poll, struct file *file)
{
	__poll_t ready;

	if (poll->wqh)
		return 0;
	ready = vfs_poll(file, &poll->table);
	if (ready & EPOLLERR) {
		vhx_poll_stop(poll);
		return -EINVAL;
	}
	return !!(ready & poll->events);
}

/**
 * vhx_poll_stop - wait no more
 * @poll: the hook, waiting or not
 *
 * Context: vq mutex. On return no callback runs or will run.
 */
void vhx_poll_stop(struct vhx_poll *poll)
{
	if (!poll->wqh)
		return;
	remove_wait_queue(poll->wqh, &poll->wait);
	poll->wqh = NULL;
}

/**
 * vhx_poll_time - have the next wake-up timed
 * @poll: the hook, waiting or not
 *
 * Context: vq mutex
 */
void vhx_poll_time(struct vhx_poll *poll)
{
	WRITE_ONCE(poll->is_timed, true);
}

/**
 * vhx_poll_woke - when the wake-up came that vhx_poll_time() asked for
 * @poll: the hook
 * @ns: result, of ktime_get_ns(); one that came just when it was asked for may
 *      be earlier than that
 *
 * Context: vq mutex
 * Return: false if there was none yet
 */
bool vhx_poll_woke(const struct vhx_poll *poll, u64 *ns)
{
	/* Pairs with wake(). */
	if (smp_load_acquire(&poll->is_timed))
		return false;
	*ns = READ_ONCE(poll->woke);
	return true;
}

/**
 * vhx_poll_take - when the first wake-up came that was not taken yet
 * @poll: the hook
 *
 * Context: vq mutex
 * Return: ns of ktime_get_ns(); 0: none came while they were timed
 */
u64 vhx_poll_take(struct vhx_poll *poll)
{
	return xchg(&poll->first, 0);
}
