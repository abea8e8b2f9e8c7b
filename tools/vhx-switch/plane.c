// SPDX-License-Identifier: GPL-2.0-only
/*
 * Planes: each takes bursts from the queue pairs that are its own, looks where each
 * frame goes, gives them out. It polls while there is something, and sleeps when
 * there was nothing for a while.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/virtio_net.h>

#include "gso.h"
#include "inbox.h"
#include "mac.h"
#include "out.h"
#include "plane.h"

#define VLAN_HLEN	4
#define VID_MASK	0xfff

/* Parcels of other threads that a round opens. */
#define PARCELS		PORTS_MAX
/* Rounds without a frame before a plane goes to sleep. */
#define IDLE_ROUNDS	50
#define BUFFER_LEN	(HEADROOM + VHX_FRAME_LEN_MAX + 128)
/* Wakes up now and then, whatever was missed. */
#define SLEEP_MS	1000
/* And sooner while frames wait, which get old. */
#define RETRY_MS	50
/* And at once while a guest that does not kick has a queue. */
#define POLL_MS		1

struct port *ports[PORTS_MAX];

/**
 * struct plane - a thread that moves frames
 * @lock: what it works with, while it runs a round
 * @thread: its number, and of its lane of each port
 * @id: the thread
 * @tid: of it, as the kernel calls it
 * @wake: eventfd of its inbox
 * @poller: epoll of @wake, and of kicks of its pairs
 * @buffers: BUFFER_LEN bytes for each frame of a burst
 * @pkt: frames of a burst
 * @pkts: pointers to all of these
 */
struct plane {
	pthread_mutex_t lock;
	unsigned int thread;
	pthread_t id;
	pid_t tid;
	int wake;
	int poller;
	uint8_t *buffers;
	struct vhx_pkt pkt[BURST];
	struct vhx_pkt *pkts[BURST];
} __attribute__((aligned(CACHE_LINE)));

static struct plane planes[THREADS_MAX];
static unsigned int nr_planes;
static unsigned int nr_waiting;
static bool is_ending;

static void wake_all(void)
{
	unsigned int i;

	for (i = 0; i < nr_planes; i++)
		inbox_wake(i);
}

/* Planes give way between two rounds, and after they were woken. */
void plane_lock(void)
{
	unsigned int i;

	__atomic_add_fetch(&nr_waiting, 1, __ATOMIC_SEQ_CST);
	wake_all();
	for (i = 0; i < nr_planes; i++)
		pthread_mutex_lock(&planes[i].lock);
	__atomic_sub_fetch(&nr_waiting, 1, __ATOMIC_SEQ_CST);
}

void plane_unlock(void)
{
	unsigned int i;

	for (i = 0; i < nr_planes; i++)
		pthread_mutex_unlock(&planes[i].lock);
	wake_all();
}

static void give_way(struct plane *plane)
{
	if (!__atomic_load_n(&nr_waiting, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_unlock(&plane->lock);
	while (__atomic_load_n(&nr_waiting, __ATOMIC_SEQ_CST))
		sched_yield();
	pthread_mutex_lock(&plane->lock);
}

/*
 * Has a plane woken by a descriptor, if a port asked for that. Of what is
 * readable it hears once: a guest decides how much that is, and can make an
 * eventfd of which there is always more. Return: 0 or -errno.
 */
int plane_watch(unsigned int thread, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	return epoll_ctl(planes[thread].poller, EPOLL_CTL_ADD, fd, &event) ?
		-errno : 0;
}

pid_t plane_tid(unsigned int thread)
{
	return planes[thread].tid;
}

void plane_unwatch(unsigned int thread, int fd)
{
	epoll_ctl(planes[thread].poller, EPOLL_CTL_DEL, fd, NULL);
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

static void put_out(struct plane *plane, struct port *port, struct vhx_pkt *frame)
{
	struct lane *lane = &port->lane[plane->thread];

	if (port->state == PORT_UP)
		lane->out[lane->nr_out++] = frame;
	else
		lane->stats.drop_down++;
}

static void flood(struct plane *plane, struct port *from, struct vhx_pkt *frame,
		  unsigned int vlan)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && ports[i] != from &&
		    ports[i]->state == PORT_UP && port_has_vlan(ports[i], vlan))
			put_out(plane, ports[i], frame);
}

/* 01-80-C2-00-00-0x is for the next bridge, which we are (802.1Q §8.6.3). */
static bool is_link_local(const uint8_t *mac)
{
	static const uint8_t first[] = { 0x01, 0x80, 0xc2, 0, 0 };

	return !memcmp(mac, first, sizeof(first)) && mac[5] < 16;
}

static void route(struct plane *plane, struct lane *lane, struct vhx_pkt *frame,
		  uint16_t *tag_at)
{
	struct port *from = lane->port, *to;
	const uint8_t *mac;
	unsigned int vlan;
	int tag;

	tag = tag_from(from, frame);
	if (tag < 0) {
		lane->stats.drop_vlan++;
		return;
	}
	if (frame->len < ETH_HLEN || !gso_is_sound(frame)) {
		lane->stats.drop_bad++;
		return;
	}
	*tag_at = (uint16_t)tag;
	vlan = (unsigned int)tag & VID_MASK;
	mac = frame->data;
	if (is_link_local(mac) && !config.has_link_local) {
		lane->stats.drop_reserved++;
		return;
	}
	mac_learn(mac + ETH_ALEN, vlan, from);
	to = mac[0] & 1 ? NULL : mac_find(mac, vlan);
	if (!to)
		flood(plane, from, frame, vlan);
	else if (to != from)
		put_out(plane, to, frame);
}

/* -- one round ---------------------------------------------------------------- */

/* Trunks come last: their frames get tags, in place. */
static void flush_all(struct plane *plane, const uint16_t *tag)
{
	bool has_tag[BURST] = {};
	struct lane *lane;
	unsigned int i, k;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && !ports[i]->trunk)
			out_flush(&ports[i]->lane[plane->thread]);
	for (i = 0; i < PORTS_MAX; i++) {
		if (!ports[i] || !ports[i]->trunk)
			continue;
		lane = &ports[i]->lane[plane->thread];
		for (k = 0; k < lane->nr_out; k++) {
			size_t at = (size_t)(lane->out[k] - plane->pkt);

			if (!has_tag[at])
				put_tag(&plane->pkt[at], tag[at]);
			has_tag[at] = true;
		}
		out_flush(lane);
	}
}

/* Where a frame of a burst begins. */
static uint8_t *frame_at(const struct plane *plane, unsigned int i)
{
	return plane->buffers + i * (size_t)BUFFER_LEN + HEADROOM;
}

static unsigned int serve(struct plane *plane, struct lane *lane)
{
	struct vhx_pkt *pkt = plane->pkt;
	uint16_t tag[BURST];
	unsigned int i, nr;

	nr = lane->port->ops->recv(lane, plane->pkts);
	for (i = 0; i < nr; i++) {
		lane->stats.rx++;
		lane->stats.rx_bytes += pkt[i].len;
		frame_set_from(&pkt[i], lane->port);
		route(plane, lane, &pkt[i], &tag[i]);
	}
	if (nr)
		flush_all(plane, tag);
	/* Tags had them begin elsewhere. */
	for (i = 0; i < nr; i++)
		pkt[i].data = frame_at(plane, i);
	return nr;
}

/* The lane of a port where somebody is, or NULL. */
static struct lane *lane_up(const struct plane *plane, unsigned int i)
{
	return ports[i] && ports[i]->state == PORT_UP ?
		&ports[i]->lane[plane->thread] : NULL;
}

/* Frames that other threads took in. Return: how many. */
static unsigned int open_parcels(struct plane *plane)
{
	unsigned int i, k, nr = 0;
	struct parcel *parcel;
	struct port *port;

	for (i = 0; i < PARCELS; i++) {
		parcel = inbox_next(plane->thread);
		if (!parcel)
			break;
		port = parcel->from->port;
		for (k = 0; k < parcel->nr; k++)
			put_out(plane, port, &parcel->pkt[k]);
		out_flush(&port->lane[plane->thread]);
		nr += parcel->nr;
		inbox_free(parcel);
	}
	return nr;
}

static unsigned int serve_all(struct plane *plane)
{
	unsigned int i, nr = open_parcels(plane);
	struct lane *lane;

	for (i = 0; i < PORTS_MAX; i++) {
		lane = lane_up(plane, i);
		if (!lane)
			continue;
		nr += out_retry(lane);
		if (lane->nr_from)
			nr += serve(plane, lane);
	}
	return nr;
}

/* Return: whether all agree that there is nothing. */
static bool arm_all(const struct plane *plane)
{
	bool has_more = false;
	struct lane *lane;
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++) {
		lane = lane_up(plane, i);
		if (lane)
			has_more |= lane->port->ops->arm(lane);
	}
	return !has_more;
}

static void disarm_all(const struct plane *plane)
{
	struct lane *lane;
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++) {
		lane = lane_up(plane, i);
		if (lane)
			lane->port->ops->disarm(lane);
	}
}

/* Milliseconds until something is to be looked at, whoever wakes us. */
static int patience(const struct plane *plane)
{
	const struct lane *lane;
	int wait_ms = SLEEP_MS;
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++) {
		lane = lane_up(plane, i);
		if (!lane)
			continue;
		if (lane->nr_polled)
			return POLL_MS;
		if (lane->nr_kept)
			wait_ms = RETRY_MS;
	}
	return wait_ms;
}

/* The lock is free meanwhile. Return: whether somebody woke us. */
static bool sleep_for_more(struct plane *plane, int wait_ms)
{
	struct epoll_event events[BURST];
	uint64_t count;
	int i, nr;

	/* Something came since the last round. */
	if (!inbox_may_sleep(plane->thread))
		wait_ms = 0;
	pthread_mutex_unlock(&plane->lock);
	nr = epoll_wait(plane->poller, events, BURST, wait_ms);
	inbox_slept(plane->thread);
	for (i = 0; i < nr; i++)
		if (events[i].data.ptr &&
		    read(plane->wake, &count, sizeof(count)) < 0)
			count = 0;
	pthread_mutex_lock(&plane->lock);
	return nr;
}

/*
 * After rounds without a frame. A port that says it has something, and had nothing
 * the last time it said so, is believed for a moment only.
 * Return: rounds without a frame so far: nobody woke us
 */
static unsigned int rest(struct plane *plane, bool *was_vain)
{
	bool has_more = !arm_all(plane), is_woken = true;

	if (!is_ending && (!has_more || *was_vain))
		is_woken = sleep_for_more(plane, has_more ? POLL_MS :
					  patience(plane));
	disarm_all(plane);
	*was_vain = has_more;
	return is_woken ? 0 : IDLE_ROUNDS - 1;
}

static void *run(void *arg)
{
	struct plane *plane = arg;
	unsigned int idle = 0;
	bool was_vain = false;

	pthread_mutex_lock(&plane->lock);
	plane->tid = gettid();
	while (!is_ending) {
		give_way(plane);
		if (serve_all(plane)) {
			idle = 0;
			was_vain = false;
		} else if (++idle == IDLE_ROUNDS) {
			idle = rest(plane, &was_vain);
		}
	}
	pthread_mutex_unlock(&plane->lock);
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
	struct plane *plane = &planes[from->thread];
	uint8_t *data = frame_at(plane, 0);
	const uint16_t tag = from->vlan;
	const struct port *owner = mac_find(mac, tag);

	/* Of a trunk only the guest knows which VLAN it is in. */
	if (from->trunk || !is_placed(from))
		return;
	/* The address of a guest that is here, on another port. */
	if (owner && owner != from && owner->dev) {
		from->lane[plane->thread].stats.drop_bad++;
		return;
	}
	plane->pkt[0] = (struct vhx_pkt){
		.data = data, .len = 60, .room = VHX_FRAME_LEN_MAX,
	};
	frame_set_from(&plane->pkt[0], from);
	memset(data, 0, 60);
	memset(data, 0xff, ETH_ALEN);
	memcpy(data + ETH_ALEN, mac, ETH_ALEN);
	memcpy(data + 12, head, sizeof(head));
	memcpy(data + 22, mac, ETH_ALEN);
	memcpy(data + 32, mac, ETH_ALEN);
	mac_learn(mac, tag, from);
	flood(plane, from, &plane->pkt[0], tag);
	flush_all(plane, &tag);
	plane->pkt[0].data = data;
}

/* Return: 0 or -errno. */
static int open_plane(struct plane *plane)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = plane };
	unsigned int i;

	pthread_mutex_init(&plane->lock, NULL);
	plane->thread = (unsigned int)(plane - planes);
	plane->buffers = calloc(BURST, BUFFER_LEN);
	if (!plane->buffers)
		return -ENOMEM;
	for (i = 0; i < BURST; i++) {
		plane->pkts[i] = &plane->pkt[i];
		plane->pkt[i].data = frame_at(plane, i);
		plane->pkt[i].room = VHX_FRAME_LEN_MAX;
	}
	plane->wake = inbox_open(plane->thread);
	plane->poller = epoll_create1(EPOLL_CLOEXEC);
	if (plane->wake < 0 || plane->poller < 0 ||
	    epoll_ctl(plane->poller, EPOLL_CTL_ADD, plane->wake, &event))
		return -errno;
	return 0;
}

/* Return: 0 or -errno. */
static int start_plane(struct plane *plane)
{
	char name[16];
	int err = pthread_create(&plane->id, NULL, run, plane);

	snprintf(name, sizeof(name), "plane-%u", plane->thread);
	if (!err)
		pthread_setname_np(plane->id, name);
	return -err;
}

/* Return: 0 or -errno: the program is to end. */
int plane_start(void)
{
	int err = mac_start();
	unsigned int i;

	for (; !err && nr_planes < config.threads; nr_planes++)
		err = open_plane(&planes[nr_planes]);
	for (i = 0; !err && i < nr_planes; i++)
		err = start_plane(&planes[i]);
	return err;
}

void plane_stop(void)
{
	unsigned int i;

	plane_lock();
	is_ending = true;
	plane_unlock();
	for (i = 0; i < nr_planes; i++)
		pthread_join(planes[i].id, NULL);
	for (i = 0; i < nr_planes; i++) {
		close(planes[i].poller);
		inbox_close(i);
		free(planes[i].buffers);
	}
	mac_stop();
}
