// SPDX-License-Identifier: GPL-2.0-only
/* Frames of net_bench on their way, from and to the guest's driver. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_bench.h"

/* Sends a burst to the tap. */
int feed(struct bench *b)
{
	struct mmsghdr msg[BURST_MAX] = {};
	struct iovec iov[BURST_MAX][2];
	unsigned int n = b->cell->burst;
	bool has_hdr = b->cell->gso;

	for (unsigned int i = 0; i < n; i++) {
		iov[i][0] = (struct iovec){ &b->hdr, sizeof(b->hdr) };
		iov[i][has_hdr] = (struct iovec){ b->frame[i], b->cell->len };
		msg[i].msg_hdr.msg_iov = iov[i];
		msg[i].msg_hdr.msg_iovlen = 1 + has_hdr;
	}
	return sendmmsg(b->pkt, msg, n, 0) == (int)n ? 0 : -EIO;
}

int rx_post(struct bench *b, uint8_t *buf)
{
	int id = rx_add(b->vq, b->cell->room, b->cell->layout, buf);

	if (id >= 0)
		b->buf[id] = buf;
	return id;
}

/* Posts what the last burst used up, then has one received. */
static int rx_burst(struct bench *b)
{
	int ret = feed(b);
	int id;

	if (!ret)
		ret = vq_wait(b->vq, b->cell->burst * b->used, WAIT_MS);
	if (ret)
		return ret;
	while ((id = vq_pop(b->vq, NULL)) >= 0)
		if (rx_post(b, b->buf[id]) < 0)
			return -ENOSPC;
	vq_publish_kick(b->vq);
	return 0;
}

static int tx_burst(struct bench *b)
{
	const struct cell *c = b->cell;
	int ret;

	for (unsigned int i = 0; i < c->burst; i++) {
		ret = tx_add(b->vq, &b->hdr, b->frame[i], c->len, c->layout,
			     b->buf[i]);
		if (ret < 0)
			return ret;
	}
	vq_publish_kick(b->vq);
	ret = vq_wait(b->vq, c->burst, WAIT_MS);
	while (vq_pop(b->vq, NULL) >= 0)
		;
	return ret;
}

int burst(struct bench *b)
{
	return b->cell->q == TX ? tx_burst(b) : rx_burst(b);
}

/* Of what a header says a host fills in the rest as it likes. */
static bool is_hdr_kept(const struct bench *b, const void *hdr)
{
	struct virtio_net_hdr h;

	memcpy(&h, hdr, sizeof(h));
	return h.gso_type == b->hdr.gso_type && h.gso_size == b->hdr.gso_size;
}

/* The frames of a burst as they come out of the tap. */
static int tx_check(struct bench *b)
{
	struct virtio_net_hdr h;
	static uint8_t got[FRAME_MAX + 1];
	int fd = pkt_open(b->host_if, PACKET_HDR);
	int ret = fd < 0 ? fd : tx_burst(b);

	for (unsigned int i = 0; i < b->cell->burst && !ret; i++) {
		int n = pkt_recv(fd, &h, got, sizeof(got), WAIT_MS);

		if (n != (int)b->cell->len || memcmp(got, b->frame[i], n) ||
		    !is_hdr_kept(b, &h))
			ret = -EBADMSG;
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/* One frame of used elements against what was sent. */
static int rx_check_frame(struct bench *b, const uint8_t *frame)
{
	unsigned int hdr = b->d.hdr_len, left = b->cell->len;

	for (unsigned int i = 0; i < b->used; i++) {
		unsigned int skip = i ? 0 : hdr;
		uint32_t len = 0;
		int id = vq_pop(b->vq, &len);
		uint8_t *buf = id < 0 ? NULL : b->buf[id];

		if (!buf || len < skip || len - skip > left ||
		    memcmp(buf + skip, frame, len - skip) ||
		    (!i && !is_hdr_kept(b, buf)) ||
		    (!i && has(&b->d, F_MRG) &&
		     buf[10] + (buf[11] << 8) != (int)b->used))
			return -EBADMSG;
		frame += len - skip;
		left -= len - skip;
		if (rx_post(b, buf) < 0)
			return -ENOSPC;
	}
	return left ? -EBADMSG : 0;
}

static int rx_check(struct bench *b)
{
	int ret = feed(b);

	if (!ret)
		ret = vq_wait(b->vq, b->cell->burst * b->used, WAIT_MS);
	for (unsigned int i = 0; i < b->cell->burst && !ret; i++)
		ret = rx_check_frame(b, b->frame[i]);
	if (!ret)
		vq_publish_kick(b->vq);
	return ret;
}

/* A burst whose every byte is compared. */
int check(struct bench *b)
{
	int ret = b->cell->q == TX ? tx_check(b) : rx_check(b);

	return ret ? ret : port_check(b);
}

/* Sends bursts as long as the tap and the ring have room for one more. */
static void *feed_stream(void *arg)
{
	struct bench *b = arg;

	for (unsigned int sent = 0; sent < b->frames; sent += b->cell->burst) {
		while ((int)(sent - __atomic_load_n(&b->got, __ATOMIC_ACQUIRE)) >
		       (int)(RING - 2 * b->cell->burst))
			sched_yield();
		if (feed(b))
			break;
	}
	return NULL;
}

/* A driver that takes what is there and sleeps when nothing is. */
int stream(struct bench *b, unsigned int frames)
{
	pthread_t t;
	int id, ret;

	b->got = 0;
	b->frames = frames;
	if (pthread_create(&t, NULL, feed_stream, b))
		return -EAGAIN;
	do {
		ret = vq_wait(b->vq, 1, WAIT_MS);
		while (!ret && (id = vq_pop(b->vq, NULL)) >= 0) {
			ret = rx_post(b, b->buf[id]) < 0 ? -ENOSPC : 0;
			__atomic_add_fetch(&b->got, 1, __ATOMIC_RELEASE);
		}
		vq_publish_kick(b->vq);
	} while (!ret && b->got < frames);
	/* nobody waits for what does not come */
	__atomic_store_n(&b->got, frames, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	return ret;
}
