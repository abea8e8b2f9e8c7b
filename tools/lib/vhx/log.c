// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Messages to the user, of what peers cause: so many a while. */
#include <stdio.h>

#include "driver.h"
#include "session.h"

/* Lines of a level that a driver's peers may cause in so many seconds. */
#define LOG_LINES	20
#define LOG_S		10

static void tell(const struct vhx_session *session, enum vhx_log_level level,
		 const char *format, va_list args)
{
	char message[256];

	vsnprintf(message, sizeof(message), format, args);
	session->log(level, message, session->log_arg);
}

static void tell_of_lines(const struct vhx_driver *driver, const char *format,
			  ...)
	__attribute__((format(printf, 2, 3)));

static void tell_of_lines(const struct vhx_driver *driver, const char *format,
			  ...)
{
	va_list args;

	va_start(args, format);
	tell(driver->session, VHX_LOG_WARN, format, args);
	va_end(args);
}

/* Peers make lines: so many a while. Return: whether there is one left. */
static bool take_line(struct vhx_driver *driver, enum vhx_log_level level)
{
	struct timespec now;
	unsigned int i;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec >= driver->log_until) {
		if (driver->log_lost)
			tell_of_lines(driver, "%s: %u lines were left out",
				      driver->path, driver->log_lost);
		driver->log_until = now.tv_sec + LOG_S;
		for (i = 0; i <= VHX_LOG_DEBUG; i++)
			driver->log_left[i] = LOG_LINES;
		driver->log_lost = 0;
	}
	if (driver->log_left[level]) {
		driver->log_left[level]--;
		return true;
	}
	if (!driver->log_lost++)
		tell_of_lines(driver, "%s: more lines are left out for %d s",
			      driver->path, LOG_S);
	return false;
}

/**
 * vhx_driver_log - a message to the user
 * @driver: the driver whose peers are the cause
 * @level: how much it matters
 * @format: as printf()'s, without a newline
 *
 * Context: the session is locked
 */
void vhx_driver_log(struct vhx_driver *driver, enum vhx_log_level level,
		    const char *format, ...)
{
	va_list args;

	if (!driver->session->log || !take_line(driver, level))
		return;
	va_start(args, format);
	tell(driver->session, level, format, args);
	va_end(args);
}
