/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the peers of a driver have here, how much that may be, and a thread that
 * lets go of it: to close a peer's file, or to unmap it, may take as long as the
 * peer likes, or as its memory is large.
 */
#ifndef VHX_ACCOUNT_H
#define VHX_ACCOUNT_H

#include <pthread.h>
#include <time.h>

#include "ring_env.h"

/**
 * struct vhx_chore - something that the account's thread is to do
 * @next: after it
 * @run: does it, and frees what @chore is a part of
 * @is_file: a file that a peer may hold up
 */
struct vhx_chore {
	struct vhx_chore *next;
	void (*run)(struct vhx_chore *chore);
	bool is_file;
};

/**
 * struct vhx_account - what the peers of a driver have here
 * @wake: eventfd to signal when memory was cut off, or chores are done; -1: the
 *        driver is gone
 * @takes_any: files of any kind are taken for memory
 * @nr: mappings; this and what follows changes with region.c's lock
 * @max_nr: at most
 * @bytes: of these
 * @max_bytes: at most
 * @mutex: guards what follows, and the end of @wake
 * @done: signalled when there are no chores any more
 * @chores: to be done, oldest first
 * @last: where the next one goes
 * @nr_chores: how many wait
 * @since_ms: when the file in work was begun; UINT64_MAX: it is none
 * @has_thread: which frees this if @wake is -1
 */
struct vhx_account {
	int wake;
	bool takes_any;
	unsigned int nr;
	unsigned int max_nr;
	u64 bytes;
	u64 max_bytes;
	pthread_mutex_t mutex;
	pthread_cond_t done;
	struct vhx_chore *chores;
	struct vhx_chore **last;
	unsigned int nr_chores;
	u64 since_ms;
	bool has_thread;
};

/* Of a clock that goes on in steps of a few. */
static inline u64 vhx_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

struct vhx_account *vhx_account_create(int wake);
void vhx_account_drop(struct vhx_account *account);
void vhx_account_add(struct vhx_account *account, struct vhx_chore *chore);
void vhx_account_close(struct vhx_account *account, int fd);
bool vhx_account_is_behind(struct vhx_account *account);

#endif /* VHX_ACCOUNT_H */
