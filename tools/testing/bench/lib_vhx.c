// SPDX-License-Identifier: GPL-2.0-only
/* The peer that is libvhx. */
#include <errno.h>

#include "lib_bench.h"
#include "user.h"

static struct user user;
static uint8_t data[BATCH][BUF_SIZE] __attribute__((aligned(64)));
static struct vhx_pkt pkt[BATCH];
static struct vhx_pkt *pkts[BATCH];

static int init(bool has_hugepages)
{
	(void)has_hugepages;
	for (unsigned int i = 0; i < BATCH; i++) {
		pkt[i] = (struct vhx_pkt){ .data = data[i], .room = BUF_SIZE };
		pkts[i] = &pkt[i];
	}
	return 0;
}

static const char *listen_there(void)
{
	if (user_open(&user, 1, 0) || user_start(&user))
		return NULL;
	return user.path;
}

static int wait_for_guest(void)
{
	int ret = user_wait(&user, 1 << RX | 1 << TX);

	for (unsigned int q = RX; q <= TX && !ret; q++)
		ret = vhx_queue_notification(user.dev, q, false);
	return ret;
}

static void close_all(void)
{
	user_close(&user);
}

static int hold(unsigned int len)
{
	for (unsigned int i = 0; i < BATCH; i++)
		pkt[i].len = len;
	return 0;
}

static uint8_t *frame(unsigned int i, unsigned int *len)
{
	*len = pkt[i].len;
	return data[i];
}

static unsigned int take(unsigned int at, unsigned int nr)
{
	return vhx_dequeue_burst(user.dev, TX, pkts + at, nr);
}

static unsigned int give(unsigned int at, unsigned int nr)
{
	return vhx_enqueue_burst(user.dev, RX, pkts + at, nr);
}

/* The buffers are ours, and stay. */
static void drop(unsigned int at, unsigned int nr)
{
	(void)at;
	(void)nr;
}

const struct peer_ops peer_vhx = {
	.name = "libvhx",
	.init = init,
	.listen = listen_there,
	.wait = wait_for_guest,
	.close = close_all,
	.hold = hold,
	.frame = frame,
	.take = take,
	.give = give,
	.drop = drop,
};
