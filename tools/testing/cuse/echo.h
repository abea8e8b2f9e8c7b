/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that sends back what its guest sends, in a process of its own. */
#ifndef CUSE_ECHO_H
#define CUSE_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct echo - the process
 * @pid: it
 * @said: a line for each thing that happens: "log TEXT", "new IFNAME FEATURES",
 *        "refused IFNAME FEATURES", "destroy IFNAME", "gone IFNAME", "ended STATUS"
 * @end: pipe whose end ends it
 * @node: path of its node
 * @text: what was read of @said
 * @len: bytes of it
 */
struct echo {
	pid_t pid;
	int said;
	int end[2];
	char node[64];
	char text[8192];
	size_t len;
};

int echo_start(struct echo *echo, const char *name, bool refuses);
int echo_stop(struct echo *echo);
int echo_hear(struct echo *echo, const char *what, int ms);
void echo_forget(struct echo *echo);

#endif /* CUSE_ECHO_H */
