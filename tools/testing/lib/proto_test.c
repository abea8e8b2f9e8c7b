// SPDX-License-Identifier: GPL-2.0-only
/* The control plane of libvhx over a socket, by clients good and bad. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <kselftest_harness.h>

#include "frontend.h"
#include "user.h"

#define FEATURES	(F_V1 | F_MRG | F_EVENT | F_INDIRECT)

FIXTURE(proto) {
	struct user u;
	struct front f;
	int nr_fds;
};

FIXTURE_SETUP(proto)
{
	front_init(&self->f);
	self->nr_fds = count_fds();
	ASSERT_EQ(0, user_open(&self->u, 2, 0));
	ASSERT_EQ(0, user_start(&self->u));
}

FIXTURE_TEARDOWN(proto)
{
	front_close(&self->f);
	user_close(&self->u);
	EXPECT_EQ(self->nr_fds, count_fds());
}

typedef FIXTURE_DATA(proto) fix;

static int up(fix *s)
{
	int ret = front_open(&s->f, s->u.path, FEATURES, 256);

	return ret ? ret : user_wait(&s->u, 3);
}

/* A new peer is served: whatever others did. */
static int is_well(fix *s)
{
	return front_is_served(s->u.path);
}

TEST_F(proto, callbacks_in_order_ok)
{
	ASSERT_EQ(0, up(self));
	EXPECT_STREQ("cn++", self->u.events);
	EXPECT_LE(0, front_stop(&self->f, RX));
	EXPECT_STREQ("cn++-", self->u.events);
	EXPECT_LE(0, front_stop(&self->f, TX));
	EXPECT_STREQ("cn++--d", self->u.events);
	front_close(&self->f);
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_STREQ("cn++--dx", self->u.events);
}

/* The device ends before its peer's death is told of. */
TEST_F(proto, peer_dies_ok)
{
	ASSERT_EQ(0, up(self));
	front_close(&self->f);
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_STREQ("cn++--dx", self->u.events);
	EXPECT_EQ(0, up(self));
}

TEST_F(proto, enable_before_all_else_ok)
{
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	ASSERT_EQ(0, front_state(&self->f, SET_VRING_ENABLE, RX, 1));
	ASSERT_EQ(0, front_state(&self->f, SET_VRING_ENABLE, TX, 1));
	ASSERT_EQ(0, front_memory(&self->f));
	ASSERT_EQ(0, front_ring(&self->f, RX, 64));
	ASSERT_EQ(0, front_ring(&self->f, TX, 64));
	EXPECT_EQ(NULL, strchr(self->u.events, 'n'));
	vq_kick(&self->f.d.vq[RX]);
	vq_kick(&self->f.d.vq[TX]);
	EXPECT_EQ(0, user_wait(&self->u, 3));
}

TEST_F(proto, disabled_and_enabled_ok)
{
	ASSERT_EQ(0, up(self));
	ASSERT_EQ(0, front_state(&self->f, SET_VRING_ENABLE, TX, 0));
	EXPECT_STREQ("cn++-", self->u.events);
	ASSERT_EQ(0, front_state(&self->f, SET_VRING_ENABLE, TX, 1));
	EXPECT_EQ(0, user_wait(&self->u, 3));
}

TEST_F(proto, refused_device_is_hung_up_on)
{
	self->u.refuses = true;
	front_open(&self->f, self->u.path, FEATURES, 256);
	EXPECT_EQ(0, front_hangs_up(&self->f));
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_EQ(NULL, strchr(self->u.events, 'd'));
}

TEST_F(proto, mtu_rarp_status_reset_ok)
{
	const uint8_t mac[8] = { 2, 0, 0, 1, 2, 3 };
	uint64_t val;

	ASSERT_EQ(0, up(self));
	EXPECT_EQ(0, front_u64(&self->f, NET_SET_MTU, 1500));
	EXPECT_EQ(1500, vhx_device_mtu(self->u.dev));
	EXPECT_EQ(-EINVAL, front_u64(&self->f, NET_SET_MTU, 10));
	ASSERT_EQ(0, front_ack(&self->f, SEND_RARP, mac, 8, NULL, 0));
	EXPECT_EQ(0, memcmp(mac, self->u.mac, 6));
	ASSERT_EQ(0, front_get_u64(&self->f, GET_QUEUE_NUM, &val));
	EXPECT_EQ(4, val);
	ASSERT_EQ(0, front_get_u64(&self->f, GET_MAX_MEM_SLOTS, &val));
	EXPECT_EQ(509, val);
	ASSERT_EQ(0, front_u64(&self->f, SET_STATUS, 0xf));
	ASSERT_EQ(0, front_get_u64(&self->f, GET_STATUS, &val));
	EXPECT_EQ(0xf, val);
	ASSERT_EQ(0, front_ack(&self->f, RESET_DEVICE, NULL, 0, NULL, 0));
	EXPECT_EQ(0, user_wait_event(&self->u, 'd'));
	ASSERT_EQ(0, front_get_u64(&self->f, GET_STATUS, &val));
	EXPECT_EQ(0, val);
}

TEST_F(proto, features_not_offered_einval)
{
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	EXPECT_EQ(-EINVAL, front_u64(&self->f, SET_FEATURES, 1ULL << 63));
	EXPECT_EQ(0, is_well(self));
}

TEST_F(proto, features_switched_off_ok)
{
	struct user u;
	struct front f;
	uint64_t features;

	ASSERT_EQ(0, user_open(&u, 1, F_MRG | F_PACKED));
	EXPECT_EQ(-EOPNOTSUPP, vhx_driver_set_features(u.driver, 1ULL << 63));
	ASSERT_EQ(0, user_start(&u));
	ASSERT_EQ(0, front_connect(&f, u.path));
	ASSERT_EQ(0, front_get_u64(&f, GET_FEATURES, &features));
	EXPECT_EQ(0, features & (F_MRG | F_PACKED));
	EXPECT_EQ(F_V1, features & F_V1);
	front_close(&f);
	user_close(&u);
}

/* As many as QEMU has, added and removed while queues run. */
TEST_F(proto, memory_slots_ok)
{
	struct region one;
	int fd = memfd_create("more", MFD_CLOEXEC);
	int other = memfd_create("other", MFD_CLOEXEC);

	ASSERT_EQ(0, ftruncate(fd, 509 * 4096));
	ASSERT_EQ(0, ftruncate(other, 509 * 4096));
	ASSERT_EQ(0, up(self));
	for (unsigned int i = 0; i < 506; i++) {
		one = (struct region){
			0x800000000 + i * 8192, 4096,
			0x700000000000 + i * 4096, i * 4096,
		};
		ASSERT_EQ(0, front_add_region(&self->f, &one, fd)) {
			TH_LOG("slot %u", i);
		}
	}
	/* the same again, another in its place, and one too many */
	EXPECT_EQ(0, front_add_region(&self->f, &one, fd));
	EXPECT_EQ(-EINVAL, front_add_region(&self->f, &one, other));
	one.offset -= 4096;
	EXPECT_EQ(-EINVAL, front_add_region(&self->f, &one, fd));
	one.offset += 4096;
	one.gpa += 8192;
	EXPECT_EQ(-EINVAL, front_add_region(&self->f, &one, fd));
	one.gpa -= 8192;
	/* once a queue pair, as QEMU 7.2 does */
	EXPECT_EQ(0, front_remove_region(&self->f, &one));
	EXPECT_EQ(0, front_remove_region(&self->f, &one));
	EXPECT_EQ(0, front_add_region(&self->f, &one, other));
	close(fd);
	close(other);
	EXPECT_NE(NULL, self->u.dev);
}

TEST_F(proto, bad_regions_einval)
{
	static const struct region bad[] = {
		{ 0x1000, 0, 0x1000, 0 },		/* empty */
		{ ~0ULL - 100, 4096, 0x1000, 0 },	/* wraps */
		{ 0x1000, 4096, ~0ULL - 100, 0 },
		{ 0x1000, 8192, 0x1000, 4096 },		/* past the file */
		{ 0x1000, 4096, 0x1000, ~0ULL - 100 },
		{ 0x1000, ~0ULL, 0x1000, 0 },
		{ 0x1000, 4096, 0x1008, 0 },		/* rings would be askew */
		{ 0x1000, 4096, 0x1000, 2 },
	};
	int fd = memfd_create("bad", MFD_CLOEXEC);

	ASSERT_EQ(0, ftruncate(fd, 8192));
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(-EINVAL, front_add_region(&self->f, &bad[i], fd)) {
			TH_LOG("region %zu", i);
		}
	}
	close(fd);
}

/* What bursts would write to must not make them wait. */
TEST_F(proto, no_eventfd_einval)
{
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, up(self));
	EXPECT_EQ(-EINVAL, front_fd(&self->f, SET_VRING_CALL, TX, pipes[1]));
	EXPECT_EQ(-EINVAL, front_fd(&self->f, SET_VRING_KICK, TX, pipes[0]));
	EXPECT_EQ(-EINVAL, front_fd(&self->f, SET_VRING_ERR, TX,
				    self->f.memfd));
	close(pipes[0]);
	close(pipes[1]);
	EXPECT_EQ(0, is_well(self));
}

TEST_F(proto, queue_out_of_range_einval)
{
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	for (unsigned int q = 4; q < 300; q += 37) {
		EXPECT_EQ(-EINVAL, front_state(&self->f, SET_VRING_NUM, q, 4));
		EXPECT_EQ(-EINVAL, front_state(&self->f, SET_VRING_BASE, q, 4));
		EXPECT_EQ(-EINVAL, front_state(&self->f, SET_VRING_ENABLE, q,
					       1));
	}
	EXPECT_EQ(-EINVAL, front_state(&self->f, SET_VRING_NUM, 0, 0));
	EXPECT_EQ(-EINVAL, front_state(&self->f, SET_VRING_NUM, 0, 65536));
	EXPECT_EQ(0, is_well(self));
}

/* Every request, of every length, with descriptors that it does not take. */
/* Bytes of this process's memory that are there. */
static long resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (!file || fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

/* A message about the last of 256 queues, none of which is ever used. */
TEST_F(proto, queues_without_use_take_little_memory_ok)
{
	struct user many;
	long before;

	ASSERT_EQ(0, user_open(&many, VHX_QUEUES_MAX / 2, 0));
	ASSERT_EQ(0, user_start(&many));
	ASSERT_EQ(0, front_connect(&self->f, many.path));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	before = resident();
	ASSERT_LT(0, before);
	ASSERT_EQ(0, front_state(&self->f, SET_VRING_NUM, VHX_QUEUES_MAX - 1,
				 64));
	EXPECT_GT(5L << 20, resident() - before);
	front_close(&self->f);
	user_close(&many);
}

TEST_F(proto, requests_of_any_shape_ok)
{
	uint8_t payload[300];
	int fds[FDS_MAX];

	for (int i = 0; i < FDS_MAX; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (uint32_t request = 0; request < REQUESTS + 20; request++)
		for (uint32_t size = 0; size < sizeof(payload); size += 4) {
			struct front f;
			int n = (int)((request + size) % (FDS_MAX + 1));

			memset(payload, (int)(size & 3 ? 0xff : size), size);
			ASSERT_EQ(0, front_connect(&f, self->u.path));
			if (size & 8)
				front_negotiate(&f, FEATURES);
			/* twice: the second may find no one */
			front_send(&f, request, size & 16 ? NEED_REPLY : 0,
				   payload, size, fds, n);
			front_send(&f, request, 0, payload, size, fds, n);
			front_close(&f);
		}
	for (int i = 0; i < FDS_MAX; i++)
		close(fds[i]);
	EXPECT_EQ(0, is_well(self));
}

/* A start-up that ends at each byte of it. */
TEST_F(proto, stream_cut_at_each_byte_ok)
{
	uint64_t features = FEATURES | F_PROTOCOL;
	struct vhost_vring_state state = { 0, 256 };
	struct {
		struct header header;
		uint8_t payload[8];
	} stream[] = {
		{ { GET_FEATURES, 1, 0 }, {} },
		{ { SET_FEATURES, 1, 8 }, {} },
		{ { SET_VRING_NUM, 1, 8 }, {} },
		{ { SET_VRING_ENABLE, 1, 8 }, {} },
		{ { GET_VRING_BASE, 1, 8 }, {} },
	};
	uint8_t bytes[sizeof(stream)];
	size_t len = 0;

	memcpy(stream[1].payload, &features, 8);
	memcpy(stream[2].payload, &state, 8);
	for (size_t i = 0; i < 5; i++) {
		memcpy(bytes + len, &stream[i], 12 + stream[i].header.size);
		len += 12 + stream[i].header.size;
	}
	for (size_t end = 0; end <= len; end++) {
		struct front f;

		ASSERT_EQ(0, front_connect(&f, self->u.path));
		ASSERT_EQ((ssize_t)end, write(f.d.fd, bytes, end));
		front_close(&f);
	}
	EXPECT_EQ(0, is_well(self));
}

/* A peer that sends a byte at a time holds up nobody. */
TEST_F(proto, slow_peer_holds_up_nobody_ok)
{
	struct header header = { GET_FEATURES, 1, 0 };
	struct front slow;
	uint64_t features;

	ASSERT_EQ(0, front_connect(&slow, self->u.path));
	for (size_t i = 0; i < sizeof(header); i++) {
		ASSERT_EQ(1, write(slow.d.fd, (char *)&header + i, 1));
		ASSERT_EQ(0, is_well(self));
	}
	EXPECT_EQ(0, front_recv(&slow, GET_FEATURES, &features, 8));
	front_close(&slow);
}

/* One that asks and does not listen is hung up on. */
TEST_F(proto, peer_that_never_reads_is_hung_up_on)
{
	struct pollfd pfd = { .events = POLLHUP };
	int ret = 0;

	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	fcntl(self->f.d.fd, F_SETFL, O_NONBLOCK);
	for (unsigned int i = 0; i < 1000000 && ret != -EPIPE &&
	     ret != -ECONNRESET; i++) {
		ret = front_send(&self->f, GET_FEATURES, 0, NULL, 0, NULL, 0);
		if (ret == -EAGAIN)
			poll(&pfd, 0, 1);
	}
	EXPECT_NE(0, ret);
	EXPECT_EQ(0, is_well(self));
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (!vhx_sigbus(info))
		_exit(99);
}

/* Memory that its owner cuts off ends that device and no other. */
TEST_F(proto, memory_cut_off_ends_the_device_ok)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};
	char data[2048];
	struct vhx_pkt pkt = { .data = data, .room = sizeof(data) };
	struct vhx_pkt *pkts[] = { &pkt };
	struct vhx_device *dev;

	sigaction(SIGBUS, &action, NULL);
	ASSERT_EQ(0, up(self));
	dev = self->u.dev;
	ASSERT_EQ(0, ftruncate(self->f.memfd, 0));
	vhx_dequeue_burst(dev, 1, pkts, 1);
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_EQ(0, front_hangs_up(&self->f));
	EXPECT_EQ(0, is_well(self));
}

/* -- the dirty log, and an IOMMU ---------------------------------------------- */

static bool log_has(const uint8_t *log, uint64_t gpa)
{
	return log[gpa / 4096 / 8] & 1 << gpa / 4096 % 8;
}

TEST_F(proto, dirty_log_ok)
{
	const size_t size = 0x150000000 / 4096 / 8;
	struct {
		uint64_t size, offset;
	} base = { size, 0 };
	char data[2048] = "\1\2\3";
	struct vhx_pkt pkt = { .data = data, .len = 100 };
	struct vhx_pkt *pkts[] = { &pkt };
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct vq *vq = &self->f.d.vq[RX];
	unsigned int dirty = 0;
	uint8_t *log, *buf;

	ASSERT_EQ(0, ftruncate(fd, (off_t)size));
	log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_EQ(0, up(self));
	buf = guest_alloc(&self->f.d, 1 << 20, 4096);
	ASSERT_EQ(0, front_send(&self->f, SET_LOG_BASE, 0, &base, sizeof(base),
				&fd, 1));
	ASSERT_EQ(0, front_recv(&self->f, SET_LOG_BASE, &base, 0));
	ASSERT_EQ(0, front_u64(&self->f, SET_FEATURES, FEATURES | F_PROTOCOL |
			       F_LOG_ALL));
	EXPECT_EQ(0, user_wait_event(&self->u, 'f'));
	ASSERT_LE(0, rx_add(vq, 8000, &one_piece, buf + 4000));
	vq_publish(vq);
	ASSERT_EQ(1, vhx_enqueue_burst(self->u.dev, 0, pkts, 1));
	EXPECT_TRUE(log_has(log, gpa(&self->f.d, buf)));
	EXPECT_TRUE(log_has(log, gpa(&self->f.d, buf + 4096)));
	EXPECT_FALSE(log_has(log, gpa(&self->f.d, buf + 8192)));
	EXPECT_TRUE(log_has(log, gpa(&self->f.d, vq->used)));
	for (size_t i = 0; i < size; i++)
		dirty += (unsigned int)__builtin_popcount(log[i]);
	/* two of the buffer, the used ring, and of tx what disarming wrote */
	EXPECT_GE(4, dirty);
	munmap(log, size);
	close(fd);
}

/* Answers one miss from the page that it asks for. Return: 0 or -errno. */
static int answer(struct front *f)
{
	struct {
		struct header header;
		struct vhost_iotlb_msg msg;
	} __attribute__((packed)) miss;
	struct pollfd pfd = { .fd = f->request_fd, .events = POLLIN };
	struct vhost_iotlb_msg update;
	uint64_t at;

	if (poll(&pfd, 1, WAIT_MS) != 1)
		return -ETIMEDOUT;
	if (read(f->request_fd, &miss, sizeof(miss)) != sizeof(miss) ||
	    miss.header.request != 1 || miss.msg.type != VHOST_IOTLB_MISS)
		return -EPROTO;
	at = miss.msg.iova & ~4095ULL;
	/* addresses of the guest's are its memory's, here */
	update = (struct vhost_iotlb_msg){
		.iova = at, .size = 4096, .uaddr = (uintptr_t)f->d.mem +
			(at - 0x10000000), .perm = VHOST_ACCESS_RW,
		.type = VHOST_IOTLB_UPDATE,
	};
	return front_ack(f, IOTLB_MSG, &update, sizeof(update), NULL, 0);
}

TEST_F(proto, iotlb_ok)
{
	const uint64_t features = FEATURES | F_PLATFORM;
	struct dev *d = &self->f.d;
	struct vhost_iotlb_msg drop = {
		.iova = 0, .size = ~0ULL, .type = VHOST_IOTLB_INVALIDATE,
	};
	struct vhost_iotlb_msg askew = {
		.iova = 0x10000000, .size = 4096, .uaddr = (uintptr_t)d->mem + 8,
		.perm = VHOST_ACCESS_RW, .type = VHOST_IOTLB_UPDATE,
	};
	struct vhx_queue_stats before, stats;
	char data[2048];
	struct vhx_pkt pkt = { .data = data, .room = sizeof(data) };
	struct vhx_pkt *pkts[] = { &pkt };
	uint8_t frame[1000], *buf;
	int pair[2], got = 0, waits = 0;

	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_negotiate(&self->f, features));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ASSERT_EQ(0, front_ack(&self->f, SET_BACKEND_REQ_FD, NULL, 0, &pair[1],
			       1));
	close(pair[1]);
	self->f.request_fd = pair[0];
	ASSERT_EQ(0, front_memory(&self->f));
	EXPECT_EQ(-EINVAL, front_ack(&self->f, IOTLB_MSG, &askew, sizeof(askew),
				     NULL, 0));
	/* what the guest sees is another order: one range of I/O addresses */
	d->n_regions = 1;
	d->region[0] = (struct vhost_memory_region){
		.guest_phys_addr = 0x10000000, .memory_size = MEM_SIZE,
		.userspace_addr = (uintptr_t)d->mem,
	};
	for (unsigned int q = RX; q <= TX; q++) {
		ASSERT_EQ(0, front_ring(&self->f, q, 256));
		vq_kick(&d->vq[q]);
	}
	while (user_wait(&self->u, 0) || !self->u.dev)
		ASSERT_EQ(0, answer(&self->f));
	buf = guest_alloc(d, 1 << 20, 4096);
	frame_fill(frame, sizeof(frame), false, 3);
	for (int turn = 0; turn < 3; turn++) {
		/* in the first it waits since its start, or does not */
		if (turn == 1) {
			waits = 0;
			ASSERT_EQ(0, vhx_queue_get_stats(self->u.dev, 1, &before,
							 sizeof(before)));
		}
		ASSERT_LE(0, tx_add(&d->vq[TX], NULL, frame, sizeof(frame),
				    &scattered, buf + 3600));
		vq_publish(&d->vq[TX]);
		for (got = 0; !got;) {
			got = (int)vhx_dequeue_burst(self->u.dev, 1, pkts, 1);
			waits += !got;
			if (!got)
				ASSERT_EQ(0, answer(&self->f));
		}
		EXPECT_EQ(0, memcmp(data, frame, sizeof(frame)));
		ASSERT_EQ(0, front_ack(&self->f, IOTLB_MSG, &drop,
				       sizeof(drop), NULL, 0));
	}
	ASSERT_EQ(0, vhx_queue_get_stats(self->u.dev, 1, &stats, sizeof(stats)));
	EXPECT_LT(3, stats.iotlb_misses);
	EXPECT_LT(3, stats.iotlb_found);
	EXPECT_EQ((uint64_t)waits, stats.iotlb_waits - before.iotlb_waits);
	EXPECT_EQ(0, stats.errors);

	/* The next buffer's translation is asked for before its frame comes. */
	pkt.len = 1000;
	for (int at = 0; at < 2; at++)
		ASSERT_LE(0, rx_add(&d->vq[RX], 2000, &one_piece,
				    buf + 0x10000 * at));
	vq_publish(&d->vq[RX]);
	while (!vhx_enqueue_burst(self->u.dev, 0, pkts, 1))
		ASSERT_EQ(0, answer(&self->f));
	while (poll(&(struct pollfd){ pair[0], POLLIN, 0 }, 1, 0) == 1)
		ASSERT_EQ(0, answer(&self->f));
	EXPECT_EQ(1, vhx_enqueue_burst(self->u.dev, 0, pkts, 1));
}

/* -- the socket ---------------------------------------------------------------- */

TEST_F(proto, path_in_use_eaddrinuse)
{
	struct vhx_driver *other;

	EXPECT_EQ(-EADDRINUSE, vhx_driver_register(self->u.session,
						   self->u.path, 0, &other));
	EXPECT_EQ(-EADDRINUSE, vhx_driver_register(self->u.session, "/dev/null",
						   0, &other));
	EXPECT_EQ(-EINVAL, vhx_driver_register(self->u.session, "/tmp/x", 99,
					       &other));
	EXPECT_EQ(0, is_well(self));
}

TEST_F(proto, socket_left_behind_is_replaced_ok)
{
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} address = { AF_UNIX, "/tmp/vhx-test-stale" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vhx_driver *driver;
	struct stat st;

	unlink(address.path);
	ASSERT_EQ(0, bind(fd, (void *)&address, sizeof(address)));
	close(fd);
	ASSERT_EQ(0, vhx_driver_register(self->u.session, address.path, 0,
					 &driver));
	EXPECT_EQ(0, vhx_driver_start(driver));
	EXPECT_EQ(-EALREADY, vhx_driver_start(driver));
	vhx_driver_unregister(driver);
	EXPECT_EQ(-1, stat(address.path, &st));
}

TEST_HARNESS_MAIN
