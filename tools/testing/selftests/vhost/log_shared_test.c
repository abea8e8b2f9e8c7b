// SPDX-License-Identifier: GPL-2.0-only
/* Two devices of one guest, whose pages alternate in the words of one log. */
#include <pthread.h>

#include "harness.h"
#include "log_lib.h"

#define HALF_RING	64

struct half {
	struct dev d;
	struct net n;
	uint8_t *pages;
	pthread_t thread;
	int ret;
};

static int half_round(struct half *h)
{
	struct vq *vq = &h->d.vq[RX];
	uint8_t f[64];
	int ret = 0;

	for (int i = 0; i < HALF_RING; i++) {
		struct seg s = { h->pages + 2 * i * LOG_PAGE, 1000 };

		if (vq_add(vq, &s, 0, 1) < 0)
			return -ENOSPC;
	}
	vq_publish_kick(vq);
	for (int i = 0; !ret && i < HALF_RING; i++) {
		frame_fill(f, sizeof(f), true, i);
		ret = pkt_send(h->n.pkt, NULL, f, sizeof(f));
	}
	if (!ret)
		ret = vq_wait(vq, HALF_RING, WAIT_MS);
	while (vq_pop(vq, NULL) >= 0)
		;
	/* the worker has ended its turn */
	return ret ? ret : dev_get_base(&h->d, RX) < 0;
}

static void *half_run(void *arg)
{
	struct half *h = arg;

	h->ret = half_round(h);
	return NULL;
}

/* @other: whose memory the new device has a part of, or NULL */
static int half_open(struct half *h, const char *tap, const uint8_t *log,
		     struct half *other)
{
	struct vhost_memory_region *r = &h->d.region[0];
	int ret = dev_open(&h->d);

	if (!ret)
		ret = dev_own(&h->d);
	if (!ret)
		ret = dev_features(&h->d, F_V1 | F_LOG_ALL);
	if (!ret && !other)
		ret = dev_mem(&h->d);
	if (ret)
		return ret;
	if (other)
		h->d.mem = other->d.mem + (MEM_SIZE / 2);
	*r = (struct vhost_memory_region){
		.guest_phys_addr = GPA_BASE, .memory_size = MEM_SIZE,
		.userspace_addr = (uintptr_t)(other ? other->d.mem : h->d.mem),
	};
	h->d.n_regions = 1;
	h->n.tap = tap_open(tap, 0, 12);
	ret = h->n.tap < 0 ? h->n.tap : link_up(tap, 0);
	h->n.pkt = ret ? -1 : pkt_open(tap, PACKET_HDR);
	if (!ret)
		ret = dev_mem_table(&h->d);
	if (!ret)
		ret = log_base(&h->d, log);
	if (!ret)
		ret = vq_setup(&h->d, RX, HALF_RING);
	return ret ? ret : dev_backend(&h->d, RX, h->n.tap);
}

FIXTURE(two_devices) {
	struct half h[2];
	uint8_t *log;
	int kmsg;
};

FIXTURE_SETUP(two_devices)
{
	struct half *h = self->h;
	uint8_t *pages;

	self->kmsg = kmsg_open();
	self->log = log_alloc(LOG_SIZE);
	ASSERT_EQ(0, netns_enter());
	ASSERT_EQ(0, half_open(&h[0], "vt0", self->log, NULL));
	ASSERT_EQ(0, half_open(&h[1], "vt1", self->log, &h[0]));
	pages = guest_alloc(&h[0].d, 2 * HALF_RING * LOG_PAGE, 4096);
	h[0].pages = pages;
	h[1].pages = pages + LOG_PAGE;
}

FIXTURE_TEARDOWN(two_devices)
{
	/* its memory is the other's */
	self->h[1].d.mem = NULL;
	for (int i = 1; i >= 0; i--) {
		dev_close(&self->h[i].d);
		net_close(&self->h[i].n);
	}
	EXPECT_QUIET_KERNEL(self->kmsg);
}

TEST_F(two_devices, share_log_ok)
{
	struct half *h = self->h;

	for (int round = 0; round < 100; round++) {
		memset(self->log, 0, LOG_SIZE);
		for (int i = 0; i < 2; i++) {
			ASSERT_EQ(0, pthread_create(&h[i].thread, NULL,
						    half_run, &h[i]));
		}
		for (int i = 0; i < 2; i++) {
			pthread_join(h[i].thread, NULL);
			ASSERT_EQ(0, h[i].ret);
		}
		ASSERT_EQ(2 * HALF_RING, log_count(self->log)) {
			TH_LOG("round %d", round);
		}
	}
}

TEST_HARNESS_MAIN
