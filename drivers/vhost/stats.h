/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of one vq. Documentation/ABI/fdinfo.rst says what each one means. */
#ifndef VHX_STATS_H
#define VHX_STATS_H

#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/uio.h>
#include <linux/virtio_net.h>

#include "ring/cause.h"

/**
 * enum vhx_drop - why a frame was dropped
 * @VHX_DROP_SHORT: from the guest, shorter than header and Ethernet header
 * @VHX_DROP_LONG: from the guest, longer than VHX_FRAME_MAX
 * @VHX_DROP_WRITABLE: from the guest, in a buffer with a device-writable part
 * @VHX_DROP_HEADER: the backend refused or could not make the virtio-net header
 * @VHX_DROP_REFUSED: the backend refused the frame, for another reason
 * @VHX_DROP_GONE: the backend has no interface, or it is down
 * @VHX_DROP_ROOM: to the guest, larger than its buffers
 * @VHX_DROP_FAULT: the buffer could not be accessed
 * @VHX_DROP_NOMEM: no memory
 * @VHX_DROPS: how many
 */
enum vhx_drop {
	VHX_DROP_SHORT,
	VHX_DROP_LONG,
	VHX_DROP_WRITABLE,
	VHX_DROP_HEADER,
	VHX_DROP_REFUSED,
	VHX_DROP_GONE,
	VHX_DROP_ROOM,
	VHX_DROP_FAULT,
	VHX_DROP_NOMEM,
	VHX_DROPS
};

/**
 * vhx_drop_name - a reason in one word
 * @reason: the reason
 *
 * Return: what its counter is called behind "drop"
 */
static inline const char *vhx_drop_name(enum vhx_drop reason)
{
	static const char *const names[VHX_DROPS] = {
		[VHX_DROP_SHORT] = "short",
		[VHX_DROP_LONG] = "long",
		[VHX_DROP_WRITABLE] = "writable",
		[VHX_DROP_HEADER] = "header",
		[VHX_DROP_REFUSED] = "refused",
		[VHX_DROP_GONE] = "gone",
		[VHX_DROP_ROOM] = "room",
		[VHX_DROP_FAULT] = "fault",
		[VHX_DROP_NOMEM] = "nomem",
	};

	return names[reason];
}

/**
 * struct vhx_wait - how often and how long something was waited for
 * @nr: waits, with one that is under way
 * @ns: how long they took together; less than 0 while one is under way: the clock is
 *      to be added. In one word, so that who reads it never sees time go back.
 */
struct vhx_wait {
	u64 nr;
	s64 ns;
};

/*
 * Bursts are counted by the binary logarithm of their frames: 1 to 64 and more. There
 * are fewer than 256 of them.
 */
#define VHX_BURST_SIZES		8

/**
 * struct vhx_stats - counters of one vq, in frames unless named otherwise
 * @frames: given to the other side
 * @bytes: of these frames and of those of a batch that was lost, without
 *         virtio-net headers
 * @burst: times that frames were published together, by ilog2() of how many
 * @published: frames of all bursts; the rest of @frames is staged, or was handed back
 * @kicks_empty: kicks after which nothing was there
 * @runs: of the worker
 * @sleeps: runs after which the ring waits for a kick, a frame or room
 * @guest: frames that waited for buffers of the guest
 * @host: times that the backend was full
 * @gso: frames with a gso_type, with those of a batch that was lost
 * @csum: frames with NEEDS_CSUM, with those of a batch that was lost
 * @drop: those that were not, by enum vhx_drop
 * @stops: times that the ring stopped, by cause
 * @calls: signals to the guest
 * @calls_saved: completions for which the guest wanted no signal
 * @errors: times the client was told that something is wrong
 * @polls: polling windows
 * @poll_hits: those in which something came
 * @poll_ns: how long they took together, in ns
 * @poll_skips: windows that were left out since the share was used up
 * @iotlb_waits: runs that ended for want of a translation
 * @retries: runs that were put off for want of memory
 *
 * They are written under the vq mutex, by vhx_count(), and read without.
 */
struct vhx_stats {
	u64 frames;
	u64 bytes;
	u64 burst[VHX_BURST_SIZES];
	u64 published;
	u64 kicks_empty;
	u64 runs;
	u64 sleeps;
	struct vhx_wait guest;
	struct vhx_wait host;
	u64 gso;
	u64 csum;
	u64 drop[VHX_DROPS];
	u64 stops[VHX_CAUSES];
	u64 calls;
	u64 calls_saved;
	u64 errors;
	u64 polls;
	u64 poll_hits;
	u64 poll_ns;
	u64 poll_skips;
	u64 iotlb_waits;
	u64 retries;
};

/* Buckets of latencies: by powers of two of ns, up to nine minutes. */
#define VHX_LATENCY_BUCKETS	40

/**
 * struct vhx_latency - latencies of one vq, by ilog2() of their ns
 * @turn: which setting of the parameter they are of
 * @is_on: the run in work, or the last one, is measured
 * @ready: when the backend was ready, if nothing was published since, in ns
 * @pickup: from a kick to the begin of the run
 * @publish: from when the backend is ready to used entries that are published
 */
struct vhx_latency {
	unsigned int turn;
	bool is_on;
	u64 ready;
	u64 pickup[VHX_LATENCY_BUCKETS];
	u64 publish[VHX_LATENCY_BUCKETS];
};

static inline void vhx_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

/* Counts frames that were published together, if there were any. */
static inline void vhx_count_burst(struct vhx_stats *stats)
{
	u64 nr = stats->frames - stats->published;

	if (!nr)
		return;
	stats->published = stats->frames;
	vhx_count(&stats->burst[__fls(nr) % VHX_BURST_SIZES], 1);
}

/* A wait begins, unless it is under way. */
static inline void vhx_wait_begin(struct vhx_wait *wait)
{
	if (wait->ns < 0)
		return;
	vhx_count(&wait->nr, 1);
	WRITE_ONCE(wait->ns, wait->ns - ktime_get_ns());
}

/* It is over, if there was one. */
static inline void vhx_wait_end(struct vhx_wait *wait)
{
	if (unlikely(wait->ns < 0))
		WRITE_ONCE(wait->ns, wait->ns + ktime_get_ns());
}

/*
 * For how long up to now, without a lock. A wait that ends between a look at it and one
 * at the clock would seem longer than it was, and the next look would see time go back.
 */
static inline u64 vhx_wait_ns(const struct vhx_wait *wait)
{
	s64 ns, now;

	do {
		ns = READ_ONCE(wait->ns);
		now = ktime_get_ns();
	} while (ns < 0 && ns != READ_ONCE(wait->ns));
	return ns < 0 ? ns + now : ns;
}

/* Counts a frame that is for the other side to cut, or to sum up. */
static inline void vhx_count_offloads(struct vhx_stats *stats, bool is_gso,
				      bool needs_csum)
{
	if (is_gso)
		vhx_count(&stats->gso, 1);
	if (needs_csum)
		vhx_count(&stats->csum, 1);
}

/*
 * NEEDS_CSUM and gso_type in one look. DATA_VALID, which frames of most NICs have, asks
 * for nothing.
 */
static inline u16 vhx_hdr_asks(const struct virtio_net_hdr *hdr)
{
	static_assert(offsetof(struct virtio_net_hdr, flags) == 0);
	static_assert(offsetof(struct virtio_net_hdr, gso_type) == 1);
	return *(const u16 *)hdr &
		(__force u16)cpu_to_le16(0xff00 | VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

/* The same by its header: hardly more than a look if it is neither. */
static inline void vhx_count_hdr(struct vhx_stats *stats,
				 const struct virtio_net_hdr *hdr)
{
	if (likely(!vhx_hdr_asks(hdr)))
		return;
	vhx_count_offloads(stats, hdr->gso_type,
			   hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

/*
 * The same of one in the guest's memory, which may have changed since: this is for
 * counting alone.
 */
static inline void vhx_count_hdr_from(struct vhx_stats *stats,
				      const struct iov_iter *from)
{
	struct virtio_net_hdr hdr;
	struct iov_iter iter = *from;
	const size_t len = offsetof(struct virtio_net_hdr, hdr_len);

	if (copy_from_iter(&hdr, len, &iter) == len)
		vhx_count_hdr(stats, &hdr);
}

#endif /* VHX_STATS_H */
