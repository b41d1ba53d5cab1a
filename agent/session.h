/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lasting connection to the broker: client id and certificate of the node, presence
 * (u/<node>/state with its last will), the node's own subscriptions, and requests over u/<node>/req
 * with their answers.
 */
#pragma once

#include "agent/identity.h"
#include "agent/state.h"
#include "lib/mqtt.h"
#include "schemas/join.h"
#include "schemas/trust.h"

struct session;

struct session_config {
	struct loop *loop;
	struct state *state;
	const struct identity *identity;
	const struct trust *trust;
	const char *certificate;
	/* False: nobody is to hear of us (only a leave is still to be told). */
	bool present;
	/* For our presence, in the arena; NULL: there are none. */
	size_t (*holders)(void *owner, struct arena *arena, struct holder_state **ret);
	void (*connected)(void *owner);
	void (*disconnected)(void *owner, const char *error);
	/* All that comes, topics of others' meshes too. */
	void (*message)(void *owner, const struct mqtt_message *m);
	void *owner;
};

struct session *session_new(const struct session_config *c);
/* `goodbye`: says offline (if it is present) before it ends. Requests end without an answer. */
void session_free(struct session *s, bool goodbye);

/* What `holders` says is another one. */
void session_state_changed(struct session *s);
bool session_is_connected(const struct session *s);
const char *session_broker(const struct session *s);
const char *session_error(const struct session *s);
/* Messages that were too long or came too fast. */
uint64_t session_oversize(const struct session *s);
void session_subscribe(struct session *s, const char *topic);
void session_unsubscribe(struct session *s, const char *topic);
void session_publish(struct session *s, const char *topic, const void *bytes, size_t len,
		     bool retain);

/* Signs and sends a request (rid is filled in; `extra`: the token's key, before ours; NULL: none).
 * Sent again, byte for byte, at each new connection, until it is answered or `timeout` (us) has passed.
 * `done` is called once: with the response and its document, or with NULLs. `hash`, of the request's
 * bytes, is what a join's answer must name. */
struct session_request;
typedef void session_done(void *owner, const struct node_response *response, const uint8_t *hash,
			  const char *document);
struct session_request *session_ask(struct session *s, struct node_request *q,
				    const struct sign_key *extra, uint64_t timeout,
				    session_done *done, void *owner);
void session_cancel(struct session *s, struct session_request *r);
/* a/<node>/rsp, opened; `document`: all of it as received, NUL-terminated. One that nobody waits for
 * is no fault. */
enum refusal session_response(struct session *s, const struct document *d, const char *document);
