// SPDX-License-Identifier: GPL-2.0-only
/* The guest that drives either peer, by the rings of the kselftests. */
#include "lib_lane.h"

#define PROTOCOL_STATUS	BIT_ULL(16)
#define DRIVER_OK	0xf	/* and what comes before it */
#define MARK		0x77

/* Writes over all buffers, so that what is written there next is seen. */
void guest_mark(struct guest *g)
{
	memset(g->tx_buf, MARK, RING * BUF_SIZE);
	memset(g->rx_area, MARK, RING * BUF_SIZE);
}

static int post(struct guest *g, uint8_t *buf)
{
	int head = rx_add(&g->front.d.vq[RX], g->cell->room, g->cell->layout,
			  buf);

	if (head >= 0)
		g->rx_buf[head] = buf;
	return head;
}

static int post_all(struct guest *g)
{
	struct vq *vq = &g->front.d.vq[RX];
	uint8_t *buf = g->rx_area;
	unsigned int slots = has(&g->front.d, F_INDIRECT) ? 1 :
		g->cell->layout->hdr_pieces + g->cell->layout->pieces;

	for (; vq->n_free >= slots; buf += BUF_SIZE)
		if (post(g, buf) < 0)
			return -ENOSPC;
	vq_publish(vq);
	return 0;
}

/*
 * Its buffers, once it has memory and rings. Nobody calls it, it looks.
 * Return: 0 or -ENOSPC
 */
int guest_prepare(struct guest *g)
{
	struct dev *d = &g->front.d;

	g->used = (d->hdr_len + g->cell->len + g->cell->room - 1) /
		  g->cell->room;
	/* all in the last region, which begins at this */
	g->tx_buf = guest_alloc(d, 2 * RING * BUF_SIZE, 1 << 20);
	g->rx_area = g->tx_buf + RING * BUF_SIZE;
	guest_mark(g);
	for (unsigned int q = RX; q <= TX; q++)
		vq_calls_off(&d->vq[q]);
	return post_all(g);
}

/* Comes to @path. */
int guest_open(struct guest *g, const struct cell *cell, const char *path)
{
	struct front *f = &g->front;
	int ret;

	memset(g, 0, sizeof(*g));
	g->cell = cell;
	ret = front_open(f, path, cell->features, RING);
	if (!ret && (f->protocol & PROTOCOL_STATUS))
		ret = front_u64(f, SET_STATUS, DRIVER_OK);
	return ret ? ret : guest_prepare(g);
}

void guest_close(struct guest *g)
{
	front_close(&g->front);
}

/* The frame by its number, in either direction. */
void guest_frame(const struct guest *g, uint8_t *frame, uint32_t seq)
{
	frame_fill(frame, g->cell->len, false, seq);
	memcpy(frame + ETH_HLEN, &seq, sizeof(seq));
}

static void lane_open(struct lane *l, struct vq *vq, uint8_t *buf,
		      uint32_t len, uint16_t flags)
{
	*l = (struct lane){
		.vq = vq, .buf = buf, .gpa = gpa(vq->dev, buf), .len = len,
		.flags = flags,
	};
	for (unsigned int i = 0; i < RING && !is_packed(vq); i++)
		vq->desc[i] = (struct vring_desc){
			.addr = l->gpa + i * BUF_SIZE, .len = len,
			.flags = flags,
		};
}

/* From here on its rings are lanes; all receive buffers are available already. */
int guest_lanes(struct guest *g)
{
	unsigned int hlen = g->front.d.hdr_len;

	for (unsigned int i = 0; i < RING; i++) {
		if (g->rx_buf[i] != g->rx_area + i * BUF_SIZE)
			return -EPROTO;
		memset(g->tx_buf + i * BUF_SIZE, 0, hlen);
		guest_frame(g, g->tx_buf + i * BUF_SIZE + hlen, 0);
	}
	lane_open(&g->lane[TX], &g->front.d.vq[TX], g->tx_buf,
		  hlen + g->cell->len, 0);
	lane_open(&g->lane[RX], &g->front.d.vq[RX], g->rx_area, g->cell->room,
		  VRING_DESC_F_WRITE);
	g->lane[RX].avail = RING;
	g->lane[RX].published = RING;
	return 0;
}

/* Sends a batch, of frames that differ if they are to be checked. */
int guest_send(struct guest *g, bool checks)
{
	struct vq *vq = &g->front.d.vq[TX];
	uint8_t frame[BUF_SIZE];
	int head;

	guest_frame(g, frame, g->sent);
	for (unsigned int i = 0; i < BATCH; i++, g->sent++) {
		if (checks)
			guest_frame(g, frame, g->sent);
		head = tx_add(vq, NULL, frame, g->cell->len, g->cell->layout,
			      g->tx_buf + g->sent % RING * BUF_SIZE);
		if (head < 0)
			return head;
		g->head[g->sent % RING] = head;
	}
	vq_publish(vq);
	return 0;
}

/*
 * Takes back the buffers that are used: librte_vhost says so of packed rings when
 * they are nearly empty. The frames of the last batch were taken, so that they
 * are overwritten in any case.
 */
int guest_take_back(struct guest *g, bool checks)
{
	struct vq *vq = &g->front.d.vq[TX];
	uint32_t len = ~0u;
	int head;

	while ((head = vq_pop(vq, &len)) >= 0) {
		/* in a packed ring len means nothing: there was no write */
		if (g->back == g->sent || head != g->head[g->back % RING] ||
		    (len && !is_packed(vq)))
			return -EPROTO;
		g->back++;
	}
	for (unsigned int i = 1; i <= BATCH && checks; i++)
		memset(g->tx_buf + (g->sent - i) % RING * BUF_SIZE, MARK,
		       BUF_SIZE);
	return head == -EAGAIN ? 0 : head;
}

/* What one buffer of a frame must hold. Return: bytes of the frame in it. */
static int check_buffer(const struct guest *g, const uint8_t *buf, uint32_t len,
			const uint8_t *rest, unsigned int at)
{
	static const uint8_t plain[12];
	unsigned int skip = at ? 0 : g->front.d.hdr_len;
	const struct virtio_net_hdr_mrg_rxbuf *hdr = (const void *)buf;

	if (len < skip || len > g->cell->room ||
	    memcmp(buf + skip, rest, len - skip))
		return -EBADMSG;
	if (len < g->cell->room && buf[len] != MARK)
		return -EOVERFLOW;
	if (!skip)
		return (int)len;
	if (memcmp(buf, plain, 10) || (has(&g->front.d, F_MRG) &&
				       hdr->num_buffers != g->used))
		return -EPROTO;
	return (int)(len - skip);
}

static int receive_frame(struct guest *g, const uint8_t *frame)
{
	struct vq *vq = &g->front.d.vq[RX];
	unsigned int got = 0;
	uint32_t len = 0;
	uint8_t *buf;
	int ret;

	for (unsigned int i = 0; i < g->used; i++) {
		ret = vq_pop(vq, &len);
		if (ret < 0)
			return ret;
		buf = g->rx_buf[ret];
		if (frame) {
			ret = check_buffer(g, buf, len, frame + got, i);
			if (ret < 0)
				return ret;
			got += ret;
			memset(buf, MARK, BUF_SIZE);
		}
		ret = post(g, buf);
		if (ret < 0)
			return ret;
	}
	return frame && got != g->cell->len ? -EMSGSIZE : 0;
}

/* Receives a batch, whose buffers it posts anew. */
int guest_receive(struct guest *g, bool checks)
{
	struct vq *vq = &g->front.d.vq[RX];
	uint8_t frame[BUF_SIZE];
	int ret = 0;

	for (unsigned int i = 0; i < BATCH && !ret; i++, g->received++) {
		if (checks)
			guest_frame(g, frame, g->received);
		ret = receive_frame(g, checks ? frame : NULL);
	}
	vq_publish(vq);
	return ret ? ret : vq_used(vq) ? -EPROTO : 0;
}
