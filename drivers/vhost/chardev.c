// SPDX-License-Identifier: GPL-2.0-only
/*
 * File operations and the table of ioctls: number, precondition, handler.
 * Here is decoding and dispatch, no policy.
 */
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "vhx.h"

union ioctl_arg {
	u64 features;
	struct vhost_memory memory;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_vring_file file;
};

/**
 * struct ioctl_entry - one ioctl
 * @cmd: its number, which says size and direction of the argument
 * @needs_owner: only the owner may; others get -EPERM
 * @dev_fn: handler of a device-wide one
 * @vq_fn: handler of one whose argument begins with the index of a vq
 */
struct ioctl_entry {
	unsigned int cmd;
	bool needs_owner;
	int (*dev_fn)(struct vhx_dev *dev, union ioctl_arg *arg,
		      void __user *uarg);
	int (*vq_fn)(struct vhx_vq *vq, union ioctl_arg *arg);
};

static int get_features(struct vhx_dev *dev, union ioctl_arg *arg,
			void __user *uarg)
{
	arg->features = VHX_NET_FEATURES;
	return 0;
}

static int set_features(struct vhx_dev *dev, union ioctl_arg *arg,
			void __user *uarg)
{
	return vhx_net_set_features(dev, arg->features);
}

static int get_backend_features(struct vhx_dev *dev, union ioctl_arg *arg,
				void __user *uarg)
{
	arg->features = 0;
	return 0;
}

static int set_backend_features(struct vhx_dev *dev, union ioctl_arg *arg,
				void __user *uarg)
{
	return arg->features ? -EOPNOTSUPP : 0;
}

static int set_owner(struct vhx_dev *dev, union ioctl_arg *arg,
		     void __user *uarg)
{
	return vhx_dev_set_owner(dev);
}

static int reset_owner(struct vhx_dev *dev, union ioctl_arg *arg,
		       void __user *uarg)
{
	return vhx_dev_reset_owner(dev);
}

static int set_mem_table(struct vhx_dev *dev, union ioctl_arg *arg,
			 void __user *uarg)
{
	struct vhost_memory __user *memory = uarg;

	return vhx_memtab_set(dev, &arg->memory, memory->regions);
}

static int set_num(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_set_num(vq, &arg->state);
}

static int set_base(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_set_base(vq, &arg->state);
}

static int get_base(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_get_base(vq, &arg->state);
}

static int set_addr(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_set_addr(vq, &arg->addr);
}

static int set_kick(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_set_kick(vq, &arg->file);
}

static int set_call(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_set_call(vq, &arg->file);
}

static int set_err(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_set_err(vq, &arg->file);
}

static int set_backend(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_net_set_backend(vq, arg->file.fd);
}

/* An unknown ioctl: the index of a vq is looked at before the number. */
static int unknown(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return -ENOTTY;
}

static const struct ioctl_entry entries[] = {
	{ VHOST_GET_FEATURES, false, get_features },
	{ VHOST_SET_FEATURES, false, set_features },
	{ VHOST_GET_BACKEND_FEATURES, false, get_backend_features },
	{ VHOST_SET_BACKEND_FEATURES, false, set_backend_features },
	{ VHOST_SET_OWNER, false, set_owner },
	{ VHOST_RESET_OWNER, true, reset_owner },
	{ VHOST_SET_MEM_TABLE, true, set_mem_table },
	{ VHOST_SET_VRING_NUM, true, NULL, set_num },
	{ VHOST_SET_VRING_BASE, true, NULL, set_base },
	{ VHOST_GET_VRING_BASE, true, NULL, get_base },
	{ VHOST_SET_VRING_ADDR, true, NULL, set_addr },
	{ VHOST_SET_VRING_KICK, true, NULL, set_kick },
	{ VHOST_SET_VRING_CALL, true, NULL, set_call },
	{ VHOST_SET_VRING_ERR, true, NULL, set_err },
	{ VHOST_NET_SET_BACKEND, true, NULL, set_backend },
};

/* Only its vq index is read. */
static const struct ioctl_entry unknown_entry = {
	_IOW(VHOST_VIRTIO, 0xff, u32), true, NULL, unknown,
};

static const struct ioctl_entry *find_entry(unsigned int cmd)
{
	const struct ioctl_entry *entry = entries;

	for (; entry < entries + ARRAY_SIZE(entries); entry++)
		if (entry->cmd == cmd)
			return entry;
	return &unknown_entry;
}

static int dispatch(struct vhx_dev *dev, const struct ioctl_entry *entry,
		    union ioctl_arg *arg, void __user *uarg)
{
	u32 index;

	if (entry->dev_fn)
		return entry->dev_fn(dev, arg, uarg);
	/* All arguments of vq_fn begin with it. */
	index = arg->state.index;
	if (index >= VHX_VQS)
		return -ENOBUFS;
	return entry->vq_fn(&dev->vq[array_index_nospec(index, VHX_VQS)], arg);
}

static long vhx_ioctl(struct file *file, unsigned int cmd, unsigned long param)
{
	const struct ioctl_entry *entry = find_entry(cmd);
	void __user *uarg = (void __user *)param;
	struct vhx_dev *dev = file->private_data;
	union ioctl_arg arg;
	int ret;

	mutex_lock(&dev->mutex);
	ret = -EPERM;
	if (entry->needs_owner && !vhx_dev_is_owner(dev))
		goto out;
	ret = -EFAULT;
	if ((_IOC_DIR(entry->cmd) & _IOC_WRITE) &&
	    copy_from_user(&arg, uarg, _IOC_SIZE(entry->cmd)))
		goto out;
	ret = dispatch(dev, entry, &arg, uarg);
	if (!ret && (_IOC_DIR(entry->cmd) & _IOC_READ) &&
	    copy_to_user(uarg, &arg, _IOC_SIZE(entry->cmd)))
		ret = -EFAULT;
out:
	mutex_unlock(&dev->mutex);
	return ret;
}

static int vhx_open(struct inode *inode, struct file *file)
{
	struct vhx_dev *dev = vhx_dev_create();

	if (!dev)
		return -ENOMEM;
	file->private_data = dev;
	return 0;
}

static int vhx_release(struct inode *inode, struct file *file)
{
	vhx_dev_destroy(file->private_data);
	return 0;
}

static void vhx_show_fdinfo(struct seq_file *m, struct file *file)
{
	vhx_stats_show(m, file->private_data);
}

const struct file_operations vhx_fops = {
	.owner = THIS_MODULE,
	.open = vhx_open,
	.release = vhx_release,
	.unlocked_ioctl = vhx_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = vhx_show_fdinfo,
	.llseek = noop_llseek,
};
