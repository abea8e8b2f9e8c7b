/* SPDX-License-Identifier: GPL-2.0-only */
/* What limits a device. */
#ifndef VERDICT_H
#define VERDICT_H

#include "rate.h"

/* By precedence: of a device with two rings it is the first that holds for one. */
enum verdict {
	VERDICT_BROKEN,
	VERDICT_STARVED,
	VERDICT_WORKER,
	VERDICT_BACKEND,
	VERDICT_GUEST,
	VERDICT_OK,
	VERDICT_UNKNOWN,
	VERDICT_IDLE,
	VERDICTS
};

/* Thresholds; vhx-top(8) has them as well. */
#define STARVED_SHARE	0.20	/* of the time: the worker waits for a CPU */
#define WORKER_SHARE	0.90	/* of a CPU: the worker, without its polling */
#define BACKEND_SHARE	0.20	/* of the time: the backend is full */
#define GUEST_SHARE	0.20	/* of the time: frames wait for buffers */
#define IDLE_FRAMES	10.0	/* a second and ring: fewer are idle */
#define IDLE_SHARE	0.001	/* of a CPU: the same where no frames are known */

/**
 * struct opinion - a verdict with its reason
 * @verdict: which
 * @why: what it is based on, or ""
 */
struct opinion {
	enum verdict verdict;
	char why[100];
};

void verdict_ring(struct opinion *opinion, const struct device *device,
		  const struct rate *rate, unsigned int ring);
void verdict_device(struct opinion *opinion, const struct opinion *rings);
const char *verdict_name(enum verdict verdict);

#endif /* VERDICT_H */
