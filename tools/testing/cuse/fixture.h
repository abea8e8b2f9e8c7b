/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A node of libvhx-cuse, and the client and the guest of the kselftests of
 * /dev/vhost-net that it is tried by.
 */
#ifndef CUSE_FIXTURE_H
#define CUSE_FIXTURE_H

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#include "echo.h"

#define NODE	"vhx-test"
#define RING	256
#define LEN	1500

struct fix {
	struct echo echo;
	struct dev d;
	struct net n;
	uint8_t *buf;
	int memfd;
	int kmsg;
};

static inline int bring_up(struct fix *f)
{
	int ret;

	f->kmsg = kmsg_open();
	setenv("VHX_NODE", "/dev/" NODE, 1);
	ret = net_open(&f->n, BE_TAP, 12);
	if (!ret)
		ret = echo_start(&f->echo, NODE, false);
	if (ret)
		printf("# %s\n", f->echo.text);
	return ret ? ret : dev_open(&f->d);
}

static inline int bring_down(struct fix *f)
{
	int ret;

	dev_close(&f->d);
	ret = echo_stop(&f->echo);
	if (ret)
		printf("# %s\n", f->echo.text);
	net_close(&f->n);
	return ret;
}

/* As dev_mem(), but shared. */
static inline int shared_mem(struct fix *f)
{
	struct dev *d = &f->d;

	f->memfd = memfd_create("guest", MFD_CLOEXEC);
	if (f->memfd < 0 || ftruncate(f->memfd, MEM_SIZE))
		return -errno;
	d->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      f->memfd, 0);
	d->brk = 2 * RING_AREA;
	return d->mem == MAP_FAILED ? -errno : 0;
}

static inline int own_and_share(struct fix *f, uint64_t features)
{
	struct dev *d = &f->d;
	int ret = dev_own(d);

	if (!ret)
		ret = dev_features(d, features);
	if (!ret)
		ret = shared_mem(f);
	return ret;
}

/* All but the backends. */
static inline int set_up(struct fix *f, uint64_t features)
{
	int ret = own_and_share(f, features);

	if (!ret)
		ret = dev_mem_table(&f->d);
	if (!ret)
		ret = vq_setup(&f->d, RX, RING);
	if (!ret)
		ret = vq_setup(&f->d, TX, RING);
	f->buf = guest_alloc(&f->d, 8 << 20, 4096);
	return ret;
}

static inline int start(struct fix *f)
{
	int ret = dev_backend(&f->d, RX, f->n.tap);

	return ret ? ret : dev_backend(&f->d, TX, f->n.tap);
}

static inline int stop(struct fix *f)
{
	int ret = dev_backend(&f->d, RX, -1);

	return ret ? ret : dev_backend(&f->d, TX, -1);
}

/* A frame to the device, and the same back. Return: 0 or an errno. */
static inline int there_and_back(struct fix *f, uint32_t seq)
{
	struct vq *rx = &f->d.vq[RX], *tx = &f->d.vq[TX];
	uint8_t frame[LEN], *in = f->buf + (seq & 1) * 8192;
	uint8_t *out = f->buf + 65536 + (seq & 1) * 8192;
	uint32_t len = 0;
	int ret;

	memset(in, 0, 8192);
	frame_fill(frame, LEN, false, seq);
	ret = rx_add(rx, f->d.hdr_len + LEN, &one_piece, in);
	if (ret < 0)
		return ret;
	vq_publish_kick(rx);
	ret = tx_add(tx, NULL, frame, LEN, &one_piece, out);
	if (ret < 0)
		return ret;
	vq_publish_kick(tx);
	ret = vq_wait(tx, 1, WAIT_MS);
	if (!ret)
		ret = vq_wait(rx, 1, WAIT_MS);
	if (ret)
		return ret;
	if (vq_pop(tx, NULL) < 0 || vq_pop(rx, &len) < 0)
		return -ENOENT;
	return len == f->d.hdr_len + LEN &&
	       !memcmp(in + f->d.hdr_len, frame, LEN) ? 0 : -EBADMSG;
}

static inline bool has_carrier(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr = { .ifr_data = (void *)&value };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	if (ioctl(fd, SIOCETHTOOL, &ifr))
		value.data = 0;
	close(fd);
	return value.data;
}

#endif /* CUSE_FIXTURE_H */
