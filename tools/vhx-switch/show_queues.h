/* SPDX-License-Identifier: GPL-2.0-only */
/* What the switch tells of its guests' queues. */
#ifndef SHOW_QUEUES_H
#define SHOW_QUEUES_H

#include <stdbool.h>
#include <stdio.h>

int show_queues(FILE *out, bool is_json);

#endif /* SHOW_QUEUES_H */
