// SPDX-License-Identifier: GPL-2.0-only
/* Owner, reset and end of a device. */
#include <linux/err.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "trace.h"
#include "vhx.h"

/* Module parameter workers: threads that an owner begins with. */
unsigned int vhx_workers = 1;
/* Module parameter fork_from_owner_default. */
bool vhx_fork_from_owner_default = true;

/**
 * vhx_dev_create - a device without an owner
 *
 * Context: may sleep; charged to the caller
 * Return: the device or NULL
 */
struct vhx_dev *vhx_dev_create(void)
{
	struct vhx_dev *dev = kvzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);
	static atomic_t last_id;

	if (!dev)
		return NULL;
	dev->id = atomic_inc_return(&last_id);
	mutex_init(&dev->mutex);
	dev->is_task_wanted = vhx_fork_from_owner_default;
	vhx_iotlb_init(&dev->iotlb);
	vhx_busypoll_init(dev);
	vhx_net_init(dev);
	return dev;
}

/* Nothing may queue work any more. */
static void end_workers(struct vhx_dev *dev)
{
	bool is_any_dead = false;
	struct vhx_vq *vq;
	unsigned int id;

	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++)
		vhx_worker_attach(&vq->work, NULL);
	/*
	 * One that is killed hands its work over without the mutex, to a worker
	 * that must still be there. Pairs with synchronize_rcu() in
	 * task_killed(): who is not dead here finds that its work goes nowhere.
	 */
	smp_mb();
	for (id = 0; id < VHX_WORKERS_MAX; id++)
		is_any_dead |= dev->workers[id] &&
			       vhx_worker_is_dead(dev->workers[id]);
	/* With the mutex, which all others wait for killably. */
	if (is_any_dead)
		synchronize_rcu();
	for (id = 0; id < VHX_WORKERS_MAX; id++) {
		if (dev->workers[id])
			vhx_worker_destroy(dev->workers[id]);
		dev->workers[id] = NULL;
	}
	dev->leaving = 0;
}

/*
 * Back to having no owner. In this order: with no backend no run touches the
 * rings, with no kick nothing queues work, and then the workers can go.
 */
static void drop_owner(struct vhx_dev *dev)
{
	struct vhx_vq *vq;
	unsigned int i;

	if (!dev->mm)
		return;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		vhx_net_stop(vq);
		vhx_vq_reset(vq);
		vhx_busypoll_reset(vq);
	}
	end_workers(dev);
	vhx_iotlb_replace(dev, NULL);
	vhx_notify_set(&dev->log, VHOST_FILE_UNBIND);
	dev->log_base = 0;
	WRITE_ONCE(dev->has_msg_v2, false);
	for (i = 0; i < VHX_FEATURE_WORDS; i++)
		WRITE_ONCE(dev->features[i], 0);
	mmdrop(dev->mm);
	dev->mm = NULL;
	trace_vhx_owner_reset(dev);
	WRITE_ONCE(dev->owner, 0);
	dev->nr_owners++;
}

/**
 * vhx_dev_destroy - free a device
 * @dev: the device, which nobody else has
 *
 * Context: may sleep
 */
void vhx_dev_destroy(struct vhx_dev *dev)
{
	mutex_lock(&dev->mutex);
	drop_owner(dev);
	/* An IOTLB may be there without an owner. */
	vhx_iotlb_replace(dev, NULL);
	mutex_unlock(&dev->mutex);
	vhx_map_free(dev->map);
	kvfree(dev);
}

/**
 * vhx_dev_is_owner - whether the caller is the owner
 * @dev: the device
 *
 * By address space: a thread is, a forked child is not.
 *
 * Return: true for the owner and its threads
 * Context: dev mutex
 */
bool vhx_dev_is_owner(const struct vhx_dev *dev)
{
	return dev->mm && dev->mm == current->mm;
}

static bool has_tasks(const struct vhx_dev *dev)
{
	return vhx_dev_get_fork(dev) == VHOST_FORK_OWNER_TASK;
}

/* Return: 0 or as vhx_worker_create(). */
static int create_worker(struct vhx_dev *dev, unsigned int id)
{
	struct vhx_worker *worker = vhx_worker_create(dev->id, id, has_tasks(dev));

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	dev->workers[id] = worker;
	return 0;
}

/**
 * vhx_dev_set_owner - VHOST_SET_OWNER
 * @dev: the device
 *
 * Context: dev mutex; may sleep
 * Return: 0, -EBUSY (has one), -ENOMEM (no worker could be had),
 * -ERESTARTNOINTR
 */
int vhx_dev_set_owner(struct vhx_dev *dev)
{
	struct vhx_vq *vq;
	unsigned int id;
	int err;

	if (dev->mm)
		return -EBUSY;
	for (id = 0; id < vhx_workers; id++) {
		err = create_worker(dev, id);
		if (err) {
			end_workers(dev);
			return err;
		}
	}
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		id = vhx_index_of(vq) % vhx_workers;
		vhx_worker_attach(&vq->work, dev->workers[id]);
	}
	mmgrab(current->mm);
	dev->mm = current->mm;
	WRITE_ONCE(dev->owner, current->tgid);
	trace_vhx_owner_set(dev);
	return 0;
}

/**
 * vhx_dev_reset_owner - VHOST_RESET_OWNER
 * @dev: the device
 *
 * All that the owner set up is forgotten, but an empty memory table stays.
 *
 * Context: owner, dev mutex; may sleep
 * Return: 0 or -ENOMEM
 */
int vhx_dev_reset_owner(struct vhx_dev *dev)
{
	struct vhx_map *map = vhx_map_alloc();

	if (!map)
		return -ENOMEM;
	drop_owner(dev);
	vhx_memtab_replace(dev, &map);
	vhx_map_free(map);
	dev->is_task_wanted = vhx_fork_from_owner_default;
	return 0;
}

/**
 * vhx_dev_set_fork - VHOST_SET_FORK_FROM_OWNER
 * @dev: a device without an owner
 * @mode: VHOST_FORK_OWNER_*
 *
 * A kernel that has no vhost_task takes either, and has kthreads.
 *
 * Context: dev mutex
 * Return: 0, -EINVAL (no such mode)
 */
int vhx_dev_set_fork(struct vhx_dev *dev, u8 mode)
{
	if (mode != VHOST_FORK_OWNER_TASK && mode != VHOST_FORK_OWNER_KTHREAD)
		return -EINVAL;
	dev->is_task_wanted = mode == VHOST_FORK_OWNER_TASK;
	return 0;
}

/**
 * vhx_dev_get_fork - VHOST_GET_FORK_FROM_OWNER
 * @dev: the device
 *
 * Context: dev mutex
 * Return: what workers are or will be, VHOST_FORK_OWNER_*
 */
u8 vhx_dev_get_fork(const struct vhx_dev *dev)
{
	return dev->is_task_wanted && VHX_CAN_MAKE_TASKS ?
		VHOST_FORK_OWNER_TASK : VHOST_FORK_OWNER_KTHREAD;
}

/**
 * vhx_dev_new_worker - VHOST_NEW_WORKER
 * @dev: the device
 * @state: result: id of the worker, which has no work yet
 *
 * Context: owner, dev mutex; may sleep
 * Return: 0, -ENOMEM (no memory; VHX_WORKERS_MAX or VHX_KTHREADS_MAX, or a limit
 * of the owner's reached), -ERESTARTNOINTR
 */
int vhx_dev_new_worker(struct vhx_dev *dev, struct vhost_worker_state *state)
{
	unsigned int max = has_tasks(dev) ? VHX_WORKERS_MAX : VHX_KTHREADS_MAX;
	unsigned int id = 0;

	while (id < max && dev->workers[id])
		id++;
	if (id == max)
		return -ENOMEM;
	state->worker_id = id;
	return create_worker(dev, id);
}

static struct vhx_worker *find_worker(struct vhx_dev *dev, unsigned int id)
{
	if (id >= VHX_WORKERS_MAX)
		return NULL;
	id = array_index_nospec(id, VHX_WORKERS_MAX);
	return test_bit(id, &dev->leaving) ? NULL : dev->workers[id];
}

/**
 * vhx_dev_free_worker - VHOST_FREE_WORKER
 * @dev: the device
 * @state: id of the worker
 *
 * Context: owner, dev mutex, which others may have while it waits for a grace
 * period; waits for a run that is under way
 * Return: 0, -ENODEV (no such worker), -EBUSY (a ring is attached to it)
 */
int vhx_dev_free_worker(struct vhx_dev *dev,
			const struct vhost_worker_state *state)
{
	struct vhx_worker *worker = find_worker(dev, state->worker_id);
	unsigned int id = array_index_nospec(state->worker_id, VHX_WORKERS_MAX);
	unsigned int owner = dev->nr_owners;
	struct vhx_vq *vq;

	if (!worker)
		return -ENODEV;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++)
		if (rcu_access_pointer(vq->work.worker) == worker)
			return -EBUSY;
	/* Wait for readers in vhx_worker_queue() that still see this worker. */
	__set_bit(id, &dev->leaving);
	mutex_unlock(&dev->mutex);
	synchronize_rcu();
	mutex_lock(&dev->mutex);
	/* Else it went with its owner. */
	if (dev->nr_owners == owner) {
		__clear_bit(id, &dev->leaving);
		dev->workers[id] = NULL;
		vhx_worker_destroy(worker);
	}
	return 0;
}

/**
 * vhx_dev_attach_worker - VHOST_ATTACH_VRING_WORKER
 * @vq: the vq, running or not
 * @ring_worker: id of the worker
 *
 * Context: owner, dev mutex
 * Return: 0, -ENODEV (no such worker)
 */
int vhx_dev_attach_worker(struct vhx_vq *vq,
			  const struct vhost_vring_worker *ring_worker)
{
	struct vhx_worker *worker = find_worker(vq->dev,
						ring_worker->worker_id);

	if (!worker)
		return -ENODEV;
	/* Ends a polling window, which looks for work of its own worker. */
	mutex_lock(&vq->mutex);
	vhx_worker_attach(&vq->work, worker);
	mutex_unlock(&vq->mutex);
	/* The old one may be dead, and then there was nobody to be told. */
	vhx_worker_queue(&vq->work);
	return 0;
}

/**
 * vhx_dev_get_worker - VHOST_GET_VRING_WORKER
 * @vq: the vq
 * @ring_worker: result: id of its worker
 *
 * Context: owner, dev mutex
 * Return: 0
 */
int vhx_dev_get_worker(struct vhx_vq *vq,
		       struct vhost_vring_worker *ring_worker)
{
	unsigned int id = 0;

	while (vq->dev->workers[id] != rcu_access_pointer(vq->work.worker))
		id++;
	ring_worker->worker_id = id;
	return 0;
}

/**
 * vhx_dev_set_log_base - VHOST_SET_LOG_BASE
 * @dev: the device
 * @base: owner's address of the dirty log
 *
 * For both rings, or for none.
 *
 * Context: owner, dev mutex
 * Return: 0, -EFAULT (wider than a pointer; a ring runs that logs elsewhere
 * than in the owner's memory)
 */
int vhx_dev_set_log_base(struct vhx_dev *dev, u64 base)
{
	struct vhx_vq *vq;

	if (base != (unsigned long)base)
		return -EFAULT;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++)
		if (vq->backend && !vhx_vq_is_log_ok(vq, base, dev->map))
			return -EFAULT;
	dev->log_base = base;
	for (vq = dev->vq; vq < dev->vq + VHX_VQS; vq++) {
		mutex_lock(&vq->mutex);
		vq->mem.dirty.base = base;
		vq->mem.dirty.was_vain = false;
		mutex_unlock(&vq->mutex);
	}
	return 0;
}

/**
 * vhx_dev_set_log - VHOST_SET_LOG_FD
 * @dev: the device
 * @fd: eventfd, or VHOST_FILE_UNBIND
 *
 * Context: owner, dev mutex
 * Return: 0, -EBADF, -EINVAL (not an eventfd)
 */
int vhx_dev_set_log(struct vhx_dev *dev, int fd)
{
	struct vhx_vq *rx = &dev->vq[VHX_RXQ], *tx = &dev->vq[VHX_TXQ];
	int err;

	mutex_lock(&rx->mutex);
	mutex_lock_nested(&tx->mutex, VHX_TXQ);
	err = vhx_notify_set(&dev->log, fd);
	mutex_unlock(&tx->mutex);
	mutex_unlock(&rx->mutex);
	return err;
}
