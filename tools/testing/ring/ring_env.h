/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The words that the engine takes for granted: the library's, with a barrier that
 * counts.
 */
#ifndef RING_TEST_ENV_H
#define RING_TEST_ENV_H

/* Full barriers that this thread met: a missing one rarely shows otherwise. */
extern __thread unsigned int ring_env_nr_mb;

/*
 * ThreadSanitizer takes no notice of a fence: what must be ordered for it is
 * ordered by acquire and release alone.
 */
static inline void ring_env_mb(void)
{
	ring_env_nr_mb++;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#define virt_mb	ring_env_mb

#include "../../lib/vhx/ring_env.h"

#endif /* RING_TEST_ENV_H */
