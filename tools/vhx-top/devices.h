/* SPDX-License-Identifier: GPL-2.0-only */
/* All devices of this host at one time, whoever serves them. */
#ifndef DEVICES_H
#define DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fdinfo.h"
#include "netdev.h"
#include "procs.h"
#include "task.h"

/* How much is known of a device. */
enum device_kind {
	DEVICE_VHX,		/* vhx_net: all that fdinfo has */
	DEVICE_IN_TREE,		/* vhost_net: worker and tap, by their order */
	DEVICE_HIDDEN,		/* of another user: its workers alone */
	DEVICE_SWITCH,		/* a port of vhx-switch: all that libvhx counts */
};

/**
 * struct device - one queue pair of a guest
 * @kind: who serves it
 * @pid: the process that has it
 * @start: when that began, in ticks since boot
 * @fd: its descriptor; of a hidden one the number of its worker, of a switch that of
 *	the queue pair, from 0
 * @ns: when it was looked at
 * @vm: name of the virtual machine, or of the port
 * @mute: why a switch says nothing; NULL: it does
 * @node: path of the node, or ""
 * @info: what the kernel or the switch says; of other kinds only what is known from
 *	elsewhere: interface, queue and worker of the rings
 * @worker: of each ring; both may be the same. tid 0: not known
 * @net: counters of the interface
 * @is_first: the first device of that interface, which its counters are shown with
 */
struct device {
	enum device_kind kind;
	int pid;
	uint64_t start;
	int fd;
	uint64_t ns;
	char vm[64];
	const char *mute;
	char node[NODE_MAX];
	struct fdinfo info;
	struct task worker[RINGS];
	struct netdev net;
	bool is_first;
};

/**
 * struct devices - all of them, by process and descriptor
 * @list: the devices
 * @nr: how many
 * @ns: when they were looked at
 * @is_cut: a process has so many that some were left out
 */
struct devices {
	struct device *list;
	size_t nr;
	uint64_t ns;
	bool is_cut;
};

/* Whether its rings are counted. */
static inline bool device_counts(const struct device *device)
{
	return device->kind == DEVICE_VHX ||
	       (device->kind == DEVICE_SWITCH && !device->mute);
}

/* Whether it is the same at two times. */
static inline bool device_is(const struct device *one, const struct device *other)
{
	return one->pid == other->pid && one->start == other->start &&
	       one->fd == other->fd && one->kind == other->kind &&
	       (one->kind != DEVICE_SWITCH || !strcmp(one->vm, other->vm));
}

int devices_read(struct devices *devices);
int devices_read_nodes(struct devices *devices);
void devices_free(struct devices *devices);
const struct device *devices_find(const struct devices *devices, size_t *next,
				  const struct device *key);
const char *device_kind(enum device_kind kind);

#endif /* DEVICES_H */
