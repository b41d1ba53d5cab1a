/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cuts members into chunks that fit the wire. Owns nothing; the writer's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compress.h"
#include "schemas/writer_private.h"

#define INLINE_GONE 8192  /* bytes of names, as JSON */
#define LISTS_TEXT 48000  /* of a chunk with lists: needs no compression to fit */
#define RUN_TEXT 80	  /* a run as JSON, at most */
#define FIRST_TEXT 131072 /* of the first chunk with members, until its ratio is known */
#define LEAST_TEXT 32768
#define MOST_TEXT 900000
#define DEFLATED_AIM 57344

static struct buf *new_chunk(struct writer_chunks *c)
{
	c->list = xreallocarray(c->list, c->count + 1, sizeof(*c->list));
	c->list[c->count] = (struct buf){ 0 };
	return &c->list[c->count++];
}

void writer_chunks_done(struct writer_chunks *c)
{
	for (size_t i = 0; i < c->count; i++)
		buf_done(&c->list[i]);
	free(c->list);
	*c = (struct writer_chunks){ 0 };
}

/* ---- lists ---- */

static size_t gone_bytes(const struct journal_lists *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->gone_count; i++)
		n += strlen(l->gone[i]) + 3;
	return n;
}

static void add_lists_chunk(struct writer_chunks *c, const struct journal_lists *part)
{
	struct buf text = { 0 };

	json_encode(&text, journal_lists_fields, part);
	buf_char(&text, '\n');
	zlib_deflate(text.data, text.len, new_chunk(c));
	buf_done(&text);
}

static void cut_lists(struct writer_chunks *c, const struct journal_lists *l)
{
	const size_t runs_each = LISTS_TEXT / RUN_TEXT;
	size_t n;

	for (size_t i = 0; i < l->run_count; i += n) {
		n = MIN(runs_each, l->run_count - i);
		add_lists_chunk(c, &(struct journal_lists){ .runs = l->runs + i, .run_count = n });
	}
	for (size_t i = 0; i < l->gone_count; i += n) {
		size_t text = 0;

		for (n = 0; i + n < l->gone_count; n++) {
			text += strlen(l->gone[i + n]) + 3;
			if (text > LISTS_TEXT)
				break;
		}
		add_lists_chunk(c, &(struct journal_lists){ .gone = l->gone + i, .gone_count = n });
	}
}

/* ---- members ---- */

/* The length of the whole lines within the first `n` bytes. */
static size_t whole_lines(const struct buf *text, size_t n)
{
	const char *lf = memrchr(text->data, '\n', n);

	return (size_t)(lf - text->data) + 1;
}

/* Makes one chunk of about *aim bytes from the front of the text, and learns how well it deflates. */
static void cut_front(struct writer_chunks *c, struct buf *text, size_t *aim)
{
	size_t n = text->len > *aim ? whole_lines(text, *aim) : text->len;
	struct buf *chunk = new_chunk(c);

	zlib_deflate(text->data, n, chunk);
	while (chunk->len > JOURNAL_CHUNK_MAX) {
		/* A line is shorter than half of what does not fit. */
		n = whole_lines(text, n / 2);
		buf_clear(chunk);
		zlib_deflate(text->data, n, chunk);
	}
	*aim = MIN(MAX(n * DEFLATED_AIM / chunk->len, LEAST_TEXT), MOST_TEXT);
	memmove(text->data, text->data + n, text->len - n);
	text->len -= n;
}

int writer_chunks_cut(const struct map *members, const struct journal_lists *lists,
		      struct writer_chunks *ret, bool *ret_inline)
{
	struct writer_chunks c = { 0 };
	struct map_entry *e = NULL;
	struct buf text = { 0 };
	size_t aim = FIRST_TEXT;

	*ret_inline = lists->run_count <= WRITER_INLINE_RUNS && gone_bytes(lists) <= INLINE_GONE;
	if (!*ret_inline)
		cut_lists(&c, lists);
	while ((e = map_next(members, e)) && c.count <= JOURNAL_CHUNKS_MAX) {
		journal_chunk_add(&text, map_entry_key(e), map_entry_value(e));
		while (text.len >= aim)
			cut_front(&c, &text, &aim);
	}
	while (text.len > 0 && c.count <= JOURNAL_CHUNKS_MAX)
		cut_front(&c, &text, &aim);
	buf_done(&text);
	if (c.count > JOURNAL_CHUNKS_MAX) {
		writer_chunks_done(&c);
		return -EFBIG;
	}
	*ret = c;
	return 0;
}
