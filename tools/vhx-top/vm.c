// SPDX-License-Identifier: GPL-2.0-only
/* Names of virtual machines: QEMU's -name, else that of the program. */
#include <stdbool.h>
#include <string.h>

#include "text.h"
#include "tree.h"
#include "vm.h"

#define RAW_MAX		256	/* bytes of a name as it is given */
#define CMDLINE_MAX	65536	/* bytes; libvirt's -name is the first option */

/* One value of an option; ",," in it is a comma. Return: where the next begins. */
static const char *copy_value(char *name, size_t size, const char *val)
{
	char raw[RAW_MAX];
	size_t len = 0;

	for (; *val && (*val != ',' || val[1] == ','); val++) {
		val += *val == ',';
		if (len + 1 < sizeof(raw))
			raw[len++] = *val;
	}
	raw[len] = 0;
	text_clean(name, size, raw);
	return *val ? val + 1 : val;
}

/* guest=NAME among the values, or a first one without a key. */
static void parse_option(char *name, size_t size, const char *option)
{
	const char *at = option, *equal, *comma;
	char none[1];

	while (*at) {
		equal = strchr(at, '=');
		comma = strchr(at, ',');
		if (!strncmp(at, "guest=", 6)) {
			copy_value(name, size, at + 6);
			return;
		}
		if (at == option && (!equal || (comma && comma < equal)))
			at = copy_value(name, size, at);
		else
			at = copy_value(none, sizeof(none), at);
	}
}

/**
 * vm_name - the name that a command line gives
 * @name: where to
 * @size: bytes there
 * @cmdline: words, each ended by 0
 * @len: bytes of them
 * @comm: the name if there is none among them
 */
void vm_name(char *name, size_t size, const char *cmdline, size_t len,
	     const char *comm)
{
	const char *word = cmdline, *end = cmdline + len;
	bool is_next = false;

	*name = 0;
	for (; word < end; word += strlen(word) + 1) {
		if (is_next) {
			parse_option(name, size, word);
			break;
		}
		is_next = !strcmp(word, "-name") || !strcmp(word, "--name");
	}
	if (!*name)
		text_clean(name, size, comm);
}

/**
 * vm_read_name - what the virtual machine of a process is called
 * @name: where to
 * @size: bytes there
 * @pid: the process
 * @comm: its name, if the command line has none or is not to be seen
 */
void vm_read_name(char *name, size_t size, int pid, const char *comm)
{
	char text[CMDLINE_MAX];
	ssize_t len = tree_read(text, sizeof(text), "/proc/%d/cmdline", pid);

	vm_name(name, size, text, len < 0 ? 0 : (size_t)len, comm);
}
