// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "honest.h"

/* A frame is taken for lost after this. */
#define AGAIN_US	50000

static int give_buffer(struct honest *g, unsigned int at)
{
	return rx_add(&g->f.d.vq[RX], ROOM, &one_piece, g->buf + at * ROOM);
}

int honest_open(struct honest *g, const char *path, uint8_t number)
{
	int ret = front_open(&g->f, path, FEATURES, NUM);

	if (ret)
		return ret;
	memcpy(g->mac, (uint8_t []){ 2, 0, 0, 0, 0, number }, ETH_ALEN);
	g->buf = guest_alloc(&g->f.d, 2UL * NUM * ROOM, 4096);
	for (unsigned int i = 0; i < NUM / 2; i++)
		if (give_buffer(g, i) < 0)
			return -ENOSPC;
	vq_publish(&g->f.d.vq[RX]);
	vq_kick(&g->f.d.vq[RX]);
	return 0;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

void honest_fill(uint8_t *frame, const uint8_t *to, const uint8_t *from,
		 uint32_t seq)
{
	memset(frame, 0, 60);
	memcpy(frame, to, ETH_ALEN);
	memcpy(frame + ETH_ALEN, from, ETH_ALEN);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + 14, &seq, sizeof(seq));
}

/* Takes what came, and gives the buffers back. Return: whether @seq is there. */
static bool take_frames(struct honest *g, uint32_t seq)
{
	struct vq *vq = &g->f.d.vq[RX];
	bool is_there = false;
	uint8_t *frame;
	int head;

	while ((head = vq_pop(vq, NULL)) >= 0) {
		frame = g->buf + (vq->desc[head].addr - gpa(&g->f.d, g->buf));
		is_there |= frame[12 + 12] == 0x88 &&
			    !memcmp(frame + 12 + 14, &seq, sizeof(seq));
		rx_add(vq, ROOM, &one_piece, frame);
		vq_publish(vq);
	}
	return is_there;
}

/* Return: microseconds that a frame took from one guest to the other, or -errno. */
int64_t honest_cross_within(struct honest *from, struct honest *to, uint32_t seq,
			    bool is_broadcast, int64_t limit_us)
{
	static const uint8_t all[] = { 255, 255, 255, 255, 255, 255 };
	uint8_t frame[60], *buf = from->buf + NUM * ROOM + seq % 64 * ROOM;
	struct vq *tx = &from->f.d.vq[TX];
	int64_t began = now_us();

	honest_fill(frame, is_broadcast ? all : to->mac, from->mac, seq);
	while (vq_pop(tx, NULL) >= 0)
		;
	if (tx_add(tx, NULL, frame, sizeof(frame), &one_piece, buf) < 0)
		return -ENOSPC;
	vq_publish_kick(tx);
	while (!take_frames(to, seq)) {
		if (now_us() - began > limit_us)
			return -ETIMEDOUT;
		poll(&(struct pollfd){ to->f.d.vq[RX].call, POLLIN, 0 }, 1, 1);
	}
	take_frames(from, 0);
	return now_us() - began;
}

/* A frame may get lost among those that an attacker sends; then it comes again. */
int64_t honest_cross(struct honest *from, struct honest *to, uint32_t seq,
		     bool is_broadcast)
{
	int64_t began = now_us(), ret;

	do {
		ret = honest_cross_within(from, to, seq, is_broadcast, AGAIN_US);
	} while (ret == -ETIMEDOUT && now_us() - began < WAIT_MS * 1000LL);
	return ret < 0 ? ret : now_us() - began;
}

/* A guest's first kick takes its way to the switch. */
int honest_wait_up(struct honest *from, struct honest *to)
{
	int64_t ret = -ETIMEDOUT;

	for (uint32_t i = 0; i < 200 && ret == -ETIMEDOUT; i++)
		ret = honest_cross_within(from, to, 1000000 + i, true, 50000);
	return ret < 0 ? (int)ret : 0;
}
