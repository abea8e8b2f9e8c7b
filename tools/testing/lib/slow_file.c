// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file of a FUSE mount whose server answers for as long as it likes. The server
 * is a process with a mount namespace of its own, with which the mount goes, and
 * without descriptors of others: those who hang up are not to be kept by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/fuse.h>

#include "slow_file.h"

#define MOUNT	"/tmp/slow"
#define READY	3		/* descriptor that the server tells its start by */
#define ROOM	(64 << 10)	/* for a request; more than FUSE_MIN_READ_BUFFER */

/* -- server ---------------------------------------------------------------------- */

/* The root of the mount is the file itself: nothing has to be looked up. */
static int mount_file(void)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[96];

	if (fuse < 0 || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/tmp", "tmpfs", 0, NULL) ||
	    mknod(MOUNT, S_IFREG | 0600, 0))
		return -errno;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=%o,user_id=%u,group_id=%u", fuse, S_IFREG | 0600,
		 getuid(), getgid());
	return mount("slow", MOUNT, "fuse", MS_NOSUID | MS_NODEV, options) ?
		-errno : fuse;
}

static void reply(int fuse, const struct fuse_in_header *in, const void *out,
		  size_t len)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + len), .unique = in->unique,
	};
	struct iovec iov[] = {
		{ &header, sizeof(header) }, { (void *)out, len },
	};

	/* Who asked may have been killed. */
	if (writev(fuse, iov, 2) < 0 && errno != ENOENT)
		_exit(1);
}

static void answer(int fuse, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096,
	};
	const struct fuse_attr_out attr = { .attr = {
		.ino = FUSE_ROOT_ID, .size = SLOW_LEN, .mode = S_IFREG | 0600,
		.nlink = 1, .uid = getuid(), .gid = getgid(), .blksize = 4096,
	} };
	const struct fuse_open_out opened = { .fh = 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fuse, in, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
		reply(fuse, in, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(fuse, in, &opened, sizeof(opened));
		break;
	}
}

static void serve(const bool *is_silent, int ready)
{
	static char request[ROOM];
	int fuse;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(ready, READY);
	close_range(READY + 1, ~0U, 0);
	fuse = mount_file();
	if (write(READY, &fuse, sizeof(fuse)) < 0 || fuse < 0)
		_exit(1);
	close(READY);
	while (read(fuse, request, sizeof(request)) > 0 || errno == ENOENT)
		if (!__atomic_load_n(is_silent, __ATOMIC_ACQUIRE))
			answer(fuse, (const struct fuse_in_header *)request);
	_exit(0);
}

/* -- whoever started it ------------------------------------------------------------ */

/* Return: 0, or -errno: there is no FUSE to be had here. */
int slow_file_open(struct slow_file *slow)
{
	int err = -EPIPE, ready[2];
	char path[64];

	slow->fd = -1;
	slow->is_silent = mmap(NULL, sizeof(*slow->is_silent),
			       PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pipe(ready))
		return -errno;
	slow->pid = fork();
	if (!slow->pid)
		serve(slow->is_silent, ready[1]);
	close(ready[1]);
	if (read(ready[0], &err, sizeof(err)) < 0)
		err = -errno;
	close(ready[0]);
	if (err >= 0) {
		snprintf(path, sizeof(path), "/proc/%d/root" MOUNT, slow->pid);
		slow->fd = open(path, O_RDWR | O_CLOEXEC);
		err = slow->fd < 0 ? -errno : 0;
	}
	if (err)
		slow_file_close(slow);
	return err;
}

/* From now on whoever asks waits. */
void slow_file_silence(struct slow_file *slow)
{
	__atomic_store_n(slow->is_silent, true, __ATOMIC_RELEASE);
}

/* Those that wait go on. */
void slow_file_close(struct slow_file *slow)
{
	if (slow->pid <= 0)
		return;
	kill(slow->pid, SIGKILL);
	waitpid(slow->pid, NULL, 0);
	slow->pid = 0;
	if (slow->fd >= 0)
		close(slow->fd);
	slow->fd = -1;
	munmap(slow->is_silent, sizeof(*slow->is_silent));
}
