// SPDX-License-Identifier: GPL-2.0-only
/* What a guest may have written into the host's kernel log. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_packet.h>

#include "harness.h"

#define DEVS		6
#define RING		16
#define KICKS		100
#define BAD_ADDR	4096		/* no guest memory there */

static const char param[] = "/sys/module/vhx_net/parameters/log_lines";

/* Return: 0 or -errno. Another budget begins another hour. */
static int set_budget(unsigned int lines)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", lines);
	int fd = open(param, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, n) != n ? -errno : 0;

	close(fd);
	return ret;
}

static unsigned int get_budget(void)
{
	unsigned int lines = 0;
	FILE *f = fopen(param, "re");

	if (f && fscanf(f, "%u", &lines) != 1)
		lines = 0;
	if (f)
		fclose(f);
	return lines;
}

FIXTURE(klog) {
	struct dev d[DEVS];
	struct net n;
	int kmsg, lines;
	unsigned int budget;
};

typedef FIXTURE_DATA(klog) fix;

FIXTURE_SETUP(klog)
{
	if (!strcmp(module_name(), "vhost_net"))
		SKIP(_exit(255), "in-tree tells the log nothing");
	self->kmsg = kmsg_open();
	self->lines = kmsg_open();
	self->budget = get_budget();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, 12));
	for (int i = 0; i < DEVS; i++) {
		struct dev *d = &self->d[i];

		ASSERT_EQ(0, dev_setup(d, F_V1));
		for (int q = 0; q < 2; q++)
			ASSERT_EQ(0, vq_setup(d, q, RING));
	}
	ASSERT_EQ(0, set_budget(100000));
}

FIXTURE_TEARDOWN(klog)
{
	for (int i = 0; i < DEVS; i++)
		dev_close(&self->d[i]);
	net_close(&self->n);
	close(self->lines);
	set_budget(self->budget);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

/* Lines about rings of ours since the last call. */
static int count_lines(fix *f)
{
	char text[1024], owner[32];
	ssize_t n;
	int lines = 0;

	snprintf(owner, sizeof(owner), "owner %d ring ", getpid());
	while ((n = read(f->lines, text, sizeof(text) - 1)) > 0 ||
	       errno == EPIPE) {
		text[n > 0 ? n : 0] = 0;
		lines += !!strstr(text, owner);
		errno = 0;
	}
	return lines;
}

/* Offer what slot @head says. */
static void offer(struct vq *vq, uint16_t head, uint64_t addr, uint16_t flags)
{
	desc_put(vq->dev, &vq->desc[head], addr, 100, flags, head);
	vq_push(vq, head);
	vq_publish(vq);
}

/* Kick a ring that stops at each kick. Return: 0 or -ETIMEDOUT. */
static int kick_and_fail(struct vq *vq, int n)
{
	for (; n; n--) {
		event_read(vq->err);
		vq_kick(vq);
		if (event_wait(vq->err, WAIT_MS))
			return -ETIMEDOUT;
	}
	return 0;
}

TEST_F(klog, kicked_on_is_told_once)
{
	struct dev *d = &self->d[0];

	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	offer(&d->vq[TX], 0, BAD_ADDR, 0);
	ASSERT_EQ(0, kick_and_fail(&d->vq[TX], KICKS));
	EXPECT_EQ(1, count_lines(self));
}

/* A frame that is dropped stops no ring. */
TEST_F(klog, dropped_frames_are_told_once)
{
	struct dev *d = &self->d[0];
	struct vq *vq = &d->vq[TX];

	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	for (int i = 0; i < KICKS; i++) {
		offer(vq, i % RING, gpa(d, d->mem) + 2 * RING_AREA,
		      VRING_DESC_F_WRITE);
		vq_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
		vq_pop(vq, NULL);
	}
	EXPECT_EQ(1, count_lines(self));
}

TEST_F(klog, other_cause_and_ring_are_told_ok)
{
	struct dev *d = &self->d[0];
	uint8_t frame[100];

	for (int q = 0; q < 2; q++) {
		ASSERT_EQ(0, dev_backend(d, q, self->n.tap));
		offer(&d->vq[q], 0, BAD_ADDR, q == RX ? VRING_DESC_F_WRITE : 0);
	}
	ASSERT_EQ(0, kick_and_fail(&d->vq[TX], KICKS));
	EXPECT_EQ(1, count_lines(self));
	/* a chain that is a loop */
	d->vq[TX].desc[0].flags = g16(d, VRING_DESC_F_NEXT);
	ASSERT_EQ(0, kick_and_fail(&d->vq[TX], KICKS));
	EXPECT_EQ(1, count_lines(self));
	frame_fill(frame, sizeof(frame), true, 1);
	ASSERT_EQ(0, pkt_send(self->n.pkt, NULL, frame, sizeof(frame)));
	ASSERT_EQ(0, event_wait(d->vq[RX].err, WAIT_MS));
	ASSERT_EQ(0, kick_and_fail(&d->vq[RX], KICKS));
	EXPECT_EQ(1, count_lines(self));
}

TEST_F(klog, set_up_anew_is_told_again_ok)
{
	struct dev *d = &self->d[0];

	offer(&d->vq[TX], 0, BAD_ADDR, 0);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
		ASSERT_EQ(0, kick_and_fail(&d->vq[TX], 10));
		EXPECT_EQ(1, count_lines(self));
		ASSERT_EQ(0, dev_backend(d, TX, -1));
	}
}

/* All devices, each of them set up @n times. Return: 0 or -errno. */
static int fail_all(fix *f, int n)
{
	int ret = 0;

	for (int i = 0; i < n * DEVS && !ret; i++) {
		struct dev *d = &f->d[i % DEVS];

		ret = dev_backend(d, TX, f->n.tap);
		if (!ret)
			ret = kick_and_fail(&d->vq[TX], 2);
		if (!ret)
			ret = dev_backend(d, TX, -1);
	}
	return ret;
}

TEST_F(klog, devices_share_a_budget_ok)
{
	for (int i = 0; i < DEVS; i++) {
		offer(&self->d[i].vq[TX], 0, BAD_ADDR, 0);
	}
	ASSERT_EQ(0, fail_all(self, 1));
	EXPECT_EQ(DEVS, count_lines(self));
	ASSERT_EQ(0, set_budget(DEVS + 3));
	ASSERT_EQ(0, fail_all(self, 10));
	EXPECT_EQ(DEVS + 3, count_lines(self));
	ASSERT_EQ(0, set_budget(0));
	ASSERT_EQ(0, fail_all(self, 1));
	EXPECT_EQ(0, count_lines(self));
}

/* Why a backend is refused, where the client may not know. */
TEST_F(klog, packet_ring_is_told_once)
{
	struct tpacket_req req = {
		.tp_block_size = 4096, .tp_block_nr = 1,
		.tp_frame_size = 2048, .tp_frame_nr = 2,
	};
	int fd = pkt_open("vt0", 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req,
				sizeof(req)));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-EBUSY, dev_backend(&self->d[0], RX, fd));
	}
	EXPECT_EQ(1, count_lines(self));
	close(fd);
}

TEST_HARNESS_MAIN
