/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The services file. Owns the watch. One thread.
 */
#include "exporter/source_file.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/services.h"
#include "exporter/state.h"
#include "exporter/watch.h"
#include "lib/file.h"
#include "lib/log.h"

#define TRIM_BYTES 65536 /* a file above this leaves memory that is worth giving back */

struct source_file {
	const char *path;
	const struct source_events *events;
	void *owner;
	struct watch *watch;
	bool started;
	bool unread_told; /* that the file cannot be read */
};

const char *source_error(int r)
{
	return r == -EFBIG ? "too much for one journal" : state_message();
}

static void take_text(struct source_file *s, const struct buf *text)
{
	struct map *records = map_new();
	struct services_ranges ranges;
	char why[SERVICES_WHY_SIZE];
	int r = services_parse(buf_cstr(text), text->len, records, &ranges, why);

	if (r < 0) {
		log_error("services-refused", "file=%s why=%s kept=%zu", log_quote(s->path),
			  log_quote(why), s->events->count(s->owner));
		map_free(records, free);
		return;
	}
	r = s->events->records(s->owner, records);
	if (r < 0) {
		log_error("services-not-published", "file=%s error=%s", log_quote(s->path),
			  log_quote(source_error(r)));
		watch_again(s->watch);
	} else {
		log_info("records", "count=%zu", map_count(records));
	}
	s->events->ranges(s->owner, ranges.list, ranges.count);
	map_free(records, free);
}

static void unreadable(struct source_file *s, int r)
{
	if (!s->unread_told)
		log_error("services-unreadable", "file=%s error=%s kept=%zu", log_quote(s->path),
			  strerror(-r), s->events->count(s->owner));
	s->unread_told = true;
}

static void changed(void *owner)
{
	struct source_file *s = owner;
	struct buf text = { 0 };
	bool long_one;
	int r;

	if (!s->started)
		return;
	r = file_read(s->path, SERVICES_BYTES_MAX, &text);
	if (r < 0) {
		unreadable(s, r);
	} else {
		s->unread_told = false;
		take_text(s, &text);
	}
	long_one = text.len > TRIM_BYTES;
	buf_done(&text);
	if (long_one)
		malloc_trim(0);
}

int source_file_new(struct loop *l, const char *path, const struct source_events *events,
		    void *owner, struct source_file **ret)
{
	struct source_file *s = xcalloc(1, sizeof(*s));
	int r;

	s->path = path;
	s->events = events;
	s->owner = owner;
	r = watch_new(l, path, changed, s, &s->watch);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void source_file_free(struct source_file *s)
{
	if (!s)
		return;
	watch_free(s->watch);
	free(s);
}

void source_file_start(struct source_file *s)
{
	s->started = true;
	changed(s);
}
