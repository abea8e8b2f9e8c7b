// SPDX-License-Identifier: GPL-2.0-only
/* vhx-switch's view of long frames, and of what a guest says of its own. */
#include <arpa/inet.h>
#include <string.h>
#include <linux/virtio_net.h>

#include <kselftest_harness.h>

#include "../../vhx-switch/gso.h"

#define MSS	1000
#define PAYLOAD	4321
#define TCP_LEN	20
#define PSH_ACK	0x18

static uint32_t sum_of(const uint8_t *at, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put16(uint8_t *at, uint32_t val)
{
	at[0] = (uint8_t)(val >> 8);
	at[1] = (uint8_t)val;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

FIXTURE(gso) {
	uint8_t data[8000];
	struct vhx_pkt frame;
	uint32_t ip;
	uint32_t tcp;
};

FIXTURE_VARIANT(gso) {
	bool is_v4;
	bool has_tag;
};

FIXTURE_VARIANT_ADD(gso, v4) { .is_v4 = true };
FIXTURE_VARIANT_ADD(gso, v6) { };
FIXTURE_VARIANT_ADD(gso, v4_tagged) { .is_v4 = true, .has_tag = true };

/* The sum of addresses, protocol and @len that a header's checksum begins with. */
static uint32_t pseudo(const uint8_t *data, uint32_t ip, bool is_v4, uint32_t len)
{
	uint8_t words[40] = "";

	memcpy(words, data + ip + (is_v4 ? 12 : 8), is_v4 ? 8 : 32);
	put16(words + 34, 6);
	put16(words + 36, len);
	return sum_of(words, sizeof(words));
}

FIXTURE_SETUP(gso)
{
	uint8_t *data = self->data, *ip, *tcp;

	self->ip = variant->has_tag ? 18 : 14;
	self->tcp = self->ip + (variant->is_v4 ? 20 : 40);
	ip = data + self->ip;
	tcp = data + self->tcp;
	for (uint32_t i = 0; i < sizeof(self->data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	if (variant->has_tag)
		put16(data + 12, 0x8100);
	put16(ip - 2, variant->is_v4 ? 0x0800 : 0x86dd);
	if (variant->is_v4) {
		ip[0] = 0x45;
		put16(ip + 2, 20 + TCP_LEN + PAYLOAD);
		ip[9] = 6;
	} else {
		ip[0] = 0x60;
		put16(ip + 4, TCP_LEN + PAYLOAD);
		ip[6] = 6;
	}
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[13] = PSH_ACK;
	put16(tcp + 16, pseudo(data, self->ip, variant->is_v4,
			       TCP_LEN + PAYLOAD));
	self->frame = (struct vhx_pkt){
		.data = data, .len = self->tcp + TCP_LEN + PAYLOAD,
		.hdr = {
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = variant->is_v4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
						     VIRTIO_NET_HDR_GSO_TCPV6,
			.hdr_len = (uint16_t)(self->tcp + TCP_LEN),
			.gso_size = MSS,
			.csum_start = (uint16_t)self->tcp,
			.csum_offset = 16,
		},
	};
}

FIXTURE_TEARDOWN(gso)
{
}

TEST_F(gso, segments_make_up_the_frame_ok)
{
	uint8_t data[2000], *ip = data + self->ip, *tcp = data + self->tcp;
	struct vhx_pkt segment = { .data = data };
	uint32_t at = 0, next, len, seq0 = get16(self->data + self->tcp + 6);
	unsigned int nr = 0;

	ASSERT_TRUE(gso_is_sound(&self->frame));
	do {
		next = gso_segment(&self->frame, at, &segment);
		len = segment.len - self->tcp - TCP_LEN;
		ASSERT_EQ(next ? MSS : PAYLOAD % MSS, len);
		EXPECT_EQ(0, memcmp(tcp + TCP_LEN, self->data + self->tcp +
				    TCP_LEN + at, len));
		EXPECT_EQ((seq0 + at) & 0xffff, get16(tcp + 6));
		EXPECT_EQ(next ? PSH_ACK & ~8 : PSH_ACK, tcp[13]);
		if (variant->is_v4) {
			EXPECT_EQ(20 + TCP_LEN + len, get16(ip + 2));
			EXPECT_EQ(0xffff, sum_of(ip, 20));
			EXPECT_EQ((get16(self->data + self->ip + 4) + nr) &
				  0xffff, get16(ip + 4));
		} else {
			EXPECT_EQ(TCP_LEN + len, get16(ip + 4));
		}
		/* what is there already is the pseudo header's */
		EXPECT_EQ(pseudo(data, self->ip, variant->is_v4, TCP_LEN + len),
			  get16(tcp + 16));
		EXPECT_EQ(0, segment.hdr.gso_type);
		EXPECT_TRUE(gso_is_sound(&segment));
		at = next;
		nr++;
	} while (next);
	EXPECT_EQ((PAYLOAD + MSS - 1) / MSS, nr);
}

TEST_F(gso, header_that_does_not_fit_is_refused)
{
	const struct vhx_net_hdr good = self->frame.hdr;
	struct vhx_net_hdr *hdr = &self->frame.hdr;
	uint8_t *tcp = self->data + self->tcp;

	hdr->gso_size = 0;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	hdr->flags = 0;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	hdr->csum_start = (uint16_t)(self->frame.len - 10);
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	hdr->csum_start = 6;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	hdr->gso_size = PAYLOAD / 256 - 1;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	hdr->gso_type = VIRTIO_NET_HDR_GSO_ECN;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	hdr->csum_offset = 0xfff0;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	hdr->gso_type = VIRTIO_NET_HDR_GSO_UDP;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	hdr->gso_type = good.gso_type == VIRTIO_NET_HDR_GSO_TCPV4 ?
		VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	*hdr = good;
	tcp[12] = 4 << 4;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	tcp[12] = 15 << 4;
	self->frame.len = self->tcp + 60;
	EXPECT_FALSE(gso_is_sound(&self->frame));
	tcp[12] = TCP_LEN / 4 << 4;
	EXPECT_TRUE(gso_is_sound(&self->frame));
	self->frame.len = self->tcp + TCP_LEN;
	EXPECT_FALSE(gso_is_sound(&self->frame));
}

TEST_HARNESS_MAIN
