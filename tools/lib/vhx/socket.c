// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The socket of a vhost-user driver: we listen there, or we connect. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "vhost_user.h"

/* Front-ends of one socket. */
#define CONNS_MAX	1024
#define RECONNECT_MS	500

/**
 * struct server - what a driver has of its own
 * @driver: the driver
 * @listener: socket that we listen on
 * @timer: client: when to try again
 * @conns: front-ends that have come
 * @nr_conns: how many
 */
struct server {
	struct vhx_driver *driver;
	struct vhx_source listener;
	struct vhx_source timer;
	struct conn *conns;
	unsigned int nr_conns;
};

static void fill_address(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	/* vhx_driver_create() saw to it that there is room. */
	strcpy(address->sun_path, path);
}

static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Connects once. Return: a socket or an errno. */
static int connect_once(const char *path)
{
	struct sockaddr_un address;
	int fd = open_socket(), err;

	if (fd < 0)
		return fd;
	fill_address(&address, path);
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void add_conn(struct server *server, int fd)
{
	struct conn *conn = vhx_vhost_user_connected(server->driver, fd);

	if (!conn)
		return;
	conn->next = server->conns;
	server->conns = conn;
	server->nr_conns++;
	vhx_session_log(server->driver->session, VHX_LOG_INFO, "%s: connected",
			server->driver->path);
}

/* -- server ------------------------------------------------------------------ */

static void on_listener(struct vhx_source *source, u32 events)
{
	struct server *server = (struct server *)((char *)source -
			offsetof(struct server, listener));
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (server->nr_conns < CONNS_MAX) {
		add_conn(server, fd);
		return;
	}
	vhx_session_log(server->driver->session, VHX_LOG_WARN,
			"%s: refused: %u have come already",
			server->driver->path, CONNS_MAX);
	close(fd);
}

/* A socket that nobody listens on was left behind. */
static int remove_stale(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = connect_once(path);
	if (fd >= 0)
		close(fd);
	if (fd != -ECONNREFUSED)
		return fd == -ENOENT ? 0 : -EADDRINUSE;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

static int bind_listener(struct server *server)
{
	const char *path = server->driver->path;
	struct sockaddr_un address;
	int err, fd;

	err = remove_stale(path);
	if (err)
		return err;
	fd = open_socket();
	if (fd < 0)
		return fd;
	fill_address(&address, path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		close(fd);
		return err;
	}
	server->listener.fd = fd;
	server->listener.ready = on_listener;
	return 0;
}

/* -- client ------------------------------------------------------------------ */

static void set_timer(struct server *server)
{
	const struct itimerspec when = {
		.it_value.tv_nsec = RECONNECT_MS * 1000000L,
	};

	timerfd_settime(server->timer.fd, 0, &when, NULL);
}

static void try_connect(struct server *server)
{
	int fd = connect_once(server->driver->path);

	if (fd >= 0)
		add_conn(server, fd);
	else if (!(server->driver->flags & VHX_DRIVER_NO_RECONNECT))
		set_timer(server);
	else
		vhx_session_log(server->driver->session, VHX_LOG_ERR,
				"%s: cannot connect: %s", server->driver->path,
				strerror(-fd));
}

static void on_timer(struct vhx_source *source, u32 events)
{
	struct server *server = (struct server *)((char *)source -
			offsetof(struct server, timer));
	u64 count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) == sizeof(count) &&
	    !server->conns)
		try_connect(server);
}

static int make_timer(struct server *server)
{
	server->timer.fd = timerfd_create(CLOCK_MONOTONIC,
					  TFD_CLOEXEC | TFD_NONBLOCK);
	server->timer.ready = on_timer;
	return server->timer.fd < 0 ? -errno : 0;
}

/* -- both -------------------------------------------------------------------- */

static bool is_client(const struct vhx_driver *driver)
{
	return driver->flags & VHX_DRIVER_CLIENT;
}

/**
 * vhx_vhost_user_register - make what a new driver needs
 * @driver: the driver; to be unregistered if this fails
 *
 * Return: 0, -ENOMEM, -EADDRINUSE, or an errno of a system call
 */
int vhx_vhost_user_register(struct vhx_driver *driver)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->driver = driver;
	server->listener.fd = -1;
	server->timer.fd = -1;
	driver->server = server;
	return is_client(driver) ? make_timer(server) : bind_listener(server);
}

static int start(struct vhx_driver *driver)
{
	struct server *server = driver->server;
	int err;

	if (is_client(driver)) {
		err = vhx_session_add(driver->session, &server->timer, EPOLLIN);
		/* On the session's thread, as callbacks are. */
		if (!err)
			timerfd_settime(server->timer.fd, 0,
					&(struct itimerspec){
						.it_value.tv_nsec = 1,
					}, NULL);
		return err;
	}
	if (listen(server->listener.fd, 16))
		return -errno;
	return vhx_session_add(driver->session, &server->listener, EPOLLIN);
}

static void reap(struct vhx_driver *driver)
{
	struct server *server = driver->server;
	struct conn **at = &server->conns, *conn;

	while ((conn = *at)) {
		if (!conn->is_dead && vhx_device_is_cut(&conn->dev)) {
			vhx_session_log(driver->session, VHX_LOG_WARN,
					"%s: guest memory was cut off",
					conn->dev.name);
			conn->is_dead = true;
		}
		if (!conn->is_dead) {
			at = &conn->next;
			continue;
		}
		*at = conn->next;
		server->nr_conns--;
		vhx_vhost_user_disconnect(conn);
		if (is_client(driver) &&
		    !(driver->flags & VHX_DRIVER_NO_RECONNECT))
			set_timer(server);
	}
}

static void close_source(struct vhx_session *session, struct vhx_source *source)
{
	if (source->fd < 0)
		return;
	vhx_session_remove(session, source);
	close(source->fd);
}

static void close_driver(struct vhx_driver *driver)
{
	struct server *server = driver->server;
	struct conn *conn;

	if (!server)
		return;
	if (server->listener.fd >= 0)
		unlink(driver->path);
	close_source(driver->session, &server->listener);
	close_source(driver->session, &server->timer);
	while ((conn = server->conns)) {
		server->conns = conn->next;
		vhx_vhost_user_disconnect(conn);
	}
	free(server);
}

const struct vhx_driver_ops vhx_vhost_user_serve = {
	.start = start,
	.reap = reap,
	.close = close_driver,
};
