// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * To the guest: fetch, copy, complete, notify. What the lock, translations, the
 * log and notifications cost, they cost a burst, not a frame.
 */
#include <linux/if_ether.h>

#include "enqueue.h"

/*
 * Descriptors that a frame may cost, and bytes that pay for one more; what was
 * not used of that is kept for later, up to VHX_SHARE_MAX. A guest that gives 19 pages
 * in a buffer, as without mergeable ones, needs 20.
 */
#define SHARE_OF_FRAME	64
#define SHARE_BYTES	8

static bool is_len_right(const struct vhx_pkt *pkt)
{
	return pkt->len - ETH_HLEN <= VHX_FRAME_LEN_MAX - ETH_HLEN;
}

/* Whether it has a plain header and no fault. */
static bool is_easy(const struct vhx_pkt *pkt)
{
	return is_len_right(pkt) && !(pkt->hdr.flags | pkt->hdr.gso_type);
}

/* Chains of the burst, from the next on, that hold @len bytes, or 0: too few. */
static unsigned int count_chains(struct vhx_queue *queue, u32 len)
{
	const struct vhx_chain *chain;
	unsigned int at = queue->cursor;

	while (at < queue->burst.nr) {
		chain = vhx_burst_chain(&queue->burst, at++);
		if (chain->nr_out || !chain->nr_in)
			break;
		if (chain->in_len >= len)
			return at - queue->cursor;
		len -= chain->in_len;
		if (!queue->is_mergeable)
			break;
	}
	return 0;
}

/* Where a frame is going, piece by piece. */
struct pieces {
	const struct vhx_span *span;
	const u8 *data;
	u32 left;
};

/* Writes into a chain behind its first @skip bytes. Return: whether it could. */
static bool fill_chain(struct pieces *to, const struct vhx_chain *chain,
		       u32 skip)
{
	const struct vhx_slot *slot = chain->slot, *end = slot + chain->nr_in;
	u64 addr;
	u32 len;
	u8 *ptr;

	/* A header in a descriptor of its own. */
	if (skip == slot->len) {
		slot++;
		skip = 0;
	}
	for (; slot < end && to->left; slot++, skip = 0) {
		addr = slot->addr + skip;
		len = min(slot->len - skip, to->left);
		if (!vhx_span_find(to->span, addr, len, &ptr))
			return false;
		vhx_burst_copy(ptr, to->data, len);
		to->data += len;
		to->left -= len;
	}
	return true;
}

/*
 * Writes a frame into several pieces, with the header in the first of them.
 * Return: whether it did; if not, what was written is written again
 */
static noinline bool put_pieces(struct vhx_queue *queue,
				const struct vhx_span *span,
				const struct vhx_pkt *pkt)
{
	const struct vhx_chain *chain = &queue->burst.chain[queue->cursor];
	u32 hlen = queue->hlen, left = hlen + pkt->len;
	unsigned int i, nr = count_chains(queue, left);
	struct pieces to = {
		.span = span, .data = pkt->data, .left = pkt->len,
	};
	u8 *hdr;

	if (!nr || chain->slot->len < hlen ||
	    !vhx_span_find(span, chain->slot->addr, hlen, &hdr))
		return false;
	memcpy(hdr, queue->plain_hdr, sizeof(struct virtio_net_hdr));
	if (hlen == VHX_HLEN_MAX)
		vhx_put16(queue->ring.is_le,
			  hdr + sizeof(struct virtio_net_hdr), (u16)nr);
	for (i = 0; i < nr; i++, chain++, left = to.left) {
		if (!fill_chain(&to, chain, i ? 0 : hlen))
			return false;
		vhx_enqueue_stage(queue, queue->cursor + i, i, left - to.left);
	}
	queue->cursor += nr;
	queue->nr_used += nr;
	queue->counts.stats.frames++;
	queue->counts.stats.bytes += pkt->len;
	return true;
}

/*
 * Writes frames that need one plain buffer each, which lies where the last one did,
 * as most do, into the next @nr buffers of the burst, all plain. Stops at any other.
 * What completes them stays in burst.used. No part of its callers, so that the
 * loop has the registers for itself.
 * Return: how many
 */
static noinline unsigned int put_plain(struct vhx_queue *queue,
				       struct vhx_pkt *const *pkts,
				       unsigned int nr)
{
	const struct vhx_span span = vhx_span(&queue->mem.xlate,
					      VHOST_ACCESS_WO);
	const struct vring_desc *desc = &queue->burst.desc[queue->cursor];
	struct vhx_used *used = &queue->burst.used[queue->cursor];
	const u32 hlen = queue->hlen;
	u64 bytes = 0;
	size_t i;

	for (i = 0; i < nr; i++, desc++) {
		const struct vhx_pkt *pkt = pkts[i];
		u32 len = pkt->len;
		u8 *ptr;

		/* What is left of the span has room for the header as well. */
		if (unlikely(!is_easy(pkt) ||
			     vhx_plain_len(desc) < hlen + len ||
			     !vhx_span_find(&span, vhx_plain_addr(desc), len,
					    &ptr)))
			break;
		/* The shorter header is one that the frame runs over. */
		memcpy(ptr, queue->plain_hdr, VHX_HLEN_MAX);
		vhx_burst_copy(ptr + hlen, pkt->data, len);
		used[i].len = hlen + len;
		bytes += len;
	}
	queue->cursor += (unsigned int)i;
	queue->nr_used += (unsigned int)i;
	queue->counts.stats.frames += i;
	queue->counts.stats.bytes += bytes;
	return (unsigned int)i;
}

/* Whether buffers are plain, and nobody wants to know what is written there. */
static inline bool is_plain(const struct vhx_queue *queue)
{
	return queue->burst.is_plain_in && !queue->mem.dirty.log;
}

/* Writes any frame. Return: as vhx_enqueue_any(). */
static int put_frame(struct vhx_queue *queue, const struct vhx_pkt *pkt,
		     unsigned int want)
{
	if (is_len_right(pkt))
		return vhx_enqueue_any(queue, pkt, want);
	if (pkt->len < ETH_HLEN)
		queue->counts.stats.drop_short++;
	else
		queue->counts.stats.drop_long++;
	return 0;
}

/*
 * Writes the frames from @i on while the burst and what is staged have room, one
 * at least; while writes are logged, one, which puts all into the log.
 * Return: as vhx_enqueue_any()
 */
static int put_some(struct vhx_queue *queue, struct vhx_pkt *const *pkts,
		    unsigned int nr, unsigned int *i)
{
	struct vhx_span span = vhx_span(&queue->mem.xlate, VHOST_ACCESS_WO);
	struct vhx_burst *burst = &queue->burst;
	const struct vhx_chain *chain;
	unsigned int run;
	int err;

	if (!queue->nr_used)
		queue->staged = vhx_burst_pos(&queue->ring, burst,
					      queue->cursor);
	if (is_plain(queue) && queue->cursor < burst->nr_plain) {
		run = put_plain(queue, pkts + *i,
				min3(nr - *i, burst->nr_plain - queue->cursor,
				     VHX_BURST_MAX - queue->nr_used));
		memcpy(&queue->used[queue->nr_used - run],
		       &burst->used[queue->cursor - run],
		       run * sizeof(*queue->used));
		*i += run;
	} else {
		/* Tables, which were looked at last, may lie elsewhere. */
		chain = vhx_burst_chain(burst, queue->cursor);
		if (chain->nr_in)
			span = vhx_span_at(&queue->mem.xlate, chain->slot->addr,
					   VHOST_ACCESS_WO);
	}
	while (*i < nr && queue->cursor < burst->nr &&
	       queue->nr_used < VHX_BURST_MAX) {
		if (!queue->mem.dirty.log && is_easy(pkts[*i]) &&
		    put_pieces(queue, &span, pkts[*i])) {
			(*i)++;
			continue;
		}
		err = put_frame(queue, pkts[*i], nr - *i);
		*i += !err;
		return err;
	}
	return 0;
}

/* Publishes what is staged in @used, of @frames of them, or hands it back. */
static inline int publish(struct vhx_queue *queue, const struct vhx_used *used,
			  u64 frames)
{
	unsigned int nr = queue->nr_used;
	int err;

	if (!nr)
		return 0;
	queue->nr_used = 0;
	err = queue->ring.ops->complete(&queue->ring, used, nr);
	if (likely(!err)) {
		queue->counts.bursts_of[frames]++;
		vhx_counts_end_wait_if_any(&queue->counts);
		vhx_notify_call(queue);
		return 0;
	}
	vhx_ring_rewind(&queue->ring, queue->staged);
	queue->cursor = 0;
	queue->burst.nr = 0;
	return err;
}

/* The same of what was staged since @frames were counted. */
static int publish_staged(struct vhx_queue *queue, u64 *frames)
{
	u64 before = *frames;

	*frames = queue->counts.stats.frames;
	return publish(queue, queue->used, *frames - before);
}

/*
 * A guest decides how many descriptors its buffers have, empty ones, too, and so
 * what a frame costs its sender: each brings a share.
 * Return: whether any may be looked at
 */
static inline bool add_share(struct vhx_queue *queue,
			     struct vhx_pkt *const *pkts, unsigned int nr)
{
	unsigned int i;

	queue->share = min(queue->share + (int)nr * SHARE_OF_FRAME,
			   VHX_SHARE_MAX);
	if (likely(queue->share > 0))
		return true;
	for (i = 0; queue->share <= 0 && i < nr; i++)
		queue->share += (int)(pkts[i]->len / SHARE_BYTES);
	return queue->share >= 0;
}

/*
 * Writes the frames from @i on, whatever they and the buffers are.
 * @err: of the last fetch
 * Return: frames, those before included
 */
static noinline unsigned int put_others(struct vhx_queue *queue,
					struct vhx_pkt *const *pkts,
					unsigned int nr, unsigned int i,
					int err)
{
	u64 frames = queue->counts.stats.frames - i;
	int ret;

	memcpy(queue->used, queue->burst.used, i * sizeof(*queue->used));
	while (i < nr && !err) {
		if (unlikely(queue->share < 0)) {
			queue->counts.stats.drop_share += nr - i;
			i = nr;
			break;
		}
		if (queue->cursor == queue->burst.nr)
			err = vhx_enqueue_fetch(queue, nr - i);
		/* Of long frames: there is room for one more. */
		else if (unlikely(queue->nr_used >= VHX_BURST_MAX))
			err = publish_staged(queue, &frames);
		else
			err = put_some(queue, pkts, nr, &i);
	}
	vhx_enqueue_give_back(queue);
	ret = publish_staged(queue, &frames);
	if (err == VHX_NO_BUFFERS)
		vhx_counts_begin_wait(&queue->counts);
	if (err >= 0 && ret)
		err = ret;
	if (unlikely(err < 0))
		vhx_queue_fail(queue, err);
	return i;
}

static inline unsigned int enqueue(struct vhx_queue *queue,
				   struct vhx_pkt *const *pkts, unsigned int nr)
{
	struct vhx_burst *burst = &queue->burst;
	unsigned int i = 0;
	int err = 0;

	if (likely(add_share(queue, pkts, nr))) {
		err = vhx_enqueue_fetch(queue, nr);
		/* All of most bursts; its used elements stay where they are. */
		if (likely(!err && is_plain(queue))) {
			queue->staged = burst->pos;
			i = put_plain(queue, pkts, burst->nr_plain);
		}
	}
	if (unlikely(i < nr))
		return put_others(queue, pkts, nr, i, err);
	/* None of the burst is left over. */
	err = publish(queue, burst->used, i);
	if (unlikely(err))
		vhx_queue_fail(queue, err);
	return i;
}

unsigned int vhx_enqueue_burst(struct vhx_device *dev, unsigned int index,
			       struct vhx_pkt *const *pkts, unsigned int nr)
{
	unsigned int part, done, sum = 0;
	struct vhx_queue *queue;

	if (unlikely((index & 1) || !nr))
		return 0;
	queue = vhx_burst_enter(dev, index);
	if (unlikely(!queue))
		return 0;
	do {
		part = min(nr - sum, (unsigned int)VHX_PKTS_MAX);
		done = enqueue(queue, pkts + sum, part);
		sum += done;
	} while (done == part && sum < nr && queue->runs);
	if (unlikely(queue->mem.xlate.iotlb) && queue->runs)
		vhx_queue_look_ahead(queue);
	vhx_burst_leave(queue);
	return sum;
}
