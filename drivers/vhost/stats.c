// SPDX-License-Identifier: GPL-2.0-only
/* Counters, as lines of /proc/<pid>/fdinfo/<fd>. */
#include <linux/seq_file.h>

#include "vhx.h"

static void show_vq(struct seq_file *m, const char *name, struct vhx_vq *vq)
{
	const struct vhx_stats *stats = &vq->stats;
	enum vhx_drop reason;

	/* No lock: a run may hold the mutex for as long as a page fault takes. */
#define SHOW(field) \
	seq_printf(m, "vhx-%s-%s:\t%llu\n", name, #field, \
		   READ_ONCE(stats->field))
	SHOW(frames);
	SHOW(bytes);
	for (reason = 0; reason < VHX_DROPS; reason++)
		seq_printf(m, "vhx-%s-drop_%s:\t%llu\n", name,
			   vhx_drop_name(reason),
			   READ_ONCE(stats->drop[reason]));
	SHOW(calls);
	SHOW(calls_saved);
	SHOW(errors);
	SHOW(polls);
	SHOW(poll_hits);
	SHOW(poll_ns);
	SHOW(poll_skips);
	SHOW(iotlb_waits);
	SHOW(retries);
	seq_printf(m, "vhx-%s-poll_auto:\t%u\n", name,
		   vhx_busypoll_is_auto(vq));
	seq_printf(m, "vhx-%s-iotlb_misses:\t%llu\n", name,
		   READ_ONCE(vq->mem.xlate.asked));
	seq_printf(m, "vhx-%s-iotlb_hits:\t%llu\n", name,
		   READ_ONCE(vq->mem.xlate.found));
	seq_printf(m, "vhx-%s-kicks:\t%llu\n", name,
		   READ_ONCE(vq->kick_poll.wakes));
#undef SHOW
}

/**
 * vhx_stats_show - print all counters
 * @m: where to
 * @dev: the device
 *
 * Context: may sleep
 */
void vhx_stats_show(struct seq_file *m, struct vhx_dev *dev)
{
	show_vq(m, "rx", &dev->vq[VHX_RXQ]);
	show_vq(m, "tx", &dev->vq[VHX_TXQ]);
}
