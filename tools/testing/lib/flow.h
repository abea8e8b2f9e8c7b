/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames through libvhx, by rings of each kind: a guest on one side of a socket,
 * bursts on the other. For programs of one test file.
 */
#ifndef FLOW_H
#define FLOW_H

#include <errno.h>
#include <stdlib.h>

#include <kselftest_harness.h>

#include "user.h"
#include "frontend.h"

#define MARK	0x77
#define PACKETS	64
#define BIG	65550

FIXTURE(flow) {
	struct user b;
	struct front f;
	uint8_t *buf;			/* of the guest's */
	uint8_t frame[BIG + 1];
	struct vhx_pkt pkt[PACKETS];
	struct vhx_pkt *pkts[PACKETS];
};

FIXTURE_VARIANT(flow) {
	uint64_t features;
	unsigned int num;
};

#define VARIANT(name, bits, size)					\
FIXTURE_VARIANT_ADD(flow, name) { .features = (bits), .num = (size) }

VARIANT(legacy, 0, 256);
VARIANT(v1, F_V1, 256);
VARIANT(v1_event_n1, F_V1 | F_EVENT | F_INDIRECT, 1);
VARIANT(v1_mrg_event_indirect, F_V1 | F_MRG | F_EVENT | F_INDIRECT, 256);
VARIANT(packed, F_V1 | F_PACKED, 100);
VARIANT(packed_mrg_event_indirect,
	F_V1 | F_PACKED | F_MRG | F_EVENT | F_INDIRECT, 256);
VARIANT(packed_in_order_mrg_event,
	F_V1 | F_PACKED | F_IN_ORDER | F_MRG | F_EVENT, 300);
VARIANT(packed_n3, F_V1 | F_PACKED | F_EVENT | F_INDIRECT, 3);

FIXTURE_SETUP(flow)
{
	ASSERT_EQ(0, user_open(&self->b, 1, 0));
	ASSERT_EQ(0, user_start(&self->b));
	ASSERT_EQ(0, front_open(&self->f, self->b.path, variant->features,
				variant->num));
	ASSERT_EQ(0, user_wait(&self->b, 3));
	self->buf = guest_alloc(&self->f.d, 64UL << 20, 4096);
	for (unsigned int i = 0; i < PACKETS; i++) {
		self->pkt[i].data = malloc(BIG);
		self->pkt[i].room = BIG;
		self->pkts[i] = &self->pkt[i];
	}
}

FIXTURE_TEARDOWN(flow)
{
	user_dev(&self->b);
	front_close(&self->f);
	user_close(&self->b);
	for (unsigned int i = 0; i < PACKETS; i++)
		free(self->pkt[i].data);
}

typedef FIXTURE_DATA(flow) fix;

/* Return: 0 if frame @seq came out of the ring unharmed. */
static inline int tx_one(fix *s, size_t len, uint32_t seq, const struct layout *l)
{
	struct vq *vq = &s->f.d.vq[TX];
	uint32_t used = ~0u;
	int head, ret;

	frame_fill(s->frame, len, false, seq);
	head = tx_add(vq, NULL, s->frame, len, l, s->buf);
	if (head < 0)
		return head;
	vq_publish(vq);
	s->pkt[0].len = 0;
	if (vhx_dequeue_burst(s->b.dev, 1, s->pkts, PACKETS) != 1)
		return -ENODATA;
	ret = vq_wait(vq, 1, WAIT_MS);
	if (ret && ret != -ENOMSG)
		return ret;
	if (vq_pop(vq, &used) != head || used)
		return -EPROTO;
	/* What the guest does with its buffer is no matter any more. */
	memset(s->buf, MARK, 12 + len);
	return s->pkt[0].len == len &&
	       !memcmp(s->pkt[0].data, s->frame, len) ? 0 : -EBADMSG;
}

static inline int enqueue(fix *s, size_t len, uint32_t seq)
{
	frame_fill(s->frame, len, true, seq);
	memcpy(s->pkt[0].data, s->frame, len);
	s->pkt[0].len = (uint32_t)len;
	return (int)vhx_enqueue_burst(s->b.dev, 0, s->pkts, 1);
}

static inline unsigned int num_buffers(fix *s, const uint8_t *buf)
{
	const struct virtio_net_hdr_mrg_rxbuf *h = (const void *)buf;

	return s->f.d.hdr_len == 12 ? h->num_buffers : 1;
}

/* Return: 0 if a frame got into a buffer of @room bytes unharmed. */
static inline int rx_one(fix *s, size_t len, uint32_t seq, const struct layout *l)
{
	struct vq *vq = &s->f.d.vq[RX];
	unsigned int hdr = s->f.d.hdr_len;
	uint32_t used = 0;
	int head, ret;

	memset(s->buf, MARK, len + hdr + 16);
	head = rx_add(vq, BIG + 12, l, s->buf);
	if (head < 0)
		return head;
	vq_publish(vq);
	if (enqueue(s, len, seq) != 1)
		return -ENODATA;
	ret = vq_wait(vq, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(vq, &used) != head || used != len + hdr)
		return -EPROTO;
	if (num_buffers(s, s->buf) != 1)
		return -EMSGSIZE;
	return memcmp(s->buf + hdr, s->frame, len) ||
	       s->buf[hdr + len] != MARK ? -EBADMSG : 0;
}

#endif /* FLOW_H */
