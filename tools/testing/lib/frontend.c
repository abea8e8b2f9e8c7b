// SPDX-License-Identifier: GPL-2.0-only
/* A front-end of vhost-user, for tests. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frontend.h"

/* @iov, with descriptors. Return: 0, or -errno. */
int front_send_iov(int sock, struct iovec *iov, unsigned int nr_iov,
		   const int *fds, unsigned int nr_fds, int flags)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] = "";
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr_iov };
	struct cmsghdr *cmsg = (void *)control;

	if (nr_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nr_fds);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

int front_send(struct front *f, uint32_t request, uint32_t flags,
	       const void *payload, uint32_t size, const int *fds, int nr_fds)
{
	struct header header = { request, 1 | flags, size };
	struct iovec iov[2] = {
		{ &header, sizeof(header) }, { (void *)payload, size },
	};

	return front_send_iov(f->d.fd, iov, 2, fds, (unsigned int)nr_fds, 0);
}

/* A file, with a message of which 8 bytes are still to come. */
int front_send_half(struct front *f, int fd)
{
	struct header header = { GET_FEATURES, 1, 8 };
	struct iovec iov = { &header, sizeof(header) };

	return front_send_iov(f->d.fd, &iov, 1, &fd, 1, 0);
}

static int read_all(int fd, void *to, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t n;

	for (; len; len -= n, to = (char *)to + n) {
		if (poll(&pfd, 1, WAIT_MS) != 1)
			return -ETIMEDOUT;
		n = read(fd, to, len);
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
	}
	return 0;
}

/* The answer to a request, of @size bytes. */
int front_recv(struct front *f, uint32_t request, void *payload, uint32_t size)
{
	struct header header;
	int ret = read_all(f->d.fd, &header, sizeof(header));

	if (ret)
		return ret;
	if (header.request != request || header.size != size ||
	    !(header.flags & REPLY))
		return -EPROTO;
	return read_all(f->d.fd, payload, size);
}

/* Asks and has it acknowledged. Return: 0, -EINVAL: it failed, or an errno. */
int front_ack(struct front *f, uint32_t request, const void *payload,
	      uint32_t size, const int *fds, int nr_fds)
{
	uint64_t failed = 0;
	int ret = front_send(f, request, NEED_REPLY, payload, size, fds,
			     nr_fds);

	if (!ret)
		ret = front_recv(f, request, &failed, sizeof(failed));
	return ret ? ret : failed ? -EINVAL : 0;
}

int front_u64(struct front *f, uint32_t request, uint64_t val)
{
	return front_ack(f, request, &val, sizeof(val), NULL, 0);
}

int front_get_u64(struct front *f, uint32_t request, uint64_t *val)
{
	int ret = front_send(f, request, 0, NULL, 0, NULL, 0);

	return ret ? ret : front_recv(f, request, val, sizeof(*val));
}

int front_state(struct front *f, uint32_t request, unsigned int index,
		unsigned int num)
{
	struct vhost_vring_state state = { .index = index, .num = num };

	return front_ack(f, request, &state, sizeof(state), NULL, 0);
}

int front_fd(struct front *f, uint32_t request, unsigned int index, int fd)
{
	uint64_t val = index | (fd < 0 ? 0x100 : 0);

	return front_ack(f, request, &val, sizeof(val), &fd, fd >= 0);
}

/* Nothing that front_close() would close. */
void front_init(struct front *f)
{
	memset(f, 0, sizeof(*f));
	f->d.fd = -1;
	f->memfd = -1;
	f->request_fd = -1;
	for (int q = 0; q < 2; q++) {
		f->d.vq[q].kick = -1;
		f->d.vq[q].call = -1;
		f->d.vq[q].err = -1;
	}
}

int front_connect(struct front *f, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	front_init(f);
	strcpy(address.sun_path, path);
	f->d.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(f->d.fd, (struct sockaddr *)&address,
		       sizeof(address)) ? -errno : 0;
}

/* What is understood here; a device may wait for what others bring along. */
#define PROTOCOL_FEATURES	0x1a07f

/* As QEMU does, in its order; the answers make it wait for each. */
int front_negotiate(struct front *f, uint64_t features)
{
	uint64_t offered;
	int ret = front_get_u64(f, GET_FEATURES, &offered);

	if (!ret && (features & ~offered))
		ret = -EOPNOTSUPP;
	if (!ret)
		ret = front_get_u64(f, GET_PROTOCOL_FEATURES, &f->protocol);
	f->protocol &= PROTOCOL_FEATURES;
	if (!ret)
		ret = front_send(f, SET_PROTOCOL_FEATURES, 0, &f->protocol,
				 sizeof(f->protocol), NULL, 0);
	if (!ret)
		ret = front_ack(f, SET_OWNER, NULL, 0, NULL, 0);
	f->d.features = features;
	f->d.hdr_len = features & (F_MRG | F_V1) ? 12 : 10;
	return ret ? ret : front_u64(f, SET_FEATURES, features | F_PROTOCOL);
}

/* Three regions of one file, in another order than there, with a hole. */
int front_map(struct front *f)
{
	const uint64_t mid = 2 * RING_AREA + (1 << 20);
	const struct region regions[] = {
		{ 0x140000000, 2 * RING_AREA, 0, 0 },
		{ 0x100000000, mid - 2 * RING_AREA, 0, 2 * RING_AREA },
		{ 0x120000000, MEM_SIZE - mid, 0, mid },
	};
	struct dev *d = &f->d;

	f->memfd = memfd_create("guest", MFD_CLOEXEC);
	if (f->memfd < 0 || ftruncate(f->memfd, MEM_SIZE))
		return -errno;
	d->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      f->memfd, 0);
	if (d->mem == MAP_FAILED)
		return -errno;
	d->brk = 2 * RING_AREA;
	for (d->n_regions = 0; d->n_regions < 3; d->n_regions++)
		d->region[d->n_regions] = (struct vhost_memory_region){
			.guest_phys_addr = regions[d->n_regions].gpa,
			.memory_size = regions[d->n_regions].size,
			.userspace_addr = (uintptr_t)d->mem +
				regions[d->n_regions].offset,
		};
	return 0;
}

/* Tells of the memory that front_map() made. */
int front_table(struct front *f)
{
	struct {
		uint32_t nr, padding;
		struct region region[3];
	} table = { .nr = 3 };
	int fds[3];

	for (int i = 0; i < 3; i++) {
		const struct vhost_memory_region *r = &f->d.region[i];

		table.region[i] = (struct region){
			r->guest_phys_addr, r->memory_size, r->userspace_addr,
			r->userspace_addr - (uintptr_t)f->d.mem,
		};
		fds[i] = f->memfd;
	}
	return front_ack(f, SET_MEM_TABLE, &table, sizeof(table), fds, 3);
}

int front_memory(struct front *f)
{
	int ret = front_map(f);

	return ret ? ret : front_table(f);
}

int front_add_region(struct front *f, const struct region *region, int fd)
{
	struct {
		uint64_t padding;
		struct region region;
	} one = { .region = *region };

	return front_ack(f, ADD_MEM_REG, &one, sizeof(one), &fd, 1);
}

int front_remove_region(struct front *f, const struct region *region)
{
	struct {
		uint64_t padding;
		struct region region;
	} one = { .region = *region };

	return front_ack(f, REM_MEM_REG, &one, sizeof(one), NULL, 0);
}

/* What front_ring() tells of, without telling it. */
int front_layout(struct front *f, unsigned int q, unsigned int num)
{
	struct vq *vq = &f->d.vq[q];

	for (int *fd = &vq->kick; fd <= &vq->err; fd++)
		if (*fd < 0)
			*fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return vq_layout(&f->d, q, num);
}

int front_addr(struct front *f, unsigned int q)
{
	struct vhost_vring_addr addr;

	vq_addr(&f->d.vq[q], &addr);
	return front_ack(f, SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
}

/* All of a ring as queue @index but the first kick; it is enabled. */
int front_queue(struct front *f, struct vq *vq, unsigned int index)
{
	struct vhost_vring_addr addr;
	int ret = front_state(f, SET_VRING_NUM, index, vq->num);

	vq_addr(vq, &addr);
	addr.index = index;
	if (!ret)
		ret = front_state(f, SET_VRING_BASE, index, vq_base_after(vq, 0));
	if (!ret)
		ret = front_ack(f, SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	if (!ret)
		ret = front_fd(f, SET_VRING_CALL, index, vq->call);
	if (!ret)
		ret = front_fd(f, SET_VRING_ERR, index, vq->err);
	if (!ret)
		ret = front_fd(f, SET_VRING_KICK, index, vq->kick);
	return ret ? ret : front_state(f, SET_VRING_ENABLE, index, 1);
}

int front_ring(struct front *f, unsigned int q, unsigned int num)
{
	int ret = front_layout(f, q, num);

	return ret ? ret : front_queue(f, &f->d.vq[q], q);
}

/* Return: the base */
int64_t front_stop(struct front *f, unsigned int q)
{
	struct vhost_vring_state state = { .index = q };
	int ret = front_send(f, GET_VRING_BASE, 0, &state, sizeof(state), NULL,
			     0);

	if (!ret)
		ret = front_recv(f, GET_VRING_BASE, &state, sizeof(state));
	return ret ? ret : (int64_t)state.num;
}

/* All but rings. */
int front_begin(struct front *f, const char *path, uint64_t features)
{
	int ret = front_connect(f, path);

	if (!ret)
		ret = front_negotiate(f, features);
	return ret ? ret : front_memory(f);
}

/* All of it, both rings kicked. */
int front_open(struct front *f, const char *path, uint64_t features,
	       unsigned int num)
{
	int ret = front_begin(f, path, features);

	for (unsigned int q = RX; q <= TX && !ret; q++)
		ret = front_ring(f, q, num);
	for (unsigned int q = RX; q <= TX && !ret; q++)
		vq_kick(&f->d.vq[q]);
	return ret;
}

void front_close(struct front *f)
{
	dev_close(&f->d);
	if (f->memfd >= 0)
		close(f->memfd);
	if (f->request_fd >= 0)
		close(f->request_fd);
	f->memfd = -1;
	f->request_fd = -1;
}

/* A receiveq full of chains of 1023 empty entries and one of a byte. */
void front_give_costly(struct front *f, unsigned int num)
{
	const unsigned int len = 1024;
	struct dev *d = &f->d;
	struct vring_desc *table = guest_alloc(d, len * sizeof(*table), 4096);
	struct vq *vq = &d->vq[RX];

	for (unsigned int i = 0; i < len; i++)
		table[i] = (struct vring_desc){
			gpa(d, table), i == len - 1, VRING_DESC_F_WRITE |
			(i < len - 1 ? VRING_DESC_F_NEXT : 0),
			(uint16_t)(i + 1),
		};
	for (uint16_t i = 0; i < num; i++) {
		vq->desc[i] = (struct vring_desc){
			gpa(d, table), len * sizeof(*table),
			VRING_DESC_F_INDIRECT, 0,
		};
		vq_push(vq, i);
	}
	vq_publish(vq);
}

/* A new peer is served: whatever others did. Return: 0 or -errno. */
int front_is_served(const char *path)
{
	struct front f;
	uint64_t features = 0;
	int ret = front_connect(&f, path);

	if (!ret)
		ret = front_get_u64(&f, GET_FEATURES, &features);
	front_close(&f);
	return ret ? ret : features & F_V1 ? 0 : -EPROTO;
}

/* The other side hangs up on us. */
int front_hangs_up(struct front *f)
{
	struct pollfd pfd = { .fd = f->d.fd, .events = POLLIN };
	char c;

	while (poll(&pfd, 1, WAIT_MS) == 1)
		if (read(f->d.fd, &c, 1) <= 0)
			return 0;
	return -ETIMEDOUT;
}

/* Descriptors of this process. */
int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
