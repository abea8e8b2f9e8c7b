// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of a miss until it is answered. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "flow_lib.h"
#include "iotlb_lib.h"

#define PAGE	4096ULL
#define RX_PAGES	32

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
	self->f.rx_buf = guest_alloc(d, RX_PAGES * PAGE, PAGE);
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

/* Nothing of the kernel's lies between the fields of a message. */
TEST_F(miss, message_is_zero_elsewhere_ok)
{
	struct vhost_msg_v2 none = { 0 }, m;

	ASSERT_LE(0, ask(self));
	memset(&m, 0xff, sizeof(m));
	ASSERT_EQ(sizeof(m), read(self->f.d.fd, &m, sizeof(m)));
	m.type = 0;
	m.iotlb.iova = 0;
	m.iotlb.perm = 0;
	m.iotlb.type = 0;
	EXPECT_EQ(0, memcmp(&none, &m, sizeof(m)));
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

/* A counter of fdinfo. */
static long counter(int fd, const char *name)
{
	char path[64], line[128];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			n = strtol(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

/* One ring with many misses does not keep the other one waiting. */
TEST_F(miss, rings_take_turns_ok)
{
	struct dev *d = &self->f.d;
	struct vhost_iotlb_msg m;
	int64_t until = now_ms() + WAIT_MS;
	bool has_tx = false;

	if (!strcmp(module_name(), "vhost_net"))
		SKIP(return, "in-tree has no counters in fdinfo");
	for (int i = 0; i < RX_PAGES; i++) {
		rx_add(&d->vq[RX], 2048, &one_piece,
		       self->f.rx_buf + i * PAGE);
	}
	vq_publish(&d->vq[RX]);
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	while (counter(d->fd, "vhx-rx-iotlb_misses:") < RX_PAGES) {
		ASSERT_GT(until, now_ms());
	}
	flow_tx_add(&self->f);
	while (counter(d->fd, "vhx-tx-iotlb_misses:") < 1) {
		ASSERT_GT(until, now_ms());
	}
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, iotlb_read(&self->t, &m));
		has_tx |= m.iova == gpa(d, self->f.tx_buf);
	}
	EXPECT_EQ(true, has_tx);
	/* and all come in the end */
	for (int i = 2; i < RX_PAGES + 1; i++) {
		EXPECT_EQ(0, iotlb_read(&self->t, &m));
	}
	EXPECT_EQ(-EAGAIN, iotlb_read(&self->t, &m));
}

TEST_HARNESS_MAIN
