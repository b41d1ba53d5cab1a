/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One MQTT 3.1.1 client inside the loop: connect, subscribe, publish, messages. Two back ends:
 * mqtt_mosquitto.c (libmosquitto inside the loop; coordinator, tests) and mqtt_paho.c (paho's own
 * threads, whose callbacks only copy into a queue and wake the loop; agent, exporter). All callbacks
 * run in the loop's thread.
 *
 * TLS 1.3 with a client certificate, and the broker's certificate is checked against the CA and
 * the host's name. A lost connection is made again by itself with exponential back-off (1 s to
 * 30 s, full jitter; the first attempt at once); the sessions are clean, so the owner subscribes
 * again in `connected`. Name resolution never blocks the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/loop.h"

#define MQTT_PAYLOAD_MAX 65536 /* longer messages are counted (mqtt_oversize) and dropped */
#define MQTT_TOPIC_MAX 512

struct mqtt;

struct mqtt_message {
	const char *topic;	/* borrowed for the call */
	const uint8_t *payload; /* borrowed; NULL when len is 0 */
	size_t len;
	bool retained; /* was stored at the broker, not live */
};

struct mqtt_config {
	const char *const *
		brokers; /* mqtts://HOST:PORT, tried in order; the first port by hash of the client id */
	size_t broker_count;
	const char *client_id;
	const char *ca_pem;   /* all text, copied; no file is read */
	const char *cert_pem; /* chain */
	const char *key_pem;
	const char *will_topic; /* retained, QoS 1; NULL: none */
	const void *will;
	size_t will_len;
	unsigned keepalive; /* seconds, at least 5 */
	/* Called in the loop's thread; mqtt_free may be called in each of them. */
	void (*connected)(void *owner);
	/* The connection is lost or an attempt failed. `error` is a sentence for people. */
	void (*disconnected)(void *owner, const char *error);
	void (*message)(void *owner, const struct mqtt_message *m);
	void (*refused)(void *owner, const char *filter); /* a subscription; NULL: not told */
	void *owner;
};

/* Starts connecting. The config's strings are copied. With paho one client at a time: a second one
 * works, but takes a second longer to connect; and no fork(2) without exec while there is one. */
struct mqtt *mqtt_mosquitto_new(struct loop *l, const struct mqtt_config *c);
struct mqtt *mqtt_paho_new(struct loop *l, const struct mqtt_config *c);
/* Says goodbye when connected (the will is not sent), waits at most 1 s, frees. NULL allowed. No
 * callback is called any more. */
void mqtt_free(struct mqtt *m);
/* Replaces the will of the next connection: it carries the connection's number. */
void mqtt_set_will(struct mqtt *m, const void *will, size_t len);
/* Called by the loop before each connection attempt when set: the place for mqtt_set_will. */
void mqtt_on_connecting(struct mqtt *m, void (*connecting)(void *owner));

bool mqtt_is_connected(const struct mqtt *m);
const char *mqtt_broker(const struct mqtt *m); /* the one in use or tried last */
const char *mqtt_error(const struct mqtt *m);  /* why not connected; NULL when connected */
uint64_t mqtt_oversize(const struct mqtt *m);
/* Messages that came faster than the loop took them (paho only: its queue is bounded). */
uint64_t mqtt_dropped(const struct mqtt *m);

/* -ENOTCONN while there is no connection: nothing is queued then, the owner publishes again in
 * `connected`. -EAGAIN (QoS 1, mosquitto only): 60,000 have no PUBACK yet; nothing more is taken until they
 * have it, and then the connection is made anew, so that the owner does the same. Subscriptions are at QoS 0. Retained and QoS 1 publishes are sent in order. */
int mqtt_subscribe(struct mqtt *m, const char *filter);
int mqtt_unsubscribe(struct mqtt *m, const char *filter);
int mqtt_publish(struct mqtt *m, const char *topic, const void *p, size_t n, int qos, bool retain);
/* Publishes (QoS 1) not yet acknowledged by the broker. */
size_t mqtt_in_flight(const struct mqtt *m);
