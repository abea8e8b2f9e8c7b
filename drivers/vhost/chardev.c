// SPDX-License-Identifier: GPL-2.0-only
/*
 * File operations and the table of ioctls: number, precondition, handler.
 * Here is decoding and dispatch, no policy.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "vhx.h"

/* Words of features that a client may hand over; all but two are zero. */
#define FEATURE_WORDS_MAX	512

#define BACKEND_FEATURES	BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2)

/* The argument; @array and @memory with what lies behind it in user memory. */
union ioctl_arg {
	u64 features;
	u64 log_base;
	int fd;
	struct {
		u64 count;
		u64 word[VHX_FEATURE_WORDS];
	} array;
	struct vhx_feature_set set;
	struct vhx_busyloop busyloop;
	u8 fork;
	struct {
		u32 nregions;
		u32 padding;
		struct vhx_map *map;
	} memory;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_vring_file file;
	struct vhost_worker_state worker;
	struct vhost_vring_worker ring_worker;
};

/* Who may, and what others get. */
enum caller {
	ANYONE,
	OWNER,		/* -EPERM */
	WORKER_OWNER,	/* -EPERM, and -EINVAL while there is no owner */
	NO_OWNER_YET,	/* -EBUSY */
};

/**
 * struct ioctl_entry - one ioctl
 * @cmd: its number, which says size and direction of the fixed argument
 * @caller: who may
 * @dev_fn: handler of a device-wide one
 * @vq_fn: handler of one whose argument begins with the index of a vq
 * @returns_arg: it does, though the number has no direction for that
 * @load: reads what lies behind the fixed argument, or NULL; without a lock
 * @unload: frees what @load made and the handler left, or NULL
 * @store: writes what lies behind the fixed argument, or NULL; without a lock
 * @undo: takes back what @dev_fn did when the client cannot be told, or NULL
 *
 * User memory is accessed before and after the handler, never under the
 * mutex: a fault may take as long as whoever serves it likes.
 */
struct ioctl_entry {
	unsigned int cmd;
	enum caller caller;
	int (*dev_fn)(struct vhx_dev *dev, union ioctl_arg *arg);
	int (*vq_fn)(struct vhx_vq *vq, union ioctl_arg *arg);
	bool returns_arg;
	int (*load)(union ioctl_arg *arg, void __user *uarg);
	void (*unload)(union ioctl_arg *arg);
	int (*store)(const union ioctl_arg *arg, void __user *uarg);
	int (*undo)(struct vhx_dev *dev, union ioctl_arg *arg);
};

static int get_features(struct vhx_dev *dev, union ioctl_arg *arg)
{
	arg->features = dev->offered[0];
	return 0;
}

static int set_features(struct vhx_dev *dev, union ioctl_arg *arg)
{
	const u64 features[VHX_FEATURE_WORDS] = { arg->features };

	return vhx_net_set_features(dev, features);
}

/* How many of the client's words we have. */
static u64 known_words(const union ioctl_arg *arg)
{
	return min_t(u64, arg->array.count, VHX_FEATURE_WORDS);
}

static int check_array(const union ioctl_arg *arg, u64 __user *word)
{
	if (arg->array.count > ULONG_MAX / sizeof(u64) ||
	    !access_ok(word, sizeof(u64) * arg->array.count))
		return -EFAULT;
	return arg->array.count > FEATURE_WORDS_MAX ? -E2BIG : 0;
}

/* GET_FEATURES_ARRAY: the number says that the count is written only. */
static int load_count(union ioctl_arg *arg, void __user *uarg)
{
	struct vhost_features_array __user *array = uarg;

	if (get_user(arg->array.count, &array->count))
		return -EFAULT;
	return check_array(arg, array->features);
}

static int get_features_array(struct vhx_dev *dev, union ioctl_arg *arg)
{
	memcpy(arg->array.word, dev->offered, sizeof(dev->offered));
	return 0;
}

static int store_words(const union ioctl_arg *arg, void __user *uarg)
{
	struct vhost_features_array __user *array = uarg;
	u64 nr = known_words(arg);

	if (copy_to_user(array->features, arg->array.word, sizeof(u64) * nr) ||
	    clear_user(array->features + nr,
		       sizeof(u64) * (arg->array.count - nr)))
		return -EFAULT;
	return 0;
}

static int load_words(union ioctl_arg *arg, void __user *uarg)
{
	struct vhost_features_array __user *array = uarg;
	u64 nr = known_words(arg);
	int err;

	err = check_array(arg, array->features);
	if (err)
		return err;
	memset(arg->array.word, 0, sizeof(arg->array.word));
	if (copy_from_user(arg->array.word, array->features, sizeof(u64) * nr))
		return -EFAULT;
	err = check_zeroed_user(array->features + nr,
				sizeof(u64) * (arg->array.count - nr));
	return err < 0 ? err : err ? 0 : -EOPNOTSUPP;
}

static int set_features_array(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_net_set_features(dev, arg->array.word);
}

static int set_feature_set(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return arg->set.reserved ? -EINVAL :
		vhx_net_set_offer(dev, arg->set.set);
}

static int set_busyloop_mode(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return arg->busyloop.reserved ? -EINVAL :
		vhx_busypoll_set_mode(dev, arg->busyloop.mode);
}

static int get_backend_features(struct vhx_dev *dev, union ioctl_arg *arg)
{
	arg->features = BACKEND_FEATURES;
	return 0;
}

static int set_backend_features(struct vhx_dev *dev, union ioctl_arg *arg)
{
	if (arg->features & ~BACKEND_FEATURES)
		return -EOPNOTSUPP;
	WRITE_ONCE(dev->has_msg_v2, arg->features & BACKEND_FEATURES);
	return 0;
}

static int set_fork(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_dev_set_fork(dev, arg->fork);
}

static int get_fork(struct vhx_dev *dev, union ioctl_arg *arg)
{
	arg->fork = vhx_dev_get_fork(dev);
	return 0;
}

static int set_owner(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_dev_set_owner(dev);
}

static int reset_owner(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_dev_reset_owner(dev);
}

static int load_regions(union ioctl_arg *arg, void __user *uarg)
{
	struct vhost_memory __user *memory = uarg;

	if (arg->memory.padding)
		return -EOPNOTSUPP;
	arg->memory.map = vhx_memtab_load(memory->regions,
					  arg->memory.nregions);
	return PTR_ERR_OR_ZERO(arg->memory.map);
}

static void unload_regions(union ioctl_arg *arg)
{
	vhx_map_free(arg->memory.map);
}

static int set_mem_table(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_memtab_set(dev, &arg->memory.map);
}

static int set_log_base(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_dev_set_log_base(dev, arg->log_base);
}

static int set_log_fd(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_dev_set_log(dev, arg->fd);
}

static int new_worker(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_dev_new_worker(dev, &arg->worker);
}

static int free_worker(struct vhx_dev *dev, union ioctl_arg *arg)
{
	return vhx_dev_free_worker(dev, &arg->worker);
}

static int attach_worker(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_dev_attach_worker(vq, &arg->ring_worker);
}

static int get_worker(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_dev_get_worker(vq, &arg->ring_worker);
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

static int set_endian(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_set_endian(vq, &arg->state);
}

static int get_endian(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_vq_get_endian(vq, &arg->state);
}

static int set_busyloop(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_busypoll_set(vq, &arg->state);
}

static int get_busyloop(struct vhx_vq *vq, union ioctl_arg *arg)
{
	return vhx_busypoll_get(vq, &arg->state);
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
	{ VHOST_GET_FEATURES, ANYONE, get_features },
	{ VHOST_SET_FEATURES, ANYONE, set_features },
	{ VHOST_GET_FEATURES_ARRAY, ANYONE, get_features_array,
	  .load = load_count, .store = store_words },
	{ VHOST_SET_FEATURES_ARRAY, ANYONE, set_features_array,
	  .load = load_words },
	{ VHX_SET_FEATURE_SET, NO_OWNER_YET, set_feature_set },
	{ VHX_SET_BUSYLOOP, NO_OWNER_YET, set_busyloop_mode },
	{ VHOST_GET_BACKEND_FEATURES, ANYONE, get_backend_features },
	{ VHOST_SET_BACKEND_FEATURES, ANYONE, set_backend_features },
	{ VHOST_SET_FORK_FROM_OWNER, NO_OWNER_YET, set_fork },
	{ VHOST_GET_FORK_FROM_OWNER, ANYONE, get_fork },
	{ VHOST_SET_OWNER, ANYONE, set_owner },
	{ VHOST_RESET_OWNER, OWNER, reset_owner },
	{ VHOST_SET_MEM_TABLE, OWNER, set_mem_table,
	  .load = load_regions, .unload = unload_regions },
	{ VHOST_SET_LOG_BASE, OWNER, set_log_base },
	{ VHOST_SET_LOG_FD, OWNER, set_log_fd },
	{ VHOST_NEW_WORKER, WORKER_OWNER, new_worker, .undo = free_worker },
	{ VHOST_FREE_WORKER, WORKER_OWNER, free_worker },
	{ VHOST_ATTACH_VRING_WORKER, WORKER_OWNER, NULL, attach_worker },
	{ VHOST_GET_VRING_WORKER, WORKER_OWNER, NULL, get_worker },
	{ VHOST_SET_VRING_NUM, OWNER, NULL, set_num },
	{ VHOST_SET_VRING_BASE, OWNER, NULL, set_base },
	{ VHOST_GET_VRING_BASE, OWNER, NULL, get_base },
	{ VHOST_SET_VRING_ENDIAN, OWNER, NULL, set_endian },
	{ VHOST_GET_VRING_ENDIAN, OWNER, NULL, get_endian, true },
	{ VHOST_SET_VRING_BUSYLOOP_TIMEOUT, OWNER, NULL, set_busyloop },
	{ VHOST_GET_VRING_BUSYLOOP_TIMEOUT, OWNER, NULL, get_busyloop, true },
	{ VHOST_SET_VRING_ADDR, OWNER, NULL, set_addr },
	{ VHOST_SET_VRING_KICK, OWNER, NULL, set_kick },
	{ VHOST_SET_VRING_CALL, OWNER, NULL, set_call },
	{ VHOST_SET_VRING_ERR, OWNER, NULL, set_err },
	{ VHOST_NET_SET_BACKEND, OWNER, NULL, set_backend },
};

/* Only its vq index is read. */
static const struct ioctl_entry unknown_entry = {
	_IOW(VHOST_VIRTIO, 0xff, u32), OWNER, NULL, unknown,
};

static const struct ioctl_entry *find_entry(unsigned int cmd)
{
	const struct ioctl_entry *entry = entries;

	for (; entry < entries + ARRAY_SIZE(entries); entry++)
		if (entry->cmd == cmd)
			return entry;
	return &unknown_entry;
}

static int check_caller(const struct vhx_dev *dev, enum caller caller)
{
	switch (caller) {
	case ANYONE:
		break;
	case WORKER_OWNER:
		if (!dev->mm)
			return -EINVAL;
		fallthrough;
	case OWNER:
		return vhx_dev_is_owner(dev) ? 0 : -EPERM;
	case NO_OWNER_YET:
		return dev->mm ? -EBUSY : 0;
	}
	return 0;
}

static int load(const struct ioctl_entry *entry, union ioctl_arg *arg,
		void __user *uarg)
{
	if ((_IOC_DIR(entry->cmd) & _IOC_WRITE) &&
	    copy_from_user(arg, uarg, _IOC_SIZE(entry->cmd)))
		return -EFAULT;
	return entry->load ? entry->load(arg, uarg) : 0;
}

static int store(const struct ioctl_entry *entry, const union ioctl_arg *arg,
		 void __user *uarg)
{
	if ((entry->returns_arg || (_IOC_DIR(entry->cmd) & _IOC_READ)) &&
	    copy_to_user(uarg, arg, _IOC_SIZE(entry->cmd)))
		return -EFAULT;
	return entry->store ? entry->store(arg, uarg) : 0;
}

static int dispatch(struct vhx_dev *dev, const struct ioctl_entry *entry,
		    union ioctl_arg *arg)
{
	u32 index;

	if (entry->dev_fn)
		return entry->dev_fn(dev, arg);
	/* All arguments of vq_fn begin with it. */
	index = arg->state.index;
	if (index >= VHX_VQS)
		return -ENOBUFS;
	return entry->vq_fn(&dev->vq[array_index_nospec(index, VHX_VQS)], arg);
}

/*
 * A call that did its work and fails nevertheless. A thread of the owner's that
 * frees the worker meanwhile, without having been told of it, and makes another
 * may lose that: its own doing, and the price of no copy under the mutex.
 */
static void undo(struct vhx_dev *dev, const struct ioctl_entry *entry,
		 union ioctl_arg *arg)
{
	mutex_lock(&dev->mutex);
	if (!check_caller(dev, entry->caller))
		entry->undo(dev, arg);
	mutex_unlock(&dev->mutex);
}

static long vhx_ioctl(struct file *file, unsigned int cmd, unsigned long param)
{
	const struct ioctl_entry *entry = find_entry(cmd);
	void __user *uarg = (void __user *)param;
	struct vhx_dev *dev = file->private_data;
	union ioctl_arg arg;
	int ret, loaded;

	loaded = load(entry, &arg, uarg);
	ret = mutex_lock_killable(&dev->mutex);
	if (ret)
		goto out;
	/* Who may not learns that first, whatever he passes. */
	ret = check_caller(dev, entry->caller);
	if (!ret)
		ret = loaded ? loaded : dispatch(dev, entry, &arg);
	mutex_unlock(&dev->mutex);
out:
	if (!loaded && entry->unload)
		entry->unload(&arg);
	if (ret)
		return ret;
	ret = store(entry, &arg, uarg);
	if (ret && entry->undo)
		undo(dev, entry, &arg);
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

static ssize_t vhx_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	bool is_nonblock = (iocb->ki_filp->f_flags & O_NONBLOCK) ||
			   (iocb->ki_flags & IOCB_NOWAIT);

	return vhx_iotlb_read(iocb->ki_filp->private_data, to, is_nonblock);
}

static ssize_t vhx_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return vhx_iotlb_write(iocb->ki_filp->private_data, from);
}

static __poll_t vhx_poll(struct file *file, poll_table *wait)
{
	return vhx_iotlb_poll(file->private_data, file, wait);
}

static void vhx_show_fdinfo(struct seq_file *m, struct file *file)
{
	vhx_stats_show(m, file->private_data);
}

const struct file_operations vhx_fops = {
	.owner = THIS_MODULE,
	.open = vhx_open,
	.release = vhx_release,
	.read_iter = vhx_read_iter,
	.write_iter = vhx_write_iter,
	.poll = vhx_poll,
	.unlocked_ioctl = vhx_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = vhx_show_fdinfo,
	.llseek = noop_llseek,
};
