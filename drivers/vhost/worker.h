/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHX_WORKER_H
#define VHX_WORKER_H

#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

struct vhx_worker;

/**
 * struct vhx_work - something for a worker to run
 * @node: link in the worker's queue
 * @flags: bit 0: it is queued
 * @fn: runs on the worker, on the owner's mm; may sleep
 * @worker: where it goes, NULL without an owner; RCU, written under dev mutex
 */
struct vhx_work {
	struct llist_node node;
	unsigned long flags;
	void (*fn)(struct vhx_work *work);
	struct vhx_worker __rcu *worker;
};

static inline void vhx_work_init(struct vhx_work *work,
				 void (*fn)(struct vhx_work *work))
{
	work->flags = 0;
	work->fn = fn;
	RCU_INIT_POINTER(work->worker, NULL);
}

/* Whether work waits to run; false once it runs. */
static inline bool vhx_work_is_queued(const struct vhx_work *work)
{
	return READ_ONCE(work->flags);
}

/* Workers that a device may have: their ids are one digit of their names. */
#define VHX_WORKERS_MAX	16
/*
 * kthreads that it may have: one a ring, and one each to move them to. Not all
 * kernels can say what the owner's limits are for them.
 */
#define VHX_KTHREADS_MAX	4

struct vhx_worker *vhx_worker_create(u32 dev, unsigned int id, bool is_task);
void vhx_worker_destroy(struct vhx_worker *worker);
pid_t vhx_worker_tid(const struct vhx_work *work);
bool vhx_worker_is_dead(const struct vhx_worker *worker);
void vhx_worker_attach(struct vhx_work *work, struct vhx_worker *worker);
void vhx_worker_queue(struct vhx_work *work);

#endif /* VHX_WORKER_H */
