/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a Kubernetes API server answers, as a list, as a watch and as a Status. The first byte says how long
 * the pieces are; in one piece the same comes out.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_object(void *owner, const char *text, size_t len)
{
	if (len < 2 || text[0] != '{' || text[len - 1] != '}')
		abort();
	buf_add(owner, text, len);
	buf_char(owner, '\n');
}

static int read_list(const char *text, size_t len, size_t piece, struct buf *out)
{
	struct kube_list l = { .object = on_object, .owner = out };
	int r = 0;

	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = kube_list_feed(&l, text + at, MIN(piece, len - at));
	if (r == 0)
		r = kube_list_end(&l);
	if (r == 0)
		buf_printf(out, "%s %s", l.version, l.next);
	kube_list_clear(&l);
	return r;
}

static int on_line(void *owner, const char *line, size_t len)
{
	struct kube_event e;
	int r = kube_event_read(line, len, &e);

	if (r < 0)
		return r;
	if (e.object < line || e.object + e.len > line + len || !e.len)
		abort();
	if (e.type != KUBE_ERROR && !*e.version)
		abort();
	on_object(owner, e.object, e.len);
	return 0;
}

static int read_watch(const char *text, size_t len, size_t piece, struct buf *out)
{
	struct kube_lines l = { 0 };
	int r = 0;

	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = kube_lines_feed(&l, text + at, MIN(piece, len - at), on_line, out);
	kube_lines_clear(&l);
	return r;
}

static void compare(int (*read)(const char *text, size_t len, size_t piece, struct buf *out),
		    const char *text, size_t len, size_t piece)
{
	struct buf pieces = { 0 }, whole = { 0 };

	if (read(text, len, piece, &pieces) != read(text, len, len + 1, &whole) ||
	    pieces.len != whole.len || memcmp(buf_cstr(&pieces), buf_cstr(&whole), whole.len) != 0)
		abort();
	buf_done(&pieces);
	buf_done(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_status s;
	const char *text;

	if (size == 0)
		return 0;
	text = (const char *)data + 1;
	compare(read_list, text, size - 1, 1 + *data % 32);
	compare(read_watch, text, size - 1, 1 + *data % 32);
	kube_status_read(text, size - 1, &s);
	if (s.code < 0 || s.code > 999 || s.retry_after_ms < 0)
		abort();
	return 0;
}
