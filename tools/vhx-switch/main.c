// SPDX-License-Identifier: GPL-2.0-only
/* vhx-switch: command line, signals, the main thread. */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "switch.h"

#define CTL_PATH	"/run/vhx-switch.ctl"

struct config config = { .age_s = 300 };

static const char *ctl_path = CTL_PATH;
static const char *specs[PORTS_MAX];
static unsigned int nr_specs;
static bool is_verbose;
static char **ctl_words;

static const char doc[] =
	"A learning switch between guests and taps.\vSPEC is one of\n"
	"  vhost-user,path=SOCKET[,client][,queues=N][,mrg_rxbuf=off]\n"
	"  cuse,node=NAME[,mrg_rxbuf=off]\n"
	"  tap,ifname=NAME\n"
	"with any of\n"
	"  name=NAME      for the control socket; else the last part of the path,\n"
	"                 or the node or tap\n"
	"  vlan=N         frames have no tag here, and are of VLAN N\n"
	"  trunk=N:N...   frames of these VLANs have tags here\n"
	"\n"
	"vhx-switch ctl asks a running switch: show ports, show macs (with --json\n"
	"for programs), add SPEC, del NAME.\n";

static const char args_doc[] = "[ctl WORD...]";

static const struct argp_option options[] = {
	{ "port", 'p', "SPEC", 0, "add a port; may be given often", 0 },
	{ "ctl", 'c', "PATH", 0, "control socket (" CTL_PATH ")", 0 },
	{ "offload", 'o', NULL, 0,
	  "frames may lack checksums or be longer than a segment; on all ports", 0 },
	{ "age", 'a', "SECONDS", 0,
	  "forget an address that was silent so long (300)", 0 },
	{ "verbose", 'v', NULL, 0, "say who comes and goes", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'p':
		if (nr_specs == PORTS_MAX)
			argp_error(state, "more than %d ports", PORTS_MAX);
		specs[nr_specs++] = arg;
		break;
	case 'c':
		ctl_path = arg;
		break;
	case 'o':
		config.has_offload = true;
		break;
	case 'a':
		config.age_s = (unsigned int)atoi(arg);
		if (!config.age_s)
			argp_error(state, "--age=%s: at least 1", arg);
		break;
	case 'v':
		is_verbose = true;
		break;
	case ARGP_KEY_ARG:
		if (strcmp(arg, "ctl"))
			return ARGP_ERR_UNKNOWN;
		ctl_words = state->argv + state->next;
		if (!*ctl_words)
			argp_error(state, "ctl: show ports, show macs, add SPEC, del NAME");
		state->next = state->argc;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void log_line(enum vhx_log_level level, const char *message, void *arg)
{
	(void)arg;
	if (level <= VHX_LOG_WARN || is_verbose)
		fprintf(stderr, "vhx-switch: %s\n", message);
}

/* A guest that cuts off its memory is disconnected; else it is a fault of ours. */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (vhx_sigbus(info))
		return;
	signal(sig, SIG_DFL);
	raise(sig);
}

static int make_signals(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};
	sigset_t set;

	sigaction(SIGBUS, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int add_ports(void)
{
	char why[256];
	unsigned int i;

	for (i = 0; i < nr_specs; i++)
		if (port_add(specs[i], why, sizeof(why))) {
			fprintf(stderr, "vhx-switch: --port %s: %s\n", specs[i],
				why);
			return 1;
		}
	return 0;
}

static void serve(int signals, int listener)
{
	struct pollfd pfd[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = listener, .events = POLLIN },
	};

	while (!pfd[0].revents)
		if (poll(pfd, 2, -1) > 0 && pfd[1].revents)
			ctl_answer(listener);
}

static int run(void)
{
	int signals = make_signals(), listener, err;
	unsigned int i;

	listener = ctl_open(ctl_path);
	if (listener < 0) {
		fprintf(stderr, "vhx-switch: --ctl %s: %s%s\n", ctl_path,
			strerror(-listener), listener == -EADDRINUSE ?
			": another switch answers there; give this one another" : "");
		return 1;
	}
	err = vhx_session_create(&config.session);
	if (!err)
		vhx_session_set_log(config.session, log_line, NULL);
	if (!err)
		err = plane_start();
	if (!err)
		err = vhx_session_start(config.session);
	if (err) {
		fprintf(stderr, "vhx-switch: %s\n", strerror(-err));
		ctl_close(listener, ctl_path);
		return 1;
	}
	err = add_ports();
	if (!err)
		serve(signals, listener);
	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i])
			port_remove(ports[i]->name);
	vhx_session_destroy(config.session);
	plane_stop();
	ctl_close(listener, ctl_path);
	return err;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, args_doc, doc, NULL, NULL, NULL
	};

	/* Words after ctl are the switch's, --json included. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	return ctl_words ? ctl_ask(ctl_path, ctl_words) : run();
}
