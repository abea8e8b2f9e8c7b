/* SPDX-License-Identifier: GPL-2.0-only */
/* A hostile client of vhost-user: what it has, and the messages that it sends. */
#ifndef FUZZ_CLIENT_H
#define FUZZ_CLIENT_H

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <vhx/vhx.h>

#include "frontend.h"
#include "fuzz_fds.h"
#include "fuzz_watch.h"

#define MEM_LEN		0x40000
#define UADDR		0x700000000000ULL
#define NUM		64		/* entries of a ring */
#define PACKED_BASE	0x80008000	/* of a new packed ring */
#define COMES_MAX	4		/* of a client, in a run */

/* Of MESSAGE: what is done to the descriptors that go with it. */
enum { FDS_RIGHT, FDS_NONE, FDS_TWICE, FDS_MANY };
/* Of MESSAGE: so much in its argument makes the descriptor one of another kind. */
#define FDS_ODD	0xa0

struct script {
	const uint8_t *in;
	size_t len;
};

struct client {
	int sock;			/* -1: it has not come */
	int request[2];			/* pair of SET_BACKEND_REQ_FD */
	int kick[2];
	int call;
	bool is_served;			/* what it connected to has seen that */
	struct vhx_device *dev;		/* while it is live */
	unsigned int comes;		/* in this run */
	int memfd;
	uint8_t *mem;
};

static uint64_t offered, protocol;

static uint8_t next(struct script *s)
{
	if (!s->len)
		return 0;
	s->len--;
	return *s->in++;
}

static uint16_t next16(struct script *s)
{
	return (uint16_t)(next(s) << 8 | next(s));
}

/* Memory that it has for good. */
static void client_init(struct client *c)
{
	c->sock = -1;
	c->memfd = memfd_create("guest", MFD_CLOEXEC);
	CHECK(!ftruncate(c->memfd, MEM_LEN));
	c->mem = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		      c->memfd, 0);
	CHECK(c->mem != MAP_FAILED);
}

static int connect_to(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, name);
	CHECK(!connect(fd, (void *)&addr, sizeof(addr)));
	return fd;
}

static void client_come(struct client *c, const char *path)
{
	if (!c->comes++)
		memset(c->mem, 0, MEM_LEN);
	c->sock = connect_to(path);
	c->call = eventfd(0, EFD_CLOEXEC);
	c->kick[0] = eventfd(0, EFD_CLOEXEC);
	c->kick[1] = eventfd(0, EFD_CLOEXEC);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->request));
}

static void client_leave(struct client *c)
{
	if (c->sock < 0)
		return;
	close(c->sock);
	close(c->call);
	close(c->kick[0]);
	close(c->kick[1]);
	close(c->request[0]);
	close(c->request[1]);
	c->sock = -1;
}

/* What it was told does not fill its sockets. */
static void client_read(const struct client *c)
{
	char answers[1024];

	if (c->sock < 0)
		return;
	while (recv(c->sock, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		;
	while (recv(c->request[0], answers, sizeof(answers), MSG_DONTWAIT) > 0)
		;
}

static void client_kick(const struct client *c, uint8_t queue)
{
	const uint64_t one = 1;

	CHECK(write(c->kick[queue & 1], &one, sizeof(one)) == sizeof(one));
}

/* Ring areas of a queue, from the start of memory. */
static uint32_t ring_at(unsigned int queue, unsigned int area)
{
	return (queue & 3) * 0x4000 + area * 0x1000;
}

static uint64_t features(uint8_t kind)
{
	uint64_t bits = F_PROTOCOL | (kind & 1 ? F_MRG : 0) |
		(kind & 2 ? F_EVENT : 0) | (kind & 4 ? F_INDIRECT : 0) |
		(kind & 8 ? F_PACKED : 0) | (kind & 16 ? F_IN_ORDER : 0) |
		(kind & 32 ? F_PLATFORM : 0) | (kind & 64 ? 0 : F_V1) |
		(kind & 128 ? F_LOG_ALL : 0);

	return bits & offered;
}

/* What a client that means well sends; by requests of one struct. */
union payload {
	uint64_t num;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_iotlb_msg iotlb;
	struct { uint32_t nr, padding; struct region region[8]; } memory;
	struct { uint64_t padding; struct region region; } one;
	struct { uint64_t size, offset; } log;
	uint8_t bytes[264];
};

static const struct region whole = { .size = MEM_LEN, .uaddr = UADDR };

static uint32_t fill_state(union payload *p, uint32_t request, uint8_t arg)
{
	p->state.index = arg & 3;
	p->state.num = request == SET_VRING_NUM ? NUM :
		       request == SET_VRING_ENABLE ? !(arg & 4) :
		       arg & 4 ? PACKED_BASE : arg >> 3;
	return sizeof(p->state);
}

static uint32_t fill_addr(union payload *p, uint8_t arg)
{
	p->addr = (struct vhost_vring_addr){
		.index = arg & 3,
		.flags = arg & 4 ? 1 << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = UADDR + ring_at(arg, 0),
		.avail_user_addr = UADDR + ring_at(arg, 1),
		.used_user_addr = UADDR + ring_at(arg, 2),
	};
	return sizeof(p->addr);
}

/* An argument over 0xf7 is about all 2^64 addresses, as QEMU invalidates them. */
static uint32_t fill_iotlb(union payload *p, uint8_t arg)
{
	bool is_all = arg >> 3 == 31;

	p->iotlb = (struct vhost_iotlb_msg){
		.iova = is_all ? 0 : arg & 4 ? UADDR : (uint64_t)(arg >> 3) << 12,
		.size = is_all ? UINT64_MAX : arg & 2 ? MEM_LEN : 4096,
		.uaddr = is_all ? 0 : UADDR,
		.perm = VHOST_ACCESS_RW,
		.type = arg & 1 ? VHOST_IOTLB_INVALIDATE : VHOST_IOTLB_UPDATE,
	};
	return sizeof(p->iotlb);
}

/* Return: bytes of a payload; *fd: what goes with it, or -1. */
static uint32_t fill(const struct client *c, union payload *p, uint32_t request,
		     uint8_t arg, int *fd)
{
	*fd = -1;
	switch (request) {
	case SET_VRING_NUM: case SET_VRING_BASE: case GET_VRING_BASE:
	case SET_VRING_ENABLE: case SET_VRING_ENDIAN:
		return fill_state(p, request, arg);
	case SET_VRING_ADDR:
		return fill_addr(p, arg);
	case IOTLB_MSG:
		return fill_iotlb(p, arg);
	case SET_MEM_TABLE:
		*fd = c->memfd;
		p->memory.nr = 1;
		p->memory.region[0] = whole;
		return 8 + sizeof(struct region);
	case ADD_MEM_REG: case REM_MEM_REG:
		*fd = c->memfd;
		p->one.region = whole;
		return sizeof(p->one);
	case SET_LOG_BASE:
		*fd = c->memfd;
		p->log.size = MEM_LEN / 4096 / 8;
		return sizeof(p->log);
	case SET_LOG_FD:
		*fd = c->call;
		return 0;
	case SET_BACKEND_REQ_FD:
		*fd = c->request[1];
		return 0;
	case SET_VRING_KICK: case SET_VRING_CALL: case SET_VRING_ERR:
		*fd = request == SET_VRING_KICK ? c->kick[arg & 1] : c->call;
		p->num = (arg & 3) | (arg & 4 ? 0x100 : 0);
		return sizeof(p->num);
	case SET_FEATURES:
		p->num = features(arg);
		return sizeof(p->num);
	case SET_PROTOCOL_FEATURES:
		p->num = protocol;
		return sizeof(p->num);
	case SEND_RARP: case NET_SET_MTU: case SET_STATUS:
		p->num = arg;
		return sizeof(p->num);
	default:
		return 0;
	}
}

/* Return: 0, or -errno: the other side has hung up. */
static int send_all(const struct client *c, const void *bytes, uint32_t len,
		    const int *fds, unsigned int nr_fds)
{
	struct iovec iov = { (void *)bytes, len };

	return front_send_iov(c->sock, &iov, 1, fds, nr_fds, MSG_DONTWAIT);
}

static int send_message(struct script *s, struct client *c, uint32_t request,
			uint8_t arg, uint8_t how)
{
	struct {
		struct header header;
		union payload p;
	} __attribute__((packed)) msg = {};
	static const unsigned int copies[] = { 1, 0, 2, 10 };
	unsigned int i, nr_fds = 0, nr_changes = how >> 4;
	union payload payload = {};
	int fds[16], fd;

	msg.header.request = request;
	msg.header.flags = 1 | (how & 1 ? NEED_REPLY : 0);
	msg.header.size = fill(c, &payload, request, arg, &fd);
	msg.p = payload;
	if (fd < 0 && (how >> 1 & 3) > FDS_NONE)
		fd = c->memfd;
	if (fd >= 0 && (arg & 0xf0) == FDS_ODD)
		fd = odd_fd[next(s) % ODD_FDS];
	for (i = 0; fd >= 0 && i < copies[how >> 1 & 3]; i++)
		fds[nr_fds++] = fd;
	for (i = 0; i < nr_changes; i++) {
		unsigned int at = next(s) % (sizeof(msg.header) + 48);

		((uint8_t *)&msg)[at] ^= next(s);
	}
	return send_all(c, &msg, sizeof(msg.header) +
			(msg.header.size % (sizeof(msg.p) + 1)), fds, nr_fds);
}

static int send_raw(struct script *s, struct client *c)
{
	uint8_t bytes[64], len = next(s) % sizeof(bytes) + 1;

	for (unsigned int i = 0; i < len; i++)
		bytes[i] = next(s);
	return send_all(c, bytes, len, NULL, 0);
}

#endif /* FUZZ_CLIENT_H */
