/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of one vq. Documentation/ABI/fdinfo.rst says what each one means. */
#ifndef VHX_STATS_H
#define VHX_STATS_H

#include <linux/compiler.h>
#include <linux/types.h>

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
 * struct vhx_stats - counters of one vq, in frames unless named otherwise
 * @frames: given to the other side
 * @bytes: of these frames and of those of a batch that was lost, without
 *         virtio-net headers
 * @drop: those that were not, by enum vhx_drop
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
	u64 drop[VHX_DROPS];
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

static inline void vhx_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

#endif /* VHX_STATS_H */
