/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * libvhx - be the device of a virtio-net guest, in user space.
 *
 * A *session* is an event loop. A *driver* is a path that guests come to: a
 * vhost-user socket that we listen on or connect to. A *device* is one guest's
 * network device that has come; it has queue pairs: queue 2n is the guest's
 * receiveq n and enqueue_burst gives it frames, queue 2n + 1 is its transmitq n
 * and dequeue_burst takes frames from it.
 *
 * Threads: callbacks run on the session's thread: the one that
 * vhx_session_start() made, or the caller of vhx_session_run(). Bursts and
 * notification calls may run on any thread and never block; two calls on one
 * queue at the same time are safe, but the second returns 0. All other calls are
 * for one thread at a time, on one session; none of those that are said to wait
 * may be called from a callback.
 *
 * Buffers: what a struct vhx_pkt points at is the caller's, before, during and
 * after a burst. The library copies and keeps no pointer.
 *
 * Errors are negative errnos. The library never prints, never exits, and
 * installs no signal handler; see vhx_sigbus().
 */
#ifndef VHX_VHX_H
#define VHX_VHX_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhx/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhx_session;
struct vhx_driver;
struct vhx_device;

/* Frames that are moved in one go; a call for more makes several of them. */
#define VHX_PKTS_MAX		64
/* Bytes of the longest frame; GSO frames end below. */
#define VHX_FRAME_LEN_MAX	65550
/* Queues of a device at most: 128 pairs. */
#define VHX_QUEUES_MAX		256

/**
 * struct vhx_net_hdr - offloads of a frame, virtio 1.3 §5.1.6, in host byte order
 * @flags: VIRTIO_NET_HDR_F_*
 * @gso_type: VIRTIO_NET_HDR_GSO_*
 * @hdr_len: bytes of Ethernet, IP and TCP headers, a hint
 * @gso_size: bytes of payload in a segment
 * @csum_start: where the checksum begins
 * @csum_offset: from there, where it goes
 *
 * As struct virtio_net_hdr of <linux/virtio_net.h>, which is no C++. What a guest
 * wrote there was not checked against the frame.
 */
struct vhx_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};

/**
 * struct vhx_pkt - one frame
 * @data: the frame, from its Ethernet header on
 * @len: bytes of the frame
 * @room: bytes that dequeue_burst may write at @data
 * @hdr: all zero for an ordinary frame
 * @user: the caller's; not read
 */
struct vhx_pkt {
	void *data;
	uint32_t len;
	uint32_t room;
	struct vhx_net_hdr hdr;
	void *user;
};

/**
 * struct vhx_device_ops - what happens to devices of a driver
 * @size: sizeof(struct vhx_device_ops); what comes behind it is not called
 * @connected: a peer has come; nothing can be asked of the device yet
 * @new_device: a queue runs: bursts may begin, and find nothing on those that
 *              do not run yet
 * @destroy_device: bursts must have ended on all threads when this returns:
 *                  then rings and memory go away. Not called when new_device
 *                  was not
 * @vring_state_changed: a queue was started and enabled, or is about to be
 *                       stopped or disabled. Its kick descriptor is valid in
 *                       between. For each queue that runs, after new_device
 * @vring_broken: a queue stopped, for what the guest wrote there, or where; @why
 *                is for the log. It is taken up again when the guest's driver
 *                starts it anew
 * @features_changed: the guest accepted other features while the device lives,
 *                    such as VHOST_F_LOG_ALL when it is being migrated
 * @announced: the guest is to be announced, after a migration: a switch sends a
 *             RARP frame from @mac to its other ports, so that the network
 *             learns where the guest is now
 * @disconnected: the peer has gone; the device is freed when this returns
 *
 * Any may be NULL. A negative return of @connected or @new_device refuses the
 * device: the peer is disconnected.
 */
struct vhx_device_ops {
	size_t size;
	int (*connected)(struct vhx_device *dev, void *arg);
	int (*new_device)(struct vhx_device *dev, void *arg);
	void (*destroy_device)(struct vhx_device *dev, void *arg);
	void (*vring_state_changed)(struct vhx_device *dev, unsigned int queue,
				    bool is_enabled, void *arg);
	void (*vring_broken)(struct vhx_device *dev, unsigned int queue,
			     const char *why, void *arg);
	void (*features_changed)(struct vhx_device *dev, uint64_t features,
				 void *arg);
	void (*announced)(struct vhx_device *dev, const uint8_t *mac,
			  void *arg);
	void (*disconnected)(struct vhx_device *dev, void *arg);
};

/* Of vhx_log_fn: what the operator should see, what explains it. */
enum vhx_log_level { VHX_LOG_ERR, VHX_LOG_WARN, VHX_LOG_INFO, VHX_LOG_DEBUG };

typedef void (*vhx_log_fn)(enum vhx_log_level level, const char *message,
			   void *arg);

/* session */

/**
 * vhx_session_create - an event loop
 * @session: result
 *
 * Return: 0, -ENOMEM, -EMFILE, -ENFILE
 */
int vhx_session_create(struct vhx_session **session);

/**
 * vhx_session_destroy - stop it, unregister its drivers, free it
 * @session: the session or NULL
 *
 * Waits for the session's thread.
 */
void vhx_session_destroy(struct vhx_session *session);

/**
 * vhx_session_set_log - where messages go; nowhere at first
 * @session: the session, before it is started
 * @log: called on any thread of the session's or a burst's, or NULL
 * @arg: for @log
 */
void vhx_session_set_log(struct vhx_session *session, vhx_log_fn log,
			 void *arg);

/**
 * vhx_session_start - run it on a thread of its own
 * @session: the session
 *
 * Return: 0, -EBUSY (it has one), -EAGAIN (no more threads)
 */
int vhx_session_start(struct vhx_session *session);

/**
 * vhx_session_stop - end its thread
 * @session: the session
 *
 * Waits for a callback that is under way. Drivers and devices stay, and are
 * served again after a start.
 */
void vhx_session_stop(struct vhx_session *session);

/**
 * vhx_session_fd - descriptor to poll for POLLIN, for a loop of the caller's
 * @session: the session, not started
 *
 * Return: a descriptor that stays the session's
 */
int vhx_session_fd(const struct vhx_session *session);

/**
 * vhx_session_run - do what is to be done
 * @session: the session, not started
 * @timeout_ms: wait so long for something; 0: do not wait; -1: no limit
 *
 * Return: how many events, -EBUSY (it has a thread)
 */
int vhx_session_run(struct vhx_session *session, int timeout_ms);

/* driver */

/* Flags of vhx_driver_register(). */
#define VHX_DRIVER_CLIENT	(1u << 0)	/* the peer listens, we connect */
#define VHX_DRIVER_NO_RECONNECT	(1u << 1)	/* and do so once */

/**
 * vhx_driver_register - serve a path
 * @session: the session
 * @path: vhost-user socket
 * @flags: VHX_DRIVER_*
 * @driver: result
 *
 * Nothing is accepted or connected before vhx_driver_start(); peers of a server
 * that come before wait. A stale socket that nobody listens on is replaced.
 *
 * Return: 0, -EADDRINUSE (somebody listens there, or it is no socket),
 * -ENAMETOOLONG, -EINVAL (flags), -ENOMEM, or an errno of socket(), bind() or
 * listen()
 */
int vhx_driver_register(struct vhx_session *session, const char *path,
			unsigned int flags, struct vhx_driver **driver);

/**
 * vhx_driver_register_fd - serve a socket that listens already
 * @session: the session
 * @fd: a unix stream socket, of whoever started the program, say; the driver's from
 *      here on if this succeeds. Its path is not removed at the end
 * @driver: result
 *
 * Return: 0, -EINVAL (no unix socket, or it does not listen), -ENOMEM, or an errno
 * of getsockname() or fcntl()
 */
int vhx_driver_register_fd(struct vhx_session *session, int fd,
			   struct vhx_driver **driver);

/**
 * vhx_driver_unregister - disconnect its devices, remove its socket, free it
 * @driver: the driver
 *
 * Waits for a callback of its session that is under way, and for a second for
 * files that peers hold up. Devices are destroyed and disconnected from here. From
 * a callback of its session all of this happens when that has returned.
 */
void vhx_driver_unregister(struct vhx_driver *driver);

/**
 * vhx_driver_set_ops - set its callbacks
 * @driver: a driver that was not started
 * @ops: the callbacks, which are copied
 * @arg: for them
 */
void vhx_driver_set_ops(struct vhx_driver *driver,
			const struct vhx_device_ops *ops, void *arg);

/**
 * vhx_driver_start - let guests come
 * @driver: the driver
 *
 * Return: 0, -EALREADY, or an errno of epoll_ctl()
 */
int vhx_driver_start(struct vhx_driver *driver);

/**
 * vhx_driver_get_features - what guests are offered
 * @driver: the driver
 *
 * VIRTIO_F_*, VIRTIO_RING_F_* and VIRTIO_NET_F_*, by bit. Offloads are off at
 * first, all else is on.
 *
 * Return: the features
 */
uint64_t vhx_driver_get_features(const struct vhx_driver *driver);

/**
 * vhx_driver_set_features - choose what guests are offered
 * @driver: the driver; devices that have come keep what they were offered
 * @features: bits of vhx_driver_supported_features() alone
 *
 * Return: 0, -EOPNOTSUPP (with other bits)
 */
int vhx_driver_set_features(struct vhx_driver *driver, uint64_t features);
int vhx_driver_enable_features(struct vhx_driver *driver, uint64_t features);
int vhx_driver_disable_features(struct vhx_driver *driver, uint64_t features);

/** vhx_driver_supported_features - all that the library has */
uint64_t vhx_driver_supported_features(void);

/**
 * vhx_driver_mask_protocol_features - choose what vhost-user is to have
 * @driver: the driver, before it is started
 * @mask: VHOST_USER_PROTOCOL_F_* by bit; others are not offered. All at first
 */
void vhx_driver_mask_protocol_features(struct vhx_driver *driver, uint64_t mask);

/**
 * vhx_driver_set_queue_pairs - how many queue pairs guests may have
 * @driver: the driver
 * @pairs: 1 … 128; 1 at first
 *
 * Return: 0, -EINVAL
 */
int vhx_driver_set_queue_pairs(struct vhx_driver *driver, unsigned int pairs);

/* What the peers of a driver may have: all together, unless it says otherwise. */
enum vhx_limit {
	VHX_LIMIT_PEERS,	/* connections, 64 at first; not with CUSE */
	VHX_LIMIT_MAPPINGS,	/* parts of guest memory and logs, 4096 */
	VHX_LIMIT_BYTES,	/* of these, 16 TiB */
	VHX_LIMIT_MEMORY,	/* VHX_MEMORY_* */
	VHX_LIMIT_SETUP_MS,	/* until a device of a peer runs; 0, at first: none */
};

/*
 * Kinds of guest memory: memfd and files of tmpfs and hugetlbfs alone, or any file
 * that can be mapped. A page of another file may be brought by a program of the
 * peer's, for which bursts would wait.
 */
#define VHX_MEMORY_RAM	0
#define VHX_MEMORY_ANY	1

/**
 * vhx_driver_set_limit - choose what peers may have
 * @driver: the driver, before it is started
 * @limit: what is limited
 * @max: how much
 *
 * A peer that wants more is refused, with a line in the log.
 *
 * Return: 0, -EINVAL
 */
int vhx_driver_set_limit(struct vhx_driver *driver, enum vhx_limit limit,
			 uint64_t max);

/**
 * vhx_driver_path - the path it was registered with
 * @driver: the driver
 *
 * Return: the path, the driver's
 */
const char *vhx_driver_path(const struct vhx_driver *driver);

/* device */

/**
 * vhx_device_driver - where it came to
 * @dev: the device
 *
 * Return: the driver
 */
struct vhx_driver *vhx_device_driver(const struct vhx_device *dev);

/**
 * vhx_device_disconnect - have its peer disconnected soon
 * @dev: the device; not with CUSE, where that does nothing
 *
 * The device ends as if the peer had gone. A client of vhx_driver_register()
 * connects again.
 *
 * Context: any thread, until disconnected() returns
 */
void vhx_device_disconnect(struct vhx_device *dev);

/**
 * vhx_device_set_private - note something of the caller's
 * @dev: the device
 * @priv: anything
 */
void vhx_device_set_private(struct vhx_device *dev, void *priv);
void *vhx_device_get_private(const struct vhx_device *dev);

/**
 * vhx_device_ifname - its name: the socket's path, or the tap's name with CUSE
 * @dev: the device
 *
 * Return: the name, the device's
 */
const char *vhx_device_ifname(const struct vhx_device *dev);

/**
 * vhx_device_features - what the guest accepted
 * @dev: the device
 *
 * Return: VIRTIO_* feature bits
 */
uint64_t vhx_device_features(const struct vhx_device *dev);

/**
 * vhx_device_mtu - what the client said of the MTU, in bytes
 * @dev: the device
 *
 * Return: 0: nothing
 */
unsigned int vhx_device_mtu(const struct vhx_device *dev);

/**
 * vhx_device_queues - queues that the client has set up so far
 * @dev: the device
 *
 * Return: how many
 */
unsigned int vhx_device_queues(const struct vhx_device *dev);

/* queue */

/**
 * vhx_enqueue_burst - give frames to the guest
 * @dev: the device, between new_device and the return of destroy_device
 * @queue: a receiveq of the guest's: 0, 2, …
 * @pkts: the frames
 * @nr: how many
 *
 * Without mergeable buffers a frame that its buffer cannot hold is dropped and
 * counts as given.
 *
 * Return: frames taken from @pkts; fewer than @nr if the guest has no more
 * buffers, 0 also if the queue does not run or is in use by another thread
 */
unsigned int vhx_enqueue_burst(struct vhx_device *dev, unsigned int queue,
			       struct vhx_pkt *const *pkts, unsigned int nr);

/**
 * vhx_dequeue_burst - take frames of the guest
 * @dev: the device, between new_device and the return of destroy_device
 * @queue: a transmitq of the guest's: 1, 3, …
 * @pkts: where to; data and room are read, len and hdr are written
 * @nr: how many
 *
 * Return: frames in @pkts
 */
unsigned int vhx_dequeue_burst(struct vhx_device *dev, unsigned int queue,
			       struct vhx_pkt *const *pkts, unsigned int nr);

/**
 * vhx_queue_kick_fd - what the guest's kicks make readable
 * @dev: the device
 * @queue: a queue that runs
 *
 * An eventfd of the library's, valid until vring_state_changed says that the
 * queue is off. It is drained by vhx_queue_notification().
 *
 * Return: the descriptor, -ENOENT (the queue does not run, or its client wants it
 * polled)
 */
int vhx_queue_kick_fd(const struct vhx_device *dev, unsigned int queue);

/**
 * vhx_queue_notification - ask for kicks, or for none
 * @dev: the device
 * @queue: a queue that runs
 * @is_on: on: a kick for the next buffer, for a thread that goes to sleep on the
 *         kick descriptor; off: a hint that none is needed. A queue starts off
 *
 * Behind an IOTLB a buffer may have to wait for its translation, which comes by the
 * session: then this is 0, and the kick descriptor is signalled when it is there.
 *
 * Return: 1: there are buffers already, and no kick may come for them; 0;
 * -ENOENT (the queue does not run)
 */
int vhx_queue_notification(struct vhx_device *dev, unsigned int queue,
			   bool is_on);

/**
 * vhx_queue_arm - ask for kicks, and read none
 * @dev: the device
 * @queue: a queue that runs
 *
 * As vhx_queue_notification() with true, but the kick descriptor is left as it is,
 * which costs a system call less. It is for a thread that hears once of each kick, as
 * from epoll with EPOLLET; for poll() the descriptor would stay readable. A kick that
 * came while the thread was awake may wake it once more.
 *
 * Return: as vhx_queue_notification()
 */
int vhx_queue_arm(struct vhx_device *dev, unsigned int queue);

/**
 * vhx_queue_size - entries of the ring
 * @dev: the device
 * @queue: a queue
 *
 * Return: entries, or 0 if the queue does not run
 */
unsigned int vhx_queue_size(const struct vhx_device *dev, unsigned int queue);

/**
 * vhx_queue_depth - buffers that the guest has made available, about
 * @dev: the device
 * @queue: a queue
 *
 * Of a packed ring at most VHX_PKTS_MAX are counted.
 *
 * Return: how many, or 0 if the queue does not run
 */
unsigned int vhx_queue_depth(struct vhx_device *dev, unsigned int queue);

/**
 * vhx_sigbus - survive memory that its owner cut off
 * @info: what the caller's SIGBUS handler was given
 *
 * Guest memory is a file of the peer's; one that shrinks it makes our accesses
 * end in SIGBUS. Called from the program's handler this puts zeroed memory in the
 * place, so that the access can go on, and marks the device: it is disconnected
 * soon. Async-signal-safe.
 *
 * Return: true: return from the handler; false: the fault was not in a guest's
 * memory
 */
bool vhx_sigbus(const siginfo_t *info);

#ifdef __cplusplus
}
#endif

#endif /* VHX_VHX_H */
