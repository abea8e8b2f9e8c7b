// SPDX-License-Identifier: GPL-2.0-only
#include <linux/types.h>
#include <linux/sched/vhost_task.h>

struct vhost_task *probe(bool (*fn)(void *), void (*kill)(void *), void *arg);
struct vhost_task *probe(bool (*fn)(void *), void (*kill)(void *), void *arg)
{
	return vhost_task_create(fn, kill, arg, "name");
}
