// SPDX-License-Identifier: GPL-2.0-only
/* What only packet sockets do; tx_test and rx_test move frames through them. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <linux/if_packet.h>

#include "harness.h"

#define RING	256
#define LEN	1000

FIXTURE(packet) {
	struct dev d;
	struct net n;
	uint8_t *buf;
	uint8_t frame[LEN + 4], seen[LEN + 4];
	int kmsg;
};

typedef FIXTURE_DATA(packet) fix;

static int set_up(fix *f, uint64_t features, unsigned int hdr_len)
{
	int ret = net_open(&f->n, BE_PACKET, hdr_len);

	if (!ret)
		ret = dev_setup(&f->d, features);
	for (int q = 0; q < 2 && !ret; q++)
		ret = vq_setup(&f->d, q, RING);
	for (int q = 0; q < 2 && !ret; q++)
		ret = dev_backend(&f->d, q, f->n.tap);
	if (!ret)
		f->buf = guest_alloc(&f->d, RING * 2048, 4096);
	return ret;
}

FIXTURE_SETUP(packet)
{
	self->d.fd = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, set_up(self, F_EVENT, PACKET_HDR));
}

FIXTURE_TEARDOWN(packet)
{
	dev_close(&self->d);
	net_close(&self->n);
	run("tc qdisc del dev vt0l root 2>/dev/null");
	EXPECT_QUIET_KERNEL(self->kmsg);
}

static int tx_add_frame(fix *f, uint32_t seq)
{
	frame_fill(f->frame, LEN, false, seq);
	return tx_add(&f->d.vq[TX], NULL, f->frame, LEN, &one_piece,
		      f->buf + (seq % RING) * 2048);
}

static int tx_seen(fix *f, uint32_t seq)
{
	struct virtio_net_hdr h;
	int n = pkt_recv(f->n.pkt, &h, f->seen, sizeof(f->seen), WAIT_MS);

	frame_fill(f->frame, LEN, false, seq);
	if (n < 0)
		return n;
	return n == LEN && !memcmp(f->frame, f->seen, LEN) ? 0 : -EBADMSG;
}

static int tx_one(fix *f, uint32_t seq)
{
	int head = tx_add_frame(f, seq);
	int ret;

	vq_publish_kick(&f->d.vq[TX]);
	ret = vq_wait(&f->d.vq[TX], 1, WAIT_MS);
	if (ret)
		return ret;
	return vq_pop(&f->d.vq[TX], NULL) == head ? tx_seen(f, seq) : -EPROTO;
}

static int rx_offer(fix *f)
{
	int head = rx_add(&f->d.vq[RX], 2048, &one_piece, f->buf);

	vq_publish_kick(&f->d.vq[RX]);
	return head;
}

/* Return: 0 if the next frame is test frame @seq. */
static int rx_took(fix *f, int head, uint32_t seq)
{
	uint32_t len = 0;
	int ret = vq_wait(&f->d.vq[RX], 1, WAIT_MS);

	if (ret)
		return ret;
	frame_fill(f->frame, LEN, true, seq);
	if (vq_pop(&f->d.vq[RX], &len) != head || len != f->d.hdr_len + LEN)
		return -EPROTO;
	return memcmp(f->frame, f->buf + f->d.hdr_len, LEN) ? -EBADMSG : 0;
}

static int rx_one(fix *f, uint32_t seq)
{
	int head = rx_offer(f);
	int ret;

	frame_fill(f->frame, LEN, true, seq);
	ret = pkt_send(f->n.pkt, NULL, f->frame, LEN);
	return ret ? ret : rx_took(f, head, seq);
}

/* A header with num_buffers needs a socket that knows such a header. */
TEST_F(packet, header_of_12_ok)
{
	dev_close(&self->d);
	net_close(&self->n);
	if (set_up(self, F_V1 | F_MRG | F_EVENT, 12) == -ENOPROTOOPT)
		SKIP(return, "no PACKET_VNET_HDR_SZ in this kernel");
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(0, tx_one(self, i));
		EXPECT_EQ(0, rx_one(self, i));
		EXPECT_EQ(1, g16(&self->d, ((struct virtio_net_hdr_mrg_rxbuf *)
					    self->buf)->num_buffers));
	}
}

/* What the interface below went through is over when it is up again. */
TEST_F(packet, interface_down_and_up_ok)
{
	EXPECT_EQ(0, tx_one(self, 1));
	EXPECT_EQ(0, rx_one(self, 1));
	ASSERT_EQ(0, run("ip link set vt0l down && ip link set vt0l up"));
	EXPECT_EQ(0, rx_one(self, 2));
	ASSERT_EQ(0, run("ip link set vt0l down && ip link set vt0l up"));
	vq_kick(&self->d.vq[RX]);
	EXPECT_EQ(0, rx_one(self, 3));
	EXPECT_EQ(0, tx_one(self, 3));
}

/* A socket that is bound to an interface that is down is no failure yet. */
TEST_F(packet, attached_while_down_ok)
{
	int ret;

	ASSERT_EQ(0, dev_backend(&self->d, RX, -1));
	ASSERT_EQ(0, run("ip link set vt0l down"));
	ret = dev_backend(&self->d, RX, self->n.tap);
	ASSERT_EQ(0, run("ip link set vt0l up"));
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, rx_one(self, 1));
}

/* Frames that lie in the queue below fill the socket: the ring waits. */
TEST_F(packet, full_socket_waits_ok)
{
	struct vq *vq = &self->d.vq[TX];
	int size = 16384;

	ASSERT_EQ(0, setsockopt(self->n.tap, SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	/* netem would take them off the socket's account */
	if (run("tc qdisc add dev vt0l root tbf rate 16mbit burst 2000 limit 400000"))
		SKIP(return, "no tbf");
	for (int i = 0; i < RING; i++) {
		ASSERT_LE(0, tx_add_frame(self, i));
	}
	vq_publish_kick(vq);
	ASSERT_EQ(0, vq_wait(vq, RING, WAIT_MS));
	if (!strcmp(module_name(), "vhx_net"))
		EXPECT_LE(1, dev_counter(&self->d, "vhx-tx-host_waits"));
	for (int i = 0; i < RING; i++) {
		ASSERT_EQ(0, tx_seen(self, i)) {
			TH_LOG("frame %d", i);
		}
	}
}

/* A queue below that has no room drops frames, and says so: they are sent again. */
TEST_F(packet, full_qdisc_waits_ok)
{
	struct vq *vq = &self->d.vq[TX];

	if (run("tc qdisc add dev vt0l root tbf rate 8mbit burst 2000 limit 2000"))
		SKIP(return, "no tbf");
	for (int i = 0; i < 32; i++) {
		ASSERT_LE(0, tx_add_frame(self, i));
	}
	vq_publish_kick(vq);
	ASSERT_EQ(0, vq_wait(vq, 32, WAIT_MS));
	for (int i = 0; i < 32; i++) {
		ASSERT_EQ(0, tx_seen(self, i)) {
			TH_LOG("frame %d", i);
		}
	}
}

/* Without its tag, which the socket cuts off, a frame is another network's. */
TEST_F(packet, vlan_frame_is_not_untagged)
{
	int head = rx_offer(self);

	frame_fill(self->seen, LEN, true, 1);
	memcpy(self->frame, self->seen, 12);
	memcpy(self->frame + 12, "\x81\x00\x00\x05", 4);
	memcpy(self->frame + 16, self->seen + 12, LEN - 12);
	ASSERT_EQ(0, pkt_send(self->n.pkt, NULL, self->frame, LEN + 4));
	frame_fill(self->frame, LEN, true, 2);
	ASSERT_EQ(0, pkt_send(self->n.pkt, NULL, self->frame, LEN));
	EXPECT_EQ(0, rx_took(self, head, 2));
}

/* Frames wait in the socket, whoever is attached to it. */
TEST_F(packet, stop_keeps_queued_frames_ok)
{
	for (int i = 1; i < 10; i++) {
		frame_fill(self->frame, LEN, true, i);
		ASSERT_EQ(0, pkt_send(self->n.pkt, NULL, self->frame, LEN));
	}
	ASSERT_EQ(0, dev_backend(&self->d, RX, -1));
	ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
	for (int i = 1; i < 10; i++) {
		EXPECT_EQ(0, rx_took(self, rx_offer(self), i));
	}
}

/* Live, from a packet socket to a tap and back. */
TEST_F(packet, swap_with_tap_ok)
{
	int tap = tap_open("vt1", 0, PACKET_HDR);

	ASSERT_LE(0, tap);
	ASSERT_EQ(0, link_up("vt1", 1500));
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(0, tx_one(self, 2 * i));
		EXPECT_EQ(0, rx_one(self, 2 * i));
		for (int q = 0; q < 2; q++)
			ASSERT_EQ(0, dev_backend(&self->d, q, tap));
		ASSERT_LE(0, tx_add_frame(self, 2 * i + 1));
		vq_publish_kick(&self->d.vq[TX]);
		ASSERT_EQ(0, vq_wait(&self->d.vq[TX], 1, WAIT_MS));
		ASSERT_LE(0, vq_pop(&self->d.vq[TX], NULL));
		EXPECT_EQ(i + 1, link_packets("vt1", true));
		for (int q = 0; q < 2; q++)
			ASSERT_EQ(0, dev_backend(&self->d, q, self->n.tap));
	}
	close(tap);
}

/*
 * A ring of the socket's own takes what comes in, and gives what is sent: the
 * socket is always ready and never has a frame.
 */
TEST_F(packet, own_ring_is_refused_ebusy)
{
	static const int rings[] = { PACKET_RX_RING, PACKET_TX_RING };
	struct tpacket_req req = {
		.tp_block_size = 4096, .tp_block_nr = 4,
		.tp_frame_size = 2048, .tp_frame_nr = 8,
	};
	int fd;

	for (int i = 0; i < 2; i++) {
		fd = pkt_open("vt0l", 0);
		ASSERT_LE(0, fd);
		for (int version = TPACKET_V1; version <= TPACKET_V2; version++) {
			ASSERT_EQ(0, setsockopt(fd, SOL_PACKET, PACKET_VERSION,
						&version, sizeof(version)));
			ASSERT_EQ(0, setsockopt(fd, SOL_PACKET, rings[i], &req,
						sizeof(req)));
			EXPECT_EQ(-EBUSY, dev_backend(&self->d, RX, fd));
			/* and it is as it was, but for the ring */
			req.tp_block_nr = 0;
			req.tp_frame_nr = 0;
			ASSERT_EQ(0, setsockopt(fd, SOL_PACKET, rings[i], &req,
						sizeof(req)));
			req.tp_block_nr = 4;
			req.tp_frame_nr = 8;
		}
		EXPECT_EQ(0, dev_backend(&self->d, RX, fd));
		ASSERT_EQ(0, dev_backend(&self->d, RX, self->n.tap));
		close(fd);
	}
	/* what was there runs on */
	EXPECT_EQ(0, rx_one(self, 1));
	EXPECT_EQ(0, tx_one(self, 1));
}

/* One that gets its ring later: CPU time over a time, no wait for something. */
TEST_F(packet, own_ring_later_does_not_spin)
{
	struct tpacket_req req = {
		.tp_block_size = 4096, .tp_block_nr = 4,
		.tp_frame_size = 2048, .tp_frame_nr = 8,
	};
	int tid = worker_tid(getpid()), tries;
	int64_t ns, ms;

	ASSERT_LT(0, tid);
	ASSERT_EQ(0, setsockopt(self->n.tap, SOL_PACKET, PACKET_RX_RING, &req,
				sizeof(req)));
	ASSERT_LE(0, rx_offer(self));
	frame_fill(self->frame, LEN, true, 1);
	ASSERT_EQ(0, pkt_send(self->n.pkt, NULL, self->frame, LEN));
	poll(NULL, 0, 100 * slowness());
	/* what a loaded host takes of the machine's time may look like the worker's */
	for (tries = 0; tries < 10; tries++) {
		ns = worker_ns(tid);
		ms = now_ms();
		ASSERT_LE(0, ns);
		poll(NULL, 0, 300);
		if ((worker_ns(tid) - ns) / 1000000 < (now_ms() - ms) / 4)
			break;
	}
	EXPECT_GT(10, tries);
	EXPECT_EQ(0, tx_one(self, 1));
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
