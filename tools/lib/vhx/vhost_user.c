// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * vhost-user: messages on a unix socket, as QEMU's docs/interop/vhost-user.rst
 * has them. A message may come in pieces; what is not whole yet stays in the
 * connection.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto.h"
#include "vhost_user.h"

/* File descriptors that the kernel lets one message bring: SCM_MAX_FD. */
#define FDS_AT_ONCE	253
/* Back-end to front-end. */
#define BACKEND_IOTLB_MSG	1

static struct conn *conn_of(struct vhx_device *dev)
{
	return (struct conn *)((char *)dev - offsetof(struct conn, dev));
}

/* Of any kind: what was asked for was taken. */
static void close_fds(struct conn *conn)
{
	while (conn->nr_fds) {
		int fd = conn->fd[--conn->nr_fds];

		if (fd >= 0)
			vhx_account_close(conn->dev.driver->account, fd);
	}
}

/* Notes the descriptors that came. Return: 0, -E2BIG. */
static int take_fds(struct conn *conn, struct msghdr *msg)
{
	int err = msg->msg_flags & MSG_CTRUNC ? -E2BIG : 0;
	struct cmsghdr *cmsg;
	size_t i, nr;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < nr; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd),
			       sizeof(fd));
			if (conn->nr_fds < WIRE_REGIONS) {
				conn->fd[conn->nr_fds++] = fd;
			} else {
				vhx_account_close(conn->dev.driver->account,
						  fd);
				err = -E2BIG;
			}
		}
	}
	return err;
}

/* Reads on. Return: 1: the message is whole, 0: it is not, or an errno. */
static int read_on(struct conn *conn)
{
	/* Those that had no room the kernel would close, and we would wait. */
	char control[CMSG_SPACE(sizeof(int) * FDS_AT_ONCE)];
	bool is_header = conn->have < sizeof(conn->header);
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	size_t end = is_header ? sizeof(conn->header) :
				 sizeof(conn->header) + conn->header.size;
	ssize_t len;
	int err;

	iov.iov_base = is_header ? (char *)&conn->header + conn->have :
		(char *)&conn->payload + (conn->have - sizeof(conn->header));
	iov.iov_len = end - conn->have;
	len = recvmsg(conn->source.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!len)
		return -ECONNRESET;
	err = take_fds(conn, &msg);
	if (err)
		return err;
	conn->have += (size_t)len;
	if (conn->have < sizeof(conn->header))
		return 0;
	if (conn->header.size > sizeof(conn->payload))
		return -EMSGSIZE;
	conn->size = conn->header.size;
	return conn->have == sizeof(conn->header) + conn->size;
}

static void hang_up(struct vhx_device *dev)
{
	__atomic_store_n(&conn_of(dev)->is_dead, true, __ATOMIC_RELAXED);
	vhx_session_wake(dev->driver->session);
}

static bool has_fds(const struct conn *conn)
{
	unsigned int i;

	for (i = 0; i < conn->nr_fds && conn->fd[i] < 0; i++)
		;
	return i < conn->nr_fds;
}

static void on_message(struct vhx_source *source, u32 events)
{
	struct conn *conn = (struct conn *)((char *)source -
					    offsetof(struct conn, source));
	int ret;

	(void)events;
	if (__atomic_load_n(&conn->is_dead, __ATOMIC_RELAXED))
		return;
	ret = read_on(conn);
	/* The payload follows its header at once, mostly. */
	if (!ret && conn->have == sizeof(conn->header))
		ret = read_on(conn);
	if (ret > 0) {
		ret = vhx_message_run(conn);
		/* Those that nobody took are a peer's of which enough wait. */
		if (has_fds(conn) &&
		    vhx_account_is_behind(conn->dev.driver->account))
			ret = -ETOOMANYREFS;
		close_fds(conn);
		conn->have = 0;
		memset(&conn->payload, 0, sizeof(conn->payload));
	}
	if (ret < 0) {
		vhx_driver_log(conn->dev.driver,
			       ret == -ECONNRESET ? VHX_LOG_INFO : VHX_LOG_WARN,
			       "%s: disconnected: %s", conn->dev.name,
			       strerror(-ret));
		hang_up(&conn->dev);
	}
}

/* -- what the device asks of its transport ---------------------------------- */

static int ask_iotlb(struct vhx_device *dev, u64 iova, u8 perm)
{
	struct {
		struct wire_header header;
		struct vhost_iotlb_msg iotlb;
	} __attribute__((packed)) msg = {
		.header = {
			.request = BACKEND_IOTLB_MSG,
			.flags = FLAGS_VERSION,
			.size = sizeof(msg.iotlb),
		},
		.iotlb = {
			.iova = iova, .perm = perm, .type = VHOST_IOTLB_MISS,
		},
	};
	struct conn *conn = conn_of(dev);
	ssize_t len;

	pthread_mutex_lock(&conn->request_mutex);
	len = send(conn->request_fd, &msg, sizeof(msg),
		   MSG_DONTWAIT | MSG_NOSIGNAL);
	pthread_mutex_unlock(&conn->request_mutex);
	return len == sizeof(msg) ? 0 : -EAGAIN;
}

static void on_kick(struct vhx_source *source, u32 events)
{
	struct kick_source *kick = (struct kick_source *)source;

	(void)events;
	vhx_queue_kicked(kick->queue);
}

static int watch_kick(struct vhx_queue *queue, bool is_on)
{
	struct conn *conn = conn_of(queue->dev);
	struct kick_source *kick = &conn->kick[queue->index];
	struct vhx_session *session = conn->dev.driver->session;

	if (!is_on) {
		vhx_session_remove(session, &kick->source);
		return 0;
	}
	kick->source.fd = queue->kick;
	kick->source.ready = on_kick;
	kick->queue = queue;
	/* It is not read: who has it too could make that wait. */
	return vhx_session_add(session, &kick->source, EPOLLIN | EPOLLET);
}

static const struct vhx_transport_ops transport = {
	.ask_iotlb = ask_iotlb,
	.watch_kick = watch_kick,
	.hang_up = hang_up,
};

/**
 * vhx_vhost_user_connected - a front-end has come
 * @driver: where to
 * @fd: its socket, which is ours from here on
 *
 * Return: the connection, or NULL: no memory, or not wanted
 */
struct conn *vhx_vhost_user_connected(struct vhx_driver *driver, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int err;

	if (!conn)
		goto err_close;
	pthread_mutex_init(&conn->request_mutex, NULL);
	conn->request_fd = -1;
	conn->source.fd = fd;
	conn->source.ready = on_message;
	/* Queues begin disabled, as the protocol has it; see set_features(). */
	conn->dev.has_enable = true;
	err = vhx_device_init(&conn->dev, driver, &transport, driver->path);
	/* No front-end tells of the reset of one queue. */
	conn->dev.offered &= ~BIT_ULL(VIRTIO_F_RING_RESET);
	if (!err)
		err = vhx_session_add(driver->session, &conn->source, EPOLLIN);
	if (!err)
		return conn;
	vhx_driver_log(driver, VHX_LOG_WARN, "%s: refused: %s",
		       driver->path, strerror(-err));
	vhx_device_exit(&conn->dev);
	pthread_mutex_destroy(&conn->request_mutex);
	free(conn);
err_close:
	/* Files may wait in there. */
	vhx_account_close(driver->account, fd);
	return NULL;
}

/**
 * vhx_vhost_user_disconnect - end a connection and its device
 * @conn: the connection
 */
void vhx_vhost_user_disconnect(struct conn *conn)
{
	vhx_session_remove(conn->dev.driver->session, &conn->source);
	vhx_device_exit(&conn->dev);
	close_fds(conn);
	/* Files that wait in there go with it. */
	shutdown(conn->source.fd, SHUT_RDWR);
	vhx_account_close(conn->dev.driver->account, conn->source.fd);
	if (conn->request_fd >= 0)
		vhx_account_close(conn->dev.driver->account, conn->request_fd);
	pthread_mutex_destroy(&conn->request_mutex);
	free(conn);
}
