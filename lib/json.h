/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON by table: the only user of jansson. A table of fields describes a plain struct; the same
 * table decodes (with type, range, length, pattern, presence and count checked in one place) and
 * encodes. Errors name the path of the field and the reason, never the raw input.
 *
 *	static const struct json_field peer_fields[] = {
 *		JSON_STR(struct peer, name, .check = text_is_label, .what = "a DNS label"),
 *		JSON_KEY(struct peer, identity_key, .optional = true),
 *		JSON_ARRAY(struct peer, addresses, address_count, JSON_PREFIX, .max = 4),
 *		JSON_END };
 *
 * Unknown fields are ignored; duplicate keys, trailing bytes, nesting deeper than 16, strings with
 * NUL and numbers that are no integers (where an integer is asked) are refused.
 *
 * Kinds and their C types in the struct:
 *   JSON_STRING   char *            (arena; absent: NULL). min/max: bytes. `check`: a predicate
 *   JSON_ENUM     unsigned          index into `names` (NULL at its end); absent: 0
 *   JSON_BOOL     bool              absent: false
 *   JSON_U64      uint64_t          within [min, max]; absent: 0   (JSON integers, at most 2^63-1)
 *   JSON_I64      int64_t           within [min, max] read as signed
 *   JSON_U16      uint16_t
 *   JSON_KEY      uint8_t[32]       base64 as `wg` prints it; absent: zeros
 *   JSON_HASH     uint8_t[32]       64 lower-case hex digits
 *   JSON_RUN      uint8_t[16]       32 lower-case hex digits
 *   JSON_ADDR     struct addr       absent: family 0
 *   JSON_PREFIX   struct prefix     absent: family 0
 *   JSON_ENDPOINT struct endpoint   absent: family 0
 *   JSON_TIME     int64_t           RFC 3339 UTC; absent: 0
 *   JSON_OBJECT   struct by `fields`, embedded (not optional) or, with .pointer, a pointer to one in
 *                 the arena (absent: NULL)
 *   JSON_RAW      char *            any value, as compact JSON text in the arena; absent: NULL
 * Arrays: a pointer to `count` elements in the arena, the count in a size_t beside it; JSON arrays,
 * or with .map a JSON object whose keys go into the element's string field at `key_offset` (and its
 * values to `value_offset`, which is 0 for structs). None: NULL and 0.
 *
 * `min` and `max` are the count of an array, the length of a string in bytes, the range of a number;
 * elements of an array have the whole range of their kind, strings JSON_DEFAULT_MAX bytes. max 0 means
 * JSON_DEFAULT_MAX for counts and lengths, the whole range for numbers (JSON_I64: when min is 0 too),
 * the size of the document for JSON_RAW. `check` of a map looks at its keys, not at its values.
 * A table has at most 64 fields; their names need no escapes.
 *
 * Any thread, one document at a time in each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/mem.h"

enum json_kind {
	JSON_STRING,
	JSON_ENUM,
	JSON_BOOL,
	JSON_U64,
	JSON_I64,
	JSON_U16,
	JSON_KEY,
	JSON_HASH,
	JSON_RUN,
	JSON_ADDR,
	JSON_PREFIX,
	JSON_ENDPOINT,
	JSON_TIME,
	JSON_OBJECT,
	JSON_RAW,
};

struct json_field {
	const char *name; /* NULL ends the table */
	enum json_kind kind;
	size_t offset;
	bool optional;
	bool array;    /* elements of `kind`, pointer at `offset`, count at `count_offset` */
	bool map;      /* with `array`: a JSON object, keys into the element's `key_offset` */
	bool pointer;  /* with JSON_OBJECT, not array; needs element_size: JSON_POINTER */
	bool nullable; /* reading: null counts as absent */
	size_t count_offset;
	size_t element_size;
	size_t key_offset;
	size_t value_offset;
	uint64_t min, max; /* length, range, or count of an array; max 0: JSON_DEFAULT_MAX */
	bool (*check)(const char *s);	 /* JSON_STRING: also each element, also map keys */
	const char *what;		 /* what `check` wants, for the message: "a DNS label" */
	const char *const *names;	 /* JSON_ENUM */
	const struct json_field *fields; /* JSON_OBJECT */
};

#define JSON_DEFAULT_MAX 4096
#define JSON_END                                                                                   \
	{                                                                                          \
		.name = NULL                                                                       \
	}
/* JSON_FIELD(struct peer, name, JSON_STRING, ...): name and offset from the member. */
#define JSON_FIELD(type, member, kind_, ...)                                                       \
	{                                                                                          \
		.name = #member, .kind = kind_, .offset = offsetof(type, member), ##__VA_ARGS__    \
	}
#define JSON_LIST(type, member, count_member, kind_, ...)                                          \
	{                                                                                          \
		.name = #member, .kind = kind_, .offset = offsetof(type, member), .array = true,   \
		.count_offset = offsetof(type, count_member),                                      \
		.element_size = sizeof(*((type *)0)->member), ##__VA_ARGS__                        \
	}
/* JSON_POINTER(struct answer, trust, trust_fields, .optional = true) */
#define JSON_POINTER(type, member, fields_, ...)                                                   \
	{                                                                                          \
		.name = #member, .kind = JSON_OBJECT, .offset = offsetof(type, member),            \
		.pointer = true, .element_size = sizeof(*((type *)0)->member), .fields = fields_,  \
		##__VA_ARGS__                                                                      \
	}

#define JSON_ERROR_SIZE 192
struct json_error {
	bool duplicate_key; /* the cause "duplicate_key" of the status page */
	bool syntax;	    /* not JSON at all, or too deep: the cause "json"; else "schema" */
	size_t at;	    /* with no path: the byte where reading stopped */
	char path[96];	    /* `peers[3].addresses[0]`; "" for the document */
	char reason[96];    /* "is not an IP prefix (ADDRESS/LEN)" */
};
/* "PATH REASON", for messages. */
const char *json_error_text(const struct json_error *e, char ret[static JSON_ERROR_SIZE]);

/* Decodes into `ret`, a zeroed struct; strings and arrays live in `arena`. 0 or -EBADMSG with
 * `err` filled. On failure `ret` may be half filled, the arena holds it. */
int json_decode(struct arena *arena, const char *text, size_t len, const struct json_field *fields,
		void *ret, struct json_error *err) MUST_CHECK;

/* Appends compact JSON. Absent optional values are left out. */
void json_encode(struct buf *out, const struct json_field *fields, const void *what);
/* Appends a JSON string literal with quotes. */
void json_encode_string(struct buf *out, const char *s);
/* Compact form of any JSON text (the canonical one of journal bodies: jansson's compact dump, order
 * kept). -EBADMSG when it is not JSON. */
int json_compact(const char *text, size_t len, struct buf *out, struct json_error *err) MUST_CHECK;
/* Indented by two, for people. */
int json_pretty(const char *text, size_t len, struct buf *out) MUST_CHECK;
