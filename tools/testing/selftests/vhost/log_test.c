// SPDX-License-Identifier: GPL-2.0-only
/* The dirty log's set-up: SET_LOG_BASE, SET_LOG_FD, LOG_ALL, VRING_F_LOG. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ctl_fixture.h"
#include "flow_lib.h"
#include "log_lib.h"

#define USED_GPA	0x170000000ULL	/* where used rings are logged */
#define FAR_GPA		(1ULL << 40)
#define FAR_LOG		(FAR_GPA / LOG_PAGE / 8 + LOG_SIZE)

CTL_FIXTURE(log_ctl)

TEST_F(log_ctl, before_owner_eperm)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(-EPERM, log_base(&self->d, NULL));
	EXPECT_EQ(-EPERM, log_fd(&self->d, -1));
}

TEST_F(log_ctl, unreadable_arg_efault)
{
	void *wild = (void *)0x100;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_LOG_BASE, NULL, 0));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_LOG_BASE, wild, 0));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_LOG_FD, NULL, 0));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_LOG_FD, wild, 0));
}

/* While no ring runs nothing is checked. */
TEST_F(log_ctl, base_while_down_ok)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(d));
	ASSERT_EQ(0, dev_features(d, F_V1 | F_LOG_ALL));
	EXPECT_EQ(0, dev_u64(d, VHOST_SET_LOG_BASE, 0));
	EXPECT_EQ(0, dev_u64(d, VHOST_SET_LOG_BASE, KERNEL_ADDR));
	EXPECT_EQ(0, dev_u64(d, VHOST_SET_LOG_BASE, ~0ULL));
}

TEST_F(log_ctl, fd_closed_ebadf)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EBADF, log_fd(&self->d, FD_CLOSED));
	EXPECT_EQ(-EBADF, log_fd(&self->d, -2));
}

TEST_F(log_ctl, fd_no_eventfd_einval)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EINVAL, log_fd(&self->d, open("/dev/null", O_RDWR)));
}

TEST_F(log_ctl, fd_bind_and_unbind_ok)
{
	int fd = eventfd(0, 0);

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(0, log_fd(&self->d, -1));
	EXPECT_EQ(0, log_fd(&self->d, fd));
	EXPECT_EQ(0, log_fd(&self->d, fd));
	EXPECT_EQ(0, log_fd(&self->d, -1));
}

FIXTURE(log) {
	struct flow f;
	uint8_t *log;
	int kmsg;
};

FIXTURE_SETUP(log)
{
	struct dev *d = &self->f.d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(d, F_V1));
	ASSERT_EQ(0, vq_setup(d, RX, 256));
	ASSERT_EQ(0, vq_setup(d, TX, 256));
	self->f.tx_buf = guest_alloc(d, FLOW_ROOM, 4096);
	self->f.rx_buf = guest_alloc(d, FLOW_ROOM, 4096);
	self->log = log_alloc(FAR_LOG);
	ASSERT_NE(MAP_FAILED, (void *)self->log);
}

FIXTURE_TEARDOWN(log)
{
	dev_close(&self->f.d);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(log) fix;

static int start(fix *s)
{
	int ret = flow_start(&s->f, RX);

	return ret ? ret : flow_start(&s->f, TX);
}

/* Log the used ring of @q at @at; 0: not. */
static int log_ring(fix *s, unsigned int q, uint64_t at)
{
	s->f.d.vq[q].log_gpa = at;
	return vq_set_addr(&s->f.d.vq[q]);
}

static int log_all(fix *s, bool on)
{
	return dev_u64(&s->f.d, VHOST_SET_FEATURES, on ? F_V1 | F_LOG_ALL :
		       F_V1);
}

/*
 * The highest base with room for a page of log below where user addresses end,
 * which depends on the machine: what a running ring accepts that logs its used
 * ring at the bottom.
 */
static uint64_t top_base(fix *s)
{
	uint64_t good = (uintptr_t)s->log, bad = ~0ULL;
	struct vhost_vring_addr a;

	vq_addr(&s->f.d.vq[RX], &a);
	a.flags = 1 << VHOST_VRING_F_LOG;
	a.log_guest_addr = 0;
	if (dev_ioctl(&s->f.d, VHOST_SET_VRING_ADDR, &a, sizeof(a)) ||
	    !log_base(&s->f.d, (void *)bad))
		return 0;
	while (bad - good > 4096) {
		uint64_t mid = good + (bad - good) / 2;

		if (log_base(&s->f.d, (void *)mid))
			bad = mid;
		else
			good = mid;
	}
	if (log_base(&s->f.d, s->log) || vq_set_addr(&s->f.d.vq[RX]))
		return 0;
	return good - 8192;
}

/* A log that has room for our guest and not for FAR_GPA. */
static void *tight_base(fix *s)
{
	uint64_t top = top_base(s);

	return top ? (void *)(top - (1 << 20)) : NULL;
}

TEST_F(log, features_log_too_high_efault)
{
	void *base;

	ASSERT_EQ(0, start(self));
	base = (void *)top_base(self);
	ASSERT_NE(NULL, base);
	/* nothing is logged yet, so nothing is checked */
	ASSERT_EQ(0, log_base(&self->f.d, base));
	EXPECT_EQ(-EFAULT, log_all(self, true));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(0, log_base(&self->f.d, self->log));
	EXPECT_EQ(0, log_all(self, true));
}

/* A base that was never set is an address like others. */
TEST_F(log, features_without_base_ok)
{
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, log_all(self, true));
	EXPECT_EQ(0, log_all(self, false));
	EXPECT_EQ(0, flow_rx(&self->f));
}

TEST_F(log, mem_table_too_high_efault)
{
	struct dev *d = &self->f.d;
	struct vhost_memory_region r = {
		.guest_phys_addr = FAR_GPA, .memory_size = MEM_SIZE,
		.userspace_addr = (uintptr_t)d->mem,
	};
	void *base;

	ASSERT_EQ(0, start(self));
	base = tight_base(self);
	ASSERT_NE(NULL, base);
	ASSERT_EQ(0, log_base(d, base));
	ASSERT_EQ(0, log_all(self, true));
	EXPECT_EQ(-EFAULT, dev_mem_regions(d, &r, 1));
	EXPECT_EQ(0, dev_mem_table(d));
	ASSERT_EQ(0, log_all(self, false));
	EXPECT_EQ(0, flow_tx(&self->f));
	/* without the log it is a table like others */
	EXPECT_EQ(0, dev_mem_regions(d, &r, 1));
}

TEST_F(log, vring_addr_log_too_high_einval)
{
	void *base;

	ASSERT_EQ(0, start(self));
	base = tight_base(self);
	ASSERT_NE(NULL, base);
	ASSERT_EQ(0, log_base(&self->f.d, base));
	EXPECT_EQ(-EINVAL, log_ring(self, TX, FAR_GPA));
	EXPECT_EQ(-EINVAL, log_ring(self, TX, ~3ULL));
	EXPECT_EQ(0, log_ring(self, TX, USED_GPA));
	EXPECT_EQ(0, log_ring(self, TX, 0));
	EXPECT_EQ(0, flow_tx(&self->f));
}

TEST_F(log, base_not_user_memory_efault)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, log_base(d, self->log));
	EXPECT_EQ(0, log_base(d, (void *)KERNEL_ADDR));
	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_all(self, true));
	EXPECT_EQ(-EFAULT, log_base(d, (void *)KERNEL_ADDR));
	ASSERT_EQ(0, log_all(self, false));
	ASSERT_EQ(0, log_ring(self, TX, USED_GPA));
	EXPECT_EQ(-EFAULT, log_base(d, (void *)KERNEL_ADDR));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, flow_rx(&self->f));
}

/* What was not checked while the ring was down is when it starts. */
TEST_F(log, backend_with_bad_log_efault)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, log_ring(self, TX, USED_GPA));
	ASSERT_EQ(0, log_base(d, (void *)KERNEL_ADDR));
	EXPECT_EQ(-EFAULT, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_start(&self->f, RX));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	ASSERT_EQ(0, log_ring(self, TX, 0));
	ASSERT_EQ(0, log_all(self, true));
	EXPECT_EQ(-EFAULT, flow_start(&self->f, RX));
	ASSERT_EQ(0, log_base(d, self->log));
	EXPECT_EQ(0, start(self));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, flow_rx(&self->f));
}

/* One ring cannot take the new base, so none does. */
TEST_F(log, base_all_or_nothing_ok)
{
	struct dev *d = &self->f.d;
	void *tight;

	ASSERT_EQ(0, start(self));
	tight = tight_base(self);
	ASSERT_NE(NULL, tight);
	ASSERT_EQ(0, log_ring(self, RX, USED_GPA));
	ASSERT_EQ(0, log_ring(self, TX, FAR_GPA));
	EXPECT_EQ(-EFAULT, log_base(d, tight));
	EXPECT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(1, dev_get_base(d, RX));
	EXPECT_EQ(1, log_has(self->log, USED_GPA));
}

TEST_F(log, fd_signals_ok)
{
	struct dev *d = &self->f.d;
	int fd = eventfd(0, EFD_NONBLOCK);

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_fd(d, fd));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, event_read(fd));
	EXPECT_EQ(0, flow_rx(&self->f));
	EXPECT_EQ(0, event_wait(fd, WAIT_MS));
	EXPECT_EQ(1, dev_get_base(d, RX));
	event_read(fd);
	/* so do its flags alone, which a kick of an empty ring has it write */
	ASSERT_EQ(0, log_all(self, false));
	ASSERT_EQ(0, log_ring(self, TX, USED_GPA));
	vq_kick(&d->vq[TX]);
	EXPECT_EQ(0, event_wait(fd, WAIT_MS));
	event_read(fd);
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, event_wait(fd, WAIT_MS));
	EXPECT_EQ(1, dev_get_base(d, TX));
	ASSERT_EQ(0, log_fd(d, -1));
	event_read(fd);
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(2, dev_get_base(d, TX));
	EXPECT_EQ(0, event_read(fd));
}

TEST_F(log, vring_log_without_log_all_ok)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_ring(self, RX, USED_GPA));
	ASSERT_EQ(0, log_ring(self, TX, USED_GPA + 16 * LOG_PAGE));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, flow_rx(&self->f));
	EXPECT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	EXPECT_EQ(1, log_has(self->log, USED_GPA));
	EXPECT_EQ(1, log_has(self->log, USED_GPA + 16 * LOG_PAGE));
	EXPECT_EQ(2, log_count(self->log));
}

TEST_F(log, log_all_without_vring_log_ok)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, flow_rx(&self->f));
	EXPECT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	EXPECT_EQ(1, log_has(self->log, gpa(d, self->f.rx_buf)));
	EXPECT_EQ(1, log_count(self->log));
}

TEST_F(log, base_moves_while_running_ok)
{
	struct dev *d = &self->f.d;
	uint8_t *to = log_alloc(LOG_SIZE);
	uint64_t buf = gpa(d, self->f.rx_buf);

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_ring(self, RX, USED_GPA));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 10; i++) {
		uint8_t *now = i & 1 ? to : self->log;

		ASSERT_EQ(0, log_base(d, now));
		memset(to, 0, LOG_SIZE);
		memset(self->log, 0, LOG_SIZE);
		EXPECT_EQ(0, flow_rx(&self->f));
		ASSERT_EQ(i + 1, dev_get_base(d, RX));
		EXPECT_EQ(1, log_has(now, buf));
		EXPECT_EQ(1, log_has(now, USED_GPA));
		EXPECT_EQ(0, log_count(i & 1 ? self->log : to));
	}
}

/*
 * A log that cannot be written: the client is told, the device neither hangs
 * nor dies, and with a good log it goes on.
 */
static int unwritable(fix *s, bool buffers)
{
	struct dev *d = &s->f.d;
	struct vq *vq = &d->vq[RX];
	int head, ret;

	head = flow_rx_add(&s->f);
	ret = flow_rx_inject(&s->f);
	if (!ret)
		ret = event_wait(vq->err, SOON_MS);
	if (ret)
		return ret;
	/* the frame that met it may be lost, but not the ring */
	ret = log_base(d, log_alloc(LOG_SIZE));
	if (!ret)
		ret = buffers ? log_all(s, true) : vq_set_addr(vq);
	vq_kick(vq);
	for (int i = 0; !ret && i < 2; i++) {
		if (!vq_used(vq))
			ret = flow_rx_inject(&s->f);
		if (!ret)
			ret = vq_wait(vq, 1, WAIT_MS);
		if (!ret && vq_pop(vq, NULL) != head)
			ret = -EPROTO;
		head = flow_rx_add(&s->f);
	}
	return ret;
}

TEST_F(log, unmapped_for_buffers_signals_error)
{
	ASSERT_EQ(0, log_base(&self->f.d, self->log));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(0, munmap(self->log, FAR_LOG));
	EXPECT_EQ(0, unwritable(self, true));
}

TEST_F(log, unmapped_for_used_ring_signals_error)
{
	ASSERT_EQ(0, log_base(&self->f.d, self->log));
	ASSERT_EQ(0, log_ring(self, RX, USED_GPA));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(0, munmap(self->log, FAR_LOG));
	EXPECT_EQ(0, unwritable(self, false));
}

TEST_F(log, read_only_for_buffers_signals_error)
{
	ASSERT_EQ(0, log_base(&self->f.d, self->log));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(0, mprotect(self->log, FAR_LOG, PROT_READ));
	EXPECT_EQ(0, unwritable(self, true));
}

#define AWAY_MS	200	/* the device waits for a little longer than that */

/*
 * A log that is away for a moment: the device has written what it must log by
 * then, and logs it when it can. Return: -EAGAIN if the moment was too long.
 */
static int away_once(fix *s, bool buffers)
{
	const uint8_t *frame = s->f.rx_buf + s->f.d.hdr_len;
	struct vq *vq = &s->f.d.vq[RX];
	const volatile struct vring_used *used = vq->used;
	unsigned int slot = vq->used_idx % vq->num;
	int64_t began, end = now_ms() + WAIT_MS;
	int head = flow_rx_add(&s->f);
	int ret;

	/* it says that kicks are not needed, which is logged as well */
	while (!used->flags)
		if (now_ms() > end)
			return -ETIMEDOUT;
	usleep(2000);
	began = now_ms();
	if (mprotect(s->log, FAR_LOG, PROT_NONE))
		return -errno;
	ret = flow_rx_inject(&s->f);
	while (buffers ? memcmp(frame, s->f.frame, FLOW_LEN) :
	       !used->ring[slot].len)
		if (now_ms() > end)
			return -ETIMEDOUT;
	usleep(2000);
	if (mprotect(s->log, FAR_LOG, PROT_READ | PROT_WRITE))
		return -errno;
	began = now_ms() - began;
	if (!ret)
		ret = flow_rx_done(&s->f, head);
	return ret || began < AWAY_MS ? ret : -EAGAIN;
}

static int away(fix *s, bool buffers)
{
	int ret;

	for (int tries = 0; tries < 10; tries++) {
		ret = away_once(s, buffers);
		if (ret != -EAGAIN)
			return ret;
		/* it does not wait again before it has seen the log back */
		if (flow_rx(&s->f))
			return -EIO;
		event_read(s->f.d.vq[RX].err);
	}
	return ret;
}

TEST_F(log, away_for_buffers_is_written_ok)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, away(self, true));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	EXPECT_EQ(1, log_has(self->log, gpa(d, self->f.rx_buf)));
	EXPECT_EQ(0, event_read(d->vq[RX].err));
}

TEST_F(log, away_for_used_ring_is_written_ok)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_ring(self, RX, USED_GPA));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, away(self, false));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	EXPECT_EQ(1, log_has(self->log, USED_GPA));
	EXPECT_EQ(0, event_read(d->vq[RX].err));
}

/* Whatever becomes of the log, frames to the host have no part in it. */
TEST_F(log, unmapped_leaves_tx_ok)
{
	ASSERT_EQ(0, log_base(&self->f.d, self->log));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, munmap(self->log, FAR_LOG));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, flow_tx(&self->f));
	}
	EXPECT_EQ(0, event_read(self->f.d.vq[TX].err));
}

/*
 * The frame that the device looked at is taken by another reader of the tap, and
 * a longer one is next: no more is written than is logged.
 */
TEST_F(log, longer_frame_is_not_written_unlogged)
{
	struct dev *d = &self->f.d;
	struct vq *vq = &d->vq[RX];
	uint8_t *buf = guest_alloc(d, 2 * LOG_PAGE, LOG_PAGE);
	struct seg s = { buf + LOG_PAGE - 100, 2048 };
	static uint8_t big[1400], none[LOG_PAGE];
	struct held held;
	ssize_t got;

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_LE(0, vq_add(vq, &s, 0, 1));
	vq_publish(vq);
	ASSERT_EQ(0, page_take(&held, vq->avail));
	ASSERT_EQ(0, flow_start(&self->f, RX));
	frame_fill(big, 60, true, 1);
	ASSERT_EQ(0, pkt_send(self->f.n.pkt, NULL, big, 60));
	ASSERT_EQ(0, event_wait(held.fd, WAIT_MS));
	frame_fill(big, sizeof(big), true, 2);
	ASSERT_EQ(0, pkt_send(self->f.n.pkt, NULL, big, sizeof(big)));
	got = read(self->f.n.tap, big, sizeof(big));
	ASSERT_EQ(0, page_give(&held));
	if (got != 60 + 12)
		SKIP(return, "the device took the frame before it had a buffer");

	/* a short one, which ends in the first page */
	frame_fill(big, 60, true, 3);
	ASSERT_EQ(0, pkt_send(self->f.n.pkt, NULL, big, 60));
	ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	EXPECT_EQ(1, log_has(self->log, gpa(d, buf)));
	EXPECT_EQ(0, log_has(self->log, gpa(d, buf + LOG_PAGE)));
	EXPECT_EQ(0, memcmp(buf + LOG_PAGE, none, LOG_PAGE));
}

TEST_F(log, reset_owner_forgets_log_ok)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, log_base(d, self->log));
	ASSERT_EQ(0, log_ring(self, RX, USED_GPA));
	ASSERT_EQ(0, log_all(self, true));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	memset(self->log, 0, LOG_SIZE);
	ASSERT_EQ(0, dev_own(d));
	ASSERT_EQ(0, dev_features(d, F_V1));
	ASSERT_EQ(0, dev_mem_table(d));
	d->vq[RX].log_gpa = 0;
	ASSERT_EQ(0, vq_setup(d, RX, 256));
	ASSERT_EQ(0, flow_start(&self->f, RX));
	EXPECT_EQ(0, flow_rx(&self->f));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	EXPECT_EQ(0, log_count(self->log));
}

TEST_HARNESS_MAIN
