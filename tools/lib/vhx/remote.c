// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The process that owns a device behind a node: its memory and descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "remote.h"

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT	26
#endif
/* Huge pages that there may be, from 64 KiB to 16 GiB */
#define HUGE_SHIFT_MIN	16
#define HUGE_SHIFT_MAX	34

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

/* What a descriptor of a process is. Return: 0, or an errno of readlink(). */
static int read_fd_path(pid_t pid, int fd, char path[PATH_MAX])
{
	char link[48];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
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
 * @account: whose thread closes what became another one meanwhile
 *
 * What is of another kind is not touched: to ask a file of FUSE for anything, to
 * close it even, is to wait for whoever serves it, which may be us. A path says
 * nothing for sure: a mount of the owner's may have any.
 *
 * Return: a descriptor of ours, -EBADF (it has none such), -EINVAL (another
 * kind), -EPERM (ptrace's rules forbid it), -ESRCH (it ended), -EMFILE, -ENFILE
 */
int vhx_remote_take_fd(const struct vhx_remote *remote, int fd,
		       const char *kind, struct vhx_account *account)
{
	char path[PATH_MAX];
	int taken, err;

	err = read_fd_path(remote->pid, fd, path);
	if (err)
		return err == -ENOENT ? -EBADF : err == -EACCES ? -EPERM : err;
	if (strncmp(path, kind, strlen(kind)))
		return -EINVAL;
	taken = (int)syscall(SYS_pidfd_getfd, remote->pidfd, fd, 0);
	if (taken < 0)
		return -errno;
	if (!read_fd_path(getpid(), taken, path) &&
	    !strncmp(path, kind, strlen(kind)))
		return taken;
	vhx_account_close(account, taken);
	return -EINVAL;
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

/* memfds, shared memory without a name, and huge pages of both have no mount. */
static bool is_unmounted_memory(dev_t dev)
{
	unsigned int shift = 0;
	struct stat st;
	bool is_one;
	int fd;

	do {
		fd = memfd_create("vhx-kind", MFD_CLOEXEC |
				  (shift ? MFD_HUGETLB | shift << MFD_HUGE_SHIFT : 0));
		is_one = fd >= 0 && !fstat(fd, &st) && st.st_dev == dev;
		if (fd >= 0)
			close(fd);
		shift = shift ? shift + 1 : HUGE_SHIFT_MIN;
	} while (!is_one && shift <= HUGE_SHIFT_MAX);
	return is_one;
}

/* Among what is mounted where a process is. */
static bool is_mounted_memory(pid_t pid, dev_t dev)
{
	unsigned int dev_major, dev_minor;
	char path[32], *line = NULL, *type;
	bool is_one = false;
	size_t size = 0;
	FILE *mounts;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	mounts = fopen(path, "re");
	if (!mounts)
		return false;
	while (!is_one && getline(&line, &size, mounts) > 0) {
		/* Fields have no spaces. */
		type = strstr(line, " - ");
		is_one = type && sscanf(line, "%*d %*d %u:%u", &dev_major,
					&dev_minor) == 2 &&
			 makedev(dev_major, dev_minor) == dev &&
			 (!strncmp(type, " - tmpfs ", 9) ||
			  !strncmp(type, " - hugetlbfs ", 13));
	}
	free(line);
	fclose(mounts);
	return is_one;
}

/*
 * Whether a file is of memory, which its file system is not asked: to open one of
 * FUSE, even to look at it, is to wait for its server.
 */
static bool is_of_memory(const struct vhx_remote *remote, int path_fd)
{
	struct statx st;
	dev_t dev;

	if (statx(path_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_TYPE, &st) || !S_ISREG(st.stx_mode))
		return false;
	dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	return is_unmounted_memory(dev) ||
	       is_mounted_memory(remote->pid, dev) ||
	       is_mounted_memory(getpid(), dev);
}

/* What is opened is what was looked at, whatever is mapped there now. */
static int open_map_file(const struct vhx_remote *remote,
			 const struct vma *vma,
			 const struct vhx_account *account)
{
	char path[80];
	int path_fd, fd = -EMEDIUMTYPE;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx",
		 remote->pid, vma->start, vma->end);
	path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return -errno;
	if (account->takes_any || is_of_memory(remote, path_fd)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	close(path_fd);
	return fd;
}

/* Of a descriptor that the owner still has. */
static int find_open_file(const struct vhx_remote *remote,
			  const struct vma *vma, struct vhx_account *account)
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
		if (read_fd_path(remote->pid, atoi(entry->d_name), path) ||
		    strcmp(path, vma->path))
			continue;
		fd = vhx_remote_take_fd(remote, atoi(entry->d_name), path,
					account);
		/* Memory alone has seals, and answers at once. */
		if (fd >= 0 && !account->takes_any &&
		    fcntl(fd, F_GET_SEALS) < 0) {
			vhx_account_close(account, fd);
			fd = -1;
			break;
		}
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
static int open_file(const struct vhx_remote *remote, const struct vma *vma,
		     struct vhx_account *account)
{
	int err = open_map_file(remote, vma, account), fd;

	if (err >= 0 || err == -EMEDIUMTYPE)
		return err;
	fd = find_open_file(remote, vma, account);
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
	int fd = open_file(remote, vma, account), err;

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
 * cannot be opened), -EMEDIUMTYPE (no memory), -EINVAL (its file ends before),
 * -ENOMEM
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
