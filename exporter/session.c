/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lasting connection. Owns the MQTT client. One thread.
 */
#include "exporter/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/text.h"
#include "lib/x509.h"

#define KEEPALIVE 30
#define WILL_N ((UINT64_C(1) << 20) - 1)

struct session {
	struct session_config c;
	struct mqtt *mqtt;
	uint64_t connection, n; /* of u/<id>/state */
	char instance[17];
	struct prefix offer[STATE_RANGES_MAX];
	size_t offer_count;
};

static void own_topic(const struct session *s, enum topic_kind kind, char ret[static TOPIC_SIZE])
{
	struct topic t = { .kind = kind };

	memcpy(t.id, s->c.identity->key.id, KEY_ID_SIZE);
	topic_format(s->c.trust->mesh, &t, ret);
}

static void sign(const struct session *s, const char *topic, const struct json_field *fields,
		 const void *what, struct buf *out)
{
	const struct sign_key *key = &s->c.identity->key;
	struct buf body = { 0 };

	json_encode(&body, fields, what);
	document_sign(out, topic, buf_cstr(&body), body.len, &key, 1);
	buf_done(&body);
}

/* ---- presence ---- */

static void presence_sign(struct session *s, bool online, uint64_t n, const char *topic,
			  struct buf *out)
{
	const struct node_state st = {
		.seq = (s->connection << 20) + n,
		.instance = s->instance,
		.online = online,
		.ranges = s->offer,
		.range_count = online ? s->offer_count : 0,
	};

	sign(s, topic, node_state_fields, &st, out);
}

static void presence_publish(struct session *s, bool online)
{
	struct buf document = { 0 };
	char topic[TOPIC_SIZE];

	own_topic(s, TOPIC_NODE, topic);
	presence_sign(s, online, ++s->n, topic, &document);
	session_publish(s, topic, document.data, document.len, true);
	buf_done(&document);
}

/* The number of the connection is in its will. */
static void connecting(void *owner)
{
	struct session *s = owner;
	struct buf will = { 0 };
	char topic[TOPIC_SIZE];

	own_topic(s, TOPIC_NODE, topic);
	s->connection = state_connection_next(s->c.state);
	if (s->connection == 0)
		log_error("state-not-stored", "error=%s", log_quote(state_message()));
	s->n = 0;
	presence_sign(s, false, WILL_N, topic, &will);
	mqtt_set_will(s->mqtt, will.data, will.len);
	buf_done(&will);
}

/* ---- the connection ---- */

static void connected(void *owner)
{
	struct session *s = owner;
	char topic[TOPIC_SIZE];

	log_info("broker-connected", "broker=%s", mqtt_broker(s->mqtt));
	own_topic(s, TOPIC_RSP, topic);
	session_subscribe(s, topic);
	topic_format(s->c.trust->mesh, &(struct topic){ .kind = TOPIC_TRUST }, topic);
	session_subscribe(s, topic);
	presence_publish(s, true);
	s->c.connected(s->c.owner);
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

struct session *session_new(const struct session_config *c)
{
	struct session *s = xcalloc(1, sizeof(*s));
	char will_topic[TOPIC_SIZE];
	struct buf cas = { 0 };
	uint8_t instance[8];

	s->c = *c;
	crypto_random(instance, sizeof(instance));
	hex_encode(instance, sizeof(instance), s->instance);
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
				 .will_topic = will_topic,
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
	if (goodbye && session_is_connected(s))
		presence_publish(s, false);
	mqtt_free(s->mqtt);
	free(s);
}

bool session_is_connected(const struct session *s)
{
	return s && mqtt_is_connected(s->mqtt);
}

void session_subscribe(struct session *s, const char *topic)
{
	int r = mqtt_subscribe(s->mqtt, topic);

	if (r < 0 && r != -ENOTCONN)
		log_warn("subscribe-failed", "topic=%s error=%s", topic, strerror(-r));
}

void session_unsubscribe(struct session *s, const char *topic)
{
	int r = mqtt_unsubscribe(s->mqtt, topic);

	if (r < 0 && r != -ENOTCONN)
		log_warn("unsubscribe-failed", "topic=%s error=%s", topic, strerror(-r));
}

void session_publish(struct session *s, const char *topic, const void *bytes, size_t len,
		     bool retain)
{
	int r = mqtt_publish(s->mqtt, topic, bytes, len, retain ? 1 : 0, retain);

	if (r < 0 && r != -ENOTCONN)
		log_warn("publish-failed", "topic=%s error=%s", topic, strerror(-r));
}

void session_offer(struct session *s, const struct prefix *ranges, size_t count)
{
	bool same;

	count = MIN(count, (size_t)STATE_RANGES_MAX);
	same = count == s->offer_count;
	for (size_t i = 0; same && i < count; i++)
		same = prefix_cmp(&s->offer[i], &ranges[i]) == 0;
	if (same)
		return;
	for (size_t i = 0; i < count; i++)
		s->offer[i] = ranges[i];
	s->offer_count = count;
	if (session_is_connected(s))
		presence_publish(s, true);
}

void session_renew(struct session *s, char ret_rid[static SESSION_RID_SIZE])
{
	struct buf csr = { 0 }, document = { 0 };
	uint8_t rid[(SESSION_RID_SIZE - 1) / 2];
	char topic[TOPIC_SIZE];

	crypto_random(rid, sizeof(rid));
	hex_encode(rid, sizeof(rid), ret_rid);
	if (x509_csr_create(s->c.identity->tls_key, &csr) < 0) {
		log_error("renewal-not-asked", "why=the-key-cannot-be-used");
	} else {
		struct node_request q = { .rid = ret_rid, .op = NODE_OP_RENEW, .csr = csr.data };

		own_topic(s, TOPIC_REQ, topic);
		sign(s, topic, node_request_fields, &q, &document);
		session_publish(s, topic, document.data, document.len, false);
	}
	buf_done(&csr);
	buf_done(&document);
}
