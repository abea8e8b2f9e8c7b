/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers and names for people, in so many places. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void number_put(char *text, size_t size, double val);
void number_time(char *text, size_t size, double ns);
void number_fit(char *line, size_t size, const char *text, int width);

#endif /* NUMBER_H */
