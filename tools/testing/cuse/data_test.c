// SPDX-License-Identifier: GPL-2.0-only
/* Frames through a node, there and back, whatever its client does meanwhile. */
#include <linux/if_tun.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "fixture.h"
#include "iotlb_lib.h"

FIXTURE(frames) {
	struct fix f;
};

FIXTURE_VARIANT(frames) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(frames, legacy) { .features = 0 };
FIXTURE_VARIANT_ADD(frames, v1) { .features = F_V1 };
FIXTURE_VARIANT_ADD(frames, v1_mrg_event) {
	.features = F_V1 | F_MRG | F_EVENT,
};

FIXTURE_SETUP(frames)
{
	ASSERT_EQ(0, bring_up(&self->f));
	ASSERT_EQ(0, set_up(&self->f, variant->features));
}

FIXTURE_TEARDOWN(frames)
{
	EXPECT_EQ(0, bring_down(&self->f));
	EXPECT_QUIET_KERNEL(self->f.kmsg);
}

TEST_F(frames, there_and_back_ok)
{
	struct fix *f = &self->f;

	ASSERT_EQ(0, start(f));
	EXPECT_EQ(-EBUSY, dev_state(&f->d, VHOST_SET_VRING_NUM, TX, RING));
	for (uint32_t i = 0; i < 3 * RING; i++) {
		ASSERT_EQ(0, there_and_back(f, i)) {
			TH_LOG("frame %u: %s", i, f->echo.text);
		}
	}
	EXPECT_EQ(3 * RING & 0xffff, dev_get_base(&f->d, TX));
}

/* Named by its tap, which is cut off as long; nothing moves after a stop. */
TEST_F(frames, stop_and_start_ok)
{
	struct fix *f = &self->f;
	char line[64];

	for (int i = 0; i < 3; i++) {
		EXPECT_TRUE(has_carrier(f->n.tap_if));
		ASSERT_EQ(0, start(f));
		snprintf(line, sizeof(line), "new %s ", f->n.tap_if);
		EXPECT_EQ(0, echo_hear(&f->echo, line, WAIT_MS));
		EXPECT_FALSE(has_carrier(f->n.tap_if));
		ASSERT_EQ(0, there_and_back(f, i));
		ASSERT_EQ(0, stop(f));
		/* It was said before the ioctl returned. */
		snprintf(line, sizeof(line), "destroy %s\n", f->n.tap_if);
		EXPECT_EQ(0, echo_hear(&f->echo, line, 0));
		echo_forget(&f->echo);
	}
	EXPECT_TRUE(has_carrier(f->n.tap_if));
	EXPECT_EQ(3, dev_get_base(&f->d, TX));
	EXPECT_EQ(0, stop(f));
}

TEST_F(frames, one_queue_restarts_ok)
{
	struct fix *f = &self->f;

	ASSERT_EQ(0, start(f));
	ASSERT_EQ(0, there_and_back(f, 0));
	ASSERT_EQ(0, dev_backend(&f->d, TX, -1));
	ASSERT_EQ(0, vq_layout(&f->d, TX, RING / 2));
	ASSERT_EQ(0, dev_state(&f->d, VHOST_SET_VRING_NUM, TX, RING / 2));
	ASSERT_EQ(0, dev_state(&f->d, VHOST_SET_VRING_BASE, TX, 0));
	ASSERT_EQ(0, vq_set_addr(&f->d.vq[TX]));
	ASSERT_EQ(0, dev_backend(&f->d, TX, f->n.tap));
	/* The same tap once more changes nothing. */
	ASSERT_EQ(0, dev_backend(&f->d, TX, f->n.tap));
	ASSERT_EQ(0, there_and_back(f, 1));
}

TEST_F(frames, live_changes_ok)
{
	struct fix *f = &self->f;
	struct vq *tx = &f->d.vq[TX];
	int old = tx->call;

	ASSERT_EQ(0, start(f));
	ASSERT_EQ(0, there_and_back(f, 0));
	tx->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	EXPECT_EQ(0, dev_file(&f->d, VHOST_SET_VRING_CALL, TX, tx->call));
	event_read(old);
	ASSERT_EQ(0, there_and_back(f, 1));
	EXPECT_EQ(0, event_read(old));
	close(old);
	EXPECT_EQ(0, dev_mem_table(&f->d));
	EXPECT_EQ(0, vq_set_addr(tx));
	ASSERT_EQ(0, there_and_back(f, 2));
	close(tx->kick);
	tx->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	EXPECT_EQ(0, dev_file(&f->d, VHOST_SET_VRING_KICK, TX, tx->kick));
	ASSERT_EQ(0, there_and_back(f, 3));
}

#define OFFLOADS	(BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO6))

/* What QEMU tells the tap of the guest, the device hears from there. */
TEST_F(frames, offloads_ok)
{
	static const struct {
		unsigned int tun;
		uint64_t guest;
	} steps[] = {
		{ 0, 0 },
		{ TUN_F_CSUM, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
		{ TUN_F_CSUM | TUN_F_TSO4,
		  OFFLOADS & ~BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, OFFLOADS },
	};
	struct fix *f = &self->f;
	char line[64];

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t features = variant->features | steps[i].guest |
			BIT_ULL(VIRTIO_NET_F_CSUM) |
			BIT_ULL(VIRTIO_NET_F_HOST_TSO4) |
			BIT_ULL(VIRTIO_NET_F_HOST_TSO6);

		ASSERT_EQ(0, tap_offload(f->n.tap, steps[i].tun));
		ASSERT_EQ(0, start(f));
		snprintf(line, sizeof(line), "new %s %#llx\n", f->n.tap_if,
			 (unsigned long long)features);
		EXPECT_EQ(0, echo_hear(&f->echo, line, WAIT_MS)) {
			TH_LOG("%s, not %s", f->echo.text, line);
		}
		ASSERT_EQ(0, there_and_back(f, i));
		ASSERT_EQ(0, stop(f));
		echo_forget(&f->echo);
	}
}

/* -- what befalls a client --------------------------------------------------- */

FIXTURE(cuse) {
	struct fix f;
};

FIXTURE_SETUP(cuse)
{
	ASSERT_EQ(0, bring_up(&self->f));
}

FIXTURE_TEARDOWN(cuse)
{
	EXPECT_EQ(0, bring_down(&self->f));
	EXPECT_QUIET_KERNEL(self->f.kmsg);
}

static int die_running(struct dev *d)
{
	struct fix *f = (struct fix *)((char *)d - offsetof(struct fix, d));
	int ret = set_up(f, F_V1);

	if (!ret)
		ret = start(f);
	if (!ret)
		ret = there_and_back(f, 0);
	if (!ret)
		raise(SIGKILL);
	return ret;
}

/* The last who has it open is killed: its device goes, the next one comes. */
TEST_F(cuse, owner_killed_ok)
{
	struct fix *f = &self->f;
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(-die_running(&f->d));
	dev_close(&f->d);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status)) {
		TH_LOG("status %#x", status);
	}
	EXPECT_EQ(0, echo_hear(&f->echo, "gone ", WAIT_MS));
	EXPECT_NE(NULL, strstr(f->echo.text, "destroy "));
	ASSERT_EQ(0, dev_open(&f->d));
	ASSERT_EQ(0, set_up(f, F_V1));
	ASSERT_EQ(0, start(f));
	EXPECT_EQ(0, there_and_back(f, 0));
}

/* Memory that is cut off stops the device, and its server lives. */
TEST_F(cuse, memory_cut_off_ok)
{
	struct fix *f = &self->f;

	ASSERT_EQ(0, set_up(f, F_V1));
	ASSERT_EQ(0, start(f));
	ASSERT_EQ(0, there_and_back(f, 0));
	ASSERT_EQ(0, ftruncate(f->memfd, 0));
	vq_kick(&f->d.vq[TX]);
	EXPECT_EQ(0, echo_hear(&f->echo, "was cut off", WAIT_MS));
	EXPECT_EQ(0, echo_hear(&f->echo, "destroy ", WAIT_MS));
	EXPECT_EQ(0, stop(f));
}

/* -- IOTLB ------------------------------------------------------------------ */

TEST_F(cuse, iotlb_frames_ok)
{
	struct fix *f = &self->f;
	struct vhost_memory_region r[2] = {
		{ .guest_phys_addr = TABLE_GPA, .memory_size = MEM_SIZE },
		{ .guest_phys_addr = TABLE_GPA + MEM_SIZE,
		  .memory_size = MEM_SIZE },
	};
	struct iotlb t = { 0 };
	struct responder responder;

	dev_close(&f->d);
	ASSERT_EQ(0, iotlb_open(&t, &f->d, F_V1, true));
	r[0].userspace_addr = (uintptr_t)f->d.mem;
	r[1].userspace_addr = (uintptr_t)t.view;
	ASSERT_EQ(0, dev_mem_regions(&f->d, r, 2));
	EXPECT_EQ(-EAGAIN, iotlb_read(&t, &(struct vhost_iotlb_msg){ 0 }));
	EXPECT_EQ(-EFAULT, iotlb_update(&t, 0, 0, f->d.mem, 3));
	ASSERT_EQ(0, vq_setup(&f->d, RX, RING));
	ASSERT_EQ(0, vq_setup(&f->d, TX, RING));
	f->buf = guest_alloc(&f->d, 8 << 20, 4096);
	ASSERT_EQ(0, start(f));
	ASSERT_EQ(0, responder_start(&responder, &t));
	for (uint32_t i = 0; i < RING; i++) {
		ASSERT_EQ(0, there_and_back(f, i)) {
			TH_LOG("frame %u", i);
		}
	}
	/* What is taken away is asked for again. */
	EXPECT_EQ(0, iotlb_drop(&t, 0, -1ULL));
	ASSERT_EQ(0, there_and_back(f, 1));
	EXPECT_EQ(0, responder_stop(&responder));
	EXPECT_GT(responder.misses, 4);
	iotlb_close(&t);
}

TEST_HARNESS_MAIN
