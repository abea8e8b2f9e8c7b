// SPDX-License-Identifier: GPL-2.0-only
/* Options of vhx-top, and what is printed once. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "column.h"
#include "json.h"
#include "prometheus.h"
#include "screen.h"
#include "tree.h"

#define SECONDS_MAX	3600

/**
 * struct options - what the command line asks for
 * @put: prints the devices once; NULL: as a list
 * @is_once: whether it prints once
 * @list: pace and order
 */
struct options {
	int (*put)(FILE *out, const struct watch *watch);
	bool is_once;
	struct screen_options list;
};

static const struct option known[] = {
	{ "once", no_argument, NULL, 'o' },
	{ "json", no_argument, NULL, 'j' },
	{ "prometheus", no_argument, NULL, 'p' },
	{ "delay", required_argument, NULL, 'd' },
	{ "sort", required_argument, NULL, 's' },
	{ "reverse", no_argument, NULL, 'r' },
	{ "filter", required_argument, NULL, 'f' },
	{ "root", required_argument, NULL, 'R' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ }
};

static const char usage[] =
	"usage: vhx-top [--once | --json | --prometheus] [-d SECONDS] [-s COLUMN]\n"
	"               [-r] [-f TEXT]\n"
	"Who uses vhost-net on this host, and what limits them.\n"
	"On a terminal it shows them again and again; h is for help there.\n"
	"  --once            print a list and end\n"
	"  --json            the same with all that is known, for programs\n"
	"  --prometheus      the same in Prometheus' text format\n"
	"  -d, --delay SECONDS  between two looks; 1\n"
	"  -s, --sort COLUMN    by the head of a column, such as CPU% or VERDICT\n"
	"  -r, --reverse        the other way round\n"
	"  -f, --filter TEXT    devices alone that have it in name, pid, tap or verdict\n"
	"  --root DIR        read DIR/proc and DIR/sys, recorded elsewhere\n"
	"vhx-top(8) has columns, keys and the rules of the verdicts.\n";

/* Return: the status to end with */
static int complain(const char *what, const char *val)
{
	fprintf(stderr, "vhx-top: %s: %s; vhx-top --help\n", what, val);
	return EX_USAGE;
}

static int set_seconds(struct options *options, const char *val)
{
	char *end;

	options->list.seconds = strtod(val, &end);
	if (*end || end == val || !(options->list.seconds >= 0.1) ||
	    options->list.seconds > SECONDS_MAX)
		return complain("--delay takes 0.1 to 3600 seconds", val);
	return 0;
}

static int set_column(struct options *options, const char *val)
{
	int column = column_find(val);

	if (column < 0)
		return complain("--sort takes the head of a column", val);
	options->list.column = (unsigned int)column;
	return 0;
}

static int set_format(struct options *options,
		      int (*put)(FILE *out, const struct watch *watch))
{
	if (options->put && options->put != put)
		return complain("there is one output", "--json or --prometheus");
	options->is_once = true;
	options->put = put;
	return 0;
}

/* Return: 0, a status to end with, or -1: end well */
static int set(struct options *options, int key)
{
	switch (key) {
	case 'o':
		options->is_once = true;
		return 0;
	case 'j':
		return set_format(options, json_put);
	case 'p':
		return set_format(options, prometheus_put);
	case 'd':
		return set_seconds(options, optarg);
	case 's':
		return set_column(options, optarg);
	case 'r':
		options->list.is_reverse = true;
		return 0;
	case 'f':
		options->list.filter = optarg;
		return 0;
	case 'R':
		tree_set_root(optarg);
		return 0;
	case 'h':
		fputs(usage, stdout);
		return -1;
	case 'V':
		puts("vhx-top " VERSION);
		return -1;
	default:
		fputs(usage, stderr);
		return EX_USAGE;
	}
}

static int parse(struct options *options, int argc, char **argv)
{
	int key, status = 0;

	while (!status && (key = getopt_long(argc, argv, "d:s:rf:hV", known, NULL)) >= 0)
		status = set(options, key);
	if (!status && optind < argc)
		return complain("is no option", argv[optind]);
	return status;
}

static void pause_for(double seconds)
{
	struct timespec left = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* Return: places of a line; 0: standard output is no terminal */
static int width(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

static int put_list(FILE *out, const struct watch *watch,
		    const struct options *options)
{
	const struct view **views = calloc(watch->nr + 1, sizeof(*views));
	char line[LINE_MAX_LEN];
	size_t i, nr = 0;

	if (!views)
		return -ENOMEM;
	for (i = 0; i < watch->nr; i++)
		views[nr++] = &watch->views[i];
	column_sort(views, nr, options->list.column, options->list.is_reverse);
	column_head(line, width());
	fprintf(out, "%s\n", line);
	for (i = 0; i < nr; i++) {
		column_line(line, views[i], width());
		fprintf(out, "%s\n", line);
	}
	free(views);
	return 0;
}

/* Those that are asked for alone. */
static void filter(struct watch *watch, const char *text)
{
	size_t i, nr = 0;

	for (i = 0; i < watch->nr; i++)
		if (column_match(&watch->views[i], text))
			watch->views[nr++] = watch->views[i];
	watch->nr = nr;
}

static int print_once(struct watch *watch, const struct options *options)
{
	int err = watch_look(watch);

	if (err)
		return err;
	pause_for(options->list.seconds);
	err = watch_look(watch);
	if (err)
		return err;
	filter(watch, options->list.filter);
	if (!watch->has_times)
		fputs("vhx-top: no schedstat: how long workers wait is not known\n",
		      stderr);
	if (watch->now.is_cut)
		fprintf(stderr, "vhx-top: a process has more than %d descriptors or workers: the rest is left out\n",
			OF_ONE_MAX);
	err = options->put ? options->put(stdout, watch) :
		put_list(stdout, watch, options);
	if (!err && (fflush(stdout) || ferror(stdout)))
		err = -EIO;
	return err;
}

int main(int argc, char **argv)
{
	struct options options = {
		.list = { .seconds = 1, .column = COLUMN_PID, .filter = "" },
	};
	struct watch watch = { 0 };
	int status, err;

	setlocale(LC_CTYPE, "");
	status = parse(&options, argc, argv);
	if (status)
		return status < 0 ? 0 : status;
	if (!options.is_once && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
		return complain("there is no terminal",
				"--once, --json or --prometheus");
	err = options.is_once ? print_once(&watch, &options) :
		screen_run(&watch, &options.list);
	watch_end(&watch);
	if (err == -ENOTTY)
		fprintf(stderr, "vhx-top: this terminal ($TERM) is not known; --once\n");
	else if (err)
		fprintf(stderr, "vhx-top: %s\n", strerror(-err));
	return !!err;
}
