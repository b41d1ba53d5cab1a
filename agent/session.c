/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lasting connection. Owns the MQTT client and the requests that wait for an answer. One thread.
 */
#include "agent/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/text.h"
#include "schemas/topic.h"

#define KEEPALIVE 30
#define WILL_N ((UINT64_C(1) << 20) - 1)
#define RID_BYTES 8

struct session_request {
	struct session *session;
	struct session_request *next;
	struct loop_timer timer;
	char rid[2 * RID_BYTES + 1];
	uint8_t hash[HASH_LEN];
	struct buf document;
	session_done *done;
	void *owner;
};

struct session {
	struct session_config c;
	char mesh[MESH_ID_SIZE];
	struct mqtt *mqtt;
	uint64_t connection, n; /* of u/<node>/state */
	char instance[17];
	char boot[37];
	struct session_request *requests;
};

static void own_topic(const struct session *s, enum topic_kind kind, char ret[static TOPIC_SIZE])
{
	struct topic t = { .kind = kind };

	memcpy(t.id, s->c.identity->key.id, KEY_ID_SIZE);
	topic_format(s->mesh, &t, ret);
}

/* ---- presence ---- */

static void state_sign(struct session *s, bool online, uint64_t n, struct buf *out)
{
	struct node_state st = {
		.seq = (s->connection << 20) + n,
		.instance = s->instance,
		.online = online,
		.boot = *s->boot ? s->boot : NULL,
	};
	const struct sign_key *key = &s->c.identity->key;
	struct arena arena = { 0 };
	char topic[TOPIC_SIZE];
	struct buf body = { 0 };

	if (online && s->c.holders)
		st.holder_count = s->c.holders(s->c.owner, &arena, &st.holders);
	own_topic(s, TOPIC_NODE, topic);
	json_encode(&body, node_state_fields, &st);
	arena_done(&arena);
	document_sign(out, topic, buf_cstr(&body), body.len, &key, 1);
	buf_done(&body);
}

static void state_publish(struct session *s, bool online)
{
	struct buf document = { 0 };
	char topic[TOPIC_SIZE];

	own_topic(s, TOPIC_NODE, topic);
	state_sign(s, online, s->n++, &document);
	session_publish(s, topic, document.data, document.len, true);
	buf_done(&document);
}

void session_state_changed(struct session *s)
{
	if (s->c.present && mqtt_is_connected(s->mqtt))
		state_publish(s, true);
}

/* The number of the connection is in its will. */
static void connecting(void *owner)
{
	struct session *s = owner;
	struct buf will = { 0 };

	s->connection = state_connection_next(s->c.state);
	s->n = 0;
	if (!s->c.present)
		return;
	state_sign(s, false, WILL_N, &will);
	mqtt_set_will(s->mqtt, will.data, will.len);
	buf_done(&will);
}

/* ---- the connection ---- */

static void request_send(struct session_request *r)
{
	char topic[TOPIC_SIZE];

	own_topic(r->session, TOPIC_REQ, topic);
	session_publish(r->session, topic, r->document.data, r->document.len, false);
}

static void connected(void *owner)
{
	struct session *s = owner;
	char topic[TOPIC_SIZE];

	log_info("broker-connected", "broker=%s", mqtt_broker(s->mqtt));
	own_topic(s, TOPIC_RSP, topic);
	session_subscribe(s, topic);
	own_topic(s, TOPIC_CONFIG, topic);
	session_subscribe(s, topic);
	topic_format(s->mesh, &(struct topic){ .kind = TOPIC_TRUST }, topic);
	session_subscribe(s, topic);
	topic_format(s->mesh, &(struct topic){ .kind = TOPIC_STATE }, topic);
	session_subscribe(s, topic);
	if (s->c.present)
		state_publish(s, true);
	s->c.connected(s->c.owner);
	for (struct session_request *r = s->requests; r; r = r->next)
		request_send(r);
}

static void disconnected(void *owner, const char *error)
{
	struct session *s = owner;

	s->c.disconnected(s->c.owner, error);
}

static void message(void *owner, const struct mqtt_message *m)
{
	struct session *s = owner;

	s->c.message(s->c.owner, m);
}

static void refused(void *owner, const char *filter)
{
	(void)owner;
	log_warn("subscription-refused", "filter=%s", log_quote(filter));
}

static void read_boot(char ret[static 37])
{
	struct buf b = { 0 };

	ret[0] = '\0';
	if (file_read("/proc/sys/kernel/random/boot_id", 64, &b) == 0 && b.len >= 36) {
		memcpy(ret, b.data, 36);
		ret[36] = '\0';
	}
	buf_done(&b);
}

struct session *session_new(const struct session_config *c)
{
	struct session *s = xcalloc(1, sizeof(*s));
	char will_topic[TOPIC_SIZE];
	struct buf cas = { 0 };
	uint8_t instance[8];

	s->c = *c;
	memcpy(s->mesh, c->trust->mesh, MESH_ID_SIZE);
	crypto_random(instance, sizeof(instance));
	hex_encode(instance, sizeof(instance), s->instance);
	read_boot(s->boot);
	own_topic(s, TOPIC_NODE, will_topic);
	for (size_t i = 0; i < c->trust->body.ca_count; i++)
		buf_str(&cas, c->trust->body.cas[i]);
	s->mqtt = mqtt_paho_new(
		c->loop, &(struct mqtt_config){
				 .brokers = (const char *const *)(void *)c->trust->body.brokers,
				 .broker_count = c->trust->body.broker_count,
				 .client_id = c->identity->key.id,
				 .ca_pem = buf_cstr(&cas),
				 .cert_pem = c->certificate,
				 .key_pem = c->identity->tls_key,
				 .will_topic = c->present ? will_topic : NULL,
				 .keepalive = KEEPALIVE,
				 .connected = connected,
				 .disconnected = disconnected,
				 .message = message,
				 .refused = refused,
				 .owner = s,
			 });
	mqtt_on_connecting(s->mqtt, connecting);
	buf_done(&cas);
	return s;
}

void session_free(struct session *s, bool goodbye)
{
	if (!s)
		return;
	while (s->requests) {
		struct session_request *r = s->requests;
		session_done *done = r->done;
		void *owner = r->owner;

		session_cancel(s, r);
		done(owner, NULL, NULL, NULL);
	}
	if (goodbye && s->c.present && session_is_connected(s))
		state_publish(s, false);
	mqtt_free(s->mqtt);
	free(s);
}

bool session_is_connected(const struct session *s)
{
	return s && mqtt_is_connected(s->mqtt);
}

const char *session_broker(const struct session *s)
{
	return mqtt_broker(s->mqtt);
}

const char *session_error(const struct session *s)
{
	return mqtt_error(s->mqtt);
}

uint64_t session_oversize(const struct session *s)
{
	return mqtt_oversize(s->mqtt);
}

void session_subscribe(struct session *s, const char *topic)
{
	int r = s ? mqtt_subscribe(s->mqtt, topic) : 0;

	if (r < 0 && r != -ENOTCONN)
		log_warn("subscribe-failed", "topic=%s error=%s", topic, strerror(-r));
}

void session_unsubscribe(struct session *s, const char *topic)
{
	int r = s ? mqtt_unsubscribe(s->mqtt, topic) : 0;

	if (r < 0 && r != -ENOTCONN)
		log_warn("unsubscribe-failed", "topic=%s error=%s", topic, strerror(-r));
}

void session_publish(struct session *s, const char *topic, const void *bytes, size_t len,
		     bool retain)
{
	int r = s ? mqtt_publish(s->mqtt, topic, bytes, len, 1, retain) : 0;

	if (r < 0 && r != -ENOTCONN)
		log_warn("publish-failed", "topic=%s error=%s", topic, strerror(-r));
}

/* ---- requests ---- */

static void request_end(struct session_request *r, const struct node_response *response,
			const char *document)
{
	session_done *done = r->done;
	void *owner = r->owner;
	uint8_t hash[HASH_LEN];

	memcpy(hash, r->hash, HASH_LEN);
	session_cancel(r->session, r);
	done(owner, response, hash, document);
}

static void request_late(struct loop_timer *t)
{
	request_end(container_of(t, struct session_request, timer), NULL, NULL);
}

struct session_request *session_ask(struct session *s, struct node_request *q,
				    const struct sign_key *extra, uint64_t timeout,
				    session_done *done, void *owner)
{
	const struct sign_key *keys[2] = { extra ? extra : &s->c.identity->key,
					   &s->c.identity->key };
	struct session_request *r = xcalloc(1, sizeof(*r));
	uint8_t rid[RID_BYTES];
	char topic[TOPIC_SIZE];
	struct buf body = { 0 };

	crypto_random(rid, sizeof(rid));
	hex_encode(rid, sizeof(rid), r->rid);
	q->rid = r->rid;
	json_encode(&body, node_request_fields, q);
	own_topic(s, TOPIC_REQ, topic);
	document_sign(&r->document, topic, buf_cstr(&body), body.len, keys, extra ? 2 : 1);
	sha256(r->document.data, r->document.len, r->hash);
	buf_done(&body);
	r->session = s;
	r->done = done;
	r->owner = owner;
	r->timer.fired = request_late;
	r->next = s->requests;
	s->requests = r;
	loop_timer_set(s->c.loop, &r->timer, clock_mono() + timeout);
	request_send(r);
	return r;
}

void session_cancel(struct session *s, struct session_request *r)
{
	struct session_request **at = &s->requests;

	while (*at && *at != r)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = r->next;
	loop_timer_del(s->c.loop, &r->timer);
	buf_done(&r->document);
	free(r);
}

enum refusal session_response(struct session *s, const struct document *d, const char *document)
{
	struct node_response response = { 0 };
	struct session_request *r = s->requests;
	struct arena a = { 0 };
	enum refusal why;

	why = node_response_decode(&a, d->body, d->body_len, &response, NULL);
	if (!why) {
		while (r && strcmp(r->rid, response.rid) != 0)
			r = r->next;
		if (r)
			request_end(r, &response, document);
		else
			log_debug("response-unasked", "rid=%s", response.rid);
	}
	arena_done(&a);
	return why;
}
