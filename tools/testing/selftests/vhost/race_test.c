// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that rewrites its ring while the device reads it, memory that goes
 * away under the device, ioctls against each other. The device may stop a
 * ring, may lose what it was given, and must live: reset, it works.
 */
#include <errno.h>
#include <pthread.h>

#include "harness.h"

#define RING		64
#define WRITES		300000
#define ROUNDS		400

FIXTURE(race) {
	struct dev d;
	struct net n;
	struct vring_desc *table;
	uint8_t *buf;
	uint8_t frame[200], seen[70000];
	uint32_t rng;
	int kmsg;
};

FIXTURE_VARIANT(race) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(race, v1_indirect) { .features = F_V1 | F_INDIRECT };
FIXTURE_VARIANT_ADD(race, v1_mrg_event_indirect) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,
};

typedef FIXTURE_DATA(race) fix;

static int rings(fix *f)
{
	int ret = vq_setup(&f->d, RX, RING);

	return ret ? ret : vq_setup(&f->d, TX, RING);
}

static int start(fix *f)
{
	int ret = dev_backend(&f->d, RX, f->n.tap);

	return ret ? ret : dev_backend(&f->d, TX, f->n.tap);
}

static int stop(fix *f)
{
	int ret = dev_backend(&f->d, RX, -1);

	return ret ? ret : dev_backend(&f->d, TX, -1);
}

FIXTURE_SETUP(race)
{
	self->kmsg = kmsg_open();
	self->rng = 12345;
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(&self->d, variant->features));
	ASSERT_EQ(0, rings(self));
	self->buf = guest_alloc(&self->d, 1 << 20, 4096);
	self->table = guest_alloc(&self->d, 4096, 4096);
	frame_fill(self->frame, sizeof(self->frame), false, 1);
}

FIXTURE_TEARDOWN(race)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static uint32_t any(fix *f)
{
	f->rng ^= f->rng << 13;
	f->rng ^= f->rng >> 17;
	f->rng ^= f->rng << 5;
	return f->rng;
}

/* Mostly plausible descriptors, so that they get far into the device. */
static void scribble_desc(fix *f, struct vring_desc *t, unsigned int num)
{
	uint32_t r = any(f);

	t->addr = g64(&f->d, r & 15 ? gpa(&f->d, f->buf) + (any(f) & 0x3ffff) :
			     r & 16 ? gpa(&f->d, f->table) : any(f));
	t->len = g32(&f->d, r & 0x60 ? any(f) & 0x7ff :
				       any(f) >> (any(f) & 31));
	t->flags = g16(&f->d, (r >> 8) & 7);
	t->next = g16(&f->d, r & 0x8000 ? any(f) % num : any(f));
}

static void scribble(fix *f)
{
	struct vq *vq = &f->d.vq[any(f) & 1];

	switch (any(f) & 7) {
	case 0:
		vq->avail->idx = g16(&f->d, g16(&f->d, vq->avail->idx) +
					    (any(f) & 3));
		break;
	case 1:
		vq->avail->idx = any(f) & 63 ?
			g16(&f->d, g16(&f->d, vq->used->idx) + RING / 2u) :
			any(f);
		break;
	case 2:
		vq->avail->ring[any(f) % RING] =
			g16(&f->d, any(f) & 63 ? any(f) % RING : any(f));
		break;
	case 3:
		scribble_desc(f, &f->table[any(f) & 63], 64);
		break;
	case 4:
		vq->avail->flags = g16(&f->d, any(f) & 1);
		*vq_used_event(vq) = any(f);
		break;
	default:
		scribble_desc(f, &vq->desc[any(f) % RING], RING);
	}
}

static void *scribbler(void *arg)
{
	fix *f = arg;

	for (int i = 0; i < WRITES; i++) {
		scribble(f);
		if (i % 64 == 0)
			vq_kick(&f->d.vq[i / 64 & 1]);
	}
	return NULL;
}

/* A new life for the rings; one frame each way. Return: 0 or -errno. */
static int lives(fix *f)
{
	struct vq *tx = &f->d.vq[TX], *rx = &f->d.vq[RX];
	struct virtio_net_hdr h;
	int ret = rings(f);

	close(f->n.pkt);
	f->n.pkt = pkt_open("vt0", PACKET_HDR);
	if (!ret)
		ret = start(f);
	tx_add(tx, NULL, f->frame, sizeof(f->frame), &two_pieces, f->buf);
	vq_publish(tx);
	vq_kick(tx);
	if (!ret)
		ret = vq_wait(tx, 1, WAIT_MS);
	if (!ret)
		ret = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);
	if (ret != sizeof(f->frame))
		return ret < 0 ? ret : -EBADMSG;
	rx_add(rx, 2048, &two_pieces, f->buf + 4096);
	vq_publish(rx);
	vq_kick(rx);
	ret = pkt_send(f->n.pkt, NULL, f->frame, sizeof(f->frame));
	return ret ? ret : vq_wait(rx, 1, WAIT_MS);
}

TEST_F(race, rings_rewritten_survives_ok)
{
	pthread_t t;
	int tap;

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, pthread_create(&t, NULL, scribbler, self));
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_LE(0, pkt_send(self->n.pkt, NULL, self->frame,
				      sizeof(self->frame)));
	}
	ASSERT_EQ(0, pthread_join(t, NULL));
	ASSERT_EQ(0, stop(self));
	/* frames of the scribbler's making may be in the tap's queue */
	tap = self->n.tap;
	ASSERT_EQ(0, link_del("vt0"));
	close(tap);
	self->n.tap = tap_open("vt0", 0, 12);
	ASSERT_LE(0, self->n.tap);
	ASSERT_EQ(0, link_up("vt0", 1500));
	EXPECT_EQ(0, lives(self));
}

/* The same, and the ring is stopped and started all the while. */
TEST_F(race, rings_rewritten_restarts_ok)
{
	pthread_t t;

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, pthread_create(&t, NULL, scribbler, self));
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(0, stop(self));
		EXPECT_LE(0, dev_get_base(&self->d, TX));
		ASSERT_EQ(0, start(self));
	}
	ASSERT_EQ(0, pthread_join(t, NULL));
	ASSERT_EQ(0, stop(self));
	ASSERT_EQ(0, link_del("vt0"));
	close(self->n.tap);
	self->n.tap = tap_open("vt0", 0, 12);
	ASSERT_LE(0, self->n.tap);
	ASSERT_EQ(0, link_up("vt0", 1500));
	EXPECT_EQ(0, lives(self));
}

/* The ring's memory is unmapped: the error eventfd, and no harm. */
TEST_F(race, ring_unmapped_signals_error_ok)
{
	struct dev *d = &self->d;
	struct vq *tx = &d->vq[TX];

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, munmap(d->mem, MEM_SIZE));
	vq_kick(tx);
	EXPECT_EQ(0, event_wait(tx->err, WAIT_MS));
	EXPECT_EQ(0, stop(self));
	ASSERT_EQ(0, dev_mem(d));
	ASSERT_EQ(0, dev_mem_table(d));
	self->buf = guest_alloc(d, 1 << 20, 4096);
	EXPECT_EQ(0, lives(self));
}

/* The frame's memory is unmapped: the ring is sound, the frame is not. */
TEST_F(race, buffer_unmapped_goes_on_ok)
{
	struct vq *tx = &self->d.vq[TX];
	uint8_t *hole = guest_alloc(&self->d, 1 << 20, 4096);

	ASSERT_EQ(0, start(self));
	tx_add(tx, NULL, self->frame, sizeof(self->frame), &one_piece, hole);
	ASSERT_EQ(0, munmap(hole, 1 << 20));
	vq_publish(tx);
	vq_kick(tx);
	EXPECT_EQ(0, vq_spin(tx, 1, SOON_MS));
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(0, lives(self));
}

static void *unmap_rings(void *arg)
{
	fix *f = arg;

	munmap(f->d.mem, 2 * RING_AREA);
	return NULL;
}

/* Unmapped while frames flow, at a moment of its own each time. */
TEST_F(race, ring_unmapped_under_load_ok)
{
	for (int round = 0; round < 10; round++) {
		struct dev *d = &self->d;
		pthread_t t;
		int tx = d->vq[TX].kick;
		uint64_t one = 1;

		ASSERT_EQ(0, start(self));
		for (int i = 0; i < RING / 2; i++) {
			tx_add(&d->vq[TX], NULL, self->frame, 200, &one_piece,
			       self->buf + i * 2048);
		}
		vq_publish(&d->vq[TX]);
		vq_kick(&d->vq[TX]);
		ASSERT_EQ(0, pthread_create(&t, NULL, unmap_rings, self));
		for (int i = 0; i < 50; i++) {
			ASSERT_EQ(8, write(tx, &one, 8));
		}
		ASSERT_EQ(0, pthread_join(t, NULL));
		ASSERT_EQ(0, stop(self));
		munmap(d->mem, MEM_SIZE);
		ASSERT_EQ(0, dev_mem(d));
		ASSERT_EQ(0, dev_mem_table(d));
		self->buf = guest_alloc(d, 1 << 20, 4096);
		self->table = guest_alloc(d, 4096, 4096);
		ASSERT_EQ(0, lives(self));
		ASSERT_EQ(0, stop(self));
		ASSERT_EQ(0, rings(self));
	}
}

static void *toggler(void *arg)
{
	fix *f = arg;

	for (int i = 0; i < 100; i++) {
		dev_backend(&f->d, TX, i & 1 ? f->n.tap : -1);
		dev_backend(&f->d, RX, i & 1 ? -1 : f->n.tap);
		dev_file(&f->d, VHOST_SET_VRING_KICK, TX, f->d.vq[TX].kick);
	}
	return NULL;
}

static void *setter(void *arg)
{
	fix *f = arg;

	for (int i = 0; i < 200; i++) {
		dev_mem_table(&f->d);
		dev_u64(&f->d, VHOST_SET_FEATURES, f->d.features);
		vq_set_addr(&f->d.vq[TX]);
		dev_file(&f->d, VHOST_SET_VRING_KICK, TX, i & 1 ? -1 :
			 f->d.vq[TX].kick);
		dev_file(&f->d, VHOST_SET_VRING_CALL, RX, i & 1 ? -1 :
			 f->d.vq[RX].call);
		dev_get_base(&f->d, RX);
		vq_kick(&f->d.vq[TX]);
	}
	return NULL;
}

/* Ioctls of several threads on one device, none waits for ever. */
TEST_F(race, ioctls_of_many_threads_ok)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, pthread_create(&t[i], NULL, i & 1 ? toggler :
					    setter, self));
	}
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, pthread_join(t[i], NULL));
	}
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(0, lives(self));
}

TEST_HARNESS_MAIN
