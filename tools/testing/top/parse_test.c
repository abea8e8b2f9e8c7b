// SPDX-License-Identifier: GPL-2.0-only
/* What vhx-top reads out of the texts of /proc, right ones and wrong ones. */
#include <stdio.h>
#include <string.h>

#include <kselftest_harness.h>

#include "fdinfo.h"
#include "netdev.h"
#include "number.h"
#include "vm.h"

FIXTURE(parse) {
	struct fdinfo info;
};

FIXTURE_SETUP(parse)
{
	memset(&self->info, 0xff, sizeof(self->info));
}

FIXTURE_TEARDOWN(parse)
{
}

TEST_F(parse, all_keys_ok)
{
	const struct ring *rx = &self->info.ring[RING_RX];
	const struct ring *tx = &self->info.ring[RING_TX];

	fdinfo_parse(&self->info,
		     "pos:\t0\nflags:\t02000002\nvhx-owner:\t4711\n"
		     "vhx-features:\tmrg_rxbuf version_1 60\nvhx-latency:\t1\n"
		     "vhx-rx-state:\trunning\nvhx-rx-format:\tpacked\n"
		     "vhx-rx-size:\t256\nvhx-rx-backend:\ttap\n"
		     "vhx-rx-ifname:\ttap0\nvhx-rx-queue:\t3\nvhx-rx-worker:\t99\n"
		     "vhx-rx-frames:\t18446744073709551615\n"
		     "vhx-rx-burst_64:\t7\nvhx-rx-pickup_1024:\t5\n"
		     "vhx-rx-publish_1:\t6\nvhx-rx-retries:\t8\n"
		     "vhx-tx-state:\tfailed\nvhx-tx-cause:\tdescriptor loop\n"
		     "vhx-tx-stop_loop:\t2\nvhx-tx-stop_later:\t1\n"
		     "vhx-tx-drop_nomem:\t11\n");
	EXPECT_TRUE(self->info.is_vhx);
	EXPECT_EQ(4711, self->info.owner);
	EXPECT_STREQ("mrg_rxbuf version_1 60", self->info.features);
	EXPECT_TRUE(self->info.has_latency);
	EXPECT_EQ(RING_RUNNING, rx->state);
	EXPECT_STREQ("packed", rx->format);
	EXPECT_EQ(256, rx->size);
	EXPECT_STREQ("tap", rx->backend);
	EXPECT_STREQ("tap0", rx->ifname);
	EXPECT_EQ(3, rx->queue);
	EXPECT_EQ(99, rx->worker);
	EXPECT_EQ(UINT64_MAX, rx->counters.frames);
	EXPECT_EQ(7, rx->counters.burst_64);
	EXPECT_EQ(8, rx->counters.retries);
	EXPECT_EQ(5, rx->pickup[10]);
	EXPECT_EQ(6, rx->publish[0]);
	EXPECT_EQ(RING_FAILED, tx->state);
	EXPECT_STREQ("descriptor loop", tx->cause);
	EXPECT_EQ(2, tx->nr_stops);
	EXPECT_STREQ("loop", tx->stops[0].cause);
	EXPECT_EQ(2, tx->stops[0].nr);
	EXPECT_EQ(11, tx->counters.drop_nomem);
	EXPECT_EQ(-1, tx->queue);
}

TEST_F(parse, file_without_keys_is_not_ours)
{
	fdinfo_parse(&self->info, "pos:\t0\nflags:\t02\nmnt_id:\t15\n");
	EXPECT_FALSE(self->info.is_vhx);
	EXPECT_EQ(RING_UNKNOWN, self->info.ring[RING_TX].state);
	fdinfo_parse(&self->info, "");
	EXPECT_FALSE(self->info.is_vhx);
}

TEST_F(parse, tap_ok)
{
	fdinfo_parse(&self->info, "pos:\t0\niff:\ttap7\n");
	EXPECT_STREQ("tap7", self->info.tap);
}

/* Of a newer module, or cut off, or nonsense: what is right of it counts. */
TEST_F(parse, unknown_lines_ignored_ok)
{
	char text[8192] = "vhx-rx-colour:\tred\nvhx-:\nvhx-rx-\n:\n\n\tvhx\n";
	size_t len = strlen(text);

	memset(text + len, 'x', 5000);
	strcpy(text + len + 5000, "\nvhx-rx-pickup_0:\t1\nvhx-rx-pickup_x:\t1\n"
	       "vhx-rx-worker:\t99999999999999999999\nvhx-rx-state:\tdancing\n"
	       "vhx-rx-kicks:\t5\nvhx-tx-kicks:\t6");
	fdinfo_parse(&self->info, text);
	EXPECT_EQ(5, self->info.ring[RING_RX].counters.kicks);
	EXPECT_EQ(6, self->info.ring[RING_TX].counters.kicks);
	EXPECT_EQ(0, self->info.ring[RING_RX].worker);
	EXPECT_EQ(RING_UNKNOWN, self->info.ring[RING_RX].state);
}

TEST_F(parse, many_causes_bounded_ok)
{
	char text[4096] = "";
	int i;

	for (i = 0; i < 100; i++)
		sprintf(text + strlen(text), "vhx-rx-stop_%d:\t1\n", i);
	fdinfo_parse(&self->info, text);
	EXPECT_EQ(FDINFO_CAUSES, self->info.ring[RING_RX].nr_stops);
}

/* An interface may have any name, and a terminal obeys some. */
TEST_F(parse, control_characters_replaced_ok)
{
	fdinfo_parse(&self->info, "vhx-rx-ifname:\ta\033[2Jb\177\n");
	EXPECT_STREQ("a?[2Jb?", self->info.ring[RING_RX].ifname);
}

TEST_F(parse, long_values_cut_ok)
{
	fdinfo_parse(&self->info, "vhx-rx-ifname:\tabcdefghijklmnopqrstuvwxyz\n");
	EXPECT_STREQ("abcdefghijklmno", self->info.ring[RING_RX].ifname);
}

static const char *name_of(const char *cmdline, size_t len)
{
	static char name[20];

	vm_name(name, sizeof(name), cmdline, len, "comm");
	return name;
}

#define NAME_OF(words)	name_of(words, sizeof(words))

TEST_F(parse, vm_name_ok)
{
	EXPECT_STREQ("web", NAME_OF("qemu\0-name\0guest=web,debug-threads=on"));
	EXPECT_STREQ("web", NAME_OF("qemu\0-name\0web"));
	EXPECT_STREQ("web", NAME_OF("qemu\0-m\0001\0-name\0web,process=vm1\0-x"));
	EXPECT_STREQ("web", NAME_OF("qemu\0--name\0debug-threads=on,guest=web"));
	EXPECT_STREQ("a,b", NAME_OF("qemu\0-name\0guest=a,,b,process=c"));
	EXPECT_STREQ("a=b", NAME_OF("qemu\0-name\0guest=a=b"));
	EXPECT_STREQ("?[31m", NAME_OF("qemu\0-name\0\033[31m"));
	EXPECT_STREQ("nineteen letters of", NAME_OF("qemu\0-name\0nineteen letters of a name"));
}

TEST_F(parse, vm_without_name_is_comm)
{
	EXPECT_STREQ("comm", NAME_OF("qemu\0-m\0001"));
	EXPECT_STREQ("comm", NAME_OF("qemu\0-name"));
	EXPECT_STREQ("comm", NAME_OF("qemu\0-name\0debug-threads=on"));
	EXPECT_STREQ("comm", NAME_OF("qemu\0-name\0"));
	EXPECT_STREQ("comm", name_of("", 0));
}

static const char net_dev[] =
	"Inter-|   Receive                |  Transmit\n"
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"
	"    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
	"  tap1:11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26\n"
	"  tap10: 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46\n";

TEST_F(parse, interface_ok)
{
	struct netdev dev;

	netdev_parse(&dev, net_dev, "tap1");
	EXPECT_TRUE(dev.is_known);
	EXPECT_EQ(11, dev.rx_bytes);
	EXPECT_EQ(12, dev.rx_frames);
	EXPECT_EQ(14, dev.rx_drops);
	EXPECT_EQ(19, dev.tx_bytes);
	EXPECT_EQ(20, dev.tx_frames);
	EXPECT_EQ(22, dev.tx_drops);
	netdev_parse(&dev, net_dev, "tap10");
	EXPECT_EQ(31, dev.rx_bytes);
	netdev_parse(&dev, net_dev, "tap");
	EXPECT_FALSE(dev.is_known);
	netdev_parse(&dev, "", "");
	EXPECT_FALSE(dev.is_known);
}

TEST_F(parse, numbers_ok)
{
	static const struct {
		double val;
		const char *text;
	} known[] = {
		{ 0, "0" }, { 0.04, "0.0" }, { 7, "7.0" }, { 99.94, "99.9" },
		{ 99.96, "100" }, { 999.4, "999" }, { 999.6, "1.0k" },
		{ 123456, "123k" }, { 5e6, "5.0M" }, { 2e15, "2000T" },
	};
	char text[32];
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		number_put(text, sizeof(text), known[i].val);
		EXPECT_STREQ(known[i].text, text);
	}
	number_time(text, sizeof(text), 2048);
	EXPECT_STREQ("2.0us", text);
}

TEST_F(parse, text_fits_ok)
{
	char line[12] = "";

	number_fit(line, sizeof(line), "abcdef", -4);
	number_fit(line, sizeof(line), "x", 3);
	EXPECT_STREQ("abcd  x", line);
	/* no more than there is room for */
	number_fit(line, sizeof(line), "abcdefgh", -8);
	EXPECT_STREQ("abcd  x", line);
}

TEST_HARNESS_MAIN
