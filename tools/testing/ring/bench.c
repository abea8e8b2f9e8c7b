// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a buffer costs in the engine alone: fetch and complete, in plain
 * memory, with the tests' accessors. The driver's part is not counted.
 */
#include <time.h>
#include "rig.h"

#define NR_BUFFERS	2000000u

static const struct {
	const char *name;
	struct rig_shape shape;
} shapes[] = {
	{ "direct_1", { .nr_out = 1, .nr_direct = 1 } },
	{ "direct_2", { .nr_out = 1, .nr_in = 1, .nr_direct = 2 } },
	{ "indirect_2", { .nr_out = 2 } },
	{ "indirect_18", { .nr_out = 18 } },
};

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

/* All that is available, in bursts. Return: how many, or -errno. */
static int drain(struct rig *rig, unsigned int max)
{
	struct vhx_ring *ring = &rig->ring;
	struct vhx_used used[VHX_BURST_MAX];
	int nr, i, err, sum = 0;

	for (;;) {
		nr = ring->ops->fetch(ring, &rig->burst, max);
		if (nr <= 0)
			return nr ? nr : sum;
		for (i = 0; i < nr; i++)
			used[i] = rig_used(&rig->burst.used[i],
					   i < (int)rig->burst.nr_plain ? 0 :
					   rig->burst.chain[i].in_len);
		err = ring->ops->complete(ring, used, (unsigned int)nr);
		if (err)
			return err;
		for (i = 0; i < nr; i++)
			rig->done[rig->nr_done++ & rig->queue_mask] = used[i];
		sum += nr;
	}
}

static int bench(const struct rig_variant *variant, unsigned int i,
		 unsigned int max)
{
	struct rig *rig = rig_create(variant);
	u64 ns = 0, start;
	u32 count = 0;
	int nr;

	while (count < NR_BUFFERS) {
		while (rig_add(rig, shapes[i].shape) >= 0)
			;
		rig->drv.ops->publish(&rig->drv);
		start = now_ns();
		nr = drain(rig, max);
		ns += now_ns() - start;
		if (nr <= 0 || rig_poll(rig) != nr)
			return 1;
		count += (u32)nr;
	}
	printf("bench.%s_event_n%u.%s_burst_%u %.1f ns/buffer, %u buffers\n",
	       rig_is_packed(rig) ? "packed" : "split.v1", variant->num,
	       shapes[i].name, max, (double)ns / count, count);
	rig_destroy(rig);
	return 0;
}

int main(void)
{
	static const unsigned int bursts[] = { 1, 8, 64 };
	struct rig_variant variant = {
		.num = 256,
		.is_le = true,
		.has_event_idx = true,
	};
	unsigned int i, k, packed;

	for (packed = 0; packed < 2; packed++) {
		variant.ops = packed ? &vhx_packed_ops : &vhx_split_ops;
		variant.driver = packed ? &driver_packed_ops :
			&driver_split_ops;
		for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
			for (k = 0; k < sizeof(bursts) / sizeof(bursts[0]); k++)
				if (bench(&variant, i, bursts[k]))
					return 1;
	}
	return 0;
}
