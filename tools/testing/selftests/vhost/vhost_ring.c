// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest half: a split virtqueue driver, and what tests look at. Tests that
 * look into the ring themselves do so by g16() and its like.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vhost_packed.h"

#define load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define full_barrier()		__atomic_thread_fence(__ATOMIC_SEQ_CST)

void *guest_alloc(struct dev *d, size_t size, size_t align)
{
	size_t at = (d->brk + align - 1) & ~(align - 1);

	if (at + size > MEM_SIZE)
		abort();
	d->brk = at + size;
	return d->mem + at;
}

uint64_t gpa(struct dev *d, const void *p)
{
	for (unsigned int i = 0; i < d->n_regions; i++) {
		struct vhost_memory_region *r = &d->region[i];
		uint64_t at = (uintptr_t)p - r->userspace_addr;

		if (at < r->memory_size)
			return r->guest_phys_addr + at;
	}
	return GPA_BASE + ((const uint8_t *)p - d->mem);
}

bool has(const struct dev *d, uint64_t feature)
{
	return d->features & feature;
}

bool is_packed(const struct vq *vq)
{
	return has(vq->dev, F_PACKED);
}

uint16_t *vq_used_event(struct vq *vq)
{
	return &vq->avail->ring[vq->num];
}

uint16_t *vq_avail_event(struct vq *vq)
{
	return (uint16_t *)&vq->used->ring[vq->num];
}

/* Virtio 1 is little-endian; a legacy guest is as we are, unless it says so. */
static bool swaps(const struct dev *d)
{
	return has(d, F_V1 | F_PACKED) ? HOST_IS_BE : d->is_other;
}

/* To and from the guest's byte order. */
uint16_t g16(const struct dev *d, uint16_t v)
{
	return swaps(d) ? __builtin_bswap16(v) : v;
}

uint32_t g32(const struct dev *d, uint32_t v)
{
	return swaps(d) ? __builtin_bswap32(v) : v;
}

uint64_t g64(const struct dev *d, uint64_t v)
{
	return swaps(d) ? __builtin_bswap64(v) : v;
}

void desc_put(const struct dev *d, struct vring_desc *desc, uint64_t addr,
	      uint32_t len, uint16_t flags, uint16_t next)
{
	desc->addr = g64(d, addr);
	desc->len = g32(d, len);
	desc->flags = g16(d, flags);
	desc->next = g16(d, next);
}

static void fill_table(struct vq *vq, uint16_t head, const struct seg *s,
		       int n_out, int n)
{
	struct vring_desc *t = vq->tables + (size_t)head * TABLE_LEN;

	for (int i = 0; i < n; i++)
		desc_put(vq->dev, &t[i], gpa(vq->dev, s[i].p), s[i].len,
			 (i < n - 1 ? VRING_DESC_F_NEXT : 0) |
			 (i >= n_out ? VRING_DESC_F_WRITE : 0), i + 1);
	desc_put(vq->dev, &vq->desc[head], gpa(vq->dev, t), n * sizeof(*t),
		 VRING_DESC_F_INDIRECT, 0);
}

static void fill_slots(struct vq *vq, uint16_t head, const struct seg *s,
		       int n_out, int n)
{
	uint16_t slot = head;

	for (int i = 0; i < n; i++, slot = vq->next[slot])
		desc_put(vq->dev, &vq->desc[slot], gpa(vq->dev, s[i].p),
			 s[i].len, (i < n - 1 ? VRING_DESC_F_NEXT : 0) |
			 (i >= n_out ? VRING_DESC_F_WRITE : 0),
			 vq->next[slot]);
}

/* What vq_add() will return if there is room. */
uint16_t vq_next_head(const struct vq *vq)
{
	return is_packed(vq) ? vq->packed_avail & 0x7fff : vq->free_head;
}

/*
 * Put one chain into the ring, unpublished: @n_out readable then @n_in
 * writable pieces; an indirect table if that was negotiated and it fits.
 * Return: head slot, or -ENOSPC.
 */
int vq_add(struct vq *vq, const struct seg *s, int n_out, int n_in)
{
	int n = n_out + n_in;
	bool table = has(vq->dev, F_INDIRECT) && n > 1 && n <= TABLE_LEN;
	unsigned int slots = table ? 1 : n;
	uint16_t head = vq->free_head;
	uint16_t last = head;

	if (is_packed(vq))
		return packed_add(vq, s, n_out, n_in);
	if (vq->n_free < slots)
		return -ENOSPC;
	if (table)
		fill_table(vq, head, s, n_out, n);
	else
		fill_slots(vq, head, s, n_out, n);
	for (unsigned int i = 1; i < slots; i++)
		last = vq->next[last];
	vq->free_head = vq->next[last];
	vq->n_free -= slots;
	vq_push(vq, head);
	return head;
}

/* Make @head the next entry of the avail ring, valid or not. */
void vq_push(struct vq *vq, uint16_t head)
{
	vq->avail->ring[vq->avail_idx++ & (vq->num - 1)] = g16(vq->dev, head);
}

/* Take back the last @n entries, which the device has not consumed. */
void vq_unpush(struct vq *vq, uint16_t n)
{
	vq->avail_idx -= n;
	vq->kicked_idx = vq->avail_idx;
	vq_publish(vq);
}

void vq_publish(struct vq *vq)
{
	if (is_packed(vq))
		packed_publish(vq);
	else
		store_release(&vq->avail->idx, g16(vq->dev, vq->avail_idx));
}

void vq_kick(struct vq *vq)
{
	uint64_t one = 1;

	vq->kicked_idx = vq->avail_idx;
	vq->packed_added = 0;
	while (write(vq->kick, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Does the device ask for a kick about what was published since the last? */
bool vq_kick_wanted(struct vq *vq)
{
	uint16_t old = vq->kicked_idx;

	full_barrier();
	if (is_packed(vq))
		return packed_kick_wanted(vq);
	vq->kicked_idx = vq->avail_idx;
	if (has(vq->dev, F_EVENT))
		return vring_need_event(g16(vq->dev,
					    load_acquire(vq_avail_event(vq))),
					vq->avail_idx, old);
	return !(g16(vq->dev, load_acquire(&vq->used->flags)) &
		 VRING_USED_F_NO_NOTIFY);
}

void vq_publish_kick(struct vq *vq)
{
	vq_publish(vq);
	if (vq_kick_wanted(vq))
		vq_kick(vq);
}

/* Return: used elements that wait for vq_pop(). */
unsigned int vq_used(struct vq *vq)
{
	if (is_packed(vq))
		return packed_used(vq);
	return (uint16_t)(g16(vq->dev, load_acquire(&vq->used->idx)) -
			  vq->used_idx);
}

/*
 * Give the slots of a chain back to the free list. In order they go to its
 * end, since then they are used in the order of the table (virtio 1.3 2.7).
 */
void vq_free(struct vq *vq, uint16_t head)
{
	unsigned int slots = 1;
	uint16_t last;

	for (last = head;
	     g16(vq->dev, vq->desc[last].flags) & VRING_DESC_F_NEXT; slots++)
		last = g16(vq->dev, vq->desc[last].next);
	if (has(vq->dev, F_IN_ORDER) && vq->n_free) {
		vq->next[vq->free_tail] = head;
	} else {
		vq->next[last] = vq->free_head;
		vq->free_head = head;
	}
	vq->free_tail = last;
	vq->n_free += slots;
}

/*
 * In order, the element of the last of several buffers, in the place of the
 * first, stands for all (virtio 1.3 2.7.9): it is kept in vq->batch until then.
 */
static struct vring_used_elem next_in_order(struct vq *vq,
					    struct vring_used_elem e)
{
	uint16_t at = (vq->used_idx - 1) & (vq->num - 1);
	uint32_t head = g16(vq->dev, vq->avail->ring[at]);

	if (!vq->is_batch)
		vq->batch = e;
	vq->is_batch = vq->batch.id < vq->num && vq->batch.id != head;
	if (!vq->is_batch)
		return vq->batch;
	return (struct vring_used_elem){ .id = head };
}

/* Return: the head slot of the next used chain, or -EAGAIN. */
int vq_pop(struct vq *vq, uint32_t *len)
{
	struct vring_used_elem e;

	if (is_packed(vq))
		return packed_pop(vq, len);
	if (!vq_used(vq))
		return -EAGAIN;
	e = vq->used->ring[vq->used_idx++ & (vq->num - 1)];
	e.id = g32(vq->dev, e.id);
	if (has(vq->dev, F_IN_ORDER))
		e = next_in_order(vq, e);
	if (len)
		*len = g32(vq->dev, e.len);
	if (e.id >= vq->num)
		return -ERANGE;
	vq_free(vq, e.id);
	return e.id;
}

/* Ask for a call for the @n-th used element from here on; any without EVENT. */
void vq_want_call(struct vq *vq, unsigned int n)
{
	if (is_packed(vq))
		packed_want_call(vq, n);
	else if (has(vq->dev, F_EVENT))
		*vq_used_event(vq) = g16(vq->dev, vq->used_idx + n - 1);
	else
		vq->avail->flags = 0;
}

/*
 * Wait for @n used elements by the call eventfd alone.
 * Return: 0, -ETIMEDOUT, or -ENOMSG: they came, but no call for them.
 */
int vq_wait(struct vq *vq, unsigned int n, int ms)
{
	int64_t end = now_ms() + ms;
	bool late = false;

	vq_want_call(vq, n);
	full_barrier();
	while (vq_used(vq) < n) {
		int64_t left = end - now_ms();

		if (late)
			return -ETIMEDOUT;
		late = event_wait(vq->call, left > 0 ? left : 0);
		if (late && vq_used(vq) >= n)
			return -ENOMSG;
		vq->calls += event_read(vq->call);
	}
	return 0;
}

/* The same with calls suppressed: looks at the ring every millisecond. */
int vq_spin(struct vq *vq, unsigned int n, int ms)
{
	int64_t end = now_ms() + ms;

	while (vq_used(vq) < n) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return 0;
}

/* No calls, whatever comes, as far as flags can say that. */
void vq_calls_off(struct vq *vq)
{
	if (is_packed(vq))
		vq->driver_event->flags =
			g16(vq->dev, VRING_PACKED_EVENT_FLAG_DISABLE);
	else
		vq->avail->flags = g16(vq->dev, VRING_AVAIL_F_NO_INTERRUPT);
}

/* Return: the counter of an eventfd, which becomes 0. */
uint64_t event_read(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

int event_wait(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 ? 0 : -ETIMEDOUT;
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* How much longer everything may take on this kernel: VHX_SLOW, else 1. */
int slowness(void)
{
	const char *s = getenv("VHX_SLOW");
	int n = s ? atoi(s) : 1;

	return n > 0 ? n : 1;
}

static int find_comm(const char *folder, const char *comm)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	int tid = -ENOENT;

	while (dir && tid < 0 && (e = readdir(dir))) {
		char path[320], name[32] = "";
		int fd;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/%s/comm", folder, e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) > 0) {
			name[strcspn(name, "\n")] = 0;
			if (!strcmp(name, comm))
				tid = atoi(e->d_name);
		}
		close(fd);
	}
	if (dir)
		closedir(dir);
	return tid;
}

/* Return: thread id of a worker that @owner made (vhost_task or kthread). */
int worker_tid_of(pid_t owner, unsigned int id)
{
	char comm[32], folder[32];
	int tid;

	snprintf(comm, sizeof(comm), id ? "vhost-%d-%x" : "vhost-%d", owner,
		 id);
	snprintf(folder, sizeof(folder), "/proc/%d/task", owner);
	tid = find_comm(folder, comm);
	return tid < 0 ? find_comm("/proc", comm) : tid;
}

int worker_tid(pid_t owner)
{
	return worker_tid_of(owner, 0);
}

/* Return: CPU time of a thread in ns, or -errno. */
int64_t worker_ns(int tid)
{
	long long ns = -ENOENT;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", tid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "%lld", &ns) != 1)
		ns = -EIO;
	fclose(f);
	return ns;
}

/* Return: a reader of kernel log lines from now on, or -errno. */
int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

/* Return: 1 and the @line if the kernel complained of itself, else 0. */
int kmsg_bad(int fd, char *line, size_t size)
{
	static const char *const bad[] = {
		"WARNING:", "BUG:", "Oops:", "KASAN:", "UBSAN:", "INFO: task",
		"possible circular locking", "possible recursive locking",
		"general protection fault", "refcount_t:", "soft lockup",
	};
	char text[1024];
	ssize_t n;

	for (;;) {
		n = read(fd, text, sizeof(text) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return 0;
		text[n] = 0;
		/* may be a race of the kernel's own: vm/debug.py reads its stacks */
		if (strstr(text, "BUG: KCSAN:"))
			continue;
		for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
			if (!strstr(text, bad[i]))
				continue;
			snprintf(line, size, "%s", text);
			return 1;
		}
	}
}
