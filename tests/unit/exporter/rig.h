/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For the exporter's tests: a real mosquitto, a coordinator that is played (it admits, renews, removes)
 * and a replica that follows the exporter's journal as an agent does. All in one loop, the exporter too.
 */
#pragma once

#include <sys/stat.h>

#include "exporter/exporter.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "schemas/replica.h"
#include "schemas/writer.h"
#include "tests/unit/agent/folder.h"
#include "tests/unit/lib/mqtt_broker.h"

#define DAY 86400

struct rig {
	struct pki pki;
	struct broker broker;
	struct loop *loop;
	struct mqtt *mqtt; /* the coordinator's and the replica's */
	bool connected;
	struct sign_key root, signing;
	char mesh[MESH_ID_SIZE];
	struct buf trust;
	char *token;

	/* How the coordinator answers. */
	const char *refusal;
	unsigned deaf; /* to so many joins */
	int64_t life;  /* of certificates, seconds */
	unsigned joins, renewals, generation;
	bool online;	/* as the exporter says */
	size_t offered; /* ranges, as it says */

	/* The journal of gateways, where grants are. */
	struct writer *gateways;
	struct topic gateways_topic;

	/* The newest exporter's journal. */
	char id[KEY_ID_SIZE];
	struct verify_key key;
	struct topic journal;
	struct replica *replica;
	unsigned documents; /* retained ones of the journal that came live */
	unsigned missed;    /* times that a name which must stay was not there */
	const char *must_stay;

	char state[64], services[80];
	struct exporter x;
	bool running;
};

static inline void rig_turn(struct rig *r)
{
	loop_turn(r->loop, 5 * USEC_PER_MSEC);
	if (r->replica && r->connected && replica_due(r->replica) <= loop_now(r->loop))
		replica_tick(r->replica, loop_now(r->loop));
}

#define RIG_UNTIL(rig, cond, ms)                                                                   \
	do {                                                                                       \
		uint64_t end_ = clock_mono() + (ms)*USEC_PER_MSEC;                                 \
		while (!(cond) && clock_mono() < end_)                                             \
			rig_turn(rig);                                                             \
		CHECK(cond);                                                                       \
	} while (0)

static inline void rig_wait(struct rig *r, unsigned ms)
{
	uint64_t end = clock_mono() + ms * USEC_PER_MSEC;

	while (clock_mono() < end)
		rig_turn(r);
}

/* ---- what the coordinator says */

static inline void rig_say(struct rig *r, const struct topic *t, const struct json_field *fields,
			   const void *what, const struct sign_key *key, bool retain,
			   struct buf *keep)
{
	struct buf body = { 0 }, document = { 0 };
	char topic[TOPIC_SIZE];

	topic_format(r->mesh, t, topic);
	json_encode(&body, fields, what);
	document_sign(&document, topic, buf_cstr(&body), body.len, &key, 1);
	if (r->mqtt)
		CHECK_INT(mqtt_publish(r->mqtt, topic, document.data, document.len, 1, retain), 0);
	buf_done(&body);
	if (keep)
		*keep = document;
	else
		buf_done(&document);
}

static inline char *rig_certificate(struct rig *r, const char *csr)
{
	char uri[64], network[] = "warren:net:dc1";
	const char *const uris[] = { uri, network };
	const struct x509_issue what = { .uris = uris,
					 .uri_count = 2,
					 .not_before = clock_wall() - 1,
					 .not_after = clock_wall() + r->life };
	struct buf pem = { 0 };

	snprintf(uri, sizeof(uri), "warren:exporter:%s", r->id);
	CHECK_INT(x509_issue_csr(buf_cstr(&r->pki.ca), buf_cstr(&r->pki.ca_key), csr, &what, &pem),
		  0);
	return buf_take(&pem);
}

/* ---- grants */

static inline int rig_store(void *owner, const struct writer_record *rec)
{
	(void)owner;
	(void)rec;
	return 0;
}

static inline void rig_publish(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
			       const void *bytes, size_t len, bool retain)
{
	struct rig *r = owner;
	struct topic t = r->gateways_topic;
	char topic[TOPIC_SIZE];

	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(r->mesh, &t, topic);
	CHECK_INT(mqtt_publish(r->mqtt, topic, bytes, len, 1, retain), 0);
}

static inline void rig_bytes(void *owner, void *ret, size_t n)
{
	(void)owner;
	crypto_random(ret, n);
}

static inline void rig_gateways(struct rig *r)
{
	const struct writer_io io = {
		.store = rig_store, .publish = rig_publish, .random = rig_bytes, .owner = r
	};
	static const struct keyring none;

	r->gateways_topic = (struct topic){ .kind = TOPIC_JOURNAL,
					    .journal = JOURNAL_GATEWAYS,
					    .network = "dc1" };
	r->gateways = writer_new(r->mesh, &r->gateways_topic, &r->signing, &none, &io, false);
	CHECK_INT(writer_begin(r->gateways, loop_now(r->loop), 0, clock_wall(), false), 0);
	writer_flush(r->gateways);
}

/* `range` NULL: takes it away. */
static inline void rig_grant(struct rig *r, const char *id, const uint8_t *key, const char *range)
{
	struct prefix p;
	struct grant g = { .site = (char[]){ "dc1" },
			   .ranges = &p,
			   .range_count = 1,
			   .generation = MAX(r->generation, 1u) };
	char name[64];
	struct buf body = { 0 };
	struct journal_op op = { .del = name, .why = WHY_REMOVED };

	snprintf(name, sizeof(name), "exporter/%s", id);
	if (range) {
		CHECK_INT(prefix_parse(range, &p), 0);
		memcpy(g.key, key, KEY_LEN);
		json_encode(&body, grant_fields, &g);
		op = (struct journal_op){ .put = name, .body = body.data };
	}
	CHECK_INT(writer_change(r->gateways, loop_now(r->loop), &op, 1), 0);
	CHECK_INT(writer_commit(r->gateways, loop_now(r->loop)), 0);
	writer_flush(r->gateways);
	buf_done(&body);
}

/* ---- the replica */

static inline const struct verify_key *rig_find(void *owner, const struct signers *who,
						size_t index, const char *key, bool *ret_known)
{
	struct rig *r = owner;

	(void)index;
	*ret_known = strcmp(key, r->key.id) == 0;
	return *ret_known && who->class == SIGNER_EXPORTER ? &r->key : NULL;
}

static inline void rig_part(struct rig *r, enum topic_kind kind, unsigned slot, unsigned chunk,
			    bool on)
{
	struct topic t = r->journal;
	char topic[TOPIC_SIZE];

	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(r->mesh, &t, topic);
	if (on)
		mqtt_subscribe(r->mqtt, topic);
	else
		mqtt_unsubscribe(r->mqtt, topic);
}

static inline void rig_subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	rig_part(owner, kind, slot, chunk, true);
}

static inline void rig_unsubscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	rig_part(owner, kind, slot, chunk, false);
}

static inline void rig_changed(void *owner, const struct replica_change *changes, size_t count,
			       bool removed)
{
	struct rig *r = owner;

	(void)removed;
	for (size_t i = 0; i < count; i++)
		r->missed += r->must_stay && changes[i].change == MEMBER_DEL &&
			     strcmp(changes[i].name, r->must_stay) == 0;
}

static inline void rig_ask(void *owner, const struct journal_ask *ask)
{
	(void)owner;
	(void)ask;
}

static inline uint32_t rig_random(void *owner)
{
	(void)owner;
	return 0;
}

static inline void rig_follow(struct rig *r, const uint8_t *key)
{
	const struct keyring keys = { .find = rig_find, .owner = r };
	const struct replica_io io = { .subscribe = rig_subscribe,
				       .unsubscribe = rig_unsubscribe,
				       .changed = rig_changed,
				       .ask = rig_ask,
				       .random = rig_random,
				       .owner = r };

	if (strcmp(r->key.id, r->id) == 0)
		return;
	verify_key_done(&r->key);
	verify_key_init(&r->key, key);
	replica_free(r->replica);
	r->journal =
		(struct topic){ .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS, .network = "dc1" };
	memcpy(r->journal.exporter, r->id, KEY_ID_SIZE);
	r->replica = replica_new(r->mesh, &r->journal, &keys, &io);
	replica_connected(r->replica, loop_now(r->loop));
	rig_part(r, TOPIC_JOURNAL, 0, 0, true);
	rig_part(r, TOPIC_BEAT, 0, 0, true);
}

/* ---- what the coordinator hears */

static inline void rig_enrol(struct rig *r, const struct topic *t, const struct mqtt_message *m)
{
	struct join_exporter exporter = { (char[]){ "dc1" }, (char[]){ "dc1" }, ++r->generation };
	struct refusal_body refused = { (char[]){ "token_used" }, NULL };
	struct journal_minimum minimum = { .path = (char[]){ "n/dc1/gateways" } };
	struct join_answer answer = { .trust = r->trust.data,
				      .exporter = &exporter,
				      .journals = &minimum,
				      .journal_count = 1 };
	struct join_request q = { 0 };
	struct topic to = *t;
	struct arena a = { 0 };
	struct document d;
	uint8_t none[KEY_LEN] = { 0 };

	CHECK_INT(document_split(m->payload, m->len, &d), REFUSED_NOT);
	CHECK_INT(d.signature_count, 2);
	CHECK_INT(body_decode(&a, d.body, d.body_len, join_request_fields, &q, NULL), REFUSED_NOT);
	CHECK(memcmp(q.wireguard_key, none, KEY_LEN) == 0);
	sha256(m->payload, m->len, answer.request);
	key_id(q.identity_key, r->id);
	if (r->joins++ < r->deaf) {
		arena_done(&a);
		return;
	}
	to.kind = TOPIC_ENROL_RSP;
	if (r->refusal) {
		refused.message = arena_strdup(&a, r->refusal);
		answer = (struct join_answer){ .refused = &refused, .trust = r->trust.data };
		sha256(m->payload, m->len, answer.request);
	} else {
		answer.certificate = rig_certificate(r, q.csr);
		rig_grant(r, r->id, q.identity_key, "10.43.0.0/16");
		minimum.epoch = writer_position(r->gateways).epoch;
		minimum.ver = writer_position(r->gateways).ver;
		rig_follow(r, q.identity_key);
	}
	rig_say(r, &to, join_answer_fields, &answer, &r->signing, false, NULL);
	free(answer.certificate);
	arena_done(&a);
}

static inline void rig_request(struct rig *r, const struct topic *t, const struct mqtt_message *m)
{
	struct topic to = { .kind = TOPIC_RSP };
	struct node_response response = { 0 };
	struct node_request q = { 0 };
	struct arena a = { 0 };
	struct document d;

	CHECK_INT(document_split(m->payload, m->len, &d), REFUSED_NOT);
	CHECK_INT(node_request_decode(&a, &d, &q, NULL), REFUSED_NOT);
	CHECK_INT(q.op, NODE_OP_RENEW);
	CHECK_STR(t->id, r->id);
	r->renewals++;
	memcpy(to.id, t->id, sizeof(to.id));
	response.rid = q.rid;
	response.certificate = rig_certificate(r, q.csr);
	rig_say(r, &to, node_response_fields, &response, &r->signing, false, NULL);
	free(response.certificate);
	arena_done(&a);
}

static inline void rig_presence(struct rig *r, const struct mqtt_message *m)
{
	struct node_state st = { 0 };
	struct arena a = { 0 };
	struct document d;

	CHECK_INT(document_split(m->payload, m->len, &d), REFUSED_NOT);
	CHECK_INT(body_decode(&a, d.body, d.body_len, node_state_fields, &st, NULL), REFUSED_NOT);
	r->online = st.online;
	r->offered = st.range_count;
	arena_done(&a);
}

static inline void rig_message(void *owner, const struct mqtt_message *m)
{
	struct rig *r = owner;
	struct topic t;

	CHECK_INT(topic_parse(r->mesh, m->topic, &t), 0);
	if (t.kind == TOPIC_ENROL_REQ)
		rig_enrol(r, &t, m);
	else if (t.kind == TOPIC_REQ)
		rig_request(r, &t, m);
	else if (t.kind == TOPIC_NODE && m->len)
		rig_presence(r, m);
	else if (t.kind >= TOPIC_JOURNAL && t.kind <= TOPIC_BEAT && r->replica &&
		 strcmp(t.exporter, r->id) == 0)
		replica_receive(r->replica, loop_now(r->loop), &t, m->payload, m->len);
	if (t.kind >= TOPIC_JOURNAL && t.kind < TOPIC_BEAT && !m->retained && m->len)
		r->documents += t.journal == JOURNAL_DNS;
}

static inline void rig_connected(void *owner)
{
	static const char *const filters[] = { "e/+/+/req", "u/+/req", "u/+/state" };
	struct rig *r = owner;
	char topic[128];

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		snprintf(topic, sizeof(topic), "warren/1/%s/%s", r->mesh, filters[i]);
		CHECK_INT(mqtt_subscribe(r->mqtt, topic), 0);
	}
	if (r->replica) {
		replica_connected(r->replica, loop_now(r->loop));
		rig_part(r, TOPIC_JOURNAL, 0, 0, true);
		rig_part(r, TOPIC_BEAT, 0, 0, true);
	}
	r->connected = true;
}

static inline void rig_disconnected(void *owner, const char *error)
{
	struct rig *r = owner;

	(void)error;
	r->connected = false;
}

/* ---- the making of it */

static inline void rig_make_trust(struct rig *r, uint64_t seq)
{
	struct trust_key key;
	char *cas[] = { r->pki.ca.data }, *brokers[] = { r->broker.url };
	struct trust_body body = { .seq = seq,
				   .signing_keys = &key,
				   .signing_key_count = 1,
				   .cas = cas,
				   .ca_count = 1,
				   .brokers = brokers,
				   .broker_count = 1 };

	memcpy(key.key, r->signing.public_key, KEY_LEN);
	rig_say(r, &(struct topic){ .kind = TOPIC_TRUST }, trust_fields, &body, &r->root, true,
		&r->trust);
}

static inline char *rig_token(struct rig *r)
{
	char *brokers[] = { r->broker.url }, uri[64];
	const char *const uris[] = { uri };
	const struct x509_issue what = { .uris = uris,
					 .uri_count = 1,
					 .not_before = clock_wall() - 60,
					 .not_after = clock_wall() + DAY };
	struct buf pem = { 0 }, certificate = { 0 }, text = { 0 };
	struct sign_key key;
	struct token t = { .mesh = r->mesh,
			   .network = (char[]){ "dc1" },
			   .brokers = brokers,
			   .broker_count = 1,
			   .ca = r->pki.ca.data };

	sign_key_generate(&key);
	sign_key_pem(&key, &pem);
	snprintf(uri, sizeof(uri), "warren:join:%s", key.id);
	CHECK_INT(x509_issue_key(buf_cstr(&r->pki.ca), buf_cstr(&r->pki.ca_key), buf_cstr(&pem),
				 &what, &certificate),
		  0);
	t.id = key.id;
	t.certificate = certificate.data;
	memcpy(t.root_key, r->root.public_key, KEY_LEN);
	memcpy(t.private_key, key.secret, KEY_LEN);
	token_format(&t, &text);
	sign_key_done(&key);
	buf_done(&pem);
	buf_done(&certificate);
	return buf_take(&text);
}

static inline void rig_begin(struct rig *r)
{
	*r = (struct rig){ .life = 7 * DAY };
	log_set_level(getenv("TEST_VERBOSE") ? LOG_DEBUG : (enum log_level) - 1);
	snprintf(r->state, sizeof(r->state), "%s/state", folder());
	snprintf(r->services, sizeof(r->services), "%s/services.json", folder_path);
	pki_make(&r->pki, "localhost");
	broker_make(&r->broker, &r->pki, false, "");
	broker_start(&r->broker);
	sign_key_generate(&r->root);
	sign_key_generate(&r->signing);
	mesh_id(r->root.public_key, r->mesh);
	rig_make_trust(r, 1);
	r->token = rig_token(r);
	r->loop = loop_new();
	r->mqtt = mqtt_mosquitto_new(
		r->loop, &(struct mqtt_config){ .brokers = (const char *const[]){ r->broker.url },
						.broker_count = 1,
						.client_id = "coordinator",
						.ca_pem = buf_cstr(&r->pki.ca),
						.cert_pem = buf_cstr(&r->pki.client),
						.key_pem = buf_cstr(&r->pki.client_key),
						.keepalive = 30,
						.connected = rig_connected,
						.disconnected = rig_disconnected,
						.message = rig_message,
						.owner = r });
	RIG_UNTIL(r, r->connected, 5000);
	rig_gateways(r);
}

static inline void rig_write(struct rig *r, const char *json)
{
	CHECK_INT(file_write(r->services, json, strlen(json), 0644), 0);
}

static inline int rig_start(struct rig *r)
{
	const struct exporter_options o = { .state = r->state,
					    .token = r->token,
					    .services = r->services };

	memset(&r->x, 0, sizeof(r->x));
	r->running = true;
	return exporter_start(&r->x, r->loop, &o);
}

static inline void rig_stop(struct rig *r)
{
	if (r->running)
		exporter_stop(&r->x);
	r->running = false;
}

static inline void rig_end(struct rig *r)
{
	rig_stop(r);
	mqtt_free(r->mqtt);
	replica_free(r->replica);
	writer_free(r->gateways);
	verify_key_done(&r->key);
	sign_key_done(&r->root);
	sign_key_done(&r->signing);
	buf_done(&r->trust);
	free(r->token);
	loop_free(r->loop);
	broker_stop(&r->broker, SIGKILL);
	pki_done(&r->pki);
}

/* The replica holds exactly so many, and knows of nothing newer. */
static inline bool rig_holds(struct rig *r, size_t count)
{
	return r->replica && replica_is_ready(r->replica) && replica_is_level(r->replica) &&
	       replica_count(r->replica) == count;
}

static inline bool rig_is_settled(const struct rig *r)
{
	return r->x.publish && publish_is_settled(r->x.publish);
}
