// SPDX-License-Identifier: GPL-2.0-only
/* Counters of fdinfo, each of which something makes count exactly. */
#include <sys/socket.h>
#include <linux/if_tun.h>

#include "harness.h"
#include "log_lib.h"
#include "stats_lib.h"

#define SOCKET_FULL	200	/* frames, more than its send buffer has room for */

FIXTURE(stats) {
	struct watched w;
	int kmsg;
};

FIXTURE_VARIANT(stats) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(stats, split) { .features = F_V1 | F_EVENT };
FIXTURE_VARIANT_ADD(stats, packed) { .features = F_V1 | F_EVENT | F_PACKED };

FIXTURE_SETUP(stats)
{
	if (strcmp(module_name(), "vhx_net"))
		SKIP(_exit(255), "in-tree has no counters in fdinfo");
	self->w.d.fd = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, watched_open(&self->w, BE_TAP, variant->features));
}

FIXTURE_TEARDOWN(stats)
{
	dev_close(&self->w.d);
	net_close(&self->w.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

#define COUNT(q, name)	stat_of(&self->w, q, name)

static int add_frames(struct watched *w, int n)
{
	int ret = 0;

	for (int i = 0; i < n && ret >= 0; i++)
		ret = watched_add(w, NULL, STATS_LEN, i);
	vq_publish(&w->d.vq[TX]);
	return ret < 0 ? ret : 0;
}

static int add_room(struct watched *w, int n)
{
	int ret = 0;

	for (int i = 0; i < n && ret >= 0; i++)
		ret = rx_add(&w->d.vq[RX], STATS_ROOM, &one_piece,
			     watched_buf(w, i));
	vq_publish(&w->d.vq[RX]);
	return ret < 0 ? ret : 0;
}

TEST_F(stats, sent_bursts_count_ok)
{
	static const struct { int frames; const char *key; } bursts[] = {
		{ 1, "burst_1" }, { 2, "burst_2" }, { 3, "burst_2" },
		{ 4, "burst_4" }, { 7, "burst_4" }, { 8, "burst_8" },
		{ 15, "burst_8" }, { 16, "burst_16" }, { 31, "burst_16" },
		{ 32, "burst_32" }, { 63, "burst_32" }, { 64, "burst_64" },
	};
	struct watched *w = &self->w;
	int64_t frames = 0, key;

	for (int i = 0; i < (int)ARRAY_SIZE(bursts); i++) {
		key = COUNT(TX, bursts[i].key);
		ASSERT_EQ(0, add_frames(w, bursts[i].frames));
		ASSERT_EQ(0, watched_turn(w, TX, bursts[i].frames));
		frames += bursts[i].frames;
		EXPECT_EQ(frames, COUNT(TX, "frames"));
		EXPECT_EQ(frames * STATS_LEN, COUNT(TX, "bytes"));
		EXPECT_EQ(i + 1, COUNT(TX, "bursts"));
		EXPECT_EQ(key + 1, COUNT(TX, bursts[i].key));
		/* the first run and sleep are those of the start */
		EXPECT_EQ(i + 2, COUNT(TX, "runs"));
		EXPECT_EQ(i + 2, COUNT(TX, "sleeps"));
		EXPECT_EQ(i + 1, COUNT(TX, "kicks"));
		EXPECT_EQ(i + 1, COUNT(TX, "calls"));
	}
	EXPECT_EQ(0, COUNT(TX, "kicks_empty"));
	EXPECT_EQ(0, COUNT(TX, "calls_saved"));
	EXPECT_EQ(0, COUNT(TX, "host_waits"));
}

/* They wait in the tap until there are buffers for all. */
TEST_F(stats, received_bursts_count_ok)
{
	struct watched *w = &self->w;
	int64_t frames = 0;
	int bursts = 0;

	for (int n = 1; n <= 32; n *= 2) {
		for (int i = 0; i < n; i++)
			ASSERT_EQ(0, watched_inject(w, STATS_LEN, i));
		ASSERT_EQ(0, stat_wait(w, RX, "guest_waits", bursts + 1));
		ASSERT_EQ(0, add_room(w, n));
		ASSERT_EQ(0, watched_turn(w, RX, n));
		frames += n;
		bursts++;
		EXPECT_EQ(frames, COUNT(RX, "frames"));
		EXPECT_EQ(frames * STATS_LEN, COUNT(RX, "bytes"));
		EXPECT_EQ(bursts, COUNT(RX, "bursts"));
		EXPECT_EQ(bursts, COUNT(RX, "kicks"));
		EXPECT_EQ(bursts, COUNT(RX, "guest_waits"));
	}
	EXPECT_EQ(1, COUNT(RX, "burst_1"));
	EXPECT_EQ(1, COUNT(RX, "burst_2"));
	EXPECT_EQ(1, COUNT(RX, "burst_4"));
	EXPECT_EQ(1, COUNT(RX, "burst_8"));
	EXPECT_EQ(1, COUNT(RX, "burst_16"));
	EXPECT_EQ(1, COUNT(RX, "burst_32"));
	EXPECT_EQ(0, COUNT(RX, "burst_64"));
	EXPECT_EQ(0, COUNT(RX, "kicks_empty"));
}

TEST_F(stats, kick_for_nothing_counts_ok)
{
	struct watched *w = &self->w;

	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, watched_turn(w, TX, 0));
		EXPECT_EQ(i, COUNT(TX, "kicks"));
		EXPECT_EQ(i, COUNT(TX, "kicks_empty"));
		EXPECT_EQ(i + 1, COUNT(TX, "runs"));
	}
	EXPECT_EQ(0, COUNT(TX, "bursts"));
	EXPECT_EQ(0, COUNT(TX, "burst_1"));
}

TEST_F(stats, call_not_wanted_is_saved)
{
	struct watched *w = &self->w;
	struct vq *vq = &w->d.vq[TX];

	/* the first one after the start is always called for */
	ASSERT_EQ(0, add_frames(w, 1));
	ASSERT_EQ(0, watched_turn(w, TX, 1));
	vq_want_call(vq, 3);
	ASSERT_EQ(0, add_frames(w, 1));
	vq_kick(vq);
	ASSERT_EQ(0, stat_wait(w, TX, "sleeps", 3));
	EXPECT_EQ(1, COUNT(TX, "calls"));
	EXPECT_EQ(1, COUNT(TX, "calls_saved"));
	ASSERT_EQ(0, watched_add(w, NULL, STATS_LEN, 1) < 0);
	ASSERT_EQ(0, watched_add(w, NULL, STATS_LEN, 2) < 0);
	vq_publish(vq);
	vq_kick(vq);
	ASSERT_EQ(0, stat_wait(w, TX, "sleeps", 4));
	EXPECT_EQ(2, COUNT(TX, "calls"));
	EXPECT_EQ(1, COUNT(TX, "calls_saved"));
}

/* A wait under way counts, and goes on over kicks that bring nothing. */
TEST_F(stats, guest_without_buffers_is_waited_for)
{
	struct watched *w = &self->w;
	int64_t ns;

	EXPECT_EQ(0, COUNT(RX, "guest_waits"));
	EXPECT_EQ(0, COUNT(RX, "guest_wait_ns"));
	ASSERT_EQ(0, watched_inject(w, STATS_LEN, 1));
	ASSERT_EQ(0, stat_wait(w, RX, "guest_waits", 1));
	ns = COUNT(RX, "guest_wait_ns");
	EXPECT_EQ(0, stat_wait(w, RX, "guest_wait_ns", ns + 1000000));
	ASSERT_EQ(0, watched_turn(w, RX, 0));
	EXPECT_EQ(1, COUNT(RX, "kicks_empty"));
	EXPECT_EQ(1, COUNT(RX, "guest_waits"));

	ASSERT_EQ(0, add_room(w, 1));
	ASSERT_EQ(0, watched_turn(w, RX, 1));
	EXPECT_EQ(1, COUNT(RX, "frames"));
	EXPECT_EQ(1, COUNT(RX, "guest_waits"));
	ns = COUNT(RX, "guest_wait_ns");
	EXPECT_LE(1000000, ns);
	EXPECT_EQ(ns, COUNT(RX, "guest_wait_ns"));
	EXPECT_EQ(0, COUNT(RX, "host_waits"));
}

/* A wait is over when the ring stops. */
TEST_F(stats, stopped_ring_waits_no_more)
{
	struct watched *w = &self->w;
	int64_t ns;

	ASSERT_EQ(0, watched_inject(w, STATS_LEN, 1));
	ASSERT_EQ(0, stat_wait(w, RX, "guest_wait_ns", 1));
	ASSERT_EQ(0, dev_backend(&w->d, RX, -1));
	ns = COUNT(RX, "guest_wait_ns");
	EXPECT_EQ(ns, COUNT(RX, "guest_wait_ns"));
	EXPECT_EQ(1, COUNT(RX, "guest_waits"));
}

static int send_gso(struct watched *w, uint16_t gso_size, size_t len)
{
	struct virtio_net_hdr h;
	int ret;

	hdr_gso_tcp4(&h, gso_size);
	frame_tcp4(w->frame, len, false, 1);
	ret = tx_add(&w->d.vq[TX], &h, w->frame, len, &one_piece, w->buf);
	vq_publish(&w->d.vq[TX]);
	return ret < 0 ? ret : watched_turn(w, TX, 1);
}

TEST_F(stats, sent_offloads_count_ok)
{
	struct watched *w = &self->w;

	ASSERT_EQ(0, add_frames(w, 1));
	ASSERT_EQ(0, watched_turn(w, TX, 1));
	EXPECT_EQ(0, COUNT(TX, "csum"));
	ASSERT_EQ(0, send_gso(w, 0, 600));
	EXPECT_EQ(1, COUNT(TX, "csum"));
	EXPECT_EQ(0, COUNT(TX, "gso"));
	ASSERT_EQ(0, send_gso(w, 536, 1500));
	EXPECT_EQ(2, COUNT(TX, "csum"));
	EXPECT_EQ(1, COUNT(TX, "gso"));
}

static int receive_gso(struct watched *w, uint16_t gso_size, size_t len)
{
	struct virtio_net_hdr h;
	int ret = add_room(w, 1);

	hdr_gso_tcp4(&h, gso_size);
	frame_tcp4(w->frame, len, true, 1);
	if (!ret)
		ret = pkt_send(w->n.pkt, &h, w->frame, len);
	return ret ? ret : watched_pop(w, RX, 1);
}

TEST_F(stats, received_offloads_count_ok)
{
	struct watched *w = &self->w;

	ASSERT_EQ(0, tap_offload(w->n.tap, TUN_F_CSUM | TUN_F_TSO4));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, receive_gso(w, 0, 600));
		EXPECT_EQ(2 * i + 1, COUNT(RX, "csum"));
		EXPECT_EQ(i, COUNT(RX, "gso"));
		ASSERT_EQ(0, receive_gso(w, 536, 1500));
		EXPECT_EQ(2 * i + 2, COUNT(RX, "csum"));
		EXPECT_EQ(i + 1, COUNT(RX, "gso"));
	}
}

/* As many as there are bits in a log that was empty. */
TEST_F(stats, dirty_pages_count_ok)
{
	struct watched *w = &self->w;
	uint8_t *log = log_alloc(LOG_SIZE);

	ASSERT_EQ(0, log_base(&w->d, log));
	ASSERT_EQ(0, dev_u64(&w->d, VHOST_SET_FEATURES,
			     variant->features | F_LOG_ALL));
	EXPECT_EQ(0, COUNT(RX, "dirty_pages"));
	ASSERT_EQ(0, add_room(w, 1));
	ASSERT_EQ(0, watched_inject(w, STATS_LEN, 1));
	ASSERT_EQ(0, watched_pop(w, RX, 1));
	ASSERT_EQ(0, dev_backend(&w->d, RX, -1));
	EXPECT_LE(1, COUNT(RX, "dirty_pages"));
	EXPECT_EQ(log_count(log), COUNT(RX, "dirty_pages"));
}

/* Frames that lie in the queue below fill the socket. */
FIXTURE(stats_packet) {
	struct watched w;
	int kmsg;
};

FIXTURE_SETUP(stats_packet)
{
	if (strcmp(module_name(), "vhx_net"))
		SKIP(_exit(255), "in-tree has no counters in fdinfo");
	self->w.d.fd = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, watched_open(&self->w, BE_PACKET, F_EVENT));
}

FIXTURE_TEARDOWN(stats_packet)
{
	dev_close(&self->w.d);
	net_close(&self->w.n);
	run("tc qdisc del dev vt0l root 2>/dev/null");
	EXPECT_QUIET_KERNEL(self->kmsg);
}

TEST_F(stats_packet, host_wait_counts_ok)
{
	struct watched *w = &self->w;
	int size = 16384;
	int64_t ns;

	ASSERT_EQ(0, setsockopt(w->n.tap, SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	/* netem would take them off the socket's account */
	if (run("tc qdisc add dev vt0l root tbf rate 160kbit burst 2000 limit 100000"))
		SKIP(return, "no tbf");
	ASSERT_EQ(0, add_frames(w, SOCKET_FULL));
	vq_kick(&w->d.vq[TX]);
	ASSERT_EQ(0, stat_wait(w, TX, "host_waits", 1));
	ns = stat_of(w, TX, "host_wait_ns");
	EXPECT_EQ(0, stat_wait(w, TX, "host_wait_ns", ns + 1000000));
	EXPECT_EQ(0, watched_pop(w, TX, SOCKET_FULL));
	ns = stat_of(w, TX, "host_wait_ns");
	EXPECT_LE(1000000, ns);
	EXPECT_EQ(ns, stat_of(w, TX, "host_wait_ns"));
	EXPECT_EQ(SOCKET_FULL, stat_of(w, TX, "frames"));
	EXPECT_EQ(0, stat_of(w, TX, "guest_waits"));
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
