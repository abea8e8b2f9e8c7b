// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a program in a process that ends with it: one device, its two rings
 * and what is behind them. Any call may fail; only the kernel is judged.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vhx.h>

#include "net_lib.h"
#include "prog.h"

#define PAGE		4096ULL
#define RING_OF(op)	(&dev.vq[(op)->flags & OP_RING])
#define PICK(array, n)	((array)[(n) % (sizeof(array) / sizeof((array)[0]))])

static struct dev dev = { .fd = -1 };
static pthread_barrier_t barrier;
static uint8_t bytes[64];	/* where an ioctl may point */

static const uint64_t features[] = {
	F_MRG, F_EVENT, F_INDIRECT, F_PACKED, F_PLATFORM, F_LOG_ALL,
	F_IN_ORDER, F_EMPTY, F_VNET_HDR, BIT_ULL(VIRTIO_F_RING_RESET),
};

static const uint32_t lengths[] = {
	0, 1, 10, 12, 13, 14, 60, 64, 128, 1500, 1526, 2048, 4096, 9000,
	65535, 65562, 1 << 20, 0x7fffffff, 0xffffffff,
};

static int pick_fd(unsigned int n)
{
	n %= FDS + 1;
	if (n == FDS)
		return n << 10;
	return n == NODE ? dev.fd : backends[n];
}

static uint64_t pick_features(uint64_t mask)
{
	uint64_t set = F_V1;
	unsigned int i;

	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (mask & BIT_ULL(i))
			set |= features[i];
	return set;
}

/* An address near or in the guest's memory, or @n itself. */
static uint64_t pick_addr(uint64_t n)
{
	uint64_t at = (n >> 4) % MEM_SIZE;

	switch (n & 7) {
	case 0:
		return n;
	case 1:
		return GPA_BASE + MEM_SIZE - (at & 0xff);
	case 2:
		return (uintptr_t)dev.mem + at;
	case 3:
		return (uintptr_t)dev.mem + (at & (8 * RING_AREA - PAGE));
	default:
		return GPA_BASE + (at & (8 * RING_AREA - 1));
	}
}

static void send_msg(bool is_v2, struct vhost_iotlb_msg iotlb)
{
	struct vhost_msg_v2 v2 = { .type = VHOST_IOTLB_MSG_V2, .iotlb = iotlb };
	struct vhost_msg v1 = { .type = VHOST_IOTLB_MSG, .iotlb = iotlb };
	ssize_t n = is_v2 ? write(dev.fd, &v2, sizeof(v2)) :
		    write(dev.fd, &v1, sizeof(v1));

	(void)n;
}

static void map_all(void)
{
	struct vhost_iotlb_msg msg = {
		.iova = GPA_BASE, .size = MEM_SIZE,
		.uaddr = (uintptr_t)dev.mem, .perm = VHOST_ACCESS_RW,
		.type = VHOST_IOTLB_UPDATE,
	};

	send_msg(false, msg);
	msg.iova = msg.uaddr;
	send_msg(false, msg);
}

/* @a: features, @b: backend, @c: size of the ring. */
static void op_setup(const struct op *op)
{
	unsigned int q = op->flags & OP_RING;
	uint64_t offered = 0;
	void *log;

	if (!dev.mem) {
		dev_own(&dev);
		dev_get_u64(&dev, VHOST_GET_FEATURES, &offered);
		dev_features(&dev, pick_features(op->a) & offered);
		if (dev_mem(&dev) || dev_mem_table(&dev))
			return;
		if (has(&dev, F_PLATFORM))
			map_all();
		log = guest_alloc(&dev, 2 * MEM_SIZE / PAGE / 8 + PAGE, PAGE);
		if (has(&dev, F_LOG_ALL) && log)
			dev_u64(&dev, VHOST_SET_LOG_BASE, (uintptr_t)log);
	}
	if (!vq_setup(&dev, q, 1 << (op->c % 10)))
		dev_backend(&dev, q, backends[op->b % BACKENDS]);
}

static void op_u64(const struct op *op)
{
	struct vhx_feature_set set = { op->c, op->b == 1 };
	struct vhx_busyloop busyloop = { op->c, op->b == 1 };
	uint64_t array[4] = { op->b % 4, pick_features(op->c), op->b >> 2 };
	uint64_t v = op->c;

	switch (op->a % 13) {
	case 0:
		dev_u64(&dev, VHOST_SET_FEATURES, pick_features(v));
		break;
	case 1:
		dev_u64(&dev, VHOST_SET_FEATURES, v);
		break;
	case 2:
		dev_u64(&dev, VHOST_SET_BACKEND_FEATURES, op->b & 1 ? v : 2);
		break;
	case 3:
		dev_get_u64(&dev, VHOST_GET_BACKEND_FEATURES, &v);
		break;
	case 4:
		v = pick_addr(v);
		dev_u64(&dev, VHOST_SET_LOG_BASE, v);
		break;
	case 5:
		ioctl(dev.fd, VHX_SET_FEATURE_SET, &set);
		break;
	case 6:
		ioctl(dev.fd, VHOST_SET_FEATURES_ARRAY, array);
		break;
	case 7:
		ioctl(dev.fd, VHOST_GET_FEATURES_ARRAY, array);
		break;
	case 8:
		ioctl(dev.fd, VHOST_RESET_OWNER, NULL);
		break;
	case 9:
		ioctl(dev.fd, VHOST_SET_OWNER, NULL);
		break;
	case 10:
		dev_get_u64(&dev, VHOST_GET_FEATURES, &v);
		break;
	case 11:		/* SET_ and GET_FORK_FROM_OWNER */
		ioctl(dev.fd, op->b & 1 ? _IOW(VHOST_VIRTIO, 0x84, __u8) :
		      _IOR(VHOST_VIRTIO, 0x85, __u8), &v);
		break;
	case 12:
		ioctl(dev.fd, VHX_SET_BUSYLOOP, &busyloop);
	}
}

static void op_state(const struct op *op)
{
	static const unsigned long nrs[] = {
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE,
		VHOST_SET_VRING_ENDIAN, VHOST_GET_VRING_ENDIAN,
		VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
		VHOST_GET_VRING_BUSYLOOP_TIMEOUT, VHOST_GET_VRING_BASE,
	};
	unsigned long nr = PICK(nrs, op->a);
	uint32_t v = op->c;

	/* a window of minutes is no fault, but the end of a run */
	if (nr == VHOST_SET_VRING_BUSYLOOP_TIMEOUT)
		v %= 1000;
	dev_state(&dev, nr, op->b > 1U << 31 ? op->b : op->flags & OP_RING, v);
}

static void op_file(const struct op *op)
{
	static const unsigned long nrs[] = {
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
		VHOST_NET_SET_BACKEND, VHOST_NET_SET_BACKEND,
	};
	struct vq *vq = RING_OF(op);
	int fd = pick_fd(op->b);

	if (op->a % 6 == 5)
		ioctl(dev.fd, VHOST_SET_LOG_FD, &fd);
	else
		dev_file(&dev, PICK(nrs, op->a), op->flags & OP_RING,
			 op->c % 4 ? fd : vq->kick);
}

/* @a: which of its addresses is another one. */
static void op_addr(const struct op *op)
{
	struct vhost_vring_addr a = { .index = op->flags & OP_RING };
	uint64_t v = op->b & 1 ? pick_addr(op->c) : op->c;

	if (RING_OF(op)->num)
		vq_addr(RING_OF(op), &a);
	switch (op->a % 6) {
	case 0:
		a.desc_user_addr = v;
		break;
	case 1:
		a.avail_user_addr = v;
		break;
	case 2:
		a.used_user_addr = v;
		break;
	case 3:
		a.log_guest_addr = v;
		a.flags = 1 << VHOST_VRING_F_LOG;
		break;
	case 4:
		a.flags = op->b >> 1;
	}
	dev_ioctl(&dev, VHOST_SET_VRING_ADDR, &a, sizeof(a));
}

static void op_mem(const struct op *op)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region[4];
	} t = { .head.nregions = op->a % 5 };
	uint64_t part = MEM_SIZE / (1 + op->a % 5);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		t.region[i].guest_phys_addr = GPA_BASE + i * part;
		t.region[i].memory_size = part;
		t.region[i].userspace_addr = (uintptr_t)dev.mem + i * part;
	}
	if (op->b & 1)
		t.region[0].guest_phys_addr = op->c;
	if (op->b & 2)
		t.region[0].memory_size = op->c;
	if (op->b & 4)
		t.region[0].userspace_addr = op->c;
	if (op->b & 8)
		t.region[1].memory_size += op->c % (2 * PAGE);
	if (op->b == 16)
		t.head.nregions = op->c;
	ioctl(dev.fd, VHOST_SET_MEM_TABLE, &t);
}

static void op_worker(const struct op *op)
{
	struct { unsigned int id; } state = { op->b % 4 };
	struct { unsigned int index, id; } vring = {
		op->flags & OP_RING, op->b % 4
	};

	switch (op->a % 4) {
	case 0:
		ioctl(dev.fd, _IOR(VHOST_VIRTIO, 0x8, __u32), &state);
		break;
	case 1:
		ioctl(dev.fd, _IOW(VHOST_VIRTIO, 0x9, __u32), &state);
		break;
	case 2:
		ioctl(dev.fd, _IOW(VHOST_VIRTIO, 0x15, __u64), &vring);
		break;
	case 3:
		ioctl(dev.fd, _IOWR(VHOST_VIRTIO, 0x16, __u64), &vring);
	}
}

static void op_iotlb(const struct op *op)
{
	struct vhost_iotlb_msg msg = {
		.iova = pick_addr(op->c),
		.size = op->b & 1 ? MEM_SIZE : PAGE * (op->b >> 1) % MEM_SIZE,
		.perm = 1 + (op->b >> 8) % 4,
		.type = op->a % 8,
	};

	if (op->a % 4 == 0) {
		map_all();
		return;
	}
	msg.uaddr = msg.iova >= GPA_BASE && msg.iova < GPA_BASE + MEM_SIZE ?
		    msg.iova - GPA_BASE + (uintptr_t)dev.mem : msg.iova;
	send_msg(op->a & 8, msg);
}

static void op_read(const struct op *op)
{
	struct pollfd p = { .fd = dev.fd, .events = POLLIN };
	struct vhost_msg_v2 msg;
	unsigned int n = 1 + op->b % 4;

	/* what is missed is mapped, as an IOMMU would */
	while (n-- && poll(&p, 1, op->a % 3) > 0 && p.revents & POLLIN) {
		if (read(dev.fd, &msg, op->c ? sizeof(msg) : 9) < 0)
			break;
		if (op->b & 8)
			map_all();
	}
}

/* @a: pieces, @b: length of each, @c: other lengths and how many are ours. */
static void op_add(const struct op *op)
{
	struct vq *vq = RING_OF(op);
	bool is_tx = op->flags & OP_RING;
	unsigned int n = 1 + op->a % 8, out = is_tx ? n : 0, i, head;
	struct seg segs[8];
	int ret;

	if (!vq->num || !dev.mem)
		return;
	if (op->a >> 8 == 1)
		out = op->c % (n + 1);
	for (i = 0; i < n; i++) {
		segs[i].p = dev.mem + 8 * RING_AREA + i * 16 * PAGE;
		segs[i].len = op->c >> i & 1 ? PICK(lengths, op->c >> 8 * i) :
			      op->b % FRAME_MAX;
	}
	if (op->a & 0x80)
		memset(segs[0].p, op->c, 12);
	for (i = 0; i <= (op->a >> 4) % 4; i++) {
		ret = vq_add(vq, segs, out, n - out);
		if (ret < 0)
			break;
		head = ret;
		vq_push(vq, head);
	}
	vq_publish(vq);
	vq_kick(vq);
}

/* One descriptor as it should not be. */
static void op_desc(const struct op *op)
{
	struct vq *vq = RING_OF(op);
	struct vring_desc *d;

	if (!vq->num || !dev.mem)
		return;
	d = &vq->desc[op->a % vq->num];
	if (op->b & 1)
		d->addr = pick_addr(op->c);
	if (op->b & 2)
		d->len = PICK(lengths, op->c);
	if (op->b & 4)
		d->flags = op->b >> 16;
	if (op->b & 8)
		d->next = op->c;
}

/* A word of the ring's memory: indexes, events, elements and tables. */
static void op_poke(const struct op *op)
{
	struct vq *vq = RING_OF(op);
	uint16_t *words;

	if (!vq->num || !dev.mem)
		return;
	words = PICK(((uint16_t *[]){
		(void *)vq->desc, (void *)vq->avail, (void *)vq->used,
		(void *)vq->tables }), op->a);
	if (words)
		words[op->b % (op->b >> 31 ? 4096 : 4)] =
			op->c & 0x10000 ? op->c : vq->avail_idx + op->c % 4;
}

static void op_info(void)
{
	char path[64], text[4096];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", dev.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

/* Pages that go, or that the device may not write. */
static void op_pages(const struct op *op)
{
	uint64_t at = op->c * PAGE % (op->a & 1 ? 8 * RING_AREA : MEM_SIZE / 2);
	size_t len = (1 + op->b % 64) * PAGE;

	if (!dev.mem)
		return;
	switch (op->a >> 1 & 3) {
	case 0:
		madvise(dev.mem + at, len, MADV_DONTNEED);
		break;
	case 1:
		mprotect(dev.mem + at, len, PROT_READ);
		break;
	case 2:
		munmap(dev.mem + at, len);
		break;
	case 3:
		mprotect(dev.mem + at, len, PROT_READ | PROT_WRITE);
	}
}

static void op_reap(const struct op *op)
{
	struct vq *vq = RING_OF(op);
	int head;

	if (!vq->num || !dev.mem)
		return;
	while ((head = vq_pop(vq, NULL)) >= 0)
		vq_free(vq, head);
	if (op->a & 1)
		vq_want_call(vq, 1 + op->b % 4);
}

/* @a: as it was before, or like new; with backends that are its own. */
static void op_reopen(const struct op *op)
{
	if (op->a & 2)
		backends_open();
	close(dev.fd);
	dev.fd = open(node_path(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (!(op->a & 1) || !dev.mem)
		return;
	dev_own(&dev);
	dev_features(&dev, dev.features);
	dev_mem_table(&dev);
}

static void run_op(const struct op *op)
{
	switch (op->kind) {
	case OP_SETUP:	return op_setup(op);
	case OP_U64:	return op_u64(op);
	case OP_STATE:	return op_state(op);
	case OP_FILE:	return op_file(op);
	case OP_ADDR:	return op_addr(op);
	case OP_MEM:	return op_mem(op);
	case OP_WORKER:	return op_worker(op);
	case OP_IOTLB:	return op_iotlb(op);
	case OP_READ:	return op_read(op);
	case OP_ADD:	return op_add(op);
	case OP_DESC:	return op_desc(op);
	case OP_POKE:	return op_poke(op);
	case OP_SEND:	return backends_send(op);
	case OP_DRAIN:	return backends_drain_one(op);
	case OP_PAGES:	return op_pages(op);
	case OP_REAP:	return op_reap(op);
	case OP_INFO:	return op_info();
	case OP_REOPEN:
		return op_reopen(op);
	case OP_KICK:
		eventfd_write(RING_OF(op)->kick, 1);
		break;
	case OP_WAIT:
		usleep(1000 * (1 + op->a % 4));
		break;
	case OP_IOCTL:
		ioctl(dev.fd, _IOC(op->a & 3, VHOST_VIRTIO, op->b, op->a >> 2),
		      op->c & 1 ? (void *)bytes : (void *)(uintptr_t)op->c);
	}
}

static void run_half(const struct prog *p, unsigned int flag)
{
	unsigned int i;

	for (i = 0; i < p->n; i++)
		if ((p->op[i].flags & OP_THREAD) == flag)
			run_op(&p->op[i]);
}

static void *run_beside(void *arg)
{
	pthread_barrier_wait(&barrier);
	run_half(arg, OP_THREAD);
	return NULL;
}

/* The program took its own memory away: no matter, and no line in the log. */
static void give_up(int sig)
{
	(void)sig;
	_exit(4);
}

/* In a process that has nothing else to do, and ends next. */
void exec_prog(const struct prog *p)
{
	bool has_thread = false;
	unsigned int i;
	pthread_t t;

	for (i = 0; i < p->n; i++)
		has_thread |= p->op[i].flags & OP_THREAD;
	signal(SIGSEGV, give_up);
	signal(SIGBUS, give_up);
	backends_drain();
	if (dev_open(&dev))
		_exit(EXIT_FAILED);
	fcntl(dev.fd, F_SETFL, O_NONBLOCK);
	cover_enable();
	if (has_thread) {
		pthread_barrier_init(&barrier, NULL, 2);
		has_thread = !pthread_create(&t, NULL, run_beside, (void *)p);
		if (has_thread)
			pthread_barrier_wait(&barrier);
	}
	run_half(p, 0);
	if (has_thread)
		pthread_join(t, NULL);
	close(dev.fd);
}
