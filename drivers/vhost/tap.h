/* SPDX-License-Identifier: GPL-2.0-only */
/* A tun, tap, macvtap or ipvtap file as a backend. */
#ifndef VHX_TAP_H
#define VHX_TAP_H

#include <linux/net.h>
#include <linux/virtio_net.h>
#include <net/xdp.h>

#include "backend.h"
#include "stats.h"

/* Frames that are handed over together. */
#define VHX_TAP_BATCH	VHX_BUFS_MAX

#define VHX_TAP_PAGES	8

/**
 * struct vhx_tap_page - a page that XDP buffers are cut from
 * @page: the page or NULL
 * @refs: its references that are ours, not those of a buffer
 */
struct vhx_tap_page {
	struct page *page;
	unsigned int refs;
};

/**
 * struct vhx_tap - a tun, tap, macvtap or ipvtap file
 * @backend: base
 * @sock: the file's socket
 * @ring: frames towards the guest: skbs and, from tun, XDP frames
 * @is_tun: tun or tap, not macvtap or ipvtap
 * @queue: frames taken from @ring, [@head, @tail) not yet received
 * @head: see @queue
 * @tail: see @queue
 * @nr_ready: of the frames in @ring when they were counted, VHX_TAP_BATCH at most, those
 *            that are still there
 * @nr_gone: frames taken from @queue of which the netdev queue does not know
 * @known_until: in jiffies: recvmsg writes a header of backend.hlen and no more
 * @hdr: those of the frames that are received together
 * @to: where each of them goes: its first piece, and behind the last one's last
 * @recv: what recvmsg is given; all of it but control, flags and iter stays 0
 * @page: where XDP buffers are cut from, in turn
 * @turn: the one in use
 * @left: bytes of it from which none was cut yet
 * @size: of the XDP buffers of a burst in work
 * @xdp: frames that wait for flush()
 * @nr_xdp: how many
 * @nr_lost: frames that could not be handed over since the last flush()
 */
struct vhx_tap {
	struct vhx_backend backend;
	struct socket *sock;
	struct ptr_ring *ring;
	bool is_tun;
	void *queue[VHX_TAP_BATCH];
	unsigned int head;
	unsigned int tail;
	unsigned int nr_ready;
	unsigned int nr_gone;
	unsigned long known_until;
	struct virtio_net_hdr_mrg_rxbuf hdr[VHX_TAP_BATCH];
	const struct iovec *to[VHX_TAP_BATCH + 1];
	struct msghdr recv;
	struct vhx_tap_page page[VHX_TAP_PAGES];
	unsigned int turn;
	unsigned int left;
	unsigned int size[VHX_TAP_BATCH];
	struct xdp_buff xdp[VHX_TAP_BATCH];
	unsigned int nr_xdp;
	unsigned int nr_lost;
};

static inline struct vhx_tap *vhx_to_tap(struct vhx_backend *backend)
{
	return container_of(backend, struct vhx_tap, backend);
}

/* tap_rx.c */
size_t vhx_tap_peek(struct vhx_backend *backend);
unsigned int vhx_tap_queued(struct vhx_backend *backend);
int vhx_tap_recv(struct vhx_backend *backend, struct iov_iter *to);
unsigned int vhx_tap_recv_burst(struct vhx_backend *backend,
				const struct vhx_bufs *to, bool merges);
void vhx_tap_drop(struct vhx_backend *backend);
void vhx_tap_give_back(struct vhx_tap *tap);

/* tap_tx.c */
int vhx_tap_send(struct vhx_backend *backend, struct iov_iter *from,
		 size_t len);
unsigned int vhx_tap_send_burst(struct vhx_backend *backend,
				const struct vhx_bufs *from);
void vhx_tap_free_pages(struct vhx_tap *tap);
unsigned int vhx_tap_flush(struct vhx_backend *backend);

#endif /* VHX_TAP_H */
