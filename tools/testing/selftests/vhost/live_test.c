// SPDX-License-Identifier: GPL-2.0-only
/* Limits of what a running ring accepts, at the border itself. */
#include <sys/eventfd.h>

#include "ctl_fixture.h"
#include "flow_lib.h"

FIXTURE(live) {
	struct flow f;
	int kmsg;
};

FIXTURE_SETUP(live)
{
	struct dev *d = &self->f.d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(d, F_V1));
	ASSERT_EQ(0, vq_setup(d, RX, 256));
	ASSERT_EQ(0, vq_setup(d, TX, 256));
	self->f.tx_buf = guest_alloc(d, FLOW_ROOM, 4096);
	self->f.rx_buf = guest_alloc(d, FLOW_ROOM, 4096);
	ASSERT_EQ(0, flow_start(&self->f, RX));
	ASSERT_EQ(0, flow_start(&self->f, TX));
}

FIXTURE_TEARDOWN(live)
{
	dev_close(&self->f.d);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static int region(struct dev *d, uint64_t size, uint64_t uaddr)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = GPA_BASE, .memory_size = size,
		.userspace_addr = uaddr,
	};

	return dev_mem_regions(d, &r, 1);
}

TEST_F(live, mem_table_user_address_wraps_efault)
{
	struct dev *d = &self->f.d;

	EXPECT_EQ(-EFAULT, region(d, 1ULL << 63, (uintptr_t)d->mem |
				  1ULL << 63));
	EXPECT_EQ(-EFAULT, region(d, ~0ULL - GPA_BASE, (uintptr_t)d->mem));
	EXPECT_EQ(-EFAULT, region(d, 8192, ~0ULL - 4095));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(0, flow_rx(&self->f));
}

static int set_avail(struct dev *d, uint64_t at)
{
	struct vhost_vring_addr a;

	vq_addr(&d->vq[TX], &a);
	a.avail_user_addr = at;
	return dev_ioctl(d, VHOST_SET_VRING_ADDR, &a, sizeof(a));
}

/* With EVENT_IDX the avail ring is two bytes longer. */
TEST_F(live, addr_without_room_for_event_einval)
{
	struct dev *d = &self->f.d;
	uint64_t good = (uintptr_t)d->vq[TX].avail, bad = ~1ULL;

	ASSERT_EQ(-EINVAL, set_avail(d, bad));
	while (bad - good > 2) {
		uint64_t mid = (good + (bad - good) / 2) & ~1ULL;

		if (set_avail(d, mid))
			bad = mid;
		else
			good = mid;
	}
	ASSERT_EQ(0, set_avail(d, good - 2));
	ASSERT_EQ(0, vq_set_addr(&d->vq[TX]));
	ASSERT_EQ(0, dev_u64(d, VHOST_SET_FEATURES, F_V1 | F_EVENT));
	EXPECT_EQ(-EINVAL, set_avail(d, good));
	EXPECT_EQ(0, set_avail(d, good - 2));
	ASSERT_EQ(0, vq_set_addr(&d->vq[TX]));
	ASSERT_EQ(0, dev_u64(d, VHOST_SET_FEATURES, F_V1));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* An eventfd that the kernel has signalled past its end is in error. */
TEST_F(live, kick_overflowed_einval)
{
	struct dev *d = &self->f.d;
	struct vq *vq = &d->vq[TX];
	uint64_t most = ~0ULL - 1;
	int fd = eventfd(0, EFD_NONBLOCK);

	ASSERT_EQ(8, write(fd, &most, sizeof(most)));
	ASSERT_EQ(0, dev_file(d, VHOST_SET_VRING_CALL, TX, fd));
	flow_tx_add(&self->f);
	ASSERT_EQ(0, vq_spin(vq, 1, WAIT_MS));
	/* excludes the worker, which calls at the end of its turn */
	ASSERT_EQ(1, dev_get_base(d, TX));
	EXPECT_EQ(-EINVAL, dev_file(d, VHOST_SET_VRING_KICK, RX, fd));
	/* another one makes up for it */
	ASSERT_EQ(0, dev_file(d, VHOST_SET_VRING_KICK, RX, d->vq[RX].kick));
	EXPECT_EQ(0, flow_rx(&self->f));
}

/* The numbers of both directions are apart. */
TEST_F(live, get_base_of_each_ring_ok)
{
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, flow_tx(&self->f));
	}
	ASSERT_EQ(0, flow_rx(&self->f));
	EXPECT_EQ(3, dev_get_base(&self->f.d, TX));
	EXPECT_EQ(1, dev_get_base(&self->f.d, RX));
}

TEST_HARNESS_MAIN
