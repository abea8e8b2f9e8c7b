// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

int probe(const struct virtio_net_hdr_v1_hash_tunnel *hdr);
int probe(const struct virtio_net_hdr_v1_hash_tunnel *hdr)
{
	return TUN_F_UDP_TUNNEL_GSO + hdr->outer_th_offset;
}
