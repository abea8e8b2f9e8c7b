// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests, by vhost-user sockets and by CUSE nodes. Callbacks run on the session's
 * thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/virtio_net.h>
#ifdef WITH_CUSE
#include <vhx/cuse.h>
#endif

#include "lanes.h"
#include "mac.h"
#include "out.h"
#include "plane.h"
#include "port_vhost.h"
#include "service.h"

/* Peers of a port: one, and one that comes while the other goes. */
#define PEERS		2
/* Parts of guest memory of both, old and new, and bytes: all ports have room. */
#define MAPPINGS	500
#define BYTES		(1ULL << 41)
/* Descriptors of a queue, its io_uring among them, and of a peer beside them. */
#define FDS_OF_QUEUE	4
#define FDS_OF_PEER	4
/* What the program has beside its guests: taps, clients of the control socket. */
#define FDS_OF_SWITCH	(PORTS_MAX + 34)
#define FDS_OF_THREAD	2

static unsigned int vhost_recv(struct lane *lane, struct vhx_pkt *const *pkts)
{
	unsigned int i, nr, n = lane->nr_from;

	for (i = 0; i < n; i++) {
		unsigned int at = (lane->turn + i) % n;

		nr = vhx_dequeue_burst(lane->port->dev, 2u * lane->from[at] + 1,
				       pkts, BURST);
		if (nr) {
			lane->turn = at + 1;
			return nr;
		}
	}
	return 0;
}

/* Frames of one sender stay in order: they go by the same pair. */
static unsigned int pair_of(const struct lane *lane, const struct vhx_pkt *pkt)
{
	const uint8_t *frame = pkt->data;

	return lane->to[lane->nr_to > 1 ?
			(frame[10] ^ frame[11]) % lane->nr_to : 0];
}

/* Counts what the guest got: of frames that were taken some may be dropped. */
static unsigned int give(struct lane *lane, unsigned int queue,
			 struct vhx_pkt *const *pkts, unsigned int nr)
{
	struct vhx_device *dev = lane->port->dev;
	const size_t size = offsetof(struct vhx_queue_stats, drop_short);
	struct vhx_queue_stats before, after;
	uint64_t frames;

	if (vhx_queue_get_stats(dev, queue, &before, size))
		return 0;
	nr = vhx_enqueue_burst(dev, queue, pkts, nr);
	vhx_queue_get_stats(dev, queue, &after, size);
	frames = after.frames - before.frames;
	lane->stats.tx += frames;
	lane->stats.tx_bytes += after.bytes - before.bytes;
	lane->stats.drop_guest += nr - frames;
	return nr;
}

static unsigned int vhost_send(struct lane *lane, struct vhx_pkt *const *pkts,
			       unsigned int nr)
{
	unsigned int i, end, done, pair;

	for (i = 0; i < nr; i = end) {
		pair = pair_of(lane, pkts[i]);
		for (end = i + 1; end < nr && pair_of(lane, pkts[end]) == pair;)
			end++;
		done = give(lane, 2 * pair, pkts + i, end - i);
		if (done < end - i)
			return i + done;
	}
	return nr;
}

/* A plane hears of each kick once: none is read. Return: as vhx_queue_arm() */
static int notify_queue(struct vhx_device *dev, unsigned int queue, bool is_on)
{
	return is_on ? vhx_queue_arm(dev, queue) :
		vhx_queue_notification(dev, queue, false);
}

/* Return: whether there is something already. */
static bool notify(struct lane *lane, bool is_on)
{
	struct vhx_device *dev = lane->port->dev;
	bool has_more = false;
	unsigned int i;

	for (i = 0; i < lane->nr_from; i++)
		has_more |= notify_queue(dev, 2u * lane->from[i] + 1,
					 is_on) > 0;
	/* And of buffers while frames wait for them. */
	for (i = 0; lane->nr_kept && i < lane->nr_to; i++)
		has_more |= notify_queue(dev, 2u * lane->to[i], is_on) > 0;
	return has_more;
}

static bool vhost_arm(struct lane *lane)
{
	return notify(lane, true);
}

static void vhost_disarm(struct lane *lane)
{
	notify(lane, false);
}

/* Descriptors that the peers of all ports may take. */
static unsigned int nr_fds;

static unsigned int fds_of(unsigned int pairs)
{
	return PEERS * (2 * pairs * FDS_OF_QUEUE + FDS_OF_PEER) + 2;
}

static void vhost_close(struct port *port)
{
	vhx_driver_unregister(port->driver);
	nr_fds -= fds_of(port->pairs);
}

const struct port_ops port_vhost_ops = {
	.kind = "vhost-user",
	.key = "path",
	.keeps = true,
	.recv = vhost_recv,
	.send = vhost_send,
	.arm = vhost_arm,
	.disarm = vhost_disarm,
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
	.close = vhost_close,
};

#define OFFLOADS	(1ULL << VIRTIO_NET_F_CSUM |		\
			 1ULL << VIRTIO_NET_F_GUEST_CSUM |	\
			 1ULL << VIRTIO_NET_F_HOST_TSO4 |	\
			 1ULL << VIRTIO_NET_F_HOST_TSO6 |	\
			 1ULL << VIRTIO_NET_F_GUEST_TSO4 |	\
			 1ULL << VIRTIO_NET_F_GUEST_TSO6)

/* Long frames are for guests that said they take them. */
static void set_gso(struct port *port, uint64_t features)
{
	port->gso = 0;
	if (!(features & 1ULL << VIRTIO_NET_F_GUEST_CSUM))
		return;
	if (features & 1ULL << VIRTIO_NET_F_GUEST_TSO4)
		port->gso |= 1u << VIRTIO_NET_HDR_GSO_TCPV4;
	if (features & 1ULL << VIRTIO_NET_F_GUEST_TSO6)
		port->gso |= 1u << VIRTIO_NET_HDR_GSO_TCPV6;
}

static int new_device(struct vhx_device *dev, void *arg)
{
	struct port *port = arg;
	int err = -EBUSY;

	plane_lock();
	if (!port->dev) {
		err = 0;
		port->dev = dev;
		port->state = PORT_UP;
		set_gso(port, vhx_device_features(dev));
	}
	plane_unlock();
	return err;
}

static void destroy_device(struct vhx_device *dev, void *arg)
{
	struct port *port = arg;

	plane_lock();
	if (port->dev == dev) {
		port->state = PORT_DOWN;
		port->why = "its guest has gone, or has stopped its device";
		port->dev = NULL;
		mac_forget(port);
		out_drop(port);
	}
	plane_unlock();
}

static void watch(struct port *port, unsigned int queue, bool is_on, int fd)
{
	unsigned int thread = lanes_thread(port, queue / 2);

	lanes_set(port, queue, is_on);
	if (fd < 0)
		port->lane[thread].nr_polled += is_on ? queue & 1 : -(queue & 1);
	else if (!is_on)
		plane_unwatch(thread, fd);
	else if (plane_watch(thread, fd))
		service_say(VHX_LOG_ERR, "%s: queue %u: its kicks cannot be watched: %s",
			    port->name, queue, strerror(errno));
}

static void vring_state_changed(struct vhx_device *dev, unsigned int queue,
				bool is_enabled, void *arg)
{
	struct port *port = arg;
	int fd = vhx_queue_kick_fd(dev, queue);

	plane_lock();
	if (port->dev == dev)
		watch(port, queue, is_enabled, fd);
	plane_unlock();
}

static void features_changed(struct vhx_device *dev, uint64_t features, void *arg)
{
	struct port *port = arg;

	plane_lock();
	if (port->dev == dev)
		set_gso(port, features);
	plane_unlock();
}

static void announced(struct vhx_device *dev, const uint8_t *mac, void *arg)
{
	struct port *port = arg;

	plane_lock();
	if (port->dev == dev)
		plane_announce(port, mac);
	plane_unlock();
}

static const struct vhx_device_ops device_ops = {
	.size = sizeof(struct vhx_device_ops),
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.features_changed = features_changed,
	.announced = announced,
};

/* Nobody finds it with other rights than it is to have. */
static int make_socket(struct port *port, const struct spec *spec, char *why,
		       size_t size)
{
	const char *more = "";
	mode_t old = umask(~spec->mode & 0777);
	int err = vhx_driver_register(config.session, port->path,
				      spec->is_client ? VHX_DRIVER_CLIENT : 0,
				      &port->driver);

	umask(old);
	if (!err && !spec->is_client && spec->group != (gid_t)-1 &&
	    lchown(port->path, (uid_t)-1, spec->group)) {
		err = -errno;
		more = ": group=";
		vhx_driver_unregister(port->driver);
	} else if (err == -EADDRINUSE) {
		more = ": another program listens there, or it is no socket";
	} else if (err == -ENOENT) {
		more = ": make the folder first";
	}
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

/* Return: 0 or an errno of the library. */
static int set_up(struct port *port, const struct spec *spec)
{
	struct vhx_driver *driver = port->driver;
	int err;

	vhx_driver_set_ops(driver, &device_ops, port);
	err = vhx_driver_set_queue_pairs(driver, spec->pairs);
	if (!err)
		err = vhx_driver_set_limit(driver, VHX_LIMIT_PEERS, PEERS);
	if (!err)
		err = vhx_driver_set_limit(driver, VHX_LIMIT_MAPPINGS, MAPPINGS);
	if (!err)
		err = vhx_driver_set_limit(driver, VHX_LIMIT_BYTES, BYTES);
	if (!err)
		err = vhx_driver_set_limit(driver, VHX_LIMIT_MEMORY,
					   spec->takes_any ? VHX_MEMORY_ANY :
							     VHX_MEMORY_RAM);
	if (!err && config.has_offload)
		err = vhx_driver_enable_features(driver, OFFLOADS);
	if (!err && !spec->is_mergeable)
		err = vhx_driver_disable_features(driver, 1ULL <<
						  VIRTIO_NET_F_MRG_RXBUF);
	return err ? err : vhx_driver_start(driver);
}

/* Peers of one port never lack descriptors because of those of another. */
static int check_fds(unsigned int pairs, char *why, size_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) ||
	    nr_fds + fds_of(pairs) + FDS_OF_SWITCH +
	    config.threads * FDS_OF_THREAD <= limit.rlim_cur)
		return 0;
	snprintf(why, size, "%u descriptors are not enough for its peers: allow more (ulimit -n, LimitNOFILE=), or have fewer ports or queues",
		 (unsigned int)limit.rlim_cur);
	return -EMFILE;
}

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
	err = check_fds(spec->pairs, why, size);
	if (!err)
		err = is_cuse ? make_node(port, why, size) :
				make_socket(port, spec, why, size);
	if (err)
		return err;
	port->why = "no guest has come";
	port->pairs = spec->pairs;
	err = set_up(port, spec);
	if (err) {
		snprintf(why, size, "%s: %s", port->path, strerror(-err));
		vhx_driver_unregister(port->driver);
		return err;
	}
	nr_fds += fds_of(spec->pairs);
	return 0;
}
