// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * libFuzzer target: whatever the driver wrote, what the engine makes of it is
 * a burst that the datapath may use without another look.
 */
#include "driver.h"
#include "fuzz.h"

__thread unsigned int ring_env_nr_mb;

#define CHECK(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #x);	\
		abort();						\
	}								\
} while (0)

/**
 * struct fuzz - one run
 * @in: rest of the input
 * @len: its length in bytes
 * @flags: FUZZ_* of the input's head
 * @mem: the ring's memory
 * @ring: what is tested
 * @ops: of the format
 * @drv: the guest's driver
 * @order: @drv's
 * @burst: what was fetched last
 * @again: the same chains, fetched once more
 * @held: ids fetched and not completed
 * @nr_held: ids in @held
 * @may_unfetch: the chains of @burst are all held, and nothing newer is
 */
struct fuzz {
	const u8 *in;
	size_t len;
	u8 flags;
	struct vhx_mem mem;
	struct vhx_ring ring;
	const struct driver_ops *ops;
	struct driver drv;
	u16 order[1 << (FUZZ_NUM_LOG2 - 1)];
	struct vhx_burst burst;
	struct vhx_burst again;
	struct vhx_used held[256];
	u32 nr_held;
	bool may_unfetch;
};

static u8 next_byte(struct fuzz *fuzz)
{
	if (!fuzz->len)
		return 0;
	fuzz->len--;
	return *fuzz->in++;
}

static void fill(struct fuzz *fuzz, unsigned int area, u32 at)
{
	u32 len = fuzz->mem.len[area] - at;

	if (len > fuzz->len)
		len = (u32)fuzz->len;
	/* No byte is left, and then there is no place to copy from either. */
	if (!len)
		return;
	memcpy(fuzz->mem.area[area] + at, fuzz->in, len);
	fuzz->in += len;
	fuzz->len -= len;
}

/* The driver scribbles on what was just read. */
static void change(struct vhx_mem *mem, const struct mem_access *access)
{
	struct fuzz *fuzz = mem->arg;

	if (access->kind == MEM_READ && fuzz->len)
		access->p[next_byte(fuzz) % access->len] ^= next_byte(fuzz);
}

static void check_chain(const struct fuzz *fuzz, const struct vhx_chain *chain,
			const struct vhx_used *used)
{
	u64 out_len = 0, in_len = 0;
	u32 i;

	for (i = 0; i < (u32)chain->nr_out + chain->nr_in; i++) {
		const struct vhx_slot *slot = &chain->slot[i];

		CHECK(slot->len);
		CHECK(slot->addr + (slot->len - 1) >= slot->addr);
		CHECK(!(slot->flags & VRING_DESC_F_INDIRECT));
		CHECK(!(slot->flags & VRING_DESC_F_WRITE) ==
		      (i < chain->nr_out));
		*(i < chain->nr_out ? &out_len : &in_len) += slot->len;
	}
	CHECK(out_len == chain->out_len);
	CHECK(in_len == chain->in_len);
	CHECK(fuzz->ops->is_packed || used->id < fuzz->ring.num);
	CHECK(used->count && used->count <= fuzz->ring.num);
	CHECK(fuzz->ops->is_packed || used->count == 1);
	CHECK(!used->len);
}

static u16 pos_after(const struct fuzz *fuzz, u32 base, u32 nr)
{
	return (u16)fuzz->ops->base_after(fuzz->ring.num, base, nr);
}

/* What is plain is so by the driver's descriptor, and gets a chain. */
static void check_plain(struct fuzz *fuzz)
{
	struct vhx_burst *burst = &fuzz->burst;
	u32 i;

	CHECK(burst->nr_plain <= burst->nr);
	for (i = 0; i < burst->nr_plain; i++) {
		const struct vhx_chain *chain =
			vhx_burst_chain(burst, i);

		CHECK(vhx_plain_len(&burst->desc[i]));
		CHECK(vhx_plain_addr(&burst->desc[i]) + vhx_plain_len(&burst->desc[i]) >
		      vhx_plain_addr(&burst->desc[i]));
		CHECK(chain->nr_in == burst->is_plain_in);
	}
}

static void check_burst(const struct fuzz *fuzz, int ret, u32 max, u32 base)
{
	const struct vhx_burst *burst = &fuzz->burst;
	const struct vhx_slot *slot = burst->slot;
	u32 at = 0;
	u16 i;

	if (ret < 0) {
		CHECK(ret == -EINVAL || ret == -ENOBUFS || ret == -EFAULT);
		CHECK(fuzz->ring.cause);
		ret = 0;
	}
	CHECK((u32)ret <= max && ret == burst->nr);
	CHECK(burst->nr_slots <= VHX_SLOTS_MAX);
	for (i = 0; i < burst->nr; i++) {
		CHECK(burst->chain[i].slot == slot);
		CHECK(vhx_burst_pos(&fuzz->ring, burst, i) ==
		      pos_after(fuzz, base, at));
		check_chain(fuzz, &burst->chain[i], &burst->used[i]);
		at += burst->used[i].count;
		slot += burst->chain[i].nr_out + burst->chain[i].nr_in;
	}
	CHECK(slot == burst->slot + burst->nr_slots);
	CHECK((u16)fuzz->ring.ops->base(&fuzz->ring) ==
	      pos_after(fuzz, base, at));
}

/* Memory that nobody changes gives the same burst again. */
static void check_repeat(struct fuzz *fuzz, u32 max)
{
	struct vhx_ring *ring = &fuzz->ring;
	u32 i;

	memset(&fuzz->again, 0xa5, sizeof(fuzz->again));
	vhx_ring_unfetch(ring, &fuzz->burst, 0);
	CHECK(ring->ops->fetch(ring, &fuzz->again, max) == fuzz->burst.nr);
	CHECK(fuzz->again.nr_slots == fuzz->burst.nr_slots);
	for (i = 0; i < fuzz->burst.nr; i++) {
		vhx_burst_chain(&fuzz->again, i);
		CHECK(fuzz->again.used[i].id == fuzz->burst.used[i].id &&
		      vhx_burst_pos(ring, &fuzz->again, i) ==
		      vhx_burst_pos(ring, &fuzz->burst, i));
	}
	CHECK(!memcmp(fuzz->again.slot, fuzz->burst.slot,
		      fuzz->burst.nr_slots * sizeof(struct vhx_slot)));
}

static void op_fetch(struct fuzz *fuzz, u32 arg)
{
	struct vhx_ring *ring = &fuzz->ring;
	u32 max = arg * 2 + 2, i;
	u32 base = ring->ops->base(ring);
	bool may_fail = fuzz->mem.fail_at != MEM_FAILS_NEVER;
	int ret;

	ring->cause = VHX_CAUSE_NONE;
	fuzz->burst.nr = 0xa5a5;
	fuzz->burst.nr_slots = 0xa5a5;
	ret = ring->ops->fetch(ring, &fuzz->burst, max);
	check_plain(fuzz);
	check_burst(fuzz, ret, max, base);
	if (ret > 0 && !may_fail && !(fuzz->flags & FUZZ_CHANGES))
		check_repeat(fuzz, max);
	/* A driver that offers what is not its own can overfill us. */
	for (i = 0; ret > 0 && i < (u32)ret; i++)
		if (fuzz->nr_held < 256)
			fuzz->held[fuzz->nr_held++] = (struct vhx_used){
				.id = fuzz->burst.used[i].id,
				.count = fuzz->burst.used[i].count,
				.len = fuzz->burst.chain[i].in_len,
			};
	fuzz->may_unfetch = ret > 0 && fuzz->nr_held < 256;
}

/* Where the next used element goes, for the driver. */
static u16 used_pos(const struct fuzz *fuzz)
{
	return fuzz->ops->is_packed ? (u16)
		(fuzz->ring.ops->base(&fuzz->ring) >> 16) :
		split_used_idx(&fuzz->drv);
}

static void op_complete(struct fuzz *fuzz, u32 arg)
{
	struct vhx_ring *ring = &fuzz->ring;
	u16 before = used_pos(fuzz);
	u32 nr = arg + 1, most = fuzz->nr_held, i, count = 0;
	int err;

	if (most > ring->num)
		most = ring->num;
	if (nr > most)
		nr = most;
	if (!nr)
		return;
	err = ring->ops->complete(ring, &fuzz->held[fuzz->nr_held - nr], nr);
	CHECK(!err || err == -EFAULT);
	if (!err)
		fuzz->nr_held -= nr;
	for (i = 0; !err && i < nr; i++)
		count += fuzz->held[fuzz->nr_held + i].count;
	CHECK(used_pos(fuzz) == pos_after(fuzz, before, count));
	fuzz->may_unfetch = false;
}

static void op_unfetch(struct fuzz *fuzz, u32 arg)
{
	u32 from;

	if (!fuzz->may_unfetch)
		return;
	from = arg % fuzz->burst.nr;
	vhx_ring_unfetch(&fuzz->ring, &fuzz->burst, from);
	fuzz->nr_held -= fuzz->burst.nr - from;
	fuzz->burst.nr = (u16)from;
	fuzz->may_unfetch = false;
}

static void op_other(struct fuzz *fuzz, enum fuzz_op op)
{
	struct vhx_ring *ring = &fuzz->ring;
	u32 base = ring->ops->base(ring);
	int ret;

	ring->cause = VHX_CAUSE_NONE;
	if (op == FUZZ_ARM)
		ret = ring->ops->arm(ring);
	else if (op == FUZZ_DISARM)
		ret = ring->ops->disarm(ring);
	else
		ret = ring->ops->call_needed(ring);
	CHECK(ret == 0 || ret == 1 ||
	      (ring->cause && (ret == -EFAULT || ret == -EINVAL)));
	CHECK(ring->ops->base(ring) == base);
}

/* Makes the next @nr descriptors available, whatever they say. */
static void publish_packed(struct fuzz *fuzz, u32 nr)
{
	struct driver *drv = &fuzz->drv;
	struct vhx_slot slot;

	for (; nr; nr--) {
		u32 at = (u32)(drv->added_place % drv->num);

		packed_get_desc(drv, at, &slot);
		slot.flags &= 0x7f7f;
		slot.flags |= packed_avail_flags(drv, drv->added_place++);
		packed_set_desc(drv, at, &slot);
	}
}

static void run_op(struct fuzz *fuzz, u8 code)
{
	enum fuzz_op op = code & ((1u << FUZZ_OP_BITS) - 1);
	u32 arg = code >> FUZZ_OP_BITS;

	if (op == FUZZ_FAIL) {
		fuzz->mem.fail_at = fuzz->mem.nr_access + arg;
		return;
	}
	if (op == FUZZ_FETCH) {
		op_fetch(fuzz, arg);
	} else if (op == FUZZ_COMPLETE) {
		op_complete(fuzz, arg);
	} else if (op == FUZZ_UNFETCH) {
		op_unfetch(fuzz, arg);
	} else if (op == FUZZ_PUBLISH && fuzz->ops->is_packed) {
		publish_packed(fuzz, arg);
	} else if (op == FUZZ_PUBLISH) {
		split_set_avail_idx(&fuzz->drv,
				    (u16)(fuzz->drv.avail_pos + arg));
	} else {
		op_other(fuzz, op);
	}
	if (fuzz->mem.nr_access > fuzz->mem.fail_at)
		fuzz->mem.fail_at = MEM_FAILS_NEVER;
}

static void set_up(struct fuzz *fuzz, const struct fuzz_header *header)
{
	bool is_packed = header->flags & FUZZ_PACKED;
	u16 num = (u16)(is_packed ? header->num_log2 + 1 :
			1u << header->num_log2 % FUZZ_NUM_LOG2);
	bool has_event_idx = header->flags & FUZZ_HAS_EVENT_IDX;
	u32 i;

	fuzz->flags = header->flags;
	fuzz->ops = is_packed ? &driver_packed_ops : &driver_split_ops;
	for (i = 0; i < VHX_AREAS; i++)
		fuzz->mem.len[i] = fuzz->ops->area_len((enum vhx_area)i, num,
						       has_event_idx);
	fuzz->mem.len[MEM_GUEST] = FUZZ_GUEST_LEN;
	for (i = 0; i <= MEM_GUEST; i++) {
		fuzz->mem.area[i] = calloc(1, fuzz->mem.len[i]);
		CHECK(fuzz->mem.area[i]);
	}
	fuzz->mem.fail_at = MEM_FAILS_NEVER;
	fuzz->mem.fail_err = -EFAULT;
	fuzz->mem.arg = fuzz;

	fuzz->drv.mem = &fuzz->mem;
	fuzz->drv.num = num;
	fuzz->drv.order = fuzz->order;
	fuzz->drv.is_le = is_packed || header->flags & FUZZ_IS_LE;
	fuzz->drv.has_event_idx = has_event_idx;
	fuzz->ring.ops = is_packed ? &vhx_packed_ops : &vhx_split_ops;
	fuzz->ring.mem = &fuzz->mem;
	fuzz->ring.num = num;
	fuzz->ring.is_le = fuzz->drv.is_le;
	fuzz->ring.has_event_idx = has_event_idx;
	fuzz->ring.is_in_order = header->flags & FUZZ_IS_IN_ORDER;
	fuzz->ring.calls_on_empty = header->flags & FUZZ_CALLS_ON_EMPTY;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static struct fuzz fuzz;
	struct fuzz_header header;
	const u8 *ops = data + sizeof(header);
	u32 i;

	if (len < sizeof(header))
		return 0;
	memcpy(&header, data, sizeof(header));
	if (len - sizeof(header) < header.nr_ops)
		return 0;
	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.in = ops + header.nr_ops;
	fuzz.len = len - sizeof(header) - header.nr_ops;
	set_up(&fuzz, &header);
	fill(&fuzz, VHX_DRIVER, fuzz.ops->is_packed ? 0 : 4);
	fill(&fuzz, VHX_DESC, 0);
	fill(&fuzz, MEM_GUEST, 0);
	CHECK(!fuzz.ring.ops->start(&fuzz.ring, 0));
	if (fuzz.ops->is_packed) {
		/* Place 0 is where the wrap counter is 1, unlike at base 0. */
		fuzz.drv.added_place = fuzz.ring.num;
		publish_packed(&fuzz, header.nr_avail);
	} else {
		split_set_avail_idx(&fuzz.drv, (u16)(header.nr_avail %
						     (fuzz.ring.num + 2)));
	}
	if (header.flags & FUZZ_CHANGES)
		fuzz.mem.on_access = change;
	for (i = 0; i < header.nr_ops; i++)
		run_op(&fuzz, ops[i]);
	for (i = 0; i <= MEM_GUEST; i++)
		free(fuzz.mem.area[i]);
	return 0;
}
