/* SPDX-License-Identifier: GPL-2.0-only */
/* Values that parameters of vhx_net of this version take. */
#ifndef SETTING_H
#define SETTING_H

#include <stddef.h>

void setting_unquote(char *to, size_t size, const char *value);
const char *setting_refused(const char *name, const char *value);

#endif /* SETTING_H */
