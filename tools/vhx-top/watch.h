/* SPDX-License-Identifier: GPL-2.0-only */
/* The devices as they are, with what happened to them since the look before. */
#ifndef WATCH_H
#define WATCH_H

#include "verdict.h"

/**
 * struct view - a device, and what is to be said of it
 * @device: as it is
 * @rate: what happened to it
 * @ring: what limits its rings
 * @all: what limits it
 */
struct view {
	const struct device *device;
	struct rate rate;
	struct opinion ring[RINGS];
	struct opinion all;
};

/**
 * struct watch - two looks
 * @before: the first
 * @now: the second; the views are of its devices
 * @views: one for each
 * @nr: how many
 * @seconds: between the looks; 0: there was one so far
 * @has_times: whether this kernel tells how long threads wait
 */
struct watch {
	struct devices before, now;
	struct view *views;
	size_t nr;
	double seconds;
	bool has_times;
};

int watch_look(struct watch *watch);
void watch_end(struct watch *watch);

#endif /* WATCH_H */
