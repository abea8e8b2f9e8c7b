/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection of the kernel: the n-th allocation of a slab object or a page,
 * or copy from or to user space, that a thread makes from now on fails, once
 * (fail-nth). The kernel log says where that was.
 */
#ifndef FAULT_LIB_H
#define FAULT_LIB_H

#include <stdbool.h>

struct fault {
	int nth;		/* fail-nth of the thread */
	int log;		/* reader of the kernel log */
	char kind[24];		/* failslab, ...; "": it was not reported */
	char where[512];	/* functions, up to the module's innermost */
};

const char *fault_missing(void);
int fault_open(struct fault *f, int tid);
void fault_close(struct fault *f);
int fault_arm(struct fault *f, unsigned int n);
bool fault_disarm(struct fault *f);

#endif /* FAULT_LIB_H */
