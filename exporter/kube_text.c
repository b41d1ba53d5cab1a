/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers of the Kubernetes API, taken apart. Pure. */
#include "exporter/kube_text.h"

#include <errno.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"

#define DEPTH_MAX 64

enum member { OTHER, ITEMS, METADATA };

/* ---- one value in a text ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* `p` is at the quote. Returns what is behind the closing one, NULL when there is none. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p++;
	}
	return NULL;
}

/* A bracket that opens or closes; false when it does not fit. */
static bool bracket(char c, uint64_t *brackets, unsigned *depth)
{
	if (c == '{' || c == '[') {
		if (*depth == DEPTH_MAX)
			return false;
		*brackets = *brackets << 1 | (c == '{');
		++*depth;
		return true;
	}
	if (*depth == 0 || (*brackets & 1) != (c == '}'))
		return false;
	*brackets >>= 1;
	--*depth;
	return true;
}

static const char *skip_value(const char *p, const char *end)
{
	uint64_t brackets = 0;
	unsigned depth = 0;

	if (p < end && *p == '"')
		return skip_string(p, end);
	if (p < end && *p != '{' && *p != '[') {
		const char *from = p;

		while (p < end && *p != ',' && *p != '}' && *p != ']' && !is_space(*p))
			p++;
		return p > from ? p : NULL;
	}
	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			if (!p)
				return NULL;
			continue;
		}
		if (strchr("{}[]", *p) && *p && !bracket(*p, &brackets, &depth))
			return NULL;
		p++;
		if (depth == 0)
			return p;
	}
	return NULL;
}

struct slice {
	const char *p;
	size_t len;
};

/* The values of some members of the object that `text` is; `rets[i].p` is NULL for one that is not
 * there. False: it is no object. */
static bool members(const char *text, size_t len, const char *const *names, struct slice *rets,
		    size_t count)
{
	const char *end = text + len, *p = skip_space(text, end), *key, *value;

	if (p == end || *p++ != '{')
		return false;
	p = skip_space(p, end);
	if (p < end && *p == '}')
		return skip_space(p + 1, end) == end;
	for (;;) {
		key = p = skip_space(p, end);
		if (p == end || *p != '"' || !(p = skip_string(p, end)))
			return false;
		for (size_t i = 0; i < count; i++)
			if ((size_t)(p - key) == strlen(names[i]) + 2 &&
			    memcmp(key + 1, names[i], strlen(names[i])) == 0)
				rets[i].len = SIZE_MAX; /* this one */
		p = skip_space(p, end);
		if (p == end || *p++ != ':')
			return false;
		value = skip_space(p, end);
		p = skip_value(value, end);
		if (!p)
			return false;
		for (size_t i = 0; i < count; i++)
			if (rets[i].len == SIZE_MAX)
				rets[i] = (struct slice){ value, (size_t)(p - value) };
		p = skip_space(p, end);
		if (p == end)
			return false;
		if (*p == '}')
			return skip_space(p + 1, end) == end;
		if (*p++ != ',')
			return false;
	}
}

/* A string without escapes. */
static bool plain_string(struct slice s, char *ret, size_t size)
{
	if (s.len < 2 || s.len - 2 >= size || *s.p != '"' || memchr(s.p, '\\', s.len) ||
	    memchr(s.p, '\0', s.len))
		return false;
	memcpy(ret, s.p + 1, s.len - 2);
	ret[s.len - 2] = '\0';
	return true;
}

/* ---- lists ---- */

/* What is in `part` and the end of it. */
static int end_part(struct kube_list *l, const char *from, const char *to)
{
	static const char *const names[] = { "resourceVersion", "continue" };
	struct slice values[2] = { 0 };
	size_t len = (size_t)(to - from);

	if (l->part.len + len > KUBE_OBJECT_MAX)
		return -EFBIG;
	if (l->part.len) {
		buf_add(&l->part, from, len);
		from = l->part.data;
		len = l->part.len;
	}
	l->in_part = false;
	if (l->member == ITEMS) {
		l->object(l->owner, from, len);
	} else if (!members(from, len, names, values, ARRAY_SIZE(names)) ||
		   !plain_string(values[0], l->version, sizeof(l->version)) ||
		   (values[1].p && !plain_string(values[1], l->next, sizeof(l->next)))) {
		return -EBADMSG;
	}
	/* One big object does not keep its memory. */
	if (l->part.cap > 65536)
		buf_done(&l->part);
	buf_clear(&l->part);
	return 0;
}

static void end_key(struct kube_list *l)
{
	l->in_key = false;
	l->member = OTHER;
	if (l->key_len == 5 && memcmp(l->key, "items", 5) == 0)
		l->member = ITEMS;
	else if (l->key_len == 8 && memcmp(l->key, "metadata", 8) == 0)
		l->member = METADATA;
}

/* Inside a string. */
static void feed_string(struct kube_list *l, char c)
{
	if (l->in_key && c != '"') {
		if (l->key_len < sizeof(l->key))
			l->key[l->key_len++] = c;
	}
	if (l->escaped) {
		l->escaped = false;
	} else if (c == '\\') {
		l->escaped = true;
	} else if (c == '"') {
		l->string = false;
		if (l->in_key)
			end_key(l);
	}
}

/* Where an object, or the metadata, begins and ends: `depth` is that of its members. */
static unsigned part_depth(const struct kube_list *l)
{
	return l->member == ITEMS ? 3 : l->member == METADATA ? 2 : 0;
}

/* Outside of strings. `*from` is where the part began in this piece. */
static int feed_char(struct kube_list *l, const char *p, const char **from)
{
	char c = *p;

	if (is_space(c))
		return 0;
	if (l->whole || (l->depth == 0 && c != '{'))
		return -EBADMSG;
	/* The list of objects has nothing but objects. */
	if (l->member == ITEMS && l->depth == 2 && c != '{' && c != ',' && c != ']')
		return -EBADMSG;
	switch (c) {
	case '"':
		l->string = true;
		l->in_key = l->depth == 1 && l->expects_key;
		if (l->in_key)
			l->key_len = 0;
		return 0;
	case '{':
	case '[':
		if (!bracket(c, &l->brackets, &l->depth))
			return -EBADMSG;
		l->expects_key |= l->depth == 1;
		if (l->member == ITEMS && l->depth == 2 && c != '[')
			return -EBADMSG;
		if (!l->in_part && c == '{' && l->depth == part_depth(l)) {
			l->in_part = true;
			*from = p;
		}
		return 0;
	case '}':
	case ']':
		if (!bracket(c, &l->brackets, &l->depth))
			return -EBADMSG;
		l->whole = l->depth == 0;
		return l->in_part && l->depth + 1 == part_depth(l) ? end_part(l, *from, p + 1) : 0;
	case ',':
	case ':':
		if (l->depth == 1)
			l->expects_key = c == ',';
		if (l->depth == 1 && c == ',')
			l->member = OTHER;
		return 0;
	default:
		return 0;
	}
}

int kube_list_feed(struct kube_list *l, const char *piece, size_t len)
{
	const char *end = piece + len, *from = piece;
	int r = 0;

	for (const char *p = piece; p < end && r == 0; p++) {
		if (l->string)
			feed_string(l, *p);
		else
			r = feed_char(l, p, &from);
	}
	if (r == 0 && l->in_part) {
		if (l->part.len + (size_t)(end - from) > KUBE_OBJECT_MAX)
			return -EFBIG;
		buf_add(&l->part, from, (size_t)(end - from));
	}
	return r;
}

int kube_list_end(struct kube_list *l)
{
	return l->whole && *l->version ? 0 : -EBADMSG;
}

void kube_list_clear(struct kube_list *l)
{
	buf_done(&l->part);
	*l = (struct kube_list){ .object = l->object, .owner = l->owner };
}

/* ---- lines ---- */

int kube_lines_feed(struct kube_lines *l, const char *piece, size_t len,
		    int (*line)(void *owner, const char *text, size_t len), void *owner)
{
	const char *end = piece + len, *nl;
	int r = 0;

	for (; r == 0 && (nl = memchr(piece, '\n', (size_t)(end - piece))); piece = nl + 1) {
		size_t n = (size_t)(nl - piece);

		if (l->part.len + n > KUBE_OBJECT_MAX)
			return -EFBIG;
		if (!l->part.len) {
			r = n ? line(owner, piece, n) : 0;
			continue;
		}
		buf_add(&l->part, piece, n);
		r = line(owner, l->part.data, l->part.len);
		if (l->part.cap > 65536)
			buf_done(&l->part);
		buf_clear(&l->part);
	}
	if (r < 0)
		return r;
	if (l->part.len + (size_t)(end - piece) > KUBE_OBJECT_MAX)
		return -EFBIG;
	buf_add(&l->part, piece, (size_t)(end - piece));
	return 0;
}

void kube_lines_clear(struct kube_lines *l)
{
	buf_done(&l->part);
}

int kube_event_read(const char *line, size_t len, struct kube_event *ret)
{
	static const char *const types[] = { "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR" };
	static const char *const names[] = { "type", "object" };
	static const char *const inside[] = { "metadata", "kind" };
	static const char *const version = "resourceVersion";
	struct slice values[2] = { 0 }, inner[2] = { 0 };
	unsigned type = 0;
	char name[16];

	*ret = (struct kube_event){ 0 };
	if (!members(line, len, names, values, ARRAY_SIZE(names)) ||
	    !plain_string(values[0], name, sizeof(name)) || !values[1].p || *values[1].p != '{')
		return -EBADMSG;
	while (type < ARRAY_SIZE(types) && strcmp(name, types[type]) != 0)
		type++;
	if (type == ARRAY_SIZE(types))
		return -EBADMSG;
	ret->type = (enum kube_event_type)type;
	ret->object = values[1].p;
	ret->len = values[1].len;
	if (ret->type == KUBE_ERROR)
		return 0;
	if (!members(ret->object, ret->len, inside, inner, ARRAY_SIZE(inside)) || !inner[0].p ||
	    (inner[1].p && !plain_string(inner[1], ret->kind, sizeof(ret->kind))))
		return -EBADMSG;
	values[0] = (struct slice){ 0 };
	if (!members(inner[0].p, inner[0].len, &version, values, 1) ||
	    !plain_string(values[0], ret->version, sizeof(ret->version)) || !*ret->version)
		return -EBADMSG;
	return 0;
}

/* ---- Status ---- */

struct details {
	uint64_t retryAfterSeconds;
};

struct status {
	uint64_t code;
	char *reason, *message;
	struct details *details;
};

static const struct json_field details_fields[] = {
	JSON_FIELD(struct details, retryAfterSeconds, JSON_U64, .optional = true), JSON_END
};

static const struct json_field status_fields[] = {
	JSON_FIELD(struct status, code, JSON_U64, .optional = true, .max = 999),
	JSON_FIELD(struct status, reason, JSON_STRING, .optional = true),
	JSON_FIELD(struct status, message, JSON_STRING, .optional = true, .max = 1 << 20),
	JSON_POINTER(struct status, details, details_fields, .optional = true), JSON_END
};

static void copy_printable(char *ret, size_t size, const char *s)
{
	size_t n = 0;

	for (; s && *s && n + 1 < size; s++)
		ret[n++] = *s >= ' ' && *s <= '~' ? *s : '?';
	ret[n] = '\0';
}

void kube_status_read(const char *text, size_t len, struct kube_status *ret)
{
	struct arena arena = { 0 };
	struct json_error err;
	struct status s = { 0 };

	*ret = (struct kube_status){ 0 };
	if (json_decode(&arena, text, len, status_fields, &s, &err) == 0) {
		ret->code = (int)s.code;
		copy_printable(ret->reason, sizeof(ret->reason), s.reason);
		copy_printable(ret->message, sizeof(ret->message), s.message);
		if (s.details)
			ret->retry_after_ms =
				(long)MIN(s.details->retryAfterSeconds, UINT64_C(86400)) * 1000;
	}
	arena_done(&arena);
}
