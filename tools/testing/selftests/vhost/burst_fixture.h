/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of many frames at once have in common: frames of all kinds, mixed. */
#ifndef BURST_FIXTURE_H
#define BURST_FIXTURE_H

#include <errno.h>
#include <stdlib.h>
#include <linux/if_tun.h>

#include "harness.h"
#include "data_variants.h"

#define RING	256
#define BURST	64
#define STRIDE	69632UL			/* pages */
#define BIG	(FRAME_MAX + 1 + 12)	/* takes every frame */
#define PAGE		4096UL
#define MARK	0x77			/* what buffers hold before */
#define MARKED	2048
#define VLAN	5
#define VLAN_HLEN 4

enum kind { PLAIN, CSUM, GSO, PAGED, TAGGED, TAGGED_CSUM };

struct shape {
	enum kind kind;
	unsigned int len;
};

/* A prime number of them, so that each comes at each place of a burst. */
static const struct shape shapes[] = {
	{ PLAIN, 60 }, { PLAIN, 14 }, { PLAIN, 15 }, { PLAIN, 21 },
	{ PLAIN, 22 }, { PLAIN, 23 }, { CSUM, 60 }, { PLAIN, 64 },
	{ GSO, 4000 }, { PLAIN, 127 }, { PLAIN, 128 }, { PLAIN, 129 },
	{ CSUM, 128 }, { CSUM, 129 }, { PLAIN, 1514 }, { CSUM, 1514 },
	{ PAGED, 9000 }, { PLAIN, 61 }, { TAGGED, 60 }, { PLAIN, 62 },
	{ PLAIN, 63 }, { TAGGED_CSUM, 1000 }, { PLAIN, 131 }, { PLAIN, 132 },
	{ PLAIN, 133 }, { PLAIN, 134 }, { PLAIN, 135 }, { PAGED, 65000 },
	{ CSUM, 9000 }, { PLAIN, 16384 }, { PLAIN, 1500 }, { PLAIN, 3000 },
	{ PLAIN, 119 }, { PLAIN, 120 }, { PLAIN, 121 }, { PLAIN, 116 },
	{ PLAIN, 117 }, { PLAIN, 118 }, { PLAIN, 1499 }, { PAGED, 4097 },
	{ PLAIN, 1498 },
};

FIXTURE(burst) {
	struct dev d;
	struct net n;
	struct vq *rx, *tx;
	int vlan;			/* packet socket of a VLAN on the tap */
	bool is_plain;			/* frames of the PLAIN kind alone */
	bool is_cut;			/* buffers in one piece and in several */
	unsigned int len_max;
	uint8_t *buf;
	uint8_t *frame, *got;
	uint8_t *page;			/* of its own, and one before it */
	int head[RING];			/* of buffers, in order */
	uint8_t *at[RING];
	size_t size[RING];
	unsigned int put, popped;	/* buffers */
	int kmsg;
};

/* Both lengths of headers and formats of rings, and a tap that is none of tun's. */
FIXTURE_VARIANT(burst) {
	uint64_t features;
	enum backend kind;
};
FIXTURE_VARIANT_ADD(burst, legacy) { .features = 0 };
FIXTURE_VARIANT_ADD(burst, v1_mrg_event_indirect) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,
};
FIXTURE_VARIANT_ADD(burst, packed_in_order_mrg_event) {
	.features = F_V1 | F_PACKED | F_IN_ORDER | F_MRG | F_EVENT,
};
FIXTURE_VARIANT_ADD(burst, macvtap_v1_mrg_event_indirect) {
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT, .kind = BE_MACVTAP,
};

FIXTURE_SETUP(burst)
{
	unsigned int hdr = backend_hdr(variant->features);

	SKIP_UNLESS_OFFERED(variant->features);
	self->kmsg = kmsg_open();
	self->vlan = -1;
	self->len_max = FRAME_MAX;
	ASSERT_EQ(0, net_open(&self->n, variant->kind, hdr));
	ASSERT_EQ(0, tap_unlimited(self->n.tap));
	if (hdr && variant->kind != BE_PACKET) {
		ASSERT_EQ(0, tap_offload(self->n.tap, TUN_F_CSUM | TUN_F_TSO4));
	}
	ASSERT_EQ(0, dev_setup(&self->d, variant->features));
	ASSERT_EQ(0, vq_setup(&self->d, RX, RING));
	ASSERT_EQ(0, vq_setup(&self->d, TX, RING));
	self->rx = &self->d.vq[RX];
	self->tx = &self->d.vq[TX];
	self->buf = guest_alloc(&self->d, RING * STRIDE, PAGE);
	self->page = (uint8_t *)guest_alloc(&self->d, 2 * PAGE, PAGE) + PAGE;
	self->frame = malloc(BIG);
	self->got = malloc(BIG + STRIDE);
}

FIXTURE_TEARDOWN(burst)
{
	dev_close(&self->d);
	if (self->vlan >= 0)
		close(self->vlan);
	net_close(&self->n);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(burst) fix;

static int start(fix *f, unsigned int q)
{
	return dev_backend(&f->d, q, f->n.tap);
}

/* Frame @seq, as far as the backend has its kind. */
static struct shape shape_of(const fix *f, uint32_t seq)
{
	struct shape s = shapes[seq % (sizeof(shapes) / sizeof(*shapes))];
	bool is_tagged = s.kind >= TAGGED;

	if (f->is_plain)
		return (struct shape){ PLAIN, 60 + seq * 37 % 1455 };
	if (s.len > f->len_max)
		s.len = f->len_max;
	if (has(&f->d, F_VNET_HDR) || (is_tagged && f->vlan < 0))
		s.kind = PLAIN;
	return s;
}

/* Writes it to f->frame as it is sent. */
static struct shape fill(fix *f, uint32_t seq, bool to_guest,
			 struct virtio_net_hdr *h)
{
	struct shape s = shape_of(f, seq);

	memset(h, 0, sizeof(*h));
	if (s.kind == CSUM || s.kind == GSO || s.kind == TAGGED_CSUM) {
		frame_tcp4(f->frame, s.len, to_guest, seq);
		hdr_gso_tcp4(h, s.kind == GSO ? 1448 : 0);
	} else {
		frame_fill(f->frame, s.len, to_guest, seq);
		if (s.len >= ETH_HLEN + sizeof(seq))
			memcpy(f->frame + ETH_HLEN, &seq, sizeof(seq));
		/* what is linear in the kernel, the rest is in pages */
		if (s.kind == PAGED)
			h->hdr_len = 64;
	}
	return s;
}

/* How buffer @i is cut: plain ones, and chains of all sorts, change within a burst. */
static const struct layout *layout_of(const fix *f, unsigned int i)
{
	static const struct layout several = { .hdr_pieces = 1, .pieces = 3 };
	static const struct layout shared = { .hdr_pieces = 0, .pieces = 2 };
	static const struct layout *const all[] = {
		&one_piece, &two_pieces, &several, &two_pieces, &two_pieces, &shared,
		&scattered,
	};

	const struct layout *l = all[i % (sizeof(all) / sizeof(*all))];

	/* without tables a descriptor of the ring for each piece */
	if (l == &scattered && !has(&f->d, F_INDIRECT))
		l = &several;
	return f->is_cut ? l : &one_piece;
}

static uint8_t *buf_at(fix *f, unsigned int i)
{
	return f->buf + (i % RING) * STRIDE;
}

static int64_t statistic(fix *f, const char *name)
{
	char path[128];
	long long n = -EIO;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s",
		 f->n.tap_if, name);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%lld", &n) != 1)
			n = -EIO;
		fclose(file);
	}
	return n;
}

#endif /* BURST_FIXTURE_H */
