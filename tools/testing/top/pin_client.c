// SPDX-License-Identifier: GPL-2.0-only
/*
 * An owner for the tests of vhx-pin: of a device a tap, both rings up. Says when they
 * are, then at each line on stdin that frames went both ways, until there is no more.
 *
 * usage: pin_client TAP[,TAP] task|kthread [-name NAME]
 */
#include "worker_lib.h"

static int start(struct rig *r, const char *tap, uint8_t mode)
{
	int ret;

	r->n.kind = BE_TAP;
	r->n.tap = tap_open(tap, 0, 12);
	if (r->n.tap < 0)
		return r->n.tap;
	ret = link_up(tap, 65521);
	if (ret)
		return ret;
	r->n.pkt = pkt_open(tap, PACKET_HDR);
	if (r->n.pkt < 0)
		return r->n.pkt;
	ret = dev_open(&r->d);
	for (int q = 0; q < 2 && !ret; q++) {
		r->d.vq[q].kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ret = r->d.vq[q].kick < 0 ? -errno : 0;
	}
	if (!ret && has_fork_ioctls())
		ret = fork_set(&r->d, mode);
	if (!ret)
		ret = dev_own(&r->d);
	return ret ? ret : rig_rings(r);
}

static int answer(struct rig *r, int nr)
{
	int ret = 0;

	for (int i = 0; i < nr && !ret; i++)
		ret = rig_works(&r[i]);
	printf("%s\n", ret ? strerror(-ret) : "ok");
	fflush(stdout);
	return ret;
}

int main(int argc, char **argv)
{
	static struct rig r[2];
	char line[16], *tap;
	int nr = 0, ret;

	if (argc < 3)
		return KSFT_FAIL;
	write_text("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	while (nr < 2 && (tap = strsep(&argv[1], ","))) {
		ret = start(&r[nr++], tap, strcmp(argv[2], "task") ?
			    KTHREAD : TASK);
		if (ret) {
			DIAG("%s: %s", tap, strerror(-ret));
			return KSFT_FAIL;
		}
	}
	answer(r, nr);
	while (fgets(line, sizeof(line), stdin))
		answer(r, nr);
	while (nr--)
		rig_close(&r[nr]);
	return 0;
}
