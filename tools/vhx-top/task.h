/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread: its name, and the CPU time it had and waited for. */
#ifndef TASK_H
#define TASK_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct task - a thread at one time
 * @tid: its id; 0: there is none
 * @name: comm
 * @state: as in /proc: R, S, D, ...
 * @flags: PF_*, as of <linux/sched.h>
 * @is_kthread: it has no process
 * @start: ticks since boot; with @tid says which one it is
 * @cpu: it ran on last
 * @run_ns: CPU time it had
 * @wait_ns: time that it was to run and another one did
 * @has_wait: whether the kernel tells that; else @run_ns is of whole ticks
 */
struct task {
	int tid;
	char name[64];
	char state;
	unsigned int flags;
	bool is_kthread;
	uint64_t start;
	int cpu;
	uint64_t run_ns;
	uint64_t wait_ns;
	bool has_wait;
};

int task_read(struct task *task, int pid, int tid);
void task_read_times(struct task *task, int pid);
bool task_has_times(void);

#endif /* TASK_H */
