// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw AF_PACKET sockets. Frames stay in the socket's receive queue until they
 * are received: others may read the socket too. The header is the socket's if
 * the client set PACKET_VNET_HDR (and PACKET_VNET_HDR_SZ for one of 12 bytes).
 */
#include <linux/err.h>
#include <linux/if_packet.h>
#include <linux/if_vlan.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/sockptr.h>
#include <net/sock.h>

#include "backend.h"
#include "stats.h"

/**
 * struct packet - a packet socket
 * @backend: base
 * @sock: the file's socket
 * @is_gso: of the frame that peek() saw
 * @needs_csum: the same
 */
struct packet {
	struct vhx_backend backend;
	struct socket *sock;
	bool is_gso;
	bool needs_csum;
};

static struct packet *to_packet(struct vhx_backend *backend)
{
	return container_of(backend, struct packet, backend);
}

static struct socket *to_sock(struct vhx_backend *backend)
{
	return to_packet(backend)->sock;
}

/*
 * Whether frames go through a ring that the client mapped. A ring without blocks
 * is never made: that is refused after a ring that is there.
 */
static bool has_ring(struct socket *sock, int which)
{
	struct tpacket_req3 req = { .tp_block_nr = 1 };

	return sock->ops->setsockopt(sock, SOL_PACKET, which,
				     KERNEL_SOCKPTR(&req),
				     sizeof(req)) == -EBUSY;
}

static struct vhx_backend *packet_attach(struct file *file)
{
	struct socket *sock = sock_from_file(file);
	struct packet *packet;

	if (!sock || sock->type != SOCK_RAW ||
	    sock->sk->sk_family != AF_PACKET)
		return ERR_PTR(-ENOTSOCK);
	if (has_ring(sock, PACKET_RX_RING) || has_ring(sock, PACKET_TX_RING))
		return ERR_PTR(-EBUSY);

	packet = kzalloc(sizeof(*packet), GFP_KERNEL_ACCOUNT);
	if (!packet)
		return ERR_PTR(-ENOMEM);
	packet->backend.ops = &vhx_backend_packet_ops;
	packet->backend.file = file;
	packet->backend.queue = -1;
	packet->sock = sock;
	return &packet->backend;
}

static void packet_detach(struct vhx_backend *backend)
{
	fput(backend->file);
	kfree(to_packet(backend));
}

static void packet_describe(struct file *file, struct vhx_backend_facts *facts)
{
	struct socket *sock = sock_from_file(file);
	struct sockaddr_storage addr;
	struct net_device *dev;

	facts->kind = "packet";
	if (sock->ops->getname(sock, (struct sockaddr *)&addr, 0) < 0)
		return;
	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sock->sk),
				   ((struct sockaddr_ll *)&addr)->sll_ifindex);
	if (dev)
		strscpy(facts->ifname, dev->name, sizeof(facts->ifname));
	rcu_read_unlock();
}

/* An interface that went down leaves one: it may come up again. */
static bool packet_clear_error(struct vhx_backend *backend)
{
	return sock_error(to_sock(backend)->sk);
}

static size_t packet_peek(struct vhx_backend *backend)
{
	struct packet *packet = to_packet(backend);
	struct sk_buff_head *queue = &packet->sock->sk->sk_receive_queue;
	unsigned long flags;
	struct sk_buff *skb;
	size_t len = 0;

	/* It would be returned in place of a frame. */
	packet_clear_error(backend);
	spin_lock_irqsave(&queue->lock, flags);
	skb = skb_peek(queue);
	/*
	 * The socket cuts a VLAN tag off, and without it the frame must not
	 * reach the guest: with a length that recv() never has, it is dropped.
	 */
	if (skb) {
		len = skb->len + backend->hlen +
		      (skb_vlan_tag_present(skb) ? VLAN_HLEN : 0);
		packet->is_gso = skb_is_gso(skb);
		packet->needs_csum = skb->ip_summed == CHECKSUM_PARTIAL;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	return len;
}

static unsigned int packet_queued(struct vhx_backend *backend)
{
	return skb_queue_len_lockless(&to_sock(backend)->sk->sk_receive_queue);
}

static int packet_recv(struct vhx_backend *backend, struct iov_iter *to)
{
	struct socket *sock = to_sock(backend);
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT, .msg_iter = *to };
	struct packet *packet = to_packet(backend);
	int ret;

	ret = sock->ops->recvmsg(sock, &msg, iov_iter_count(to),
				 MSG_DONTWAIT | MSG_TRUNC);
	/* The socket's own error, told once: the frame is there still. */
	if (ret == -ENETDOWN)
		return -EAGAIN;
	if (ret > 0 && backend->hlen)
		vhx_count_offloads(backend->stats, packet->is_gso,
				   packet->needs_csum);
	return ret;
}

static void packet_drop(struct vhx_backend *backend)
{
	int err;

	kfree_skb(skb_recv_datagram(to_sock(backend)->sk, MSG_DONTWAIT, &err));
}

static int packet_send(struct vhx_backend *backend, struct iov_iter *from,
		       size_t len)
{
	struct socket *sock = to_sock(backend);
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT, .msg_iter = *from };
	int ret = sock->ops->sendmsg(sock, &msg, len);

	if (ret >= 0 && backend->hlen)
		vhx_count_hdr_from(backend->stats, from);
	return min(ret, 0);
}

static unsigned int packet_flush(struct vhx_backend *backend)
{
	return 0;
}

const struct vhx_backend_ops vhx_backend_packet_ops = {
	.attach = packet_attach,
	.detach = packet_detach,
	.describe = packet_describe,
	.clear_error = packet_clear_error,
	.peek = packet_peek,
	.queued = packet_queued,
	.recv = packet_recv,
	.drop = packet_drop,
	.send = packet_send,
	.flush = packet_flush,
};
