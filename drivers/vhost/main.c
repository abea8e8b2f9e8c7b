// SPDX-License-Identifier: GPL-2.0-only
/* Module parameters, the misc device, init and exit. */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "vhx.h"

#define NODE	"vhost-net"

static char *node = NODE;
module_param(node, charp, 0444);
MODULE_PARM_DESC(node, "Name of the device node (default vhost-net); another name gets a dynamic minor");

module_param_named(max_mem_regions, vhx_max_mem_regions, ushort, 0444);
MODULE_PARM_DESC(max_mem_regions, "Regions that a memory table may have (default 509)");

static struct miscdevice misc = {
	.minor = VHOST_NET_MINOR,
	.fops = &vhx_fops,
};

static int __init vhx_init(void)
{
	int err;

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
