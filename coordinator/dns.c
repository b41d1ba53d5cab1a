/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The replicas of the exporters' journals, in memory: read anew after each start. Owned by the session;
 * main thread.
 */
#include "coordinator/dns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/dns_private.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SWEEP_QUIET USEC_PER_SEC /* without a message: all retained ones were here */

/* What a removed exporter left at the broker, while it is being cleared. */
struct sweep {
	uint64_t due;
};

static void path_of(const char *network, const char *exporter, char ret[static TOPIC_SIZE])
{
	struct topic t = { .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS };

	snprintf(t.network, sizeof(t.network), "%s", network);
	snprintf(t.exporter, sizeof(t.exporter), "%s", exporter);
	topic_journal_path(&t, ret);
}

/* ---- what a replica asks for ---- */

static void part_subscribe(const struct followed *f, enum topic_kind kind, unsigned slot,
			   unsigned chunk, bool on)
{
	struct topic t = f->journal;
	char topic[TOPIC_SIZE];

	if (!f->dns->mqtt)
		return;
	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(f->dns->authority->keys->mesh, &t, topic);
	if (on)
		mqtt_subscribe(f->dns->mqtt, topic);
	else
		mqtt_unsubscribe(f->dns->mqtt, topic);
}

static void io_subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	part_subscribe(owner, kind, slot, chunk, true);
}

static void io_unsubscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	part_subscribe(owner, kind, slot, chunk, false);
}

static void io_changed(void *owner, const struct replica_change *changes, size_t count,
		       bool removed)
{
	/* Nothing is kept on disk, and the members are read when somebody asks. */
	(void)owner;
	(void)changes;
	(void)count;
	(void)removed;
}

static void io_ask(void *owner, const struct journal_ask *ask)
{
	/* Only nodes may ask: the agents do, of the same journal. */
	(void)owner;
	(void)ask;
}

static uint32_t io_random(void *owner)
{
	uint32_t n;

	(void)owner;
	crypto_random(&n, sizeof(n));
	return n;
}

static void followed_start(struct followed *f)
{
	replica_connected(f->replica, loop_now(f->dns->loop));
	part_subscribe(f, TOPIC_JOURNAL, 0, 0, true);
	part_subscribe(f, TOPIC_BEAT, 0, 0, true);
}

static void followed_add(struct dns *d, const struct exporter_row *e, const char *path)
{
	struct followed *f = xcalloc(1, sizeof(*f));
	const struct replica_io io = { .subscribe = io_subscribe,
				       .unsubscribe = io_unsubscribe,
				       .changed = io_changed,
				       .ask = io_ask,
				       .random = io_random,
				       .owner = f };

	f->dns = d;
	f->journal = (struct topic){ .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS };
	snprintf(f->journal.network, sizeof(f->journal.network), "%s", e->network);
	snprintf(f->journal.exporter, sizeof(f->journal.exporter), "%s", e->id);
	f->replica = replica_new(d->authority->keys->mesh, &f->journal, &d->keys, &io);
	map_put(d->followed, path, f);
	if (d->mqtt)
		followed_start(f);
}

static void followed_free(void *value)
{
	struct followed *f = value;

	part_subscribe(f, TOPIC_JOURNAL, 0, 0, false);
	part_subscribe(f, TOPIC_BEAT, 0, 0, false);
	replica_free(f->replica);
	free(f);
}

/* ---- clearing ---- */

static void sweep_subscribe(const struct dns *d, const char *path, bool on)
{
	char filter[2 * TOPIC_SIZE];

	if (!d->mqtt)
		return;
	/* The journal's own topic is one of them. */
	snprintf(filter, sizeof(filter), "warren/1/%s/%s/#", d->authority->keys->mesh, path);
	if (on)
		mqtt_subscribe(d->mqtt, filter);
	else
		mqtt_unsubscribe(d->mqtt, filter);
}

static void sweep_begin(struct dns *d, const char *path)
{
	struct sweep *s;

	if (map_get(d->sweeps, path))
		return;
	s = xcalloc(1, sizeof(*s));
	s->due = loop_now(d->loop) + SWEEP_QUIET;
	map_put(d->sweeps, path, s);
	sweep_subscribe(d, path, true);
}

static void sweep_message(struct dns *d, struct sweep *s, const struct mqtt_message *m)
{
	if (!m->len)
		return;
	s->due = loop_now(d->loop) + SWEEP_QUIET;
	mqtt_publish(d->mqtt, m->topic, NULL, 0, 1, true);
}

/* Was it an exporter of ours once? One that the database does not know at all is let alone: the database
 * may be the one that forgot. */
static bool was_removed(struct dns *d, const struct topic *t)
{
	struct arena arena = { 0 };
	struct ended_row ended;
	int r = store_ended_get(d->authority->store, &arena, t->network, t->exporter, &ended);

	arena_done(&arena);
	return r == 0;
}

/* ---- time ---- */

static void prepare(struct loop_hook *h)
{
	struct dns *d = container_of(h, struct dns, hook);
	uint64_t due = CLOCK_NEVER;

	for (struct map_entry *at = NULL; (at = map_next(d->followed, at));) {
		const struct followed *f = map_entry_value(at);

		if (d->mqtt)
			due = MIN(due, replica_due(f->replica));
	}
	for (struct map_entry *at = NULL; (at = map_next(d->sweeps, at));) {
		const struct sweep *s = map_entry_value(at);

		due = MIN(due, s->due);
	}
	loop_timer_set(d->loop, &d->timer, due);
}

static void fired(struct loop_timer *t)
{
	struct dns *d = container_of(t, struct dns, timer);
	uint64_t now = loop_now(d->loop);

	for (struct map_entry *at = NULL; (at = map_next(d->followed, at));) {
		struct followed *f = map_entry_value(at);

		if (replica_due(f->replica) <= now)
			replica_tick(f->replica, now);
	}
	for (struct map_entry *at = map_next(d->sweeps, NULL), *next; at; at = next) {
		const struct sweep *s = map_entry_value(at);

		next = map_next(d->sweeps, at);
		if (s->due > now)
			continue;
		sweep_subscribe(d, map_entry_key(at), false);
		log_info("names-swept", "path=%s", map_entry_key(at));
		free(map_del(d->sweeps, map_entry_key(at)));
	}
}

/* ---- life ---- */

struct dns *dns_new(struct loop *l, struct authority *a, const struct keyring *keys)
{
	struct dns *d = xcalloc(1, sizeof(*d));

	d->loop = l;
	d->authority = a;
	d->keys = *keys;
	d->followed = map_new();
	d->sweeps = map_new();
	d->limit = (struct log_limit){ .per_minute = 10 };
	d->hook.prepare = prepare;
	d->timer.fired = fired;
	loop_hook_add(l, &d->hook);
	dns_update(d);
	return d;
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	d->mqtt = NULL;
	loop_hook_del(d->loop, &d->hook);
	loop_timer_del(d->loop, &d->timer);
	map_free(d->followed, followed_free);
	map_free(d->sweeps, free);
	free(d);
}

void dns_connected(struct dns *d, struct mqtt *m)
{
	struct topic t = {
		.kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS, .network = "+", .exporter = "+"
	};
	char filter[TOPIC_SIZE];

	if (!d)
		return;
	d->mqtt = m;
	/* Every journal's head: also those that nobody may write any more. */
	topic_format(d->authority->keys->mesh, &t, filter);
	mqtt_subscribe(m, filter);
	for (struct map_entry *at = NULL; (at = map_next(d->followed, at));)
		followed_start(map_entry_value(at));
}

void dns_disconnected(struct dns *d)
{
	if (!d)
		return;
	d->mqtt = NULL;
	map_clear(d->sweeps, free);
}

bool dns_message(struct dns *d, const struct topic *t, const struct mqtt_message *m,
		 enum refusal *ret)
{
	bool journal = t->kind >= TOPIC_JOURNAL && t->kind <= TOPIC_BEAT;
	char path[TOPIC_SIZE];
	struct followed *f;
	struct sweep *s;

	if (!d || !journal || t->journal != JOURNAL_DNS)
		return false;
	*ret = REFUSED_NOT;
	topic_journal_path(t, path);
	f = map_get(d->followed, path);
	s = map_get(d->sweeps, path);
	if (f)
		*ret = replica_receive(f->replica, loop_now(d->loop), t, m->payload, m->len);
	else if (!s && m->len && was_removed(d, t))
		sweep_begin(d, path);
	else if (s && m->retained)
		sweep_message(d, s, m);
	return true;
}

void dns_update(struct dns *d)
{
	struct arena arena = { 0 };
	struct exporter_row *rows;
	struct map *wanted;
	char path[TOPIC_SIZE];
	size_t count;
	int r;

	if (!d)
		return;
	r = store_exporter_list(d->authority->store, &arena, NULL, NULL, &rows, &count);
	if (r < 0) {
		if (log_allowed(&d->limit))
			log_error("exporters-read", "error=%s", log_quote(store_message()));
		arena_done(&arena);
		return;
	}
	wanted = map_new();
	for (size_t i = 0; i < count; i++) {
		path_of(rows[i].network, rows[i].id, path);
		map_put(wanted, path, d);
		if (map_get(d->sweeps, path)) {
			sweep_subscribe(d, path, false);
			free(map_del(d->sweeps, path));
		}
		if (!map_get(d->followed, path))
			followed_add(d, &rows[i], path);
	}
	for (struct map_entry *at = map_next(d->followed, NULL), *next; at; at = next) {
		next = map_next(d->followed, at);
		if (map_get(wanted, map_entry_key(at)))
			continue;
		snprintf(path, sizeof(path), "%s", map_entry_key(at));
		followed_free(map_del(d->followed, path));
		sweep_begin(d, path);
	}
	map_free(wanted, NULL);
	arena_done(&arena);
}

/* ---- readings ---- */

const struct followed *dns_find(const struct dns *d, const char *network, const char *exporter)
{
	char path[TOPIC_SIZE];

	if (!d)
		return NULL;
	path_of(network, exporter, path);
	return map_get(d->followed, path);
}

struct journal_position dns_position(const struct dns *d, const char *network, const char *exporter)
{
	const struct followed *f = dns_find(d, network, exporter);

	return f ? replica_position(f->replica) : (struct journal_position){ 0 };
}

size_t dns_record_count(const struct dns *d, const char *network, const char *exporter)
{
	const struct followed *f = dns_find(d, network, exporter);

	return f ? replica_count(f->replica) : 0;
}
