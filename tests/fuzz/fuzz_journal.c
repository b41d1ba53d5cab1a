/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a journal's topics hold. The first byte chooses: a delta, a manifest, a beat, a request, an inflated
 * chunk. What is taken and written again must be taken again, and be the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

union content {
	struct journal_delta delta;
	struct journal_manifest manifest;
	struct journal_beat beat;
	struct journal_ask ask;
};

static const struct json_field *const tables[] = { journal_delta_fields, journal_manifest_fields,
						   journal_beat_fields, journal_ask_fields };

static enum refusal decode(unsigned kind, struct arena *a, const char *text, size_t len,
			   union content *ret)
{
	struct json_error err;

	memset(ret, 0, sizeof(*ret));
	switch (kind) {
	case 0:
		return journal_delta_decode(a, text, len, &ret->delta, &err);
	case 1:
		return journal_manifest_decode(a, text, len, &ret->manifest, &err);
	case 2:
		return journal_beat_decode(a, text, len, &ret->beat, &err);
	default:
		return journal_ask_decode(a, text, len, &ret->ask, &err);
	}
}

static void there_and_back(unsigned kind, const char *text, size_t len)
{
	struct buf first = { 0 }, second = { 0 };
	struct arena a = { 0 };
	union content d;

	if (!decode(kind, &a, text, len, &d)) {
		json_encode(&first, tables[kind], &d);
		check(!decode(kind, &a, first.data, first.len, &d));
		json_encode(&second, tables[kind], &d);
		check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	}
	buf_done(&first);
	buf_done(&second);
	arena_done(&a);
}

static void chunk(const char *bytes, size_t len)
{
	struct journal_lists lists = { 0 };
	struct buf text = { 0 }, again = { 0 };
	struct arena a = { 0 };
	char *at, *end, *name, *body;
	size_t from;
	int r;

	buf_add(&text, bytes, len);
	if (len == 0)
		buf_char(&text, '\n');
	at = text.data;
	end = at + text.len;
	if (journal_chunk_lists(&a, &at, end, &lists) == 0) {
		for (size_t i = 0; i < lists.gone_count; i++)
			check(text_is_member_name(lists.gone[i]));
		from = (size_t)(at - text.data);
		while ((r = journal_chunk_next(&at, end, &name, &body)) == 1) {
			check(text_is_member_name(name));
			check(text_is_member_body(body, strlen(body)));
			journal_chunk_add(&again, name, body);
		}
		check(r < 0 || at == end);
		check(r < 0 || (again.len == len - from &&
				memcmp(buf_cstr(&again), bytes + from, again.len) == 0));
	}
	buf_done(&again);
	buf_done(&text);
	arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 5 < 4)
		there_and_back(data[0] % 5, (const char *)data + 1, size - 1);
	else
		chunk((const char *)data + 1, size - 1);
	return 0;
}
