// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * From the guest: fetch, copy, complete, notify. What the lock, translations, the
 * log and notifications cost, they cost a burst, not a frame.
 */
#include <linux/if_ether.h>

#include "burst.h"

/* Of a disabled queue, before others have their turn. */
#define DISCARD_BURSTS	16

/* Copies @len bytes from byte @skip of a chain on, which are there. */
static int copy_out(struct vhx_queue *queue, const struct vhx_chain *chain,
		    u32 skip, void *dst, u32 len)
{
	const struct vhx_slot *slot = chain->slot;
	u32 size, part;
	u64 addr;
	u8 *ptr;
	int err;

	for (; skip >= slot->len; slot++)
		skip -= slot->len;
	for (; len; slot++, skip = 0) {
		addr = slot->addr + skip;
		size = min(slot->len - skip, len);
		len -= size;
		for (; size; size -= part, addr += part) {
			part = size;
			err = vhx_xlate_find(&queue->mem.xlate, addr,
					     VHOST_ACCESS_RO, &part, &ptr);
			if (err)
				return err;
			memcpy(dst, ptr, part);
			dst = (u8 *)dst + part;
		}
	}
	return 0;
}

static u16 swapped(bool is_le, u16 val)
{
	return __virtio16_to_cpu(is_le, (__force __virtio16)val);
}

/* Into host byte order. */
static inline void decode_hdr(bool is_le, struct vhx_net_hdr *hdr)
{
	if (likely(!ring_env_swaps(is_le)))
		return;
	hdr->hdr_len = swapped(is_le, hdr->hdr_len);
	hdr->gso_size = swapped(is_le, hdr->gso_size);
	hdr->csum_start = swapped(is_le, hdr->csum_start);
	hdr->csum_offset = swapped(is_le, hdr->csum_offset);
}

/* Takes note that it may have any: in memory, since registers are rare here. */
static inline void note_offloads(struct vhx_queue *queue,
				 const struct vhx_net_hdr *hdr)
{
	u64 all;

	memcpy(&all, hdr, sizeof(all));
	queue->offloads |= all;
}

static noinline void count_offloads(struct vhx_queue *queue,
				    struct vhx_pkt *const *pkts, unsigned int nr)
{
	queue->offloads = 0;
	for (; nr--; pkts++)
		vhx_counts_offloads(&queue->counts, (*pkts)->hdr.flags,
				    (*pkts)->hdr.gso_type);
}

/* Copies all behind a header, which is not all. Return: whether it could. */
static bool copy_pieces(const struct vhx_span *span,
			const struct vhx_chain *chain, u32 hlen, u8 *dst)
{
	const struct vhx_slot *slot = chain->slot, *end = slot + chain->nr_out;
	u32 skip = hlen, len;
	u8 *ptr;

	for (; skip >= slot->len; slot++)
		skip -= slot->len;
	for (; slot < end; slot++, skip = 0, dst += len) {
		len = slot->len - skip;
		if (!vhx_span_find(span, slot->addr + skip, len, &ptr))
			return false;
		vhx_burst_copy(dst, ptr, len);
	}
	return true;
}

/*
 * Takes frames of one descriptor each, that lie where the last one did, as most do:
 * the plain buffers of the burst from @at on. Stops at any other, and at those that
 * are to be dropped.
 * Return: how many
 */
static inline unsigned int take_plain(struct vhx_queue *queue, unsigned int at,
				      struct vhx_pkt *const *pkts, u64 *bytes)
{
	const struct vhx_span span = vhx_span(&queue->mem.xlate,
					      VHOST_ACCESS_RO);
	const struct vring_desc *const first = &queue->burst.desc[at];
	const struct vring_desc *const end = &queue->burst.desc[queue->burst.nr_plain];
	const bool has_offload = queue->has_offload;
	const struct vring_desc *desc = first;
	const u32 hlen = queue->hlen;
	u64 sum = 0;

	if (unlikely(queue->burst.is_plain_in))
		return 0;
	for (; desc < end; desc++, pkts++) {
		struct vhx_pkt *pkt = *pkts;
		u32 len = vhx_plain_len(desc) - hlen;
		u8 *ptr;

		if (unlikely(len > pkt->room ||
			     len - ETH_HLEN > VHX_FRAME_LEN_MAX - ETH_HLEN ||
			     !vhx_span_find(&span, vhx_plain_addr(desc), len,
					    &ptr)))
			break;
		vhx_burst_copy(pkt->data, ptr + hlen, len);
		if (unlikely(has_offload)) {
			memcpy(&pkt->hdr, ptr, sizeof(pkt->hdr));
			note_offloads(queue, &pkt->hdr);
			decode_hdr(queue->ring.is_le, &pkt->hdr);
		} else {
			memset(&pkt->hdr, 0, sizeof(pkt->hdr));
		}
		pkt->len = len;
		sum += len;
	}
	*bytes += sum;
	if (unlikely(queue->offloads))
		count_offloads(queue, pkts - (desc - first),
			       (unsigned int)(desc - first));
	return (unsigned int)(desc - first);
}

/* The same of chains. */
static unsigned int take_chains(struct vhx_queue *queue, unsigned int at,
				struct vhx_pkt *const *pkts, u64 *bytes)
{
	const struct vhx_chain *chain = &queue->burst.chain[at];
	const unsigned int nr = queue->burst.nr - at;
	const u32 hlen = queue->hlen;
	struct vhx_span span;
	unsigned int i;

	/* Then the header is read as well. */
	if (unlikely(queue->has_offload || !chain->nr_out))
		return 0;
	/* Tables, which were looked at last, may lie elsewhere. */
	span = vhx_span_at(&queue->mem.xlate, chain->slot->addr,
			   VHOST_ACCESS_RO);
	for (i = 0; i < nr; i++, chain++) {
		struct vhx_pkt *pkt = pkts[i];
		u32 len = chain->out_len - hlen;

		if (unlikely(chain->nr_in || len > pkt->room ||
			     len - ETH_HLEN > VHX_FRAME_LEN_MAX - ETH_HLEN ||
			     !copy_pieces(&span, chain, hlen, pkt->data)))
			break;
		memset(&pkt->hdr, 0, sizeof(pkt->hdr));
		pkt->len = len;
		*bytes += len;
	}
	return i;
}

/*
 * Takes one frame. One that can be read but not taken is dropped, and completed:
 * the guest must get its buffers back.
 * Return: 1, 0 (dropped), or why the ring cannot go on.
 */
static int take_frame(struct vhx_queue *queue, const struct vhx_chain *chain,
		      struct vhx_pkt *pkt)
{
	const struct vhx_slot *slot = chain->slot;
	u32 hlen = queue->hlen, len = chain->out_len - hlen, size = slot->len;
	u8 *ptr;
	int err;

	if (unlikely(chain->nr_in)) {
		queue->counts.stats.drop_writable++;
		return 0;
	}
	if (unlikely(chain->out_len < hlen + ETH_HLEN)) {
		queue->counts.stats.drop_short++;
		return 0;
	}
	if (unlikely(len > VHX_FRAME_LEN_MAX)) {
		queue->counts.stats.drop_long++;
		return 0;
	}
	if (unlikely(len > pkt->room)) {
		queue->counts.stats.drop_pkt_room++;
		return 0;
	}
	if (chain->nr_out == 1) {
		err = vhx_xlate_find(&queue->mem.xlate, slot->addr,
				     VHOST_ACCESS_RO, &size, &ptr);
		if (unlikely(err))
			return vhx_burst_fail_xlate(queue, err);
		if (size == slot->len) {
			memcpy(&pkt->hdr, ptr, sizeof(pkt->hdr));
			memcpy(pkt->data, ptr + hlen, len);
			goto out;
		}
	}
	err = copy_out(queue, chain, 0, &pkt->hdr, sizeof(pkt->hdr));
	if (!err)
		err = copy_out(queue, chain, hlen, pkt->data, len);
	if (err)
		return vhx_burst_fail_xlate(queue, err);
out:
	/* Without offloads the guest's header says nothing. */
	if (!queue->has_offload)
		memset(&pkt->hdr, 0, sizeof(pkt->hdr));
	decode_hdr(queue->ring.is_le, &pkt->hdr);
	count_offloads(queue, &pkt, 1);
	pkt->len = len;
	return 1;
}

/*
 * Completes @nr buffers of the burst in work, which @taken frames came of; the others
 * are handed back.
 */
static inline int complete_taken(struct vhx_queue *queue, unsigned int nr,
				 unsigned int taken)
{
	struct vhx_burst *burst = &queue->burst;
	int err;

	if (nr < burst->nr)
		vhx_ring_unfetch(&queue->ring, burst, nr);
	if (!nr)
		return 0;
	err = queue->ring.ops->complete(&queue->ring, burst->used, nr);
	if (unlikely(err)) {
		vhx_ring_unfetch(&queue->ring, burst, 0);
		return err;
	}
	queue->counts.bursts_of[taken]++;
	vhx_notify_call(queue);
	return 0;
}

/* What stands behind the chain whose translation was asked for. */
static void want_rest(struct vhx_queue *queue, unsigned int i)
{
	const struct vhx_slot *slot;

	for (; i < queue->burst.nr; i++) {
		slot = vhx_burst_chain(&queue->burst, i)->slot;
		vhx_xlate_want(&queue->mem.xlate, slot->addr, slot->len,
			       VHOST_ACCESS_RO);
	}
}

/*
 * Completes what was taken of the burst in work: @nr buffers, @taken frames of @bytes.
 * @err: why there are no more, or 0
 * Return: frames
 */
static inline unsigned int end_burst(struct vhx_queue *queue, unsigned int nr,
				     unsigned int taken, u64 bytes, int err)
{
	int ret = complete_taken(queue, nr, taken);

	if (likely(!ret)) {
		queue->counts.stats.frames += taken;
		queue->counts.stats.bytes += bytes;
	} else {
		/* What was not given back comes again. */
		taken = 0;
		err = ret;
	}
	if (unlikely(err))
		vhx_queue_fail(queue, err);
	return taken;
}

/*
 * Takes what is left of the burst from @i on, whatever that is.
 * @bytes: of the frames before
 * Return: frames, those before included
 */
static noinline unsigned int take_others(struct vhx_queue *queue,
					 unsigned int i,
					 struct vhx_pkt *const *pkts, u64 bytes)
{
	struct vhx_burst *burst = &queue->burst;
	unsigned int taken = i, run;
	int ret = 0;

	for (; i < burst->nr; i++) {
		run = i < burst->nr_plain ?
			take_plain(queue, i, pkts + taken, &bytes) :
			take_chains(queue, i, pkts + taken, &bytes);
		i += run;
		taken += run;
		if (i == burst->nr)
			break;
		ret = take_frame(queue, vhx_burst_chain(burst, i),
				 pkts[taken]);
		if (ret < 0)
			break;
		if (ret)
			bytes += pkts[taken++]->len;
	}
	if (ret == -EAGAIN)
		want_rest(queue, i);
	return end_burst(queue, i, taken, bytes, min(ret, 0));
}

static inline unsigned int dequeue(struct vhx_queue *queue,
				   struct vhx_pkt *const *pkts, unsigned int nr)
{
	struct vhx_burst *burst = &queue->burst;
	unsigned int taken;
	u64 bytes = 0;
	int ret;

	ret = queue->ring.ops->fetch(&queue->ring, burst, nr);
	if (ret <= 0) {
		if (unlikely(ret < 0))
			vhx_queue_fail(queue, ret);
		return 0;
	}
	taken = take_plain(queue, 0, pkts, &bytes);
	if (unlikely(taken < burst->nr))
		return take_others(queue, taken, pkts, bytes);
	return end_burst(queue, taken, taken, bytes, 0);
}

/**
 * vhx_queue_discard - take what a guest sends, and drop it
 * @queue: a transmitq that is started and disabled; it is armed by this
 *
 * Return: whether there is more
 */
bool vhx_queue_discard(struct vhx_queue *queue)
{
	struct vhx_ring *ring = &queue->ring;
	unsigned int turn;
	int ret = 0;

	vhx_queue_lock(queue);
	for (turn = 0; turn < DISCARD_BURSTS; turn++) {
		if (!queue->is_taken_up || queue->is_broken ||
		    vhx_queue_lacks_memory(queue))
			break;
		ret = queue->is_ready ? 0 : vhx_queue_find_areas(queue);
		if (!ret)
			ret = ring->ops->fetch(ring, &queue->burst,
					       VHX_PKTS_MAX);
		if (ret > 0) {
			queue->counts.stats.drop_disabled += (unsigned int)ret;
			ret = complete_taken(queue, (unsigned int)ret, 0);
		} else if (!ret) {
			ret = ring->ops->arm(ring);
			if (!ret)
				break;
		}
		if (ret < 0) {
			vhx_queue_fail(queue, ret);
			break;
		}
	}
	vhx_queue_unlock(queue);
	return turn == DISCARD_BURSTS;
}

unsigned int vhx_dequeue_burst(struct vhx_device *dev, unsigned int index,
			       struct vhx_pkt *const *pkts, unsigned int nr)
{
	unsigned int part, done, sum = 0;
	struct vhx_queue *queue;

	if (unlikely(!(index & 1) || !nr))
		return 0;
	queue = vhx_burst_enter(dev, index);
	if (unlikely(!queue))
		return 0;
	do {
		part = min(nr - sum, (unsigned int)VHX_PKTS_MAX);
		done = dequeue(queue, pkts + sum, part);
		sum += done;
	} while (done == part && sum < nr && queue->runs);
	vhx_burst_leave(queue);
	return sum;
}
