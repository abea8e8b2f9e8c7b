/* SPDX-License-Identifier: GPL-2.0-only */
/* The life of a device from open to close, with traffic now and then. */
#ifndef FAULT_LIFE_H
#define FAULT_LIFE_H

#include <linux/vhx.h>

#include "log_lib.h"
#include "victim_lib.h"
#include "worker_lib.h"

static int node_open(struct victim *v)
{
	v->d.fd = open(node_path(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
	return v->d.fd < 0 ? -errno : 0;
}

static int node_close(struct victim *v)
{
	int ret = close(v->d.fd) ? -errno : 0;

	v->d.fd = -1;
	return ret;
}

static int node_fdinfo(struct victim *v)
{
	return dev_counter(&v->d, "vhx-rx-frames") < 0 ? -EFAULT : 0;
}

static int node_poll(struct victim *v)
{
	struct pollfd p = { .fd = v->d.fd, .events = POLLIN };

	return poll(&p, 1, 0) < 0 ? -errno : 0;
}

static int features_get(struct victim *v)
{
	uint64_t features;

	return dev_get_u64(&v->d, VHOST_GET_FEATURES, &features);
}

static int features_set(struct victim *v)
{
	return dev_features(&v->d, v->d.features);
}

static int array_ioctl(struct victim *v, unsigned long nr)
{
	struct {
		uint64_t count, word[4];
	} a = { .count = 4, .word = { v->d.features } };

	return dev_ioctl(&v->d, nr, &a, sizeof(a));
}

static int array_get(struct victim *v)
{
	return array_ioctl(v, VHOST_GET_FEATURES_ARRAY);
}

static int array_set(struct victim *v)
{
	return array_ioctl(v, VHOST_SET_FEATURES_ARRAY);
}

static int offer_set(struct victim *v)
{
	struct vhx_feature_set set = { .set = VHX_FEATURES_ALL };

	return dev_ioctl(&v->d, VHX_SET_FEATURE_SET, &set, sizeof(set));
}

static int busyloop_set(struct victim *v)
{
	struct vhx_busyloop arg = { .mode = VHX_BUSYLOOP_OFF };

	return dev_ioctl(&v->d, VHX_SET_BUSYLOOP, &arg, sizeof(arg));
}

static int backend_features_get(struct victim *v)
{
	uint64_t features;

	return dev_get_u64(&v->d, VHOST_GET_BACKEND_FEATURES, &features);
}

static int backend_features_set(struct victim *v)
{
	return dev_u64(&v->d, VHOST_SET_BACKEND_FEATURES,
		       BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2));
}

static int mode_set(struct victim *v)
{
	return fork_set(&v->d, v->mode);
}

static int mode_get(struct victim *v)
{
	int ret = fork_get(&v->d);

	return ret < 0 ? ret : 0;
}

static int own(struct victim *v)
{
	return dev_own(&v->d);
}

static int disown(struct victim *v)
{
	return dev_ioctl(&v->d, VHOST_RESET_OWNER, NULL, 0);
}

static int mem_table(struct victim *v)
{
	return dev_mem_table(&v->d);
}

static int log_base_set(struct victim *v)
{
	return log_base(&v->d, v->log);
}

static int log_fd_set(struct victim *v)
{
	return log_fd(&v->d, v->log_call);
}

static int num(struct victim *v)
{
	return dev_state(&v->d, VHOST_SET_VRING_NUM, v->q, VICTIM_RING);
}

static int base(struct victim *v)
{
	return dev_state(&v->d, VHOST_SET_VRING_BASE, v->q,
			 vq_base_after(&v->d.vq[v->q], 0));
}

static int base_get(struct victim *v)
{
	int64_t at = dev_get_base(&v->d, v->q);

	return at < 0 ? at : 0;
}

static int addr(struct victim *v)
{
	return vq_set_addr(&v->d.vq[v->q]);
}

static int kick(struct victim *v)
{
	return dev_file(&v->d, VHOST_SET_VRING_KICK, v->q, v->d.vq[v->q].kick);
}

static int call(struct victim *v)
{
	return dev_file(&v->d, VHOST_SET_VRING_CALL, v->q, v->d.vq[v->q].call);
}

static int err(struct victim *v)
{
	return dev_file(&v->d, VHOST_SET_VRING_ERR, v->q, v->d.vq[v->q].err);
}

static int window_set(struct victim *v)
{
	return dev_state(&v->d, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, v->q, 0);
}

static int endian_set(struct victim *v)
{
	return dev_state(&v->d, VHOST_SET_VRING_ENDIAN, v->q,
			 VHOST_VRING_LITTLE_ENDIAN);
}

/* What a state is read by: window and byte order. */
static int state_get(struct victim *v)
{
	int ret = dev_state(&v->d, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, v->q, 0);

	return ret ? ret : dev_state(&v->d, VHOST_GET_VRING_ENDIAN, v->q, 0);
}

static int start(struct victim *v)
{
	return dev_backend(&v->d, v->q, v->n.tap);
}

static int stop(struct victim *v)
{
	return dev_backend(&v->d, v->q, -1);
}

/* A worker that nobody can name keeps its id: the next one has another. */
static int worker_make(struct victim *v)
{
	int id = worker_new(&v->d);

	return id < 0 ? id : id == 1 ? 0 : -EUCLEAN;
}

static int worker_end(struct victim *v)
{
	return worker_free(&v->d, 1);
}

static int worker_of_get(struct victim *v)
{
	int id = worker_get(&v->d, v->q);

	return id < 0 ? id : 0;
}

/* Ring @v->q has worker @v->q, until the second one goes. */
static int attach(struct victim *v)
{
	return worker_attach(&v->d, v->q, v->q);
}

static int detach(struct victim *v)
{
	return worker_attach(&v->d, v->q, 0);
}

static int map_rings(struct victim *v)
{
	struct dev *d = &v->d;

	return iotlb_map(&v->t, d->mem, v->tx_buf - d->mem,
			 VHOST_ACCESS_RW);
}

/* Page by page, as the responder does: of more its UPDATE leaves one page. */
static int map_used(struct victim *v)
{
	int ret = 0;

	for (int q = 0; q < 2 && !ret; q++) {
		struct vq *vq = &v->d.vq[q];
		const void *used = is_packed(vq) ? (void *)vq->device_event :
				   (void *)vq->used;

		ret = iotlb_map_page(&v->t, gpa(&v->d, used));
	}
	return ret;
}

static int unmap(struct victim *v)
{
	return iotlb_drop(&v->t, GPA_BASE, MEM_SIZE);
}

/* A frame that the device cannot find, and asks for. */
static int want_frame(struct victim *v)
{
	struct vq *vq = &v->d.vq[TX];
	uint8_t *frame = v->frame;

	frame_fill(frame, FRAME, false, v->seq);
	if (tx_add(vq, NULL, frame, FRAME, &one_piece, v->tx_buf) < 0)
		return -ENOSPC;
	vq_want_call(vq, 1);
	vq_publish_kick(vq);
	return 0;
}

static int miss_wait(struct victim *v)
{
	return event_wait(v->d.fd, SOON_MS);
}

static int miss_read(struct victim *v)
{
	struct vhost_iotlb_msg m;

	return iotlb_read(&v->t, &m);
}

static int miss_answer(struct victim *v)
{
	return iotlb_map(&v->t, v->tx_buf, 4096, VHOST_ACCESS_RO);
}

/* It goes, once it is found. From now on the responder does that. */
static int see_frame(struct victim *v)
{
	struct vq *vq = &v->d.vq[TX];
	struct virtio_net_hdr h;
	int ret = vq_wait(vq, 1, SOON_MS);

	if (ret)
		return ret;
	vq_pop(vq, NULL);
	frame_fill(v->frame, FRAME, false, v->seq++);
	ret = pkt_recv(v->n.pkt, &h, v->seen, FRAME_MAX, SOON_MS);
	if (ret != FRAME || memcmp(v->frame, v->seen, FRAME))
		return -EBADMSG;
	return victim_answer(v);
}

/* Frames of both ways; RX is first, since its buffers are there then. */
static int traffic(struct victim *v)
{
	static const struct burst both[] = {
		{ "rx", RX, FRAME, &one_piece }, { "tx", TX, FRAME, &one_piece },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(both); i++)
		if (!victim_moves(v, &both[i], NULL, 0, NULL))
			return -EPROTO;
	return 0;
}

/* Errors by Documentation/uapi.rst. */
#define COPIES		.errnos = { EFAULT }
#define ALLOCATES	.errnos = { ENOMEM, EFAULT }
#define NO_MEMORY	.errnos = { ENOMEM }
#define MESSAGE		.errnos = { EINVAL, EFAULT }, .needs = F_PLATFORM
#define PLAIN		.is_plain = true

/**
 * struct step - a call of a device's life
 * @name: for the report
 * @take: the call
 * @q: of which ring
 * @errnos: what it may fail with
 * @needs: a feature without which it is left out
 * @is_plain: nothing is injected
 * @runs_on: when it fails, frames move on as before
 * @before: waits for what it needs
 */
struct step {
	const char *name;
	int (*take)(struct victim *v);
	unsigned int q;
	int errnos[2];
	uint64_t needs;
	bool is_plain;
	bool runs_on;
	int (*before)(struct victim *v);
};

static const struct step steps[] = {
	{ "open", node_open, ALLOCATES },
	{ "GET_FEATURES", features_get, COPIES },
	{ "GET_FEATURES_ARRAY", array_get, COPIES },
	{ "GET_BACKEND_FEATURES", backend_features_get, COPIES },
	{ "GET_FORK_FROM_OWNER", mode_get, COPIES },
	{ "VHX_SET_FEATURE_SET", offer_set, COPIES },
	{ "VHX_SET_BUSYLOOP", busyloop_set, COPIES },
	{ "SET_FORK_FROM_OWNER", mode_set, COPIES },
	{ "SET_OWNER", own, NO_MEMORY },
	{ "SET_BACKEND_FEATURES", backend_features_set, COPIES },
	{ "SET_FEATURES_ARRAY", array_set, ALLOCATES },
	{ "SET_FEATURES", features_set, ALLOCATES },
	{ "SET_MEM_TABLE", mem_table, ALLOCATES },
	{ "SET_LOG_BASE", log_base_set, COPIES, .needs = F_LOG_ALL },
	{ "SET_LOG_FD", log_fd_set, COPIES, .needs = F_LOG_ALL },
	{ "rx SET_VRING_NUM", num, COPIES },
	{ "rx SET_VRING_BASE", base, COPIES },
	{ "rx SET_VRING_ENDIAN", endian_set, COPIES },
	{ "rx SET_VRING_ADDR", addr, COPIES },
	{ "rx SET_VRING_KICK", kick, COPIES },
	{ "rx SET_VRING_CALL", call, COPIES },
	{ "rx SET_VRING_ERR", err, COPIES },
	{ "tx SET_VRING_NUM", num, TX, COPIES },
	{ "tx SET_VRING_BASE", base, TX, COPIES },
	{ "tx SET_VRING_ADDR", addr, TX, COPIES },
	{ "tx SET_VRING_KICK", kick, TX, COPIES },
	{ "tx SET_VRING_CALL", call, TX, COPIES },
	{ "tx SET_VRING_ERR", err, TX, COPIES },
	{ "SET_VRING_BUSYLOOP_TIMEOUT", window_set, TX, COPIES },
	{ "GET of states", state_get, TX, COPIES },
	{ "UPDATE", map_rings, MESSAGE },
	{ "NEW_WORKER", worker_make, ALLOCATES },
	{ "rx ATTACH_VRING_WORKER", attach, COPIES },
	{ "tx ATTACH_VRING_WORKER", attach, TX, COPIES },
	{ "GET_VRING_WORKER", worker_of_get, TX, COPIES },
	{ "rx SET_BACKEND", start, ALLOCATES },
	{ "tx SET_BACKEND", start, TX, ALLOCATES },
	{ "a frame", want_frame, .needs = F_PLATFORM, PLAIN },
	{ "read", miss_read, COPIES, .needs = F_PLATFORM, .before = miss_wait },
	{ "answer", miss_answer, MESSAGE },
	{ "its arrival", see_frame, .needs = F_PLATFORM, PLAIN },
	{ "traffic", traffic, PLAIN },
	/* what a client may do to a device that runs */
	{ "SET_FEATURES, running", features_set, ALLOCATES, .runs_on = true },
	{ "SET_MEM_TABLE, running", mem_table, ALLOCATES, .runs_on = true },
	{ "SET_LOG_BASE, running", log_base_set, COPIES, .needs = F_LOG_ALL,
	  .runs_on = true },
	{ "SET_LOG_FD, running", log_fd_set, COPIES, .needs = F_LOG_ALL,
	  .runs_on = true },
	{ "SET_VRING_ADDR, running", addr, TX, COPIES, .runs_on = true },
	{ "SET_VRING_KICK, running", kick, TX, COPIES, .runs_on = true },
	{ "SET_VRING_CALL, running", call, COPIES, .runs_on = true },
	{ "SET_BACKEND, the same", start, TX, ALLOCATES, .runs_on = true },
	{ "GET_VRING_BASE", base_get, TX, COPIES, .runs_on = true },
	{ "poll", node_poll, ALLOCATES, .runs_on = true },
	{ "fdinfo", node_fdinfo, ALLOCATES, .runs_on = true },
	{ "INVALIDATE", unmap, MESSAGE, .runs_on = true },
	{ "traffic", traffic, PLAIN },
	{ "ATTACH to the first", detach, TX, COPIES, .runs_on = true },
	{ "FREE_WORKER", worker_end, COPIES, .runs_on = true },
	{ "traffic", traffic, PLAIN },
	{ "rx SET_BACKEND -1", stop, COPIES, .runs_on = true },
	{ "tx SET_BACKEND -1", stop, TX, COPIES },
	/* as a client does: the used ring is written to at once */
	{ "UPDATE again", map_used, .needs = F_PLATFORM, PLAIN },
	{ "rx SET_BACKEND again", start, ALLOCATES },
	{ "tx SET_BACKEND again", start, TX, ALLOCATES },
	{ "traffic", traffic, PLAIN },
	{ "RESET_OWNER", disown, NO_MEMORY, .runs_on = true },
	{ "SET_OWNER again", own, NO_MEMORY },
	{ "close", node_close, .errnos = {} },
};

static bool is_left_out(const struct victim *v, const struct step *s)
{
	return s->needs && !has(&v->d, s->needs);
}

/* Takes steps, with nothing injected. Return: 0 or -errno, with why. */
static int live(struct victim *v, const struct step *from,
		const struct step *to, bool has_traffic)
{
	int ret = 0;

	for (; from < to && !ret; from++) {
		if (is_left_out(v, from) ||
		    (from->take == traffic && !has_traffic))
			continue;
		ret = from->before ? from->before(v) : 0;
		v->why[0] = 0;
		v->q = from->q;
		if (!ret)
			ret = from->take(v);
		if (ret && !*v->why)
			snprintf(v->why, sizeof(v->why), "%s: %d",
				 from->name, ret);
	}
	return ret;
}

#endif /* FAULT_LIFE_H */
