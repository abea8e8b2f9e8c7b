// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of a miss until it is answered. */
#include <errno.h>
#include <sys/mman.h>

#include "harness.h"
#include "flow_lib.h"
#include "iotlb_lib.h"

#define PAGE	4096ULL

FIXTURE(miss) {
	struct flow f;
	struct iotlb t;
	int kmsg;
};

typedef FIXTURE_DATA(miss) fix;

/* A ring whose areas are mapped; its buffers are not. */
static int start(fix *s, unsigned int q)
{
	struct vq *vq = &s->f.d.vq[q];
	int ret = iotlb_map(&s->t, vq->desc, PAGE, VHOST_ACCESS_RO);

	if (!ret)
		ret = iotlb_map(&s->t, vq->avail, PAGE, VHOST_ACCESS_RO);
	if (!ret)
		ret = iotlb_map(&s->t, vq->used, PAGE, VHOST_ACCESS_RW);
	return ret ? ret : flow_start(&s->f, q);
}

FIXTURE_SETUP(miss)
{
	struct dev *d = &self->f.d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, iotlb_open(&self->t, d, F_V1, true));
	for (int q = 0; q < 2; q++) {
		ASSERT_EQ(0, vq_setup(d, q, 256));
		ASSERT_EQ(0, start(self, q));
	}
	self->f.tx_buf = guest_alloc(d, PAGE, PAGE);
	self->f.rx_buf = guest_alloc(d, PAGE, PAGE);
}

FIXTURE_TEARDOWN(miss)
{
	iotlb_close(&self->t);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

/* Send a frame that asks for its buffer. Return: its head, or -errno. */
static int ask(fix *s)
{
	int head = flow_tx_add(&s->f);

	return event_wait(s->f.d.fd, WAIT_MS) ? -ETIMEDOUT : head;
}

static int answer(fix *s)
{
	return iotlb_map(&s->t, s->f.tx_buf, PAGE, VHOST_ACCESS_RO);
}

/* The right answer after a wrong one is one. */
TEST_F(miss, refused_answer_keeps_it_ok)
{
	struct vhost_iotlb_msg m;
	int head = ask(self);

	ASSERT_LE(0, head);
	ASSERT_EQ(0, iotlb_read(&self->t, &m));
	EXPECT_EQ(-EFAULT, iotlb_update(&self->t, m.iova, PAGE,
					(void *)0xffff888000000000ULL,
					VHOST_ACCESS_RO));
	ASSERT_EQ(0, answer(self));
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
}

TEST_F(miss, refused_answer_before_read_keeps_it_ok)
{
	struct vhost_iotlb_msg m;
	int head = ask(self);

	ASSERT_LE(0, head);
	EXPECT_EQ(-EFAULT, iotlb_update(&self->t, gpa(&self->f.d,
						      self->f.tx_buf), PAGE,
					(void *)0xffff888000000000ULL,
					VHOST_ACCESS_RO));
	EXPECT_EQ(0, iotlb_miss(&self->t, &m, WAIT_MS));
	ASSERT_EQ(0, answer(self));
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
}

/* A message that could not be delivered is there for the next read. */
TEST_F(miss, unread_is_read_again_ok)
{
	void *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct vhost_iotlb_msg m = { 0 };
	int head = ask(self);

	ASSERT_LE(0, head);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(-1, read(self->f.d.fd, hole, MSG_SIZE));
		EXPECT_EQ(EFAULT, errno);
	}
	ASSERT_EQ(0, iotlb_miss(&self->t, &m, WAIT_MS));
	EXPECT_EQ(gpa(&self->f.d, self->f.tx_buf), m.iova);
	EXPECT_EQ(-EAGAIN, iotlb_read(&self->t, &m));
	ASSERT_EQ(0, answer(self));
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
}

TEST_HARNESS_MAIN
