// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fdinfo.h"
#include "procs.h"
#include "task.h"
#include "tree.h"
#include "vm.h"
#include "workers.h"

/* <linux/sched.h>. No program can give these to a thread of its own. */
#define PF_IO_WORKER		0x00000010
#define PF_USER_WORKER		0x00004000
#define PF_NO_SETAFFINITY	0x04000000

/* The owner may call threads of its own as it likes. */
static bool is_of_kernel(const struct task *task)
{
	return task->is_kthread || (task->flags & PF_USER_WORKER &&
				    !(task->flags & PF_IO_WORKER));
}

/* A thread of an owner, or a kthread, which is below no process. */
static int read_thread(struct task *task, int pid, int tid)
{
	return task_read(task, pid, tid) ? task_read(task, tid, tid) : 0;
}

/* Return: 0, also when it is no worker, or -ENOMEM. */
static int add(struct workers *list, const struct proc *proc, int tid)
{
	struct worker *worker;
	struct task task;

	for (size_t i = list->nr; i-- && list->at[i].pid == proc->task.tid;)
		if (list->at[i].tid == tid)
			return 0;
	if (read_thread(&task, proc->task.tid, tid) || !is_of_kernel(&task))
		return 0;
	worker = realloc(list->at, (list->nr + 1) * sizeof(*worker));
	if (!worker)
		return -ENOMEM;
	list->at = worker;
	worker += list->nr++;
	memset(worker, 0, sizeof(*worker));
	worker->tid = tid;
	worker->pid = proc->task.tid;
	worker->start = task.start;
	worker->is_kthread = task.is_kthread;
	worker->is_bound = task.flags & PF_NO_SETAFFINITY;
	return 0;
}

static void add_tap(struct worker *worker, const char *name)
{
	size_t i = 0;

	while (i < worker->nr_taps && strcmp(worker->tap[i], name))
		i++;
	if (i < worker->nr_taps)
		return;
	if (i == TAPS_MAX)
		worker->has_more = true;
	else
		strcpy(worker->tap[worker->nr_taps++], name);
}

static void add_taps(struct worker *worker, const struct proc *proc)
{
	for (size_t i = 0; i < proc->nr_taps; i++)
		add_tap(worker, proc->taps[i].ifname);
}

/* What a node of ours says: the workers of its rings, those of other names, too. */
static int add_node(struct workers *list, size_t first, const struct proc *proc,
		    const struct fdinfo *info)
{
	for (unsigned int i = 0; i < RINGS; i++) {
		const struct ring *ring = &info->ring[i];
		int err = ring->worker ? add(list, proc, ring->worker) : 0;

		if (err)
			return err;
		for (size_t k = first; k < list->nr; k++) {
			struct worker *worker = &list->at[k];

			if (worker->tid != ring->worker)
				continue;
			worker->is_known = true;
			worker->rings |= 1u << i;
			if (*ring->ifname)
				add_tap(worker, ring->ifname);
		}
	}
	return 0;
}

/* The real one: a program that is set-uid does not make a VM another's. */
static uid_t read_user(int pid)
{
	char text[1024], *line;
	uid_t user = NO_USER;

	if (tree_read(text, sizeof(text), "/proc/%d/status", pid) < 0)
		return NO_USER;
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %u", &user) == 1 ? user : NO_USER;
}

static int by_tid(const void *a, const void *b)
{
	const struct worker *one = a, *other = b;

	return (one->tid > other->tid) - (one->tid < other->tid);
}

static int read_proc(struct workers *list, const struct proc *proc)
{
	size_t first = list->nr;
	struct fdinfo info;
	char vm[sizeof(list->at->vm)];
	uid_t user = NO_USER;
	int err = 0;

	for (size_t i = 0; !err && i < proc->nr_workers; i++)
		err = add(list, proc, proc->workers[i]);
	for (size_t i = 0; !err && i < proc->nr_nodes; i++)
		if (!fdinfo_read(&info, proc->task.tid, proc->nodes[i].fd) &&
		    info.is_vhx)
			err = add_node(list, first, proc, &info);
	vm_read_name(vm, sizeof(vm), proc->task.tid, proc->task.name);
	if (list->nr > first)
		user = read_user(proc->task.tid);
	for (size_t i = first; i < list->nr; i++) {
		struct worker *worker = &list->at[i];

		strcpy(worker->vm, vm);
		worker->user = user;
		if (!worker->is_known)
			worker->rings = BOTH_RINGS;
		/* Its ring has no interface yet, or it is in-tree's. */
		if (!worker->nr_taps)
			add_taps(worker, proc);
	}
	if (list->nr > first)
		qsort(list->at + first, list->nr - first, sizeof(*list->at),
		      by_tid);
	return err;
}

/**
 * workers_read - find all workers
 * @list: is filled; to be freed in any case
 *
 * Return: 0, or -errno: there is no /proc, or no memory
 */
int workers_read(struct workers *list)
{
	struct procs procs;
	int err = procs_read(&procs);

	memset(list, 0, sizeof(*list));
	for (size_t i = 0; !err && i < procs.nr; i++)
		err = read_proc(list, &procs.list[i]);
	list->is_cut = procs.is_cut;
	procs_free(&procs);
	return err;
}

/* Let go of what workers_read() found. */
void workers_free(struct workers *list)
{
	free(list->at);
	*list = (struct workers){ 0 };
}

/* Say on stderr what is_cut means. */
void workers_tell_cut(void)
{
	fprintf(stderr, "vhx-pin: a process has more than %d descriptors or workers: the rest is left out\n",
		OF_ONE_MAX);
}

/* Whether the number is still that thread's. */
bool worker_is_there(const struct worker *worker)
{
	struct task task;

	return !read_thread(&task, worker->pid, worker->tid) &&
	       task.start == worker->start;
}
