// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is to say of a device and its rings, as lines of
 * /proc/<pid>/fdinfo/<fd>: Documentation/ABI/fdinfo.rst.
 *
 * No mutex is taken: a run may hold one for as long as a page fault takes.
 */
#include <linux/bitops.h>
#include <linux/file.h>
#include <linux/seq_file.h>

#include "vhx.h"

/**
 * struct shown - a ring's backend while it is shown
 * @file: the file, referenced; NULL: the ring is stopped
 * @ops: its kind
 * @facts: what it is
 */
struct shown {
	struct file *file;
	const struct vhx_backend_ops *ops;
	struct vhx_backend_facts facts;
};

/* The backend may go when the lock is dropped, the file may not. */
static void look_at(struct vhx_vq *vq, struct shown *shown)
{
	const struct vhx_backend *backend;

	*shown = (struct shown){ .facts = { .kind = "none", .queue = -1 } };
	spin_lock(&vq->backend_lock);
	backend = vq->backend;
	if (backend) {
		shown->ops = backend->ops;
		shown->file = get_file(backend->file);
		shown->facts.queue = READ_ONCE(backend->queue);
	}
	spin_unlock(&vq->backend_lock);
}

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
	/* Of mergeable buffers a few more are published together. */
	nr[VHX_BURST_SIZES - 2] += nr[VHX_BURST_SIZES - 1];
	for (i = 0; i < VHX_BURST_SIZES - 1; i++)
		seq_printf(m, "vhx-%s-burst_%u:\t%llu\n", name, 1 << i, nr[i]);
}

static void show_stops(struct seq_file *m, const char *name,
		       const struct vhx_stats *stats)
{
	enum vhx_cause cause;
	u64 nr;

	for (cause = 0; cause < VHX_CAUSES; cause++) {
		nr = READ_ONCE(stats->stops[cause]);
		if (nr)
			seq_printf(m, "vhx-%s-stop_%s:\t%llu\n", name,
				   vhx_cause_name(cause), nr);
	}
}

static bool is_packed(const struct vhx_vq *vq, bool is_stopped)
{
	if (is_stopped)
		return READ_ONCE(vq->dev->features[0]) &
		       BIT_ULL(VIRTIO_F_RING_PACKED);
	return READ_ONCE(vq->ring.ops) == &vhx_packed_ops;
}

static void show_facts(struct seq_file *m, const char *name,
		       const struct vhx_vq *vq, const struct shown *shown)
{
	enum vhx_cause cause = READ_ONCE(vq->last_stop);
	const char *state = "stopped";

	if (shown->file)
		state = READ_ONCE(vq->is_failed) ? "failed" : "running";
	seq_printf(m, "vhx-%s-state:\t%s\n", name, state);
	if (cause != VHX_CAUSE_NONE)
		seq_printf(m, "vhx-%s-cause:\t%s\n", name,
			   vhx_cause_text(cause));
	seq_printf(m, "vhx-%s-format:\t%s\n", name,
		   is_packed(vq, !shown->file) ? "packed" : "split");
	SHOW("size", READ_ONCE(vq->ring.num));
	seq_printf(m, "vhx-%s-backend:\t%s\n", name, shown->facts.kind);
	if (*shown->facts.ifname)
		seq_printf(m, "vhx-%s-ifname:\t%s\n", name,
			   shown->facts.ifname);
	if (shown->facts.queue >= 0)
		SHOW("queue", shown->facts.queue);
	SHOW("worker", vhx_worker_tid(&vq->work));
}

static void show_counters(struct seq_file *m, const char *name,
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
	show_stops(m, name, stats);
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

static void show_features(struct seq_file *m, const struct vhx_dev *dev)
{
	static const char *const names[64 * VHX_FEATURE_WORDS] = {
		[VIRTIO_NET_F_MRG_RXBUF] = "mrg_rxbuf",
		[VIRTIO_F_NOTIFY_ON_EMPTY] = "notify_on_empty",
		[VHOST_F_LOG_ALL] = "log_all",
		[VHOST_NET_F_VIRTIO_NET_HDR] = "virtio_net_hdr",
		[VIRTIO_RING_F_INDIRECT_DESC] = "indirect_desc",
		[VIRTIO_RING_F_EVENT_IDX] = "event_idx",
		[VIRTIO_F_VERSION_1] = "version_1",
		[VIRTIO_F_ACCESS_PLATFORM] = "access_platform",
		[VIRTIO_F_RING_PACKED] = "ring_packed",
		[VIRTIO_F_IN_ORDER] = "in_order",
		[VIRTIO_F_RING_RESET] = "ring_reset",
#ifdef VHX_HAVE_UDP_TUNNEL
		[VIRTIO_NET_F_HOST_UDP_TUNNEL_GSO] = "host_udp_tunnel_gso",
		[VIRTIO_NET_F_GUEST_UDP_TUNNEL_GSO] = "guest_udp_tunnel_gso",
#endif
	};
	const char *sep = "";
	unsigned int bit;

	seq_puts(m, "vhx-features:\t");
	for (bit = 0; bit < ARRAY_SIZE(names); bit++) {
		if (!(READ_ONCE(dev->features[bit / 64]) & BIT_ULL(bit % 64)))
			continue;
		if (names[bit])
			seq_printf(m, "%s%s", sep, names[bit]);
		else
			seq_printf(m, "%s%u", sep, bit);
		sep = " ";
	}
	seq_putc(m, '\n');
}

/* Those of the last time that they were measured. */
static void show_latency(struct seq_file *m, const char *name, const char *what,
			 const u64 *buckets)
{
	unsigned int i;
	u64 nr;

	for (i = 0; i < VHX_LATENCY_BUCKETS; i++) {
		nr = READ_ONCE(buckets[i]);
		if (nr)
			seq_printf(m, "vhx-%s-%s_%llu:\t%llu\n", name, what,
				   BIT_ULL(i), nr);
	}
}

static void show_vq(struct seq_file *m, const char *name,
		    const struct vhx_vq *vq, const struct shown *shown)
{
	show_facts(m, name, vq, shown);
	show_counters(m, name, vq);
	show_latency(m, name, "pickup", vq->latency.pickup);
	show_latency(m, name, "publish", vq->latency.publish);
}

/**
 * vhx_stats_show - print what there is to say of a device
 * @m: where to
 * @dev: the device
 *
 * Context: may sleep; takes the RTNL where a tun is a backend, as tun's fdinfo does
 */
void vhx_stats_show(struct seq_file *m, struct vhx_dev *dev)
{
	struct vhx_vq *rx = &dev->vq[VHX_RXQ], *tx = &dev->vq[VHX_TXQ];
	struct shown of_rx, of_tx;

	look_at(rx, &of_rx);
	look_at(tx, &of_tx);
	if (of_rx.file)
		of_rx.ops->describe(of_rx.file, &of_rx.facts);
	/* A tun's queue is known to who gets its frames alone. */
	if (of_tx.file == of_rx.file)
		of_tx.facts = of_rx.facts;
	else if (of_tx.file)
		of_tx.ops->describe(of_tx.file, &of_tx.facts);
	seq_printf(m, "vhx-owner:\t%d\n", READ_ONCE(dev->owner));
	seq_printf(m, "vhx-dev:\t%u\n", dev->id);
	show_features(m, dev);
	seq_printf(m, "vhx-latency:\t%d\n", vhx_latency_is_on(dev));
	show_vq(m, "rx", rx, &of_rx);
	show_vq(m, "tx", tx, &of_tx);
	if (of_rx.file)
		fput(of_rx.file);
	if (of_tx.file)
		fput(of_tx.file);
}
