/* SPDX-License-Identifier: GPL-2.0-only */
/* The devices on a terminal, looked at again and again. */
#ifndef SCREEN_H
#define SCREEN_H

#include "watch.h"

/**
 * struct screen_options - how it begins
 * @seconds: between two looks
 * @column: to sort by
 * @is_reverse: against its usual order
 * @filter: a text that devices have to have, or ""
 */
struct screen_options {
	double seconds;
	unsigned int column;
	bool is_reverse;
	const char *filter;
};

int screen_run(struct watch *watch, const struct screen_options *options);

#endif /* SCREEN_H */
