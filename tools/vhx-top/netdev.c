// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters of interfaces by /proc/PID/net/dev, which is that of the namespace the
 * process is in: one text a namespace and sample.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netdev.h"
#include "tree.h"

/**
 * struct page - the file of a namespace
 * @next: further ones
 * @space: which namespace
 * @text: the file, or NULL: not to be read
 */
struct page {
	struct page *next;
	char space[40];
	char *text;
};

static struct page *pages;

/* What is used of the columns, counted from 0. */
enum {
	RX_BYTES = 0, RX_FRAMES = 1, RX_DROPS = 3,
	TX_BYTES = 8, TX_FRAMES = 9, TX_DROPS = 11, COLUMNS = 12
};

static void parse_line(struct netdev *dev, const char *line)
{
	uint64_t column[COLUMNS];
	unsigned int i;
	char *end;

	for (i = 0; i < COLUMNS; i++) {
		column[i] = strtoull(line, &end, 10);
		line = end;
	}
	*dev = (struct netdev){
		.is_known = true, .rx_bytes = column[RX_BYTES],
		.rx_frames = column[RX_FRAMES], .rx_drops = column[RX_DROPS],
		.tx_bytes = column[TX_BYTES], .tx_frames = column[TX_FRAMES],
		.tx_drops = column[TX_DROPS],
	};
}

/**
 * netdev_parse - counters of an interface
 * @dev: is filled
 * @text: of /proc/net/dev
 * @name: of the interface
 */
void netdev_parse(struct netdev *dev, const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *line;

	memset(dev, 0, sizeof(*dev));
	for (line = text; *line; line += strcspn(line, "\n")) {
		line += strspn(line, "\n ");
		if (!strncmp(line, name, len) && line[len] == ':') {
			parse_line(dev, line + len + 1);
			return;
		}
	}
}

static struct page *page_of(int pid)
{
	struct page *page;
	char space[40];

	/* Not to be seen by everybody: then each process has its own. */
	if (tree_link(space, sizeof(space), "/proc/%d/ns/net", pid))
		snprintf(space, sizeof(space), "pid %d", pid);
	for (page = pages; page; page = page->next)
		if (!strcmp(page->space, space))
			return page;
	page = calloc(1, sizeof(*page));
	if (!page)
		return NULL;
	strcpy(page->space, space);
	page->text = tree_text("/proc/%d/net/dev", pid);
	page->next = pages;
	pages = page;
	return page;
}

/**
 * netdev_read - counters of an interface that a process uses
 * @dev: is filled; not known if there is none of that name
 * @pid: the process
 * @name: of the interface
 */
void netdev_read(struct netdev *dev, int pid, const char *name)
{
	struct page *page = *name ? page_of(pid) : NULL;

	netdev_parse(dev, page && page->text ? page->text : "", name);
}

/* Read anew from now on. */
void netdev_forget(void)
{
	struct page *page;

	while ((page = pages)) {
		pages = page->next;
		free(page->text);
		free(page);
	}
}
