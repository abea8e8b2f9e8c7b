// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log against memory: every page that the device changed has its
 * bit, and no page has one that the device had no business to write.
 */
#include "harness.h"
#include "iotlb_lib.h"
#include "log_lib.h"

#define SLOT	16384UL		/* bytes between two buffers */
#define ROOM	10000		/* of a buffer for the longest frame */
#define LONGEST	9000
#define SMALL	700		/* of a mergeable buffer */
#define MARK	0xa5		/* what memory holds before */
#define FRAMES		600
/* near the end of a page, so that small rings cross into the next */
#define RX_USED_GPA	0x170000fc0ULL
#define TX_USED_GPA	0x171000fe0ULL

FIXTURE(diff) {
	struct dev d;
	struct net n;
	struct iotlb t;
	uint8_t *log, *want;
	uint8_t *bufs, *hdrs, *sends;	/* by head */
	struct seg (*segs)[3];		/* of the buffer by head */
	uint8_t *frame, *seen;
	bool used[2][1024];		/* packed: slots, by head */
	unsigned int sent;
	int kmsg;
};

FIXTURE_VARIANT(diff) {
	uint64_t features;
	unsigned int num;
};
FIXTURE_VARIANT_ADD(diff, legacy) { .features = 0, .num = 64 };
FIXTURE_VARIANT_ADD(diff, v1_small_ring) { .features = F_V1, .num = 16 };
FIXTURE_VARIANT_ADD(diff, v1_big_ring) { .features = F_V1, .num = 1024 };
FIXTURE_VARIANT_ADD(diff, v1_mrg) { .features = F_V1 | F_MRG, .num = 64 };
FIXTURE_VARIANT_ADD(diff, v1_mrg_event_indirect) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT, .num = 16,
};
FIXTURE_VARIANT_ADD(diff, v1_platform) {
	.features = F_V1 | F_PLATFORM, .num = 64,
};
FIXTURE_VARIANT_ADD(diff, v1_mrg_event_indirect_platform) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT | F_PLATFORM,
	.num = 64,
};
FIXTURE_VARIANT_ADD(diff, packed_small_ring) {
	.features = F_V1 | F_PACKED, .num = 16,
};
FIXTURE_VARIANT_ADD(diff, packed_event_big_ring) {
	.features = F_V1 | F_PACKED | F_EVENT, .num = 960,
};
FIXTURE_VARIANT_ADD(diff, packed_mrg_event_indirect) {
	.features = F_V1 | F_PACKED | F_MRG | F_EVENT | F_INDIRECT, .num = 48,
};
FIXTURE_VARIANT_ADD(diff, packed_mrg_event_platform) {
	.features = F_V1 | F_PACKED | F_MRG | F_EVENT | F_PLATFORM, .num = 64,
};

typedef FIXTURE_DATA(diff) fix;

/* Three regions whose order in the guest is another than in our memory. */
static void set_regions(struct dev *d, uint64_t mid)
{
	uint64_t size[3] = { 2 * RING_AREA, mid - 2 * RING_AREA,
			     MEM_SIZE - mid };
	uint64_t at[3] = { 0x120000000, 0x140000000, 0x100000000 };
	uint8_t *p = d->mem;

	for (int i = 0; i < 3; p += size[i++])
		d->region[i] = (struct vhost_memory_region){
			.guest_phys_addr = at[i], .memory_size = size[i],
			.userspace_addr = (uintptr_t)p,
		};
	d->n_regions = 3;
}

/*
 * Behind an IOTLB the guest's addresses are others than those of the memory
 * table, which are those of the log.
 */
static uint64_t log_gpa(fix *f, const void *p)
{
	if (!has(&f->d, F_PLATFORM))
		return gpa(&f->d, p);
	return GPA_BASE / 2 + ((const uint8_t *)p - f->d.mem);
}

static int setup_memory(fix *f, uint64_t features)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = GPA_BASE / 2, .memory_size = MEM_SIZE,
	};
	int ret;

	if (!(features & F_PLATFORM)) {
		ret = dev_setup(&f->d, features);
		if (ret)
			return ret;
		set_regions(&f->d, 2 * RING_AREA + 24 * SLOT);
		return dev_mem_table(&f->d);
	}
	ret = iotlb_open(&f->t, &f->d, features, true);
	if (ret)
		return ret;
	r.userspace_addr = (uintptr_t)f->d.mem;
	ret = dev_mem_regions(&f->d, &r, 1);
	return ret ? ret : iotlb_map(&f->t, f->d.mem, MEM_SIZE,
				     VHOST_ACCESS_RW);
}

FIXTURE_SETUP(diff)
{
	struct dev *d = &self->d;
	unsigned int num = variant->num;

	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->n, BE_TAP, variant->features & F_V1 ?
			      12 : 10));
	ASSERT_EQ(0, setup_memory(self, variant->features));
	self->bufs = guest_alloc(d, num * SLOT, 4096);
	self->hdrs = guest_alloc(d, num * 64, 4096);
	self->sends = guest_alloc(d, num * SLOT, 4096);
	ASSERT_EQ(0, vq_setup(d, RX, num));
	ASSERT_EQ(0, vq_setup(d, TX, num));
	memset(self->bufs, MARK, num * SLOT);
	memset(self->hdrs, MARK, self->sends - self->hdrs);
	if (!has(d, F_PACKED)) {
		memset(d->vq[RX].used->ring, 0xff, 8 * num);
		memset(d->vq[TX].used->ring, 0xff, 8 * num);
	}
	self->log = log_alloc(LOG_SIZE);
	self->want = calloc(1, LOG_SIZE);
	self->segs = calloc(num, sizeof(*self->segs));
	self->frame = malloc(LONGEST);
	self->seen = malloc(LONGEST + 1);
}

FIXTURE_TEARDOWN(diff)
{
	dev_close(&self->d);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

/*
 * Begin anew with an empty log. Of the buffers what may have been written is
 * marked again: a page that nothing may write is found now or the next time.
 */
static void forget(fix *f)
{
	for (uint8_t *p = f->bufs; p < f->sends; p += LOG_PAGE) {
		if (log_has(f->want, log_gpa(f, p)))
			memset(p, MARK, LOG_PAGE);
	}
	memset(f->log, 0, LOG_SIZE);
	memset(f->want, 0, LOG_SIZE);
}

static int log_on(fix *f)
{
	struct dev *d = &f->d;
	int ret = log_base(d, f->log);

	d->vq[RX].log_gpa = RX_USED_GPA;
	d->vq[TX].log_gpa = TX_USED_GPA;
	/* before the addresses: a switch of ACCESS_PLATFORM forgets them */
	if (!ret)
		ret = dev_u64(d, VHOST_SET_FEATURES, d->features | F_LOG_ALL);
	if (!ret && has(d, F_PLATFORM))
		ret = iotlb_map(&f->t, d->mem, MEM_SIZE, VHOST_ACCESS_RW);
	for (int q = 0; q < 2 && !ret; q++) {
		ret = vq_set_addr(&d->vq[q]);
		if (!ret)
			ret = dev_backend(d, q, f->n.tap);
	}
	return ret;
}

static size_t frame_len(unsigned int i)
{
	return i % 5 == 4 ? LONGEST - i : 60 + i * 37 % 1400;
}

/*
 * Offer a buffer: in one piece, with the header elsewhere, or in three whose
 * order in memory is another. They begin anywhere in a page.
 */
static int offer(fix *f)
{
	struct vq *vq = &f->d.vq[RX];
	unsigned int head = vq_next_head(vq), odd = head * 613 % 4096;
	unsigned int hdr = f->d.hdr_len;
	size_t size = has(&f->d, F_MRG) ? SMALL : ROOM;
	uint8_t *p = f->bufs + head * SLOT + odd;
	struct seg s[3] = { { p, size } };
	int n = 1;

	if (head % 3 == 1 && vq->n_free >= 2) {
		s[n++] = (struct seg){ p, size - hdr };
		s[0] = (struct seg){ f->hdrs + head * 64, hdr };
	} else if (head % 3 == 2 && vq->n_free >= 3) {
		n = 3;
		s[0] = (struct seg){ p + size - 100, 100 };
		s[1] = (struct seg){ p + size / 2, size / 2 - 100 };
		s[2] = (struct seg){ p, size / 2 };
	}
	memset(f->segs[head], 0, sizeof(*f->segs));
	memcpy(f->segs[head], s, n * sizeof(*s));
	return vq_add(vq, s, 0, n);
}

/* What a used buffer allows and demands to be dirty. */
static void want_buffer(fix *f, int head, uint32_t len)
{
	for (int i = 0; i < 3 && len; i++) {
		struct seg *s = &f->segs[head][i];
		uint32_t part = len < s->len ? len : s->len;

		if (part)
			log_set(f->want, log_gpa(f, s->p), part);
		len -= part;
	}
}

/* A used descriptor is written where the chain's head was. */
static void want_slot(fix *f, struct vq *vq, int head)
{
	if (!is_packed(vq))
		return;
	f->used[vq->index][head] = true;
	log_set(f->want, log_gpa(f, &vq->packed[head]) + 8, 8);
}

static int pop_all(fix *f, unsigned int *bytes)
{
	struct vq *vq = &f->d.vq[RX];
	uint32_t len;
	int head;

	while ((head = vq_pop(vq, &len)) >= 0) {
		want_buffer(f, head, len);
		want_slot(f, vq, head);
		*bytes += len;
	}
	return head == -EAGAIN ? 0 : head;
}

/* @n frames to the guest, some at a time. */
static int rx_stream(fix *f, unsigned int n)
{
	struct vq *vq = &f->d.vq[RX];
	unsigned int bytes, due, end = f->sent + n;
	int ret = 0;

	while (!ret && f->sent < end) {
		while (vq->n_free && offer(f) >= 0)
			;
		vq_publish_kick(vq);
		bytes = 0;
		due = 0;
		for (int i = 0; !ret && i < 4 && f->sent < end; i++) {
			size_t len = frame_len(f->sent);

			frame_fill(f->frame, len, true, f->sent++);
			ret = pkt_send(f->n.pkt, NULL, f->frame, len);
			due += len;
		}
		/* headers are on top, one a frame */
		while (!ret && bytes < due) {
			while (vq->n_free && offer(f) >= 0)
				;
			vq_publish_kick(vq);
			ret = vq_wait(vq, 1, WAIT_MS);
			if (!ret)
				ret = pop_all(f, &bytes);
		}
	}
	return ret;
}

/* @n frames from the guest. */
static int tx_stream(fix *f, unsigned int n)
{
	static const struct layout *const layouts[] = {
		&one_piece, &two_pieces, &scattered,
	};
	struct vq *vq = &f->d.vq[TX];
	struct virtio_net_hdr h;
	int ret = 0;

	for (unsigned int i = 0; !ret && i < n; i++) {
		const struct layout *l = layouts[vq->num < 64 ? i % 2 : i % 3];
		size_t len = frame_len(i);
		int head;

		frame_fill(f->frame, len, false, i);
		head = tx_add(vq, NULL, f->frame, len, l,
			      f->sends + i % vq->num * SLOT + i % 4000);
		vq_publish_kick(vq);
		ret = head < 0 ? head : vq_wait(vq, 1, WAIT_MS);
		if (!ret && vq_pop(vq, NULL) != head)
			ret = -EPROTO;
		if (!ret)
			want_slot(f, vq, head);
		if (!ret && pkt_recv(f->n.pkt, &h, f->seen, LONGEST + 1,
				     WAIT_MS) != (int)len)
			ret = -EBADMSG;
	}
	return ret;
}

static int stop(fix *f)
{
	int ret = dev_backend(&f->d, RX, -1);

	return ret ? ret : dev_backend(&f->d, TX, -1);
}

static uint64_t used_size(const struct vq *vq)
{
	return is_packed(vq) ? 4 : 6 + 8 * vq->num;
}

/* Where the log has the used ring's byte @at. */
static uint64_t used_log(fix *f, struct vq *vq, uint64_t at)
{
	/* behind an IOTLB the ring is found like any memory */
	return has(&f->d, F_PLATFORM) ? log_gpa(f, vq->used) + at :
	       vq->log_gpa + at;
}

static void want_used(fix *f, struct vq *vq)
{
	for (uint64_t at = 0; at < used_size(vq); at++) {
		const uint8_t *p = (uint8_t *)vq->used + at;
		bool elem = !is_packed(vq) && at >= 4 && at < 4 + 8 * vq->num;

		/* flags, index and event are written, if to the same value */
		if (!elem || *p != 0xff)
			log_set(f->want, used_log(f, vq, at), 1);
	}
}

/* Return: pages of bufs and hdrs that changed and have no bit. */
static unsigned int unlogged(fix *f)
{
	uint8_t clean[LOG_PAGE];
	unsigned int n = 0;

	memset(clean, MARK, sizeof(clean));
	for (uint8_t *p = f->bufs; p < f->sends; p += LOG_PAGE) {
		if (!log_has(f->log, log_gpa(f, p)) &&
		    memcmp(p, clean, LOG_PAGE))
			n++;
	}
	return n;
}

/* The same of used rings. */
static unsigned int unlogged_used(fix *f, struct vq *vq)
{
	unsigned int n = 0;

	if (is_packed(vq)) {
		for (unsigned int i = 0; i < vq->num; i++)
			n += f->used[vq->index][i] &&
			     !log_has(f->log, log_gpa(f, &vq->packed[i]));
		return n + !log_has(f->log, used_log(f, vq, 2));
	}
	for (uint64_t at = 4; at < 4 + 8 * vq->num; at++)
		n += ((uint8_t *)vq->used)[at] != 0xff &&
		     !log_has(f->log, used_log(f, vq, at));
	return n + !log_has(f->log, used_log(f, vq, 2));
}

/* Return: bits that nothing asked for; the first is printed. */
static unsigned int unasked(fix *f)
{
	unsigned int n = 0;

	for (uint64_t at = 0; at < LOG_TOP; at += LOG_PAGE) {
		if (!f->log[log_byte(at / LOG_PAGE)]) {
			at += 7 * LOG_PAGE;
			continue;
		}
		if (log_has(f->log, at) && !log_has(f->want, at) && !n++)
			DIAG("unasked: page at %llx", (unsigned long long)at);
	}
	return n;
}

TEST_F(diff, rx_pages_logged_ok)
{
	ASSERT_EQ(0, log_on(self));
	ASSERT_EQ(0, rx_stream(self, FRAMES));
	ASSERT_EQ(0, stop(self));
	want_used(self, &self->d.vq[RX]);
	want_used(self, &self->d.vq[TX]);
	EXPECT_EQ(0, unlogged(self));
	EXPECT_EQ(0, unlogged_used(self, &self->d.vq[RX]));
	EXPECT_EQ(0, unasked(self));
	EXPECT_LT(20, log_count(self->log));
}

/* Frames that leave the guest make nothing dirty but the used ring. */
TEST_F(diff, tx_logs_used_ring_only_ok)
{
	ASSERT_EQ(0, log_on(self));
	ASSERT_EQ(0, tx_stream(self, 200));
	ASSERT_EQ(0, stop(self));
	want_used(self, &self->d.vq[RX]);
	want_used(self, &self->d.vq[TX]);
	EXPECT_EQ(0, unlogged_used(self, &self->d.vq[TX]));
	EXPECT_EQ(0, unasked(self));
}

/* As a migration has it: the log is taken and cleared between rounds. */
TEST_F(diff, rounds_of_log_ok)
{
	ASSERT_EQ(0, log_on(self));
	for (int round = 0; round < 4; round++) {
		ASSERT_EQ(0, rx_stream(self, FRAMES / 4));
		ASSERT_LE(0, dev_get_base(&self->d, RX));
		want_used(self, &self->d.vq[RX]);
		want_used(self, &self->d.vq[TX]);
		EXPECT_EQ(0, unlogged(self));
		EXPECT_EQ(0, unasked(self));
		forget(self);
	}
}

/* Switched off and on while frames come in. */
TEST_F(diff, switched_under_traffic_ok)
{
	struct dev *d = &self->d;
	struct vq *vq = &d->vq[RX];

	if (has(d, F_PLATFORM))
		SKIP(return, "SET_FEATURES empties the IOTLB");
	ASSERT_EQ(0, log_on(self));
	/* the other ring may run at any time */
	for (int q = 0; q < 2; q++) {
		d->vq[q].log_gpa = 0;
		ASSERT_EQ(0, vq_set_addr(&d->vq[q]));
	}
	for (int i = 0; i < 16; i++) {
		uint64_t all = i & 1 ? F_LOG_ALL : 0;
		unsigned int bytes = 0;

		/* frames on their way during the switch count for neither */
		while (vq->n_free && offer(self) >= 0)
			;
		for (int k = 0; k < 8; k++) {
			frame_fill(self->frame, 100, true, k);
			ASSERT_EQ(0, pkt_send(self->n.pkt, NULL, self->frame,
					      100));
		}
		vq_publish(vq);
		vq_kick(vq);
		ASSERT_EQ(0, dev_u64(d, VHOST_SET_FEATURES, d->features | all));
		ASSERT_EQ(0, vq_wait(vq, 8, WAIT_MS));
		ASSERT_EQ(0, pop_all(self, &bytes));
		ASSERT_LE(0, dev_get_base(d, RX));
		forget(self);
		ASSERT_EQ(0, rx_stream(self, 8));
		ASSERT_LE(0, dev_get_base(d, RX));
		EXPECT_EQ(0, all ? unlogged(self) : log_count(self->log));
		EXPECT_EQ(0, unasked(self));
	}
}

/* Memory that the guest has at two addresses is dirty at both. */
TEST_F(diff, alias_logged_twice_ok)
{
	struct dev *d = &self->d;
	struct vhost_memory_region r[4];
	unsigned int n = d->n_regions, differ = 0;

	if (n) {
		memcpy(r, d->region, sizeof(r));
	} else {
		n = 1;
		r[0] = (struct vhost_memory_region){
			.guest_phys_addr = GPA_BASE / 2,
			.memory_size = MEM_SIZE,
			.userspace_addr = (uintptr_t)d->mem,
		};
	}
	r[n++] = (struct vhost_memory_region){
		.guest_phys_addr = 0x180000000, .memory_size = 0x10000000,
		.userspace_addr = (uintptr_t)d->mem,
	};
	ASSERT_EQ(0, dev_mem_regions(d, r, n));
	ASSERT_EQ(0, log_on(self));
	ASSERT_EQ(0, rx_stream(self, 50));
	ASSERT_EQ(0, stop(self));
	EXPECT_EQ(0, unlogged(self));
	for (uint8_t *p = self->bufs; p < self->sends; p += LOG_PAGE) {
		uint64_t alias = 0x180000000 + (p - d->mem);

		differ += log_has(self->log, log_gpa(self, p)) !=
			  log_has(self->log, alias);
	}
	EXPECT_EQ(0, differ);
}

TEST_HARNESS_MAIN
