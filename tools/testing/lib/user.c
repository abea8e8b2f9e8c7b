// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's user in tests. Events: c connected, n new_device, d
 * destroy_device, + and - a queue that came and went, f features_changed, a
 * announced, b vring_broken, x disconnected.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user.h"

#define DEADLINE_S	10

static void note(struct user *b, char event)
{
	pthread_mutex_lock(&b->mutex);
	/* Of too many, the last is the one that counts. */
	if (b->nr_events == EVENTS_MAX - 1)
		b->nr_events--;
	b->events[b->nr_events++] = event;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->mutex);
}

static int connected(struct vhx_device *dev, void *arg)
{
	(void)dev;
	note(arg, 'c');
	return 0;
}

static int new_device(struct vhx_device *dev, void *arg)
{
	struct user *b = arg;

	if (b->refuses)
		return -EPERM;
	pthread_mutex_lock(&b->mutex);
	b->dev = dev;
	pthread_mutex_unlock(&b->mutex);
	note(b, 'n');
	return 0;
}

static void destroy_device(struct vhx_device *dev, void *arg)
{
	struct user *b = arg;

	(void)dev;
	pthread_mutex_lock(&b->mutex);
	b->dev = NULL;
	pthread_mutex_unlock(&b->mutex);
	note(b, 'd');
}

static void vring_state_changed(struct vhx_device *dev, unsigned int queue,
				bool is_enabled, void *arg)
{
	struct user *b = arg;

	if (is_enabled && b->came)
		b->came(dev, queue, b->came_arg);
	pthread_mutex_lock(&b->mutex);
	b->queues &= ~(1u << queue);
	b->queues |= (unsigned int)is_enabled << queue;
	pthread_mutex_unlock(&b->mutex);
	note(b, is_enabled ? '+' : '-');
}

static void vring_broken(struct vhx_device *dev, unsigned int queue,
			 const char *why, void *arg)
{
	(void)dev;
	(void)queue;
	(void)why;
	note(arg, 'b');
}

static void features_changed(struct vhx_device *dev, uint64_t features,
			     void *arg)
{
	(void)dev;
	(void)features;
	note(arg, 'f');
}

static void announced(struct vhx_device *dev, const uint8_t *mac, void *arg)
{
	struct user *b = arg;

	(void)dev;
	memcpy(b->mac, mac, sizeof(b->mac));
	__atomic_add_fetch(&b->nr_announced, 1, __ATOMIC_RELAXED);
	note(b, 'a');
}

static void disconnected(struct vhx_device *dev, void *arg)
{
	(void)dev;
	note(arg, 'x');
}

static const struct vhx_device_ops ops = {
	.size = sizeof(struct vhx_device_ops),
	.connected = connected,
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.vring_broken = vring_broken,
	.features_changed = features_changed,
	.announced = announced,
	.disconnected = disconnected,
};

static void log_line(enum vhx_log_level level, const char *message, void *arg)
{
	struct user *b = arg;

	if (level > VHX_LOG_WARN)
		return;
	snprintf(b->warned, sizeof(b->warned), "%s", message);
	__atomic_add_fetch(&b->nr_errors, 1, __ATOMIC_RELAXED);
	if (b->asks_depth && b->dev)
		vhx_queue_depth(b->dev, 1);
	fprintf(stderr, "# log: %s\n", message);
}

/* A session and a driver that was not started. */
int user_open(struct user *b, unsigned int pairs, uint64_t without)
{
	static unsigned int count;
	int err;

	memset(b, 0, sizeof(*b));
	pthread_mutex_init(&b->mutex, NULL);
	pthread_cond_init(&b->changed, NULL);
	snprintf(b->path, sizeof(b->path), "/tmp/vhx-test-%d-%u", getpid(),
		 count++);
	err = vhx_session_create(&b->session);
	if (err)
		return err;
	vhx_session_set_log(b->session, log_line, b);
	err = vhx_driver_register(b->session, b->path, 0, &b->driver);
	if (err)
		return err;
	vhx_driver_set_ops(b->driver, &ops, b);
	err = vhx_driver_set_queue_pairs(b->driver, pairs);
	return err ? err : vhx_driver_disable_features(b->driver, without);
}

/* On a thread of the session's. */
int user_start(struct user *b)
{
	int err = vhx_driver_start(b->driver);

	return err ? err : vhx_session_start(b->session);
}

void user_close(struct user *b)
{
	vhx_session_destroy(b->session);
}

/* Return: 0, -ETIMEDOUT */
static int wait_until(struct user *b,
		      bool (*is_so)(const struct user *b, unsigned int arg),
		      unsigned int arg)
{
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += DEADLINE_S;
	pthread_mutex_lock(&b->mutex);
	while (!is_so(b, arg) && !err)
		err = pthread_cond_timedwait(&b->changed, &b->mutex, &end);
	pthread_mutex_unlock(&b->mutex);
	return -err;
}

static bool has_queues(const struct user *b, unsigned int queues)
{
	return b->dev && (b->queues & queues) == queues;
}

static bool is_gone(const struct user *b, unsigned int arg)
{
	(void)arg;
	return !b->dev && b->nr_events && b->events[b->nr_events - 1] == 'x';
}

static bool has_event(const struct user *b, unsigned int event)
{
	return memchr(b->events, (int)event, b->nr_events);
}

/*
 * The device, if it is live. What was done with it before is done when
 * destroy_device() comes, which takes the same mutex.
 */
struct vhx_device *user_dev(struct user *b)
{
	struct vhx_device *dev;

	pthread_mutex_lock(&b->mutex);
	dev = b->dev;
	pthread_mutex_unlock(&b->mutex);
	return dev;
}

/* Until these queues of a live device run. */
int user_wait(struct user *b, unsigned int queues)
{
	return wait_until(b, has_queues, queues);
}

int user_wait_gone(struct user *b)
{
	return wait_until(b, is_gone, 0);
}

/* What the next client does is told anew. */
void user_forget(struct user *b)
{
	pthread_mutex_lock(&b->mutex);
	b->nr_events = 0;
	memset(b->events, 0, sizeof(b->events));
	pthread_mutex_unlock(&b->mutex);
}

int user_wait_event(struct user *b, char event)
{
	return wait_until(b, has_event, (unsigned char)event);
}
