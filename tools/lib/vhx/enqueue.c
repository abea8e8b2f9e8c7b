// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * To the guest: fetch, copy, complete, notify. What the lock, translations, the
 * log and notifications cost, they cost a burst, not a frame.
 */
#include <linux/if_ether.h>

#include "burst.h"

/* The frame waits for buffers; not an errno of any call below. */
#define NO_BUFFERS	1

/* Fetches for one frame: far more than a guest with whole buffers needs. */
#define FETCHES_MAX	128

/*
 * Descriptors that a frame may cost, and bytes that pay for one more; what was
 * not used of that is kept for later, up to VHX_SHARE_MAX. A guest that gives 19 pages
 * in a buffer, as without mergeable ones, needs 20.
 */
#define SHARE_OF_FRAME	64
#define SHARE_BYTES	8

/* Bytes of a frame that are known when all of it was written. */
#define PATCHES		4

/**
 * struct patch - a byte of a frame that is written last
 * @at: where in the frame, header included
 * @val: the byte
 * @ptr: where that is in guest memory
 * @gpa: its guest address, for the log
 */
struct patch {
	u32 at;
	u8 val;
	u8 *ptr;
	u64 gpa;
};

/**
 * struct frame - a frame on its way into several buffers or pieces
 * @pkt: the frame
 * @hdr: its header, as the guest sees it
 * @len: bytes of header and frame
 * @done: bytes written
 * @nr_chains: chains taken, staged in vhx_queue.used from nr_used on
 * @nr_fetches: bursts fetched for it
 * @first: position of the first chain, to hand all back by
 * @patch: num_buffers and checksum, byte by byte
 * @nr_patches: how many of them
 */
struct frame {
	const struct vhx_pkt *pkt;
	u8 hdr[VHX_HLEN_MAX];
	u32 len;
	u32 done;
	unsigned int nr_chains;
	unsigned int nr_fetches;
	u16 first;
	struct patch patch[PATCHES];
	unsigned int nr_patches;
};

/* The ones' complement sum of @len bytes, as a big-endian word, folded. */
static u16 checksum(const u8 *data, u32 len)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (u32)data[i] << 8 | data[i + 1];
	if (len & 1)
		sum += (u32)data[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

static void put16(bool is_le, u8 *to, u16 val)
{
	__virtio16 raw = __cpu_to_virtio16(is_le, val);

	memcpy(to, &raw, sizeof(raw));
}

static void add_patch(struct frame *frame, u32 at, u8 val)
{
	frame->patch[frame->nr_patches++] = (struct patch){
		.at = at, .val = val,
	};
}

/* The checksum that the guest does not want to make is made here. */
static void add_checksum(struct frame *frame, u32 hlen, u32 start, u32 at)
{
	const struct vhx_pkt *pkt = frame->pkt;
	u16 sum = checksum((const u8 *)pkt->data + start, pkt->len - start);

	/* In UDP a sum of 0 says that there is none. */
	if (!sum && at - start == 6)
		sum = 0xffff;
	add_patch(frame, hlen + at, (u8)(sum >> 8));
	add_patch(frame, hlen + at + 1, (u8)sum);
}

/* The header as this guest takes it. Return: whether it can take the frame. */
static bool encode_hdr(const struct vhx_queue *queue, struct frame *frame)
{
	const struct vhx_net_hdr *hdr = &frame->pkt->hdr;
	u32 type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	u32 start = hdr->csum_start, at = start + hdr->csum_offset;
	bool is_le = queue->ring.is_le;

	if (type > 7 || !(queue->gso_types & 1u << type))
		return false;
	if ((hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
	    at + 2 > frame->pkt->len)
		return false;
	if (!queue->has_csum) {
		if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			add_checksum(frame, queue->hlen, start, at);
		return true;
	}
	frame->hdr[0] = hdr->flags;
	frame->hdr[1] = hdr->gso_type;
	put16(is_le, &frame->hdr[2], hdr->hdr_len);
	put16(is_le, &frame->hdr[4], hdr->gso_size);
	put16(is_le, &frame->hdr[6], (u16)start);
	put16(is_le, &frame->hdr[8], hdr->csum_offset);
	return true;
}

/* Fetches chains. Return: 0, NO_BUFFERS or an errno. */
static int fetch(struct vhx_queue *queue, unsigned int want)
{
	int ret;

	queue->cursor = 0;
	queue->burst.nr = 0;
	ret = queue->ring.ops->fetch(&queue->ring, &queue->burst,
				     min(want, (unsigned int)VHX_PKTS_MAX));
	queue->share -= (int)queue->burst.nr_steps;
	return ret < 0 ? ret : ret ? 0 : NO_BUFFERS;
}

/*
 * Fetches more chains: as many as the frames in hand will need if they fit one
 * each, or as this one lacks by the size of its last.
 */
static int fetch_more(struct vhx_queue *queue, struct frame *frame,
		      unsigned int want)
{
	if (frame->nr_chains)
		want += (frame->len - frame->done) /
			(frame->done / frame->nr_chains + 1);
	frame->nr_fetches++;
	return fetch(queue, want);
}

static void note_patches(struct frame *frame, u8 *ptr, u64 gpa, u32 len)
{
	struct patch *patch = frame->patch;
	u32 off;

	for (; patch < frame->patch + frame->nr_patches; patch++) {
		off = patch->at - frame->done;
		if (off < len) {
			patch->ptr = ptr + off;
			patch->gpa = gpa + off;
		}
	}
}

/* Writes the next @len bytes of the frame, which lie in a row, at @gpa. */
static void copy_part(struct vhx_queue *queue, struct frame *frame, u8 *ptr,
		      u64 gpa, u32 len)
{
	const u8 *data = frame->pkt->data;
	u32 hlen = queue->hlen, part = 0;

	note_patches(frame, ptr, gpa, len);
	if (frame->done < hlen) {
		part = min(hlen - frame->done, len);
		memcpy(ptr, frame->hdr + frame->done, part);
	}
	if (part < len)
		memcpy(ptr + part, data + (frame->done + part - hlen),
		       len - part);
	vhx_dirty_log(&queue->mem.dirty, gpa, len);
	frame->done += len;
}

/* Writes as much as the chain holds. Return: 0, -EFAULT, -EPERM, -EAGAIN. */
static int copy_in(struct vhx_queue *queue, const struct vhx_chain *chain,
		   struct frame *frame)
{
	struct vhx_xlate *xlate = &queue->mem.xlate;
	unsigned int i;
	u32 left, part;
	u64 addr;
	u8 *ptr;
	int err;

	for (i = 0; i < chain->nr_in && frame->done < frame->len; i++) {
		addr = chain->slot[i].addr;
		left = min(chain->slot[i].len, frame->len - frame->done);
		for (; left; left -= part, addr += part) {
			part = left;
			err = vhx_xlate_find(xlate, addr, VHOST_ACCESS_WO,
					     &part, &ptr);
			if (err)
				return vhx_burst_fail_xlate(queue, err);
			copy_part(queue, frame, ptr, xlate->hit.gpa +
				  (addr - xlate->hit.first), part);
		}
	}
	return 0;
}

static void stage(struct vhx_queue *queue, const struct vhx_chain *chain,
		  unsigned int at, u32 len)
{
	queue->used[at] = (struct vhx_used){
		.id = chain->id, .count = chain->count, .len = len,
	};
}

static int check_chain(struct vhx_queue *queue, const struct vhx_chain *chain)
{
	if (likely(!chain->nr_out && chain->nr_in))
		return 0;
	return vhx_ring_fail(&queue->ring, -EINVAL, chain->nr_out ?
			     "readable descriptor" :
			     "nothing writable in a buffer");
}

/* Takes the next chain for a frame. Return: 0, NO_BUFFERS or an errno. */
static int add_chain(struct vhx_queue *queue, struct frame *frame,
		     unsigned int want)
{
	const struct vhx_chain *chain;
	u32 done = frame->done;
	int err;

	if (queue->cursor == queue->burst.nr) {
		err = fetch_more(queue, frame, want);
		if (err)
			return err;
	}
	chain = &queue->burst.chain[queue->cursor];
	err = check_chain(queue, chain);
	if (err)
		return err;
	if (!frame->nr_chains)
		frame->first = chain->pos;
	err = copy_in(queue, chain, frame);
	if (err)
		return err;
	stage(queue, chain, queue->nr_used + frame->nr_chains,
	      frame->done - done);
	frame->nr_chains++;
	queue->cursor++;
	return 0;
}

/* Hands back the chains of a frame and those fetched ahead. */
static void give_back(struct vhx_queue *queue, const struct frame *frame)
{
	if (frame && frame->nr_chains)
		vhx_ring_rewind(&queue->ring, frame->first);
	else if (queue->cursor < queue->burst.nr)
		vhx_ring_unfetch(&queue->ring,
				 &queue->burst.chain[queue->cursor]);
	queue->cursor = 0;
	queue->burst.nr = 0;
}

/* What is known last: who migrates may have sent the page before that. */
static void apply_patches(struct vhx_queue *queue, struct frame *frame)
{
	struct patch *patch = frame->patch;

	if (queue->hlen == VHX_HLEN_MAX) {
		u8 nr[2];

		put16(queue->ring.is_le, nr, (u16)frame->nr_chains);
		patch[0].val = nr[0];
		patch[1].val = nr[1];
	}
	for (; patch < frame->patch + frame->nr_patches; patch++) {
		*patch->ptr = patch->val;
		vhx_dirty_log(&queue->mem.dirty, patch->gpa, 1);
	}
}

/*
 * Writes a frame in any layout, into one chain or several.
 * Return: 0 (done or dropped), NO_BUFFERS, or an errno; but for frames that are
 * done, no chain is kept.
 */
static int put_slowly(struct vhx_queue *queue, const struct vhx_pkt *pkt,
		      unsigned int want)
{
	struct frame frame = { .pkt = pkt, .len = queue->hlen + pkt->len };
	unsigned int max = queue->is_mergeable ? VHX_SLOTS_MAX : 1;
	int err = 0;

	if (queue->hlen == VHX_HLEN_MAX) {
		add_patch(&frame, 10, 0);
		add_patch(&frame, 11, 0);
	}
	if (!encode_hdr(queue, &frame)) {
		queue->stats.drop_offload++;
		return 0;
	}
	while (!err && frame.done < frame.len) {
		if (frame.nr_chains == max || frame.nr_fetches == FETCHES_MAX ||
		    queue->share < 0) {
			queue->stats.drop_room++;
			give_back(queue, &frame);
			return 0;
		}
		err = add_chain(queue, &frame, want);
	}
	if (err) {
		give_back(queue, &frame);
		return err;
	}
	apply_patches(queue, &frame);
	queue->nr_used += frame.nr_chains;
	queue->stats.frames++;
	queue->stats.bytes += pkt->len;
	return 0;
}

static bool is_len_right(const struct vhx_pkt *pkt)
{
	return pkt->len - ETH_HLEN <= VHX_FRAME_LEN_MAX - ETH_HLEN;
}

/* Whether it has a plain header and no fault. */
static bool is_easy(const struct vhx_pkt *pkt)
{
	return is_len_right(pkt) && !(pkt->hdr.flags | pkt->hdr.gso_type);
}

/* Chains from @chain on that hold @len bytes, or 0: there are not so many. */
static unsigned int count_chains(const struct vhx_queue *queue,
				 const struct vhx_chain *chain, u32 len)
{
	const struct vhx_chain *end = queue->burst.chain + queue->burst.nr;
	const struct vhx_chain *at = chain;

	for (; at < end && !at->nr_out && at->nr_in; at++) {
		if (at->in_len >= len)
			return (unsigned int)(at - chain) + 1;
		len -= at->in_len;
		if (!queue->is_mergeable)
			break;
	}
	return 0;
}

/* Where a frame is going, piece by piece. */
struct pieces {
	const struct vhx_span *span;
	const struct vhx_dirty *dirty;
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
		vhx_dirty_log(to->dirty, vhx_span_gpa(to->span, ptr), len);
		to->data += len;
		to->left -= len;
	}
	return true;
}

/*
 * Writes a frame into several pieces, with the header in the first of them.
 * Return: whether it did; if not, what was written is written again
 */
static bool put_pieces(struct vhx_queue *queue, const struct vhx_span *span,
		       const struct vhx_pkt *pkt)
{
	const struct vhx_chain *chain = &queue->burst.chain[queue->cursor];
	u32 hlen = queue->hlen, left = hlen + pkt->len;
	unsigned int i, nr = count_chains(queue, chain, left);
	struct pieces to = {
		.span = span, .dirty = &queue->mem.dirty, .data = pkt->data,
		.left = pkt->len,
	};
	u8 *hdr;

	if (!nr || chain->slot->len < hlen ||
	    !vhx_span_find(span, chain->slot->addr, hlen, &hdr))
		return false;
	memcpy(hdr, queue->plain_hdr, sizeof(struct virtio_net_hdr));
	if (hlen == VHX_HLEN_MAX)
		put16(queue->ring.is_le, hdr + sizeof(struct virtio_net_hdr),
		      (u16)nr);
	vhx_dirty_log(to.dirty, vhx_span_gpa(span, hdr), hlen);
	for (i = 0; i < nr; i++, chain++, left = to.left) {
		if (!fill_chain(&to, chain, i ? 0 : hlen))
			return false;
		stage(queue, chain, queue->nr_used + i, left - to.left);
	}
	queue->cursor += nr;
	queue->nr_used += nr;
	queue->stats.frames++;
	queue->stats.bytes += pkt->len;
	return true;
}

/*
 * Writes frames that need one descriptor each, which lies where the last one did,
 * as most do; into what is left of the burst and as many as may be staged. Stops
 * at any other.
 * Return: how many
 */
static unsigned int put_run(struct vhx_queue *queue,
			    const struct vhx_span *span,
			    struct vhx_pkt *const *pkts, unsigned int nr)
{
	const struct vhx_chain *chain = &queue->burst.chain[queue->cursor];
	const u32 hlen = queue->hlen;
	u64 bytes = 0;
	unsigned int i;

	nr = min3(nr, queue->burst.nr - queue->cursor,
		  VHX_BURST_MAX - queue->nr_used);
	for (i = 0; i < nr; i++, chain++) {
		const struct vhx_pkt *pkt = pkts[i];
		u32 len = pkt->len;
		u8 *ptr;

		if (unlikely(chain->nr_in != 1 || chain->nr_out ||
			     chain->in_len < hlen + len || !is_easy(pkt) ||
			     !vhx_span_find(span, chain->slot->addr, hlen + len,
					    &ptr)))
			break;
		/* The shorter header is one that the frame runs over. */
		memcpy(ptr, queue->plain_hdr, VHX_HLEN_MAX);
		vhx_burst_copy(ptr + hlen, pkt->data, len);
		vhx_dirty_log(&queue->mem.dirty, vhx_span_gpa(span, ptr),
			      hlen + len);
		stage(queue, chain, queue->nr_used + i, hlen + len);
		bytes += len;
	}
	queue->cursor += i;
	queue->nr_used += i;
	queue->stats.frames += i;
	queue->stats.bytes += bytes;
	return i;
}

/* Writes any frame. Return: as put_slowly(). */
static int put_frame(struct vhx_queue *queue, const struct vhx_pkt *pkt,
		     unsigned int want)
{
	if (is_len_right(pkt))
		return put_slowly(queue, pkt, want);
	queue->stats.drop_size++;
	return 0;
}

/*
 * Writes the frames from @i on while the burst and what is staged have room, one
 * at least. Return: as put_slowly()
 */
static int put_some(struct vhx_queue *queue, struct vhx_pkt *const *pkts,
		    unsigned int nr, unsigned int *i)
{
	const struct vhx_span span = vhx_span(&queue->mem.xlate,
					      VHOST_ACCESS_WO);
	int err;

	if (!queue->nr_used)
		queue->staged = queue->burst.chain[queue->cursor].pos;
	*i += put_run(queue, &span, pkts + *i, nr - *i);
	while (*i < nr && queue->cursor < queue->burst.nr &&
	       queue->nr_used < VHX_BURST_MAX) {
		if (is_easy(pkts[*i]) && put_pieces(queue, &span, pkts[*i])) {
			(*i)++;
			continue;
		}
		err = put_frame(queue, pkts[*i], nr - *i);
		*i += !err;
		return err;
	}
	return 0;
}

/* Publishes what is staged, or hands it back. */
static int publish(struct vhx_queue *queue)
{
	unsigned int nr = queue->nr_used;
	int err;

	if (!nr)
		return 0;
	queue->nr_used = 0;
	err = queue->ring.ops->complete(&queue->ring, queue->used, nr);
	if (!err) {
		vhx_notify_call(queue);
		return 0;
	}
	vhx_ring_rewind(&queue->ring, queue->staged);
	queue->cursor = 0;
	queue->burst.nr = 0;
	return err;
}

/*
 * A guest decides how many descriptors its buffers have, empty ones, too, and so
 * what a frame costs its sender: each brings a share.
 */
static void add_share(struct vhx_queue *queue, struct vhx_pkt *const *pkts,
		      unsigned int nr)
{
	unsigned int i;

	queue->share = min(queue->share + (int)nr * SHARE_OF_FRAME,
			   VHX_SHARE_MAX);
	for (i = 0; unlikely(queue->share <= 0) && i < nr; i++)
		queue->share += (int)(pkts[i]->len / SHARE_BYTES);
}

static unsigned int enqueue(struct vhx_queue *queue,
			    struct vhx_pkt *const *pkts, unsigned int nr)
{
	unsigned int i = 0;
	int err = 0, ret;

	add_share(queue, pkts, nr);
	while (i < nr && !err) {
		if (unlikely(queue->share < 0)) {
			queue->stats.drop_share += nr - i;
			i = nr;
			break;
		}
		if (queue->cursor == queue->burst.nr)
			err = fetch(queue, nr - i);
		/* Of long frames: there is room for one more. */
		else if (unlikely(queue->nr_used >= VHX_BURST_MAX))
			err = publish(queue);
		else
			err = put_some(queue, pkts, nr, &i);
	}
	give_back(queue, NULL);
	ret = publish(queue);
	if (err >= 0 && ret)
		err = ret;
	if (unlikely(err < 0))
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
	if (queue->runs)
		vhx_queue_look_ahead(queue);
	vhx_burst_leave(queue);
	return sum;
}
