// SPDX-License-Identifier: GPL-2.0-only
/* Where buffers of the burst in work lie: one by one, or those that lie well together. */
#include <linux/vhost_types.h>

#include "vhx.h"

/*
 * Asks for what the burst points at from buffer @i on, as many as can be noted.
 * Rare, so that inline it would only make each vhx_bufs_find_one() save registers.
 */
static noinline void want(struct vhx_vq *vq, unsigned int i)
{
	const struct vhx_slot *slot, *end;
	const struct vhx_chain *chain;
	unsigned int left = VHX_MISSES_MAX;

	for (; i < vq->burst.nr; i++) {
		chain = vhx_burst_chain(&vq->burst, i);
		end = chain->slot + chain->nr_out + chain->nr_in;
		for (slot = chain->slot; slot < end; slot++) {
			if (!left--)
				return;
			vhx_mem_want_iova(&vq->mem, slot->addr, slot->len,
					  slot->flags & VRING_DESC_F_WRITE);
		}
	}
}

/**
 * vhx_bufs_find_one - turn a buffer of the burst in work into iovecs
 * @vq: a started vq
 * @i: number of the buffer
 * @iov: result
 * @max: room in @iov
 *
 * When a part of it is not known, those that stand behind it in the burst are asked
 * for as well, as many as misses can be noted.
 *
 * Context: worker, vq mutex
 * Return: as vhx_xlate_slots()
 */
int vhx_bufs_find_one(struct vhx_vq *vq, unsigned int i, struct iovec *iov,
		      unsigned int max)
{
	struct vhx_burst *burst = &vq->burst;
	const struct vhx_slot *slot;
	unsigned int nr = 1;
	int ret;

	if (likely(i < burst->nr_plain)) {
		burst->slot[i] = vhx_plain_slot(burst, i);
		slot = &burst->slot[i];
	} else {
		slot = burst->chain[i].slot;
		nr = burst->chain[i].nr_out + burst->chain[i].nr_in;
	}
	ret = vhx_xlate_slots(&vq->mem.xlate, slot, nr, iov, max);
	if (likely(ret >= 0))
		return ret;
	switch (ret) {
	case -ENXIO:
		vq->ring.cause = VHX_CAUSE_BUF_OUTSIDE;
		break;
	case -EPERM:
		vq->ring.cause = VHX_CAUSE_BUF_IOTLB;
		break;
	case -ENOBUFS:
		vq->ring.cause = VHX_CAUSE_BUF_REGIONS;
		break;
	case -EAGAIN:
		want(vq, i);
		break;
	}
	return ret;
}

/* The plain ones as slots, of which address and length are right. */
static const struct vhx_slot *plain_slots(const struct vhx_burst *burst)
{
	static_assert(offsetof(struct vhx_slot, addr) ==
		      offsetof(struct vring_desc, addr));
	static_assert(offsetof(struct vhx_slot, len) ==
		      offsetof(struct vring_desc, len));
	static_assert(sizeof(struct vhx_slot) == sizeof(struct vring_desc));
	return (__force const struct vhx_slot *)burst->desc;
}

/* A piece each: vhx_bufs.first of plain buffers. */
static const u16 one_each[VHX_BURST_MAX + 1] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
	20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37,
	38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55,
	56, 57, 58, 59, 60, 61, 62, 63, 64,
};

/**
 * vhx_bufs_find - turn buffers of the burst in work into pieces of memory together
 * @vq: a started vq
 * @at: number of the first
 * @nr: how many there are, or fewer
 * @perm: VHOST_ACCESS_RO for those that the device may only read, VHOST_ACCESS_WO for
 *        those that it may only write
 *
 * Plain ones and others do not go together. It stops at one of another kind, and at
 * one of which a descriptor is not in one piece.
 *
 * Context: worker, vq mutex
 * Return: how many are in vhx_vq.bufs
 */
unsigned int vhx_bufs_find(struct vhx_vq *vq, unsigned int at, unsigned int nr,
			   u8 perm)
{
	struct vhx_burst *burst = &vq->burst;
	const struct vhx_chain *chain = &burst->chain[at];
	struct vhx_bufs *bufs = &vq->bufs;
	const bool is_in = perm == VHOST_ACCESS_WO;
	unsigned int i, end = 0;

	static_assert(VHX_BURST_MAX <= VHX_BUFS_MAX && VHX_SLOTS_MAX <= U16_MAX);
	bufs->nr = 0;
	if (at < burst->nr_plain) {
		if (burst->is_plain_in != is_in)
			return 0;
		bufs->first = one_each;
		bufs->nr = vhx_xlate_run(&vq->mem.xlate,
					 plain_slots(burst) + at,
					 min(nr, burst->nr_plain - at), perm,
					 bufs->iov);
		return bufs->nr;
	}
	/* Their slots stand one behind the other. */
	vq->first[0] = 0;
	for (i = 0; i < nr; i++) {
		unsigned int count = is_in ? chain[i].nr_in : chain[i].nr_out;

		if (!count || chain[i].nr_in + chain[i].nr_out != count)
			break;
		end += count;
		vq->first[i + 1] = end;
	}
	end = vhx_xlate_run(&vq->mem.xlate, chain->slot, end, perm, bufs->iov);
	while (vq->first[i] > end)
		i--;
	bufs->first = vq->first;
	bufs->nr = i;
	return i;
}
