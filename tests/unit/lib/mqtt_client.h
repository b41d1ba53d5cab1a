/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One MQTT client of a test and what was heard of it. The including file defines MQTT_NEW.
 */
#pragma once

#include "lib/loop.h"
#include "lib/mqtt.h"
#include "lib/text.h"
#include "tests/turn.h"
#include "tests/unit/lib/mqtt_broker.h"

#define MSEC USEC_PER_MSEC

/* One client and what was heard of it. */
struct client {
	struct loop *loop;
	struct mqtt *mqtt;
	unsigned connected, disconnected, connecting, messages, retained, refused;
	unsigned in_order; /* payloads 0, 1, 2, ... so far */
	size_t last_len;
	char last[64], error[256];
	bool free_on_message;
};

static struct pki pki;
static struct broker broker;

static void on_connected(void *owner)
{
	struct client *c = owner;

	c->connected++;
}

static void on_disconnected(void *owner, const char *error)
{
	struct client *c = owner;

	c->disconnected++;
	snprintf(c->error, sizeof(c->error), "%s", error);
}

static void on_message(void *owner, const struct mqtt_message *m)
{
	struct client *c = owner;
	uint64_t n;

	c->messages++;
	c->retained += m->retained;
	c->last_len = m->len;
	snprintf(c->last, sizeof(c->last), "%.*s", (int)m->len,
		 m->payload ? (const char *)m->payload : "");
	if (u64_parse(c->last, 0, UINT64_MAX, &n) == 0 && n == c->in_order)
		c->in_order++;
	if (c->free_on_message) {
		mqtt_free(c->mqtt);
		c->mqtt = NULL;
	}
}

static void on_refused(void *owner, const char *filter)
{
	struct client *c = owner;

	c->refused++;
	snprintf(c->last, sizeof(c->last), "%s", filter);
}

/* The number of the connection is the will. */
static void on_connecting(void *owner)
{
	struct client *c = owner;
	char text[16];

	snprintf(text, sizeof(text), "%u", ++c->connecting);
	mqtt_set_will(c->mqtt, text, strlen(text));
}

static struct mqtt_config config_of(struct client *c, const char *id, const char *const *url)
{
	return (struct mqtt_config){
		.brokers = url,
		.broker_count = 1,
		.client_id = id,
		.ca_pem = buf_cstr(&pki.ca),
		.cert_pem = buf_cstr(&pki.client),
		.key_pem = buf_cstr(&pki.client_key),
		.keepalive = 30,
		.connected = on_connected,
		.disconnected = on_disconnected,
		.message = on_message,
		.refused = on_refused,
		.owner = c,
	};
}

static void client_init(struct client *c, struct loop *l, const char *id)
{
	const char *url = broker.url;
	struct mqtt_config config = config_of(c, id, &url);

	*c = (struct client){ .loop = l };
	c->mqtt = MQTT_NEW(l, &config);
}

#define CHECK_HAS(text, part)                                                                      \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			test_end(false, "%s:%d: no \"%s\" in: %s", __FILE__, __LINE__, part,       \
				 text);                                                            \
	} while (0)

static void client_up(struct client *c, struct loop *l, const char *id)
{
	client_init(c, l, id);
	for (uint64_t end = clock_mono() + 5000 * MSEC;
	     !mqtt_is_connected(c->mqtt) && clock_mono() < end;)
		loop_turn(l, 20 * MSEC);
	if (!mqtt_is_connected(c->mqtt))
		test_end(false, "%s", mqtt_error(c->mqtt));
	TURN_UNTIL(l, mqtt_is_connected(c->mqtt), 5000);
}

static void setup(const char *host, const char *more)
{
	pki_make(&pki, host);
	broker_make(&broker, &pki, false, more);
}

static void teardown(struct loop *l)
{
	loop_free(l);
	broker_stop(&broker, SIGTERM);
	pki_done(&pki);
}

/* Breaks this process's connections to the broker, as a network does. */
static void cut(void)
{
	for (int fd = 3; fd < 64; fd++) {
		struct sockaddr_in sin = { 0 };
		socklen_t len = sizeof(sin);

		if (getpeername(fd, (struct sockaddr *)&sin, &len) == 0 &&
		    sin.sin_family == AF_INET && ntohs(sin.sin_port) == broker.port)
			shutdown(fd, SHUT_RDWR);
	}
}
