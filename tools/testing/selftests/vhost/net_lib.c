// SPDX-License-Identifier: GPL-2.0-only
/* Namespaces, taps, macvtaps, packet sockets and frames. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include "net_lib.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING	23
#endif
#ifndef PACKET_VNET_HDR
#define PACKET_VNET_HDR		15
#endif
#ifndef PACKET_VNET_HDR_SZ
#define PACKET_VNET_HDR_SZ	24
#endif

const uint8_t guest_mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 0x11 };
const uint8_t host_mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 0x22 };

const struct layout one_piece = { .hdr_pieces = 0, .pieces = 1 };
const struct layout two_pieces = { .hdr_pieces = 1, .pieces = 1 };
const struct layout scattered = { .hdr_pieces = 99, .pieces = 3, .empty = true };

/* For files of /proc and /sys. Return: 0 or -errno. */
int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : 0;

	if (!ret && write(fd, text, strlen(text)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/*
 * A network namespace of our own, without IPv6 so that nothing but the test
 * sends; and a mount namespace whose /sys shows its devices. Once a process:
 * its children have the same one.
 */
int netns_enter(void)
{
	static bool is_in;

	if (is_in)
		return 0;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		return -errno;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (mount("sysfs", "/sys", "sysfs", 0, NULL))
		return -errno;
	write_text("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_text("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	is_in = true;
	return 0;
}

int run(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(cmd))
		return -E2BIG;
	return system(cmd) ? -EIO : 0;
}

static int tap_hdr(int fd, unsigned int hdr_len)
{
	int len = hdr_len;

	if (hdr_len && ioctl(fd, TUNSETVNETHDRSZ, &len)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* @hdr_len 0: a tap without virtio header. Return: fd or -errno. */
int tap_open(const char *name, unsigned int flags, unsigned int hdr_len)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | flags };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (hdr_len)
		ifr.ifr_flags |= IFF_VNET_HDR;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return tap_hdr(fd, hdr_len);
}

/* The node of a macvtap is named by its ifindex; sysfs has its number. */
static int macvtap_node(const char *name)
{
	unsigned int major, minor;
	char path[128];
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/net/%s/tap%u/dev", name,
		 if_nametoindex(name));
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "%u:%u", &major, &minor) != 2) {
		fclose(f);
		return -EIO;
	}
	fclose(f);
	snprintf(path, sizeof(path), "/mnt/%d-%s", getpid(),
		 name);
	unlink(path);
	if (mknod(path, S_IFCHR | 0600, makedev(major, minor)))
		return -errno;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	fd = fd < 0 ? -errno : fd;
	unlink(path);
	return fd;
}

/* Macvtap mv0 again, for a test that deleted it. */
int macvtap_add(void)
{
	return run("ip link add link vt0l name mv0 address 02:00:00:00:00:11 type macvtap mode bridge");
}

/*
 * A namespace with macvtap mv0 over one end of a veth pair, whose other end is
 * vt0p. Making one takes long, so each program does it once, before main.
 * Packet sockets are bound to vt0l, below the macvtap.
 */
int macvtap_prepare(void)
{
	int ret = netns_enter();

	if (ret)
		return ret;
	return run("mount -t tmpfs none /mnt && ip -batch - <<-END\n"
		   "link add vt0l mtu 65521 type veth peer name vt0p mtu 65521\n"
		   "link set vt0l up\n"
		   "link set vt0p up\n"
		   "END\n") ?: macvtap_add();
}

/* A queue of the macvtap @name that macvtap_prepare() made. */
int macvtap_open(const char *name, unsigned int hdr_len)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = macvtap_node(name);

	if (hdr_len)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (fd < 0)
		return fd;
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return tap_hdr(fd, hdr_len);
}

int tap_offload(int tap, unsigned int flags)
{
	return ioctl(tap, TUNSETOFFLOAD, flags) ? -errno : 0;
}

/* A macvtap's queue has a limited send buffer, until a client like QEMU lifts that. */
int tap_unlimited(int tap)
{
	int size = INT_MAX;

	return ioctl(tap, TUNSETSNDBUF, &size) ? -errno : 0;
}

static int link_ioctl(unsigned long nr, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, nr, ifr) ? -errno : 0;
	close(fd);
	return ret;
}

int link_up(const char *name, unsigned int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };
	int ret;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ret = mtu ? link_ioctl(SIOCSIFMTU, &ifr) : 0;
	if (ret)
		return ret;
	ret = link_ioctl(SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP;
	return ret ? ret : link_ioctl(SIOCSIFFLAGS, &ifr);
}

int link_del(const char *name)
{
	return run("ip link del %s", name);
}

/* Return: packets that the host received from (@rx) or sent to the link. */
int64_t link_packets(const char *name, bool rx)
{
	char path[128];
	long long n = -EIO;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s_packets",
		 name, rx ? "rx" : "tx");
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "%lld", &n) != 1)
		n = -EIO;
	fclose(f);
	return n;
}

/* The file that SET_BACKEND gets. @hdr_len 0: frames without virtio header. */
static int guest_end_open(const struct net *n, unsigned int hdr_len)
{
	if (n->kind == BE_TAP)
		return tap_open(n->tap_if, 0, hdr_len);
	if (n->kind == BE_MACVTAP)
		return macvtap_open(n->tap_if, hdr_len);
	return pkt_open(n->tap_if, hdr_len);
}

int net_open(struct net *n, enum backend kind, unsigned int hdr_len)
{
	int ret = kind == BE_TAP ? netns_enter() : 0;

	n->kind = kind;
	n->tap = -1;
	n->pkt = -1;
	if (ret)
		return ret;
	strcpy(n->tap_if, kind == BE_TAP ? "vt0" :
	       kind == BE_MACVTAP ? "mv0" : "vt0l");
	strcpy(n->host_if, kind == BE_TAP ? "vt0" : "vt0p");
	n->tap = guest_end_open(n, hdr_len);
	if (n->tap < 0)
		return n->tap;
	ret = link_up(n->tap_if, 65521);
	if (ret)
		return ret;
	n->pkt = pkt_open(n->host_if, PACKET_HDR);
	return n->pkt < 0 ? n->pkt : 0;
}

void net_close(struct net *n)
{
	if (n->tap >= 0)
		close(n->tap);
	if (n->pkt >= 0)
		close(n->pkt);
	n->tap = -1;
	n->pkt = -1;
}

static int pkt_hdr(int fd, unsigned int hdr_len)
{
	int one = 1;

	if (!hdr_len)
		return 0;
	if (hdr_len == PACKET_HDR)
		return setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one,
				  sizeof(one));
	return setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR_SZ, &hdr_len,
			  sizeof(hdr_len));
}

/*
 * A packet socket that sees and sends whole frames, with virtio headers of
 * @hdr_len bytes if that is not 0.
 */
int pkt_open(const char *name, unsigned int hdr_len)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	int one = 1, size = 64 << 20;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    pkt_hdr(fd, hdr_len) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
		       sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* The next frame from the guest; others are skipped. Return: bytes. */
int pkt_recv(int fd, struct virtio_net_hdr *h, void *frame, size_t size,
	     int ms)
{
	struct iovec iov[2] = { { h, sizeof(*h) }, { frame, size } };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = now_ms() + ms;

	for (;;) {
		int64_t left = end - now_ms();
		ssize_t n;

		if (poll(&p, 1, left > 0 ? left : 0) != 1)
			return -ETIMEDOUT;
		n = readv(fd, iov, 2);
		if (n < 0)
			return -errno;
		if (n >= PACKET_HDR + ETH_HLEN &&
		    !memcmp((uint8_t *)frame + ETH_ALEN, guest_mac, ETH_ALEN))
			return n - PACKET_HDR;
	}
}

int pkt_send(int fd, const struct virtio_net_hdr *h, const void *frame,
	     size_t len)
{
	static const struct virtio_net_hdr none;
	struct iovec iov[2] = {
		{ (void *)(h ? h : &none), PACKET_HDR }, { (void *)frame, len },
	};

	return writev(fd, iov, 2) == (ssize_t)(PACKET_HDR + len) ? 0 : -errno;
}

static void frame_eth(uint8_t *f, bool to_guest, uint16_t type)
{
	memcpy(f, to_guest ? guest_mac : host_mac, ETH_ALEN);
	memcpy(f + ETH_ALEN, to_guest ? host_mac : guest_mac, ETH_ALEN);
	f[12] = type >> 8;
	f[13] = type;
}

/* Content that depends on @seq and on the place, with no period of 2^n. */
static void frame_pattern(uint8_t *p, size_t len, uint32_t seq)
{
	for (size_t i = 0; i < len; i++)
		p[i] = i % 251 + (i >> 8) + seq;
}

void frame_fill(uint8_t *f, size_t len, bool to_guest, uint32_t seq)
{
	frame_eth(f, to_guest, ETH_TEST);
	frame_pattern(f + ETH_HLEN, len - ETH_HLEN, seq);
}

static uint16_t ip_sum(const void *p, size_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < len; i += sizeof(word)) {
		/* what is summed is no array of words */
		memcpy(&word, (const uint8_t *)p + i, sizeof(word));
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* A TCP segment over IPv4 whose checksum is left to the receiver. */
void frame_tcp4(uint8_t *f, size_t len, bool to_guest, uint32_t seq)
{
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
		.tot_len = htons(len - ETH_HLEN),
		.saddr = htonl(0xc6336401), .daddr = htonl(0xc6336402),
	};
	struct tcphdr tcp = {
		.source = htons(1), .dest = htons(2), .seq = htonl(seq),
		.doff = 5, .ack = 1,
	};
	struct {
		uint32_t s, d;
		uint16_t proto, len;
	} pseudo = { ip.saddr, ip.daddr, htons(IPPROTO_TCP),
		     htons(len - ETH_HLEN - sizeof(ip)) };

	frame_eth(f, to_guest, ETH_P_IP);
	ip.check = ip_sum(&ip, sizeof(ip));
	tcp.check = ~ip_sum(&pseudo, sizeof(pseudo));
	memcpy(f + ETH_HLEN, &ip, sizeof(ip));
	memcpy(f + ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp));
	frame_pattern(f + ETH_HLEN + 40, len - ETH_HLEN - 40, seq);
}

void hdr_gso_tcp4(struct virtio_net_hdr *h, uint16_t gso_size)
{
	memset(h, 0, sizeof(*h));
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = ETH_HLEN + sizeof(struct iphdr);
	h->csum_offset = offsetof(struct tcphdr, check);
	if (!gso_size)
		return;
	h->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	h->hdr_len = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr);
	h->gso_size = gso_size;
}

/* A header from our byte order to the guest's, and back. */
void hdr_swap(const struct dev *d, struct virtio_net_hdr *h)
{
	h->hdr_len = g16(d, h->hdr_len);
	h->gso_size = g16(d, h->gso_size);
	h->csum_start = g16(d, h->csum_start);
	h->csum_offset = g16(d, h->csum_offset);
}

/* Cut @len bytes at @p in @n pieces. */
static int cut(struct seg *s, uint8_t *p, size_t len, unsigned int n)
{
	size_t step;
	unsigned int i;

	if (n > len)
		n = len;
	for (i = 0; i < n; i++) {
		step = i < n - 1 ? len / n : len - (n - 1) * (len / n);
		s[i].p = p;
		s[i].len = step;
		p += step;
	}
	return n;
}

static int cut_buffer(struct seg *s, uint8_t *buf, size_t hdr, size_t len,
		      const struct layout *l)
{
	int n;

	if (!l->hdr_pieces)
		return cut(s, buf, hdr + len, l->pieces);
	n = cut(s, buf, hdr, l->hdr_pieces);
	if (l->empty)
		s[n++] = (struct seg){ buf + hdr, 0 };
	return n + cut(s + n, buf + hdr, len, l->pieces);
}

/* Add one frame to send, written to guest memory at @buf. */
int tx_add(struct vq *vq, const struct virtio_net_hdr *h, const uint8_t *f,
	   size_t len, const struct layout *l, uint8_t *buf)
{
	unsigned int hdr = vq->dev->hdr_len;
	struct virtio_net_hdr theirs;
	struct seg s[TABLE_LEN];

	memset(buf, 0, hdr);
	if (h) {
		theirs = *h;
		hdr_swap(vq->dev, &theirs);
		memcpy(buf, &theirs, sizeof(theirs));
	}
	memcpy(buf + hdr, f, len);
	return vq_add(vq, s, cut_buffer(s, buf, hdr, len, l), 0);
}

/* Add room for @size bytes of header and frame. */
int rx_add(struct vq *vq, size_t size, const struct layout *l, uint8_t *buf)
{
	unsigned int hdr = vq->dev->hdr_len;
	struct seg s[TABLE_LEN];

	return vq_add(vq, s, 0, cut_buffer(s, buf, hdr, size - hdr, l));
}
