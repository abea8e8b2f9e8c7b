// SPDX-License-Identifier: GPL-2.0-only
/* The rows of net_bench. */
#include "net_bench.h"

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
};

const unsigned int nr_cells = sizeof(cells) / sizeof(*cells);
