// SPDX-License-Identifier: GPL-2.0-only
#include <linux/skbuff.h>

void probe(struct page_frag_cache *cache);
void probe(struct page_frag_cache *cache)
{
	page_frag_cache_drain(cache);
}
