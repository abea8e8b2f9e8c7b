// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Writes the seeds of fuzz_fetch into a directory: one ring of each kind that
 * blind mutation is slow to find. Usage: fuzz_seeds DIR
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/virtio_ring.h>
#include "fuzz.h"

#define NUM_LOG2	3
#define NUM		(1 << NUM_LOG2)
#define F_NEXT		VRING_DESC_F_NEXT
#define F_WRITE		VRING_DESC_F_WRITE
#define F_INDIRECT	VRING_DESC_F_INDIRECT

static const uint8_t script[] = {
	FUZZ_OP(FUZZ_DISARM, 0), FUZZ_OP(FUZZ_FETCH, 31),
	FUZZ_OP(FUZZ_COMPLETE, 1), FUZZ_OP(FUZZ_CALL, 0),
	FUZZ_OP(FUZZ_FETCH, 0), FUZZ_OP(FUZZ_UNFETCH, 0),
	FUZZ_OP(FUZZ_PUBLISH, 2), FUZZ_OP(FUZZ_FETCH, 3),
	FUZZ_OP(FUZZ_FAIL, 2), FUZZ_OP(FUZZ_FETCH, 3),
	FUZZ_OP(FUZZ_ARM, 0), FUZZ_OP(FUZZ_COMPLETE, 31),
};

/* Little-endian, as the script's header says; packed: id, then flags. */
struct seed {
	const char *name;
	uint8_t flags;
	uint16_t head[NUM];
	struct vring_desc desc[NUM];
	struct vring_desc table[12];
};

static const struct seed seeds[] = {
	{
		.name = "single",
		.head = { 0, 1, 2, 3 },
		.desc = {
			{ 0x1000, 64, 0, 0 }, { 0x2000, 64, F_WRITE, 0 },
			{ 0x3000, 0, 0, 0 }, { 0x4000, 1500, F_WRITE, 0 },
		},
	}, {
		.name = "chains",
		.flags = FUZZ_HAS_EVENT_IDX,
		.head = { 7, 3 },
		.desc = {
			{ 0x1000, 12, F_WRITE, 0 },
			{ 0x2000, 64, F_NEXT | F_WRITE, 0 },
			{ 0x3000, 64, F_NEXT, 1 },
			{ 0x4000, 12, F_NEXT, 2 },
			[7] = { 0x1000, 64, 0, 0 },
		},
	}, {
		.name = "indirect",
		.flags = FUZZ_HAS_EVENT_IDX | FUZZ_CALLS_ON_EMPTY,
		.head = { 0, 2 },
		.desc = {
			{ 0, 0xc0, F_INDIRECT, 0 },
			{ 0x10, 0x20, F_INDIRECT, 0 },
			{ 0x5000, 10, F_NEXT, 1 },
		},
		.table = {
			{ 0x1000, 10, F_NEXT, 11 }, { 0x2000, 20, F_NEXT, 1 },
			[11] = { 0x3000, 30, F_WRITE, 0 },
		},
	}, {
		.name = "loop",
		.head = { 0, 2 },
		.desc = {
			{ 0x1000, 64, 0, 0 }, { 0 },
			{ 0x1000, 1, F_NEXT, 3 }, { 0x1000, 0, F_NEXT, 2 },
		},
	}, {
		.name = "nested",
		.head = { 1, 0 },
		.desc = {
			{ 0, 0x40, F_INDIRECT, 0 }, { 0x1000, 1, 0, 0 },
		},
		.table = {
			{ 0x1000, 1, F_NEXT, 1 }, { 0, 0x20, F_INDIRECT, 0 },
		},
	}, {
		.name = "packed",
		.flags = FUZZ_PACKED | FUZZ_HAS_EVENT_IDX,
		.desc = {
			{ 0x1000, 64, 1, F_NEXT }, { 0x2000, 64, 2, F_WRITE },
			{ 0x3000, 0, 3, 0 }, { 0, 0x40, 4, F_INDIRECT },
		},
		.table = {
			{ 0x1000, 10, 0, 0 }, { 0x2000, 20, 0, F_WRITE },
			{ 0x3000, 0, 0, F_WRITE }, { 0x4000, 30, 0, F_WRITE },
		},
	}, {
		.name = "packed_changing",
		.flags = FUZZ_PACKED | FUZZ_CHANGES,
		.desc = {
			{ 0x1000, 64, 1, F_NEXT }, { 0x2000, 64, 2, F_NEXT },
			{ 0x3000, 64, 3, F_NEXT }, { 0x4000, 64, 4, F_NEXT },
			{ 0x5000, 64, 5, F_NEXT }, { 0x6000, 64, 6, F_NEXT },
			{ 0x7000, 64, 7, F_NEXT }, { 0x8000, 64, 8, F_NEXT },
		},
	}, {
		.name = "changing",
		.flags = FUZZ_CHANGES,
		.head = { 0, 1 },
		.desc = {
			{ 0, 0xc0, F_INDIRECT, 0 },
			{ 0x2000, 64, F_NEXT, 2 }, { 0x3000, 64, F_WRITE, 0 },
		},
		.table = {
			{ 0x1000, 10, F_NEXT, 1 }, { 0x2000, 20, F_WRITE, 0 },
		},
	},
};

static void write_seed(const char *dir, const struct seed *seed)
{
	const struct fuzz_header header = {
		.num_log2 = seed->flags & FUZZ_PACKED ? NUM - 1 : NUM_LOG2,
		.flags = seed->flags | FUZZ_IS_LE,
		.nr_ops = sizeof(script),
		.nr_avail = seed->flags & FUZZ_PACKED ? 4 : 2,
	};
	const uint16_t used_event = 1, event[] = { 2, 2 };
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, seed->name);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		exit(1);
	}
	fwrite(&header, sizeof(header), 1, file);
	fwrite(script, sizeof(script), 1, file);
	if (seed->flags & FUZZ_PACKED)
		fwrite(event, sizeof(event), 1, file);
	else
		fwrite(seed->head, sizeof(seed->head), 1, file);
	if (!(seed->flags & FUZZ_PACKED) && seed->flags & FUZZ_HAS_EVENT_IDX)
		fwrite(&used_event, sizeof(used_event), 1, file);
	fwrite(seed->desc, sizeof(seed->desc), 1, file);
	fwrite(seed->table, sizeof(seed->table), 1, file);
	if (fclose(file)) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIR\n", argv[0]);
		return 2;
	}
	mkdir(argv[1], 0777);
	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		write_seed(argv[1], &seeds[i]);
	return 0;
}
