// SPDX-License-Identifier: GPL-2.0-only
/* The tables of net_bench: variants side by side, or one below the other. */
#include <math.h>
#include <stdio.h>

#include "median.h"
#include "net_bench.h"

#define OF(member)	offsetof(struct sample, member)

/* One figure of all rounds, in their order. */
static void column(const struct row *r, int i, size_t of, double *val)
{
	for (int k = 0; k < r->rounds; k++)
		val[k] = *(const double *)((const char *)&r->s[i][k] + of);
}

/* Sorted. Return: the one in the middle. */
static double sorted(const struct row *r, int i, size_t of, double *val)
{
	column(r, i, of, val);
	return median(val, r->rounds);
}

/* -- instructions, or ns: a line a row ------------------------------------- */

void table_header(const struct variant *v, int nr)
{
	printf("%-22s", "");
	for (int i = 0; i < nr; i++)
		printf("%22s", v[i].name);
	for (int i = 1; i < nr; i++)
		printf("  %d / %d", i + 1, i);
	printf("\n%-22s", "");
	for (int i = 0; i < nr; i++)
		printf(" %6s %6s %7s", "min", "median", "kpps");
	printf("\n");
}

/* A line below that of a stream. */
static void calls_line(const struct row *r)
{
	double val[ROUNDS_MAX];

	printf("%-22s", "  calls a 1000");
	for (int i = 0; i < r->nr; i++) {
		if (!r->has[i]) {
			printf("%22s", "-");
			continue;
		}
		sorted(r, i, OF(calls), val);
		printf(" %6.1f %6.1f        ", 1000 * val[0],
		       1000 * val[r->rounds / 2]);
	}
	printf("\n");
}

void table_row(const struct row *r)
{
	double val[ROUNDS_MAX], middle[VARIANTS_MAX];

	printf("%-22s", r->cell->name);
	for (int i = 0; i < r->nr; i++) {
		if (!r->has[i]) {
			printf("%22s", "-");
			continue;
		}
		middle[i] = sorted(r, i, OF(worker), val);
		printf(" %6.0f %6.0f", val[0], middle[i]);
		if (r->cell->is_latency)
			printf("%8s", "");
		else
			printf(" %7.0f", 1e6 / sorted(r, i, OF(all), val));
	}
	for (int i = 1; i < r->nr; i++) {
		if (r->has[i - 1] && r->has[i])
			printf(" %6.3f", middle[i] / middle[i - 1]);
		else
			printf(" %6s", "-");
	}
	printf("\n");
	if (r->cell->is_stream)
		calls_line(r);
	fflush(stdout);
}

/* -- by the clock: a line a variant, with quartiles ------------------------ */

/* Sorts. */
static void spread(double *val, int nr, int width, int digits)
{
	double middle = median(val, nr);
	char text[48];

	snprintf(text, sizeof(text), "%.*f..%.*f", digits, val[nr / 4], digits,
		 val[nr - 1 - nr / 4]);
	printf(" %*.*f %-13s", width, digits, middle, text);
}

void clock_header(bool has_counters)
{
	printf("%-21s %-10s %6s %-13s %5s %-13s %5s %-13s", "traffic", "variant",
	       "ns", "quartiles", "ratio", "quartiles", "kpps", "quartiles");
	if (has_counters)
		printf(" %6s %6s", "instr.", "cycles");
	printf("\n");
}

/* Of the worker's time to that of the first variant in the same round. */
static void ratio(const struct row *r, int i)
{
	double val[ROUNDS_MAX], first[ROUNDS_MAX];

	if (!i || !r->has[0]) {
		printf(" %5s %-13s", "", "");
		return;
	}
	column(r, i, OF(worker), val);
	column(r, 0, OF(worker), first);
	for (int k = 0; k < r->rounds; k++)
		val[k] /= first[k];
	spread(val, r->rounds, 5, 3);
}

static void rate(const struct row *r, int i)
{
	double val[ROUNDS_MAX];

	column(r, i, OF(all), val);
	for (int k = 0; k < r->rounds; k++)
		val[k] = 1e6 / val[k];
	spread(val, r->rounds, 5, 0);
}

static void counts(const struct row *r, int i)
{
	double val[ROUNDS_MAX];

	for (int c = 0; c < COUNTERS; c++) {
		bool is_known = true;

		column(r, i, OF(count[c]), val);
		for (int k = 0; k < r->rounds; k++)
			is_known &= !isnan(val[k]);
		if (is_known)
			printf(" %6.0f", median(val, r->rounds));
		else
			printf(" %6s", "-");
	}
}

void clock_row(const struct row *r, bool has_counters)
{
	double val[ROUNDS_MAX];

	for (int i = 0; i < r->nr; i++) {
		printf("%-21s %-10s", i ? "" : r->cell->name, r->v[i].name);
		if (!r->has[i]) {
			printf(" %6s\n", "-");
			continue;
		}
		column(r, i, OF(worker), val);
		spread(val, r->rounds, 6, 0);
		ratio(r, i);
		if (!r->cell->is_latency) {
			rate(r, i);
			if (has_counters)
				counts(r, i);
		}
		if (r->cell->is_stream)
			printf(" %.1f calls a 1000",
			       1000 * sorted(r, i, OF(calls), val));
		printf("\n");
	}
	fflush(stdout);
}
