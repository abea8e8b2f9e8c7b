// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service manager is told by the protocol of sd_notify(3): lines of a datagram to
 * the socket that the environment names. Without that nobody is told. And the log:
 * lines on stderr, with their level where systemd's journal reads it.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "service.h"

static struct sockaddr_un manager;
static socklen_t manager_len;
static int fd = -1;
static bool is_journal;

/* <N> of sd-daemon(3), as of syslog(3). */
static const int priority[] = {
	[VHX_LOG_ERR] = 3, [VHX_LOG_WARN] = 4, [VHX_LOG_INFO] = 6,
	[VHX_LOG_DEBUG] = 7,
};

/* The journal names the file that it reads from us; stderr may be another one. */
static bool is_read_by_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return named && sscanf(named, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == device &&
	       st.st_ino == inode;
}

/* Before anything is said. A path, or with @ a name without a file. */
void service_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	is_journal = is_read_by_journal();
	if (len < 2 || !strchr("/@", *path) || len >= sizeof(manager.sun_path))
		return;
	manager.sun_family = AF_UNIX;
	memcpy(manager.sun_path, path, len);
	if (*path == '@')
		manager.sun_path[0] = 0;
	manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void tell(const char *text, int flags)
{
	if (fd >= 0)
		sendto(fd, text, strlen(text), flags | MSG_NOSIGNAL,
		       (struct sockaddr *)&manager, manager_len);
}

static void tell_ports(const char *first, unsigned int ports, int flags)
{
	char text[64];

	snprintf(text, sizeof(text), "%sSTATUS=%u port%s", first, ports,
		 ports == 1 ? "" : "s");
	tell(text, flags);
}

/* All ports of the command line are there. The manager waits for it. */
void service_ready(unsigned int ports)
{
	tell_ports("READY=1\n", ports, 0);
}

/* So many ports there are now. A manager that does not listen is not waited for. */
void service_ports(unsigned int ports)
{
	tell_ports("", ports, MSG_DONTWAIT);
}

void service_stopping(void)
{
	tell("STOPPING=1\nSTATUS=", MSG_DONTWAIT);
}

/* A line in the log. */
void service_say(enum vhx_log_level level, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (is_journal)
		fprintf(stderr, "<%d>%s\n", priority[level], text);
	else
		fprintf(stderr, "vhx-switch: %s\n", text);
}
