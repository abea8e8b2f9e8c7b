/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Workers and their modes: the ioctls, the threads, and a device with both
 * rings up that can send and receive.
 */
#ifndef VHOST_WORKER_LIB_H
#define VHOST_WORKER_LIB_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "harness.h"

/* What older <linux/vhost.h> lack. */
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15,		\
				       struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER _IOWR(VHOST_VIRTIO, 0x16,		\
				     struct vhost_vring_worker)
#endif
#ifndef VHOST_SET_FORK_FROM_OWNER
#define VHOST_SET_FORK_FROM_OWNER _IOW(VHOST_VIRTIO, 0x84, __u8)
#define VHOST_GET_FORK_FROM_OWNER _IOR(VHOST_VIRTIO, 0x85, __u8)
#endif

#define KTHREAD		0	/* values of the two ioctls above */
#define TASK		1
#define WORKERS_MAX	16	/* tasks of a device of vhx_net */
#define KTHREADS_MAX	4	/* kthreads of one */
#define RING		256
#define BURST		16
#define FRAME		200	/* bytes */

#define MODE_VARIANTS(fixture)						\
FIXTURE_VARIANT(fixture) {						\
	uint8_t mode;							\
};									\
FIXTURE_VARIANT_ADD(fixture, task) { .mode = TASK };			\
FIXTURE_VARIANT_ADD(fixture, kthread) { .mode = KTHREAD }

static inline bool is_ours(void)
{
	return strcmp(module_name(), "vhost_net");
}

/* In-tree vhost_net hands the ioctls of workers to nobody. */
#define NEEDS_WORKERS()	do {						\
	if (!is_ours())							\
		SKIP(return, "in-tree has no worker ioctls here");	\
} while (0)

static inline bool kernel_has_tasks(void)
{
	return !run("grep -q ' vhost_task_create$' /proc/kallsyms");
}

static inline bool has_fork_ioctls(void)
{
	return is_ours() || kernel_has_tasks();
}

static inline int fork_set(struct dev *d, uint8_t mode)
{
	return dev_ioctl(d, VHOST_SET_FORK_FROM_OWNER, &mode, sizeof(mode));
}

static inline int fork_get(struct dev *d)
{
	uint8_t mode = 0xff;
	int ret = dev_ioctl(d, VHOST_GET_FORK_FROM_OWNER, &mode, sizeof(mode));

	return ret ? ret : mode;
}

/* Workers that a device of vhx_net may have. */
static inline int workers_max(struct dev *d)
{
	return fork_get(d) == TASK ? WORKERS_MAX : KTHREADS_MAX;
}

/* Return: id of a new worker, or -errno. */
static inline int worker_new(struct dev *d)
{
	struct vhost_worker_state s = { .worker_id = ~0u };
	int ret = dev_ioctl(d, VHOST_NEW_WORKER, &s, sizeof(s));

	return ret ? ret : (int)s.worker_id;
}

static inline int worker_free(struct dev *d, int id)
{
	struct vhost_worker_state s = { .worker_id = id };

	return dev_ioctl(d, VHOST_FREE_WORKER, &s, sizeof(s));
}

static inline int worker_attach(struct dev *d, unsigned int q, int id)
{
	struct vhost_vring_worker w = { .index = q, .worker_id = id };

	return dev_ioctl(d, VHOST_ATTACH_VRING_WORKER, &w, sizeof(w));
}

/* Return: id of the worker of ring @q, or -errno. */
static inline int worker_get(struct dev *d, unsigned int q)
{
	struct vhost_vring_worker w = { .index = q, .worker_id = ~0u };
	int ret = dev_ioctl(d, VHOST_GET_VRING_WORKER, &w, sizeof(w));

	return ret ? ret : (int)w.worker_id;
}

/* The first character of a module parameter, or 0. */
static inline char param_of(const char *module, const char *name)
{
	char path[128], c = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module,
		 name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &c, 1) != 1)
		c = 0;
	close(fd);
	return c;
}

/* Workers that an owner begins with. */
static inline int first_workers(void)
{
	return is_ours() ? param_of(module_name(), "workers") - '0' : 1;
}

/* Return: 0 when worker @id of process @pid is gone within the deadline. */
static inline int worker_gone(pid_t pid, unsigned int id)
{
	int64_t end = now_ms() + WAIT_MS;

	while (worker_tid_of(pid, id) >= 0) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		poll(NULL, 0, 5);
	}
	return 0;
}

/*
 * Return: 0 when thread @tid has taken more than @before of processor time. That is
 * added up when it is switched out or at a tick, and may come after what it did.
 */
static inline int worker_ran(int tid, int64_t before)
{
	int64_t end = now_ms() + WAIT_MS;

	while (worker_ns(tid) <= before) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		poll(NULL, 0, 5);
	}
	return 0;
}

struct rig {
	struct dev d;
	struct net n;
	uint8_t *buf;			/* of all frames, in guest memory */
	uint8_t frame[FRAME], seen[70000];
	uint32_t seq;			/* of the next frame to send */
};

/* What a fork may share: the open node, the tap, the kick eventfds. */
static inline int rig_open(struct rig *r)
{
	int ret = net_open(&r->n, BE_TAP, 12);

	if (!ret)
		ret = dev_open(&r->d);
	for (int q = 0; q < 2 && !ret; q++) {
		r->d.vq[q].kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ret = r->d.vq[q].kick < 0 ? -errno : 0;
	}
	return ret;
}

/* Rings and backends of a device that has an owner. */
static inline int rig_rings(struct rig *r)
{
	struct dev *d = &r->d;
	int ret = dev_features(d, F_V1 | F_EVENT);

	if (!ret)
		ret = dev_mem(d);
	if (!ret)
		ret = dev_mem_table(d);
	for (int q = 0; q < 2 && !ret; q++) {
		ret = vq_setup(d, q, RING);
		if (!ret)
			ret = dev_backend(d, q, r->n.tap);
	}
	r->buf = guest_alloc(d, 4096 * BURST, 4096);
	return ret;
}

/* Owner, rings, backends, and where there is such a thing a worker a ring. */
static inline int rig_start(struct rig *r, uint8_t mode)
{
	struct dev *d = &r->d;
	int ret = has_fork_ioctls() ? fork_set(d, mode) : 0;

	if (!ret)
		ret = dev_own(d);
	if (!ret)
		ret = rig_rings(r);
	if (!ret && is_ours() && first_workers() == 1)
		ret = worker_attach(d, TX, worker_new(d));
	return ret;
}

/* Takes an own device's workers to three, and is refused a fourth each time. */
static inline int three_workers_fit(struct dev *d)
{
	int ret = 0;

	for (int id = first_workers(); id < 3 && !ret; id++)
		ret = worker_new(d) == id ? 0 : -EPROTO;
	if (!ret)
		ret = worker_new(d) == -ENOMEM ? 0 : -E2BIG;
	/* who is freed makes room */
	if (!ret)
		ret = worker_free(d, 2);
	if (!ret)
		ret = worker_gone(getpid(), 2);
	if (!ret)
		ret = worker_new(d) == 2 ? 0 : -ENOSPC;
	if (!ret)
		ret = worker_new(d) == -ENOMEM ? 0 : -E2BIG;
	return ret;
}

static inline void rig_close(struct rig *r)
{
	dev_close(&r->d);
	net_close(&r->n);
}

/* Take back what the device is done with: @n chains. */
static inline int rig_reap(struct vq *vq, unsigned int n, uint32_t len)
{
	int ret = vq_spin(vq, n, WAIT_MS);
	uint32_t used;

	for (; n && !ret; n--) {
		ret = vq_pop(vq, &used);
		ret = ret < 0 ? ret : used == len ? 0 : -EBADMSG;
	}
	return ret;
}

/* A burst to the host, which sees all of it, in order. */
static inline int rig_send(struct rig *r)
{
	struct vq *tx = &r->d.vq[TX];
	struct virtio_net_hdr h;

	for (int i = 0; i < BURST; i++) {
		frame_fill(r->frame, FRAME, false, r->seq + i);
		tx_add(tx, NULL, r->frame, FRAME, &one_piece,
		       r->buf + i * 2048);
		vq_publish_kick(tx);
	}
	for (int i = 0; i < BURST; i++) {
		int ret = pkt_recv(r->n.pkt, &h, r->seen, sizeof(r->seen),
				   WAIT_MS);

		frame_fill(r->frame, FRAME, false, r->seq++);
		if (ret < 0)
			return ret;
		if (ret != FRAME || memcmp(r->seen, r->frame, FRAME))
			return -EBADMSG;
	}
	return rig_reap(tx, BURST, 0);
}

/* A burst to the guest. */
static inline int rig_recv(struct rig *r)
{
	struct vq *rx = &r->d.vq[RX];
	uint8_t frame[FRAME];
	int ret = 0;

	frame_fill(frame, FRAME, true, 0);
	for (int i = 0; i < BURST; i++)
		rx_add(rx, 2048, &one_piece, r->buf + (BURST + i) * 2048);
	vq_publish_kick(rx);
	for (int i = 0; i < BURST && !ret; i++)
		ret = pkt_send(r->n.pkt, NULL, frame, FRAME);
	return ret ? ret : rig_reap(rx, BURST, r->d.hdr_len + FRAME);
}

static inline int rig_works(struct rig *r)
{
	int ret = rig_send(r);

	return ret ? ret : rig_recv(r);
}

#endif /* VHOST_WORKER_LIB_H */
