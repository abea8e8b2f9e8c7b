// SPDX-License-Identifier: GPL-2.0-only
/* Counters, as lines of /proc/<pid>/fdinfo/<fd>. */
#include <linux/seq_file.h>

#include "vhx.h"

#define SHOW(text, value) \
	seq_printf(m, "vhx-%s-%s:\t%llu\n", name, text, (u64)(value))

static void show_waits(struct seq_file *m, const char *name, const char *who,
		       const struct vhx_wait *wait)
{
	seq_printf(m, "vhx-%s-%s_waits:\t%llu\n", name, who,
		   READ_ONCE(wait->nr));
	seq_printf(m, "vhx-%s-%s_wait_ns:\t%llu\n", name, who,
		   vhx_wait_ns(wait));
}

static void show_drops(struct seq_file *m, const char *name,
		       const struct vhx_stats *stats)
{
	enum vhx_drop reason;

	for (reason = 0; reason < VHX_DROPS; reason++)
		seq_printf(m, "vhx-%s-drop_%s:\t%llu\n", name,
			   vhx_drop_name(reason),
			   READ_ONCE(stats->drop[reason]));
}

static void show_bursts(struct seq_file *m, const char *name,
			const struct vhx_stats *stats)
{
	u64 nr[VHX_BURST_SIZES], sum = 0;
	unsigned int i;

	for (i = 0; i < VHX_BURST_SIZES; i++) {
		nr[i] = READ_ONCE(stats->burst[i]);
		sum += nr[i];
	}
	SHOW("bursts", sum);
	for (i = 0; i < VHX_BURST_SIZES; i++)
		seq_printf(m, "vhx-%s-burst_%u:\t%llu\n", name, 1 << i, nr[i]);
}

/* No lock: a run may hold the mutex for as long as a page fault takes. */
static void show_vq(struct seq_file *m, const char *name,
		    const struct vhx_vq *vq)
{
	const struct vhx_stats *stats = &vq->stats;

#define SHOW_FIELD(field)	SHOW(#field, READ_ONCE(stats->field))
	SHOW_FIELD(frames);
	SHOW_FIELD(bytes);
	show_bursts(m, name, stats);
	SHOW("kicks", READ_ONCE(vq->kick_poll.wakes));
	SHOW_FIELD(kicks_empty);
	SHOW_FIELD(calls);
	SHOW_FIELD(calls_saved);
	SHOW_FIELD(errors);
	SHOW_FIELD(runs);
	SHOW_FIELD(sleeps);
	show_waits(m, name, "guest", &stats->guest);
	show_waits(m, name, "host", &stats->host);
	SHOW_FIELD(gso);
	SHOW_FIELD(csum);
	SHOW("dirty_pages", READ_ONCE(vq->mem.dirty.pages));
	show_drops(m, name, stats);
	SHOW_FIELD(polls);
	SHOW_FIELD(poll_hits);
	SHOW_FIELD(poll_ns);
	SHOW_FIELD(poll_skips);
	SHOW("poll_auto", vhx_busypoll_is_auto(vq));
	SHOW_FIELD(iotlb_waits);
	SHOW("iotlb_misses", READ_ONCE(vq->mem.xlate.asked));
	SHOW("iotlb_hits", READ_ONCE(vq->mem.xlate.found));
	SHOW_FIELD(retries);
#undef SHOW_FIELD
}

/**
 * vhx_stats_show - print all counters
 * @m: where to
 * @dev: the device
 *
 * Context: may sleep
 */
void vhx_stats_show(struct seq_file *m, const struct vhx_dev *dev)
{
	show_vq(m, "rx", &dev->vq[VHX_RXQ]);
	show_vq(m, "tx", &dev->vq[VHX_TXQ]);
}
