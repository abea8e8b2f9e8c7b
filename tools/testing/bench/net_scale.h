/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of net_scale share. */
#ifndef NET_SCALE_H
#define NET_SCALE_H

#include <time.h>

#include "net_lib.h"
#include "variant.h"

#define RING		256
#define HDR		12	/* bytes of the header with VERSION_1 */
#define BASE		(F_V1 | F_EVENT)
#define PORTS_MAX	1000
#define BUSY_MAX	64

/* A device, and what its client has before it opens one. */
struct port {
	struct dev d;
	int tap;
	int events[2][3];	/* eventfds of each ring: kick, call, err */
	uint8_t *mem;		/* of the guest */
	uint8_t *buf;		/* of frames, in mem */
	uint64_t frames;	/* that were taken back */
	int64_t seen;		/* by the tap, before the flood */
};

/* What idle devices take. */
struct idle_sample {
	double kib;		/* each, of the kernel's memory */
	double threads;		/* each */
	double open_us;		/* each, with VHOST_SET_OWNER */
	double close_us;	/* each */
	double wakes;		/* of all workers, in IDLE_SECS */
};

/* What busy ones do. */
struct busy_sample {
	double worker;		/* ns a frame, of all workers */
	double spread;		/* most frames of a device over fewest */
};

#define IDLE_SECS	5

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* scale_port.c */
int ports_prepare(struct port *p, unsigned int nr);
int port_own(struct port *p);
int port_start(struct port *p, uint64_t features);
void port_leave(struct port *p);
int workers(int *tid, unsigned int max);
int workers_leave(void);

/* scale_idle.c */
int idle(struct port *p, unsigned int nr, struct idle_sample *s);

/* scale_busy.c */
int busy(struct port *p, unsigned int nr, uint64_t features,
	 struct busy_sample *s);

#endif /* NET_SCALE_H */
