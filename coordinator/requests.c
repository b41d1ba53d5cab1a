/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What joiners and nodes ask for, after their signatures were checked: decoded, decided by
 * coordinator/authority, answered. Owns nothing; main thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/session_private.h"
#include "lib/mem.h"
#include "schemas/join.h"

static void publish_document(struct session *s, const struct topic *t, const struct buf *document)
{
	char topic[TOPIC_SIZE];

	topic_format(s->authority->keys->mesh, t, topic);
	if (document->len > 0)
		mqtt_publish(s->mqtt, topic, document->data, document->len, 1, false);
}

static void decide_join(struct session *s, const struct join_request *request,
			const struct mqtt_message *m, const struct topic *answer_topic,
			const char *rid)
{
	struct buf answer = { 0 };
	int r = join_decide(s->authority, request, m->payload, m->len, answer_topic, rid, &answer);

	if (r == 0)
		publish_document(s, answer_topic, &answer);
	else if (log_allowed(&s->limit))
		log_error("join-store", "error=%s", log_quote(store_message()));
	buf_done(&answer);
}

void request_enrol(struct session *s, const struct topic *t, const struct mqtt_message *m,
		   const struct document *d)
{
	struct topic answer_topic = *t;
	struct join_request request = { 0 };
	struct arena arena = { 0 };
	enum refusal refused =
		body_decode(&arena, d->body, d->body_len, join_request_fields, &request, NULL);

	answer_topic.kind = TOPIC_ENROL_RSP;
	if (refused)
		session_refuse(s, m, refused);
	else
		decide_join(s, &request, m, &answer_topic, NULL);
	arena_done(&arena);
}

/* ---- u/<node>/req ---- */

/* `certificate` or `why`; both NULL: done. */
static void respond(struct session *s, const char *node, char *rid, char *certificate,
		    struct refusal_reason *why)
{
	struct topic t = { .kind = TOPIC_RSP };
	struct refusal_body refused;
	struct node_response response = { .rid = rid, .certificate = certificate };
	struct buf body = { 0 };

	if (why) {
		refused = (struct refusal_body){ .code = why->code, .message = why->message };
		response.refused = &refused;
	}
	snprintf(t.id, sizeof(t.id), "%s", node);
	json_encode(&body, node_response_fields, &response);
	publisher_send(s->authority->publisher, &t, buf_cstr(&body));
	buf_done(&body);
}

static void renew(struct session *s, const char *node, const struct node_request *request)
{
	struct refusal_reason why;
	struct buf pem = { 0 };
	int r = exporter_is_known(s->authority, NULL, node) ?
			exporter_certificate(s->authority, node, request->csr, &pem, &why) :
			node_certificate(s->authority, node, request->csr, &pem, &why);

	if (r < 0) {
		respond(s, node, request->rid, NULL, &why);
	} else {
		log_info("renewed", "node=%s", node);
		respond(s, node, request->rid, pem.data, NULL);
	}
	buf_done(&pem);
}

static void leave(struct session *s, const char *node, const struct node_request *request,
		  const struct mqtt_message *m)
{
	uint8_t hash[HASH_LEN];
	struct refusal_reason why;

	sha256(m->payload, m->len, hash);
	if (node_leave(s->authority, node, request->network, hash, &why) < 0) {
		respond(s, node, request->rid, NULL, &why);
	} else {
		log_info("left", "network=%s node=%s", request->network, node);
		respond(s, node, request->rid, NULL, NULL);
	}
}

static void rotate(struct session *s, const char *node, const struct node_request *request)
{
	struct refusal_reason why;

	refuse(&why, 501, "rotate",
	       "this coordinator does not rotate keys; leave network %s and join it again for a "
	       "new one",
	       request->network);
	respond(s, node, request->rid, NULL, &why);
}

void request_node(struct session *s, const struct topic *t, const struct mqtt_message *m,
		  const struct document *d)
{
	struct topic answer_topic = { .kind = TOPIC_RSP };
	struct node_request request = { 0 };
	struct arena arena = { 0 };
	enum refusal refused = node_request_decode(&arena, d, &request, NULL);

	memcpy(answer_topic.id, t->id, sizeof(answer_topic.id));
	if (refused) {
		session_refuse(s, m, refused);
	} else {
		switch ((enum node_op)request.op) {
		case NODE_OP_JOIN:
			decide_join(s, request.join, m, &answer_topic, request.rid);
			break;
		case NODE_OP_RENEW:
			renew(s, t->id, &request);
			break;
		case NODE_OP_LEAVE:
			leave(s, t->id, &request, m);
			break;
		case NODE_OP_ROTATE:
			rotate(s, t->id, &request);
			break;
		}
	}
	arena_done(&arena);
}
