// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long one frame takes on an idle device.
 *
 * To the host: from before the kick until the host's stack has the frame, by the time
 * stamp that it gets there. From the host: from before the frame is sent to the tap
 * until its driver, which waits for the call, runs. With one CPU they are in it:
 * system calls of who kicks and who sends, two switches of threads, and to the guest
 * the return of poll().
 *
 * For that, kicks and calls must reach who waits for them at once: the kernel is
 * preemptible meanwhile, who kicks or sends is idle by its policy, a driver that waits
 * for a call has the FIFO policy. A worker on a CPU of its own needs none of that.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "median.h"
#include "net_bench.h"

#define FRAMES		256
#define WARM_UP		64
#define IDLE_MS		2	/* the worker is asleep by then */
#define DEBUGFS		"/sys/kernel/debug"
#define PREEMPT		DEBUGFS "/sched/preempt"

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

/* The clock of time stamps. */
static int64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return ns_of(&t);
}

/* Finds the mode that is on: the one in parentheses. */
static int preempt_read(char *mode, size_t size)
{
	char text[64] = "", *from, *to;
	FILE *f;

	if (access(PREEMPT, F_OK))
		mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	f = fopen(PREEMPT, "re");
	if (!f)
		return -errno;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	from = strchr(text, '(');
	to = from ? strchr(from, ')') : NULL;
	if (!to)
		return -EPROTO;
	snprintf(mode, size, "%.*s", (int)(to - from - 1), from + 1);
	return 0;
}

static int policy_set(const struct bench *b, int policy)
{
	struct sched_param p = { .sched_priority = policy == SCHED_FIFO };

	if (b->is_pinned)
		return 0;
	return sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &p) ?
		-errno : 0;
}

/* Return: when the host's stack got the next frame, or -errno. */
static int64_t stamp_read(int fd)
{
	char control[CMSG_SPACE(sizeof(struct timespec))], data[FRAME_MAX];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	struct timespec t;

	if (event_wait(fd, WAIT_MS))
		return -ETIMEDOUT;
	if (recvmsg(fd, &msg, 0) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_TIMESTAMPNS)
		return -ENOMSG;
	memcpy(&t, CMSG_DATA(c), sizeof(t));
	return ns_of(&t);
}

static int tx_one(struct bench *b, int fd, double *ns)
{
	int64_t from, to;
	int ret;

	ret = tx_add(b->vq, &b->hdr, b->frame[0], b->cell->len, b->cell->layout,
		     b->buf[0]);
	if (ret < 0)
		return ret;
	from = real_ns();
	vq_publish_kick(b->vq);
	ret = vq_wait(b->vq, 1, WAIT_MS);
	if (ret)
		return ret;
	vq_pop(b->vq, NULL);
	to = stamp_read(fd);
	*ns = to - from;
	return to < 0 ? to : 0;
}

static int tx_all(struct bench *b, double *ns)
{
	int fd = pkt_open(b->host_if, PACKET_HDR), one = 1;
	int ret = fd < 0 ? fd : policy_set(b, SCHED_IDLE);

	if (!ret && setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		ret = -errno;
	/* stamps are switched on by a work item */
	poll(NULL, 0, 100);
	for (int i = -WARM_UP; i < FRAMES && !ret; i++) {
		poll(NULL, 0, IDLE_MS);
		ret = tx_one(b, fd, &ns[i < 0 ? 0 : i]);
	}
	if (fd >= 0)
		close(fd);
	return policy_set(b, SCHED_FIFO) ?: ret;
}

/* Who sends frames to the tap, one whenever it is told so. */
struct sender {
	struct bench *b;
	int go;			/* eventfd */
	int64_t from;		/* when it began to */
	int err;
};

static void *send_frames(void *arg)
{
	struct sender *s = arg;

	s->err = policy_set(s->b, SCHED_IDLE);
	for (int i = -WARM_UP; i < FRAMES && !s->err; i++) {
		if (!event_read(s->go))
			break;
		s->from = real_ns();
		s->err = feed(s->b);
	}
	return NULL;
}

static int rx_one(struct bench *b, struct sender *s, double *ns)
{
	uint64_t one = 1;
	int64_t to;
	int ret, id;

	vq_want_call(b->vq, 1);
	if (write(s->go, &one, sizeof(one)) != sizeof(one))
		return -errno;
	ret = event_wait(b->vq->call, WAIT_MS);
	to = real_ns();
	event_read(b->vq->call);
	if (!ret)
		ret = vq_wait(b->vq, 1, WAIT_MS);
	id = vq_pop(b->vq, NULL);
	*ns = to - s->from;
	if (ret || id < 0 || rx_post(b, b->buf[id]) < 0)
		return ret ? ret : -ENOSPC;
	vq_publish_kick(b->vq);
	return s->err;
}

static int rx_all(struct bench *b, double *ns)
{
	struct sender s = { .b = b, .go = eventfd(0, EFD_CLOEXEC) };
	pthread_t t;
	int ret = 0;

	if (s.go < 0 || pthread_create(&t, NULL, send_frames, &s))
		return -EAGAIN;
	for (int i = -WARM_UP; i < FRAMES && !ret; i++) {
		poll(NULL, 0, IDLE_MS);
		ret = rx_one(b, &s, &ns[i < 0 ? 0 : i]);
	}
	if (ret)
		pthread_cancel(t);
	pthread_join(t, NULL);
	close(s.go);
	return ret;
}

/*
 * @median_ns: gets ns of a frame
 * Return: 0 or -errno: -EOPNOTSUPP if the kernel's preemption cannot be changed
 */
int latency(struct bench *b, double *median_ns)
{
	double ns[FRAMES];
	char mode[16];
	int ret;

	if (!b->is_pinned &&
	    (preempt_read(mode, sizeof(mode)) || write_text(PREEMPT, "full")))
		return -EOPNOTSUPP;
	ret = b->cell->q == TX ? tx_all(b, ns) : rx_all(b, ns);
	if (!b->is_pinned)
		write_text(PREEMPT, mode);
	if (!ret)
		*median_ns = median(ns, FRAMES);
	return ret;
}
