// SPDX-License-Identifier: GPL-2.0-only
/* One frame at a time through a device and a tap. */
#include <errno.h>
#include <string.h>

#include "flow_lib.h"

int flow_start(struct flow *f, unsigned int q)
{
	return dev_backend(&f->d, q, f->n.tap);
}

int flow_stop(struct flow *f, unsigned int q)
{
	return dev_backend(&f->d, q, -1);
}

/* Add a new frame at tx_buf and kick, wanted or not. Return: head. */
int flow_tx_add(struct flow *f)
{
	struct vq *vq = &f->d.vq[TX];
	int head;

	frame_fill(f->frame, FLOW_LEN, false, ++f->seq);
	head = tx_add(vq, NULL, f->frame, FLOW_LEN, &one_piece, f->tx_buf);
	vq_publish(vq);
	vq_kick(vq);
	return head;
}

/* Return: 0 if the frame added last came out unharmed and @head came back. */
int flow_tx_done(struct flow *f, int head)
{
	struct vq *vq = &f->d.vq[TX];
	struct virtio_net_hdr h;
	uint32_t len = ~0u;
	int n = vq_wait(vq, 1, WAIT_MS);

	if (n)
		return n;
	if (vq_pop(vq, &len) != head || len)
		return -EPROTO;
	n = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);
	if (n < 0)
		return n;
	return n == FLOW_LEN && !memcmp(f->frame, f->seen, n) ? 0 : -EBADMSG;
}

int flow_tx(struct flow *f)
{
	return flow_tx_done(f, flow_tx_add(f));
}

/* Offer the buffer at rx_buf and kick, wanted or not. Return: head. */
int flow_rx_add(struct flow *f)
{
	struct vq *vq = &f->d.vq[RX];
	int head = rx_add(vq, FLOW_ROOM, &one_piece, f->rx_buf);

	vq_publish(vq);
	vq_kick(vq);
	return head;
}

int flow_rx_inject(struct flow *f)
{
	frame_fill(f->frame, FLOW_LEN, true, ++f->seq);
	return pkt_send(f->n.pkt, NULL, f->frame, FLOW_LEN);
}

/* Return: 0 if the frame injected last is in buffer @head. */
int flow_rx_done(struct flow *f, int head)
{
	struct vq *vq = &f->d.vq[RX];
	uint32_t len = 0;
	int ret = vq_wait(vq, 1, WAIT_MS);

	if (ret)
		return ret;
	if (vq_pop(vq, &len) != head || len != FLOW_LEN + f->d.hdr_len)
		return -EPROTO;
	return memcmp(f->rx_buf + f->d.hdr_len, f->frame, FLOW_LEN) ?
	       -EBADMSG : 0;
}

int flow_rx(struct flow *f)
{
	int head = flow_rx_add(f);
	int ret = flow_rx_inject(f);

	return ret ? ret : flow_rx_done(f, head);
}
