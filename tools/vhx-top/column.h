/* SPDX-License-Identifier: GPL-2.0-only */
/* Columns of the list of devices. */
#ifndef COLUMN_H
#define COLUMN_H

#include "watch.h"

#define LINE_MAX_LEN	1024	/* bytes of a line, multi-byte letters included */

/**
 * struct column - one column
 * @name: its head
 * @width: places on the screen; negative: of text, which begins at the left
 * @rank: those of the lowest are shown first where there is little place
 * @put: writes what stands there
 * @compare: which of two is larger, for sorting
 * @is_largest_first: how one sorts by it
 */
struct column {
	const char *name;
	int width;
	unsigned int rank;
	void (*put)(char *text, size_t size, const struct view *view);
	int (*compare)(const struct view *one, const struct view *other);
	bool is_largest_first;
};

#define COLUMN_PID	1

extern const struct column columns[];
extern const unsigned int nr_columns;

int column_find(const char *name);
void column_head(char *line, int width);
void column_line(char *line, const struct view *view, int width);
bool column_match(const struct view *view, const char *text);
void column_sort(const struct view **views, size_t nr, unsigned int column,
		 bool is_reverse);

#endif /* COLUMN_H */
