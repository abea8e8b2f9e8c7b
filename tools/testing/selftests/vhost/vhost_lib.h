/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client half and the guest half of a vhost-net device, for tests.
 *
 * Client half: opens the node, says who owns it, gives it memory and rings.
 * Guest half: a virtqueue driver that works in the same address space; with
 * F_PACKED of packed rings.
 * Every function returns 0 or more, or -errno; none of them prints or exits.
 */
#ifndef VHOST_LIB_H
#define VHOST_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <linux/if_ether.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#ifndef MAP_32BIT	/* of x86, whose 32-bit entry needs it */
#define MAP_32BIT	0
#endif

#define HOST_IS_BE	(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET	40
#endif

#ifndef VIRTIO_F_IN_ORDER
#define VIRTIO_F_IN_ORDER	35
#endif
#ifndef VHOST_GET_FEATURES_ARRAY
struct vhost_features_array {
	__u64 count;	/* of features[] */
	__u64 features[];
};
#define VHOST_GET_FEATURES_ARRAY _IOR(VHOST_VIRTIO, 0x83, \
				      struct vhost_features_array)
#define VHOST_SET_FEATURES_ARRAY _IOW(VHOST_VIRTIO, 0x83, \
				      struct vhost_features_array)
#endif

#define BIT_ULL(n)	(1ULL << (n))
#define F_MRG		BIT_ULL(VIRTIO_NET_F_MRG_RXBUF)
#define F_EMPTY		BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY)
#define F_VNET_HDR	BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR)
#define F_INDIRECT	BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC)
#define F_EVENT		BIT_ULL(VIRTIO_RING_F_EVENT_IDX)
#define F_V1		BIT_ULL(VIRTIO_F_VERSION_1)
#define F_LOG_ALL	BIT_ULL(VHOST_F_LOG_ALL)
#define F_PLATFORM	BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)
#define F_PACKED	BIT_ULL(VIRTIO_F_RING_PACKED)
#define F_IN_ORDER	BIT_ULL(VIRTIO_F_IN_ORDER)

#define GPA_BASE	0x100000000ULL	/* not a valid address of ours */
#define MEM_SIZE	(320UL << 20)	/* bytes; touched on demand */
#define RING_AREA	(2UL << 20)	/* bytes of ring, per virtqueue */
#define TABLE_LEN	32		/* descriptors in one indirect table */
#define WAIT_MS		(5000 * slowness()) /* deadline of what must happen */
#define SOON_MS		(2000 * slowness()) /* where in-tree is known to fail */

enum { RX = 0, TX = 1 };

/* One piece of a buffer in guest memory. */
struct seg {
	void *p;
	uint32_t len;	/* bytes */
};

struct dev;

struct vq {
	struct dev *dev;
	unsigned int index;
	unsigned int num;		/* slots */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_desc *tables;	/* TABLE_LEN slots for each head */
	uint16_t avail_idx;		/* published with vq_publish() */
	uint16_t used_idx;		/* next used element to read */
	uint16_t kicked_idx;		/* avail_idx at the last kick test */
	bool is_batch;			/* more were used by one element: */
	struct vring_used_elem batch;	/* its id ours, its len the guest's */
	uint16_t *next;			/* free list and chains, by slot;
					 * packed: slots of a chain, by head
					 */
	unsigned int free_head, free_tail;
	unsigned int n_free;
	/* packed: positions are slots with the wrap counter in bit 15 */
	struct vring_packed_desc *packed;
	struct vring_packed_desc_event *driver_event, *device_event;
	uint16_t packed_avail, packed_used;
	uint16_t packed_held;		/* head that is not published yet */
	uint16_t packed_flags;		/* its flags, or 0 */
	uint16_t packed_added;		/* slots since the last kick test */
	bool packed_is_batch;		/* more were used by one element */
	uint16_t packed_last;		/* head of the last of them */
	uint32_t packed_len;		/* and its length */
	uint64_t log_gpa;		/* of the used ring's log, or 0 */
	int kick, call, err;		/* eventfds */
	uint64_t calls;			/* that vq_wait() woke up for */
};

struct dev {
	int fd;
	bool compat;			/* ioctls by the 32-bit entry */
	uint64_t features;
	unsigned int hdr_len;		/* bytes of virtio_net_hdr */
	bool is_other;			/* a legacy guest's byte order is not ours */
	uint8_t *mem;
	size_t brk;			/* bytes of mem handed out */
	struct vhost_memory_region region[4];
	unsigned int n_regions;		/* 0: all of mem is at GPA_BASE */
	struct vq vq[2];
};

/* client half: one ioctl each, through the native or the 32-bit entry */
const char *node_path(void);
const char *module_name(void);
bool node_offers(uint64_t features);
bool compat_works(void);
int dev_ioctl(struct dev *d, unsigned long nr, void *arg, size_t len);
int dev_u64(struct dev *d, unsigned long nr, uint64_t v);
int dev_get_u64(struct dev *d, unsigned long nr, uint64_t *v);
int dev_state(struct dev *d, unsigned long nr, unsigned int q, unsigned int v);
int dev_file(struct dev *d, unsigned long nr, unsigned int q, int fd);
int dev_set_window(struct dev *d, unsigned int q, uint32_t window);
int64_t dev_get_window(struct dev *d, unsigned int q);
int64_t dev_get_base(struct dev *d, unsigned int q);
int dev_backend(struct dev *d, unsigned int q, int fd);
int64_t dev_counter(const struct dev *d, const char *name);

/* client half: set-up */
int dev_open(struct dev *d);
int dev_own(struct dev *d);
int dev_mem(struct dev *d);
int dev_mem_table(struct dev *d);
int dev_mem_regions(struct dev *d, struct vhost_memory_region *r, uint32_t n);
int dev_features(struct dev *d, uint64_t features);
int dev_setup(struct dev *d, uint64_t features);
void dev_close(struct dev *d);

int vq_layout(struct dev *d, unsigned int q, unsigned int num);
uint32_t vq_base_after(const struct vq *vq, unsigned int n);
void vq_rewind(struct vq *vq, uint16_t idx);
void vq_addr(struct vq *vq, struct vhost_vring_addr *a);
int vq_set_addr(struct vq *vq);
int vq_setup(struct dev *d, unsigned int q, unsigned int num);

/* guest half */
void *guest_alloc(struct dev *d, size_t size, size_t align);
uint64_t gpa(struct dev *d, const void *p);
bool has(const struct dev *d, uint64_t feature);
bool is_packed(const struct vq *vq);
uint16_t g16(const struct dev *d, uint16_t v);
uint32_t g32(const struct dev *d, uint32_t v);
uint64_t g64(const struct dev *d, uint64_t v);
void desc_put(const struct dev *d, struct vring_desc *desc, uint64_t addr,
	      uint32_t len, uint16_t flags, uint16_t next);
uint16_t vq_next_head(const struct vq *vq);
int vq_add(struct vq *vq, const struct seg *s, int n_out, int n_in);
void vq_push(struct vq *vq, uint16_t head);
void vq_unpush(struct vq *vq, uint16_t n);
void vq_publish(struct vq *vq);
void vq_kick(struct vq *vq);
bool vq_kick_wanted(struct vq *vq);
void vq_publish_kick(struct vq *vq);
unsigned int vq_used(struct vq *vq);
int vq_pop(struct vq *vq, uint32_t *len);
void vq_free(struct vq *vq, uint16_t head);
int vq_wait(struct vq *vq, unsigned int n, int ms);
int vq_spin(struct vq *vq, unsigned int n, int ms);
void vq_calls_off(struct vq *vq);
void vq_want_call(struct vq *vq, unsigned int n);
uint16_t *vq_used_event(struct vq *vq);
uint16_t *vq_avail_event(struct vq *vq);

/* events and time */
uint64_t event_read(int fd);
int event_wait(int fd, int ms);
int64_t now_ms(void);
int slowness(void);

/*
 * A page that is not there: who reads or writes it waits until it is given back,
 * and fd is readable meanwhile.
 */
struct held {
	int fd;				/* userfaultfd */
	void *page;
	uint8_t saved[4096];
};

int page_take(struct held *held, void *page);
int page_give(struct held *held);

/* what the device did to the machine */
int worker_tid_of(pid_t owner, unsigned int id);
int worker_tid(pid_t owner);
int64_t worker_ns(int tid);
int kmsg_open(void);
int kmsg_bad(int fd, char *line, size_t size);

#endif /* VHOST_LIB_H */
