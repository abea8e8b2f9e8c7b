// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call and error eventfds. Both are signalled under the vq mutex, and
 * replaced under it: when SET_VRING_CALL returns, the old one is silent.
 */
#include <linux/err.h>
#include <linux/printk.h>

#include "vhx.h"

/**
 * vhx_notify_call - signal the driver if it wants to know, and who reads the
 * dirty log
 * @vq: a started vq, after completions
 *
 * Context: vq mutex
 * Return: 0, or an errno of vhx_ring_ops.call_needed
 */
int vhx_notify_call(struct vhx_vq *vq)
{
	int ret = vq->ring.ops->call_needed(&vq->ring);

	if (unlikely(vq->mem.dirty.is_fresh)) {
		vq->mem.dirty.is_fresh = false;
		if (vq->dev->log)
			eventfd_signal(vq->dev->log);
	}
	if (!ret) {
		vhx_count(&vq->stats.calls_saved, 1);
		return 0;
	}
	/* A driver that cannot be asked is called: one too many is allowed. */
	if (vq->call) {
		vhx_count(&vq->stats.calls, 1);
		eventfd_signal(vq->call);
	}
	return min(ret, 0);
}

/**
 * vhx_notify_error - tell client and log what is wrong with a ring
 * @vq: the vq
 * @err: negative errno
 * @cause: what was wrong
 *
 * The client sees its error eventfd; the log gets one line, rate-limited by
 * device so that one guest cannot hide another's.
 *
 * Context: vq mutex
 */
void vhx_notify_error(struct vhx_vq *vq, int err, const char *cause)
{
	vhx_count(&vq->stats.errors, 1);
	if (vq->err)
		eventfd_signal(vq->err);
	if (__ratelimit(&vq->dev->ratelimit))
		pr_warn("owner %d ring %u (%s): %s (%d)\n", vq->dev->owner,
			vhx_index_of(vq),
			vhx_index_of(vq) == VHX_TXQ ? "tx" : "rx", cause, err);
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
