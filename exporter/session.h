/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lasting connection to the broker: the exporter's client id and certificate, its presence
 * (u/<id>/state with its last will), and the topics of its own that it listens to.
 */
#pragma once

#include "exporter/state.h"
#include "lib/mqtt.h"

struct session;

struct session_config {
	struct loop *loop;
	struct state *state;
	const struct identity *identity;
	const struct trust *trust;
	const char *certificate;
	void (*connected)(void *owner);
	void (*disconnected)(void *owner, const char *error);
	/* All that comes, topics of others' meshes too. */
	void (*message)(void *owner, const struct mqtt_message *m);
	void *owner;
};

struct session *session_new(const struct session_config *c);
/* Ends; `goodbye`: after having said that we are offline. NULL allowed. */
void session_free(struct session *s, bool goodbye);
bool session_is_connected(const struct session *s); /* NULL allowed */

void session_subscribe(struct session *s, const char *topic);
void session_unsubscribe(struct session *s, const char *topic);
void session_publish(struct session *s, const char *topic, const void *bytes, size_t len,
		     bool retain);

/* What presence says that the site has: copied, the first STATE_RANGES_MAX; published when it is another. */
void session_offer(struct session *s, const struct prefix *ranges, size_t count);

#define SESSION_RID_SIZE 17
/* u/<id>/req: asks for a certificate for the same keys; `rid` is chosen. */
void session_renew(struct session *s, char ret_rid[static SESSION_RID_SIZE]);
