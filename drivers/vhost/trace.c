// SPDX-License-Identifier: GPL-2.0-only
/* The bodies of the tracepoints: here is known what their structs look like. */
#include <linux/string.h>

#include "tap.h"
#include "vhx.h"

static const char *kind_of(const struct vhx_backend *backend)
{
	if (!backend)
		return "none";
	if (backend->ops == &vhx_backend_packet_ops)
		return "packet";
	return container_of(backend, const struct vhx_tap, backend)->is_tun ?
		"tap" : "macvtap";
}

#define CREATE_TRACE_POINTS
#include "trace.h"
