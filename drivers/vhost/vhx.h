/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device and its virtqueues.
 *
 * Locks, outermost first:
 *   vhx_dev.mutex    mm, workers and which work goes to which, map, features;
 *                    all control-plane calls
 *   vhx_vq.mutex     everything in the vq, and what its xlate points at
 *   vhx_vq.backend_lock
 *                    vhx_vq.backend for fdinfo, which takes no mutex; innermost
 *   vhx_credit.lock  what else is in vhx_credit, which the workers of a device
 *                    share
 * What is written under both may be read under either: of a vq the backend,
 * base and num; of the device the map. A work's worker is read under RCU:
 * it is there for as long as there is an owner.
 * Two vq mutexes are taken in the order of their indexes. A worker takes
 * one vq mutex for a run, never dev->mutex. Wake callbacks take none.
 */
#ifndef VHX_H
#define VHX_H

#include <linux/eventfd.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <linux/workqueue.h>

#include <uapi/linux/vhx.h>

#include "backend.h"
#include "poll.h"
#include "ring/area.h"
#include "stats.h"
#include "worker.h"

struct seq_file;

/* virtio-net: receiveq and transmitq, virtio 1.3 §5.1.2 */
enum { VHX_RXQ, VHX_TXQ, VHX_VQS };

/**
 * struct vhx_told - what the log was told of one ring since it was set up
 * @causes: bits of enum vhx_cause
 * @until: all may be told again then, in jiffies
 */
struct vhx_told {
	u64 causes;
	unsigned long until;
};

/**
 * struct vhx_window - how long a ring that has nothing is polled
 * @timeout: in units of 1024 ns, 0 for none
 * @is_set: the client set @timeout; else vhx_dev.is_busyloop_auto counts
 * @is_waiting: the ring found nothing @from then on, and what came was not seen
 * @from: begin of the last wait, in ns
 * @hits: waits of late that were as short as a window may be, in 256ths of all
 * @gap: how long these took, a mean in ns
 */
struct vhx_window {
	u32 timeout;
	u8 is_set;
	bool is_waiting;
	u64 from;
	unsigned int hits;
	unsigned int gap;
};

/**
 * struct vhx_credit - polling that the share of a device has room for
 * @lock: guards the others; innermost
 * @left: ns; less than 0 after a window that ran over
 * @at: up to when it was earned, in ns
 */
struct vhx_credit {
	spinlock_t lock;
	s64 left;
	u64 at;
};

/* Words of feature bits, as VHOST_GET_FEATURES_ARRAY counts them. */
#define VHX_FEATURE_WORDS	2

/**
 * struct vhx_vq - one virtqueue; written under @mutex alone
 * @mutex: see the head of this file
 * @backend_lock: see the head of this file
 * @dev: its device
 * @ring: the engine's half; of use while @backend is set
 * @mem: where the ring lies
 * @base: index to start at, while @backend is not set
 * @has_base: the client said so, or the ring was started before
 * @backend: what frames go to and come from; NULL: the ring is stopped
 * @kick: eventfd of the driver's kicks, or NULL
 * @call: eventfd to signal the driver, or NULL
 * @err: eventfd to signal that the ring stopped, or NULL
 * @kick_poll: queues @work on a kick
 * @backend_poll: queues @work when the backend is ready again
 * @work: a run of tx.c or rx.c
 * @guest_hlen: header bytes that the guest sees and the backend does not
 * @hlen: header bytes that the guest sees
 * @window: for how long to poll
 * @is_legacy_be: without VIRTIO_F_VERSION_1 the ring is big-endian
 * @is_mergeable: VIRTIO_NET_F_MRG_RXBUF
 * @stats: counters; fdinfo reads them without a lock
 * @latency: histograms; see latency.c
 * @told: what the log was told
 * @last_stop: why it stopped last, since it was set up
 * @is_failed: it stopped, and no run was good since; no bool, see vhx_dev.has_msg_v2
 * @kicks: those of @kick_poll up to the begin of the run
 * @kicks_served: of these, those that something was found in the ring after, or nothing
 * @cursor: rx: next chain of @burst
 * @nr_used: completed chains in @used that are not published yet
 * @staged: ring position of the first of them, to hand back by
 * @retry: queues @work after a while
 * @nr_retries: runs in a row that were put off, without a completion
 * @nr_idles: runs in a row that found nothing though the backend was ready
 * @is_stopped: a run failed, and no chain was completed since
 * @stopped_idx: index after which the driver was asked for a kick then
 * @nr_looks: runs that failed since then and were not the last look
 * @burst: chains in work
 * @used: chains to complete
 * @chain_len: bytes of the chain that was taken last, of tx of those on average
 * @bufs: chains of @burst that are moved together, by @iov, @first and @frame_len
 * @iov: owner's memory of the frame in work, or of @bufs
 * @first: see struct vhx_bufs
 * @frame_len: see struct vhx_bufs
 */
struct vhx_vq {
	struct mutex mutex;
	spinlock_t backend_lock;
	struct vhx_dev *dev;
	struct vhx_ring ring;
	struct vhx_mem mem;
	u32 base;
	bool has_base;
	struct vhx_backend *backend;
	struct file *kick;
	struct eventfd_ctx *call;
	struct eventfd_ctx *err;
	struct vhx_poll kick_poll;
	struct vhx_poll backend_poll;
	struct vhx_work work;
	unsigned int guest_hlen;
	unsigned int hlen;
	struct vhx_window window;
	bool is_legacy_be;
	bool is_mergeable;
	struct vhx_stats stats;
	struct vhx_latency latency;
	struct vhx_told told;
	enum vhx_cause last_stop;
	u8 is_failed;
	u64 kicks;
	u64 kicks_served;
	unsigned int cursor;
	unsigned int nr_used;
	u16 staged;
	struct delayed_work retry;
	unsigned int nr_retries;
	unsigned int nr_idles;
	bool is_stopped;
	u16 stopped_idx;
	unsigned int nr_looks;
	struct vhx_burst burst;
	struct vhx_used used[VHX_USED_MAX];
	u32 chain_len;
	struct vhx_bufs bufs;
	struct iovec iov[VHX_SLOTS_MAX];
	u16 first[VHX_BURST_MAX + 1];
	u32 frame_len[VHX_BURST_MAX];
};

/**
 * struct vhx_dev - one open file: a pair of queues
 * @id: its number since the module was loaded, from 1: an owner may have several
 * @mutex: see the head of this file
 * @mm: the owner's; NULL: no owner
 * @owner: pid of the owner, for log and fdinfo; 0: none
 * @workers: run the vqs' work, while there is an owner; by id, with gaps
 * @leaving: bits of those that are being freed
 * @nr_owners: that it has had
 * @is_task_wanted: the next owner's workers are vhost_tasks, where there are any
 * @map: the owner's memory as SET_MEM_TABLE gave it, or NULL
 * @iotlb: translations, while ACCESS_PLATFORM is accepted
 * @is_busyloop_auto: rings whose client set no window choose it; written while
 *                    there is no owner
 * @credit: for that
 * @has_msg_v2: the client takes struct vhost_msg_v2; no bool, since gcc 12 has KCSAN take
 *              a READ_ONCE() of such for a plain read
 * @offered: VIRTIO_F_* and VIRTIO_NET_F_* that may be accepted
 * @features: those that the guest accepted
 * @log_base: owner's address of the dirty log
 * @log: eventfd to signal that bits were set there, or NULL
 * @vq: the queues
 */
struct vhx_dev {
	u32 id;
	struct mutex mutex;
	struct mm_struct *mm;
	pid_t owner;
	struct vhx_worker *workers[VHX_WORKERS_MAX];
	unsigned long leaving;
	unsigned int nr_owners;
	bool is_task_wanted;
	struct vhx_map *map;
	struct vhx_iotlb iotlb;
	u8 is_busyloop_auto;
	struct vhx_credit credit;
	u8 has_msg_v2;
	u64 offered[VHX_FEATURE_WORDS];
	u64 features[VHX_FEATURE_WORDS];
	u64 log_base;
	struct eventfd_ctx *log;
	struct vhx_vq vq[VHX_VQS];
};

static inline bool vhx_has_feature(const struct vhx_dev *dev, unsigned int bit)
{
	return dev->features[bit / 64] & BIT_ULL(bit % 64);
}

static inline unsigned int vhx_index_of(const struct vhx_vq *vq)
{
	return vq - vq->dev->vq;
}

/* chardev.c */
extern const struct file_operations vhx_fops;

/* dev.c */
extern unsigned int vhx_workers;
extern bool vhx_fork_from_owner_default;
struct vhx_dev *vhx_dev_create(void);
void vhx_dev_destroy(struct vhx_dev *dev);
bool vhx_dev_is_owner(const struct vhx_dev *dev);
int vhx_dev_set_owner(struct vhx_dev *dev);
int vhx_dev_reset_owner(struct vhx_dev *dev);
int vhx_dev_set_fork(struct vhx_dev *dev, u8 mode);
u8 vhx_dev_get_fork(const struct vhx_dev *dev);
int vhx_dev_new_worker(struct vhx_dev *dev, struct vhost_worker_state *state);
int vhx_dev_free_worker(struct vhx_dev *dev,
			const struct vhost_worker_state *state);
int vhx_dev_attach_worker(struct vhx_vq *vq,
			  const struct vhost_vring_worker *ring_worker);
int vhx_dev_get_worker(struct vhx_vq *vq,
		       struct vhost_vring_worker *ring_worker);

int vhx_dev_set_log_base(struct vhx_dev *dev, u64 base);
int vhx_dev_set_log(struct vhx_dev *dev, int fd);

/* iotlb.c */
extern int vhx_max_iotlb_entries;
void vhx_iotlb_init(struct vhx_iotlb *iotlb);
void vhx_iotlb_replace(struct vhx_dev *dev, struct vhx_map *map);
ssize_t vhx_iotlb_write(struct vhx_dev *dev, struct iov_iter *from);
ssize_t vhx_iotlb_read(struct vhx_dev *dev, struct iov_iter *to,
		       bool is_nonblock);
__poll_t vhx_iotlb_poll(struct vhx_dev *dev, struct file *file,
			poll_table *wait);

/* memtab.c */
extern unsigned short vhx_max_mem_regions;
struct vhx_map *vhx_memtab_load(const struct vhost_memory_region __user *region,
				u32 nr);
int vhx_memtab_set(struct vhx_dev *dev, struct vhx_map **map);
void vhx_memtab_replace(struct vhx_dev *dev, struct vhx_map **map);

/* vq.c */
void vhx_vq_init(struct vhx_vq *vq, struct vhx_dev *dev,
		 void (*run)(struct vhx_work *work));
void vhx_vq_reset(struct vhx_vq *vq);
void vhx_vq_set_features(struct vhx_vq *vq);
void vhx_vq_forget_range(struct vhx_vq *vq, const struct vhx_range *range);
bool vhx_vq_is_log_ok(const struct vhx_vq *vq, u64 base,
		      const struct vhx_map *map);
int vhx_vq_prepare(struct vhx_vq *vq);
int vhx_vq_start(struct vhx_vq *vq);
void vhx_vq_stop(struct vhx_vq *vq);
int vhx_vq_set_num(struct vhx_vq *vq, const struct vhost_vring_state *state);
int vhx_vq_set_base(struct vhx_vq *vq, const struct vhost_vring_state *state);
int vhx_vq_get_base(struct vhx_vq *vq, struct vhost_vring_state *state);
int vhx_vq_set_endian(struct vhx_vq *vq,
		      const struct vhost_vring_state *state);
int vhx_vq_get_endian(struct vhx_vq *vq, struct vhost_vring_state *state);
int vhx_vq_set_addr(struct vhx_vq *vq, const struct vhost_vring_addr *addr);
int vhx_vq_set_kick(struct vhx_vq *vq, const struct vhost_vring_file *file);
int vhx_vq_set_call(struct vhx_vq *vq, const struct vhost_vring_file *file);
int vhx_vq_set_err(struct vhx_vq *vq, const struct vhost_vring_file *file);

/* bufs.c */
int vhx_bufs_find_one(struct vhx_vq *vq, unsigned int i, struct iovec *iov,
		      unsigned int max);
unsigned int vhx_bufs_find(struct vhx_vq *vq, unsigned int at, unsigned int nr,
			   u8 perm);

/* latency.c */
int vhx_latency_set(int tid);
int vhx_latency_get(void);
bool vhx_latency_is_on(const struct vhx_dev *dev);
void vhx_latency_begin(struct vhx_vq *vq);
void vhx_latency_ready(struct vhx_vq *vq);
void vhx_latency_publish(struct vhx_vq *vq);
void vhx_latency_forget(struct vhx_vq *vq);

/* run.c */
void vhx_run_init(struct vhx_vq *vq);
void vhx_run_sleep(struct vhx_vq *vq);
int vhx_run_publish(struct vhx_vq *vq);
int vhx_run_disarm(struct vhx_vq *vq);
int vhx_run_wait_backend(struct vhx_vq *vq);
bool vhx_run_may_retry(const struct vhx_vq *vq);
void vhx_run_drop(struct vhx_vq *vq, enum vhx_drop reason, unsigned int nr);
void vhx_run_refuse(struct vhx_vq *vq, int err);
bool vhx_run_fail(struct vhx_vq *vq, int err);
void vhx_run_stop(struct vhx_vq *vq);

/* busypoll.c */
extern unsigned int vhx_busyloop;
extern unsigned int vhx_busyloop_share;
void vhx_busypoll_init(struct vhx_dev *dev);
void vhx_busypoll_reset(struct vhx_vq *vq);
bool vhx_busypoll_is_auto(const struct vhx_vq *vq);
int vhx_busypoll_set_mode(struct vhx_dev *dev, unsigned int mode);
int vhx_busypoll_fetch(struct vhx_vq *vq);
size_t vhx_busypoll_peek(struct vhx_vq *vq);
int vhx_busypoll_set(struct vhx_vq *vq, const struct vhost_vring_state *state);
int vhx_busypoll_get(struct vhx_vq *vq, struct vhost_vring_state *state);

/* notify.c */
extern unsigned int vhx_log_lines;
int vhx_notify_call(struct vhx_vq *vq);
void vhx_notify_log(struct vhx_vq *vq, int err, enum vhx_cause cause);
void vhx_notify_error(struct vhx_vq *vq, int err, enum vhx_cause cause);
int vhx_notify_set(struct eventfd_ctx **ctx, int fd);

/* Words 1 of feature bits 65 and 67, where this kernel's tun has them. */
#ifdef VHX_HAVE_UDP_TUNNEL
#define VHX_TUNNEL_FEATURES	(BIT_ULL(VIRTIO_NET_F_HOST_UDP_TUNNEL_GSO % 64) | \
				 BIT_ULL(VIRTIO_NET_F_GUEST_UDP_TUNNEL_GSO % 64))
#else
#define VHX_TUNNEL_FEATURES	0ULL
#endif

/* net.c */
extern char *vhx_feature_set;
int vhx_net_find_set(const char *name);
void vhx_net_init(struct vhx_dev *dev);
int vhx_net_set_offer(struct vhx_dev *dev, unsigned int set);
int vhx_net_set_features(struct vhx_dev *dev, const u64 *features);
int vhx_net_set_backend(struct vhx_vq *vq, int fd);
void vhx_net_stop(struct vhx_vq *vq);

/* tx.c, rx.c */
int vhx_tx_run(struct vhx_vq *vq);
int vhx_rx_run(struct vhx_vq *vq);

/* What one run may move before others get their turn. */
#define VHX_RUN_FRAMES	256
#define VHX_RUN_BYTES	0x80000
/*
 * Longest frame from a guest: GSO frames end at 64 KiB. Behind the backend are
 * lengths in signed integers and allocations of that size.
 */
#define VHX_FRAME_MAX	0x20000

/* stats.c */
void vhx_stats_show(struct seq_file *m, struct vhx_dev *dev);

#endif /* VHX_H */
