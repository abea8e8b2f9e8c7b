// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log: a bitmap in the owner's memory, by guest physical address, in
 * which a migrating client finds what the device wrote. A bit is set after the
 * write that it stands for: the client clears it before it reads the page.
 * Devices share one log, so bits are set atomically.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include <asm/futex.h>

#include "dirty.h"

/* Of 128 each on arm64. */
#define TRIES_MAX	1024

/* After the first fault of a run 1 ms, then 2, 4, 8 …: about a quarter second. */
#define FAULTS_MAX	8

/*
 * Sets @bits of the byte at @uaddr. The bitmap is one of longs in the host's
 * byte order, as set_bit() has it; here one half of a long is the unit.
 *
 * What the bits stand for is written already, and the run cannot be had back.
 * So a page that cannot be had now is waited for right here, but not for ever,
 * and a log that stays away costs that once.
 */
static int set_bits(struct vhx_dirty *dirty, u64 uaddr, u32 bits)
{
	unsigned long at = uaddr & ~(sizeof(u32) - 1);
	unsigned int byte = uaddr & (sizeof(u32) - 1);
	unsigned int tries = TRIES_MAX;
	int old, err = -EAGAIN;

#ifdef __BIG_ENDIAN
	at ^= sizeof(long) - sizeof(u32);
#endif
	/*
	 * Some architectures give up where many set bits of one word. Each time
	 * others got on, so that this ends, but for a client that writes there
	 * without end: it is told that its log is not written.
	 */
	while (tries--) {
		err = arch_futex_atomic_op_inuser(FUTEX_OP_OR,
						  bits << 8 * byte, &old,
						  (u32 __user *)at);
		if (!err)
			dirty->was_vain = false;
		if (!err || fatal_signal_pending(current))
			break;
		if (err == -EAGAIN) {
			cond_resched();
			continue;
		}
		if (dirty->was_vain || dirty->faults == FAULTS_MAX) {
			dirty->was_vain = true;
			break;
		}
		msleep(1 << dirty->faults++);
	}
	return err;
}

/**
 * vhx_dirty_is_base_ok - whether a part of the log is the owner's memory
 * @base: owner's address of the log
 * @gpa: first guest address
 * @len: bytes of guest memory, at least 1
 *
 * Return: true if it is
 * Context: owner
 */
bool vhx_dirty_is_base_ok(u64 base, u64 gpa, u64 len)
{
	u64 last, size;

	if (check_add_overflow(gpa, len - 1, &last))
		return false;
	size = last / VHX_DIRTY_PAGE / 8 + 1;
	return base == (unsigned long)base &&
	       size == (unsigned long)size &&
	       access_ok((void __user *)(unsigned long)base, size);
}

/**
 * vhx_dirty_is_map_ok - whether the log of a memory table is the owner's
 * @base: owner's address of the log
 * @map: the memory table
 *
 * Return: true if it is
 * Context: owner
 */
bool vhx_dirty_is_map_ok(u64 base, const struct vhx_map *map)
{
	const struct vhx_range *range;

	list_for_each_entry(range, &map->ages, age)
		if (!vhx_dirty_is_base_ok(base, range->last, 1))
			return false;
	return true;
}

/**
 * vhx_dirty_log_gpa - log a write by guest address
 * @dirty: the log
 * @gpa: first address; @gpa + @len does not wrap
 * @len: bytes, at least 1
 *
 * Context: vq mutex, on the owner's mm; may fault
 * Return: 0 or -EFAULT
 */
int vhx_dirty_log_gpa(struct vhx_dirty *dirty, u64 gpa, u64 len)
{
	u64 page = gpa / VHX_DIRTY_PAGE, last = (gpa + len - 1) / VHX_DIRTY_PAGE;
	u64 nr = last - page + 1;
	u32 bits;

	if (!vhx_dirty_is_base_ok(dirty->base, gpa, len))
		return -EFAULT;
	dirty->is_fresh = true;
	while (page <= last) {
		u64 byte = page / 8;

		bits = 0;
		do
			bits |= 1 << page++ % 8;
		while (page <= last && page % 8);
		if (set_bits(dirty, dirty->base + byte, bits))
			return -EFAULT;
	}
	WRITE_ONCE(dirty->pages, dirty->pages + nr);
	return 0;
}

/**
 * vhx_dirty_log_uaddr - log a write by owner's address
 * @dirty: the log
 * @uaddr: first address
 * @len: bytes, at least 1
 *
 * Guest memory that is in the table twice is dirty in both places.
 *
 * Context: vq mutex, on the owner's mm; may fault
 * Return: 0, or -EFAULT, also when a part is no guest memory
 */
int vhx_dirty_log_uaddr(struct vhx_dirty *dirty, u64 uaddr, u64 len)
{
	u64 last = uaddr + len - 1, from, to, logged = 0;
	const struct vhx_range *range;
	int err;

	list_for_each_entry(range, &dirty->map->ages, age) {
		from = max(uaddr, range->uaddr);
		to = min(last, range->uaddr + (range->last - range->first));
		if (from > to)
			continue;
		err = vhx_dirty_log_gpa(dirty, range->first +
					(from - range->uaddr), to - from + 1);
		if (err)
			return err;
		logged += to - from + 1;
	}
	return logged < len ? -EFAULT : 0;
}

/**
 * vhx_dirty_log_iov - log a write into buffers
 * @dirty: the log
 * @iov: the buffers, by owner's addresses
 * @nr: how many
 * @len: bytes written, from the first buffer on
 *
 * Context: vq mutex, on the owner's mm; may fault
 * Return: 0 or -EFAULT
 */
int vhx_dirty_log_iov(struct vhx_dirty *dirty, const struct iovec *iov,
		      unsigned int nr, size_t len)
{
	size_t part;
	int err;

	for (; len && nr; nr--, iov++, len -= part) {
		part = min(len, iov->iov_len);
		err = vhx_dirty_log_uaddr(dirty, (unsigned long)iov->iov_base,
					  part);
		if (err)
			return err;
	}
	return 0;
}
