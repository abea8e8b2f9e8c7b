/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_BACKEND_H
#define VHX_BACKEND_H

#include <linux/file.h>
#include <linux/if.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

struct vhx_backend;
struct vhx_bufs;
struct vhx_stats;

/* The longest virtio-net header, that of UDP tunnels. */
#define VHX_NET_HLEN_MAX	24

/**
 * struct vhx_backend_facts - what there is to say of a backend
 * @kind: name of its kind
 * @ifname: name of the interface, empty if it has none
 * @queue: number of the interface's queue; -1: not known
 */
struct vhx_backend_facts {
	const char *kind;
	char ifname[IFNAMSIZ];
	int queue;
};

/**
 * struct vhx_backend_ops - what frames go to and come from
 *
 * All but attach, detach and describe are called under the vq mutex on the worker.
 * A frame comes with vhx_backend.hlen bytes of virtio-net header before it.
 */
struct vhx_backend_ops {
	/**
	 * @attach: make a backend of a file, whose reference it takes over
	 * on success. Return: the backend, or ERR_PTR(): -ENOTSOCK (not such
	 * a file), -EINVAL (not usable yet), -EBUSY (its frames go elsewhere),
	 * -ENOMEM.
	 */
	struct vhx_backend *(*attach)(struct file *file);
	/** @detach: give frames taken ahead back, drop the file. May sleep. */
	void (*detach)(struct vhx_backend *backend);
	/**
	 * @describe: say what a file of this kind is connected to now. May sleep.
	 * Called without a lock on any thread: the backend may be gone.
	 */
	void (*describe)(struct file *file, struct vhx_backend_facts *facts);
	/**
	 * @clear_error: take an error off the file. Return: whether there was
	 * one that is not for good. NULL: all are.
	 */
	bool (*clear_error)(struct vhx_backend *backend);
	/** @peek: length of the next frame with its header, 0 for none. */
	size_t (*peek)(struct vhx_backend *backend);
	/**
	 * @queued: how many frames wait, to fetch for so many: counted at the
	 * last peek() or before it, less those taken since then.
	 */
	unsigned int (*queued)(struct vhx_backend *backend);
	/**
	 * @recv: take the next frame, after peek(). Return: its length with
	 * header; another one or an errno when it could not be delivered; -EAGAIN
	 * if it was not taken.
	 */
	int (*recv)(struct vhx_backend *backend, struct iov_iter *to);
	/**
	 * @recv_burst: take frames, after peek(), into buffers: into one each,
	 * or @merges as many each as it needs. Their lengths with header go to
	 * @to's len. Return: how many; 0: the next is for recv(). Called
	 * while vhx_backend.is_easy.
	 */
	unsigned int (*recv_burst)(struct vhx_backend *backend,
				   const struct vhx_bufs *to, bool merges);
	/** @drop: take the next frame, after peek(), and free it. */
	void (*drop)(struct vhx_backend *backend);
	/**
	 * @send: send a frame of @len bytes with header, now or as a copy at
	 * flush(). Return: 0, -EAGAIN (wait for EPOLLOUT, try again), -ENOMEM,
	 * -ENOBUFS or -EFAULT (for want of memory, or the queue below is full:
	 * try again later), or why it can never be sent.
	 */
	int (*send)(struct vhx_backend *backend, struct iov_iter *from,
		    size_t len);
	/**
	 * @send_burst: send frames with header, one in each buffer, now or as
	 * copies at flush(). Return: how many; 0: the next is for send(). NULL:
	 * all are.
	 */
	unsigned int (*send_burst)(struct vhx_backend *backend,
				   const struct vhx_bufs *from);
	/** @flush: finish what send() held back. Return: frames lost. */
	unsigned int (*flush)(struct vhx_backend *backend);
};

/* Buffers that a backend is given together. */
#define VHX_BUFS_MAX	64U	/* bits of a word, to mark some of them */

/**
 * struct vhx_bufs - buffers of the owner's memory, each in one piece or in several
 * @iov: the pieces, none empty
 * @first: by buffer, its first one; those of the last end before @first[@nr]
 * @nr: how many buffers, VHX_BUFS_MAX at most
 * @len: bytes of frames with header: of the one in each buffer, as the sender says,
 *       or of one after the other, as they were received
 */
struct vhx_bufs {
	struct iovec *iov;
	const u16 *first;
	unsigned int nr;
	u32 *len;
};

/* Whether all of them are user memory. */
static inline bool vhx_bufs_are_user(const struct vhx_bufs *bufs)
{
	const struct iovec *iov = bufs->iov;
	const struct iovec *end = iov + bufs->first[bufs->nr];

	while (iov < end && access_ok(iov->iov_base, iov->iov_len))
		iov++;
	return iov == end;
}

/**
 * struct vhx_backend - one attached file; the base of each kind's own struct
 * @ops: its kind
 * @file: the file; referenced
 * @hlen: header bytes before each frame: 0, 10, 12 or 24
 * @ahead: frames that recv() may take out of the file ahead of their turn: there
 *         are buffers for them
 * @is_easy: recv_burst() may take the frame that peek() saw
 * @is_le: the header is little-endian, else big-endian, as the ring
 * @queue: of the interface, as its frames say; -1: none came. Read without a lock
 * @stats: where to count what headers ask for
 */
struct vhx_backend {
	const struct vhx_backend_ops *ops;
	struct file *file;
	unsigned int hlen;
	unsigned int ahead;
	bool is_easy;
	bool is_le;
	int queue;
	struct vhx_stats *stats;
};

extern const struct vhx_backend_ops vhx_backend_tap_ops;
extern const struct vhx_backend_ops vhx_backend_packet_ops;

#endif /* VHX_BACKEND_H */
