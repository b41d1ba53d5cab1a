/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The session: connection, presence, routing. Owns the MQTT client; main thread.
 */
#include "coordinator/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/holders.h"
#include "coordinator/session_private.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"

#define CLIENT_ID "coordinator"
#define CONNECTION_VALUE "connection" /* store value */
#define SEQ_BITS 20
#define SEQ_LAST ((UINT64_C(1) << SEQ_BITS) - 1)
#define KEYS_MAX 4096
#define KEEPALIVE 30
#define SILENCE_SECONDS 60 /* how often silent nodes are counted */

/* ---- keys by place ---- */

static void key_free(void *value)
{
	verify_key_done(value);
	free(value);
}

/* The key made ready, kept for the next time. */
static const struct verify_key *ready_key(struct session *s, const char *id,
					  const uint8_t public_key[static KEY_LEN])
{
	struct verify_key *k = map_get(s->keys, id);

	if (k && memcmp(k->public_key, public_key, KEY_LEN) == 0)
		return k;
	if (map_count(s->keys) >= KEYS_MAX)
		map_clear(s->keys, key_free);
	k = xcalloc(1, sizeof(*k));
	verify_key_init(k, public_key);
	k = map_put(s->keys, id, k);
	if (k)
		key_free(k);
	return map_get(s->keys, id);
}

static const struct verify_key *find_node(struct session *s, const char *id, struct arena *arena)
{
	struct node_row node;

	if (store_node_get(s->authority->store, arena, id, &node) < 0)
		return NULL;
	return ready_key(s, id, node.identity_key);
}

/* An exporter signs in the networks that it has a grant of. Its key is kept where those of nodes are. */
static const struct verify_key *find_exporter(struct session *s, const struct signers *who,
					      const char *id, struct arena *arena)
{
	struct exporter_row row;

	if (strcmp(id, who->id) != 0 ||
	    store_exporter_get(s->authority->store, arena, who->network, id, &row) < 0)
		return NULL;
	return find_node(s, id, arena);
}

/* Any token that was ever made and whose network lasts: a revoked or used one is answered with a
 * signed refusal. */
static const struct verify_key *find_token(struct session *s, const char *id, struct arena *arena)
{
	struct token_row token;

	if (store_token_get(s->authority->store, arena, id, &token) < 0)
		return NULL;
	return ready_key(s, id, token.public_key);
}

static const struct verify_key *find_key(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known)
{
	struct session *s = owner;
	const struct verify_key *found = NULL;
	struct arena arena = { 0 };

	(void)index;
	switch (who->class) {
	case SIGNER_NODE:
		found = find_node(s, key, &arena);
		break;
	case SIGNER_EXPORTER:
		found = find_exporter(s, who, key, &arena);
		break;
	case SIGNER_JOINER:
		found = find_token(s, key, &arena);
		break;
	case SIGNER_ROOT:
	case SIGNER_COORDINATOR:
		return trust_find(s->authority->keys->trust, who, key, ret_known);
	}
	*ret_known = found != NULL;
	arena_done(&arena);
	return found;
}

/* ---- presence ---- */

/* The document c/state with the n-th seq of this connection. */
static char *state_document(const struct session *s, uint64_t n, bool online)
{
	const struct topic t = { .kind = TOPIC_STATE };
	const struct keys *keys = s->authority->keys;
	const struct sign_key *key = &keys->signing;
	char instance[sizeof(s->instance)], place[TOPIC_SIZE];
	struct coordinator_state state = { .seq = s->connection << SEQ_BITS | n,
					   .instance = instance,
					   .online = online,
					   .time = s->authority->now() };
	struct buf body = { 0 }, document = { 0 };

	memcpy(instance, s->instance, sizeof(instance));
	topic_place(keys->mesh, &t, place);
	json_encode(&body, coordinator_state_fields, &state);
	document_sign(&document, place, body.data, body.len, &key, 1);
	buf_done(&body);
	return buf_take(&document);
}

static void state_topic(const struct session *s, char ret[static TOPIC_SIZE])
{
	topic_format(s->authority->keys->mesh, &(struct topic){ .kind = TOPIC_STATE }, ret);
}

static void state_publish(struct session *s, const char *document)
{
	char topic[TOPIC_SIZE];

	state_topic(s, topic);
	mqtt_publish(s->mqtt, topic, document, strlen(document), 1, true);
}

/* Before each attempt: its number, never used before even when the database is new, and its will. */
static void connecting(void *owner)
{
	struct session *s = owner;
	uint64_t last = 0;
	int r = store_value_get(s->authority->store, CONNECTION_VALUE, &last);

	last = MAX(last, s->connection);
	s->connection = MAX(last + 1, (uint64_t)MAX(s->authority->now(), 0));
	if (r == 0)
		r = store_value_put(s->authority->store, CONNECTION_VALUE, s->connection);
	if (r < 0 && log_allowed(&s->limit))
		log_error("connection-store", "error=%s", log_quote(store_message()));
	free(s->will);
	s->will = state_document(s, SEQ_LAST, false);
	mqtt_set_will(s->mqtt, s->will, strlen(s->will));
}

/* ---- silence ---- */

static void silence_arm(struct session *s)
{
	loop_timer_set(s->loop, &s->silence, loop_now(s->loop) + SILENCE_SECONDS * USEC_PER_SEC);
}

/* Set at a connection and taken away with it: what cannot be heard is not silent. */
static void silence_fired(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, silence);

	if (node_forget(s->authority, SILENCE_SECONDS) < 0 && log_allowed(&s->limit))
		log_error("silence-store", "error=%s", log_quote(store_message()));
	silence_arm(s);
}

/* ---- subscriptions ---- */

static void subscribe(struct session *s, const struct topic *t)
{
	char filter[TOPIC_SIZE];

	topic_format(s->authority->keys->mesh, t, filter);
	mqtt_subscribe(s->mqtt, filter);
}

static void connected(void *owner)
{
	static const struct topic filters[] = {
		{ .kind = TOPIC_REQ, .id = "+" },
		{ .kind = TOPIC_NODE, .id = "+" },
		{ .kind = TOPIC_EP, .network = "+", .id = "+" },
		{ .kind = TOPIC_ENROL_REQ, .id = "+", .other = "+" },
	};
	struct session *s = owner;
	char *state = state_document(s, 1, true);

	log_info("connected", "broker=%s", mqtt_broker(s->mqtt));
	holders_connected(s->authority->holders, s->authority->now());
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		subscribe(s, &filters[i]);
	state_publish(s, state);
	free(state);
	publisher_connected(s->authority->publisher, s->mqtt);
	dns_connected(s->dns, s->mqtt);
	silence_arm(s);
}

static void disconnected(void *owner, const char *error)
{
	struct session *s = owner;

	loop_timer_del(s->loop, &s->silence);
	publisher_disconnected(s->authority->publisher);
	dns_disconnected(s->dns);
	if (log_allowed(&s->limit))
		log_warn("disconnected", "error=%s", log_quote(error));
}

static void subscription_refused(void *owner, const char *filter)
{
	(void)owner;
	log_error("subscription-refused",
		  "filter=%s the broker does not let the coordinator read this", log_quote(filter));
}

/* ---- messages ---- */

void session_refuse(struct session *s, const struct mqtt_message *m, enum refusal why)
{
	s->refused[why]++;
	if (log_allowed(&s->limit))
		log_warn("document-refused", "topic=%s cause=%s", log_quote(m->topic),
			 refusal_names[why]);
}

/* The word of a node that is in no network any more (its last will, a certificate that has not ended):
 * taken away, as it is retained. Its key is known, so the node was a member. */
static bool clear_leftover(struct session *s, const struct topic *t)
{
	struct arena arena = { 0 };
	struct member_row *members;
	size_t count = 0;
	bool gone = false;

	if (store_member_list(s->authority->store, &arena, *t->network ? t->network : NULL, t->id,
			      &members, &count) == 0)
		gone = count == 0 && !exporter_is_known(s->authority, NULL, t->id);
	arena_done(&arena);
	if (gone) {
		publisher_clear(s->authority->publisher, t);
		publisher_flush(s->authority->publisher);
	}
	return gone;
}

static void take_state(struct session *s, const struct topic *t, const struct mqtt_message *m,
		       const struct document *d)
{
	struct node_state state = { 0 };
	struct arena arena = { 0 };
	enum refusal refused =
		body_decode(&arena, d->body, d->body_len, node_state_fields, &state, NULL);

	if (refused)
		session_refuse(s, m, refused);
	else
		presence_taken(s, t->id, &state);
	if (!refused)
		holders_taken(s->authority->holders, t->id, &state, s->authority->now());
	arena_done(&arena);
}

static bool is_member(struct session *s, const char *network, const char *node)
{
	struct arena arena = { 0 };
	struct member_row member;
	bool in = store_member_get(s->authority->store, &arena, network, node, &member) == 0;

	arena_done(&arena);
	return in;
}

static void take_ask(struct session *s, const struct topic *t, const struct mqtt_message *m,
		     const struct document *d)
{
	struct journal_ask ask = { 0 };
	struct arena arena = { 0 };
	enum refusal refused =
		body_decode(&arena, d->body, d->body_len, journal_ask_fields, &ask, NULL);

	if (refused)
		session_refuse(s, m, refused);
	else if (is_member(s, t->network, t->id))
		publisher_ask(s->authority->publisher, t, &ask);
	arena_done(&arena);
}

static void take_document(struct session *s, const struct topic *t, const struct mqtt_message *m,
			  const struct document *d)
{
	switch (t->kind) {
	case TOPIC_ENROL_REQ:
		request_enrol(s, t, m, d);
		break;
	case TOPIC_REQ:
		request_node(s, t, m, d);
		break;
	case TOPIC_NODE:
		if (!clear_leftover(s, t))
			take_state(s, t, m, d);
		break;
	case TOPIC_EP:
		if (is_member(s, t->network, t->id))
			endpoints_taken(s, t, m, d);
		else
			clear_leftover(s, t);
		break;
	case TOPIC_ASK:
		take_ask(s, t, m, d);
		break;
	default:
		break; /* the publisher's, or nothing that we subscribed to */
	}
}

static void message(void *owner, const struct mqtt_message *m)
{
	struct session *s = owner;
	enum refusal refused;
	struct document d;
	struct topic t;
	int r = topic_parse(s->authority->keys->mesh, m->topic, &t);

	if (r < 0) {
		session_refuse(s, m, r == -EXDEV ? REFUSED_MESH : REFUSED_PLACE);
		return;
	}
	if (publisher_message(s->authority->publisher, &t, m))
		return;
	if (dns_message(s->dns, &t, m, &refused)) {
		if (refused)
			session_refuse(s, m, refused);
		return;
	}
	if (m->len == 0) { /* cleared */
		if (t.kind == TOPIC_EP)
			endpoints_cleared(s, &t);
		return;
	}
	refused = document_open(&s->keyring, s->authority->keys->mesh, &t, m->payload, m->len, &d);
	if (refused)
		session_refuse(s, m, refused);
	else
		take_document(s, &t, m, &d);
}

/* ---- life ---- */

struct session *session_new(struct loop *l, struct authority *a)
{
	struct session *s = xcalloc(1, sizeof(*s));
	char topic[TOPIC_SIZE];
	uint8_t random[16];
	struct mqtt_config config = {
		.brokers = (const char *const *)a->keys->trust->body.brokers,
		.broker_count = a->keys->trust->body.broker_count,
		.client_id = CLIENT_ID,
		.ca_pem = a->keys->ca_pem,
		.cert_pem = a->keys->tls_cert_pem,
		.key_pem = a->keys->tls_key_pem,
		.will_topic = topic,
		.keepalive = KEEPALIVE,
		.connected = connected,
		.disconnected = disconnected,
		.message = message,
		.refused = subscription_refused,
		.owner = s,
	};

	s->loop = l;
	s->authority = a;
	s->keyring = (struct keyring){ .find = find_key, .owner = s };
	s->keys = map_new();
	s->limit = (struct log_limit){ .per_minute = 30 };
	crypto_random(random, sizeof(random));
	hex_encode(random, sizeof(random), s->instance);
	s->silence.fired = silence_fired;
	endpoints_init(s);
	presence_init(s);
	s->dns = a->dns = dns_new(l, a, &s->keyring);
	a->holders = holders_new();
	state_topic(s, topic);
	s->mqtt = mqtt_mosquitto_new(l, &config);
	mqtt_on_connecting(s->mqtt, connecting);
	return s;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (mqtt_is_connected(s->mqtt) && s->will)
		state_publish(s, s->will);
	loop_timer_del(s->loop, &s->silence);
	publisher_disconnected(s->authority->publisher);
	mqtt_free(s->mqtt);
	endpoints_done(s);
	presence_done(s);
	s->authority->dns = NULL;
	holders_free(s->authority->holders);
	s->authority->holders = NULL;
	dns_free(s->dns);
	map_free(s->keys, key_free);
	free(s->will);
	free(s);
}

bool session_is_connected(const struct session *s)
{
	return mqtt_is_connected(s->mqtt);
}

const char *session_broker(const struct session *s)
{
	return mqtt_broker(s->mqtt);
}

const char *session_error(const struct session *s)
{
	return mqtt_error(s->mqtt);
}

uint64_t session_refused(const struct session *s, enum refusal cause)
{
	return s->refused[cause];
}
