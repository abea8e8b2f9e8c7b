// SPDX-License-Identifier: GPL-2.0-only
/* What the ioctls of a node say: in-tree's errors, and those of its own. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "fixture.h"
#include "slow_file.h"

FIXTURE(cuse) {
	struct fix f;
};

FIXTURE_SETUP(cuse)
{
	ASSERT_EQ(0, bring_up(&self->f));
}

FIXTURE_TEARDOWN(cuse)
{
	EXPECT_EQ(0, bring_down(&self->f));
	EXPECT_QUIET_KERNEL(self->f.kmsg);
}

TEST_F(cuse, features_ok)
{
	struct {
		uint64_t count, word[3];
	} array = { 3, { 1, 2, 3 } };
	struct dev *d = &self->f.d;
	uint64_t features = 0, backend = 0;

	ASSERT_EQ(0, dev_get_u64(d, VHOST_GET_FEATURES, &features));
	EXPECT_EQ(F_V1 | F_MRG | F_EVENT | F_INDIRECT, features &
		  (F_V1 | F_MRG | F_EVENT | F_INDIRECT));
	/* QEMU's log cannot be reached: QEMU must know. */
	EXPECT_EQ(0, features & F_LOG_ALL);
	EXPECT_EQ(0, dev_ioctl(d, VHOST_GET_FEATURES_ARRAY, &array,
			       sizeof(array)));
	EXPECT_EQ(3, array.count);
	EXPECT_EQ(features, array.word[0]);
	EXPECT_EQ(0, array.word[1] | array.word[2]);
	EXPECT_EQ(0, dev_ioctl(d, VHOST_SET_FEATURES_ARRAY, &array,
			       sizeof(array)));
	array.word[1] = 1;
	EXPECT_EQ(-EOPNOTSUPP, dev_ioctl(d, VHOST_SET_FEATURES_ARRAY, &array,
					 sizeof(array)));
	array.count = 1ULL << 61;
	EXPECT_EQ(-EFAULT, dev_ioctl(d, VHOST_SET_FEATURES_ARRAY, &array,
				     sizeof(array)));
	EXPECT_EQ(-EOPNOTSUPP, dev_features(d, features | F_LOG_ALL));
	EXPECT_EQ(-EFAULT, dev_ioctl(d, VHOST_GET_FEATURES, NULL, 0));
	EXPECT_EQ(0, dev_get_u64(d, VHOST_GET_BACKEND_FEATURES, &backend));
	EXPECT_EQ(BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2), backend);
	EXPECT_EQ(-EOPNOTSUPP, dev_u64(d, VHOST_SET_BACKEND_FEATURES, ~0ULL));
}

static int in_child(int (*func)(struct dev *d), struct dev *d)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(-func(d));
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ?
		-WEXITSTATUS(status) : -ECHILD;
}

static int set_num(struct dev *d)
{
	return dev_state(d, VHOST_SET_VRING_NUM, 0, RING);
}

static void *set_num_thread(void *d)
{
	return (void *)(intptr_t)set_num(d);
}

TEST_F(cuse, owner_eperm)
{
	struct dev *d = &self->f.d;
	pthread_t thread;
	void *ret;

	EXPECT_EQ(-EPERM, set_num(d));
	EXPECT_EQ(-EPERM, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, dev_own(d));
	EXPECT_EQ(-EBUSY, dev_own(d));
	EXPECT_EQ(0, set_num(d));
	EXPECT_EQ(-EPERM, in_child(set_num, d));
	EXPECT_EQ(-EBUSY, in_child(dev_own, d));
	/* FUSE names threads, and all of a process are the owner. */
	ASSERT_EQ(0, pthread_create(&thread, NULL, set_num_thread, d));
	pthread_join(thread, &ret);
	EXPECT_EQ(0, (intptr_t)ret);
	EXPECT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	EXPECT_EQ(-EPERM, set_num(d));
	EXPECT_EQ(0, in_child(dev_own, d));
	EXPECT_EQ(-EPERM, set_num(d));
}

TEST_F(cuse, arguments_fail)
{
	struct vhost_vring_state s = { .index = 1, .num = 7 };
	struct dev *d = &self->f.d;
	int fd = eventfd(0, 0);

	ASSERT_EQ(0, dev_own(d));
	s.index = 0;
	EXPECT_EQ(-ENOTTY, dev_ioctl(d, _IOW(VHOST_VIRTIO, 0x7e, int), &s,
				     sizeof(s)));
	s.index = 2;
	EXPECT_EQ(-ENOBUFS, dev_ioctl(d, _IOW(VHOST_VIRTIO, 0x7e, int), &s,
				      sizeof(s)));
	EXPECT_EQ(-ENOBUFS, dev_state(d, VHOST_SET_VRING_NUM, 2, RING));
	EXPECT_EQ(-EINVAL, dev_state(d, VHOST_SET_VRING_NUM, 0, 0));
	EXPECT_EQ(-EINVAL, dev_state(d, VHOST_SET_VRING_NUM, 0, 3));
	EXPECT_EQ(-EINVAL, dev_state(d, VHOST_SET_VRING_BASE, 0, 0x10000));
	EXPECT_EQ(-EBADF, dev_file(d, VHOST_SET_VRING_KICK, 0, 999));
	EXPECT_EQ(-EINVAL, dev_file(d, VHOST_SET_VRING_CALL, 0, self->f.n.tap));
	EXPECT_EQ(0, dev_file(d, VHOST_SET_VRING_CALL, 0, fd));
	EXPECT_EQ(0, dev_file(d, VHOST_SET_VRING_KICK, 0, -1));
	EXPECT_EQ(0, dev_file(d, VHOST_SET_VRING_ERR, 0, -1));
	EXPECT_EQ(-EOPNOTSUPP, dev_u64(d, VHOST_SET_LOG_BASE, 4096));
	EXPECT_EQ(0, dev_state(d, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, 1, 50));
	s = (struct vhost_vring_state){ .index = 1 };
	EXPECT_EQ(0, dev_ioctl(d, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s,
			       sizeof(s)));
	EXPECT_EQ(50, s.num);
	close(fd);
}

TEST_F(cuse, backend_fail)
{
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, dev_own(d));
	EXPECT_EQ(-EFAULT, dev_backend(d, RX, -1));
	ASSERT_EQ(0, shared_mem(&self->f));
	ASSERT_EQ(0, dev_mem_table(d));
	EXPECT_EQ(0, dev_backend(d, RX, -1));
	EXPECT_EQ(-ENOBUFS, dev_backend(d, 2, self->f.n.tap));
	EXPECT_EQ(-ENOTSOCK, dev_backend(d, RX, 999));
	EXPECT_EQ(-ENOTSOCK, dev_backend(d, RX, d->fd));
	EXPECT_EQ(-EINVAL, dev_backend(d, RX, tun));
	/* no ring */
	EXPECT_EQ(-EFAULT, dev_backend(d, RX, self->f.n.tap));
	EXPECT_TRUE(has_carrier(self->f.n.tap_if));
	close(tun);
}

/* -- memory ----------------------------------------------------------------- */

TEST_F(cuse, private_memory_eopnotsupp)
{
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, dev_own(d));
	ASSERT_EQ(0, dev_mem(d));
	EXPECT_EQ(-EOPNOTSUPP, dev_mem_table(d));
	EXPECT_EQ(0, echo_hear(&self->f.echo, "memory-backend-memfd", WAIT_MS));
}

TEST_F(cuse, no_memory_efault)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = GPA_BASE, .memory_size = 8192,
	};
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, dev_own(d));
	ASSERT_EQ(0, shared_mem(&self->f));
	r.userspace_addr = (uintptr_t)d->mem + MEM_SIZE - 4096;
	munmap(d->mem + MEM_SIZE - 8192, 8192);
	EXPECT_EQ(-EFAULT, dev_mem_regions(d, &r, 1));
	r.memory_size = 0;
	EXPECT_EQ(-EFAULT, dev_mem_regions(d, &r, 1));
	r.memory_size = -4096ULL;
	EXPECT_EQ(-EFAULT, dev_mem_regions(d, &r, 1));
}

/* One region, of several mappings and of two files, and frames in all. */
TEST_F(cuse, memory_in_pieces_ok)
{
	struct dev *d = &self->f.d;
	size_t half = MEM_SIZE / 2;
	int fd = memfd_create("other", MFD_CLOEXEC);

	ASSERT_EQ(0, own_and_share(&self->f, F_V1));
	ASSERT_EQ(0, ftruncate(fd, MEM_SIZE));
	ASSERT_NE(MAP_FAILED, mmap(d->mem + half, half, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, fd, 4096));
	close(fd);
	/* The same file, as two mappings. */
	ASSERT_EQ(0, madvise(d->mem + RING_AREA, 8192, MADV_DONTFORK));
	ASSERT_EQ(0, dev_mem_table(d));
	ASSERT_EQ(0, vq_setup(d, RX, RING));
	ASSERT_EQ(0, vq_setup(d, TX, RING));
	ASSERT_EQ(0, start(&self->f));
	/* Buffers in the first file, in both, in the second. */
	self->f.buf = d->mem + 2 * RING_AREA;
	EXPECT_EQ(0, there_and_back(&self->f, 1));
	self->f.buf = d->mem + half - 700;
	EXPECT_EQ(0, there_and_back(&self->f, 2));
	self->f.buf = d->mem + half + 4096;
	EXPECT_EQ(0, there_and_back(&self->f, 3));
}

static int give_mapping(struct dev *d, void *at, size_t len)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = GPA_BASE, .memory_size = len,
		.userspace_addr = (uintptr_t)at,
	};

	return dev_mem_regions(d, &r, 1);
}

static int give_file(struct dev *d, int fd)
{
	void *at = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int ret = at == MAP_FAILED ? -errno : give_mapping(d, at, 2 << 20);

	if (at != MAP_FAILED)
		munmap(at, 2 << 20);
	return ret;
}

/* As QEMU's memory-backend-file, and its memory-backend-memfd of huge pages. */
TEST_F(cuse, memory_of_other_mounts_ok)
{
	int shm = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
	int huge = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	struct dev *d = &self->f.d;

	ASSERT_EQ(0, dev_own(d));
	ASSERT_EQ(0, ftruncate(shm, 2 << 20));
	EXPECT_EQ(0, give_file(d, shm));
	close(shm);
	write_text("/proc/sys/vm/nr_hugepages", "4");
	if (huge < 0 || ftruncate(huge, 2 << 20))
		SKIP(return, "no huge pages to be had");
	EXPECT_EQ(0, give_file(d, huge));
	close(huge);
}

/* Neither memory nor a tap: its server is not asked, and others are served. */
TEST_F(cuse, memory_on_fuse_emediumtype)
{
	struct dev *d = &self->f.d, other = { .fd = -1 };
	struct slow_file slow;
	uint64_t features;
	void *at;

	ASSERT_EQ(0, slow_file_open(&slow));
	at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, slow.fd, 0);
	ASSERT_NE(MAP_FAILED, at);
	ASSERT_EQ(0, dev_own(d));
	ASSERT_EQ(0, shared_mem(&self->f));
	ASSERT_EQ(0, dev_mem_table(d));
	slow_file_silence(&slow);
	EXPECT_EQ(-EMEDIUMTYPE, give_mapping(d, at, 8192));
	EXPECT_EQ(0, echo_hear(&self->f.echo, "guest memory is no memfd",
			       WAIT_MS));
	EXPECT_EQ(-ENOTSOCK, dev_backend(d, RX, slow.fd));
	EXPECT_EQ(-EINVAL, dev_file(d, VHOST_SET_VRING_CALL, 0, slow.fd));
	EXPECT_EQ(0, dev_open(&other));
	EXPECT_EQ(0, dev_get_u64(&other, VHOST_GET_FEATURES, &features));
	dev_close(&other);
	slow_file_close(&slow);
	munmap(at, 8192);
}

/* -- node ------------------------------------------------------------------- */

TEST_F(cuse, second_node_eexist)
{
	struct echo echo;

	/* The node is there, if not its own. */
	echo_start(&echo, NODE, false);
	EXPECT_EQ(0, echo_hear(&echo, "ended ", WAIT_MS));
	EXPECT_NE(NULL, strstr(echo.text, "is there already"));
	EXPECT_EQ(-EEXIST, echo_stop(&echo));
}

TEST_F(cuse, refused_econnrefused)
{
	struct fix *f = &self->f;

	dev_close(&f->d);
	ASSERT_EQ(0, echo_stop(&f->echo));
	ASSERT_EQ(0, echo_start(&f->echo, NODE "-2", true));
	setenv("VHX_NODE", f->echo.node, 1);
	ASSERT_EQ(0, dev_open(&f->d));
	ASSERT_EQ(0, set_up(f, F_V1));
	EXPECT_EQ(-ECONNREFUSED, start(f));
	EXPECT_EQ(0, stop(f));
}

TEST_HARNESS_MAIN
