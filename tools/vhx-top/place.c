// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include <linux/openat2.h>

#include "place.h"
#include "text.h"

#define AS_ROOT	"not permitted: run it as root, or give it CAP_SYS_NICE"

/* Why something was not done, in words; of several, all. */
struct reason {
	char *text;
	size_t size;
	int err;
};

static void __attribute__((format(printf, 3, 4)))
fail(struct reason *reason, int err, const char *format, ...)
{
	size_t len = strlen(reason->text);
	va_list args;

	reason->err = reason->err ? reason->err : err;
	if (len)
		len += (size_t)snprintf(reason->text + len, reason->size - len,
					"; ");
	if (len >= reason->size)
		return;
	va_start(args, format);
	vsnprintf(reason->text + len, reason->size - len, format, args);
	va_end(args);
}

static int read_line(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	text[n] = 0;
	return 0;
}

static int write_line(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* -- control groups ----------------------------------------------------------- */

/* Where the unified hierarchy is, or NULL. */
static const char *hierarchy(void)
{
	static const char *const places[] = { "/sys/fs/cgroup",
					      "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!statfs(places[i], &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

/* The group of a thread in the unified hierarchy. */
static int group_of(pid_t tid, char *group, size_t size)
{
	char path[64], text[4 * PATH_MAX], *line;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", tid);
	if (read_line(path, text, sizeof(text)))
		return -ESRCH;
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return -ENODEV;
	line += *line == '\n' ? 4 : 3;
	len = strcspn(line, "\n");
	if (!line[len] || len >= size)
		return -ENAMETOOLONG;
	memcpy(group, line, len);
	group[len] = 0;
	return 0;
}

/**
 * struct group - one that a worker is to be in
 * @parent: descriptor of the one above, or -1
 * @dir: its own, or -1
 * @name: below @parent
 * @is_new: it was made for the worker
 */
struct group {
	int parent;
	int dir;
	const char *name;
	bool is_new;
};

/* A folder of the hierarchy, wherever its path may lead. Return: fd, -errno. */
static int open_below(int dir, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	struct statfs fs;
	int fd;

	fd = (int)syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
	if (fd < 0)
		return -errno;
	if (!fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
		return fd;
	close(fd);
	return -EXDEV;
}

/* Its path below the root, in two: the one above and the name in it. */
static int split_path(const struct worker *worker, const char *name, char *path,
		      size_t size, char **last)
{
	char own[GROUP_LEN] = "", *end;
	int err = 0;

	/* As seen from the owner, since the worker itself will be there. */
	if (*name != '/')
		err = group_of(worker->pid, own, sizeof(own));
	if (err)
		return err;
	if (snprintf(path, size, "./%s/%s", own, name) >= (int)size)
		return -ENAMETOOLONG;
	for (end = path + strlen(path); end[-1] == '/'; end--)
		end[-1] = 0;
	*last = strrchr(path, '/');
	if (!*last)
		*last = end;
	else
		*(*last)++ = 0;
	return 0;
}

/*
 * One that is named as seen from an owner is made: before that owner there is
 * no group to make it in.
 */
static int open_group(struct group *group, const char *path, bool is_made)
{
	const char *root = hierarchy();
	int top = root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (top < 0)
		return -ENODEV;
	group->parent = open_below(top, path);
	close(top);
	if (group->parent < 0)
		return group->parent;
	if (is_made && !mkdirat(group->parent, group->name, 0755))
		group->is_new = true;
	else if (is_made && errno != EEXIST)
		return -errno;
	group->dir = open_below(group->parent, group->name);
	return group->dir < 0 ? group->dir : 0;
}

/* Below a group of threads it has to be one, too. */
static int set_type(const struct group *group, bool is_task)
{
	char path[64], type[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d/cgroup.type", group->dir);
	/* The root has no such file, and takes all. */
	read_line(path, type, sizeof(type));
	if (!strncmp(type, "domain invalid", 14) || (group->is_new && is_task))
		return write_line(group->dir, "cgroup.type", "threaded");
	return 0;
}

static void close_group(const struct group *group, bool is_used)
{
	if (group->is_new && !is_used)
		unlinkat(group->parent, group->name, AT_REMOVEDIR);
	if (group->dir >= 0)
		close(group->dir);
	if (group->parent >= 0)
		close(group->parent);
}

static void explain_group(struct reason *reason, const struct worker *worker,
			  const char *name, int err)
{
	switch (-err) {
	case ESRCH:
		fail(reason, err, "has ended");
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		fail(reason, err, "cgroup %s: not permitted: run it as root", name);
		break;
	case ENODEV:
		fail(reason, err, "cgroup %s: no unified hierarchy (cgroup v2) at /sys/fs/cgroup",
		     name);
		break;
	case EXDEV:
		fail(reason, err, "cgroup %s: leads out of the hierarchy: there is no group above that of the VM, or the path does not end with a name",
		     name);
		break;
	case ENOENT:
		fail(reason, err, *name == '/' ?
		     "cgroup %s: is not there: make it first" :
		     "cgroup %s: the group that it is to be made in is not there",
		     name);
		break;
	case EBUSY:
		fail(reason, err, "cgroup %s: shares out controllers to groups below it, so it takes no processes: name one below it",
		     name);
		break;
	case EOPNOTSUPP:
		fail(reason, err, worker->is_kthread ?
		     "cgroup %s: takes no processes: see cgroup.type there" :
		     "cgroup %s: a task is a thread of its VM, and takes no place outside of the VM's group: name one below or beside it (cgroup=../NAME with libvirt, cgroup=NAME else), or have kthreads (fork_from_owner_default=N)",
		     name);
		break;
	default:
		fail(reason, err, "cgroup %s: %s", name, strerror(-err));
	}
}

static void enter_group(struct reason *reason, const struct worker *worker,
			const char *name)
{
	struct group group = { .parent = -1, .dir = -1 };
	char path[2 * PATH_MAX], tid[16], *last;
	int err = split_path(worker, name, path, sizeof(path), &last);

	if (!err) {
		group.name = last;
		/* A last .. would leave the one above without being seen. */
		err = !strcmp(last, "..") ? -EXDEV :
		      open_group(&group, path, *name != '/');
	}
	if (!err)
		err = set_type(&group, !worker->is_kthread);
	snprintf(tid, sizeof(tid), "%d", worker->tid);
	/* In cgroup.procs the number of a thread moves all of its process. */
	if (!err)
		err = write_line(group.dir, worker->is_kthread ? "cgroup.procs" :
				 "cgroup.threads", tid);
	close_group(&group, !err);
	if (err)
		explain_group(reason, worker, name, err);
}

/* -- CPUs ---------------------------------------------------------------------- */

/* Those that its group leaves it, or all that are there. */
static bool cpus_of_group(const struct worker *worker, struct cpus *cpus,
			  char *group, size_t size)
{
	const char *root = hierarchy();
	char path[2 * PATH_MAX], text[4096];

	if (!root || group_of(worker->tid, group, size))
		return false;
	/* A group without the controller is bound by the next one above. */
	for (;;) {
		char *slash = strrchr(group, '/');

		snprintf(path, sizeof(path), "%s%s/cpuset.cpus.effective", root,
			 group);
		if (!read_line(path, text, sizeof(text)))
			return !cpus_parse(cpus, text);
		if (!slash || !*group)
			return false;
		*slash = 0;
	}
}

static void explain_cpus(struct reason *reason, const struct worker *worker,
			 const struct cpus *wanted)
{
	char list[128], left[128], text[4096], group[GROUP_LEN], shown[256];
	struct cpus cpus;

	cpus_print(wanted, list, sizeof(list));
	if (worker->is_bound) {
		fail(reason, -EINVAL, "cpus %s: the kernel has bound this thread to a CPU",
		     list);
		return;
	}
	if (!read_line("/sys/devices/system/cpu/online", text, sizeof(text)) &&
	    !cpus_parse(&cpus, text) && !cpus_contain(&cpus, wanted)) {
		fail(reason, -EINVAL, "cpus %s: this machine has %.*s", list,
		     (int)strcspn(text, "\n"), text);
		return;
	}
	if (cpus_of_group(worker, &cpus, group, sizeof(group)) &&
	    !cpus_contain(&cpus, wanted)) {
		cpus_print(&cpus, left, sizeof(left));
		text_clean(shown, sizeof(shown), *group ? group : "/");
		fail(reason, -EINVAL, "cpus %s: its control group leaves it %s: see cpuset.cpus of %s, or put it into another group (cgroup=)",
		     list, left, shown);
		return;
	}
	fail(reason, -EINVAL, "cpus %s: the kernel does not let it run there", list);
}

static void explain(struct reason *reason, const char *what, int err)
{
	if (err == ESRCH)
		fail(reason, -ESRCH, "has ended");
	else if (err == EPERM || err == EACCES)
		fail(reason, -err, "%s: " AS_ROOT, what);
	else
		fail(reason, -err, "%s: %s", what, strerror(err));
}

static void set_cpus(struct reason *reason, const struct worker *worker,
		     const struct cpus *wanted)
{
	struct cpus cpus = *wanted;

	if (sched_setaffinity(worker->tid, sizeof(cpus), cpus_set_of(&cpus))) {
		if (errno == EINVAL)
			explain_cpus(reason, worker, wanted);
		else
			explain(reason, "cpus", errno);
		return;
	}
	/* It succeeds where the group has one of them, too. */
	memset(&cpus, 0, sizeof(cpus));
	if (sched_getaffinity(worker->tid, sizeof(cpus), cpus_set_of(&cpus)))
		explain(reason, "cpus", errno);
	else if (!cpus_contain(&cpus, wanted))
		explain_cpus(reason, worker, wanted);
}

/* -- all ----------------------------------------------------------------------- */

static void set_class(struct reason *reason, const struct worker *worker,
		      const struct rule *rule)
{
	bool is_fifo = rule->class == CLASS_FIFO;
	struct sched_param param = { .sched_priority = is_fifo ?
				     rule->priority : 0 };

	if (sched_setscheduler(worker->tid, is_fifo ? SCHED_FIFO : SCHED_OTHER,
			       &param))
		explain(reason, is_fifo ? "fifo" : "other", errno);
	if (rule->has_nice &&
	    setpriority(PRIO_PROCESS, (id_t)worker->tid, rule->nice))
		explain(reason, "nice", errno);
}

/**
 * place_worker - put a worker where a rule says
 * @worker: the worker
 * @rule: the rule
 * @why: result: what was not done and why, in words
 * @size: bytes of @why
 *
 * What can be done is, whatever else failed.
 *
 * Return: 0, -ESRCH (it has ended), -errno (see @why)
 */
int place_worker(const struct worker *worker, const struct rule *rule, char *why,
		 size_t size)
{
	struct reason reason = { .text = why, .size = size };

	*why = 0;
	if (!worker_is_there(worker))
		return -ESRCH;
	/* First: the CPUs of a thread follow its group. */
	if (*rule->cgroup)
		enter_group(&reason, worker, rule->cgroup);
	if (rule->has_cpus)
		set_cpus(&reason, worker, &rule->cpus);
	if (rule->class != CLASS_KEPT)
		set_class(&reason, worker, rule);
	return reason.err && !worker_is_there(worker) ? -ESRCH : reason.err;
}

/**
 * place_read - where a worker is
 * @worker: the worker
 * @placement: result
 *
 * Return: 0, -ESRCH (it has ended)
 */
int place_read(const struct worker *worker, struct placement *placement)
{
	struct sched_param param;
	int nice, class = sched_getscheduler(worker->tid);
	char group[GROUP_LEN];

	memset(placement, 0, sizeof(*placement));
	if (class < 0 || sched_getparam(worker->tid, &param) ||
	    sched_getaffinity(worker->tid, sizeof(placement->cpus),
			      cpus_set_of(&placement->cpus)))
		return -ESRCH;
	errno = 0;
	nice = getpriority(PRIO_PROCESS, (id_t)worker->tid);
	if (class == SCHED_FIFO || class == SCHED_RR)
		snprintf(placement->class, sizeof(placement->class), "%s:%d",
			 class == SCHED_FIFO ? "fifo" : "rr",
			 param.sched_priority);
	else if (class == SCHED_OTHER)
		snprintf(placement->class, sizeof(placement->class), "nice:%d",
			 nice);
	else
		snprintf(placement->class, sizeof(placement->class), "class:%d",
			 class);
	/* It goes to a terminal, and users name groups of their own. */
	if (group_of(worker->tid, group, sizeof(group)))
		strcpy(group, "-");
	text_clean(placement->cgroup, sizeof(placement->cgroup), group);
	return 0;
}
