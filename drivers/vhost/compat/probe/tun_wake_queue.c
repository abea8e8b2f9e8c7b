// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_tun.h>

void probe(struct file *file);
void probe(struct file *file)
{
	tun_wake_queue(file, 1);
}
