// SPDX-License-Identifier: GPL-2.0-only
/* Frames of vhx-switch that wait for a guest's buffers. */
#include <string.h>
#include <linux/virtio_net.h>

#include <kselftest_harness.h>

#include "../../vhx-switch/out.h"

#define LEN	60
#define SENDERS	3
/* Of one port, of two: each has as many as are left. */
#define ALONE	(KEPT_MAX / 2)
#define FLOOD	2000

struct config config = { .threads = 1 };

/* What the guest takes: how many more, and which came. */
static unsigned int room, nr_came[SENDERS];

static unsigned int send_to_guest(struct lane *lane, struct vhx_pkt *const *pkts,
				  unsigned int nr)
{
	unsigned int i;

	(void)lane;
	for (i = 0; i < nr && room; i++, room--)
		nr_came[frame_from(pkts[i])]++;
	return i;
}

static const struct port_ops guest_ops = { .keeps = true, .send = send_to_guest };

/* Frames of several ports for one. */
FIXTURE(out) {
	struct port port;
	struct port sender[SENDERS];
	struct lane lane;
	uint8_t data[65000];
};

typedef FIXTURE_DATA(out) fix;

FIXTURE_SETUP(out)
{
	self->port.ops = &guest_ops;
	self->port.lane = &self->lane;
	self->lane.port = &self->port;
	self->lane.via = &self->lane;
	for (unsigned int i = 0; i < SENDERS; i++)
		self->sender[i].place = i;
	room = 0;
	memset(nr_came, 0, sizeof(nr_came));
}

FIXTURE_TEARDOWN(out)
{
	out_drop(&self->port);
	EXPECT_EQ(0, self->lane.nr_kept);
	for (unsigned int i = 0; i < SENDERS; i++)
		EXPECT_EQ(0, self->lane.nr_kept_of[i]);
}

static void send_frame(fix *s, unsigned int from, struct vhx_pkt frame)
{
	frame.data = s->data;
	frame_set_from(&frame, &s->sender[from]);
	s->lane.out[s->lane.nr_out++] = &frame;
	out_flush(&s->lane);
}

static void send_short(fix *s, unsigned int from, unsigned int nr)
{
	while (nr--)
		send_frame(s, from, (struct vhx_pkt){ .len = LEN });
}

/* One that sends without end has no places that others need. */
TEST_F(out, flood_leaves_places_for_others_ok)
{
	send_short(self, 0, FLOOD);
	EXPECT_EQ(ALONE, self->lane.nr_kept);
	EXPECT_EQ(FLOOD - ALONE, self->lane.stats.drop_full);
	send_short(self, 1, 1);
	EXPECT_EQ(ALONE + 1, self->lane.nr_kept);
	send_short(self, 1, FLOOD);
	EXPECT_LT(self->lane.nr_kept, KEPT_MAX);
	send_short(self, 2, 1);
	EXPECT_EQ(1, self->lane.nr_kept_of[2]);
	room = FLOOD;
	EXPECT_EQ(self->lane.nr_kept, out_retry(&self->lane));
	EXPECT_EQ(ALONE, nr_came[0]);
	EXPECT_LE(1, nr_came[1]);
	EXPECT_EQ(1, nr_came[2]);
}

/* Nor have the segments of one frame. */
TEST_F(out, segments_leave_places_for_others_ok)
{
	struct vhx_pkt frame = {
		.len = sizeof(self->data),
		.hdr = {
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.gso_size = 64, .csum_start = 34, .csum_offset = 16,
		},
	};

	memcpy(self->data + 12, "\x08\x00\x45", 3);
	self->data[14 + 9] = 6;
	self->data[34 + 12] = 5 << 4;
	send_frame(self, 0, frame);
	EXPECT_EQ(ALONE, self->lane.nr_kept);
	EXPECT_EQ(ALONE, self->lane.nr_kept_of[0]);
	EXPECT_EQ(1, self->lane.stats.drop_full);
	send_short(self, 1, 1);
	EXPECT_EQ(1, self->lane.nr_kept_of[1]);
}

/* A place that got free is anybody's. */
TEST_F(out, places_come_back_ok)
{
	for (unsigned int i = 0; i < 3; i++) {
		send_short(self, 0, FLOOD);
		EXPECT_EQ(ALONE, self->lane.nr_kept_of[0]);
		room = ALONE / 2;
		EXPECT_EQ(ALONE / 2, out_retry(&self->lane));
		EXPECT_EQ(ALONE / 2, self->lane.nr_kept_of[0]);
	}
}

TEST_HARNESS_MAIN
