// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many frames at once to the guest, of kinds that go different ways through a device:
 * whole, in order and once, whatever happens in the middle of them.
 */
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "burst_fixture.h"

static int stop(fix *f, unsigned int q)
{
	return dev_backend(&f->d, q, -1);
}

/*
 * The kernel tags what a VLAN device sends when it comes to the tap's reader. Without
 * such devices frames go untagged.
 */
static void vlan_open(fix *f)
{
	if (f->n.kind == BE_TAP &&
	    !run("ip link add link vt0 name vt0v type vlan id %d", VLAN) &&
	    !link_up("vt0v", 0))
		f->vlan = pkt_open("vt0v", PACKET_HDR);
}

/* The file whose tap went away, and a packet socket, on another one. */
static int tap_again(fix *f)
{
	unsigned int hdr = backend_hdr(f->d.features);
	struct ifreq ifr = {
		.ifr_name = "vt0",
		.ifr_flags = IFF_TAP | IFF_NO_PI | (hdr ? IFF_VNET_HDR : 0),
	};

	close(f->n.pkt);
	f->n.pkt = -1;
	if (ioctl(f->n.tap, TUNSETIFF, &ifr) ||
	    (hdr && ioctl(f->n.tap, TUNSETVNETHDRSZ, &hdr)) ||
	    link_up("vt0", 65521))
		return -errno;
	f->n.pkt = pkt_open("vt0", PACKET_HDR);
	return f->n.pkt < 0 ? f->n.pkt : 0;
}

/* Writes it to f->frame as the guest gets it. Return: bytes. */
static size_t expect(fix *f, uint32_t seq, struct virtio_net_hdr *h)
{
	static const uint8_t tag[VLAN_HLEN] = { 0x81, 0, 0, VLAN };
	struct shape s = fill(f, seq, true, h);

	if (s.kind == PAGED)
		h->hdr_len = 0;
	if (s.kind < TAGGED)
		return s.len;
	memmove(f->frame + 12 + VLAN_HLEN, f->frame + 12, s.len - 12);
	memcpy(f->frame + 12, tag, VLAN_HLEN);
	if (h->flags)
		h->csum_start += VLAN_HLEN;
	return s.len + VLAN_HLEN;
}

static int inject(fix *f, uint32_t seq)
{
	struct virtio_net_hdr h;
	struct shape s = fill(f, seq, true, &h);

	return pkt_send(s.kind < TAGGED ? f->n.pkt : f->vlan, &h, f->frame,
			s.len);
}

static int inject_many(fix *f, uint32_t seq, unsigned int n)
{
	int ret = 0;

	while (!ret && n--)
		ret = inject(f, seq++);
	return ret;
}

/* Offer a buffer, unpublished. */
static int offer_as(fix *f, const struct layout *layout, uint8_t *at, size_t size)
{
	unsigned int i = f->put++ % RING;

	memset(at, MARK, MARKED);
	f->at[i] = at;
	f->size[i] = size;
	f->head[i] = rx_add(f->rx, size, layout, at);
	return f->head[i] < 0 ? f->head[i] : 0;
}

static int offer_at(fix *f, uint8_t *at, size_t size)
{
	return offer_as(f, layout_of(f, f->put), at, size);
}

static int offer(fix *f, unsigned int n, size_t size)
{
	int ret = 0;

	for (; !ret && n; n--)
		ret = offer_at(f, buf_at(f, f->put), size);
	return ret;
}

/* Add what one used buffer holds to f->got. Return: bytes in all. */
static int gather(fix *f, size_t have)
{
	unsigned int i = f->popped++ % RING;
	uint32_t used = 0;

	if (vq_pop(f->rx, &used) != f->head[i])
		return -EPROTO;
	if (used > f->size[i] || !used)
		return -EOVERFLOW;
	memcpy(f->got + have, f->at[i], used);
	return have + used;
}

static bool is_hdr_right(fix *f, struct virtio_net_hdr *want, unsigned int nr)
{
	struct virtio_net_hdr_mrg_rxbuf got;

	memcpy(&got, f->got, f->d.hdr_len);
	hdr_swap(&f->d, &got.hdr);
	/* a hint, which depends on how the frame lay in the kernel */
	if (want->gso_type)
		got.hdr.hdr_len = want->hdr_len;
	return !memcmp(&got, want, sizeof(*want)) &&
	       (!has(&f->d, F_MRG) || g16(&f->d, got.num_buffers) == nr);
}

/* Whether frame @seq of @len bytes with header is in f->got, out of @nr buffers. */
static int whole(fix *f, uint32_t seq, size_t len, unsigned int nr)
{
	struct virtio_net_hdr h;

	if (expect(f, seq, &h) + f->d.hdr_len != len)
		return -EMSGSIZE;
	if (!is_hdr_right(f, &h, nr))
		return -EPROTOTYPE;
	return memcmp(f->frame, f->got + f->d.hdr_len, len - f->d.hdr_len) ?
	       -EBADMSG : 0;
}

/* Take frame @seq. Return: 0 if it is the next one. */
static int take(fix *f, uint32_t seq)
{
	struct virtio_net_hdr h;
	size_t len = expect(f, seq, &h) + f->d.hdr_len;
	size_t size = f->size[f->popped % RING];
	unsigned int i, nr = (len + size - 1) / size;
	int ret = vq_wait(f->rx, nr, WAIT_MS);
	int have = 0;

	for (i = 0; !ret && i < nr; i++) {
		have = gather(f, have);
		ret = have < 0 ? have : 0;
	}
	/* no more was written than is said */
	if (!ret && len < MARKED && f->at[(f->popped - 1) % RING][len] != MARK)
		ret = -EFAULT;
	return ret ? ret : whole(f, seq, have, nr);
}

/* Return: the first of @n frames from @seq on that is not as it was, or -1. */
static int take_many(fix *f, uint32_t seq, unsigned int n)
{
	for (; n; n--, seq++) {
		int ret = take(f, seq);

		if (ret) {
			DIAG("frame %u: %s", seq, strerror(-ret));
			return seq;
		}
	}
	return -1;
}

/*
 * Take what is there of frames in one buffer each, which say their number: it only
 * grows. @next: what comes next at the earliest; becomes what comes after.
 */
static int take_some(fix *f, uint32_t *next)
{
	uint32_t seq;
	int len, ret = 0;

	while (!ret && vq_used(f->rx)) {
		len = gather(f, 0);
		if (len < 0)
			return len;
		memcpy(&seq, f->got + f->d.hdr_len + ETH_HLEN, sizeof(seq));
		ret = seq < *next ? -EALREADY : whole(f, seq, len, 1);
		*next = seq + 1;
	}
	return ret;
}

/* The same until frame @last has come. Return: 0, -errno. */
static int take_until(fix *f, uint32_t *next, uint32_t last)
{
	int64_t end = now_ms() + WAIT_MS;
	int ret = 0;

	while (!ret && *next <= last) {
		ret = take_some(f, next);
		if (!ret && *next <= last && vq_wait(f->rx, 1, 100) &&
		    now_ms() > end)
			return -ETIMEDOUT;
	}
	return ret;
}

#define TAP_ONLY() do {							\
	if (variant->kind != BE_TAP)					\
		SKIP(return, "about taps");				\
} while (0)

/*
 * Has @n frames from @seq on wait in the tap for buffers, the device knowing by the one
 * before what the tap's headers are like.
 */
static int pile_up(fix *f, uint32_t seq, unsigned int n)
{
	int ret = offer(f, 1, BIG);

	vq_publish_kick(f->rx);
	if (!ret)
		ret = inject(f, seq - 1);
	if (!ret)
		ret = take(f, seq - 1);
	return ret ? ret : inject_many(f, seq, n);
}

/* The same of 20, with a burst of buffers offered, unpublished: the seventh is at @at. */
static int pile_up_to(fix *f, uint32_t seq, const struct layout *layout, uint8_t *at)
{
	int ret = pile_up(f, seq, 20);

	if (!ret)
		ret = offer(f, 6, 2048);
	if (!ret)
		ret = offer_as(f, layout, at, 2048);
	return ret ? ret : offer(f, BURST - 7, 2048);
}

TEST_F(burst, rx_mixed_ok)
{
	int64_t packets, bytes = 0, before;
	struct virtio_net_hdr h;
	uint32_t seq;

	vlan_open(self);
	packets = statistic(self, "tx_packets");
	before = statistic(self, "tx_bytes");
	ASSERT_EQ(0, start(self, RX));
	for (seq = 1; seq < 8 * BURST; seq += BURST) {
		self->is_cut = seq / BURST % 2;
		ASSERT_EQ(0, pile_up(self, seq, BURST - 1));
		ASSERT_EQ(0, offer(self, BURST - 1, BIG));
		vq_publish_kick(self->rx);
		ASSERT_EQ(-1, take_many(self, seq, BURST - 1));
	}
	while (--seq)
		bytes += expect(self, seq - 1, &h);
	if (variant->kind == BE_TAP) {
		EXPECT_EQ(8 * BURST, statistic(self, "tx_packets") - packets);
		EXPECT_EQ(bytes, statistic(self, "tx_bytes") - before);
	}
}

/* Each takes as many as it needs, and the next one the next buffer. */
TEST_F(burst, rx_mixed_over_small_buffers_ok)
{
	if (!has(&self->d, F_MRG))
		SKIP(return, "needs MRG_RXBUF");
	vlan_open(self);
	self->len_max = 9000;
	ASSERT_EQ(0, start(self, RX));
	for (uint32_t seq = 1; seq < 4 * BURST; seq += BURST) {
		/* without tables there is not room for as many */
		self->is_cut = seq / BURST % 2 && has(&self->d, F_INDIRECT);
		ASSERT_EQ(0, pile_up(self, seq, BURST - 1));
		while (self->put - self->popped < RING - 1) {
			ASSERT_EQ(0, offer(self, 1, 1526));
		}
		vq_publish_kick(self->rx);
		ASSERT_EQ(-1, take_many(self, seq, BURST - 1));
		/* those that were too many are another's */
		while (self->put != self->popped) {
			ASSERT_EQ(0, inject(self, 0));
			ASSERT_EQ(0, take(self, 0));
		}
	}
}

/* Frames are lost while it is, and none else; it is there for the next one. */
TEST_F(burst, rx_unwritable_buffer_goes_on_ok)
{
	uint32_t next = 1;

	self->is_plain = true;
	ASSERT_EQ(0, start(self, RX));
	ASSERT_EQ(0, pile_up_to(self, 1, &one_piece, self->page));
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_NONE));
	vq_publish_kick(self->rx);
	EXPECT_EQ(0, take_until(self, &next, 6));
	EXPECT_EQ(7, next);
	/* waits for the run under way */
	ASSERT_LE(0, dev_get_base(&self->d, RX));
	EXPECT_EQ(0, vq_used(self->rx));
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, inject_many(self, 21, BURST - 6));
	EXPECT_EQ(0, take_until(self, &next, 21 + BURST - 7));
	EXPECT_EQ(1 + BURST, self->popped);
}

/*
 * The same of one whose header can be written, and whose frame cannot: a long one, and
 * a short one among chains.
 */
TEST_F(burst, rx_unwritable_piece_goes_on_ok)
{
	static const uint32_t firsts[] = { 1, 112 };

	self->is_plain = true;
	ASSERT_EQ(0, start(self, RX));
	for (int i = 0; i < 2; i++) {
		uint32_t first = firsts[i], next = first;

		self->is_cut = i;
		ASSERT_EQ(0, pile_up_to(self, first, i ? &two_pieces : &one_piece,
					self->page - self->d.hdr_len));
		ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ));
		vq_publish_kick(self->rx);
		EXPECT_EQ(0, take_until(self, &next, first + 5));
		EXPECT_EQ(first + 6, next);
		ASSERT_LE(0, dev_get_base(&self->d, RX));
		EXPECT_EQ(0, vq_used(self->rx));
		ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, inject_many(self, first + 20, BURST - 6));
		EXPECT_EQ(0, take_until(self, &next, first + 20 + BURST - 7));
		EXPECT_EQ(self->put, self->popped);
	}
}

/* Who deletes a tap waits for a copy under way, and no longer; a macvtap goes at once. */
TEST_F(burst, rx_tap_deleted_while_a_page_is_awaited_ok)
{
	struct held held;
	int pid, status;

	if (has(&self->d, F_VNET_HDR))
		SKIP(return, "the device's own header is what is awaited");
	self->is_plain = true;
	ASSERT_EQ(0, start(self, RX));
	ASSERT_EQ(0, pile_up_to(self, 1, &one_piece, self->page));
	ASSERT_EQ(0, page_take(&held, self->page));
	vq_publish_kick(self->rx);
	ASSERT_EQ(0, event_wait(held.fd, WAIT_MS));
	pid = fork();
	if (!pid)
		_exit(link_del(self->n.tap_if) ? 1 : 0);
	/* its name goes first */
	for (int i = 0; i < WAIT_MS && if_nametoindex(self->n.tap_if); i++)
		poll(NULL, 0, 1);
	EXPECT_EQ(variant->kind == BE_TAP ? 0 : pid,
		  waitpid(pid, &status, variant->kind == BE_TAP ? WNOHANG : 0));
	ASSERT_EQ(0, page_give(&held));
	if (variant->kind == BE_TAP) {
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	} else {
		EXPECT_EQ(0, macvtap_add());
	}
	EXPECT_EQ(0, status);
	EXPECT_EQ(-1, take_many(self, 1, 7));
}

/*
 * The guest's headers are as long as before: frames may be lost until the tap's
 * are, too.
 */
TEST_F(burst, rx_header_size_changes_ok)
{
	int size = self->d.hdr_len, other = 22 - size;
	uint32_t next = 0;

	if (has(&self->d, F_VNET_HDR))
		SKIP(return, "the header ends at the device");
	self->is_plain = true;
	ASSERT_EQ(0, start(self, RX));
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, offer(self, RING - (self->put - self->popped),
				   2048));
		vq_publish_kick(self->rx);
		ASSERT_EQ(0, inject_many(self, i * 60, 20));
		ASSERT_EQ(0, take_until(self, &next, i * 60 + 19));
		ASSERT_EQ(0, ioctl(self->n.tap, TUNSETVNETHDRSZ, &other));
		ASSERT_EQ(0, inject_many(self, i * 60 + 20, 20));
		/* half the time the device takes them before */
		ASSERT_EQ(0, stop(self, RX));
		if (i & 1) {
			ASSERT_EQ(0, start(self, RX));
		}
		ASSERT_EQ(0, ioctl(self->n.tap, TUNSETVNETHDRSZ, &size));
		if (!(i & 1)) {
			ASSERT_EQ(0, start(self, RX));
		}
		ASSERT_EQ(0, inject_many(self, i * 60 + 40, 20));
		ASSERT_EQ(0, take_until(self, &next, i * 60 + 59));
	}
}

/* Another of its name goes on where the first one left off. */
TEST_F(burst, rx_tap_deleted_in_a_stream_ok)
{
	uint32_t next = 0, seq = 0;

	TAP_ONLY();
	self->is_plain = true;
	for (int i = 0; i < 8; i++) {
		ASSERT_EQ(0, start(self, RX));
		ASSERT_EQ(0, offer(self, RING - (self->put - self->popped),
				   2048));
		vq_publish_kick(self->rx);
		ASSERT_EQ(0, inject_many(self, seq, 400));
		if (i & 1) {
			ASSERT_EQ(0, take_until(self, &next, seq + 30));
		}
		ASSERT_EQ(0, link_del("vt0"));
		seq += 400;
		ASSERT_EQ(0, stop(self, RX));
		EXPECT_EQ(0, take_some(self, &next));
		close(self->n.pkt);
		close(self->n.tap);
		ASSERT_EQ(0, net_open(&self->n, BE_TAP,
				      backend_hdr(variant->features)));
	}
}

/*
 * Frames that were taken for buffers that are wrong outlive their tap. Its file, on
 * another one, has them back.
 */
TEST_F(burst, rx_frames_outlive_their_tap_ok)
{
	struct vring_desc *desc = self->rx->desc;
	uint32_t next = 1;

	TAP_ONLY();
	SPLIT_ONLY(&self->d);
	self->is_plain = true;
	ASSERT_EQ(0, inject_many(self, 0, 20));
	ASSERT_EQ(0, offer(self, 20, 2048));
	for (int i = 1; i < 20; i++)
		desc[self->head[i]].addr ^= g64(&self->d, 1ULL << 50);
	vq_publish(self->rx);
	ASSERT_EQ(0, start(self, RX));
	ASSERT_EQ(0, event_wait(self->rx->err, WAIT_MS));
	EXPECT_EQ(0, take(self, 0));
	ASSERT_EQ(0, link_del("vt0"));
	ASSERT_EQ(0, tap_again(self));
	ASSERT_EQ(0, stop(self, RX));
	vq_unpush(self->rx, 19);
	ASSERT_EQ(0, inject_many(self, 20, 4));
	ASSERT_EQ(0, start(self, RX));
	/* one buffer at a time, so that no frames are taken ahead */
	for (int i = 1; i < 20; i++) {
		desc[self->head[i]].addr ^= g64(&self->d, 1ULL << 50);
		vq_push(self->rx, self->head[i]);
		vq_publish_kick(self->rx);
		ASSERT_EQ(0, vq_wait(self->rx, 1, WAIT_MS));
		ASSERT_EQ(0, take_some(self, &next));
		if (next == 24)
			break;
	}
	EXPECT_EQ(self->popped - 1, statistic(self, "tx_packets"));
}

/* What does not fit the new queue is lost, and nothing else. */
TEST_F(burst, rx_queue_length_changes_ok)
{
	static const unsigned int lens[] = { 1, 8, 1000, 40, 2, 64, 33, 500 };
	uint32_t next = 0, seq = 0;

	TAP_ONLY();
	self->is_plain = true;
	for (int i = 0; i < 16; i++) {
		unsigned int popped = self->popped;
		int64_t came = 20, dropped;

		ASSERT_EQ(0, offer(self, RING - (self->put - self->popped),
				   2048));
		vq_publish(self->rx);
		inject_many(self, seq, 100);
		ASSERT_EQ(0, run("ip link set vt0 txqueuelen %u", lens[i % 8]));
		dropped = statistic(self, "tx_dropped");
		inject_many(self, seq + 100, 20);
		came -= statistic(self, "tx_dropped") - dropped;
		seq += 120;
		ASSERT_EQ(0, start(self, RX));
		ASSERT_EQ(0, vq_wait(self->rx, 1, WAIT_MS));
		ASSERT_EQ(0, stop(self, RX));
		ASSERT_EQ(0, start(self, RX));
		ASSERT_EQ(0, inject(self, seq));
		ASSERT_EQ(0, take_until(self, &next, seq++));
		EXPECT_LE(came + 1, self->popped - popped);
		ASSERT_EQ(0, stop(self, RX));
	}
}

struct flood {
	pthread_t thread;
	int pkt, vlan;
	uint8_t frame[60], tagged[80];
	bool is_over;
};

static void *flood(void *arg)
{
	struct flood *f = arg;

	for (unsigned int i = 0; !__atomic_load_n(&f->is_over,
						  __ATOMIC_RELAXED); i++) {
		if (i % 2 || f->vlan < 0)
			pkt_send(f->pkt, NULL, f->frame, sizeof(f->frame));
		else
			pkt_send(f->vlan, NULL, f->tagged, sizeof(f->tagged));
	}
	return NULL;
}

/*
 * A queue that is always full, and so short that who looks ahead in it comes to
 * where it was: each frame is taken for what it is.
 */
TEST_F(burst, rx_short_queue_flooded_ok)
{
	struct flood f = { .pkt = self->n.pkt };
	unsigned int bad = 0;
	int64_t end;

	TAP_ONLY();
	vlan_open(self);
	f.vlan = self->vlan;
	ASSERT_EQ(0, run("ip link set vt0 txqueuelen 40"));
	frame_fill(f.frame, sizeof(f.frame), true, 1);
	frame_fill(f.tagged, sizeof(f.tagged), true, 2);
	ASSERT_EQ(0, start(self, RX));
	ASSERT_EQ(0, pthread_create(&f.thread, NULL, flood, &f));
	end = now_ms() + 1000 * slowness();
	while (!bad && (now_ms() < end || self->popped <= 1000)) {
		ASSERT_EQ(0, offer(self, RING - (self->put - self->popped),
				   1000));
		vq_publish_kick(self->rx);
		if (vq_wait(self->rx, 1, WAIT_MS))
			break;
		while (!bad && vq_used(self->rx)) {
			int len = gather(self, 0);

			len -= self->d.hdr_len;
			bad += len != 60 && len != 84;
			bad += len == 84 && self->got[self->d.hdr_len + 15] !=
			       VLAN;
		}
	}
	__atomic_store_n(&f.is_over, true, __ATOMIC_RELAXED);
	pthread_join(f.thread, NULL);
	EXPECT_EQ(0, bad);
	EXPECT_LT(1000, self->popped);
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
