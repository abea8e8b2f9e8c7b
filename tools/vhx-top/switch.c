// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vhx-switch is asked by its control socket, which its command line names. It may
 * be stopped, or be no switch at all: it has its time, and no more than that.
 */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"
#include "text.h"
#include "tree.h"

#define CTL_PATH	"/run/vhx-switch.ctl"
#define CMDLINE_MAX	65536	/* bytes */
#define ANSWER_STEP	65536	/* bytes that an answer grows by */
#define ANSWER_MAX	(32U << 20)
#define PORTS_MAX	64U
#define PAIRS_MAX	8192U
#define NS_PER_MS	1000000

/* Return: CLOCK_MONOTONIC in ns */
uint64_t switch_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Return: what stands behind an option in its own word, or NULL */
static const char *behind(const char *word, const char *option)
{
	size_t len = strlen(option);

	return strncmp(word, option, len) ? NULL : word + len;
}

static bool takes_word(const char *word)
{
	return !strcmp(word, "--port") || !strcmp(word, "-p") ||
	       !strcmp(word, "--age") || !strcmp(word, "-a") ||
	       !strcmp(word, "--threads");
}

/**
 * switch_path - which control socket a command line names
 * @path: where to
 * @size: bytes there
 * @cmdline: words, each ended by 0, and a 0 behind them
 * @len: bytes of them
 *
 * Return: 0, or -ESRCH: it asks a switch, and is none
 */
int switch_path(char *path, size_t size, const char *cmdline, size_t len)
{
	const char *word = cmdline, *end = cmdline + len, *val;

	if (!len)
		return -ESRCH;
	snprintf(path, size, CTL_PATH);
	for (word += strlen(word) + 1; word < end; word += strlen(word) + 1) {
		if (!strcmp(word, "ctl"))
			return -ESRCH;
		val = behind(word, "--ctl=");
		if (!val && strcmp(word, "-c"))
			val = behind(word, "-c");
		if (val)
			snprintf(path, size, "%s", val);
		if (!strcmp(word, "--ctl") || !strcmp(word, "-c")) {
			word += strlen(word) + 1;
			if (word < end)
				snprintf(path, size, "%s", word);
		} else if (takes_word(word)) {
			word += strlen(word) + 1;
		}
		if (word >= end)
			break;
	}
	return 0;
}

/* As the switch sees it, in its own tree. Return: a descriptor, or -errno */
static int find_socket(int pid)
{
	char cmdline[CMDLINE_MAX], path[PATH_MAX];
	ssize_t len = tree_read(cmdline, sizeof(cmdline), "/proc/%d/cmdline", pid);
	int err = len < 0 ? -ESRCH :
		switch_path(path, sizeof(path), cmdline, (size_t)len);

	if (err)
		return err;
	return tree_path(*path == '/' ? "/proc/%d/root%s" : "/proc/%d/cwd/%s",
			 pid, path);
}

/* The path may be longer than an address: the descriptor's name is not. */
static int dial(int at)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", at);
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	/* Too many wait for an answer. */
	err = errno == EAGAIN ? -ETIMEDOUT : -errno;
	close(fd);
	return err;
}

/* A process may be named like one, and show us the way to somebody else's socket. */
static bool is_of(int fd, int pid)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	return !tree_is_live() ||
	       (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) &&
		cred.pid == pid);
}

static int wait_for(int fd, uint64_t until)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t now = switch_now();

	if (now < until &&
	    poll(&pfd, 1, (int)((until - now) / NS_PER_MS + 1)) >= 0)
		return pfd.revents ? 0 : -ETIMEDOUT;
	return now < until && errno != EINTR ? -errno : -ETIMEDOUT;
}

/* Return: the answer to its end, to be freed, or NULL with errno */
static char *hear(int fd, uint64_t until)
{
	char *text = NULL, *grown;
	size_t len = 0, room = 0;
	ssize_t got;
	int err;

	do {
		if (room - len < 2) {
			room += ANSWER_STEP;
			grown = room > ANSWER_MAX ? NULL : realloc(text, room);
			if (!grown) {
				free(text);
				errno = ENOMEM;
				return NULL;
			}
			text = grown;
		}
		err = wait_for(fd, until);
		got = err ? -1 : recv(fd, text + len, room - len - 1, 0);
		if (err || (got < 0 && errno != EAGAIN && errno != EINTR)) {
			errno = err ? -err : errno;
			free(text);
			return NULL;
		}
		len += got > 0 ? (size_t)got : 0;
	} while (got);
	text[len] = 0;
	return text;
}

/* Return: 0, or -errno; the answer is to be freed then, too */
static int ask(int at, int pid, const char *words, uint64_t until, char **answer)
{
	int fd = dial(at), err = 0;
	size_t len = strlen(words);

	*answer = NULL;
	if (fd < 0)
		return fd;
	if (!is_of(fd, pid))
		err = -ECONNREFUSED;
	else if (send(fd, words, len, MSG_NOSIGNAL) != (ssize_t)len)
		err = -ETIMEDOUT;
	if (!err) {
		*answer = hear(fd, until);
		err = *answer ? 0 : -errno;
	}
	close(fd);
	return err;
}

/* Return: the pair of that port, a new one where it is not the last */
static struct pair *pair_of(struct pairs *pairs, const char *port,
			    unsigned int number)
{
	struct pair *pair = pairs->nr ? &pairs->list[pairs->nr - 1] : NULL;
	size_t nr = pairs->nr;
	char name[sizeof(pair->port)];

	text_clean(name, sizeof(name), port);
	if (pair && pair->number == number && !strcmp(pair->port, name))
		return pair;
	if (nr == PAIRS_MAX)
		return NULL;
	if (!(nr & (nr - 1))) {
		pair = realloc(pairs->list, (nr ? 2 * nr : 1) * sizeof(*pair));
		if (!pair)
			return NULL;
		pairs->list = pair;
	}
	pair = &pairs->list[pairs->nr++];
	memset(pair, 0, sizeof(*pair));
	fdinfo_parse(&pair->info, "");
	memcpy(pair->port, name, sizeof(name));
	pair->number = number;
	return pair;
}

/* Return: "" where there is none */
static const char *text_of(struct json_object *from, const char *key)
{
	struct json_object *val = NULL;

	if (!json_object_object_get_ex(from, key, &val) ||
	    !json_object_is_type(val, json_type_string))
		return "";
	return json_object_get_string(val);
}

static uint64_t number_of(struct json_object *from, const char *key)
{
	struct json_object *val = NULL;

	return json_object_object_get_ex(from, key, &val) ?
		json_object_get_uint64(val) : 0;
}

static void parse_queue(struct pairs *pairs, struct json_object *queue)
{
	const char *name = text_of(queue, "ring");
	unsigned int ring = *name == 't' ? RING_TX : RING_RX, number;
	struct pair *pair;
	char end;

	if (strncmp(name, ring_names[ring], 2) ||
	    sscanf(name + 2, "%u%c", &number, &end) != 1 || number >= PAIRS_MAX)
		return;
	pair = pair_of(pairs, text_of(queue, "port"), number);
	if (!pair)
		return;
	json_object_object_foreach(queue, key, val) {
		if (json_object_is_type(val, json_type_int) ||
		    json_object_is_type(val, json_type_string))
			fdinfo_parse_ring(&pair->info.ring[ring], key,
					  json_object_get_string(val));
	}
	strcpy(pair->info.ring[ring].backend, "switch");
	pair->info.ring[ring].queue = (int)number;
}

/* Return: the array of objects that stands behind "ok", or NULL */
static struct json_object *parse_answer(const char *text)
{
	const char *rest = behind(text, "ok\n");
	struct json_object *list = rest ? json_tokener_parse(rest) : NULL;

	if (list && json_object_is_type(list, json_type_array))
		return list;
	json_object_put(list);
	return NULL;
}

/**
 * switch_parse_queues - what it says of its queues
 * @pairs: zeroed; is filled, and to be freed in any case
 * @text: the answer to "show queues --json"
 *
 * Return: 0, -EPROTO: that is no answer to it
 */
int switch_parse_queues(struct pairs *pairs, const char *text)
{
	struct json_object *list = parse_answer(text);
	size_t i;

	if (!list)
		return -EPROTO;
	for (i = 0; i < json_object_array_length(list); i++)
		parse_queue(pairs, json_object_array_get_idx(list, i));
	json_object_put(list);
	return 0;
}

/* Of a port, rx is what came from it. */
static void parse_port(struct pairs *pairs, struct json_object *port)
{
	struct pair *pair;
	char name[sizeof(pair->port)];

	text_clean(name, sizeof(name), text_of(port, "name"));
	for (pair = pairs->list; pair < pairs->list + pairs->nr; pair++) {
		if (strcmp(pair->port, name))
			continue;
		text_clean(pair->path, sizeof(pair->path), text_of(port, "path"));
		if (pair->number)
			continue;
		pair->net = (struct netdev){
			.is_known = true,
			.rx_frames = number_of(port, "rx"),
			.rx_bytes = number_of(port, "rx_bytes"),
			.rx_drops = number_of(port, "drop_vlan") +
				number_of(port, "drop_reserved") +
				number_of(port, "drop_bad"),
			.tx_frames = number_of(port, "tx"),
			.tx_bytes = number_of(port, "tx_bytes"),
			.tx_drops = number_of(port, "drop_full"),
		};
	}
}

/**
 * switch_parse_ports - what it says of the ports that have these queues
 * @pairs: as switch_parse_queues() filled them
 * @text: the answer to "show ports --json"
 *
 * Return: 0, -EPROTO: that is no answer to it
 */
int switch_parse_ports(struct pairs *pairs, const char *text)
{
	struct json_object *list = parse_answer(text);
	size_t i;

	if (!list)
		return -EPROTO;
	for (i = 0; i < json_object_array_length(list) && i < PORTS_MAX; i++)
		parse_port(pairs, json_object_array_get_idx(list, i));
	json_object_put(list);
	return 0;
}

/**
 * switch_read - ask a switch
 * @pairs: is filled; to be freed in any case
 * @pid: a process of its name
 * @until: when it has to have answered, by switch_now()
 *
 * Return: 0, -ESRCH: it is no switch, -EACCES: it is not ours to ask, -ETIMEDOUT,
 * -EPROTO: it says something else, or another errno: nobody is on its socket
 */
int switch_read(struct pairs *pairs, int pid, uint64_t until)
{
	int at = find_socket(pid), err;
	char *text = NULL;

	memset(pairs, 0, sizeof(*pairs));
	if (at < 0)
		return at;
	err = ask(at, pid, "show queues --json\n", until, &text);
	if (!err)
		err = switch_parse_queues(pairs, text);
	free(text);
	text = NULL;
	if (!err)
		err = ask(at, pid, "show ports --json\n", until, &text);
	if (!err)
		err = switch_parse_ports(pairs, text);
	free(text);
	close(at);
	return err;
}

/* Let go of what switch_read() found. */
void switch_free(struct pairs *pairs)
{
	free(pairs->list);
	memset(pairs, 0, sizeof(*pairs));
}
