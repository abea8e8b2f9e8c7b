/* SPDX-License-Identifier: GPL-2.0-only */
/* Text below /proc and /sys, or below a folder that was recorded from them. */
#ifndef TREE_H
#define TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TREE_PATH(at)	__attribute__((format(printf, at, at + 1)))

void tree_set_root(const char *root);
bool tree_is_live(void);
ssize_t tree_read(char *text, size_t size, const char *path, ...) TREE_PATH(3);
char *tree_text(const char *path, ...) TREE_PATH(1);
int tree_link(char *target, size_t size, const char *path, ...) TREE_PATH(3);
DIR *tree_dir(const char *path, ...) TREE_PATH(1);
int tree_path(const char *path, ...) TREE_PATH(1);
bool tree_has(const char *path);
int64_t tree_changed(const char *path, ...) TREE_PATH(1);
int tree_number(const struct dirent *entry);

#endif /* TREE_H */
