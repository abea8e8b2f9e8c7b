// SPDX-License-Identifier: GPL-2.0-only
/* Messages of a start-up, each twice and in every order, and any in any order. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <kselftest_harness.h>

#include "frontend.h"
#include "user.h"

#define NUM	16
#define RUNS	400		/* of messages at random, */
#define LENGTH	24		/* so many each */

FIXTURE(replay) {
	struct user u;
	struct front f;
	int nr_fds;
};

FIXTURE_VARIANT(replay) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(replay, split) { .features = F_V1 | F_MRG | F_EVENT };
FIXTURE_VARIANT_ADD(replay, packed) { .features = F_V1 | F_PACKED };

typedef FIXTURE_DATA(replay) fix;

FIXTURE_SETUP(replay)
{
	self->nr_fds = count_fds();
	ASSERT_EQ(0, user_open(&self->u, 1, 0));
	ASSERT_EQ(0, user_start(&self->u));
}

FIXTURE_TEARDOWN(replay)
{
	user_close(&self->u);
	EXPECT_EQ(self->nr_fds, count_fds());
}

/* What a start-up tells, in the order of most clients; then what others do. */
enum step { FEATURES, MEMORY, SIZE, ADDR, KICK_FD, ENABLE, NEEDED,
	    CALL_FD = NEEDED, DISABLE, STOP, RESET, KICK, STEPS };

static int tell_of_queue(fix *s, enum step step, unsigned int q)
{
	struct vq *vq = &s->f.d.vq[q];
	int ret;

	switch (step) {
	case SIZE:
		ret = front_state(&s->f, SET_VRING_NUM, q, NUM);
		return ret ? ret : front_state(&s->f, SET_VRING_BASE, q,
					       vq_base_after(vq, 0));
	case ADDR: return front_addr(&s->f, q);
	case KICK_FD: return front_fd(&s->f, SET_VRING_KICK, q, vq->kick);
	case CALL_FD: return front_fd(&s->f, SET_VRING_CALL, q, vq->call);
	case ENABLE: return front_state(&s->f, SET_VRING_ENABLE, q, 1);
	case DISABLE: return front_state(&s->f, SET_VRING_ENABLE, q, 0);
	case STOP:
		ret = (int)front_stop(&s->f, q);
		return ret < 0 && ret > -4096 ? ret : 0;
	case KICK:
		vq_kick(vq);
		return 0;
	default: return -ENOSYS;
	}
}

static int tell(fix *s, enum step step)
{
	int ret;

	if (step == FEATURES)
		return front_u64(&s->f, SET_FEATURES, s->f.d.features |
				 F_PROTOCOL);
	if (step == MEMORY)
		return front_table(&s->f);
	if (step == RESET)
		return front_ack(&s->f, RESET_DEVICE, NULL, 0, NULL, 0);
	ret = tell_of_queue(s, step, RX);
	return ret ? ret : tell_of_queue(s, step, TX);
}

/* A client of which nothing is known but that it speaks the protocol. */
static int begin(fix *s, uint64_t features)
{
	int ret = front_connect(&s->f, s->u.path);

	if (!ret)
		ret = front_negotiate(&s->f, 0);
	s->f.d.features = features;
	s->f.d.hdr_len = 12;
	if (!ret)
		ret = front_map(&s->f);
	for (unsigned int q = RX; q <= TX && !ret; q++)
		ret = front_layout(&s->f, q, NUM);
	return ret;
}

static int end(fix *s)
{
	int ret;

	front_close(&s->f);
	ret = user_wait_gone(&s->u);
	user_forget(&s->u);
	return ret;
}

/* Of @n things in @order the next order. Return: whether there was one. */
static bool permute(int *order, int n)
{
	int i = n - 2, k = n - 1, t;

	while (i >= 0 && order[i] > order[i + 1])
		i--;
	if (i < 0)
		return false;
	while (order[k] < order[i])
		k--;
	t = order[i], order[i] = order[k], order[k] = t;
	for (i++, k = n - 1; i < k; i++, k--)
		t = order[i], order[i] = order[k], order[k] = t;
	return true;
}

static int tell_twice(fix *s, const int *order)
{
	int ret = 0;

	for (int i = 0; i < 2 * NEEDED && !ret; i++)
		ret = tell(s, order[i / 2]);
	return ret;
}

/* A message may be refused, but nobody is hung up on. */
static int tell_any(fix *s, unsigned int *seed)
{
	int ret = 0;

	for (int i = 0; i < LENGTH && (!ret || ret == -EINVAL); i++)
		ret = tell(s, (enum step)(rand_r(seed) % STEPS));
	return ret == -EINVAL ? 0 : ret;
}

/* What was told is known, whatever came first: each time the device comes up. */
TEST_F_TIMEOUT(replay, every_order_comes_up_ok, 300)
{
	int order[NEEDED], orders = 0;

	for (int i = 0; i < NEEDED; i++)
		order[i] = i;
	do {
		ASSERT_EQ(0, begin(self, variant->features));
		ASSERT_EQ(0, tell_twice(self, order));
		ASSERT_EQ(0, tell(self, KICK));
		ASSERT_EQ(0, user_wait(&self->u, 3));
		ASSERT_EQ(0, end(self));
		orders++;
	} while (permute(order, NEEDED));
	EXPECT_EQ(720, orders);
}

/* Any messages in any order: refused or taken, and the next client is served. */
TEST_F_TIMEOUT(replay, any_order_harms_nobody_ok, 300)
{
	unsigned int seed = (unsigned int)time(NULL);

	TH_LOG("seed %u", seed);
	for (int run = 0; run < RUNS; run++) {
		ASSERT_EQ(0, begin(self, variant->features));
		ASSERT_EQ(0, tell_any(self, &seed));
		ASSERT_EQ(0, end(self));
	}
	ASSERT_EQ(0, begin(self, variant->features));
	for (int step = 0; step < NEEDED; step++)
		ASSERT_EQ(0, tell(self, step));
	ASSERT_EQ(0, tell(self, KICK));
	EXPECT_EQ(0, user_wait(&self->u, 3));
	EXPECT_EQ(0, end(self));
}

TEST_HARNESS_MAIN
