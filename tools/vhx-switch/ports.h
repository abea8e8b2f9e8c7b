/* SPDX-License-Identifier: GPL-2.0-only */
/* Ports by their description, and by their name; from the main thread. */
#ifndef PORTS_H
#define PORTS_H

#include "switch.h"

int ports_add(const char *spec, char *why, size_t size);
int ports_remove(const char *name);
void ports_remove_all(void);
unsigned int ports_count(void);
void ports_look_after(void);
int ports_number(const char *text, unsigned int min, unsigned int max);

#endif /* PORTS_H */
