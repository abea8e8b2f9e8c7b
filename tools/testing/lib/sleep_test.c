// SPDX-License-Identifier: GPL-2.0-only
/* A user of libvhx that sleeps until its guest kicks. */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "flow.h"

#define ROUNDS	3000

/**
 * struct sleeper - takes frames one by one, and sleeps in between
 * @b: the user
 * @epoll: hears of each kick once; -1: it polls, and has kicks read
 * @got: frames so far; atomic
 * @error: what went wrong
 */
struct sleeper {
	struct user *b;
	int epoll;
	unsigned int got;
	int error;
};

/* Return: whether there are buffers already. */
static bool arm(struct sleeper *s)
{
	return s->epoll < 0 ? vhx_queue_notification(s->b->dev, 1, true) :
		vhx_queue_arm(s->b->dev, 1);
}

/* Return: how many descriptors it was woken by. */
static int sleep_till_kicked(struct sleeper *s)
{
	struct pollfd pfd = { .events = POLLIN };
	struct epoll_event event;

	if (s->epoll >= 0)
		return epoll_wait(s->epoll, &event, 1, WAIT_MS);
	pfd.fd = vhx_queue_kick_fd(s->b->dev, 1);
	return poll(&pfd, 1, WAIT_MS);
}

static void *sleep_and_take(void *arg)
{
	struct sleeper *s = arg;
	char data[BIG];
	struct vhx_pkt pkt = { .data = data, .room = BIG };
	struct vhx_pkt *pkts[] = { &pkt };

	while (s->got < ROUNDS) {
		if (vhx_dequeue_burst(s->b->dev, 1, pkts, 1)) {
			__atomic_add_fetch(&s->got, 1, __ATOMIC_RELEASE);
			continue;
		}
		if (arm(s))
			continue;
		if (sleep_till_kicked(s) != 1) {
			s->error = -ETIMEDOUT;
			break;
		}
		vhx_queue_notification(s->b->dev, 1, false);
	}
	return NULL;
}

/* Sends frames one by one, and kicks if it is asked to. Return: 0 or -errno */
static int send_to_sleeper(fix *s, unsigned int *round)
{
	struct vq *vq = &s->f.d.vq[TX];
	int ret;

	frame_fill(s->frame, 60, false, 1);
	for (*round = 0; *round < ROUNDS; (*round)++) {
		if (tx_add(vq, NULL, s->frame, 60, &one_piece, s->buf) < 0)
			return -ENOSPC;
		vq_publish_kick(vq);
		for (volatile unsigned int k = 0; k < *round % 64 * 16; k++)
			;
		ret = vq_wait(vq, 1, WAIT_MS);
		if (ret)
			return ret;
		if (vq_pop(vq, NULL) < 0)
			return -EPROTO;
	}
	return 0;
}

/* Return: 0 if each of many frames was taken; else @round is the last of them. */
static int wake_often(fix *s, int epoll, unsigned int *round)
{
	struct sleeper sleeper = { .b = &s->b, .epoll = epoll };
	pthread_t thread;
	int ret;

	if (pthread_create(&thread, NULL, sleep_and_take, &sleeper))
		return -EAGAIN;
	ret = send_to_sleeper(s, round);
	pthread_join(thread, NULL);
	if (!ret)
		ret = sleeper.error;
	return ret ? ret : sleeper.got == ROUNDS ? 0 : -EBADMSG;
}

/* A driver that kicks only if it is asked to, against a user that sleeps. */
TEST_F(flow, wake_up_not_lost_ok)
{
	unsigned int round = 0;

	EXPECT_EQ(0, wake_often(self, -1, &round)) {
		TH_LOG("round %u", round);
	}
}

TEST_F(flow, wake_up_by_edge_not_lost_ok)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	unsigned int round = 0;

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD,
			       vhx_queue_kick_fd(self->b.dev, 1), &event));
	EXPECT_EQ(0, wake_often(self, epoll, &round)) {
		TH_LOG("round %u", round);
	}
	close(epoll);
}

/* What is readable stays so, or is read: each wakes those that it is for. */
TEST_F(flow, armed_with_and_without_read_ok)
{
	struct pollfd pfd = {
		.fd = vhx_queue_kick_fd(self->b.dev, 1), .events = POLLIN,
	};

	ASSERT_EQ(0, eventfd_write(pfd.fd, 1));
	EXPECT_EQ(0, vhx_queue_arm(self->b.dev, 1));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(0, vhx_queue_notification(self->b.dev, 1, true));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(-ENOENT, vhx_queue_arm(self->b.dev, 7));
}

TEST_HARNESS_MAIN
