/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the broker holds of ours: read back at each connection and when a replica asks, compared, and
 * sent again where it is missing or different; what is there is not sent. Owned by the publisher; main
 * thread.
 *
 * One round at a time: subscribe, then publish a marker to a topic that we are subscribed to. When it
 * comes back, and nothing of interest has come for a short while, all retained messages are here. Until
 * its round is over a journal is held: nothing of it is sent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/publisher_private.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/text.h"

#define QUIET (100 * USEC_PER_MSEC)  /* behind the marker; brokers other than mosquitto reorder */
#define PATIENCE (10 * USEC_PER_SEC) /* without a marker and without a message */
#define UNKNOWN_MAX 1024

static const enum topic_kind retained_kinds[] = { TOPIC_JOURNAL, TOPIC_LOG, TOPIC_MANIFEST,
						  TOPIC_CHUNK };

static void scope_init(struct scope *s)
{
	*s = (struct scope){ .networks = map_new(), .sweeps = map_new() };
}

static void scope_done(struct scope *s)
{
	map_free(s->networks, NULL);
	map_free(s->sweeps, NULL);
	*s = (struct scope){ 0 };
}

static bool scope_is_empty(const struct scope *s)
{
	return !s->all && !s->registers && !map_count(s->networks) && !map_count(s->sweeps);
}

void audit_init(struct publisher *p)
{
	scope_init(&p->audit.wanted);
	scope_init(&p->audit.now);
}

void audit_done(struct publisher *p)
{
	scope_done(&p->audit.wanted);
	scope_done(&p->audit.now);
	map_free(p->audit.same, NULL);
}

void audit_want_all(struct publisher *p)
{
	p->audit.wanted.all = true;
	p->audit.wanted.registers = true;
}

void audit_want(struct publisher *p, const char *network)
{
	map_put(p->audit.wanted.networks, network, p);
}

void audit_want_sweep(struct publisher *p, const char *network)
{
	map_put(p->audit.wanted.sweeps, network, p);
}

bool audit_is_reading(const struct publisher *p)
{
	return p->mqtt && (p->audit.running || p->audit.wanted.all);
}

void audit_disconnected(struct publisher *p)
{
	audit_done(p);
	p->audit = (struct audit){ 0 };
	audit_init(p);
}

/* ---- filters ---- */

void audit_filter(const struct publisher *p, enum topic_kind kind, enum journal_kind journal,
		  const char *network, char ret[static TOPIC_SIZE])
{
	struct topic t = { .kind = kind, .journal = journal, .id = "+" };
	size_t len;

	snprintf(t.network, sizeof(t.network), "%s", network ? network : "+");
	topic_format(p->keys->mesh, &t, ret);
	len = strlen(ret);
	/* Numbers are single digits here: .../log/0, .../snap/0/0. */
	if (kind == TOPIC_LOG || kind == TOPIC_CHUNK)
		ret[len - 1] = '+';
	if (kind == TOPIC_CHUNK)
		ret[len - 3] = '+';
}

static void subscribe(struct publisher *p, const char *filter, bool on)
{
	if (!p->mqtt)
		return;
	if (on)
		mqtt_subscribe(p->mqtt, filter);
	else
		mqtt_unsubscribe(p->mqtt, filter);
}

static void subscribe_network(struct publisher *p, const char *network, bool on)
{
	char filter[TOPIC_SIZE];

	for (enum journal_kind journal = 0; journal < PUBLISHER_JOURNALS; journal++)
		for (size_t i = 0; i < ARRAY_SIZE(retained_kinds); i++) {
			audit_filter(p, retained_kinds[i], journal, network, filter);
			subscribe(p, filter, on);
		}
}

static void subscribe_registers(struct publisher *p, bool on)
{
	static const enum topic_kind kinds[] = { TOPIC_TRUST, TOPIC_MARK, TOPIC_REVOKED,
						 TOPIC_CONFIG };
	char filter[TOPIC_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		audit_filter(p, kinds[i], JOURNAL_PEERS, NULL, filter);
		subscribe(p, filter, on);
	}
}

/* Everything of a network. */
static void subscribe_sweep(struct publisher *p, const char *network, bool on)
{
	char filter[TOPIC_SIZE];

	audit_filter(p, TOPIC_JOURNAL, JOURNAL_PEERS, network, filter);
	strcpy(strrchr(filter, '/') + 1, "#");
	subscribe(p, filter, on);
}

/* A topic that nobody else is subscribed to: u/<our key>/stat. */
static struct topic marker_topic(const struct publisher *p)
{
	struct topic t = { .kind = TOPIC_STAT };

	memcpy(t.id, p->keys->signing.id, KEY_ID_SIZE);
	return t;
}

static void subscribe_scope(struct publisher *p, const struct scope *s, bool on)
{
	const struct topic marker = marker_topic(p);
	struct map_entry *at = NULL;
	char topic[TOPIC_SIZE];

	if (s->all)
		subscribe_network(p, NULL, on);
	while (!s->all && (at = map_next(s->networks, at)))
		subscribe_network(p, map_entry_key(at), on);
	if (s->registers)
		subscribe_registers(p, on);
	for (at = NULL; (at = map_next(s->sweeps, at));)
		subscribe_sweep(p, map_entry_key(at), on);
	topic_format(p->keys->mesh, &marker, topic);
	subscribe(p, topic, on);
}

/* ---- a round ---- */

static void outlet_audit_begin(struct outlet *o)
{
	o->auditing = true;
	o->held = true;
	o->seen = (struct journal_position){ 0 };
	writer_audit_begin(o->writer);
}

static void network_audit_begin(struct published *n)
{
	for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
		if (!n->outlets[i].readback && !n->outlets[i].lost)
			outlet_audit_begin(&n->outlets[i]);
}

static void round_begin(struct publisher *p)
{
	struct audit *a = &p->audit;
	const struct topic marker = marker_topic(p);
	struct map_entry *at = NULL;
	char topic[TOPIC_SIZE];
	uint8_t random[16];

	scope_done(&a->now);
	a->now = a->wanted;
	scope_init(&a->wanted);
	a->running = true;
	a->echoed = false;
	a->heard = loop_now(p->loop);
	while ((at = map_next(p->networks, at)))
		if (a->now.all || map_get(a->now.networks, map_entry_key(at)))
			network_audit_begin(map_entry_value(at));
	for (at = NULL; (at = map_next(a->now.sweeps, at));)
		if (map_get(p->networks, map_entry_key(at)))
			map_del(a->now.sweeps, map_entry_key(at)); /* it is there again */
	if (a->now.registers)
		registers_audit_begin(p);
	subscribe_scope(p, &a->now, true);
	crypto_random(random, sizeof(random));
	hex_encode(random, sizeof(random), a->marker);
	topic_format(p->keys->mesh, &marker, topic);
	mqtt_publish(p->mqtt, topic, a->marker, strlen(a->marker), 0, false);
}

/* What the broker had is compared; a journal whose past the store does not know is read back before
 * anything of it is overwritten. */
static void outlet_audit_end(struct outlet *o)
{
	struct publisher *p = o->publisher;
	uint64_t epoch = writer_position(o->writer).epoch;
	bool rolled_back = false, past;
	int r = writer_audit_end(o->writer, loop_now(p->loop), clock_wall(), &rolled_back);

	o->auditing = false;
	if (r < 0 && log_allowed(&p->limit))
		log_error("journal-store", "path=%s error=%s", o->path, log_quote(store_message()));
	if (rolled_back)
		log_warn("journal-rolled-back", "path=%s epoch=%llu", o->path,
			 (unsigned long long)writer_position(o->writer).epoch);
	o->rolled_back |= rolled_back;
	past = o->seen.epoch > 0 && o->seen.epoch != epoch &&
	       o->seen.epoch > publisher_deleted_epoch(p, o->topic.network);
	if (o->topic.journal == JOURNAL_PEERS && (past || rolled_back)) {
		o->readback = readback_new(p, &o->topic);
		return;
	}
	o->held = false;
	outlet_flush(o);
}

/* The broker's copy has been read: members that the store does not know are orphans. */
static void outlet_readback_end(struct outlet *o)
{
	struct publisher *p = o->publisher;
	size_t count = 0;
	int r = store_begin(p->store);

	if (r == 0) {
		r = readback_orphans(o->readback, o->rolled_back, &count);
		if (r < 0)
			store_rollback(p->store);
		else
			r = store_commit(p->store);
	}
	if (r < 0)
		log_error("orphans-store", "network=%s error=%s", o->topic.network,
			  log_quote(store_message()));
	else if (count)
		log_warn("orphans", "network=%s count=%zu", o->topic.network, count);
	readback_free(TAKE(o->readback));
	o->rolled_back = false;
	if (o->lost || map_get(p->audit.wanted.networks, o->topic.network))
		return; /* held until that is over */
	o->held = false;
	outlet_flush(o);
}

static void sweep_end(struct publisher *p, const char *network)
{
	char topic[TOPIC_SIZE];

	/* Last, since they tell a later audit that there is something to be swept. */
	for (enum journal_kind journal = 0; journal < PUBLISHER_JOURNALS; journal++) {
		audit_filter(p, TOPIC_JOURNAL, journal, network, topic);
		registers_clear_text(p, topic);
	}
	log_info("network-swept", "network=%s", network);
}

static void round_end(struct publisher *p)
{
	struct audit *a = &p->audit;
	struct map_entry *at = NULL;

	if (!a->echoed)
		log_warn("audit-incomplete", "the broker did not send our marker back");
	a->running = false;
	subscribe_scope(p, &a->now, false);
	registers_audit_end(p);
	while ((at = map_next(a->now.sweeps, at)))
		sweep_end(p, map_entry_key(at));
	for (at = NULL; (at = map_next(p->networks, at));) {
		struct published *n = map_entry_value(at);

		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
			if (n->outlets[i].auditing)
				outlet_audit_end(&n->outlets[i]);
	}
}

void audit_again(struct publisher *p)
{
	struct audit *a = &p->audit;
	struct map_entry *at = NULL;

	subscribe_scope(p, &a->now, false);
	while ((at = map_next(a->now.sweeps, at)))
		audit_want_sweep(p, map_entry_key(at));
	a->running = false;
	map_free(TAKE(a->same), NULL);
	audit_want_all(p);
}

/* ---- messages ---- */

static void unknown_message(struct publisher *p, const struct topic *t,
			    const struct mqtt_message *m)
{
	struct unknown *u = map_get(p->unknown, t->network);
	bool head = t->kind == TOPIC_JOURNAL || t->kind == TOPIC_MANIFEST;
	struct journal_position at;

	if (u && u->readbacks[t->journal])
		readback_message(u->readbacks[t->journal], t, m);
	if (!head || m->len == 0 || !readback_position(p, t, m, &at))
		return;
	if (publisher_deleted_epoch(p, t->network) >= at.epoch) {
		audit_want_sweep(p, t->network);
		return;
	}
	if (!u) {
		if (map_count(p->unknown) >= UNKNOWN_MAX)
			return;
		u = xcalloc(1, sizeof(*u));
		memcpy(u->name, t->network, sizeof(u->name));
		map_put(p->unknown, u->name, u);
		log_warn("network-unknown",
			 "network=%s the broker holds it, the database does not know it", u->name);
	}
	if (journal_position_cmp(at, u->seen[t->journal]) > 0)
		u->seen[t->journal] = at;
	if (!u->readbacks[t->journal] || readback_is_cut(u->readbacks[t->journal])) {
		readback_free(u->readbacks[t->journal]);
		u->readbacks[t->journal] = readback_new(p, t);
	}
}

/* Both journals are read back, and nobody was told yet. */
static bool unknown_is_news(const struct unknown *u)
{
	for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
		if (!u->readbacks[i] || !readback_is_done(u->readbacks[i]) ||
		    readback_is_cut(u->readbacks[i]))
			return false;
	return !u->offered;
}

/* Who is told may make a network of it, and then it is unknown no more. */
static bool unknown_offer(struct publisher *p)
{
	struct map_entry *at = NULL;

	while ((at = map_next(p->unknown, at))) {
		struct unknown *u = map_entry_value(at);
		const char *settings;

		if (!unknown_is_news(u))
			continue;
		u->offered = true;
		settings = readback_get(u->readbacks[JOURNAL_GATEWAYS], "settings");
		if (settings && p->found) {
			_cleanup_(freep) char *name = xstrdup(u->name);
			_cleanup_(freep) char *body = xstrdup(settings);

			p->found(p->found_owner, name, body);
		}
		return true;
	}
	return false;
}

static void journal_message(struct publisher *p, const struct topic *t,
			    const struct mqtt_message *m)
{
	struct published *n = map_get(p->networks, t->network);
	struct journal_position at;
	struct outlet *o;

	if (!n) {
		unknown_message(p, t, m);
		return;
	}
	o = &n->outlets[t->journal];
	if (o->readback)
		readback_message(o->readback, t, m);
	if (!o->auditing || !m->retained || m->len == 0)
		return;
	writer_audit_document(o->writer, t, m->payload, m->len);
	if ((t->kind == TOPIC_JOURNAL || t->kind == TOPIC_MANIFEST) &&
	    readback_position(p, t, m, &at) && journal_position_cmp(at, o->seen) > 0)
		o->seen = at;
}

static bool is_ours(const struct topic *t)
{
	switch (t->kind) {
	case TOPIC_JOURNAL:
	case TOPIC_LOG:
	case TOPIC_MANIFEST:
	case TOPIC_CHUNK:
	case TOPIC_BEAT:
		return t->journal < PUBLISHER_JOURNALS;
	case TOPIC_TRUST:
	case TOPIC_STATE:
	case TOPIC_MARK:
	case TOPIC_REVOKED:
	case TOPIC_CONFIG:
		return true;
	default:
		return false;
	}
}

bool audit_message(struct publisher *p, const struct topic *t, const struct mqtt_message *m)
{
	struct audit *a = &p->audit;
	bool heads = t->kind == TOPIC_JOURNAL && t->journal < PUBLISHER_JOURNALS;

	if (t->kind == TOPIC_STAT && strcmp(t->id, p->keys->signing.id) == 0) {
		if (a->running && m->len == strlen(a->marker) &&
		    memcmp(m->payload, a->marker, m->len) == 0) {
			a->echoed = true;
			a->heard = loop_now(p->loop);
		}
		return true;
	}
	if (a->running && m->retained)
		a->heard = loop_now(p->loop);
	if (a->running && *t->network && map_get(a->now.sweeps, t->network)) {
		if (m->retained && m->len && !heads)
			registers_clear_text(p, m->topic);
		return true;
	}
	if (!is_ours(t))
		return false;
	if (t->kind >= TOPIC_JOURNAL && t->kind <= TOPIC_BEAT)
		journal_message(p, t, m);
	else
		registers_audit(p, t, m);
	return true;
}

/* ---- time ---- */

static uint64_t round_due(const struct publisher *p)
{
	const struct audit *a = &p->audit;

	if (a->running)
		return a->heard + (a->echoed ? QUIET : PATIENCE);
	return p->mqtt && !scope_is_empty(&a->wanted) ? loop_now(p->loop) : CLOCK_NEVER;
}

uint64_t audit_due(const struct publisher *p)
{
	uint64_t due = round_due(p);
	struct map_entry *at = NULL;

	while ((at = map_next(p->unknown, at))) {
		const struct unknown *u = map_entry_value(at);

		if (unknown_is_news(u))
			due = loop_now(p->loop);
		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
			if (u->readbacks[i] && !readback_is_done(u->readbacks[i]))
				due = MIN(due, readback_due(u->readbacks[i]));
	}
	return due;
}

static void tick_readbacks(struct publisher *p)
{
	struct map_entry *at = NULL;

	while ((at = map_next(p->unknown, at))) {
		struct unknown *u = map_entry_value(at);

		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
			if (u->readbacks[i])
				readback_tick(u->readbacks[i]);
	}
	while (unknown_offer(p))
		;
	for (at = NULL; (at = map_next(p->networks, at));) {
		struct published *n = map_entry_value(at);

		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++) {
			struct outlet *o = &n->outlets[i];

			if (!o->readback)
				continue;
			readback_tick(o->readback);
			if (readback_is_done(o->readback))
				outlet_readback_end(o);
		}
	}
}

void audit_tick(struct publisher *p)
{
	tick_readbacks(p);
	if (round_due(p) > loop_now(p->loop))
		return;
	if (p->audit.running)
		round_end(p);
	else
		round_begin(p);
}
