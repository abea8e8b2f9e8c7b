/* SPDX-License-Identifier: GPL-2.0-only */
/* Waits for workers that start, and has them placed. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "rule.h"

int follow(const char *path);

#endif /* FOLLOW_H */
