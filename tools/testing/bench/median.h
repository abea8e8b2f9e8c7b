/* SPDX-License-Identifier: GPL-2.0-only */
/* The middle of what was measured. */
#ifndef MEDIAN_H
#define MEDIAN_H

#include <stdlib.h>

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts, so that quartiles lie where they should. */
static inline double median(double *val, unsigned int nr)
{
	qsort(val, nr, sizeof(*val), by_value);
	return val[nr / 2];
}

#endif /* MEDIAN_H */
