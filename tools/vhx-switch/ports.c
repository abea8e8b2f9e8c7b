// SPDX-License-Identifier: GPL-2.0-only
/* Ports by their description: kind,key=value,key... */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "mac.h"
#include "out.h"
#include "plane.h"
#include "port_tap.h"
#include "port_vhost.h"
#include "ports.h"

/* Of a socket, unless it is said otherwise. */
#define MODE	0700
#define NO_GROUP	((gid_t)-1)

static const struct port_ops *const kinds[] = {
	&port_vhost_ops, &port_cuse_ops, &port_tap_ops,
};

static struct port *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] && !strcmp(ports[i]->name, name))
			return ports[i];
	return NULL;
}

/* Return: a number in digits, from @min to @max, or -EINVAL. */
int ports_number(const char *text, unsigned int min, unsigned int max)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	return *end || n < min || n > max ? -EINVAL : (int)n;
}

static int set_mode(struct spec *spec, const char *text)
{
	unsigned long mode;
	char *end;

	mode = strtoul(text, &end, 8);
	spec->mode = (mode_t)mode;
	return *text < '0' || *text > '7' || *end || mode > 0777 ? -EINVAL : 0;
}

static int set_group(struct spec *spec, const char *text)
{
	const struct group *group = getgrnam(text);
	int gid = ports_number(text, 0, INT32_MAX);

	if (!group && gid < 0)
		return -EINVAL;
	spec->group = group ? group->gr_gid : (gid_t)gid;
	return 0;
}

static int set_trunk(struct port *port, char *list)
{
	char *save, *word;
	int vlan;

	if (!*list)
		return -EINVAL;
	free(port->trunk);
	port->trunk = calloc(1, (VLAN_MAX + 8) / 8);
	if (!port->trunk)
		return -ENOMEM;
	for (word = strtok_r(list, ":", &save); word;
	     word = strtok_r(NULL, ":", &save)) {
		vlan = ports_number(word, 1, VLAN_MAX);
		if (vlan < 0)
			return vlan;
		port->trunk[vlan / 8] |= (uint8_t)(1 << vlan % 8);
	}
	return 0;
}

static int copy(char *to, size_t size, const char *from)
{
	if (!*from || strlen(from) >= size)
		return -EINVAL;
	strcpy(to, from);
	return 0;
}

static int set_key(struct port *port, struct spec *spec, const char *key,
		   char *val)
{
	int n = -EINVAL;

	if (!strcmp(key, port->ops->key))
		return copy(port->path, sizeof(port->path), val);
	if (!strcmp(key, "name"))
		return copy(port->name, sizeof(port->name), val);
	if (!strcmp(key, "client") && !*val) {
		spec->is_client = true;
		return 0;
	}
	if (!strcmp(key, "mrg_rxbuf")) {
		spec->is_mergeable = !strcmp(val, "on");
		return spec->is_mergeable || !strcmp(val, "off") ? 0 : -EINVAL;
	}
	if (!strcmp(key, "memory")) {
		spec->takes_any = !strcmp(val, "any");
		return spec->takes_any || !strcmp(val, "ram") ? 0 : -EINVAL;
	}
	if (!strcmp(key, "mode"))
		return set_mode(spec, val);
	if (!strcmp(key, "group"))
		return set_group(spec, val);
	if (!strcmp(key, "trunk"))
		return set_trunk(port, val);
	if (!strcmp(key, "thread")) {
		n = ports_number(val, 0, THREADS_MAX - 1);
		spec->thread = n;
	} else if (!strcmp(key, "queues")) {
		n = ports_number(val, 1, VHX_QUEUES_MAX / 2);
		spec->pairs = (unsigned int)n;
	} else if (!strcmp(key, "vlan")) {
		n = ports_number(val, 1, VLAN_MAX);
		port->vlan = (uint16_t)n;
	}
	return n < 0 ? n : 0;
}

static int parse(struct port *port, struct spec *spec, char *text, char *why,
		 size_t size)
{
	char *save, *word, *val;
	size_t i;
	int err;

	word = strtok_r(text, ",", &save);
	for (i = 0; word && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(word, kinds[i]->kind))
			port->ops = kinds[i];
	if (!port->ops) {
		snprintf(why, size, "%s: no such kind of port: vhost-user, cuse or tap",
			 word ? word : "");
		return -EINVAL;
	}
	while ((word = strtok_r(NULL, ",", &save))) {
		val = strchr(word, '=');
		if (val)
			*val++ = 0;
		err = set_key(port, spec, word, val ? val : word + strlen(word));
		if (err) {
			snprintf(why, size, "%s=%s: not understood; --help says what there is",
				 word, val ? val : "");
			return err;
		}
	}
	if (port->vlan && port->trunk) {
		snprintf(why, size, "vlan= and trunk=: a port has one of them");
		return -EINVAL;
	}
	if (spec->is_client && (spec->mode != MODE || spec->group != NO_GROUP)) {
		snprintf(why, size, "client: the socket is the other side's: no mode= or group=");
		return -EINVAL;
	}
	if (spec->thread >= (int)config.threads) {
		snprintf(why, size, "thread=%d: the switch has %u, counted from 0: give it more by --threads",
			 spec->thread, config.threads);
		return -EINVAL;
	}
	if (!*port->path) {
		snprintf(why, size, "%s: needs %s=", port->ops->kind,
			 port->ops->key);
		return -EINVAL;
	}
	if (*port->name ||
	    !copy(port->name, sizeof(port->name), strrchr(port->path, '/') ?
		  strrchr(port->path, '/') + 1 : port->path))
		return 0;
	snprintf(why, size, "%s: no name of a port: give one by name=",
		 port->path);
	return -EINVAL;
}

static void destroy(struct port *port)
{
	lanes_close(port);
	free(port->trunk);
	free(port);
}

/* Return: the place of a new port, or an errno with @why. */
static int find_place(const struct port *port, char *why, size_t size)
{
	int i;

	if (find(port->name)) {
		snprintf(why, size, "%s: there is a port of that name: give another by name=",
			 port->name);
		return -EEXIST;
	}
	for (i = 0; i < PORTS_MAX; i++)
		if (!ports[i])
			return i;
	snprintf(why, size, "there are %d ports already", PORTS_MAX);
	return -ENOSPC;
}

/* The one that the fewest ports begin on. */
static unsigned int find_thread(void)
{
	unsigned int nr[THREADS_MAX] = {}, i, best = 0;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i])
			nr[ports[i]->thread]++;
	for (i = 1; i < config.threads; i++)
		if (nr[i] < nr[best])
			best = i;
	return best;
}

/* Return: 0 or an errno, with @why. */
int ports_add(const char *text, char *why, size_t size)
{
	struct spec spec = {
		.is_mergeable = true, .pairs = 1, .mode = MODE,
		.group = NO_GROUP, .thread = -1,
	};
	struct port *port = calloc(1, sizeof(*port));
	char *words = strdup(text);
	int err = -ENOMEM, place;

	if (!port || !words) {
		snprintf(why, size, "out of memory");
		goto err_free;
	}
	port->fd = -1;
	err = parse(port, &spec, words, why, size);
	if (err)
		goto err_free;
	err = find_place(port, why, size);
	place = err;
	if (err < 0)
		goto err_free;
	port->thread = spec.thread < 0 ? find_thread() :
		(unsigned int)spec.thread;
	err = lanes_open(port);
	if (err) {
		snprintf(why, size, "out of memory");
		goto err_free;
	}
	err = port->ops == &port_tap_ops ? port_tap_open(port, why, size) :
		port_vhost_open(port, &spec, why, size);
	if (err)
		goto err_free;
	plane_lock();
	port->place = place;
	ports[place] = port;
	plane_unlock();
	free(words);
	return 0;

err_free:
	free(words);
	if (port)
		destroy(port);
	return err;
}

/* Return: 0, -ENOENT. */
int ports_remove(const char *name)
{
	struct port *port = find(name);
	unsigned int i;

	if (!port)
		return -ENOENT;
	plane_lock();
	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i] == port)
			ports[i] = NULL;
	mac_forget(port);
	out_drop(port);
	plane_unlock();
	/* Callbacks of its devices come from here, and lock the planes. */
	port->ops->close(port);
	destroy(port);
	return 0;
}

void ports_remove_all(void)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i])
			ports_remove(ports[i]->name);
}

/* Return: how many there are */
unsigned int ports_count(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < PORTS_MAX; i++)
		nr += !!ports[i];
	return nr;
}

/* Now and then. */
void ports_look_after(void)
{
	unsigned int i;

	for (i = 0; i < PORTS_MAX; i++)
		if (ports[i])
			port_tap_look_after(ports[i]);
}
