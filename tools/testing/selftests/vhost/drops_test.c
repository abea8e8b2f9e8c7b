// SPDX-License-Identifier: GPL-2.0-only
/* Why frames are dropped and rings stop, as fdinfo has it. */
#include <sys/mman.h>

#include "harness.h"
#include "stats_lib.h"

#define FRAME_LIMIT	0x20000		/* bytes, without a header */

static const char *const reasons[] = {
	"short", "long", "writable", "header", "refused", "gone", "room",
	"fault", "nomem",
};

FIXTURE(drops) {
	struct watched w;
	int kmsg;
};

FIXTURE_VARIANT(drops) {
	enum backend kind;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(drops, tap) { .features = F_V1 | F_EVENT };
FIXTURE_VARIANT_ADD(drops, tap_packed) {
	.features = F_V1 | F_EVENT | F_PACKED,
};
FIXTURE_VARIANT_ADD(drops, packet) {
	.kind = BE_PACKET, .features = F_EVENT,
};

FIXTURE_SETUP(drops)
{
	if (strcmp(module_name(), "vhx_net"))
		SKIP(_exit(255), "in-tree has no counters in fdinfo");
	self->w.d.fd = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, watched_open(&self->w, variant->kind, variant->features));
}

FIXTURE_TEARDOWN(drops)
{
	dev_close(&self->w.d);
	net_close(&self->w.n);
	run("tc qdisc del dev vt0l root 2>/dev/null");
	EXPECT_QUIET_KERNEL(self->kmsg);
}

/* Return: frames dropped for @reason, or -EPROTO: some were for another. */
static int64_t drops_of(struct watched *w, int q, const char *reason)
{
	int64_t found = 0, n;
	char name[32];

	for (int i = 0; i < (int)ARRAY_SIZE(reasons); i++) {
		snprintf(name, sizeof(name), "drop_%s", reasons[i]);
		n = stat_of(w, q, name);
		if (!strcmp(reasons[i], reason))
			found = n;
		else if (n)
			return -EPROTO;
	}
	return found;
}

/* What was added comes back, and nothing was sent. */
static int turn(struct watched *w, int head)
{
	if (head < 0)
		return head;
	vq_publish(&w->d.vq[TX]);
	return watched_turn(w, TX, 1) ?: -stat_of(w, TX, "frames");
}

TEST_F(drops, short_frame_counts_ok)
{
	struct watched *w = &self->w;

	for (int i = 1; i <= 2; i++) {
		ASSERT_EQ(0, turn(w, watched_add(w, NULL, ETH_HLEN - 1, 0)));
		EXPECT_EQ(i, drops_of(w, TX, "short"));
	}
}

TEST_F(drops, long_frame_counts_ok)
{
	struct watched *w = &self->w;
	size_t len = w->d.hdr_len + FRAME_LIMIT + 1;
	struct seg s = { .p = guest_alloc(&w->d, len, 4096), .len = len };

	ASSERT_EQ(0, turn(w, vq_add(&w->d.vq[TX], &s, 1, 0)));
	EXPECT_EQ(1, drops_of(w, TX, "long"));
}

TEST_F(drops, writable_part_counts_ok)
{
	struct watched *w = &self->w;
	struct seg s[] = { { w->buf, STATS_LEN }, { w->buf + 1024, 16 } };

	ASSERT_EQ(0, turn(w, vq_add(&w->d.vq[TX], s, 1, 1)));
	EXPECT_EQ(1, drops_of(w, TX, "writable"));
	EXPECT_EQ(1, stat_of(w, TX, "errors"));
}

TEST_F(drops, bad_header_counts_ok)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 60000, .gso_size = 1, .csum_start = 60000,
	};
	struct watched *w = &self->w;

	ASSERT_EQ(0, turn(w, watched_add(w, &h, STATS_LEN, 0)));
	EXPECT_EQ(1, drops_of(w, TX, "header"));
}

TEST_F(drops, long_for_interface_is_refused)
{
	struct watched *w = &self->w;
	int ret;

	if (variant->kind != BE_PACKET)
		SKIP(return, "a tap takes frames of any length");
	ASSERT_EQ(0, link_up("vt0l", 1000));
	ret = turn(w, watched_add(w, NULL, 1500, 0));
	EXPECT_EQ(0, link_up("vt0l", 65521));
	ASSERT_EQ(0, ret);
	EXPECT_EQ(1, drops_of(w, TX, "refused"));
}

TEST_F(drops, interface_gone_counts_ok)
{
	struct watched *w = &self->w;

	if (variant->kind == BE_PACKET) {
		ASSERT_EQ(0, run("ip link set vt0l down"));
	} else {
		ASSERT_EQ(0, link_del("vt0"));
	}
	EXPECT_EQ(0, turn(w, watched_add(w, NULL, STATS_LEN, 0)));
	if (variant->kind == BE_PACKET)
		ASSERT_EQ(0, run("ip link set vt0l up"));
	EXPECT_EQ(1, drops_of(w, TX, "gone"));
}

/* It is tried again for half a second. */
TEST_F(drops, unreadable_buffer_is_a_fault)
{
	struct watched *w = &self->w;
	int head = watched_add(w, NULL, STATS_LEN, 0);

	ASSERT_EQ(0, mprotect(w->buf, 4096, PROT_NONE));
	ASSERT_EQ(0, turn(w, head));
	EXPECT_EQ(1, drops_of(w, TX, "fault"));
	EXPECT_EQ(9, stat_of(w, TX, "retries"));
}

TEST_F(drops, full_queue_below_is_no_memory)
{
	struct watched *w = &self->w;

	if (variant->kind != BE_PACKET)
		SKIP(return, "a tap has no queue below");
	ASSERT_EQ(0, run("tc qdisc add dev vt0l root bfifo limit 1"));
	ASSERT_EQ(0, turn(w, watched_add(w, NULL, STATS_LEN, 0)));
	EXPECT_EQ(1, drops_of(w, TX, "nomem"));
	EXPECT_EQ(9, stat_of(w, TX, "retries"));
}

static int offer(struct watched *w, size_t size, uint8_t *at)
{
	int head = rx_add(&w->d.vq[RX], size, &one_piece, at);

	vq_publish(&w->d.vq[RX]);
	return head < 0 ? head : watched_turn(w, RX, 0);
}

TEST_F(drops, frame_over_its_buffer_has_no_room)
{
	struct watched *w = &self->w;

	ASSERT_EQ(0, offer(w, 256, w->buf));
	ASSERT_EQ(0, watched_inject(w, 1000, 1));
	ASSERT_EQ(0, stat_wait(w, RX, "drop_room", 1));
	/* the buffer is the guest's still */
	ASSERT_EQ(0, watched_inject(w, STATS_LEN, 2));
	ASSERT_EQ(0, watched_pop(w, RX, 1));
	EXPECT_EQ(1, drops_of(w, RX, "room"));
	EXPECT_EQ(1, stat_of(w, RX, "frames"));
}

TEST_F(drops, unwritable_buffer_is_a_fault)
{
	struct watched *w = &self->w;

	ASSERT_EQ(0, offer(w, STATS_ROOM, w->buf));
	ASSERT_EQ(0, mprotect(w->buf, 4096, PROT_READ));
	ASSERT_EQ(0, watched_inject(w, STATS_LEN, 1));
	ASSERT_EQ(0, stat_wait(w, RX, "drop_fault", 1));
	EXPECT_EQ(1, drops_of(w, RX, "fault"));
}

/* A ring that stops says why, and that it goes on. */
TEST_F(drops, stop_counts_by_cause)
{
	struct watched *w = &self->w;
	struct vq *vq = &w->d.vq[TX];
	char text[80];
	int head;

	SPLIT_ONLY(&w->d);
	EXPECT_STREQ("running", fact_of(w, "vhx-tx-state", text, sizeof(text)));
	head = watched_add(w, NULL, STATS_LEN, 0);
	vq->desc[head].addr += 1ULL << 50;
	vq_publish(vq);
	vq_kick(vq);
	ASSERT_EQ(0, event_wait(vq->err, WAIT_MS));
	/* the run that failed ends with this */
	ASSERT_EQ(0, dev_get_base(&w->d, TX));
	EXPECT_EQ(1, stat_of(w, TX, "stop_buf_outside"));
	EXPECT_EQ(1, stat_of(w, TX, "errors"));
	EXPECT_EQ(0, drops_of(w, TX, "fault"));
	EXPECT_STREQ("failed", fact_of(w, "vhx-tx-state", text, sizeof(text)));
	EXPECT_STREQ("buffer outside the memory table",
		     fact_of(w, "vhx-tx-cause", text, sizeof(text)));
	EXPECT_STREQ("running", fact_of(w, "vhx-rx-state", text, sizeof(text)));
	EXPECT_STREQ("", fact_of(w, "vhx-rx-cause", text, sizeof(text)));

	vq->desc[head].addr -= 1ULL << 50;
	ASSERT_EQ(0, watched_turn(w, TX, 1));
	EXPECT_EQ(1, stat_of(w, TX, "stop_buf_outside"));
	EXPECT_STREQ("running", fact_of(w, "vhx-tx-state", text, sizeof(text)));
	EXPECT_STREQ("buffer outside the memory table",
		     fact_of(w, "vhx-tx-cause", text, sizeof(text)));

	ASSERT_EQ(0, dev_backend(&w->d, TX, -1));
	EXPECT_STREQ("stopped", fact_of(w, "vhx-tx-state", text, sizeof(text)));
	ASSERT_EQ(0, dev_backend(&w->d, TX, w->n.tap));
	EXPECT_STREQ("", fact_of(w, "vhx-tx-cause", text, sizeof(text)));
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
