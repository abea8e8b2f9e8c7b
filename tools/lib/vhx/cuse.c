// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A node of CUSE: the kernel hands on what is done to it, and the session reads
 * that from /dev/cuse. Ioctls are unrestricted: a call is asked for once more
 * with what it brings, and with room for what it takes.
 */
#define FUSE_USE_VERSION 35
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <fuse3/cuse_lowlevel.h>
#include <fuse3/fuse_lowlevel.h>
#include <vhx/cuse.h>

#include "cuse_client.h"

/* What a guest hears of by QEMU, not by vhost, and the log, which is private. */
#define NOT_OFFERED	(BIT_ULL(VIRTIO_NET_F_CSUM) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) | \
			 BIT_ULL(VIRTIO_NET_F_HOST_TSO4) | \
			 BIT_ULL(VIRTIO_NET_F_HOST_TSO6) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) | \
			 BIT_ULL(VIRTIO_NET_F_STATUS) | \
			 BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | \
			 BIT_ULL(VIRTIO_NET_F_MQ) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
			 BIT_ULL(VHOST_F_LOG_ALL))
/* With vnet_hdr=off QEMU insists on it; the ring has its header all the same. */
#define OFFERED		BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR)

/**
 * struct node - what a driver has of its own
 * @driver: the driver
 * @source: /dev/cuse
 * @fuse: libfuse's half of it, which closes the descriptor
 * @buf: the request in work
 * @clients: who has the node open
 * @is_up: the kernel has taken the name
 */
struct node {
	struct vhx_driver *driver;
	struct vhx_source source;
	struct fuse_session *fuse;
	struct fuse_buf buf;
	struct client *clients;
	bool is_up;
};

static struct client *client_of(struct vhx_device *dev)
{
	return (struct client *)((char *)dev - offsetof(struct client, dev));
}

/* -- what the device asks of its transport ---------------------------------- */

static int ask_iotlb(struct vhx_device *dev, u64 iova, u8 perm)
{
	struct client *client = client_of(dev);
	int err = -EAGAIN;

	pthread_mutex_lock(&client->mutex);
	if (client->nr_asked < ASKED_MAX) {
		client->asked[client->nr_asked++] = (struct vhx_miss){
			.iova = iova, .perm = perm,
		};
		if (client->poll)
			fuse_lowlevel_notify_poll(client->poll);
		err = 0;
	}
	pthread_mutex_unlock(&client->mutex);
	return err;
}

/* SET_BACKEND starts a queue, not a kick. */
static int watch_kick(struct vhx_queue *queue, bool is_on)
{
	(void)queue;
	(void)is_on;
	return 0;
}

/* A node cannot: SET_BACKEND finds out that the device was refused. */
static void hang_up(struct vhx_device *dev)
{
	(void)dev;
}

static const struct vhx_transport_ops transport = {
	.ask_iotlb = ask_iotlb,
	.watch_kick = watch_kick,
	.hang_up = hang_up,
};

/* -- clients ---------------------------------------------------------------- */

static void end_client(struct client *client)
{
	unsigned int i;

	for (i = 0; i < CLIENT_QUEUES; i++)
		vhx_cuse_stop(client, i);
	vhx_device_exit(&client->dev);
	vhx_remote_close(&client->owner);
	if (client->poll)
		fuse_pollhandle_destroy(client->poll);
	pthread_mutex_destroy(&client->mutex);
	free(client);
}

static int make_client(struct node *node, struct client **result)
{
	struct client *client = calloc(1, sizeof(*client));
	int err;

	if (!client)
		return -ENOMEM;
	pthread_mutex_init(&client->mutex, NULL);
	client->tap[0] = -1;
	client->tap[1] = -1;
	err = vhx_device_init(&client->dev, node->driver, &transport,
			      node->driver->path);
	if (err) {
		end_client(client);
		return err;
	}
	client->dev.offered = (client->dev.offered & ~NOT_OFFERED) | OFFERED;
	client->dev.max_queues = CLIENT_QUEUES;
	client->next = node->clients;
	node->clients = client;
	*result = client;
	return 0;
}

static void on_open(fuse_req_t req, struct fuse_file_info *fi)
{
	struct client *client;
	int err = make_client(fuse_req_userdata(req), &client);

	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	fi->fh = (uintptr_t)client;
	fuse_reply_open(req, fi);
}

static void on_release(fuse_req_t req, struct fuse_file_info *fi)
{
	struct node *node = fuse_req_userdata(req);
	struct client *client = (struct client *)(uintptr_t)fi->fh;
	struct client **at = &node->clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	end_client(client);
	fuse_reply_err(req, 0);
}

/* -- ioctl ------------------------------------------------------------------ */

/*
 * Return: 0: all is there, 1: it was asked for, or an errno. How much comes
 * behind a count is known when the count has come.
 */
static int ask_for_rest(fuse_req_t req, const struct call *call, void *where,
			const void *in, size_t in_len, size_t out_len)
{
	struct iovec from = { where, call->in };
	struct iovec to = { where, call->out };
	size_t each = 0;
	union arg arg;
	u64 count;

	if (call->each && in_len >= call->in) {
		memcpy(&arg.num, in, sizeof(arg.num));
		count = call->count_len == sizeof(u32) ? arg.memory.nr :
			arg.words.count;
		if (count > call->max)
			return call->too_many;
		each = count * call->each;
	}
	if (call->gives_each) {
		to.iov_base = (char *)where + call->in;
		to.iov_len = each;
	} else {
		from.iov_len += each;
	}
	if (in_len >= from.iov_len && out_len >= to.iov_len)
		return 0;
	fuse_reply_ioctl_retry(req, &from, !!from.iov_len, &to, !!to.iov_len);
	return 1;
}

static void on_ioctl(fuse_req_t req, int cmd, void *where,
		     struct fuse_file_info *fi, unsigned int flags,
		     const void *in, size_t in_len, size_t out_len)
{
	struct client *client = (struct client *)(uintptr_t)fi->fh;
	const struct call *call = vhx_cuse_find_call((u32)cmd);
	union arg arg = { .num = 0 };
	int err = 0;

	(void)flags;
	client->caller = fuse_req_ctx(req)->pid;
	if (!call->is_free &&
	    !vhx_remote_has_thread(&client->owner, client->caller))
		err = -EPERM;
	if (!err)
		err = ask_for_rest(req, call, where, in, in_len, out_len);
	if (err > 0)
		return;
	if (!err) {
		if (in_len)
			memcpy(&arg, in, min(in_len, sizeof(arg)));
		err = vhx_cuse_call(client, call, &arg);
	}
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_ioctl(req, 0, (char *)&arg +
				 (call->gives_each ? call->in : 0), out_len);
}

/* -- IOTLB messages --------------------------------------------------------- */

static void on_read(fuse_req_t req, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct client *client = (struct client *)(uintptr_t)fi->fh;
	char msg[IOTLB_MSG_LEN];
	size_t len;

	(void)off;
	if (size < sizeof(msg)) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	len = vhx_cuse_read_iotlb(client, msg);
	/* Whoever waits, waits by poll(). */
	if (len)
		fuse_reply_buf(req, msg, len);
	else
		fuse_reply_err(req, EAGAIN);
}

static void on_write(fuse_req_t req, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct client *client = (struct client *)(uintptr_t)fi->fh;
	int err = vhx_cuse_write_iotlb(client, buf, size);

	(void)off;
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_write(req, size);
}

static void on_poll(fuse_req_t req, struct fuse_file_info *fi,
		    struct fuse_pollhandle *handle)
{
	struct client *client = (struct client *)(uintptr_t)fi->fh;
	unsigned int events;

	pthread_mutex_lock(&client->mutex);
	if (handle)
		swap(client->poll, handle);
	events = client->nr_asked ? POLLIN | POLLRDNORM : 0;
	pthread_mutex_unlock(&client->mutex);
	if (handle)
		fuse_pollhandle_destroy(handle);
	fuse_reply_poll(req, events);
}

/* -- node ------------------------------------------------------------------- */

static void on_init_done(void *userdata)
{
	struct node *node = userdata;

	node->is_up = true;
}

static const struct cuse_lowlevel_ops cuse_ops = {
	.init_done = on_init_done,
	.open = on_open,
	.release = on_release,
	.ioctl = on_ioctl,
	.read = on_read,
	.write = on_write,
	.poll = on_poll,
};

static void on_request(struct vhx_source *source, u32 events)
{
	struct node *node = (struct node *)((char *)source -
					    offsetof(struct node, source));
	int len = fuse_session_receive_buf(node->fuse, &node->buf);

	(void)events;
	if (len > 0)
		fuse_session_process_buf(node->fuse, &node->buf);
	if (len == -EINTR || len == -EAGAIN ||
	    !fuse_session_exited(node->fuse))
		return;
	vhx_driver_log(node->driver, VHX_LOG_ERR,
		       "%s: the kernel has ended it%s", node->driver->path,
		       node->is_up ? "" : ": does a CUSE node of this name exist?");
	vhx_session_remove(node->driver->session, source);
}

static int start(struct vhx_driver *driver)
{
	struct node *node = driver->server;

	return vhx_session_add(driver->session, &node->source, EPOLLIN);
}

static void reap(struct vhx_driver *driver)
{
	struct node *node = driver->server;
	struct client *client = node->clients;
	unsigned int i;

	for (; client; client = client->next) {
		vhx_device_tell_news(&client->dev);
		if (!client->dev.is_live || !vhx_device_is_cut(&client->dev))
			continue;
		vhx_driver_log(driver, VHX_LOG_WARN,
			       "%s: guest memory was cut off",
			       client->dev.name);
		for (i = 0; i < CLIENT_QUEUES; i++)
			vhx_cuse_stop(client, i);
	}
}

static void close_driver(struct vhx_driver *driver)
{
	struct node *node = driver->server;
	struct client *client;

	if (!node)
		return;
	if (driver->is_started)
		vhx_session_remove(driver->session, &node->source);
	while ((client = node->clients)) {
		node->clients = client->next;
		end_client(client);
	}
	if (node->fuse)
		fuse_session_destroy(node->fuse);
	free(node->buf.mem);
	free(node);
}

static const struct vhx_driver_ops serve = {
	.start = start,
	.reap = reap,
	.close = close_driver,
};

static int open_cuse(struct vhx_driver *driver)
{
	int fd = open("/dev/cuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int err = -errno;

	if (fd >= 0)
		return fd;
	if (err == -ENOENT)
		err = -ENODEV;
	vhx_driver_log(driver, VHX_LOG_ERR, "%s: /dev/cuse: %s%s",
		       driver->path, strerror(-err),
		       err == -ENODEV ? " (modprobe cuse)" : "");
	return err;
}

static int make_session(struct node *node, int fd)
{
	char name[sizeof("DEVNAME=") + sizeof(node->driver->path)];
	const char *words[] = { name };
	struct cuse_info info = {
		.dev_info_argc = 1,
		.dev_info_argv = words,
		.flags = CUSE_UNRESTRICTED_IOCTL,
	};
	char *argv[] = { "vhx", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	char path[32];

	snprintf(name, sizeof(name), "DEVNAME=%s",
		 node->driver->path + strlen("/dev/"));
	node->fuse = cuse_lowlevel_new(&args, &info, &cuse_ops, node);
	fuse_opt_free_args(&args);
	if (!node->fuse)
		return -ENOMEM;
	/* cuse_lowlevel_setup() would take signals, too. */
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	return fuse_session_mount(node->fuse, path) ? -EIO : 0;
}

static int make_node(struct vhx_driver *driver)
{
	struct node *node = calloc(1, sizeof(*node));
	int err, fd;

	if (!node)
		return -ENOMEM;
	node->driver = driver;
	driver->server = node;
	if (!access(driver->path, F_OK)) {
		vhx_driver_log(driver, VHX_LOG_ERR,
			       "%s: is there already", driver->path);
		return -EEXIST;
	}
	fd = open_cuse(driver);
	if (fd < 0)
		return fd;
	node->source.fd = fd;
	node->source.ready = on_request;
	err = make_session(node, fd);
	if (err)
		close(fd);
	return err;
}

int vhx_cuse_register(struct vhx_session *session, const char *name,
		      struct vhx_driver **driver)
{
	char path[sizeof((*driver)->path)];
	int err;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof(path), "/dev/%s", name) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	err = vhx_driver_create(session, path, 0, &serve, driver);
	if (err)
		return err;
	err = make_node(*driver);
	if (err)
		vhx_driver_unregister(*driver);
	return err;
}
