// SPDX-License-Identifier: GPL-2.0-only
/* Looks at the devices, each compared with the one before. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch.h"

static void judge(struct watch *watch, struct view *view, size_t *next,
		  const struct device *device)
{
	const struct device *before = devices_find(&watch->before, next, device);
	double seconds = before ? (double)(device->ns - before->ns) / 1e9 : 0;
	unsigned int i;

	view->device = device;
	rate_between(&view->rate, before, device, seconds);
	for (i = 0; i < RINGS; i++)
		verdict_ring(&view->ring[i], device, &view->rate, i);
	verdict_device(&view->all, view->ring);
}

/**
 * watch_look - look at the devices
 * @watch: zeroed at first
 *
 * Return: 0 or -errno; the watch can be ended then, no more
 */
int watch_look(struct watch *watch)
{
	size_t i, next = 0;
	int err;

	devices_free(&watch->before);
	watch->before = watch->now;
	err = devices_read(&watch->now);
	free(watch->views);
	watch->views = calloc(watch->now.nr + 1, sizeof(*watch->views));
	watch->nr = 0;
	if (err || !watch->views)
		return err ? err : -ENOMEM;
	if (watch->before.ns)
		watch->seconds = (double)(watch->now.ns - watch->before.ns) / 1e9;
	watch->has_times = task_has_times();
	for (i = 0; i < watch->now.nr; i++)
		judge(watch, &watch->views[i], &next, &watch->now.list[i]);
	watch->nr = watch->now.nr;
	return 0;
}

/* Let go of all that it has. */
void watch_end(struct watch *watch)
{
	devices_free(&watch->before);
	devices_free(&watch->now);
	free(watch->views);
	memset(watch, 0, sizeof(*watch));
}
