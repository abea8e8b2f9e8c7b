// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The dirty log: a bitmap by guest address of what we wrote. */
#include "dirty.h"

/**
 * vhx_dirty_set - set the bits of a write
 * @dirty: the log, which is there
 * @gpa: first guest address
 * @len: bytes, at least 1
 *
 * What is behind the end of the bitmap is not in it. Bits are set atomically:
 * the client takes them out while we run, and queues share a log.
 */
void vhx_dirty_set(struct vhx_dirty *dirty, u64 gpa, u64 len)
{
	u64 page = gpa / VHX_DIRTY_PAGE, last = (gpa + (len - 1)) / VHX_DIRTY_PAGE;

	for (; page <= last && page / 8 < dirty->len; page++) {
		__atomic_fetch_or(&dirty->log[page / 8],
				  (u8)(1u << page % 8), __ATOMIC_RELEASE);
		dirty->pages++;
	}
}
