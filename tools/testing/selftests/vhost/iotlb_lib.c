// SPDX-License-Identifier: GPL-2.0-only
/* A client of the device IOTLB. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iotlb_lib.h"

#define PAGE	4096

/* Guest memory that can be seen twice. */
static int share_memory(struct iotlb *t)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, MEM_SIZE) ||
	    mmap(t->d->mem, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED |
		 MAP_FIXED, fd, 0) == MAP_FAILED)
		ret = -errno;
	t->view = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);
	if (t->view == MAP_FAILED)
		ret = -errno;
	close(fd);
	return ret;
}

/* As dev_setup(), with an IOTLB and a memory table that knows no IOVA. */
int iotlb_open(struct iotlb *t, struct dev *d, uint64_t features, bool v2)
{
	struct vhost_memory_region r = {
		.guest_phys_addr = TABLE_GPA, .memory_size = MEM_SIZE,
	};
	int ret = dev_open(d);

	t->d = d;
	t->v2 = v2;
	if (!ret)
		ret = dev_own(d);
	if (!ret)
		ret = dev_features(d, features | F_PLATFORM);
	if (!ret)
		ret = dev_u64(d, VHOST_SET_BACKEND_FEATURES, v2 ?
			      BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2) : 0);
	if (!ret)
		ret = dev_mem(d);
	if (!ret)
		ret = share_memory(t);
	r.userspace_addr = (uintptr_t)d->mem;
	if (!ret)
		ret = dev_mem_regions(d, &r, 1);
	if (!ret && fcntl(d->fd, F_SETFL, O_RDWR | O_NONBLOCK))
		ret = -errno;
	return ret;
}

void iotlb_close(struct iotlb *t)
{
	dev_close(t->d);
	if (t->view && t->view != MAP_FAILED)
		munmap(t->view, MEM_SIZE);
	t->view = NULL;
}

/* Return: bytes that the device took, or -errno. */
ssize_t iotlb_send(struct iotlb *t, const struct vhost_iotlb_msg *m)
{
	struct vhost_msg v1 = { .type = VHOST_IOTLB_MSG, .iotlb = *m };
	struct vhost_msg_v2 v2 = { .type = VHOST_IOTLB_MSG_V2, .iotlb = *m };
	ssize_t n = t->v2 ? write(t->d->fd, &v2, sizeof(v2)) :
			    write(t->d->fd, &v1, sizeof(v1));

	return n < 0 ? -errno : n;
}

static int send_whole(struct iotlb *t, const struct vhost_iotlb_msg *m)
{
	ssize_t n = iotlb_send(t, m);

	if (n < 0)
		return n;
	return n == (ssize_t)MSG_SIZE ? 0 : -EMSGSIZE;
}

int iotlb_update(struct iotlb *t, uint64_t iova, uint64_t size, const void *p,
		 uint8_t perm)
{
	struct vhost_iotlb_msg m = {
		.type = VHOST_IOTLB_UPDATE, .iova = iova, .size = size,
		.uaddr = (uintptr_t)p, .perm = perm,
	};

	return send_whole(t, &m);
}

int iotlb_drop(struct iotlb *t, uint64_t iova, uint64_t size)
{
	struct vhost_iotlb_msg m = {
		.type = VHOST_IOTLB_INVALIDATE, .iova = iova, .size = size,
	};

	return send_whole(t, &m);
}

/* Map what the guest has at @p. */
int iotlb_map(struct iotlb *t, const void *p, uint64_t size, uint8_t perm)
{
	return iotlb_update(t, gpa(t->d, p), size, p, perm);
}

/* Map the page that @iova is in, by one of the views. */
int iotlb_map_page(struct iotlb *t, uint64_t iova)
{
	uint64_t at = (iova - GPA_BASE) & ~(PAGE - 1ULL);

	if (at >= MEM_SIZE)
		return -ERANGE;
	return iotlb_update(t, GPA_BASE + at, PAGE,
			    (at & PAGE ? t->view : t->d->mem) + at,
			    VHOST_ACCESS_RW);
}

/* Return: 0, or -errno: -EPROTO if it is no message of the chosen form. */
int iotlb_read(struct iotlb *t, struct vhost_iotlb_msg *m)
{
	union {
		struct vhost_msg v1;
		struct vhost_msg_v2 v2;
	} u;
	ssize_t n = read(t->d->fd, &u, sizeof(u));

	if (n < 0)
		return -errno;
	if (n != sizeof(u))
		return -EMSGSIZE;
	if (u.v1.type != (t->v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG))
		return -EPROTO;
	*m = t->v2 ? u.v2.iotlb : u.v1.iotlb;
	return m->type == VHOST_IOTLB_MISS ? 0 : -EPROTO;
}

/* Wait for a miss. */
int iotlb_miss(struct iotlb *t, struct vhost_iotlb_msg *m, int ms)
{
	int ret = event_wait(t->d->fd, ms);

	return ret ? ret : iotlb_read(t, m);
}

static void *respond(void *arg)
{
	struct responder *r = arg;
	struct pollfd p[2] = {
		{ .fd = r->t->d->fd, .events = POLLIN },
		{ .fd = r->stop, .events = POLLIN },
	};
	struct vhost_iotlb_msg m;
	int ret;

	while (poll(p, 2, -1) > 0 && !p[1].revents) {
		ret = iotlb_read(r->t, &m);
		/* what was to be read may be dropped in the meantime */
		if (ret == -EAGAIN)
			continue;
		if (!ret)
			ret = iotlb_map_page(r->t, m.iova);
		if (ret && !r->err)
			r->err = ret;
		r->misses++;
	}
	return NULL;
}

int responder_start(struct responder *r, struct iotlb *t)
{
	*r = (struct responder){ .t = t, .stop = eventfd(0, EFD_CLOEXEC) };
	return -pthread_create(&r->thread, NULL, respond, r);
}

/* Return: 0, or what went wrong in the thread. */
int responder_stop(struct responder *r)
{
	uint64_t one = 1;

	if (write(r->stop, &one, sizeof(one)) != sizeof(one))
		return -errno;
	pthread_join(r->thread, NULL);
	close(r->stop);
	return r->err;
}
