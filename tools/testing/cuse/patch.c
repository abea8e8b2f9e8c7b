// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * For the rig: guests of a node, each patched to a tap of the host's.
 *
 *   patch NAME
 *
 * serves /dev/NAME. A guest whose tap is called T gets what comes to the tap xT,
 * which must be there, and the other way round.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include <vhx/cuse.h>

#define PORTS_MAX	8
#define POLLS		3	/* of a port: the tap, the queues */
#define BURST		32

struct port {
	struct vhx_device *dev;
	int tap;
	bool is_full;		/* there is a frame that the guest has no room for */
	struct vhx_pkt pkt;
	uint8_t frame[VHX_FRAME_LEN_MAX];
};

static struct port ports[PORTS_MAX];
static uint8_t frames[BURST][VHX_FRAME_LEN_MAX];
static volatile sig_atomic_t is_ending;

static void on_signal(int sig)
{
	(void)sig;
	is_ending = 1;
}

static void print(enum vhx_log_level level, const char *message, void *arg)
{
	(void)arg;
	fprintf(stderr, "patch: %d: %s\n", level, message);
}

static int open_tap(const char *name)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, IFNAMSIZ, "x%s", name);
	if (!ioctl(fd, TUNSETIFF, &ifr))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int new_device(struct vhx_device *dev, void *arg)
{
	struct port *port = ports;

	(void)arg;
	while (port < ports + PORTS_MAX && port->dev)
		port++;
	if (port == ports + PORTS_MAX)
		return -ENOSPC;
	port->tap = open_tap(vhx_device_ifname(dev));
	if (port->tap < 0)
		return port->tap;
	port->dev = dev;
	port->is_full = false;
	vhx_device_set_private(dev, port);
	fprintf(stderr, "patch: %s: up, features %#llx\n",
		vhx_device_ifname(dev),
		(unsigned long long)vhx_device_features(dev));
	return 0;
}

static void destroy_device(struct vhx_device *dev, void *arg)
{
	struct port *port = vhx_device_get_private(dev);
	struct vhx_queue_stats in = { 0 }, out = { 0 };

	(void)arg;
	vhx_queue_get_stats(dev, 1, &in, sizeof(in));
	vhx_queue_get_stats(dev, 0, &out, sizeof(out));
	fprintf(stderr, "patch: %s: down, %llu in, %llu out\n",
		vhx_device_ifname(dev), (unsigned long long)in.frames,
		(unsigned long long)out.frames);
	close(port->tap);
	port->dev = NULL;
}

static const struct vhx_device_ops ops = {
	.size = sizeof(struct vhx_device_ops),
	.new_device = new_device,
	.destroy_device = destroy_device,
};

static void to_tap(const struct port *port, struct vhx_pkt *pkt)
{
	struct virtio_net_hdr hdr = {
		.flags = pkt->hdr.flags,
		.gso_type = pkt->hdr.gso_type,
		.hdr_len = pkt->hdr.hdr_len,
		.gso_size = pkt->hdr.gso_size,
		.csum_start = pkt->hdr.csum_start,
		.csum_offset = pkt->hdr.csum_offset,
	};
	struct iovec iov[] = {
		{ &hdr, sizeof(hdr) }, { pkt->data, pkt->len },
	};

	if (writev(port->tap, iov, 2) < 0 && errno != EAGAIN)
		perror("patch: tap");
}

static void from_guest(struct port *port)
{
	struct vhx_pkt pkts[BURST], *burst[BURST];
	bool is_armed = false;
	unsigned int i, nr;

	/* Buffers that are there and do not come wait for the session. */
	for (;;) {
		for (i = 0; i < BURST; i++) {
			pkts[i].data = frames[i];
			pkts[i].room = VHX_FRAME_LEN_MAX;
			burst[i] = &pkts[i];
		}
		nr = vhx_dequeue_burst(port->dev, 1, burst, BURST);
		for (i = 0; i < nr; i++)
			to_tap(port, burst[i]);
		if (!nr && (is_armed ||
			    vhx_queue_notification(port->dev, 1, true) <= 0))
			return;
		is_armed = !nr;
	}
}

static bool read_tap(struct port *port)
{
	struct virtio_net_hdr hdr;
	struct iovec iov[] = {
		{ &hdr, sizeof(hdr) }, { port->frame, sizeof(port->frame) },
	};
	ssize_t len = readv(port->tap, iov, 2);

	if (len <= (ssize_t)sizeof(hdr))
		return false;
	memset(&port->pkt, 0, sizeof(port->pkt));
	port->pkt.data = port->frame;
	port->pkt.len = (uint32_t)(len - (ssize_t)sizeof(hdr));
	return true;
}

static void to_guest(struct port *port)
{
	struct vhx_pkt *pkt = &port->pkt;
	bool is_armed = false;

	while (port->is_full || (port->is_full = read_tap(port))) {
		if (vhx_enqueue_burst(port->dev, 0, &pkt, 1)) {
			port->is_full = false;
			is_armed = false;
		} else {
			if (is_armed ||
			    vhx_queue_notification(port->dev, 0, true) <= 0)
				return;
			is_armed = true;
		}
	}
}

static int turn(struct vhx_session *session)
{
	struct pollfd pfd[1 + PORTS_MAX * POLLS];
	struct port *port;

	pfd[0] = (struct pollfd){ vhx_session_fd(session), POLLIN, 0 };
	for (port = ports; port < ports + PORTS_MAX; port++) {
		struct pollfd *at = pfd + 1 + (port - ports) * POLLS;
		bool is_on = port->dev;

		at[0].fd = is_on && !port->is_full ? port->tap : -1;
		/* Kicks that were not asked for stay in it. */
		at[1].fd = is_on && port->is_full ?
			vhx_queue_kick_fd(port->dev, 0) : -1;
		at[2].fd = is_on ? vhx_queue_kick_fd(port->dev, 1) : -1;
		at[0].events = POLLIN;
		at[1].events = POLLIN;
		at[2].events = POLLIN;
	}
	if (poll(pfd, sizeof(pfd) / sizeof(pfd[0]), -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (pfd[0].revents && vhx_session_run(session, 0) < 0)
		return -EIO;
	/* A queue that has come up has asked for no kicks yet. */
	for (port = ports; port < ports + PORTS_MAX; port++) {
		if (!port->dev)
			continue;
		from_guest(port);
		to_guest(port);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct vhx_session *session;
	struct vhx_driver *driver;
	int err;

	if (argc != 2)
		return 2;
	signal(SIGTERM, on_signal);
	err = vhx_session_create(&session);
	if (err)
		return 1;
	vhx_session_set_log(session, print, NULL);
	err = vhx_cuse_register(session, argv[1], &driver);
	if (!err) {
		vhx_driver_set_ops(driver, &ops, NULL);
		err = vhx_driver_start(driver);
	}
	while (err >= 0 && !is_ending)
		err = turn(session);
	vhx_session_destroy(session);
	if (err < 0)
		fprintf(stderr, "patch: %s\n", strerror(-err));
	return err < 0;
}
