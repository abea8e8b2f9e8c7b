/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* libvhx - what its queues are, and what they count. Included by <vhx/vhx.h>. */
#ifndef VHX_VHX_STATS_H
#define VHX_VHX_STATS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhx_device;

/**
 * struct vhx_queue_stats - counters of one queue since its device came
 * @frames: moved
 * @bytes: of these, without virtio-net headers
 * @drop_short: shorter than header and Ethernet header
 * @drop_long: longer than VHX_FRAME_LEN_MAX
 * @drop_writable: from the guest, in a buffer with a device-writable part
 * @drop_room: to the guest, larger than its buffers
 * @drop_pkt_room: from the guest, longer than vhx_pkt.room
 * @drop_offload: to the guest, in need of an offload that it did not accept
 * @drop_disabled: from the guest, while the queue was started and disabled
 * @drop_share: to the guest, whose buffers of very many descriptors had taken
 *              the queue's share of time
 * @gso: frames with a gso_type
 * @csum: frames with VIRTIO_NET_HDR_F_NEEDS_CSUM
 * @calls: signals to the guest
 * @errors: times that the queue stopped because of what the guest wrote there
 * @sleeps: times that kicks were asked for and there was nothing yet
 * @kicks_empty: kicks that vhx_queue_notification() read, and after which nothing was
 *               there; vhx_queue_arm() knows of none
 * @guest_waits: times that frames to the guest did not fit the buffers that it had
 *               given, and were left to the caller
 * @iotlb_waits: times that the queue had to wait for a translation
 * @calls_saved: completions for which the guest wanted no signal
 * @kicks: of the guest, read or not; without /proc those that were read
 * @bursts: of frames that were completed together
 * @burst_1: of these, bursts of 1 frame
 * @burst_2: of 2 or 3
 * @burst_4: of 4 to 7
 * @burst_8: of 8 to 15
 * @burst_16: of 16 to 31
 * @burst_32: of 32 to 63
 * @burst_64: of 64
 * @guest_wait_ns: from each of @guest_waits until a frame was given, in ns; one that is
 *                 under way is included
 * @dirty_pages: marked in the dirty log, each time anew
 * @iotlb_misses: translations asked for
 * @iotlb_found: addresses that were looked up, and found, in the IOTLB; those that lie
 *              where the last one did are not looked up
 *
 * A counter that the module has as well has the same name there. Those before
 * @calls_saved cost nothing to read. All others are put together then, with a few
 * system calls for @kicks, while which a burst of another thread finds the queue in
 * use.
 */
struct vhx_queue_stats {
	uint64_t frames;
	uint64_t bytes;
	uint64_t drop_short;
	uint64_t drop_long;
	uint64_t drop_writable;
	uint64_t drop_room;
	uint64_t drop_pkt_room;
	uint64_t drop_offload;
	uint64_t drop_disabled;
	uint64_t drop_share;
	uint64_t gso;
	uint64_t csum;
	uint64_t calls;
	uint64_t errors;
	uint64_t sleeps;
	uint64_t kicks_empty;
	uint64_t guest_waits;
	uint64_t iotlb_waits;
	uint64_t calls_saved;
	uint64_t kicks;
	uint64_t bursts;
	uint64_t burst_1;
	uint64_t burst_2;
	uint64_t burst_4;
	uint64_t burst_8;
	uint64_t burst_16;
	uint64_t burst_32;
	uint64_t burst_64;
	uint64_t guest_wait_ns;
	uint64_t dirty_pages;
	uint64_t iotlb_misses;
	uint64_t iotlb_found;
};

/*
 * Of a queue: not started, or disabled; bursts find frames there; it was stopped for
 * what the guest wrote, until the guest's driver starts it anew.
 */
enum vhx_queue_state { VHX_QUEUE_STOPPED, VHX_QUEUE_RUNNING, VHX_QUEUE_FAILED };

/**
 * struct vhx_queue_info - what a queue is
 * @state: VHX_QUEUE_*
 * @cause: why it failed last, for vhx_stop_text(); 0: it did not since it was started
 * @size: entries of the ring; 0: not set
 * @is_packed: the ring is packed (1) or split (0)
 */
struct vhx_queue_info {
	uint32_t state;
	uint32_t cause;
	uint32_t size;
	uint32_t is_packed;
};

/**
 * vhx_queue_get_stats - read the counters
 * @dev: the device
 * @queue: a queue
 * @stats: result
 * @size: sizeof(struct vhx_queue_stats), or less: no more is written; what the
 *        library does not have is 0
 *
 * Return: 0, -ENOENT (no such queue)
 */
int vhx_queue_get_stats(const struct vhx_device *dev, unsigned int queue,
			struct vhx_queue_stats *stats, size_t size);

/**
 * vhx_queue_stats_name - what a counter is called
 * @i: the i-th uint64_t of struct vhx_queue_stats
 *
 * Return: the name, or NULL: the library has no more
 */
const char *vhx_queue_stats_name(unsigned int i);

/**
 * vhx_queue_get_info - what a queue is, and how it is
 * @dev: the device
 * @queue: a queue
 * @info: result
 * @size: sizeof(struct vhx_queue_info); what the library does not have is 0
 *
 * Return: 0, -ENOENT (no such queue)
 */
int vhx_queue_get_info(const struct vhx_device *dev, unsigned int queue,
		       struct vhx_queue_info *info, size_t size);

/**
 * vhx_queue_stops - how often a queue stopped for one cause
 * @dev: the device
 * @queue: a queue
 * @cause: the cause: 1, 2, … while vhx_stop_name() has a name
 *
 * Return: how often since its device came; of all causes together it is
 * vhx_queue_stats.errors
 */
uint64_t vhx_queue_stops(const struct vhx_device *dev, unsigned int queue,
			 unsigned int cause);

/**
 * vhx_stop_name - a cause in a word, as the module's counters have it
 * @cause: the cause; its number may be another one in the next version of the library
 *
 * Return: letters, digits and _, or NULL: there are no more
 */
const char *vhx_stop_name(unsigned int cause);

/**
 * vhx_stop_text - a cause in words, as the log has it
 * @cause: the cause
 *
 * Return: a few words, or NULL: there are no more
 */
const char *vhx_stop_text(unsigned int cause);

#ifdef __cplusplus
}
#endif

#endif /* VHX_VHX_STATS_H */
