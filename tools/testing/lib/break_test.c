// SPDX-License-Identifier: GPL-2.0-only
/* Guests that break the rules of rings. */
#include "flow.h"

/* Return: 0 if the queue stops and says so, and nothing else does. */
static int stops(fix *s)
{
	struct vq *vq = &s->f.d.vq[TX];
	struct vhx_queue_stats stats;

	event_read(vq->err);
	if (vhx_dequeue_burst(s->b.dev, 1, s->pkts, PACKETS))
		return -EPROTO;
	if (event_wait(vq->err, WAIT_MS))
		return -ENODATA;
	if (vhx_queue_get_stats(s->b.dev, 1, &stats, sizeof(stats)) ||
	    stats.errors != 1)
		return -ERANGE;
	/* once is enough */
	if (vhx_dequeue_burst(s->b.dev, 1, s->pkts, PACKETS) ||
	    vhx_queue_get_stats(s->b.dev, 1, &stats, sizeof(stats)) ||
	    stats.errors != 1)
		return -EALREADY;
	return rx_one(s, 100, 1, &one_piece);
}

static void bad_head(fix *s, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vq *vq = &s->f.d.vq[TX];

	if (is_packed(vq)) {
		vq->packed[0].addr = addr;
		vq->packed[0].len = len;
		__atomic_store_n(&vq->packed[0].flags, flags | 1 << 7,
				 __ATOMIC_RELEASE);
		return;
	}
	vq->desc[0] = (struct vring_desc){ addr, len, flags, 0 };
	vq_push(vq, 0);
	vq_publish(vq);
}

TEST_F(flow, wild_address_stops)
{
	bad_head(self, 0xdead000000000ULL, 100, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(flow, wrapping_address_stops)
{
	bad_head(self, ~0ULL - 10, 100, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(flow, buffer_over_the_end_of_memory_stops)
{
	struct dev *d = &self->f.d;

	bad_head(self, gpa(d, d->mem + MEM_SIZE - 50), 100, 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(flow, bad_indirect_table_stops)
{
	bad_head(self, gpa(&self->f.d, self->buf), 17,
		 VRING_DESC_F_INDIRECT);
	EXPECT_EQ(0, stops(self));
}

TEST_F(flow, chain_in_a_circle_stops)
{
	struct vq *vq = &self->f.d.vq[TX];

	if (is_packed(vq)) {
		for (unsigned int i = variant->num; i-- > 1;)
			vq->packed[i] = (struct vring_packed_desc){
				gpa(&self->f.d, self->buf), 64, 0,
				VRING_DESC_F_NEXT | 1 << 7,
			};
	}
	bad_head(self, gpa(&self->f.d, self->buf), 64, VRING_DESC_F_NEXT);
	EXPECT_EQ(0, stops(self));
}

/* A buffer of no bytes is no part of a frame, whatever buffers come behind it. */
TEST_F(flow, empty_buffer_stops)
{
	struct vq *vq = &self->f.d.vq[RX];
	struct seg empty = { self->buf, 0 }, good = { self->buf + 64, 4000 };
	struct layout l = { .pieces = 1 };
	struct vhx_queue_stats stats;

	if (variant->num < 3)
		SKIP(return, "the ring is too small for that");
	/* where the last frame went the next one goes by a shorter way */
	ASSERT_EQ(0, rx_one(self, 64, 1, &l));
	ASSERT_LE(0, vq_add(vq, &empty, 0, 1));
	ASSERT_LE(0, vq_add(vq, &good, 0, 1));
	vq_publish(vq);
	/* both buffers are fetched for two frames */
	self->pkt[0].len = 1000;
	self->pkt[1].len = 1000;
	EXPECT_EQ(0, vhx_enqueue_burst(self->b.dev, 0, self->pkts, 2));
	EXPECT_EQ(0, vq_used(vq));
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, 0, &stats, sizeof(stats)));
	EXPECT_EQ(1, stats.errors);
}

/* What can be read but is no frame is dropped, and comes back. */
TEST_F(flow, no_frame_is_returned_ok)
{
	struct vq *vq = &self->f.d.vq[TX];
	struct seg s[2] = { { self->buf, 10 }, { self->buf + 64, 1000 } };
	struct vhx_queue_stats stats;

	ASSERT_LE(0, vq_add(vq, s, 1, 0));
	vq_publish(vq);
	EXPECT_EQ(0, vhx_dequeue_burst(self->b.dev, 1, self->pkts, PACKETS));
	ASSERT_EQ(0, vq_spin(vq, 1, WAIT_MS));
	ASSERT_LE(0, vq_pop(vq, NULL));
	if (variant->num > 1 || has(&self->f.d, F_INDIRECT)) {
		ASSERT_LE(0, vq_add(vq, s, 1, 1));
		vq_publish(vq);
		EXPECT_EQ(0, vhx_dequeue_burst(self->b.dev, 1, self->pkts,
					       PACKETS));
		ASSERT_EQ(0, vq_spin(vq, 1, WAIT_MS));
		ASSERT_LE(0, vq_pop(vq, NULL));
	}
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, 1, &stats, sizeof(stats)));
	EXPECT_EQ(1, stats.drop_short);
	EXPECT_EQ(0, tx_one(self, 100, 1, &one_piece));
}

TEST_HARNESS_MAIN
