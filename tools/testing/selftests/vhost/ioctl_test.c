// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control plane without traffic: preconditions, values and errors of each
 * ioctl, natively and through the 32-bit entry. What a running ring accepts
 * is in backend_test.c.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "ctl_fixture.h"

#define OFFERED_MIN	(F_MRG | F_EMPTY | F_VNET_HDR | F_INDIRECT | F_EVENT | \
			 F_V1)

#define VHOST_UNKNOWN		_IOW(VHOST_VIRTIO, 0x6f, __u64)
#define VHOST_UNKNOWN_TYPE	_IOW(0xAE, 0x6f, __u64)

CTL_FIXTURE(ctl)

/* What the device says without an owner. */
TEST_F(ctl, before_owner_eperm)
{
	static const unsigned long nrs[] = {
		VHOST_RESET_OWNER, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_ADDR, VHOST_SET_VRING_BASE,
		VHOST_GET_VRING_BASE, VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
		VHOST_NET_SET_BACKEND, VHOST_UNKNOWN,
	};
	uint32_t arg[32] = { 0 };

	RUN_IF_SET_UP();
	for (size_t i = 0; i < sizeof(nrs) / sizeof(*nrs); i++) {
		EXPECT_EQ(-EPERM, dev_ioctl(&self->d, nrs[i], arg, sizeof(arg)))
			TH_LOG("ioctl %lx", nrs[i]);
	}
	arg[0] = 2;
	EXPECT_EQ(-EPERM, dev_ioctl(&self->d, VHOST_SET_VRING_NUM, arg,
				    sizeof(arg)));
}

TEST_F(ctl, before_owner_features_ok)
{
	uint64_t v;

	RUN_IF_SET_UP();
	EXPECT_EQ(0, dev_get_u64(&self->d, VHOST_GET_FEATURES, &v));
	EXPECT_EQ(0, dev_u64(&self->d, VHOST_SET_FEATURES, F_V1));
	EXPECT_EQ(0, dev_get_u64(&self->d, VHOST_GET_BACKEND_FEATURES, &v));
	EXPECT_EQ(0, dev_u64(&self->d, VHOST_SET_BACKEND_FEATURES, 0));
}

TEST_F(ctl, owner_twice_ebusy)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EBUSY, dev_own(&self->d));
}

TEST_F(ctl, unknown_small_index_enotty)
{
	uint64_t v;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (v = 0; v < 2; v++) {
		EXPECT_EQ(-ENOTTY, dev_ioctl(&self->d, VHOST_UNKNOWN, &v,
					     sizeof(v)));
	}
	v = 0;
	EXPECT_EQ(-ENOTTY, dev_ioctl(&self->d, VHOST_UNKNOWN_TYPE, &v,
				     sizeof(v)));
}

TEST_F(ctl, unknown_big_index_enobufs)
{
	struct vhost_vring_state v = { .index = 2 };

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-ENOBUFS, dev_ioctl(&self->d, VHOST_UNKNOWN, &v, sizeof(v)));
}

TEST_F(ctl, unknown_null_efault)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_UNKNOWN, NULL, 0));
}

TEST_F(ctl, unreadable_arg_efault)
{
	static const unsigned long nrs[] = {
		VHOST_SET_FEATURES, VHOST_GET_FEATURES, VHOST_SET_MEM_TABLE,
		VHOST_SET_BACKEND_FEATURES, VHOST_GET_BACKEND_FEATURES,
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE,
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR, VHOST_NET_SET_BACKEND,
	};
	void *wild = (void *)0x100;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (size_t i = 0; i < sizeof(nrs) / sizeof(*nrs); i++) {
		EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, nrs[i], NULL, 0))
			TH_LOG("ioctl %lx", nrs[i]);
		EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, nrs[i], wild, 0))
			TH_LOG("ioctl %lx", nrs[i]);
	}
}

/* RESET_OWNER: back to a fresh device. */
TEST_F(ctl, reset_owner_ok)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(d));
	EXPECT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	EXPECT_EQ(-EPERM, dev_mem_table(d));
	EXPECT_EQ(-EPERM, dev_backend(d, TX, -1));
	EXPECT_EQ(-EPERM, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, dev_own(d));
	EXPECT_EQ(0, dev_backend(d, TX, -1));
	ASSERT_EQ(0, dev_mem_table(d));
	EXPECT_EQ(0, dev_get_base(d, RX));
}

/* A child of the owner has other memory: it is not the owner. */
TEST_F(ctl, fork_child_eperm)
{
	struct dev *d = &self->d;
	int status;
	pid_t pid;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(d));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (dev_mem_table(d) != -EPERM)
			_exit(1);
		if (dev_get_base(d, 0) != -EPERM)
			_exit(2);
		if (dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0) != -EPERM)
			_exit(3);
		if (dev_own(d) != -EBUSY)
			_exit(4);
		if (dev_u64(d, VHOST_SET_FEATURES, F_V1))
			_exit(5);
		if (dev_u64(d, VHOST_SET_BACKEND_FEATURES, 0))
			_exit(6);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, dev_mem_table(d));
}

/* The other direction: who inherits the file may not, the owner may. */
TEST_F(ctl, parent_of_owner_eperm)
{
	struct dev *d = &self->d;
	int pipefd[2], status;
	char c = 0;
	pid_t pid;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, pipe(pipefd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		c = dev_own(d) ? 1 : 0;
		if (write(pipefd[1], &c, 1) != 1)
			_exit(2);
		pause();
		_exit(3);
	}
	ASSERT_EQ(1, read(pipefd[0], &c, 1));
	EXPECT_EQ(0, c);
	EXPECT_EQ(-EBUSY, dev_own(d));
	EXPECT_EQ(-EPERM, dev_mem_regions(d, NULL, 0));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(-EBUSY, dev_own(d));
}

/* Features. */
TEST_F(ctl, features_minimum_offered_ok)
{
	uint64_t v = 0;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_FEATURES, &v));
	DIAG("features offered: 0x%llx", (unsigned long long)v);
	EXPECT_EQ(OFFERED_MIN, v & OFFERED_MIN);
	ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_BACKEND_FEATURES, &v));
	DIAG("backend features offered: 0x%llx", (unsigned long long)v);
}

TEST_F(ctl, features_every_offered_bit_ok)
{
	uint64_t v = 0;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_FEATURES, &v));
	EXPECT_EQ(0, dev_u64(&self->d, VHOST_SET_FEATURES, 0));
	for (int bit = 0; bit < 64; bit++) {
		int ret = dev_u64(&self->d, VHOST_SET_FEATURES, BIT_ULL(bit));

		EXPECT_EQ(v & BIT_ULL(bit) ? 0 : -EOPNOTSUPP, ret)
			TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(0, dev_u64(&self->d, VHOST_SET_FEATURES, v));
}

TEST_F(ctl, features_not_offered_eopnotsupp)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EOPNOTSUPP, dev_u64(&self->d, VHOST_SET_FEATURES, 1));
	EXPECT_EQ(-EOPNOTSUPP, dev_u64(&self->d, VHOST_SET_FEATURES,
				       BIT_ULL(38) /* NOTIFICATION_DATA */));
	EXPECT_EQ(-EOPNOTSUPP, dev_u64(&self->d, VHOST_SET_FEATURES,
				       BIT_ULL(63) | F_V1));
}

TEST_F(ctl, backend_features_not_offered_eopnotsupp)
{
	uint64_t v = 0;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_BACKEND_FEATURES, &v));
	for (int bit = 0; bit < 64; bit++) {
		int ret = dev_u64(&self->d, VHOST_SET_BACKEND_FEATURES,
				  BIT_ULL(bit));

		EXPECT_EQ(v & BIT_ULL(bit) ? 0 : -EOPNOTSUPP, ret)
			TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(0, dev_u64(&self->d, VHOST_SET_BACKEND_FEATURES, v));
}

/* Rings. */
TEST_F(ctl, vring_num_power_of_two_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (unsigned int num = 1; num <= 32768; num *= 2) {
		EXPECT_EQ(0, dev_state(&self->d, VHOST_SET_VRING_NUM, RX, num));
	}
}

TEST_F(ctl, vring_num_bad_einval)
{
	static const unsigned int bad[] = { 0, 3, 255, 65535, 65536, 131072,
					    0x80000000u, ~0u };

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(-EINVAL, dev_state(&self->d, VHOST_SET_VRING_NUM, TX,
					     bad[i]))
			TH_LOG("num %u", bad[i]);
	}
}

TEST_F(ctl, vring_index_enobufs)
{
	struct dev *d = &self->d;
	struct vhost_vring_addr a = { .index = 2 };
	struct vhost_vring_state s = { .index = ~0u };

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(d));
	EXPECT_EQ(-ENOBUFS, dev_state(d, VHOST_SET_VRING_NUM, 2, 256));
	EXPECT_EQ(-ENOBUFS, dev_state(d, VHOST_SET_VRING_BASE, 2, 0));
	EXPECT_EQ(-ENOBUFS, dev_ioctl(d, VHOST_GET_VRING_BASE, &s, sizeof(s)));
	EXPECT_EQ(-ENOBUFS, dev_ioctl(d, VHOST_SET_VRING_ADDR, &a, sizeof(a)));
	EXPECT_EQ(-ENOBUFS, dev_file(d, VHOST_SET_VRING_KICK, 2, -1));
	EXPECT_EQ(-ENOBUFS, dev_file(d, VHOST_SET_VRING_CALL, 2, -1));
	EXPECT_EQ(-ENOBUFS, dev_file(d, VHOST_SET_VRING_ERR, 2, -1));
}

TEST_F(ctl, vring_base_any_16_bits_ok)
{
	static const int good[] = { 0, 1, 255, 256, 32768, 65535 };

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		EXPECT_EQ(0, dev_state(&self->d, VHOST_SET_VRING_BASE, TX,
				       good[i]));
		EXPECT_EQ(good[i], dev_get_base(&self->d, TX));
		EXPECT_EQ(0, dev_get_base(&self->d, RX));
	}
}

TEST_F(ctl, vring_base_over_16_bits_einval)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EINVAL, dev_state(&self->d, VHOST_SET_VRING_BASE, TX,
				     65536));
	EXPECT_EQ(-EINVAL, dev_state(&self->d, VHOST_SET_VRING_BASE, TX, ~0u));
}

/* Without the dirty log no flag means anything; with it, bit 0 does. */
TEST_F(ctl, vring_addr_flags_eopnotsupp)
{
	struct dev *d = &self->d;
	struct vhost_vring_addr a;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(d));
	vq_addr(&d->vq[TX], &a);
	for (int bit = 1; bit < 32; bit++) {
		a.flags = 1u << bit;
		EXPECT_EQ(-EOPNOTSUPP, dev_ioctl(d, VHOST_SET_VRING_ADDR, &a,
						 sizeof(a)));
	}
	/* the flags are looked at before the addresses */
	a.avail_user_addr |= 1;
	EXPECT_EQ(-EOPNOTSUPP, dev_ioctl(d, VHOST_SET_VRING_ADDR, &a,
					 sizeof(a)));
}

TEST_F(ctl, vring_addr_log_not_offered_eopnotsupp)
{
	struct dev *d = &self->d;
	struct vhost_vring_addr a;
	uint64_t v = 0;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(d));
	ASSERT_EQ(0, dev_get_u64(d, VHOST_GET_FEATURES, &v));
	vq_addr(&d->vq[TX], &a);
	a.flags = 1 << VHOST_VRING_F_LOG;
	EXPECT_EQ(v & BIT_ULL(VHOST_F_LOG_ALL) ? 0 : -EOPNOTSUPP,
		  dev_ioctl(d, VHOST_SET_VRING_ADDR, &a, sizeof(a)));
}

TEST_F(ctl, vring_addr_unaligned_einval)
{
	struct dev *d = &self->d;
	struct vhost_vring_addr a;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(d));
	vq_addr(&d->vq[TX], &a);
	a.avail_user_addr |= 1;
	EXPECT_EQ(-EINVAL, dev_ioctl(d, VHOST_SET_VRING_ADDR, &a, sizeof(a)));
	for (int low = 1; low < 4; low++) {
		vq_addr(&d->vq[TX], &a);
		a.used_user_addr |= low;
		EXPECT_EQ(-EINVAL, dev_ioctl(d, VHOST_SET_VRING_ADDR, &a,
					     sizeof(a)));
		vq_addr(&d->vq[TX], &a);
		a.log_guest_addr |= low;
		EXPECT_EQ(-EINVAL, dev_ioctl(d, VHOST_SET_VRING_ADDR, &a,
					     sizeof(a)));
	}
}

TEST_F(ctl, vring_addr_unchecked_while_down_ok)
{
	struct dev *d = &self->d;
	struct vhost_vring_addr a = {
		.index = TX,
		.desc_user_addr = KERNEL_ADDR + 1,
		.avail_user_addr = KERNEL_ADDR,
	};

	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(d));
	EXPECT_EQ(0, dev_ioctl(d, VHOST_SET_VRING_ADDR, &a, sizeof(a)));
}

static const unsigned long file_nrs[] = {
	VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
};

TEST_F(ctl, vring_file_unbind_ok)
{
	int efd = eventfd(0, 0);

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, dev_file(&self->d, file_nrs[i], TX, -1));
		EXPECT_EQ(0, dev_file(&self->d, file_nrs[i], TX, efd));
		EXPECT_EQ(0, dev_file(&self->d, file_nrs[i], TX, efd));
		EXPECT_EQ(0, dev_file(&self->d, file_nrs[i], RX, efd));
		EXPECT_EQ(0, dev_file(&self->d, file_nrs[i], TX, -1));
		EXPECT_EQ(0, dev_file(&self->d, file_nrs[i], TX, -1));
	}
}

TEST_F(ctl, vring_file_closed_ebadf)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-EBADF, dev_file(&self->d, file_nrs[i], TX,
					   FD_CLOSED));
		EXPECT_EQ(-EBADF, dev_file(&self->d, file_nrs[i], TX, -2));
	}
}

TEST_F(ctl, vring_file_no_eventfd_einval)
{
	int fd = open("/dev/null", O_RDWR);

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-EINVAL, dev_file(&self->d, file_nrs[i], TX, fd));
	}
}

TEST_HARNESS_MAIN
