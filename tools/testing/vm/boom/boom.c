// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plants the fault that `fault=NAME` chooses, once, while it is loaded. Each
 * watcher of a debug kernel must report its own: tools/testing/vm/debug.py.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

#define OBJECT_LEN	24	/* bytes; the slab's next size is 32 */
#define LEAKED_LEN	333	/* bytes: of a slab that few others use */
#define LEAKS		8	/* a stale pointer may hide one or two */
#define LOCKUP_MS	8000	/* thresholds are shortened to 1 s by sysctl */
#define RACE_SECS	5

static char *fault = "";
module_param(fault, charp, 0);
MODULE_PARM_DESC(fault, "name of the fault to plant");

static int write_to(size_t index, bool freed)
{
	char *object = kmalloc(OBJECT_LEN, GFP_KERNEL);

	if (!object)
		return -ENOMEM;
	if (freed)
		kfree(object);
	OPTIMIZER_HIDE_VAR(object);
	WRITE_ONCE(object[index], 1);
	if (!freed)
		kfree(object);
	return 0;
}

static int kasan_oob(void)
{
	return write_to(OBJECT_LEN + 2, false);
}

static int kasan_uaf(void)
{
	return write_to(3, true);
}

/* The index leaves its array, not the object: no report of KASAN's. */
static int ubsan_bounds(void)
{
	static struct {
		int four[4];
		int more[4];
	} arrays;
	unsigned int index = ARRAY_SIZE(arrays.four) + 1;

	OPTIMIZER_HIDE_VAR(index);
	WRITE_ONCE(arrays.four[index], 1);
	return 0;
}

static int atomic_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	kfree(kmalloc(OBJECT_LEN, GFP_KERNEL));
	spin_unlock(&lock);
	return 0;
}

static int lockdep_order(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
	return 0;
}

static int rcu_unlocked(void)
{
	static int __rcu *pointer;

	return rcu_dereference(pointer) ? -EINVAL : 0;
}

struct timed {
	struct timer_list timer;
};

static void never(struct timer_list *timer)
{
}

static int debug_objects(void)
{
	struct timed *timed = kmalloc(sizeof(*timed), GFP_KERNEL);

	if (!timed)
		return -ENOMEM;
	timer_setup(&timed->timer, never, 0);
	mod_timer(&timed->timer, jiffies + 3600 * HZ);
	kfree(timed);
	return 0;
}

static int kmemleak(void)
{
	void *object;
	int i;

	for (i = 0; i < LEAKS; i++) {
		object = kmalloc(LEAKED_LEN, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(object);
	}
	return 0;
}

static int soft_lockup(void)
{
	preempt_disable();
	mdelay(LOCKUP_MS);
	preempt_enable();
	return 0;
}

static int hung_task(void)
{
	schedule_timeout_uninterruptible(msecs_to_jiffies(LOCKUP_MS));
	return 0;
}

static int list_corruption(void)
{
	struct list_head first, second;
	LIST_HEAD(list);

	list_add(&first, &list);
	first.prev = &second;
	list_add(&second, &list);
	return 0;
}

static int refcount(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
	return 0;
}

static unsigned long shared;

static int racer(void *unused)
{
	while (!kthread_should_stop()) {
		shared++;
		cond_resched();
	}
	return 0;
}

static int kcsan_race(void)
{
	struct task_struct *other = kthread_run(racer, NULL, "boom");
	unsigned long end = jiffies + RACE_SECS * HZ;

	if (IS_ERR(other))
		return PTR_ERR(other);
	while (time_before(jiffies, end)) {
		shared++;
		cond_resched();
	}
	return kthread_stop(other);
}

#define FAULT(name)	{ #name, name }
static const struct {
	const char *name;
	int (*plant)(void);
} faults[] = {
	FAULT(rcu_unlocked), FAULT(atomic_sleep), FAULT(ubsan_bounds),
	FAULT(debug_objects), FAULT(list_corruption), FAULT(refcount),
	FAULT(soft_lockup), FAULT(hung_task), FAULT(kmemleak),
	FAULT(lockdep_order), FAULT(kasan_oob), FAULT(kasan_uaf),
	FAULT(kcsan_race),
};

static int __init boom_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(fault, faults[i].name))
			return faults[i].plant();
	return -EINVAL;
}

static void __exit boom_exit(void)
{
}

module_init(boom_init);
module_exit(boom_exit);
MODULE_DESCRIPTION("One planted fault for each watcher of a debug kernel");
MODULE_LICENSE("GPL");
