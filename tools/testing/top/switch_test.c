// SPDX-License-Identifier: GPL-2.0-only
/* What vhx-top reads out of the answers of a vhx-switch, right ones and wrong ones. */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "switch.h"

#define CALLS	"\"calls\": 2, \"errors\": 1, \"kicks\": 3, \"guest_wait_ns\": 12345678901234"

/* As it was told, with fewer counters. */
static const char queues[] =
	"ok\n[{\"port\": \"a b\", \"ring\": \"rx0\", \"state\": \"running\",\n"
	"\"format\": \"packed\", \"size\": 256, \"thread\": 0, \"worker\": 4712,\n"
	"\"frames\": 18446744073709551615, \"burst_64\": 7, \"drop_share\": 5,\n"
	"\"colour\": \"red\", \"list\": [1, 2], " CALLS "},\n"
	"{\"port\": \"a b\", \"ring\": \"tx0\", \"state\": \"failed\",\n"
	"\"cause\": \"head out of range\", \"format\": \"split\", \"size\": 0,\n"
	"\"thread\": 0, \"worker\": 4712, \"frames\": 5, \"stop_head\": 1},\n"
	"{\"port\": \"a b\", \"ring\": \"rx1\", \"state\": \"stopped\"},\n"
	"{\"port\": \"c\\u001b[2J\", \"ring\": \"tx0\", \"state\": \"stopped\"}]\n";

static const char ports[] =
	"ok\n[{\"name\": \"a b\", \"kind\": \"vhost-user\", \"path\": \"/run/a\",\n"
	"\"up\": true, \"threads\": [0], \"rx\": 10, \"rx_bytes\": 11, \"tx\": 12,\n"
	"\"tx_bytes\": 13, \"drop_full\": 14, \"drop_down\": 1, \"drop_vlan\": 15,\n"
	"\"drop_reserved\": 16, \"drop_bad\": 17},\n"
	"{\"name\": \"tap\", \"kind\": \"tap\", \"path\": \"tap0\", \"rx\": 99}]\n";

FIXTURE(answer) {
	struct pairs pairs;
};

FIXTURE_SETUP(answer)
{
	memset(&self->pairs, 0, sizeof(self->pairs));
}

FIXTURE_TEARDOWN(answer)
{
	switch_free(&self->pairs);
}

TEST_F(answer, queues_ok)
{
	const struct pair *pair;
	const struct ring *ring;

	ASSERT_EQ(0, switch_parse_queues(&self->pairs, queues));
	ASSERT_EQ(3, self->pairs.nr);
	pair = self->pairs.list;
	EXPECT_STREQ("a b", pair->port);
	EXPECT_EQ(0, pair->number);
	ring = &pair->info.ring[RING_RX];
	EXPECT_EQ(RING_RUNNING, ring->state);
	EXPECT_STREQ("packed", ring->format);
	EXPECT_EQ(256, ring->size);
	EXPECT_EQ(4712, ring->worker);
	EXPECT_STREQ("switch", ring->backend);
	EXPECT_EQ(0, ring->queue);
	EXPECT_EQ(UINT64_MAX, ring->counters.frames);
	EXPECT_EQ(7, ring->counters.burst_64);
	EXPECT_EQ(5, ring->counters.drop_share);
	EXPECT_EQ(12345678901234, ring->counters.guest_wait_ns);
	EXPECT_TRUE(ring_tells(ring, COUNTER_INDEX(drop_share)));
	EXPECT_FALSE(ring_tells(ring, COUNTER_INDEX(host_wait_ns)));
	ring = &pair->info.ring[RING_TX];
	EXPECT_EQ(RING_FAILED, ring->state);
	EXPECT_STREQ("head out of range", ring->cause);
	EXPECT_EQ(1, ring->nr_stops);
	EXPECT_STREQ("head", ring->stops[0].cause);
	EXPECT_EQ(1, self->pairs.list[1].number);
	EXPECT_EQ(1, self->pairs.list[1].info.ring[RING_RX].queue);
	EXPECT_STREQ("c?[2J", self->pairs.list[2].port);
	EXPECT_EQ(RING_UNKNOWN, self->pairs.list[2].info.ring[RING_RX].state);
}

TEST_F(answer, ports_ok)
{
	const struct pair *pair;

	ASSERT_EQ(0, switch_parse_queues(&self->pairs, queues));
	ASSERT_EQ(0, switch_parse_ports(&self->pairs, ports));
	ASSERT_EQ(3, self->pairs.nr);
	pair = self->pairs.list;
	EXPECT_STREQ("/run/a", pair->path);
	EXPECT_TRUE(pair->net.is_known);
	EXPECT_EQ(10, pair->net.rx_frames);
	EXPECT_EQ(13, pair->net.tx_bytes);
	EXPECT_EQ(14, pair->net.tx_drops);
	EXPECT_EQ(48, pair->net.rx_drops);
	/* counters of the port are told once */
	EXPECT_STREQ("/run/a", pair[1].path);
	EXPECT_FALSE(pair[1].net.is_known);
	EXPECT_FALSE(pair[2].net.is_known);
}

TEST_F(answer, nobody_ok)
{
	EXPECT_EQ(0, switch_parse_queues(&self->pairs, "ok\n[]\n"));
	EXPECT_EQ(0, self->pairs.nr);
}

TEST_F(answer, nonsense_eproto)
{
	static const char *const texts[] = {
		"", "ok", "ok\n", "ok\n{}", "ok\n[{\"port\": \"a\"", "ok\n7", "[]",
		"error\nnot understood\n", "ok\n[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		EXPECT_EQ(-EPROTO, switch_parse_queues(&self->pairs, texts[i]));
		EXPECT_EQ(-EPROTO, switch_parse_ports(&self->pairs, texts[i]));
	}
	EXPECT_EQ(0, self->pairs.nr);
}

/* What is no queue is passed over; what is no text of a name is "". */
TEST_F(answer, wrong_objects_skipped_ok)
{
	static const char wrong_queues[] =
		"ok\n[7, null, \"rx0\", [], {}, {\"ring\": 7}, {\"ring\": \"rx\"},\n"
		"{\"ring\": \"rx0x\"}, {\"ring\": \"rx99999999\"},\n"
		"{\"ring\": \"tx1\", \"port\": {}, \"frames\": -1, \"size\": 3.5,\n"
		"\"state\": null, \"worker\": \"x\"}]";
	static const char wrong_ports[] =
		"ok\n[7, null, {}, {\"name\": \"\", \"rx\": \"x\", \"path\": 5}]";

	EXPECT_EQ(0, switch_parse_queues(&self->pairs, wrong_queues));
	ASSERT_EQ(1, self->pairs.nr);
	EXPECT_STREQ("", self->pairs.list[0].port);
	EXPECT_EQ(0, self->pairs.list[0].info.ring[RING_TX].size);
	EXPECT_EQ(0, switch_parse_ports(&self->pairs, wrong_ports));
	EXPECT_STREQ("", self->pairs.list[0].path);
}

static const char *path_of(const char *cmdline, size_t len)
{
	static char path[20];

	return switch_path(path, sizeof(path), cmdline, len) ? NULL : path;
}

#define PATH_OF(words)	path_of(words, sizeof(words))

TEST_F(answer, path_ok)
{
	EXPECT_STREQ("/run/vhx-switch.ctl", PATH_OF("vhx-switch"));
	EXPECT_STREQ("/a", PATH_OF("vhx-switch\0--ctl\0/a\0--threads\0002"));
	EXPECT_STREQ("/a", PATH_OF("vhx-switch\0--ctl=/a\0-p\0ctl"));
	EXPECT_STREQ("/a", PATH_OF("vhx-switch\0--port\0--ctl\0-c/a"));
	EXPECT_STREQ("a", PATH_OF("vhx-switch\0-c\0a\0-v"));
	EXPECT_STREQ("/a", PATH_OF("vhx-switch\0-c\0/b\0--ctl\0/a"));
	EXPECT_STREQ("/run/vhx-switch.ctl", PATH_OF("vhx-switch\0--ctl"));
	EXPECT_STREQ("/run/vhx-switch.ctl", PATH_OF("vhx-switch\0--port"));
}

TEST_F(answer, one_that_asks_esrch)
{
	EXPECT_EQ(NULL, PATH_OF("vhx-switch\0--ctl\0/a\0ctl\0show\0ports"));
	EXPECT_EQ(NULL, PATH_OF("vhx-switch\0ctl\0help"));
	EXPECT_EQ(NULL, path_of("", 0));
}

TEST_HARNESS_MAIN
