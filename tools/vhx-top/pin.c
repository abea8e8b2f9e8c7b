// SPDX-License-Identifier: GPL-2.0-only
/* vhx-pin: where workers run, now and by rules. */
#include <argp.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "place.h"
#include "follow.h"

#define RULES_PATH	"/etc/vhx/placement.conf"

/* Options without a letter; those of a rule have their place in rule_words[]. */
enum { OPT_RULE = 256, OPT_RULES = 512 };

enum action { ACT_PIN, ACT_LIST, ACT_APPLY, ACT_WATCH };

static const char *const rule_words[] = {
	"vm", "tap", "ring", "cpus", "nice", "fifo", "other", "cgroup", "user"
};

static struct rule rule;
static enum action action;
static bool has_action;
static const char *rules_path = RULES_PATH;

const char *argp_program_version = "vhx-pin " VERSION;

static const char doc[] =
	"Say on which CPUs, when and in which control group workers of vhost-net run.\vWithout an action, workers that run are placed at once. Names may be patterns,\n"
	"as of files; without --vm, --tap, --user and --ring all workers are meant.\n"
	"\n"
	"A line of the rules has the same words as options, without the dashes:\n"
	"  tap=vnet* cpus=2-3 nice=-5\n"
	"The first line that is for a worker holds. vhx-pin(8) has more.\n";

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Which workers:", 1 },
	{ "vm", OPT_RULE, "NAME", 0, "of this virtual machine", 1 },
	{ "tap", OPT_RULE + 1, "IFNAME", 0, "that serve this interface", 1 },
	{ "user", OPT_RULE + 8, "NAME", 0, "of this user, or user number", 1 },
	{ "ring", OPT_RULE + 2, "rx|tx", 0,
	  "that serve receive or transmit rings of guests", 1 },
	{ NULL, 0, NULL, 0, "Where they are to be:", 2 },
	{ "cpus", OPT_RULE + 3, "LIST", 0, "on these CPUs: 0-3,7", 2 },
	{ "nice", OPT_RULE + 4, "N", 0,
	  "in the normal class, with this nice value, -20 to 19", 2 },
	{ "fifo", OPT_RULE + 5, "PRIO", 0,
	  "in real time (SCHED_FIFO), with this priority, 1 to 99", 2 },
	{ "other", OPT_RULE + 6, NULL, 0, "in the normal class", 2 },
	{ "cgroup", OPT_RULE + 7, "PATH", 0,
	  "in this control group: from / on, else as seen from that of the VM", 2 },
	{ NULL, 0, NULL, 0, "Actions:", 3 },
	{ "list", 'l', NULL, 0, "show where workers are, and which rule is for them",
	  3 },
	{ "apply", 'a', NULL, 0, "apply the rules to all workers that run", 3 },
	{ "watch", 'w', NULL, 0,
	  "apply the rules to workers that run and to each that starts; stays", 3 },
	{ "rules", OPT_RULES, "FILE", 0, "rules (" RULES_PATH ")", 3 },
	{ 0 }
};

static void set_action(enum action wanted, struct argp_state *state)
{
	if (has_action && action != wanted)
		argp_error(state, "one of --list, --apply and --watch");
	has_action = true;
	action = wanted;
}

/* Lists take which workers, rules have all in their lines. */
static void check(struct argp_state *state)
{
	bool selects = *rule.vm || *rule.tap || rule.has_user || rule.rings;

	if (!has_action && !rule_places(&rule))
		argp_error(state, "nothing to do: --cpus, --nice, --fifo, --other or --cgroup; or --list, --apply, --watch");
	if (has_action && rule_places(&rule))
		argp_error(state, "--cpus and the like do not go with --list, --apply and --watch: those have it of the rules");
	if (has_action && action != ACT_LIST && selects)
		argp_error(state, "--vm, --tap, --user and --ring do not go with --apply and --watch: the rules say it");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char why[512];

	switch (key) {
	case OPT_RULE ... OPT_RULE + 8:
		if (rule_set(&rule, rule_words[key - OPT_RULE], arg, why,
			     sizeof(why)))
			argp_error(state, "--%s", why);
		break;
	case 'l':
		set_action(ACT_LIST, state);
		break;
	case 'a':
		set_action(ACT_APPLY, state);
		break;
	case 'w':
		set_action(ACT_WATCH, state);
		break;
	case OPT_RULES:
		rules_path = arg;
		break;
	case ARGP_KEY_END:
		check(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Those of other users are hidden, but for their names. */
static const char *hint(void)
{
	return geteuid() ? " that you may see: run it as root" : "";
}

static void print_taps(const struct worker *worker, char *text, size_t size)
{
	size_t len = 0;

	snprintf(text, size, "-");
	for (size_t i = 0; i < worker->nr_taps && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					i ? "," : "", worker->tap[i]);
}

static void print_user(uid_t uid, char *text, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(text, size, "%s", user->pw_name);
	else
		snprintf(text, size, "%u", uid);
}

static void print_worker(const struct worker *worker, const struct rule *by)
{
	static const char *const rings[] = { "-", "rx", "tx", "rx,tx" };
	struct placement placement;
	char taps[64], user[33], cpus[64], line[16] = "-";

	if (place_read(worker, &placement))
		return;
	print_taps(worker, taps, sizeof(taps));
	print_user(worker->user, user, sizeof(user));
	cpus_print(&placement.cpus, cpus, sizeof(cpus));
	if (by)
		snprintf(line, sizeof(line), "%u", by->line);
	printf("%-16s %-15s %-5s %-12s %7d %7d %-7s %-11s %-8s %4s %s\n",
	       worker->vm, taps, rings[worker->rings], user, worker->pid, worker->tid,
	       worker->is_kthread ? "kthread" : "task", cpus, placement.class, line,
	       placement.cgroup);
}

/* Of the rules. Return: the status to end with */
static int complain(int err)
{
	fprintf(stderr, "vhx-pin: %s: %s\n", rules_path, strerror(-err));
	return err == -EINVAL ? EX_CONFIG : 1;
}

/* Rules, if there are any. */
static int list(const struct workers *workers)
{
	struct rules rules = { 0 };
	int err = rules_read(&rules, rules_path);

	if (err && (err != -ENOENT || strcmp(rules_path, RULES_PATH)))
		return complain(err);
	printf("%-16s %-15s %-5s %-12s %7s %7s %-7s %-11s %-8s %4s %s\n", "VM", "TAP",
	       "RING", "USER", "PID", "TID", "KIND", "CPUS", "CLASS", "RULE", "CGROUP");
	for (size_t i = 0; i < workers->nr; i++)
		if (rule_selects(&rule, &workers->at[i]))
			print_worker(&workers->at[i],
				     rules_find(&rules, &workers->at[i]));
	rules_free(&rules);
	return 0;
}

/* Return: whether it failed. One that has ended meanwhile is none to complain of. */
static int place_one(const struct worker *worker, const struct rule *by)
{
	char why[1024];
	int err = place_worker(worker, by, why, sizeof(why));

	if (!err || err == -ESRCH)
		return 0;
	fprintf(stderr, "vhx-pin: ");
	if (by->line)
		fprintf(stderr, "%s:%u: ", rules_path, by->line);
	fprintf(stderr, "VM %s, worker %d: %s\n", worker->vm, worker->tid, why);
	return 1;
}

/* Whether a tap is one of several that a worker may serve. */
static bool may_serve(const struct worker *worker)
{
	struct worker one = *worker;

	one.nr_taps = 1;
	for (size_t i = 0; i < worker->nr_taps; i++) {
		memcpy(one.tap[0], worker->tap[i], IF_NAMESIZE);
		if (rule_selects(&rule, &one))
			return true;
	}
	return false;
}

static int pin_now(const struct workers *workers)
{
	unsigned int nr = 0, nr_unsure = 0;
	int failed = 0;

	for (size_t i = 0; i < workers->nr; i++) {
		if (rule_selects(&rule, &workers->at[i])) {
			nr++;
			failed |= place_one(&workers->at[i], &rule);
		} else {
			nr_unsure += may_serve(&workers->at[i]);
		}
	}
	if (nr_unsure) {
		fprintf(stderr, "vhx-pin: which worker of its VM serves %s is not known (with in-tree vhost_net never, with vhx_net once the guest's driver runs): take --vm, or a pattern of all taps of the VM\n",
			rule.tap);
		return 1;
	}
	if (nr)
		return failed;
	fprintf(stderr, "vhx-pin: no such worker%s; vhx-pin --list shows all\n",
		hint());
	return 1;
}

static int apply(const struct workers *workers)
{
	struct rules rules = { 0 };
	int failed = 0, err = rules_read(&rules, rules_path);

	if (err)
		return complain(err);
	for (size_t i = 0; i < workers->nr; i++) {
		const struct rule *by = rules_find(&rules, &workers->at[i]);

		if (by)
			failed |= place_one(&workers->at[i], by);
	}
	rules_free(&rules);
	return failed;
}

static int once(void)
{
	struct workers workers = { 0 };
	int err = workers_read(&workers);

	if (err) {
		fprintf(stderr, "vhx-pin: /proc: %s\n", strerror(-err));
		err = 1;
	} else {
		if (workers.is_cut)
			workers_tell_cut();
		err = action == ACT_LIST ? list(&workers) :
		      action == ACT_APPLY ? apply(&workers) : pin_now(&workers);
	}
	workers_free(&workers);
	return err;
}

static int stay(void)
{
	int err = follow(rules_path);

	return err ? complain(err) : 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL, doc, NULL, NULL, NULL
	};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	status = action == ACT_WATCH ? stay() : once();
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "vhx-pin: standard output: %s\n", strerror(errno));
		status = status ? status : 1;
	}
	return status;
}
