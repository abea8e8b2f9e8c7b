// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The socket of a vhost-user driver: we listen there, or we connect. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket.h"
#include "vhost_user.h"

/* A client tries again, and a server that could not take a peer. */
#define RETRY_MS	500
#define BACKLOG		16

/**
 * struct server - what a driver has of its own
 * @driver: the driver
 * @listener: socket that we listen on
 * @timer: when to try again
 * @conns: front-ends that have come
 * @nr_conns: how many
 * @is_timed: @timer runs
 * @has_tried: client: to connect
 * @is_deaf: server: @listener is not polled until @timer
 * @why_deaf: server: as it was told last
 * @is_behind: server: that is for files of earlier peers
 * @is_given: server: @listener was made by somebody else
 */
struct server {
	struct vhx_driver *driver;
	struct vhx_source listener;
	struct vhx_source timer;
	struct conn *conns;
	unsigned int nr_conns;
	bool is_timed;
	bool has_tried;
	bool is_deaf;
	const char *why_deaf;
	bool is_behind;
	bool is_given;
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

static bool is_client(const struct vhx_driver *driver)
{
	return driver->flags & VHX_DRIVER_CLIENT;
}

/* Once more in a while, unless it is to come anyway. */
static void set_timer(struct server *server, long ms)
{
	const struct itimerspec when = {
		.it_value.tv_sec = ms / 1000,
		.it_value.tv_nsec = ms % 1000 * 1000000L + 1,
	};

	if (server->is_timed)
		return;
	server->is_timed = true;
	timerfd_settime(server->timer.fd, 0, &when, NULL);
}

/* Those that take a place and do not use it are hung up on. */
static void end_idle(struct server *server)
{
	const struct vhx_driver *driver = server->driver;
	struct conn *conn = server->conns;
	bool is_one_left = false;

	for (; conn && driver->setup_ms; conn = conn->next) {
		if (conn->dev.was_live)
			continue;
		if (vhx_now_ms() - conn->since_ms > driver->setup_ms) {
			vhx_driver_log(server->driver, VHX_LOG_WARN,
				       "%s: a peer set up no device in %u ms",
				       driver->path, driver->setup_ms);
			vhx_device_disconnect(&conn->dev);
		} else {
			is_one_left = true;
		}
	}
	if (is_one_left)
		set_timer(server, RETRY_MS);
}

/* Return: whether it stays. */
static bool add_conn(struct server *server, int fd)
{
	struct conn *conn = vhx_vhost_user_connected(server->driver, fd);

	if (!conn)
		return false;
	conn->since_ms = vhx_now_ms();
	if (server->driver->setup_ms)
		set_timer(server, RETRY_MS);
	conn->next = server->conns;
	server->conns = conn;
	server->nr_conns++;
	vhx_driver_log(server->driver, VHX_LOG_INFO, "%s: connected",
		       server->driver->path);
	return true;
}

/* -- server ------------------------------------------------------------------ */

/* Peers wait in the backlog: those that have come may go, or let go of files. */
static void stop_listening(struct server *server, const char *why)
{
	if (server->why_deaf != why)
		vhx_driver_log(server->driver, VHX_LOG_WARN,
			       "%s: peers have to wait: %s",
			       server->driver->path, why);
	server->why_deaf = why;
	vhx_session_remove(server->driver->session, &server->listener);
	server->is_deaf = true;
	set_timer(server, RETRY_MS);
}

static void on_listener(struct vhx_source *source, u32 events)
{
	struct server *server = (struct server *)((char *)source -
			offsetof(struct server, listener));
	int fd;

	(void)events;
	if (vhx_account_is_behind(server->driver->account)) {
		stop_listening(server, "files of earlier ones are not closed yet");
		server->is_behind = true;
		return;
	}
	fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			stop_listening(server, "no descriptors, or no memory");
		return;
	}
	server->why_deaf = NULL;
	if (server->nr_conns < server->driver->max_peers) {
		add_conn(server, fd);
		return;
	}
	vhx_driver_log(server->driver, VHX_LOG_WARN,
		       "%s: refused: %u have come already",
		       server->driver->path, server->nr_conns);
	/* Files may wait in there. */
	vhx_account_close(server->driver->account, fd);
}

static void listen_again(struct server *server)
{
	server->is_deaf = false;
	server->is_behind = false;
	if (vhx_session_add(server->driver->session, &server->listener, EPOLLIN))
		stop_listening(server, "it cannot be polled");
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
	/* Who asks whether somebody listens here hears of us from now on. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	server->listener.fd = fd;
	server->listener.ready = on_listener;
	return 0;
}

/* -- client ------------------------------------------------------------------ */

static void try_connect(struct server *server)
{
	int fd;

	if (server->has_tried && server->driver->flags & VHX_DRIVER_NO_RECONNECT)
		return;
	server->has_tried = true;
	fd = connect_once(server->driver->path);
	if (fd >= 0 && add_conn(server, fd))
		return;
	if (!(server->driver->flags & VHX_DRIVER_NO_RECONNECT))
		set_timer(server, RETRY_MS);
	else if (fd < 0)
		vhx_driver_log(server->driver, VHX_LOG_ERR,
			       "%s: cannot connect: %s", server->driver->path,
			       strerror(-fd));
}

static void on_timer(struct vhx_source *source, u32 events)
{
	struct server *server = (struct server *)((char *)source -
			offsetof(struct server, timer));
	u64 count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) != sizeof(count))
		return;
	server->is_timed = false;
	end_idle(server);
	if (server->is_deaf)
		listen_again(server);
	else if (is_client(server->driver) && !server->conns)
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

/**
 * vhx_vhost_user_register - make what a new driver needs
 * @driver: the driver; to be unregistered if this fails
 * @fd: a socket that listens, ours if this succeeds; -1: make one at the path
 *
 * Return: 0, -ENOMEM, -EADDRINUSE, or an errno of a system call
 */
int vhx_vhost_user_register(struct vhx_driver *driver, int fd)
{
	struct server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	server->driver = driver;
	server->listener.fd = -1;
	server->timer.fd = -1;
	driver->server = server;
	err = make_timer(server);
	if (err || is_client(driver))
		return err;
	if (fd < 0)
		return bind_listener(server);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return -errno;
	server->listener.fd = fd;
	server->listener.ready = on_listener;
	server->is_given = true;
	return 0;
}

static int start(struct vhx_driver *driver)
{
	struct server *server = driver->server;
	int err;

	err = vhx_session_add(driver->session, &server->timer, EPOLLIN);
	if (err)
		return err;
	/* On the session's thread, as callbacks are. */
	if (is_client(driver)) {
		set_timer(server, 0);
		return 0;
	}
	err = vhx_session_add(driver->session, &server->listener, EPOLLIN);
	if (err)
		vhx_session_remove(driver->session, &server->timer);
	return err;
}

static void reap(struct vhx_driver *driver)
{
	struct server *server = driver->server;
	struct conn **at = &server->conns, *conn;
	bool is_dead;

	if (server->is_behind && !vhx_account_is_behind(driver->account))
		listen_again(server);
	while ((conn = *at)) {
		vhx_device_tell_news(&conn->dev);
		is_dead = __atomic_load_n(&conn->is_dead, __ATOMIC_RELAXED);
		if (!is_dead && !vhx_device_is_cut(&conn->dev)) {
			at = &conn->next;
			continue;
		}
		if (!is_dead)
			vhx_driver_log(driver, VHX_LOG_WARN,
				       "%s: guest memory was cut off",
				       conn->dev.name);
		*at = conn->next;
		server->nr_conns--;
		vhx_vhost_user_disconnect(conn);
		if (is_client(driver) &&
		    !(driver->flags & VHX_DRIVER_NO_RECONNECT))
			set_timer(server, RETRY_MS);
	}
}

static void close_source(struct vhx_session *session, struct vhx_source *source,
			 struct vhx_account *account)
{
	if (source->fd < 0)
		return;
	vhx_session_remove(session, source);
	vhx_account_close(account, source->fd);
}

static void close_driver(struct vhx_driver *driver)
{
	struct server *server = driver->server;
	struct conn *conn;

	if (!server)
		return;
	if (server->listener.fd >= 0 && !server->is_given)
		unlink(driver->path);
	close_source(driver->session, &server->listener, driver->account);
	close_source(driver->session, &server->timer, driver->account);
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
