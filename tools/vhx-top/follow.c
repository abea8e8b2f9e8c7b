// SPDX-License-Identifier: GPL-2.0-only
/*
 * How new VMs are seen: inotify tells of each open of a node. A worker is there
 * some moments later, when its owner has set itself up, and the interface of it
 * later again, so for a while all is looked at often. And now and then anyway: a
 * ring may be moved to another worker, and a container may have a node of its own.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "place.h"
#include "follow.h"

#define STOCK_NODE	"/dev/vhost-net"
#define OUR_NODE	"/sys/module/vhx_net/parameters/node"
/* After an open: for so long, so often. Else: so often. */
#define BUSY_MS		15000
#define LOOK_MS		1000
#define IDLE_MS		30000

/**
 * struct placed - a worker that a rule was applied to
 * @tid: its number
 * @start: when it was started
 * @line: of the rule
 */
struct placed {
	int tid;
	uint64_t start;
	unsigned int line;
};

/**
 * struct follower - what it knows
 * @path: of the rules
 * @rules: they
 * @workers: those of the last look
 * @was_cut: some were left out then
 * @placed: those that are where a rule says, or cannot be
 * @nr_placed: how many
 * @inotify: tells of opens
 * @busy_until: looks are often until then, in ms
 */
struct follower {
	const char *path;
	struct rules rules;
	struct workers workers;
	bool was_cut;
	struct placed *placed;
	size_t nr_placed;
	int inotify;
	int64_t busy_until;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool is_placed(const struct follower *follower, const struct worker *worker,
		      const struct rule *rule)
{
	for (size_t i = 0; i < follower->nr_placed; i++) {
		const struct placed *placed = &follower->placed[i];

		if (placed->tid == worker->tid && placed->start == worker->start)
			return placed->line == rule->line;
	}
	return false;
}

/*
 * Each worker is placed once by a rule, so that what is done to it later by hand
 * or by libvirt stays; and what cannot be is said once.
 */
static int look(struct follower *follower)
{
	size_t nr = 0;
	struct placed *list;
	char why[1024];
	int err;

	workers_free(&follower->workers);
	err = workers_read(&follower->workers);
	if (err)
		return err;
	if (follower->workers.is_cut && !follower->was_cut)
		workers_tell_cut();
	follower->was_cut = follower->workers.is_cut;
	list = calloc(follower->workers.nr + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < follower->workers.nr; i++) {
		const struct worker *worker = &follower->workers.at[i];
		const struct rule *rule = rules_find(&follower->rules, worker);

		if (!rule)
			continue;
		err = is_placed(follower, worker, rule) ? 0 :
		      place_worker(worker, rule, why, sizeof(why));
		if (err == -ESRCH)
			continue;
		if (err)
			fprintf(stderr, "vhx-pin: %s:%u: VM %s, worker %d: %s\n",
				follower->path, rule->line, worker->vm, worker->tid,
				why);
		list[nr++] = (struct placed){ worker->tid, worker->start,
					      rule->line };
	}
	free(follower->placed);
	follower->placed = list;
	follower->nr_placed = nr;
	return 0;
}

/* Nodes come and go with modules; one that is watched already stays so. */
static void watch_nodes(struct follower *follower)
{
	char path[128] = "/dev/";
	FILE *file = fopen(OUR_NODE, "re");

	inotify_add_watch(follower->inotify, "/dev", IN_CREATE);
	inotify_add_watch(follower->inotify, STOCK_NODE, IN_OPEN);
	if (!file)
		return;
	if (fscanf(file, "%100s", path + strlen(path)) == 1)
		inotify_add_watch(follower->inotify, path, IN_OPEN);
	fclose(file);
}

/* Whether a node was opened, or something made in /dev. */
static bool drain(int inotify)
{
	char events[4096];
	bool is_any = false;

	while (read(inotify, events, sizeof(events)) > 0)
		is_any = true;
	return is_any;
}

static void read_again(struct follower *follower)
{
	int err = rules_read(&follower->rules, follower->path);

	if (err) {
		fprintf(stderr, "vhx-pin: %s: %s: the rules stay as they were\n",
			follower->path, strerror(-err));
		return;
	}
	follower->nr_placed = 0;
}

static int make_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Return: 0 (asked to end), -errno. */
static int serve(struct follower *follower, int signals)
{
	struct pollfd pfd[] = { { .fd = signals, .events = POLLIN },
				{ .fd = follower->inotify, .events = POLLIN } };
	struct signalfd_siginfo info;

	for (;;) {
		int err;

		watch_nodes(follower);
		err = look(follower);
		if (err)
			return err;
		/* Opens in the next moments make no look each. */
		if (now_ms() < follower->busy_until)
			poll(pfd, 1, LOOK_MS);
		else
			poll(pfd, 2, IDLE_MS);
		if (drain(follower->inotify))
			follower->busy_until = now_ms() + BUSY_MS;
		if (!(pfd[0].revents & POLLIN))
			continue;
		if (read(signals, &info, sizeof(info)) != sizeof(info))
			return -EIO;
		if (info.ssi_signo != SIGHUP)
			return 0;
		read_again(follower);
	}
}

/**
 * follow - place workers by rules as they start, until SIGINT or SIGTERM
 * @path: of the rules; read again at SIGHUP
 *
 * Return: 0, -EINVAL (a rule is wrong, as said on stderr), -errno
 */
int follow(const char *path)
{
	struct follower follower = { .path = path };
	int signals, err = rules_read(&follower.rules, path);

	if (err)
		return err;
	signals = make_signals();
	follower.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	err = signals < 0 || follower.inotify < 0 ? -errno :
	      serve(&follower, signals);
	close(signals);
	close(follower.inotify);
	free(follower.placed);
	workers_free(&follower.workers);
	rules_free(&follower.rules);
	return err;
}
