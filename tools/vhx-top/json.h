/* SPDX-License-Identifier: GPL-2.0-only */
/* All that is known of the devices, for programs. */
#ifndef JSON_H
#define JSON_H

#include <stdio.h>

#include "watch.h"

int json_put(FILE *out, const struct watch *watch);

#endif /* JSON_H */
