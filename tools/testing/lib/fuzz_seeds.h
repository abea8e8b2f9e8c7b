/* SPDX-License-Identifier: GPL-2.0-only */
/* What fuzz_device.c begins with: scripts of clients that mean well. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H

/* Each by the client @by: 0 or OTHER. */
#define MSG(by, request, arg) (by) | MESSAGE, request, arg, 0
#define QUEUE(by, q, base) MSG(by, SET_VRING_NUM, q),			\
	MSG(by, SET_VRING_BASE, (q) | (base)), MSG(by, SET_VRING_ADDR, q),	\
	MSG(by, SET_VRING_CALL, q), MSG(by, SET_VRING_ERR, q),		\
	MSG(by, SET_VRING_KICK, q), MSG(by, SET_VRING_ENABLE, q), (by) | KICK, q
#define START(by, kind) MSG(by, GET_FEATURES, 0),			\
	MSG(by, SET_PROTOCOL_FEATURES, 0), MSG(by, SET_OWNER, 0),	\
	MSG(by, SET_FEATURES, kind), MSG(by, SET_BACKEND_REQ_FD, 0)
/* One frame of 100 bytes in each direction, at entry 0; by split rings. */
#define SEND(by) (by) | DESC, 1 << 6, 0x20, 0, 0, 50, 0, 0, 0, 0,	\
	(by) | AVAIL, 1 << 6, (by) | TAKE, 31
#define RECV(by) (by) | DESC, 0, 0x30, 0, 4, 0, 0, 2, 0, 0,		\
	(by) | AVAIL, 0, (by) | GIVE, 0, 1
#define FRAMES(by) SEND(by), RECV(by)
/* And by packed ones: flags behind the id. */
#define PACKED(by) (by) | DESC, 1 << 6, 0x20, 0, 0, 50, 0, 0, 0, 0x80,	\
	(by) | DESC, 0, 0x30, 0, 4, 0, 0, 0, 0, 0x82,			\
	(by) | TAKE, 31, (by) | GIVE, 0, 1
/* A descriptor of an odd kind. */
#define ODD(by, request, arg, nr) MSG(by, request, FDS_ODD | (arg)), nr
#define ODD_FULL	5
#define ODD_MEMORY	10

/* A client that comes, after the first did, and has a device of a kind. */
#ifdef FUZZ_RINGS
#define COMES(by, kind) (by) | COME, kind
#else
#define COMES(by, kind) (by) | COME, START(by, kind),			\
	MSG(by, SET_MEM_TABLE, 0), QUEUE(by, 0, kind & 8 ? 4 : 0),	\
	QUEUE(by, 1, kind & 8 ? 4 : 0)
#endif

static const uint8_t seed_split[] = {
#ifdef FUZZ_RINGS
	7,
#else
	START(0, 7), MSG(0, SET_MEM_TABLE, 0), QUEUE(0, 0, 0), QUEUE(0, 1, 0),
#endif
	FRAMES(0), MSG(0, GET_VRING_BASE, 0), MSG(0, GET_VRING_BASE, 1),
};

static const uint8_t seed_packed[] = {
#ifdef FUZZ_RINGS
	8 | 2 | 1,
#else
	START(0, 8 | 2 | 1), MSG(0, GET_MAX_MEM_SLOTS, 0),
	MSG(0, ADD_MEM_REG, 0), QUEUE(0, 0, 4), QUEUE(0, 1, 4),
#endif
	PACKED(0), MSG(0, SET_VRING_ENABLE, 1 | 4), MSG(0, RESET_DEVICE, 0),
};

static const uint8_t seed_iotlb[] = {
#ifdef FUZZ_RINGS
	32 | 7,
#else
	START(0, 32 | 7), MSG(0, SET_MEM_TABLE, 0), MSG(0, IOTLB_MSG, 2 | 4),
	QUEUE(0, 0, 0), QUEUE(0, 1, 0),
#endif
	MSG(0, IOTLB_MSG, 2), FRAMES(0), MSG(0, IOTLB_MSG, 1 | 2), TAKE, 1,
	MSG(0, IOTLB_MSG, 0xf8 | 1),
};

static const uint8_t seed_log[] = {
#ifdef FUZZ_RINGS
	128 | 3,
#else
	START(0, 3), MSG(0, SET_MEM_TABLE, 0), QUEUE(0, 0, 0), QUEUE(0, 1, 0),
	MSG(0, SET_LOG_BASE, 0), MSG(0, SET_LOG_FD, 0),
	MSG(0, SET_FEATURES, 128 | 3),
#endif
	FRAMES(0), MSG(0, SET_STATUS, 0), MSG(0, NET_SET_MTU, 200),
	MSG(0, SEND_RARP, 1),
};

/* Two at a time, of two kinds; the first one comes a second time. */
static const uint8_t seed_two[] = {
#ifdef FUZZ_RINGS
	7,
#endif
	COMES(0, 5), COMES(OTHER, 8 | 2 | 1), SEND(0), PACKED(OTHER), RECV(0),
	COMES(0, 5), FRAMES(0), MSG(OTHER, GET_VRING_BASE, 1),
	MSG(OTHER, RESET_DEVICE, 0),
};

/* Who calls the second one would wait, and memory of both is cut off. */
static const uint8_t seed_odd[] = {
#ifdef FUZZ_RINGS
	7,
#endif
	COMES(0, 5), COMES(OTHER, 5), FRAMES(0),
	ODD(OTHER, SET_VRING_CALL, 0, ODD_FULL),
	ODD(OTHER, SET_VRING_CALL, 1, ODD_FULL), CUT, FRAMES(OTHER),
	ODD(0, SET_MEM_TABLE, 0, ODD_MEMORY),
	ODD(OTHER, SET_MEM_TABLE, 0, ODD_MEMORY),
	CUT, TAKE, 1, OTHER | GIVE, 1, 1,
};

/* @frames: so many in each direction at least. */
#define SEED(name, frames) { #name, name, sizeof(name), frames }
static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t len;
	unsigned int frames;
} seeds[] = {
	SEED(seed_split, 1), SEED(seed_packed, 1), SEED(seed_iotlb, 1),
	SEED(seed_log, 1), SEED(seed_two, 3), SEED(seed_odd, 2),
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
