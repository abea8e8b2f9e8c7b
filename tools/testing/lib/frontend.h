/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A front-end of vhost-user, for tests: the client's half over a socket, with the
 * guest's half of the kselftests (vhost_lib.h) in memory that both sides map.
 * Every function returns 0 or more, or -errno.
 */
#ifndef FRONTEND_H
#define FRONTEND_H

#include <sys/uio.h>

#include "net_lib.h"

/* Requests, as QEMU's docs/interop/vhost-user.rst numbers them. */
enum {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE,
	SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR,
	SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES,
	GET_QUEUE_NUM, SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU,
	SET_BACKEND_REQ_FD, IOTLB_MSG, SET_VRING_ENDIAN,
	RESET_DEVICE = 34, GET_MAX_MEM_SLOTS = 36, ADD_MEM_REG, REM_MEM_REG,
	SET_STATUS, GET_STATUS, REQUESTS,
};

#define F_PROTOCOL	BIT_ULL(30)
#define NEED_REPLY	0x8
#define REPLY		0x4
#define FDS_MAX		8

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct region {
	uint64_t gpa, size, uaddr, offset;
};

struct front {
	struct dev d;		/* its fd is the socket */
	int memfd;
	int request_fd;		/* ours of SET_BACKEND_REQ_FD */
	uint64_t protocol;
};

int front_send_iov(int sock, struct iovec *iov, unsigned int nr_iov,
		   const int *fds, unsigned int nr_fds, int flags);
int front_send(struct front *f, uint32_t request, uint32_t flags,
	       const void *payload, uint32_t size, const int *fds, int nr_fds);
int front_send_half(struct front *f, int fd);
int front_recv(struct front *f, uint32_t request, void *payload,
	       uint32_t size);
int front_ack(struct front *f, uint32_t request, const void *payload,
	      uint32_t size, const int *fds, int nr_fds);
int front_u64(struct front *f, uint32_t request, uint64_t val);
int front_get_u64(struct front *f, uint32_t request, uint64_t *val);
int front_state(struct front *f, uint32_t request, unsigned int index,
		unsigned int num);
int front_fd(struct front *f, uint32_t request, unsigned int index, int fd);

void front_init(struct front *f);
int front_connect(struct front *f, const char *path);
int front_negotiate(struct front *f, uint64_t features);
int front_map(struct front *f);
int front_table(struct front *f);
int front_memory(struct front *f);
int front_add_region(struct front *f, const struct region *region, int fd);
int front_remove_region(struct front *f, const struct region *region);
int front_layout(struct front *f, unsigned int q, unsigned int num);
int front_addr(struct front *f, unsigned int q);
int front_queue(struct front *f, struct vq *vq, unsigned int index);
int front_ring(struct front *f, unsigned int q, unsigned int num);
int64_t front_stop(struct front *f, unsigned int q);
int front_begin(struct front *f, const char *path, uint64_t features);
int front_open(struct front *f, const char *path, uint64_t features,
	       unsigned int num);
void front_give_costly(struct front *f, unsigned int num);
void front_close(struct front *f);
int front_is_served(const char *path);
int front_hangs_up(struct front *f);
int count_fds(void);

#endif /* FRONTEND_H */
