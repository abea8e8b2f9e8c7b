// SPDX-License-Identifier: GPL-2.0-only
/*
 * The devices of net_scale and their workers. All that a client needs for them,
 * memory, eventfds and taps, is there, and has been written to, before the first is
 * opened: so what the kernel has less afterwards is what the devices take.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net_scale.h"

#define SPAN		(8UL << 20)	/* bytes of a guest; touched on demand */
#define RING_BYTES	16384		/* that vq_layout() may write */
#define HEAP		4096		/* bytes; what dev and vq allocate is less */
#define FDS		(PORTS_MAX * 8 + 1024)

static int port_prepare(struct port *p, unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "vb%u", i);
	p->tap = tap_open(name, 0, HDR);
	if (p->tap < 0)
		return p->tap;
	for (int q = 0; q < 2; q++) {
		memset(p->mem + q * RING_AREA, 1, RING_BYTES);
		for (int e = 0; e < 3; e++) {
			p->events[q][e] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
			if (p->events[q][e] < 0)
				return -errno;
		}
	}
	return link_up(name, 1500);
}

/* The heap as large as it will get, and for good. */
static int heap_prepare(size_t size)
{
	void *p;

	mallopt(M_TRIM_THRESHOLD, INT32_MAX);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	p = malloc(size);
	if (!p)
		return -ENOMEM;
	explicit_bzero(p, size);
	free(p);
	return 0;
}

/* The table of files as large as it will get. */
static int files_prepare(void)
{
	struct rlimit r = { FDS, FDS };

	if (setrlimit(RLIMIT_NOFILE, &r) || dup2(0, FDS - 1) < 0)
		return -errno;
	return close(FDS - 1);
}

int ports_prepare(struct port *p, unsigned int nr)
{
	uint8_t *mem = mmap(NULL, nr * SPAN, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int ret;

	if (mem == MAP_FAILED)
		return -errno;
	madvise(mem, nr * SPAN, MADV_NOHUGEPAGE);
	ret = heap_prepare(nr * HEAP);
	if (!ret)
		ret = files_prepare();
	for (unsigned int i = 0; i < nr && !ret; i++) {
		memset(&p[i], 0, sizeof(p[i]));
		p[i].mem = mem + i * SPAN;
		ret = port_prepare(&p[i], i);
	}
	return ret;
}

/* The device has an owner, and its worker runs. */
int port_own(struct port *p)
{
	int ret = dev_open(&p->d);

	return ret ? ret : dev_own(&p->d);
}

/* Memory, both rings and their backend. */
int port_start(struct port *p, uint64_t features)
{
	struct dev *d = &p->d;
	int ret = dev_features(d, features);

	d->mem = p->mem;
	d->brk = 2 * RING_AREA;
	d->region[0] = (struct vhost_memory_region){
		.guest_phys_addr = GPA_BASE,
		.memory_size = SPAN,
		.userspace_addr = (uintptr_t)d->mem,
	};
	d->n_regions = 1;
	if (!ret)
		ret = dev_mem_table(d);
	for (int q = 0; q < 2 && !ret; q++) {
		d->vq[q].kick = p->events[q][0];
		d->vq[q].call = p->events[q][1];
		d->vq[q].err = p->events[q][2];
		ret = vq_setup(d, q, RING);
		if (!ret)
			ret = dev_backend(d, q, p->tap);
	}
	return ret;
}

/* Nothing is left of the device; what the client had for it is. */
void port_leave(struct port *p)
{
	if (p->d.fd >= 0)
		close(p->d.fd);
	p->d.fd = -1;
	for (int q = 0; q < 2; q++) {
		free(p->d.vq[q].next);
		p->d.vq[q].next = NULL;
	}
}

/* Is @tid, of a folder of threads, one of our workers? */
static bool is_worker(const char *folder, const char *tid)
{
	char path[320], name[32] = "", comm[32];
	bool is_ours;
	FILE *f;

	snprintf(comm, sizeof(comm), "vhost-%d", getpid());
	snprintf(path, sizeof(path), "%s/%s/comm", folder, tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	is_ours = fgets(name, sizeof(name), f) &&
		  !strncmp(name, comm, strlen(comm)) &&
		  !isdigit((unsigned char)name[strlen(comm)]);
	fclose(f);
	return is_ours;
}

/*
 * Finds the workers of our devices, which are threads of ours or of the kernel's.
 * Return: how many, of which up to @max are in @tid
 */
int workers(int *tid, unsigned int max)
{
	static const char *const folders[] = { "/proc/self/task", "/proc" };
	unsigned int nr = 0;

	for (int i = 0; i < 2; i++) {
		DIR *dir = opendir(folders[i]);
		struct dirent *e;

		while (dir && (e = readdir(dir))) {
			if (!isdigit((unsigned char)e->d_name[0]) ||
			    !is_worker(folders[i], e->d_name))
				continue;
			if (nr < max)
				tid[nr] = atoi(e->d_name);
			nr++;
		}
		if (dir)
			closedir(dir);
	}
	return nr;
}

/* Waits until all have left. */
int workers_leave(void)
{
	int64_t end = now_ms() + WAIT_MS;

	while (workers(NULL, 0)) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		poll(NULL, 0, 10);
	}
	return 0;
}
