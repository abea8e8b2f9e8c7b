// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client and its guest in one situation, for vhx-top to look at: `scene NAME`
 * says "ready", and goes on until its standard input ends.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "net_lib.h"

#define RING		256
#define LEN		600	/* bytes of a frame */
#define LONG_LEN	60000	/* of one that costs the worker more than the guest */
#define PACE_MS		5	/* between two frames where they do not flood */
#define SNDBUF		65536	/* of a tap with a slow reader */
#define WORKER_CPU	0
#define OTHER_CPU	1

/**
 * struct scene - a device, and what it is used for
 * @d: the device
 * @n: its tap
 * @frame: one from the guest, in its memory, header first
 * @len: bytes of it, without header
 * @seq: frames for the guest so far
 */
struct scene {
	struct dev d;
	struct net n;
	uint8_t *frame;
	uint32_t len;
	uint32_t seq;
};

static int pin(int tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set) ? -errno : 0;
}

static int prepare(struct scene *s)
{
	unsigned int i;
	int ret = net_open(&s->n, BE_TAP, 12);

	if (!ret)
		ret = tap_unlimited(s->n.tap);
	if (!ret)
		ret = dev_setup(&s->d, F_V1 | F_EVENT);
	for (i = 0; !ret && i < 2; i++)
		ret = vq_setup(&s->d, i, RING);
	if (ret)
		return ret;
	s->len = LEN;
	s->frame = guest_alloc(&s->d, 65536, 64);
	frame_fill(s->frame + s->d.hdr_len, LONG_LEN, false, 1);
	return 0;
}

static int start(struct scene *s)
{
	int ret = dev_backend(&s->d, RX, s->n.tap);

	return ret ? ret : dev_backend(&s->d, TX, s->n.tap);
}

/* Take back what the device has done, and send @n frames more at most. */
static void send(struct scene *s, unsigned int n)
{
	struct seg seg = { s->frame, s->d.hdr_len + s->len };
	struct vq *vq = &s->d.vq[TX];

	while (vq_pop(vq, NULL) >= 0)
		;
	while (n-- && vq_add(vq, &seg, 1, 0) >= 0)
		;
	vq_publish_kick(vq);
}

static int run_nothing(struct scene *s)
{
	(void)s;
	poll(NULL, 0, PACE_MS);
	return 0;
}

static int run_pace(struct scene *s)
{
	send(s, 1);
	return run_nothing(s);
}

/* The guest's driver is away: frames find no buffers. */
static int run_no_buffers(struct scene *s)
{
	uint8_t frame[LEN];

	frame_fill(frame, LEN, true, ++s->seq);
	pkt_send(s->n.pkt, NULL, frame, LEN);
	return run_nothing(s);
}

static int run_flood(struct scene *s)
{
	send(s, RING);
	return 0;
}

static int start_pinned(struct scene *s)
{
	int ret = start(s);

	s->len = LONG_LEN;
	if (!ret)
		ret = pin(worker_tid(getpid()), WORKER_CPU);
	return ret ? ret : pin(0, OTHER_CPU);
}

/* Somebody else is busy on the worker's CPU. */
static int start_starved(struct scene *s)
{
	int ret = start_pinned(s);
	pid_t child;

	if (ret)
		return ret;
	child = fork();
	if (child < 0)
		return -errno;
	if (child)
		return 0;
	close(s->d.fd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(0, WORKER_CPU);
	for (;;)
		__asm__ volatile("" ::: "memory");
}

#define TO_SLOW0 \
	"tc filter add dev vt0 parent ffff: matchall action mirred egress redirect dev slow0"

/* What leaves the tap lies in a queue that passes it on slowly. */
static int start_slow(struct scene *s)
{
	int room = SNDBUF;

	if (run("ip link add slow0 type dummy") || link_up("slow0", 65521) ||
	    run("tc qdisc add dev slow0 root tbf rate 1mbit burst 2000 limit 10000000") ||
	    run("tc qdisc add dev vt0 ingress") ||
	    run(TO_SLOW0))
		return -ENOTSUP;
	if (ioctl(s->n.tap, TUNSETSNDBUF, &room))
		return -errno;
	return start(s);
}

/* A chain that bites its tail. */
static int start_broken(struct scene *s)
{
	struct vq *vq = &s->d.vq[TX];
	int ret = start(s);

	if (ret)
		return ret;
	vq->desc[0] = (struct vring_desc){ gpa(&s->d, s->frame), 100,
					   VRING_DESC_F_NEXT, 0 };
	vq_push(vq, 0);
	vq_publish(vq);
	vq_kick(vq);
	return 0;
}

static const struct {
	const char *name;
	int (*start)(struct scene *s);
	int (*run)(struct scene *s);
} scenes[] = {
	{ "idle", start, run_nothing },
	{ "stopped", NULL, run_nothing },
	{ "pace", start, run_pace },
	{ "no_buffers", start, run_no_buffers },
	{ "flood", start_pinned, run_flood },
	{ "starved", start_starved, run_flood },
	{ "slow_reader", start_slow, run_flood },
	{ "broken", start_broken, run_nothing },
};

/* Looking costs a system call: not at each frame. */
static bool is_over(void)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	static unsigned int turns;

	return !(++turns % 64) && poll(&fd, 1, 0) > 0;
}

static int play(unsigned int i)
{
	static struct scene s;
	int ret = prepare(&s);

	if (!ret && scenes[i].start)
		ret = scenes[i].start(&s);
	if (ret)
		return ret;
	puts("ready");
	fflush(stdout);
	while (!ret && !is_over())
		ret = scenes[i].run(&s);
	dev_close(&s.d);
	return ret;
}

int main(int argc, char **argv)
{
	unsigned int i;
	int ret = -EINVAL;

	for (i = 0; argc == 2 && i < sizeof(scenes) / sizeof(*scenes); i++)
		if (!strcmp(argv[1], scenes[i].name))
			ret = play(i);
	if (ret)
		fprintf(stderr, "scene: %s\n", strerror(-ret));
	return !!ret;
}
