// SPDX-License-Identifier: GPL-2.0-only
/*
 * tun/tap and macvtap/ipvtap. Frames to the guest come out of the file's
 * ptr_ring a batch at a time; small frames from the guest go in as a batch of
 * XDP buffers, in which they are copied once.
 */
#include <linux/bpf.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/ptr_ring.h>
#include <linux/slab.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_net.h>
#include <net/sock.h>
#include <net/xdp.h>

#include "backend.h"

#define BATCH		64U

/**
 * struct tap - a tun, tap, macvtap or ipvtap file
 * @backend: base
 * @sock: the file's socket
 * @ring: frames towards the guest: skbs and, from tun, XDP frames
 * @is_tun: tun or tap, not macvtap or ipvtap
 * @queue: frames taken from @ring, [@head, @tail) not yet received
 * @head: see @queue
 * @tail: see @queue
 * @nr_ready: frames in @ring at the last peek(), BATCH at most
 * @nr_gone: frames taken from @queue of which the netdev queue does not know
 * @recv: what recvmsg is given; all of it but control, flags and iter stays 0
 * @frags: where XDP buffers are cut from
 * @xdp: frames that wait for flush()
 * @nr_xdp: how many
 * @nr_lost: frames that could not be handed over since the last flush()
 */
struct tap {
	struct vhx_backend backend;
	struct socket *sock;
	struct ptr_ring *ring;
	bool is_tun;
	void *queue[BATCH];
	unsigned int head;
	unsigned int tail;
	unsigned int nr_ready;
	unsigned int nr_gone;
	struct msghdr recv;
	struct page_frag_cache frags;
	struct xdp_buff xdp[BATCH];
	unsigned int nr_xdp;
	unsigned int nr_lost;
};

static struct tap *to_tap(struct vhx_backend *backend)
{
	return container_of(backend, struct tap, backend);
}

static struct vhx_backend *tap_attach(struct file *file)
{
	struct ptr_ring *ring;
	struct socket *sock;
	struct tap *tap;
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
	return &tap->backend;
}

/*
 * A netdev queue that stopped on a full ring waits for this. It hears of frames
 * when they are gone for good, and sees a ring that lacks no others: woken for
 * some that come back, it would run into a full ring and drop.
 */
static void wake_queue(struct tap *tap)
{
	if (tap->is_tun)
		tun_wake_queue(tap->backend.file, tap->nr_gone);
	tap->nr_gone = 0;
}

static void tap_detach(struct vhx_backend *backend)
{
	struct tap *tap = to_tap(backend);

	if (tap->head < tap->tail)
		ptr_ring_unconsume(tap->ring, tap->queue + tap->head,
				   tap->tail - tap->head, tun_ptr_free);
	spin_lock(&tap->ring->consumer_lock);
	wake_queue(tap);
	spin_unlock(&tap->ring->consumer_lock);
	page_frag_cache_drain(&tap->frags);
	fput(backend->file);
	kvfree(tap);
}

static size_t frame_len(void *ptr)
{
	const struct sk_buff *skb = ptr;

	if (tun_is_xdp_frame(ptr))
		return tun_ptr_to_xdp(ptr)->len;
	return skb->len + (skb_vlan_tag_present(skb) ? VLAN_HLEN : 0);
}

/* Frames in the ring, as far as a batch goes. Under the consumer lock. */
static unsigned int count_frames(struct ptr_ring *ring)
{
	int i = ring->consumer_head;
	unsigned int nr = 0;

	while (nr < min_t(unsigned int, ring->size, BATCH) && READ_ONCE(ring->queue[i])) {
		nr++;
		if (++i == ring->size)
			i = 0;
	}
	return nr;
}

/*
 * A frame stays in the ring until there are buffers for it. Given back, it
 * might find its place taken: when the ring is full, it is the netdev queue,
 * stopped, that holds the frames which come next.
 */
static size_t tap_peek(struct vhx_backend *backend)
{
	struct tap *tap = to_tap(backend);
	size_t len = 0;
	void *ptr;

	if (tap->head < tap->tail)
		return frame_len(tap->queue[tap->head]) + backend->hlen;
	spin_lock(&tap->ring->consumer_lock);
	wake_queue(tap);
	tap->nr_ready = 0;
	ptr = __ptr_ring_peek(tap->ring);
	if (ptr) {
		tap->nr_ready = count_frames(tap->ring);
		len = frame_len(ptr) + backend->hlen;
	}
	spin_unlock(&tap->ring->consumer_lock);
	return len;
}

static unsigned int tap_queued(struct vhx_backend *backend)
{
	struct tap *tap = to_tap(backend);

	return tap->tail - tap->head + tap->nr_ready;
}

/* The next frame, which is ours then; NULL when someone else read it. */
static void *take_frame(struct tap *tap)
{
	if (tap->head == tap->tail) {
		spin_lock(&tap->ring->consumer_lock);
		tap->tail = __ptr_ring_consume_batched(tap->ring, tap->queue,
						       min(tap->backend.ahead + 1, BATCH));
		spin_unlock(&tap->ring->consumer_lock);
		tap->head = 0;
		tap->nr_ready -= min(tap->nr_ready, tap->tail);
		if (!tap->tail)
			return NULL;
	}
	tap->nr_gone++;
	return tap->queue[tap->head++];
}

static int tap_recv(struct vhx_backend *backend, struct iov_iter *to)
{
	struct tap *tap = to_tap(backend);
	size_t room = iov_iter_count(to);
	int len;

	tap->recv.msg_control = take_frame(tap);
	if (!tap->recv.msg_control)
		return -EAGAIN;
	tap->recv.msg_flags = MSG_DONTWAIT;
	tap->recv.msg_iter = *to;
	/* The frame is theirs from here on, whatever comes back. */
	len = tap->sock->ops->recvmsg(tap->sock, &tap->recv, room,
				      MSG_DONTWAIT | MSG_TRUNC);
	/* tun says the length of a frame that it could not copy, too. */
	if (len > 0 && room - iov_iter_count(&tap->recv.msg_iter) != len)
		return -EFAULT;
	return len;
}

static void tap_drop(struct vhx_backend *backend)
{
	void *ptr;

	backend->ahead = 0;
	ptr = take_frame(to_tap(backend));
	if (ptr)
		tun_ptr_free(ptr);
}

/* Hands the batch over. */
static void submit(struct tap *tap)
{
	struct tun_msg_ctl ctl = {
		.type = TUN_MSG_PTR,
		.num = tap->nr_xdp,
		.ptr = tap->xdp,
	};
	struct msghdr msg = {
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
		.msg_flags = MSG_DONTWAIT,
	};
	unsigned int i;

	if (!tap->nr_xdp)
		return;
	tap->nr_xdp = 0;
	if (tap->sock->ops->sendmsg(tap->sock, &msg, 0) >= 0)
		return;
	/* The interface is gone: the batch was not looked at, it is ours. */
	for (i = 0; i < ctl.num; i++)
		page_frag_free(tap->xdp[i].data_hard_start);
	tap->nr_lost += ctl.num;
}

static unsigned int tap_flush(struct vhx_backend *backend)
{
	struct tap *tap = to_tap(backend);
	unsigned int lost;

	submit(tap);
	lost = tap->nr_lost;
	tap->nr_lost = 0;
	return lost;
}

/* What tun would refuse of a header; it looks at linear buffers alone. */
static bool is_hdr_valid(struct tap *tap, const struct virtio_net_hdr *hdr,
			 size_t len)
{
	return __virtio16_to_cpu(tap->backend.is_le, hdr->hdr_len) <= len;
}

/*
 * Copies a frame into an XDP buffer: header at the start, frame after the
 * headroom. Return: 0; -EMSGSIZE or -ENOMEM, @from untouched: send it alone;
 * -EFAULT, -EINVAL.
 */
static int add_xdp(struct tap *tap, struct iov_iter *from, size_t len)
{
	bool has_prog = sock_flag(tap->sock->sk, SOCK_XDP);
	size_t room = NET_SKB_PAD + NET_IP_ALIGN +
		      (has_prog ? XDP_PACKET_HEADROOM : 0);
	size_t hlen = tap->backend.hlen, pad, size;
	struct virtio_net_hdr *hdr;
	struct xdp_buff *xdp;
	void *buf, *in;
	int err;

	/* A tap reads as much of a header as it is set to. */
	pad = SKB_DATA_ALIGN(room + VHX_TUN_HDR_OFF + 2 * VHX_NET_HLEN_MAX);
	size = SKB_DATA_ALIGN(pad + len - hlen) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	if (size > PAGE_SIZE)
		return -EMSGSIZE;
	buf = page_frag_alloc(&tap->frags, size, GFP_KERNEL | __GFP_NOWARN);
	if (!buf)
		return -ENOMEM;

	hdr = buf + VHX_TUN_HDR_OFF;
	memset(buf, 0, VHX_TUN_HDR_OFF + VHX_NET_HLEN_MAX);
	/*
	 * One copy, with the header in front of the frame. A hardened copy would
	 * look whether it stays in one object: it begins at @buf + pad - hlen,
	 * behind tun's header, and ends @size above at the latest, for less than
	 * which page_frag_alloc() gives nothing.
	 */
	in = buf + pad - hlen;
	err = -EFAULT;
	if (_copy_from_iter(in, len, from) != len)
		goto err_buf;
	memcpy(hdr, in, hlen);
	err = -EINVAL;
	if (!is_hdr_valid(tap, hdr, len - hlen))
		goto err_buf;
	vhx_tun_set_buflen(buf, size);
	xdp = &tap->xdp[tap->nr_xdp++];
	xdp_init_buff(xdp, size, NULL);
	xdp_prepare_buff(xdp, buf, pad, len - hlen, true);
	return 0;

err_buf:
	page_frag_free(buf);
	return err;
}

/* Sends a frame by itself, after those that wait. */
static int send_alone(struct tap *tap, const struct iov_iter *from, size_t len)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT, .msg_iter = *from };

	submit(tap);
	return min(tap->sock->ops->sendmsg(tap->sock, &msg, len), 0);
}

static int tap_send(struct vhx_backend *backend, struct iov_iter *from,
		    size_t len)
{
	struct tap *tap = to_tap(backend);
	int err = -EMSGSIZE;

	/* Batches are not charged to the socket, so not for a limited one. */
	if (READ_ONCE(tap->sock->sk->sk_sndbuf) == INT_MAX)
		err = add_xdp(tap, from, len);
	if (!err && tap->nr_xdp == BATCH)
		submit(tap);
	if (err == -EMSGSIZE || err == -ENOMEM)
		return send_alone(tap, from, len);
	return err;
}

const struct vhx_backend_ops vhx_backend_tap_ops = {
	.attach = tap_attach,
	.detach = tap_detach,
	.peek = tap_peek,
	.queued = tap_queued,
	.recv = tap_recv,
	.drop = tap_drop,
	.send = tap_send,
	.flush = tap_flush,
};
