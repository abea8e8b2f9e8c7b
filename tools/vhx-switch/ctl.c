// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket: a line of words, the answer, the end of the connection.
 * An answer begins with "ok" or "error" on a line of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "switch.h"

#define LINE_MAX_LEN	1024
/* A client that does not ask or listen is not waited for. */
#define PATIENCE_S	2

struct answer {
	FILE *out;
	bool is_json;
	bool is_first;
};

/* Names come from the command line: nothing but quotes can be wrong in them. */
static void put_json(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < ' ' ? '?' : *text, out);
	}
	fputc('"', out);
}

static void show_guest(const struct port *port, FILE *out)
{
	struct vhx_queue_stats stats, sum = {};
	unsigned int queue;

	for (queue = 0; vhx_queue_get_stats(port->dev, queue, &stats, sizeof(stats)) == 0;
	     queue++) {
		sum.calls += stats.calls;
		sum.errors += stats.errors;
		sum.drop_size += stats.drop_size + stats.drop_format +
				 stats.drop_room + stats.drop_offload +
				 stats.drop_disabled;
	}
	fprintf(out, ", \"calls\": %llu, \"errors\": %llu, \"drop_bad\": %llu",
		(unsigned long long)sum.calls, (unsigned long long)sum.errors,
		(unsigned long long)sum.drop_size);
}

static void show_port(struct answer *answer, const struct port *port)
{
	const struct port_stats *s = &port->stats;
	FILE *out = answer->out;

	if (!answer->is_json) {
		fprintf(out, "%-16s %-10s %-4s %5u %10llu %10llu %10llu %10llu %8llu %8llu %8llu\n",
			port->name, port->ops->kind, port->is_up ? "up" : "down",
			port->vlan, (unsigned long long)s->rx,
			(unsigned long long)s->rx_bytes,
			(unsigned long long)s->tx,
			(unsigned long long)s->tx_bytes,
			(unsigned long long)s->drop_full,
			(unsigned long long)s->drop_down,
			(unsigned long long)s->drop_vlan);
		return;
	}
	fprintf(out, "%s{\"name\": ", answer->is_first ? "" : ",\n");
	put_json(out, port->name);
	fprintf(out, ", \"kind\": \"%s\", \"path\": ", port->ops->kind);
	put_json(out, port->path);
	fprintf(out, ", \"up\": %s, \"vlan\": %u, \"rx\": %llu, \"rx_bytes\": %llu, \"tx\": %llu, \"tx_bytes\": %llu, \"drop_full\": %llu, \"drop_down\": %llu, \"drop_vlan\": %llu",
		port->is_up ? "true" : "false", port->vlan,
		(unsigned long long)s->rx, (unsigned long long)s->rx_bytes,
		(unsigned long long)s->tx, (unsigned long long)s->tx_bytes,
		(unsigned long long)s->drop_full,
		(unsigned long long)s->drop_down,
		(unsigned long long)s->drop_vlan);
	if (port->dev)
		show_guest(port, out);
	fputc('}', out);
	answer->is_first = false;
}

static void show_ports(struct answer *answer)
{
	unsigned int i;

	if (answer->is_json)
		fputc('[', answer->out);
	else
		fprintf(answer->out, "%-16s %-10s %-4s %5s %10s %10s %10s %10s %8s %8s %8s\n",
			"port", "kind", "is", "vlan", "rx", "rx_bytes", "tx",
			"tx_bytes", "full", "down", "vlan");
	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i])
			show_port(answer, ports[i]);
	if (answer->is_json)
		fputs("]\n", answer->out);
}

static void show_mac(const uint8_t *mac, unsigned int vlan,
		     const struct port *port, unsigned int age_s, void *arg)
{
	struct answer *answer = arg;
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	if (!answer->is_json) {
		fprintf(answer->out, "%-18s %5u %4u %s\n", text, vlan, age_s,
			port->name);
		return;
	}
	fprintf(answer->out, "%s{\"mac\": \"%s\", \"vlan\": %u, \"age\": %u, \"port\": ",
		answer->is_first ? "" : ",\n", text, vlan, age_s);
	put_json(answer->out, port->name);
	fputc('}', answer->out);
	answer->is_first = false;
}

static void show_macs(struct answer *answer)
{
	if (answer->is_json)
		fputc('[', answer->out);
	else
		fprintf(answer->out, "%-18s %5s %4s %s\n", "mac", "vlan", "age",
			"port");
	mac_each(show_mac, answer);
	if (answer->is_json)
		fputs("]\n", answer->out);
}

static void show(FILE *out, void (*what)(struct answer *answer), bool is_json)
{
	struct answer answer = {
		.out = out, .is_json = is_json, .is_first = true,
	};

	fputs("ok\n", out);
	plane_lock();
	what(&answer);
	plane_unlock();
}

static void obey(char *line, FILE *out)
{
	char *save, *word[4] = {}, why[256] = "";
	unsigned int nr = 0;
	bool is_json = false;
	int err = 0;

	for (char *w = strtok_r(line, "\n ", &save); w;
	     w = strtok_r(NULL, "\n ", &save)) {
		if (!strcmp(w, "--json"))
			is_json = true;
		else if (nr < 3)
			word[nr++] = w;
	}
	if (nr == 2 && !strcmp(word[0], "show") && !strcmp(word[1], "ports")) {
		show(out, show_ports, is_json);
		return;
	}
	if (nr == 2 && !strcmp(word[0], "show") && !strcmp(word[1], "macs")) {
		show(out, show_macs, is_json);
		return;
	}
	if (nr == 2 && !strcmp(word[0], "add")) {
		err = port_add(word[1], why, sizeof(why));
	} else if (nr == 2 && !strcmp(word[0], "del")) {
		err = port_remove(word[1]);
		snprintf(why, sizeof(why), "%s: no such port: show ports",
			 word[1]);
	} else {
		err = -EINVAL;
		snprintf(why, sizeof(why), "not understood: show ports, show macs, add SPEC, del NAME");
	}
	if (err)
		fprintf(out, "error\n%s\n", why);
	else
		fputs("ok\n", out);
}

/* Answers one client. */
void ctl_answer(int listener)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	char line[LINE_MAX_LEN];
	size_t have = 0;
	ssize_t len;
	FILE *out;
	int fd;

	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	do {
		len = read(fd, line + have, sizeof(line) - 1 - have);
		if (len <= 0)
			goto out_close;
		have += (size_t)len;
	} while (!memchr(line, '\n', have) && have < sizeof(line) - 1);
	line[have] = 0;
	out = fdopen(fd, "w");
	if (out) {
		obey(line, out);
		fclose(out);
		return;
	}
out_close:
	close(fd);
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

/* Return: a listener, -EADDRINUSE: a switch answers there, or an errno. */
int ctl_open(const char *path)
{
	struct sockaddr_un address;
	int err = fill(&address, path), fd;
	mode_t old;

	if (err)
		return err;
	fd = dial(path);
	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	/* One that nobody listens on was left behind. */
	if (fd == -ECONNREFUSED)
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	old = umask(0077);
	err = bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	      listen(fd, 8) ? -errno : 0;
	umask(old);
	if (!err)
		return fd;
	close(fd);
	return err;
}

void ctl_close(int listener, const char *path)
{
	close(listener);
	unlink(path);
}

/* The client's half. Return: exit status. */
int ctl_ask(const char *path, char *const *words)
{
	char status[16] = "", text[4096];
	int fd = dial(path);
	size_t len;
	FILE *in;

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
