// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames of a tap to the guest. They come out of the file's ptr_ring a batch at a
 * time; most are copied here, others by the file's recvmsg.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/ptr_ring.h>
#include <linux/uaccess.h>
#include <linux/virtio_byteorder.h>
#include <net/sock.h>

#include "tap.h"

/* Frames up to this are copied by words while user access is open for all. */
#define SMALL		128U
/* Bytes of frames that are taken together. */
#define TOGETHER	0x20000
/* How long is believed what recvmsg was seen to write before a frame. */
#define KNOWN_JIFFIES	HZ
/* Else, by TUNSETVNETBE, the header's byte order may be any. */
#define TUN_IS_LE	(!IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) && \
			 !IS_ENABLED(CONFIG_TUN_VNET_CROSS_LE))

/*
 * A netdev queue that stopped because the ring was full waits for this. It is told
 * of frames only once they are gone for good, and only while we hold no others that
 * may go back into the ring: woken for those, it would find the ring full, and drop.
 */
static void wake_queue(struct vhx_tap *tap)
{
	if (tap->is_tun)
		tun_wake_queue(tap->backend.file, tap->nr_gone);
	tap->nr_gone = 0;
}

static size_t frame_len(void *ptr)
{
	const struct sk_buff *skb = ptr;

	if (tun_is_xdp_frame(ptr))
		return tun_ptr_to_xdp(ptr)->len;
	return skb->len + (skb_vlan_tag_present(skb) ? VLAN_HLEN : 0);
}

/*
 * Frames in the ring, as far as a batch goes. Under the consumer lock. Slots of a short
 * ring that were consumed and not cleared yet may count, too: it is for what to fetch.
 */
static unsigned int count_frames(struct ptr_ring *ring)
{
	int i = ring->consumer_head;
	unsigned int nr = 0;

	while (nr < min_t(unsigned int, ring->size, VHX_TAP_BATCH) && READ_ONCE(ring->queue[i])) {
		nr++;
		if (++i == ring->size)
			i = 0;
	}
	return nr;
}

/* Whether frames may go past recvmsg, when what it does with them was seen lately. */
static bool may_be_easy(const struct vhx_tap *tap)
{
	size_t hlen = tap->backend.hlen;

	return IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS) &&
	       hlen >= sizeof(struct virtio_net_hdr) &&
	       hlen <= sizeof(tap->hdr[0]);
}

static bool is_known(const struct vhx_tap *tap)
{
	return may_be_easy(tap) && tap->head == tap->tail &&
	       time_before(jiffies, tap->known_until);
}

/* Tunnels may have a longer header. Whether one can say what else it is says make_hdr(). */
static bool is_gso_easy(const struct sk_buff *skb)
{
	return !(skb_shinfo(skb)->gso_type &
		 ~(SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | SKB_GSO_UDP_L4 |
		   SKB_GSO_TCP_ECN | SKB_GSO_DODGY));
}

/* A frame that recvmsg would copy behind a header, and no more. */
static bool is_easy_kind(void *ptr)
{
	const struct sk_buff *skb = ptr;

	return !tun_is_xdp_frame(ptr) && skb->dev &&
	       !skb_vlan_tag_present(skb) &&
	       (!skb_is_gso(skb) || (TUN_IS_LE && is_gso_easy(skb))) &&
	       (TUN_IS_LE || skb->ip_summed != CHECKSUM_PARTIAL);
}

/*
 * A frame stays in the ring until there are buffers for it. Given back, it
 * might find its place taken: when the ring is full, it is the netdev queue,
 * stopped, that holds the frames which come next.
 */
size_t vhx_tap_peek(struct vhx_backend *backend)
{
	struct vhx_tap *tap = vhx_to_tap(backend);
	size_t len = 0;
	void *ptr;

	backend->is_easy = false;
	if (tap->head < tap->tail)
		return frame_len(tap->queue[tap->head]) + backend->hlen;
	spin_lock(&tap->ring->consumer_lock);
	wake_queue(tap);
	ptr = __ptr_ring_peek(tap->ring);
	if (!ptr) {
		tap->nr_ready = 0;
	} else {
		/* Those that came since are counted when the others are taken. */
		if (!tap->nr_ready)
			tap->nr_ready = count_frames(tap->ring);
		len = frame_len(ptr) + backend->hlen;
		backend->is_easy = is_known(tap) && is_easy_kind(ptr);
	}
	spin_unlock(&tap->ring->consumer_lock);
	return len;
}

unsigned int vhx_tap_queued(struct vhx_backend *backend)
{
	struct vhx_tap *tap = vhx_to_tap(backend);

	return tap->tail - tap->head + tap->nr_ready;
}

/*
 * The next frame, which is ours then; NULL when someone else read it. Those behind it
 * are left, if they may be easy.
 */
static void *take_frame(struct vhx_tap *tap)
{
	unsigned int want = may_be_easy(tap) ? 1 : tap->backend.ahead + 1;

	if (tap->head == tap->tail) {
		spin_lock(&tap->ring->consumer_lock);
		tap->tail = __ptr_ring_consume_batched(tap->ring, tap->queue,
						       min(want, VHX_TAP_BATCH));
		spin_unlock(&tap->ring->consumer_lock);
		tap->head = 0;
		tap->nr_ready -= min(tap->nr_ready, tap->tail);
		if (!tap->tail)
			return NULL;
	}
	tap->nr_gone++;
	return tap->queue[tap->head++];
}

/*
 * Buffers for the @need bytes of a frame, from the @at-th on, whose first piece holds
 * its header. Return: how many; 0: they are too few or too short.
 */
static unsigned int fit(const struct vhx_bufs *to, unsigned int at, size_t hlen,
			size_t need, bool merges)
{
	const struct iovec *iov = to->iov + to->first[at];
	unsigned int i = at;
	size_t room = 0;

	if (likely(iov->iov_len >= need))
		return 1;
	if (iov->iov_len < hlen)
		return 0;
	do {
		for (i++; iov < to->iov + to->first[i]; iov++)
			room += iov->iov_len;
	} while (room < need && merges && i < to->nr);
	return room >= need ? i - at : 0;
}

/*
 * Takes the next easy frames out of the ring, one after the other: what is further on
 * may be slots that were consumed and not cleared yet. Return: how many
 * @dev: whose statistics they go into, held: under the consumer lock it is there as long
 *       as they are in the ring. NULL: none's, a macvtap counted them before
 */
static unsigned int take_easy(struct vhx_tap *tap, const struct vhx_bufs *to,
			      bool merges, struct net_device **dev)
{
	const size_t hlen = tap->backend.hlen;
	const struct iovec *iov = to->iov;
	struct net_device *their = NULL;
	const bool is_tun = tap->is_tun;
	const u16 *first = to->first;
	struct ptr_ring *ring = tap->ring;
	unsigned int i, nr, at = 0, bytes = 0;
	struct sk_buff *skb;

	spin_lock(&ring->consumer_lock);
	skb = __ptr_ring_peek(ring);
	if (is_tun && skb && !tun_is_xdp_frame(skb)) {
		their = skb->dev;
		WRITE_ONCE(tap->backend.queue, skb_get_queue_mapping(skb));
	}
	for (i = 0; skb && at < to->nr && bytes < TOGETHER &&
	     is_easy_kind(skb) && (!is_tun || skb->dev == their); i++) {
		nr = fit(to, at, hlen, hlen + skb->len, merges);
		if (!nr)
			break;
		tap->queue[i] = skb;
		tap->hdr[i].num_buffers =
			__cpu_to_virtio16(tap->backend.is_le, nr);
		tap->to[i] = iov + first[at];
		at += nr;
		bytes += skb->len;
		__ptr_ring_discard_one(ring);
		skb = __ptr_ring_peek(ring);
	}
	tap->to[i] = iov + first[at];
	tap->head = 0;
	tap->tail = i;
	*dev = i ? their : NULL;
	dev_hold(*dev);
	spin_unlock(&ring->consumer_lock);
	tap->nr_ready -= min(tap->nr_ready, i);
	return i;
}

#define PUT_WORD(to, from, label)					\
	unsafe_put_user(get_unaligned((const u64 *)(from)),		\
			(u64 __user *)(to), label)

/*
 * Copies words while user access is open, the last ones over those before. @len is 8
 * at least. Return: whether it could
 */
static __always_inline bool put_words(void __user *to, const void *from,
				      size_t len)
{
	size_t off = 0;

	for (; off + 32 <= len; off += 32) {
		PUT_WORD(to + off, from + off, fault);
		PUT_WORD(to + off + 8, from + off + 8, fault);
		PUT_WORD(to + off + 16, from + off + 16, fault);
		PUT_WORD(to + off + 24, from + off + 24, fault);
	}
	if (off + 16 <= len) {
		PUT_WORD(to + off, from + off, fault);
		PUT_WORD(to + off + 8, from + off + 8, fault);
		off += 16;
	}
	if (off + 8 <= len)
		PUT_WORD(to + off, from + off, fault);
	PUT_WORD(to + len - 8, from + len - 8, fault);
	return true;
fault:
	return false;
}

/*
 * Where a frame begins, behind its header, if a piece holds it whole and it is copied
 * by words; else NULL.
 */
static __always_inline void __user *place_small(const struct sk_buff *skb,
						const struct iovec *to,
						size_t hlen)
{
	size_t off = hlen;

	if (skb->len - 8 > SMALL - 8 || skb_is_nonlinear(skb))
		return NULL;
	if (to->iov_len == hlen) {
		to++;
		off = 0;
	}
	return skb->len + off <= to->iov_len ? to->iov_base + off : NULL;
}

/*
 * Writes headers, and small frames. Return: how many of the frames could be.
 * @others: their bits, of those that were not small
 */
static unsigned int write_small(struct vhx_tap *tap, unsigned int nr, u64 *others)
{
	const struct virtio_net_hdr_mrg_rxbuf *hdr = tap->hdr;
	const struct iovec *const *to = tap->to;
	size_t hlen = tap->backend.hlen;
	void *const *queue = tap->queue;
	const struct sk_buff *skb;
	void __user *data;
	unsigned int i;
	u64 skipped = 0;

	if (!user_write_access_begin(to[0]->iov_base, to[0]->iov_len))
		return 0;
	/* By pointers: a check of an array's bounds calls what may not be called now. */
	for (i = 0; i < nr; i++) {
		skb = queue[i];
		PUT_WORD(to[i]->iov_base, &hdr[i], fault);
		PUT_WORD(to[i]->iov_base + hlen - 8, (void *)&hdr[i] + hlen - 8, fault);
		data = place_small(skb, to[i], hlen);
		if (!data)
			skipped |= BIT_ULL(i);
		else if (!put_words(data, skb->data, skb->len))
			break;
	}
fault:
	user_write_access_end();
	*others = skipped;
	return i;
}

/* Writes the pages of a frame, too. Apart, for what it has on its stack. */
static noinline bool write_pages(const struct sk_buff *skb, const struct iovec *to,
				 const struct iovec *end, size_t hlen)
{
	struct iov_iter iter;

	iov_iter_init(&iter, ITER_DEST, to, end - to, hlen + skb->len);
	iov_iter_advance(&iter, hlen);
	return !skb_copy_datagram_iter(skb, 0, &iter, skb->len);
}

/*
 * Writes a frame behind its header. That a hardened copy would look whether an skb's
 * data stays in one object is not needed of what is linear: it is @skb->len long.
 * Return: whether it could
 */
static bool write_data(const struct sk_buff *skb, const struct iovec *to,
		       const struct iovec *end, size_t hlen)
{
	size_t off = hlen, left = skb->len, len;
	const void *data = skb->data;

	if (skb_is_nonlinear(skb))
		return write_pages(skb, to, end, hlen);
	for (; left; to++, off = 0) {
		len = min(left, to->iov_len - off);
		instrument_copy_to_user(to->iov_base + off, data, len);
		if (raw_copy_to_user(to->iov_base + off, data, len))
			return false;
		data += len;
		left -= len;
	}
	return true;
}

/* Writes @others of @nr frames. Return: how many of all could be written. */
static unsigned int write_large(struct vhx_tap *tap, unsigned int nr, u64 others)
{
	size_t hlen = tap->backend.hlen;
	unsigned int i;

	for (; others; others &= others - 1) {
		i = __ffs64(others);
		if (i >= nr || !write_data(tap->queue[i], tap->to[i],
					   tap->to[i + 1], hlen))
			return min(i, nr);
	}
	return nr;
}

/* Apart, for most bursts have none. */
static noinline void count_offloads(struct vhx_tap *tap, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		vhx_count_hdr(tap->backend.stats, &tap->hdr[i].hdr);
}

/*
 * The first @nr frames of the queue are with the guest: as tun does then, or macvtap.
 * Freed together they cost less, but each time that the cache behind napi_consume_skb()
 * is full a frame waits until half of it is freed. Where frames come one by one, which
 * is where somebody may wait for them, each is freed at once.
 */
static __always_inline void finish(struct vhx_tap *tap, u32 *len,
				   unsigned int nr, struct net_device *dev)
{
	struct sk_buff *skb;
	const int budget = nr > 1 ? VHX_TAP_BATCH : 0;
	unsigned int i, bytes = 0;
	u16 asked = 0;

	local_bh_disable();
	for (i = 0; i < nr; i++) {
		skb = tap->queue[i];
		len[i] = tap->backend.hlen + skb->len;
		bytes += skb->len;
		asked |= vhx_hdr_asks(&tap->hdr[i].hdr);
		napi_consume_skb(skb, budget);
	}
	if (dev)
		dev_sw_netstats_tx_add(dev, nr, bytes);
	local_bh_enable();
	if (unlikely(asked))
		count_offloads(tap, nr);
	tap->head = nr;
	tap->nr_gone += nr;
}

/* All but num_buffers, which is there. Return: whether it can say what the frame is. */
static bool make_hdr(struct vhx_tap *tap, unsigned int i)
{
	return !virtio_net_hdr_from_skb(tap->queue[i], &tap->hdr[i].hdr, true,
					true, 0);
}

/*
 * tun's recvmsg has a frame cost three checked copies, its statistics and its freeing
 * by itself. What it does with easy ones is little, and done here for all of
 * them together. One that cannot be written stays, for recv() to say why.
 */
unsigned int vhx_tap_recv_burst(struct vhx_backend *backend,
				const struct vhx_bufs *to, bool merges)
{
	struct vhx_tap *tap = vhx_to_tap(backend);
	struct net_device *dev;
	unsigned int i, nr;
	u64 others;

	if (!is_known(tap) || !vhx_bufs_are_user(to))
		return 0;
	nr = take_easy(tap, to, merges, &dev);
	if (!nr)
		return 0;
	for (i = 0; i < nr && make_hdr(tap, i); i++)
		;
	nr = i ? write_small(tap, i, &others) : 0;
	nr = nr ? write_large(tap, nr, others) : 0;
	finish(tap, to->len, nr, dev);
	dev_put(dev);
	return nr;
}

/*
 * The same of one frame, wherever it goes. Return: as vhx_tap_recv(); 0: it is not easy.
 */
static int recv_easy(struct vhx_tap *tap, const struct iov_iter *to)
{
	struct iovec room = { .iov_len = iov_iter_count(to) };
	const struct vhx_bufs buf = {
		.iov = &room, .first = (const u16[]){ 0, 1 }, .nr = 1,
	};
	size_t hlen = tap->backend.hlen;
	struct iov_iter iter = *to;
	struct net_device *dev;
	struct sk_buff *skb;
	int ret = 0;
	u32 len;

	/* Of a burst that could not be written frames may be left. */
	if (!tap->backend.is_easy || !is_known(tap) ||
	    !take_easy(tap, &buf, false, &dev))
		return 0;
	skb = tap->queue[0];
	if (make_hdr(tap, 0)) {
		ret = -EFAULT;
		if (_copy_to_iter(tap->hdr, hlen, &iter) == hlen &&
		    (skb_is_nonlinear(skb) ?
		     !skb_copy_datagram_iter(skb, 0, &iter, skb->len) :
		     _copy_to_iter(skb->data, skb->len, &iter) == skb->len))
			ret = hlen + skb->len;
		finish(tap, &len, 1, dev);
	}
	dev_put(dev);
	return ret;
}

int vhx_tap_recv(struct vhx_backend *backend, struct iov_iter *to)
{
	struct vhx_tap *tap = vhx_to_tap(backend);
	size_t room = iov_iter_count(to), wanted;
	bool is_skb, is_gso = false, needs_csum = false;
	const struct sk_buff *skb;
	int len;

	len = recv_easy(tap, to);
	if (len)
		return len;
	tap->recv.msg_control = take_frame(tap);
	if (!tap->recv.msg_control)
		return -EAGAIN;
	wanted = frame_len(tap->recv.msg_control) + backend->hlen;
	/* Before others tun writes no struct tun_pi, whatever it is set to. */
	is_skb = !tun_is_xdp_frame(tap->recv.msg_control);
	skb = tap->recv.msg_control;
	if (is_skb && tap->is_tun)
		WRITE_ONCE(backend->queue, skb_get_queue_mapping(skb));
	if (is_skb && backend->hlen) {
		is_gso = skb_is_gso(skb);
		needs_csum = skb->ip_summed == CHECKSUM_PARTIAL;
	}
	tap->recv.msg_flags = MSG_DONTWAIT;
	tap->recv.msg_iter = *to;
	/* The frame is theirs from here on, whatever comes back. */
	len = tap->sock->ops->recvmsg(tap->sock, &tap->recv, room,
				      MSG_DONTWAIT | MSG_TRUNC);
	/* tun says the length of a frame that it could not copy, too. */
	if (len > 0 && room - iov_iter_count(&tap->recv.msg_iter) != len)
		return -EFAULT;
	if (len > 0)
		vhx_count_offloads(backend->stats, is_gso, needs_csum);
	if (is_skb && len == wanted)
		tap->known_until = jiffies + KNOWN_JIFFIES;
	return len;
}

void vhx_tap_drop(struct vhx_backend *backend)
{
	void *ptr;

	backend->ahead = 0;
	ptr = take_frame(vhx_to_tap(backend));
	if (ptr)
		tun_ptr_free(ptr);
}

/**
 * vhx_tap_give_back - put frames that were taken ahead back into the ring
 * @tap: the tap
 *
 * Context: vq mutex
 */
void vhx_tap_give_back(struct vhx_tap *tap)
{
	unsigned int i;

	/*
	 * A netdev that went away looked for its frames in the ring, and these were
	 * not there: they are nobody's, and recvmsg does not ask whose.
	 */
	for (i = tap->head; tap->is_tun && i < tap->tail; i++)
		if (!tun_is_xdp_frame(tap->queue[i]))
			((struct sk_buff *)tap->queue[i])->dev = NULL;
	if (tap->head < tap->tail)
		ptr_ring_unconsume(tap->ring, tap->queue + tap->head,
				   tap->tail - tap->head, tun_ptr_free);
	spin_lock(&tap->ring->consumer_lock);
	wake_queue(tap);
	spin_unlock(&tap->ring->consumer_lock);
}
