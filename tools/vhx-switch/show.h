/* SPDX-License-Identifier: GPL-2.0-only */
/* What the switch tells of itself, from a snapshot. */
#ifndef SHOW_H
#define SHOW_H

#include <stdbool.h>
#include <stdio.h>

int show_ports(FILE *out, bool is_json);
int show_drops(FILE *out, bool is_json);
int show_macs(FILE *out, bool is_json);

#endif /* SHOW_H */
