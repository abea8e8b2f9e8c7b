// SPDX-License-Identifier: GPL-2.0-only
/* The client half: ioctls, memory table, set-up of the rings. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <linux/userfaultfd.h>

#include "vhost_packed.h"

#define LOW_SIZE	65536

#ifndef MAP_32BIT
#define MAP_32BIT	0
#endif

const char *node_path(void)
{
	const char *node = getenv("VHX_NODE");

	return node && *node ? node : "/dev/vhost-net";
}

/* Which module serves the node; VHX_MODULE overrides the guess. */
const char *module_name(void)
{
	const char *name = getenv("VHX_MODULE");

	if (name && *name)
		return name;
	if (!strcmp(node_path(), "/dev/vhost-net") &&
	    !access("/sys/module/vhost_net", F_OK))
		return "vhost_net";
	return "vhx_net";
}

bool node_offers(uint64_t features)
{
	int fd = open(node_path(), O_RDWR | O_CLOEXEC);
	uint64_t offered = 0;

	if (fd < 0)
		return false;
	if (ioctl(fd, VHOST_GET_FEATURES, &offered))
		offered = 0;
	close(fd);
	return (offered & features) == features;
}

#ifdef __x86_64__
/* int 0x80 enters the compat system calls from a 64-bit program too. */
static int int80(unsigned int call, unsigned int b, unsigned int c,
		 unsigned int d)
{
	long ret;

	asm volatile("int $0x80"
		     : "=a" (ret)
		     : "a" (call), "b" (b), "c" (c), "d" (d)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

#define COMPAT_GETPID	20
#define COMPAT_IOCTL	54

static sigjmp_buf compat_env;

static void compat_fault(int sig)
{
	siglongjmp(compat_env, sig);
}

bool compat_works(void)
{
	sighandler_t old = signal(SIGSEGV, compat_fault);
	bool works = false;

	if (!sigsetjmp(compat_env, 1))
		works = int80(COMPAT_GETPID, 0, 0, 0) == getpid();
	signal(SIGSEGV, old);
	return works;
}

static int compat_ioctl(int fd, unsigned long nr, void *arg, size_t len)
{
	static void *low;
	int ret;

	if (!len)
		return int80(COMPAT_IOCTL, fd, nr, (uintptr_t)arg);
	if (!low) {
		low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			   MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		if (low == MAP_FAILED)
			return -errno;
	}
	memcpy(low, arg, len);
	ret = int80(COMPAT_IOCTL, fd, nr, (uintptr_t)low);
	memcpy(arg, low, len);
	return ret;
}
#else
bool compat_works(void)
{
	return false;
}

static int compat_ioctl(int, unsigned long, void *, size_t)
{
	return -ENOSYS;
}
#endif

/*
 * @len is what @arg points at, in bytes; 0 passes the pointer as it is, so
 * that it may be NULL or wild.
 */
int dev_ioctl(struct dev *d, unsigned long nr, void *arg, size_t len)
{
	if (d->compat)
		return compat_ioctl(d->fd, nr, arg, len);
	return ioctl(d->fd, nr, arg) < 0 ? -errno : 0;
}

int dev_u64(struct dev *d, unsigned long nr, uint64_t v)
{
	return dev_ioctl(d, nr, &v, sizeof(v));
}

int dev_get_u64(struct dev *d, unsigned long nr, uint64_t *v)
{
	return dev_ioctl(d, nr, v, sizeof(*v));
}

int dev_state(struct dev *d, unsigned long nr, unsigned int q, unsigned int v)
{
	struct vhost_vring_state s = { .index = q, .num = v };

	return dev_ioctl(d, nr, &s, sizeof(s));
}

/* For how long a ring is polled, in units of 1024 ns. */
int dev_set_window(struct dev *d, unsigned int q, uint32_t window)
{
	return dev_state(d, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, q, window);
}

int64_t dev_get_window(struct dev *d, unsigned int q)
{
	struct vhost_vring_state s = { .index = q, .num = 77 };
	int ret = dev_ioctl(d, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s, sizeof(s));

	return ret ? ret : (int64_t)s.num;
}

int dev_file(struct dev *d, unsigned long nr, unsigned int q, int fd)
{
	struct vhost_vring_file f = { .index = q, .fd = fd };

	return dev_ioctl(d, nr, &f, sizeof(f));
}

int64_t dev_get_base(struct dev *d, unsigned int q)
{
	struct vhost_vring_state s = { .index = q, .num = ~0u };
	int ret = dev_ioctl(d, VHOST_GET_VRING_BASE, &s, sizeof(s));

	return ret ? ret : (int64_t)s.num;
}

/* Return: a counter of fdinfo, or -ENOENT: in-tree has none. */
int64_t dev_counter(const struct dev *d, const char *name)
{
	char path[64], line[128];
	int64_t value = -ENOENT;
	long long n;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d->fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) &&
		    sscanf(line + strlen(name), ":%lld", &n) == 1)
			value = n;
	if (file)
		fclose(file);
	return value;
}

/* A tap's headers are as this machine is, until the client says otherwise. */
int dev_backend(struct dev *d, unsigned int q, int fd)
{
	int is_le = has(d, F_V1 | F_PACKED);

	if (HOST_IS_BE)
		ioctl(fd, TUNSETVNETLE, &is_le);
	return dev_file(d, VHOST_NET_SET_BACKEND, q, fd);
}

int dev_open(struct dev *d)
{
	bool compat = d->compat;

	memset(d, 0, sizeof(*d));
	d->compat = compat;
	d->fd = open(node_path(), O_RDWR | O_CLOEXEC);
	for (int q = 0; q < 2; q++) {
		d->vq[q].kick = -1;
		d->vq[q].call = -1;
		d->vq[q].err = -1;
	}
	return d->fd < 0 ? -errno : 0;
}

int dev_own(struct dev *d)
{
	return dev_ioctl(d, VHOST_SET_OWNER, NULL, 0);
}

/* Guest memory, whose first part holds the rings of both virtqueues. */
int dev_mem(struct dev *d)
{
	d->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		      MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	d->brk = 2 * RING_AREA;
	if (d->mem == MAP_FAILED)
		return -errno;
	/* little of it is touched: no 2 MiB to be cleared for a frame */
	madvise(d->mem, MEM_SIZE, MADV_NOHUGEPAGE);
	return 0;
}

int dev_mem_regions(struct dev *d, struct vhost_memory_region *r, uint32_t n)
{
	size_t size = sizeof(struct vhost_memory) + n * sizeof(*r);
	struct vhost_memory *m = calloc(1, size);
	int ret;

	if (!m)
		return -ENOMEM;
	m->nregions = n;
	if (n)
		memcpy(m->regions, r, n * sizeof(*r));
	ret = dev_ioctl(d, VHOST_SET_MEM_TABLE, m, size);
	free(m);
	return ret;
}

int dev_mem_table(struct dev *d)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = GPA_BASE,
		.memory_size = MEM_SIZE,
		.userspace_addr = (uintptr_t)d->mem,
	};

	if (d->n_regions)
		return dev_mem_regions(d, d->region, d->n_regions);
	return dev_mem_regions(d, &r, 1);
}

int dev_features(struct dev *d, uint64_t features)
{
	d->features = features;
	d->hdr_len = features & (F_MRG | F_V1) ? 12 : 10;
	return dev_u64(d, VHOST_SET_FEATURES, features);
}

/* All that comes before the rings. */
int dev_setup(struct dev *d, uint64_t features)
{
	int ret = dev_open(d);

	if (!ret)
		ret = dev_own(d);
	if (!ret)
		ret = dev_features(d, features);
	if (!ret)
		ret = dev_mem(d);
	if (!ret)
		ret = dev_mem_table(d);
	return ret;
}

void dev_close(struct dev *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	for (int q = 0; q < 2; q++) {
		struct vq *vq = &d->vq[q];
		int *fds[] = { &vq->kick, &vq->call, &vq->err };

		for (int i = 0; i < 3; i++) {
			if (*fds[i] >= 0)
				close(*fds[i]);
			*fds[i] = -1;
		}
		free(vq->next);
		vq->next = NULL;
	}
	if (d->mem && d->mem != MAP_FAILED)
		munmap(d->mem, MEM_SIZE);
	d->mem = NULL;
}

/* Lay the ring out in guest memory; may be repeated with another @num. */
int vq_layout(struct dev *d, unsigned int q, unsigned int num)
{
	struct vq *vq = &d->vq[q];
	uint8_t *p = d->mem + q * RING_AREA;

	vq->dev = d;
	vq->index = q;
	vq->num = num;
	vq->desc = (void *)p;
	vq->avail = (void *)(p + 16UL * num);
	vq->used = (void *)(p + ((16UL * num + 6 + 2UL * num + 4095) & ~4095UL));
	vq->packed = (void *)vq->desc;
	vq->driver_event = (void *)vq->avail;
	vq->device_event = (void *)vq->used;
	memset(p, 0, (uint8_t *)&vq->used->ring[num] + 2 - p);
	if (has(d, F_INDIRECT))
		vq->tables = guest_alloc(d, 16UL * TABLE_LEN * num, 16);
	free(vq->next);
	vq->next = calloc(num, sizeof(*vq->next));
	if (!vq->next)
		return -ENOMEM;
	vq_rewind(vq, vq_base_after(vq, 0));
	return 0;
}

/*
 * The base of a ring that began at its first and has used @n buffers of a slot
 * each. Of a packed one QEMU says both halves.
 */
uint32_t vq_base_after(const struct vq *vq, unsigned int n)
{
	uint32_t pos = n % vq->num | (n / vq->num % 2 ? 0 : 0x8000);

	return is_packed(vq) ? pos | pos << 16 : (uint16_t)n;
}

/* Forget what is in the ring; both indexes, or positions, start at @idx. */
void vq_rewind(struct vq *vq, uint16_t idx)
{
	if (is_packed(vq)) {
		packed_rewind(vq, idx);
		return;
	}
	vq->avail_idx = idx;
	vq->used_idx = idx;
	vq->kicked_idx = idx;
	vq->avail->idx = g16(vq->dev, idx);
	vq->used->idx = g16(vq->dev, idx);
	vq->avail->flags = 0;
	*vq_used_event(vq) = g16(vq->dev, idx);
	*vq_avail_event(vq) = g16(vq->dev, idx);
	vq->free_head = 0;
	vq->free_tail = vq->num - 1;
	vq->n_free = vq->num;
	for (unsigned int i = 0; i < vq->num; i++)
		vq->next[i] = i + 1;
}

/* Behind an IOTLB a ring lies where the guest says, else where we have it. */
static uint64_t ring_addr(struct vq *vq, const void *p)
{
	return has(vq->dev, F_PLATFORM) ? gpa(vq->dev, p) : (uintptr_t)p;
}

void vq_addr(struct vq *vq, struct vhost_vring_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->index = vq->index;
	a->desc_user_addr = ring_addr(vq, vq->desc);
	a->avail_user_addr = ring_addr(vq, vq->avail);
	a->used_user_addr = ring_addr(vq, vq->used);
	a->log_guest_addr = vq->log_gpa;
	a->flags = vq->log_gpa ? 1 << VHOST_VRING_F_LOG : 0;
}

int vq_set_addr(struct vq *vq)
{
	struct vhost_vring_addr a;

	vq_addr(vq, &a);
	return dev_ioctl(vq->dev, VHOST_SET_VRING_ADDR, &a, sizeof(a));
}

static int vq_set_files(struct vq *vq)
{
	int ret;

	if (vq->kick < 0)
		vq->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (vq->call < 0)
		vq->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (vq->err < 0)
		vq->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ret = dev_file(vq->dev, VHOST_SET_VRING_KICK, vq->index, vq->kick);
	if (!ret)
		ret = dev_file(vq->dev, VHOST_SET_VRING_CALL, vq->index,
			       vq->call);
	if (!ret)
		ret = dev_file(vq->dev, VHOST_SET_VRING_ERR, vq->index,
			       vq->err);
	return ret;
}

/* Everything of one virtqueue but its backend. */
int vq_setup(struct dev *d, unsigned int q, unsigned int num)
{
	struct vq *vq = &d->vq[q];
	int ret = vq_layout(d, q, num);

	if (!ret)
		ret = dev_state(d, VHOST_SET_VRING_NUM, q, num);
	if (!ret)
		ret = dev_state(d, VHOST_SET_VRING_BASE, q,
				vq_base_after(vq, 0));
	if (!ret)
		ret = vq_set_addr(vq);
	if (!ret)
		ret = vq_set_files(vq);
	return ret;
}

int page_take(struct held *held, void *page)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, sizeof(held->saved) },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };

	held->page = page;
	memcpy(held->saved, page, sizeof(held->saved));
	held->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (held->fd < 0 || ioctl(held->fd, UFFDIO_API, &api) ||
	    madvise(page, sizeof(held->saved), MADV_DONTNEED) ||
	    ioctl(held->fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

int page_give(struct held *held)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)held->page, .src = (uintptr_t)held->saved,
		.len = sizeof(held->saved),
	};
	int ret = ioctl(held->fd, UFFDIO_COPY, &copy) ? -errno : 0;

	close(held->fd);
	return ret;
}
