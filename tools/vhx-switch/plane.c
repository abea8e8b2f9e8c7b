// SPDX-License-Identifier: GPL-2.0-only
/*
 * The plane: takes bursts from ports, looks where each frame goes, gives them
 * out. It polls while there is something, and sleeps when there was nothing for
 * a while.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/if_vlan.h>
#include <linux/virtio_net.h>

#include "switch.h"

#ifndef VLAN_HLEN
#define VLAN_HLEN	4
#endif
#ifndef ETH_P_8021Q
#define ETH_P_8021Q	0x8100
#endif

/* Rounds without a frame before the plane goes to sleep. */
#define IDLE_ROUNDS	200
#define FDS_MAX		(PORTS_MAX * 4 + 1)
#define BUFFER_LEN	(HEADROOM + VHX_FRAME_LEN_MAX + 128)
/* Wakes up now and then, whatever was missed. */
#define SLEEP_MS	1000
/* And sooner while frames wait, which get old. */
#define RETRY_MS	50

struct port *ports[PORTS_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int nr_waiting;
static bool is_ending;
static int wake = -1;
static pthread_t thread;
static uint8_t *buffers;
static struct vhx_pkt pkt[BURST];
static struct vhx_pkt *pkts[BURST];

static void wake_up(void)
{
	const uint64_t one = 1;

	if (write(wake, &one, sizeof(one)) != sizeof(one))
		return;
}

/* The plane gives way between two rounds, and after it was woken. */
void plane_lock(void)
{
	__atomic_add_fetch(&nr_waiting, 1, __ATOMIC_SEQ_CST);
	wake_up();
	pthread_mutex_lock(&lock);
	__atomic_sub_fetch(&nr_waiting, 1, __ATOMIC_SEQ_CST);
}

void plane_unlock(void)
{
	pthread_mutex_unlock(&lock);
	wake_up();
}

static void give_way(void)
{
	if (!__atomic_load_n(&nr_waiting, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_unlock(&lock);
	while (__atomic_load_n(&nr_waiting, __ATOMIC_SEQ_CST))
		sched_yield();
	pthread_mutex_lock(&lock);
}

/* -- one frame --------------------------------------------------------------- */

/* Where a frame's checksum begins moves with its tag. */
static void shift(struct vhx_pkt *frame, int by)
{
	frame->data = (uint8_t *)frame->data - by;
	frame->len = (uint32_t)((int)frame->len + by);
	if (frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		frame->hdr.csum_start = (uint16_t)(frame->hdr.csum_start + by);
	if (frame->hdr.gso_type)
		frame->hdr.hdr_len = (uint16_t)(frame->hdr.hdr_len + by);
}

static bool is_tagged(const struct vhx_pkt *frame)
{
	const uint8_t *data = frame->data;

	return frame->len >= ETH_HLEN + VLAN_HLEN &&
	       (data[12] << 8 | data[13]) == ETH_P_8021Q;
}

static unsigned int take_tag(struct vhx_pkt *frame)
{
	uint8_t *data = frame->data;
	unsigned int vlan = (data[14] << 8 | data[15]) & 0xfff;

	memmove(data + VLAN_HLEN, data, 2 * ETH_ALEN);
	shift(frame, -VLAN_HLEN);
	return vlan;
}

static void put_tag(struct vhx_pkt *frame, unsigned int vlan)
{
	uint8_t *data;

	shift(frame, VLAN_HLEN);
	data = frame->data;
	memmove(data, data + VLAN_HLEN, 2 * ETH_ALEN);
	data[12] = ETH_P_8021Q >> 8;
	data[13] = ETH_P_8021Q & 0xff;
	data[14] = (uint8_t)(vlan >> 8);
	data[15] = (uint8_t)vlan;
}

/* Return: the VLAN of a frame that came from a port, -1: not one of the port. */
static int vlan_of(struct port *port, struct vhx_pkt *frame)
{
	unsigned int vlan;

	if (!port->trunk && !port->vlan)
		return 0;
	if (!is_tagged(frame))
		return port->trunk ? -1 : port->vlan;
	if (!port->trunk)
		return -1;
	vlan = take_tag(frame);
	return port_is_trunk_of(port, vlan) ? (int)vlan : -1;
}

static bool has_vlan(const struct port *port, unsigned int vlan)
{
	return port->trunk ? port_is_trunk_of(port, vlan) : port->vlan == vlan;
}

static void put_out(struct port *port, struct vhx_pkt *frame)
{
	if (port->is_up)
		port->out[port->nr_out++] = frame;
	else
		port->stats.drop_down++;
}

static void flood(struct port *from, struct vhx_pkt *frame, unsigned int vlan)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i] != from && ports[i]->is_up &&
		    has_vlan(ports[i], vlan))
			put_out(ports[i], frame);
}

static void route(struct port *from, struct vhx_pkt *frame, uint16_t *vlan_at)
{
	const uint8_t *mac;
	struct port *to;
	int vlan = vlan_of(from, frame);

	if (vlan < 0 || frame->len < ETH_HLEN) {
		from->stats.drop_vlan++;
		return;
	}
	*vlan_at = (uint16_t)vlan;
	mac = frame->data;
	mac_learn(mac + ETH_ALEN, (unsigned int)vlan, from);
	to = mac[0] & 1 ? NULL : mac_find(mac, (unsigned int)vlan);
	if (!to)
		flood(from, frame, (unsigned int)vlan);
	else if (to != from)
		put_out(to, frame);
}

/* -- one round ---------------------------------------------------------------- */

/* Trunks come last: their frames get tags, in place. */
static void flush_all(const uint16_t *vlan)
{
	bool has_tag[BURST] = {};
	unsigned int i, k;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && !ports[i]->trunk)
			out_flush(ports[i]);
	for (i = 0; i < PORTS_MAX; i++) {
		if (!ports[i] || !ports[i]->trunk)
			continue;
		for (k = 0; k < ports[i]->nr_out; k++) {
			size_t at = (size_t)(ports[i]->out[k] - pkt);

			if (!has_tag[at])
				put_tag(&pkt[at], vlan[at]);
			has_tag[at] = true;
		}
		out_flush(ports[i]);
	}
}

static unsigned int serve(struct port *port)
{
	uint16_t vlan[BURST];
	unsigned int i, nr;

	for (i = 0; i < BURST; i++)
		pkt[i].data = buffers + i * (size_t)BUFFER_LEN + HEADROOM;
	nr = port->ops->recv(port, pkts);
	for (i = 0; i < nr; i++) {
		port->stats.rx++;
		port->stats.rx_bytes += pkt[i].len;
		route(port, &pkt[i], &vlan[i]);
	}
	if (nr)
		flush_all(vlan);
	return nr;
}

static unsigned int serve_all(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i]->is_up)
			nr += out_retry(ports[i]) + serve(ports[i]);
	return nr;
}

/* Return: whether all agree that there is nothing. */
static bool arm_all(void)
{
	bool has_more = false;
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i]->is_up)
			has_more |= ports[i]->ops->arm(ports[i]);
	return !has_more;
}

static void disarm_all(void)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i]->is_up)
			ports[i]->ops->disarm(ports[i]);
}

/* The lock is free meanwhile: descriptors that go away wake us up. */
static void sleep_for_more(void)
{
	struct pollfd pfd[FDS_MAX] = { { .fd = wake, .events = POLLIN } };
	int fds[FDS_MAX];
	unsigned int i, nr = 0;
	int wait_ms = SLEEP_MS;
	uint64_t count;

	for (i = 0; i < PORTS_MAX; i++) {
		if (!ports[i] || !ports[i]->is_up)
			continue;
		nr += ports[i]->ops->fds(ports[i], fds + nr, FDS_MAX - 1 - nr);
		if (ports[i]->nr_kept)
			wait_ms = RETRY_MS;
	}
	for (i = 0; i < nr; i++)
		pfd[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	pthread_mutex_unlock(&lock);
	poll(pfd, nr + 1, wait_ms);
	if (read(wake, &count, sizeof(count)) < 0)
		count = 0;
	pthread_mutex_lock(&lock);
}

static void *run(void *arg)
{
	unsigned int idle = 0;

	(void)arg;
	pthread_mutex_lock(&lock);
	while (!is_ending) {
		give_way();
		if (serve_all()) {
			idle = 0;
		} else if (++idle == IDLE_ROUNDS) {
			if (arm_all() && !is_ending)
				sleep_for_more();
			disarm_all();
			idle = 0;
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Between two rounds: a RARP request tells the network where a guest is now. */
void plane_announce(struct port *from, const uint8_t *mac)
{
	static const uint8_t head[] = {
		0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3,
	};
	uint8_t *data = buffers + HEADROOM;
	uint16_t vlan = from->vlan;

	/* Of a trunk only the guest knows which VLAN it is in. */
	if (from->trunk)
		return;
	pkt[0] = (struct vhx_pkt){
		.data = data, .len = 60, .room = pkt[0].room,
	};
	memset(data, 0, 60);
	memset(data, 0xff, ETH_ALEN);
	memcpy(data + ETH_ALEN, mac, ETH_ALEN);
	memcpy(data + 12, head, sizeof(head));
	memcpy(data + 22, mac, ETH_ALEN);
	memcpy(data + 32, mac, ETH_ALEN);
	mac_learn(mac, vlan, from);
	flood(from, &pkt[0], vlan);
	flush_all(&vlan);
}

int plane_start(void)
{
	unsigned int i;

	buffers = calloc(BURST, BUFFER_LEN);
	if (!buffers)
		return -ENOMEM;
	for (i = 0; i < BURST; i++) {
		pkts[i] = &pkt[i];
		pkt[i].room = VHX_FRAME_LEN_MAX;
	}
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0)
		return -errno;
	return -pthread_create(&thread, NULL, run, NULL);
}

void plane_stop(void)
{
	plane_lock();
	is_ending = true;
	plane_unlock();
	pthread_join(thread, NULL);
	close(wake);
	free(buffers);
}
