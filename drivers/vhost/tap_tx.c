// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames from the guest to a tap: all but long ones go in as a batch of XDP buffers, in
 * which they are copied once.
 */
#include <linux/if_tun.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/virtio_byteorder.h>
#include <net/sock.h>

#include "tap.h"

/* Buffers are cut from pages of this order, if there are such: 32 KiB at least. */
#define PAGE_ORDER	get_order(0x8000)
/*
 * Takes a jumbo frame of 9000 bytes. The host must copy a frame as a whole to change the
 * headers of a clone, and for longer ones it might lack pages in a row.
 */
#define XDP_SIZE_MAX	max(PAGE_SIZE, 0x3000UL)
/* More references of a page than it has buffers. */
#define PAGE_REFS	0x10000
/* Header and frame up to this are copied by words while user access is open. */
#define SMALL		144

/* Hands the batch over. */
static void submit(struct vhx_tap *tap)
{
	struct tun_msg_ctl ctl = {
		.type = TUN_MSG_PTR,
		.num = tap->nr_xdp,
		.ptr = tap->xdp,
	};
	struct msghdr msg = {
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
		.msg_flags = MSG_DONTWAIT,
	};
	unsigned int i;

	if (!tap->nr_xdp)
		return;
	tap->nr_xdp = 0;
	if (tap->sock->ops->sendmsg(tap->sock, &msg, 0) >= 0)
		return;
	/* The interface is gone: the batch was not looked at, it is ours. */
	for (i = 0; i < ctl.num; i++)
		page_frag_free(tap->xdp[i].data_hard_start);
	tap->nr_lost += ctl.num;
}

unsigned int vhx_tap_flush(struct vhx_backend *backend)
{
	struct vhx_tap *tap = vhx_to_tap(backend);
	unsigned int lost;

	submit(tap);
	lost = tap->nr_lost;
	tap->nr_lost = 0;
	return lost;
}

/* They are not charged to the socket, so not for a limited one. */
static bool takes_batches(const struct vhx_tap *tap)
{
	return READ_ONCE(tap->sock->sk->sk_sndbuf) == INT_MAX;
}

/* What tun would refuse of a header; it looks at linear buffers alone. */
static bool is_hdr_valid(struct vhx_tap *tap, const struct virtio_net_hdr *hdr,
			 size_t len)
{
	return __virtio16_to_cpu(tap->backend.is_le, hdr->hdr_len) <= len;
}

/*
 * A page whose buffers are all free again, or another one. A page that somebody else
 * looks at, that is of a reserve, or that is a small one, is as one that is not free.
 * Return: bytes of it; 0: no memory for @size
 */
static unsigned int renew(struct vhx_tap_page *at, unsigned int size)
{
	struct page *page = at->page;

	if (page && page_ref_count(page) == at->refs &&
	    !page_is_pfmemalloc(page) && compound_order(page) == PAGE_ORDER) {
		page_ref_add(page, PAGE_REFS - at->refs);
		at->refs = PAGE_REFS;
		return page_size(page);
	}
	if (page)
		__page_frag_cache_drain(page, at->refs);
	page = alloc_pages((GFP_KERNEL & ~__GFP_DIRECT_RECLAIM) | __GFP_COMP |
			   __GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC,
			   PAGE_ORDER);
	if (!page && size <= PAGE_SIZE)
		page = alloc_page(GFP_KERNEL | __GFP_NOWARN);
	at->page = page;
	at->refs = page ? PAGE_REFS : 0;
	if (!page)
		return 0;
	page_ref_add(page, PAGE_REFS - 1);
	return page_size(page);
}

/*
 * Cuts off @size bytes, which @nr are to free. When a page has its turn again, what
 * was cut off it the last time is with few exceptions free. If it is in the batch still,
 * that goes first: another page would have to be cleared.
 */
static void *cut(struct vhx_tap *tap, unsigned int size, unsigned int nr)
{
	struct vhx_tap_page *at;

	if (tap->left < size) {
		tap->turn = (tap->turn + 1) % VHX_TAP_PAGES;
		at = &tap->page[tap->turn];
		if (tap->nr_xdp && at->page ==
		    virt_to_head_page(tap->xdp[0].data_hard_start))
			submit(tap);
		tap->left = renew(at, size);
		if (tap->left < size)
			return NULL;
	}
	tap->left -= size;
	tap->page[tap->turn].refs -= nr;
	return page_address(tap->page[tap->turn].page) + tap->left;
}

/* Takes back what @nr of those that cut() gave are not to free. */
static void uncut(struct vhx_tap *tap, unsigned int nr)
{
	tap->page[tap->turn].refs += nr;
}

/**
 * vhx_tap_free_pages - let go of what XDP buffers were cut from
 * @tap: the tap
 */
void vhx_tap_free_pages(struct vhx_tap *tap)
{
	struct vhx_tap_page *at;

	for (at = tap->page; at < tap->page + VHX_TAP_PAGES; at++)
		if (at->page)
			__page_frag_cache_drain(at->page, at->refs);
}

/*
 * Where a frame begins in an XDP buffer. A tap reads as much of a header as it is set
 * to, from the buffer's start on.
 */
static size_t pad_of(const struct vhx_tap *tap)
{
	bool has_prog = sock_flag(tap->sock->sk, SOCK_XDP);

	return SKB_DATA_ALIGN(NET_SKB_PAD + NET_IP_ALIGN +
			      (has_prog ? XDP_PACKET_HEADROOM : 0) +
			      VHX_TUN_HDR_OFF + 2 * VHX_NET_HLEN_MAX);
}

/* Bytes of an XDP buffer for a frame of @len bytes. */
static size_t size_of(size_t pad, size_t len)
{
	return SKB_DATA_ALIGN(pad + len) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

/* The longest XDP buffer. A program is given no more than a page. */
static size_t size_max(const struct vhx_tap *tap)
{
	return sock_flag(tap->sock->sk, SOCK_XDP) ? PAGE_SIZE : XDP_SIZE_MAX;
}

/*
 * Adds an XDP buffer to the batch, in which a header stands in front of the frame.
 * Return: 0, or -EINVAL: tun would not take it
 */
static __always_inline int add_xdp(struct vhx_tap *tap, void *buf, size_t pad,
				   size_t size, size_t len)
{
	struct virtio_net_hdr *hdr = buf + VHX_TUN_HDR_OFF;
	size_t hlen = tap->backend.hlen;
	struct xdp_buff *xdp;

	memset(buf, 0, VHX_TUN_HDR_OFF + VHX_NET_HLEN_MAX);
	/* The usual length is known here, which saves a call for 12 bytes. */
	if (likely(hlen == sizeof(struct virtio_net_hdr_mrg_rxbuf)))
		*(struct virtio_net_hdr_mrg_rxbuf *)(buf + VHX_TUN_HDR_OFF) =
			*(struct virtio_net_hdr_mrg_rxbuf *)(buf + pad - hlen);
	else
		memcpy(hdr, buf + pad - hlen, hlen);
	if (!is_hdr_valid(tap, hdr, len))
		return -EINVAL;
	vhx_count_hdr(tap->backend.stats, hdr);
	vhx_tun_set_buflen(buf, size);
	xdp = &tap->xdp[tap->nr_xdp++];
	xdp_init_buff(xdp, size, NULL);
	xdp_prepare_buff(xdp, buf, pad, len, true);
	return 0;
}

/*
 * Copies a frame into an XDP buffer. Return: 0; -EMSGSIZE or -ENOMEM, @from untouched:
 * send it alone; -EFAULT, -EINVAL.
 */
static int copy_xdp(struct vhx_tap *tap, struct iov_iter *from, size_t len)
{
	size_t hlen = tap->backend.hlen, pad = pad_of(tap), size;
	void *buf;
	int err;

	size = size_of(pad, len - hlen);
	if (size > size_max(tap))
		return -EMSGSIZE;
	buf = cut(tap, size, 1);
	if (!buf)
		return -ENOMEM;
	/*
	 * One copy. A hardened one would look whether it stays in one object: it
	 * begins at @buf + pad - hlen, behind tun's header, and ends @size above at
	 * the latest, for less than which cut() gives nothing.
	 */
	err = _copy_from_iter(buf + pad - hlen, len, from) == len ?
		add_xdp(tap, buf, pad, size, len - hlen) : -EFAULT;
	if (err)
		uncut(tap, 1);
	return err;
}

#define GET_WORD(to, from, label) do {					\
	u64 word;							\
									\
	unsafe_get_user(word, (const u64 __user *)(from), label);	\
	put_unaligned(word, (u64 *)(to));				\
} while (0)

/*
 * Copies words while user access is open, the last ones over those before.
 * Return: whether it could
 */
static __always_inline bool get_words(void *to, const void __user *from,
				      size_t len)
{
	size_t off = 0;
	u8 byte;

	if (unlikely(len < 8)) {
		for (; off < len; off++) {
			unsafe_get_user(byte, (const u8 __user *)(from + off), fault);
			*(u8 *)(to + off) = byte;
		}
		return true;
	}
	for (; off + 32 <= len; off += 32) {
		GET_WORD(to + off, from + off, fault);
		GET_WORD(to + off + 8, from + off + 8, fault);
		GET_WORD(to + off + 16, from + off + 16, fault);
		GET_WORD(to + off + 24, from + off + 24, fault);
	}
	if (off + 16 <= len) {
		GET_WORD(to + off, from + off, fault);
		GET_WORD(to + off + 8, from + off + 8, fault);
		off += 16;
	}
	if (off + 8 <= len)
		GET_WORD(to + off, from + off, fault);
	GET_WORD(to + len - 8, from + len - 8, fault);
	return true;
fault:
	return false;
}

/*
 * Copies small frames, all but @others. Return: how many of all stand before one that
 * could not be.
 */
static unsigned int read_small(struct vhx_tap *tap, const struct vhx_bufs *from,
			       unsigned int nr, void *to, u64 others)
{
	const struct iovec *iov = from->iov, *end;
	const unsigned int *size = tap->size;
	const u16 *first = from->first;
	unsigned int i;
	void *at;

	if (!user_read_access_begin(iov->iov_base, iov->iov_len))
		return 0;
	/* By pointers: a check of an array's bounds calls what may not be called now. */
	for (i = 0; i < nr; to += size[i++]) {
		end = from->iov + first[i + 1];
		if (others >> i & 1) {
			iov = end;
			continue;
		}
		at = to;
		do {
			if (!get_words(at, iov->iov_base, iov->iov_len))
				goto fault;
			at += iov->iov_len;
		} while (++iov < end);
	}
fault:
	user_read_access_end();
	return i;
}

/* Copies @others; hardened copies would see what copy_xdp() says. */
static unsigned int read_large(struct vhx_tap *tap, const struct vhx_bufs *from,
			       unsigned int nr, void *to, u64 others)
{
	const struct iovec *iov, *end;
	unsigned int i;
	void *at;

	for (i = 0; i < nr && others >> i; to += tap->size[i++]) {
		if (!(others >> i & 1))
			continue;
		iov = from->iov + from->first[i];
		end = from->iov + from->first[i + 1];
		for (at = to; iov < end; at += iov->iov_len, iov++) {
			instrument_copy_from_user_before(at, iov->iov_base,
							 iov->iov_len);
			if (raw_copy_from_user(at, iov->iov_base, iov->iov_len))
				return i;
		}
	}
	return nr;
}

unsigned int vhx_tap_send_burst(struct vhx_backend *backend,
				const struct vhx_bufs *from)
{
	struct vhx_tap *tap = vhx_to_tap(backend);
	size_t hlen = backend->hlen, pad = pad_of(tap), size, total = 0;
	const size_t max = size_max(tap);
	const u32 *len = from->len;
	unsigned int i, nr, done;
	u64 others = 0;
	void *buf;

	if (!IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS) ||
	    hlen < sizeof(struct virtio_net_hdr) || !takes_batches(tap) ||
	    !vhx_bufs_are_user(from))
		return 0;
	nr = min(from->nr, VHX_TAP_BATCH - tap->nr_xdp);
	for (i = 0; i < nr; i++) {
		size = size_of(pad, len[i] - hlen);
		if (size > max || total + size > PAGE_SIZE << PAGE_ORDER)
			break;
		tap->size[i] = size;
		if (len[i] > SMALL)
			others |= BIT_ULL(i);
		total += size;
	}
	buf = i ? cut(tap, total, i) : NULL;
	if (!buf)
		return 0;
	nr = i;
	done = read_small(tap, from, nr, buf + pad - hlen, others);
	done = done ? read_large(tap, from, done, buf + pad - hlen, others) : 0;
	for (i = 0; i < done; buf += tap->size[i++])
		if (add_xdp(tap, buf, pad, tap->size[i], len[i] - hlen))
			break;
	uncut(tap, nr - i);
	if (tap->nr_xdp == VHX_TAP_BATCH)
		submit(tap);
	return i;
}

/* Sends a frame by itself, after those that wait. */
static int send_alone(struct vhx_tap *tap, const struct iov_iter *from, size_t len)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT, .msg_iter = *from };
	int ret;

	submit(tap);
	ret = tap->sock->ops->sendmsg(tap->sock, &msg, len);
	if (ret >= 0 && tap->backend.hlen)
		vhx_count_hdr_from(tap->backend.stats, from);
	return min(ret, 0);
}

int vhx_tap_send(struct vhx_backend *backend, struct iov_iter *from,
		 size_t len)
{
	struct vhx_tap *tap = vhx_to_tap(backend);
	int err = -EMSGSIZE;

	if (takes_batches(tap))
		err = copy_xdp(tap, from, len);
	if (!err && tap->nr_xdp == VHX_TAP_BATCH)
		submit(tap);
	if (err == -EMSGSIZE || err == -ENOMEM)
		return send_alone(tap, from, len);
	return err;
}
