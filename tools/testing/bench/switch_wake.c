// SPDX-License-Identifier: GPL-2.0-only
/* How long this machine takes to wake a thread on another core by an eventfd. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "switch_bench.h"

#define WAKES	500
#define REST_NS	1000000

struct sleeper {
	int fd;
	unsigned int nr;	/* of wake-ups */
	uint64_t at;		/* of the last, in cycles */
};

static void *sleep_and_wake(void *arg)
{
	const struct sched_param param = { .sched_priority = 1 };
	struct sleeper *s = arg;
	struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(SWITCH_CPU, &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setscheduler(0, SCHED_FIFO, &param);
	while (s->nr < WAKES) {
		poll(&pfd, 1, -1);
		s->at = cycles();
		event_read(s->fd);
		__atomic_store_n(&s->nr, s->nr + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/**
 * wake_up_time - time from the write to an eventfd until who polls it runs
 * @time: result, in cycles, the median
 *
 * Return: 0 or -errno
 */
int wake_up_time(uint64_t *time)
{
	struct sleeper s = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	static uint64_t took[WAKES];
	const uint64_t one = 1;
	pthread_t thread;
	uint64_t from;
	int err;

	if (s.fd < 0)
		return -errno;
	err = pthread_create(&thread, NULL, sleep_and_wake, &s);
	if (err)
		return -err;
	for (unsigned int i = 0; i < WAKES; i++) {
		sleep_until(clock_ns() + REST_NS);
		from = cycles();
		if (write(s.fd, &one, sizeof(one)) != sizeof(one))
			return -errno;
		while (__atomic_load_n(&s.nr, __ATOMIC_ACQUIRE) == i)
			;
		took[i] = s.at - from;
	}
	pthread_join(thread, NULL);
	close(s.fd);
	qsort(took, WAKES, sizeof(*took), by_value);
	*time = took[WAKES / 2];
	return 0;
}
