/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The publisher: networks and their two journals, inside the caller's transactions, and the one timer
 * for all of them. Owns the writers; main thread.
 */
#include "coordinator/publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/publisher_private.h"
#include "lib/clock.h"
#include "lib/crypto.h"

#define EPOCH_VALUE "epoch " /* store value: the highest epoch of a network that was deleted */

static const struct verify_key *find_key(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known)
{
	const struct publisher *p = owner;

	(void)index;
	return trust_find(p->keys->trust, who, key, ret_known);
}

static void published_free(void *value)
{
	struct published *n = value;

	for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
		outlet_done(&n->outlets[i]);
	free(n);
}

static void unknown_free(void *value)
{
	struct unknown *u = value;

	for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
		readback_free(u->readbacks[i]);
	free(u);
}

static struct published *next_network(const struct publisher *p, struct map_entry **at)
{
	*at = map_next(p->networks, *at);
	return *at ? map_entry_value(*at) : NULL;
}

#define EACH_OUTLET(p, o)                                                                          \
	struct map_entry *at_ = NULL;                                                              \
	for (struct published * n_; (n_ = next_network((p), &at_));)                               \
		for (struct outlet *o = n_->outlets; o < n_->outlets + PUBLISHER_JOURNALS; o++)

/* ---- the timer ---- */

/* Anew each turn of the loop: what is due changes with every call. */
static void prepare(struct loop_hook *h)
{
	struct publisher *p = container_of(h, struct publisher, hook);
	uint64_t due = audit_due(p);

	EACH_OUTLET(p, o)
	{
		due = MIN(due, outlet_due(o));
		if (o->readback)
			due = MIN(due, readback_due(o->readback));
	}
	loop_timer_set(p->loop, &p->timer, due);
}

static void fired(struct loop_timer *t)
{
	struct publisher *p = container_of(t, struct publisher, timer);
	uint64_t now = loop_now(p->loop);

	EACH_OUTLET(p, o)
	if (outlet_due(o) <= now)
		outlet_tick(o);
	audit_tick(p);
}

/* ---- life ---- */

static struct published *published_new(struct publisher *p, const char *name, int *ret_loaded)
{
	struct published *n = xcalloc(1, sizeof(*n));

	*ret_loaded = 0;
	snprintf(n->name, sizeof(n->name), "%s", name);
	for (size_t i = 0; i < PUBLISHER_JOURNALS; i++) {
		int r = outlet_init(&n->outlets[i], p, name, (enum journal_kind)i);

		if (*ret_loaded == 0)
			*ret_loaded = r;
	}
	return n;
}

static int load_networks(struct publisher *p)
{
	struct arena arena = { 0 };
	struct network *rows;
	size_t count;
	int r = store_network_list(p->store, &arena, &rows, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct published *n = published_new(p, rows[i].name, &r);

		map_put(p->networks, rows[i].name, n);
		for (size_t j = 0; j < PUBLISHER_JOURNALS; j++)
			n->outlets[j].held = true; /* until the first audit */
	}
	arena_done(&arena);
	return r;
}

int publisher_new(struct loop *l, struct store *s, const struct keys *k, struct publisher **ret)
{
	struct publisher *p = xcalloc(1, sizeof(*p));
	int r;

	p->loop = l;
	p->store = s;
	p->keys = k;
	p->keyring = (struct keyring){ .find = find_key, .owner = p };
	p->networks = map_new();
	p->unknown = map_new();
	p->outbox_end = &p->outbox;
	p->limit = (struct log_limit){ .per_minute = 10 };
	p->hook.prepare = prepare;
	p->timer.fired = fired;
	audit_init(p);
	loop_hook_add(l, &p->hook);
	r = load_networks(p);
	if (r < 0) {
		publisher_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	loop_hook_del(p->loop, &p->hook);
	loop_timer_del(p->loop, &p->timer);
	p->mqtt = NULL;
	map_free(p->networks, published_free);
	map_free(p->unknown, unknown_free);
	free(p->unknown_names);
	outbox_clear(p);
	audit_done(p);
	free(p);
}

void publisher_on_orphan(struct publisher *p,
			 int (*orphan)(void *owner, const char *network, const char *node,
				       const char *body),
			 void *owner)
{
	p->orphan = orphan;
	p->orphan_owner = owner;
}

void publisher_on_network(struct publisher *p,
			  int (*found)(void *owner, const char *network, const char *settings),
			  void *owner)
{
	p->found = found;
	p->found_owner = owner;
}

/* ---- networks ---- */

static void epoch_value_name(const char *network, char *ret, size_t size)
{
	snprintf(ret, size, EPOCH_VALUE "%s", network);
}

uint64_t publisher_deleted_epoch(struct publisher *p, const char *network)
{
	char name[LABEL_SIZE + 16];
	uint64_t epoch;

	epoch_value_name(network, name, sizeof(name));
	return store_value_get(p->store, name, &epoch) == 0 ? epoch : 0;
}

/* What the broker holds of a network of this name is its past: its members become orphans. */
static int take_unknown(struct published *n, struct unknown *u)
{
	struct outlet *peers = &n->outlets[JOURNAL_PEERS];
	size_t count = 0;
	int r = 0;

	u->taken = true;
	if (!u->readbacks[JOURNAL_PEERS])
		return 0;
	if (readback_is_done(u->readbacks[JOURNAL_PEERS]))
		r = readback_orphans(u->readbacks[JOURNAL_PEERS], true, &count);
	else
		peers->held = true; /* publisher_flush hands the reading over */
	if (count)
		log_warn("orphans", "network=%s count=%zu", n->name, count);
	return r;
}

int publisher_network_add(struct publisher *p, const char *network)
{
	struct unknown *u = map_get(p->unknown, network);
	uint64_t deleted = publisher_deleted_epoch(p, network);
	struct published *n;
	int r;

	if (map_get(p->networks, network))
		return -EEXIST;
	n = published_new(p, network, &r);
	if (r != -ENOENT) { /* a journal of a network that is no network */
		published_free(n);
		return r < 0 ? r : -EEXIST;
	}
	n->added = true;
	map_put(p->networks, network, n);
	r = 0;
	for (size_t i = 0; r == 0 && i < PUBLISHER_JOURNALS; i++)
		r = outlet_begin(&n->outlets[i], MAX(deleted, u ? u->seen[i].epoch : 0));
	if (r == 0 && u)
		r = take_unknown(n, u);
	/* The round that is under way may have seen something of that name, and thrown it away. */
	if (r == 0 && audit_is_reading(p)) {
		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
			n->outlets[i].held = true;
		audit_want(p, network);
	}
	return r;
}

static struct outlet *find_outlet(struct publisher *p, const char *network, enum journal_kind kind)
{
	struct published *n = map_get(p->networks, network);

	return n && !n->deleted && kind < PUBLISHER_JOURNALS ? &n->outlets[kind] : NULL;
}

int publisher_network_del(struct publisher *p, const char *network)
{
	struct published *n = map_get(p->networks, network);
	char name[LABEL_SIZE + 16];
	uint64_t epoch = 1;
	int r = 0;

	if (!n || n->deleted)
		return -ENOENT;
	for (size_t i = 0; r == 0 && i < PUBLISHER_JOURNALS; i++) {
		epoch = MAX(epoch, writer_position(n->outlets[i].writer).epoch);
		r = n->outlets[i].lost ? -EIO : store_journal_delete(p->store, n->outlets[i].path);
	}
	epoch_value_name(network, name, sizeof(name));
	if (r == 0)
		r = store_value_put(p->store, name, epoch);
	n->deleted = true;
	return r;
}

/* ---- members ---- */

int publisher_change(struct publisher *p, const char *network, enum journal_kind kind,
		     const struct publisher_op *ops, size_t count)
{
	struct outlet *o = find_outlet(p, network, kind);

	return o ? outlet_change(o, ops, count) : -ENOENT;
}

int publisher_put(struct publisher *p, const char *network, enum journal_kind kind,
		  const char *name, const char *body)
{
	const struct publisher_op op = { .name = name, .body = body };

	return publisher_change(p, network, kind, &op, 1);
}

int publisher_del(struct publisher *p, const char *network, enum journal_kind kind,
		  const char *name, enum journal_why why)
{
	const struct publisher_op op = { .name = name, .why = why };

	return publisher_change(p, network, kind, &op, 1);
}

int publisher_commit(struct publisher *p, const char *network, enum journal_kind kind)
{
	struct outlet *o = find_outlet(p, network, kind);

	return o ? outlet_commit(o) : -ENOENT;
}

int publisher_release(struct publisher *p, const char *network)
{
	int r = 0;

	for (enum journal_kind kind = 0; r == 0 && kind < PUBLISHER_JOURNALS; kind++) {
		struct outlet *o = find_outlet(p, network, kind);

		r = o ? outlet_release(o) : -ENOENT;
	}
	return r;
}

const char *publisher_get(struct publisher *p, const char *network, enum journal_kind kind,
			  const char *name)
{
	struct outlet *o = find_outlet(p, network, kind);

	return o ? writer_get(o->writer, name) : NULL;
}

const char *publisher_latest(struct publisher *p, const char *network, enum journal_kind kind,
			     const char *name)
{
	struct outlet *o = find_outlet(p, network, kind);

	return o ? outlet_latest(o, name) : NULL;
}

const char *publisher_next(struct publisher *p, const char *network, enum journal_kind kind,
			   const char *name)
{
	struct outlet *o = find_outlet(p, network, kind);

	return o ? writer_next(o->writer, name) : NULL;
}

struct journal_position publisher_position(struct publisher *p, const char *network,
					   enum journal_kind kind)
{
	struct outlet *o = find_outlet(p, network, kind);

	return o ? writer_position(o->writer) : (struct journal_position){ 0 };
}

/* ---- the end of a transaction ---- */

static void take_over_readback(struct publisher *p, struct unknown *u)
{
	struct published *n = map_get(p->networks, u->name);
	struct readback **peers = &u->readbacks[JOURNAL_PEERS];

	if (n && *peers && !readback_is_done(*peers)) {
		n->outlets[JOURNAL_PEERS].readback = TAKE(*peers);
		n->outlets[JOURNAL_PEERS].seen = u->seen[JOURNAL_PEERS];
	}
}

static void settle_unknown(struct publisher *p, bool committed)
{
	struct map_entry *at = NULL;

	while ((at = map_next(p->unknown, at))) {
		struct unknown *u = map_entry_value(at);

		if (u->taken && committed) {
			take_over_readback(p, u);
			unknown_free(map_del(p->unknown, u->name));
		} else {
			u->taken = false;
		}
	}
}

void publisher_flush(struct publisher *p)
{
	struct map_entry *at = NULL;

	settle_unknown(p, true);
	for (struct published *n; (n = next_network(p, &at));) {
		size_t members = writer_count(n->outlets[JOURNAL_PEERS].writer);

		n->added = false;
		if (n->deleted) {
			audit_want_sweep(p, n->name);
			published_free(map_del(p->networks, n->name));
			continue;
		}
		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++) {
			writer_set_subscribers(n->outlets[i].writer, members);
			outlet_flush(&n->outlets[i]);
		}
	}
	outbox_flush(p);
}

void publisher_reload(struct publisher *p)
{
	struct map_entry *at = NULL;

	settle_unknown(p, false);
	for (struct published *n; (n = next_network(p, &at));) {
		n->deleted = false;
		if (n->added) {
			published_free(map_del(p->networks, n->name));
			continue;
		}
		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++) {
			int r = outlet_reload(&n->outlets[i]);

			if (r < 0 && log_allowed(&p->limit))
				log_error("journal-load", "path=%s error=%s", n->outlets[i].path,
					  log_quote(store_message()));
		}
	}
	outbox_clear(p);
}

/* ---- wiring ---- */

void publisher_connected(struct publisher *p, struct mqtt *m)
{
	char filter[TOPIC_SIZE];
	int r;

	p->mqtt = m;
	EACH_OUTLET(p, o)
	outlet_connected(o);
	for (enum journal_kind kind = 0; kind < PUBLISHER_JOURNALS; kind++) {
		audit_filter(p, TOPIC_ASK, kind, NULL, filter);
		mqtt_subscribe(m, filter);
	}
	r = registers_mark(p);
	if (r < 0 && log_allowed(&p->limit))
		log_error("mark-store", "error=%s", log_quote(store_message()));
	audit_want_all(p);
}

void publisher_disconnected(struct publisher *p)
{
	struct map_entry *at = NULL;

	p->mqtt = NULL;
	EACH_OUTLET(p, o)
	outlet_disconnected(o);
	while ((at = map_next(p->unknown, at))) {
		struct unknown *u = map_entry_value(at);

		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
			if (u->readbacks[i])
				readback_disconnected(u->readbacks[i]);
	}
	audit_disconnected(p);
}

bool publisher_message(struct publisher *p, const struct topic *t, const struct mqtt_message *m)
{
	return audit_message(p, t, m);
}

void publisher_ask(struct publisher *p, const struct topic *t, const struct journal_ask *ask)
{
	struct outlet *o = find_outlet(p, t->network, t->journal);
	bool audit = false, rolled_back = false;
	int r;

	if (!o || o->held)
		return; /* an audit is about to be made anyway */
	r = writer_ask(o->writer, loop_now(p->loop), clock_wall(), ask, &audit, &rolled_back);
	if (r < 0 && log_allowed(&p->limit))
		log_error("journal-store", "path=%s error=%s", o->path, log_quote(store_message()));
	if (rolled_back)
		log_warn("journal-rolled-back", "path=%s epoch=%llu told_by=%s", o->path,
			 (unsigned long long)writer_position(o->writer).epoch, t->id);
	if (audit)
		audit_want(p, t->network);
	outlet_flush(o);
}

size_t publisher_unknown_networks(struct publisher *p, const char *const **ret)
{
	free(p->unknown_names);
	p->unknown_names = map_sorted(p->unknown);
	*ret = p->unknown_names;
	return map_count(p->unknown);
}
