/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading JSON by table, over jansson; writing is in json_encode.c.
 *
 * While a document is read jansson takes its memory from an arena of ours that is thrown away at once
 * afterwards: no malloc and free for every value, and no secret of a document left in the heap. So no
 * json_t leaves this file, and none is ever released. Any thread.
 */
#include "lib/json.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two of jansson's names are ours too. Its json_is_object() and json_is_string() are out of use here. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_STRING JANSSON_STRING
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_STRING

#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/text.h"

#define DEPTH_MAX 16
#define KEY_SHOWN 40 /* characters of a map's key in an error's path */

static _Thread_local struct arena *pool; /* jansson's memory while a document is read */

static void *pool_malloc(size_t size)
{
	return pool ? arena_alloc(pool, size) : xmalloc(size);
}

static void pool_free(void *p)
{
	if (!pool)
		free(p);
}

static void set_up(void)
{
	json_set_alloc_funcs(pool_malloc, pool_free);
}

struct place {
	const struct place *up;
	const char *name; /* a field; else */
	const char *key;  /* a map's key; else */
	size_t index;	  /* an array's */
};

struct decoder {
	struct arena *arena;
	struct json_error *err;
};

static PRINTF(4, 5) void path_add(char *path, size_t size, size_t *len, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path + *len, size - *len, fmt, ap);
	va_end(ap);
	*len = MIN(*len + (size_t)MAX(n, 0), size - 1);
}

static void path_add_key(char *path, size_t size, size_t *len, const char *key)
{
	char shown[KEY_SHOWN + 1];
	size_t n = strnlen(key, KEY_SHOWN);

	for (size_t i = 0; i < n; i++)
		shown[i] = key[i] > ' ' && key[i] < 0x7f && key[i] != '"' && key[i] != '\\' ?
				   key[i] :
				   '?';
	shown[n] = '\0';
	path_add(path, size, len, "[\"%s%s\"]", shown, key[n] ? "..." : "");
}

static void path_format(const struct place *at, char *path, size_t size)
{
	const struct place *places[DEPTH_MAX + 1];
	size_t count = 0, len = 0;

	for (; at && count < ARRAY_SIZE(places); at = at->up)
		places[count++] = at;
	path[0] = '\0';
	while (count > 0) {
		at = places[--count];
		if (at->name)
			path_add(path, size, &len, "%s%s", len ? "." : "", at->name);
		else if (at->key)
			path_add_key(path, size, &len, at->key);
		else
			path_add(path, size, &len, "[%zu]", at->index);
	}
}

static PRINTF(3, 4) int fail(const struct decoder *d, const struct place *at, const char *fmt, ...)
{
	va_list ap;

	path_format(at, d->err->path, sizeof(d->err->path));
	va_start(ap, fmt);
	vsnprintf(d->err->reason, sizeof(d->err->reason), fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

const char *json_error_text(const struct json_error *e, char ret[static JSON_ERROR_SIZE])
{
	snprintf(ret, JSON_ERROR_SIZE, "%s %s", e->path[0] ? e->path : "the document", e->reason);
	return ret;
}

/* ---- from text to jansson's tree ---- */

/* jansson itself goes 2048 levels deep. Brackets that do not match are found by it, not here. */
static bool too_deep(const char *text, size_t len)
{
	const char *end = text + len;
	int depth = 0;

	for (const char *p = text; p < end; p++) {
		switch (*p) {
		case '"':
			for (p++; p < end && *p != '"'; p++)
				if (*p == '\\')
					p++;
			break;
		case '{':
		case '[':
			if (++depth > DEPTH_MAX)
				return true;
			break;
		case '}':
		case ']':
			depth--;
			break;
		}
	}
	return false;
}

static void explain(const json_error_t *e, struct json_error *err)
{
	const char *what = "is not JSON";

	switch (json_error_code(e)) {
	case json_error_duplicate_key:
		err->duplicate_key = true;
		what = "has a key twice in one object";
		break;
	case json_error_numeric_overflow:
		what = "has a number that is too big";
		break;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		what = "has a NUL in a string";
		break;
	default:
		err->syntax = true;
		break;
	}
	err->at = (size_t)MAX(e->position, 0);
	snprintf(err->reason, sizeof(err->reason), "%s (at byte %d)", what, e->position);
}

/* The tree lives in `tree`, and jansson may be asked about it until unload(). */
static json_t *load(struct arena *tree, const char *text, size_t len, struct json_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t e;
	json_t *root;

	pthread_once(&once, set_up);
	*err = (struct json_error){ 0 };
	if (too_deep(text, len)) {
		err->syntax = true;
		snprintf(err->reason, sizeof(err->reason), "is nested deeper than %d", DEPTH_MAX);
		return NULL;
	}
	pool = tree;
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (!root)
		explain(&e, err);
	return root;
}

static void unload(struct arena *tree)
{
	pool = NULL;
	arena_done(tree);
}

/* ---- compact text ---- */

static void put_compact(struct buf *out, json_t *v)
{
	char number[64];
	void *first;

	switch (json_typeof(v)) {
	case JANSSON_OBJECT:
		first = json_object_iter(v);
		buf_char(out, '{');
		for (void *i = first; i; i = json_object_iter_next(v, i)) {
			if (i != first)
				buf_char(out, ',');
			json_encode_string(out, json_object_iter_key(i));
			buf_char(out, ':');
			put_compact(out, json_object_iter_value(i));
		}
		buf_char(out, '}');
		break;
	case JSON_ARRAY:
		buf_char(out, '[');
		for (size_t i = 0; i < json_array_size(v); i++) {
			if (i > 0)
				buf_char(out, ',');
			put_compact(out, json_array_get(v, i));
		}
		buf_char(out, ']');
		break;
	case JANSSON_STRING:
		json_encode_string(out, json_string_value(v));
		break;
	case JSON_INTEGER:
		buf_printf(out, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		buf_add(out, number,
			json_dumpb(v, number, sizeof(number), JSON_ENCODE_ANY | JSON_COMPACT));
		break;
	case JSON_TRUE:
		buf_str(out, "true");
		break;
	case JSON_FALSE:
		buf_str(out, "false");
		break;
	case JSON_NULL:
		buf_str(out, "null");
		break;
	}
}

/* ---- values ---- */

/* Bounds of one value: those of an array are its count. */
static uint64_t value_max(const struct json_field *f, uint64_t otherwise)
{
	return !f->array && f->max ? f->max : otherwise;
}

static uint64_t value_min(const struct json_field *f)
{
	return f->array ? 0 : f->min;
}

static int decode_length(const struct decoder *d, const struct place *at, size_t len, uint64_t min,
			 uint64_t max, const char *unit)
{
	if (len < min)
		return fail(d, at, "has less than %llu %s", (unsigned long long)min, unit);
	if (len > max)
		return fail(d, at, "has more than %llu %s", (unsigned long long)max, unit);
	return 0;
}

static int decode_string(const struct decoder *d, const struct json_field *f, json_t *v, char **ret,
			 const struct place *at)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);
	int r;

	if (!s)
		return fail(d, at, "is not a string");
	r = decode_length(d, at, len, value_min(f), value_max(f, JSON_DEFAULT_MAX), "bytes");
	if (r < 0)
		return r;
	if (f->check && !f->map && !f->check(s))
		return fail(d, at, "is not %s", f->what ? f->what : "right");
	*ret = arena_memdup(d->arena, s, len + 1);
	return 0;
}

static int decode_enum(const struct decoder *d, const struct json_field *f, json_t *v,
		       unsigned *ret, const struct place *at)
{
	const char *s = json_string_value(v);
	char list[80] = "";
	size_t len = 0;

	if (!s)
		return fail(d, at, "is not a string");
	for (unsigned i = 0; f->names[i]; i++) {
		if (strcmp(s, f->names[i]) == 0) {
			*ret = i;
			return 0;
		}
		path_add(list, sizeof(list), &len, "%s%s", i ? ", " : "", f->names[i]);
	}
	return fail(d, at, "is none of %s", list);
}

static int decode_unsigned(const struct decoder *d, const struct json_field *f, json_t *v,
			   uint64_t whole, uint64_t *ret, const struct place *at)
{
	uint64_t min = value_min(f), max = MIN(value_max(f, whole), whole);
	json_int_t n = json_integer_value(v);

	if (json_typeof(v) != JSON_INTEGER)
		return fail(d, at, "is not an integer");
	if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return fail(d, at, "is not within %llu and %llu", (unsigned long long)min,
			    (unsigned long long)max);
	*ret = (uint64_t)n;
	return 0;
}

static int decode_i64(const struct decoder *d, const struct json_field *f, json_t *v, int64_t *ret,
		      const struct place *at)
{
	bool whole = f->array || (!f->min && !f->max);
	int64_t min = whole ? INT64_MIN : (int64_t)f->min,
		max = whole ? INT64_MAX : (int64_t)f->max;
	json_int_t n = json_integer_value(v);

	if (json_typeof(v) != JSON_INTEGER)
		return fail(d, at, "is not an integer");
	if (n < min || n > max)
		return fail(d, at, "is not within %lld and %lld", (long long)min, (long long)max);
	*ret = n;
	return 0;
}

/* The kinds that are a string of some form in JSON and a plain value in C. */
static int decode_text(const struct decoder *d, const struct json_field *f, json_t *v, void *ret,
		       const struct place *at)
{
	const char *s = json_string_value(v), *what = NULL;
	size_t len = json_string_length(v);

	if (!s)
		return fail(d, at, "is not a string");
	switch (f->kind) {
	case JSON_KEY:
		if (len != 44 || base64_decode(s, len, ret, 32) != 32)
			what = "a key (base64 of 32 bytes)";
		break;
	case JSON_HASH:
		if (len != 64 || hex_decode(s, ret, 32) < 0)
			what = "a hash (64 lower-case hex digits)";
		break;
	case JSON_RUN:
		if (len != 32 || hex_decode(s, ret, 16) < 0)
			what = "32 lower-case hex digits";
		break;
	case JSON_ADDR:
		if (addr_parse(s, ret) < 0)
			what = "an IP address";
		break;
	case JSON_PREFIX:
		if (prefix_parse(s, ret) < 0)
			what = "an IP prefix (ADDRESS/LEN)";
		break;
	case JSON_ENDPOINT:
		if (endpoint_parse(s, ret) < 0)
			what = "an endpoint (ADDRESS:PORT)";
		break;
	case JSON_TIME:
		if (clock_rfc3339_parse(s, ret) < 0)
			what = "a time (RFC 3339, UTC)";
		break;
	default:
		assert(!"a kind with a reader of its own");
	}
	return what ? fail(d, at, "is not %s", what) : 0;
}

static int decode_raw(const struct decoder *d, const struct json_field *f, json_t *v, char **ret,
		      const struct place *at)
{
	struct buf text = { 0 };
	int r;

	put_compact(&text, v);
	r = decode_length(d, at, text.len, value_min(f), value_max(f, SIZE_MAX), "bytes");
	if (r == 0)
		*ret = arena_memdup(d->arena, text.data, text.len + 1);
	buf_done(&text);
	return r;
}

/* Everything but arrays and structs. */
static int decode_plain(const struct decoder *d, const struct json_field *f, json_t *v, void *ret,
			const struct place *at)
{
	uint64_t n = 0;
	int r;

	switch (f->kind) {
	case JSON_STRING:
		return decode_string(d, f, v, ret, at);
	case JSON_ENUM:
		return decode_enum(d, f, v, ret, at);
	case JSON_BOOL:
		if (!json_is_boolean(v))
			return fail(d, at, "is neither true nor false");
		*(bool *)ret = json_is_true(v);
		return 0;
	case JSON_U64:
		return decode_unsigned(d, f, v, INT64_MAX, ret, at);
	case JSON_I64:
		return decode_i64(d, f, v, ret, at);
	case JSON_U16:
		r = decode_unsigned(d, f, v, UINT16_MAX, &n, at);
		*(uint16_t *)ret = (uint16_t)n;
		return r;
	case JSON_RAW:
		return decode_raw(d, f, v, ret, at);
	default:
		return decode_text(d, f, v, ret, at);
	}
}

/* ---- arrays and structs ---- */

/* Makes room for the elements. */
static int decode_array_begin(const struct decoder *d, const struct json_field *f, json_t *v,
			      void *ret, char **ret_elements, const struct place *at)
{
	size_t count = f->map ? json_object_size(v) : json_array_size(v);
	char *elements = NULL;
	int r;

	if (json_typeof(v) != (f->map ? JANSSON_OBJECT : JSON_ARRAY))
		return fail(d, at, "is not an %s", f->map ? "object" : "array");
	r = decode_length(d, at, count, f->min, f->max ? f->max : JSON_DEFAULT_MAX,
			  f->map ? "members" : "elements");
	if (r < 0)
		return r;
	if (count > 0)
		elements = arena_array(d->arena, count, f->element_size);
	*(void **)((char *)ret + f->offset) = elements;
	*(size_t *)(void *)((char *)ret + f->count_offset) = count;
	*ret_elements = elements;
	return 0;
}

static int decode_map_key(const struct decoder *d, const struct json_field *f, const char *key,
			  char **ret, const struct place *at)
{
	size_t len = strlen(key);

	if (len > JSON_DEFAULT_MAX)
		return fail(d, at, "has a key longer than %d bytes", JSON_DEFAULT_MAX);
	if (f->check && !f->check(key))
		return fail(d, at, "has a key that is not %s", f->what ? f->what : "right");
	*ret = arena_memdup(d->arena, key, len + 1);
	return 0;
}

/* The field's number, -1 when there is none. Writers keep the table's order, so the search begins
 * behind the field found last. */
static int find_field(const struct json_field *fields, int count, const char *name, int last)
{
	for (int i = 0, at = last + 1; i < count; i++, at++) {
		if (at >= count)
			at = 0;
		if (strcmp(fields[at].name, name) == 0)
			return at;
	}
	return -1;
}

static int count_fields(const struct json_field *fields)
{
	int n = 0;

	while (fields[n].name)
		n++;
	assert(n <= 64);
	return n;
}

static int check_missing(const struct decoder *d, const struct json_field *fields, uint64_t seen,
			 const struct place *at)
{
	for (int i = 0; fields[i].name; i++) {
		struct place place = { .up = at, .name = fields[i].name };

		if (!fields[i].optional && !(seen >> i & 1))
			return fail(d, &place, "is missing");
	}
	return 0;
}

/* One function for all that holds other values. `ret` is the struct that the field is in or, for an
 * element of an array, the element's value. */
static int decode(const struct decoder *d, const struct json_field *f, json_t *v, void *ret,
		  bool element, const struct place *at)
{
	char *to = (char *)ret + (element ? 0 : f->offset);
	int r = 0, found = -1, count;
	uint64_t seen = 0;
	size_t n = 0;

	if (f->array && !element) {
		/* Of the two loops one finds nothing to do: `v` is an array or an object. */
		r = decode_array_begin(d, f, v, ret, &to, at);
		if (r < 0 || !to)
			return r;
		for (; r == 0 && n < json_array_size(v); n++) {
			struct place place = { .up = at, .index = n };

			r = decode(d, f, json_array_get(v, n), to + n * f->element_size, true,
				   &place);
		}
		for (void *i = json_object_iter(v); r == 0 && i; i = json_object_iter_next(v, i)) {
			struct place place = { .up = at, .key = json_object_iter_key(i) };
			char *e = to + n++ * f->element_size;

			r = decode_map_key(d, f, place.key, (char **)(void *)(e + f->key_offset),
					   &place);
			if (r == 0)
				r = decode(d, f, json_object_iter_value(i), e + f->value_offset,
					   true, &place);
		}
		return r;
	}
	if (f->kind != JSON_OBJECT)
		return decode_plain(d, f, v, to, at);
	if (json_typeof(v) != JANSSON_OBJECT)
		return fail(d, at, "is not an object");
	if (f->pointer && !element)
		to = *(void **)(void *)to = arena_alloc(d->arena, f->element_size);
	count = count_fields(f->fields);
	for (void *i = json_object_iter(v); r == 0 && i; i = json_object_iter_next(v, i)) {
		int k = find_field(f->fields, count, json_object_iter_key(i), found);
		const struct json_field *e = &f->fields[MAX(k, 0)];
		struct place place = { .up = at, .name = e->name };

		if (k < 0 || (e->nullable && json_is_null(json_object_iter_value(i))))
			continue;
		r = decode(d, e, json_object_iter_value(i), to, false, &place);
		seen |= UINT64_C(1) << k;
		found = k;
	}
	return r < 0 ? r : check_missing(d, f->fields, seen, at);
}

int json_decode(struct arena *arena, const char *text, size_t len, const struct json_field *fields,
		void *ret, struct json_error *err)
{
	const struct json_field document = { .kind = JSON_OBJECT, .fields = fields };
	const struct decoder d = { .arena = arena, .err = err };
	struct arena tree = { 0 };
	json_t *root = load(&tree, text, len, err);
	int r = root ? decode(&d, &document, root, ret, true, NULL) : -EBADMSG;

	unload(&tree);
	return r;
}

int json_compact(const char *text, size_t len, struct buf *out, struct json_error *err)
{
	struct arena tree = { 0 };
	json_t *root = load(&tree, text, len, err);

	if (root)
		put_compact(out, root);
	unload(&tree);
	return root ? 0 : -EBADMSG;
}

static int append(const char *text, size_t len, void *out)
{
	buf_add(out, text, len);
	return 0;
}

int json_pretty(const char *text, size_t len, struct buf *out)
{
	struct json_error err;
	struct arena tree = { 0 };
	json_t *root = load(&tree, text, len, &err);
	int r = root ? json_dump_callback(root, append, out, JSON_INDENT(2) | JSON_ENCODE_ANY) : -1;

	unload(&tree);
	return r < 0 ? -EBADMSG : 0;
}
