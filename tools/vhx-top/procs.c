// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a node open: links below /proc/PID/fd. A process whose descriptors are not
 * for us to see betrays itself by a worker, which is named vhost-PID. Any of them
 * may end while it is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fdinfo.h"
#include "procs.h"
#include "switch.h"
#include "text.h"
#include "tree.h"

#define STOCK_NODE	"/dev/vhost-net"
#define MISC_MAJOR	10
#define STOCK_MINOR	238	/* VHOST_NET_MINOR */
#define TUN_NODE	"/dev/net/tun"
#define GONE		" (deleted)"

/**
 * struct kthread - a worker that is no thread of its owner
 * @owner: pid of that
 * @tid: its own
 */
struct kthread {
	int owner;
	int tid;
};

/**
 * struct scan - what is found on the way
 * @procs: users so far
 * @kthreads: workers without a process
 * @nr_kthreads: how many
 * @own_node: node of vhx_net, or ""
 * @own_minor: its device number, of MISC_MAJOR
 */
struct scan {
	struct procs *procs;
	struct kthread *kthreads;
	size_t nr_kthreads;
	char own_node[NODE_MAX];
	unsigned int own_minor;
};

/* Room for one more behind @nr. Return: the list, or NULL; then it is as before. */
static void *grown(void *list, size_t nr, size_t size)
{
	if (nr & (nr - 1))
		return list;
	return realloc(list, (nr ? 2 * nr : 1) * size);
}

#define ADD(list, nr, item) ({					\
	void *_list = grown(list, nr, sizeof(*(list)));		\
								\
	if (_list) {						\
		(list) = _list;					\
		(list)[(nr)++] = item;				\
	}							\
	_list ? 0 : -ENOMEM;					\
})

/* Work must not grow with all that one process has: any user may have a lot. */
#define ADD_SOME(scan, list, nr, item) ({			\
	bool _is_full = (nr) == OF_ONE_MAX;			\
								\
	(scan)->procs->is_cut |= _is_full;			\
	_is_full ? 0 : ADD(list, nr, item);			\
})

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), less = strlen(end);

	return *end && len >= less && !strcmp(text + len - less, end);
}

/*
 * Anybody can give a file a path with that end, or open a node without being let
 * in (O_PATH): such a link has no rights. The owner of the file is not asked, as
 * its file system may be a program that does not answer.
 */
static bool is_open(int pid, int fd, unsigned int minor)
{
	char path[64];
	struct statx link, node;

	if (!tree_is_live())
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MODE, &link) ||
	    !(link.stx_mode & 0600) ||
	    statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &node))
		return false;
	return S_ISCHR(node.stx_mode) && node.stx_rdev_major == MISC_MAJOR &&
	       node.stx_rdev_minor == minor;
}

/* In a chroot or a container the path may begin elsewhere. */
static bool is_node(const struct scan *scan, const char *path, int pid, int fd)
{
	return (ends_with(path, STOCK_NODE) && is_open(pid, fd, STOCK_MINOR)) ||
	       (ends_with(path, scan->own_node) && is_open(pid, fd, scan->own_minor));
}

static int add_node(const struct scan *scan, struct proc *proc, int fd,
		    const char *path)
{
	struct open_node node = { .fd = fd };

	text_clean(node.path, sizeof(node.path), path);
	return ADD_SOME(scan, proc->nodes, proc->nr_nodes, node);
}

static int add_tap(const struct scan *scan, struct proc *proc, int fd)
{
	struct open_tap tap = { .fd = fd };
	static struct fdinfo info;

	if (fdinfo_read(&info, proc->task.tid, fd) || !*info.tap)
		return 0;
	strcpy(tap.ifname, info.tap);
	return ADD_SOME(scan, proc->taps, proc->nr_taps, tap);
}

static int look_at_fd(const struct scan *scan, struct proc *proc, int fd)
{
	char path[256];
	size_t len;

	if (tree_link(path, sizeof(path), "/proc/%d/fd/%d", proc->task.tid, fd))
		return 0;
	len = strlen(path);
	if (ends_with(path, GONE))
		path[len - strlen(GONE)] = 0;
	if (is_node(scan, path, proc->task.tid, fd))
		return add_node(scan, proc, fd, path);
	if (ends_with(path, TUN_NODE))
		return add_tap(scan, proc, fd);
	return 0;
}

static int look_at_fds(const struct scan *scan, struct proc *proc)
{
	DIR *dir = tree_dir("/proc/%d/fd", proc->task.tid);
	struct dirent *entry;
	int fd, err = 0;

	if (!dir) {
		proc->is_hidden = errno == EACCES || errno == EPERM;
		return 0;
	}
	while (!err && (entry = readdir(dir))) {
		fd = tree_number(entry);
		if (fd >= 0)
			err = look_at_fd(scan, proc, fd);
	}
	closedir(dir);
	return err;
}

/* Return: the owner that a name of a thread says, or 0 */
static int owner_of(const char *name)
{
	int owner, end = 0;

	return sscanf(name, "vhost-%d%n", &owner, &end) == 1 && !name[end] ?
		owner : 0;
}

static int look_at_threads(const struct scan *scan, struct proc *proc)
{
	DIR *dir = tree_dir("/proc/%d/task", proc->task.tid);
	struct dirent *entry;
	struct task task;
	int tid, err = 0;

	while (dir && !err && (entry = readdir(dir))) {
		tid = tree_number(entry);
		if (tid > 0 && !task_read(&task, proc->task.tid, tid) &&
		    owner_of(task.name))
			err = ADD_SOME(scan, proc->workers, proc->nr_workers, tid);
	}
	if (dir)
		closedir(dir);
	return err;
}

static void free_proc(struct proc *proc)
{
	free(proc->nodes);
	free(proc->taps);
	free(proc->workers);
}

static int look_at_proc(struct scan *scan, int pid)
{
	struct proc proc = { 0 };
	int err, owner;

	if (task_read(&proc.task, pid, pid))
		return 0;
	if (proc.task.is_kthread) {
		owner = owner_of(proc.task.name);
		return owner ? ADD(scan->kthreads, scan->nr_kthreads,
				   ((struct kthread){ owner, pid })) : 0;
	}
	proc.is_switch = !strcmp(proc.task.name, SWITCH_COMM);
	err = look_at_fds(scan, &proc);
	if (!err && (proc.nr_nodes || proc.is_hidden))
		err = look_at_threads(scan, &proc);
	if (!err && (proc.nr_nodes || proc.is_hidden || proc.is_switch))
		err = ADD(scan->procs->list, scan->procs->nr, proc);
	else
		free_proc(&proc);
	return err;
}

static int by_pid(const void *a, const void *b)
{
	const struct proc *one = a, *other = b;

	return (one->task.tid > other->task.tid) - (one->task.tid < other->task.tid);
}

static int by_number(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static int by_fd(const void *a, const void *b)
{
	return by_number(&((const struct open_node *)a)->fd,
			 &((const struct open_node *)b)->fd);
}

static int by_tap_fd(const void *a, const void *b)
{
	return by_number(&((const struct open_tap *)a)->fd,
			 &((const struct open_tap *)b)->fd);
}

#define SORT(list, nr, order) do {				\
	if (nr)							\
		qsort(list, nr, sizeof(*(list)), order);	\
} while (0)

static void number_queues(struct proc *proc)
{
	size_t i, k;

	for (i = 0; i < proc->nr_taps; i++)
		for (k = 0; k < i; k++)
			if (!strcmp(proc->taps[i].ifname, proc->taps[k].ifname))
				proc->taps[i].queue++;
}

static void sort(struct procs *procs)
{
	struct proc *proc;
	size_t i;

	SORT(procs->list, procs->nr, by_pid);
	for (i = 0; i < procs->nr; i++) {
		proc = &procs->list[i];
		SORT(proc->nodes, proc->nr_nodes, by_fd);
		SORT(proc->taps, proc->nr_taps, by_tap_fd);
		SORT(proc->workers, proc->nr_workers, by_number);
		number_queues(proc);
	}
}

static int give_kthreads(struct scan *scan)
{
	struct procs *procs = scan->procs;
	struct proc *proc, key = { 0 };
	int err = 0;
	size_t i;

	for (i = 0; !err && procs->nr && i < scan->nr_kthreads; i++) {
		key.task.tid = scan->kthreads[i].owner;
		proc = bsearch(&key, procs->list, procs->nr, sizeof(key), by_pid);
		if (proc)
			err = ADD_SOME(scan, proc->workers, proc->nr_workers,
				       scan->kthreads[i].tid);
	}
	return err;
}

/* Of those that hide their descriptors most have nothing to do with vhost-net. */
static void drop_others(struct procs *procs)
{
	size_t i, nr = 0;

	for (i = 0; i < procs->nr; i++) {
		struct proc *proc = &procs->list[i];

		if (proc->nr_nodes || proc->nr_workers || proc->is_switch)
			procs->list[nr++] = *proc;
		else
			free_proc(proc);
	}
	procs->nr = nr;
}

static void read_own_node(struct scan *scan)
{
	char name[NODE_MAX - 8], number[32], *at;

	tree_read(name, sizeof(name), "/sys/module/vhx_net/parameters/node");
	name[strcspn(name, "\n")] = 0;
	if (!*name)
		return;
	snprintf(scan->own_node, sizeof(scan->own_node), "/dev/%s", name);
	/* As folders of sysfs are named. */
	for (at = name; *at; at++)
		if (*at == '/')
			*at = '!';
	tree_read(number, sizeof(number), "/sys/class/misc/%s/dev", name);
	if (sscanf(number, "%*u:%u", &scan->own_minor) != 1)
		scan->own_minor = STOCK_MINOR;
}

/**
 * procs_read - find all users of vhost-net that are to be seen
 * @procs: is filled; to be freed in any case
 *
 * Return: 0, or -errno: there is no /proc, or no memory
 */
int procs_read(struct procs *procs)
{
	struct scan scan = { .procs = procs };
	DIR *dir = tree_dir("/proc");
	struct dirent *entry;
	int pid, err = 0;

	memset(procs, 0, sizeof(*procs));
	if (!dir)
		return -errno;
	read_own_node(&scan);
	while (!err && (entry = readdir(dir))) {
		pid = tree_number(entry);
		if (pid > 0)
			err = look_at_proc(&scan, pid);
	}
	closedir(dir);
	SORT(procs->list, procs->nr, by_pid);
	if (!err)
		err = give_kthreads(&scan);
	free(scan.kthreads);
	drop_others(procs);
	sort(procs);
	return err;
}

/* Let go of what procs_read() found. */
void procs_free(struct procs *procs)
{
	size_t i;

	for (i = 0; i < procs->nr; i++)
		free_proc(&procs->list[i]);
	free(procs->list);
	memset(procs, 0, sizeof(*procs));
}
