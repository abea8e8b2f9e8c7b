/* SPDX-License-Identifier: GPL-2.0-only */
/* Text from outside: of users' processes, devices and switches. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

size_t text_clean(char *to, size_t size, const char *from);

#endif /* TEXT_H */
