// SPDX-License-Identifier: GPL-2.0-only
/*
 * Users choose names as they like, and they go to terminals and into formats that
 * have to be UTF-8.
 */
#include <stdbool.h>
#include <string.h>

#include "text.h"

static bool goes_on(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Return: bytes of the letter that is there, or 0: it is none of UTF-8 */
static size_t letter(const unsigned char *at)
{
	unsigned char first = at[0], second = at[1];

	if (first < 0x80)
		return 1;
	/* Bytes are looked at in turn, as the text may end behind each. */
	if (first < 0xc2 || first > 0xf4 || !goes_on(second))
		return 0;
	if (first < 0xe0)
		return 2;
	/* Longer than they need to be, surrogates, and more than there are. */
	if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
	    (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f) ||
	    !goes_on(at[2]))
		return 0;
	if (first < 0xf0)
		return 3;
	return goes_on(at[3]) ? 4 : 0;
}

/* Those of ASCII, and of the second half of Latin-1 (C1). */
static bool is_control(const unsigned char *at)
{
	return *at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

/**
 * text_clean - copy text, without what may not go to a terminal
 * @to: where to, ended by 0
 * @size: bytes there; what is longer is cut between two letters
 * @from: the text
 *
 * Control characters, and bytes that are no UTF-8, become a ? each.
 *
 * Return: bytes in @to
 */
size_t text_clean(char *to, size_t size, const char *from)
{
	const unsigned char *at = (const unsigned char *)from;
	size_t len = 0, nr;

	for (; *at; at += nr ? nr : 1) {
		nr = letter(at);
		if (!nr || is_control(at)) {
			if (len + 1 >= size)
				break;
			to[len++] = '?';
			continue;
		}
		if (len + nr >= size)
			break;
		memcpy(to + len, at, nr);
		len += nr;
	}
	to[len] = 0;
	return len;
}
