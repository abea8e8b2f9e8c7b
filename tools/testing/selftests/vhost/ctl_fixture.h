/* SPDX-License-Identifier: GPL-2.0-only */
/* A device of which nothing is set up, by either system call entry. */
#ifndef CTL_FIXTURE_H
#define CTL_FIXTURE_H

#include <errno.h>

#include "harness.h"

#define KERNEL_ADDR	0xffff888000000000ULL
#define FD_CLOSED	1000000

#define CTL_FIXTURE(fixture)						\
FIXTURE(fixture) {							\
	struct dev d;							\
	int kmsg;							\
};									\
FIXTURE_VARIANT(fixture) {						\
	bool compat;							\
};									\
FIXTURE_VARIANT_ADD(fixture, native) { .compat = false };		\
FIXTURE_VARIANT_ADD(fixture, compat) { .compat = true };		\
FIXTURE_SETUP(fixture)							\
{									\
	self->d.fd = -1;						\
	self->kmsg = -1;						\
	if (variant->compat && !compat_works())				\
		SKIP(return, "no 32-bit system calls in this kernel");	\
	self->kmsg = kmsg_open();					\
	self->d.compat = variant->compat;				\
	ASSERT_EQ(0, dev_open(&self->d));				\
}									\
FIXTURE_TEARDOWN(fixture)						\
{									\
	dev_close(&self->d);						\
	EXPECT_QUIET_KERNEL(self->kmsg);				\
}

static inline int owned(struct dev *d)
{
	int ret = dev_own(d);

	return ret ? ret : dev_mem(d);
}

/* Owner, features, memory, both rings: all but the backends. */
static inline int ready(struct dev *d)
{
	int ret = owned(d);

	if (!ret)
		ret = dev_features(d, F_V1);
	if (!ret)
		ret = dev_mem_table(d);
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(d, q, 256);
	return ret;
}

#endif /* CTL_FIXTURE_H */
