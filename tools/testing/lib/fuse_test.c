// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peers whose files are of their own FUSE mount, where each call may take as long
 * as they like: nobody else waits for that.
 */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "frontend.h"
#include "slow_file.h"
#include "user.h"

#define FEATURES	(F_V1 | F_MRG | F_EVENT | F_INDIRECT)
/* Others' turns while a file is held up. */
#define TURNS		20
/* Who waits for the file does so until it is closed; others have a busy machine. */
#define HELD_UP_MS	10000

struct both {
	struct slow_file slow;
	struct user u;
	char other[80];			/* path of another driver of the session */
	struct front f, neighbour;	/* who has the file; of the same driver */
};

/* The message that brings the file, and what it is acknowledged as; HALF of one. */
#define HALF	0
struct way {
	uint32_t request;
	uint32_t size;
	int ret;
};

static int set_up(struct both *b, bool takes_any)
{
	struct vhx_driver *other;
	int ret = user_open(&b->u, 1, 0);

	snprintf(b->other, sizeof(b->other), "%s-other", b->u.path);
	if (!ret)
		ret = vhx_driver_register(b->u.session, b->other, 0, &other);
	if (!ret)
		ret = vhx_driver_start(other);
	if (!ret && takes_any)
		ret = vhx_driver_set_limit(b->u.driver, VHX_LIMIT_MEMORY,
					   VHX_MEMORY_ANY);
	if (!ret)
		ret = user_start(&b->u);
	if (!ret)
		ret = front_connect(&b->neighbour, b->u.path);
	if (!ret)
		ret = front_negotiate(&b->neighbour, FEATURES);
	if (!ret)
		ret = front_connect(&b->f, b->u.path);
	return ret ? ret : front_negotiate(&b->f, FEATURES);
}

/* Return: milliseconds that the session's end takes, which waits for no file. */
static int64_t tear_down(struct both *b)
{
	int64_t began = now_ms(), took;

	if (!b->u.session)
		return 0;
	user_close(&b->u);
	took = now_ms() - began;
	slow_file_close(&b->slow);
	front_close(&b->f);
	front_close(&b->neighbour);
	return took;
}

static int give(struct both *b, const struct way *way)
{
	const struct region region = { 0x800000000, 8192, 0x700000000000, 0 };
	union {
		uint64_t words[5];
		struct {
			uint32_t nr, padding;
			struct region region;
		} table;
		struct {
			uint64_t padding;
			struct region region;
		} one;
	} payload = { .words = { 0 } };

	if (way->request == HALF)
		return front_send_half(&b->f, b->slow.fd);
	if (way->request == SET_MEM_TABLE) {
		payload.table.nr = 1;
		payload.table.region = region;
	} else if (way->request == ADD_MEM_REG) {
		payload.one.region = region;
	} else if (way->request == SET_LOG_BASE) {
		payload.words[0] = 4096;
	}
	return front_ack(&b->f, way->request, &payload, way->size,
			 &b->slow.fd, 1);
}

/* On this socket and on another; if not, all ends. Return: 0 or -errno. */
static int others_are_served(struct both *b)
{
	uint64_t features;
	int64_t began;
	int ret = 0;

	for (int i = 0; i < TURNS && !ret; i++) {
		began = now_ms();
		ret = front_is_served(b->other);
		if (!ret)
			ret = front_get_u64(&b->neighbour, GET_FEATURES,
					    &features);
		if (!ret && now_ms() - began > HELD_UP_MS)
			ret = -ETIME;
	}
	if (ret)
		slow_file_close(&b->slow);
	return ret;
}

/* -- any message ----------------------------------------------------------------- */

FIXTURE(fuse) {
	struct both b;
};

FIXTURE_VARIANT(fuse) {
	struct way way;
	const char *why;		/* a part of what is told */
};

#define VARIANT(name, ...) FIXTURE_VARIANT_ADD(fuse, name) { __VA_ARGS__ }

VARIANT(table, { SET_MEM_TABLE, 40, -EINVAL }, "guest memory is no memfd");
VARIANT(region, { ADD_MEM_REG, 40, -EINVAL }, "guest memory is no memfd");
VARIANT(log, { SET_LOG_BASE, 16, -EINVAL }, "guest memory is no memfd");
VARIANT(log_fd, { SET_LOG_FD, 0, 0 }, "");
VARIANT(kick, { SET_VRING_KICK, 8, -EINVAL }, "set_vring_kick");
VARIANT(call, { SET_VRING_CALL, 8, -EINVAL }, "set_vring_call");
VARIANT(err, { SET_VRING_ERR, 8, -EINVAL }, "set_vring_err");
VARIANT(request_fd, { SET_BACKEND_REQ_FD, 0, -EINVAL }, "set_backend_req_fd");
VARIANT(not_asked_for, { SET_VRING_NUM, 8, -EINVAL }, "set_vring_num");
VARIANT(half, { HALF, 0, 0 }, "");

FIXTURE_SETUP(fuse)
{
	int err = slow_file_open(&self->b.slow);

	if (err)
		SKIP(return, "no FUSE to be had: %s", strerror(-err));
	ASSERT_EQ(0, set_up(&self->b, false));
}

FIXTURE_TEARDOWN(fuse)
{
	EXPECT_GT(HELD_UP_MS, tear_down(&self->b));
}

/* Its kind is found out, and it is closed, while nobody waits. */
TEST_F(fuse, file_holds_up_nobody_ok)
{
	struct both *b = &self->b;
	int64_t began = now_ms();

	slow_file_silence(&b->slow);
	EXPECT_EQ(variant->way.ret, give(b, &variant->way));
	EXPECT_GT(HELD_UP_MS, now_ms() - began);
	EXPECT_NE(NULL, strstr(b->u.warned, variant->why));
	EXPECT_EQ(0, others_are_served(b));
	front_close(&b->f);
	EXPECT_EQ(0, others_are_served(b));
}

/* -- memory where any is allowed ------------------------------------------------- */

FIXTURE(allowed) {
	struct both b;
};

FIXTURE_VARIANT(allowed) {
	struct way way;
};

FIXTURE_VARIANT_ADD(allowed, table) { { SET_MEM_TABLE, 40, 0 } };
FIXTURE_VARIANT_ADD(allowed, region) { { ADD_MEM_REG, 40, 0 } };
FIXTURE_VARIANT_ADD(allowed, log) { { SET_LOG_BASE, 16, 0 } };

FIXTURE_SETUP(allowed)
{
	int err = slow_file_open(&self->b.slow);

	if (err)
		SKIP(return, "no FUSE to be had: %s", strerror(-err));
	ASSERT_EQ(0, set_up(&self->b, true));
}

FIXTURE_TEARDOWN(allowed)
{
	EXPECT_GT(HELD_UP_MS, tear_down(&self->b));
}

/* Who reads it waits; to let go of it is still nobody's business. */
TEST_F(allowed, memory_is_let_go_ok)
{
	struct both *b = &self->b;

	ASSERT_EQ(0, give(b, &variant->way));
	slow_file_silence(&b->slow);
	EXPECT_EQ(0, others_are_served(b));
	front_close(&b->f);
	EXPECT_EQ(0, others_are_served(b));
}

TEST_HARNESS_MAIN
