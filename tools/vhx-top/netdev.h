/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of network interfaces, in the namespaces of the processes. */
#ifndef NETDEV_H
#define NETDEV_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct netdev - counters of an interface; of a tap, tx is what goes to the guest
 * @is_known: whether it was found
 * @rx_frames: received from the guest
 * @rx_bytes: of these
 * @rx_drops: of these, dropped
 * @tx_frames: given to the guest
 * @tx_bytes: of these
 * @tx_drops: for the guest, dropped since the queue was full
 */
struct netdev {
	bool is_known;
	uint64_t rx_frames, rx_bytes, rx_drops;
	uint64_t tx_frames, tx_bytes, tx_drops;
};

void netdev_parse(struct netdev *dev, const char *text, const char *name);
void netdev_read(struct netdev *dev, int pid, const char *name);
void netdev_forget(void);

#endif /* NETDEV_H */
