/* SPDX-License-Identifier: GPL-2.0-only */
/* What fuzz_device.c begins with: scripts of clients that mean well. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H

#define MSG(request, arg) MESSAGE, request, arg, 0
#define QUEUE(q, base) MSG(SET_VRING_NUM, q), MSG(SET_VRING_BASE, q | base), \
	MSG(SET_VRING_ADDR, q), MSG(SET_VRING_CALL, q), MSG(SET_VRING_ERR, q), \
	MSG(SET_VRING_KICK, q), MSG(SET_VRING_ENABLE, q), KICK, q
#define START(kind) MSG(GET_FEATURES, 0), MSG(SET_PROTOCOL_FEATURES, 0),	\
	MSG(SET_OWNER, 0), MSG(SET_FEATURES, kind), MSG(SET_BACKEND_REQ_FD, 0)
/* One frame of 100 bytes in each direction, at entry 0; by split rings. */
#define FRAMES DESC, 1 << 6, 0x20, 0, 0, 50, 0, 0, 0, 0, AVAIL, 1 << 6,	\
	DESC, 0, 0x30, 0, 4, 0, 0, 2, 0, 0, AVAIL, 0, TAKE, 31, GIVE, 0, 1
/* And by packed ones: flags behind the id. */
#define PACKED DESC, 1 << 6, 0x20, 0, 0, 50, 0, 0, 0, 0x80,		\
	DESC, 0, 0x30, 0, 4, 0, 0, 0, 0, 0x82, TAKE, 31, GIVE, 0, 1

static const uint8_t seed_split[] = {
#ifdef FUZZ_RINGS
	7,
#else
	START(7), MSG(SET_MEM_TABLE, 0), QUEUE(0, 0), QUEUE(1, 0),
#endif
	FRAMES, MSG(GET_VRING_BASE, 0), MSG(GET_VRING_BASE, 1),
};

static const uint8_t seed_packed[] = {
#ifdef FUZZ_RINGS
	8 | 2 | 1,
#else
	START(8 | 2 | 1), MSG(GET_MAX_MEM_SLOTS, 0), MSG(ADD_MEM_REG, 0),
	QUEUE(0, 4), QUEUE(1, 4),
#endif
	PACKED, MSG(SET_VRING_ENABLE, 1 | 4), MSG(RESET_DEVICE, 0),
};

static const uint8_t seed_iotlb[] = {
#ifdef FUZZ_RINGS
	32 | 7,
#else
	START(32 | 7), MSG(SET_MEM_TABLE, 0), MSG(IOTLB_MSG, 2 | 4),
	QUEUE(0, 0), QUEUE(1, 0),
#endif
	MSG(IOTLB_MSG, 2), FRAMES, MSG(IOTLB_MSG, 1 | 2), TAKE, 1,
};

static const uint8_t seed_log[] = {
#ifdef FUZZ_RINGS
	128 | 3,
#else
	START(3), MSG(SET_MEM_TABLE, 0), QUEUE(0, 0), QUEUE(1, 0),
	MSG(SET_LOG_BASE, 0), MSG(SET_LOG_FD, 0), MSG(SET_FEATURES, 128 | 3),
#endif
	FRAMES, MSG(SET_STATUS, 0), MSG(NET_SET_MTU, 200), MSG(SEND_RARP, 1),
};

#define SEED(name) { #name, name, sizeof(name) }
static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t len;
} seeds[] = {
	SEED(seed_split), SEED(seed_packed), SEED(seed_iotlb), SEED(seed_log),
};

static void write_seeds(const char *dir)
{
	char name[512];

	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		FILE *file;

		snprintf(name, sizeof(name), "%s/%s", dir, seeds[i].name);
		file = fopen(name, "w");
		CHECK(file && fwrite(seeds[i].bytes, seeds[i].len, 1, file));
		fclose(file);
	}
	exit(0);
}

#endif /* FUZZ_SEEDS_H */
