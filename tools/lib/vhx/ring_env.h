/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The words that the engine takes for granted, for a user-space build.
 */
#ifndef VHX_RING_ENV_H
#define VHX_RING_ENV_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include <linux/virtio_types.h>
#include <linux/virtio_ring.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#ifdef __CHECKER__
#define __force			__attribute__((force))
#define __user			__attribute__((noderef, address_space(__user)))
#else
#define __force
#define __user
#endif

#define BIT_ULL(nr)		(1ULL << (nr))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
/* For what is rare: inline, it would take registers from what is not. */
#define noinline		__attribute__((noinline))
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, val)	(*(volatile __typeof__(x) *)&(x) = (val))
/* A process has its memory for itself, and the kernel separates it from others. */
#define array_index_nospec(index, size)	(index)
#define min_t(type, a, b) ({			\
	type min_a_ = (type)(a);		\
	type min_b_ = (type)(b);		\
	min_a_ < min_b_ ? min_a_ : min_b_; })
#define min(a, b)		min_t(__typeof__((a) + 0), a, b)
#define min3(a, b, c)		min(min(a, b), c)
#define swap(a, b) do {				\
	__typeof__(a) swap_a_ = (a);		\
	(a) = (b);				\
	(b) = swap_a_;				\
} while (0)

#ifndef virt_mb
/* A locked instruction costs half of what mfence does, and orders as much. */
static inline void virt_mb(void)
{
#ifdef __x86_64__
	__asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}
#endif

static inline bool ring_env_swaps(bool is_le)
{
	return is_le != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
}

#define RING_ENV_CONVERT(bits)						\
static inline u##bits __virtio##bits##_to_cpu(bool is_le,		\
					      __virtio##bits val)	\
{									\
	u##bits raw = (__force u##bits)val;				\
									\
	return unlikely(ring_env_swaps(is_le)) ?			\
		__builtin_bswap##bits(raw) : raw;			\
}									\
									\
static inline __virtio##bits __cpu_to_virtio##bits(bool is_le, u##bits val) \
{									\
	u##bits raw = unlikely(ring_env_swaps(is_le)) ?			\
		__builtin_bswap##bits(val) : val;			\
									\
	return (__force __virtio##bits)raw;				\
}

RING_ENV_CONVERT(16)
RING_ENV_CONVERT(32)
RING_ENV_CONVERT(64)

#endif /* VHX_RING_ENV_H */
