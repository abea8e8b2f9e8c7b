// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* What a client names as its backend: a tap, which says who the guest is. */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

#include "cuse_client.h"

/* Network device features that the kernel may have; 7.3 has fewer than 64. */
#define FEATURES_MAX	128
#define BLOCKS		(FEATURES_MAX / 32)

#define FROM_GUEST	(BIT_ULL(VIRTIO_NET_F_CSUM) | \
			 BIT_ULL(VIRTIO_NET_F_HOST_TSO4) | \
			 BIT_ULL(VIRTIO_NET_F_HOST_TSO6))

/* Drivers of taps have numbers in /proc/devices, but for tun, which has 10, 200. */
static bool is_tap_driver(dev_t dev)
{
	char line[64], name[32];
	unsigned int number;
	bool is_one = false;
	FILE *file;

	if (dev == makedev(10, 200))
		return true;
	file = fopen("/proc/devices", "re");
	if (!file)
		return false;
	while (!is_one && fgets(line, sizeof(line), file))
		is_one = sscanf(line, "%u %31s", &number, name) == 2 &&
			 number == major(dev) &&
			 (!strcmp(name, "macvtap") || !strcmp(name, "ipvtap"));
	fclose(file);
	return is_one;
}

/* Names of the kernel's, what they say of the guest, as TUNSETOFFLOAD told it */
static const struct {
	const char *name;
	u64 feature;
} offload_names[] = {
	{ "tx-checksum-ip-generic", BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
	{ "tx-tcp-segmentation", BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) },
	{ "tx-tcp6-segmentation", BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) },
};

static u64 offload_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(offload_names) / sizeof(offload_names[0]); i++)
		if (!strncmp(name, offload_names[i].name, ETH_GSTRING_LEN))
			return offload_names[i].feature;
	return 0;
}

/* Its name is a name here only if its network namespace is ours. */
static bool is_in_our_netns(int fd)
{
	int netns = ioctl(fd, TUNGETDEVNETNS);
	struct stat theirs, ours;
	bool is_same;

	if (netns < 0)
		return false;
	is_same = !fstat(netns, &theirs) &&
		  !stat("/proc/thread-self/ns/net", &ours) &&
		  theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
	close(netns);
	return is_same;
}

static bool ask_ethtool(int sock, const char *name, void *what)
{
	struct ifreq ifr = { .ifr_data = what };

	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	return !ioctl(sock, SIOCETHTOOL, &ifr);
}

/* An answer of ethtool's has a head and then so many of something. */
#define ANSWER(type, each) \
	union { struct type head; u8 room[sizeof(struct type) + (each)]; }

static u64 ask_features(int sock, const char *name)
{
	ANSWER(ethtool_sset_info, sizeof(u32)) info = { .head = {
		.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1u << ETH_SS_FEATURES,
	} };
	ANSWER(ethtool_gstrings, FEATURES_MAX * ETH_GSTRING_LEN) strings = {
		.head = {
			.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES,
		}
	};
	ANSWER(ethtool_gfeatures, BLOCKS *
	       sizeof(struct ethtool_get_features_block)) features = {
		.head = { .cmd = ETHTOOL_GFEATURES, .size = BLOCKS }
	};
	const u8 *string = strings.head.data;
	u64 offloads = 0;
	u32 i;

	if (!ask_ethtool(sock, name, &info) ||
	    info.head.data[0] > FEATURES_MAX ||
	    !ask_ethtool(sock, name, &strings) ||
	    !ask_ethtool(sock, name, &features))
		return 0;
	for (i = 0; i < info.head.data[0]; i++, string += ETH_GSTRING_LEN)
		if (features.head.features[i / 32].active & 1u << i % 32)
			offloads |= offload_of((const char *)string);
	return offloads;
}

/* What the guest takes: QEMU told the tap, and the tap tells the host. */
static u64 guest_offloads(int fd, const char *name)
{
	u64 offloads = 0;
	int sock;

	if (!is_in_our_netns(fd))
		return 0;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return 0;
	offloads = ask_features(sock, name);
	close(sock);
	return offloads;
}

/**
 * vhx_tap_look_at - what a descriptor is
 * @fd: the descriptor
 * @name: result, of IFNAMSIZ bytes
 * @offloads: result: what its guest may leave to us, and what it takes, by
 *            feature bits
 *
 * Return: 0, -ENOTSOCK (no tap, as in-tree says it), -EINVAL (a tun, or not
 * attached to an interface)
 */
int vhx_tap_look_at(int fd, char *name, u64 *offloads)
{
	struct ifreq ifr;
	struct statx st;

	/* A file of FUSE, or a node of CUSE, would wait for its server: us, maybe. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) ||
	    !S_ISCHR(st.stx_mode) ||
	    !is_tap_driver(makedev(st.stx_rdev_major, st.stx_rdev_minor)))
		return -ENOTSOCK;
	memset(&ifr, 0, sizeof(ifr));
	if (ioctl(fd, TUNGETIFF, &ifr))
		return errno == EBADFD ? -EINVAL : -ENOTSOCK;
	if (!(ifr.ifr_flags & IFF_TAP))
		return -EINVAL;
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	name[IFNAMSIZ - 1] = 0;
	*offloads = 0;
	if (ifr.ifr_flags & IFF_VNET_HDR)
		*offloads = FROM_GUEST | guest_offloads(fd, name);
	return 0;
}

/**
 * vhx_tap_set_carrier - let the host's stack send there, or not
 * @fd: a tap; a macvtap has no such switch
 * @is_on: whether
 */
void vhx_tap_set_carrier(int fd, bool is_on)
{
	int carrier = is_on;

	if (ioctl(fd, TUNSETCARRIER, &carrier))
		return;
}
