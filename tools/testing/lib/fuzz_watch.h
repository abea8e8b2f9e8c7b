/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A watchdog: what libvhx is called for takes little processor time, and does not
 * wait. It is all on one thread, so whoever waits there keeps all guests waiting.
 */
#ifndef FUZZ_WATCH_H
#define FUZZ_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Processor time of a call, and of a guest's wait: that others want the processor
 * makes it no longer. Sanitizers do, to some 2 ms. A host that takes the processor
 * from its virtual machine does as well, to whatever it likes, but not at the same
 * place each time.
 */
#define WATCH_US	100000
#define WATCH_TIMES	3

#define CHECK(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #x);	\
		abort();						\
	}								\
} while (0)

/* A call that is watched, and its value. */
#define WATCHED(call) __extension__ ({					\
	watch_begin(#call);						\
	__typeof__(call) watched_ret = (call);				\
	watch_end();							\
	watched_ret;							\
})

void watch_start(void);
void watch_begin(const char *call);
void watch_end(void);
uint64_t watch_time_us(void);
void watch_late(const char *what, uint64_t took_us);
bool watch_was_late(void);

#endif /* FUZZ_WATCH_H */
