// SPDX-License-Identifier: GPL-2.0-only
/* tun/tap and macvtap/ipvtap: what a file of them needs to be a backend. */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/jiffies.h>
#include <linux/netdevice.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "tap.h"

static struct vhx_backend *tap_attach(struct file *file)
{
	struct ptr_ring *ring;
	struct socket *sock;
	struct vhx_tap *tap;
	bool is_tun;

	sock = tun_get_socket(file);
	ring = tun_get_tx_ring(file);
	is_tun = !IS_ERR(sock);
	if (!is_tun) {
		sock = tap_get_socket(file);
		ring = tap_get_ptr_ring(file);
	}
	if (IS_ERR(sock) || IS_ERR(ring))
		return ERR_PTR(-ENOTSOCK);
	/* A tun file without an interface yet polls as in error. */
	if (vfs_poll(file, NULL) & EPOLLERR)
		return ERR_PTR(-EINVAL);

	tap = kvzalloc(sizeof(*tap), GFP_KERNEL_ACCOUNT);
	if (!tap)
		return ERR_PTR(-ENOMEM);
	tap->backend.ops = &vhx_backend_tap_ops;
	tap->backend.file = file;
	tap->backend.queue = -1;
	tap->sock = sock;
	tap->ring = ring;
	tap->is_tun = is_tun;
	tap->known_until = jiffies;
	return &tap->backend;
}

static void tap_detach(struct vhx_backend *backend)
{
	struct vhx_tap *tap = vhx_to_tap(backend);

	vhx_tap_give_back(tap);
	vhx_tap_free_pages(tap);
	fput(backend->file);
	kvfree(tap);
}

/*
 * Nobody but tun can say which interface a file of it has, and it says so where it is
 * asked for the file's own fdinfo: by no more than seq_printf(), of "iff:" and the name.
 */
static void describe_tun(struct file *file, struct vhx_backend_facts *facts)
{
	char text[64];
	struct seq_file m = { .buf = text, .size = sizeof(text) - 1 };

	static_assert(IFNAMSIZ == 16);
	if (!file->f_op->show_fdinfo)
		return;
	file->f_op->show_fdinfo(&m, file);
	text[min(m.count, m.size)] = 0;
	if (sscanf(text, "iff:\t%15s", facts->ifname) != 1)
		*facts->ifname = 0;
}

static void describe_macvtap(const struct tap_queue *queue,
			     struct vhx_backend_facts *facts)
{
	const struct tap_dev *tap;

	rcu_read_lock();
	tap = rcu_dereference(queue->tap);
	if (tap) {
		strscpy(facts->ifname, tap->dev->name, sizeof(facts->ifname));
		facts->queue = READ_ONCE(queue->queue_index);
	}
	rcu_read_unlock();
}

static void tap_describe(struct file *file, struct vhx_backend_facts *facts)
{
	bool is_tun = !IS_ERR(tun_get_socket(file));

	facts->kind = is_tun ? "tap" : "macvtap";
	if (is_tun)
		describe_tun(file, facts);
	else
		describe_macvtap(file->private_data, facts);
}

const struct vhx_backend_ops vhx_backend_tap_ops = {
	.attach = tap_attach,
	.detach = tap_detach,
	.describe = tap_describe,
	.peek = vhx_tap_peek,
	.queued = vhx_tap_queued,
	.recv = vhx_tap_recv,
	.recv_burst = vhx_tap_recv_burst,
	.drop = vhx_tap_drop,
	.send = vhx_tap_send,
	.send_burst = vhx_tap_send_burst,
	.flush = vhx_tap_flush,
};
