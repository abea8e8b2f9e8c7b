// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many frames at once from the guest, of kinds that go different ways through a
 * device: whole, in order and once, whatever happens in the middle of them.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>

#include "burst_fixture.h"

#define LAPS	800			/* bursts */

/* Add frame @seq, unpublished. */
static int add_at(fix *f, uint32_t seq, const struct layout *layout, uint8_t *at)
{
	unsigned int i = f->put++ % RING;
	struct virtio_net_hdr h;
	struct shape s = fill(f, seq, false, &h);

	f->head[i] = tx_add(f->tx, &h, f->frame, s.len, layout, at);
	return f->head[i] < 0 ? f->head[i] : 0;
}

static int add(fix *f, uint32_t seq)
{
	return add_at(f, seq, layout_of(f, f->put), buf_at(f, f->put));
}

static int add_many(fix *f, uint32_t seq, unsigned int n)
{
	int ret = 0;

	while (!ret && n--)
		ret = add(f, seq++);
	return ret;
}

/* Return: 0 if the next @n buffers come back, in order. */
static int returned(fix *f, unsigned int n, int ms)
{
	int ret = vq_wait(f->tx, n, ms);

	while (!ret && n--)
		if (vq_pop(f->tx, NULL) != f->head[f->popped++ % RING])
			ret = -EPROTO;
	return ret;
}

/* Return: 0 if frame @seq comes out next. */
static int seen(fix *f, uint32_t seq)
{
	struct virtio_net_hdr h, got;
	struct shape s = fill(f, seq, false, &h);
	int n = pkt_recv(f->n.pkt, &got, f->got, FRAME_MAX + 1, WAIT_MS);

	if (n < 0)
		return n;
	if (n != (int)s.len || memcmp(f->frame, f->got, n))
		return -EBADMSG;
	if (s.kind == PLAIN || s.kind == PAGED)
		return 0;
	return got.flags == h.flags && got.csum_start == h.csum_start &&
	       got.gso_size == h.gso_size ? 0 : -EPROTOTYPE;
}

static int seen_many(fix *f, uint32_t seq, unsigned int n)
{
	for (; n; n--, seq++) {
		int ret = seen(f, seq);

		if (ret) {
			DIAG("frame %u: %s", seq, strerror(-ret));
			return seq;
		}
	}
	return -1;
}

TEST_F(burst, tx_mixed_ok)
{
	int64_t packets = statistic(self, "rx_packets"), bytes = 0;
	int64_t before = statistic(self, "rx_bytes");

	ASSERT_EQ(0, start(self, TX));
	for (uint32_t seq = 0; seq < 5 * BURST; seq += BURST) {
		self->is_cut = seq / BURST % 2;
		ASSERT_EQ(0, add_many(self, seq, BURST));
		vq_publish_kick(self->tx);
		ASSERT_EQ(0, returned(self, BURST, WAIT_MS));
		ASSERT_EQ(-1, seen_many(self, seq, BURST));
	}
	for (uint32_t seq = 0; seq < 5 * BURST; seq++)
		bytes += shape_of(self, seq).len;
	if (variant->kind == BE_TAP) {
		EXPECT_EQ(5 * BURST, statistic(self, "rx_packets") - packets);
		EXPECT_EQ(bytes, statistic(self, "rx_bytes") - before);
	}
}

/* Those behind it wait for it, and none goes out twice. */
TEST_F(burst, tx_unreadable_frame_goes_on_ok)
{
	void *page = buf_at(self, 32);

	self->is_plain = true;
	ASSERT_EQ(0, add_many(self, 0, BURST));
	vq_publish(self->tx);
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_NONE));
	ASSERT_EQ(0, start(self, TX));
	EXPECT_EQ(-1, seen_many(self, 0, 32));
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-1, seen_many(self, 32, 32));
	EXPECT_EQ(0, returned(self, BURST, SOON_MS));
}

/*
 * The same of one whose header can be read, and whose frame cannot: a long one behind
 * plain ones, and a short one among chains.
 */
TEST_F(burst, tx_unreadable_piece_goes_on_ok)
{
	static const uint32_t bad[] = { 32, 79 };
	uint8_t *at = self->page - self->d.hdr_len;

	self->is_plain = true;
	for (uint32_t i = 0; i < 2; i++) {
		self->is_cut = i;
		ASSERT_EQ(0, add_many(self, i * BURST, bad[i] - i * BURST));
		ASSERT_EQ(0, add_at(self, bad[i], &two_pieces, at));
		ASSERT_EQ(0, add_many(self, bad[i] + 1,
				      (i + 1) * BURST - bad[i] - 1));
		vq_publish(self->tx);
		ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_NONE));
		ASSERT_EQ(0, start(self, TX));
		EXPECT_EQ(-1, seen_many(self, i * BURST, bad[i] - i * BURST));
		ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(-1, seen_many(self, bad[i],
					(i + 1) * BURST - bad[i]));
		EXPECT_EQ(0, returned(self, BURST, SOON_MS));
		ASSERT_EQ(0, dev_backend(&self->d, TX, -1));
	}
}

/* The device's pages have their turn again while frames are still in them. */
TEST_F(burst, tx_frames_are_held_ok)
{
	const unsigned int all = 64 * BURST, lag = 500;
	uint32_t out = 0;

	self->is_plain = true;
	ASSERT_EQ(0, start(self, TX));
	for (uint32_t seq = 0; seq < all; seq += BURST) {
		ASSERT_EQ(0, add_many(self, seq, BURST));
		vq_publish_kick(self->tx);
		ASSERT_EQ(0, returned(self, BURST, WAIT_MS));
		/* in the first half all are held, then some */
		if (seq < all / 2)
			continue;
		ASSERT_EQ(-1, seen_many(self, out, seq - lag - out));
		out = seq - lag;
	}
}

static long free_kb(void)
{
	long kb = 0;
	FILE *f = popen("awk '/^(MemFree|Cached|Buffers):/ { n += $2 } END { print n }' /proc/meminfo",
			"re");

	if (f && fscanf(f, "%ld", &kb) != 1)
		kb = -1;
	if (f)
		pclose(f);
	return kb;
}

/*
 * Frames whose headers are said to be longer than all of them are dropped, the
 * others go out while many are held, and all that they lay in is free then.
 */
TEST_F(burst, tx_bad_headers_are_dropped)
{
	int64_t packets = statistic(self, "rx_packets");
	unsigned int bad = 0;
	uint32_t out = 0;
	int64_t end;
	long kb = 0;

	if (has(&self->d, F_VNET_HDR))
		SKIP(return, "the header ends at the device");
	if (variant->kind != BE_TAP)
		SKIP(return, "macvtap of newer kernels takes such headers");
	self->is_plain = true;
	ASSERT_EQ(0, start(self, TX));
	for (uint32_t seq = 0; seq < LAPS * BURST; seq += BURST) {
		ASSERT_EQ(0, add_many(self, seq, BURST));
		for (int i = 5; i < BURST; i += 11) {
			struct virtio_net_hdr *h = (void *)buf_at(self, seq + i);

			h->hdr_len = g16(&self->d,
					 shape_of(self, seq + i).len + 1);
			bad++;
		}
		vq_publish_kick(self->tx);
		ASSERT_EQ(0, returned(self, BURST, SOON_MS));
		for (; out + 300 < seq; out++) {
			if (out % BURST % 11 == 5)
				continue;
			ASSERT_EQ(-1, seen_many(self, out, 1));
		}
		if (seq == 20 * BURST)
			kb = free_kb();
	}
	EXPECT_EQ(LAPS * BURST - bad, statistic(self, "rx_packets") - packets);
	/* Else some 100 MiB are gone for good; huge pages for us may take 40. */
	ASSERT_EQ(0, dev_backend(&self->d, TX, -1));
	for (end = now_ms() + WAIT_MS;
	     free_kb() + 64 * 1024 < kb && now_ms() < end; poll(NULL, 0, 100))
		;
	EXPECT_LT(kb, free_kb() + 64 * 1024);
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
