/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two MQTT back ends share, and what they owe it. Included by mqtt.c, mqtt_mosquitto.c and
 * mqtt_paho.c only.
 *
 * mqtt.c decides when to connect, where to and for how long; a back end makes one connection at a
 * time with a fresh library handle and tells what happened with it. Everything here is called in
 * the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/base.h"
#include "lib/loop.h"
#include "lib/mqtt.h"
#include "lib/resolve.h"

#define MQTT_GOODBYE_USEC 1000000 /* the longest that mqtt_free waits */

enum mqtt_state { MQTT_WAITING, MQTT_RESOLVING, MQTT_CONNECTING, MQTT_CONNECTED };

struct mqtt_ops {
	/* Its library looks the host up again by itself and takes the address that it likes. */
	bool own_lookup;
	/* `close` may be called while a callback of the owner runs. */
	bool closes_inside;
	/* Starts one connection to mqtt_target(m), or says in m->error why it cannot. mqtt_up or
	 * mqtt_down follows later, never from inside. */
	int (*open)(struct mqtt *m, const struct endpoint *at);
	/* Ends the connection or the attempt, nothing is heard of it any more. `goodbye`: what was
	 * published goes out first, then a DISCONNECT. */
	void (*close)(struct mqtt *m, bool goodbye);
	/* `ret_id` is what mqtt_subscribed is told. */
	int (*subscribe)(struct mqtt *m, const char *filter, int *ret_id);
	int (*unsubscribe)(struct mqtt *m, const char *filter);
	int (*publish)(struct mqtt *m, const char *topic, const void *p, size_t n, int qos,
		       bool retain);
	/* Frees what mqtt_init did not make, and the object itself. */
	void (*free)(struct mqtt *m);
};

struct mqtt_target {
	char *url;
	char host[HOST_SIZE]; /* empty: the URL is none */
	uint16_t port;
};

struct mqtt_subscription {
	int id;
	char *filter;
	struct mqtt_subscription *next;
};

/* The first member of each back end's object. */
struct mqtt {
	const struct mqtt_ops *ops;
	struct loop *loop;
	struct mqtt_config config; /* callbacks, owner, keepalive; its strings are not used */
	void (*connecting)(void *owner);

	struct mqtt_target *targets;
	size_t target_count, target_at;
	char *client_id, *ca_pem, *cert_pem, *key_pem, *will_topic;
	void *will;
	size_t will_len;

	enum mqtt_state state;
	struct loop_timer timer; /* the next attempt, or the end of this one */
	struct resolve *resolve;
	struct endpoint addresses[RESOLVE_MAX];
	size_t address_count, address_at;
	unsigned failures;
	uint64_t since; /* of the connection */
	char error[256];

	struct mqtt_subscription *subscriptions; /* not yet answered */
	/* Publishes (QoS 1) without their PUBACK, counted by the back end. Atomic, as is `dropped`
	 * and `oversize`: paho's threads count. */
	_Atomic size_t in_flight;
	_Atomic uint64_t oversize, dropped;

	unsigned depth; /* mqtt_enter */
	bool dead;	/* mqtt_free was called */
};

/* Copies the configuration and sets the first attempt. */
void mqtt_init(struct mqtt *m, const struct mqtt_ops *ops, struct loop *l,
	       const struct mqtt_config *c);

const struct mqtt_target *mqtt_target(const struct mqtt *m);

/* Around everything that may call the owner. After mqtt_leave has returned false `m` is gone: the
 * owner called mqtt_free meanwhile. */
void mqtt_enter(struct mqtt *m);
bool mqtt_leave(struct mqtt *m);

/* The broker accepted us. */
void mqtt_up(struct mqtt *m);
/* The connection or the attempt failed; it is closed and the next one is set. */
void mqtt_down(struct mqtt *m, const char *fmt, ...) PRINTF(2, 3);
/* Counts what is too long, hands on the rest. */
void mqtt_deliver(struct mqtt *m, const struct mqtt_message *msg);
/* The answer to a subscription. */
void mqtt_subscribed(struct mqtt *m, int id, bool accepted);
