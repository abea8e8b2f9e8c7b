// SPDX-License-Identifier: GPL-2.0-only
/* Frames through libvhx, and what goes with them. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "flow.h"

static const unsigned int sizes[] = {
	14, 15, 60, 64, 128, 1500, 1514, 3000, 4096, 9000, 65535, BIG,
};

static bool fits(fix *s, const struct layout *l)
{
	struct vq *vq = &s->f.d.vq[TX];

	return has(&s->f.d, F_INDIRECT) ||
	       l->hdr_pieces + l->pieces + l->empty <= vq->num;
}

TEST_F(flow, tx_sizes_and_layouts_ok)
{
	static const struct layout *const layouts[] = {
		&one_piece, &two_pieces, &scattered,
	};

	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			if (!fits(self, layouts[k]))
				continue;
			EXPECT_EQ(0, tx_one(self, sizes[i], i, layouts[k])) {
				TH_LOG("size %u, layout %zu", sizes[i], k);
			}
		}
}

TEST_F(flow, rx_sizes_and_layouts_ok)
{
	static const struct layout *const layouts[] = {
		&one_piece, &two_pieces, &scattered,
	};

	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			if (!fits(self, layouts[k]))
				continue;
			EXPECT_EQ(0, rx_one(self, sizes[i], i, layouts[k])) {
				TH_LOG("size %u, layout %zu", sizes[i], k);
			}
		}
}

/* Many laps, a burst at a time, in both directions at once. */
TEST_F(flow, bursts_of_many_laps_ok)
{
	static const unsigned int bursts[] = { 1, 8, 32, 64 };
	struct vq *tx = &self->f.d.vq[TX], *rx = &self->f.d.vq[RX];
	unsigned int n, i, seq = 0, max;

	for (unsigned int turn = 0; turn < 400; turn++) {
		max = bursts[turn % 4];
		max = max < variant->num ? max : variant->num;
		for (i = 0; i < max; i++) {
			frame_fill(self->frame, 60 + i, false, seq + i);
			ASSERT_LE(0, tx_add(tx, NULL, self->frame, 60 + i,
					    &one_piece,
					    self->buf + i * 4096));
			ASSERT_LE(0, rx_add(rx, 2048, &one_piece,
					    self->buf + (64 + i) * 4096));
		}
		vq_publish(tx);
		vq_publish(rx);
		n = vhx_dequeue_burst(self->b.dev, 1, self->pkts, PACKETS);
		ASSERT_EQ(max, n);
		for (i = 0; i < n; i++) {
			frame_fill(self->frame, 60 + i, false, seq + i);
			ASSERT_EQ(60 + i, self->pkt[i].len);
			ASSERT_EQ(0, memcmp(self->frame, self->pkt[i].data,
					    60 + i));
		}
		ASSERT_EQ(max, vhx_enqueue_burst(self->b.dev, 0, self->pkts,
						 n));
		ASSERT_EQ(0, vq_spin(tx, max, WAIT_MS));
		ASSERT_EQ(0, vq_spin(rx, max, WAIT_MS));
		for (i = 0; i < max; i++) {
			ASSERT_LE(0, vq_pop(tx, NULL));
			ASSERT_LE(0, vq_pop(rx, NULL));
			frame_fill(self->frame, 60 + i, false, seq + i);
			ASSERT_EQ(0, memcmp(self->frame, self->buf +
					    (64 + i) * 4096 +
					    self->f.d.hdr_len, 60 + i));
		}
		seq += max;
	}
}

/* Without merging a frame needs one buffer; with it, as many as it takes. */
TEST_F(flow, frame_over_many_buffers_ok)
{
	struct vq *vq = &self->f.d.vq[RX];
	const unsigned int room = 700, hdr = self->f.d.hdr_len;
	unsigned int n, at = 0, want = (9000 + hdr + room - 1) / room;
	struct vhx_queue_stats stats;
	uint8_t got[16384];
	uint32_t len;

	if (variant->num < 20)
		SKIP(return, "needs some buffers");
	for (unsigned int i = 0; i < 20; i++)
		ASSERT_LE(0, rx_add(vq, room, &one_piece,
				    self->buf + i * 4096));
	vq_publish(vq);
	EXPECT_EQ(1, enqueue(self, 9000, 7));
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, 0, &stats, sizeof(stats)));
	if (!has(&self->f.d, F_MRG)) {
		EXPECT_EQ(1, stats.drop_room);
		EXPECT_EQ(0, vq_used(vq));
		return;
	}
	EXPECT_EQ(1, stats.frames);
	ASSERT_EQ(0, vq_spin(vq, want, WAIT_MS));
	EXPECT_EQ(want, num_buffers(self, self->buf));
	for (n = 0; n < want; n++) {
		ASSERT_LE(0, vq_pop(vq, &len));
		memcpy(got + at, self->buf + n * 4096, len);
		at += len;
	}
	EXPECT_EQ(9000 + hdr, at);
	EXPECT_EQ(0, memcmp(got + hdr, self->frame, 9000));
}

/* Too few buffers: the frame stays the caller's, and the buffers the guest's. */
TEST_F(flow, frame_waits_for_buffers_ok)
{
	struct vq *vq = &self->f.d.vq[RX];

	if (!has(&self->f.d, F_MRG))
		SKIP(return, "needs MRG_RXBUF");
	for (unsigned int i = 0; i < 3; i++)
		ASSERT_LE(0, rx_add(vq, 1000, &one_piece,
				    self->buf + i * 4096));
	vq_publish(vq);
	EXPECT_EQ(3, vhx_queue_depth(self->b.dev, 0));
	EXPECT_EQ(0, enqueue(self, 5000, 1));
	EXPECT_EQ(0, vq_used(vq));
	for (unsigned int i = 3; i < 6; i++)
		ASSERT_LE(0, rx_add(vq, 1000, &one_piece,
				    self->buf + i * 4096));
	vq_publish(vq);
	EXPECT_EQ(1, enqueue(self, 5000, 1));
	EXPECT_EQ(0, vq_spin(vq, 6, WAIT_MS));
}

/* Return: 0 if a guest that wants no calls, or one at the end, gets so many. */
TEST_F(flow, calls_off_skips_call)
{
	struct vq *vq = &self->f.d.vq[TX];
	struct vhx_queue_stats stats;

	if (has(&self->f.d, F_EVENT) && !is_packed(vq))
		SKIP(return, "the flag means nothing with EVENT_IDX");
	event_read(vq->call);
	vq_calls_off(vq);
	frame_fill(self->frame, 60, false, 1);
	ASSERT_LE(0, tx_add(vq, NULL, self->frame, 60, &one_piece, self->buf));
	vq_publish(vq);
	EXPECT_EQ(1, vhx_dequeue_burst(self->b.dev, 1, self->pkts, 1));
	EXPECT_EQ(0, vq_spin(vq, 1, WAIT_MS));
	EXPECT_EQ(0, event_read(vq->call));
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, 1, &stats, sizeof(stats)));
	EXPECT_EQ(1, stats.calls_saved);
	EXPECT_EQ(1, stats.frames);
	EXPECT_EQ(60, stats.bytes);
}

/* NOTIFY_ON_EMPTY: when the last buffer was used, whatever else was said. */
TEST_F(flow, last_buffer_calls_if_asked_ok)
{
	struct vq *vq = &self->f.d.vq[TX];

	if (is_packed(vq) || has(&self->f.d, F_EVENT))
		SKIP(return, "of split rings with flags");
	ASSERT_EQ(0, front_u64(&self->f, SET_FEATURES,
			       variant->features | F_PROTOCOL | F_EMPTY));
	EXPECT_EQ(0, user_wait_event(&self->b, 'f'));
	event_read(vq->call);
	vq_calls_off(vq);
	frame_fill(self->frame, 60, false, 1);
	for (int i = 0; i < 2; i++)
		ASSERT_LE(0, tx_add(vq, NULL, self->frame, 60, &one_piece,
				    self->buf + i * 4096));
	vq_publish(vq);
	EXPECT_EQ(1, vhx_dequeue_burst(self->b.dev, 1, self->pkts, 1));
	EXPECT_EQ(0, event_read(vq->call));
	EXPECT_EQ(1, vhx_dequeue_burst(self->b.dev, 1, self->pkts, 1));
	EXPECT_EQ(0, event_wait(vq->call, WAIT_MS));
}

/* Frames on a queue that is started and disabled are taken, and go nowhere. */
TEST_F(flow, disabled_tx_is_discarded_ok)
{
	struct front *f = &self->f;
	struct vq *vq = &f->d.vq[TX];
	struct vhx_queue_stats stats;
	struct layout l = { .pieces = 1 };
	unsigned int i, nr = 3 * vq->num;
	uint32_t used;

	ASSERT_EQ(0, front_state(f, SET_VRING_ENABLE, TX, 0));
	for (i = 0; i < nr; i++) {
		frame_fill(self->frame, 64, false, i);
		ASSERT_LE(0, tx_add(vq, NULL, self->frame, 64, &l, self->buf));
		vq_publish(vq);
		if (vq_kick_wanted(vq))
			vq_kick(vq);
		ASSERT_EQ(0, vq_spin(vq, 1, WAIT_MS));
		ASSERT_LE(0, vq_pop(vq, &used));
	}
	ASSERT_EQ(0, front_state(f, SET_VRING_ENABLE, TX, 1));
	ASSERT_EQ(0, user_wait(&self->b, 3));
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, 1, &stats, sizeof(stats)));
	EXPECT_EQ(nr, stats.drop_disabled);
	EXPECT_EQ(0, stats.frames);
	EXPECT_EQ(0, tx_one(self, 64, 1, &l));
}

static void arm_then_send(struct vhx_device *dev, unsigned int queue, void *arg)
{
	fix *s = arg;
	struct vq *vq = &s->f.d.vq[TX];

	if (queue != TX || vhx_queue_notification(dev, TX, true))
		return;
	frame_fill(s->frame, 64, false, 1);
	if (tx_add(vq, NULL, s->frame, 64, &one_piece, s->buf) >= 0)
		vq_publish_kick(vq);
}

/* Who sleeps as soon as he is told of a queue hears of what comes then. */
TEST_F(flow, enabled_tx_that_sleeps_at_once_is_woken_ok)
{
	struct front *f = &self->f;

	ASSERT_EQ(0, front_state(f, SET_VRING_ENABLE, TX, 0));
	self->b.came_arg = self;
	self->b.came = arm_then_send;
	ASSERT_EQ(0, front_state(f, SET_VRING_ENABLE, TX, 1));
	ASSERT_EQ(0, user_wait(&self->b, 3));
	user_dev(&self->b);
	EXPECT_EQ(0, event_wait(vhx_queue_kick_fd(self->b.dev, TX), WAIT_MS));
	EXPECT_EQ(1, vhx_dequeue_burst(self->b.dev, TX, self->pkts, PACKETS));
}

/* The kick eventfd is the client's as well, who may have it wait. */
TEST_F(flow, kick_that_blocks_holds_up_nobody_ok)
{
	ASSERT_EQ(0, fcntl(self->f.d.vq[TX].kick, F_SETFL, 0));
	EXPECT_EQ(0, vhx_queue_notification(self->b.dev, 1, true));
	EXPECT_EQ(0, vhx_queue_notification(self->b.dev, 1, true));
}

/* So is what is to be signalled, and that may be full. */
TEST_F(flow, call_that_blocks_holds_up_nobody_ok)
{
	const uint64_t full = ~0ULL - 1;
	struct vq *vq = &self->f.d.vq[TX];
	struct layout l = { .pieces = 1 };
	struct vhx_queue_stats stats;

	frame_fill(self->frame, 64, false, 1);
	ASSERT_LE(0, tx_add(vq, NULL, self->frame, 64, &l, self->buf));
	vq_publish(vq);
	event_read(vq->call);
	ASSERT_EQ(0, fcntl(vq->call, F_SETFL, 0));
	ASSERT_EQ(sizeof(full), write(vq->call, &full, sizeof(full)));
	EXPECT_EQ(1, vhx_dequeue_burst(self->b.dev, 1, self->pkts, 1));
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, 1, &stats, sizeof(stats)));
	EXPECT_EQ(1, stats.calls);
}

/* Return: calls for @n frames, each of which is to have one, or -errno. */
static int calls_for(fix *s, int n)
{
	struct vq *vq = &s->f.d.vq[TX];
	int calls = 0;

	for (int i = 0; i < n; i++) {
		vq_want_call(vq, 1);
		frame_fill(s->frame, 60, false, i);
		if (tx_add(vq, NULL, s->frame, 60, &one_piece, s->buf) < 0)
			return -ENOSPC;
		vq_publish(vq);
		if (vhx_dequeue_burst(s->b.dev, TX, s->pkts, PACKETS) != 1 ||
		    vq_pop(vq, NULL) < 0)
			return -ENODATA;
		calls += (int)event_read(vq->call);
	}
	return calls;
}

/* Return: how many of 6 calls went to the eventfd that was set last, or -errno. */
static int calls_for_last(fix *s)
{
	struct vq *vq = &s->f.d.vq[TX];
	int calls = 0, old = vq->call, ret;

	for (int i = 0; i < 2; i++) {
		vq->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ret = front_fd(&s->f, SET_VRING_CALL, TX, vq->call);
		event_read(vq->call);
		event_read(old);
		if (!ret)
			ret = calls_for(s, 3);
		if (event_read(old))
			ret = -EBADF;
		close(old);
		if (ret < 0)
			return ret;
		calls += ret;
		old = vq->call;
	}
	return calls;
}

TEST_F(flow, each_call_is_for_the_eventfd_set_last)
{
	EXPECT_EQ(6, calls_for_last(self));
}

/* Without a descriptor to spare there is no io_uring. */
TEST_F(flow, each_call_is_made_without_io_uring)
{
	struct rlimit limit;
	int none = dup(0);

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	close(none);
	limit.rlim_cur = (rlim_t)none;
	event_read(self->f.d.vq[TX].call);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(3, calls_for(self, 3));
	EXPECT_EQ(-1, dup(0));
}

/* A queue of the other direction, or none. */
TEST_F(flow, wrong_queue_takes_nothing_ok)
{
	EXPECT_EQ(0, vhx_dequeue_burst(self->b.dev, 0, self->pkts, 1));
	EXPECT_EQ(0, vhx_enqueue_burst(self->b.dev, 1, self->pkts, 1));
	EXPECT_EQ(0, vhx_dequeue_burst(self->b.dev, 3, self->pkts, 1));
	EXPECT_EQ(0, vhx_enqueue_burst(self->b.dev, 256, self->pkts, 1));
	EXPECT_EQ(-ENOENT, vhx_queue_kick_fd(self->b.dev, 7));
	EXPECT_EQ(0, vhx_queue_depth(self->b.dev, 9));
}

/* A sender's header with the sum, or where it begins, behind the frame. */
TEST_F(flow, checksum_beyond_the_frame_is_dropped)
{
	static const uint16_t lies[][2] = {
		{ 59, 0 }, { 60, 0 }, { 0, 59 }, { 34, 0xffff }, { 0xffff, 6 },
		{ 0xffff, 0xffff },
	};
	const size_t n = sizeof(lies) / sizeof(*lies);
	struct vhx_queue_stats stats;

	ASSERT_LE(0, rx_add(&self->f.d.vq[RX], 2048, &one_piece, self->buf));
	vq_publish(&self->f.d.vq[RX]);
	frame_fill(self->pkt[0].data, 60, false, 1);
	self->pkt[0].len = 60;
	for (size_t i = 0; i < n; i++) {
		self->pkt[0].hdr = (struct vhx_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = lies[i][0], .csum_offset = lies[i][1],
		};
		EXPECT_EQ(1, vhx_enqueue_burst(self->b.dev, 0, self->pkts, 1));
	}
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, 0, &stats, sizeof(stats)));
	EXPECT_EQ(n, stats.drop_offload);
	EXPECT_EQ(0, stats.frames);
}

/* What was written where the ring was is not where it is now. */
TEST_F(flow, moved_while_running_asks_for_kick)
{
	struct front *f = &self->f;
	struct vq *vq = &f->d.vq[TX];
	size_t len = 6 + sizeof(struct vring_used_elem) * vq->num;
	void *to = guest_alloc(&f->d, len, 4096);

	ASSERT_FALSE(vhx_queue_notification(self->b.dev, 1, true));
	if (is_packed(vq)) {
		vq->device_event = to;
		vq->device_event->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	} else {
		memcpy(to, vq->used, len);
	}
	vq->used = to;
	if (!is_packed(vq))
		vq->used->flags = VRING_USED_F_NO_NOTIFY;
	ASSERT_EQ(0, front_addr(f, TX));
	ASSERT_FALSE(vhx_queue_notification(self->b.dev, 1, true));
	frame_fill(self->frame, 60, false, 1);
	ASSERT_LE(0, tx_add(vq, NULL, self->frame, 60, &one_piece, self->buf));
	vq_publish(vq);
	EXPECT_TRUE(vq_kick_wanted(vq));
	EXPECT_EQ(1, vhx_dequeue_burst(self->b.dev, 1, self->pkts, 1));
}

TEST_F(flow, moved_unaligned_einval)
{
	struct vq *vq = &self->f.d.vq[TX];
	void *avail = vq->avail;

	if (!is_packed(vq))
		SKIP(return, "split rings may lie at 2 more than 4");
	vq->avail = avail + 2;
	EXPECT_NE(0, front_addr(&self->f, TX));
	vq->avail = avail;
}

/* Stopped and started at each point of some laps. */
TEST_F(flow, restart_at_each_point_ok)
{
	unsigned int rounds = variant->num < 100 ? 2 * variant->num + 2 : 20;
	struct vq *vq = &self->f.d.vq[TX];
	int64_t base;

	for (unsigned int i = 0; i < rounds; i++) {
		user_dev(&self->b);
		base = front_stop(&self->f, TX);
		ASSERT_EQ(vq_base_after(vq, i), base);
		EXPECT_EQ(0, self->b.queues & 1u << TX);
		ASSERT_EQ(0, front_state(&self->f, SET_VRING_BASE, TX,
					 (uint32_t)base));
		ASSERT_EQ(0, front_fd(&self->f, SET_VRING_KICK, TX, vq->kick));
		vq_kick(vq);
		ASSERT_EQ(0, user_wait(&self->b, 3));
		ASSERT_EQ(0, tx_one(self, 100, i, &one_piece));
	}
}

/* A page of the library's that is not writable until it is written, and the log. */
static struct trap {
	uint8_t *page;
	uint8_t *log;
	size_t size;
	volatile bool was_here;
} trap;

/* As the one who migrates the guest does at any time: takes what is logged. */
static void take_log(int sig)
{
	(void)sig;
	memset(trap.log, 0, trap.size);
	trap.was_here = true;
	mprotect(trap.page, 4096, PROT_READ | PROT_WRITE);
}

/* Where the library has what the guest has at @ptr. */
static uint8_t *mapped_by_library(struct front *f, const uint8_t *ptr)
{
	uint64_t start, end, offset, ino, at = (uint64_t)(ptr - (uint8_t *)f->d.mem);
	FILE *maps = fopen("/proc/self/maps", "r");
	uint8_t *found = NULL;
	struct stat st;
	char line[512];

	while (!fstat(f->memfd, &st) && maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx %*s %lu", &start, &end,
			   &offset, &ino) == 4 && ino == st.st_ino &&
		    start != (uintptr_t)f->d.mem && at >= offset &&
		    at - offset < end - start)
			found = (uint8_t *)(start + (at - offset));
	if (maps)
		fclose(maps);
	return found;
}

static bool is_logged(uint64_t gpa)
{
	return trap.log[gpa / 4096 / 8] & 1 << gpa / 4096 % 8;
}

/* What is written last, into a page that was logged, is logged as well. */
TEST_F(flow, dirty_log_taken_in_between_ok)
{
	const struct sigaction catch = { .sa_handler = take_log };
	const size_t size = 0x150000000 / 4096 / 8;
	struct {
		uint64_t size, offset;
	} base = { size, 0 };
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct vq *vq = &self->f.d.vq[RX];
	struct vhx_queue_stats stats;
	uint8_t *buf = self->buf;

	if (!has(&self->f.d, F_MRG))
		SKIP(return, "needs MRG_RXBUF");
	ASSERT_EQ(0, ftruncate(fd, (off_t)size));
	trap.size = size;
	trap.log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_EQ(0, front_send(&self->f, SET_LOG_BASE, 0, &base, sizeof(base),
				&fd, 1));
	ASSERT_EQ(0, front_recv(&self->f, SET_LOG_BASE, &base, 0));
	ASSERT_EQ(0, front_u64(&self->f, SET_FEATURES, variant->features |
			       F_PROTOCOL | F_LOG_ALL));
	EXPECT_EQ(0, user_wait_event(&self->b, 'f'));
	for (int i = 0; i < 2; i++)
		ASSERT_LE(0, rx_add(vq, 1000, &one_piece, buf + i * 4096));
	vq_publish(vq);
	trap.page = mapped_by_library(&self->f, buf + 4096);
	ASSERT_NE(NULL, trap.page);
	ASSERT_EQ(0, sigaction(SIGSEGV, &catch, NULL));
	ASSERT_EQ(0, mprotect(trap.page, 4096, PROT_NONE));
	self->pkt[0].len = 1500;
	self->pkt[0].hdr = (struct vhx_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = 34, .csum_offset = 16,
	};
	ASSERT_EQ(1, vhx_enqueue_burst(self->b.dev, 0, self->pkts, 1));
	EXPECT_TRUE(trap.was_here);
	EXPECT_EQ(2, ((struct virtio_net_hdr_mrg_rxbuf *)buf)->num_buffers);
	EXPECT_TRUE(is_logged(gpa(&self->f.d, buf)));
	EXPECT_TRUE(is_logged(gpa(&self->f.d, buf + 4096)));
	/* both buffers, num_buffers and the sum by bytes, and two writes of the ring */
	ASSERT_EQ(0, vhx_queue_get_stats(self->b.dev, RX, &stats, sizeof(stats)));
	EXPECT_EQ(2 + 2 + 2 + 2, stats.dirty_pages);
	munmap(trap.log, size);
	close(fd);
}

TEST_HARNESS_MAIN
