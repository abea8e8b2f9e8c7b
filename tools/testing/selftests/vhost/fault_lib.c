// SPDX-License-Identifier: GPL-2.0-only
/* One injected fault at a time, and what the kernel log says of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fault_lib.h"
#include "net_lib.h"

#define DEBUGFS	"/sys/kernel/debug/"

/*
 * Makes allocations fail that may wait for memory, of one page too: only those
 * that may not are failed otherwise. Return: NULL, or what the kernel lacks.
 */
const char *fault_missing(void)
{
	static const char *const knobs[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_usercopy/verbose", "2" },
	};
	char path[64];

	if (access("/proc/thread-self/fail-nth", F_OK))
		return "fault injection";
	/* sysfs was mounted over it with the network namespace */
	if (access(DEBUGFS "failslab", F_OK))
		mount("none", DEBUGFS, "debugfs", 0, NULL);
	for (unsigned int i = 0; i < sizeof(knobs) / sizeof(*knobs); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s", knobs[i][0]);
		if (write_text(path, knobs[i][1]))
			return knobs[i][0];
	}
	return NULL;
}

int fault_open(struct fault *f, int tid)
{
	char path[64];

	/* also of a kthread, which is no thread of ours */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/fail-nth", tid, tid);
	f->log = kmsg_open();
	f->nth = open(path, O_RDWR | O_CLOEXEC);
	return f->nth < 0 ? -errno : f->log < 0 ? f->log : 0;
}

void fault_close(struct fault *f)
{
	close(f->nth);
	close(f->log);
}

/* Return: 0 or -errno; then the @n-th from here on fails. */
int fault_arm(struct fault *f, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	lseek(f->log, 0, SEEK_END);
	return pwrite(f->nth, text, len, 0) == len ? 0 : -errno;
}

/* The next line of the log. Return: it, in @text, or NULL. */
static char *next_line(int log, char *text, size_t size)
{
	ssize_t n;

	do
		n = read(log, text, size - 1);
	while (n < 0 && errno == EPIPE);
	if (n <= 0)
		return NULL;
	text[n] = 0;
	text = strchr(text, ';');
	if (!text)
		return NULL;
	text[strcspn(text, "\n")] = 0;
	return text + 1;
}

/* Adds the function of a line of the stack. Return: it is the module's. */
static bool add_function(struct fault *f, const char *line)
{
	static const char *const own[] = {
		"dump_stack", "should_fail", "__should_fail", "fail_dump",
	};
	size_t len = strlen(f->where);
	char name[64];

	if (!strstr(line, "+0x") || strchr(line, '?') ||
	    sscanf(line, " %63[a-zA-Z0-9_.]+", name) != 1 || strstr(line, "RIP:"))
		return false;
	for (unsigned int i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (!strncmp(name, own[i], strlen(own[i])))
			return false;
	snprintf(f->where + len, sizeof(f->where) - len, "%s%s",
		 len ? " < " : "", name);
	return strstr(line, "[vhx_net");
}

/* Reads the report of the first fault, if there is one. */
static void read_report(struct fault *f)
{
	bool is_stack = false;
	char text[2048];
	char *line;

	f->kind[0] = 0;
	f->where[0] = 0;
	while ((line = next_line(f->log, text, sizeof(text)))) {
		char *name = strstr(line, "name ");

		if (strstr(line, "forcing a failure") && !*f->kind && name &&
		    sscanf(name, "name %23[a-z_]", f->kind) == 1)
			is_stack = true;
		else if (is_stack)
			is_stack = !strstr(line, "</TASK>") &&
				   !add_function(f, line);
	}
}

/* No fault from here on. Return: whether there was one. */
bool fault_disarm(struct fault *f)
{
	char text[16] = "";
	bool is_injected = pread(f->nth, text, sizeof(text) - 1, 0) > 0 &&
			   !atoi(text);

	/* The copy of this one may be what fails. */
	while (pwrite(f->nth, "0", 1, 0) < 0 && errno == EFAULT)
		;
	if (is_injected)
		read_report(f);
	return is_injected;
}
