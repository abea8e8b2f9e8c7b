// SPDX-License-Identifier: GPL-2.0-only
/* The network that programs have their devices on. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "net_lib.h"
#include "prog.h"

int backends[FDS];
static int peers[2];			/* behind the tap, behind the others */
static uint8_t frame[FRAME_MAX + sizeof(struct virtio_net_hdr)];

void backends_open(void)
{
	unsigned int i;

	backends[TAP] = tap_open("vt0", IFF_MULTI_QUEUE, 12);
	backends[MACVTAP] = macvtap_open("mv0", 12);
	backends[PACKET] = pkt_open("vt0l", PACKET_HDR);
	backends[EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	backends[ZERO] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	backends[UDP] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	backends[NONE] = -1;
	peers[0] = pkt_open("vt0", PACKET_HDR);
	peers[1] = pkt_open("vt0p", PACKET_HDR);
	for (i = 0; i < BACKENDS; i++)
		fcntl(backends[i], F_SETFL, O_NONBLOCK);
	for (i = 0; i < 2; i++)
		fcntl(peers[i], F_SETFL, O_NONBLOCK);
}

/*
 * The network that all programs use: a tap, a macvtap and a veth that stay.
 * So do their sockets: to open and close them costs many times a program.
 */
int backends_prepare(void)
{
	int ret = macvtap_prepare();
	unsigned int i;

	if (!ret)
		ret = run("ip tuntap add dev vt0 mode tap vnet_hdr multi_queue");
	if (!ret)
		ret = run("ip link set vt0 mtu 65521 up && ip link set mv0 up");
	if (ret)
		return ret;
	backends_open();
	for (i = 0; i < BACKENDS && !ret; i++)
		ret = backends[i] < 0 ? backends[i] : 0;
	for (i = 0; i < 2 && !ret; i++)
		ret = peers[i] < 0 ? peers[i] : 0;
	return ret;
}

void backends_send(const struct op *op)
{
	struct virtio_net_hdr h = { 0 };
	unsigned int n = 1 + op->a % 16;

	if (op->c & 1) {
		h.flags = op->c >> 8;
		h.gso_type = op->c >> 16;
		h.gso_size = op->c >> 24;
		h.hdr_len = op->c >> 40;
	}
	frame_fill(frame, FRAME_MAX, true, op->a);
	while (n--)
		pkt_send(peers[op->a >> 8 & 1], &h, frame,
			 60 + op->b % (FRAME_MAX - 60));
}

static void drain(int fd)
{
	while (recv(fd, frame, sizeof(frame), MSG_DONTWAIT) > 0 ||
	       read(fd, frame, 64) > 0)
		;
}

void backends_drain_one(const struct op *op)
{
	drain(op->a & 1 ? backends[op->b % BACKENDS] : peers[op->b & 1]);
}

/* What the program before left is not for this one. */
void backends_drain(void)
{
	unsigned int i;

	for (i = 0; i < BACKENDS; i++)
		drain(backends[i]);
	for (i = 0; i < 2; i++)
		drain(peers[i]);
}
