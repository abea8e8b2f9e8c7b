/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The socket of a vhost-user driver. */
#ifndef VHX_SOCKET_H
#define VHX_SOCKET_H

#include "driver.h"

extern const struct vhx_driver_ops vhx_vhost_user_serve;

int vhx_vhost_user_register(struct vhx_driver *driver, int fd);

#endif /* VHX_SOCKET_H */
