/* SPDX-License-Identifier: GPL-2.0-only */
/* One device with all that is known, as lines of text. */
#ifndef DETAIL_H
#define DETAIL_H

#include <stdio.h>

#include "watch.h"

void detail_put(FILE *out, const struct view *view);

#endif /* DETAIL_H */
