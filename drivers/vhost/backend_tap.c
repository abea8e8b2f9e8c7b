// SPDX-License-Identifier: GPL-2.0-only
/* tun/tap and macvtap/ipvtap: what a file of them needs to be a backend. */
#include <linux/err.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/jiffies.h>
#include <linux/poll.h>
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

const struct vhx_backend_ops vhx_backend_tap_ops = {
	.attach = tap_attach,
	.detach = tap_detach,
	.peek = vhx_tap_peek,
	.queued = vhx_tap_queued,
	.recv = vhx_tap_recv,
	.recv_burst = vhx_tap_recv_burst,
	.drop = vhx_tap_drop,
	.send = vhx_tap_send,
	.send_burst = vhx_tap_send_burst,
	.flush = vhx_tap_flush,
};
