// SPDX-License-Identifier: GPL-2.0-only
/* /dev/kmsg: each read gives one record, "PRIORITY,NUMBER,TIME,FLAGS;TEXT". */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "klog.h"
#include "text.h"
#include "tree.h"

#define RECORD_MAX	8192	/* bytes; the kernel has no longer ones */

/* Of the module, or of the kernel where it does not take it. */
static bool is_of_loading(const char *text)
{
	static const char *const words[] = {
		"module is rejected", "Loading of ", "module loading is restricted",
	};
	size_t i;

	if (!strncmp(text, "vhx_net: ", 9))
		return !strstr(text, "taints kernel") && !strstr(text, "tainting kernel");
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/**
 * klog_parse - take a record, if it is of loading vhx_net
 * @klog: lines that are kept
 * @record: as /dev/kmsg gives it
 */
void klog_parse(struct klog *klog, const char *record)
{
	const char *text = strchr(record, ';');
	char line[400];

	if (!text || *record == ' ')
		return;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(text + 1, "\n"), text + 1);
	/* What follows is of the next one. */
	if (!strncmp(line, "vhx: ", 5))
		klog->is_over = true;
	if (!is_of_loading(line))
		return;
	if (klog->is_over)
		klog->nr = 0;
	/* It works: what was before is of no interest. */
	klog->is_over = !strncmp(line, "vhx_net: serving ", 17);
	if (klog->is_over) {
		klog->nr = 0;
		return;
	}
	if (klog->nr == KLOG_LINES)
		memmove(klog->line[0], klog->line[1],
			sizeof(*klog->line) * --klog->nr);
	text_clean(klog->line[klog->nr++], sizeof(*klog->line), line);
}

static void read_recorded(struct klog *klog)
{
	char *text = tree_text("/dev/kmsg"), *line, *next;

	if (!text)
		klog->err = -errno;
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		klog_parse(klog, line);
	}
	free(text);
}

/**
 * klog_read - what the kernel log says of loading vhx_net
 * @klog: is filled
 */
void klog_read(struct klog *klog)
{
	char record[RECORD_MAX + 1];
	ssize_t len;
	int fd;

	memset(klog, 0, sizeof(*klog));
	if (!tree_is_live()) {
		read_recorded(klog);
		return;
	}
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		klog->err = -errno;
		return;
	}
	for (;;) {
		len = read(fd, record, RECORD_MAX);
		/* EPIPE: records are gone; the next read gives those after them. */
		if (len < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (len <= 0)
			break;
		record[len] = 0;
		klog_parse(klog, record);
	}
	if (len < 0 && errno != EAGAIN)
		klog->err = -errno;
	close(fd);
}
