// SPDX-License-Identifier: GPL-2.0-only
/* Feature words past the first, and what features do to frames. */
#include <sys/mman.h>
#include <linux/if_tun.h>

#include "ctl_fixture.h"
#include "flow_lib.h"
#include "log_lib.h"

#define TUNNEL		(BIT_ULL(65 - 64) | BIT_ULL(67 - 64))
#define TUNNEL_HDR	24
#ifndef TUN_F_UDP_TUNNEL_GSO
#define TUN_F_UDP_TUNNEL_GSO	0x080
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

/* struct vhost_features_array with some words */
struct words {
	uint64_t count;
	uint64_t w[6];
};

static int get_words(struct dev *d, struct words *w, uint64_t count)
{
	memset(w, 0x55, sizeof(*w));
	w->count = count;
	return dev_ioctl(d, VHOST_GET_FEATURES_ARRAY, w, sizeof(*w));
}

static int set_words(struct dev *d, uint64_t count, uint64_t w0, uint64_t w1)
{
	struct words w = { count, { w0, w1 } };

	return dev_ioctl(d, VHOST_SET_FEATURES_ARRAY, &w, sizeof(w));
}

CTL_FIXTURE(array)

/* As many words as there are and as are wanted; more of these read as zero. */
TEST_F(array, get_fills_count_ok)
{
	struct words w;
	uint64_t word0;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, dev_get_u64(&self->d, VHOST_GET_FEATURES, &word0));
	for (uint64_t count = 0; count <= 5; count++) {
		ASSERT_EQ(0, get_words(&self->d, &w, count));
		EXPECT_EQ(count, w.count);
		for (uint64_t i = 0; i < 6; i++) {
			uint64_t want = i == 0 ? word0 : 0;

			if (i >= count)
				want = 0x5555555555555555;
			else if (i == 1)
				want = w.w[1] & TUNNEL;
			EXPECT_EQ(want, w.w[i]) {
				TH_LOG("count %d, word %d", (int)count, (int)i);
			}
		}
	}
}

TEST_F(array, get_unreadable_efault)
{
	RUN_IF_SET_UP();
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_GET_FEATURES_ARRAY, NULL,
				     0));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_FEATURES_ARRAY, NULL,
				     0));
}

/* How it is said differs: what counts is that nothing is written for long. */
TEST_F(array, get_huge_count_is_refused)
{
	struct words w;
	int ret;

	RUN_IF_SET_UP();
	ret = get_words(&self->d, &w, 1ULL << 61);
	EXPECT_EQ(1, ret == -EFAULT || ret == -E2BIG) {
		TH_LOG("%d", ret);
	}
}

TEST_F(array, set_offered_ok)
{
	struct words w;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, get_words(&self->d, &w, 2));
	EXPECT_EQ(0, set_words(&self->d, 2, w.w[0], w.w[1]));
	EXPECT_EQ(0, set_words(&self->d, 1, w.w[0], 0));
	EXPECT_EQ(0, set_words(&self->d, 0, 0, 0));
	EXPECT_EQ(0, set_words(&self->d, 5, F_V1, 0));
}

TEST_F(array, set_not_offered_eopnotsupp)
{
	struct words w = { 4, { F_V1 } };

	RUN_IF_SET_UP();
	EXPECT_EQ(-EOPNOTSUPP, set_words(&self->d, 1, 1, 0));
	EXPECT_EQ(-EOPNOTSUPP, set_words(&self->d, 2, F_V1, BIT_ULL(66 - 64)));
	EXPECT_EQ(-EOPNOTSUPP, set_words(&self->d, 2, F_V1, BIT_ULL(63)));
	for (int i = 2; i < 4; i++) {
		memset(w.w + 1, 0, sizeof(w.w) - 8);
		w.w[i] = 1;
		EXPECT_EQ(-EOPNOTSUPP, dev_ioctl(&self->d,
						 VHOST_SET_FEATURES_ARRAY, &w,
						 sizeof(w)));
	}
	/* a word past the count is not looked at */
	EXPECT_EQ(0, set_words(&self->d, 1, F_V1, ~0ULL));
}

TEST_F(array, unreadable_words_efault)
{
	struct vhost_features_array *a;

	RUN_IF_SET_UP();
	/* the count is the last thing on its page, nothing follows */
	a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)a);
	ASSERT_EQ(0, munmap((char *)a + 4096, 4096));
	a = (void *)((char *)a + 4096 - sizeof(*a));
	a->count = 1;
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_SET_FEATURES_ARRAY, a, 0));
	EXPECT_EQ(-EFAULT, dev_ioctl(&self->d, VHOST_GET_FEATURES_ARRAY, a, 0));
	a->count = 0;
	EXPECT_EQ(0, dev_ioctl(&self->d, VHOST_GET_FEATURES_ARRAY, a, 0));
}

FIXTURE(features) {
	struct flow f;
	int kmsg;
};

FIXTURE_SETUP(features)
{
	struct dev *d = &self->f.d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(d, F_V1));
	ASSERT_EQ(0, vq_setup(d, RX, 256));
	ASSERT_EQ(0, vq_setup(d, TX, 256));
	self->f.tx_buf = guest_alloc(d, FLOW_ROOM, 4096);
	self->f.rx_buf = guest_alloc(d, FLOW_ROOM, 4096);
}

FIXTURE_TEARDOWN(features)
{
	dev_close(&self->f.d);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(features) fix;

static int header(fix *s, int len)
{
	s->f.d.hdr_len = len;
	return ioctl(s->f.n.tap, TUNSETVNETHDRSZ, &len) ? -errno : 0;
}

/* Both calls set the same features: seen by the length of the header. */
TEST_F(features, array_takes_effect_ok)
{
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	/* no word: no feature */
	ASSERT_EQ(0, set_words(&self->f.d, 0, 0, 0));
	ASSERT_EQ(0, header(self, 10));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	ASSERT_EQ(0, set_words(&self->f.d, 2, F_V1, 0));
	ASSERT_EQ(0, header(self, 12));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* Headers of 24 bytes. Return: 0, or why this kernel has none. */
static const char *tunnel(fix *s)
{
	struct words w;

	if (get_words(&s->f.d, &w, 2) || (w.w[1] & TUNNEL) != TUNNEL)
		return "UDP-tunnel GSO is not offered";
	if (header(s, TUNNEL_HDR) ||
	    tap_offload(s->f.n.tap, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
			TUN_F_USO4 | TUN_F_USO6 | TUN_F_UDP_TUNNEL_GSO))
		return "this kernel's tun has no UDP-tunnel GSO";
	return set_words(&s->f.d, 2, F_V1 | F_MRG, TUNNEL) ?
	       "refused" : NULL;
}

TEST_F(features, tunnel_header_tx_ok)
{
	const char *why = tunnel(self);

	if (why && strcmp(why, "refused"))
		SKIP(return, "%s", why);
	ASSERT_EQ(NULL, why);
	ASSERT_EQ(0, flow_start(&self->f, TX));
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(0, flow_tx(&self->f));
	}
}

TEST_F(features, tunnel_header_rx_ok)
{
	const char *why = tunnel(self);
	static const uint8_t want[TUNNEL_HDR] = { [10] = 1 };

	if (why && strcmp(why, "refused"))
		SKIP(return, "%s", why);
	ASSERT_EQ(NULL, why);
	ASSERT_EQ(0, flow_start(&self->f, RX));
	for (int i = 0; i < 10; i++) {
		memset(self->f.rx_buf, 0x77, TUNNEL_HDR);
		EXPECT_EQ(0, flow_rx(&self->f));
		EXPECT_EQ(0, memcmp(want, self->f.rx_buf, TUNNEL_HDR));
	}
}

/* A frame in many buffers begins with one header of 24 bytes. */
TEST_F(features, tunnel_header_mergeable_ok)
{
	const char *why = tunnel(self);
	struct vq *vq = &self->f.d.vq[RX];
	uint8_t *got = self->f.rx_buf, *f = self->f.frame;
	uint32_t len, sum = 0;

	if (why && strcmp(why, "refused"))
		SKIP(return, "%s", why);
	ASSERT_EQ(NULL, why);
	ASSERT_EQ(0, flow_start(&self->f, RX));
	/* the first does not hold the header */
	for (int i = 0; i < 18; i++) {
		struct seg s = { got + 18 * i, 18 };

		ASSERT_LE(0, vq_add(vq, &s, 0, 1));
	}
	vq_publish_kick(vq);
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	ASSERT_EQ(0, vq_wait(vq, 18, WAIT_MS));
	while (vq_pop(vq, &len) >= 0)
		sum += len;
	EXPECT_EQ(TUNNEL_HDR + FLOW_LEN, sum);
	EXPECT_EQ(18, got[10] + 256 * got[11]);
	EXPECT_EQ(0, memcmp(got + TUNNEL_HDR, f, FLOW_LEN));
}

/*
 * IN_ORDER: a driver that knows the order of its chains alone, by which one
 * used entry may stand for a batch (virtio 1.3 2.7.9).
 */
struct order {
	uint16_t head[256];
	uint16_t put, got;
	struct vring_used_elem batch;
	bool in_batch;
};

FIXTURE(in_order) {
	struct flow f;
	struct order o[2];
	int kmsg;
};

FIXTURE_VARIANT(in_order) {
	uint64_t features;
};
FIXTURE_VARIANT_ADD(in_order, v1) { .features = F_V1 };
FIXTURE_VARIANT_ADD(in_order, v1_mrg_event_indirect) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,
};

static bool offers_in_order(struct dev *d)
{
	uint64_t v = 0;

	return !dev_get_u64(d, VHOST_GET_FEATURES, &v) && (v & F_IN_ORDER);
}

FIXTURE_SETUP(in_order)
{
	struct dev *d = &self->f.d;

	self->kmsg = kmsg_open();
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(d, variant->features));
	if (!offers_in_order(d))
		SKIP(return, "IN_ORDER is not offered");
	ASSERT_EQ(0, dev_features(d, variant->features | F_IN_ORDER));
	ASSERT_EQ(0, vq_setup(d, RX, 256));
	ASSERT_EQ(0, vq_setup(d, TX, 256));
	self->f.tx_buf = guest_alloc(d, 256 * FLOW_ROOM, 4096);
	self->f.rx_buf = guest_alloc(d, 256 * FLOW_ROOM, 4096);
}

FIXTURE_TEARDOWN(in_order)
{
	dev_close(&self->f.d);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(in_order) ofix;

/* Return: the chain that is used next in order, or -errno. */
static int pop(struct vq *vq, struct order *o, uint32_t *len)
{
	int head = o->head[o->got % 256];

	if (!vq_used(vq))
		return -EAGAIN;
	if (o->got == o->put)
		return -ERANGE;
	if (!o->in_batch)
		o->batch = vq->used->ring[vq->used_idx % vq->num];
	vq->used_idx++;
	o->got++;
	o->in_batch = g32(vq->dev, o->batch.id) != (uint32_t)head;
	/* of a batch the length of the last is known */
	*len = o->in_batch ? 0 : g32(vq->dev, o->batch.len);
	vq_free(vq, head);
	return head;
}

static int add_tx(ofix *s, uint32_t seq, const struct layout *l)
{
	struct vq *vq = &s->f.d.vq[TX];
	struct order *o = &s->o[TX];
	int head;

	frame_fill(s->f.frame, FLOW_LEN, false, seq);
	head = tx_add(vq, NULL, s->f.frame, FLOW_LEN, l,
		      s->f.tx_buf + seq % 256 * FLOW_ROOM);
	if (head >= 0)
		o->head[o->put++ % 256] = head;
	return head;
}

static int seen_tx(ofix *s, uint32_t seq, int ms)
{
	struct virtio_net_hdr h;
	int n = pkt_recv(s->f.n.pkt, &h, s->f.seen, sizeof(s->f.seen), ms);

	frame_fill(s->f.frame, FLOW_LEN, false, seq);
	if (n < 0)
		return n;
	return n == FLOW_LEN && !memcmp(s->f.frame, s->f.seen, n) ?
	       0 : -EBADMSG;
}

/* @n frames of one layout and what becomes of them. */
static int burst_tx(ofix *s, uint32_t seq, unsigned int n,
		    const struct layout *l)
{
	struct vq *vq = &s->f.d.vq[TX];
	int ret = 0;
	uint32_t len;

	for (unsigned int i = 0; i < n; i++)
		if (add_tx(s, seq + i, l) < 0)
			return -ENOSPC;
	vq_publish_kick(vq);
	ret = vq_wait(vq, n, SOON_MS);
	for (unsigned int i = 0; !ret && i < n; i++) {
		ret = pop(vq, &s->o[TX], &len) < 0 || len ? -EPROTO : 0;
		ret = ret ? ret : seen_tx(s, seq + i, SOON_MS);
	}
	return !ret && s->o[TX].in_batch ? -EILSEQ : ret;
}

TEST_F(in_order, tx_stream_ok)
{
	RUN_IF_SET_UP();
	ASSERT_EQ(0, flow_start(&self->f, TX));
	for (uint32_t i = 0; i < 60; i++) {
		ASSERT_EQ(0, burst_tx(self, i * 40, 1 + i % 40, i % 3 ?
				      &one_piece : &two_pieces));
	}
}

TEST_F(in_order, tx_batch_is_one_entry_ok)
{
	struct vq *vq = &self->f.d.vq[TX];
	unsigned int entries = 0;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, flow_start(&self->f, TX));
	memset(vq->used->ring, 0xff, 8 * vq->num);
	ASSERT_EQ(0, burst_tx(self, 0, 16, &one_piece));
	for (unsigned int i = 0; i < vq->num; i++)
		entries += vq->used->ring[i].id != ~0u;
	EXPECT_EQ(1, entries);
	EXPECT_NE(~0u, vq->used->ring[0].id);
}

/* The dirty log has the entry that was written, and no other page. */
TEST_F(in_order, tx_used_ring_logged_ok)
{
	const uint64_t at = 0x170000000ULL + 3072;	/* crosses a page */
	struct dev *d = &self->f.d;
	struct vq *vq = &d->vq[TX];
	uint8_t *log = log_alloc(LOG_SIZE), *want = log_alloc(LOG_SIZE);
	uint64_t others = 0;

	RUN_IF_SET_UP();
	vq->log_gpa = at;
	ASSERT_EQ(0, vq_set_addr(vq));
	ASSERT_EQ(0, log_base(d, log));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	for (uint32_t i = 0; i < 90; i++) {
		unsigned int slot = vq->used_idx % vq->num;

		memset(log, 0, LOG_SIZE);
		memset(want, 0, LOG_SIZE);
		ASSERT_EQ(0, burst_tx(self, i * 7, 7, &one_piece));
		/* the worker has ended its turn */
		ASSERT_EQ((i + 1) * 7, (uint32_t)dev_get_base(d, TX));
		log_set(want, at, 4);
		log_set(want, at + 4 + 8 * vq->num, 2);
		for (unsigned int k = 0; k < 7; k++)
			log_set(want, at + 4 + 8 * ((slot + k) % vq->num), 8);
		ASSERT_EQ(1, log_has(log, at + 4 + 8 * slot)) {
			TH_LOG("entry %u", slot);
		}
		ASSERT_EQ(1, log_has(log, at));
		for (size_t k = 0; k < LOG_SIZE / 8; k++)
			others |= ((uint64_t *)log)[k] & ~((uint64_t *)want)[k];
		ASSERT_EQ(0, others);
	}
}

/* A chain takes more slots than one: the order is not that of slots. */
TEST_F(in_order, tx_restart_ok)
{
	struct dev *d = &self->f.d;
	uint32_t seq = 0;

	RUN_IF_SET_UP();
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, flow_start(&self->f, TX));
		EXPECT_EQ(0, burst_tx(self, seq, 3, &scattered)) {
			TH_LOG("start %d", i + 1);
			break;
		}
		seq += 3;
		ASSERT_EQ(0, flow_stop(&self->f, TX));
		ASSERT_EQ(seq, (uint32_t)dev_get_base(d, TX));
		ASSERT_EQ(0, dev_state(d, VHOST_SET_VRING_BASE, TX, seq));
	}
}

TEST_F(in_order, rx_stream_ok)
{
	struct vq *vq = &self->f.d.vq[RX];
	struct order *o = &self->o[RX];
	uint32_t len = 0, sent = 0, got = 0;

	RUN_IF_SET_UP();
	ASSERT_EQ(0, flow_start(&self->f, RX));
	while (got < 1000) {
		while (vq->n_free >= 2 && (uint16_t)(o->put - o->got) < 100) {
			int head = rx_add(vq, FLOW_ROOM, o->put & 1 ?
					  &one_piece : &two_pieces,
					  self->f.rx_buf +
					  o->put % 256 * FLOW_ROOM);

			ASSERT_LE(0, head);
			o->head[o->put++ % 256] = head;
		}
		vq_publish_kick(vq);
		for (; sent < got + 20; sent++) {
			frame_fill(self->f.frame, FLOW_LEN, true, sent);
			ASSERT_EQ(0, pkt_send(self->f.n.pkt, NULL,
					      self->f.frame, FLOW_LEN));
		}
		ASSERT_EQ(0, vq_wait(vq, 1, WAIT_MS));
		while (vq_used(vq)) {
			uint8_t *at = self->f.rx_buf + o->got % 256 * FLOW_ROOM;

			ASSERT_LE(0, pop(vq, o, &len));
			/* lengths matter, so nothing is left out */
			ASSERT_EQ(FLOW_LEN + 12, len);
			frame_fill(self->f.frame, FLOW_LEN, true, got++);
			ASSERT_EQ(0, memcmp(at + 12, self->f.frame, FLOW_LEN));
		}
	}
}

TEST_HARNESS_MAIN
