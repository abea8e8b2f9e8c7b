// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: what the processes have open, and what is known of each. A source adds
 * devices to the list; there are two, /proc and running switches.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices.h"
#include "switch.h"
#include "tree.h"
#include "vm.h"

#define KCMP_FILE	0

static const char *const kind_names[] = {
	[DEVICE_VHX] = "vhx", [DEVICE_IN_TREE] = "in-tree",
	[DEVICE_HIDDEN] = "hidden", [DEVICE_SWITCH] = "vhx-switch",
};

/* Return: a word for who serves a device */
const char *device_kind(enum device_kind kind)
{
	return kind_names[kind];
}

/* A new one behind the others. Return: NULL: no memory */
static struct device *add(struct devices *devices, const struct proc *proc)
{
	size_t nr = devices->nr;
	struct device *list = devices->list, *device;

	if (!(nr & (nr - 1))) {
		list = realloc(list, (nr ? 2 * nr : 1) * sizeof(*list));
		if (!list)
			return NULL;
		devices->list = list;
	}
	device = &list[devices->nr++];
	memset(device, 0, sizeof(*device));
	fdinfo_parse(&device->info, "");
	device->ns = switch_now();
	device->pid = proc->task.tid;
	device->start = proc->task.start;
	/* A command line may be long; that of a switch is not what its ports are. */
	if (nr && device[-1].pid == device->pid && device[-1].kind != DEVICE_SWITCH)
		strcpy(device->vm, device[-1].vm);
	else
		vm_read_name(device->vm, sizeof(device->vm), device->pid,
			     proc->task.name);
	return device;
}

static void set_worker(struct device *device, unsigned int ring, int tid)
{
	struct task *worker = &device->worker[ring];

	device->info.ring[ring].worker = tid;
	/* A thread is to be seen as a process, too, of which it is the only one. */
	if (!tid || task_read(worker, tid, tid)) {
		worker->tid = 0;
		return;
	}
	task_read_times(worker, tid);
}

/* Files of a process, in the order that the kernel has of them. */
struct files {
	int fd[OF_ONE_MAX];
	size_t nr;
};

/* Whether one descriptor of a file was there before: the second is no device more. */
static bool is_copy(struct files *files, int pid, int fd)
{
	size_t first = 0, end = files->nr, middle;
	long order;

	if (!tree_is_live())
		return false;
	while (first < end) {
		middle = (first + end) / 2;
		order = syscall(SYS_kcmp, pid, pid, KCMP_FILE, fd,
				files->fd[middle]);
		/* 1: less, 2: more, else it cannot be told. */
		if (order != 1 && order != 2)
			return !order;
		if (order == 1)
			end = middle;
		else
			first = middle + 1;
	}
	memmove(files->fd + first + 1, files->fd + first,
		(files->nr++ - first) * sizeof(*files->fd));
	files->fd[first] = fd;
	return false;
}

static bool is_worker_of(const struct device *device, int tid)
{
	return device->info.ring[RING_RX].worker == tid ||
	       device->info.ring[RING_TX].worker == tid;
}

/* Workers that no device of ours has: those of in-tree. Return: how many */
static size_t others(const struct proc *proc, const struct device *devices,
		     size_t nr, int *workers)
{
	size_t i, k, found = 0;

	for (i = 0; i < proc->nr_workers; i++) {
		for (k = 0; k < nr; k++)
			if (is_worker_of(&devices[k], proc->workers[i]))
				break;
		if (k == nr)
			workers[found++] = proc->workers[i];
	}
	return found;
}

static void set_tap(struct device *device, const struct open_tap *tap)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		strcpy(device->info.ring[i].ifname, tap->ifname);
		device->info.ring[i].queue = tap->queue;
	}
}

/*
 * In-tree says nothing of a device. Clients open tap and node of one queue pair
 * after the other, and the worker with the node: if there are as many, the n-th is
 * taken for the n-th one's.
 */
static int guess(const struct proc *proc, struct device *devices, size_t nr)
{
	int *workers = calloc(proc->nr_workers + 1, sizeof(*workers));
	size_t i, k, nr_guessed = 0, nr_workers;

	if (!workers)
		return -ENOMEM;
	nr_workers = others(proc, devices, nr, workers);
	for (i = 0; i < nr; i++)
		nr_guessed += devices[i].kind == DEVICE_IN_TREE;
	for (i = 0, k = 0; i < nr; i++) {
		if (devices[i].kind != DEVICE_IN_TREE)
			continue;
		if (nr_workers == nr_guessed) {
			set_worker(&devices[i], RING_RX, workers[k]);
			set_worker(&devices[i], RING_TX, workers[k]);
		}
		if (proc->nr_taps == nr)
			set_tap(&devices[i], &proc->taps[i]);
		k++;
	}
	free(workers);
	return 0;
}

static int add_node(struct devices *devices, const struct proc *proc, size_t i)
{
	struct device *device;
	unsigned int ring;
	int err;

	device = add(devices, proc);
	if (!device)
		return -ENOMEM;
	device->fd = proc->nodes[i].fd;
	strcpy(device->node, proc->nodes[i].path);
	err = fdinfo_read(&device->info, device->pid, device->fd);
	if (err == -ENOENT || err == -ESRCH) {
		devices->nr--;
		return 0;
	}
	device->kind = err ? DEVICE_HIDDEN :
		device->info.is_vhx ? DEVICE_VHX : DEVICE_IN_TREE;
	for (ring = 0; device->info.is_vhx && ring < RINGS; ring++)
		set_worker(device, ring, device->info.ring[ring].worker);
	return 0;
}

static int add_seen(struct devices *devices, const struct proc *proc)
{
	size_t i, first = devices->nr;
	struct files files;
	int err;

	files.nr = 0;
	for (i = 0; i < proc->nr_nodes; i++) {
		err = is_copy(&files, proc->task.tid, proc->nodes[i].fd) ? 0 :
			add_node(devices, proc, i);
		if (err)
			return err;
	}
	if (devices->nr == first)
		return 0;
	return guess(proc, devices->list + first, devices->nr - first);
}

static int add_hidden(struct devices *devices, const struct proc *proc)
{
	struct device *device;
	size_t i;

	for (i = 0; i < proc->nr_workers; i++) {
		device = add(devices, proc);
		if (!device)
			return -ENOMEM;
		device->kind = DEVICE_HIDDEN;
		device->fd = (int)i;
		set_worker(device, RING_RX, proc->workers[i]);
		set_worker(device, RING_TX, proc->workers[i]);
	}
	return 0;
}

static int add_pair(struct devices *devices, const struct proc *proc,
		    const struct pair *pair)
{
	struct device *device = add(devices, proc);
	unsigned int i;

	if (!device)
		return -ENOMEM;
	device->kind = DEVICE_SWITCH;
	device->fd = (int)pair->number;
	device->info = pair->info;
	device->net = pair->net;
	device->is_first = !pair->number;
	strcpy(device->vm, pair->port);
	strcpy(device->node, pair->path);
	for (i = 0; i < RINGS; i++)
		set_worker(device, i, pair->info.ring[i].worker);
	return 0;
}

/* It stands in the list without its ports. */
static int add_mute(struct devices *devices, const struct proc *proc, int err)
{
	struct device *device = add(devices, proc);

	if (!device)
		return -ENOMEM;
	device->kind = err == -EACCES ? DEVICE_HIDDEN : DEVICE_SWITCH;
	device->mute = err == -ETIMEDOUT ? "the switch does not answer" :
		err == -EPROTO ? "the switch's answer is not understood" :
		"nobody is on the switch's control socket";
	return 0;
}

static int add_switch(struct devices *devices, const struct proc *proc,
		      uint64_t until)
{
	struct pairs pairs;
	int err = switch_read(&pairs, proc->task.tid, until);
	size_t i;

	if (err == -ESRCH)
		err = 0;
	else if (err)
		err = add_mute(devices, proc, err);
	else
		for (i = 0; !err && i < pairs.nr; i++)
			err = add_pair(devices, proc, &pairs.list[i]);
	switch_free(&pairs);
	return err;
}

/* Each has its time, but all of them no more than two have. */
static int read_switches(struct devices *devices, const struct procs *procs)
{
	uint64_t end = switch_now() + 2 * SWITCH_ANSWER_NS, until;
	size_t i;
	int err = 0;

	for (i = 0; !err && i < procs->nr; i++) {
		if (!procs->list[i].is_switch)
			continue;
		until = switch_now() + SWITCH_ANSWER_NS;
		err = add_switch(devices, &procs->list[i], until < end ? until : end);
	}
	return err;
}

static int read_procs(struct devices *devices, bool has_switches)
{
	struct procs procs;
	int err = procs_read(&procs);
	size_t i;

	for (i = 0; !err && i < procs.nr; i++)
		err = procs.list[i].is_hidden ?
			add_hidden(devices, &procs.list[i]) :
			add_seen(devices, &procs.list[i]);
	if (!err && has_switches)
		err = read_switches(devices, &procs);
	devices->is_cut = procs.is_cut;
	procs_free(&procs);
	return err;
}

static bool has_process(const struct devices *devices, int pid)
{
	size_t i;

	for (i = 0; i < devices->nr; i++)
		if (devices->list[i].pid == pid)
			return true;
	return false;
}

/* A child that inherited a descriptor shows a device of its parent's. */
static void drop_inherited(struct devices *devices)
{
	const struct device *device;
	size_t i, nr = 0;

	for (i = 0; i < devices->nr; i++) {
		device = &devices->list[i];
		if (device->kind == DEVICE_VHX && device->info.owner &&
		    device->info.owner != device->pid &&
		    has_process(devices, device->info.owner))
			continue;
		devices->list[nr++] = *device;
	}
	devices->nr = nr;
}

/* rx has it, unless it alone has no backend. */
static const char *ifname_of(const struct device *device)
{
	const struct ring *ring = device->info.ring;

	return *ring[RING_RX].ifname ? ring[RING_RX].ifname : ring[RING_TX].ifname;
}

static void read_interfaces(struct devices *devices)
{
	struct device *device, *other;
	size_t i;

	for (i = 0; i < devices->nr; i++) {
		device = &devices->list[i];
		if (device->kind == DEVICE_SWITCH)
			continue;
		netdev_read(&device->net, device->pid, ifname_of(device));
		device->is_first = true;
		/* Those of a process stand together. */
		for (other = device; device->is_first && other-- > devices->list &&
		     other->pid == device->pid;)
			if (!strcmp(ifname_of(other), ifname_of(device)))
				device->is_first = false;
	}
	netdev_forget();
}

static int read_all(struct devices *devices, bool has_switches)
{
	int err;

	memset(devices, 0, sizeof(*devices));
	devices->ns = switch_now();
	err = read_procs(devices, has_switches);
	drop_inherited(devices);
	read_interfaces(devices);
	return err;
}

/**
 * devices_read - all devices of this host
 * @devices: is filled; to be freed in any case
 *
 * Return: 0, or -errno: /proc cannot be read, or no memory
 */
int devices_read(struct devices *devices)
{
	return read_all(devices, true);
}

/**
 * devices_read_nodes - those of nodes alone: no switch is asked
 * @devices: is filled; to be freed in any case
 *
 * Return: 0, or -errno: /proc cannot be read, or no memory
 */
int devices_read_nodes(struct devices *devices)
{
	return read_all(devices, false);
}

/* Let go of what devices_read() found. */
void devices_free(struct devices *devices)
{
	free(devices->list);
	memset(devices, 0, sizeof(*devices));
}

/**
 * devices_find - the same device at another time
 * @devices: of that time
 * @next: where it is likely to be, from 0; is set to the place behind it
 * @key: the device
 *
 * Return: it, or NULL: it was not there
 */
const struct device *devices_find(const struct devices *devices, size_t *next,
				  const struct device *key)
{
	const struct device *device;
	size_t i;

	for (i = 0; i < devices->nr; i++) {
		device = &devices->list[(*next + i) % devices->nr];
		if (!device_is(device, key))
			continue;
		*next = (size_t)(device - devices->list) + 1;
		return device;
	}
	return NULL;
}
