// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The ioctls of vhost-net, on behalf of one open of a node. What an ioctl is
 * refused with is what in-tree vhost-net says.
 */
#include <assert.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cuse_client.h"
#include "proto.h"

#define BACKEND_FEATURES	BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2)
#define TO_GUEST	(BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO6))

static void complain(const struct client *client, const char *what, int err)
{
	vhx_driver_log(client->dev.driver, VHX_LOG_ERR,
		       "%s: process %d: %s: %s", client->dev.name,
		       client->owner.pid, what, vhx_region_strerror(err));
}

/* -- owner ------------------------------------------------------------------ */

static int set_owner(struct client *client, union arg *arg)
{
	int err;

	(void)arg;
	if (client->owner.pid)
		return -EBUSY;
	err = vhx_remote_open(&client->owner, client->caller);
	if (err)
		vhx_driver_log(client->dev.driver, VHX_LOG_ERR,
			       "%s: cannot see the process of thread %d (of another PID namespace?): %s",
			       client->dev.name, client->caller, strerror(-err));
	return err;
}

static int reset_owner(struct client *client, union arg *arg)
{
	struct vhx_regions *none = calloc(1, sizeof(*none));
	unsigned int i;

	(void)arg;
	if (!none)
		return -ENOMEM;
	for (i = 0; i < CLIENT_QUEUES; i++)
		vhx_cuse_stop(client, i);
	vhx_device_reset(&client->dev);
	vhx_device_set_regions(&client->dev, none);
	vhx_region_unmap_all(none);
	free(none);
	client->accepted = 0;
	client->offloads = 0;
	vhx_remote_close(&client->owner);
	return 0;
}

/* -- features --------------------------------------------------------------- */

static int get_features(struct client *client, union arg *arg)
{
	arg->num = client->dev.offered;
	return 0;
}

/* Offloads are not negotiated with us, but the guest may use them. */
static int take_up_features(struct client *client)
{
	struct vhx_device *dev = &client->dev;
	u64 features = client->accepted | client->offloads;
	u64 offered = dev->offered;
	int err;

	if (features == dev->features)
		return 0;
	dev->offered |= client->offloads;
	err = vhx_device_set_features(dev, features);
	dev->offered = offered;
	return err;
}

static int set_features(struct client *client, union arg *arg)
{
	if (arg->num & ~client->dev.offered)
		return -EOPNOTSUPP;
	client->accepted = arg->num;
	return take_up_features(client);
}

static int get_features_array(struct client *client, union arg *arg)
{
	memset(arg->words.word, 0, sizeof(arg->words.word));
	arg->words.word[0] = client->dev.offered;
	return 0;
}

static int set_features_array(struct client *client, union arg *arg)
{
	u64 i, count = arg->words.count;

	for (i = 1; i < count; i++)
		if (arg->words.word[i])
			return -EOPNOTSUPP;
	arg->num = count ? arg->words.word[0] : 0;
	return set_features(client, arg);
}

static int get_backend_features(struct client *client, union arg *arg)
{
	(void)client;
	arg->num = BACKEND_FEATURES;
	return 0;
}

static int set_backend_features(struct client *client, union arg *arg)
{
	if (arg->num & ~BACKEND_FEATURES)
		return -EOPNOTSUPP;
	client->backend_features = arg->num;
	return 0;
}

/* -- memory ----------------------------------------------------------------- */

/* QEMU has memory that no guest has buffers in, such as microvm's firmware. */
static void leave_out(const struct client *client,
		      const struct vhx_region *wanted)
{
	vhx_driver_log(client->dev.driver, VHX_LOG_INFO,
		       "%s: process %d: memory %#llx+%#llx is private, and left out",
		       client->dev.name, client->owner.pid, wanted->gpa,
		       wanted->size);
}

static int map_memory(struct client *client, union arg *arg,
		      struct vhx_regions *regions)
{
	u32 i;
	int err;

	for (i = 0; i < arg->memory.nr; i++) {
		const struct vhost_memory_region *from = &arg->memory.region[i];
		const struct vhx_region wanted = {
			.gpa = from->guest_phys_addr,
			.size = from->memory_size,
			.uaddr = from->userspace_addr,
		};

		err = vhx_remote_map(&client->owner, &wanted,
				     client->dev.driver->account, regions);
		if (err == -EOPNOTSUPP) {
			leave_out(client, &wanted);
		} else if (err) {
			complain(client, "guest memory cannot be mapped", err);
			return err;
		}
	}
	if (regions->nr || !arg->memory.nr)
		return 0;
	vhx_driver_log(client->dev.driver, VHX_LOG_ERR,
		       "%s: process %d: guest memory is private; share it: -object memory-backend-memfd,id=m,size=...,share=on -machine memory-backend=m",
		       client->dev.name, client->owner.pid);
	return -EOPNOTSUPP;
}

static int set_mem_table(struct client *client, union arg *arg)
{
	struct vhx_regions *regions;
	int err;

	if (arg->memory.padding)
		return -EOPNOTSUPP;
	regions = calloc(1, sizeof(*regions));
	if (!regions)
		return -ENOMEM;
	err = map_memory(client, arg, regions);
	if (!err)
		err = vhx_device_set_regions(&client->dev, regions);
	if (!err)
		client->has_table = true;
	/* The old ones, or those that are not wanted. */
	vhx_region_unmap_all(regions);
	free(regions);
	return err;
}

/* QEMU's log is private memory: none is offered, and so none is taken. */
static int refuse_log(struct client *client, union arg *arg)
{
	(void)client;
	(void)arg;
	return -EOPNOTSUPP;
}

/* -- rings ------------------------------------------------------------------ */

static bool is_packed(const struct client *client)
{
	return client->accepted & BIT_ULL(VIRTIO_F_RING_PACKED);
}

static int set_vring_num(struct client *client, union arg *arg)
{
	u32 num = arg->state.num;

	if (client->tap[arg->index] >= 0)
		return -EBUSY;
	if (!is_packed(client) && (num & (num - 1)))
		return -EINVAL;
	return vhx_proto_set_vring_num(&client->dev, &arg->state);
}

static int set_vring_base(struct client *client, union arg *arg)
{
	if (client->tap[arg->index] >= 0)
		return -EBUSY;
	if (!is_packed(client) && arg->state.num > UINT16_MAX)
		return -EINVAL;
	return vhx_proto_set_vring_base(&client->dev, &arg->state);
}

static int get_vring_base(struct client *client, union arg *arg)
{
	return vhx_proto_get_vring_base(&client->dev, &arg->state);
}

static int set_vring_addr(struct client *client, union arg *arg)
{
	return vhx_proto_set_vring_addr(&client->dev, &arg->addr);
}

static int set_vring_endian(struct client *client, union arg *arg)
{
	return vhx_proto_set_vring_endian(&client->dev, &arg->state);
}

static int get_vring_endian(struct client *client, union arg *arg)
{
	struct vhx_queue *queue = vhx_device_queue(&client->dev, arg->index);

	if (!queue)
		return -ENOMEM;
	arg->state.num = queue->is_legacy_be;
	return 0;
}

static int set_busyloop(struct client *client, union arg *arg)
{
	client->busyloop[arg->index] = arg->state.num;
	return 0;
}

static int get_busyloop(struct client *client, union arg *arg)
{
	arg->state.num = client->busyloop[arg->index];
	return 0;
}

static int take_fd(const struct client *client, int number, const char *kind)
{
	int fd = vhx_remote_take_fd(&client->owner, number, kind,
				    client->dev.driver->account);

	if (fd == -EPERM)
		complain(client, "its descriptors cannot be had (CAP_SYS_PTRACE)",
			 fd);
	return fd;
}

static int set_vring_fd(struct client *client, const union arg *arg,
			int (*set)(struct vhx_queue *queue, int fd))
{
	int fd = -1;

	if (arg->file.fd != -1) {
		fd = take_fd(client, arg->file.fd, "anon_inode:[eventfd]");
		if (fd < 0)
			return fd;
	}
	return vhx_proto_set_vring_fd(&client->dev, arg->index, fd, set);
}

static int set_vring_kick(struct client *client, union arg *arg)
{
	int fd;

	if (arg->file.fd != -1)
		return set_vring_fd(client, arg, vhx_queue_set_kick);
	/* No kicks: an eventfd that nobody signals, for -1 starts the queue. */
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	return vhx_proto_set_vring_fd(&client->dev, arg->index, fd,
				      vhx_queue_set_kick);
}

static int set_vring_call(struct client *client, union arg *arg)
{
	return set_vring_fd(client, arg, vhx_queue_set_call);
}

static int set_vring_err(struct client *client, union arg *arg)
{
	return set_vring_fd(client, arg, vhx_queue_set_err);
}

/* -- backend ---------------------------------------------------------------- */

/**
 * vhx_cuse_stop - take a queue's backend away
 * @client: the client
 * @index: of the queue, which has one or not
 */
void vhx_cuse_stop(struct client *client, unsigned int index)
{
	if (client->tap[index] < 0)
		return;
	vhx_queue_stop(client->dev.queue[index]);
	if (client->tap[!index] < 0) {
		pthread_mutex_lock(&client->mutex);
		client->nr_asked = 0;
		pthread_mutex_unlock(&client->mutex);
		vhx_tap_set_carrier(client->tap[index], true);
	}
	close(client->tap[index]);
	client->tap[index] = -1;
}

static int start_queue(struct client *client, struct vhx_queue *queue)
{
	int err;

	err = vhx_queue_start(queue) ? -EFAULT : 0;
	if (client->dev.is_refused)
		err = -ECONNREFUSED;
	/* The next try asks the user again. */
	client->dev.is_refused = false;
	return err;
}

/* A guest does as it pleases; what it gets, the user has to want as well. */
static void take_up_tap(struct client *client, const char *name, u64 offloads)
{
	struct vhx_device *dev = &client->dev;

	if (dev->is_live)
		return;
	offloads &= dev->driver->features | ~TO_GUEST;
	memset(dev->name, 0, sizeof(dev->name));
	memcpy(dev->name, name, IFNAMSIZ);
	if (offloads & ~(client->offloads | dev->driver->features))
		vhx_driver_log(dev->driver, VHX_LOG_INFO,
			       "%s: its tap has vnet_hdr=on: guests may leave checksums and segments to us",
			       dev->name);
	client->offloads = offloads;
}

/* The tap is the client's from here on, or closed. */
static int set_tap(struct client *client, struct vhx_queue *queue, int tap)
{
	int *has = &client->tap[queue->index];
	char name[IFNAMSIZ];
	u64 offloads;
	int err;

	err = vhx_tap_look_at(tap, name, &offloads);
	if (err)
		goto err_close;
	if (*has >= 0 && !strcmp(name, client->dev.name)) {
		swap(*has, tap);
		goto err_close;
	}
	vhx_cuse_stop(client, queue->index);
	/* Another tap is another device: the other queue ends with the old one. */
	if (client->dev.is_live && strcmp(name, client->dev.name))
		vhx_cuse_stop(client, !queue->index);
	take_up_tap(client, name, offloads);
	err = take_up_features(client);
	if (err)
		goto err_close;
	vhx_tap_set_carrier(tap, false);
	*has = tap;
	err = start_queue(client, queue);
	if (err)
		vhx_cuse_stop(client, queue->index);
	return err;

err_close:
	vhx_account_close(client->dev.driver->account, tap);
	return err;
}

static int set_backend(struct client *client, union arg *arg)
{
	struct vhx_queue *queue = vhx_device_queue(&client->dev, arg->index);
	int tap;

	if (!queue)
		return -ENOMEM;
	if (!client->has_table)
		return -EFAULT;
	if (arg->file.fd == -1) {
		vhx_cuse_stop(client, arg->index);
		return 0;
	}
	tap = take_fd(client, arg->file.fd, "/dev/");
	if (tap < 0)
		return tap == -EBADF || tap == -EINVAL ? -ENOTSOCK : tap;
	return set_tap(client, queue, tap);
}

/* -- the table -------------------------------------------------------------- */

#define STATE	sizeof(struct vhost_vring_state)
#define ADDR	sizeof(struct vhost_vring_addr)
#define FILE_	sizeof(struct vhost_vring_file)
#define U64	sizeof(u64)
#define REGION	sizeof(struct vhost_memory_region)

static int refuse_unknown(struct client *client, union arg *arg)
{
	(void)client;
	(void)arg;
	return -ENOTTY;
}

#define CALL(cmd, fn, ...) { cmd, #fn, fn, __VA_ARGS__ }

static const struct call calls[] = {
	CALL(VHOST_SET_OWNER, set_owner, .is_free = true),
	CALL(VHOST_RESET_OWNER, reset_owner, .in = 0),
	CALL(VHOST_GET_FEATURES, get_features, .out = U64, .is_free = true),
	CALL(VHOST_SET_FEATURES, set_features, .in = U64, .is_free = true),
	CALL(VHOST_GET_FEATURES_ARRAY, get_features_array, .in = U64,
	     .each = U64, .max = WORDS_MAX, .too_many = -EFAULT,
	     .count_len = U64, .gives_each = true, .is_free = true),
	CALL(VHOST_SET_FEATURES_ARRAY, set_features_array, .in = U64,
	     .each = U64, .max = WORDS_MAX, .too_many = -EFAULT,
	     .count_len = U64, .is_free = true),
	CALL(VHOST_GET_BACKEND_FEATURES, get_backend_features, .out = U64,
	     .is_free = true),
	CALL(VHOST_SET_BACKEND_FEATURES, set_backend_features, .in = U64,
	     .is_free = true),
	CALL(VHOST_SET_MEM_TABLE, set_mem_table, .in = U64, .each = REGION,
	     .max = VHX_REGIONS_MAX, .too_many = -E2BIG,
	     .count_len = sizeof(u32)),
	CALL(VHOST_SET_LOG_BASE, refuse_log, .in = U64),
	CALL(VHOST_SET_LOG_FD, refuse_log, .in = sizeof(int)),
	CALL(VHOST_SET_VRING_NUM, set_vring_num, .in = STATE, .is_ring = true),
	CALL(VHOST_SET_VRING_BASE, set_vring_base, .in = STATE,
	     .is_ring = true),
	CALL(VHOST_GET_VRING_BASE, get_vring_base, .in = STATE, .out = STATE,
	     .is_ring = true),
	CALL(VHOST_SET_VRING_ADDR, set_vring_addr, .in = ADDR, .is_ring = true),
	CALL(VHOST_SET_VRING_ENDIAN, set_vring_endian, .in = STATE,
	     .is_ring = true),
	CALL(VHOST_GET_VRING_ENDIAN, get_vring_endian, .in = STATE,
	     .out = STATE, .is_ring = true),
	CALL(VHOST_SET_VRING_BUSYLOOP_TIMEOUT, set_busyloop, .in = STATE,
	     .is_ring = true),
	CALL(VHOST_GET_VRING_BUSYLOOP_TIMEOUT, get_busyloop, .in = STATE,
	     .out = STATE, .is_ring = true),
	CALL(VHOST_SET_VRING_KICK, set_vring_kick, .in = FILE_,
	     .is_ring = true),
	CALL(VHOST_SET_VRING_CALL, set_vring_call, .in = FILE_,
	     .is_ring = true),
	CALL(VHOST_SET_VRING_ERR, set_vring_err, .in = FILE_, .is_ring = true),
	CALL(VHOST_NET_SET_BACKEND, set_backend, .in = FILE_, .is_ring = true),
};

/* As in-tree, which looks at the index before the number. */
static const struct call unknown = {
	.name = "unknown", .handle = refuse_unknown, .in = sizeof(u32),
	.is_ring = true,
};

/**
 * vhx_cuse_find_call - an ioctl by its number
 * @cmd: the number
 *
 * Return: the call; one that is refused, if there is none
 */
const struct call *vhx_cuse_find_call(u32 cmd)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].cmd == cmd)
			return &calls[i];
	return &unknown;
}

/**
 * vhx_cuse_call - do what an ioctl asks for
 * @client: the client
 * @call: which
 * @arg: what it brings, and takes
 *
 * Return: 0 or an errno
 */
int vhx_cuse_call(struct client *client, const struct call *call,
		  union arg *arg)
{
	int err = call->is_ring && arg->index >= CLIENT_QUEUES ? -ENOBUFS :
		call->handle(client, arg);

	if (err)
		vhx_driver_log(client->dev.driver, VHX_LOG_INFO,
			       "%s: %s: %s", client->dev.name, call->name,
			       strerror(-err));
	return err;
}

/* -- IOTLB messages --------------------------------------------------------- */

/**
 * vhx_cuse_write_iotlb - a message of the client's
 * @client: the client
 * @msg: struct vhost_msg or struct vhost_msg_v2
 * @len: bytes of it, with or without what is reserved at its end
 *
 * Return: 0, -EINVAL (no such message), -EFAULT (whatever is wrong in it)
 */
int vhx_cuse_write_iotlb(struct client *client, const void *msg, size_t len)
{
	const size_t at = offsetof(struct vhost_msg_v2, iotlb);
	struct vhost_iotlb_msg iotlb;
	u32 type;

	static_assert(offsetof(struct vhost_msg, iotlb) ==
		      offsetof(struct vhost_msg_v2, iotlb),
		      "both versions in one");
	if (len < at + sizeof(iotlb))
		return -EINVAL;
	memcpy(&type, msg, sizeof(type));
	memcpy(&iotlb, (const u8 *)msg + at, sizeof(iotlb));
	if (type != VHOST_IOTLB_MSG && type != VHOST_IOTLB_MSG_V2)
		return -EINVAL;
	/* In-tree has nothing to do either. */
	if (iotlb.type == VHOST_IOTLB_INVALIDATE && !iotlb.size &&
	    client->dev.iotlb)
		return 0;
	return vhx_proto_iotlb(&client->dev, &iotlb) ? -EFAULT : 0;
}

/**
 * vhx_cuse_read_iotlb - a message for the client
 * @client: the client
 * @result: of IOTLB_MSG_LEN bytes
 *
 * Return: bytes, 0: there is none
 */
size_t vhx_cuse_read_iotlb(struct client *client, void *result)
{
	bool is_v2 = client->backend_features & BACKEND_FEATURES;
	struct vhost_msg_v2 msg = {
		.type = is_v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG,
		.iotlb.type = VHOST_IOTLB_MISS,
	};
	bool has_one;

	pthread_mutex_lock(&client->mutex);
	has_one = client->nr_asked;
	if (has_one) {
		msg.iotlb.iova = client->asked[0].iova;
		msg.iotlb.perm = client->asked[0].perm;
		memmove(client->asked, client->asked + 1,
			--client->nr_asked * sizeof(client->asked[0]));
	}
	pthread_mutex_unlock(&client->mutex);
	memcpy(result, &msg, sizeof(msg));
	return has_one ? sizeof(msg) : 0;
}
