// SPDX-License-Identifier: GPL-2.0-only
/* How libvhx signals eventfds, when several of its user's threads do. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <kselftest_harness.h>

#include "../../lib/vhx/signal.h"

static unsigned int nr_refused, nr_looked;

/* The library's io_submit() finds the queue full, and others take what was there. */
long syscall(long number, ...)
{
	long (*next)(long number, ...) = dlsym(RTLD_NEXT, "syscall");
	long arg[5];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 5; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_io_submit && nr_refused) {
		nr_refused--;
		errno = EAGAIN;
		return -1;
	}
	nr_looked += number == SYS_io_getevents;
	return next(number, arg[0], arg[1], arg[2], arg[3], arg[4]);
}

FIXTURE(signal) {
	struct vhx_signals signals;
	int fd;
};

FIXTURE_SETUP(signal)
{
	vhx_signal_open(&self->signals);
	self->fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
	if (!self->signals.aio)
		SKIP(return, "no aio: see /proc/sys/fs/aio-max-nr");
}

FIXTURE_TEARDOWN(signal)
{
	vhx_signal_close(&self->signals);
	close(self->fd);
}

/* A write to this one waits for a reader, who does not come. */
TEST_F_TIMEOUT(signal, queue_that_others_emptied_is_not_written_ok, 10)
{
	ASSERT_EQ(0, eventfd_write(self->fd, ~1ULL));
	nr_refused = 3;
	vhx_signal(&self->signals, self->fd);
	EXPECT_EQ(0, nr_refused);
	EXPECT_EQ(3, nr_looked);
}

/* Where the kernel does not take it at all, it is written. */
TEST_F_TIMEOUT(signal, queue_that_stays_full_is_written_ok, 10)
{
	eventfd_t count = 0;

	nr_refused = 1000000;
	vhx_signal(&self->signals, self->fd);
	nr_refused = 0;
	ASSERT_EQ(0, eventfd_read(self->fd, &count));
	EXPECT_EQ(1, count);
}

TEST_HARNESS_MAIN
