/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A learning switch between guests and taps: what all of it works with.
 *
 * Threads: main answers the control socket, libvhx's session runs callbacks as
 * guests come and go, and planes move frames, each on a thread of its own. Ports
 * change under plane_lock() alone, which is for the first two and stops all planes.
 * What a plane writes while it runs is in its own lane of each port.
 */
#ifndef SWITCH_H
#define SWITCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/if_ether.h>
#include <vhx/vhx.h>

#define PORTS_MAX	64
#define PAIRS_MAX	(VHX_QUEUES_MAX / 2)
#define THREADS_MAX	16
#define BURST		VHX_PKTS_MAX
#define VLAN_MAX	4094
/* Before a frame there is room for a VLAN tag. */
#define HEADROOM	4
#define NAME_LEN	64
#define PATH_LEN	108
/* Frames that wait for a guest, in a lane; of one port half of that. */
#define KEPT_MAX	512
#define CACHE_LINE	64

struct lane;
struct port;
struct kept;
struct mac;

/**
 * struct port_ops - a kind of port
 * @kind: its name
 * @key: what a description needs, kept as the port's path
 * @keeps: frames that @send did not take wait for the next time
 * @recv: up to BURST frames of the lane's pairs. Return: how many
 * @send: give frames out by the lane's pairs; does not wait, and counts. Return:
 *        how many were taken
 * @arm: ask to be woken by what plane_watch() was told of the lane's pairs. Return:
 *       whether there is something already
 * @disarm: be woken no more; a hint
 * @close: end it
 */
struct port_ops {
	const char *kind;
	const char *key;
	bool keeps;
	unsigned int (*recv)(struct lane *lane, struct vhx_pkt *const *pkts);
	unsigned int (*send)(struct lane *lane, struct vhx_pkt *const *pkts,
			     unsigned int nr);
	bool (*arm)(struct lane *lane);
	void (*disarm)(struct lane *lane);
	void (*close)(struct port *port);
};

/**
 * struct port_stats - counters, in frames unless named otherwise
 * @rx: came from the port
 * @rx_bytes: bytes of these
 * @tx: were given to it
 * @tx_bytes: bytes of these
 * @drop_full: for it, and it had no room for them
 * @drop_down: for it, and nobody was there
 * @drop_guest: for it, and its guest could not take them as they were
 * @drop_vlan: from it, with a tag that is not the port's
 * @drop_reserved: from it, to a link-local address
 * @drop_bad: from it, too short, or with offloads that make no sense
 */
struct port_stats {
	uint64_t rx;
	uint64_t rx_bytes;
	uint64_t tx;
	uint64_t tx_bytes;
	uint64_t drop_full;
	uint64_t drop_down;
	uint64_t drop_guest;
	uint64_t drop_vlan;
	uint64_t drop_reserved;
	uint64_t drop_bad;
};

/**
 * struct lane - what one thread has of a port: queue pairs, frames for it, counters
 * @port: the port
 * @via: the lane that it sends by: itself, if the thread has a pair to the port
 * @nr_from: pairs of the thread's that frames come from
 * @nr_to: pairs of the thread's that frames can go to
 * @nr_polled: transmitqs of these that run without kicks
 * @turn: which of @from is looked at first
 * @from: which pairs
 * @to: which pairs; the first is always one to try
 * @stats: counters
 * @out: what is to be sent
 * @nr_out: how many
 * @kept: those that wait, a ring
 * @first_kept: the oldest of them
 * @nr_kept: how many
 * @nr_kept_of: of them, those from a port, by its place
 * @handed: bytes that were handed over to other threads
 * @apart: other threads write what follows, and this one what is before
 * @taken: of @handed, what those are done with
 */
struct lane {
	struct port *port;
	struct lane *via;
	unsigned int nr_from;
	unsigned int nr_to;
	unsigned int nr_polled;
	unsigned int turn;
	uint8_t from[PAIRS_MAX];
	uint8_t to[PAIRS_MAX];
	struct port_stats stats;
	struct vhx_pkt *out[BURST];
	unsigned int nr_out;
	struct kept *kept[KEPT_MAX];
	unsigned int first_kept;
	unsigned int nr_kept;
	uint16_t nr_kept_of[PORTS_MAX];
	size_t handed;
	uint8_t apart[CACHE_LINE];
	size_t taken;
} __attribute__((aligned(CACHE_LINE)));

/* Whether somebody is there; gone: what was there is not any more. */
enum port_state { PORT_DOWN, PORT_UP, PORT_GONE };

/**
 * struct port - where frames come from and go to
 * @ops: its kind
 * @name: unique
 * @path: socket, or the name of a tap or a node
 * @place: number among all ports
 * @state: whether somebody is there
 * @why: in words, if not
 * @is_lost: of a tap: a plane found it deleted; main is to see to it
 * @vlan: access port: of its frames, which have no tag; 0: no VLAN
 * @trunk: bitmap of VLANs whose frames have tags here, or NULL
 * @gso: kinds of long frames that it takes, by bit of VIRTIO_NET_HDR_GSO_*
 * @driver: of a guest: libvhx's
 * @dev: of a guest: its device while @state is PORT_UP
 * @queues: bitmap of queues that run; a tap has one pair
 * @pairs: queue pairs that it may have
 * @thread: of its first pair; that of the others follow in turn
 * @lane: one a thread
 * @fd: tap
 * @macs: addresses that were learnt here, the last one first
 * @oldest_mac: the last of them
 * @nr_macs: how many
 */
struct port {
	const struct port_ops *ops;
	char name[NAME_LEN];
	char path[PATH_LEN];
	unsigned int place;
	enum port_state state;
	const char *why;
	bool is_lost;
	uint16_t vlan;
	uint8_t *trunk;
	uint32_t gso;
	struct vhx_driver *driver;
	struct vhx_device *dev;
	uint8_t queues[VHX_QUEUES_MAX / 8];
	unsigned int pairs;
	unsigned int thread;
	struct lane *lane;
	int fd;
	struct mac *macs;
	struct mac *oldest_mac;
	unsigned int nr_macs;
};

/* While a frame is here, its user is the place of the port that it came from. */
static inline void frame_set_from(struct vhx_pkt *frame, const struct port *port)
{
	frame->user = (void *)(uintptr_t)port->place;
}

static inline unsigned int frame_from(const struct vhx_pkt *frame)
{
	return (unsigned int)(uintptr_t)frame->user;
}

static inline bool port_has_vlan(const struct port *port, unsigned int vlan)
{
	return port->trunk ? port->trunk[vlan / 8] & 1 << vlan % 8 :
			     port->vlan == vlan;
}

/**
 * struct config - what the command line says of all ports
 * @session: where guests come
 * @has_offload: frames may lack a checksum or be longer than a segment
 * @has_link_local: frames to 01-80-C2-00-00-0x are forwarded
 * @age_s: a MAC address that was silent for so long is forgotten
 * @threads: how many move frames
 */
struct config {
	struct vhx_session *session;
	bool has_offload;
	bool has_link_local;
	unsigned int age_s;
	unsigned int threads;
};

extern struct config config;

#endif /* SWITCH_H */
