// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A frame to the guest, whatever it and the buffers are: with offloads or a checksum
 * to make, in pieces that lie anywhere, logged.
 */
#include "enqueue.h"

/* Fetches for one frame: far more than a guest with whole buffers needs. */
#define FETCHES_MAX	128

/* Bytes of a frame that are known when all of it was written. */
#define LATE_BYTES	4

/**
 * struct late_byte - a byte of a frame that is written last
 * @at: where in the frame, header included
 * @val: the byte
 * @ptr: where that is in guest memory
 * @gpa: its guest address, for the log
 */
struct late_byte {
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
 * @late: num_buffers and checksum, byte by byte
 * @nr_late: how many of them
 */
struct frame {
	const struct vhx_pkt *pkt;
	u8 hdr[VHX_HLEN_MAX];
	u32 len;
	u32 done;
	unsigned int nr_chains;
	unsigned int nr_fetches;
	u16 first;
	struct late_byte late[LATE_BYTES];
	unsigned int nr_late;
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

static void add_late_byte(struct frame *frame, u32 at, u8 val)
{
	frame->late[frame->nr_late++] = (struct late_byte){
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
	add_late_byte(frame, hlen + at, (u8)(sum >> 8));
	add_late_byte(frame, hlen + at + 1, (u8)sum);
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
	vhx_put16(is_le, &frame->hdr[2], hdr->hdr_len);
	vhx_put16(is_le, &frame->hdr[4], hdr->gso_size);
	vhx_put16(is_le, &frame->hdr[6], (u16)start);
	vhx_put16(is_le, &frame->hdr[8], hdr->csum_offset);
	return true;
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
	return vhx_enqueue_fetch(queue, want);
}

static void note_late_bytes(struct frame *frame, u8 *ptr, u64 gpa, u32 len)
{
	struct late_byte *late = frame->late;
	u32 off;

	for (; late < frame->late + frame->nr_late; late++) {
		off = late->at - frame->done;
		if (off < len) {
			late->ptr = ptr + off;
			late->gpa = gpa + off;
		}
	}
}

/* Writes the next @len bytes of the frame, which lie in a row, at @gpa. */
static void copy_part(struct vhx_queue *queue, struct frame *frame, u8 *ptr,
		      u64 gpa, u32 len)
{
	const u8 *data = frame->pkt->data;
	u32 hlen = queue->hlen, part = 0;

	note_late_bytes(frame, ptr, gpa, len);
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

static int check_chain(struct vhx_queue *queue, const struct vhx_chain *chain)
{
	if (likely(!chain->nr_out && chain->nr_in))
		return 0;
	return vhx_ring_fail(&queue->ring, -EINVAL, chain->nr_out ?
			     VHX_CAUSE_READABLE :
			     VHX_CAUSE_NO_WRITABLE);
}

/* Takes the next chain for a frame. Return: 0, VHX_NO_BUFFERS or an errno. */
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
	chain = vhx_burst_chain(&queue->burst, queue->cursor);
	err = check_chain(queue, chain);
	if (err)
		return err;
	if (!frame->nr_chains)
		frame->first = vhx_burst_pos(&queue->ring, &queue->burst,
					     queue->cursor);
	err = copy_in(queue, chain, frame);
	if (err)
		return err;
	vhx_enqueue_stage(queue, queue->cursor++, frame->nr_chains++, frame->done - done);
	return 0;
}

/* Hands back the chains of a frame and those fetched ahead. */
static void give_back(struct vhx_queue *queue, const struct frame *frame)
{
	if (frame->nr_chains) {
		vhx_ring_rewind(&queue->ring, frame->first);
		queue->cursor = queue->burst.nr;
	}
	vhx_enqueue_give_back(queue);
}

/* What is known last: who migrates may have sent the page before that. */
static void write_late_bytes(struct vhx_queue *queue, struct frame *frame)
{
	struct late_byte *late = frame->late;

	if (queue->hlen == VHX_HLEN_MAX) {
		u8 nr[2];

		vhx_put16(queue->ring.is_le, nr, (u16)frame->nr_chains);
		late[0].val = nr[0];
		late[1].val = nr[1];
	}
	for (; late < frame->late + frame->nr_late; late++) {
		*late->ptr = late->val;
		vhx_dirty_log(&queue->mem.dirty, late->gpa, 1);
	}
}

/**
 * vhx_enqueue_any - write a frame in any layout, into one chain or several
 * @queue: the receiveq
 * @pkt: the frame, of a length that is right
 * @want: frames in hand, so many chains may be fetched
 *
 * Return: 0 (done or dropped), VHX_NO_BUFFERS, or an errno; but for frames that are
 * done, no chain is kept
 */
int vhx_enqueue_any(struct vhx_queue *queue, const struct vhx_pkt *pkt,
		    unsigned int want)
{
	struct frame frame = { .pkt = pkt, .len = queue->hlen + pkt->len };
	unsigned int max = queue->is_mergeable ? VHX_SLOTS_MAX : 1;
	int err = 0;

	if (queue->hlen == VHX_HLEN_MAX) {
		add_late_byte(&frame, 10, 0);
		add_late_byte(&frame, 11, 0);
	}
	if (!encode_hdr(queue, &frame)) {
		queue->counts.stats.drop_offload++;
		return 0;
	}
	while (!err && frame.done < frame.len) {
		if (frame.nr_chains == max || frame.nr_fetches == FETCHES_MAX ||
		    queue->share < 0) {
			queue->counts.stats.drop_room++;
			give_back(queue, &frame);
			return 0;
		}
		err = add_chain(queue, &frame, want);
	}
	if (err) {
		give_back(queue, &frame);
		return err;
	}
	write_late_bytes(queue, &frame);
	if (frame.hdr[0] | frame.hdr[1])
		vhx_counts_offloads(&queue->counts, frame.hdr[0],
				    frame.hdr[1]);
	queue->nr_used += frame.nr_chains;
	queue->counts.stats.frames++;
	queue->counts.stats.bytes += pkt->len;
	return 0;
}
