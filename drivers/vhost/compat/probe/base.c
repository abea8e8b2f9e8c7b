// SPDX-License-Identifier: GPL-2.0-only
/* Compiles on every supported kernel, or probing itself does not work. */
#include <linux/types.h>
#include <linux/eventfd.h>
#include <linux/if_tun.h>
#include <linux/skbuff.h>

/* Counters are read without a lock, and no other kernels are tested. */
#ifndef CONFIG_64BIT
#error vhx_net is for 64-bit kernels only
#endif

struct socket *probe(struct file *file);
struct socket *probe(struct file *file)
{
	return tun_get_socket(file);
}
