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
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "place.h"

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

static int write_line(const char *dir, const char *name, const char *text)
{
	char path[2 * PATH_MAX];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
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
	char path[64], text[4096], *line;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", tid);
	if (read_line(path, text, sizeof(text)))
		return -ESRCH;
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return -ENODEV;
	line += *line == '\n' ? 4 : 3;
	snprintf(group, size, "%.*s", (int)strcspn(line, "\n"), line);
	return 0;
}

/* The folder of the group that a rule names. */
static int find_group(const struct worker *worker, const char *name, char *dir,
		      size_t size)
{
	char own[GROUP_LEN] = "";
	const char *root = hierarchy();
	int err = 0;

	if (!root)
		return -ENODEV;
	/* As seen from the owner, since the worker itself will be there. */
	if (*name != '/')
		err = group_of(worker->pid, own, sizeof(own));
	if (!err && snprintf(dir, size, "%s%s%s%s", root, own,
			     *name == '/' ? "" : "/", name) >= (int)size)
		err = -ENAMETOOLONG;
	return err;
}

/*
 * One that is named as seen from an owner is made: before that owner there is
 * no group to make it in. Below a group of threads it has to be one, too.
 */
static int make_group(const char *dir, bool is_task, const char *name)
{
	char path[PATH_MAX + 16], type[64] = "";
	bool is_new = false;

	if (*name != '/') {
		is_new = !mkdir(dir, 0755);
		if (!is_new && errno != EEXIST)
			return -errno;
	}
	snprintf(path, sizeof(path), "%s/cgroup.type", dir);
	/* The root has no such file, and takes all. */
	read_line(path, type, sizeof(type));
	if (!strncmp(type, "domain invalid", 14) || (is_new && is_task))
		return write_line(dir, "cgroup.type", "threaded");
	return 0;
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
	char dir[PATH_MAX], tid[16];
	int err = find_group(worker, name, dir, sizeof(dir));

	if (!err)
		err = make_group(dir, !worker->is_kthread, name);
	snprintf(tid, sizeof(tid), "%d", worker->tid);
	/* In cgroup.procs the number of a thread moves all of its process. */
	if (!err)
		err = write_line(dir, worker->is_kthread ? "cgroup.procs" :
				 "cgroup.threads", tid);
	if (err)
		explain_group(reason, worker, name, err);
}

/* -- CPUs ---------------------------------------------------------------------- */

/* Those that its group leaves it, or all that are there. */
static bool cpus_of_group(const struct worker *worker, struct cpus *cpus,
			  char *group, size_t size)
{
	const char *root = hierarchy();
	char path[PATH_MAX], text[4096];

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
	char list[128], left[128], text[4096], group[GROUP_LEN];
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
		fail(reason, -EINVAL, "cpus %s: its control group leaves it %s: see cpuset.cpus of %s, or put it into another group (cgroup=)",
		     list, left, *group ? group : "/");
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
	if (group_of(worker->tid, placement->cgroup, sizeof(placement->cgroup)))
		strcpy(placement->cgroup, "-");
	return 0;
}
