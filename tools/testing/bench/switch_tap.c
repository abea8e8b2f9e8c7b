// SPDX-License-Identifier: GPL-2.0-only
/* A guest of switch_bench on /dev/vhost-net, with a tap on a bridge of the host. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switch_bench.h"

/* A worker of the kernel's runs where the one who opened the node did. */
static int open_node(struct dev *d, uint64_t features, int cpu)
{
	cpu_set_t here, there;
	int ret;

	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	if (sched_getaffinity(0, sizeof(here), &here) ||
	    sched_setaffinity(0, sizeof(there), &there))
		return -errno;
	ret = dev_setup(d, features);
	if (sched_setaffinity(0, sizeof(here), &here))
		return -errno;
	return ret;
}

static int open_tap(struct dev *d, const char *name, int *tap)
{
	int ret = tap_open(name, 0, d->hdr_len);

	if (ret < 0)
		return ret;
	*tap = ret;
	ret = link_up(name, 0);
	for (unsigned int q = RX; q <= TX && !ret; q++)
		ret = dev_backend(d, q, *tap);
	return ret;
}

/**
 * guest_open_tap - bring a guest to a tap
 * @g: the guest
 * @cell: how it is
 * @node: of vhost-net
 * @name: the tap, which is there
 * @tap: result, to be closed after the guest
 *
 * Return: 0, -EOPNOTSUPP: the node lacks a feature, or another errno
 */
int guest_open_tap(struct guest *g, const struct cell *cell, const char *node,
		   const char *name, int *tap)
{
	struct dev *d = &g->front.d;
	int ret;

	memset(g, 0, sizeof(*g));
	front_init(&g->front);
	g->cell = cell;
	setenv("VHX_NODE", node, 1);
	if (!node_offers(cell->features))
		return -EOPNOTSUPP;
	ret = open_node(d, cell->features, SWITCH_CPU);
	for (unsigned int q = RX; q <= TX && !ret; q++)
		ret = vq_setup(d, q, RING);
	if (!ret)
		ret = guest_prepare(g);
	return ret ? ret : open_tap(d, name, tap);
}
