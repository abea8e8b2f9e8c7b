/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file of a FUSE mount whose server answers for as long as it likes: what a peer
 * may give to a library that must not wait for peers.
 */
#ifndef SLOW_FILE_H
#define SLOW_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#define SLOW_LEN	(4 << 20)

/**
 * struct slow_file - the file
 * @pid: its server
 * @fd: the file, open; who closes it before slow_file_close() waits
 * @is_silent: it answers nothing any more; shared with the server
 */
struct slow_file {
	pid_t pid;
	int fd;
	bool *is_silent;
};

int slow_file_open(struct slow_file *slow);
void slow_file_silence(struct slow_file *slow);
void slow_file_close(struct slow_file *slow);

#endif /* SLOW_FILE_H */
