// SPDX-License-Identifier: GPL-2.0-only
/*
 * What code of the module ran, from kcov: one buffer for the thread that runs
 * a program, one for the workers, which the common handle joins to it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kcov.h>

#include "prog.h"

#define WORDS		(1 << 18)	/* of a buffer */
#define PCS		(1 << 20)	/* a module is smaller than that */
#define HANDLE		1
#define PC_OF(pc)	((pc) & (PCS - 1))

struct buffer {
	int fd;
	unsigned long *words;
};

static struct buffer thread, workers;
static bool is_open;
static unsigned long pcs[PCS];		/* seen ever, by their low bits */
static unsigned int hits[PCS];		/* run in which it was seen last */
static unsigned int now, n_pcs;
static unsigned int fresh[PCS], n_fresh;

static bool open_buffer(struct buffer *b)
{
	b->fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (b->fd < 0 || ioctl(b->fd, KCOV_INIT_TRACE, WORDS))
		return false;
	b->words = mmap(NULL, WORDS * sizeof(long), PROT_READ | PROT_WRITE,
			MAP_SHARED, b->fd, 0);
	return b->words != MAP_FAILED;
}

/* Return: whether this kernel has it. Children inherit the handle. */
bool cover_open(void)
{
	struct kcov_remote_arg arg = {
		.trace_mode = KCOV_TRACE_PC,
		.area_size = WORDS,
		.common_handle = HANDLE,
	};

	is_open = open_buffer(&thread) && open_buffer(&workers) &&
		  !ioctl(workers.fd, KCOV_REMOTE_ENABLE, &arg);
	return is_open;
}

/* In the parent, before a program. */
void cover_start(void)
{
	now++;
	n_fresh = 0;
	if (!is_open)
		return;
	__atomic_store_n(thread.words, 0, __ATOMIC_RELAXED);
	__atomic_store_n(workers.words, 0, __ATOMIC_RELAXED);
}

/* In the child, before its first operation. */
void cover_enable(void)
{
	if (is_open && ioctl(thread.fd, KCOV_ENABLE, KCOV_TRACE_PC))
		_exit(EXIT_FAILED);
}

static void take(const struct buffer *b)
{
	unsigned long n = __atomic_load_n(b->words, __ATOMIC_RELAXED), i;

	for (i = 1; i <= n && i < WORDS; i++) {
		unsigned long at = PC_OF(b->words[i]);

		if (hits[at] != now && !pcs[at])
			fresh[n_fresh++] = at;
		hits[at] = now;
		if (!pcs[at])
			pcs[at] = b->words[i];
	}
}

/* After a program. Return: how many places were reached for the first time. */
unsigned int cover_take(void)
{
	if (is_open) {
		take(&thread);
		take(&workers);
	}
	n_pcs += n_fresh;
	return n_fresh;
}

/* A copy of what the last program reached first; PCS entries at most. */
unsigned int cover_new(unsigned int *copy)
{
	memcpy(copy, fresh, n_fresh * sizeof(*copy));
	return n_fresh;
}

/* Did the last program reach this place? */
bool cover_has(unsigned int at)
{
	return hits[at] == now;
}

unsigned int cover_total(void)
{
	return n_pcs;
}

void cover_write(FILE *f)
{
	unsigned int at;

	for (at = 0; at < PCS; at++)
		if (pcs[at])
			fprintf(f, "%lx\n", pcs[at]);
}
