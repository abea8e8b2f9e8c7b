// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The process that owns a device behind a node: its memory and descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "remote.h"

/* A part of the owner's address space, as /proc/PID/maps has it. */
struct vma {
	u64 start;
	u64 end;
	u64 offset;
	dev_t dev;
	ino_t inode;
	bool is_shared;
	char path[PATH_MAX];
};

static pid_t process_of(pid_t tid)
{
	char path[32], line[128];
	pid_t pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (!pid && fgets(line, sizeof(line), file))
		if (sscanf(line, "Tgid: %d", &pid) != 1)
			pid = 0;
	fclose(file);
	return pid;
}

/**
 * vhx_remote_open - take hold of a process
 * @remote: result
 * @tid: a thread of it, which FUSE calls a pid; one of another PID namespace is 0
 *
 * Return: 0, -ESRCH (not to be seen from here), or an errno of pidfd_open()
 */
int vhx_remote_open(struct vhx_remote *remote, pid_t tid)
{
	pid_t pid = tid ? process_of(tid) : 0;
	int pidfd;

	if (!pid)
		return -ESRCH;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	remote->pid = pid;
	remote->pidfd = pidfd;
	return 0;
}

/**
 * vhx_remote_close - let go of it
 * @remote: the process, or none
 */
void vhx_remote_close(struct vhx_remote *remote)
{
	if (remote->pid)
		close(remote->pidfd);
	remote->pid = 0;
}

/**
 * vhx_remote_has_thread - whether a caller is this process
 * @remote: the process, or none
 * @tid: the caller, who waits for us
 *
 * Return: true if it is a thread of it
 */
bool vhx_remote_has_thread(const struct vhx_remote *remote, pid_t tid)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", remote->pid, tid);
	return remote->pid && !access(path, F_OK);
}

/* What a descriptor of it is. Return: 0, or an errno of readlink(). */
static int read_fd_path(const struct vhx_remote *remote, int fd,
			char path[PATH_MAX])
{
	char link[48];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", remote->pid, fd);
	len = readlink(link, path, PATH_MAX - 1);
	if (len < 0)
		return -errno;
	path[len] = 0;
	return 0;
}

/**
 * vhx_remote_take_fd - have a descriptor of it as well
 * @remote: the process
 * @fd: its number there, which is right while the caller waits
 * @kind: how its path in /proc begins
 *
 * What is of another kind is not touched: to ask a file of FUSE for anything, to
 * close it even, is to wait for whoever serves it, which may be us.
 *
 * Return: a descriptor of ours, -EBADF (it has none such), -EINVAL (another
 * kind), -EPERM (ptrace's rules forbid it), -ESRCH (it ended), -EMFILE, -ENFILE
 */
int vhx_remote_take_fd(const struct vhx_remote *remote, int fd,
		       const char *kind)
{
	char path[PATH_MAX];
	int taken, err;

	err = read_fd_path(remote, fd, path);
	if (err)
		return err == -ENOENT ? -EBADF : err == -EACCES ? -EPERM : err;
	if (strncmp(path, kind, strlen(kind)))
		return -EINVAL;
	taken = (int)syscall(SYS_pidfd_getfd, remote->pidfd, fd, 0);
	return taken < 0 ? -errno : taken;
}

/* Return: 1, 0 at the end */
static int read_vma(FILE *maps, struct vma *vma)
{
	unsigned int dev_major, dev_minor;
	char perms[5], *line = NULL;
	int nr = 0, at = 0;
	size_t size = 0;

	if (getline(&line, &size, maps) > 0)
		nr = sscanf(line, "%llx-%llx %4s %llx %x:%x %lu %n",
			    &vma->start, &vma->end, perms, &vma->offset,
			    &dev_major, &dev_minor, &vma->inode, &at);
	if (nr == 7)
		snprintf(vma->path, sizeof(vma->path), "%.*s",
			 (int)strcspn(line + at, "\n"), line + at);
	free(line);
	if (nr != 7)
		return 0;
	vma->dev = makedev(dev_major, dev_minor);
	vma->is_shared = perms[3] == 's';
	return 1;
}

static bool is_same_file(const struct vma *a, const struct vma *b)
{
	return a->dev == b->dev && a->inode == b->inode;
}

static int open_map_file(const struct vhx_remote *remote,
			 const struct vma *vma)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx",
		 remote->pid, vma->start, vma->end);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* Of a descriptor that the owner still has. */
static int find_open_file(const struct vhx_remote *remote,
			  const struct vma *vma)
{
	struct dirent *entry;
	char path[PATH_MAX];
	struct stat st;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", remote->pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir))) {
		if (read_fd_path(remote, atoi(entry->d_name), path) ||
		    strcmp(path, vma->path))
			continue;
		fd = vhx_remote_take_fd(remote, atoi(entry->d_name), path);
		if (fd >= 0 && (fstat(fd, &st) || st.st_dev != vma->dev ||
				st.st_ino != vma->inode ||
				(fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)) {
			close(fd);
			fd = -1;
		}
	}
	closedir(dir);
	return fd;
}

/* The mapping says which file it is, but reading that takes rights of its own. */
static int open_file(const struct vhx_remote *remote, const struct vma *vma)
{
	int fd = open_map_file(remote, vma), err = -errno;

	if (fd < 0)
		fd = find_open_file(remote, vma);
	return fd < 0 ? err : fd;
}

static int map_piece(const struct vhx_remote *remote,
		     const struct vhx_region *wanted, const struct vma *vma,
		     u64 first, u64 end, struct vhx_account *account,
		     struct vhx_regions *regions)
{
	struct vhx_region region = {
		.gpa = wanted->gpa + (first - wanted->uaddr),
		.uaddr = first, .size = end - first,
	};
	int fd = open_file(remote, vma), err;

	if (fd < 0)
		return fd;
	err = vhx_region_map(&region, fd, vma->offset + (first - vma->start),
			     account);
	vhx_account_close(account, fd);
	if (err)
		return err;
	err = vhx_region_add(regions, &region);
	if (err)
		vhx_region_unmap(&region);
	return err;
}

static int map_vmas(const struct vhx_remote *remote, FILE *maps,
		    const struct vhx_region *wanted,
		    struct vhx_account *account, struct vhx_regions *regions)
{
	u64 first = wanted->uaddr, end = wanted->uaddr + wanted->size, at = first;
	struct vma vma, piece = { .end = 0 };
	int err = 0;

	while (at < end && read_vma(maps, &vma)) {
		if (vma.end <= at)
			continue;
		if (vma.start > at)
			return -EFAULT;
		if (!vma.is_shared)
			return -EOPNOTSUPP;
		/* mprotect() and madvise() cut mappings: a file goes on. */
		if (piece.end && !(is_same_file(&piece, &vma) &&
				   vma.offset - piece.offset ==
				   vma.start - piece.start)) {
			err = map_piece(remote, wanted, &piece, first, at,
					account, regions);
			if (err)
				return err;
			first = at;
			piece.end = 0;
		}
		if (!piece.end)
			piece = vma;
		at = min(vma.end, end);
	}
	if (at < end)
		return -EFAULT;
	return map_piece(remote, wanted, &piece, first, end, account, regions);
}

/**
 * vhx_remote_map - map memory of the process here as well
 * @remote: the process
 * @wanted: gpa, size and uaddr of it
 * @account: see vhx_region_map()
 * @regions: where it is added, as one region or several
 *
 * Return: 0, -EOPNOTSUPP (private memory, in part or all), -EFAULT (nothing there, or empty, or
 * it wraps), -E2BIG, -EEXIST (overlaps another), -EACCES, -EPERM (its files
 * cannot be opened), -EINVAL (its file ends before), -ENOMEM
 */
int vhx_remote_map(const struct vhx_remote *remote,
		   const struct vhx_region *wanted, struct vhx_account *account,
		   struct vhx_regions *regions)
{
	char path[32];
	FILE *maps;
	int err;

	if (!wanted->size || wanted->uaddr + wanted->size < wanted->uaddr ||
	    wanted->gpa + (wanted->size - 1) < wanted->gpa)
		return -EFAULT;
	snprintf(path, sizeof(path), "/proc/%d/maps", remote->pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	err = map_vmas(remote, maps, wanted, account, regions);
	fclose(maps);
	return err;
}
