/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For the coordinator's tests: a whole coordinator (but for main.c) against a real mosquitto, a client
 * that watches what is published, and joiners. All in one loop.
 */
#pragma once

#include "coordinator/api.h"
#include "coordinator/authority.h"
#include "coordinator/publisher_private.h"
#include "coordinator/session_private.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "tests/turn.h"
#include "tests/unit/coordinator/broker.h"

struct rig {
	struct test_broker broker;
	struct loop *loop;
	struct store *store;
	struct keys keys;
	struct publisher *publisher;
	struct authority authority;
	struct session *session;
};

#define RIG_UNTIL(rig, cond, ms) TURN_UNTIL((rig)->loop, cond, ms)

static inline void rig_wait(struct rig *r, unsigned ms)
{
	turn_for(r->loop, ms);
}

static inline char *rig_database(const struct rig *r)
{
	return xasprintf("%s/coordinator.db", r->broker.data);
}

static inline void rig_remove_database(const struct rig *r)
{
	char *path = rig_database(r), *command = xasprintf("rm -f '%s'*", path);

	CHECK_INT(system(command), 0);
	free(command);
	free(path);
}

static inline int rig_orphan(void *owner, const char *network, const char *node, const char *body)
{
	return network_orphan_add(owner, network, node, body);
}

/* What main.c does. */
static inline void rig_start_offline(struct rig *r)
{
	char error[256] = "", *path = rig_database(r);

	if (!r->loop)
		r->loop = loop_new();
	log_set_level(getenv("TEST_VERBOSE") ? LOG_DEBUG : LOG_ERROR);
	CHECK_INT(keys_load(r->broker.data, &r->keys, error, sizeof(error)), 0);
	CHECK_INT(store_open(path, &r->store), 0);
	CHECK_INT(publisher_new(r->loop, r->store, &r->keys, &r->publisher), 0);
	r->authority = (struct authority){
		.store = r->store, .keys = &r->keys, .publisher = r->publisher, .now = clock_wall
	};
	publisher_on_orphan(r->publisher, rig_orphan, &r->authority);
	CHECK_INT(member_reconcile(&r->authority), 0);
	free(path);
}

static inline void rig_start(struct rig *r)
{
	rig_start_offline(r);
	r->session = session_new(r->loop, &r->authority);
}

/* Nothing waits for an audit or a window, and the broker has all that was sent. */
static inline bool rig_is_settled(const struct rig *r)
{
	const struct publisher *p = r->publisher;
	const struct scope *wanted = &p->audit.wanted;
	struct map_entry *at = NULL;

	if (!p->mqtt || p->audit.running || wanted->all || map_count(wanted->networks) ||
	    map_count(wanted->sweeps) || mqtt_in_flight(p->mqtt))
		return false;
	while ((at = map_next(p->networks, at))) {
		const struct published *n = map_entry_value(at);

		for (size_t i = 0; i < PUBLISHER_JOURNALS; i++)
			if (n->outlets[i].held || writer_is_pending(n->outlets[i].writer))
				return false;
	}
	for (at = NULL; (at = map_next(p->unknown, at));) {
		const struct unknown *u = map_entry_value(at);

		if (u->readbacks[JOURNAL_PEERS] && !readback_is_done(u->readbacks[JOURNAL_PEERS]))
			return false;
	}
	return true;
}

static inline void rig_settle(struct rig *r)
{
	RIG_UNTIL(r, rig_is_settled(r), 20000);
	rig_wait(r, 150); /* for those who watch */
}

/* Connected, and the audit is over. */
static inline void rig_ready(struct rig *r)
{
	RIG_UNTIL(r, session_is_connected(r->session), 20000);
	rig_settle(r);
}

static inline void rig_stop(struct rig *r)
{
	session_free(r->session);
	r->session = NULL;
	publisher_free(r->publisher);
	store_close(r->store);
	keys_done(&r->keys);
}

static inline void rig_begin(struct rig *r)
{
	*r = (struct rig){ 0 };
	test_broker_init(&r->broker, "localhost", 1);
	test_broker_start(&r->broker);
	rig_start(r);
	rig_ready(r);
}

static inline void rig_end(struct rig *r)
{
	rig_stop(r);
	loop_free(r->loop);
	test_broker_done(&r->broker);
}

static inline void rig_network(struct rig *r, const char *name, const char *range)
{
	struct refusal_reason why = { 0 };
	struct prefix p;
	char label[LABEL_SIZE];
	struct api_network wish = { .name = label,
				    .ranges = &p,
				    .range_count = 1,
				    .mtu = 1420,
				    .keepalive = 20,
				    .port = 51830 };

	snprintf(label, sizeof(label), "%s", name);
	CHECK_INT(prefix_parse(range, &p), 0);
	CHECK_INT(network_create(&r->authority, &wish, &why), 0);
}

/* ---- a client of the broker */

struct watch_message {
	char topic[TOPIC_SIZE];
	char *payload;
	size_t len;
	bool retained;
};

struct watcher {
	struct rig *rig;
	struct mqtt *mqtt;
	bool connected;
	char mesh[MESH_ID_SIZE];
	struct watch_message *messages;
	size_t count, cap;
};

static inline void watch_connected(void *owner)
{
	struct watcher *w = owner;
	char filter[64];

	snprintf(filter, sizeof(filter), "warren/1/%s/#", w->mesh);
	mqtt_subscribe(w->mqtt, filter);
	w->connected = true;
}

static inline void watch_message(void *owner, const struct mqtt_message *m)
{
	struct watcher *w = owner;
	struct watch_message *to;

	if (w->count == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 64;
		w->messages = xreallocarray(w->messages, w->cap, sizeof(*w->messages));
	}
	to = &w->messages[w->count++];
	*to = (struct watch_message){ .len = m->len, .retained = m->retained };
	snprintf(to->topic, sizeof(to->topic), "%s", m->topic);
	to->payload = xmalloc(m->len + 1);
	if (m->len)
		memcpy(to->payload, m->payload, m->len);
	to->payload[m->len] = '\0';
}

static inline void watch_clear(struct watcher *w)
{
	while (w->count)
		free(w->messages[--w->count].payload);
}

static inline char *watch_file(const struct rig *r, const char *name)
{
	char *path = xasprintf("%s/%s", r->broker.data, name);
	struct buf text = { 0 };

	CHECK_INT(file_read(path, 65536, &text), 0);
	free(path);
	return buf_take(&text);
}

/* With the coordinator's certificate: any of the CA will do. Retained messages are there when it
 * returns. */
static inline void watch_start(struct watcher *w, struct rig *r, const char *client_id)
{
	char url[64], *ca = watch_file(r, "ca.crt"), *cert = watch_file(r, "tls.crt"),
		      *key = watch_file(r, "tls.key"), *root = watch_file(r, "root.pub");
	const char *const brokers[] = { url };
	uint8_t root_key[KEY_LEN];
	const struct mqtt_config c = { .brokers = brokers,
				       .broker_count = 1,
				       .client_id = client_id,
				       .ca_pem = ca,
				       .cert_pem = cert,
				       .key_pem = key,
				       .keepalive = 30,
				       .connected = watch_connected,
				       .message = watch_message,
				       .owner = w };

	*w = (struct watcher){ .rig = r };
	root[2 * KEY_LEN] = '\0';
	CHECK_INT(hex_decode(root, root_key, KEY_LEN), 0);
	mesh_id(root_key, w->mesh);
	snprintf(url, sizeof(url), "mqtts://localhost:%u", r->broker.port);
	w->mqtt = mqtt_mosquitto_new(r->loop, &c);
	RIG_UNTIL(r, w->connected, 5000);
	rig_wait(r, 200);
	free(ca);
	free(cert);
	free(key);
	free(root);
}

static inline void watch_stop(struct watcher *w)
{
	mqtt_free(w->mqtt);
	watch_clear(w);
	free(w->messages);
}

static inline bool watch_parse(const struct watcher *w, size_t i, struct topic *t)
{
	return topic_parse(w->mesh, w->messages[i].topic, t) == 0;
}

/* Is it of a kind that is retained, presence apart? */
static inline bool watch_is_document(const struct topic *t)
{
	switch (t->kind) {
	case TOPIC_TRUST:
	case TOPIC_MARK:
	case TOPIC_REVOKED:
	case TOPIC_CONFIG:
	case TOPIC_JOURNAL:
	case TOPIC_LOG:
	case TOPIC_MANIFEST:
	case TOPIC_CHUNK:
		return true;
	default:
		return false;
	}
}

/* Live (or retained) documents seen so far. */
static inline size_t watch_documents(const struct watcher *w, bool retained)
{
	size_t n = 0;
	struct topic t;

	for (size_t i = 0; i < w->count; i++)
		n += w->messages[i].retained == retained && watch_parse(w, i, &t) &&
		     watch_is_document(&t);
	return n;
}

/* The last message of this kind (and network, journal, id where given); NULL. */
static inline const struct watch_message *watch_last(const struct watcher *w,
						     const struct topic *like)
{
	struct topic t;

	for (size_t i = w->count; i-- > 0;)
		if (watch_parse(w, i, &t) && t.kind == like->kind &&
		    (!*like->network ||
		     (strcmp(t.network, like->network) == 0 && t.journal == like->journal)) &&
		    (!*like->id || strcmp(t.id, like->id) == 0))
			return &w->messages[i];
	return NULL;
}

static inline void watch_publish(struct watcher *w, const struct topic *t, const struct buf *b,
				 bool retain)
{
	char topic[TOPIC_SIZE];

	topic_format(w->mesh, t, topic);
	CHECK_INT(mqtt_publish(w->mqtt, topic, b->data, b->len, 1, retain), 0);
}

/* ---- a joiner */

struct joiner {
	struct sign_key identity;
	struct token token;
	struct sign_key token_key;
	uint8_t wireguard_key[KEY_LEN];
	char *csr, *tls_key;
	uint8_t nonce[16];
	const char *wished_name;
	struct buf request; /* the document */
	struct topic topic; /* where it goes */
};

static inline char *rig_token(struct rig *r, const char *network, uint64_t uses)
{
	char label[LABEL_SIZE], expires[] = "24h", forget[] = "30d";
	struct api_token_create wish = {
		.network = label, .uses = uses, .expires = expires, .forget = forget
	};
	struct refusal_reason why = { 0 };
	struct api_token token = { 0 };
	struct arena arena = { 0 };
	char *text;

	snprintf(label, sizeof(label), "%s", network);
	CHECK_INT(token_create(&r->authority, &arena, &wish, &token, &why), 0);
	text = xstrdup(token.token);
	arena_done(&arena);
	return text;
}

static inline void joiner_init(struct joiner *j, const char *token, const char *name)
{
	uint8_t private_key[KEY_LEN];
	struct buf key = { 0 }, csr = { 0 };
	char error[256] = "";

	*j = (struct joiner){ .wished_name = name };
	CHECK_INT(token_parse(token, &j->token, error, sizeof(error)), 0);
	sign_key_from_secret(j->token.private_key, &j->token_key);
	sign_key_generate(&j->identity);
	wireguard_key_generate(private_key, j->wireguard_key);
	x509_key_generate(&key);
	CHECK_INT(x509_csr_create(buf_cstr(&key), &csr), 0);
	j->tls_key = buf_take(&key);
	j->csr = buf_take(&csr);
	crypto_random(j->nonce, sizeof(j->nonce));
}

static inline void joiner_done(struct joiner *j)
{
	sign_key_done(&j->identity);
	sign_key_done(&j->token_key);
	token_done(&j->token);
	free(j->csr);
	free(j->tls_key);
	buf_done(&j->request);
}

static inline void joiner_fill(struct joiner *j, char *name, struct join_request *ret)
{
	*ret = (struct join_request){ .token = j->token.id,
				      .csr = j->csr,
				      .wished_name = j->wished_name ? name : NULL };
	if (j->wished_name)
		strcpy(name, j->wished_name);
	memcpy(ret->identity_key, j->identity.public_key, KEY_LEN);
	memcpy(ret->wireguard_key, j->wireguard_key, KEY_LEN);
	memcpy(ret->nonce, j->nonce, sizeof(ret->nonce));
}

/* The enrolment's document, in j->request. */
static inline void joiner_sign(struct joiner *j, const char *mesh)
{
	const struct sign_key *keys[] = { &j->token_key, &j->identity };
	char name[256], place[TOPIC_SIZE];
	struct join_request request;
	struct buf body = { 0 };

	joiner_fill(j, name, &request);
	j->topic = (struct topic){ .kind = TOPIC_ENROL_REQ };
	strcpy(j->topic.id, j->token.id);
	snprintf(j->topic.other, sizeof(j->topic.other), "j-%s-testtest", j->token.id);
	topic_place(mesh, &j->topic, place);
	json_encode(&body, join_request_fields, &request);
	buf_clear(&j->request);
	document_sign(&j->request, place, body.data, body.len, keys, 2);
	buf_done(&body);
}

/* Sends j->request; the answer's document, NULL when there is none within `ms`. */
static inline const char *joiner_send(struct joiner *j, struct watcher *w, unsigned ms)
{
	struct topic like = { .kind = TOPIC_ENROL_RSP };
	uint64_t end = clock_mono() + ms * USEC_PER_MSEC;
	const struct watch_message *m = NULL;

	watch_clear(w);
	watch_publish(w, &j->topic, &j->request, false);
	strcpy(like.id, j->token.id);
	while (!m && clock_mono() < end) {
		loop_turn(w->rig->loop, 10 * USEC_PER_MSEC);
		m = watch_last(w, &like);
	}
	return m ? m->payload : NULL;
}

/* Checks the signature and decodes. `arena` holds the answer. */
static inline void joiner_answer(struct joiner *j, struct rig *r, const char *document,
				 struct arena *arena, struct join_answer *ret)
{
	struct topic t = j->topic;
	struct verify_key key;
	char place[TOPIC_SIZE];
	struct json_error err;
	struct document d;

	CHECK(document);
	t.kind = TOPIC_ENROL_RSP;
	topic_place(r->keys.mesh, &t, place);
	verify_key_init(&key, r->keys.signing.public_key);
	CHECK_INT(document_split(document, strlen(document), &d), REFUSED_NOT);
	CHECK(document_verify(&d, 0, place, &key));
	verify_key_done(&key);
	*ret = (struct join_answer){ 0 };
	CHECK_INT(join_answer_decode(arena, d.body, d.body_len, ret, &err), REFUSED_NOT);
}

/* A node joins; its id is in j->identity.id. */
static inline void rig_join(struct rig *r, struct watcher *w, struct joiner *j, const char *network,
			    const char *name)
{
	char *token = rig_token(r, network, 0);
	struct arena arena = { 0 };
	struct join_answer answer;

	joiner_init(j, token, name);
	joiner_sign(j, w->mesh);
	joiner_answer(j, r, joiner_send(j, w, 5000), &arena, &answer);
	CHECK(!answer.refused);
	arena_done(&arena);
	free(token);
}
