/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The publisher's registers: signed, stored, sent when the transaction is committed, and compared
 * with what the broker holds. c/trust is the root's: it is sent as it is. Main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/publisher_private.h"
#include "lib/clock.h"
#include "lib/crypto.h"

struct outbox {
	char *topic;
	char *bytes; /* NULL: the topic is cleared */
	struct outbox *next;
};

static void outbox_add(struct publisher *p, const char *topic, const char *bytes)
{
	struct outbox *b = xcalloc(1, sizeof(*b));

	b->topic = xstrdup(topic);
	b->bytes = bytes ? xstrdup(bytes) : NULL;
	*p->outbox_end = b;
	p->outbox_end = &b->next;
}

void outbox_clear(struct publisher *p)
{
	while (p->outbox) {
		struct outbox *b = p->outbox;

		p->outbox = b->next;
		free(b->topic);
		free(b->bytes);
		free(b);
	}
	p->outbox_end = &p->outbox;
}

void outbox_flush(struct publisher *p)
{
	/* Without a connection: the audit of the next one sends what is missing. */
	for (struct outbox *b = p->outbox; b && p->mqtt; b = b->next)
		mqtt_publish(p->mqtt, b->topic, b->bytes, b->bytes ? strlen(b->bytes) : 0, 1, true);
	outbox_clear(p);
}

/* What follows warren/1/<mesh>/ in a topic of ours. */
static const char *path_in(const struct publisher *p, const char *topic)
{
	struct topic journal = { .kind = TOPIC_JOURNAL, .journal = JOURNAL_PEERS };
	char whole[TOPIC_SIZE], path[TOPIC_SIZE];

	topic_format(p->keys->mesh, &journal, whole);
	topic_journal_path(&journal, path);
	return topic + strlen(whole) - strlen(path);
}

static void sign(const struct publisher *p, const struct topic *t, const char *body,
		 struct buf *ret)
{
	const struct sign_key *key = &p->keys->signing;
	char place[TOPIC_SIZE];

	topic_place(p->keys->mesh, t, place);
	document_sign(ret, place, body, strlen(body), &key, 1);
}

static int sign_and_store(struct publisher *p, const struct topic *t, uint64_t seq,
			  const char *body, struct buf *ret)
{
	char topic[TOPIC_SIZE];

	topic_format(p->keys->mesh, t, topic);
	sign(p, t, body, ret);
	return store_register_put(p->store, path_in(p, topic), seq, buf_cstr(ret));
}

int publisher_register(struct publisher *p, const struct topic *t, uint64_t seq, const char *body)
{
	struct buf document = { 0 };
	char topic[TOPIC_SIZE];
	int r = sign_and_store(p, t, seq, body, &document);

	topic_format(p->keys->mesh, t, topic);
	if (r == 0)
		outbox_add(p, topic, buf_cstr(&document));
	buf_done(&document);
	return r;
}

void publisher_clear(struct publisher *p, const struct topic *t)
{
	char topic[TOPIC_SIZE];

	topic_format(p->keys->mesh, t, topic);
	if (store_register_delete(p->store, path_in(p, topic)) < 0 && log_allowed(&p->limit))
		log_error("register-store", "error=%s", log_quote(store_message()));
	outbox_add(p, topic, NULL);
}

int publisher_send(struct publisher *p, const struct topic *t, const char *body)
{
	struct buf document = { 0 };
	char topic[TOPIC_SIZE];
	int r;

	if (!p->mqtt)
		return -ENOTCONN;
	topic_format(p->keys->mesh, t, topic);
	sign(p, t, body, &document);
	r = mqtt_publish(p->mqtt, topic, document.data, document.len, 1, false);
	buf_done(&document);
	return r;
}

void registers_clear_text(struct publisher *p, const char *topic)
{
	if (p->mqtt)
		mqtt_publish(p->mqtt, topic, NULL, 0, 1, true);
}

int registers_mark(struct publisher *p)
{
	const struct topic t = { .kind = TOPIC_MARK };
	struct mark mark = { .seq = (uint64_t)MAX(clock_wall(), 1) };
	struct buf body = { 0 }, document = { 0 };
	struct arena arena = { 0 };
	char topic[TOPIC_SIZE], *known;
	uint64_t seq;
	int r;

	topic_format(p->keys->mesh, &t, topic);
	r = store_register_get(p->store, &arena, path_in(p, topic), &seq, &known);
	if (r == -ENOENT) {
		crypto_random(mark.mark, sizeof(mark.mark));
		json_encode(&body, mark_fields, &mark);
		r = sign_and_store(p, &t, mark.seq, buf_cstr(&body), &document);
	}
	buf_done(&body);
	buf_done(&document);
	arena_done(&arena);
	return r;
}

/* ---- the audit ---- */

/* The registers that the store holds begin with their seq. */
union register_body {
	uint64_t seq;
	struct node_config config;
	struct mark mark;
	struct revoked revoked;
};

static const struct json_field *fields_of(enum topic_kind kind)
{
	switch (kind) {
	case TOPIC_CONFIG:
		return node_config_fields;
	case TOPIC_MARK:
		return mark_fields;
	case TOPIC_REVOKED:
		return revoked_fields;
	default:
		return NULL;
	}
}

/* The body of a document that one of our signing keys signed. */
static bool read_own(struct publisher *p, struct arena *arena, const struct topic *t,
		     const void *bytes, size_t len, struct document *d, union register_body *ret)
{
	memset(ret, 0, sizeof(*ret));
	return document_open(&p->keyring, p->keys->mesh, t, bytes, len, d) == REFUSED_NOT &&
	       body_decode(arena, d->body, d->body_len, fields_of(t->kind), ret, NULL) ==
		       REFUSED_NOT;
}

/* What we have, with a seq above one that readers have seen. */
static int lift(struct publisher *p, struct arena *arena, const struct topic *t, uint64_t seq,
		union register_body *ours)
{
	struct buf body = { 0 };
	struct node_row node;
	int r = 0;

	ours->seq = seq;
	json_encode(&body, fields_of(t->kind), ours);
	if (t->kind == TOPIC_CONFIG) {
		r = store_node_get(p->store, arena, t->id, &node);
		if (r == 0) {
			node.config_seq = seq;
			r = store_node_put(p->store, &node);
		}
	}
	if (r == 0)
		r = publisher_register(p, t, seq, buf_cstr(&body));
	buf_done(&body);
	return r;
}

/* The broker has something else under our signature. Where it is as new as ours or newer (the store
 * was rolled back), ours would be refused as old. */
static bool lift_above(struct publisher *p, const struct topic *t, const struct mqtt_message *m,
		       const char *document)
{
	union register_body theirs, ours;
	struct document their_d, our_d;
	struct arena arena = { 0 };
	bool lifted = false;
	int r;

	if (read_own(p, &arena, t, m->payload, m->len, &their_d, &theirs) &&
	    read_own(p, &arena, t, document, strlen(document), &our_d, &ours) &&
	    theirs.seq >= ours.seq && theirs.seq < INT64_MAX &&
	    (their_d.body_len != our_d.body_len ||
	     memcmp(their_d.body, our_d.body, our_d.body_len) != 0)) {
		r = store_begin(p->store);
		if (r == 0) {
			r = lift(p, &arena, t, theirs.seq + 1, &ours);
			if (r < 0)
				store_rollback(p->store);
			else
				r = store_commit(p->store);
		}
		if (r < 0) {
			if (log_allowed(&p->limit))
				log_error("register-store", "error=%s", log_quote(store_message()));
			outbox_clear(p);
		} else {
			outbox_flush(p);
			lifted = true;
		}
	}
	arena_done(&arena);
	return lifted;
}

void registers_audit_begin(struct publisher *p)
{
	p->audit.same = map_new();
}

/* Ours is older where we were restored from a backup: joiners would be given keys that are revoked.
 * What else the broker holds may be signed by a key that is known only now. */
static bool take_trust(struct publisher *p, const struct mqtt_message *m)
{
	uint64_t seq = p->keys->trust->body.seq;
	int r;

	if (keys_trust_take(p->keys, m->payload, m->len, &r) || p->keys->trust->body.seq == seq)
		return false;
	log_warn("trust-taken", "seq=%llu instead of %llu: the broker's is newer",
		 (unsigned long long)p->keys->trust->body.seq, (unsigned long long)seq);
	if (r < 0)
		log_error("trust-store", "error=%s", log_quote(strerror(-r)));
	if (trust_is_valid(p->keys->trust, p->keys->signing.id)) {
		audit_again(p);
	} else {
		/* What we sign is refused everywhere, and would overwrite what is valid. */
		log_error("signing-key-revoked", "key=%s", p->keys->signing.id);
		loop_stop(p->loop);
	}
	return true;
}

void registers_audit(struct publisher *p, const struct topic *t, const struct mqtt_message *m)
{
	const char *path = path_in(p, m->topic);
	struct arena arena = { 0 };
	char *document = NULL;
	uint64_t seq;
	size_t len;

	if (!p->audit.same || !m->retained || m->len == 0)
		return;
	if (t->kind == TOPIC_TRUST && take_trust(p, m))
		return;
	if (t->kind == TOPIC_TRUST)
		document = p->keys->trust->bytes.data;
	else if (!fields_of(t->kind) ||
		 store_register_get(p->store, &arena, path, &seq, &document) < 0)
		document = NULL;
	len = document ? strlen(document) : 0;
	if (document && ((m->len == len && memcmp(m->payload, document, len) == 0) ||
			 (t->kind != TOPIC_TRUST && lift_above(p, t, m, document))))
		map_put(p->audit.same, path, p);
	arena_done(&arena);
}

struct filling {
	struct publisher *p;
	size_t sent;
};

static int send_missing(void *owner, const char *path, const char *document)
{
	struct filling *f = owner;
	struct publisher *p = f->p;
	char topic[TOPIC_SIZE];
	size_t prefix;

	if (map_get(p->audit.same, path) || !p->mqtt)
		return 0;
	topic_format(p->keys->mesh, &(struct topic){ .kind = TOPIC_TRUST }, topic);
	prefix = (size_t)(path_in(p, topic) - topic);
	if (strlen(path) >= sizeof(topic) - prefix)
		return 0;
	strcpy(topic + prefix, path);
	mqtt_publish(p->mqtt, topic, document, strlen(document), 1, true);
	f->sent++;
	return 0;
}

void registers_audit_end(struct publisher *p)
{
	struct filling f = { .p = p };
	char trust[TOPIC_SIZE];
	int r;

	if (!p->audit.same)
		return;
	topic_format(p->keys->mesh, &(struct topic){ .kind = TOPIC_TRUST }, trust);
	send_missing(&f, path_in(p, trust), p->keys->trust->bytes.data);
	r = store_register_each(p->store, send_missing, &f);
	if (r < 0 && log_allowed(&p->limit))
		log_error("register-store", "error=%s", log_quote(store_message()));
	if (f.sent)
		log_info("registers-filled", "count=%zu", f.sent);
	map_free(TAKE(p->audit.same), NULL);
}
