// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a front-end of vhost-user may ask, by the numbers of QEMU's
 * docs/interop/vhost-user.rst: one table, which says what each message must
 * look like.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto.h"
#include "vhost_user.h"

#define F_PROTOCOL_FEATURES	BIT_ULL(30)

#define PROTOCOL_MQ		BIT_ULL(0)
#define PROTOCOL_LOG_SHMFD	BIT_ULL(1)
#define PROTOCOL_RARP		BIT_ULL(2)
#define PROTOCOL_REPLY_ACK	BIT_ULL(3)
#define PROTOCOL_MTU		BIT_ULL(4)
#define PROTOCOL_BACKEND_REQ	BIT_ULL(5)
#define PROTOCOL_CROSS_ENDIAN	BIT_ULL(6)
#define PROTOCOL_RESET_DEVICE	BIT_ULL(13)
#define PROTOCOL_MEM_SLOTS	BIT_ULL(15)
#define PROTOCOL_STATUS		BIT_ULL(16)
#define PROTOCOL_FEATURES	(PROTOCOL_MQ | PROTOCOL_LOG_SHMFD | \
				 PROTOCOL_RARP | PROTOCOL_REPLY_ACK | \
				 PROTOCOL_MTU | PROTOCOL_BACKEND_REQ | \
				 PROTOCOL_CROSS_ENDIAN | \
				 PROTOCOL_RESET_DEVICE | PROTOCOL_MEM_SLOTS | \
				 PROTOCOL_STATUS)

/* Payload of SET_VRING_KICK, _CALL, _ERR. */
#define VRING_INDEX_MASK	0xff
#define VRING_NOFD	0x100

/* virtio 1.3 §5.1.4 */
#define MTU_MIN	68
/* SEND_RARP in a second; QEMU sends one a migration. */
#define RARPS_MAX	8

/* The fd is the device's from here on. */
static int take_fd(struct conn *conn)
{
	int fd = conn->nr_fds ? conn->fd[0] : -1;

	if (conn->nr_fds)
		conn->fd[0] = -1;
	return fd;
}

/* -- handlers: 0, or an errno that ends the connection or is told ----------- */

static int get_features(struct conn *conn, union payload *arg)
{
	arg->num = conn->dev.offered | F_PROTOCOL_FEATURES;
	return 0;
}

static int set_features(struct conn *conn, union payload *arg)
{
	unsigned int i;
	int err;

	err = vhx_device_set_features(&conn->dev,
				      arg->num & ~F_PROTOCOL_FEATURES);
	if (err)
		return err;
	conn->dev.has_enable = arg->num & F_PROTOCOL_FEATURES;
	for (i = 0; !conn->dev.has_enable && i < conn->dev.nr_queues; i++)
		vhx_queue_enable(conn->dev.queue[i], true);
	return 0;
}

static int get_protocol_features(struct conn *conn, union payload *arg)
{
	arg->num = PROTOCOL_FEATURES & conn->dev.driver->protocol_features;
	return 0;
}

static int set_protocol_features(struct conn *conn, union payload *arg)
{
	if (arg->num & ~(PROTOCOL_FEATURES &
			 conn->dev.driver->protocol_features))
		return -EINVAL;
	conn->protocol_features = arg->num;
	return 0;
}

/*
 * Rings, as rust-vmm takes it. QEMU takes it for pairs and asks for no more, so it
 * hears of a port with fewer by the message of a ring that is not there.
 */
static int get_queue_num(struct conn *conn, union payload *arg)
{
	arg->num = conn->dev.max_queues;
	return 0;
}

static int get_max_mem_slots(struct conn *conn, union payload *arg)
{
	(void)conn;
	arg->num = VHX_REGIONS_MAX;
	return 0;
}

static int do_nothing(struct conn *conn, union payload *arg)
{
	(void)conn;
	(void)arg;
	return 0;
}

/* Of what is mapped: not the last of its file, and not to be waited for. */
static void close_mapped(struct conn *conn, unsigned int i)
{
	if (conn->dev.driver->account->takes_any)
		return;
	close(conn->fd[i]);
	conn->fd[i] = -1;
}

static int map_region(struct conn *conn, const struct wire_region *wire, int fd,
		      struct vhx_region *region)
{
	*region = (struct vhx_region){
		.gpa = wire->gpa, .size = wire->size, .uaddr = wire->uaddr,
	};
	return vhx_region_map(region, fd, wire->offset,
			      conn->dev.driver->account);
}

static int set_mem_table(struct conn *conn, union payload *arg)
{
	struct vhx_regions *regions;
	struct vhx_region region;
	unsigned int i;
	int err = 0;

	if (arg->memory.nr > WIRE_REGIONS || arg->memory.nr != conn->nr_fds ||
	    conn->size != offsetof(struct wire_memory, region[arg->memory.nr]))
		return -EINVAL;
	regions = calloc(1, sizeof(*regions));
	if (!regions)
		return -ENOMEM;
	for (i = 0; i < arg->memory.nr && !err; i++) {
		err = map_region(conn, &arg->memory.region[i], conn->fd[i],
				 &region);
		if (err)
			break;
		err = vhx_region_add(regions, &region);
		if (err)
			vhx_region_unmap(&region);
	}
	if (!err)
		vhx_device_set_regions(&conn->dev, regions);
	for (i = 0; i < arg->memory.nr && !err; i++)
		close_mapped(conn, i);
	/* The old ones, or those that are not wanted. */
	vhx_region_unmap_all(regions);
	free(regions);
	return err;
}

/* QEMU 7.2 says this, and the next, once for each queue pair. */
static int add_mem_reg(struct conn *conn, union payload *arg)
{
	const struct wire_region *wire = &arg->one_region.region;
	struct vhx_region region = {
		.gpa = wire->gpa, .size = wire->size, .uaddr = wire->uaddr,
	};
	struct vhx_account *account = conn->dev.driver->account;
	int err;

	err = vhx_region_identify(&region, conn->fd[0], wire->offset, account);
	if (!err && vhx_region_is_there(&conn->dev.regions, &region)) {
		close_mapped(conn, 0);
		return 0;
	}
	if (!err)
		err = map_region(conn, wire, conn->fd[0], &region);
	if (err)
		return err;
	err = vhx_device_add_region(&conn->dev, &region);
	if (err)
		vhx_region_unmap(&region);
	else
		close_mapped(conn, 0);
	return err;
}

static int rem_mem_reg(struct conn *conn, union payload *arg)
{
	const struct wire_region *wire = &arg->one_region.region;
	int err;

	err = vhx_device_remove_region(&conn->dev, wire->gpa, wire->uaddr,
				       wire->size);
	return err == -ENOENT ? 0 : err;
}

static int set_log_base(struct conn *conn, union payload *arg)
{
	int err = vhx_device_set_log(&conn->dev, conn->fd[0], arg->log.offset,
				     arg->log.size);

	if (!err)
		close_mapped(conn, 0);
	return err;
}

static int set_vring_num(struct conn *conn, union payload *arg)
{
	return vhx_proto_set_vring_num(&conn->dev, &arg->state);
}

static int set_vring_base(struct conn *conn, union payload *arg)
{
	return vhx_proto_set_vring_base(&conn->dev, &arg->state);
}

static int get_vring_base(struct conn *conn, union payload *arg)
{
	struct vhx_queue *queue = vhx_device_queue(&conn->dev,
						   arg->state.index);

	/* This is what stops a ring. */
	if (queue)
		vhx_queue_stop(queue);
	return vhx_proto_get_vring_base(&conn->dev, &arg->state);
}

static int set_vring_addr(struct conn *conn, union payload *arg)
{
	return vhx_proto_set_vring_addr(&conn->dev, &arg->addr);
}

static int set_vring_endian(struct conn *conn, union payload *arg)
{
	return vhx_proto_set_vring_endian(&conn->dev, &arg->state);
}

static int set_vring_enable(struct conn *conn, union payload *arg)
{
	struct vhx_queue *queue = vhx_device_queue(&conn->dev,
						   arg->state.index);

	if (!queue)
		return -ENOBUFS;
	if (arg->state.num > 1)
		return -EINVAL;
	return vhx_queue_enable(queue, arg->state.num);
}

static int set_vring_fd(struct conn *conn, const union payload *arg,
			int (*set)(struct vhx_queue *queue, int fd))
{
	bool wants_fd = !(arg->num & VRING_NOFD);
	bool has_fd = conn->nr_fds == 1;

	if (wants_fd != has_fd ||
	    (arg->num & ~(u64)(VRING_INDEX_MASK | VRING_NOFD)))
		return -EINVAL;
	return vhx_proto_set_vring_fd(&conn->dev, arg->num & VRING_INDEX_MASK,
				      take_fd(conn), set);
}

static int set_vring_kick(struct conn *conn, union payload *arg)
{
	return set_vring_fd(conn, arg, vhx_queue_set_kick);
}

static int set_vring_call(struct conn *conn, union payload *arg)
{
	return set_vring_fd(conn, arg, vhx_queue_set_call);
}

static int set_vring_err(struct conn *conn, union payload *arg)
{
	return set_vring_fd(conn, arg, vhx_queue_set_err);
}

/* All others hear of it. */
static bool may_announce(struct conn *conn)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != conn->rarp_s)
		conn->nr_rarps = 0;
	conn->rarp_s = now.tv_sec;
	return conn->nr_rarps++ < RARPS_MAX;
}

static int send_rarp(struct conn *conn, union payload *arg)
{
	u8 mac[sizeof(arg->num)];

	memcpy(mac, &arg->num, sizeof(mac));
	if (may_announce(conn))
		vhx_device_announce(&conn->dev, mac);
	return 0;
}

static int set_mtu(struct conn *conn, union payload *arg)
{
	if (arg->num < MTU_MIN || arg->num > UINT16_MAX)
		return -EINVAL;
	conn->dev.mtu = (unsigned int)arg->num;
	return 0;
}

/* Bursts send there, and do not wait: it is a socket as the front-end's own. */
static bool is_unix_socket(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	       domain == AF_UNIX;
}

static int set_backend_req_fd(struct conn *conn, union payload *arg)
{
	int old, fd;

	(void)arg;
	if (!is_unix_socket(conn->fd[0]))
		return -ENOTSOCK;
	fd = take_fd(conn);
	pthread_mutex_lock(&conn->request_mutex);
	old = conn->request_fd;
	conn->request_fd = fd;
	pthread_mutex_unlock(&conn->request_mutex);
	if (old >= 0)
		vhx_account_close(conn->dev.driver->account, old);
	return 0;
}

static int iotlb_msg(struct conn *conn, union payload *arg)
{
	return vhx_proto_iotlb(&conn->dev, &arg->iotlb);
}

static int reset_device(struct conn *conn, union payload *arg)
{
	(void)arg;
	conn->status = 0;
	vhx_device_reset(&conn->dev);
	return 0;
}

static int get_status(struct conn *conn, union payload *arg)
{
	arg->num = conn->status;
	return 0;
}

static int set_status(struct conn *conn, union payload *arg)
{
	if (arg->num > UINT8_MAX)
		return -EINVAL;
	conn->status = arg->num;
	/* virtio 1.3 §2.1: a reset */
	if (!conn->status)
		vhx_device_stop(&conn->dev);
	return 0;
}

/**
 * struct message - one request of the front-end
 * @name: for the log
 * @handle: what to do
 * @size: bytes of its payload; ANY_SIZE: the handler checks
 * @min_fds: file descriptors with it at least
 * @max_fds: and at most
 * @reply_size: the payload is sent back by so many bytes; NO_REPLY: not at all;
 *              0: with NEED_REPLY, the u64 of other messages in its place
 * @needs: protocol feature that must be negotiated, or 0
 */
struct message {
	const char *name;
	int (*handle)(struct conn *conn, union payload *arg);
	u32 size;
	u8 min_fds;
	u8 max_fds;
	u32 reply_size;
	u64 needs;
};

#define ANY_SIZE	UINT32_MAX
#define NO_REPLY	UINT32_MAX
#define U64	sizeof(u64)
#define STATE	sizeof(struct vhost_vring_state)

#define MESSAGE(id, fn, size_, min, max, reply, needs_) \
	[id] = { #fn, fn, size_, min, max, reply, needs_ }

static const struct message messages[] = {
	MESSAGE(1, get_features, 0, 0, 0, U64, 0),
	MESSAGE(2, set_features, U64, 0, 0, NO_REPLY, 0),
	[3] = { "set_owner", do_nothing, 0, 0, 0, NO_REPLY, 0 },
	[4] = { "reset_owner", do_nothing, 0, 0, 0, NO_REPLY, 0 },
	MESSAGE(5, set_mem_table, ANY_SIZE, 0, WIRE_REGIONS, NO_REPLY, 0),
	MESSAGE(6, set_log_base, sizeof(struct wire_log), 1, 1, 0,
		PROTOCOL_LOG_SHMFD),
	/* Nobody waits on it: who migrates looks at the log when he wants. */
	[7] = { "set_log_fd", do_nothing, ANY_SIZE, 1, 1, NO_REPLY, 0 },
	MESSAGE(8, set_vring_num, STATE, 0, 0, NO_REPLY, 0),
	MESSAGE(9, set_vring_addr, sizeof(struct vhost_vring_addr), 0, 0,
		NO_REPLY, 0),
	MESSAGE(10, set_vring_base, STATE, 0, 0, NO_REPLY, 0),
	MESSAGE(11, get_vring_base, STATE, 0, 0, STATE, 0),
	MESSAGE(12, set_vring_kick, U64, 0, 1, NO_REPLY, 0),
	MESSAGE(13, set_vring_call, U64, 0, 1, NO_REPLY, 0),
	MESSAGE(14, set_vring_err, U64, 0, 1, NO_REPLY, 0),
	MESSAGE(15, get_protocol_features, 0, 0, 0, U64, 0),
	MESSAGE(16, set_protocol_features, U64, 0, 0, NO_REPLY, 0),
	MESSAGE(17, get_queue_num, 0, 0, 0, U64, PROTOCOL_MQ),
	MESSAGE(18, set_vring_enable, STATE, 0, 0, NO_REPLY, 0),
	MESSAGE(19, send_rarp, U64, 0, 0, NO_REPLY, PROTOCOL_RARP),
	MESSAGE(20, set_mtu, U64, 0, 0, NO_REPLY, PROTOCOL_MTU),
	MESSAGE(21, set_backend_req_fd, 0, 1, 1, NO_REPLY,
		PROTOCOL_BACKEND_REQ),
	MESSAGE(22, iotlb_msg, sizeof(struct vhost_iotlb_msg), 0, 0, NO_REPLY,
		0),
	MESSAGE(23, set_vring_endian, STATE, 0, 0, NO_REPLY,
		PROTOCOL_CROSS_ENDIAN),
	MESSAGE(34, reset_device, 0, 0, 0, NO_REPLY, PROTOCOL_RESET_DEVICE),
	MESSAGE(36, get_max_mem_slots, 0, 0, 0, U64, PROTOCOL_MEM_SLOTS),
	MESSAGE(37, add_mem_reg, sizeof(struct wire_one_region), 1, 1, NO_REPLY,
		PROTOCOL_MEM_SLOTS),
	MESSAGE(38, rem_mem_reg, sizeof(struct wire_one_region), 0, 1, NO_REPLY,
		PROTOCOL_MEM_SLOTS),
	MESSAGE(39, set_status, U64, 0, 0, NO_REPLY, PROTOCOL_STATUS),
	MESSAGE(40, get_status, 0, 0, 0, U64, PROTOCOL_STATUS),
};

static int send_reply(struct conn *conn, u32 size)
{
	struct {
		struct wire_header header;
		union payload payload;
	} __attribute__((packed)) msg = {
		.header = {
			.request = conn->header.request,
			.flags = FLAGS_VERSION | FLAGS_REPLY,
			.size = size,
		},
	};
	ssize_t len = (ssize_t)(sizeof(msg.header) + size);

	memcpy(&msg.payload, &conn->payload, size);
	/* A front-end that does not read what it asked for has gone wrong. */
	return send(conn->source.fd, &msg, (size_t)len,
		    MSG_DONTWAIT | MSG_NOSIGNAL) == len ? 0 : -EPIPE;
}

static const struct message *find_message(const struct conn *conn)
{
	const struct message *message;

	if (conn->header.request >= sizeof(messages) / sizeof(messages[0]))
		return NULL;
	message = &messages[conn->header.request];
	if (!message->handle ||
	    (conn->protocol_features & message->needs) != message->needs)
		return NULL;
	return message;
}

static int check_message(const struct conn *conn, const struct message *message)
{
	if ((conn->header.flags & FLAGS_VERSION_MASK) != FLAGS_VERSION)
		return -EPROTO;
	if (!message)
		return -EOPNOTSUPP;
	if (message->size != ANY_SIZE && message->size != conn->size)
		return -EMSGSIZE;
	if (conn->nr_fds < message->min_fds || conn->nr_fds > message->max_fds)
		return -EBADF;
	return 0;
}

/**
 * vhx_message_run - do what a whole message asks for
 * @conn: the connection
 *
 * Return: 0, or an errno: the connection is of no use any more
 */
int vhx_message_run(struct conn *conn)
{
	const struct message *message = find_message(conn);
	bool wants_ack = (conn->header.flags & FLAGS_NEED_REPLY) &&
			 (conn->protocol_features & PROTOCOL_REPLY_ACK);
	int err = check_message(conn, message);
	bool has_reply;

	if (!err)
		err = message->handle(conn, &conn->payload);
	if (err)
		vhx_driver_log(conn->dev.driver, VHX_LOG_WARN,
			       "%s: message %u (%s): %s", conn->dev.name,
			       conn->header.request,
			       message ? message->name : "unknown or not negotiated",
			       vhx_region_strerror(err));
	has_reply = message && message->reply_size != NO_REPLY &&
		    (message->reply_size || !wants_ack);
	if (!err && has_reply)
		return send_reply(conn, message->reply_size);
	if (!wants_ack || has_reply)
		return err;
	conn->payload.num = !!err;
	return send_reply(conn, sizeof(conn->payload.num));
}
