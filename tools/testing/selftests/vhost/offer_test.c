// SPDX-License-Identifier: GPL-2.0-only
/* <linux/vhx.h>: the feature set that an open node offers. */
#include <linux/vhx.h>

#include "ctl_fixture.h"

/* GET_FEATURES of the stock modules. */
#define STOCK_6_1	0x33d008000ULL
#define STOCK_6_12	0x1033d008000ULL
#define STOCK_7_3	0x10b3d008000ULL
/* No kernel's own: VIRTIO_F_RING_PACKED. */
#define ALL		(STOCK_7_3 | F_PACKED)

#define ONLY_OURS() do {						\
	RUN_IF_SET_UP();						\
	if (strcmp(module_name(), "vhx_net"))				\
		SKIP(return, "an ioctl of vhx_net alone");		\
} while (0)

CTL_FIXTURE(offer)

static int set(struct dev *d, uint32_t set, uint32_t reserved)
{
	struct vhx_feature_set arg = { .set = set, .reserved = reserved };

	return dev_ioctl(d, VHX_SET_FEATURE_SET, &arg, sizeof(arg));
}

TEST_F(offer, sets_are_right_ok)
{
	static const uint64_t sets[] = {
		[VHX_FEATURES_ALL] = ALL,
		[VHX_FEATURES_LINUX_6_1] = STOCK_6_1,
		[VHX_FEATURES_LINUX_6_12] = STOCK_6_12,
		[VHX_FEATURES_LINUX_7_3] = STOCK_7_3,
	};
	uint64_t got;

	ONLY_OURS();
	for (uint32_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		ASSERT_EQ(0, set(&self->d, i, 0));
		ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_FEATURES, &got));
		EXPECT_EQ(sets[i], got);
	}
}

TEST_F(offer, pinned_set_refuses_others_eopnotsupp)
{
	ONLY_OURS();
	ASSERT_EQ(0, set(&self->d, VHX_FEATURES_LINUX_6_1, 0));
	EXPECT_EQ(0, dev_u64(&self->d, VHOST_SET_FEATURES, STOCK_6_1));
	EXPECT_EQ(-EOPNOTSUPP, dev_u64(&self->d, VHOST_SET_FEATURES,
				       F_V1 | BIT_ULL(VIRTIO_F_RING_RESET)));
	EXPECT_EQ(-EOPNOTSUPP, dev_u64(&self->d, VHOST_SET_FEATURES,
				       F_V1 | F_PACKED));
}

TEST_F(offer, unknown_set_einval)
{
	ONLY_OURS();
	EXPECT_EQ(-EINVAL, set(&self->d, VHX_FEATURES_LINUX_7_3 + 1, 0));
	EXPECT_EQ(-EINVAL, set(&self->d, UINT32_MAX, 0));
	EXPECT_EQ(-EINVAL, set(&self->d, VHX_FEATURES_ALL, 1));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHX_SET_FEATURE_SET, NULL, 0));
}

TEST_F(offer, with_owner_ebusy)
{
	ONLY_OURS();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EBUSY, set(&self->d, VHX_FEATURES_LINUX_6_1, 0));
}

/* Else they would stay in force without being on offer. */
TEST_F(offer, features_accepted_ebusy)
{
	uint64_t got;

	ONLY_OURS();
	ASSERT_EQ(0, dev_features(&self->d, F_V1 | F_PACKED));
	EXPECT_EQ(-EBUSY, set(&self->d, VHX_FEATURES_LINUX_6_1, 0));
	EXPECT_EQ(-EBUSY, set(&self->d, VHX_FEATURES_ALL, 0));
	ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_FEATURES, &got));
	EXPECT_EQ(ALL, got);
	/* none accepted */
	ASSERT_EQ(0, dev_features(&self->d, 0));
	EXPECT_EQ(0, set(&self->d, VHX_FEATURES_LINUX_6_1, 0));
	/* the owner's go with it, the offer stays */
	ASSERT_EQ(0, dev_features(&self->d, F_V1));
	ASSERT_EQ(0, dev_own(&self->d));
	ASSERT_EQ(0, dev_ioctl(&self->d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_FEATURES, &got));
	EXPECT_EQ(STOCK_6_1, got);
	EXPECT_EQ(0, set(&self->d, VHX_FEATURES_ALL, 0));
}

TEST_HARNESS_MAIN
