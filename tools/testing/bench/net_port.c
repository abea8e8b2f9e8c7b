// SPDX-License-Identifier: GPL-2.0-only
/* A device of net_bench, its guest's memory and what its frames come from. */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>

#include "log_lib.h"
#include "net_bench.h"

#define PAGE	4096

/* A packet socket that sends past the queueing discipline and sees nothing. */
static int feeder_open(const char *name, bool has_hdr)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1, hdr = has_hdr, room = 64 << 20;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &hdr, sizeof(hdr)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* The device and its rings, with what its features ask for. */
static int device_open(struct bench *b, uint64_t features)
{
	const struct cell *c = b->cell;
	int ret;

	ret = features & F_PLATFORM ? iotlb_open(&b->iotlb, &b->d, features, true) :
				      dev_setup(&b->d, features);
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&b->d, q, RING);
	if (ret || !c->is_logged)
		return ret;
	b->log = log_alloc(LOG_SIZE);
	if (b->log == MAP_FAILED)
		return -ENOMEM;
	for (int q = 0; q < 2 && !ret; q++) {
		b->d.vq[q].log_gpa = gpa(&b->d, b->d.vq[q].used);
		ret = vq_set_addr(&b->d.vq[q]);
	}
	if (!ret)
		ret = log_base(&b->d, b->log);
	return ret ? ret : dev_features(&b->d, features | F_LOG_ALL);
}

/*
 * As a guest behind an IOMMU has them: rings stay mapped, in one piece; buffers are
 * mapped page by page.
 */
static int iotlb_fill(struct bench *b)
{
	int ret = iotlb_map(&b->iotlb, b->d.mem, b->mem - b->d.mem,
			    VHOST_ACCESS_RW);

	for (size_t at = 0; at < RING * b->step && !ret; at += PAGE)
		ret = iotlb_map(&b->iotlb, b->mem + at, PAGE, VHOST_ACCESS_RW);
	return ret;
}

/* Buffers, and frames to fill them with. */
static int buffers_open(struct bench *b)
{
	const struct cell *c = b->cell;
	size_t need = c->q == RX ? c->room : b->d.hdr_len + c->len;
	uint8_t *frames = malloc((size_t)c->burst * c->len);

	b->step = (need + BUF_STEP - 1) / BUF_STEP * BUF_STEP;
	b->mem = guest_alloc(&b->d, RING * b->step, PAGE);
	/* the worker shall not be the first to touch it */
	memset(b->mem, 0, RING * b->step);
	for (unsigned int i = 0; i < RING; i++)
		b->buf[i] = b->mem + i * b->step;
	b->frame[0] = frames;
	if (!frames)
		return -ENOMEM;
	if (c->gso)
		hdr_gso_tcp4(&b->hdr, c->gso);
	for (unsigned int i = 0; i < c->burst; i++) {
		b->frame[i] = frames + i * c->len;
		(c->gso ? frame_tcp4 : frame_fill)(b->frame[i], c->len,
						   c->q == RX, i + 1);
	}
	if (c->q == RX) {
		for (int i = 0; i < RING && b->vq->n_free >= 2; i++)
			rx_post(b, b->mem + i * b->step);
		vq_publish(b->vq);
	}
	return c->features & F_PLATFORM ? iotlb_fill(b) : 0;
}

/* The tap, and a socket that feeds it. */
static int ends_open(struct bench *b)
{
	const struct cell *c = b->cell;
	static bool is_prepared;
	int ret = 0;

	b->host_if = c->is_macvtap ? "vt0p" : "vb0";
	if (c->is_macvtap && !is_prepared) {
		ret = macvtap_prepare();
		if (ret)
			return ret;
		is_prepared = true;
	}
	b->tap = c->is_macvtap ? macvtap_open("mv0", b->d.hdr_len) :
				 tap_open("vb0", 0, b->d.hdr_len);
	if (b->tap < 0)
		return b->tap;
	ret = tap_unlimited(b->tap);
	if (!ret && c->gso)
		ret = tap_offload(b->tap, TUN_F_CSUM | TUN_F_TSO4);
	if (!ret)
		ret = c->is_macvtap ? link_up("mv0", 0) : link_up("vb0", 1500);
	if (ret)
		return ret;
	b->pkt = feeder_open(b->host_if, c->gso);
	return b->pkt < 0 ? b->pkt : 0;
}

/* What it made is there for port_close(), also when it fails. */
int port_open(struct bench *b, const struct variant *v)
{
	const struct cell *c = b->cell;
	int ret;

	setenv("VHX_NODE", v->node, 1);
	ret = device_open(b, c->features | (v->is_packed ? F_PACKED : 0));
	if (ret)
		return ret;
	b->vq = &b->d.vq[c->q];
	b->used = c->q == TX ? 1 :
		(b->d.hdr_len + c->len + c->room - 1) / c->room;
	ret = buffers_open(b);
	if (!ret)
		ret = ends_open(b);
	return ret ? ret : dev_backend(&b->d, c->q, b->tap);
}

/* After the first burst: whether the pages that it wrote are in the log. */
int port_check(struct bench *b)
{
	const struct cell *c = b->cell;
	const void *used = is_packed(b->vq) ? (void *)b->vq->packed :
					      (void *)b->vq->used;

	if (!b->log)
		return 0;
	if (!log_has(b->log, gpa(&b->d, used)))
		return -EBADMSG;
	for (unsigned int i = 0; c->q == RX && i < c->burst; i++)
		if (!log_has(b->log, gpa(&b->d, b->mem + i * b->step)))
			return -EBADMSG;
	return 0;
}

void port_close(struct bench *b)
{
	if (b->cell->features & F_PLATFORM && b->iotlb.d)
		iotlb_close(&b->iotlb);
	else
		dev_close(&b->d);
	if (b->tap >= 0)
		close(b->tap);
	if (b->pkt >= 0)
		close(b->pkt);
	if (b->log && b->log != MAP_FAILED)
		munmap(b->log, LOG_SIZE);
	free(b->frame[0]);
	/* The next worker has the same name: this one must have left. */
	for (int i = 0; i < WAIT_MS && worker_tid(getpid()) >= 0; i++)
		poll(NULL, 0, 1);
}
