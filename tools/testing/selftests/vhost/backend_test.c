// SPDX-License-Identifier: GPL-2.0-only
/*
 * NET_SET_BACKEND, what a running ring accepts, and the orders in which
 * clients set a device up. Traffic is one frame, as a sign of life.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <linux/if_tun.h>

#include "harness.h"

#define FD_CLOSED	1000000
#define KERNEL_ADDR	0xffff888000000000ULL

FIXTURE(backend) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[64], seen[256];
	uint32_t seq;
	int kmsg;
};

FIXTURE_VARIANT(backend) {
	bool compat;
	enum backend kind;
};

FIXTURE_VARIANT_ADD(backend, tap) { .kind = BE_TAP };
FIXTURE_VARIANT_ADD(backend, tap_compat) { .kind = BE_TAP, .compat = true };
FIXTURE_VARIANT_ADD(backend, macvtap) { .kind = BE_MACVTAP };

FIXTURE_SETUP(backend)
{
	self->d.fd = -1;
	self->kmsg = -1;
	self->n = (struct net){ .tap = -1, .pkt = -1 };
	if (variant->compat && !compat_works())
		SKIP(return, "no 32-bit system calls in this kernel");
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, variant->kind, 12));
	self->d.compat = variant->compat;
	ASSERT_EQ(0, dev_setup(&self->d, F_V1));
	self->buf = guest_alloc(&self->d, 1 << 20, 4096);
}

FIXTURE_TEARDOWN(backend)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(backend) fix;

static int rings(fix *f)
{
	int ret = vq_setup(&f->d, RX, 256);

	return ret ? ret : vq_setup(&f->d, TX, 256);
}

static int start(fix *f)
{
	int ret = rings(f);

	if (!ret)
		ret = dev_backend(&f->d, RX, f->n.tap);
	return ret ? ret : dev_backend(&f->d, TX, f->n.tap);
}

static int add_frame(fix *f)
{
	struct vq *vq = &f->d.vq[TX];

	frame_fill(f->frame, sizeof(f->frame), false, ++f->seq);
	return tx_add(vq, NULL, f->frame, sizeof(f->frame), &one_piece, f->buf);
}

/* Return: 0 if the frame added last came out unharmed. */
static int frame_seen(fix *f)
{
	struct virtio_net_hdr h;
	int n = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);

	if (n < 0)
		return n;
	return n == sizeof(f->frame) && !memcmp(f->frame, f->seen, n) ?
	       0 : -EBADMSG;
}

/* Guest to host: one frame and its used element, by kick and call. */
static int tx_one(fix *f)
{
	struct vq *vq = &f->d.vq[TX];
	uint32_t len = ~0u;
	int head = add_frame(f);
	int ret;

	vq_publish_kick(vq);
	ret = vq_wait(vq, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(vq, &len) != head || len)
		return -EPROTO;
	return frame_seen(f);
}

/* Host to guest, the same. */
static int rx_one(fix *f)
{
	struct vq *vq = &f->d.vq[RX];
	uint8_t *buf = f->buf + 8192;
	uint32_t len = 0;
	int head = rx_add(vq, 2048, &one_piece, buf);
	int ret;

	vq_publish_kick(vq);
	frame_fill(f->frame, sizeof(f->frame), true, ++f->seq);
	ret = pkt_send(f->n.pkt, NULL, f->frame, sizeof(f->frame));
	if (!ret)
		ret = vq_wait(vq, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(vq, &len) != head || len != sizeof(f->frame) + 12)
		return -EPROTO;
	return memcmp(buf + 12, f->frame, sizeof(f->frame)) ? -EBADMSG : 0;
}

TEST_F(backend, index_enobufs)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(-ENOBUFS, dev_backend(&self->d, 2, -1));
	EXPECT_EQ(-ENOBUFS, dev_backend(&self->d, ~0u, self->n.tap));
}

TEST_F(backend, no_mem_table_efault)
{
	RUN_IF_SET_UP();
	dev_close(&self->d);
	ASSERT_EQ(0, dev_open(&self->d));
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(-EFAULT, dev_backend(&self->d, TX, self->n.tap));
}

/* No backend is what there is already, so there is nothing to fail. */
TEST_F(backend, none_without_mem_table_ok)
{
	RUN_IF_SET_UP();
	dev_close(&self->d);
	ASSERT_EQ(0, dev_open(&self->d));
	ASSERT_EQ(0, dev_own(&self->d));
	EXPECT_EQ(0, dev_backend(&self->d, TX, -1));
	EXPECT_EQ(0, dev_backend(&self->d, RX, -1));
}

TEST_F(backend, no_rings_efault)
{
	struct vhost_memory_region r = { .memory_size = RING_AREA };

	RUN_IF_SET_UP();
	r.userspace_addr = (uintptr_t)self->d.mem;
	ASSERT_EQ(0, dev_mem_regions(&self->d, &r, 1));
	EXPECT_EQ(-EFAULT, dev_backend(&self->d, RX, self->n.tap));
	EXPECT_EQ(-EFAULT, dev_backend(&self->d, TX, self->n.tap));
	EXPECT_EQ(0, dev_backend(&self->d, TX, -1));
}

/* Each ring area in turn where nothing may be read or written. */
TEST_F(backend, bad_ring_address_efault)
{
	struct vq *vq = &self->d.vq[TX];
	struct vhost_vring_addr a;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, rings(self));
	for (int area = 0; area < 3; area++) {
		vq_addr(vq, &a);
		if (area == 0)
			a.desc_user_addr = KERNEL_ADDR;
		else if (area == 1)
			a.avail_user_addr = KERNEL_ADDR;
		else
			a.used_user_addr = KERNEL_ADDR;
		ASSERT_EQ(0, dev_ioctl(&self->d, VHOST_SET_VRING_ADDR, &a, sizeof(a)));
		EXPECT_EQ(-EFAULT, dev_backend(&self->d, TX, self->n.tap))
			TH_LOG("area %d", area);
	}
	ASSERT_EQ(0, vq_set_addr(vq));
	ASSERT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	EXPECT_EQ(0, tx_one(self));
}

TEST_F(backend, unmapped_used_ring_efault)
{
	struct vhost_vring_addr a;
	void *hole = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	RUN_IF_SET_UP();
	ASSERT_EQ(0, rings(self));
	vq_addr(&self->d.vq[TX], &a);
	a.used_user_addr = (uintptr_t)hole;
	ASSERT_EQ(0, dev_ioctl(&self->d, VHOST_SET_VRING_ADDR, &a, sizeof(a)));
	EXPECT_EQ(-EFAULT, dev_backend(&self->d, TX, self->n.tap));
	ASSERT_EQ(0, vq_set_addr(&self->d.vq[TX]));
	EXPECT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
}

TEST_F(backend, no_socket_enotsock)
{
	int other[] = {
		FD_CLOSED, -2, eventfd(0, 0), open("/dev/null", O_RDWR),
		socket(AF_INET, SOCK_DGRAM, 0), socket(AF_UNIX, SOCK_DGRAM, 0),
		socket(AF_PACKET, SOCK_DGRAM, 0),
	};

	RUN_IF_SET_UP();
	ASSERT_EQ(0, rings(self));
	for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++) {
		EXPECT_EQ(-ENOTSOCK, dev_backend(&self->d, TX, other[i]))
			TH_LOG("file %zu", i);
	}
}

TEST_F(backend, tun_unattached_einval)
{
	int tun = open("/dev/net/tun", O_RDWR);

	RUN_IF_SET_UP();
	ASSERT_LE(0, tun);
	ASSERT_EQ(0, rings(self));
	EXPECT_EQ(-EINVAL, dev_backend(&self->d, RX, tun));
	EXPECT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
}

TEST_F(backend, again_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, dev_backend(&self->d, TX, self->n.tap));
	EXPECT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	EXPECT_EQ(0, tx_one(self));
	EXPECT_EQ(0, rx_one(self));
}

TEST_F(backend, none_twice_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, dev_backend(&self->d, TX, -1));
		EXPECT_EQ(0, dev_backend(&self->d, RX, -1));
	}
}

/* QEMU aborts if -1 fails, so it may not, whatever became of the rings. */
TEST_F(backend, none_without_rings_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, tx_one(self));
	ASSERT_EQ(0, munmap(self->d.mem, MEM_SIZE));
	self->d.mem = NULL;
	EXPECT_EQ(0, dev_backend(&self->d, TX, -1));
	EXPECT_EQ(0, dev_backend(&self->d, RX, -1));
	EXPECT_EQ(1, dev_get_base(&self->d, TX));
}

TEST_F(backend, failure_keeps_old_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(-ENOTSOCK, dev_backend(&self->d, TX, FD_CLOSED));
	EXPECT_EQ(-ENOTSOCK, dev_backend(&self->d, TX, self->d.vq[TX].call));
	EXPECT_EQ(0, tx_one(self));
}

/* The tap lives as long as the device works on it. */
TEST_F(backend, closed_after_set_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	close(self->n.tap);
	self->n.tap = -1;
	EXPECT_EQ(0, tx_one(self));
	EXPECT_EQ(0, rx_one(self));
}

/* Running ring. */
TEST_F(backend, running_num_base_ebusy)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(-EBUSY, dev_state(d, VHOST_SET_VRING_NUM, TX, 256));
	EXPECT_EQ(-EBUSY, dev_state(d, VHOST_SET_VRING_NUM, TX, 3));
	EXPECT_EQ(-EBUSY, dev_state(d, VHOST_SET_VRING_BASE, TX, 0));
	EXPECT_EQ(-EBUSY, dev_state(d, VHOST_SET_VRING_BASE, TX, 65536));
	ASSERT_EQ(0, dev_backend(d, TX, -1));
	EXPECT_EQ(0, dev_state(d, VHOST_SET_VRING_NUM, TX, 256));
	EXPECT_EQ(-EBUSY, dev_state(d, VHOST_SET_VRING_NUM, RX, 256));
}

TEST_F(backend, running_get_base_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, dev_get_base(&self->d, TX));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, tx_one(self));
	}
	EXPECT_EQ(3, dev_get_base(&self->d, TX));
}

TEST_F(backend, running_call_ok)
{
	struct vq *vq = &self->d.vq[TX];
	int old;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, tx_one(self));
	old = vq->call;
	vq->call = eventfd(0, EFD_NONBLOCK);
	EXPECT_EQ(0, dev_file(&self->d, VHOST_SET_VRING_CALL, TX, vq->call));
	/* the call of the frame before may have come late, but before this */
	event_read(old);
	EXPECT_EQ(0, tx_one(self));
	EXPECT_EQ(0, event_read(old));
	close(old);
}

TEST_F(backend, running_err_ok)
{
	struct vq *vq = &self->d.vq[TX];
	int old, unused = eventfd(0, EFD_NONBLOCK);

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	old = vq->err;
	EXPECT_EQ(0, dev_file(&self->d, VHOST_SET_VRING_ERR, TX, unused));
	EXPECT_EQ(0, dev_file(&self->d, VHOST_SET_VRING_ERR, TX, -1));
	EXPECT_EQ(0, dev_file(&self->d, VHOST_SET_VRING_ERR, TX, old));
	vq_push(vq, 256);
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(0, event_wait(old, WAIT_MS));
	EXPECT_EQ(0, event_read(unused));
	/* a stopped ring may have left kicks suppressed: kick regardless */
	vq_unpush(vq, 1);
	add_frame(self);
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(0, vq_wait(vq, 1, WAIT_MS));
	EXPECT_EQ(0, frame_seen(self));
}

TEST_F(backend, running_kick_ok)
{
	struct vq *vq = &self->d.vq[TX];
	int old;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, tx_one(self));
	old = vq->kick;
	vq->kick = eventfd(0, EFD_NONBLOCK);
	EXPECT_EQ(0, dev_file(&self->d, VHOST_SET_VRING_KICK, TX, vq->kick));
	EXPECT_EQ(0, tx_one(self));
	close(old);
	EXPECT_EQ(0, tx_one(self));
}

TEST_F(backend, running_addr_features_mem_table_ok)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, vq_set_addr(&d->vq[TX]));
		EXPECT_EQ(0, vq_set_addr(&d->vq[RX]));
		EXPECT_EQ(0, dev_u64(d, VHOST_SET_FEATURES, F_V1));
		EXPECT_EQ(0, dev_mem_table(d));
		EXPECT_EQ(0, tx_one(self));
		EXPECT_EQ(0, rx_one(self));
	}
}

/* The ring as it is, at another place: QEMU's ADDR on a live ring. */
TEST_F(backend, running_addr_moves_ring_ok)
{
	struct vq *vq = &self->d.vq[TX];
	uint8_t *to;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, tx_one(self));
	to = guest_alloc(&self->d, RING_AREA, 4096);
	/* excludes the worker, which armed the ring at the end of its turn */
	ASSERT_EQ(1, dev_get_base(&self->d, TX));
	memcpy(to, vq->desc, 65536);
	vq->avail = (void *)(to + ((uint8_t *)vq->avail - (uint8_t *)vq->desc));
	vq->used = (void *)(to + ((uint8_t *)vq->used - (uint8_t *)vq->desc));
	vq->desc = (void *)to;
	ASSERT_EQ(0, vq_set_addr(vq));
	EXPECT_EQ(0, tx_one(self));
	EXPECT_EQ(0, tx_one(self));
}

TEST_F(backend, running_addr_bad_einval)
{
	struct vhost_vring_addr a;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	for (int area = 0; area < 3; area++) {
		vq_addr(&self->d.vq[TX], &a);
		if (area == 0)
			a.desc_user_addr = KERNEL_ADDR;
		else if (area == 1)
			a.avail_user_addr = KERNEL_ADDR;
		else
			a.used_user_addr = KERNEL_ADDR;
		EXPECT_EQ(-EINVAL, dev_ioctl(&self->d, VHOST_SET_VRING_ADDR,
					     &a, sizeof(a)));
	}
	EXPECT_EQ(0, tx_one(self));
}

TEST_F(backend, running_mem_table_kernel_address_efault)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = GPA_BASE, .memory_size = MEM_SIZE,
		.userspace_addr = KERNEL_ADDR,
	};

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(-EFAULT, dev_mem_regions(&self->d, &r, 1));
	EXPECT_EQ(0, tx_one(self));
}

/* An empty table is a table: nothing translates until the next one. */
TEST_F(backend, running_mem_table_empty_ok)
{
	struct vq *vq = &self->d.vq[TX];

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, dev_mem_regions(&self->d, NULL, 0));
	add_frame(self);
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(0, event_wait(vq->err, WAIT_MS));
	EXPECT_EQ(0, dev_get_base(&self->d, TX));
	ASSERT_EQ(0, dev_mem_table(&self->d));
	vq_kick(vq);
	EXPECT_EQ(0, vq_wait(vq, 1, WAIT_MS));
	EXPECT_EQ(0, frame_seen(self));
}

TEST_F(backend, reset_owner_while_running_ok)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, tx_one(self));
	ASSERT_EQ(0, dev_ioctl(d, VHOST_RESET_OWNER, NULL, 0));
	add_frame(self);
	vq_publish(&d->vq[TX]);
	vq_kick(&d->vq[TX]);
	ASSERT_EQ(0, dev_own(d));
	ASSERT_EQ(0, dev_features(d, F_V1));
	ASSERT_EQ(0, dev_mem_table(d));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, tx_one(self));
	EXPECT_EQ(0, rx_one(self));
}

/* Orders of other clients. */
TEST_F(backend, before_kick_ok)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, rings(self));
	ASSERT_EQ(0, dev_file(d, VHOST_SET_VRING_KICK, TX, -1));
	add_frame(self);
	vq_publish(&d->vq[TX]);
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	vq_kick(&d->vq[TX]);
	/* a kick eventfd that is already readable counts as a kick */
	ASSERT_EQ(0, dev_file(d, VHOST_SET_VRING_KICK, TX, d->vq[TX].kick));
	EXPECT_EQ(0, vq_wait(&d->vq[TX], 1, WAIT_MS));
	EXPECT_EQ(0, frame_seen(self));
}

TEST_F(backend, mem_table_before_features_ok)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, rings(self));
	ASSERT_EQ(0, dev_features(d, F_V1 | F_EVENT));
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	EXPECT_EQ(0, tx_one(self));
	EXPECT_EQ(0, tx_one(self));
}

TEST_F(backend, no_base_no_call_no_err_ok)
{
	struct dev *d = &self->d;
	struct vq *vq = &d->vq[TX];

	RUN_IF_SET_UP();
	ASSERT_EQ(0, vq_layout(d, TX, 64));
	ASSERT_EQ(0, dev_state(d, VHOST_SET_VRING_NUM, TX, 64));
	ASSERT_EQ(0, vq_set_addr(vq));
	vq->kick = eventfd(1, EFD_NONBLOCK);
	ASSERT_EQ(0, dev_file(d, VHOST_SET_VRING_KICK, TX, vq->kick));
	ASSERT_EQ(0, dev_backend(d, TX, self->n.tap));
	add_frame(self);
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(0, vq_spin(vq, 1, WAIT_MS));
	EXPECT_EQ(0, frame_seen(self));
	vq_push(vq, 64);
	vq_publish(vq);
	vq_kick(vq);
	ASSERT_EQ(0, dev_backend(d, TX, -1));
}

/* close() alone, with frames on their way, ends everything. */
TEST_F(backend, plain_close_ok)
{
	struct dev *d = &self->d;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 200; i++)
		add_frame(self);
	vq_publish_kick(&d->vq[TX]);
	dev_close(d);
	ASSERT_EQ(0, dev_setup(d, F_V1));
	self->buf = guest_alloc(d, 1 << 20, 4096);
	ASSERT_EQ(0, start(self));
	net_close(&self->n);
}

/* Rings need not lie in the guest's memory. */
TEST_F(backend, rings_outside_mem_table_ok)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = GPA_BASE + 2 * RING_AREA,
		.memory_size = MEM_SIZE - 2 * RING_AREA,
		.userspace_addr = (uintptr_t)self->d.mem + 2 * RING_AREA,
	};

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_mem_regions(&self->d, &r, 1));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, tx_one(self));
	EXPECT_EQ(0, rx_one(self));
}

/* A buffer over the border of two regions, which lie apart in our memory. */
TEST_F(backend, buffer_over_two_regions_ok)
{
	struct dev *d = &self->d;
	uint64_t cut = self->buf - d->mem + 32;
	uint8_t *copy = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct vhost_memory_region r[2] = {
		{ .guest_phys_addr = GPA_BASE + cut,
		  .memory_size = MEM_SIZE - cut,
		  .userspace_addr = (uintptr_t)copy },
		{ .guest_phys_addr = GPA_BASE, .memory_size = cut,
		  .userspace_addr = (uintptr_t)d->mem },
	};

	RUN_IF_SET_UP();
	ASSERT_NE(MAP_FAILED, (void *)copy);
	ASSERT_EQ(0, dev_mem_regions(d, r, 2));
	ASSERT_EQ(0, start(self));
	add_frame(self);
	memcpy(copy, self->buf + 32, 256);
	memset(self->buf + 32, 0xee, 256);
	vq_publish_kick(&d->vq[TX]);
	EXPECT_EQ(0, vq_wait(&d->vq[TX], 1, WAIT_MS));
	EXPECT_EQ(0, frame_seen(self));
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
