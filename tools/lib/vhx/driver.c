// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Drivers: paths that guests come to, and what these are offered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "driver.h"
#include "session.h"
#include "socket.h"

#define OFFLOADS	(BIT_ULL(VIRTIO_NET_F_CSUM) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) | \
			 BIT_ULL(VIRTIO_NET_F_HOST_TSO4) | \
			 BIT_ULL(VIRTIO_NET_F_HOST_TSO6) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_TSO6))
#define FEATURES	(BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) | \
			 BIT_ULL(VIRTIO_NET_F_MTU) | \
			 BIT_ULL(VIRTIO_NET_F_STATUS) | \
			 BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | \
			 BIT_ULL(VIRTIO_NET_F_MQ) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
			 BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) | \
			 BIT_ULL(VHOST_F_LOG_ALL) | \
			 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | \
			 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | \
			 BIT_ULL(VIRTIO_F_VERSION_1) | \
			 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | \
			 BIT_ULL(VIRTIO_F_RING_PACKED) | \
			 BIT_ULL(VIRTIO_F_IN_ORDER) | \
			 BIT_ULL(VIRTIO_F_RING_RESET))

/* What peers may have unless vhx_driver_set_limit() says otherwise. */
#define PEERS		64
#define MAPPINGS	4096
#define BYTES		(1ULL << 44)

/**
 * vhx_driver_create - a driver that is served somehow
 * @session: the session
 * @path: its name
 * @flags: VHX_DRIVER_*
 * @serve: what serves it
 * @result: the driver
 *
 * Return: 0, -ENAMETOOLONG, -ENOMEM
 */
int vhx_driver_create(struct vhx_session *session, const char *path,
		      unsigned int flags, const struct vhx_driver_ops *serve,
		      struct vhx_driver **result)
{
	struct vhx_driver *driver;

	if (strlen(path) >= sizeof(driver->path))
		return -ENAMETOOLONG;
	driver = calloc(1, sizeof(*driver));
	if (!driver)
		return -ENOMEM;
	driver->account = vhx_account_create(session->wake);
	if (!driver->account) {
		free(driver);
		return -ENOMEM;
	}
	driver->account->max_nr = MAPPINGS;
	driver->account->max_bytes = BYTES;
	driver->max_peers = PEERS;
	driver->session = session;
	driver->serve = serve;
	strcpy(driver->path, path);
	driver->flags = flags;
	driver->features = FEATURES;
	driver->protocol_features = UINT64_MAX;
	driver->queue_pairs = 1;
	driver->ops = &driver->own_ops;
	pthread_mutex_lock(&session->mutex);
	driver->next = session->drivers;
	session->drivers = driver;
	pthread_mutex_unlock(&session->mutex);
	*result = driver;
	return 0;
}

int vhx_driver_register(struct vhx_session *session, const char *path,
			unsigned int flags, struct vhx_driver **driver)
{
	int err;

	if (flags & ~(VHX_DRIVER_CLIENT | VHX_DRIVER_NO_RECONNECT))
		return -EINVAL;
	err = vhx_driver_create(session, path, flags, &vhx_vhost_user_serve,
				driver);
	if (err)
		return err;
	err = vhx_vhost_user_register(*driver, -1);
	if (err)
		vhx_driver_unregister(*driver);
	return err;
}

int vhx_driver_register_fd(struct vhx_session *session, int fd,
			   struct vhx_driver **driver)
{
	struct sockaddr_un address = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(address), on = sizeof(int);
	char path[sizeof(address.sun_path) + 1];
	int err, is_listening = 0, type = 0;

	if (getsockname(fd, (struct sockaddr *)&address, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &on) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &on))
		return -errno;
	if (address.sun_family != AF_UNIX || type != SOCK_STREAM || !is_listening)
		return -EINVAL;
	snprintf(path, sizeof(path), "%.*s",
		 (int)(len - offsetof(struct sockaddr_un, sun_path)),
		 address.sun_path);
	err = vhx_driver_create(session, *path ? path : "(unnamed)", 0,
				&vhx_vhost_user_serve, driver);
	if (err)
		return err;
	err = vhx_vhost_user_register(*driver, fd);
	if (err)
		vhx_driver_unregister(*driver);
	return err;
}

/* Callbacks of its devices come from here, and may have others leave. */
static void end(struct vhx_driver *driver)
{
	struct vhx_driver **at = &driver->session->drivers;

	while (*at != driver)
		at = &(*at)->next;
	*at = driver->next;
	driver->serve->close(driver);
}

/**
 * vhx_driver_let_go - end drivers that are to leave
 * @session: the session, locked
 *
 * Return: a list of them, for vhx_driver_free()
 */
struct vhx_driver *vhx_driver_let_go(struct vhx_session *session)
{
	struct vhx_driver *driver = session->drivers, *gone = NULL;

	session->is_busy = true;
	while (driver) {
		if (!driver->is_leaving) {
			driver = driver->next;
			continue;
		}
		end(driver);
		driver->next = gone;
		gone = driver;
		driver = session->drivers;
	}
	session->is_busy = false;
	session->has_leaving = false;
	return gone;
}

/**
 * vhx_driver_free - free drivers that have ended
 * @driver: a list of them
 *
 * Context: the session is not locked: files that peers hold up are waited for
 */
void vhx_driver_free(struct vhx_driver *driver)
{
	struct vhx_driver *next;

	for (; driver; driver = next) {
		next = driver->next;
		vhx_account_drop(driver->account);
		free(driver);
	}
}

void vhx_driver_unregister(struct vhx_driver *driver)
{
	struct vhx_session *session = driver->session;
	struct vhx_driver *gone = NULL;

	pthread_mutex_lock(&session->mutex);
	driver->is_leaving = true;
	session->has_leaving = true;
	/* Who got here while it is busy is the one who calls. */
	if (!session->is_busy)
		gone = vhx_driver_let_go(session);
	pthread_mutex_unlock(&session->mutex);
	vhx_driver_free(gone);
}

void vhx_driver_set_ops(struct vhx_driver *driver,
			const struct vhx_device_ops *ops, void *arg)
{
	/* Of a program that is older, or newer: what both know. */
	memset(&driver->own_ops, 0, sizeof(driver->own_ops));
	memcpy(&driver->own_ops, ops, min(ops->size, sizeof(*ops)));
	driver->arg = arg;
}

int vhx_driver_start(struct vhx_driver *driver)
{
	int err = -EALREADY;

	pthread_mutex_lock(&driver->session->mutex);
	if (!driver->is_started)
		err = driver->serve->start(driver);
	if (!err)
		driver->is_started = true;
	pthread_mutex_unlock(&driver->session->mutex);
	return err;
}

uint64_t vhx_driver_get_features(const struct vhx_driver *driver)
{
	return driver->features;
}

uint64_t vhx_driver_supported_features(void)
{
	return FEATURES | OFFLOADS;
}

int vhx_driver_set_features(struct vhx_driver *driver, uint64_t features)
{
	if (features & ~vhx_driver_supported_features())
		return -EOPNOTSUPP;
	driver->features = features;
	return 0;
}

int vhx_driver_enable_features(struct vhx_driver *driver, uint64_t features)
{
	return vhx_driver_set_features(driver, driver->features | features);
}

int vhx_driver_disable_features(struct vhx_driver *driver, uint64_t features)
{
	return vhx_driver_set_features(driver, driver->features & ~features);
}

int vhx_driver_set_queue_pairs(struct vhx_driver *driver, unsigned int pairs)
{
	if (!pairs || pairs > VHX_QUEUES_MAX / 2)
		return -EINVAL;
	driver->queue_pairs = pairs;
	return 0;
}

void vhx_driver_mask_protocol_features(struct vhx_driver *driver, uint64_t mask)
{
	driver->protocol_features = mask;
}

int vhx_driver_set_limit(struct vhx_driver *driver, enum vhx_limit limit,
			 uint64_t max)
{
	struct vhx_account *account = driver->account;

	switch (limit) {
	case VHX_LIMIT_PEERS:
		if (!max || max > UINT32_MAX)
			return -EINVAL;
		driver->max_peers = (unsigned int)max;
		return 0;
	case VHX_LIMIT_MAPPINGS:
		if (max > UINT32_MAX)
			return -EINVAL;
		account->max_nr = (unsigned int)max;
		return 0;
	case VHX_LIMIT_BYTES:
		account->max_bytes = max;
		return 0;
	case VHX_LIMIT_SETUP_MS:
		if (max > UINT32_MAX)
			return -EINVAL;
		driver->setup_ms = (unsigned int)max;
		return 0;
	case VHX_LIMIT_MEMORY:
		if (max > VHX_MEMORY_ANY)
			return -EINVAL;
		account->takes_any = max == VHX_MEMORY_ANY;
		return 0;
	}
	return -EINVAL;
}

const char *vhx_driver_path(const struct vhx_driver *driver)
{
	return driver->path;
}
