// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames to the host from many devices at a time.
 *
 * What one costs: each device gets a burst, then all are waited for, by the clock.
 * Nobody waits for a call, since the kernel charges what a worker does after it has
 * woken a real-time thread, until it gives way, to that thread.
 *
 * How evenly they share a processor: a flood. Each has a full ring when it begins;
 * whenever a burst of its frames is done, its client, which runs as soon as it may,
 * puts as many back. So all workers have something to do all the time, and who gets
 * on is up to them and to the scheduler.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net_scale.h"

#define FRAME		64	/* bytes */
#define BURST		32
#define STEP		2048	/* bytes from one buffer to the next */
#define BURSTS		32	/* of each device, whose cost is measured */
#define WARM_UP		4	/* of each before that */
#define BURST_NS	150000	/* more than a worker takes for one */
#define STRETCH_NS	40000000LL	/* of the flood, for each device */
#define WARM_UP_NS	4000000LL	/* of it before that */
#define EVENTS		64

static int add(struct port *p, unsigned int frames)
{
	struct vq *tx = &p->d.vq[TX];
	uint8_t frame[FRAME];

	frame_fill(frame, FRAME, false, p->tap);
	for (unsigned int i = 0; i < frames; i++) {
		uint8_t *buf = p->buf + STEP * vq_next_head(tx);
		int ret = tx_add(tx, NULL, frame, FRAME, &one_piece, buf);

		if (ret < 0)
			return ret;
	}
	vq_publish_kick(tx);
	return 0;
}

static unsigned int take_back(struct port *p)
{
	unsigned int n = 0;

	while (vq_pop(&p->d.vq[TX], NULL) >= 0)
		n++;
	p->frames += n;
	return n;
}

/* A burst whose every byte is compared. */
static int check(struct port *p, unsigned int i)
{
	uint8_t want[FRAME], got[FRAME + 1];
	struct virtio_net_hdr h;
	char name[16];
	int fd, ret;

	snprintf(name, sizeof(name), "vb%u", i);
	fd = pkt_open(name, PACKET_HDR);
	if (fd < 0)
		return fd;
	frame_fill(want, FRAME, false, p->tap);
	ret = add(p, BURST);
	if (!ret)
		ret = vq_wait(&p->d.vq[TX], BURST, WAIT_MS);
	for (unsigned int n = 0; n < BURST && !ret; n++)
		if (pkt_recv(fd, &h, got, sizeof(got), WAIT_MS) != FRAME ||
		    memcmp(got, want, FRAME))
			ret = -EBADMSG;
	take_back(p);
	close(fd);
	return ret;
}

/* The device, its buffers, and what its tap has seen. */
static int begin(struct port *p, unsigned int i, uint64_t features)
{
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "vb%u", i);
	p->seen = link_packets(name, true);
	p->frames = 0;
	ret = port_own(p);
	if (!ret)
		ret = port_start(p, features);
	if (ret)
		return ret;
	p->buf = guest_alloc(&p->d, RING * STEP, STEP);
	memset(p->buf, 0, RING * STEP);
	ret = check(p, i);
	event_read(p->d.vq[TX].call);
	return ret;
}

/* Whoever has done a burst gets another one. */
static int refill(struct port *p)
{
	struct vq *tx = &p->d.vq[TX];
	int ret;

	event_read(tx->call);
	do {
		ret = add(p, take_back(p));
		vq_want_call(tx, BURST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	} while (!ret && vq_used(tx) >= BURST);
	return ret;
}

static int run_until(struct port *p, int poll, int64_t end)
{
	struct epoll_event e[EVENTS];
	int ret = 0;

	while (!ret && now_ns() < end) {
		int n = epoll_wait(poll, e, EVENTS, WAIT_MS);

		if (n <= 0)
			return -ETIMEDOUT;
		for (int i = 0; i < n && !ret; i++)
			ret = refill(&p[e[i].data.u32]);
	}
	return ret;
}

/* All that is in the ring goes out, and the tap has seen each frame. */
static int end(struct port *p, unsigned int i)
{
	struct vq *tx = &p->d.vq[TX];
	char name[16];
	int ret = vq_spin(tx, RING - tx->n_free, WAIT_MS);

	snprintf(name, sizeof(name), "vb%u", i);
	take_back(p);
	if (ret)
		return ret;
	return link_packets(name, true) - p->seen == (int64_t)p->frames ?
		0 : -EBADMSG;
}

/* Return: CPU time of all workers so far, in ns. */
static int64_t cpu_ns(void)
{
	int tid[BUSY_MAX * 4];
	int64_t ns = 0;
	int n = workers(tid, BUSY_MAX * 4);

	for (int i = 0; i < n && i < BUSY_MAX * 4; i++)
		ns += worker_ns(tid[i]);
	return ns;
}

/* A burst from each, all at once. */
static int bursts(struct port *p, unsigned int nr)
{
	struct timespec t = {
		.tv_sec = nr * BURST_NS / 1000000000,
		.tv_nsec = nr * BURST_NS % 1000000000,
	};
	int ret = 0;

	for (unsigned int i = 0; i < nr && !ret; i++) {
		vq_want_call(&p[i].d.vq[TX], BURST);
		ret = add(&p[i], BURST);
	}
	nanosleep(&t, NULL);
	for (unsigned int i = 0; i < nr && !ret; i++) {
		ret = vq_spin(&p[i].d.vq[TX], BURST, WAIT_MS);
		take_back(&p[i]);
		event_read(p[i].d.vq[TX].call);
	}
	return ret;
}

static int cost(struct port *p, unsigned int nr, double *ns)
{
	int64_t cpu = cpu_ns();
	int ret = 0;

	for (unsigned int i = 0; i < BURSTS && !ret; i++)
		ret = bursts(p, nr);
	*ns = (double)(cpu_ns() - cpu) / (nr * BURSTS * BURST);
	return ret;
}

/* Frames of each device so far. */
static void count(struct port *p, unsigned int nr, uint64_t *frames)
{
	for (unsigned int i = 0; i < nr; i++)
		frames[i] = p[i].frames + vq_used(&p[i].d.vq[TX]);
}

/* All rings full, and their calls wanted. */
static int fill(struct port *p, unsigned int nr, int poll)
{
	int ret = 0;

	for (unsigned int i = 0; i < nr && !ret; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };
		struct vq *tx = &p[i].d.vq[TX];

		if (epoll_ctl(poll, EPOLL_CTL_ADD, tx->call, &e))
			return -errno;
		vq_want_call(tx, BURST);
		ret = add(&p[i], RING);
	}
	return ret;
}

static int flood(struct port *p, unsigned int nr, double *spread)
{
	uint64_t from[BUSY_MAX], to[BUSY_MAX], most = 0, fewest = -1;
	int poll = epoll_create1(EPOLL_CLOEXEC);
	int ret = poll < 0 ? -errno : fill(p, nr, poll);

	if (!ret)
		ret = run_until(p, poll, now_ns() + nr * WARM_UP_NS);
	count(p, nr, from);
	if (!ret)
		ret = run_until(p, poll, now_ns() + nr * STRETCH_NS);
	count(p, nr, to);
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t n = to[i] - from[i];

		most = n > most ? n : most;
		fewest = n < fewest ? n : fewest;
	}
	*spread = (double)most / fewest;
	if (poll >= 0)
		close(poll);
	return ret;
}

/*
 * @p: devices, of which @nr, up to BUSY_MAX, are busy
 * Return: 0, -EOPNOTSUPP: the node does not offer that, or another errno; either way
 * no device is left
 */
int busy(struct port *p, unsigned int nr, uint64_t features,
	 struct busy_sample *s)
{
	unsigned int begun;
	int ret = 0, gone;

	for (begun = 0; begun < nr && !ret; begun++)
		ret = begin(&p[begun], begun, features);
	/* what memory is cut from had its turn */
	for (unsigned int i = 0; i < WARM_UP && !ret; i++)
		ret = bursts(p, nr);
	if (!ret)
		ret = cost(p, nr, &s->worker);
	if (!ret)
		ret = flood(p, nr, &s->spread);
	for (unsigned int i = 0; i < nr && !ret; i++)
		ret = end(&p[i], i);
	for (unsigned int i = 0; i < begun; i++) {
		event_read(p[i].events[TX][1]);
		port_leave(&p[i]);
	}
	gone = workers_leave();
	return ret ? ret : gone;
}
