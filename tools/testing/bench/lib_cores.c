// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest on a core of its own: a polling driver, at work while the device is.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "lib_lane.h"

/* What the guest's thread has to do; @is_ready and @is_done are its. */
static struct {
	sem_t idle;
	sem_t begin;
	struct guest *guest;
	enum op op;
	unsigned int frames;
	int cpu;
	int ret;
	bool is_ready;
	bool is_done;
} job;

/* Takes buffers back when there is no room for a batch, as PMDs do. */
static int send_all(struct guest *g, unsigned int frames)
{
	unsigned int hlen = g->front.d.hdr_len, left = frames;
	struct lane *l = &g->lane[TX];
	struct patience patience = {};
	uint32_t len, seq = g->sent;
	int ret = -EAGAIN;

	while (left) {
		if (RING - (l->avail - l->used) < BATCH) {
			while ((ret = lane_pop(l, &len)) >= 0)
				;
			if (ret != -EAGAIN)
				return ret;
			if (is_over(&patience))
				return -ETIMEDOUT;
			continue;
		}
		for (unsigned int i = 0; i < BATCH; i++, seq++) {
			number(l->buf + slot_of(l->avail) * BUF_SIZE + hlen,
			       g->cell->len, seq);
			lane_add(l);
		}
		lane_publish(l);
		left -= BATCH;
	}
	g->sent = seq;
	return 0;
}

static int receive_all(struct guest *g, unsigned int frames)
{
	struct lane *l = &g->lane[RX];
	struct patience patience = {};
	uint32_t len, seq = g->received, end = seq + frames;
	uint8_t frame[BUF_SIZE];
	int ret = -EAGAIN;

	guest_frame(g, frame, 0);
	while (seq != end) {
		for (unsigned int i = 0; i < BATCH; i++, seq++) {
			ret = lane_pop(l, &len);
			if (ret < 0)
				break;
			number(frame, g->cell->len, seq);
			if (!is_right(g, l->buf + ret * BUF_SIZE, len, frame))
				return -EBADMSG;
			lane_add(l);
		}
		if (ret < 0 && ret != -EAGAIN)
			return ret;
		lane_publish(l);
		if (ret < 0 && is_over(&patience))
			return -ETIMEDOUT;
	}
	g->received = seq;
	return 0;
}

/* In real time nobody else is on these cores, for as long as frames move. */
static int run_ahead(bool is_on)
{
	const struct sched_param param = { .sched_priority = is_on };

	return sched_setscheduler(0, is_on ? SCHED_FIFO : SCHED_OTHER, &param) ?
		-errno : 0;
}

static void *guest_thread(void *arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(job.cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	run_ahead(true);
	for (;;) {
		sem_post(&job.idle);
		while (sem_wait(&job.begin))
			;
		__atomic_store_n(&job.is_ready, true, __ATOMIC_RELEASE);
		job.ret = job.op == DEQUEUE ?
			send_all(job.guest, job.frames) :
			receive_all(job.guest, job.frames);
		__atomic_store_n(&job.is_done, true, __ATOMIC_RELEASE);
	}
	return arg;
}

/* The device's side, which is this thread. */
static int take_all(const struct peer_ops *ops, const struct guest *g,
		    unsigned int frames, uint32_t seq)
{
	struct patience patience = {};
	uint8_t frame[BUF_SIZE];
	unsigned int nr, len;

	guest_frame(g, frame, 0);
	for (unsigned int left = frames; left; left -= nr) {
		nr = ops->take(0, left < BATCH ? left : BATCH);
		for (unsigned int i = 0; i < nr; i++, seq++) {
			const uint8_t *got = ops->frame(i, &len);

			number(frame, g->cell->len, seq);
			if (len != g->cell->len || memcmp(got, frame, len))
				return -EBADMSG;
		}
		ops->drop(0, nr);
		if (!nr && is_over(&patience))
			return -ETIMEDOUT;
	}
	return 0;
}

static int give_all(const struct peer_ops *ops, const struct guest *g,
		    unsigned int frames, uint32_t seq)
{
	unsigned int left, burst, nr = 1, len;
	struct patience patience = {};

	for (left = frames; left; left -= nr, seq += nr) {
		burst = left < BATCH ? left : BATCH;
		/* over those that were given before */
		for (unsigned int i = 0; i < burst && nr; i++)
			number(ops->frame(i, &len), g->cell->len, seq + i);
		nr = ops->give(0, burst);
		if (!nr && is_over(&patience))
			return -ETIMEDOUT;
	}
	return 0;
}

static int move_all(const struct peer_ops *ops, uint32_t seq)
{
	int ret;

	ret = job.op == DEQUEUE ?
		take_all(ops, job.guest, job.frames, seq) :
		give_all(ops, job.guest, job.frames, seq);
	while (!__atomic_load_n(&job.is_done, __ATOMIC_ACQUIRE))
		;
	/* who finds a fault leaves the other waiting */
	return ret && ret != -ETIMEDOUT ? ret : job.ret ? job.ret : ret;
}

/**
 * cores_move - move frames from the guest's core to this one, or back
 * @ops: the peer
 * @g: its guest
 * @op: DEQUEUE or ENQUEUE
 * @frames: how many, a multiple of BATCH
 * @time: cycles from when both were there until all frames were
 *
 * Return: 0 or an errno
 */
int cores_move(const struct peer_ops *ops, struct guest *g, enum op op,
	       unsigned int frames, uint64_t *time)
{
	uint32_t seq = op == DEQUEUE ? g->sent : g->received;
	uint64_t from;
	int ret = 0;

	if (op == ENQUEUE)
		ret = ops->hold(g->cell->len);
	if (ret)
		return ret;
	for (unsigned int i = 0, len; i < BATCH && op == ENQUEUE; i++)
		guest_frame(g, ops->frame(i, &len), 0);
	job.guest = g;
	job.op = op;
	job.frames = frames;
	job.is_ready = false;
	job.is_done = false;
	while (sem_wait(&job.idle))
		;
	run_ahead(true);
	sem_post(&job.begin);
	while (!__atomic_load_n(&job.is_ready, __ATOMIC_ACQUIRE))
		;
	from = cycles();
	ret = move_all(ops, seq);
	*time = cycles() - from;
	run_ahead(false);
	if (op == ENQUEUE)
		ops->drop(0, BATCH);
	return ret;
}

/*
 * From here on the guest has a thread on @cpu, which must not be this one's.
 * Return: 0, 1: the two share their cores with others, or -errno
 */
int cores_start(int cpu)
{
	pthread_t thread;
	int ret;

	job.cpu = cpu;
	if (sem_init(&job.idle, 0, 0) || sem_init(&job.begin, 0, 0))
		return -errno;
	ret = pthread_create(&thread, NULL, guest_thread, NULL);
	if (ret)
		return -ret;
	ret = run_ahead(true);
	run_ahead(false);
	return !!ret;
}
