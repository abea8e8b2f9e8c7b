/* SPDX-License-Identifier: GPL-2.0-only */
/* What a virtual machine is called. */
#ifndef VM_H
#define VM_H

#include <stddef.h>

void vm_name(char *name, size_t size, const char *cmdline, size_t len,
	     const char *comm);
void vm_read_name(char *name, size_t size, int pid, const char *comm);

#endif /* VM_H */
