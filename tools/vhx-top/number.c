// SPDX-License-Identifier: GPL-2.0-only
/* Numbers and names for people. */
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "number.h"

/* With a unit of a thousand times more, until it has three places before the dot. */
static void put_scaled(char *text, size_t size, double val,
		       const char *const *units)
{
	while (val >= 999.5 && units[1]) {
		val /= 1000;
		units++;
	}
	snprintf(text, size, "%.*f%s", val > 0 && val < 99.95 ? 1 : 0, val, *units);
}

/**
 * number_put - a number in five places
 * @text: where to
 * @size: bytes there
 * @val: the number
 */
void number_put(char *text, size_t size, double val)
{
	static const char *const units[] = { "", "k", "M", "G", "T", NULL };

	put_scaled(text, size, val, units);
}

/**
 * number_time - a time
 * @text: where to
 * @size: bytes there
 * @ns: the time
 */
void number_time(char *text, size_t size, double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s", NULL };

	put_scaled(text, size, ns, units);
}

/* Bytes of the letter at @text, of which it takes *@places on the screen. */
static size_t letter(const char *text, int *places)
{
	mbstate_t state = { 0 };
	wchar_t wide;
	size_t len = mbrtowc(&wide, text, strlen(text), &state);

	if (len == (size_t)-1 || len == (size_t)-2 || !len || wcwidth(wide) < 0) {
		*places = 1;
		return 0;
	}
	*places = wcwidth(wide);
	return len;
}

static void append(char *line, size_t size, const char *text, size_t len)
{
	size_t at = strlen(line);

	if (at + len >= size)
		return;
	memcpy(line + at, text, len);
	line[at + len] = 0;
}

/* As much as has place. Return: places that it took */
static int append_text(char *line, size_t size, const char *text, int width)
{
	int places, sum = 0;
	size_t len;

	for (; *text; text += len ? len : 1) {
		len = letter(text, &places);
		if (sum + places > width)
			break;
		append(line, size, len ? text : "?", len ? len : 1);
		sum += places;
	}
	return sum;
}

/**
 * number_fit - append a text in so many places, cut or filled up with blanks
 * @line: where to
 * @size: bytes there
 * @text: the text
 * @width: places; negative: it begins at the left
 */
void number_fit(char *line, size_t size, const char *text, int width)
{
	bool is_left = width < 0;
	char part[1024] = "";
	int sum;

	sum = append_text(part, sizeof(part), text, is_left ? -width : width);
	if (is_left)
		append(line, size, part, strlen(part));
	for (; sum < (is_left ? -width : width); sum++)
		append(line, size, " ", 1);
	if (!is_left)
		append(line, size, part, strlen(part));
}
