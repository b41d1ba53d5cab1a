/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The JSON codec with a table of every kind. What is read is written and read again: the two texts are
 * the same. What is refused has a reason that can be printed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/json.h"
#include "lib/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct inner {
	char *key;
	uint64_t epoch;
	struct prefix *list;
	size_t list_count;
};

struct pair {
	char *name;
	char *body;
};

struct all {
	char *name;
	unsigned role;
	bool up;
	uint64_t u64;
	int64_t i64;
	uint16_t port;
	uint8_t key[32], hash[32], run[16];
	struct addr addr;
	struct prefix prefix;
	struct endpoint endpoint;
	int64_t since;
	struct inner inner;
	struct inner *maybe;
	char *raw;
	char **tags;
	size_t tag_count;
	struct inner *peers;
	size_t peer_count;
	struct inner *journals;
	size_t journal_count;
	struct pair *bodies;
	size_t body_count;
};

static const char *const roles[] = { "node", "leaf", "exporter", NULL };

static const struct json_field inner_fields[] = {
	JSON_FIELD(struct inner, epoch, JSON_U64, .max = 1000, .optional = true),
	JSON_LIST(struct inner, list, list_count, JSON_PREFIX, .optional = true, .max = 3), JSON_END
};

static const struct json_field fields[] = {
	JSON_FIELD(struct all, name, JSON_STRING, .optional = true, .check = text_is_label,
		   .what = "a DNS label"),
	JSON_FIELD(struct all, role, JSON_ENUM, .names = roles, .optional = true),
	JSON_FIELD(struct all, up, JSON_BOOL, .optional = true),
	JSON_FIELD(struct all, u64, JSON_U64, .optional = true),
	JSON_FIELD(struct all, i64, JSON_I64, .optional = true, .min = (uint64_t)-5, .max = 5),
	JSON_FIELD(struct all, port, JSON_U16, .optional = true),
	JSON_FIELD(struct all, key, JSON_KEY, .optional = true),
	JSON_FIELD(struct all, hash, JSON_HASH, .optional = true),
	JSON_FIELD(struct all, run, JSON_RUN, .optional = true),
	JSON_FIELD(struct all, addr, JSON_ADDR, .optional = true),
	JSON_FIELD(struct all, prefix, JSON_PREFIX, .optional = true),
	JSON_FIELD(struct all, endpoint, JSON_ENDPOINT, .optional = true),
	JSON_FIELD(struct all, since, JSON_TIME, .optional = true),
	JSON_FIELD(struct all, inner, JSON_OBJECT, .fields = inner_fields),
	JSON_POINTER(struct all, maybe, inner_fields, .optional = true),
	JSON_FIELD(struct all, raw, JSON_RAW, .optional = true),
	JSON_LIST(struct all, tags, tag_count, JSON_STRING, .optional = true, .max = 8),
	JSON_LIST(struct all, peers, peer_count, JSON_OBJECT, .optional = true, .min = 1,
		  .fields = inner_fields),
	JSON_LIST(struct all, journals, journal_count, JSON_OBJECT, .optional = true, .map = true,
		  .key_offset = offsetof(struct inner, key), .fields = inner_fields),
	JSON_LIST(struct all, bodies, body_count, JSON_RAW, .optional = true, .map = true,
		  .key_offset = offsetof(struct pair, name),
		  .value_offset = offsetof(struct pair, body)),
	JSON_END
};

static void check_refusal(const struct json_error *err)
{
	char text[JSON_ERROR_SIZE];

	if (!err->reason[0])
		abort();
	for (const char *p = json_error_text(err, text); *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
}

static void check_round_trip(struct arena *arena, const struct all *all)
{
	struct buf first = { 0 }, second = { 0 }, compact = { 0 };
	struct json_error err;
	struct all again = { 0 };

	json_encode(&first, fields, all);
	if (json_decode(arena, first.data, first.len, fields, &again, &err) < 0)
		abort();
	json_encode(&second, fields, &again);
	if (json_compact(first.data, first.len, &compact, &err) < 0 ||
	    strcmp(first.data, second.data) != 0 || strcmp(first.data, compact.data) != 0)
		abort();
	buf_done(&first);
	buf_done(&second);
	buf_done(&compact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct json_error err;
	struct all all = { 0 };
	struct buf out = { 0 };

	if (json_decode(&arena, (const char *)data, size, fields, &all, &err) < 0)
		check_refusal(&err);
	else
		check_round_trip(&arena, &all);
	if (json_pretty((const char *)data, size, &out) == 0 && !out.len)
		abort();
	buf_done(&out);
	arena_done(&arena);
	return 0;
}
