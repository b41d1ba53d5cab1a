/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every kind of document and the decoder that takes it: what tests/golden/decode.c feeds the examples
 * to, and tests/fuzz/fuzz_documents.c whatever libFuzzer thinks of. The name is that of the JSON
 * Schema (schemas/NAME.schema.json) and of the folder of examples (schemas/examples/NAME/).
 */
#pragma once

#include "schemas/gateway.h"
#include "schemas/join.h"
#include "schemas/journal.h"
#include "schemas/member.h"
#include "schemas/record.h"
#include "schemas/token.h"
#include "schemas/trust.h"

union golden_body {
	struct trust_body trust;
	struct coordinator_state coordinator_state;
	struct mark mark;
	struct revoked revoked;
	struct journal_delta delta;
	struct journal_manifest manifest;
	struct journal_beat beat;
	struct journal_ask ask;
	struct peer peer;
	struct settings settings;
	struct ep ep;
	struct gateway gateway;
	struct grant grant;
	struct added_name added_name;
	struct record record;
	struct services_file services_file;
	struct join_request join_request;
	struct join_answer join_answer;
	struct node_config node_config;
	struct node_request node_request;
	struct node_response node_response;
	struct node_state node_state;
	struct token token;
};

struct golden_document {
	const char *name;
	const struct json_field *fields; /* body_decode by this table; else */
	enum refusal (*decode)(struct arena *arena, const char *text, size_t len,
			       union golden_body *ret, struct json_error *err);
};

static inline enum refusal golden_delta(struct arena *arena, const char *text, size_t len,
					union golden_body *ret, struct json_error *err)
{
	return journal_delta_decode(arena, text, len, &ret->delta, err);
}

static inline enum refusal golden_manifest(struct arena *arena, const char *text, size_t len,
					   union golden_body *ret, struct json_error *err)
{
	return journal_manifest_decode(arena, text, len, &ret->manifest, err);
}

static inline enum refusal golden_beat(struct arena *arena, const char *text, size_t len,
				       union golden_body *ret, struct json_error *err)
{
	return journal_beat_decode(arena, text, len, &ret->beat, err);
}

static inline enum refusal golden_ask(struct arena *arena, const char *text, size_t len,
				      union golden_body *ret, struct json_error *err)
{
	return journal_ask_decode(arena, text, len, &ret->ask, err);
}

static inline enum refusal golden_join_answer(struct arena *arena, const char *text, size_t len,
					      union golden_body *ret, struct json_error *err)
{
	return join_answer_decode(arena, text, len, &ret->join_answer, err);
}

/* The envelope is no part of an example: it has as many signatures as the op asks for. */
static inline enum refusal golden_node_request(struct arena *arena, const char *text, size_t len,
					       union golden_body *ret, struct json_error *err)
{
	struct document d = { .signature_count = 1, .body = text, .body_len = len };
	enum refusal refused = node_request_decode(arena, &d, &ret->node_request, err);

	if (refused != REFUSED_SIGNER)
		return refused;
	*ret = (union golden_body){ 0 };
	d.signature_count = 2;
	return node_request_decode(arena, &d, &ret->node_request, err);
}

static inline enum refusal golden_node_response(struct arena *arena, const char *text, size_t len,
						union golden_body *ret, struct json_error *err)
{
	return node_response_decode(arena, text, len, &ret->node_response, err);
}

static inline enum refusal golden_decode(const struct golden_document *d, struct arena *arena,
					 const char *text, size_t len, union golden_body *ret,
					 struct json_error *err)
{
	*ret = (union golden_body){ 0 };
	*err = (struct json_error){ 0 };
	return d->fields ? body_decode(arena, text, len, d->fields, ret, err) :
			   d->decode(arena, text, len, ret, err);
}

static const struct golden_document golden_documents[] = {
	{ .name = "trust", .fields = trust_fields },
	{ .name = "coordinator-state", .fields = coordinator_state_fields },
	{ .name = "mark", .fields = mark_fields },
	{ .name = "revoked", .fields = revoked_fields },
	{ .name = "delta", .decode = golden_delta },
	{ .name = "manifest", .decode = golden_manifest },
	{ .name = "beat", .decode = golden_beat },
	{ .name = "ask", .decode = golden_ask },
	{ .name = "peer", .fields = peer_fields },
	{ .name = "settings", .fields = settings_fields },
	{ .name = "ep", .fields = ep_fields },
	{ .name = "gateway", .fields = gateway_fields },
	{ .name = "grant", .fields = grant_fields },
	{ .name = "added-name", .fields = added_name_fields },
	{ .name = "record", .fields = record_fields },
	{ .name = "services-file", .fields = services_file_fields },
	{ .name = "join-request", .fields = join_request_fields },
	{ .name = "join-answer", .decode = golden_join_answer },
	{ .name = "node-config", .fields = node_config_fields },
	{ .name = "node-request", .decode = golden_node_request },
	{ .name = "node-response", .decode = golden_node_response },
	{ .name = "node-state", .fields = node_state_fields },
	{ .name = "token", .fields = token_fields },
};
