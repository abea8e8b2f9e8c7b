// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only packed rings have: positions with wrap counters, event areas of four
 * bytes, sizes that are no power of two, and a driver that breaks their rules.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flow_lib.h"
#include "harness.h"

#define PAGE		4096UL
#define F_AVAIL		(1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED		(1 << VRING_PACKED_DESC_F_USED)
#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define TABLE		VRING_DESC_F_INDIRECT
#define ROUNDS		3000

FIXTURE(packed) {
	struct flow f;
	struct dev *d;
	struct vq *tx;
	int kmsg;
};

FIXTURE_VARIANT(packed) {
	uint64_t features;
	unsigned int num;
};

#define VARIANT(name, more, size)					\
FIXTURE_VARIANT_ADD(packed, name##_n##size) {				\
	.features = F_V1 | F_PACKED | (more), .num = (size),		\
}

VARIANT(flags, F_INDIRECT, 3);
VARIANT(flags, F_INDIRECT, 100);
VARIANT(event, F_EVENT | F_INDIRECT, 4);
VARIANT(event, F_EVENT | F_INDIRECT, 7);
VARIANT(event, F_EVENT | F_INDIRECT, 256);
VARIANT(in_order, F_EVENT | F_IN_ORDER | F_INDIRECT, 7);
VARIANT(event, F_EVENT | F_INDIRECT, 32768);

FIXTURE_SETUP(packed)
{
	struct dev *d = &self->f.d;

	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	self->d = d;
	self->tx = &d->vq[TX];
	ASSERT_EQ(0, net_open(&self->f.n, BE_TAP, 12));
	ASSERT_EQ(0, dev_setup(d, variant->features));
	ASSERT_EQ(0, vq_setup(d, RX, variant->num));
	ASSERT_EQ(0, vq_setup(d, TX, variant->num));
	self->f.tx_buf = guest_alloc(d, FLOW_ROOM, PAGE);
	self->f.rx_buf = guest_alloc(d, FLOW_ROOM, PAGE);
}

FIXTURE_TEARDOWN(packed)
{
	dev_close(&self->f.d);
	net_close(&self->f.n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(packed) fix;

static int set_base(fix *s, unsigned int q, uint32_t base)
{
	return dev_state(s->d, VHOST_SET_VRING_BASE, q, base);
}

/* Stops both rings and starts them where they were. */
static int restart(fix *s, unsigned int after)
{
	int ret = 0;

	for (unsigned int q = RX; q <= TX && !ret; q++) {
		uint32_t want = vq_base_after(&s->d->vq[q], after);

		ret = flow_stop(&s->f, q);
		if (!ret && dev_get_base(s->d, q) != want)
			ret = -ERANGE;
		if (!ret)
			ret = set_base(s, q, want);
		if (!ret)
			ret = flow_start(&s->f, q);
	}
	return ret;
}

/* Two laps and a bit, or of a large ring what is around its end. */
TEST_F(packed, restart_at_each_point_of_a_lap_ok)
{
	unsigned int first = variant->num > 1000 ? variant->num - 8 : 0;
	unsigned int last = variant->num > 1000 ? variant->num + 8 :
						  2 * variant->num + 2;
	uint32_t base;

	for (int q = RX; q <= TX; q++) {
		base = vq_base_after(&self->d->vq[q], first);
		vq_rewind(&self->d->vq[q], base);
		ASSERT_EQ(0, set_base(self, q, base));
		ASSERT_EQ(0, flow_start(&self->f, q));
	}
	for (unsigned int i = first; i < last; i++) {
		ASSERT_EQ(0, restart(self, i)) {
			TH_LOG("after %u", i);
		}
		ASSERT_EQ(0, flow_tx(&self->f)) {
			TH_LOG("after %u", i);
		}
		ASSERT_EQ(0, flow_rx(&self->f)) {
			TH_LOG("after %u", i);
		}
	}
}

/* Buffers that were offered before the stop are used after it, once. */
TEST_F(packed, stop_with_buffers_out_ok)
{
	unsigned int i, n = 2 * variant->num < 20 ? 2 * variant->num : 20;
	int head;

	ASSERT_EQ(0, flow_start(&self->f, RX));
	for (i = 0; i < n; i++) {
		head = flow_rx_add(&self->f);
		ASSERT_LE(0, head);
		ASSERT_EQ(0, flow_stop(&self->f, RX));
		EXPECT_EQ(0, vq_used(&self->d->vq[RX]));
		ASSERT_EQ(vq_base_after(&self->d->vq[RX], i),
			  dev_get_base(self->d, RX));
		ASSERT_EQ(0, flow_rx_inject(&self->f));
		ASSERT_EQ(0, flow_start(&self->f, RX));
		ASSERT_EQ(0, flow_rx_done(&self->f, head));
	}
}

/* DPDK's virtio-user says avail only: used is at the same position then. */
TEST_F(packed, base_without_used_half_ok)
{
	static const uint32_t bases[] = { 0x8000, 0x8001, 1 };

	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
		uint32_t pos = bases[i];

		vq_rewind(self->tx, pos);
		ASSERT_EQ(0, set_base(self, TX, pos));
		ASSERT_EQ(0, flow_start(&self->f, TX));
		EXPECT_EQ(pos | pos << 16, dev_get_base(self->d, TX));
		EXPECT_EQ(0, flow_tx(&self->f));
		ASSERT_EQ(0, flow_stop(&self->f, TX));
	}
}

/* VPP says no base at all: a ring begins with both wrap counters at 1. */
TEST_F(packed, without_base_ok)
{
	struct vq *vq = self->tx;

	ASSERT_EQ(0, dev_ioctl(self->d, VHOST_RESET_OWNER, NULL, 0));
	ASSERT_EQ(0, dev_own(self->d));
	ASSERT_EQ(0, dev_features(self->d, variant->features));
	ASSERT_EQ(0, dev_mem_table(self->d));
	vq_rewind(vq, 0x8000);
	ASSERT_EQ(0, dev_state(self->d, VHOST_SET_VRING_NUM, TX, vq->num));
	ASSERT_EQ(0, vq_set_addr(vq));
	ASSERT_EQ(0, dev_file(self->d, VHOST_SET_VRING_KICK, TX, vq->kick));
	ASSERT_EQ(0, dev_file(self->d, VHOST_SET_VRING_CALL, TX, vq->call));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
	EXPECT_EQ(vq_base_after(vq, 1), dev_get_base(self->d, TX));
}

TEST_F(packed, base_out_of_range_efault)
{
	const uint32_t num = variant->num;
	const uint32_t bad[] = {
		num | 0x80000000, 0x8000 | num << 16 | 0x80000000,
		/* the used position ahead of the available one */
		0x8000 | 0x80010000,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ASSERT_EQ(0, set_base(self, TX, bad[i]));
		if (num == 32768 && i < 2)
			continue;	/* such a base is another one */
		EXPECT_EQ(-EFAULT, flow_start(&self->f, TX)) {
			TH_LOG("base %x", bad[i]);
		}
		/* it does not run: it may be set */
		EXPECT_EQ(0, set_base(self, TX, 0x80008000));
	}
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
}

TEST_F(packed, running_base_ebusy)
{
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(-EBUSY, set_base(self, TX, 0x80008000));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* One ring is reset and gets another size, while the other goes on. */
TEST_F(packed, queue_reset_ok)
{
	const unsigned int sizes[] = { 5, 64, variant->num };
	struct vq *rx = &self->d->vq[RX];

	ASSERT_EQ(0, flow_start(&self->f, RX));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		EXPECT_EQ(0, flow_rx(&self->f));
		ASSERT_LE(0, flow_rx_add(&self->f));
		ASSERT_EQ(0, flow_stop(&self->f, RX));
		EXPECT_EQ(0, flow_tx(&self->f));
		ASSERT_EQ(0, vq_layout(self->d, RX, sizes[i]));
		ASSERT_EQ(0, dev_state(self->d, VHOST_SET_VRING_NUM, RX,
				       sizes[i]));
		ASSERT_EQ(0, set_base(self, RX, 0x80008000));
		ASSERT_EQ(0, vq_set_addr(rx));
		ASSERT_EQ(0, flow_start(&self->f, RX));
		for (unsigned int k = 0; k < 12; k++) {
			EXPECT_EQ(0, flow_rx(&self->f));
			EXPECT_EQ(0, flow_tx(&self->f));
		}
	}
}

/* Each area ends where memory ends: not a byte more of it is touched. */
TEST_F(packed, areas_end_with_memory_ok)
{
	size_t desc = 16 * variant->num, size = (desc + PAGE - 1) / PAGE * PAGE;
	struct vq *vq = self->tx;
	uint8_t *p;

	p = mmap(NULL, size + 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (unsigned int i = 0; i < 3; i++)
		ASSERT_EQ(0, munmap(p + size + 2 * PAGE * i, PAGE));
	vq->desc = (void *)(p + size - desc);
	vq->packed = (void *)vq->desc;
	vq->avail = (void *)(p + size + 2 * PAGE - 4);
	vq->driver_event = (void *)vq->avail;
	vq->used = (void *)(p + size + 4 * PAGE - 4);
	vq->device_event = (void *)vq->used;
	vq_rewind(vq, 0x8000);
	ASSERT_EQ(0, vq_set_addr(vq));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	for (unsigned int i = 0; i < 10; i++) {
		EXPECT_EQ(0, flow_tx(&self->f));
	}
	ASSERT_EQ(0, flow_stop(&self->f, TX));
	munmap(p, size);
	munmap(p + size + PAGE, PAGE);
	munmap(p + size + 3 * PAGE, PAGE);
}

/* A used descriptor is one store of 8 bytes, which must not be cut in two. */
TEST_F(packed, unaligned_ring_einval)
{
	struct vq *vq = self->tx;

	for (unsigned int by = 1; by < 16; by++) {
		vq->desc = (void *)((uint8_t *)vq->packed + by);
		ASSERT_EQ(0, vq_set_addr(vq));
		EXPECT_EQ(-EINVAL, flow_start(&self->f, TX));
	}
	vq->desc = (void *)vq->packed;
	ASSERT_EQ(0, vq_set_addr(vq));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* Event areas are of four bytes, at multiples of four (§2.8.10.1). */
TEST_F(packed, unaligned_event_area_einval)
{
	struct vq *vq = self->tx;
	void *avail = vq->avail, *used = vq->used;

	vq->avail = avail + 2;
	ASSERT_EQ(0, vq_set_addr(vq));
	EXPECT_EQ(-EINVAL, flow_start(&self->f, TX));
	vq->avail = avail;
	vq->used = used + 2;
	EXPECT_EQ(-EINVAL, vq_set_addr(vq));
	vq->used = used;
	ASSERT_EQ(0, vq_set_addr(vq));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* A ring that runs stays where it was. */
TEST_F(packed, moved_unaligned_while_running_einval)
{
	struct vq *vq = self->tx;
	void *avail = vq->avail;

	ASSERT_EQ(0, flow_start(&self->f, TX));
	vq->avail = avail + 2;
	EXPECT_EQ(-EINVAL, vq_set_addr(vq));
	vq->avail = avail;
	EXPECT_EQ(0, flow_tx(&self->f));
}

/* What was written to the old event area is not in the new one. */
TEST_F(packed, moved_while_running_asks_for_kick)
{
	struct vring_packed_desc_event *to = guest_alloc(self->d, PAGE, PAGE);
	struct vq *vq = self->tx;

	ASSERT_EQ(0, flow_start(&self->f, TX));
	EXPECT_EQ(0, flow_tx(&self->f));
	to->flags = g16(self->d, VRING_PACKED_EVENT_FLAG_DISABLE);
	vq->used = (void *)to;
	vq->device_event = to;
	ASSERT_EQ(0, vq_set_addr(vq));
	EXPECT_EQ(0, flow_tx(&self->f));
	/* the run ends by asking */
	ASSERT_LE(0, dev_get_base(self->d, TX));
	EXPECT_NE(VRING_PACKED_EVENT_FLAG_DISABLE, g16(self->d, to->flags));
	ASSERT_EQ(0, flow_stop(&self->f, TX));
}

/* Nothing but the device's event area is read or written at the start. */
TEST_F(packed, start_leaves_ring_alone_ok)
{
	struct vq *vq = self->tx;

	memset(vq->packed, 0, 16 * variant->num);
	ASSERT_EQ(0, mprotect(self->d->mem + TX * RING_AREA, PAGE, PROT_READ));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	ASSERT_EQ(0, mprotect(self->d->mem + TX * RING_AREA, PAGE,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, flow_tx(&self->f));
}

/*
 * A driver that offers a buffer just when the device goes to sleep, and kicks
 * only if it is asked to: no wake-up may get lost. It waits without a call, for
 * that takes longer than to fall asleep.
 */
TEST_F(packed, wake_up_not_lost_ok)
{
	struct vq *vq = self->tx;
	unsigned int kicks = 0;

	ASSERT_EQ(0, flow_start(&self->f, TX));
	frame_fill(self->f.frame, 60, false, 1);
	vq_calls_off(vq);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		int64_t end = now_ms() + WAIT_MS;

		ASSERT_LE(0, tx_add(vq, NULL, self->f.frame, 60, &one_piece,
				    self->f.tx_buf));
		vq_publish(vq);
		if (vq_kick_wanted(vq)) {
			vq_kick(vq);
			kicks++;
		}
		while (!vq_used(vq) && now_ms() < end)
			;
		ASSERT_LT(0, vq_used(vq)) {
			TH_LOG("round %u, %u kicks", i, kicks);
		}
		ASSERT_LE(0, vq_pop(vq, NULL));
		/* from at once to a little later, as it goes to sleep */
		for (volatile unsigned int k = 0; k < i % 250 * 8; k++)
			;
	}
	EXPECT_LT(0, kicks);
}

/* -- a driver that breaks the rules ------------------------------------------ */

/* One descriptor of chain @i, visible at once. */
static void put(fix *s, unsigned int i, uint64_t addr, uint32_t len,
		uint16_t flags)
{
	struct vring_packed_desc *desc = &s->tx->packed[i];

	desc->addr = g64(s->d, addr);
	desc->len = g32(s->d, len);
	desc->id = g16(s->d, i);
	__atomic_store_n(&desc->flags, g16(s->d, flags | F_AVAIL),
			 __ATOMIC_RELEASE);
}

/* Return: 0 if the ring stops and says so, and is sound after a restart. */
static int stops(fix *s)
{
	struct vq *vq = s->tx;
	int ret;

	event_read(vq->err);
	vq_kick(vq);
	if (event_wait(vq->err, WAIT_MS))
		return -ENODATA;
	if (dev_get_base(s->d, TX) != vq_base_after(vq, 0))
		return -EPROTO;
	/* the other ring does not mind */
	ret = flow_rx(&s->f);
	if (!ret)
		ret = flow_stop(&s->f, TX);
	vq_rewind(vq, 0x8000);
	if (!ret)
		ret = set_base(s, TX, vq_base_after(vq, 0));
	if (!ret)
		ret = flow_start(&s->f, TX);
	return ret ? ret : flow_tx(&s->f);
}

static int start_both(fix *s)
{
	int ret = flow_start(&s->f, RX);

	return ret ? ret : flow_start(&s->f, TX);
}

/* Begins anew; flow_tx() of stops() used a slot. */
static int anew(fix *s)
{
	int ret = flow_stop(&s->f, TX);

	vq_rewind(s->tx, 0x8000);
	if (!ret)
		ret = set_base(s, TX, vq_base_after(s->tx, 0));
	return ret ? ret : flow_start(&s->f, TX);
}

TEST_F(packed, chain_over_the_ring_stops)
{
	uint64_t at = gpa(self->d, self->f.tx_buf);

	if (variant->num > 1024)
		SKIP(return, "the limit of descriptors comes first");
	ASSERT_EQ(0, start_both(self));
	for (unsigned int i = variant->num; i--;)
		put(self, i, at, 64, NEXT);
	EXPECT_EQ(0, stops(self));
}

TEST_F(packed, chain_of_too_many_stops)
{
	uint64_t at = gpa(self->d, self->f.tx_buf);

	if (variant->num <= 1025)
		SKIP(return, "the ring is too small for that");
	ASSERT_EQ(0, start_both(self));
	for (unsigned int i = 1026; i--;)
		put(self, i, at, 64, i < 1025 ? NEXT : 0);
	EXPECT_EQ(0, stops(self));
}

TEST_F(packed, bad_indirect_stops)
{
	uint64_t at = gpa(self->d, self->f.tx_buf);
	const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{ at, 32, TABLE | NEXT }, { at, 0, TABLE }, { at, 15, TABLE },
		{ at, 17, TABLE }, { ~15ULL, 64, TABLE },
		{ at, 65537 * 16, TABLE }, { 0x1000, 32, TABLE },
	};

	ASSERT_EQ(0, start_both(self));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		put(self, 0, bad[i].addr, bad[i].len, bad[i].flags);
		EXPECT_EQ(0, stops(self)) {
			TH_LOG("case %zu", i);
		}
		ASSERT_EQ(0, anew(self));
	}
}

TEST_F(packed, indirect_in_chain_stops)
{
	uint64_t at = gpa(self->d, self->f.tx_buf);

	ASSERT_EQ(0, start_both(self));
	put(self, 1, at, 32, TABLE);
	put(self, 0, at, 64, NEXT);
	EXPECT_EQ(0, stops(self));
}

TEST_F(packed, readable_after_writable_stops)
{
	uint64_t at = gpa(self->d, self->f.tx_buf);

	ASSERT_EQ(0, start_both(self));
	put(self, 1, at, 64, 0);
	put(self, 0, at, 64, NEXT | WRITE);
	EXPECT_EQ(0, stops(self));
}

TEST_F(packed, wild_address_stops)
{
	ASSERT_EQ(0, start_both(self));
	put(self, 0, 0x1000, 64, 0);
	EXPECT_EQ(0, stops(self));
	ASSERT_EQ(0, anew(self));
	put(self, 0, ~0ULL - 10, 64, 0);
	EXPECT_EQ(0, stops(self));
}

/* More is available than the ring has: what is not used came again. */
TEST_F(packed, lap_ahead_of_used_stops)
{
	struct vq *rx = &self->d->vq[RX];
	unsigned int num = variant->num;

	if (num > 1000)
		SKIP(return, "takes longer than it tells");
	ASSERT_EQ(0, flow_start(&self->f, RX));
	ASSERT_EQ(0, flow_start(&self->f, TX));
	/* nothing comes for these, so they stay out */
	for (unsigned int i = 0; i < num; i++) {
		ASSERT_LE(0, rx_add(rx, FLOW_ROOM, &one_piece, self->f.rx_buf));
	}
	vq_publish(rx);
	event_read(rx->err);
	/* the first ones once more, by the flags of the next lap */
	for (unsigned int i = 0; i < num; i++)
		__atomic_store_n(&rx->packed[i].flags,
				 g16(self->d, WRITE | F_USED), __ATOMIC_RELEASE);
	vq_kick(rx);
	ASSERT_EQ(0, flow_rx_inject(&self->f));
	/* whatever it takes them for: the other ring goes on, and it restarts */
	EXPECT_EQ(0, flow_tx(&self->f));
	ASSERT_EQ(0, flow_stop(&self->f, RX));
	vq_rewind(rx, 0x8000);
	ASSERT_EQ(0, set_base(self, RX, vq_base_after(rx, 0)));
	ASSERT_EQ(0, flow_start(&self->f, RX));
	/* the frame injected above comes first */
	ASSERT_LE(0, flow_rx_add(&self->f));
	ASSERT_EQ(0, vq_wait(rx, 1, WAIT_MS));
}

TEST_HARNESS_MAIN
