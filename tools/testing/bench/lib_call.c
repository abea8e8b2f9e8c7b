// SPDX-License-Identifier: GPL-2.0-only
/* What a call to the guest costs libvhx, beside a write(), which may wait. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/vhx/signal.h"
#include "median.h"

#define CALLS	20000
#define ROUNDS	21

enum way { WRITE, URING, AIO, WAYS };

static struct vhx_signals signals;
static struct vhx_uring uring = { .fd = -1 };

static void call(enum way way, int fd)
{
	const uint64_t one = 1;

	if (way == AIO)
		vhx_signal(&signals, fd);
	else if (way == WRITE ? write(fd, &one, sizeof(one)) != sizeof(one) :
				!vhx_uring_signal(&uring, fd))
		abort();
}

/* Nanoseconds of processor time. */
static double measure(enum way way, int fd)
{
	struct timespec from, to;
	uint64_t calls;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (int i = 0; i < CALLS; i++)
		call(way, fd);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	if (read(fd, &calls, sizeof(calls)) != sizeof(calls) || calls != CALLS)
		abort();
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 +
		(double)(to.tv_nsec - from.tv_nsec)) / CALLS;
}

/* By turns; medians. */
void calls_report(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	double ns[WAYS][ROUNDS], at[WAYS];
	uint64_t calls;

	vhx_signal_open(&signals);
	if (fd < 0 || !signals.aio || !vhx_uring_signal(&uring, fd) ||
	    read(fd, &calls, sizeof(calls)) != sizeof(calls)) {
		printf("a call: no io_uring or no aio here\n");
		return;
	}
	for (int round = 0; round < ROUNDS; round++)
		for (enum way way = WRITE; way < WAYS; way++)
			ns[way][round] = measure(way, fd);
	for (enum way way = WRITE; way < WAYS; way++)
		at[way] = median(ns[way], ROUNDS);
	printf("a call, ns: write() %.0f, io_uring %.0f (%.2f), io_submit() %.0f (%.2f)\n",
	       at[WRITE], at[URING], at[URING] / at[WRITE], at[AIO],
	       at[AIO] / at[WRITE]);
}
