// SPDX-License-Identifier: GPL-2.0-only
/* A device of net_bench, its guest's memory and what its frames come from. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_packet.h>

#include "net_bench.h"

/* A packet socket that sends past the queueing discipline and sees nothing. */
static int feeder_open(const char *name)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* What it made is there for port_close(), also when it fails. */
int port_open(struct bench *b, const struct variant *v)
{
	const struct cell *c = b->cell;
	uint8_t *mem;
	int ret;

	setenv("VHX_NODE", v->node, 1);
	ret = dev_setup(&b->d, c->features | (v->is_packed ? F_PACKED : 0));
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&b->d, q, RING);
	if (ret)
		return ret;
	b->vq = &b->d.vq[c->q];
	b->used = c->q == TX ? 1 :
		(b->d.hdr_len + c->len + c->room - 1) / c->room;
	mem = guest_alloc(&b->d, RING * BUF_SIZE, 4096);
	/* the worker shall not be the first to touch it */
	memset(mem, 0, RING * BUF_SIZE);
	for (unsigned int i = 0; i < RING; i++)
		b->buf[i] = mem + i * BUF_SIZE;
	for (unsigned int i = 0; i < c->burst; i++)
		frame_fill(b->frame[i], c->len, c->q == RX, i + 1);
	if (c->q == RX) {
		for (int i = 0; i < RING && b->vq->n_free >= 2; i++)
			rx_post(b, mem + i * BUF_SIZE);
		vq_publish(b->vq);
	}
	b->tap = tap_open("vb0", 0, b->d.hdr_len);
	if (b->tap < 0)
		return b->tap;
	ret = link_up("vb0", 1500);
	b->pkt = ret ? ret : feeder_open("vb0");
	return b->pkt < 0 ? b->pkt : dev_backend(&b->d, c->q, b->tap);
}

void port_close(struct bench *b)
{
	dev_close(&b->d);
	if (b->tap >= 0)
		close(b->tap);
	if (b->pkt >= 0)
		close(b->pkt);
}
