// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that lack checksums, or are longer than a segment. What a guest says of
 * its frame is not believed: a driver that trusted it would read beyond the frame.
 */
#include <string.h>
#include <linux/virtio_net.h>

#include "gso.h"

#define VLAN_HLEN	4
#define TAGS_MAX	2
#define IP4_LEN		20
#define IP6_LEN		40
#define TCP_LEN		20
#define TCP_SUM_AT	16
#define FIN_PSH		0x09
#define CWR		0x80
/* Of one frame: what a guest sends has some hundred bytes in each. */
#define SEGMENTS_MAX	256

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, unsigned int val)
{
	at[0] = (uint8_t)(val >> 8);
	at[1] = (uint8_t)val;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put32(uint8_t *at, uint32_t val)
{
	put16(at, val >> 16);
	put16(at + 2, val & 0xffff);
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t sum16(const uint8_t *at, unsigned int len)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < len; i += 2)
		sum += get16(at + i);
	return sum;
}

static unsigned int type_of(const struct vhx_pkt *frame)
{
	return frame->hdr.gso_type & ~(unsigned int)VIRTIO_NET_HDR_GSO_ECN;
}

/* Where the IP header begins, behind tags or none, in a frame of a TCP header more. */
static uint32_t ip_at(const uint8_t *data)
{
	uint32_t at = ETH_HLEN;
	unsigned int i, type;

	for (i = 0; i < TAGS_MAX; i++) {
		type = get16(data + at - 2);
		if (type != ETH_P_8021Q && type != ETH_P_8021AD)
			break;
		at += VLAN_HLEN;
	}
	return at;
}

static uint32_t tcp_len(const uint8_t *tcp)
{
	return (uint32_t)(tcp[12] >> 4) * 4;
}

static bool is_tcp_sound(const struct vhx_pkt *frame)
{
	const struct vhx_net_hdr *hdr = &frame->hdr;
	const uint8_t *data = frame->data;
	uint32_t ip, tcp = hdr->csum_start;
	bool is_v4 = type_of(frame) == VIRTIO_NET_HDR_GSO_TCPV4;

	if (frame->len < ETH_HLEN + IP4_LEN + TCP_LEN)
		return false;
	ip = ip_at(data);
	if (!hdr->gso_size || !(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	    hdr->csum_offset != TCP_SUM_AT ||
	    get16(data + ip - 2) != (is_v4 ? ETH_P_IP : ETH_P_IPV6) ||
	    tcp < ip + (is_v4 ? IP4_LEN : IP6_LEN) ||
	    tcp + TCP_LEN > frame->len)
		return false;
	tcp += tcp_len(data + tcp);
	return tcp >= hdr->csum_start + (uint32_t)TCP_LEN && tcp < frame->len &&
	       (frame->len - tcp) / hdr->gso_size < SEGMENTS_MAX;
}

/* Return: whether what a frame's header says fits the frame. */
bool gso_is_sound(const struct vhx_pkt *frame)
{
	const struct vhx_net_hdr *hdr = &frame->hdr;
	unsigned int type = type_of(frame);

	/* A tag that comes in front of it moves it. */
	if ((hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
	    (hdr->csum_start < ETH_HLEN ||
	     hdr->csum_start > UINT16_MAX - VLAN_HLEN ||
	     (uint32_t)hdr->csum_start + hdr->csum_offset + 2 > frame->len))
		return false;
	if (!hdr->gso_type)
		return true;
	return (type == VIRTIO_NET_HDR_GSO_TCPV4 ||
		type == VIRTIO_NET_HDR_GSO_TCPV6) && is_tcp_sound(frame);
}

/* Return: whether a port takes it as it is. */
bool gso_fits(const struct port *port, const struct vhx_pkt *frame)
{
	return !frame->hdr.gso_type || port->gso & 1u << type_of(frame);
}

/* The sum of the pseudo header has the length in it. */
static void set_length(uint8_t *ip, uint8_t *tcp, bool is_v4, uint32_t was,
		       uint32_t len)
{
	uint32_t head = (uint32_t)(tcp - ip);

	if (is_v4) {
		put16(ip + 2, head + len);
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~fold(sum16(ip, (ip[0] & 15u) * 4)));
	} else {
		put16(ip + 4, head + len - IP6_LEN);
	}
	put16(tcp + TCP_SUM_AT, fold(get16(tcp + TCP_SUM_AT) +
				     (0xffff & ~was) + len));
}

/*
 * The segment of a sound frame that begins at byte @at of its payload. @segment
 * has data and room for one of the longest.
 * Return: where the next one begins, 0: that was the last
 */
uint32_t gso_segment(const struct vhx_pkt *frame, uint32_t at,
		     struct vhx_pkt *segment)
{
	const uint8_t *from = frame->data;
	uint8_t *to = segment->data;
	uint32_t ip = ip_at(from), tcp = frame->hdr.csum_start;
	uint32_t head = tcp + tcp_len(from + tcp), left = frame->len - head - at;
	uint32_t len = left < frame->hdr.gso_size ? left : frame->hdr.gso_size;
	bool is_v4 = type_of(frame) == VIRTIO_NET_HDR_GSO_TCPV4;

	memcpy(to, from, head);
	memcpy(to + head, from + head + at, len);
	if (is_v4)
		put16(to + ip + 4, get16(from + ip + 4) +
		      at / frame->hdr.gso_size);
	set_length(to + ip, to + tcp, is_v4, frame->len - tcp,
		   head - tcp + len);
	put32(to + tcp + 4, get32(from + tcp + 4) + at);
	if (len < left)
		to[tcp + 13] &= (uint8_t)~FIN_PSH;
	if (at)
		to[tcp + 13] &= (uint8_t)~CWR;
	segment->len = head + len;
	segment->hdr = (struct vhx_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = frame->hdr.csum_start,
		.csum_offset = frame->hdr.csum_offset,
	};
	return len < left ? at + len : 0;
}
