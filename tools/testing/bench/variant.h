/* SPDX-License-Identifier: GPL-2.0-only */
/* What is compared: nodes, and the kind of ring that their client uses. */
#ifndef VARIANT_H
#define VARIANT_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define VARIANTS_MAX	8
#define ROUNDS_MAX	32	/* in which they take turns */

struct variant {
	char *name, *node;
	bool is_packed;
};

/* @text: NAME:NODE[:packed], which it cuts up. Return: 0 or -EINVAL. */
static inline int variant_parse(struct variant *v, char *text)
{
	char *how;

	v->name = strsep(&text, ":");
	v->node = strsep(&text, ":");
	how = strsep(&text, ":");
	v->is_packed = how && !strcmp(how, "packed");
	return v->node && (!how || v->is_packed) ? 0 : -EINVAL;
}

#endif /* VARIANT_H */
