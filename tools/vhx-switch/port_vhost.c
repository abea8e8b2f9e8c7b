// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests, by vhost-user sockets and by CUSE nodes. Callbacks run on the session's
 * thread.
 */
#include <errno.h>
#include <string.h>
#include <linux/virtio_net.h>
#ifdef WITH_CUSE
#include <vhx/cuse.h>
#endif

#include "switch.h"

static bool runs(const struct port *port, unsigned int queue)
{
	return port->queues[queue / 8] & 1 << queue % 8;
}

static unsigned int pairs(const struct port *port)
{
	return vhx_device_queues(port->dev) / 2;
}

static unsigned int vhost_recv(struct port *port, struct vhx_pkt *const *pkts)
{
	unsigned int i, nr, n = pairs(port);

	for (i = 0; i < n; i++) {
		unsigned int pair = (port->turn + i) % n;

		nr = vhx_dequeue_burst(port->dev, 2 * pair + 1, pkts, BURST);
		if (nr) {
			port->turn = pair + 1;
			return nr;
		}
	}
	return 0;
}

/* Frames of one sender stay in order: they go by the same pair. */
static unsigned int pair_of(const struct port *port, const struct vhx_pkt *pkt)
{
	const uint8_t *frame = pkt->data;
	unsigned int n = pairs(port), pair;

	pair = n > 1 ? (frame[10] ^ frame[11]) % n : 0;
	return runs(port, 2 * pair) ? pair : 0;
}

static unsigned int vhost_send(struct port *port, struct vhx_pkt *const *pkts,
			       unsigned int nr)
{
	unsigned int i, end, done, pair;

	for (i = 0; i < nr; i = end) {
		pair = pair_of(port, pkts[i]);
		for (end = i + 1; end < nr && pair_of(port, pkts[end]) == pair;)
			end++;
		done = vhx_enqueue_burst(port->dev, 2 * pair, pkts + i, end - i);
		if (done < end - i)
			return i + done;
	}
	return nr;
}

/* A transmitq, or a queue to the guest while frames wait for its buffers. */
static bool is_watched(const struct port *port, unsigned int queue)
{
	return runs(port, queue) && (queue & 1 || port->nr_kept);
}

static void notify(struct port *port, bool is_on, bool *has_more)
{
	unsigned int queue;

	for (queue = 0; queue < vhx_device_queues(port->dev); queue++)
		if (is_watched(port, queue) &&
		    vhx_queue_notification(port->dev, queue, is_on) > 0)
			*has_more = true;
}

static bool vhost_arm(struct port *port)
{
	bool has_more = false;

	notify(port, true, &has_more);
	return has_more;
}

static void vhost_disarm(struct port *port)
{
	bool has_more;

	notify(port, false, &has_more);
}

static unsigned int vhost_fds(const struct port *port, int *fds,
			      unsigned int max)
{
	unsigned int queue, nr = 0;

	for (queue = 0; queue < vhx_device_queues(port->dev) && nr < max;
	     queue++) {
		fds[nr] = is_watched(port, queue) ?
			vhx_queue_kick_fd(port->dev, queue) : -1;
		nr += fds[nr] >= 0;
	}
	return nr;
}

static void vhost_close(struct port *port)
{
	vhx_driver_unregister(port->driver);
}

const struct port_ops port_vhost_ops = {
	.kind = "vhost-user",
	.key = "path",
	.keeps = true,
	.recv = vhost_recv,
	.send = vhost_send,
	.arm = vhost_arm,
	.disarm = vhost_disarm,
	.fds = vhost_fds,
	.close = vhost_close,
};

const struct port_ops port_cuse_ops = {
	.kind = "cuse",
	.key = "node",
	.keeps = true,
	.recv = vhost_recv,
	.send = vhost_send,
	.arm = vhost_arm,
	.disarm = vhost_disarm,
	.fds = vhost_fds,
	.close = vhost_close,
};

#define OFFLOADS	(1ULL << VIRTIO_NET_F_CSUM |		\
			 1ULL << VIRTIO_NET_F_GUEST_CSUM |	\
			 1ULL << VIRTIO_NET_F_HOST_TSO4 |	\
			 1ULL << VIRTIO_NET_F_HOST_TSO6 |	\
			 1ULL << VIRTIO_NET_F_GUEST_TSO4 |	\
			 1ULL << VIRTIO_NET_F_GUEST_TSO6)

static int new_device(struct vhx_device *dev, void *arg)
{
	struct port *port = arg;
	int err = -EBUSY;

	plane_lock();
	if (!port->dev) {
		err = 0;
		port->dev = dev;
		port->is_up = true;
	}
	plane_unlock();
	/* Its tap offered what we do not: TCP to others would crawl, without a word. */
	if (!err && !config.has_offload && vhx_device_features(dev) & OFFLOADS)
		fprintf(stderr, "vhx-switch: %s: its guest may send frames longer than others take: start with --offload, or QEMU's -netdev with vnet_hdr=off\n",
			port->name);
	return err;
}

static void destroy_device(struct vhx_device *dev, void *arg)
{
	struct port *port = arg;

	plane_lock();
	if (port->dev == dev) {
		port->is_up = false;
		port->dev = NULL;
		memset(port->queues, 0, sizeof(port->queues));
		mac_forget(port);
		out_drop(port);
	}
	plane_unlock();
}

static void vring_state_changed(struct vhx_device *dev, unsigned int queue,
				bool is_enabled, void *arg)
{
	struct port *port = arg;

	plane_lock();
	if (port->dev == dev) {
		port->queues[queue / 8] &= (uint8_t)~(1 << queue % 8);
		port->queues[queue / 8] |= (uint8_t)(is_enabled << queue % 8);
	}
	plane_unlock();
}

static void announced(struct vhx_device *dev, const uint8_t *mac, void *arg)
{
	(void)dev;
	plane_lock();
	plane_announce(arg, mac);
	plane_unlock();
}

static const struct vhx_device_ops device_ops = {
	.size = sizeof(struct vhx_device_ops),
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.announced = announced,
};

static int make_socket(struct port *port, bool is_client, char *why, size_t size)
{
	int err = vhx_driver_register(config.session, port->path,
				      is_client ? VHX_DRIVER_CLIENT : 0,
				      &port->driver);
	const char *more = "";

	if (err == -EADDRINUSE)
		more = ": another program listens there, or it is no socket";
	else if (err == -ENOENT)
		more = ": make the folder first";
	if (err)
		snprintf(why, size, "%s: %s%s", port->path, strerror(-err), more);
	return err;
}

#ifdef WITH_CUSE
static int make_node(struct port *port, char *why, size_t size)
{
	int err = vhx_cuse_register(config.session, port->path, &port->driver);

	if (err)
		snprintf(why, size, "/dev/%s: %s%s", port->path, strerror(-err),
			 err == -ENODEV ? ": modprobe cuse" :
			 err == -EACCES ? ": run as root" :
			 err == -EINVAL ? ": node= is a name, without a folder" : "");
	return err;
}
#else
static int make_node(struct port *port, char *why, size_t size)
{
	snprintf(why, size, "/dev/%s: this program was built without libfuse3",
		 port->path);
	return -EOPNOTSUPP;
}
#endif

/* Return: 0 or -errno, with @why. */
int port_vhost_open(struct port *port, const struct spec *spec, char *why,
		    size_t size)
{
	bool is_cuse = port->ops == &port_cuse_ops;
	int err;

	if (is_cuse && (spec->is_client || spec->pairs != 1)) {
		snprintf(why, size, "client and queues= are for vhost-user");
		return -EINVAL;
	}
	err = is_cuse ? make_node(port, why, size) :
		make_socket(port, spec->is_client, why, size);
	if (err)
		return err;
	vhx_driver_set_ops(port->driver, &device_ops, port);
	err = vhx_driver_set_queue_pairs(port->driver, spec->pairs);
	if (!err && config.has_offload)
		err = vhx_driver_enable_features(port->driver, OFFLOADS);
	if (!err && !spec->is_mergeable)
		err = vhx_driver_disable_features(port->driver, 1ULL <<
						  VIRTIO_NET_F_MRG_RXBUF);
	if (!err)
		err = vhx_driver_start(port->driver);
	if (!err)
		return 0;
	snprintf(why, size, "%s: %s", port->path, strerror(-err));
	vhx_driver_unregister(port->driver);
	return err;
}
