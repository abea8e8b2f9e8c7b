// SPDX-License-Identifier: GPL-2.0-only
/* Honest clients that do things in their own way, and programs that do. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <kselftest_harness.h>

#include "frontend.h"
#include "user.h"

#define FEATURES	(F_V1 | F_MRG | F_EVENT | F_INDIRECT)
#define RING_RESET	BIT_ULL(40)
#define PROTOCOL_RARP	BIT_ULL(2)

FIXTURE(serve) {
	struct user u;
	struct front f;
	char data[256][2048];
	struct vhx_pkt pkt[256];
	struct vhx_pkt *pkts[256];
};

FIXTURE_SETUP(serve)
{
	front_init(&self->f);
	ASSERT_EQ(0, user_open(&self->u, 1, 0));
	for (int i = 0; i < 256; i++) {
		self->pkt[i].data = self->data[i];
		self->pkt[i].room = sizeof(self->data[i]);
		self->pkts[i] = &self->pkt[i];
	}
}

FIXTURE_TEARDOWN(serve)
{
	front_close(&self->f);
	user_close(&self->u);
}

typedef FIXTURE_DATA(serve) fix;

static int up(fix *s)
{
	int ret = user_start(&s->u);

	if (!ret)
		ret = front_open(&s->f, s->u.path, FEATURES, 256);
	return ret ? ret : user_wait(&s->u, 3);
}

/* Return: 0 if a frame comes out of the guest's ring. */
static int take(fix *s, uint8_t *buf)
{
	struct vq *vq = &s->f.d.vq[TX];
	uint8_t frame[100];

	frame_fill(frame, sizeof(frame), false, 1);
	if (tx_add(vq, NULL, frame, sizeof(frame), &one_piece, buf) < 0)
		return -ENOSPC;
	vq_publish(vq);
	if (vhx_dequeue_burst(s->u.dev, 1, s->pkts, 64) != 1)
		return -ENODATA;
	return vq_pop(vq, NULL) < 0 ? -EPROTO : 0;
}

/* -- front-ends ---------------------------------------------------------------- */

/* A ring starts by its own kick: a guest that sends nothing is served. */
TEST_F(serve, guest_that_only_receives_ok)
{
	struct vq *vq = &self->f.d.vq[RX];
	uint8_t *buf;

	ASSERT_EQ(0, user_start(&self->u));
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	ASSERT_EQ(0, front_memory(&self->f));
	ASSERT_EQ(0, front_ring(&self->f, RX, 256));
	ASSERT_EQ(0, front_ring(&self->f, TX, 256));
	buf = guest_alloc(&self->f.d, 4096, 4096);
	ASSERT_LE(0, rx_add(vq, 2000, &one_piece, buf));
	vq_publish(vq);
	vq_kick(vq);
	ASSERT_EQ(0, user_wait(&self->u, 1));
	self->pkt[0].len = 100;
	EXPECT_EQ(1, vhx_enqueue_burst(self->u.dev, 0, self->pkts, 1));
	EXPECT_EQ(0, vhx_dequeue_burst(self->u.dev, 1, self->pkts, 1));
	EXPECT_EQ(0, vq_wait(vq, 1, WAIT_MS));
	vq_kick(&self->f.d.vq[TX]);
	EXPECT_EQ(0, user_wait(&self->u, 3));
	EXPECT_STREQ("cn++", self->u.events);
}

/* As QEMU does when the size of a section changes. */
TEST_F(serve, region_of_rings_removed_and_added_ok)
{
	const struct vhost_memory_region *r = &self->f.d.region[0];
	uint8_t *buf;
	struct region one;

	ASSERT_EQ(0, up(self));
	one = (struct region){
		r->guest_phys_addr, r->memory_size, r->userspace_addr, 0,
	};
	buf = guest_alloc(&self->f.d, 4096, 4096);
	ASSERT_EQ(0, take(self, buf));
	ASSERT_EQ(0, front_remove_region(&self->f, &one));
	EXPECT_EQ(0, vhx_dequeue_burst(self->u.dev, 1, self->pkts, 1));
	/* who sleeps then is woken when it is back */
	EXPECT_EQ(-ENOENT, vhx_queue_notification(self->u.dev, 1, true));
	EXPECT_EQ(0, event_read(self->f.d.vq[TX].kick));
	ASSERT_EQ(0, front_add_region(&self->f, &one, self->f.memfd));
	EXPECT_EQ(0, event_wait(vhx_queue_kick_fd(self->u.dev, 1), WAIT_MS));
	EXPECT_EQ(0, take(self, buf));
	EXPECT_EQ(0, self->u.nr_errors);
}

/* QEMU waits for no payload, rust-vmm for a number. */
TEST_F(serve, log_base_is_answered_as_asked_ok)
{
	struct {
		uint64_t size, offset;
	} base = { 4096, 0 };
	int fd = memfd_create("log", MFD_CLOEXEC);

	ASSERT_EQ(0, ftruncate(fd, 4096));
	ASSERT_EQ(0, up(self));
	ASSERT_EQ(0, front_send(&self->f, SET_LOG_BASE, 0, &base, sizeof(base),
				&fd, 1));
	EXPECT_EQ(0, front_recv(&self->f, SET_LOG_BASE, NULL, 0));
	EXPECT_EQ(0, front_ack(&self->f, SET_LOG_BASE, &base, sizeof(base), &fd,
			       1));
	base.offset = 8192;
	EXPECT_EQ(-EINVAL, front_ack(&self->f, SET_LOG_BASE, &base,
				     sizeof(base), &fd, 1));
	close(fd);
}

/* A message for it is missing: a guest that resets a queue would lose it. */
TEST_F(serve, queue_reset_is_not_offered)
{
	uint64_t features;

	ASSERT_EQ(0, user_start(&self->u));
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_get_u64(&self->f, GET_FEATURES, &features));
	EXPECT_EQ(0, features & RING_RESET);
	EXPECT_EQ(RING_RESET, vhx_driver_supported_features() & RING_RESET);
}

TEST_F(serve, protocol_features_masked_ok)
{
	const uint8_t mac[8] = { 2, 0, 0, 1, 2, 3 };

	vhx_driver_mask_protocol_features(self->u.driver, ~PROTOCOL_RARP);
	ASSERT_EQ(0, up(self));
	EXPECT_EQ(0, self->f.protocol & PROTOCOL_RARP);
	EXPECT_EQ(-EINVAL, front_ack(&self->f, SEND_RARP, mac, 8, NULL, 0));
}

/* In a sandbox there may be none; what an eventfd is, the kernel says. */
TEST_F(serve, works_without_proc_ok)
{
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("none", "/proc", "tmpfs", 0, NULL));
	EXPECT_EQ(0, up(self));
	umount("/proc");
}

/* -- behind an IOMMU -------------------------------------------------------------- */

#define IOVA	0x10000000

/* All of memory, by one translation; the regions of front_map() meet in the file. */
static int translate_all(fix *s)
{
	struct vhost_iotlb_msg all = {
		.iova = IOVA, .size = MEM_SIZE, .perm = VHOST_ACCESS_RW,
		.uaddr = (uintptr_t)s->f.d.mem, .type = VHOST_IOTLB_UPDATE,
	};

	return front_ack(&s->f, IOTLB_MSG, &all, sizeof(all), NULL, 0);
}

static int start_rings(fix *s)
{
	int ret = 0;

	for (unsigned int q = RX; q <= TX && !ret; q++) {
		ret = front_ring(&s->f, q, 256);
		vq_kick(&s->f.d.vq[q]);
	}
	return ret ? ret : user_wait(&s->u, 3);
}

/* A device with VIRTIO_F_ACCESS_PLATFORM, before its rings. */
static int begin_platform(fix *s)
{
	struct dev *d = &s->f.d;
	int pair[2], ret = user_start(&s->u);

	if (!ret)
		ret = front_connect(&s->f, s->u.path);
	if (!ret)
		ret = front_negotiate(&s->f, FEATURES | F_PLATFORM);
	if (ret || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return ret ? ret : -errno;
	ret = front_ack(&s->f, SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
	close(pair[1]);
	s->f.request_fd = pair[0];
	if (!ret)
		ret = front_memory(&s->f);
	d->n_regions = 1;
	d->region[0] = (struct vhost_memory_region){
		.guest_phys_addr = IOVA, .memory_size = MEM_SIZE,
		.userspace_addr = (uintptr_t)d->mem,
	};
	return ret ? ret : translate_all(s);
}

static int set_features(fix *s, uint64_t more)
{
	return front_u64(&s->f, SET_FEATURES, FEATURES | F_PLATFORM | F_PROTOCOL |
			 more);
}

static bool was_asked(fix *s)
{
	return poll(&(struct pollfd){ s->f.request_fd, POLLIN, 0 }, 1, 0);
}

/* QEMU switches the log on and off while queues run. */
TEST_F(serve, features_set_again_keep_translations_ok)
{
	uint8_t *buf;

	ASSERT_EQ(0, begin_platform(self));
	ASSERT_EQ(0, start_rings(self));
	buf = guest_alloc(&self->f.d, 4096, 4096);
	ASSERT_EQ(0, take(self, buf));
	ASSERT_EQ(0, set_features(self, F_LOG_ALL));
	ASSERT_EQ(0, set_features(self, 0));
	EXPECT_EQ(0, take(self, buf));
	EXPECT_FALSE(was_asked(self));
}

/* A guest that starts anew has others, and its IOMMU told nobody meanwhile. */
TEST_F(serve, features_of_a_new_start_forget_translations_ok)
{
	ASSERT_EQ(0, begin_platform(self));
	ASSERT_EQ(0, start_rings(self));
	ASSERT_LE(0, front_stop(&self->f, RX));
	ASSERT_LE(0, front_stop(&self->f, TX));
	ASSERT_EQ(0, set_features(self, 0));
	EXPECT_FALSE(was_asked(self));
	ASSERT_EQ(0, front_fd(&self->f, SET_VRING_KICK, TX,
			      self->f.d.vq[TX].kick));
	vq_kick(&self->f.d.vq[TX]);
	for (int i = 0; i < 500 && !was_asked(self); i++)
		usleep(10000);
	EXPECT_TRUE(was_asked(self));
}

/* Without a bound a client would have us keep as many as it likes. */
TEST_F(serve, translations_over_the_bound_forget_the_oldest_ok)
{
	struct vhost_iotlb_msg more = {
		.iova = 1ULL << 40, .size = 4096, .perm = VHOST_ACCESS_RW,
		.type = VHOST_IOTLB_UPDATE,
	};
	uint8_t *buf;

	ASSERT_EQ(0, begin_platform(self));
	ASSERT_EQ(0, start_rings(self));
	buf = guest_alloc(&self->f.d, 4096, 4096);
	more.uaddr = (uintptr_t)buf;
	for (int i = 0; i < 2047; i++, more.iova += more.size)
		ASSERT_EQ(0, front_ack(&self->f, IOTLB_MSG, &more, sizeof(more),
				       NULL, 0));
	ASSERT_EQ(0, take(self, buf));
	ASSERT_FALSE(was_asked(self));
	ASSERT_EQ(0, front_ack(&self->f, IOTLB_MSG, &more, sizeof(more), NULL,
			       0));
	EXPECT_EQ(-ENODATA, take(self, buf));
	EXPECT_TRUE(was_asked(self));
	ASSERT_EQ(0, translate_all(self));
	EXPECT_EQ(1, vhx_dequeue_burst(self->u.dev, 1, self->pkts, 1));
}

/* A queue that was not kicked is not started by what others are woken with. */
TEST_F(serve, translation_starts_no_queue_ok)
{
	ASSERT_EQ(0, begin_platform(self));
	for (unsigned int q = RX; q <= TX; q++)
		ASSERT_EQ(0, front_ring(&self->f, q, 256));
	ASSERT_EQ(0, translate_all(self));
	ASSERT_EQ(0, translate_all(self));
	EXPECT_EQ(NULL, user_dev(&self->u));
}

/* What is asked for ahead is not at the expense of frames. */
TEST_F(serve, frames_one_by_one_behind_an_iommu_ok)
{
	struct vq *vq = &self->f.d.vq[RX];
	struct vhx_queue_stats stats;
	uint8_t *buf;

	ASSERT_EQ(0, begin_platform(self));
	ASSERT_EQ(0, start_rings(self));
	buf = guest_alloc(&self->f.d, 128UL * 2048, 4096);
	self->pkt[0].len = 60;
	for (unsigned int i = 0; i < 20000; i++) {
		if (i < 100)
			ASSERT_LE(0, rx_add(vq, 2000, &two_pieces,
					    buf + i * 2048));
		vq_publish(vq);
		ASSERT_EQ(1, vhx_enqueue_burst(self->u.dev, 0, self->pkts, 1));
		if (i >= 99) {
			ASSERT_LE(0, vq_pop(vq, NULL));
			ASSERT_LE(0, rx_add(vq, 2000, &two_pieces,
					    buf + i % 100 * 2048));
		}
	}
	ASSERT_EQ(0, vhx_queue_get_stats(self->u.dev, 0, &stats, sizeof(stats)));
	EXPECT_EQ(0, stats.drop_share);
	EXPECT_EQ(20000, stats.frames);
}

/* A translation that does not come wakes nobody until it does. */
TEST_F(serve, buffer_that_waits_for_its_translation_is_not_told_of_ok)
{
	struct vhost_iotlb_msg none = {
		.iova = IOVA + (64UL << 20), .size = 4096,
		.type = VHOST_IOTLB_INVALIDATE,
	};
	struct vq *vq = &self->f.d.vq[TX];
	uint8_t frame[60] = "", *buf = NULL;

	ASSERT_EQ(0, begin_platform(self));
	ASSERT_EQ(0, start_rings(self));
	buf = guest_alloc(&self->f.d, 4096, 4096);
	none.iova = 0;
	none.size = ~0ULL;
	ASSERT_EQ(0, front_ack(&self->f, IOTLB_MSG, &none, sizeof(none), NULL,
			       0));
	ASSERT_LE(0, tx_add(vq, NULL, frame, sizeof(frame), &one_piece, buf));
	vq_publish(vq);
	EXPECT_EQ(0, vhx_dequeue_burst(self->u.dev, 1, self->pkts, 1));
	EXPECT_TRUE(was_asked(self));
	EXPECT_GE(0, vhx_queue_notification(self->u.dev, 1, true));
	ASSERT_EQ(0, translate_all(self));
	EXPECT_EQ(0, event_wait(vhx_queue_kick_fd(self->u.dev, 1), WAIT_MS));
	EXPECT_EQ(1, vhx_dequeue_burst(self->u.dev, 1, self->pkts, 1));
}

/* -- programs ------------------------------------------------------------------ */

TEST_F(serve, bursts_of_any_length_ok)
{
	struct vq *tx = &self->f.d.vq[TX], *rx = &self->f.d.vq[RX];
	uint8_t frame[60], *buf;

	ASSERT_EQ(0, up(self));
	buf = guest_alloc(&self->f.d, 512UL * 2048, 4096);
	for (unsigned int i = 0; i < 200; i++) {
		frame_fill(frame, sizeof(frame), false, i);
		ASSERT_LE(0, tx_add(tx, NULL, frame, sizeof(frame), &one_piece,
				    buf + i * 2048));
		ASSERT_LE(0, rx_add(rx, 2000, &one_piece,
				    buf + (256 + i) * 2048));
	}
	vq_publish(tx);
	vq_publish(rx);
	EXPECT_EQ(200, vhx_dequeue_burst(self->u.dev, 1, self->pkts, 256));
	for (unsigned int i = 0; i < 200; i++) {
		frame_fill(frame, sizeof(frame), false, i);
		EXPECT_EQ(0, memcmp(frame, self->data[i], sizeof(frame)));
	}
	EXPECT_EQ(200, vhx_enqueue_burst(self->u.dev, 0, self->pkts, 256));
	EXPECT_EQ(200, vq_used(rx));
}

TEST_F(serve, disconnect_hangs_up_ok)
{
	ASSERT_EQ(0, up(self));
	vhx_device_disconnect(self->u.dev);
	EXPECT_EQ(0, front_hangs_up(&self->f));
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_STREQ("cn++--dx", self->u.events);
}

/* Neither a callback nor a line of the log is called with a queue locked. */
TEST_F(serve, queue_that_broke_is_told_of_ok)
{
	struct vq *vq = &self->f.d.vq[TX];

	ASSERT_EQ(0, up(self));
	self->u.asks_depth = true;
	vq->desc[0] = (struct vring_desc){ 0xdead0000000, 100, 0, 0 };
	vq_push(vq, 0);
	vq_publish(vq);
	EXPECT_EQ(0, vhx_dequeue_burst(self->u.dev, 1, self->pkts, 1));
	EXPECT_EQ(0, user_wait_event(&self->u, 'b'));
	EXPECT_EQ(0, event_wait(vq->err, WAIT_MS));
	EXPECT_EQ(1, self->u.nr_errors);
}

/* A second driver on the same path would take the first one's socket. */
TEST_F(serve, path_registered_twice_eaddrinuse)
{
	struct vhx_driver *other;
	struct stat before, after;

	ASSERT_EQ(0, stat(self->u.path, &before));
	EXPECT_EQ(-EADDRINUSE, vhx_driver_register(self->u.session,
						   self->u.path, 0, &other));
	ASSERT_EQ(0, stat(self->u.path, &after));
	EXPECT_EQ(before.st_ino, after.st_ino);
}

/* As by a service manager that made the socket. */
TEST_F(serve, socket_that_listens_already_ok)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vhx_driver *driver;

	snprintf(address.sun_path, sizeof(address.sun_path), "%.60s-given",
		 self->u.path);
	ASSERT_EQ(0, bind(fd, (void *)&address, sizeof(address)));
	EXPECT_EQ(-EINVAL, vhx_driver_register_fd(self->u.session, fd, &driver));
	ASSERT_EQ(0, listen(fd, 4));
	ASSERT_EQ(0, vhx_driver_register_fd(self->u.session, fd, &driver));
	EXPECT_STREQ(address.sun_path, vhx_driver_path(driver));
	ASSERT_EQ(0, vhx_driver_start(driver));
	ASSERT_EQ(0, user_start(&self->u));
	EXPECT_EQ(0, front_is_served(address.sun_path));
	vhx_driver_unregister(driver);
	EXPECT_EQ(0, unlink(address.sun_path));
}

struct nested {
	struct user *u;
	struct vhx_driver *other;
	char path[80];
	int ret;
	unsigned int nr;
};

static int connected_registers(struct vhx_device *dev, void *arg)
{
	struct nested *n = arg;

	(void)dev;
	if (n->nr++)
		return 0;
	n->ret = vhx_driver_register(n->u->session, n->path, 0, &n->other);
	if (!n->ret)
		n->ret = vhx_driver_start(n->other);
	return 0;
}

static void disconnected_unregisters(struct vhx_device *dev, void *arg)
{
	struct nested *n = arg;

	(void)dev;
	if (n->other)
		vhx_driver_unregister(n->other);
	n->other = NULL;
}

TEST_F(serve, callback_registers_a_driver_ok)
{
	static const struct vhx_device_ops ops = {
		.size = sizeof(ops), .connected = connected_registers,
		.disconnected = disconnected_unregisters,
	};
	struct nested n = { .u = &self->u, .ret = -ENODATA };
	struct stat st;

	snprintf(n.path, sizeof(n.path), "%s-2", self->u.path);
	vhx_driver_set_ops(self->u.driver, &ops, &n);
	ASSERT_EQ(0, user_start(&self->u));
	ASSERT_EQ(0, front_is_served(self->u.path));
	EXPECT_EQ(0, n.ret);
	for (int i = 0; i < 500 && !stat(n.path, &st); i++)
		usleep(10000);
	EXPECT_EQ(-1, stat(n.path, &st));
}

static void disconnected_unregisters_both(struct vhx_device *dev, void *arg)
{
	struct nested *n = arg;

	(void)dev;
	vhx_driver_unregister(n->u->driver);
	if (n->other)
		vhx_driver_unregister(n->other);
	n->other = NULL;
}

/* Of drivers that leave, one has others leave, and itself. */
TEST_F(serve, drivers_that_leave_have_others_leave_ok)
{
	static const struct vhx_device_ops ops = {
		.size = sizeof(ops), .disconnected = disconnected_unregisters_both,
	};
	struct nested n = { .u = &self->u };
	struct front more;
	struct stat st;

	snprintf(n.path, sizeof(n.path), "%s-2", self->u.path);
	ASSERT_EQ(0, vhx_driver_register(self->u.session, n.path, 0, &n.other));
	vhx_driver_set_ops(self->u.driver, &ops, &n);
	vhx_driver_set_ops(n.other, &ops, &n);
	ASSERT_EQ(0, vhx_driver_start(n.other));
	ASSERT_EQ(0, user_start(&self->u));
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_connect(&more, n.path));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	ASSERT_EQ(0, front_negotiate(&more, FEATURES));
	front_close(&self->f);
	for (int i = 0; i < 500 && (!stat(n.path, &st) ||
				    !stat(self->u.path, &st)); i++)
		usleep(10000);
	EXPECT_EQ(-1, stat(n.path, &st));
	EXPECT_EQ(-1, stat(self->u.path, &st));
	front_close(&more);
}

static int refuse_twice(struct vhx_device *dev, void *arg)
{
	unsigned int *nr = arg;

	(void)dev;
	return __atomic_add_fetch(nr, 1, __ATOMIC_RELAXED) < 3 ? -EBUSY : 0;
}

/* A client tries again, whether nobody listens or the user refused. */
TEST_F(serve, client_refused_by_its_user_tries_again_ok)
{
	static const struct vhx_device_ops ops = {
		.size = sizeof(ops), .connected = refuse_twice,
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vhx_driver *driver;
	unsigned int nr = 0;

	snprintf(address.sun_path, sizeof(address.sun_path), "%.60s-peer",
		 self->u.path);
	unlink(address.sun_path);
	ASSERT_EQ(0, bind(listener, (void *)&address, sizeof(address)));
	ASSERT_EQ(0, listen(listener, 4));
	ASSERT_EQ(0, vhx_driver_register(self->u.session, address.sun_path,
					 VHX_DRIVER_CLIENT, &driver));
	vhx_driver_set_ops(driver, &ops, &nr);
	ASSERT_EQ(0, vhx_driver_start(driver));
	ASSERT_EQ(0, user_start(&self->u));
	for (int i = 0; i < 1000 &&
	     __atomic_load_n(&nr, __ATOMIC_RELAXED) < 3; i++)
		usleep(10000);
	EXPECT_EQ(3, nr);
	vhx_driver_unregister(driver);
	close(listener);
	unlink(address.sun_path);
}

/* A program may be older than the library. */
TEST_F(serve, callbacks_behind_the_size_are_not_called_ok)
{
	struct vhx_device_ops ops = {
		.size = offsetof(struct vhx_device_ops, connected),
		.connected = refuse_twice,
	};
	unsigned int nr = 0;

	vhx_driver_set_ops(self->u.driver, &ops, &nr);
	ASSERT_EQ(0, user_start(&self->u));
	EXPECT_EQ(0, front_is_served(self->u.path));
	EXPECT_EQ(0, nr);
}

TEST_HARNESS_MAIN
