// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket: a line of words, the answer, the end of the connection.
 * An answer begins with "ok" or "error" on a line of its own. Clients are
 * answered side by side, and never waited for.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "ports.h"
#include "show.h"
#include "show_queues.h"

#define LINE_MAX_LEN	1024
/* Of a client that does not ask, or does not read. */
#define PATIENCE_S	5
#define HELP	"show ports, show drops, show queues, show macs, each with --json for " \
		"programs; " \
		"add SPEC, del NAME, help"

/**
 * struct client - who asks
 * @fd: its socket; -1: nobody
 * @until: second when it is given up
 * @line: what it said so far
 * @have: bytes of that
 * @answer: what it is told, or NULL: it has not asked yet
 * @len: bytes of that
 * @done: bytes of these that were sent
 */
struct client {
	int fd;
	time_t until;
	char line[LINE_MAX_LEN];
	size_t have;
	char *answer;
	size_t len;
	size_t done;
};

static struct client clients[CTL_CLIENTS];
static int listener = -1;
static time_t deaf_until;

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

static int show(FILE *out, const char *what, bool is_json)
{
	if (!strcmp(what, "ports"))
		return show_ports(out, is_json);
	if (!strcmp(what, "drops"))
		return show_drops(out, is_json);
	if (!strcmp(what, "macs"))
		return show_macs(out, is_json);
	if (!strcmp(what, "queues"))
		return show_queues(out, is_json);
	return -EINVAL;
}

/* Return: 0, or an errno with @why; what is shown goes to @out. */
static int obey(char *const *word, unsigned int nr, bool is_json, FILE *out,
		char *why, size_t size)
{
	int err = -EINVAL;

	if (nr == 1 && !strcmp(word[0], "help")) {
		fputs(HELP "\n", out);
		return 0;
	}
	if (nr == 2 && !strcmp(word[0], "show")) {
		err = show(out, word[1], is_json);
	} else if (nr == 2 && !strcmp(word[0], "add")) {
		return ports_add(word[1], why, size);
	} else if (nr == 2 && !strcmp(word[0], "del")) {
		err = ports_remove(word[1]);
		if (err)
			snprintf(why, size, "%s: no such port: show ports",
				 word[1]);
		return err;
	}
	if (err)
		snprintf(why, size, "%s", err == -ENOMEM ? "out of memory" :
			 "not understood: " HELP);
	return err;
}

/* The answer to a line, to be freed. */
static void answer(struct client *client)
{
	char *save, *word[4] = {}, why[256] = "", *text = NULL;
	size_t len = 0;
	unsigned int nr = 0;
	bool is_json = false;
	FILE *out = open_memstream(&text, &len);
	FILE *all = open_memstream(&client->answer, &client->len);
	int err = -ENOMEM;

	for (char *w = strtok_r(client->line, "\n ", &save); w;
	     w = strtok_r(NULL, "\n ", &save)) {
		if (!strcmp(w, "--json"))
			is_json = true;
		else if (nr < 3)
			word[nr++] = w;
	}
	if (out && all)
		err = obey(word, nr, is_json, out, why, sizeof(why));
	if (out)
		fclose(out);
	if (all) {
		if (err)
			fprintf(all, "error\n%s\n", why);
		else
			fprintf(all, "ok\n%s", text);
		fclose(all);
	}
	free(text);
}

static void end(struct client *client)
{
	close(client->fd);
	free(client->answer);
	memset(client, 0, sizeof(*client));
	client->fd = -1;
}

/* Return: whether it asked. */
static bool hear(struct client *client)
{
	ssize_t len = recv(client->fd, client->line + client->have,
			   sizeof(client->line) - 1 - client->have, 0);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (len <= 0) {
		end(client);
		return false;
	}
	client->have += (size_t)len;
	client->line[client->have] = 0;
	return strchr(client->line, '\n') ||
	       client->have == sizeof(client->line) - 1;
}

static void tell(struct client *client)
{
	ssize_t len = client->answer ?
		send(client->fd, client->answer + client->done,
		     client->len - client->done, MSG_NOSIGNAL) : -1;

	if (client->answer && len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0)
		client->done += (size_t)len;
	if (len <= 0 || client->done == client->len)
		end(client);
}

static struct client *find_free(void)
{
	struct client *client = clients;

	while (client < clients + CTL_CLIENTS && client->fd >= 0)
		client++;
	return client < clients + CTL_CLIENTS ? client : NULL;
}

static void accept_one(void)
{
	struct client *client = find_free();
	int fd;

	if (!client)
		return;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		/* Without descriptors it stays readable. */
		deaf_until = now() + 1;
		return;
	}
	client->fd = fd;
	client->until = now() + PATIENCE_S;
}

/* Descriptors to poll, CTL_FDS at most. Return: how many. */
unsigned int ctl_fds(struct pollfd *fds)
{
	unsigned int i, nr = 0;

	for (i = 0; i < CTL_CLIENTS; i++)
		if (clients[i].fd >= 0)
			fds[nr++] = (struct pollfd){
				.fd = clients[i].fd,
				.events = clients[i].answer ? POLLOUT : POLLIN,
			};
	/* More clients wait for one of these. */
	if (nr < CTL_CLIENTS && now() >= deaf_until)
		fds[nr++] = (struct pollfd){ .fd = listener, .events = POLLIN };
	return nr;
}

static void serve(struct client *client)
{
	if (client->answer) {
		tell(client);
	} else if (hear(client)) {
		answer(client);
		tell(client);
	}
}

/* After poll() of ctl_fds(). */
void ctl_serve(const struct pollfd *fds, unsigned int nr)
{
	unsigned int i, k;

	for (i = 0; i < nr; i++) {
		if (!fds[i].revents)
			continue;
		if (fds[i].fd == listener)
			accept_one();
		for (k = 0; k < CTL_CLIENTS; k++)
			if (clients[k].fd == fds[i].fd)
				serve(&clients[k]);
	}
	for (k = 0; k < CTL_CLIENTS; k++)
		if (clients[k].fd >= 0 && now() > clients[k].until)
			end(&clients[k]);
}

static int fill(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

static int dial(const char *path)
{
	struct sockaddr_un address;
	int err = fill(&address, path), fd;

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* One that nobody listens on was left behind; other files are somebody's. */
static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) ? -errno : 0;
}

/*
 * Return: 0, -EADDRINUSE: a switch answers there, -EEXIST: it is no socket, or an
 * errno
 */
int ctl_open(const char *path)
{
	struct sockaddr_un address;
	int err = fill(&address, path), fd;
	mode_t old;
	unsigned int i;

	if (err)
		return err;
	fd = dial(path);
	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	err = fd == -ECONNREFUSED || fd == -ENOENT ? remove_stale(path) : fd;
	if (err)
		return err;
	for (i = 0; i < CTL_CLIENTS; i++)
		clients[i].fd = -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	old = umask(0077);
	err = bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	      listen(fd, 8) ? -errno : 0;
	umask(old);
	if (err) {
		close(fd);
		return err;
	}
	listener = fd;
	return 0;
}

void ctl_close(const char *path)
{
	unsigned int i;

	for (i = 0; i < CTL_CLIENTS; i++)
		if (clients[i].fd >= 0)
			end(&clients[i]);
	close(listener);
	unlink(path);
}

/* The client's half. If nobody answers at @path, @other is asked. Return: exit status. */
int ctl_ask(const char *path, const char *other, char *const *words)
{
	char status[16] = "", text[4096];
	int fd = dial(path), other_fd;
	size_t len;
	FILE *in;

	signal(SIGPIPE, SIG_IGN);

	if (other && (fd == -ENOENT || fd == -ECONNREFUSED)) {
		other_fd = dial(other);
		if (other_fd >= 0 || other_fd == -EACCES) {
			path = other;
			fd = other_fd;
		}
	}
	if (fd < 0) {
		fprintf(stderr, "vhx-switch: %s: %s: is a switch running, with this --ctl?\n",
			path, strerror(-fd));
		return 1;
	}
	for (; *words; words++)
		if (dprintf(fd, "%s%s", *words, words[1] ? " " : "\n") < 0)
			break;
	in = fdopen(fd, "r");
	if (!in || !fgets(status, sizeof(status), in)) {
		fprintf(stderr, "vhx-switch: no answer\n");
		return 1;
	}
	while ((len = fread(text, 1, sizeof(text), in)) > 0)
		fwrite(text, 1, len, strcmp(status, "ok\n") ? stderr : stdout);
	fclose(in);
	return !!strcmp(status, "ok\n");
}
