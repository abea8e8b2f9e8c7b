/* SPDX-License-Identifier: GPL-2.0-only */
/* How a program tells the plugin of where.c that a measurement begins or ends. */
#ifndef WHERE_MARK_H
#define WHERE_MARK_H

#define MARK_END	0
#define MARK_BEGIN	1

/* nopl of a displacement that no compiler makes: MARK_*, "vhx". */
#define MARK_OPCODE	"\x0f\x1f\x80"
#define MARK_NAME	"vhx"
#define MARK_LEN	7	/* bytes */

#ifdef __x86_64__
static inline void mark_begin(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 1, 'v, 'h, 'x" ::: "memory");
}

static inline void mark_end(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 0, 'v, 'h, 'x" ::: "memory");
}
#else
static inline void mark_begin(void)
{
}

static inline void mark_end(void)
{
}
#endif

#endif /* WHERE_MARK_H */
