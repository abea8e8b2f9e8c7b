// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A test is a process that ends by _exit(), which does not write what was counted:
 * linked with --wrap=_exit, it does.
 */
#include <gcov.h>

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
