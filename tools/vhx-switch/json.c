// SPDX-License-Identifier: GPL-2.0-only
/* Parts of JSON. */
#include "json.h"

/* Names come from the command line: nothing but quotes can be wrong in them. */
void json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < ' ' ? '?' : *text, out);
	}
	fputc('"', out);
}

/* Of an object, not the first of it. */
void json_number(FILE *out, const char *name, uint64_t val)
{
	fprintf(out, ", \"%s\": %ju", name, val);
}

void json_word(FILE *out, const char *name, const char *text)
{
	fprintf(out, ", \"%s\": ", name);
	json_text(out, text);
}
