// SPDX-License-Identifier: GPL-2.0-only
/* vhx-switch's table of MAC addresses, with threads that learn and look up at once. */
#include <pthread.h>
#include <string.h>

#include <kselftest_harness.h>

#include "../../vhx-switch/mac.h"

#define READERS	2
#define KNOWN	500
#define TURNS	50000

struct config config = { .age_s = 300 };

FIXTURE(mac) {
	struct port port[2];
	pthread_t thread[READERS + 1];
	bool is_over;
	unsigned int nr_wrong;
};

typedef FIXTURE_DATA(mac) fix;

FIXTURE_SETUP(mac)
{
	ASSERT_EQ(0, mac_start());
}

FIXTURE_TEARDOWN(mac)
{
	mac_stop();
}

static const uint8_t *address(uint8_t *mac, uint32_t number)
{
	mac[0] = 2;
	mac[1] = 0;
	memcpy(mac + 2, &number, sizeof(number));
	return mac;
}

static void learn(uint32_t number, struct port *port)
{
	uint8_t mac[ETH_ALEN];

	mac_learn(address(mac, number), 0, port);
}

static struct port *find(uint32_t number, unsigned int vlan)
{
	uint8_t mac[ETH_ALEN];

	return mac_find(address(mac, number), vlan);
}

TEST_F(mac, moves_and_is_forgotten_ok)
{
	static const uint8_t group[ETH_ALEN] = { 3 };
	struct mac_seen seen[MACS_OF_PORT];
	uint8_t mac[ETH_ALEN];

	mac_learn(address(mac, 0x01020304), 7, &self->port[0]);
	EXPECT_EQ(&self->port[0], find(0x01020304, 7));
	EXPECT_EQ(NULL, find(0x01020304, 8));
	ASSERT_EQ(1, mac_list(&self->port[0], seen));
	EXPECT_EQ(0, memcmp(seen->mac, mac, ETH_ALEN));
	EXPECT_EQ(7, seen->vlan);
	mac_learn(mac, 7, &self->port[1]);
	EXPECT_EQ(&self->port[1], find(0x01020304, 7));
	EXPECT_EQ(0, self->port[0].nr_macs);
	mac_forget(&self->port[1]);
	EXPECT_EQ(NULL, find(0x01020304, 7));
	mac_learn(group, 0, &self->port[0]);
	EXPECT_EQ(NULL, mac_find(group, 0));
}

TEST_F(mac, share_of_a_port_ok)
{
	unsigned int nr = 0;

	for (uint32_t i = 0; i < KNOWN; i++)
		learn(i, &self->port[0]);
	for (uint32_t i = 0; i < 100 * MACS_OF_PORT; i++)
		learn(KNOWN + i, &self->port[1]);
	EXPECT_EQ(MACS_OF_PORT, self->port[1].nr_macs);
	for (uint32_t i = 0; i < KNOWN; i++)
		EXPECT_EQ(&self->port[0], find(i, 0));
	for (uint32_t i = 0; i < 100 * MACS_OF_PORT; i++)
		nr += !!find(KNOWN + i, 0);
	EXPECT_EQ(MACS_OF_PORT, nr);
	/* What moves to a port that has its share drives one out there. */
	learn(0, &self->port[1]);
	EXPECT_EQ(MACS_OF_PORT, self->port[1].nr_macs);
	EXPECT_EQ(KNOWN - 1, self->port[0].nr_macs);
	EXPECT_EQ(&self->port[1], find(0, 0));
}

/* One that goes on being seen is not the one that goes. */
TEST_F(mac, address_in_use_stays_ok)
{
	learn(0, &self->port[0]);
	for (uint32_t i = 1; i < MACS_OF_PORT; i++)
		learn(i, &self->port[0]);
	sleep(2);
	learn(0, &self->port[0]);
	for (uint32_t i = 0; i < MACS_OF_PORT - 1; i++)
		learn(MACS_OF_PORT + i, &self->port[0]);
	EXPECT_EQ(&self->port[0], find(0, 0));
	for (uint32_t i = 1; i < MACS_OF_PORT; i++)
		EXPECT_EQ(NULL, find(i, 0));
}

/* -- at once --------------------------------------------------------------------- */

/* Those of port 0 stay; one goes from port to port; others come and go at port 1. */
static void *look_up(void *arg)
{
	struct port *port;
	fix *s = arg;

	for (uint32_t i = 0; !__atomic_load_n(&s->is_over, __ATOMIC_RELAXED); i++) {
		port = find(i % KNOWN, 0);
		if (port != &s->port[0])
			__atomic_add_fetch(&s->nr_wrong, 1, __ATOMIC_RELAXED);
		port = find(KNOWN, 0);
		if (port != &s->port[0] && port != &s->port[1])
			__atomic_add_fetch(&s->nr_wrong, 1, __ATOMIC_RELAXED);
		port = find(KNOWN + 1 + i % TURNS, 0);
		if (port && port != &s->port[1])
			__atomic_add_fetch(&s->nr_wrong, 1, __ATOMIC_RELAXED);
		learn(i % KNOWN, &s->port[0]);
	}
	return NULL;
}

static void *move(void *arg)
{
	fix *s = arg;

	for (uint32_t i = 0; !__atomic_load_n(&s->is_over, __ATOMIC_RELAXED); i++)
		learn(KNOWN, &s->port[i & 1]);
	return NULL;
}

TEST_F(mac, looked_up_while_others_come_and_go_ok)
{
	for (uint32_t i = 0; i <= KNOWN; i++)
		learn(i, &self->port[0]);
	for (int i = 0; i < READERS; i++)
		ASSERT_EQ(0, pthread_create(&self->thread[i], NULL, look_up, self));
	ASSERT_EQ(0, pthread_create(&self->thread[READERS], NULL, move, self));
	for (uint32_t i = 0; i < TURNS; i++) {
		learn(KNOWN + 1 + i, &self->port[1]);
		/* The one that moves is not to be driven out. */
		if (i % 64 == 0)
			learn(KNOWN, &self->port[0]);
	}
	__atomic_store_n(&self->is_over, true, __ATOMIC_RELAXED);
	for (int i = 0; i < READERS + 1; i++)
		pthread_join(self->thread[i], NULL);
	EXPECT_EQ(0, self->nr_wrong);
	/* The one that moves may have left a place. */
	learn(KNOWN + 1 + TURNS, &self->port[1]);
	EXPECT_EQ(MACS_OF_PORT, self->port[1].nr_macs);
}

TEST_HARNESS_MAIN
