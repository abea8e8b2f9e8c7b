/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel log says of loading vhx_net. */
#ifndef KLOG_H
#define KLOG_H

#include <stdbool.h>
#include <stddef.h>

#define KLOG_LINES	3

/**
 * struct klog - its last lines about that
 * @line: of the last refusal, oldest first, without time
 * @nr: how many
 * @is_over: the install rule has said its word on them
 * @err: 0, or -errno: it cannot be read
 */
struct klog {
	char line[KLOG_LINES][200];
	size_t nr;
	bool is_over;
	int err;
};

void klog_parse(struct klog *klog, const char *record);
void klog_read(struct klog *klog);

#endif /* KLOG_H */
