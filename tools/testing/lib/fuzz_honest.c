// SPDX-License-Identifier: GPL-2.0-only
/*
 * An honest guest on a driver of its own in the session that is fuzzed. It sends a
 * frame, which is sent back, and has its receiveq enabled for that by a message: so
 * both the session and the bursts have to serve it.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend.h"
#include "fuzz_honest.h"
#include "fuzz_watch.h"

#define NUM	16
#define LEN	100			/* bytes of a frame */
#define ROOM	2048
/* Calls of vhx_session_run(), each of which has a turn for everybody. */
#define TURNS_MAX	4

static struct {
	char path[64];
	struct front f;
	struct vhx_device *dev;		/* while it is live */
	unsigned int queues;		/* bitmap of those that run */
	uint8_t *tx_buf, *rx_buf;	/* in its memory */
	uint8_t data[ROOM];		/* of @pkt */
	struct vhx_pkt pkt;
	bool is_out;			/* @pkt has the frame that it sent */
	bool is_waiting;
	uint32_t seq;			/* of the frame */
	unsigned int turns;		/* since it was sent */
	uint64_t asked_us;		/* processor time then */
} honest = { .pkt = { .data = honest.data, .room = ROOM } };

static int new_device(struct vhx_device *dev, void *arg)
{
	(void)arg;
	honest.dev = dev;
	return 0;
}

static void destroy_device(struct vhx_device *dev, void *arg)
{
	(void)dev;
	(void)arg;
	honest.dev = NULL;
}

static void vring_state_changed(struct vhx_device *dev, unsigned int queue,
				bool is_enabled, void *arg)
{
	(void)dev;
	(void)arg;
	honest.queues &= ~(1u << queue);
	honest.queues |= (unsigned int)is_enabled << queue;
}

static const struct vhx_device_ops ops = {
	.size = sizeof(struct vhx_device_ops),
	.new_device = new_device, .destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
};

static void send_enable(bool is_enabled, uint32_t flags)
{
	struct vhost_vring_state state = { .index = RX, .num = is_enabled };

	CHECK(!front_send(&honest.f, SET_VRING_ENABLE, flags, &state,
			  sizeof(state), NULL, 0));
}

static void remove_socket(void)
{
	unlink(honest.path);
}

/* The session has a thread for as long as its client waits for answers. */
void fuzz_honest_open(struct vhx_session *session)
{
	struct vhx_driver *driver;

	snprintf(honest.path, sizeof(honest.path), "/tmp/vhx-fuzz-honest-%d",
		 getpid());
	CHECK(!vhx_driver_register(session, honest.path, 0, &driver));
	atexit(remove_socket);
	vhx_driver_set_ops(driver, &ops, NULL);
	CHECK(!vhx_driver_start(driver));
	CHECK(!vhx_session_start(session));
	CHECK(!front_open(&honest.f, honest.path, F_V1 | F_MRG, NUM));
	honest.tx_buf = guest_alloc(&honest.f.d, ROOM, 4096);
	honest.rx_buf = guest_alloc(&honest.f.d, ROOM, 4096);
	send_enable(false, 0);
	vhx_session_stop(session);
	while (vhx_session_run(session, 0) > 0)
		;
	CHECK(honest.dev && honest.queues == 1u << TX);
}

/* It sends a frame, and asks for frames. */
void fuzz_honest_ask(void)
{
	struct vq *tx = &honest.f.d.vq[TX], *rx = &honest.f.d.vq[RX];
	uint8_t frame[LEN];

	frame_fill(frame, LEN, false, ++honest.seq);
	CHECK(rx_add(rx, ROOM, &one_piece, honest.rx_buf) >= 0);
	vq_publish(rx);
	CHECK(tx_add(tx, NULL, frame, LEN, &one_piece, honest.tx_buf) >= 0);
	vq_publish(tx);
	send_enable(true, NEED_REPLY);
	honest.is_waiting = true;
	honest.is_out = false;
	honest.turns = 0;
	honest.asked_us = watch_time_us();
}

static void take_answer(void)
{
	struct {
		struct header header;
		uint64_t failed;
	} __attribute__((packed)) answer;

	CHECK(recv(honest.f.d.fd, &answer, sizeof(answer), MSG_DONTWAIT) ==
	      sizeof(answer));
	CHECK(answer.header.request == SET_VRING_ENABLE && !answer.failed);
}

/* What it sent has come back, both buffers are its own again, and it was called. */
static void take_frame(void)
{
	struct vq *tx = &honest.f.d.vq[TX], *rx = &honest.f.d.vq[RX];
	unsigned int hdr = honest.f.d.hdr_len;
	uint8_t frame[LEN];
	uint32_t len = 0;

	frame_fill(frame, LEN, false, honest.seq);
	CHECK(vq_pop(tx, NULL) >= 0 && event_read(tx->call));
	CHECK(vq_pop(rx, &len) >= 0 && event_read(rx->call));
	CHECK(len == hdr + LEN && !memcmp(honest.rx_buf + hdr, frame, LEN));
}

/* After a turn of the session: our side of the exchange, and the end of it. */
void fuzz_honest_turn(void)
{
	struct vhx_pkt *const pkts[] = { &honest.pkt };

	if (!honest.is_waiting)
		return;
	CHECK(honest.dev && honest.turns++ < TURNS_MAX);
	if (!honest.is_out)
		honest.is_out = WATCHED(vhx_dequeue_burst(honest.dev, TX, pkts,
							  1));
	CHECK(honest.is_out);
	if (!WATCHED(vhx_enqueue_burst(honest.dev, RX, pkts, 1)))
		return;
	take_answer();
	take_frame();
	send_enable(false, 0);
	honest.is_waiting = false;
	watch_late("a frame", watch_time_us() - honest.asked_us);
}

bool fuzz_honest_is_waiting(void)
{
	return honest.is_waiting;
}
