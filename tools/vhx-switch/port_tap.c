// SPDX-License-Identifier: GPL-2.0-only
/* Taps: the host's own end of the switch. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "lanes.h"
#include "mac.h"
#include "out.h"
#include "plane.h"
#include "port_tap.h"
#include "service.h"

/* The header of IFF_VNET_HDR is the one of struct vhx_pkt. */
static_assert(sizeof(struct vhx_net_hdr) == 10, "virtio_net_hdr");

static unsigned int tap_recv(struct lane *lane, struct vhx_pkt *const *pkts)
{
	struct port *port = lane->port;
	unsigned int nr;
	ssize_t len;

	for (nr = 0; nr < BURST; nr++) {
		struct iovec iov[2] = {
			{ &pkts[nr]->hdr, sizeof(pkts[nr]->hdr) },
			{ pkts[nr]->data, pkts[nr]->room },
		};

		len = readv(port->fd, iov, 2);
		if (len < (ssize_t)(sizeof(pkts[nr]->hdr) + ETH_HLEN))
			break;
		pkts[nr]->len = (uint32_t)(len - (ssize_t)sizeof(pkts[nr]->hdr));
	}
	if (!nr && len < 0 && errno == EBADFD)
		__atomic_store_n(&port->is_lost, true, __ATOMIC_RELAXED);
	return nr;
}

/* One that it refuses for another reason than want of room is dropped. */
static unsigned int tap_send(struct lane *lane, struct vhx_pkt *const *pkts,
			     unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct iovec iov[2] = {
			{ &pkts[i]->hdr, sizeof(pkts[i]->hdr) },
			{ pkts[i]->data, pkts[i]->len },
		};
		bool is_out = writev(lane->port->fd, iov, 2) >= 0;

		if (!is_out && errno == EAGAIN)
			break;
		lane->stats.tx += is_out;
		lane->stats.tx_bytes += is_out ? pkts[i]->len : 0;
		lane->stats.drop_down += !is_out;
	}
	return i;
}

static bool tap_arm(struct lane *lane)
{
	(void)lane;
	return false;
}

static void tap_disarm(struct lane *lane)
{
	(void)lane;
}

static void tap_close(struct port *port)
{
	if (port->fd >= 0)
		close(port->fd);
}

const struct port_ops port_tap_ops = {
	.kind = "tap",
	.key = "ifname",
	.recv = tap_recv,
	.send = tap_send,
	.arm = tap_arm,
	.disarm = tap_disarm,
	.close = tap_close,
};

/*
 * Attaches to the tap, which is made if it is not there. One that was made for
 * several queues takes us as one of them. Return: a descriptor or -errno.
 */
static int attach(const char *name)
{
	const unsigned long offload = config.has_offload ?
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	const int hdr_len = sizeof(struct vhx_net_hdr);
	const int is_le = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	strcpy(ifr.ifr_name, name);
	err = ioctl(fd, TUNSETIFF, &ifr);
	if (err && errno == EINVAL) {
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
		err = ioctl(fd, TUNSETIFF, &ifr);
	}
	/* Whoever had the tap before may have left it with another header. */
	if (!err)
		err = ioctl(fd, TUNSETVNETHDRSZ, &hdr_len);
	if (!err)
		err = ioctl(fd, TUNSETVNETLE, &is_le);
	if (!err)
		err = ioctl(fd, TUNSETOFFLOAD, offload);
	if (!err)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static const char *advice(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENODEV:
		return ": /dev/net/tun: modprobe tun";
	case -EACCES:
	case -EPERM:
		return ": run as root, or make the tap for this user: ip tuntap add";
	case -EBUSY:
		return ": another program has it";
	case -EINVAL:
		return ": it is no tap";
	default:
		return "";
	}
}

/* It has one pair. */
static void set_queues(struct port *port, bool are_running)
{
	lanes_set(port, 0, are_running);
	lanes_set(port, 1, are_running);
}

static int take_up(struct port *port, int fd)
{
	int err;

	plane_lock();
	err = plane_watch(port->thread, fd);
	if (!err) {
		port->fd = fd;
		port->state = PORT_UP;
		set_queues(port, true);
		/* tun segments what its reader does not take. */
		port->gso = 1u << VIRTIO_NET_HDR_GSO_TCPV4 |
			    1u << VIRTIO_NET_HDR_GSO_TCPV6;
	}
	plane_unlock();
	if (err)
		close(fd);
	return err;
}

/* Return: 0 or -errno, with @why. */
int port_tap_open(struct port *port, char *why, size_t size)
{
	int fd, err;

	if (strlen(port->path) >= IFNAMSIZ) {
		snprintf(why, size, "%s: longer than a name of an interface",
			 port->path);
		return -EINVAL;
	}
	port->pairs = 1;
	fd = attach(port->path);
	err = fd < 0 ? fd : take_up(port, fd);
	if (err)
		snprintf(why, size, "%s: %s%s", port->path, strerror(-err),
			 advice(err));
	return err;
}

/* Somebody deleted it, or its namespace: nothing comes from there any more. */
static void lose(struct port *port)
{
	plane_lock();
	port->is_lost = false;
	port->state = PORT_GONE;
	port->why = "its tap was deleted; another of this name is taken up";
	plane_unwatch(port->thread, port->fd);
	set_queues(port, false);
	close(port->fd);
	port->fd = -1;
	mac_forget(port);
	out_drop(port);
	plane_unlock();
	service_say(VHX_LOG_WARN, "%s: %s was deleted", port->name, port->path);
}

/* A tap that was deleted may be there again. */
static void find_again(struct port *port)
{
	int fd;

	if (!if_nametoindex(port->path))
		return;
	fd = attach(port->path);
	if (fd >= 0 && !take_up(port, fd))
		service_say(VHX_LOG_WARN, "%s: %s is there again", port->name,
			    port->path);
}

/* Now and then, for any port. */
void port_tap_look_after(struct port *port)
{
	if (port->ops != &port_tap_ops)
		return;
	if (__atomic_load_n(&port->is_lost, __ATOMIC_RELAXED))
		lose(port);
	if (port->state == PORT_GONE)
		find_again(port);
}
