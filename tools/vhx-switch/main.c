// SPDX-License-Identifier: GPL-2.0-only
/* vhx-switch: command line, signals, the main thread. */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ctl.h"
#include "plane.h"
#include "ports.h"
#include "service.h"

#define CTL_PATH	"/run/vhx-switch.ctl"
/* Of vhx-switch.service, whose user may make no file in /run. */
#define SERVICE_CTL_PATH	"/run/vhx-switch/ctl"
/* Options without a letter. */
#define LINK_LOCAL	256
#define THREADS		257
/* How often ports are looked after. */
#define LOOK_MS		1000

struct config config = { .age_s = 300, .threads = 1 };

static const char *ctl_path;
static const char *specs[PORTS_MAX];
static unsigned int nr_specs;
static bool is_verbose;
static char **ctl_words;

static const char doc[] =
	"A learning switch between guests and taps.\vSPEC is one of\n"
	"  vhost-user,path=SOCKET[,client][,queues=N][,mrg_rxbuf=off]\n"
	"      [,mode=0660][,group=NAME][,memory=any]\n"
	"  cuse,node=NAME[,mrg_rxbuf=off][,memory=any]\n"
	"  tap,ifname=NAME\n"
	"with any of\n"
	"  name=NAME      for the control socket; else the last part of the path,\n"
	"                 or the node or tap\n"
	"  vlan=N         frames have no tag here, and are of VLAN N\n"
	"  trunk=N:N...   frames of these VLANs have tags here\n"
	"  thread=N       the thread of its first queue pair, from 0; those of further\n"
	"                 pairs follow in turn. Else the one with the fewest ports\n"
	"\n"
	"mode= and group= are the rights of a socket (0700, and those of its user).\n"
	"memory=any takes guest memory that is no memfd, nor a file of tmpfs or\n"
	"hugetlbfs: a guest can make all others wait then.\n"
	"\n"
	"vhx-switch ctl asks a running switch: show ports, show drops, show queues,\n"
	"show macs (with --json for programs), add SPEC, del NAME.\n";

const char *argp_program_version = "vhx-switch " VERSION;

static const char args_doc[] = "[ctl WORD...]";

static const struct argp_option options[] = {
	{ "port", 'p', "SPEC", 0, "add a port; may be given often", 0 },
	{ "ctl", 'c', "PATH", 0, "control socket (" CTL_PATH ")", 0 },
	{ "offload", 'o', NULL, 0,
	  "frames may lack checksums or be longer than a segment; on all ports", 0 },
	{ "age", 'a', "SECONDS", 0,
	  "forget an address that was silent so long (300)", 0 },
	{ "link-local", LINK_LOCAL, NULL, 0,
	  "forward what is for the next bridge (STP, LLDP, 802.1X)", 0 },
	{ "threads", THREADS, "N", 0, "threads that move frames, 1 to 16 (1)", 0 },
	{ "verbose", 'v', NULL, 0, "say who comes and goes", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	int n;

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
		n = ports_number(arg, 1, 1000000);
		if (n < 0)
			argp_error(state, "--age=%s: seconds, from 1 to 1000000",
				   arg);
		config.age_s = (unsigned int)n;
		break;
	case LINK_LOCAL:
		config.has_link_local = true;
		break;
	case THREADS:
		n = ports_number(arg, 1, THREADS_MAX);
		if (n < 0)
			argp_error(state, "--threads=%s: from 1 to %d", arg,
				   THREADS_MAX);
		config.threads = (unsigned int)n;
		break;
	case 'v':
		is_verbose = true;
		break;
	case ARGP_KEY_ARG:
		if (strcmp(arg, "ctl"))
			return ARGP_ERR_UNKNOWN;
		ctl_words = state->argv + state->next;
		if (!*ctl_words)
			argp_error(state, "ctl: help says what there is");
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		if (!nr_specs && state->argc == 1)
			argp_error(state, "no port: --port tap,ifname=NAME, --port vhost-user,path=SOCKET; with --ctl PATH alone, ports come by 'ctl add'");
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
		service_say(level, "%s", message);
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
	/* There is nothing to read anew, and no terminal to lose. */
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int add_ports(void)
{
	char why[256] = "";
	unsigned int i;

	for (i = 0; i < nr_specs; i++)
		if (ports_add(specs[i], why, sizeof(why))) {
			service_say(VHX_LOG_ERR, "--port %s: %s", specs[i],
				    why);
			return 1;
		}
	return 0;
}

static void serve(int signals)
{
	struct pollfd pfd[1 + CTL_FDS] = { { .fd = signals, .events = POLLIN } };
	unsigned int nr, nr_ports = ports_count();

	service_ready(nr_ports);
	while (!pfd[0].revents) {
		nr = ctl_fds(pfd + 1);
		poll(pfd, nr + 1, LOOK_MS);
		ctl_serve(pfd + 1, nr);
		ports_look_after();
		if (nr_ports != ports_count()) {
			nr_ports = ports_count();
			service_ports(nr_ports);
		}
	}
	service_stopping();
}

/* Peers of all ports take descriptors. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(const char *path)
{
	int signals = make_signals(), err;

	service_open();
	raise_limit();
	err = ctl_open(path);
	if (err) {
		service_say(VHX_LOG_ERR, "--ctl %s: %s%s", path, strerror(-err),
			    err == -EADDRINUSE ?
			    ": another switch answers there; give this one another" :
			    err == -EEXIST ? ", and it is no socket" : "");
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
		service_say(VHX_LOG_ERR, "%s", strerror(-err));
		ctl_close(path);
		return 1;
	}
	err = add_ports();
	if (!err)
		serve(signals);
	ports_remove_all();
	vhx_session_destroy(config.session);
	plane_stop();
	ctl_close(path);
	return err;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, args_doc, doc, NULL, NULL, NULL
	};

	/* Words after ctl are the switch's, --json included. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	if (!ctl_words)
		return run(ctl_path ? ctl_path : CTL_PATH);
	return ctl_path ? ctl_ask(ctl_path, NULL, ctl_words) :
		ctl_ask(CTL_PATH, SERVICE_CTL_PATH, ctl_words);
}
