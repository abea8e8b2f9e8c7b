// SPDX-License-Identifier: GPL-2.0-only
/* Module parameters, the misc device, init and exit. */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "vhx.h"

#define NODE	"vhost-net"

static char *node = NODE;
module_param(node, charp, 0444);
MODULE_PARM_DESC(node, "Name of the device node (default vhost-net); another name gets a dynamic minor");

module_param_named(max_mem_regions, vhx_max_mem_regions, ushort, 0444);
MODULE_PARM_DESC(max_mem_regions, "Regions that a memory table may have (default 509)");

module_param_named(max_iotlb_entries, vhx_max_iotlb_entries, int, 0444);
MODULE_PARM_DESC(max_iotlb_entries, "Translations that an IOTLB may hold (default 2048)");

module_param_named(features, vhx_feature_set, charp, 0444);
MODULE_PARM_DESC(features, "Offered to clients: all (default), or what vhost_net of Linux 6.1, 6.12 or 7.3 offers");

module_param_named(fork_from_owner_default, vhx_fork_from_owner_default, bool,
		   0444);
MODULE_PARM_DESC(fork_from_owner_default, "Workers are threads of the owner, unless it says otherwise (default Y); else, and before Linux 6.4, kthreads");

module_param_named(workers, vhx_workers, uint, 0444);
MODULE_PARM_DESC(workers, "Worker threads of a device: 1 (default), or 2: one a ring");

module_param_named(log_lines, vhx_log_lines, uint, 0644);
MODULE_PARM_DESC(log_lines, "Lines an hour in the kernel log about rings that fail, of all devices (default 240)");

static const char *const busyloop_modes[] = {
	[VHX_BUSYLOOP_OFF] = "off",
	[VHX_BUSYLOOP_AUTO] = "auto",
};

static int set_busyloop(const char *text, const struct kernel_param *param)
{
	int mode = sysfs_match_string(busyloop_modes, text);

	if (mode < 0)
		return mode;
	WRITE_ONCE(vhx_busyloop, mode);
	return 0;
}

static int get_busyloop(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%s\n", busyloop_modes[vhx_busyloop]);
}

static const struct kernel_param_ops busyloop_ops = {
	.set = set_busyloop,
	.get = get_busyloop,
};
module_param_cb(busyloop, &busyloop_ops, NULL, 0644);
MODULE_PARM_DESC(busyloop, "How long rings are polled whose client does not say it: off (default), or auto: as long as it pays; of devices opened from now on");

static int set_share(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, 0, 100);
}

static const struct kernel_param_ops share_ops = {
	.set = set_share,
	.get = param_get_uint,
};
module_param_cb(busyloop_share, &share_ops, &vhx_busyloop_share, 0644);
MODULE_PARM_DESC(busyloop_share, "Percent of a CPU that a device may poll with busyloop=auto, 0 to 100 (default 10)");

static int set_latency(const char *text, const struct kernel_param *param)
{
	int tid, err = kstrtoint(text, 0, &tid);

	return err ?: vhx_latency_set(tid);
}

static int get_latency(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%d\n", vhx_latency_get());
}

static const struct kernel_param_ops latency_ops = {
	.set = set_latency,
	.get = get_latency,
};
module_param_cb(latency, &latency_ops, NULL, 0644);
MODULE_PARM_DESC(latency, "Thread id of a worker whose device has its latencies measured, for fdinfo; 0 (default): none");

static struct miscdevice misc = {
	.minor = VHOST_NET_MINOR,
	.fops = &vhx_fops,
};

static int __init vhx_init(void)
{
	int err;

	if (vhx_net_find_set(vhx_feature_set) < 0) {
		pr_err("features=%s: take all, 6.1, 6.12 or 7.3\n",
		       vhx_feature_set);
		return -EINVAL;
	}
	if (vhx_max_iotlb_entries < 1) {
		pr_err("max_iotlb_entries=%d: take 1 or more\n",
		       vhx_max_iotlb_entries);
		return -EINVAL;
	}
	if (!vhx_workers || vhx_workers > VHX_VQS) {
		pr_err("workers=%u: 1 or 2 wanted\n", vhx_workers);
		return -EINVAL;
	}
	misc.name = node;
	if (strcmp(node, NODE))
		misc.minor = MISC_DYNAMIC_MINOR;
	err = misc_register(&misc);
	if (err == -EBUSY)
		pr_err("/dev/%s is served by another module: 'rmmod vhost_net' first, or load vhx_net with node=NAME\n",
		       node);
	else if (err)
		pr_err("cannot register /dev/%s (%d)\n", node, err);
	else
		pr_info("serving /dev/%s\n", node);
	return err;
}

static void __exit vhx_exit(void)
{
	misc_deregister(&misc);
}

module_init(vhx_init);
module_exit(vhx_exit);

MODULE_DESCRIPTION("Host kernel backend of virtio-net");
MODULE_AUTHOR("The vhx maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VHX_VERSION);
MODULE_ALIAS_MISCDEV(VHOST_NET_MINOR);
MODULE_ALIAS("devname:vhost-net");
