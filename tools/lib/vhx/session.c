// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The event loop. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "driver.h"
#include "session.h"

/* Events before others who wait for the session get their turn. */
#define TURN_EVENTS	64

static void on_wake(struct vhx_source *source, u32 events)
{
	u64 count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) != sizeof(count))
		return;
}

int vhx_session_create(struct vhx_session **result)
{
	struct vhx_session *session = calloc(1, sizeof(*session));
	pthread_mutexattr_t attr;
	int err;

	if (!session)
		return -ENOMEM;
	/* A callback may register and start drivers. */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&session->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	session->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (session->epoll < 0)
		goto err_free;
	session->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->wake < 0)
		goto err_close_epoll;
	session->wake_source.fd = session->wake;
	session->wake_source.ready = on_wake;
	if (vhx_session_add(session, &session->wake_source, EPOLLIN))
		goto err_close_wake;
	vhx_signal_open(&session->signals);
	*result = session;
	return 0;

err_close_wake:
	err = errno;
	close(session->wake);
	errno = err;
err_close_epoll:
	err = errno;
	close(session->epoll);
	errno = err;
err_free:
	err = -errno;
	free(session);
	return err;
}

void vhx_session_destroy(struct vhx_session *session)
{
	if (!session)
		return;
	vhx_session_stop(session);
	while (session->drivers)
		vhx_driver_unregister(session->drivers);
	vhx_signal_close(&session->signals);
	close(session->wake);
	close(session->epoll);
	pthread_mutex_destroy(&session->mutex);
	free(session);
}

void vhx_session_set_log(struct vhx_session *session, vhx_log_fn log, void *arg)
{
	session->log = log;
	session->log_arg = arg;
}

/**
 * vhx_session_add - poll a descriptor
 * @session: the session
 * @source: the descriptor, and what to call
 * @events: EPOLLIN, EPOLLOUT
 *
 * Return: 0, or an errno of epoll_ctl()
 */
int vhx_session_add(struct vhx_session *session, struct vhx_source *source,
		    u32 events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(session->epoll, EPOLL_CTL_ADD, source->fd, &event) ?
		-errno : 0;
}

/**
 * vhx_session_remove - poll it no more
 * @session: the session
 * @source: a source that was added
 */
void vhx_session_remove(struct vhx_session *session, struct vhx_source *source)
{
	epoll_ctl(session->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

/**
 * vhx_session_wake - have the session look for devices to end
 * @session: the session
 *
 * Context: any
 */
void vhx_session_wake(struct vhx_session *session)
{
	const u64 one = 1;

	if (write(session->wake, &one, sizeof(one)) != sizeof(one))
		return;
}

int vhx_session_fd(const struct vhx_session *session)
{
	return session->epoll;
}

/* One event at a time: it may free the source of the next. */
static int dispatch(struct vhx_session *session)
{
	struct epoll_event event;
	struct vhx_driver *driver, *gone;
	int nr = 0;

	pthread_mutex_lock(&session->mutex);
	session->is_busy = true;
	/* What a callback unregistered goes before the next event. */
	while (nr < TURN_EVENTS && !session->has_leaving &&
	       epoll_wait(session->epoll, &event, 1, 0) == 1) {
		struct vhx_source *source = event.data.ptr;

		source->ready(source, event.events);
		nr++;
		for (driver = session->drivers; driver; driver = driver->next)
			/* What is not may be in the making, on another thread. */
			if (driver->is_started)
				driver->serve->reap(driver);
	}
	gone = vhx_driver_let_go(session);
	pthread_mutex_unlock(&session->mutex);
	vhx_driver_free(gone);
	return nr;
}

static int wait_and_dispatch(struct vhx_session *session, int timeout_ms)
{
	struct pollfd pfd = { .fd = session->epoll, .events = POLLIN };
	int ret;

	ret = poll(&pfd, 1, timeout_ms);
	if (ret <= 0)
		return ret && errno != EINTR ? -errno : 0;
	return dispatch(session);
}

int vhx_session_run(struct vhx_session *session, int timeout_ms)
{
	return session->has_thread ? -EBUSY :
		wait_and_dispatch(session, timeout_ms);
}

static void *run_thread(void *arg)
{
	struct vhx_session *session = arg;

	while (!__atomic_load_n(&session->is_ending, __ATOMIC_ACQUIRE))
		wait_and_dispatch(session, -1);
	return NULL;
}

int vhx_session_start(struct vhx_session *session)
{
	sigset_t all, old;
	int err;

	if (session->has_thread)
		return -EBUSY;
	session->is_ending = false;
	/* Signals are the program's, and so are its threads for them. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&session->thread, NULL, run_thread, session);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	session->has_thread = !err;
	return -err;
}

void vhx_session_stop(struct vhx_session *session)
{
	if (!session->has_thread)
		return;
	__atomic_store_n(&session->is_ending, true, __ATOMIC_RELEASE);
	vhx_session_wake(session);
	pthread_join(session->thread, NULL);
	session->has_thread = false;
}
