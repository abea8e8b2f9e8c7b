/* SPDX-License-Identifier: GPL-2.0-only */
/* The devices in Prometheus' text format. */
#ifndef PROMETHEUS_H
#define PROMETHEUS_H

#include <stdio.h>

#include "watch.h"

int prometheus_put(FILE *out, const struct watch *watch);

#endif /* PROMETHEUS_H */
