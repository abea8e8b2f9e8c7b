/* SPDX-License-Identifier: GPL-2.0-only */
/* Who serves vhost-net here, and why it is not vhx_net. */
#ifndef JUDGE_H
#define JUDGE_H

#include <stddef.h>

#include "host.h"

#define REASONS_MAX	12

/* First word of the output. */
enum word {
	WORD_VHX,		/* vhx_net serves /dev/vhost-net */
	WORD_READY,		/* nobody yet: vhx_net will, when it is opened */
	WORD_BESIDE,		/* vhx_net serves another node, as it was told */
	WORD_IN_TREE,		/* vhost_net serves it */
	WORD_OTHER,		/* neither of them */
	WORD_NOBODY,		/* and vhx_net will not */
	WORD_UNKNOWN,
};

/* Exit statuses: those of monitoring plugins. */
enum { STATUS_OK, STATUS_WARNING, STATUS_CRITICAL, STATUS_UNKNOWN };

/**
 * struct reason - why it is not vhx_net, or what else is wrong
 * @code: a word for programs
 * @text: for people
 * @hint: what to do, or ""
 */
struct reason {
	const char *code;
	char text[700];
	char hint[400];
};

/**
 * struct answer - what that means
 * @word: who serves
 * @status: to end with
 * @reasons: why, the most important one first
 * @nr_reasons: how many
 */
struct answer {
	enum word word;
	int status;
	struct reason reasons[REASONS_MAX];
	size_t nr_reasons;
};

void judge_host(struct answer *answer, const struct host *host);
const char *judge_word(enum word word);

#endif /* JUDGE_H */
