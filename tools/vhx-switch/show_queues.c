// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the switch tells of its guests' queues: the counters of the library, under the
 * names that the module's fdinfo has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "lanes.h"
#include "plane.h"
#include "show_queues.h"

#define COUNTERS	(sizeof(struct vhx_queue_stats) / sizeof(uint64_t))
#define CAUSES_MAX	64

/**
 * struct queue_shot - a queue at one time
 * @info: what it is
 * @counter: struct vhx_queue_stats
 * @stops: how often it stopped, by cause
 * @thread: that moves its frames
 * @tid: of that thread
 */
struct queue_shot {
	struct vhx_queue_info info;
	uint64_t counter[COUNTERS];
	uint64_t stops[CAUSES_MAX];
	unsigned int thread;
	pid_t tid;
};

static void take_queue(const struct port *port, unsigned int queue,
		       struct queue_shot *shot)
{
	unsigned int cause;

	vhx_queue_get_info(port->dev, queue, &shot->info, sizeof(shot->info));
	vhx_queue_get_stats(port->dev, queue,
			    (struct vhx_queue_stats *)(void *)shot->counter,
			    sizeof(shot->counter));
	for (cause = 1; cause < CAUSES_MAX; cause++)
		shot->stops[cause] = vhx_queue_stops(port->dev, queue, cause);
	shot->thread = lanes_thread(port, queue / 2);
	shot->tid = plane_tid(shot->thread);
}

/* With planes locked. Return: how many queues. */
static unsigned int take_queues(const struct port *port, struct queue_shot *shot)
{
	unsigned int queue, nr = port->dev ? vhx_device_queues(port->dev) : 0;

	for (queue = 0; queue < nr; queue++)
		take_queue(port, queue, &shot[queue]);
	return nr;
}

static const char *state_of(const struct queue_shot *shot)
{
	static const char *const states[] = {
		[VHX_QUEUE_STOPPED] = "stopped",
		[VHX_QUEUE_RUNNING] = "running",
		[VHX_QUEUE_FAILED] = "failed",
	};

	return states[shot->info.state];
}

static const char *format_of(const struct queue_shot *shot)
{
	return shot->info.is_packed ? "packed" : "split";
}

/* NULL: it is not known, since no kick is read here. */
static const char *name_of(unsigned int i)
{
	const char *name = vhx_queue_stats_name(i);

	return strcmp(name, "kicks_empty") ? name : NULL;
}

static void put_json(FILE *out, const char *port, unsigned int queue,
		     const struct queue_shot *shot)
{
	const char *stop;
	unsigned int i;

	fputs("{\"port\": ", out);
	json_text(out, port);
	fprintf(out, ", \"ring\": \"%s%u\"", queue & 1 ? "tx" : "rx", queue / 2);
	json_word(out, "state", state_of(shot));
	if (shot->info.cause)
		json_word(out, "cause", vhx_stop_text(shot->info.cause));
	json_word(out, "format", format_of(shot));
	json_number(out, "size", shot->info.size);
	json_number(out, "thread", shot->thread);
	json_number(out, "worker", (uint64_t)shot->tid);
	for (i = 0; i < COUNTERS; i++)
		if (name_of(i))
			json_number(out, name_of(i), shot->counter[i]);
	for (i = 1; i < CAUSES_MAX; i++) {
		stop = vhx_stop_name(i);
		if (stop && shot->stops[i])
			fprintf(out, ", \"stop_%s\": %ju", stop, shot->stops[i]);
	}
	fputc('}', out);
}

/* A line each, so that grep finds it; of counters those that are not 0. */
static void put_lines(FILE *out, const char *port, unsigned int queue,
		      const struct queue_shot *shot)
{
	const char *stop;
	char head[NAME_LEN + 16];
	unsigned int i;

	snprintf(head, sizeof(head), "%-16s %s%-3u", port,
		 queue & 1 ? "tx" : "rx", queue / 2);
	fprintf(out, "%s %-16s %s\n", head, "state", state_of(shot));
	if (shot->info.cause)
		fprintf(out, "%s %-16s %s\n", head, "cause",
			vhx_stop_text(shot->info.cause));
	fprintf(out, "%s %-16s %s\n", head, "format", format_of(shot));
	fprintf(out, "%s %-16s %u\n", head, "size", shot->info.size);
	fprintf(out, "%s %-16s %u\n", head, "thread", shot->thread);
	for (i = 0; i < COUNTERS; i++)
		if (name_of(i) && shot->counter[i])
			fprintf(out, "%s %-16s %ju\n", head, name_of(i),
				shot->counter[i]);
	for (i = 1; i < CAUSES_MAX; i++) {
		stop = vhx_stop_name(i);
		if (stop && shot->stops[i])
			fprintf(out, "%s stop_%-11s %ju\n", head, stop,
				shot->stops[i]);
	}
}

/* A port at a time: planes go on between two. Return: 0, -ENOMEM. */
int show_queues(FILE *out, bool is_json)
{
	struct queue_shot *shot = calloc(VHX_QUEUES_MAX, sizeof(*shot));
	char name[NAME_LEN] = "";
	unsigned int i, k, nr, sum = 0;

	if (!shot)
		return -ENOMEM;
	if (is_json)
		fputc('[', out);
	for (i = 0; i < PORTS_MAX; i++) {
		nr = 0;
		plane_lock();
		if (ports[i]) {
			nr = take_queues(ports[i], shot);
			strcpy(name, ports[i]->name);
		}
		plane_unlock();
		for (k = 0; k < nr && is_json; k++) {
			fputs(sum++ ? ",\n" : "", out);
			put_json(out, name, k, &shot[k]);
		}
		for (k = 0; k < nr && !is_json; k++)
			put_lines(out, name, k, &shot[k]);
	}
	if (is_json)
		fputs("]\n", out);
	free(shot);
	return 0;
}
