/* SPDX-License-Identifier: GPL-2.0-only */
/* Parts of JSON. */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>
#include <stdio.h>

void json_text(FILE *out, const char *text);
void json_number(FILE *out, const char *name, uint64_t val);
void json_word(FILE *out, const char *name, const char *text);

#endif /* JSON_H */
