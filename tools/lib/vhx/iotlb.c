// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Translations that the client hands in while queues run. */
#include <string.h>

#include "xlate.h"

/* Index of the first entry that ends at @iova or behind. */
static unsigned int first_behind(const struct vhx_iotlb *iotlb, u64 iova)
{
	unsigned int low = 0, high = iotlb->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (iotlb->entry[mid].last < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/**
 * vhx_iotlb_find - the translation of an address
 * @iotlb: the translations
 * @iova: the address
 *
 * Return: the translation or NULL
 */
const struct vhx_iotlb_entry *vhx_iotlb_find(const struct vhx_iotlb *iotlb,
					     u64 iova)
{
	unsigned int at = first_behind(iotlb, iova);

	return at < iotlb->nr && iotlb->entry[at].first <= iova ?
		&iotlb->entry[at] : NULL;
}

static void remove_entries(struct vhx_iotlb *iotlb, unsigned int at,
			   unsigned int nr)
{
	iotlb->nr -= nr;
	memmove(&iotlb->entry[at], &iotlb->entry[at + nr],
		(iotlb->nr - at) * sizeof(iotlb->entry[0]));
}

/**
 * vhx_iotlb_invalidate - forget the translations of a range
 * @iotlb: the translations
 * @first: first address
 * @last: last address
 *
 * One that lies in it in part goes whole: it is asked for again.
 *
 * Context: all queues are locked
 */
void vhx_iotlb_invalidate(struct vhx_iotlb *iotlb, u64 first, u64 last)
{
	unsigned int at = first_behind(iotlb, first), end = at;

	while (end < iotlb->nr && iotlb->entry[end].first <= last)
		end++;
	remove_entries(iotlb, at, end - at);
}

static void remove_oldest(struct vhx_iotlb *iotlb)
{
	unsigned int i, oldest = 0;

	for (i = 1; i < iotlb->nr; i++)
		if (iotlb->entry[i].age < iotlb->entry[oldest].age)
			oldest = i;
	remove_entries(iotlb, oldest, 1);
}

/**
 * vhx_iotlb_update - take up a translation
 * @iotlb: the translations
 * @entry: it; its age is set here
 *
 * Replaces what was there; without room the oldest goes.
 *
 * Context: all queues are locked
 */
void vhx_iotlb_update(struct vhx_iotlb *iotlb,
		      const struct vhx_iotlb_entry *entry)
{
	unsigned int at;

	vhx_iotlb_invalidate(iotlb, entry->first, entry->last);
	if (iotlb->nr == VHX_IOTLB_MAX)
		remove_oldest(iotlb);
	at = first_behind(iotlb, entry->first);
	memmove(&iotlb->entry[at + 1], &iotlb->entry[at],
		(iotlb->nr - at) * sizeof(*entry));
	iotlb->entry[at] = *entry;
	iotlb->entry[at].age = iotlb->age++;
	iotlb->nr++;
}
