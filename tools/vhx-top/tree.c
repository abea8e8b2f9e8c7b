// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text below /proc and /sys. Tests read a recorded folder in its place: all paths
 * are taken below the root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

#define TEXT_STEP	16384	/* bytes that a text grows by */

static const char *top = "";

/**
 * tree_set_root - read everything below a folder
 * @root: the folder; kept, not copied
 */
void tree_set_root(const char *root)
{
	top = root;
}

/* Whether it is this machine's own, and not a recorded one. */
bool tree_is_live(void)
{
	return !*top;
}

/* Return: 0, -ENAMETOOLONG */
static int fill(char full[PATH_MAX], const char *path, va_list args)
{
	int len = snprintf(full, PATH_MAX, "%s", top);
	int more;

	if (len < 0 || len >= PATH_MAX)
		return -ENAMETOOLONG;
	more = vsnprintf(full + len, (size_t)(PATH_MAX - len), path, args);
	return more < 0 || more >= PATH_MAX - len ? -ENAMETOOLONG : 0;
}

static int open_text(const char *path, va_list args)
{
	char full[PATH_MAX];
	int err = fill(full, path, args), fd;

	if (err)
		return err;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* All of it up to @size. Return: bytes, or -errno */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while (len < size) {
		got = read(fd, text + len, size - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

/**
 * tree_read - a file that has little in it
 * @text: where to, ended by 0
 * @size: bytes there; what is longer is cut
 * @path: of the file, a format
 *
 * Return: bytes, or -errno; the text is empty then
 */
ssize_t tree_read(char *text, size_t size, const char *path, ...)
{
	ssize_t len;
	va_list args;
	int fd;

	*text = 0;
	va_start(args, path);
	fd = open_text(path, args);
	va_end(args);
	if (fd < 0)
		return fd;
	len = read_all(fd, text, size - 1);
	text[len < 0 ? 0 : len] = 0;
	close(fd);
	return len;
}

/* Return: all that is readable, to be freed, or NULL with errno */
static char *read_growing(int fd)
{
	char *text = NULL, *grown;
	size_t len = 0;
	ssize_t got;

	do {
		grown = realloc(text, len + TEXT_STEP + 1);
		if (!grown) {
			free(text);
			return NULL;
		}
		text = grown;
		got = read_all(fd, text + len, TEXT_STEP);
		if (got < 0) {
			free(text);
			errno = (int)-got;
			return NULL;
		}
		len += (size_t)got;
		text[len] = 0;
	} while (got == TEXT_STEP);
	return text;
}

/**
 * tree_text - a file of any length
 * @path: of the file, a format
 *
 * Return: its text, to be freed, or NULL with errno
 */
char *tree_text(const char *path, ...)
{
	va_list args;
	char *text;
	int fd;

	va_start(args, path);
	fd = open_text(path, args);
	va_end(args);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	text = read_growing(fd);
	close(fd);
	return text;
}

/**
 * tree_link - where a symbolic link leads
 * @target: where to, ended by 0
 * @size: bytes there; what is longer is cut
 * @path: of the link, a format
 *
 * Return: 0 or -errno
 */
int tree_link(char *target, size_t size, const char *path, ...)
{
	char full[PATH_MAX];
	va_list args;
	ssize_t len;
	int err;

	va_start(args, path);
	err = fill(full, path, args);
	va_end(args);
	if (err)
		return err;
	len = readlink(full, target, size - 1);
	if (len < 0)
		return -errno;
	target[len] = 0;
	return 0;
}

/**
 * tree_dir - open a folder
 * @path: of the folder, a format
 *
 * Return: the folder, or NULL with errno
 */
DIR *tree_dir(const char *path, ...)
{
	char full[PATH_MAX];
	va_list args;
	int err;

	va_start(args, path);
	err = fill(full, path, args);
	va_end(args);
	errno = -err;
	return err ? NULL : opendir(full);
}

/**
 * tree_path - a file that is not read, such as a socket
 * @path: of the file, a format
 *
 * Return: a descriptor that stands for it, or -errno
 */
int tree_path(const char *path, ...)
{
	char full[PATH_MAX];
	va_list args;
	int err, fd;

	va_start(args, path);
	err = fill(full, path, args);
	va_end(args);
	if (err)
		return err;
	fd = open(full, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/**
 * tree_has - whether a file, a folder or a node is there
 * @path: from the root on
 *
 * Return: whether it is, and can be seen
 */
bool tree_has(const char *path)
{
	int fd = tree_path("%s", path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/**
 * tree_changed - when a file, or what stands of it in its folder, was changed
 * @path: of the file, a format
 *
 * Return: ns since 1970, or 0: it is not there
 */
int64_t tree_changed(const char *path, ...)
{
	char full[PATH_MAX];
	struct stat info;
	va_list args;
	int err;

	va_start(args, path);
	err = fill(full, path, args);
	va_end(args);
	if (err || stat(full, &info))
		return 0;
	return info.st_ctim.tv_sec * 1000000000LL + info.st_ctim.tv_nsec;
}

/* Return: the number that an entry of a folder is named by, or -1 */
int tree_number(const struct dirent *entry)
{
	char *end;
	long val;

	errno = 0;
	val = strtol(entry->d_name, &end, 10);
	if (errno || *end || end == entry->d_name || val < 0 || val > INT_MAX)
		return -1;
	return (int)val;
}
