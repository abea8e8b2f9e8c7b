// SPDX-License-Identifier: GPL-2.0-only
/* IOTLB messages: read, write and poll of the node, misses, permissions. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "ctl_fixture.h"
#include "flow_lib.h"
#include "iotlb_lib.h"

#define PAGE	4096ULL

FIXTURE(iotlb) {
	struct flow f;
	struct iotlb t;
	int kmsg;
};

FIXTURE_VARIANT(iotlb) {
	bool v2;
};
FIXTURE_VARIANT_ADD(iotlb, msg_v1) { .v2 = false };
FIXTURE_VARIANT_ADD(iotlb, msg_v2) { .v2 = true };

FIXTURE_SETUP(iotlb)
{
	struct dev *d = &self->f.d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, iotlb_open(&self->t, d, F_V1, variant->v2));
	ASSERT_EQ(0, vq_setup(d, RX, 256));
	ASSERT_EQ(0, vq_setup(d, TX, 256));
	self->f.tx_buf = guest_alloc(d, 2 * PAGE, PAGE);
	self->f.rx_buf = guest_alloc(d, 2 * PAGE, PAGE);
}

FIXTURE_TEARDOWN(iotlb)
{
	iotlb_close(&self->t);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(iotlb) fix;

/* The rings, each ring area by itself. */
static int map_ring(fix *s, unsigned int q)
{
	struct vq *vq = &s->f.d.vq[q];
	int ret = iotlb_map(&s->t, vq->desc, PAGE, VHOST_ACCESS_RO);

	if (!ret)
		ret = iotlb_map(&s->t, vq->avail, PAGE, VHOST_ACCESS_RO);
	return ret ? ret : iotlb_map(&s->t, vq->used, PAGE, VHOST_ACCESS_RW);
}

static int map_bufs(fix *s)
{
	int ret = iotlb_map(&s->t, s->f.tx_buf, PAGE, VHOST_ACCESS_RO);

	return ret ? ret : iotlb_map(&s->t, s->f.rx_buf, PAGE, VHOST_ACCESS_WO);
}

static int start(fix *s, unsigned int q)
{
	int ret = map_ring(s, q);

	return ret ? ret : flow_start(&s->f, q);
}

/* The next miss that is of another page than @last: in-tree repeats some. */
static int other_miss(fix *s, uint64_t last, struct vhost_iotlb_msg *m)
{
	int ret;

	do {
		ret = iotlb_miss(&s->t, m, WAIT_MS);
	} while (!ret && m->iova / PAGE == last / PAGE);
	return ret;
}

/* read() */
TEST_F(iotlb, read_short_is_zero)
{
	uint8_t b[MSG_SIZE];

	EXPECT_EQ(0, read(self->f.d.fd, b, MSG_SIZE - 1));
	EXPECT_EQ(0, read(self->f.d.fd, b, 1));
}

TEST_F(iotlb, read_empty_eagain)
{
	uint8_t b[MSG_SIZE];

	EXPECT_EQ(-1, read(self->f.d.fd, b, sizeof(b)));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(iotlb, read_without_iotlb_ebadfd)
{
	struct dev d = { .fd = -1 };
	uint8_t b[MSG_SIZE];

	ASSERT_EQ(0, dev_open(&d));
	EXPECT_EQ(-1, read(d.fd, b, sizeof(b)));
	EXPECT_EQ(EBADFD, errno);
	ASSERT_EQ(0, fcntl(d.fd, F_SETFL, O_RDWR | O_NONBLOCK));
	EXPECT_EQ(-1, read(d.fd, b, sizeof(b)));
	EXPECT_EQ(EAGAIN, errno);
	dev_close(&d);
}

static void no_op(int sig)
{
	(void)sig;
}

TEST_F(iotlb, read_signalled_eintr)
{
	struct sigaction sa = { .sa_handler = no_op };
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
	};
	/* again and again, should the first come before the read */
	struct itimerspec its = { { 0, 20000000 }, { 0, 20000000 } };
	uint8_t b[MSG_SIZE];
	timer_t timer;

	ASSERT_EQ(0, fcntl(self->f.d.fd, F_SETFL, O_RDWR));
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &ev, &timer));
	ASSERT_EQ(0, timer_settime(timer, 0, &its, NULL));
	EXPECT_EQ(-1, read(self->f.d.fd, b, sizeof(b)));
	EXPECT_EQ(EINTR, errno);
	timer_delete(timer);
}

static void *blocked_read(void *arg)
{
	uint8_t b[MSG_SIZE];

	return (void *)(intptr_t)(read(*(int *)arg, b, sizeof(b)) < 0 ?
				  -errno : 0);
}

/* Who waits is told when the IOTLB goes. */
TEST_F(iotlb, reset_owner_ends_read_ebadfd)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, fcntl(self->f.d.fd, F_SETFL, O_RDWR));
	ASSERT_EQ(0, pthread_create(&thread, NULL, blocked_read,
				    &self->f.d.fd));
	ASSERT_EQ(0, dev_ioctl(&self->f.d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(-EBADFD, (intptr_t)ret);
}

TEST_F(iotlb, read_unwritable_buffer_efault)
{
	void *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	ASSERT_EQ(0, start(self, TX));
	flow_tx_add(&self->f);
	ASSERT_EQ(0, event_wait(self->f.d.fd, WAIT_MS));
	EXPECT_EQ(-1, read(self->f.d.fd, hole, MSG_SIZE));
	EXPECT_EQ(EFAULT, errno);
}

/* write() */
TEST_F(iotlb, write_unknown_type_einval)
{
	struct vhost_msg m = { .iotlb.type = VHOST_IOTLB_UPDATE };
	static const int types[] = { 0, 3, -1 };

	for (int i = 0; i < 3; i++) {
		m.type = types[i];
		EXPECT_EQ(-1, write(self->f.d.fd, &m, sizeof(m)));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(iotlb, write_short_einval)
{
	struct vhost_msg_v2 m = {
		.type = variant->v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG,
		.iotlb = { .type = VHOST_IOTLB_INVALIDATE, .size = 1 },
	};
	static const size_t sizes[] = { 1, 3, 4, 8, 32, MSG_MIN - 1 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		EXPECT_EQ(-1, write(self->f.d.fd, &m, sizes[i])) {
			TH_LOG("%zu bytes", sizes[i]);
		}
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(iotlb, write_without_tail_ok)
{
	struct vhost_msg_v2 m = {
		.type = variant->v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG,
		.iotlb = { .type = VHOST_IOTLB_INVALIDATE, .size = 1 },
	};

	EXPECT_EQ((ssize_t)MSG_SIZE, write(self->f.d.fd, &m, MSG_MIN));
	EXPECT_EQ((ssize_t)MSG_SIZE, write(self->f.d.fd, &m, MSG_SIZE));
}

TEST_F(iotlb, update_size_zero_einval)
{
	EXPECT_EQ(-EINVAL, iotlb_update(&self->t, 0, 0, self->f.tx_buf, 1));
	EXPECT_EQ(-EINVAL, iotlb_update(&self->t, PAGE, 0, self->f.tx_buf, 3));
}

TEST_F(iotlb, update_kernel_address_efault)
{
	void *bad = (void *)KERNEL_ADDR;

	for (int perm = 1; perm <= 3; perm++) {
		EXPECT_EQ(-EFAULT, iotlb_update(&self->t, 0, PAGE, bad, perm));
	}
	/* where nothing may be touched the address is not looked at */
	EXPECT_EQ(0, iotlb_update(&self->t, 0, PAGE, bad, 0));
}

TEST_F(iotlb, update_wraps_efault)
{
	EXPECT_EQ(-EFAULT, iotlb_update(&self->t, ~0ULL - PAGE + 1, 2 * PAGE,
					self->f.tx_buf, 3));
}

TEST_F(iotlb, other_messages_efault)
{
	struct vhost_iotlb_msg m = {
		.size = PAGE, .uaddr = (uintptr_t)self->f.tx_buf, .perm = 3,
	};
	static const uint8_t types[] = {
		0, VHOST_IOTLB_MISS, VHOST_IOTLB_ACCESS_FAIL, 7, 255,
	};

	for (size_t i = 0; i < sizeof(types); i++) {
		m.type = types[i];
		EXPECT_EQ(-EFAULT, iotlb_send(&self->t, &m)) {
			TH_LOG("type %u", types[i]);
		}
	}
}

TEST_F(iotlb, write_without_iotlb_efault)
{
	struct dev d = { .fd = -1 };
	struct iotlb t = { .d = &d, .v2 = variant->v2 };

	ASSERT_EQ(0, dev_open(&d));
	EXPECT_EQ(-EFAULT, iotlb_update(&t, 0, PAGE, self->f.tx_buf, 3));
	EXPECT_EQ(-EFAULT, iotlb_drop(&t, 0, PAGE));
	dev_close(&d);
}

/* Both forms are understood, whichever was chosen for read(). */
TEST_F(iotlb, write_other_form_ok)
{
	struct iotlb t = self->t;

	t.v2 = !t.v2;
	EXPECT_EQ(0, iotlb_map(&t, self->f.tx_buf, PAGE, VHOST_ACCESS_RO));
	EXPECT_EQ(0, iotlb_drop(&t, GPA_BASE, PAGE));
}

TEST_F(iotlb, invalidate_everything_ok)
{
	EXPECT_EQ(0, iotlb_drop(&self->t, 0, ~0ULL));
	EXPECT_EQ(0, iotlb_drop(&self->t, 0, 1));
	EXPECT_EQ(0, iotlb_drop(&self->t, ~0ULL, 1));
}

TEST_F(iotlb, invalidate_size_zero_efault)
{
	EXPECT_EQ(-EFAULT, iotlb_drop(&self->t, 0, 0));
	EXPECT_EQ(-EFAULT, iotlb_drop(&self->t, PAGE, 0));
}

/* Who has the file may write, owner or not. */
TEST_F(iotlb, write_by_child_ok)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, start(self, TX));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(map_bufs(self) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* poll() */
TEST_F(iotlb, poll_says_in_for_miss_ok)
{
	struct pollfd p = {
		.fd = self->f.d.fd,
		.events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
	};
	struct vhost_iotlb_msg m;

	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(0, start(self, TX));
	flow_tx_add(&self->f);
	ASSERT_EQ(1, poll(&p, 1, WAIT_MS));
	EXPECT_EQ(POLLIN | POLLRDNORM, p.revents);
	while (!iotlb_read(&self->t, &m))
		;
	EXPECT_EQ(0, poll(&p, 1, 0));
}

/* Misses */
TEST_F(iotlb, miss_names_page_and_access_ok)
{
	struct dev *d = &self->f.d;
	struct vq *vq = &d->vq[TX];
	struct vhost_iotlb_msg m = { 0 };
	void *areas[3] = { vq->desc, vq->avail, self->f.tx_buf };
	uint64_t last = 0;
	int head;

	ASSERT_EQ(0, iotlb_map(&self->t, vq->used, PAGE, VHOST_ACCESS_RW));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	head = flow_tx_add(&self->f);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, other_miss(self, last, &m)) {
			TH_LOG("area %d", i);
		}
		EXPECT_EQ(gpa(d, areas[i]), m.iova);
		EXPECT_EQ(VHOST_ACCESS_RO, m.perm);
		last = m.iova;
		ASSERT_EQ(0, iotlb_map(&self->t, areas[i], PAGE,
				       VHOST_ACCESS_RO));
	}
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
	/* the used ring is written */
	ASSERT_EQ(0, iotlb_drop(&self->t, gpa(d, vq->used), PAGE));
	head = flow_tx_add(&self->f);
	ASSERT_EQ(0, other_miss(self, last, &m));
	EXPECT_EQ(gpa(d, vq->used), m.iova);
	EXPECT_EQ(VHOST_ACCESS_WO, m.perm);
	ASSERT_EQ(0, iotlb_map(&self->t, vq->used, PAGE, VHOST_ACCESS_RW));
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
}

TEST_F(iotlb, rx_miss_wants_write_ok)
{
	struct vhost_iotlb_msg m = { 0 };
	int head;

	ASSERT_EQ(0, start(self, RX));
	head = flow_rx_add(&self->f);
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	ASSERT_EQ(0, iotlb_miss(&self->t, &m, WAIT_MS));
	EXPECT_EQ(gpa(&self->f.d, self->f.rx_buf), m.iova);
	EXPECT_EQ(VHOST_ACCESS_WO, m.perm);
	ASSERT_EQ(0, map_bufs(self));
	EXPECT_EQ(0, flow_rx_done(&self->f, head));
}

/* However often it is kicked, a ring asks once. */
TEST_F(iotlb, miss_is_asked_once_ok)
{
	struct vhost_iotlb_msg m;
	int head, n = 0;

	ASSERT_EQ(0, start(self, TX));
	head = flow_tx_add(&self->f);
	for (int i = 0; i < 20; i++) {
		vq_kick(&self->f.d.vq[TX]);
		/* ends in a flush of the worker in-tree */
		dev_u64(&self->f.d, VHOST_SET_LOG_BASE, 0);
		ASSERT_EQ(0, dev_get_base(&self->f.d, TX));
	}
	ASSERT_EQ(0, event_wait(self->f.d.fd, WAIT_MS));
	while (!iotlb_read(&self->t, &m))
		n++;
	EXPECT_EQ(1, n);
	/* nor when the message has been read and waits for its answer */
	vq_kick(&self->f.d.vq[TX]);
	dev_u64(&self->f.d, VHOST_SET_LOG_BASE, 0);
	ASSERT_EQ(0, map_bufs(self));
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
	EXPECT_EQ(-EAGAIN, iotlb_read(&self->t, &m));
}

TEST_F(iotlb, backend_off_drops_misses_ok)
{
	struct vhost_iotlb_msg m;
	int head;

	ASSERT_EQ(0, start(self, TX));
	head = flow_tx_add(&self->f);
	ASSERT_EQ(0, event_wait(self->f.d.fd, WAIT_MS));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	EXPECT_EQ(-EAGAIN, iotlb_read(&self->t, &m));
	/* an answer to what is no longer asked for does no harm */
	ASSERT_EQ(0, map_bufs(self));
	EXPECT_EQ(0, vq_used(&self->f.d.vq[TX]));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	vq_kick(&self->f.d.vq[TX]);
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
}

TEST_F(iotlb, closed_with_miss_ok)
{
	for (int q = 0; q < 2; q++) {
		ASSERT_EQ(0, start(self, q));
	}
	flow_tx_add(&self->f);
	ASSERT_EQ(0, event_wait(self->f.d.fd, WAIT_MS));
	close(self->f.d.fd);
	self->f.d.fd = -1;
	/* the tap is free again */
	close(self->f.n.tap);
	self->f.n.tap = tap_open("vt0", 0, 12);
	EXPECT_LE(0, self->f.n.tap);
}

/* Permissions */
/* Return: 0 if the ring was refused: by its error event, or by a miss. */
static int refused(fix *s, unsigned int q, uint8_t perm)
{
	struct pollfd p[2] = {
		{ .fd = s->f.d.vq[q].err, .events = POLLIN },
		{ .fd = s->f.d.fd, .events = POLLIN },
	};
	struct vhost_iotlb_msg m;

	if (poll(p, 2, SOON_MS) <= 0)
		return -ETIMEDOUT;
	if (!p[1].revents)
		return 0;
	return iotlb_read(&s->t, &m) || m.perm != perm ? -EPROTO : 0;
}

TEST_F(iotlb, read_only_rx_buffer_is_refused)
{
	struct flow *f = &self->f;
	int head;

	ASSERT_EQ(0, start(self, RX));
	memset(f->rx_buf, 0x77, FLOW_ROOM);
	ASSERT_EQ(0, iotlb_map(&self->t, f->rx_buf, PAGE, VHOST_ACCESS_RO));
	head = flow_rx_add(f);
	ASSERT_EQ(0, flow_rx_inject(f));
	EXPECT_EQ(0, refused(self, RX, VHOST_ACCESS_WO));
	EXPECT_EQ(0, dev_get_base(&f->d, RX));
	EXPECT_EQ(0, vq_used(&f->d.vq[RX]));
	for (int i = 0; i < FLOW_ROOM; i++) {
		ASSERT_EQ(0x77, f->rx_buf[i]);
	}
	ASSERT_EQ(0, iotlb_drop(&self->t, gpa(&f->d, f->rx_buf), PAGE));
	ASSERT_EQ(0, map_bufs(self));
	vq_kick(&f->d.vq[RX]);
	EXPECT_EQ(0, flow_rx_done(f, head));
}

TEST_F(iotlb, write_only_tx_buffer_is_refused)
{
	struct flow *f = &self->f;
	int head;

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, iotlb_map(&self->t, f->tx_buf, PAGE, VHOST_ACCESS_WO));
	head = flow_tx_add(f);
	EXPECT_EQ(0, refused(self, TX, VHOST_ACCESS_RO));
	EXPECT_EQ(0, vq_used(&f->d.vq[TX]));
	ASSERT_EQ(0, iotlb_drop(&self->t, gpa(&f->d, f->tx_buf), PAGE));
	ASSERT_EQ(0, map_bufs(self));
	vq_kick(&f->d.vq[TX]);
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
}

TEST_F(iotlb, no_access_tx_buffer_is_refused)
{
	struct flow *f = &self->f;

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, iotlb_update(&self->t, gpa(&f->d, f->tx_buf), PAGE,
				  f->tx_buf, 0));
	flow_tx_add(f);
	EXPECT_EQ(0, refused(self, TX, VHOST_ACCESS_RO));
	EXPECT_EQ(0, vq_used(&f->d.vq[TX]));
}

TEST_F(iotlb, read_only_used_ring_is_refused)
{
	struct dev *d = &self->f.d;
	struct vq *vq = &d->vq[TX];
	int head;

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, map_bufs(self));
	ASSERT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, iotlb_drop(&self->t, gpa(d, vq->used), PAGE));
	ASSERT_EQ(0, iotlb_map(&self->t, vq->used, PAGE, VHOST_ACCESS_RO));
	head = flow_tx_add(&self->f);
	EXPECT_EQ(0, refused(self, TX, VHOST_ACCESS_WO));
	EXPECT_EQ(0, vq_used(vq));
	ASSERT_EQ(0, iotlb_drop(&self->t, gpa(d, vq->used), PAGE));
	ASSERT_EQ(0, iotlb_map(&self->t, vq->used, PAGE, VHOST_ACCESS_RW));
	vq_kick(vq);
	EXPECT_EQ(0, flow_tx_done(&self->f, head));
}

/* Set-up */
TEST_F(iotlb, used_ring_unmapped_efault)
{
	EXPECT_EQ(-EFAULT, flow_start(&self->f, TX));
	ASSERT_EQ(0, map_ring(self, TX));
	EXPECT_EQ(0, flow_start(&self->f, TX));
}

/* Ring addresses are IOVAs: any value is one. */
TEST_F(iotlb, running_addr_unchecked_ok)
{
	struct vhost_vring_addr a;

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, map_bufs(self));
	vq_addr(&self->f.d.vq[TX], &a);
	a.desc_user_addr = KERNEL_ADDR;
	a.flags = 1 << VHOST_VRING_F_LOG;
	a.log_guest_addr = ~0ULL << 12;
	EXPECT_EQ(0, dev_ioctl(&self->f.d, VHOST_SET_VRING_ADDR, &a,
			       sizeof(a)));
	ASSERT_EQ(0, vq_set_addr(&self->f.d.vq[TX]));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* The switch of the mode makes addresses mean another thing. */
TEST_F(iotlb, platform_dropped_forgets_addresses_efault)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	ASSERT_EQ(0, dev_features(d, F_V1));
	ASSERT_EQ(-EFAULT, iotlb_map(&self->t, d->mem, PAGE, 3));
	ASSERT_EQ(-EFAULT, flow_start(&self->f, TX));
	ASSERT_EQ(0, vq_set_addr(&d->vq[TX]));
	ASSERT_EQ(0, dev_mem_table(d));
	EXPECT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
}

TEST_F(iotlb, platform_set_forgets_addresses_efault)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, dev_features(d, F_V1));
	ASSERT_EQ(0, vq_set_addr(&d->vq[TX]));
	ASSERT_EQ(0, dev_features(d, F_V1 | F_PLATFORM));
	/* the same numbers would do as IOVAs */
	ASSERT_EQ(0, iotlb_update(&self->t, (uintptr_t)d->mem, RING_AREA * 2,
				  d->mem, VHOST_ACCESS_RW));
	ASSERT_EQ(-EFAULT, flow_start(&self->f, TX));
	ASSERT_EQ(0, vq_set_addr(&d->vq[TX]));
	EXPECT_EQ(0, start(self, TX));
}

/* Once more the same features: an empty IOTLB, and the addresses stay. */
TEST_F(iotlb, platform_again_empties_ok)
{
	struct responder r;

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, map_bufs(self));
	ASSERT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, dev_features(&self->f.d, F_V1 | F_PLATFORM));
	ASSERT_EQ(0, responder_start(&r, &self->t));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, responder_stop(&r));
	EXPECT_LT(3, r.misses);
}

TEST_HARNESS_MAIN
