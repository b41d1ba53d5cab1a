/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing JSON by table, straight into the text: the bytes are those of jansson's compact dump of the
 * same document. Owns nothing; any thread.
 */
#include "lib/json.h"

#include <assert.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/text.h"

/* Length of the UTF-8 sequence at `s` (RFC 3629: no surrogates, nothing overlong), 0: none. */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

static void put_escaped(struct buf *out, unsigned char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = strchr(from, c);

	if (c >= 0x80)
		buf_str(out, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no UTF-8 */
	else if (at)
		buf_add(out, (char[]){ '\\', to[at - from] }, 2);
	else
		buf_printf(out, "\\u%04X", c);
}

void json_encode_string(struct buf *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s, *run = p;

	buf_char(out, '"');
	while (*p) {
		size_t n = *p < ' ' || *p == '"' || *p == '\\' ? 0 : utf8_length(p);

		if (n == 0) {
			buf_add(out, run, (size_t)(p - run));
			put_escaped(out, *p);
			run = ++p;
		}
		p += n;
	}
	buf_add(out, run, (size_t)(p - run));
	buf_char(out, '"');
}

static void put_number(struct buf *out, uint64_t n, bool negative)
{
	char digits[24], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	if (negative)
		*--p = '-';
	buf_add(out, p, (size_t)(digits + sizeof(digits) - p));
}

/* Text that is known to need no escapes. */
static void put_quoted(struct buf *out, const char *s)
{
	buf_char(out, '"');
	buf_str(out, s);
	buf_char(out, '"');
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n > 0)
		if (p[--n])
			return false;
	return true;
}

/* Has the field of the struct at `base` the value that stands for its absence? */
static bool is_absent(const struct json_field *f, const char *base)
{
	const void *p = base + f->offset;

	if (f->array)
		return !*(const size_t *)(const void *)(base + f->count_offset);
	switch (f->kind) {
	case JSON_STRING:
	case JSON_RAW:
		return !*(char *const *)p;
	case JSON_ENUM:
		return !*(const unsigned *)p;
	case JSON_BOOL:
		return !*(const bool *)p;
	case JSON_U64:
	case JSON_I64:
	case JSON_TIME:
		return !*(const uint64_t *)p;
	case JSON_U16:
		return !*(const uint16_t *)p;
	case JSON_KEY:
	case JSON_HASH:
		return all_zero(p, 32);
	case JSON_RUN:
		return all_zero(p, 16);
	case JSON_ADDR:
		return !((const struct addr *)p)->family;
	case JSON_PREFIX:
		return !((const struct prefix *)p)->addr.family;
	case JSON_ENDPOINT:
		return !((const struct endpoint *)p)->addr.family;
	case JSON_OBJECT:
		return f->pointer && !*(void *const *)p;
	}
	return false;
}

static void put_plain(struct buf *out, const struct json_field *f, const void *p)
{
	char text[72];
	int64_t n;

	switch (f->kind) {
	case JSON_STRING:
		assert(*(char *const *)p);
		json_encode_string(out, *(char *const *)p);
		return;
	case JSON_RAW:
		assert(*(char *const *)p);
		buf_str(out, *(char *const *)p);
		return;
	case JSON_ENUM:
		json_encode_string(out, f->names[*(const unsigned *)p]);
		return;
	case JSON_BOOL:
		buf_str(out, *(const bool *)p ? "true" : "false");
		return;
	case JSON_U64:
		put_number(out, MIN(*(const uint64_t *)p, (uint64_t)INT64_MAX), false);
		return;
	case JSON_I64:
		n = *(const int64_t *)p;
		put_number(out, n < 0 ? -(uint64_t)n : (uint64_t)n, n < 0);
		return;
	case JSON_U16:
		put_number(out, *(const uint16_t *)p, false);
		return;
	case JSON_KEY:
		base64_encode(p, 32, text);
		break;
	case JSON_HASH:
		hex_encode(p, 32, text);
		break;
	case JSON_RUN:
		hex_encode(p, 16, text);
		break;
	case JSON_ADDR:
		addr_format(p, text);
		break;
	case JSON_PREFIX:
		prefix_format(p, text);
		break;
	case JSON_ENDPOINT:
		endpoint_format(p, text);
		break;
	case JSON_TIME:
		clock_rfc3339(*(const int64_t *)p, text);
		break;
	case JSON_OBJECT:
		assert(!"structs are written by encode()");
	}
	put_quoted(out, text);
}

/* The counterpart of decode() in json.c. */
static void encode(struct buf *out, const struct json_field *f, const void *p, bool element)
{
	const char *from = (const char *)p + (element ? 0 : f->offset);
	bool first = true;

	if (f->array && !element) {
		size_t count = *(const size_t *)(const void *)((const char *)p + f->count_offset);
		const char *e = *(char *const *)(const void *)from;

		buf_char(out, f->map ? '{' : '[');
		for (size_t i = 0; i < count; i++, e += f->element_size) {
			if (i > 0)
				buf_char(out, ',');
			if (f->map) {
				json_encode_string(
					out, *(char *const *)(const void *)(e + f->key_offset));
				buf_char(out, ':');
			}
			encode(out, f, e + (f->map ? f->value_offset : 0), true);
		}
		buf_char(out, f->map ? '}' : ']');
		return;
	}
	if (f->kind != JSON_OBJECT) {
		put_plain(out, f, from);
		return;
	}
	if (f->pointer && !element)
		from = *(char *const *)(const void *)from;
	assert(from);
	buf_char(out, '{');
	for (const struct json_field *m = f->fields; m->name; m++) {
		if (m->optional && is_absent(m, from))
			continue;
		if (!first)
			buf_char(out, ',');
		first = false;
		put_quoted(out, m->name);
		buf_char(out, ':');
		encode(out, m, from, false);
	}
	buf_char(out, '}');
}

void json_encode(struct buf *out, const struct json_field *fields, const void *what)
{
	const struct json_field document = { .kind = JSON_OBJECT, .fields = fields };

	encode(out, &document, what, true);
}
