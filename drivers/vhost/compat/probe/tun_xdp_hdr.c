// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_tun.h>

int probe(const struct tun_xdp_hdr *hdr);
int probe(const struct tun_xdp_hdr *hdr)
{
	return hdr->buflen + hdr->gso.hdr_len;
}
