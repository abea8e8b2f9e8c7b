// SPDX-License-Identifier: GPL-2.0-only
/*
 * A watchdog of one thread: it notes calls that take long, and a second thread
 * finds those that do not return. That signals the first one, whose stack then says
 * where it is.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_watch.h"

#define LOOK_US	250000
/* Looks at a call until it is over: of a stopped program there are none. */
#define LOOKS_MAX	20

static struct {
	pthread_t thread;		/* that is watched */
	clockid_t clock;		/* its processor time */
	const char *call;		/* in work, or NULL */
	uint64_t count;			/* of calls */
	uint64_t began_us;
	uint64_t longest_us;
	const char *longest;
	bool was_late;
} watch;

static uint64_t time_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Processor time of the calling thread. */
uint64_t watch_time_us(void)
{
	return time_us(CLOCK_THREAD_CPUTIME_ID);
}

void watch_begin(const char *call)
{
	__atomic_store_n(&watch.began_us, watch_time_us(), __ATOMIC_RELAXED);
	__atomic_store_n(&watch.count, watch.count + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&watch.call, call, __ATOMIC_RELEASE);
}

void watch_end(void)
{
	uint64_t took = watch_time_us() - watch.began_us;
	const char *call = watch.call;

	__atomic_store_n(&watch.call, NULL, __ATOMIC_RELEASE);
	if (took > watch.longest_us) {
		watch.longest_us = took;
		watch.longest = call;
	}
	watch_late(call, took);
}

/* Notes and tells it, if it was. */
void watch_late(const char *what, uint64_t took_us)
{
	if (took_us <= WATCH_US)
		return;
	fprintf(stderr, "watchdog: %s took %llu ms of processor time\n", what,
		(unsigned long long)took_us / 1000);
	watch.was_late = true;
}

/* Return: whether something was, since this was asked last. */
bool watch_was_late(void)
{
	bool was_late = watch.was_late;

	watch.was_late = false;
	return was_late;
}

/* It dumps its stack and its input, unless it cannot even be signalled. */
static void end_thread(const char *call, const char *does)
{
	fprintf(stderr, "watchdog: %s %s\n", call, does);
	pthread_kill(watch.thread, SIGABRT);
	usleep(LOOK_US * LOOKS_MAX);
	abort();
}

static void *look(void *arg)
{
	uint64_t count = 0, now;
	unsigned int looks = 0;

	(void)arg;
	for (;; usleep(LOOK_US)) {
		const char *call = __atomic_load_n(&watch.call, __ATOMIC_ACQUIRE);
		uint64_t began = __atomic_load_n(&watch.began_us,
						 __ATOMIC_RELAXED);

		now = __atomic_load_n(&watch.count, __ATOMIC_RELAXED);
		if (!call || now != count) {
			count = now;
			looks = 0;
		} else if (++looks == LOOKS_MAX) {
			end_thread(call, time_us(watch.clock) - began > WATCH_US ?
				   "does not end" : "waits for something");
		}
	}
	return NULL;
}

static void tell_longest(void)
{
	fprintf(stderr, "watchdog: %llu calls; the longest took %llu us: %s\n",
		(unsigned long long)watch.count,
		(unsigned long long)watch.longest_us,
		watch.longest ? watch.longest : "none");
}

/* Watches the thread that calls this. */
void watch_start(void)
{
	pthread_t looker;

	watch.thread = pthread_self();
	CHECK(!pthread_getcpuclockid(watch.thread, &watch.clock));
	CHECK(!pthread_create(&looker, NULL, look, NULL));
	CHECK(!pthread_detach(looker));
	CHECK(!atexit(tell_longest));
}
