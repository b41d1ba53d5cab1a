/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter's journal. Owns the writer. One thread.
 *
 * An audit: subscribe to all that is retained, then publish a marker where only we listen. When it
 * comes back, and nothing has come for a short while, the broker has shown what it has. Until then
 * nothing of ours is sent.
 */
#include "exporter/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text.h"
#include "schemas/writer.h"

#define QUIET (100 * USEC_PER_MSEC)  /* behind the marker; some brokers reorder */
#define PATIENCE (10 * USEC_PER_SEC) /* without a marker and without a message */
#define ASKS_PER_SECOND 20	     /* they cost signatures, and anybody may send them */
#define MARKER_SIZE 33

struct publish {
	struct publish_config c;
	struct topic journal;
	char path[TOPIC_SIZE];
	struct verify_key own;
	struct writer *writer;
	struct session *session; /* NULL: not connected */
	struct loop_timer timer;
	struct map *recent; /* names whose operations the writer may still hold in its window */
	bool held;	    /* nothing is sent before an audit is over */
	bool auditing;
	bool audit_wanted;
	bool echoed;
	char marker[MARKER_SIZE];
	uint64_t heard;
	uint64_t asks_since;
	unsigned asks;
	struct log_limit limit;
};

/* ---- what the writer asks for ---- */

static int io_store(void *owner, const struct writer_record *rec)
{
	struct publish *p = owner;

	return state_journal_record(p->c.state, p->path, rec);
}

static void part_topic(const struct publish *p, enum topic_kind kind, unsigned slot, unsigned chunk,
		       char ret[static TOPIC_SIZE])
{
	struct topic t = p->journal;

	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	if (kind == TOPIC_ASK)
		memcpy(t.id, p->c.identity->key.id, KEY_ID_SIZE);
	topic_format(p->c.trust->mesh, &t, ret);
}

static void io_publish(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
		       const void *bytes, size_t len, bool retain)
{
	struct publish *p = owner;
	char topic[TOPIC_SIZE];

	part_topic(p, kind, slot, chunk, topic);
	session_publish(p->session, topic, bytes, len, retain);
}

static void io_random(void *owner, void *ret, size_t n)
{
	(void)owner;
	crypto_random(ret, n);
}

static const struct verify_key *find_key(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known)
{
	struct publish *p = owner;

	(void)index;
	if (who->class != SIGNER_EXPORTER)
		return trust_find(p->c.trust, who, key, ret_known);
	*ret_known = strcmp(key, p->own.id) == 0;
	return *ret_known && strcmp(who->id, p->own.id) == 0 ? &p->own : NULL;
}

/* ---- sending ---- */

static int failed(struct publish *p, int r)
{
	if (r < 0 && log_allowed(&p->limit))
		log_error("journal-store", "path=%s error=%s", p->path, log_quote(state_message()));
	return r;
}

static uint64_t audit_due(const struct publish *p)
{
	if (p->auditing)
		return p->heard + (p->echoed ? QUIET : PATIENCE);
	return p->session && p->audit_wanted ? loop_now(p->c.loop) : CLOCK_NEVER;
}

/* Sends what may be sent, and says when to look again. */
static void settle(struct publish *p)
{
	if (!p->session)
		writer_disconnected(p->writer);
	else if (!p->held)
		writer_flush(p->writer);
	loop_timer_set(p->c.loop, &p->timer, MIN(writer_due(p->writer), audit_due(p)));
}

/* ---- the audit ---- */

static void subscribe_all(struct publish *p, bool on)
{
	static const char *const parts[] = { "", "/log/+", "/snap", "/snap/+/+" };
	char topic[TOPIC_SIZE];
	size_t len;

	part_topic(p, TOPIC_JOURNAL, 0, 0, topic);
	len = strlen(topic);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(topic + len, sizeof(topic) - len, "%s", parts[i]);
		if (on)
			session_subscribe(p->session, topic);
		else
			session_unsubscribe(p->session, topic);
	}
}

static void audit_begin(struct publish *p)
{
	uint8_t random[(MARKER_SIZE - 1) / 2];
	char topic[TOPIC_SIZE];

	p->audit_wanted = false;
	p->auditing = true;
	p->held = true;
	p->echoed = false;
	p->heard = loop_now(p->c.loop);
	writer_audit_begin(p->writer);
	subscribe_all(p, true);
	crypto_random(random, sizeof(random));
	hex_encode(random, sizeof(random), p->marker);
	part_topic(p, TOPIC_ASK, 0, 0, topic);
	session_publish(p->session, topic, p->marker, strlen(p->marker), false);
}

static void rolled_back(const struct publish *p)
{
	log_warn("journal-rolled-back", "path=%s epoch=%llu", p->path,
		 (unsigned long long)writer_position(p->writer).epoch);
}

static void audit_end(struct publish *p)
{
	bool back = false;

	if (!p->echoed)
		log_warn("audit-incomplete", "the broker did not send our marker back");
	p->auditing = false;
	p->held = false;
	subscribe_all(p, false);
	failed(p, writer_audit_end(p->writer, loop_now(p->c.loop), clock_wall(), &back));
	if (back)
		rolled_back(p);
}

static void fired(struct loop_timer *t)
{
	struct publish *p = container_of(t, struct publish, timer);
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	failed(p, writer_tick(p->writer, loop_now(p->c.loop),
			      (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000));
	if (audit_due(p) <= loop_now(p->c.loop)) {
		if (p->auditing)
			audit_end(p);
		else
			audit_begin(p);
	}
	settle(p);
}

/* ---- life ---- */

/* The writer as the state has it, in a run of its own. */
static int load(struct publish *p)
{
	const struct writer_io io = {
		.store = io_store, .publish = io_publish, .random = io_random, .owner = p
	};
	const struct keyring keys = { .find = find_key, .owner = p };
	int r;

	writer_free(p->writer);
	p->writer =
		writer_new(p->c.trust->mesh, &p->journal, &p->c.identity->key, &keys, &io, true);
	r = state_journal_load(p->c.state, p->path, p->writer);
	writer_run(p->writer);
	return r == -ENOENT ? 0 : r;
}

int publish_new(const struct publish_config *c, struct publish **ret)
{
	struct publish *p = xcalloc(1, sizeof(*p));
	int r;

	p->c = *c;
	p->c.network = p->journal.network;
	p->limit.per_minute = 6;
	p->recent = map_new();
	p->journal = (struct topic){ .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS };
	snprintf(p->journal.network, sizeof(p->journal.network), "%s", c->network);
	memcpy(p->journal.exporter, c->identity->key.id, KEY_ID_SIZE);
	topic_journal_path(&p->journal, p->path);
	verify_key_init(&p->own, c->identity->key.public_key);
	p->timer.fired = fired;
	r = load(p);
	if (r < 0) {
		publish_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void publish_free(struct publish *p)
{
	if (!p)
		return;
	loop_timer_del(p->c.loop, &p->timer);
	writer_free(p->writer);
	map_free(p->recent, NULL);
	verify_key_done(&p->own);
	free(p);
}

/* ---- records ---- */

/* The first epoch is whole from its first word on. */
static int begin(struct publish *p, const struct map *records)
{
	struct map_entry *e = NULL;
	int r = state_begin(p->c.state);

	if (r < 0)
		return r;
	while (r == 0 && (e = map_next(records, e))) {
		writer_restore_member(p->writer, map_entry_key(e), map_entry_value(e));
		r = state_journal_member(p->c.state, p->path, map_entry_key(e), map_entry_value(e));
	}
	if (r == 0)
		r = writer_begin(p->writer, loop_now(p->c.loop), 0, clock_wall(), true);
	r = state_end(p->c.state, r);
	if (r < 0)
		(void)load(p); /* without what was prepared */
	return r;
}

/* Operations borrow names that nobody writes to. */
static char *op_name(const char *name)
{
	union {
		const char *in;
		char *out;
	} u = { name };

	return u.out;
}

static bool is_new(const struct publish *p, const char *name, const char *body)
{
	const char *old = writer_get(p->writer, name);

	return !old || strcmp(old, body) != 0 || map_get(p->recent, name);
}

static size_t differences(const struct publish *p, const struct map *records,
			  struct journal_op *ops)
{
	struct map_entry *e = NULL;
	size_t count = 0;

	while ((e = map_next(records, e)))
		if (is_new(p, map_entry_key(e), map_entry_value(e)))
			ops[count++] = (struct journal_op){ .put = op_name(map_entry_key(e)),
							    .body = map_entry_value(e) };
	for (const char *name = NULL; (name = writer_next(p->writer, name));)
		if (!map_get(records, name))
			ops[count++] = (struct journal_op){ .del = op_name(name), .why = WHY_GONE };
	for (e = NULL; (e = map_next(p->recent, e));)
		if (!map_get(records, map_entry_key(e)) && !writer_get(p->writer, map_entry_key(e)))
			ops[count++] = (struct journal_op){ .del = op_name(map_entry_key(e)),
							    .why = WHY_GONE };
	return count;
}

static int change(struct publish *p, const struct journal_op *ops, size_t count)
{
	int r = count ? writer_change(p->writer, loop_now(p->c.loop), ops, count) : 0;
	for (size_t i = 0; i < count && writer_is_pending(p->writer); i++)
		map_put(p->recent, ops[i].put ? ops[i].put : ops[i].del, p);
	return r;
}

static void forget_recent(struct publish *p)
{
	if (!writer_is_pending(p->writer))
		map_clear(p->recent, NULL);
}

static int update(struct publish *p, const struct map *records)
{
	struct journal_op *ops;
	int r;

	forget_recent(p);
	ops = xcalloc(map_count(records) + writer_count(p->writer) + map_count(p->recent) + 1,
		      sizeof(*ops));
	r = change(p, ops, differences(p, records, ops));
	free(ops);
	return r;
}

int publish_changes(struct publish *p, const struct map *changes)
{
	struct journal_op *ops = xcalloc(map_count(changes) + 1, sizeof(*ops));
	struct map_entry *e = NULL;
	size_t count = 0;
	int r;

	forget_recent(p);
	while ((e = map_next(changes, e))) {
		const char *name = map_entry_key(e);
		char *body = map_entry_value(e);

		if (*body && is_new(p, name, body))
			ops[count++] = (struct journal_op){ .put = op_name(name), .body = body };
		else if (!*body && (writer_get(p->writer, name) || map_get(p->recent, name)))
			ops[count++] = (struct journal_op){ .del = op_name(name), .why = WHY_GONE };
	}
	r = change(p, ops, count);
	free(ops);
	settle(p);
	return r;
}

int publish_records(struct publish *p, const struct map *records)
{
	bool first = writer_position(p->writer).epoch == 0;
	int r = first ? begin(p, records) : update(p, records);

	settle(p);
	return r;
}

size_t publish_count(const struct publish *p)
{
	return writer_count(p->writer);
}

const char *publish_next(const struct publish *p, const char *name)
{
	return writer_next(p->writer, name);
}

const char *publish_get(const struct publish *p, const char *name)
{
	return writer_get(p->writer, name);
}

bool publish_is_settled(const struct publish *p)
{
	return p->session && !p->held && !p->auditing && !p->audit_wanted &&
	       !writer_is_pending(p->writer);
}

/* ---- wiring ---- */

void publish_connected(struct publish *p, struct session *s)
{
	char topic[TOPIC_SIZE];

	p->session = s;
	p->held = true;
	p->audit_wanted = true;
	writer_run(p->writer);
	part_topic(p, TOPIC_ASK, 0, 0, topic);
	strcpy(strrchr(topic, '/') + 1, "+");
	session_subscribe(s, topic);
	settle(p);
}

void publish_disconnected(struct publish *p)
{
	p->session = NULL;
	p->auditing = false;
	settle(p);
}

/* A hint only: what it quotes is ours or the coordinator's, and signed. */
static void asked(struct publish *p, const struct mqtt_message *m)
{
	struct journal_ask ask = { 0 };
	struct arena a = { 0 };
	bool audit = false, back = false;
	struct document d;

	if (loop_now(p->c.loop) - p->asks_since >= USEC_PER_SEC) {
		p->asks_since = loop_now(p->c.loop);
		p->asks = 0;
	}
	if (p->asks++ >= ASKS_PER_SECOND)
		return;
	if (document_split(m->payload, m->len, &d) == REFUSED_NOT &&
	    journal_ask_decode(&a, d.body, d.body_len, &ask, NULL) == REFUSED_NOT) {
		failed(p, writer_ask(p->writer, loop_now(p->c.loop), clock_wall(), &ask, &audit,
				     &back));
		if (back)
			rolled_back(p);
		p->audit_wanted |= audit && !p->auditing;
	}
	arena_done(&a);
}

void publish_message(struct publish *p, const struct topic *t, const struct mqtt_message *m)
{
	if (t->kind == TOPIC_ASK && strcmp(t->id, p->own.id) == 0) {
		if (p->auditing && m->len == strlen(p->marker) &&
		    memcmp(m->payload, p->marker, m->len) == 0) {
			p->echoed = true;
			p->heard = loop_now(p->c.loop);
		}
	} else if (t->kind == TOPIC_ASK) {
		if (m->len > 0)
			asked(p, m);
	} else if (p->auditing && m->retained && m->len > 0) {
		p->heard = loop_now(p->c.loop);
		writer_audit_document(p->writer, t, m->payload, m->len);
	}
	settle(p);
}
