// SPDX-License-Identifier: GPL-2.0-only
/* Frames behind an IOTLB, while a thread answers its misses. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "harness.h"
#include "iotlb_lib.h"

#define PAGE		4096ULL
#define AREA_MAX	(16UL << 20)	/* bytes of buffers, used in turn */
#define STEP		2048UL
#define FRAMES_MAX	(AREA_MAX / STEP)
#define LEN		1500

FIXTURE(iotlb_data) {
	struct dev d;
	struct net n;
	struct iotlb t;
	struct responder r;
	uint8_t *buf;
	uint8_t frame[LEN], seen[LEN + 1];
	int kmsg;
};

FIXTURE_VARIANT(iotlb_data) {
	uint64_t features;
	unsigned int num;
	unsigned int pages;	/* of buffers: more than max_iotlb_entries */
};
FIXTURE_VARIANT_ADD(iotlb_data, v1) {
	.features = F_V1, .num = 256, .pages = AREA_MAX / PAGE,
};
/* rings of many pages, which are not contiguous for the device */
FIXTURE_VARIANT_ADD(iotlb_data, v1_mrg_event_indirect_n1024) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT, .num = 1024,
	.pages = 2304,
};
FIXTURE_VARIANT_ADD(iotlb_data, packed) {
	.features = F_V1 | F_PACKED, .num = 256, .pages = AREA_MAX / PAGE,
};
FIXTURE_VARIANT_ADD(iotlb_data, packed_mrg_event_indirect_n1000) {
	.features = F_V1 | F_PACKED | F_MRG | F_EVENT | F_INDIRECT,
	.num = 1000, .pages = 2304,
};

FIXTURE_SETUP(iotlb_data)
{
	struct dev *d = &self->d;

	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, 12));
	ASSERT_EQ(0, iotlb_open(&self->t, d, variant->features, true));
	ASSERT_EQ(0, vq_setup(d, RX, variant->num));
	ASSERT_EQ(0, vq_setup(d, TX, variant->num));
	self->buf = guest_alloc(d, AREA_MAX + PAGE, PAGE);
}

FIXTURE_TEARDOWN(iotlb_data)
{
	iotlb_close(&self->t);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(iotlb_data) fix;

/* The used ring is looked at when it starts, the rest is asked for. */
static int start(fix *f, unsigned int q)
{
	struct vq *vq = &f->d.vq[q];
	uint64_t from = gpa(&f->d, vq->used);
	int ret = 0;

	for (uint64_t at = from; !ret && at < from + 6 + 8 * vq->num;
	     at += PAGE)
		ret = iotlb_map_page(&f->t, at);
	return ret ? ret : dev_backend(&f->d, q, f->n.tap);
}

static uint8_t *buf_at(fix *f, uint32_t i)
{
	/* a frame in two begins in one page and ends in the next */
	return f->buf + i % FRAMES_MAX * STEP + (i & 1 ? 652 : 200);
}

static int tx_offer(fix *f, uint32_t seq)
{
	static const struct layout *const layouts[] = {
		&one_piece, &two_pieces, &scattered,
	};

	frame_fill(f->frame, LEN, false, seq);
	return tx_add(&f->d.vq[TX], NULL, f->frame, LEN, layouts[seq % 3],
		      buf_at(f, seq));
}

static int tx_seen(fix *f, uint32_t seq)
{
	struct virtio_net_hdr h;
	int n = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);

	if (n < 0)
		return n;
	frame_fill(f->frame, LEN, false, seq);
	return n == LEN && !memcmp(f->frame, f->seen, n) ? 0 : -EBADMSG;
}

/* @n frames to the host, as many in flight as the ring takes, up to 64. */
static int tx_stream(fix *f, uint32_t n)
{
	struct vq *vq = &f->d.vq[TX];
	uint32_t put = 0, got = 0;
	int ret = 0;

	while (!ret && got < n) {
		while (put < n && put - got < 64 && vq->n_free >= 16)
			if (tx_offer(f, put++) < 0)
				return -ENOSPC;
		vq_publish_kick(vq);
		ret = vq_wait(vq, 1, WAIT_MS);
		while (!ret && vq_pop(vq, NULL) >= 0)
			ret = tx_seen(f, got++);
	}
	return ret;
}

static int rx_took(fix *f, uint32_t seq, uint32_t len)
{
	frame_fill(f->frame, LEN, true, seq);
	return len == LEN + 12 &&
	       !memcmp(buf_at(f, seq) + 12, f->frame, LEN) ? 0 : -EBADMSG;
}

static int rx_stream(fix *f, uint32_t n)
{
	struct vq *vq = &f->d.vq[RX];
	uint32_t put = 0, sent = 0, got = 0, len;
	int ret = 0;

	while (!ret && got < n) {
		while (put < n && put - got < 64 && vq->n_free >= 4) {
			if (rx_add(vq, LEN + 12, put & 1 ? &one_piece :
				   &two_pieces, buf_at(f, put)) < 0)
				return -ENOSPC;
			put++;
		}
		vq_publish_kick(vq);
		for (; !ret && sent < put; sent++) {
			frame_fill(f->frame, LEN, true, sent);
			ret = pkt_send(f->n.pkt, NULL, f->frame, LEN);
		}
		if (!ret)
			ret = vq_wait(vq, 1, WAIT_MS);
		while (!ret && vq_pop(vq, &len) >= 0)
			ret = rx_took(f, got++, len);
	}
	return ret;
}

static void report(fix *f, const char *what, unsigned int n, int64_t ms)
{
	DIAG("%s: %lu frames/s, %lu misses for %u frames, 4 KiB mappings",
	     what, ms ? n * 1000UL / ms : 0, f->r.misses, n);
}

TEST_F_TIMEOUT(iotlb_data, tx_with_responder_ok, 60)
{
	unsigned int n = variant->pages * PAGE / STEP;
	int64_t from = now_ms();

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, responder_start(&self->r, &self->t));
	EXPECT_EQ(0, tx_stream(self, n));
	EXPECT_EQ(0, responder_stop(&self->r));
	report(self, "tx", n, now_ms() - from);
	EXPECT_LE(variant->pages, self->r.misses);
}

TEST_F_TIMEOUT(iotlb_data, rx_with_responder_ok, 60)
{
	unsigned int n = variant->pages * PAGE / STEP;
	int64_t from = now_ms();

	ASSERT_EQ(0, start(self, RX));
	ASSERT_EQ(0, responder_start(&self->r, &self->t));
	EXPECT_EQ(0, rx_stream(self, n));
	EXPECT_EQ(0, responder_stop(&self->r));
	report(self, "rx", n, now_ms() - from);
	EXPECT_LE(variant->pages, self->r.misses);
}

struct breaker {
	fix *f;
	pthread_t thread;
	bool stop;
	int ret;
	unsigned long n;
};

/* Takes mappings away, of one page or of all, until told to stop. */
static void *invalidate(void *arg)
{
	struct breaker *b = arg;
	unsigned int seed = 1;

	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED) && !b->ret) {
		uint64_t at = GPA_BASE + rand_r(&seed) % (MEM_SIZE / PAGE / 8) *
			      PAGE;

		b->ret = ++b->n % 64 ? iotlb_drop(&b->f->t, at, PAGE) :
				       iotlb_drop(&b->f->t, 0, ~0ULL);
		/* a turn for the others, where the device's lock is unfair */
		poll(NULL, 0, b->n % 64 ? 0 : 1);
	}
	return NULL;
}

static int broken_stream(fix *f, int (*stream)(fix *f, uint32_t n),
			 unsigned int n)
{
	struct breaker b = { .f = f };
	int ret = responder_start(&f->r, &f->t);

	if (ret)
		return ret;
	if (pthread_create(&b.thread, NULL, invalidate, &b))
		return -EAGAIN;
	ret = stream(f, n);
	__atomic_store_n(&b.stop, true, __ATOMIC_RELAXED);
	pthread_join(b.thread, NULL);
	DIAG("%lu invalidations, %lu misses", b.n, f->r.misses);
	return ret ? ret : b.ret ? b.ret : responder_stop(&f->r);
}

TEST_F_TIMEOUT(iotlb_data, tx_under_invalidation_ok, 60)
{
	ASSERT_EQ(0, start(self, TX));
	EXPECT_EQ(0, broken_stream(self, tx_stream, 1000));
}

TEST_F_TIMEOUT(iotlb_data, rx_under_invalidation_ok, 60)
{
	ASSERT_EQ(0, start(self, RX));
	EXPECT_EQ(0, broken_stream(self, rx_stream, 1000));
}

/* Once INVALIDATE has returned the old place is not read any more. */
TEST_F(iotlb_data, remapped_buffer_is_read_anew_ok)
{
	struct vq *vq = &self->d.vq[TX];
	uint8_t *old = self->buf, *new = self->buf + 8 * PAGE;
	uint64_t iova = gpa(&self->d, old);

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, iotlb_map(&self->t, self->d.mem, 2 * RING_AREA,
			       VHOST_ACCESS_RW));
	for (uint32_t i = 0; i < 50; i++) {
		uint8_t *at = i & 1 ? new : old;

		frame_fill(self->frame, LEN, false, i);
		ASSERT_LE(0, tx_add(vq, NULL, self->frame, LEN, &one_piece,
				    old));
		if (at != old) {
			memcpy(at, old, LEN + 12);
			memset(old, 0xee, LEN + 12);
		}
		ASSERT_EQ(0, iotlb_drop(&self->t, iova, PAGE));
		ASSERT_EQ(0, iotlb_update(&self->t, iova, PAGE, at,
					  VHOST_ACCESS_RO));
		vq_publish_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
		ASSERT_LE(0, vq_pop(vq, NULL));
		ASSERT_EQ(0, tx_seen(self, i));
	}
}

/* Mappings of any size at any place, and a chain that spans many. */
TEST_F(iotlb_data, small_unaligned_mappings_ok)
{
	static const unsigned int sizes[] = { 1, 7, 64, 100, 333 };
	struct vq *vq = &self->d.vq[TX];
	uint8_t *at = self->buf + 13;

	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, iotlb_map(&self->t, self->d.mem, 2 * RING_AREA,
			       VHOST_ACCESS_RW));
	if (vq->tables) {
		ASSERT_EQ(0, iotlb_map(&self->t, vq->tables, 16UL * TABLE_LEN *
				       vq->num, VHOST_ACCESS_RO));
	}
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned int size = sizes[i], end = 12 + LEN, n = 0;

		/* up to 1024 pieces fit a chain */
		size = size < 2 ? 2 : size;
		for (unsigned int off = 0; off < end; off += size, n++) {
			/* every other one by the second view */
			uint8_t *p = (n & 1 ? self->t.view - self->d.mem : 0) +
				     at + off;

			ASSERT_EQ(0, iotlb_update(&self->t,
						  gpa(&self->d, at + off),
						  size, p, VHOST_ACCESS_RO));
		}
		frame_fill(self->frame, LEN, false, i);
		ASSERT_LE(0, tx_add(vq, NULL, self->frame, LEN, &two_pieces,
				    at));
		vq_publish_kick(vq);
		ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS)) {
			TH_LOG("mappings of %u bytes", size);
		}
		ASSERT_LE(0, vq_pop(vq, NULL));
		EXPECT_EQ(0, tx_seen(self, i));
		ASSERT_EQ(0, iotlb_drop(&self->t, gpa(&self->d, at) - 13,
					2 * PAGE));
	}
}

/* The limit of the module that is loaded: vhost's or ours. */
static long max_entries(void)
{
	char path[96];
	long max = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/max_iotlb_entries",
		 strcmp(module_name(), "vhost_net") ? module_name() : "vhost");
	f = fopen(path, "re");
	if (f && fscanf(f, "%ld", &max) != 1)
		max = -1;
	if (f)
		fclose(f);
	return max;
}

/* A full IOTLB takes more, and asks again for what it dropped. */
TEST_F(iotlb_data, quota_drops_oldest_ok)
{
	long max = max_entries();
	struct vhost_iotlb_msg m;

	if (max < 0)
		SKIP(return, "the module does not say max_iotlb_entries");
	ASSERT_LT(max, 32768);
	ASSERT_EQ(0, start(self, TX));
	ASSERT_EQ(0, responder_start(&self->r, &self->t));
	EXPECT_EQ(0, tx_stream(self, 4));
	ASSERT_EQ(0, responder_stop(&self->r));
	/* in-tree may have asked twice */
	while (!iotlb_read(&self->t, &m))
		;
	for (long i = 0; i <= max; i++) {
		ASSERT_EQ(0, iotlb_update(&self->t, 0x1000000000 + i * PAGE,
					  PAGE, self->buf, VHOST_ACCESS_RO));
	}
	/* the ring is gone */
	ASSERT_LE(0, tx_offer(self, 0));
	vq_publish(&self->d.vq[TX]);
	vq_kick(&self->d.vq[TX]);
	EXPECT_EQ(0, event_wait(self->d.fd, WAIT_MS));
	ASSERT_EQ(0, responder_start(&self->r, &self->t));
	EXPECT_EQ(0, vq_wait(&self->d.vq[TX], 1, WAIT_MS));
	EXPECT_EQ(0, tx_seen(self, 0));
	EXPECT_EQ(0, responder_stop(&self->r));
	EXPECT_LT(0, self->r.misses);
}

TEST_HARNESS_MAIN
