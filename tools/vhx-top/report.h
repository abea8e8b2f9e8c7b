/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints what was found; each returns 0 or -errno. */
#ifndef REPORT_H
#define REPORT_H

#include "judge.h"

int report_put(const struct host *host, const struct answer *answer);
int report_check(const struct host *host, const struct answer *answer);
int report_json(const struct host *host, const struct answer *answer);

#endif /* REPORT_H */
