// SPDX-License-Identifier: GPL-2.0-only
/* Columns: what stands in each, which have place, how one sorts by them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "column.h"
#include "number.h"

#define UNKNOWN	"-"

static const char *ifname_of(const struct view *view)
{
	const struct ring *ring = view->device->info.ring;

	return *ring[RING_RX].ifname ? ring[RING_RX].ifname : ring[RING_TX].ifname;
}

/* A switch's port has no interface. */
static const char *place_of(const struct view *view)
{
	return view->device->kind == DEVICE_SWITCH ? "switch" : ifname_of(view);
}

static int queue_of(const struct view *view)
{
	const struct ring *ring = view->device->info.ring;

	return ring[RING_RX].queue < 0 ? ring[RING_TX].queue : ring[RING_RX].queue;
}

/* rx's, unless it has none. */
static const struct task *worker_of(const struct view *view)
{
	const struct task *worker = view->device->worker;

	return worker[RING_RX].tid ? &worker[RING_RX] : &worker[RING_TX];
}

/* Where the rings have a worker each: that of the busier one. */
static const struct task_rate *busier(const struct view *view)
{
	const struct task_rate *rate = view->rate.worker;

	return rate[RING_TX].run > rate[RING_RX].run || !rate[RING_RX].is_known ?
		&rate[RING_TX] : &rate[RING_RX];
}

static double longer_wait(const struct view *view)
{
	const struct task_rate *rate = view->rate.worker;

	return rate[RING_TX].wait > rate[RING_RX].wait ? rate[RING_TX].wait :
		rate[RING_RX].wait;
}

static bool has_wait(const struct view *view)
{
	return view->rate.worker[RING_RX].has_wait ||
	       view->rate.worker[RING_TX].has_wait;
}

static bool is_counted(const struct view *view)
{
	return view->rate.ring[RING_RX].is_known;
}

static bool has_frames(const struct view *view)
{
	return view->rate.ring[RING_RX].has_frames;
}

static double ratio_of_both(const struct view *view, double (*of)(const struct ring_rate *))
{
	const struct ring_rate *rx = &view->rate.ring[RING_RX];
	const struct ring_rate *tx = &view->rate.ring[RING_TX];
	double frames = rx->frames + tx->frames;

	return frames > 0 ? (of(rx) * rx->frames + of(tx) * tx->frames) / frames : 0;
}

static double kicks(const struct ring_rate *ring)
{
	return ring->kicks;
}

static double calls(const struct ring_rate *ring)
{
	return ring->calls;
}

static double drops_of(const struct view *view)
{
	return view->rate.ring[RING_RX].drops + view->rate.ring[RING_TX].drops +
		view->rate.queue_drops;
}

static double misses_of(const struct view *view)
{
	return view->rate.ring[RING_RX].misses + view->rate.ring[RING_TX].misses;
}

static int compare_numbers(double one, double other)
{
	return (one > other) - (one < other);
}

#define TEXT_COLUMN(name, val)						\
static void put_##name(char *text, size_t size, const struct view *view) \
{									\
	const char *found = val;					\
									\
	snprintf(text, size, "%s", *found ? found : UNKNOWN);		\
}									\
									\
static int compare_##name(const struct view *one, const struct view *other) \
{									\
	const struct view *view = one;					\
	const char *first = val;					\
									\
	view = other;							\
	return strcmp(first, val);					\
}

#define NUMBER_COLUMN(name, is_known, val, put)				\
static void put_##name(char *text, size_t size, const struct view *view) \
{									\
	if (is_known)							\
		put(text, size, (double)(val));				\
	else								\
		snprintf(text, size, UNKNOWN);				\
}									\
									\
static int compare_##name(const struct view *one, const struct view *other) \
{									\
	const struct view *view = one;					\
	double first = (double)(val);					\
									\
	view = other;							\
	return compare_numbers(first, (double)(val));			\
}

static void put_integer(char *text, size_t size, double val)
{
	snprintf(text, size, "%.0f", val);
}

static void put_percent(char *text, size_t size, double share)
{
	snprintf(text, size, "%.0f", share * 100);
}

static void put_ratio(char *text, size_t size, double val)
{
	snprintf(text, size, val < 10 ? "%.2f" : "%.0f", val);
}

TEXT_COLUMN(vm, view->device->vm)
NUMBER_COLUMN(pid, true, view->device->pid, put_integer)
TEXT_COLUMN(tap, place_of(view))
NUMBER_COLUMN(queue, queue_of(view) >= 0, queue_of(view), put_integer)
NUMBER_COLUMN(tid, worker_of(view)->tid, worker_of(view)->tid, put_integer)
NUMBER_COLUMN(cpu, worker_of(view)->tid, worker_of(view)->cpu, put_integer)
NUMBER_COLUMN(run, busier(view)->is_known, busier(view)->run, put_percent)
NUMBER_COLUMN(wait, has_wait(view), longer_wait(view), put_percent)
NUMBER_COLUMN(rx, has_frames(view), view->rate.ring[RING_RX].frames, number_put)
NUMBER_COLUMN(rx_bytes, has_frames(view), view->rate.ring[RING_RX].bytes, number_put)
NUMBER_COLUMN(tx, has_frames(view), view->rate.ring[RING_TX].frames, number_put)
NUMBER_COLUMN(tx_bytes, has_frames(view), view->rate.ring[RING_TX].bytes, number_put)
NUMBER_COLUMN(rx_burst, is_counted(view), view->rate.ring[RING_RX].burst, number_put)
NUMBER_COLUMN(tx_burst, is_counted(view), view->rate.ring[RING_TX].burst, number_put)
NUMBER_COLUMN(kicks, is_counted(view), ratio_of_both(view, kicks), put_ratio)
NUMBER_COLUMN(calls, is_counted(view), ratio_of_both(view, calls), put_ratio)
NUMBER_COLUMN(drops, has_frames(view), drops_of(view), number_put)
NUMBER_COLUMN(misses, is_counted(view), misses_of(view), number_put)
TEXT_COLUMN(why, view->all.why)

static void put_verdict(char *text, size_t size, const struct view *view)
{
	snprintf(text, size, "%s", verdict_name(view->all.verdict));
}

static int compare_verdict(const struct view *one, const struct view *other)
{
	return (int)one->all.verdict - (int)other->all.verdict;
}

#define COLUMN(head, width, rank, name, order) \
	{ head, width, rank, put_##name, compare_##name, order }

const struct column columns[] = {
	COLUMN("VM", -11, 0, vm, false),
	COLUMN("PID", 7, 0, pid, false),
	COLUMN("TAP", -8, 0, tap, false),
	COLUMN("Q", 2, 0, queue, false),
	COLUMN("TID", 7, 3, tid, false),
	COLUMN("CPU", 3, 2, cpu, false),
	COLUMN("CPU%", 4, 0, run, true),
	COLUMN("WAIT%", 5, 0, wait, true),
	COLUMN("RX/s", 6, 0, rx, true),
	COLUMN("RXB/s", 6, 1, rx_bytes, true),
	COLUMN("TX/s", 6, 0, tx, true),
	COLUMN("TXB/s", 6, 1, tx_bytes, true),
	COLUMN("RXBURST", 7, 5, rx_burst, true),
	COLUMN("TXBURST", 7, 5, tx_burst, true),
	COLUMN("KICK", 4, 6, kicks, true),
	COLUMN("CALL", 4, 6, calls, true),
	COLUMN("DROP/s", 6, 0, drops, true),
	COLUMN("MISS/s", 6, 7, misses, true),
	COLUMN("VERDICT", -15, 0, verdict, false),
	COLUMN("WHY", -60, 4, why, false),
};

const unsigned int nr_columns = sizeof(columns) / sizeof(*columns);

#define LAST_RANK	7

/* Return: number of the column of that head, in letters of any size, or -1 */
int column_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_columns; i++)
		if (!strcasecmp(columns[i].name, name))
			return (int)i;
	return -1;
}

/* Return: places of the columns up to a rank, with a blank between two */
static int width_of(unsigned int rank)
{
	unsigned int i;
	int sum = -1;

	for (i = 0; i < nr_columns; i++)
		if (columns[i].rank <= rank)
			sum += abs(columns[i].width) + 1;
	return sum;
}

/* Return: the highest rank that has place; lines are cut where not even 0 has */
static unsigned int rank_for(int width)
{
	unsigned int rank = LAST_RANK;

	while (rank && width && width_of(rank) > width)
		rank--;
	return rank;
}

/* Blanks at the end are nothing to see. */
static void trim(char *line)
{
	size_t len = strlen(line);

	while (len && line[len - 1] == ' ')
		line[--len] = 0;
}

/**
 * column_head - the heads of the columns
 * @line: where to, LINE_MAX_LEN bytes
 * @width: places on the screen; 0: as many as it takes
 */
void column_head(char *line, int width)
{
	unsigned int rank = rank_for(width), i;

	*line = 0;
	for (i = 0; i < nr_columns; i++) {
		if (columns[i].rank > rank)
			continue;
		if (*line)
			strcat(line, " ");
		number_fit(line, LINE_MAX_LEN, columns[i].name, columns[i].width);
	}
	trim(line);
}

/**
 * column_line - the line of a device
 * @line: where to, LINE_MAX_LEN bytes
 * @view: the device
 * @width: places on the screen; 0: as many as it takes
 */
void column_line(char *line, const struct view *view, int width)
{
	unsigned int rank = rank_for(width), i;
	char text[128];

	*line = 0;
	for (i = 0; i < nr_columns; i++) {
		if (columns[i].rank > rank)
			continue;
		if (*line)
			strcat(line, " ");
		columns[i].put(text, sizeof(text), view);
		number_fit(line, LINE_MAX_LEN, text, columns[i].width);
	}
	trim(line);
}

/**
 * column_match - whether a device is one that is looked for
 * @view: the device
 * @text: a part of what stands in one of its columns
 *
 * Return: whether it is
 */
bool column_match(const struct view *view, const char *text)
{
	char found[128];
	unsigned int i;

	for (i = 0; i < nr_columns; i++) {
		if (columns[i].width > 0 && i != COLUMN_PID)
			continue;
		columns[i].put(found, sizeof(found), view);
		if (strcasestr(found, text))
			return true;
	}
	return false;
}

static const struct column *order;
static int sign;

/* Those alike stay as they were: by process and descriptor. */
static int compare(const void *a, const void *b)
{
	const struct view *one = *(const struct view *const *)a;
	const struct view *other = *(const struct view *const *)b;
	int diff = sign * order->compare(one, other);

	return diff ? diff : (one > other) - (one < other);
}

/**
 * column_sort - sort devices
 * @views: the devices
 * @nr: how many
 * @column: by what
 * @is_reverse: against its usual order
 */
void column_sort(const struct view **views, size_t nr, unsigned int column,
		 bool is_reverse)
{
	order = &columns[column];
	sign = order->is_largest_first != is_reverse ? -1 : 1;
	if (nr)
		qsort(views, nr, sizeof(*views), compare);
}
