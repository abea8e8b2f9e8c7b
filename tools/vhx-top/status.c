// SPDX-License-Identifier: GPL-2.0-only
/* vhx-status: who serves vhost-net on this host, and why. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "report.h"
#include "tree.h"

typedef int (*report_fn)(const struct host *host, const struct answer *answer);

static const struct option known[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "check", no_argument, NULL, 'c' },
	{ "root", required_argument, NULL, 'R' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ }
};

static const char usage[] =
	"usage: vhx-status [--json | --check]\n"
	"Who serves /dev/vhost-net on this host, and why it is not vhx_net.\n"
	"  --json       all that is known, for programs\n"
	"  --check      what is wrong, in few lines; nothing is where vhx is not installed\n"
	"  --root DIR   read DIR/proc, DIR/sys and so on, recorded elsewhere\n"
	"First line: vhx, ready, beside, in-tree, other, nobody or unknown.\n"
	"Exit status: 0 vhx_net serves or will, 1 another does, 2 nobody can, 3 not known.\n"
	"vhx-status(8) explains them.\n";

/* Return: the status to end with */
static int complain(const char *what, const char *val)
{
	fprintf(stderr, "vhx-status: %s: %s; vhx-status --help\n", what, val);
	return EX_USAGE;
}

/* Return: 0, a status to end with, or -1: end well */
static int set(report_fn *report, int key)
{
	report_fn wanted = key == 'j' ? report_json : report_check;

	switch (key) {
	case 'j':
	case 'c':
		if (*report != report_put && *report != wanted)
			return complain("there is one output", "--json or --check");
		*report = wanted;
		return 0;
	case 'R':
		tree_set_root(optarg);
		return 0;
	case 'h':
		fputs(usage, stdout);
		return -1;
	case 'V':
		puts("vhx-status " VERSION);
		return -1;
	default:
		fputs(usage, stderr);
		return EX_USAGE;
	}
}

static int parse(report_fn *report, int argc, char **argv)
{
	int key, status = 0;

	while (!status && (key = getopt_long(argc, argv, "hV", known, NULL)) >= 0)
		status = set(report, key);
	if (!status && optind < argc)
		return complain("is no option", argv[optind]);
	return status;
}

static int look(report_fn report)
{
	static struct host host;
	static struct answer answer;
	int err = host_read(&host);

	if (!err) {
		judge_host(&answer, &host);
		/* Nothing is to be checked where nothing is installed. */
		if (report == report_check && !host_is_present(&host))
			answer.status = STATUS_OK;
		err = report(&host, &answer);
	}
	host_free(&host);
	if (err) {
		fprintf(stderr, "vhx-status: %s\n", strerror(-err));
		return STATUS_UNKNOWN;
	}
	return answer.status;
}

int main(int argc, char **argv)
{
	report_fn report = report_put;
	int status = parse(&report, argc, argv);

	/* Of a parent that ignores it: nobody could wait for modinfo. */
	signal(SIGCHLD, SIG_DFL);
	if (!status)
		status = look(report);
	else if (status < 0)
		status = 0;
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "vhx-status: standard output: %s\n", strerror(errno));
		return STATUS_UNKNOWN;
	}
	return status;
}
