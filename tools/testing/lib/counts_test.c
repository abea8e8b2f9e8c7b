// SPDX-License-Identifier: GPL-2.0-only
/* Each counter of a queue counts what it says, and nothing else. */
#include "flow.h"

static struct vhx_queue_stats stats_of(fix *s, unsigned int queue)
{
	struct vhx_queue_stats stats;

	if (vhx_queue_get_stats(s->b.dev, queue, &stats, sizeof(stats)))
		memset(&stats, 0xff, sizeof(stats));
	return stats;
}

static struct vhx_queue_info info_of(fix *s, unsigned int queue)
{
	struct vhx_queue_info info;

	if (vhx_queue_get_info(s->b.dev, queue, &info, sizeof(info)))
		memset(&info, 0xff, sizeof(info));
	return info;
}

/* Return: frames of @nr that got through a ring together, in bursts of them. */
static unsigned int burst(fix *s, unsigned int q, unsigned int nr)
{
	struct vq *vq = &s->f.d.vq[q];
	unsigned int i, done;

	for (i = 0; i < nr; i++) {
		frame_fill(s->frame, 60 + i, q == RX, i);
		memcpy(s->pkt[i].data, s->frame, 60 + i);
		s->pkt[i].len = 60 + i;
		if ((q == RX ? rx_add(vq, 2048, &one_piece, s->buf + i * 4096) :
			       tx_add(vq, NULL, s->frame, 60 + i, &one_piece,
				      s->buf + i * 4096)) < 0)
			return 0;
	}
	vq_publish(vq);
	done = q == RX ? vhx_enqueue_burst(s->b.dev, q, s->pkts, nr) :
			 vhx_dequeue_burst(s->b.dev, q, s->pkts, PACKETS);
	for (i = 0; i < done; i++)
		vq_pop(vq, NULL);
	return done;
}

TEST_F(flow, bursts_are_counted_by_size_ok)
{
	static const unsigned int sizes[] = { 1, 2, 3, 4, 7, 8, 16, 31, 32, 63, 64 };

	for (unsigned int q = RX; q <= TX; q++) {
		uint64_t frames = 0, bytes = 0, of[7] = {}, nr = 0;
		struct vhx_queue_stats stats;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			unsigned int n = sizes[i];

			if (n > variant->num)
				continue;
			ASSERT_EQ(n, burst(self, q, n));
			frames += n;
			bytes += 60 * n + n * (n - 1) / 2;
			of[31 - __builtin_clz(n)]++;
			nr++;
		}
		stats = stats_of(self, q);
		EXPECT_EQ(frames, stats.frames);
		EXPECT_EQ(bytes, stats.bytes);
		EXPECT_EQ(nr, stats.bursts);
		EXPECT_EQ(0, memcmp(of, &stats.burst_1, sizeof(of)));
		EXPECT_EQ(nr, stats.calls + stats.calls_saved);
		EXPECT_EQ(0, stats.errors);
	}
}

/* Less than all of them, as by a program that is older than the library. */
TEST_F(flow, no_more_counters_than_asked_for_ok)
{
	struct vhx_queue_stats stats;

	ASSERT_EQ(1, burst(self, TX, 1));
	memset(&stats, 0x55, sizeof(stats));
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, TX, &stats,
					 2 * sizeof(uint64_t)));
	EXPECT_EQ(1, stats.frames);
	EXPECT_EQ(60, stats.bytes);
	EXPECT_EQ(0x5555555555555555, stats.drop_short);
	EXPECT_EQ(-ENOENT, vhx_queue_get_stats(self->b.dev, 7, &stats,
					       sizeof(stats)));
}

TEST_F(flow, drops_from_the_guest_are_counted_by_reason_ok)
{
	struct vq *vq = &self->f.d.vq[TX];
	const uint32_t hlen = self->f.d.hdr_len;
	const uint32_t lens[] = { 5, hlen + 13, hlen + BIG + 1, hlen + 500 };
	struct seg writable[] = { { self->buf, 100 }, { self->buf + 200, 100 } };
	const bool has_two = variant->num > 1 || has(&self->f.d, F_INDIRECT);
	struct vhx_queue_stats stats;

	self->pkt[0].room = 499;
	for (unsigned int i = 0; i < 4; i++) {
		struct seg one = { self->buf, lens[i] };

		ASSERT_LE(0, vq_add(vq, &one, 1, 0));
		vq_publish(vq);
		EXPECT_EQ(0, vhx_dequeue_burst(self->b.dev, TX, self->pkts, 1));
		ASSERT_LE(0, vq_pop(vq, NULL));
	}
	if (has_two) {
		ASSERT_LE(0, vq_add(vq, writable, 1, 1));
		vq_publish(vq);
		EXPECT_EQ(0, vhx_dequeue_burst(self->b.dev, TX, self->pkts, 1));
	}
	stats = stats_of(self, TX);
	EXPECT_EQ(2, stats.drop_short);
	EXPECT_EQ(1, stats.drop_long);
	EXPECT_EQ(1, stats.drop_pkt_room);
	EXPECT_EQ(has_two, stats.drop_writable);
	EXPECT_EQ(0, stats.frames);
	EXPECT_EQ(0, stats.bursts);
	EXPECT_EQ(4 + has_two, stats.calls + stats.calls_saved);
}

TEST_F(flow, drops_to_the_guest_are_counted_by_reason_ok)
{
	struct vq *vq = &self->f.d.vq[RX];
	const unsigned int lens[] = { 13, BIG + 1, 500 };
	const unsigned int nr = has(&self->f.d, F_MRG) ? 2 : 3;
	struct vhx_queue_stats stats;

	ASSERT_LE(0, rx_add(vq, 100, &one_piece, self->buf));
	vq_publish(vq);
	for (unsigned int i = 0; i < nr; i++) {
		self->pkt[0].len = lens[i];
		EXPECT_EQ(1, vhx_enqueue_burst(self->b.dev, RX, self->pkts, 1));
	}
	stats = stats_of(self, RX);
	EXPECT_EQ(1, stats.drop_short);
	EXPECT_EQ(1, stats.drop_long);
	EXPECT_EQ(nr - 2, stats.drop_room);
	EXPECT_EQ(0, stats.frames);
	EXPECT_EQ(0, stats.calls + stats.calls_saved);
}

/* Read by us or not; another start, and the same eventfd, count none twice. */
TEST_F(flow, kicks_are_counted_read_or_not_ok)
{
	struct vq *vq = &self->f.d.vq[TX];
	struct vhx_queue_stats before, stats;
	uint64_t kicks;
	int64_t base;

	ASSERT_EQ(0, vhx_queue_arm(self->b.dev, TX));
	before = stats_of(self, TX);
	EXPECT_EQ(1, before.kicks);
	EXPECT_EQ(1, before.sleeps);
	for (int i = 0; i < 3; i++)
		vq_kick(vq);
	EXPECT_EQ(4, stats_of(self, TX).kicks);
	ASSERT_EQ(0, vhx_queue_notification(self->b.dev, TX, true));
	stats = stats_of(self, TX);
	EXPECT_EQ(4, stats.kicks);
	EXPECT_EQ(1, stats.kicks_empty);
	EXPECT_EQ(2, stats.sleeps);
	vq_kick(vq);
	ASSERT_EQ(1, burst(self, TX, 1));
	ASSERT_EQ(0, vhx_queue_notification(self->b.dev, TX, true));
	stats = stats_of(self, TX);
	EXPECT_EQ(5, stats.kicks);
	EXPECT_EQ(1, stats.kicks_empty);
	vq_kick(vq);
	user_dev(&self->b);
	base = front_stop(&self->f, TX);
	ASSERT_LE(0, base);
	ASSERT_EQ(0, front_state(&self->f, SET_VRING_BASE, TX, (uint32_t)base));
	EXPECT_EQ(6, stats_of(self, TX).kicks);
	ASSERT_EQ(0, front_fd(&self->f, SET_VRING_KICK, TX, vq->kick));
	ASSERT_EQ(0, user_wait(&self->b, 3));
	kicks = stats_of(self, TX).kicks;
	EXPECT_EQ(6, kicks);
	vq_kick(vq);
	EXPECT_EQ(kicks + 1, stats_of(self, TX).kicks);
}

/* However often its sender tries meanwhile. */
TEST_F(flow, wait_for_buffers_is_counted_once_ok)
{
	struct vq *vq = &self->f.d.vq[RX];
	uint64_t ns;

	EXPECT_EQ(0, stats_of(self, RX).guest_waits);
	EXPECT_EQ(0, enqueue(self, 60, 1));
	usleep(2000);
	EXPECT_EQ(0, enqueue(self, 60, 1));
	ns = stats_of(self, RX).guest_wait_ns;
	EXPECT_LE(2000000, ns);
	EXPECT_EQ(1, stats_of(self, RX).guest_waits);
	ASSERT_LE(0, rx_add(vq, 2048, &one_piece, self->buf));
	vq_publish(vq);
	EXPECT_EQ(1, enqueue(self, 60, 1));
	ns = stats_of(self, RX).guest_wait_ns;
	usleep(2000);
	EXPECT_EQ(ns, stats_of(self, RX).guest_wait_ns);
	EXPECT_EQ(0, enqueue(self, 60, 1));
	EXPECT_EQ(2, stats_of(self, RX).guest_waits);
	EXPECT_LE(ns, stats_of(self, RX).guest_wait_ns);
}

/* Return: how often it stopped, whatever for; @cause is the last there is. */
static uint64_t stops_of(fix *s, unsigned int *cause)
{
	uint64_t sum = 0;

	for (unsigned int i = 1; vhx_stop_name(i); i++) {
		*cause = vhx_queue_stops(s->b.dev, TX, i) ? i : *cause;
		sum += vhx_queue_stops(s->b.dev, TX, i);
	}
	return sum;
}

TEST_F(flow, stop_is_counted_by_its_cause_ok)
{
	struct vq *vq = &self->f.d.vq[TX];
	struct seg wild = { self->f.d.mem, 100 };
	unsigned int cause = 0;

	EXPECT_EQ(VHX_QUEUE_RUNNING, info_of(self, TX).state);
	EXPECT_EQ(0, info_of(self, TX).cause);
	EXPECT_EQ(variant->num, info_of(self, TX).size);
	EXPECT_EQ(is_packed(vq), info_of(self, TX).is_packed);
	EXPECT_EQ(0, stops_of(self, &cause));
	/* the last byte of it is behind the guest's memory */
	wild.p = self->f.d.mem + MEM_SIZE - 99;
	ASSERT_LE(0, vq_add(vq, &wild, 1, 0));
	vq_publish(vq);
	EXPECT_EQ(0, vhx_dequeue_burst(self->b.dev, TX, self->pkts, 1));
	EXPECT_EQ(0, user_wait_event(&self->b, 'b'));
	EXPECT_EQ(VHX_QUEUE_FAILED, info_of(self, TX).state);
	EXPECT_EQ(1, stops_of(self, &cause));
	EXPECT_EQ(1, stats_of(self, TX).errors);
	EXPECT_EQ(cause, info_of(self, TX).cause);
	EXPECT_STREQ("buf_outside", vhx_stop_name(cause));
	EXPECT_NE(NULL, strstr(self->b.warned, vhx_stop_text(cause)));
	user_dev(&self->b);
	ASSERT_LE(0, front_stop(&self->f, TX));
	EXPECT_EQ(VHX_QUEUE_STOPPED, info_of(self, TX).state);
	EXPECT_EQ(cause, info_of(self, TX).cause);
	ASSERT_EQ(0, front_ring(&self->f, TX, variant->num));
	vq_kick(vq);
	ASSERT_EQ(0, user_wait(&self->b, 3));
	EXPECT_EQ(VHX_QUEUE_RUNNING, info_of(self, TX).state);
	EXPECT_EQ(0, info_of(self, TX).cause);
	EXPECT_EQ(1, stops_of(self, &cause));
}

/* What needs no guest, or one of its own. */
FIXTURE(counts) {
	FIXTURE_DATA(flow) s;
};

FIXTURE_SETUP(counts)
{
}

FIXTURE_TEARDOWN(counts)
{
}

TEST_F(counts, stops_have_names_and_words_ok)
{
	unsigned int i;

	EXPECT_STREQ("none", vhx_stop_name(0));
	for (i = 0; vhx_stop_name(i); i++)
		EXPECT_NE(NULL, vhx_stop_text(i));
	EXPECT_LT(20, i);
	EXPECT_EQ(NULL, vhx_stop_text(i));
	EXPECT_EQ(NULL, vhx_stop_name(~0u));
	EXPECT_STREQ("frames", vhx_queue_stats_name(0));
	for (i = 0; vhx_queue_stats_name(i); i++)
		;
	EXPECT_EQ(sizeof(struct vhx_queue_stats) / sizeof(uint64_t), i);
}

#define F_OFFLOAD	(BIT_ULL(VIRTIO_NET_F_CSUM) |		\
			 BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) |	\
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) |	\
			 BIT_ULL(VIRTIO_NET_F_HOST_TSO4))

/* A frame without either, one that needs a sum, and one that is to be cut. */
static const struct vhx_net_hdr offloads[] = {
	{},
	{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34,
	  .csum_offset = 16 },
	{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34,
	  .csum_offset = 16, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	  .hdr_len = 54, .gso_size = 100 },
	{ .flags = VIRTIO_NET_HDR_F_DATA_VALID },
};

TEST_F(counts, offloads_are_counted_ok)
{
	const unsigned int nr = sizeof(offloads) / sizeof(*offloads);
	fix *s = &self->s;
	struct vhx_queue_stats stats;

	ASSERT_EQ(0, user_open(&s->b, 1, 0));
	ASSERT_EQ(0, vhx_driver_enable_features(s->b.driver, F_OFFLOAD));
	ASSERT_EQ(0, user_start(&s->b));
	ASSERT_EQ(0, front_open(&s->f, s->b.path, F_V1 | F_OFFLOAD, 256));
	ASSERT_EQ(0, user_wait(&s->b, 3));
	s->buf = guest_alloc(&s->f.d, 64 * 4096, 4096);
	for (unsigned int i = 0; i < nr; i++) {
		s->pkt[i] = (struct vhx_pkt){ .data = malloc(BIG), .room = BIG };
		s->pkts[i] = &s->pkt[i];
		frame_fill(s->frame, 500, false, i);
		ASSERT_LE(0, tx_add(&s->f.d.vq[TX], (const void *)&offloads[i],
				    s->frame, 500, &one_piece, s->buf + i * 4096));
		ASSERT_LE(0, rx_add(&s->f.d.vq[RX], 2048, &one_piece,
				    s->buf + (nr + i) * 4096));
	}
	vq_publish(&s->f.d.vq[TX]);
	vq_publish(&s->f.d.vq[RX]);
	ASSERT_EQ(nr, vhx_dequeue_burst(s->b.dev, TX, s->pkts, nr));
	for (unsigned int i = 0; i < nr; i++)
		EXPECT_EQ(0, memcmp(&offloads[i], &s->pkt[i].hdr,
				    sizeof(offloads[i])));
	ASSERT_EQ(nr, vhx_enqueue_burst(s->b.dev, RX, s->pkts, nr));
	for (unsigned int q = RX; q <= TX; q++) {
		stats = stats_of(s, q);
		EXPECT_EQ(nr, stats.frames);
		EXPECT_EQ(1, stats.gso);
		EXPECT_EQ(2, stats.csum);
		EXPECT_EQ(1, stats.bursts);
		EXPECT_EQ(1, stats.burst_4);
	}
	user_dev(&s->b);
	front_close(&s->f);
	user_close(&s->b);
	for (unsigned int i = 0; i < nr; i++)
		free(s->pkt[i].data);
}

TEST_HARNESS_MAIN
