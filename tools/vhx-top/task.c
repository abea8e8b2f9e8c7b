// SPDX-License-Identifier: GPL-2.0-only
/* Threads by /proc/PID/task/TID: stat and schedstat, which everybody may read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task.h"
#include "text.h"
#include "tree.h"

#define PF_KTHREAD	0x00200000
#define NS_PER_S	1000000000ULL

/* What is used of the fields behind the name, by their numbers in proc(5). */
enum { FLAGS = 9, UTIME = 14, STIME = 15, STARTTIME = 22, PROCESSOR = 39 };

/* Its name is in brackets, and may have blanks and brackets in it. */
static int parse(struct task *task, char *text)
{
	uint64_t field[PROCESSOR + 1] = { 0 };
	char *open = strchr(text, '('), *close = strrchr(text, ')'), *at;
	unsigned int i;

	if (!open || !close || close < open || strlen(close) < 4)
		return -EINVAL;
	*close = 0;
	text_clean(task->name, sizeof(task->name), open + 1);
	task->state = close[2];
	at = close + 3;
	for (i = 4; i <= PROCESSOR; i++)
		field[i] = strtoull(at, &at, 10);
	task->flags = (unsigned int)field[FLAGS];
	task->is_kthread = task->flags & PF_KTHREAD;
	task->start = field[STARTTIME];
	task->cpu = (int)field[PROCESSOR];
	task->run_ns = (field[UTIME] + field[STIME]) *
		(NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

/**
 * task_read - what a thread is
 * @task: is filled; times are of whole ticks
 * @pid: of its process
 * @tid: of the thread
 *
 * Return: 0, or -errno: it has ended
 */
int task_read(struct task *task, int pid, int tid)
{
	char text[1024];
	ssize_t len;

	memset(task, 0, sizeof(*task));
	/* /proc/PID/stat has the times of all its threads. */
	len = tree_read(text, sizeof(text), "/proc/%d/task/%d/stat", pid, tid);
	if (len < 0)
		return (int)len;
	task->tid = tid;
	return parse(task, text);
}

/* Return: whether a file of schedstat has times in it */
static bool parse_times(struct task *task, const char *text)
{
	unsigned long long run, wait, slices;

	if (sscanf(text, "%llu %llu %llu", &run, &wait, &slices) != 3)
		return false;
	if (!run && !wait && !slices && task->run_ns)
		return false;
	task->run_ns = run;
	task->wait_ns = wait;
	return true;
}

/**
 * task_read_times - its times in ns, where the kernel tells them
 * @task: a thread
 * @pid: of its process
 *
 * Kernels without schedstat have no such file, or nothing but zeros in it.
 */
void task_read_times(struct task *task, int pid)
{
	char text[128];

	tree_read(text, sizeof(text), "/proc/%d/task/%d/schedstat", pid,
		  task->tid);
	task->has_wait = parse_times(task, text);
}

/* Whether this kernel tells the times of threads: ours did run. */
bool task_has_times(void)
{
	struct task task = { .run_ns = 1 };
	char text[128];

	tree_read(text, sizeof(text), "/proc/self/schedstat");
	return parse_times(&task, text);
}
