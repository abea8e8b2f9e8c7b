// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions that a region of the program takes: the parent single-steps the
 * child through it. Exact, with the code that this CPU runs: an emulator would
 * have it choose another memcpy().
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_bench.h"

/**
 * struct stretch - what parent and child share
 * @is_on: the child is in a region
 * @steps: of the last one
 * @empty: what a region without anything takes
 */
struct stretch {
	volatile bool is_on;
	volatile unsigned int steps;
	unsigned int empty;
};

static struct stretch *region;

/* Return: the signal for the child to go on with, once the region is over. */
static int step_through(pid_t child, int *status)
{
	unsigned int steps = 0;
	int sig = 0;

	while (region->is_on) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, sig) ||
		    waitpid(child, status, 0) != child || !WIFSTOPPED(*status))
			return 0;
		sig = WSTOPSIG(*status) == SIGTRAP ? 0 : WSTOPSIG(*status);
		steps++;
	}
	region->steps = steps;
	return sig;
}

static void watch(pid_t child, int *status)
{
	int sig;

	while (waitpid(child, status, 0) == child && WIFSTOPPED(*status)) {
		sig = WSTOPSIG(*status);
		if (sig == SIGTRAP)
			sig = step_through(child, status);
		if (ptrace(PTRACE_CONT, child, NULL, sig))
			return;
	}
}

/*
 * Goes on in a child whose regions are counted. Return: 0 in the child; its
 * process id in the parent, when the child has ended with @status.
 */
int count_fork(int *status)
{
	pid_t child;

	region = mmap(NULL, sizeof(*region), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child) {
		watch(child, status);
		return child;
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) ||
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		return -errno;
	count_begin();
	region->empty = count_end();
	return 0;
}

void count_begin(void)
{
	region->is_on = true;
	__asm__ volatile("int3" ::: "memory");
}

unsigned int count_end(void)
{
	region->is_on = false;
	return region->steps - region->empty;
}
