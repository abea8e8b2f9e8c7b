/* SPDX-License-Identifier: GPL-2.0-only */
/* All that is known of who serves vhost-net here. */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "conf.h"
#include "devices.h"
#include "dkms.h"
#include "klog.h"
#include "module.h"

#define STOCK_NAME	"vhost-net"	/* of the node, below /dev */

/**
 * struct signatures - what the kernel wants modules to have
 * @enforce: sig_enforce, Y or N; 0: no such thing
 * @lockdown: the mode, or "": no such thing
 * @secure_boot: 1, 0, or -1: not known
 * @is_required: an unsigned module is refused
 */
struct signatures {
	char enforce;
	char lockdown[24];
	int secure_boot;
	bool is_required;
};

/**
 * struct refusal - the last time that vhx_net was to be loaded and was not
 * @when: time of that; 0: it was not since the host was booted
 * @is_old: the module or modprobe.d has changed since
 * @text: what the install rule said
 */
struct refusal {
	time_t when;
	bool is_old;
	char text[300];
};

/**
 * struct host - what was found
 * @kernel: its release
 * @node: that vhx_net serves, or is to serve
 * @vhx: vhx_net, as it is loaded
 * @in_tree: vhost_net
 * @has_in_tree: vhost_net can be loaded, or is a part of the kernel
 * @has_node: /dev/vhost-net is there
 * @is_other: a node vhost-net is registered, by neither of them
 * @has_sysfs: else nothing can be known
 * @installed: vhx_net, as it would be loaded
 * @wanted_vermagic: what a module for this kernel has, or ""
 * @signatures: what modules need
 * @conf: what modprobe is told
 * @dkms: what DKMS has
 * @refusal: when it was refused last
 * @klog: what the kernel said to that
 * @devices: who uses a node
 * @devices_err: 0, or -errno: they could not be read
 */
struct host {
	char kernel[96];
	char node[48];
	struct loaded vhx;
	struct loaded in_tree;
	bool has_in_tree;
	bool has_node;
	bool is_other;
	bool has_sysfs;
	struct installed installed;
	char wanted_vermagic[128];
	struct signatures signatures;
	struct conf conf;
	struct dkms dkms;
	struct refusal refusal;
	struct klog klog;
	struct devices devices;
	int devices_err;
};

int host_read(struct host *host);
void host_free(struct host *host);
bool host_is_present(const struct host *host);
bool host_has_upgrade(const struct host *host);

#endif /* HOST_H */
