// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call and error eventfds. Both are signalled under the vq mutex, and
 * replaced under it: when SET_VRING_CALL returns, the old one is silent.
 */
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/printk.h>
#include <linux/spinlock.h>

#include "trace.h"
#include "vhx.h"

/* Module parameter log_lines. */
unsigned int vhx_log_lines = 240;

#define HOUR	(3600UL * HZ)

/* Causes that the log may be told of one ring in an hour. */
#define CAUSES_MAX	16

/**
 * vhx_notify_call - signal the driver if it wants to know
 * @vq: a started vq, after completions
 *
 * Context: vq mutex
 * Return: 0, or an errno of vhx_ring_ops.call_needed
 */
int vhx_notify_call(struct vhx_vq *vq)
{
	int ret = vq->ring.ops->call_needed(&vq->ring);

	if (!ret) {
		vhx_count(&vq->stats.calls_saved, 1);
		trace_vhx_call_saved(vq);
		return 0;
	}
	/* A driver that cannot be asked is called: one too many is allowed. */
	if (vq->call) {
		vhx_count(&vq->stats.calls, 1);
		trace_vhx_call(vq, ret);
		eventfd_signal(vq->call);
	} else {
		trace_vhx_call_saved(vq);
	}
	return min(ret, 0);
}

/* Whether the log does not know this of the ring yet. */
static bool is_news(struct vhx_told *told, enum vhx_cause cause)
{
	const u64 bit = BIT_ULL(cause);

	BUILD_BUG_ON(VHX_CAUSES > 64);
	if (time_after_eq(jiffies, told->until))
		told->causes = 0;
	if (told->causes & bit || hweight64(told->causes) == CAUSES_MAX)
		return false;
	if (!told->causes)
		told->until = jiffies + HOUR;
	told->causes |= bit;
	return true;
}

/* Takes one of this hour's lines. Who changes the budget begins a new hour. */
static bool take_line(void)
{
	static DEFINE_SPINLOCK(lock);
	static unsigned int budget, left;
	static unsigned long until;
	bool is_taken;

	spin_lock(&lock);
	if (budget != READ_ONCE(vhx_log_lines) ||
	    time_after_eq(jiffies, until)) {
		budget = READ_ONCE(vhx_log_lines);
		left = budget;
		until = jiffies + HOUR;
	}
	is_taken = left;
	if (is_taken)
		left--;
	spin_unlock(&lock);
	return is_taken;
}

/**
 * vhx_notify_log - tell the log what is wrong with a ring
 * @vq: the vq
 * @err: negative errno
 * @cause: what was wrong
 *
 * A guest can be wrong as often as it likes, so a cause is told once, until the
 * ring is set up anew or an hour has passed, and log_lines bounds what all rings
 * may tell in an hour. The counters have the rest.
 *
 * Context: vq mutex
 */
void vhx_notify_log(struct vhx_vq *vq, int err, enum vhx_cause cause)
{
	if (is_news(&vq->told, cause) && take_line())
		pr_warn("owner %d ring %u (%s): %s (%d)\n", vq->dev->owner,
			vhx_index_of(vq),
			vhx_index_of(vq) == VHX_TXQ ? "tx" : "rx",
			vhx_cause_text(cause), err);
}

/**
 * vhx_notify_error - tell client and log what is wrong with a ring
 * @vq: the vq
 * @err: negative errno
 * @cause: what was wrong
 *
 * The client sees its error eventfd, each time.
 *
 * Context: vq mutex
 */
void vhx_notify_error(struct vhx_vq *vq, int err, enum vhx_cause cause)
{
	vhx_count(&vq->stats.errors, 1);
	trace_vhx_ring_fail(vq, err, cause);
	if (vq->err)
		eventfd_signal(vq->err);
	vhx_notify_log(vq, err, cause);
}

/**
 * vhx_notify_set - replace an eventfd
 * @ctx: the eventfd or NULL
 * @fd: the new one, or VHOST_FILE_UNBIND for none
 *
 * Context: vq mutex
 * Return: 0; -EBADF or -EINVAL with @ctx as it was
 */
int vhx_notify_set(struct eventfd_ctx **ctx, int fd)
{
	struct eventfd_ctx *new = NULL;

	if (fd != VHOST_FILE_UNBIND) {
		new = eventfd_ctx_fdget(fd);
		if (IS_ERR(new))
			return PTR_ERR(new);
	}
	swap(*ctx, new);
	if (new)
		eventfd_ctx_put(new);
	return 0;
}
