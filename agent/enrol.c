/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enrolling. Owns the connection with the token's certificate and a copy of the request's bytes. One
 * thread.
 */
#include "agent/enrol.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mqtt.h"
#include "lib/text.h"
#include "lib/x509.h"

#define KEEPALIVE 15
#define AGAIN (3 * USEC_PER_SEC) /* the same bytes again: the coordinator may have been away */
#define ATTEMPTS 2		 /* before a broker with a wrong certificate is given up */

struct enrol {
	struct loop *loop;
	const struct identity *who;
	struct token token; /* only for what is checked: strings are in `arena` */
	struct arena arena;
	int64_t (*wall)(void);
	struct mqtt *mqtt;
	struct loop_timer timer, again;
	char request_topic[TOPIC_SIZE], answer_topic[TOPIC_SIZE];
	struct buf request;
	uint8_t hash[HASH_LEN];
	bool sent;
	unsigned attempts;
	char error[512];
	char doubt[256]; /* why an answer was not the coordinator's; "": none came */
	void (*done)(void *owner, const struct enrol_result *r);
	void *owner;
};

static enum refusal PRINTF(4, 5)
	say(enum refusal refused, char *why, size_t why_size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_size, fmt, ap);
	va_end(ap);
	return refused;
}

/* ---- the request ---- */

void enrol_request(struct arena *arena, const struct token *token, const struct identity *who,
		   const struct enrol_wish *wish, struct join_request *ret)
{
	struct buf csr = { 0 };

	memset(ret, 0, sizeof(*ret));
	identity_csr(who, &csr);
	ret->token = token->id;
	memcpy(ret->identity_key, who->key.public_key, KEY_LEN);
	ret->csr = arena_strdup(arena, buf_cstr(&csr));
	memcpy(ret->wireguard_key, wish->wireguard_key, KEY_LEN);
	ret->wished_name = wish->name && *wish->name ? arena_strdup(arena, wish->name) : NULL;
	ret->site = wish->site ? arena_strdup(arena, wish->site) : NULL;
	ret->endpoints = arena_array(arena, wish->endpoint_count, sizeof(*ret->endpoints));
	for (size_t i = 0; i < wish->endpoint_count; i++)
		ret->endpoints[i] = arena_strdup(arena, wish->endpoints[i]);
	ret->endpoint_count = wish->endpoint_count;
	crypto_random(ret->nonce, sizeof(ret->nonce));
	buf_done(&csr);
}

/* ---- the answer ---- */

static bool has_uri(const struct x509_info *info, const char *id)
{
	char want[32 + KEY_ID_SIZE];

	snprintf(want, sizeof(want), "warren:node:%s", id);
	for (size_t i = 0; i < info->uri_count; i++)
		if (strcmp(info->uris[i], want) == 0)
			return true;
	return false;
}

static enum refusal check_certificate(const struct identity *who, const struct trust *trust,
				      const char *certificate, int64_t now, char *why,
				      size_t why_size)
{
	struct x509_info info = { 0 };
	struct buf cas = { 0 };
	enum refusal refused = REFUSED_NOT;
	int r;

	if (x509_info_read(certificate, &info) < 0)
		return say(REFUSED_SCHEMA, why, why_size,
			   "the coordinator's answer has no certificate");
	for (size_t i = 0; i < trust->body.ca_count; i++)
		buf_str(&cas, trust->body.cas[i]);
	/* A clock that is behind (there are nodes without one) is no reason to refuse. */
	r = x509_verify(buf_cstr(&cas), certificate, MAX(now, info.not_before));
	if (!x509_key_matches(certificate, who->tls_key) || !has_uri(&info, who->key.id))
		refused = say(REFUSED_KEY, why, why_size,
			      "the certificate in the coordinator's answer is not this node's");
	else if (r < 0)
		refused = say(REFUSED_KEY, why, why_size,
			      "the certificate in the coordinator's answer is %s",
			      r == -EKEYEXPIRED ? "expired: is this machine's clock right?" :
						  "not of the mesh's CA");
	buf_done(&cas);
	x509_info_done(&info);
	return refused;
}

enum refusal enrol_check_body(const struct identity *who, const struct trust *trust,
			      const uint8_t request_hash[static HASH_LEN],
			      const struct join_answer *a, int64_t now, char *why, size_t why_size)
{
	if (memcmp(a->request, request_hash, HASH_LEN) != 0)
		return say(REFUSED_OLD, why, why_size,
			   "the coordinator's answer is for another request");
	if (a->refused)
		return REFUSED_NOT;
	return check_certificate(who, trust, a->certificate, now, why, why_size);
}

static const struct verify_key *find_key(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known)
{
	(void)index;
	return trust_find(owner, who, key, ret_known);
}

static enum refusal open_answer(struct arena *arena, struct trust *trust, const char *topic,
				const void *bytes, size_t len, struct join_answer *ret, char *why,
				size_t why_size)
{
	const struct keyring keys = { .find = find_key, .owner = trust };
	enum refusal refused;
	struct document d;
	struct topic t;

	if (topic_parse(trust->mesh, topic, &t) < 0 || t.kind != TOPIC_ENROL_RSP)
		return say(REFUSED_MESH, why, why_size, "the answer is not of the token's mesh");
	refused = document_split(bytes, len, &d);
	if (!refused)
		refused = join_answer_decode(arena, d.body, d.body_len, ret, NULL);
	if (refused)
		return say(refused, why, why_size, "the answer is no answer to a join");
	/* Whom to believe stands in the answer itself, signed by the root that the token names. */
	if (!ret->trust || trust_take(trust, ret->trust, strlen(ret->trust), NULL))
		return say(REFUSED_SIGNER, why, why_size,
			   "the answer's trust document is not signed by the mesh's root key");
	refused = document_open(&keys, trust->mesh, &t, bytes, len, &d);
	if (refused)
		return say(refused, why, why_size,
			   "the answer is not signed by the mesh's coordinator (%s)",
			   refusal_names[refused]);
	return REFUSED_NOT;
}

enum refusal enrol_check(struct arena *arena, const struct token *token, const struct identity *who,
			 const char *topic, const uint8_t request_hash[static HASH_LEN],
			 const void *bytes, size_t len, int64_t now, struct enrol_answer *ret,
			 char *why, size_t why_size)
{
	struct trust *trust = trust_new(token->root_key);
	enum refusal refused;

	memset(ret, 0, sizeof(*ret));
	refused = open_answer(arena, trust, topic, bytes, len, &ret->body, why, why_size);
	if (!refused)
		refused =
			enrol_check_body(who, trust, request_hash, &ret->body, now, why, why_size);
	if (!refused) {
		ret->topic = arena_strdup(arena, topic);
		ret->document = arena_strndup(arena, bytes, len);
	}
	trust_free(trust);
	return refused;
}

/* ---- the connection ---- */

static void finish(struct enrol *e, const struct enrol_result *r)
{
	void (*done)(void *owner, const struct enrol_result *r) = e->done;
	void *owner = e->owner;

	/* The lasting connection may begin in `done`: this one has to be gone. */
	mqtt_free(TAKE(e->mqtt));
	loop_timer_del(e->loop, &e->timer);
	loop_timer_del(e->loop, &e->again);
	done(owner, r);
	enrol_cancel(e);
}

static void fail(struct enrol *e, bool unreachable)
{
	finish(e, &(struct enrol_result){ .error = e->error, .unreachable = unreachable });
}

static void late(struct loop_timer *t)
{
	struct enrol *e = container_of(t, struct enrol, timer);

	if (e->sent)
		snprintf(e->error, sizeof(e->error),
			 "the coordinator does not answer (the broker %s does); is it running?%s%s",
			 e->token.brokers[0], *e->doubt ? " An answer was not taken: " : "",
			 e->doubt);
	fail(e, true);
}

/* The request is not retained, and whoever is away when it passes does not hear it. */
static void send_request(struct enrol *e)
{
	if (mqtt_publish(e->mqtt, e->request_topic, e->request.data, e->request.len, 1, false) == 0)
		e->sent = true;
	loop_timer_set(e->loop, &e->again, loop_now(e->loop) + AGAIN);
}

static void again(struct loop_timer *t)
{
	struct enrol *e = container_of(t, struct enrol, again);

	if (e->sent)
		send_request(e);
}

static void connected(void *owner)
{
	struct enrol *e = owner;

	if (mqtt_subscribe(e->mqtt, e->answer_topic) == 0)
		send_request(e);
}

static void disconnected(void *owner, const char *error)
{
	struct enrol *e = owner;

	e->sent = false;
	snprintf(e->error, sizeof(e->error), "%s", error);
	/* Another attempt does not change a certificate. */
	if (++e->attempts >= ATTEMPTS * MAX(e->token.broker_count, (size_t)1) &&
	    strstr(error, "certificate"))
		fail(e, true);
}

static void message(void *owner, const struct mqtt_message *m)
{
	struct enrol_answer answer;
	struct enrol *e = owner;
	struct arena a = { 0 };
	char why[256];
	enum refusal refused;

	if (m->len == 0 || strcmp(m->topic, e->answer_topic) != 0)
		return;
	refused = enrol_check(&a, &e->token, e->who, m->topic, e->hash, m->payload, m->len,
			      e->wall(), &answer, why, sizeof(why));
	if (refused) {
		/* Not the coordinator's word: go on waiting for that. */
		log_warn("join-answer-refused", "cause=%s why=%s", refusal_names[refused],
			 log_quote(why));
		snprintf(e->doubt, sizeof(e->doubt), "%s", why);
	} else if (answer.body.refused) {
		snprintf(e->error, sizeof(e->error), "%s", answer.body.refused->message);
		fail(e, false);
	} else {
		finish(e, &(struct enrol_result){ .answer = &answer });
	}
	arena_done(&a);
}

static bool token_is_expired(struct enrol *e)
{
	char when[CLOCK_RFC3339_SIZE];
	struct x509_info info = { 0 };
	bool expired = false;

	if (x509_info_read(e->token.certificate, &info) == 0)
		expired = info.not_after <= e->wall();
	if (expired) {
		clock_rfc3339(info.not_after, when);
		snprintf(e->error, sizeof(e->error),
			 "token %s expired at %s by this machine's clock; ask for a new one",
			 e->token.id, when);
	}
	x509_info_done(&info);
	return expired;
}

static void expired(struct loop_timer *t)
{
	fail(container_of(t, struct enrol, timer), false);
}

static void copy_token(struct enrol *e, const struct token *t)
{
	struct arena *a = &e->arena;

	e->token.id = arena_strdup(a, t->id);
	e->token.mesh = arena_strdup(a, t->mesh);
	e->token.network = arena_strdup(a, t->network);
	e->token.brokers = arena_array(a, t->broker_count, sizeof(*e->token.brokers));
	for (size_t i = 0; i < t->broker_count; i++)
		e->token.brokers[i] = arena_strdup(a, t->brokers[i]);
	e->token.broker_count = t->broker_count;
	memcpy(e->token.root_key, t->root_key, KEY_LEN);
	e->token.ca = arena_strdup(a, t->ca);
	e->token.certificate = arena_strdup(a, t->certificate);
}

static void make_request(struct enrol *e, const struct sign_key *token_key, const char *client,
			 const struct enrol_wish *wish)
{
	const struct sign_key *keys[] = { token_key, &e->who->key };
	struct topic t = { .kind = TOPIC_ENROL_REQ };
	struct join_request q;
	struct buf body = { 0 };

	snprintf(t.id, sizeof(t.id), "%s", e->token.id);
	snprintf(t.other, sizeof(t.other), "%s", client);
	topic_format(e->token.mesh, &t, e->request_topic);
	t.kind = TOPIC_ENROL_RSP;
	topic_format(e->token.mesh, &t, e->answer_topic);
	enrol_request(&e->arena, &e->token, e->who, wish, &q);
	json_encode(&body, join_request_fields, &q);
	document_sign(&e->request, e->request_topic, buf_cstr(&body), body.len, keys, 2);
	sha256(e->request.data, e->request.len, e->hash);
	buf_done(&body);
}

static void make_client(const char *token, char ret[static LABEL_SIZE])
{
	uint8_t random[5];
	char text[9];

	crypto_random(random, sizeof(random));
	base32_prefix(random, sizeof(random), text, 8);
	snprintf(ret, LABEL_SIZE, "j-%s-%s", token, text);
}

struct enrol *enrol_start(struct loop *l, const struct token *token, const struct identity *who,
			  const struct enrol_wish *wish, int64_t (*wall)(void),
			  void (*done)(void *owner, const struct enrol_result *r), void *owner)
{
	struct enrol *e = xcalloc(1, sizeof(*e));
	struct sign_key token_key;
	char client[LABEL_SIZE];
	struct buf pem = { 0 };

	e->loop = l;
	e->who = who;
	e->wall = wall;
	e->done = done;
	e->owner = owner;
	copy_token(e, token);
	if (token_is_expired(e)) {
		e->timer.fired = expired;
		loop_timer_set(l, &e->timer, loop_now(l));
		return e;
	}
	sign_key_from_secret(token->private_key, &token_key);
	sign_key_pem(&token_key, &pem);
	make_client(token->id, client);
	make_request(e, &token_key, client, wish);
	sign_key_done(&token_key);
	e->timer.fired = late;
	e->again.fired = again;
	loop_timer_set(l, &e->timer, clock_mono() + ENROL_SECONDS * USEC_PER_SEC);
	snprintf(e->error, sizeof(e->error), "the broker %s does not answer", token->brokers[0]);
	e->mqtt = mqtt_paho_new(l, &(struct mqtt_config){
					   .brokers = (const char *const *)(void *)e->token.brokers,
					   .broker_count = e->token.broker_count,
					   .client_id = client,
					   .ca_pem = e->token.ca,
					   .cert_pem = e->token.certificate,
					   .key_pem = buf_cstr(&pem),
					   .keepalive = KEEPALIVE,
					   .connected = connected,
					   .disconnected = disconnected,
					   .message = message,
					   .owner = e,
				   });
	buf_done(&pem);
	return e;
}

void enrol_cancel(struct enrol *e)
{
	if (!e)
		return;
	mqtt_free(e->mqtt);
	loop_timer_del(e->loop, &e->timer);
	loop_timer_del(e->loop, &e->again);
	buf_done(&e->request);
	arena_done(&e->arena);
	free(e);
}
