// SPDX-License-Identifier: GPL-2.0-only
/* SET_MEM_TABLE: limits and values, natively and by the 32-bit entry. */
#include <sys/mman.h>

#include "ctl_fixture.h"

CTL_FIXTURE(memtab)

TEST_F(memtab, padding_eopnotsupp)
{
	struct vhost_memory m = { .nregions = 0, .padding = 1 };

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EOPNOTSUPP, dev_ioctl(&self->d, VHOST_SET_MEM_TABLE, &m,
					 sizeof(m)));
}

TEST_F(memtab, empty_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(0, dev_mem_regions(&self->d, NULL, 0));
}

/* The limit of the module that is loaded: vhost's or ours. */
static unsigned int max_regions(void)
{
	unsigned int max = 0;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/max_mem_regions",
		 strcmp(module_name(), "vhost_net") ? module_name() : "vhost");
	f = fopen(path, "re");
	if (f && fscanf(f, "%u", &max) != 1)
		max = 0;
	if (f)
		fclose(f);
	return max;
}

static void fill_regions(struct dev *d, struct vhost_memory_region *r,
			 unsigned int n)
{
	memset(r, 0, n * sizeof(*r));
	for (unsigned int i = 0; i < n; i++) {
		r[i].guest_phys_addr = GPA_BASE + 8192ULL * (n - i);
		r[i].memory_size = 4096;
		r[i].userspace_addr = (uintptr_t)d->mem + 4096ULL * i;
	}
}

TEST_F(memtab, max_regions_ok)
{
	unsigned int max = max_regions();
	struct vhost_memory_region *r = calloc(max + 1, sizeof(*r));

	RUN_IF_SET_UP();
	ASSERT_NE(0, max);
	DIAG("max_mem_regions: %u", max);
	ASSERT_EQ(0, owned(&self->d));
	fill_regions(&self->d, r, max);
	EXPECT_EQ(0, dev_mem_regions(&self->d, r, max));
	free(r);
}

TEST_F(memtab, over_max_e2big)
{
	unsigned int max = max_regions();
	struct vhost_memory_region *r = calloc(max + 1, sizeof(*r));

	RUN_IF_SET_UP();
	ASSERT_NE(0, max);
	ASSERT_EQ(0, owned(&self->d));
	fill_regions(&self->d, r, max + 1);
	EXPECT_EQ(-E2BIG, dev_mem_regions(&self->d, r, max + 1));
	free(r);
}

TEST_F(memtab, huge_count_e2big)
{
	struct vhost_memory m = { .nregions = ~0u };

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-E2BIG, dev_ioctl(&self->d, VHOST_SET_MEM_TABLE, &m,
				    sizeof(m)));
}

TEST_F(memtab, regions_unreadable_efault)
{
	struct vhost_memory *m;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_own(&self->d));
	/* the header is the last thing on its page, nothing follows */
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)m);
	ASSERT_EQ(0, munmap((char *)m + 4096, 4096));
	m = (void *)((char *)m + 4096 - sizeof(*m));
	m->nregions = 1;
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_MEM_TABLE, m, 0));
}

static int one_region(struct dev *d, uint64_t at, uint64_t size, uint64_t ua)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = at, .memory_size = size,
		.userspace_addr = ua,
	};

	return dev_mem_regions(d, &r, 1);
}

TEST_F(memtab, size_zero_efault)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, owned(&self->d));
	EXPECT_EQ(-EFAULT, one_region(&self->d, 4096, 0,
				      (uintptr_t)self->d.mem));
}

/* It is no more at the bottom than elsewhere, and no region of everything. */
TEST_F(memtab, size_zero_at_bottom_efault)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, owned(&self->d));
	EXPECT_EQ(-EFAULT, one_region(&self->d, 0, 0, (uintptr_t)self->d.mem));
}

TEST_F(memtab, gpa_wraps_efault)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, owned(&self->d));
	EXPECT_EQ(-EFAULT, one_region(&self->d, ~0ULL - 4095, 8192,
				      (uintptr_t)self->d.mem));
	EXPECT_EQ(-EFAULT, one_region(&self->d, 8192, ~0ULL - 4095,
				      (uintptr_t)self->d.mem));
}

TEST_F(memtab, overlap_ok)
{
	struct dev *d = &self->d;
	struct vhost_memory_region r[2];

	RUN_IF_SET_UP();
	ASSERT_EQ(0, owned(d));
	fill_regions(d, r, 2);
	r[1].guest_phys_addr = r[0].guest_phys_addr;
	EXPECT_EQ(0, dev_mem_regions(d, r, 2));
	r[1].memory_size = 12288;
	EXPECT_EQ(0, dev_mem_regions(d, r, 2));
}

TEST_F(memtab, kernel_address_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, owned(&self->d));
	EXPECT_EQ(0, one_region(&self->d, GPA_BASE, 4096, KERNEL_ADDR));
}

/* A failed table leaves the old one: SET_BACKEND still finds a table. */
TEST_F(memtab, failure_keeps_old_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, ready(&self->d));
	EXPECT_EQ(-EFAULT, one_region(&self->d, 4096, 0, 0));
	EXPECT_EQ(0, dev_backend(&self->d, TX, -1));
}

TEST_HARNESS_MAIN
