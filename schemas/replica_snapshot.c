/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A snapshot that was read: from deflated chunks to the members that follow from it. All of it is
 * looked at before anything changes. One thread, that of the replica.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/compress.h"
#include "schemas/replica_private.h"

struct replica_snapshot *replica_snapshot_new(struct arena *a, const struct journal_manifest *m,
					      const struct replica_document *d)
{
	struct replica_snapshot *s = xcalloc(1, sizeof(*s));

	s->arena = *a;
	*a = (struct arena){ 0 };
	s->manifest = *m;
	s->document = xstrndup(d->bytes, d->len);
	memcpy(s->key, d->key, KEY_ID_SIZE);
	s->chunks = xcalloc(m->chunk_count, sizeof(*s->chunks));
	s->missing = m->chunk_count;
	return s;
}

void replica_snapshot_free(struct replica_snapshot *s)
{
	if (!s)
		return;
	for (size_t k = 0; k < s->manifest.chunk_count; k++)
		buf_done(&s->chunks[k]);
	free(s->chunks);
	free(s->document);
	arena_done(&s->arena);
	free(s);
}

/* What the chunks say together. */
struct content {
	struct map *members; /* listed */
	size_t bytes;
	struct map *gone;	  /* names, the values mean nothing */
	struct journal_run *runs; /* the last ones of the lineage are at its end */
	size_t run_count;
	struct arena arena;
};

static void content_done(struct content *c)
{
	map_free(c->members, free);
	map_free(c->gone, NULL);
	free(c->runs);
	arena_done(&c->arena);
}

static bool add_lists(struct content *c, const struct journal_run *runs, size_t run_count,
		      char *const *gone, size_t gone_count)
{
	if (run_count > JOURNAL_RUNS_MAX - c->run_count)
		return false;
	if (run_count > 0) {
		c->runs = xreallocarray(c->runs, c->run_count + run_count, sizeof(*c->runs));
		memcpy(c->runs + c->run_count, runs, run_count * sizeof(*runs));
		c->run_count += run_count;
	}
	for (size_t i = 0; i < gone_count; i++)
		map_put(c->gone, gone[i], c);
	return true;
}

static bool add_member(struct content *c, const char *name, const char *body)
{
	struct replica_member *m = replica_member_new(name, body, false), *old;

	old = map_put(c->members, name, m);
	free(old);
	c->bytes += m->size;
	return !old && c->bytes <= JOURNAL_BYTES_MAX;
}

static bool add_chunk(struct content *c, char *text, size_t len)
{
	struct journal_lists lists = { 0 };
	char *at = text, *end = text + len, *name, *body;
	int r = journal_chunk_lists(&c->arena, &at, end, &lists);

	if (r < 0 || !add_lists(c, lists.runs, lists.run_count, lists.gone, lists.gone_count))
		return false;
	while ((r = journal_chunk_next(&at, end, &name, &body)) == 1)
		if (!add_member(c, name, body))
			return false;
	return r == 0;
}

/* Reads all chunks, and throws them away one by one. */
static bool content_read(struct replica_snapshot *s, struct content *c)
{
	const struct journal_manifest *m = &s->manifest;
	struct buf text = { 0 };
	bool good;

	c->members = map_new();
	c->gone = map_new();
	good = add_lists(c, m->runs, m->run_count, m->gone, m->gone_count);
	for (size_t k = 0; good && k < m->chunk_count; k++) {
		buf_clear(&text);
		good = zlib_inflate(s->chunks[k].data, s->chunks[k].len, JOURNAL_INFLATED_MAX,
				    &text) == 0 &&
		       add_chunk(c, text.data, text.len);
		buf_done(&s->chunks[k]);
	}
	buf_done(&text);
	return good && map_count(c->members) == m->count && c->run_count > 0 &&
	       journal_runs_in_order(c->runs, c->run_count, m->ver);
}

/* What is listed and was not there like that. */
static void compare_listed(const struct replica *r, const struct content *c,
			   struct replica_changes *to)
{
	struct map_entry *e = NULL;

	while ((e = map_next(c->members, e))) {
		const struct replica_member *m = map_entry_value(e), *old;

		old = map_get(r->members, map_entry_key(e));
		if (!old || old->orphan || strcmp(old->body, m->body) != 0)
			replica_changes_add(to, map_entry_key(e), MEMBER_PUT, m->body, WHY_GONE);
	}
}

/* What we have and the snapshot does not list: of our own epoch it is exact, but for orphans; a new
 * epoch's writer may not have known of it. While nothing is proven it may be an old snapshot. */
static bool stays(const struct replica *r, const struct content *c,
		  const struct journal_manifest *m, const struct replica_member *old,
		  const char *name)
{
	bool proven = r->state.proven;

	if (m->drop)
		return !proven;
	if (proven && m->epoch == r->state.position.epoch && !old->orphan)
		return false;
	return !map_get(c->gone, name);
}

/* Goes through what we have; what stays moves to the listed ones. */
static void compare_unlisted(struct replica *r, struct content *c, const struct journal_manifest *m,
			     struct replica_changes *to)
{
	struct map_entry *e = NULL;

	while ((e = map_next(r->members, e))) {
		struct replica_member *old = map_entry_value(e);
		char *name;

		if (map_get(c->members, map_entry_key(e)))
			continue;
		name = arena_strdup(&c->arena, map_entry_key(e));
		if (!stays(r, c, m, old, name)) {
			replica_changes_add(to, name, MEMBER_DEL, NULL, WHY_GONE);
			continue;
		}
		if (!old->orphan)
			replica_changes_add(to, name, MEMBER_ORPHANED, old->body, WHY_GONE);
		map_del(r->members, name);
		old->orphan = true;
		map_put(c->members, name, old);
	}
}

static void count_members(struct replica *r)
{
	struct map_entry *e = NULL;

	r->orphans = 0;
	r->bytes = 0;
	while ((e = map_next(r->members, e))) {
		const struct replica_member *m = map_entry_value(e);

		r->orphans += m->orphan;
		r->bytes += m->size;
	}
}

static void content_take(struct replica *r, struct replica_snapshot *s, struct content *c)
{
	const struct journal_manifest *m = &s->manifest;
	const struct replica_document d = { .bytes = s->document,
					    .len = strlen(s->document),
					    .key = s->key };
	struct replica_changes changes = { 0 };
	struct map *old = r->members;

	changes.list = xcalloc(map_count(c->members) + map_count(old) + 1, sizeof(*changes.list));
	compare_listed(r, c, &changes);
	compare_unlisted(r, c, m, &changes);
	r->members = TAKE(c->members);
	map_free(old, free);
	count_members(r);
	/* What stayed although the epoch drops it. */
	r->state.drop_due = m->drop && r->orphans > 0;
	replica_move(r, (struct journal_position){ m->epoch, m->ver }, m->at,
		     c->runs[c->run_count - 1].run, &d, PROOF_MANIFEST, &changes);
	free(changes.list);
}

bool replica_snapshot_take(struct replica *r, struct replica_snapshot *s)
{
	const struct journal_manifest *m = &s->manifest;
	const struct replica_state *st = &r->state;
	struct content c = { 0 };
	bool good;

	/* Deltas went on while it was read. */
	if (journal_position_cmp((struct journal_position){ m->epoch, m->ver }, st->position) <= 0)
		return true;
	good = content_read(s, &c);
	if (good && st->proven && m->epoch == st->position.epoch)
		good = journal_runs_hold(c.runs, c.run_count, st->run, st->position.ver);
	if (good)
		content_take(r, s, &c);
	content_done(&c);
	return good;
}
