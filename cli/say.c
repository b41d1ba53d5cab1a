/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines for people.
 */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *say_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		/* C1 in UTF-8 is 0xc2 and one byte below 0xa0. */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
		else if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return text;
}

void say(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	puts(say_clean(text));
	free(text);
}
