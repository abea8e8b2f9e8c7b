// SPDX-License-Identifier: GPL-2.0-only
/* A device that sends back what its guest sends, in a process of its own. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vhx/cuse.h>

#include "echo.h"

#define BURST	32
#define NODE_MS	5000

struct server {
	struct vhx_device *dev;
	int said;
	bool refuses;
	unsigned int first, nr;		/* frames that the guest had no room for */
	struct vhx_pkt pkt[BURST];
	struct vhx_pkt *burst[BURST];
};

static uint8_t frames[BURST][VHX_FRAME_LEN_MAX];

/* -- the process ------------------------------------------------------------ */

static void say(const struct server *server, const char *what, const char *arg)
{
	char line[320];
	int len = snprintf(line, sizeof(line), "%s %s\n", what, arg);

	if (write(server->said, line, len) != len)
		_exit(1);
}

static void on_log(enum vhx_log_level level, const char *message, void *arg)
{
	(void)level;
	say(arg, "log", message);
}

static int new_device(struct vhx_device *dev, void *arg)
{
	struct server *server = arg;
	char line[64];

	snprintf(line, sizeof(line), "%s %#llx", vhx_device_ifname(dev),
		 (unsigned long long)vhx_device_features(dev));
	say(server, server->refuses ? "refused" : "new", line);
	if (server->refuses)
		return -EBUSY;
	server->dev = dev;
	return 0;
}

static void destroy_device(struct vhx_device *dev, void *arg)
{
	struct server *server = arg;

	say(server, "destroy", vhx_device_ifname(dev));
	server->dev = NULL;
	server->first = 0;
	server->nr = 0;
}

static void disconnected(struct vhx_device *dev, void *arg)
{
	say(arg, "gone", vhx_device_ifname(dev));
}

static const struct vhx_device_ops ops = {
	.size = sizeof(struct vhx_device_ops),
	.new_device = new_device,
	.destroy_device = destroy_device,
	.disconnected = disconnected,
};

/*
 * Buffers that are there and cannot be had wait for the IOTLB, and so for the
 * session: a kick comes when it has its answer.
 *
 * Return: whether all frames that were held are with the guest
 */
static bool give_back(struct server *server)
{
	bool is_armed = false;
	unsigned int sent;

	while (server->first < server->nr) {
		sent = vhx_enqueue_burst(server->dev, 0,
					 server->burst + server->first,
					 server->nr - server->first);
		if (!sent && (is_armed ||
			      vhx_queue_notification(server->dev, 0, true) <= 0))
			return false;
		is_armed = !sent;
		server->first += sent;
	}
	server->first = 0;
	server->nr = 0;
	return true;
}

static void send_back(struct server *server)
{
	bool is_armed = false;
	unsigned int i;

	while (give_back(server)) {
		for (i = 0; i < BURST; i++) {
			server->pkt[i].data = frames[i];
			server->pkt[i].room = VHX_FRAME_LEN_MAX;
			server->burst[i] = &server->pkt[i];
		}
		server->nr = vhx_dequeue_burst(server->dev, 1, server->burst,
					       BURST);
		if (!server->nr &&
		    (is_armed ||
		     vhx_queue_notification(server->dev, 1, true) <= 0))
			return;
		is_armed = !server->nr;
	}
}

/* Of the receiveq when it is waited for: other kicks stay in it. */
static int kick_fd(const struct server *server, unsigned int queue)
{
	return server->dev && (queue || server->nr) ?
		vhx_queue_kick_fd(server->dev, queue) : -1;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (!vhx_sigbus(info))
		_exit(1);
}

static int serve(struct server *server, const char *name, int end)
{
	const struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};
	struct vhx_session *session;
	struct vhx_driver *driver;
	int err;

	sigaction(SIGBUS, &action, NULL);
	err = vhx_session_create(&session);
	if (err)
		return err;
	vhx_session_set_log(session, on_log, server);
	err = vhx_cuse_register(session, name, &driver);
	if (!err) {
		vhx_driver_set_ops(driver, &ops, server);
		vhx_driver_set_features(driver,
					vhx_driver_supported_features());
		err = vhx_driver_start(driver);
	}
	while (err >= 0) {
		struct pollfd pfd[] = {
			{ vhx_session_fd(session), POLLIN, 0 },
			{ end, POLLIN, 0 },
			{ kick_fd(server, 0), POLLIN, 0 },
			{ kick_fd(server, 1), POLLIN, 0 },
		};

		if (poll(pfd, 4, -1) < 0 || pfd[1].revents)
			break;
		err = vhx_session_run(session, 0);
		if (server->dev)
			send_back(server);
	}
	vhx_session_destroy(session);
	return err < 0 ? err : 0;
}

/* -- whoever started it ----------------------------------------------------- */

static int64_t left_ms(int64_t until)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = until - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
	return ms < 0 ? 0 : ms;
}

static int64_t in_ms(int ms)
{
	return INT64_MAX - left_ms(INT64_MAX) + ms;
}

static bool has_ended(const struct echo *echo)
{
	return strstr(echo->text, "ended ");
}

/* Return: 0 when the node is there, or when the process has ended without. */
static int wait_node(struct echo *echo, int watch)
{
	int64_t until = in_ms(NODE_MS);
	char buf[4096];

	while (access(echo->node, F_OK) && !has_ended(echo)) {
		struct pollfd pfd[] = {
			{ watch, POLLIN, 0 }, { echo->said, POLLIN, 0 },
		};

		if (poll(pfd, 2, left_ms(until)) <= 0)
			return -ETIMEDOUT;
		if (pfd[0].revents && read(watch, buf, sizeof(buf)) < 0)
			return -errno;
		if (pfd[1].revents)
			echo_hear(echo, "ended ", 0);
	}
	return has_ended(echo) ? -ENODEV : 0;
}

static void run_server(const char *name, int said, int end, bool refuses)
{
	struct server server = { .said = said, .refuses = refuses };
	char status[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(status, sizeof(status), "%d", serve(&server, name, end));
	say(&server, "ended", status);
	_exit(0);
}

/* Return: 0 when its node is there; -ENODEV: see what it said; or an errno. */
int echo_start(struct echo *echo, const char *name, bool refuses)
{
	int said[2], watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), err;

	memset(echo, 0, sizeof(*echo));
	snprintf(echo->node, sizeof(echo->node), "/dev/%s", name);
	if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE) < 0 ||
	    pipe(said) || pipe(echo->end))
		return -errno;
	echo->pid = fork();
	if (echo->pid < 0)
		return -errno;
	if (!echo->pid) {
		close(echo->end[1]);
		run_server(name, said[1], echo->end[0], refuses);
	}
	close(said[1]);
	close(echo->end[0]);
	echo->said = said[0];
	err = wait_node(echo, watch);
	close(watch);
	return err;
}

/* Return: what vhx_session_destroy() left behind: 0, or an errno. */
int echo_stop(struct echo *echo)
{
	int status = -ETIMEDOUT;
	const char *at;

	if (!echo->pid)
		return 0;
	close(echo->end[1]);
	if (!echo_hear(echo, "ended ", NODE_MS)) {
		at = strstr(echo->text, "ended ");
		status = atoi(at + strlen("ended "));
	} else {
		kill(echo->pid, SIGKILL);
	}
	waitpid(echo->pid, NULL, 0);
	close(echo->said);
	echo->pid = 0;
	return status;
}

/* Waits until it has said @what. Return: 0, -ETIMEDOUT, -ENOSPC, -EPIPE. */
int echo_hear(struct echo *echo, const char *what, int ms)
{
	struct pollfd pfd = { echo->said, POLLIN, 0 };
	int64_t until = in_ms(ms);
	ssize_t len;

	while (!strstr(echo->text, what)) {
		if (poll(&pfd, 1, left_ms(until)) <= 0)
			return -ETIMEDOUT;
		if (echo->len == sizeof(echo->text) - 1)
			return -ENOSPC;
		len = read(echo->said, echo->text + echo->len,
			   sizeof(echo->text) - 1 - echo->len);
		if (len <= 0)
			return -EPIPE;
		echo->len += len;
		echo->text[echo->len] = 0;
	}
	return 0;
}

/* Forgets what was heard. */
void echo_forget(struct echo *echo)
{
	echo->len = 0;
	echo->text[0] = 0;
}
