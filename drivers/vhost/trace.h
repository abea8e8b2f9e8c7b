/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, of the system vhx; Documentation/trace.rst says what each means.
 *
 * All name the device by dev, a number that fdinfo has too, and by its owner's pid; those
 * of a ring name it by its index. What is said of a ring is read in the assignments, by
 * trace.c, so that a tracepoint that is off costs no more than its static key; who has
 * one needs no struct for it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhx

#if !defined(VHX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHX_TRACE_H

#include <linux/tracepoint.h>

struct vhost_iotlb_msg;
struct vhx_backend;
struct vhx_dev;
struct vhx_vq;
struct vhx_work;
struct vhx_xlate;

#define VHX_DEV_FIELDS							\
	__field(u32, dev)						\
	__field(pid_t, owner)

#define VHX_DEV_ASSIGN(from)						\
	do {								\
		__entry->dev = (from)->id;				\
		__entry->owner = (from)->owner;				\
	} while (0)

#define VHX_DEV_FMT	"dev=%u owner=%d"
#define VHX_DEV_ARGS	__entry->dev, __entry->owner

#define VHX_VQ_FIELDS							\
	VHX_DEV_FIELDS							\
	__field(u32, ring)

#define VHX_VQ_ASSIGN(from)						\
	do {								\
		VHX_DEV_ASSIGN((from)->dev);				\
		__entry->ring = vhx_index_of(from);			\
	} while (0)

#define VHX_VQ_FMT	VHX_DEV_FMT " ring=%u"
#define VHX_VQ_ARGS	VHX_DEV_ARGS, __entry->ring

DECLARE_EVENT_CLASS(vhx_dev,
	TP_PROTO(const struct vhx_dev *dev),
	TP_ARGS(dev),
	TP_STRUCT__entry(VHX_DEV_FIELDS),
	TP_fast_assign(VHX_DEV_ASSIGN(dev);),
	TP_printk(VHX_DEV_FMT, VHX_DEV_ARGS)
);

DEFINE_EVENT(vhx_dev, vhx_owner_set,
	TP_PROTO(const struct vhx_dev *dev),
	TP_ARGS(dev)
);

DEFINE_EVENT(vhx_dev, vhx_owner_reset,
	TP_PROTO(const struct vhx_dev *dev),
	TP_ARGS(dev)
);

DECLARE_EVENT_CLASS(vhx_vq,
	TP_PROTO(const struct vhx_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(VHX_VQ_FIELDS),
	TP_fast_assign(VHX_VQ_ASSIGN(vq);),
	TP_printk(VHX_VQ_FMT, VHX_VQ_ARGS)
);

/* -- state of a ring -- */

TRACE_EVENT(vhx_ring_start,
	TP_PROTO(const struct vhx_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u32, num)
		__field(u32, base)
		__field(bool, is_packed)
		__field(bool, has_event_idx)
		__field(bool, has_iotlb)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->num = vq->ring.num;
		__entry->base = vq->base;
		__entry->is_packed = vq->ring.is_packed;
		__entry->has_event_idx = vq->ring.has_event_idx;
		__entry->has_iotlb = vq->mem.xlate.iotlb;
	),
	TP_printk(VHX_VQ_FMT " num=%u base=%#x is_packed=%d has_event_idx=%d has_iotlb=%d",
		  VHX_VQ_ARGS, __entry->num, __entry->base, __entry->is_packed,
		  __entry->has_event_idx, __entry->has_iotlb)
);

TRACE_EVENT(vhx_ring_stop,
	TP_PROTO(const struct vhx_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u32, base)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->base = vq->base;
	),
	TP_printk(VHX_VQ_FMT " base=%#x", VHX_VQ_ARGS, __entry->base)
);

TRACE_EVENT(vhx_ring_fail,
	TP_PROTO(const struct vhx_vq *vq, int err, unsigned int cause),
	TP_ARGS(vq, err, cause),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(int, err)
		__array(char, cause, 16)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->err = err;
		strscpy_pad(__entry->cause, vhx_cause_name(cause), sizeof(__entry->cause));
	),
	TP_printk(VHX_VQ_FMT " err=%d cause=%s", VHX_VQ_ARGS, __entry->err,
		  __entry->cause)
);

TRACE_EVENT(vhx_ring_retry,
	TP_PROTO(const struct vhx_vq *vq, int err, unsigned int ms),
	TP_ARGS(vq, err, ms),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(int, err)
		__field(u32, ms)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->err = err;
		__entry->ms = ms;
	),
	TP_printk(VHX_VQ_FMT " err=%d ms=%u", VHX_VQ_ARGS, __entry->err, __entry->ms)
);

/* -- backends -- */

TRACE_EVENT(vhx_backend_set,
	TP_PROTO(const struct vhx_vq *vq, const struct vhx_backend *from,
		 const struct vhx_backend *to),
	TP_ARGS(vq, from, to),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__array(char, from, 8)
		__array(char, to, 8)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		strscpy_pad(__entry->from, kind_of(from), sizeof(__entry->from));
		strscpy_pad(__entry->to, kind_of(to), sizeof(__entry->to));
	),
	TP_printk(VHX_VQ_FMT " from=%s to=%s", VHX_VQ_ARGS, __entry->from, __entry->to)
);

TRACE_EVENT(vhx_backend_wait,
	TP_PROTO(const struct vhx_vq *vq, int ret),
	TP_ARGS(vq, ret),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(int, ret)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->ret = ret;
	),
	TP_printk(VHX_VQ_FMT " ret=%d", VHX_VQ_ARGS, __entry->ret)
);

/* -- what wakes a ring -- */

DECLARE_EVENT_CLASS(vhx_wake,
	TP_PROTO(struct vhx_work *work),
	TP_ARGS(work),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(bool, is_queued)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(container_of(work, struct vhx_vq, work));
		__entry->is_queued = vhx_work_is_queued(work);
	),
	TP_printk(VHX_VQ_FMT " is_queued=%d", VHX_VQ_ARGS, __entry->is_queued)
);

DEFINE_EVENT(vhx_wake, vhx_kick,
	TP_PROTO(struct vhx_work *work),
	TP_ARGS(work)
);

DEFINE_EVENT(vhx_wake, vhx_backend_ready,
	TP_PROTO(struct vhx_work *work),
	TP_ARGS(work)
);

DECLARE_EVENT_CLASS(vhx_worker,
	TP_PROTO(u32 dev, pid_t owner, unsigned int id),
	TP_ARGS(dev, owner, id),
	TP_STRUCT__entry(
		VHX_DEV_FIELDS
		__field(u32, worker)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->owner = owner;
		__entry->worker = id;
	),
	TP_printk(VHX_DEV_FMT " worker=%u", VHX_DEV_ARGS, __entry->worker)
);

DEFINE_EVENT(vhx_worker, vhx_worker_wake,
	TP_PROTO(u32 dev, pid_t owner, unsigned int id),
	TP_ARGS(dev, owner, id)
);

DEFINE_EVENT(vhx_worker, vhx_worker_sleep,
	TP_PROTO(u32 dev, pid_t owner, unsigned int id),
	TP_ARGS(dev, owner, id)
);

/* -- runs and bursts -- */

DEFINE_EVENT(vhx_vq, vhx_run_enter,
	TP_PROTO(const struct vhx_vq *vq),
	TP_ARGS(vq)
);

TRACE_EVENT(vhx_run_exit,
	TP_PROTO(const struct vhx_vq *vq, int err),
	TP_ARGS(vq, err),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(int, err)
		__field(bool, is_queued)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->err = err;
		__entry->is_queued = vhx_work_is_queued(&vq->work);
	),
	TP_printk(VHX_VQ_FMT " err=%d is_queued=%d", VHX_VQ_ARGS, __entry->err,
		  __entry->is_queued)
);

/* Nothing, or an errno, is no burst. */
TRACE_EVENT_CONDITION(vhx_fetch,
	TP_PROTO(const struct vhx_vq *vq, int nr),
	TP_ARGS(vq, nr),
	TP_CONDITION(nr > 0),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u32, nr)
		__field(u32, nr_plain)
		__field(u16, avail)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->nr = nr;
		__entry->nr_plain = vq->burst.nr_plain;
		__entry->avail = vq->ring.avail_pos;
	),
	TP_printk(VHX_VQ_FMT " nr=%u nr_plain=%u avail=%#x", VHX_VQ_ARGS,
		  __entry->nr, __entry->nr_plain, __entry->avail)
);

TRACE_EVENT(vhx_send,
	TP_PROTO(const struct vhx_vq *vq, unsigned int done, unsigned int frames,
		 unsigned int bytes),
	TP_ARGS(vq, done, frames, bytes),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u32, frames)
		__field(u32, bytes)
		__field(u32, dropped)
		__field(u32, back)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->frames = frames;
		__entry->bytes = bytes;
		__entry->dropped = done - frames;
		__entry->back = vq->burst.nr - done;
	),
	TP_printk(VHX_VQ_FMT " frames=%u bytes=%u dropped=%u back=%u", VHX_VQ_ARGS,
		  __entry->frames, __entry->bytes, __entry->dropped, __entry->back)
);

TRACE_EVENT(vhx_receive,
	TP_PROTO(const struct vhx_vq *vq, unsigned int frames, unsigned int bytes),
	TP_ARGS(vq, frames, bytes),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u32, frames)
		__field(u32, bytes)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->frames = frames;
		__entry->bytes = bytes;
	),
	TP_printk(VHX_VQ_FMT " frames=%u bytes=%u", VHX_VQ_ARGS, __entry->frames,
		  __entry->bytes)
);

TRACE_EVENT(vhx_complete,
	TP_PROTO(const struct vhx_vq *vq, unsigned int nr),
	TP_ARGS(vq, nr),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u32, nr)
		__field(u16, used)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->nr = nr;
		__entry->used = vq->ring.used_pos;
	),
	TP_printk(VHX_VQ_FMT " nr=%u used=%#x", VHX_VQ_ARGS, __entry->nr, __entry->used)
);

TRACE_EVENT(vhx_drop,
	TP_PROTO(const struct vhx_vq *vq, unsigned int reason, unsigned int nr),
	TP_ARGS(vq, reason, nr),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__array(char, reason, 12)
		__field(u32, nr)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		strscpy_pad(__entry->reason, vhx_drop_name(reason), sizeof(__entry->reason));
		__entry->nr = nr;
	),
	TP_printk(VHX_VQ_FMT " reason=%s nr=%u", VHX_VQ_ARGS, __entry->reason,
		  __entry->nr)
);

TRACE_EVENT(vhx_call,
	TP_PROTO(const struct vhx_vq *vq, int ret),
	TP_ARGS(vq, ret),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(int, err)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->err = min(ret, 0);
	),
	TP_printk(VHX_VQ_FMT " err=%d", VHX_VQ_ARGS, __entry->err)
);

/* Why a call was saved: the first of these that holds. */
#define VHX_SAVED_NO_EVENTFD	0
#define VHX_SAVED_EVENT_IDX	1
#define VHX_SAVED_FLAGS		2

TRACE_EVENT(vhx_call_saved,
	TP_PROTO(const struct vhx_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u32, why)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->why = !vq->call ? VHX_SAVED_NO_EVENTFD :
			vq->ring.has_event_idx ? VHX_SAVED_EVENT_IDX : VHX_SAVED_FLAGS;
	),
	TP_printk(VHX_VQ_FMT " why=%s", VHX_VQ_ARGS,
		  __print_symbolic(__entry->why, { 0, "no_eventfd" },
				   { 1, "event_idx" }, { 2, "flags" }))
);

TRACE_EVENT(vhx_busypoll,
	TP_PROTO(const struct vhx_vq *vq, u64 ns, bool is_hit),
	TP_ARGS(vq, ns, is_hit),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u64, ns)
		__field(bool, is_hit)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(vq);
		__entry->ns = ns;
		__entry->is_hit = is_hit;
	),
	TP_printk(VHX_VQ_FMT " ns=%llu is_hit=%d", VHX_VQ_ARGS, __entry->ns,
		  __entry->is_hit)
);

/* -- IOTLB -- */

TRACE_EVENT(vhx_iotlb_miss,
	TP_PROTO(struct vhx_xlate *xlate, u64 iova, u8 perm, bool is_needed),
	TP_ARGS(xlate, iova, perm, is_needed),
	TP_STRUCT__entry(
		VHX_VQ_FIELDS
		__field(u64, iova)
		__field(u8, perm)
		__field(bool, is_needed)
	),
	TP_fast_assign(
		VHX_VQ_ASSIGN(container_of(xlate, struct vhx_vq, mem.xlate));
		__entry->iova = iova;
		__entry->perm = perm;
		__entry->is_needed = is_needed;
	),
	TP_printk(VHX_VQ_FMT " iova=%#llx perm=%u is_needed=%d", VHX_VQ_ARGS,
		  __entry->iova, __entry->perm, __entry->is_needed)
);

TRACE_EVENT(vhx_iotlb_update,
	TP_PROTO(const struct vhx_dev *dev, const struct vhost_iotlb_msg *msg),
	TP_ARGS(dev, msg),
	TP_STRUCT__entry(
		VHX_DEV_FIELDS
		__field(u64, iova)
		__field(u64, size)
		__field(u64, uaddr)
		__field(u8, perm)
	),
	TP_fast_assign(
		VHX_DEV_ASSIGN(dev);
		__entry->iova = msg->iova;
		__entry->size = msg->size;
		__entry->uaddr = msg->uaddr;
		__entry->perm = msg->perm;
	),
	TP_printk(VHX_DEV_FMT " iova=%#llx size=%#llx uaddr=%#llx perm=%u",
		  VHX_DEV_ARGS, __entry->iova, __entry->size, __entry->uaddr,
		  __entry->perm)
);

TRACE_EVENT(vhx_iotlb_invalidate,
	TP_PROTO(const struct vhx_dev *dev, const struct vhost_iotlb_msg *msg),
	TP_ARGS(dev, msg),
	TP_STRUCT__entry(
		VHX_DEV_FIELDS
		__field(u64, iova)
		__field(u64, size)
	),
	TP_fast_assign(
		VHX_DEV_ASSIGN(dev);
		__entry->iova = msg->iova;
		__entry->size = msg->size;
	),
	TP_printk(VHX_DEV_FMT " iova=%#llx size=%#llx", VHX_DEV_ARGS, __entry->iova,
		  __entry->size)
);

TRACE_EVENT_CONDITION(vhx_iotlb_evict,
	TP_PROTO(const struct vhx_dev *dev, unsigned int nr),
	TP_ARGS(dev, nr),
	TP_CONDITION(nr),
	TP_STRUCT__entry(
		VHX_DEV_FIELDS
		__field(u32, nr)
	),
	TP_fast_assign(
		VHX_DEV_ASSIGN(dev);
		__entry->nr = nr;
	),
	TP_printk(VHX_DEV_FMT " nr=%u", VHX_DEV_ARGS, __entry->nr)
);

#endif /* VHX_TRACE_H */

/* Found by -I, as the engine's headers are. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
