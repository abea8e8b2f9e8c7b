/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network half of the tests: a namespace of our own, taps, macvtaps and packet
 * sockets, and a packet socket on the host's side of them.
 */
#ifndef NET_LIB_H
#define NET_LIB_H

#include "vhost_lib.h"

#define ETH_TEST	0x88b5	/* local experimental ethertype */
#define FRAME_MAX	65535
#define PACKET_HDR	10	/* bytes of PACKET_VNET_HDR */

enum backend { BE_TAP, BE_MACVTAP, BE_PACKET };

struct net {
	int tap;		/* what SET_BACKEND gets */
	int pkt;		/* packet socket at the other end */
	enum backend kind;
	char tap_if[16];	/* the guest's end */
	char host_if[16];	/* where pkt is bound; for a tap the same */
};

extern const uint8_t guest_mac[ETH_ALEN], host_mac[ETH_ALEN];

int netns_enter(void);
int tap_open(const char *name, unsigned int flags, unsigned int hdr_len);
int macvtap_prepare(void);
int macvtap_add(void);
int macvtap_open(const char *name, unsigned int hdr_len);
int tap_offload(int tap, unsigned int flags);
int tap_unlimited(int tap);
int link_up(const char *name, unsigned int mtu);
int link_del(const char *name);
int64_t link_packets(const char *name, bool rx);
int write_text(const char *path, const char *text);
int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int net_open(struct net *n, enum backend kind, unsigned int hdr_len);
void net_close(struct net *n);

int pkt_open(const char *name, unsigned int hdr_len);
int pkt_recv(int fd, struct virtio_net_hdr *h, void *frame, size_t size,
	     int ms);
int pkt_send(int fd, const struct virtio_net_hdr *h, const void *frame,
	     size_t len);

void frame_fill(uint8_t *f, size_t len, bool to_guest, uint32_t seq);
void frame_tcp4(uint8_t *f, size_t len, bool to_guest, uint32_t seq);
void hdr_gso_tcp4(struct virtio_net_hdr *h, uint16_t gso_size);
void hdr_swap(const struct dev *d, struct virtio_net_hdr *h);

/* frames through the guest's rings */
struct layout {
	unsigned int hdr_pieces;	/* descriptors for the header, or 0:
					 * header and frame share one
					 */
	unsigned int pieces;		/* descriptors for the frame */
	bool empty;			/* a zero-length one between them */
};

extern const struct layout one_piece, two_pieces, scattered;

int tx_add(struct vq *vq, const struct virtio_net_hdr *h, const uint8_t *f,
	   size_t len, const struct layout *l, uint8_t *buf);
int rx_add(struct vq *vq, size_t size, const struct layout *l, uint8_t *buf);

#endif /* NET_LIB_H */
