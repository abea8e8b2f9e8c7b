/* SPDX-License-Identifier: GPL-2.0-only */
/* A client of the device IOTLB, and a thread that answers its misses. */
#ifndef IOTLB_LIB_H
#define IOTLB_LIB_H

#include <pthread.h>
#include <sys/types.h>

#include "vhost_lib.h"

#define MSG_SIZE	sizeof(struct vhost_msg_v2)
#define MSG_MIN		40	/* bytes up to the end of the payload */
#define TABLE_GPA	0x8000000000ULL	/* of the memory table: no IOVA */

struct iotlb {
	struct dev *d;
	bool v2;
	/*
	 * Guest memory twice: pages with an odd number are mapped to the second
	 * view, so that what is contiguous for the guest is not for the device.
	 */
	uint8_t *view;
};

int iotlb_open(struct iotlb *t, struct dev *d, uint64_t features, bool v2);
void iotlb_close(struct iotlb *t);
ssize_t iotlb_send(struct iotlb *t, const struct vhost_iotlb_msg *m);
int iotlb_update(struct iotlb *t, uint64_t iova, uint64_t size, const void *p,
		 uint8_t perm);
int iotlb_drop(struct iotlb *t, uint64_t iova, uint64_t size);
int iotlb_map(struct iotlb *t, const void *p, uint64_t size, uint8_t perm);
int iotlb_map_page(struct iotlb *t, uint64_t iova);
int iotlb_read(struct iotlb *t, struct vhost_iotlb_msg *m);
int iotlb_miss(struct iotlb *t, struct vhost_iotlb_msg *m, int ms);

struct responder {
	struct iotlb *t;
	pthread_t thread;
	int stop;		/* eventfd */
	unsigned long misses;
	int err;		/* what went wrong first, or 0 */
};

int responder_start(struct responder *r, struct iotlb *t);
int responder_stop(struct responder *r);

#endif /* IOTLB_LIB_H */
