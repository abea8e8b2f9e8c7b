// SPDX-License-Identifier: GPL-2.0-only
/* Taps: the host's own end of the switch. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>

#include "switch.h"

/* The header of IFF_VNET_HDR is the one of struct vhx_pkt. */
static_assert(sizeof(struct vhx_net_hdr) == 10, "virtio_net_hdr");

static unsigned int tap_recv(struct port *port, struct vhx_pkt *const *pkts)
{
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
	return nr;
}

static unsigned int tap_send(struct port *port, struct vhx_pkt *const *pkts,
			     unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct iovec iov[2] = {
			{ &pkts[i]->hdr, sizeof(pkts[i]->hdr) },
			{ pkts[i]->data, pkts[i]->len },
		};

		if (writev(port->fd, iov, 2) < 0)
			break;
	}
	return i;
}

static bool tap_arm(struct port *port)
{
	(void)port;
	return false;
}

static void tap_disarm(struct port *port)
{
	(void)port;
}

static unsigned int tap_fds(const struct port *port, int *fds, unsigned int max)
{
	if (!max)
		return 0;
	fds[0] = port->fd;
	return 1;
}

static void tap_close(struct port *port)
{
	close(port->fd);
}

const struct port_ops port_tap_ops = {
	.kind = "tap",
	.key = "ifname",
	.recv = tap_recv,
	.send = tap_send,
	.arm = tap_arm,
	.disarm = tap_disarm,
	.fds = tap_fds,
	.close = tap_close,
};

/* Return: 0 or -errno, with @why. */
int port_tap_open(struct port *port, char *why, size_t size)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	unsigned long offload = config.has_offload ?
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
	int err;

	if (strlen(port->path) >= IFNAMSIZ) {
		snprintf(why, size, "%s: longer than a name of an interface",
			 port->path);
		return -EINVAL;
	}
	port->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (port->fd < 0) {
		err = -errno;
		snprintf(why, size, "/dev/net/tun: %s: modprobe tun, or run as root",
			 strerror(-err));
		return err;
	}
	strcpy(ifr.ifr_name, port->path);
	if (!ioctl(port->fd, TUNSETIFF, &ifr) &&
	    !ioctl(port->fd, TUNSETOFFLOAD, offload)) {
		port->is_up = true;
		return 0;
	}
	err = -errno;
	snprintf(why, size, "%s: %s%s", port->path, strerror(-err),
		 err == -EPERM ? ": run as root, or make the tap for this user: ip tuntap add" :
		 err == -EBUSY ? ": another program has it" : "");
	close(port->fd);
	return err;
}
