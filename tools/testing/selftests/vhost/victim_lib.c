// SPDX-License-Identifier: GPL-2.0-only
/* A device that faults are injected into, and what becomes of its frames. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log_lib.h"
#include "victim_lib.h"

#define APART	(4UL << 20)	/* more than a page of page tables maps */
#define TX_ROOM	16384		/* bytes for a frame to send */
#define RX_ROOM	4096
#define POSTED	24		/* buffers in the receiving ring */
#define DONE_MS	(1000 * slowness())
#define LOOK_MS	(20 * slowness())

static int map_memory(struct victim *v)
{
	int flags = MAP_SHARED | MAP_NORESERVE | (v->d.mem ? MAP_FIXED : 0);
	void *p = mmap(v->d.mem, MEM_SIZE, PROT_READ | PROT_WRITE, flags,
		       v->memory, 0);

	if (p == MAP_FAILED)
		return -errno;
	v->d.mem = p;
	return 0;
}

int victim_create(struct victim *v, enum backend kind, uint64_t features)
{
	int ret = net_open(&v->n, kind, features & (F_V1 | F_MRG) ? 12 : 10);

	v->d.fd = -1;
	for (int q = 0; q < 2; q++) {
		v->d.vq[q].kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		v->d.vq[q].call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		v->d.vq[q].err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	v->d.features = features;
	v->log = log_alloc(LOG_SIZE);
	v->log_call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	v->memory = memfd_create("guest", MFD_CLOEXEC);
	if (!ret && (v->memory < 0 || ftruncate(v->memory, MEM_SIZE)))
		ret = -errno;
	return ret ? ret : map_memory(v);
}

void victim_destroy(struct victim *v)
{
	victim_end(v);
	dev_close(&v->d);
	net_close(&v->n);
	close(v->memory);
	close(v->log_call);
	munmap(v->log, LOG_SIZE);
}

/* As vq_layout(), and each area apart from the others. */
static int lay_out(struct victim *v, unsigned int q)
{
	struct vq *vq = &v->d.vq[q];
	int ret = vq_layout(&v->d, q, VICTIM_RING);

	if (ret)
		return ret;
	vq->avail = guest_alloc(&v->d, 4096, APART);
	vq->used = guest_alloc(&v->d, 4096, APART);
	vq->driver_event = (void *)vq->avail;
	vq->device_event = (void *)vq->used;
	memset(vq->avail, 0, 4096);
	memset(vq->used, 0, 4096);
	vq->log_gpa = has(&v->d, F_LOG_ALL) ? gpa(&v->d, vq->used) : 0;
	vq_rewind(vq, vq_base_after(vq, 0));
	event_read(vq->kick);
	event_read(vq->call);
	event_read(vq->err);
	return 0;
}

/* What another life left in the backend goes to nobody. */
static void drain(struct victim *v)
{
	struct pollfd p = { .fd = v->n.tap, .events = POLLIN };
	struct virtio_net_hdr h;

	while (poll(&p, 1, 0) == 1 && read(p.fd, v->seen, FRAME_MAX) > 0)
		;
	while (pkt_recv(v->n.pkt, &h, v->seen, FRAME_MAX, 0) >= 0)
		;
}

/* All of a new life but the calls. */
int victim_begin(struct victim *v)
{
	struct dev *d = &v->d;
	uint64_t at[] = { 0, 2 * RING_AREA, 2 * APART, MEM_SIZE };
	int ret = 0;

	drain(v);
	d->hdr_len = has(d, F_V1 | F_MRG) ? 12 : 10;
	d->brk = 2 * RING_AREA;
	d->n_regions = 3;
	for (int i = 0; i < 3; i++)
		d->region[i] = (struct vhost_memory_region){
			.guest_phys_addr = GPA_BASE + at[i],
			.memory_size = at[i + 1] - at[i],
			.userspace_addr = (uintptr_t)d->mem + at[i],
		};
	for (int q = 0; q < 2 && !ret; q++)
		ret = lay_out(v, q);
	v->tx_buf = guest_alloc(d, BURST_FRAMES * TX_ROOM, APART);
	v->rx_buf = guest_alloc(d, VICTIM_RING * RX_ROOM, APART);
	v->nr_posted = 0;
	v->t = (struct iotlb){ .d = d, .v2 = true, .view = d->mem };
	return ret;
}

void victim_end(struct victim *v)
{
	if (v->is_answered)
		responder_stop(&v->r);
	v->is_answered = false;
	if (v->d.fd >= 0)
		close(v->d.fd);
	v->d.fd = -1;
}

/* From here on misses are answered. */
int victim_answer(struct victim *v)
{
	int ret = responder_start(&v->r, &v->t);

	v->is_answered = !ret;
	return ret;
}

/*
 * What touches memory next faults and allocates; a translation is asked for.
 * The dirty log is empty.
 */
void victim_cool(struct victim *v)
{
	if (has(&v->d, F_PLATFORM))
		iotlb_drop(&v->t, GPA_BASE, MEM_SIZE);
	madvise(v->log, LOG_SIZE, MADV_DONTNEED);
	map_memory(v);
}

/* -- frames -------------------------------------------------------------- */

/* What became of a burst. */
struct outcome {
	unsigned int arrived;
	unsigned int strange;	/* frames that came twice, or harmed */
	unsigned int used;	/* chains */
	bool is_called, is_log_wrong;
	int64_t frames, drops;	/* by the counters */
};

static size_t room_of(const struct victim *v)
{
	return has(&v->d, F_MRG) ? RX_ROOM / 2 : RX_ROOM;
}

/* Chains that a burst takes. */
static unsigned int chains_of(const struct victim *v, const struct burst *b)
{
	size_t room = room_of(v);

	if (b->q == TX)
		return BURST_FRAMES;
	return BURST_FRAMES * ((b->len + v->d.hdr_len + room - 1) / room);
}

static int add_chains(struct victim *v, const struct burst *b)
{
	struct vq *vq = &v->d.vq[b->q];
	int head = 0;

	for (int i = 0; b->q == TX && i < BURST_FRAMES && head >= 0; i++) {
		frame_fill(v->frame, b->len, false, v->seq + i);
		head = tx_add(vq, NULL, v->frame, b->len, b->layout,
			      v->tx_buf + i * TX_ROOM);
	}
	while (b->q == RX && v->nr_posted < POSTED && head >= 0) {
		uint8_t *at = v->rx_buf + v->nr_added++ % VICTIM_RING * RX_ROOM;

		head = rx_add(vq, room_of(v), b->layout, at);
		if (head >= 0)
			v->rx_at[head] = at;
		v->nr_posted++;
	}
	return head < 0 ? head : 0;
}

static int inject_frames(struct victim *v, const struct burst *b)
{
	int ret = 0;

	for (int i = 0; i < BURST_FRAMES && !ret; i++) {
		frame_fill(v->frame, b->len, true, v->seq + i);
		ret = pkt_send(v->n.pkt, NULL, v->frame, b->len);
	}
	return ret;
}

static int64_t count_frames(struct victim *v, unsigned int q)
{
	return dev_counter(&v->d, q == TX ? "vhx-tx-frames" : "vhx-rx-frames");
}

/* Of the frames that are sent here, others are never dropped. */
static int64_t count_drops(struct victim *v, unsigned int q)
{
	static const char *const reasons[] = {
		"header", "refused", "gone", "fault", "nomem",
	};
	int64_t sum = 0;
	char name[32];

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		snprintf(name, sizeof(name), "vhx-%s-drop_%s",
			 q == TX ? "tx" : "rx", reasons[i]);
		sum += dev_counter(&v->d, name);
	}
	return sum;
}

/* A frame that came: the next one, or one after a gap. */
static void see_frame(struct victim *v, const struct burst *b, size_t len,
		      uint32_t *next, struct outcome *o)
{
	for (uint32_t s = *next; s < v->seq + BURST_FRAMES; s++) {
		frame_fill(v->frame, b->len, b->q == RX, s);
		if (len != b->len || memcmp(v->frame, v->seen, len))
			continue;
		*next = s + 1;
		o->arrived++;
		return;
	}
	o->strange++;
}

static bool is_logged(struct victim *v, const void *p, size_t len)
{
	uint64_t at = gpa(&v->d, p);

	for (uint64_t page = at & ~(LOG_PAGE - 1); page < at + len;
	     page += LOG_PAGE)
		if (!log_has(v->log, page))
			return false;
	return true;
}

/* Takes one used chain. Of a frame to the guest it adds to what was seen. */
static void take_chain(struct victim *v, const struct burst *b, size_t *seen,
		       unsigned int *left, struct outcome *o)
{
	uint32_t len = 0;
	int head = vq_pop(&v->d.vq[b->q], &len);
	size_t skip = *left ? 0 : v->d.hdr_len;
	uint8_t *at;

	o->used++;
	if (b->q == TX)
		return;
	v->nr_posted--;
	if (head < 0 || len < skip || len > RX_ROOM ||
	    *seen + len > sizeof(v->seen)) {
		o->strange++;
		return;
	}
	at = v->rx_at[head];
	if (!*left)
		*left = has(&v->d, F_MRG) ? *(uint16_t *)(at + 10) : 1;
	memcpy(v->seen + *seen, at + skip, len - skip);
	*seen += len - skip;
	--*left;
	if (has(&v->d, F_LOG_ALL) && !is_logged(v, at, len))
		o->is_log_wrong = true;
}

static void take_used(struct victim *v, const struct burst *b, uint32_t *next,
		      struct outcome *o)
{
	unsigned int left = 0;
	size_t seen = 0;

	while (vq_used(&v->d.vq[b->q])) {
		take_chain(v, b, &seen, &left, o);
		if (b->q == RX && !left) {
			see_frame(v, b, seen, next, o);
			seen = 0;
		}
	}
	o->strange += left > 0;
}

static bool is_done(const struct burst *b, const struct outcome *o)
{
	if (b->q == TX)
		return o->used >= BURST_FRAMES;
	return o->arrived + o->strange + o->drops >= BURST_FRAMES;
}

/* Frames that were sent, and whether there is one too many. */
static void see_sent(struct victim *v, const struct burst *b, uint32_t *next,
		     struct outcome *o)
{
	struct virtio_net_hdr h;
	int len;

	do {
		bool is_all = o->arrived + o->strange >= BURST_FRAMES;

		len = pkt_recv(v->n.pkt, &h, v->seen, FRAME_MAX,
			       is_all ? 0 : 5 * LOOK_MS);
		if (len >= 0)
			see_frame(v, b, len, next, o);
	} while (len >= 0);
}

/* By calls as long as they come: memory is not touched before it was used. */
static void wait_outcome(struct victim *v, const struct burst *b,
			 struct outcome *o)
{
	int64_t frames = o->frames, drops = o->drops, end = now_ms() + DONE_MS;
	struct vq *vq = &v->d.vq[b->q];
	uint32_t next = v->seq;
	bool is_late;

	/* what was counted before is none of this burst */
	o->drops = 0;
	do {
		is_late = now_ms() >= end;
		if (!event_wait(vq->call, LOOK_MS))
			o->is_called |= event_read(vq->call) > 0;
		take_used(v, b, &next, o);
		if (!is_done(b, o))
			o->drops = count_drops(v, b->q) - drops;
	} while (!is_late && !is_done(b, o));
	o->drops = count_drops(v, b->q) - drops;
	if (b->q == TX)
		see_sent(v, b, &next, o);
	if (!o->is_called)
		o->is_called = !event_wait(vq->call, 5 * LOOK_MS);
	o->frames = count_frames(v, b->q) - frames;
	if (has(&v->d, F_LOG_ALL) && o->used)
		o->is_log_wrong |= !is_logged(v, is_packed(vq) ?
					      (void *)vq->packed :
					      (void *)vq->used, 1);
}

/* Chains that the device took and did not give back, though it is idle. */
static bool has_chains(struct vq *vq)
{
	int64_t base = dev_get_base(vq->dev, vq->index);

	if (is_packed(vq))
		return (base & 0xffff) != base >> 16;
	return base != vq->used_idx;
}

/*
 * Whether a frame may be lost where its backend had taken it already, and
 * nobody tells the module. Some allocations there are not reported when they
 * fail.
 */
static bool is_behind_backend(const struct fault *f)
{
	static const char *const functions[] = {
		"tun_xdp_one", "netif_receive_skb", "dev_queue_xmit",
	};

	for (unsigned int i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (strstr(f->where, functions[i]))
			return true;
	return !*f->kind;
}

/*
 * A frame to the guest that was taken out of its backend cannot be put back: it
 * may be dropped, but is counted then.
 */
static void judge(struct victim *v, const struct burst *b,
		  const struct outcome *o, const struct fault *f)
{
	struct vq *vq = &v->d.vq[b->q];
	unsigned int may_lose = 0;

	if (f && b->q == RX)
		may_lose = o->drops == 1;
	else if (f)
		may_lose = is_behind_backend(f);

#define WRONG_IF(cond, fmt, ...) do {					\
	if ((cond) && !*v->why)						\
		snprintf(v->why, sizeof(v->why), fmt, ##__VA_ARGS__);	\
} while (0)
	WRONG_IF(o->strange, "%u frames twice or harmed", o->strange);
	WRONG_IF(o->arrived + may_lose < BURST_FRAMES,
		 "%u frames arrived, %u chains used, %d drops counted",
		 o->arrived, o->used, (int)o->drops);
	WRONG_IF(b->q == TX && o->drops, "%d frames dropped", (int)o->drops);
	WRONG_IF(b->q == TX && o->used != BURST_FRAMES, "%u chains used",
		 o->used);
	WRONG_IF(b->q == RX && o->used != chains_of(v, b) / BURST_FRAMES *
		 o->arrived, "%u frames in %u chains", o->arrived, o->used);
	WRONG_IF(o->frames != (b->q == TX ? BURST_FRAMES : o->arrived),
		 "%d frames counted", (int)o->frames);
	WRONG_IF(has_chains(vq), "chains are still in the device");
	WRONG_IF(!o->is_called && !o->drops, "no call");
	WRONG_IF(event_read(vq->err), "error event");
	WRONG_IF(o->is_log_wrong, "a write is not in the dirty log");
#undef WRONG_IF
}

/*
 * Moves a burst; with a fault cold, and the n-th of the worker fails. The driver
 * kicks when it is asked to, and not again. Return: whether all was well.
 */
bool victim_moves(struct victim *v, const struct burst *b, struct fault *f,
		  unsigned int n, bool *is_injected)
{
	struct vq *vq = &v->d.vq[b->q];
	struct outcome o = { .frames = count_frames(v, b->q),
			     .drops = count_drops(v, b->q) };
	bool is_wanted;
	int ret;

	v->why[0] = 0;
	ret = add_chains(v, b);
	vq_want_call(vq, chains_of(v, b));
	vq_publish(vq);
	is_wanted = vq_kick_wanted(vq);
	if (f)
		victim_cool(v);
	if (f && !ret)
		ret = fault_arm(f, n);
	if (is_wanted)
		vq_kick(vq);
	if (b->q == RX && !ret)
		ret = inject_frames(v, b);
	if (ret) {
		snprintf(v->why, sizeof(v->why), "not begun: %d", ret);
		return false;
	}
	wait_outcome(v, b, &o);
	if (f)
		*is_injected = fault_disarm(f);
	judge(v, b, &o, f && *is_injected ? f : NULL);
	v->seq += BURST_FRAMES;
	return !*v->why;
}
