// SPDX-License-Identifier: GPL-2.0-only
/* The rows of net_bench. */
#include "net_bench.h"

/* A header, and pieces of about a page each, as Linux sends them. */
static const struct layout pieces_17 = { .hdr_pieces = 1, .pieces = 17 };
static const struct layout pieces_5 = { .hdr_pieces = 1, .pieces = 5 };

#define MSS		1448	/* bytes of a segment */
#define GSO(nr)		((nr) * MSS + ETH_HLEN + 20 + 20)	/* of a frame */

const struct cell cells[] = {
	{ "tx 64", TX, 64, 32, BASE, 0, &one_piece },
	{ "rx 64", RX, 64, 32, BASE, 1526, &one_piece },
	{ "tx 1500", TX, 1500, 32, BASE, 0, &one_piece },
	{ "rx 1500", RX, 1500, 32, BASE, 1526, &one_piece },
	{ "tx 64 mrg", TX, 64, 32, BASE | F_MRG, 0, &one_piece },
	{ "rx 64 mrg", RX, 64, 32, BASE | F_MRG, 1536, &one_piece },
	{ "tx 1500 mrg", TX, 1500, 32, BASE | F_MRG, 0, &one_piece },
	{ "rx 1500 mrg", RX, 1500, 32, BASE | F_MRG, 1536, &one_piece },
	{ "rx 1500 mrg 4 buffers", RX, 1500, 32, BASE | F_MRG, 512,
	  &one_piece },
	{ "tx 64 indirect", TX, 64, 32, BASE | F_INDIRECT, 0, &two_pieces },
	{ "tx 64 chained", TX, 64, 32, BASE, 0, &two_pieces },
	{ "rx 64 chained", RX, 64, 32, BASE, 1526, &two_pieces },
	{ "tx 64 burst 1", TX, 64, 1, BASE, 0, &one_piece },
	{ "rx 64 burst 1", RX, 64, 1, BASE, 1526, &one_piece },
	{ "tx 64 no event-idx", TX, 64, 32, F_V1, 0, &one_piece },
	{ "rx 64 no event-idx", RX, 64, 32, F_V1, 1526, &one_piece },
	{ "rx 64 stream", RX, 64, 32, BASE | F_MRG, 1536, &one_piece, true },
	{ "rx 1500 stream", RX, 1500, 32, BASE | F_MRG, 1536, &one_piece, true },
	{ "tx 64 latency", TX, 64, 1, BASE, 0, &one_piece, .is_latency = true },
	{ "rx 64 latency", RX, 64, 1, BASE, 1526, &one_piece, .is_latency = true },
	{ "tx GSO 64k", TX, GSO(45), 32, BASE | F_MRG | F_INDIRECT, 0, &pieces_17,
	  .gso = MSS },
	{ "tx GSO 16k", TX, GSO(11), 32, BASE | F_MRG | F_INDIRECT, 0, &pieces_5,
	  .gso = MSS },
	{ "tx GSO 4k", TX, GSO(3), 32, BASE | F_MRG | F_INDIRECT, 0, &two_pieces,
	  .gso = MSS },
	{ "rx GSO 64k by 1536", RX, GSO(45), 4, BASE | F_MRG, 1536, &one_piece,
	  .gso = MSS },
	{ "rx GSO 16k by 1536", RX, GSO(11), 16, BASE | F_MRG, 1536, &one_piece,
	  .gso = MSS },
	{ "rx GSO 4k by 1536", RX, GSO(3), 32, BASE | F_MRG, 1536, &one_piece,
	  .gso = MSS },
	{ "rx GSO 64k by 4096", RX, GSO(45), 4, BASE | F_MRG, 4096, &one_piece,
	  .gso = MSS },
	{ "rx GSO 16k by 4096", RX, GSO(11), 16, BASE | F_MRG, 4096, &one_piece,
	  .gso = MSS },
	{ "rx GSO 4k by 4096", RX, GSO(3), 32, BASE | F_MRG, 4096, &one_piece,
	  .gso = MSS },
	{ "tx 64 macvtap", TX, 64, 32, BASE | F_MRG, 0, &one_piece,
	  .is_macvtap = true },
	{ "rx 64 macvtap", RX, 64, 32, BASE | F_MRG, 1536, &one_piece,
	  .is_macvtap = true },
	{ "tx 1500 macvtap", TX, 1500, 32, BASE | F_MRG, 0, &one_piece,
	  .is_macvtap = true },
	{ "rx 1500 macvtap", RX, 1500, 32, BASE | F_MRG, 1536, &one_piece,
	  .is_macvtap = true },
	{ "tx 64 IOTLB", TX, 64, 32, BASE | F_MRG | F_PLATFORM, 0, &one_piece },
	{ "rx 64 IOTLB", RX, 64, 32, BASE | F_MRG | F_PLATFORM, 1536, &one_piece },
	{ "tx 64 dirty log", TX, 64, 32, BASE | F_MRG, 0, &one_piece,
	  .is_logged = true },
	{ "rx 64 dirty log", RX, 64, 32, BASE | F_MRG, 1536, &one_piece,
	  .is_logged = true },
};

const unsigned int nr_cells = sizeof(cells) / sizeof(*cells);
