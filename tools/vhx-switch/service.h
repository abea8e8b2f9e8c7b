/* SPDX-License-Identifier: GPL-2.0-only */
/* What a service manager and its log are told. */
#ifndef SERVICE_H
#define SERVICE_H

#include <vhx/vhx.h>

void service_open(void);
void service_ready(unsigned int ports);
void service_ports(unsigned int ports);
void service_stopping(void);
void service_say(enum vhx_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* SERVICE_H */
