// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Drivers: paths that guests come to, and what these are offered. */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "session.h"

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

static const struct vhx_device_ops no_ops;

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
	driver->session = session;
	driver->serve = serve;
	strcpy(driver->path, path);
	driver->flags = flags;
	driver->features = FEATURES;
	driver->queue_pairs = 1;
	driver->ops = &no_ops;
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
	err = vhx_vhost_user_register(*driver);
	if (err)
		vhx_driver_unregister(*driver);
	return err;
}

void vhx_driver_unregister(struct vhx_driver *driver)
{
	struct vhx_session *session = driver->session;
	struct vhx_driver **at = &session->drivers;

	pthread_mutex_lock(&session->mutex);
	while (*at != driver)
		at = &(*at)->next;
	*at = driver->next;
	driver->serve->close(driver);
	pthread_mutex_unlock(&session->mutex);
	free(driver);
}

void vhx_driver_set_ops(struct vhx_driver *driver,
			const struct vhx_device_ops *ops, void *arg)
{
	driver->ops = ops;
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

const char *vhx_driver_path(const struct vhx_driver *driver)
{
	return driver->path;
}
