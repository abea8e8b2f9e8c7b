/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A learning switch between guests and taps.
 *
 * Threads: main answers the control socket, libvhx's session runs callbacks as
 * guests come and go, and the plane moves frames. plane_lock() is for the first
 * two: what the plane works with changes under it alone.
 */
#ifndef SWITCH_H
#define SWITCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <linux/if_ether.h>
#include <vhx/vhx.h>

#define PORTS_MAX	64
#define BURST		VHX_PKTS_MAX
#define VLAN_MAX	4094
/* Before a frame there is room for a VLAN tag. */
#define HEADROOM	4
#define NAME_LEN	64
/* Frames that wait for a guest. */
#define KEPT_MAX	256

struct port;
struct kept;

/**
 * struct port_ops - a kind of port
 * @kind: its name
 * @key: what a description needs, kept as the port's path
 * @keeps: frames that @send did not take wait for the next time
 * @recv: up to BURST frames into packets of the plane's. Return: how many
 * @send: give frames out; does not wait. Return: how many were taken
 * @arm: ask to be woken. Return: whether there is something already
 * @disarm: be woken no more; a hint
 * @fds: what to poll for POLLIN then, at most @max. Return: how many
 * @close: end it
 */
struct port_ops {
	const char *kind;
	const char *key;
	bool keeps;
	unsigned int (*recv)(struct port *port, struct vhx_pkt *const *pkts);
	unsigned int (*send)(struct port *port, struct vhx_pkt *const *pkts,
			     unsigned int nr);
	bool (*arm)(struct port *port);
	void (*disarm)(struct port *port);
	unsigned int (*fds)(const struct port *port, int *fds, unsigned int max);
	void (*close)(struct port *port);
};

/**
 * struct port_stats - counters, in frames unless named otherwise
 * @rx: came from the port
 * @rx_bytes: bytes of these
 * @tx: were given to it
 * @tx_bytes: bytes of these
 * @drop_full: it had no room for them
 * @drop_down: nobody was there
 * @drop_vlan: came with a tag that is not the port's
 */
struct port_stats {
	uint64_t rx;
	uint64_t rx_bytes;
	uint64_t tx;
	uint64_t tx_bytes;
	uint64_t drop_full;
	uint64_t drop_down;
	uint64_t drop_vlan;
};

/**
 * struct port - where frames come from and go to
 * @ops: its kind
 * @name: unique
 * @path: socket, or the name of a tap or a node
 * @is_up: somebody is there
 * @vlan: access port: of its frames, which have no tag; 0: no VLAN
 * @trunk: bitmap of VLANs whose frames have tags here, or NULL
 * @driver: of a guest: libvhx's
 * @dev: of a guest: its device while @is_up
 * @queues: of a guest: bitmap of queues that run
 * @turn: of a guest: the pair that is looked at first
 * @fd: tap
 * @stats: counters
 * @out: what is to be sent, by the plane
 * @nr_out: how many
 * @kept: those that wait, a ring
 * @first_kept: the oldest of them
 * @nr_kept: how many
 */
struct port {
	const struct port_ops *ops;
	char name[NAME_LEN];
	char path[108];
	bool is_up;
	uint16_t vlan;
	uint8_t *trunk;
	struct vhx_driver *driver;
	struct vhx_device *dev;
	uint8_t queues[VHX_QUEUES_MAX / 8];
	unsigned int turn;
	int fd;
	struct port_stats stats;
	struct vhx_pkt *out[BURST];
	unsigned int nr_out;
	struct kept *kept[KEPT_MAX];
	unsigned int first_kept;
	unsigned int nr_kept;
};

/**
 * struct spec - what a description says that is wanted when a port is opened
 * @is_client: vhost-user: the guest's side listens
 * @is_mergeable: of a guest: its driver may get frames in several buffers
 * @pairs: vhost-user: queue pairs
 */
struct spec {
	bool is_client;
	bool is_mergeable;
	unsigned int pairs;
};

/**
 * struct config - what the command line says of all ports
 * @session: where guests come
 * @has_offload: frames may lack a checksum or be longer than a segment
 * @age_s: a MAC address that was silent for so long is forgotten
 */
struct config {
	struct vhx_session *session;
	bool has_offload;
	unsigned int age_s;
};

extern struct config config;

/* port.c */
int port_add(const char *spec, char *why, size_t size);
int port_remove(const char *name);
struct port *port_find(const char *name);
bool port_is_trunk_of(const struct port *port, unsigned int vlan);

/* port_vhost.c, port_tap.c */
extern const struct port_ops port_vhost_ops, port_cuse_ops, port_tap_ops;
int port_vhost_open(struct port *port, const struct spec *spec, char *why,
		    size_t size);
int port_tap_open(struct port *port, char *why, size_t size);

/* plane.c */
extern struct port *ports[PORTS_MAX];
int plane_start(void);
void plane_stop(void);
void plane_lock(void);
void plane_unlock(void);
void plane_announce(struct port *from, const uint8_t *mac);

/* out.c: with the plane locked */
void out_flush(struct port *port);
unsigned int out_retry(struct port *port);
void out_drop(struct port *port);

/* mac.c: with the plane locked */
void mac_learn(const uint8_t *mac, unsigned int vlan, struct port *port);
struct port *mac_find(const uint8_t *mac, unsigned int vlan);
void mac_forget(const struct port *port);
void mac_each(void (*fn)(const uint8_t *mac, unsigned int vlan,
			 const struct port *port, unsigned int age_s,
			 void *arg), void *arg);

/* ctl.c */
int ctl_open(const char *path);
void ctl_answer(int listener);
void ctl_close(int listener, const char *path);
int ctl_ask(const char *path, char *const *words);

#endif /* SWITCH_H */
