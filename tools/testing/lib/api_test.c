// SPDX-License-Identifier: GPL-2.0-only
/* What a user of the library calls beside bursts, and memory that is in pieces. */
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <kselftest_harness.h>

#include "frontend.h"
#include "user.h"

#define BURST	64
#define NUM	1024		/* entries: descriptors of a ring fill 16 KiB */
#define PIECE	8192UL
#define PIECES	8
#define IOVA	0x10000000ULL

FIXTURE(api) {
	struct user u;
	struct front f;
	char data[BURST][2048];
	struct vhx_pkt pkt[BURST];
	struct vhx_pkt *pkts[BURST];
};

FIXTURE_VARIANT(api) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(api, split) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,
};

FIXTURE_VARIANT_ADD(api, packed) {
	.features = F_V1 | F_PACKED | F_MRG | F_EVENT | F_INDIRECT,
};

FIXTURE_SETUP(api)
{
	front_init(&self->f);
	ASSERT_EQ(0, user_open(&self->u, 1, 0));
	for (int i = 0; i < BURST; i++) {
		self->pkt[i].data = self->data[i];
		self->pkt[i].room = sizeof(self->data[i]);
		self->pkts[i] = &self->pkt[i];
	}
}

FIXTURE_TEARDOWN(api)
{
	front_close(&self->f);
	user_close(&self->u);
}

typedef FIXTURE_DATA(api) fix;

/* -- questions ----------------------------------------------------------------- */

TEST_F(api, device_says_what_it_is_ok)
{
	struct vhx_device *dev;
	int mine;

	ASSERT_EQ(0, user_start(&self->u));
	ASSERT_EQ(0, front_begin(&self->f, self->u.path, variant->features));
	ASSERT_EQ(0, front_u64(&self->f, NET_SET_MTU, 9000));
	for (unsigned int q = RX; q <= TX; q++) {
		ASSERT_EQ(0, front_ring(&self->f, q, 256));
		vq_kick(&self->f.d.vq[q]);
	}
	ASSERT_EQ(0, user_wait(&self->u, 3));
	dev = user_dev(&self->u);
	EXPECT_EQ(self->u.driver, vhx_device_driver(dev));
	EXPECT_EQ(variant->features,
		  vhx_device_features(dev) & ~F_PROTOCOL);
	EXPECT_EQ(9000, vhx_device_mtu(dev));
	EXPECT_EQ(2, vhx_device_queues(dev));
	EXPECT_EQ(0, strncmp(vhx_device_ifname(dev), self->u.path,
			     strlen(self->u.path)));
	EXPECT_EQ(NULL, vhx_device_get_private(dev));
	vhx_device_set_private(dev, &mine);
	EXPECT_EQ(&mine, vhx_device_get_private(dev));
}

/* A loop of the user's: nothing is done but in vhx_session_run(). */
TEST_F(api, session_is_run_by_its_user_ok)
{
	struct vhx_session *session = self->u.session;
	struct pollfd pfd = { .fd = vhx_session_fd(session), .events = POLLIN };
	struct front *f = &self->f;

	EXPECT_EQ(0, vhx_session_run(session, 0));
	ASSERT_EQ(0, vhx_driver_start(self->u.driver));
	ASSERT_EQ(0, front_connect(f, self->u.path));
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_MS));
	EXPECT_STREQ("", self->u.events);
	EXPECT_LE(1, vhx_session_run(session, -1));
	EXPECT_STREQ("c", self->u.events);
	EXPECT_EQ(0, vhx_session_run(session, 0));
	ASSERT_EQ(0, vhx_session_start(session));
	EXPECT_EQ(-EBUSY, vhx_session_run(session, 0));
	EXPECT_EQ(0, front_negotiate(f, variant->features));
	vhx_session_stop(session);
	EXPECT_LE(0, vhx_session_run(session, 0));
}

/* A session takes two descriptors at least; one that has not got them has none. */
TEST_F(api, session_without_descriptors_emfile)
{
	struct vhx_session *session = NULL;
	struct rlimit old, limit;
	int lowest, before = count_fds(), err = 0, failed = 0;

	lowest = dup(0);
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	for (int more = 0; more < 64; more++) {
		limit.rlim_cur = (rlim_t)(lowest + more);
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
		err = vhx_session_create(&session);
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
		if (!err)
			break;
		EXPECT_EQ(-EMFILE, err);
		EXPECT_EQ(before, count_fds());
		failed++;
	}
	EXPECT_EQ(0, err);
	EXPECT_LE(2, failed);
	vhx_session_destroy(session);
	EXPECT_EQ(before, count_fds());
}

/* -- pieces -------------------------------------------------------------------- */

static int add_region(struct front *f, uint64_t offset, uint64_t size, uint64_t gpa)
{
	const struct region region = {
		gpa, size, (uintptr_t)f->d.mem + offset, offset,
	};

	return front_add_region(f, &region, f->memfd);
}

/* Each ring begins with pieces that nothing holds together, the last first. */
static int add_pieces(struct front *f)
{
	const uint64_t rings = f->d.region[0].guest_phys_addr;
	int ret = 0;

	for (unsigned int q = RX; q <= TX && !ret; q++) {
		uint64_t at = q * RING_AREA;

		for (unsigned int i = PIECES; i-- && !ret;)
			ret = add_region(f, at + i * PIECE, PIECE,
					 rings + at + i * PIECE);
		at += PIECES * PIECE;
		if (!ret)
			ret = add_region(f, at, RING_AREA - PIECES * PIECE,
					 rings + at);
	}
	for (unsigned int i = 1; i < f->d.n_regions && !ret; i++) {
		const struct vhost_memory_region *r = &f->d.region[i];

		ret = add_region(f, r->userspace_addr - (uintptr_t)f->d.mem,
				 r->memory_size, r->guest_phys_addr);
	}
	return ret;
}

/* Return: how many frames of a burst came out as they went in. */
static int tx_burst(fix *s, uint8_t *buf, uint32_t seq)
{
	struct vq *vq = &s->f.d.vq[TX];
	uint8_t frame[100];
	int i, nr, good = 0;

	for (i = 0; i < BURST; i++) {
		frame_fill(frame, sizeof(frame), false, seq + (uint32_t)i);
		if (tx_add(vq, NULL, frame, sizeof(frame), &one_piece,
			   buf + i * 2048) < 0)
			return -ENOSPC;
	}
	vq_publish(vq);
	nr = (int)vhx_dequeue_burst(s->u.dev, 1, s->pkts, BURST);
	for (i = 0; i < nr; i++) {
		frame_fill(frame, sizeof(frame), false, seq + (uint32_t)i);
		good += s->pkt[i].len == sizeof(frame) &&
			!memcmp(s->data[i], frame, sizeof(frame)) &&
			vq_pop(vq, NULL) >= 0;
	}
	return good;
}

static int rx_burst(fix *s, uint8_t *buf, uint32_t seq)
{
	struct vq *vq = &s->f.d.vq[RX];
	uint8_t frame[100];
	uint32_t used;
	int i, nr, good = 0;

	for (i = 0; i < BURST; i++) {
		frame_fill((uint8_t *)s->data[i], sizeof(frame), true,
			   seq + (uint32_t)i);
		s->pkt[i].len = sizeof(frame);
		if (rx_add(vq, 2000, &one_piece, buf + i * 2048) < 0)
			return -ENOSPC;
	}
	vq_publish(vq);
	nr = (int)vhx_enqueue_burst(s->u.dev, 0, s->pkts, BURST);
	for (i = 0; i < nr; i++) {
		frame_fill(frame, sizeof(frame), true, seq + (uint32_t)i);
		good += vq_pop(vq, &used) >= 0 && used == sizeof(frame) + 12 &&
			!memcmp(buf + i * 2048 + 12, frame, sizeof(frame));
	}
	return good;
}

/* All of the guest's memory is one range of I/O addresses. */
static int translate(struct front *f)
{
	struct vhost_iotlb_msg all = {
		.iova = IOVA, .size = MEM_SIZE, .uaddr = (uintptr_t)f->d.mem,
		.perm = VHOST_ACCESS_RW, .type = VHOST_IOTLB_UPDATE,
	};

	f->d.n_regions = 1;
	f->d.region[0] = (struct vhost_memory_region){
		.guest_phys_addr = IOVA, .memory_size = MEM_SIZE,
		.userspace_addr = (uintptr_t)f->d.mem,
	};
	return front_ack(f, IOTLB_MSG, &all, sizeof(all), NULL, 0);
}

/* Behind an IOMMU, a ring is in as many pieces here as there are regions. */
TEST_F(api, rings_in_pieces_behind_an_iommu_ok)
{
	struct front *f = &self->f;
	uint8_t *buf;
	int pair[2];

	ASSERT_EQ(0, user_start(&self->u));
	ASSERT_EQ(0, front_connect(f, self->u.path));
	ASSERT_EQ(0, front_negotiate(f, variant->features | F_PLATFORM));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	f->request_fd = pair[0];
	ASSERT_EQ(0, front_ack(f, SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1));
	close(pair[1]);
	ASSERT_EQ(0, front_map(f));
	ASSERT_EQ(0, add_pieces(f));
	ASSERT_EQ(0, translate(f));
	for (unsigned int q = RX; q <= TX; q++) {
		ASSERT_EQ(0, front_ring(f, q, NUM));
		vq_kick(&f->d.vq[q]);
	}
	ASSERT_EQ(0, user_wait(&self->u, 3));
	buf = guest_alloc(&f->d, BURST * 2048, 4096);
	for (uint32_t seq = 0; seq < 3 * NUM; seq += BURST) {
		ASSERT_EQ(BURST, tx_burst(self, buf, seq));
		ASSERT_EQ(BURST, rx_burst(self, buf, seq));
	}
	EXPECT_EQ(0, self->u.nr_errors);
}

TEST_HARNESS_MAIN
