// SPDX-License-Identifier: GPL-2.0-only
/*
 * The plane: takes bursts from ports, looks where each frame goes, gives them
 * out. It polls while there is something, and sleeps when there was nothing for
 * a while.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/virtio_net.h>

#include "gso.h"
#include "mac.h"
#include "out.h"
#include "plane.h"

#define VLAN_HLEN	4
#define VID_MASK	0xfff

/* Rounds without a frame before the plane goes to sleep. */
#define IDLE_ROUNDS	200
#define BUFFER_LEN	(HEADROOM + VHX_FRAME_LEN_MAX + 128)
/* Wakes up now and then, whatever was missed. */
#define SLEEP_MS	1000
/* And sooner while frames wait, which get old. */
#define RETRY_MS	50
/* And at once while a guest that does not kick has a queue. */
#define POLL_MS		1

struct port *ports[PORTS_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int nr_waiting;
static bool is_ending;
static int wake = -1, poller = -1;
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

/*
 * Has the plane woken by a descriptor, if a port asked for that. Of what is
 * readable it hears once: a guest decides how much that is, and can make an
 * eventfd of which there is always more. Return: 0 or -errno.
 */
int plane_watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void plane_unwatch(int fd)
{
	epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
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

static unsigned int tag_of(const struct vhx_pkt *frame)
{
	const uint8_t *data = frame->data;

	return (unsigned int)(data[14] << 8 | data[15]);
}

static void take_tag(struct vhx_pkt *frame)
{
	uint8_t *data = frame->data;

	memmove(data + VLAN_HLEN, data, 2 * ETH_ALEN);
	shift(frame, -VLAN_HLEN);
}

static void put_tag(struct vhx_pkt *frame, unsigned int tag)
{
	uint8_t *data;

	shift(frame, VLAN_HLEN);
	data = frame->data;
	memmove(data, data + VLAN_HLEN, 2 * ETH_ALEN);
	data[12] = ETH_P_8021Q >> 8;
	data[13] = ETH_P_8021Q & 0xff;
	data[14] = (uint8_t)(tag >> 8);
	data[15] = (uint8_t)tag;
}

/*
 * Takes the tag off a frame that came from a port. One of VLAN 0 says a priority
 * alone, and is as none (802.1Q §6.9); priorities stay with their frames.
 * Return: the tag that it has on a trunk, -1: no VLAN of the port
 */
static int tag_from(const struct port *port, struct vhx_pkt *frame)
{
	unsigned int tag, vlan;

	if (!port->trunk && !port->vlan)
		return 0;
	if (!is_tagged(frame))
		return port->trunk ? -1 : port->vlan;
	tag = tag_of(frame);
	vlan = tag & VID_MASK;
	if (!port->trunk && !vlan)
		tag |= port->vlan;
	else if (!port->trunk || !port_has_vlan(port, vlan))
		return -1;
	take_tag(frame);
	return (int)tag;
}

static void put_out(struct port *port, struct vhx_pkt *frame)
{
	if (port->state == PORT_UP)
		port->out[port->nr_out++] = frame;
	else
		port->stats.drop_down++;
}

static void flood(struct port *from, struct vhx_pkt *frame, unsigned int vlan)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i] != from &&
		    ports[i]->state == PORT_UP && port_has_vlan(ports[i], vlan))
			put_out(ports[i], frame);
}

/* 01-80-C2-00-00-0x is for the next bridge, which we are (802.1Q §8.6.3). */
static bool is_link_local(const uint8_t *mac)
{
	static const uint8_t first[] = { 0x01, 0x80, 0xc2, 0, 0 };

	return !memcmp(mac, first, sizeof(first)) && mac[5] < 16;
}

static void route(struct port *from, struct vhx_pkt *frame, uint16_t *tag_at)
{
	const uint8_t *mac;
	struct port *to;
	unsigned int vlan;
	int tag;

	tag = tag_from(from, frame);
	if (tag < 0) {
		from->stats.drop_vlan++;
		return;
	}
	if (frame->len < ETH_HLEN || !gso_is_sound(frame)) {
		from->stats.drop_bad++;
		return;
	}
	*tag_at = (uint16_t)tag;
	vlan = (unsigned int)tag & VID_MASK;
	mac = frame->data;
	if (is_link_local(mac) && !config.has_link_local) {
		from->stats.drop_reserved++;
		return;
	}
	mac_learn(mac + ETH_ALEN, vlan, from);
	to = mac[0] & 1 ? NULL : mac_find(mac, vlan);
	if (!to)
		flood(from, frame, vlan);
	else if (to != from)
		put_out(to, frame);
}

/* -- one round ---------------------------------------------------------------- */

/* Trunks come last: their frames get tags, in place. */
static void flush_all(const uint16_t *tag)
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
				put_tag(&pkt[at], tag[at]);
			has_tag[at] = true;
		}
		out_flush(ports[i]);
	}
}

static unsigned int serve(struct port *port)
{
	uint16_t tag[BURST];
	unsigned int i, nr;

	for (i = 0; i < BURST; i++)
		pkt[i].data = buffers + i * (size_t)BUFFER_LEN + HEADROOM;
	nr = port->ops->recv(port, pkts);
	for (i = 0; i < nr; i++) {
		port->stats.rx++;
		port->stats.rx_bytes += pkt[i].len;
		route(port, &pkt[i], &tag[i]);
	}
	if (nr)
		flush_all(tag);
	return nr;
}

static unsigned int serve_all(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i]->state == PORT_UP)
			nr += out_retry(ports[i]) + serve(ports[i]);
	return nr;
}

/* Return: whether all agree that there is nothing. */
static bool arm_all(void)
{
	bool has_more = false;
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i]->state == PORT_UP)
			has_more |= ports[i]->ops->arm(ports[i]);
	return !has_more;
}

static void disarm_all(void)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i]->state == PORT_UP)
			ports[i]->ops->disarm(ports[i]);
}

/* Milliseconds until something is to be looked at, whoever wakes us. */
static int patience(void)
{
	int wait_ms = SLEEP_MS;
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++) {
		if (!ports[i] || ports[i]->state != PORT_UP)
			continue;
		if (ports[i]->nr_polled)
			return POLL_MS;
		if (ports[i]->nr_kept)
			wait_ms = RETRY_MS;
	}
	return wait_ms;
}

/* The lock is free meanwhile. Return: whether somebody woke us. */
static bool sleep_for_more(int wait_ms)
{
	struct epoll_event events[BURST];
	uint64_t count;
	int nr;

	pthread_mutex_unlock(&lock);
	nr = epoll_wait(poller, events, BURST, wait_ms);
	if (read(wake, &count, sizeof(count)) < 0)
		count = 0;
	pthread_mutex_lock(&lock);
	return nr;
}

/*
 * After rounds without a frame. A port that says it has something, and had nothing
 * the last time it said so, is believed for a moment only.
 * Return: rounds without a frame so far: nobody woke us
 */
static unsigned int rest(bool *was_vain)
{
	bool has_more = !arm_all(), is_woken = true;

	if (!is_ending && (!has_more || *was_vain))
		is_woken = sleep_for_more(has_more ? POLL_MS : patience());
	disarm_all();
	*was_vain = has_more;
	return is_woken ? 0 : IDLE_ROUNDS - 1;
}

static void *run(void *arg)
{
	unsigned int idle = 0;
	bool was_vain = false;

	(void)arg;
	pthread_mutex_lock(&lock);
	while (!is_ending) {
		give_way();
		if (serve_all()) {
			idle = 0;
			was_vain = false;
		} else if (++idle == IDLE_ROUNDS) {
			idle = rest(&was_vain);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* One that comes or goes is served, and not looked at. */
static bool is_placed(const struct port *port)
{
	unsigned int i = 0;

	while (i < PORTS_MAX && ports[i] != port)
		i++;
	return i < PORTS_MAX;
}

/* Between two rounds: a RARP request tells the network where a guest is now. */
void plane_announce(struct port *from, const uint8_t *mac)
{
	static const uint8_t head[] = {
		0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3,
	};
	uint8_t *data = buffers + HEADROOM;
	const uint16_t tag = from->vlan;
	const struct port *owner = mac_find(mac, tag);

	/* Of a trunk only the guest knows which VLAN it is in. */
	if (from->trunk || !is_placed(from))
		return;
	/* The address of a guest that is here, on another port. */
	if (owner && owner != from && owner->dev) {
		from->stats.drop_bad++;
		return;
	}
	pkt[0] = (struct vhx_pkt){
		.data = data, .len = 60, .room = pkt[0].room,
	};
	memset(data, 0, 60);
	memset(data, 0xff, ETH_ALEN);
	memcpy(data + ETH_ALEN, mac, ETH_ALEN);
	memcpy(data + 12, head, sizeof(head));
	memcpy(data + 22, mac, ETH_ALEN);
	memcpy(data + 32, mac, ETH_ALEN);
	mac_learn(mac, tag, from);
	flood(from, &pkt[0], tag);
	flush_all(&tag);
}

/* Return: 0 or -errno. */
int plane_start(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	unsigned int i;
	int err = mac_start();

	buffers = calloc(BURST, BUFFER_LEN);
	if (err || !buffers)
		return -ENOMEM;
	for (i = 0; i < BURST; i++) {
		pkts[i] = &pkt[i];
		pkt[i].room = VHX_FRAME_LEN_MAX;
	}
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (wake < 0 || poller < 0 ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, wake, &event))
		return -errno;
	return -pthread_create(&thread, NULL, run, NULL);
}

void plane_stop(void)
{
	plane_lock();
	is_ending = true;
	plane_unlock();
	pthread_join(thread, NULL);
	close(poller);
	close(wake);
	mac_stop();
	free(buffers);
}
