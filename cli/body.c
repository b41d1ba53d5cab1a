/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A request's body, field by field.
 */
#include "cli/body.h"

#include "lib/json.h"
#include "lib/opt.h"
#include "lib/text.h"

void body_begin(struct buf *body)
{
	buf_char(body, '{');
}

bool body_is_empty(const struct buf *body)
{
	return body->len == 1;
}

static void field_begin(struct buf *body, const char *field)
{
	buf_printf(body, "%s\"%s\":", body_is_empty(body) ? "" : ",", field);
}

void body_word(struct buf *body, const char *field, const char *word)
{
	if (!word)
		return;
	field_begin(body, field);
	json_encode_string(body, word);
}

void body_words(struct buf *body, const char *field, const char *const *words)
{
	if (!words[0])
		return;
	field_begin(body, field);
	for (size_t i = 0; words[i]; i++) {
		buf_char(body, i ? ',' : '[');
		json_encode_string(body, words[i]);
	}
	buf_char(body, ']');
}

void body_number(struct buf *body, const char *field, const char *option, const char *text,
		 uint64_t min, uint64_t max)
{
	uint64_t v;

	if (!text)
		return;
	if (u64_parse(text, min, max, &v) < 0)
		opt_fail(2, "--%s: %s is not a number from %llu to %llu", option, text,
			 (unsigned long long)min, (unsigned long long)max);
	field_begin(body, field);
	buf_printf(body, "%llu", (unsigned long long)v);
}

const char *body_end(struct buf *body)
{
	buf_char(body, '}');
	return buf_cstr(body);
}
