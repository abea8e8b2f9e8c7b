// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the switch tells of itself. It is noted with all planes locked, and put in
 * words without: frames do not wait for a reader.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "lanes.h"
#include "mac.h"
#include "plane.h"
#include "show.h"

/* "15," for each. */
#define THREADS_TEXT	(3 * THREADS_MAX + 1)

/**
 * struct snapshot - the ports at one time
 * @nr: how many
 * @port: copies of them
 * @stats: their counters, of all lanes
 * @to: of a guest that is there: counters of queues to it, summed up
 * @from: the same, of queues from it
 */
struct snapshot {
	unsigned int nr;
	struct port port[PORTS_MAX];
	struct port_stats stats[PORTS_MAX];
	struct vhx_queue_stats to[PORTS_MAX];
	struct vhx_queue_stats from[PORTS_MAX];
};

static void add_queues(struct snapshot *shot, const struct vhx_device *dev)
{
	struct vhx_queue_stats stats, *sum;
	unsigned int queue;

	for (queue = 0; queue < vhx_device_queues(dev); queue++) {
		/* No more than is wanted: what comes behind costs system calls. */
		if (vhx_queue_get_stats(dev, queue, &stats,
					offsetof(struct vhx_queue_stats, sleeps)))
			continue;
		sum = queue & 1 ? &shot->from[shot->nr] : &shot->to[shot->nr];
		sum->calls += stats.calls;
		sum->errors += stats.errors;
		sum->drop_short += stats.drop_short;
		sum->drop_long += stats.drop_long;
		sum->drop_writable += stats.drop_writable;
		sum->drop_room += stats.drop_room;
		sum->drop_pkt_room += stats.drop_pkt_room;
		sum->drop_offload += stats.drop_offload;
		sum->drop_disabled += stats.drop_disabled;
		sum->drop_share += stats.drop_share;
	}
}

static struct snapshot *take_ports(void)
{
	struct snapshot *shot = calloc(1, sizeof(*shot));
	unsigned int i;

	if (!shot)
		return NULL;
	plane_lock();
	for (i = 0; i < PORTS_MAX; i++) {
		if (!ports[i])
			continue;
		shot->port[shot->nr] = *ports[i];
		lanes_sum(ports[i], &shot->stats[shot->nr]);
		if (ports[i]->dev)
			add_queues(shot, ports[i]->dev);
		shot->nr++;
	}
	plane_unlock();
	return shot;
}

static const char *state_of(const struct port *port)
{
	static const char *const states[] = {
		[PORT_DOWN] = "down", [PORT_UP] = "up", [PORT_GONE] = "gone",
	};

	return states[port->state];
}

/* What came from a port and was wrong; a guest's are found by the library as well. */
static uint64_t bad_of(const struct snapshot *shot, unsigned int i)
{
	const struct vhx_queue_stats *from = &shot->from[i];

	return shot->stats[i].drop_bad + from->drop_short + from->drop_long +
	       from->drop_writable + from->drop_pkt_room + from->drop_disabled;
}

static uint64_t drops_of(const struct snapshot *shot, unsigned int i)
{
	const struct port_stats *s = &shot->stats[i];

	return s->drop_full + s->drop_down + s->drop_guest + s->drop_vlan +
	       s->drop_reserved + bad_of(shot, i);
}

/* Threads that have pairs of it, that of the first pair first. */
static const char *threads_of(const struct port *port, char text[THREADS_TEXT])
{
	unsigned int i;
	int at = 0;

	for (i = 0; i < port->pairs && i < config.threads; i++)
		at += sprintf(text + at, "%s%u", i ? "," : "",
			      lanes_thread(port, i));
	return text;
}

static void put_port(FILE *out, const struct snapshot *shot, unsigned int i)
{
	const struct vhx_queue_stats *to = &shot->to[i], *from = &shot->from[i];
	const struct port *port = &shot->port[i];
	const struct port_stats *s = &shot->stats[i];
	char threads[THREADS_TEXT];

	fputs("{\"name\": ", out);
	json_text(out, port->name);
	fprintf(out, ", \"kind\": \"%s\", \"path\": ", port->ops->kind);
	json_text(out, port->path);
	fprintf(out, ", \"up\": %s, \"state\": \"%s\", \"why\": ",
		port->state == PORT_UP ? "true" : "false", state_of(port));
	json_text(out, port->state == PORT_UP || !port->why ? "" : port->why);
	fprintf(out, ", \"threads\": [%s]", threads_of(port, threads));
	json_number(out, "vlan", port->vlan);
	json_number(out, "rx", s->rx);
	json_number(out, "rx_bytes", s->rx_bytes);
	json_number(out, "tx", s->tx);
	json_number(out, "tx_bytes", s->tx_bytes);
	json_number(out, "macs", port->nr_macs);
	json_number(out, "drop_full", s->drop_full);
	json_number(out, "drop_down", s->drop_down);
	json_number(out, "drop_guest", s->drop_guest);
	json_number(out, "drop_vlan", s->drop_vlan);
	json_number(out, "drop_reserved", s->drop_reserved);
	json_number(out, "drop_bad", bad_of(shot, i));
	if (port->dev) {
		json_number(out, "calls", to->calls + from->calls);
		json_number(out, "errors", to->errors + from->errors);
		json_number(out, "guest_room", to->drop_room);
		json_number(out, "guest_offload", to->drop_offload);
		json_number(out, "guest_share", to->drop_share);
		json_number(out, "guest_size", to->drop_short + to->drop_long);
	}
	fputc('}', out);
}

static void put_ports_json(FILE *out, const struct snapshot *shot)
{
	unsigned int i;

	fputc('[', out);
	for (i = 0; i < shot->nr; i++) {
		if (i)
			fputs(",\n", out);
		put_port(out, shot, i);
	}
	fputs("]\n", out);
}

/* Return: 0, -ENOMEM */
int show_ports(FILE *out, bool is_json)
{
	struct snapshot *shot = take_ports();
	unsigned int i;

	if (!shot)
		return -ENOMEM;
	if (is_json)
		put_ports_json(out, shot);
	else
		fprintf(out, "%-16s %-10s %-5s %5s %10s %12s %10s %12s %8s %-7s %s\n",
			"port", "kind", "state", "vlan", "rx", "rx_bytes", "tx",
			"tx_bytes", "drops", "threads", "why");
	for (i = 0; !is_json && i < shot->nr; i++) {
		const struct port *port = &shot->port[i];
		const struct port_stats *s = &shot->stats[i];
		char threads[THREADS_TEXT];

		fprintf(out, "%-16s %-10s %-5s %5u %10ju %12ju %10ju %12ju %8ju %-7s %s\n",
			port->name, port->ops->kind, state_of(port), port->vlan,
			s->rx, s->rx_bytes, s->tx,
			s->tx_bytes,
			drops_of(shot, i), threads_of(port, threads),
			port->state == PORT_UP || !port->why ? "" : port->why);
	}
	free(shot);
	return 0;
}

/* Return: 0, -ENOMEM */
int show_drops(FILE *out, bool is_json)
{
	struct snapshot *shot;
	unsigned int i;

	if (is_json)
		return show_ports(out, true);
	shot = take_ports();
	if (!shot)
		return -ENOMEM;
	fprintf(out, "%-16s %8s %8s %8s %8s %8s %8s\n", "port", "full", "down",
		"guest", "vlan", "reserved", "bad");
	for (i = 0; i < shot->nr; i++) {
		const struct port_stats *s = &shot->stats[i];

		fprintf(out, "%-16s %8ju %8ju %8ju %8ju %8ju %8ju\n",
			shot->port[i].name, s->drop_full,
			s->drop_down, s->drop_guest, s->drop_vlan,
			s->drop_reserved,
			bad_of(shot, i));
	}
	free(shot);
	return 0;
}

static void put_mac(FILE *out, const struct mac_seen *seen, const char *port,
		    bool is_json, bool is_first)
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x",
		 seen->mac[0], seen->mac[1], seen->mac[2], seen->mac[3],
		 seen->mac[4], seen->mac[5]);
	if (!is_json) {
		fprintf(out, "%-18s %5u %4u %s\n", text, seen->vlan,
			seen->age_s, port);
		return;
	}
	fprintf(out, "%s{\"mac\": \"%s\", \"vlan\": %u, \"age\": %u, \"port\": ",
		is_first ? "" : ",\n", text, seen->vlan, seen->age_s);
	json_text(out, port);
	fputc('}', out);
}

/* A port at a time: planes go on between two. Return: 0, -ENOMEM. */
int show_macs(FILE *out, bool is_json)
{
	struct mac_seen *seen = calloc(MACS_OF_PORT, sizeof(*seen));
	char name[NAME_LEN] = "";
	unsigned int i, k, nr, sum = 0;

	if (!seen)
		return -ENOMEM;
	if (is_json)
		fputc('[', out);
	else
		fprintf(out, "%-18s %5s %4s %s\n", "mac", "vlan", "age", "port");
	for (i = 0; i < PORTS_MAX; i++) {
		nr = 0;
		plane_lock();
		if (ports[i]) {
			nr = mac_list(ports[i], seen);
			strcpy(name, ports[i]->name);
		}
		plane_unlock();
		for (k = 0; k < nr; k++)
			put_mac(out, &seen[k], name, is_json, !sum++);
	}
	if (is_json)
		fputs("]\n", out);
	free(seen);
	return 0;
}
