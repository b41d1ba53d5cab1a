/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of schemas/join.h, and what tables cannot say. Owns nothing; any thread.
 */
#include "schemas/join.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"
#include "lib/x509.h"
#include "schemas/journal.h"
#include "schemas/trust.h"

#define RID_LEN 16
#define WORD_MAX 64
#define WISHED_MAX 253
#define TAGS_MAX 32
#define MEMBERSHIPS_MAX 256
#define ENDED_MAX 1024
#define JOURNALS_MAX 1024

#define SEQ(type) JSON_FIELD(type, seq, JSON_U64, .min = 1, .max = INT64_MAX)
#define LABEL(type, member, ...)                                                                   \
	JSON_FIELD(type, member, JSON_STRING, .check = text_is_label, .what = "a label",           \
		   ##__VA_ARGS__)

const char *const node_op_names[] = { "join", "renew", "leave", "rotate", NULL };

/* ---- what strings are checked for ---- */

static bool is_of(const char *s, const char *characters, size_t min, size_t max)
{
	size_t n = strnlen(s, max + 1);

	return n >= min && n <= max && strspn(s, characters) == n;
}

static bool is_rid(const char *s)
{
	return is_of(s, "0123456789abcdef", RID_LEN, RID_LEN);
}

/* An instance, a boot id. */
static bool is_word(const char *s)
{
	return is_of(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", 1,
		     WORD_MAX);
}

static bool is_code(const char *s)
{
	return is_of(s, "abcdefghijklmnopqrstuvwxyz0123456789_", 1, WORD_MAX);
}

static bool is_journal_path(const char *s)
{
	struct topic t;

	return journal_path_parse(s, &t) == 0;
}

static bool is_ended_why(const char *s)
{
	static const enum journal_why whys[] = { WHY_REMOVED, WHY_LEFT, WHY_SILENT, WHY_REPLACED };

	for (size_t i = 0; i < ARRAY_SIZE(whys); i++)
		if (strcmp(s, journal_why_names[whys[i]]) == 0)
			return true;
	return false;
}

/* ---- tables ---- */

const struct json_field join_request_fields[] = {
	JSON_FIELD(struct join_request, token, JSON_STRING, .check = text_is_id,
		   .what = "a token's id"),
	JSON_FIELD(struct join_request, identity_key, JSON_KEY),
	JSON_FIELD(struct join_request, csr, JSON_STRING, .max = X509_PEM_MAX, .check = text_is_csr,
		   .what = "a certificate request in PEM"),
	JSON_FIELD(struct join_request, wireguard_key, JSON_KEY, .optional = true),
	JSON_FIELD(struct join_request, wished_name, JSON_STRING, .optional = true, .min = 1,
		   .max = WISHED_MAX),
	LABEL(struct join_request, site, .optional = true),
	JSON_LIST(struct join_request, endpoints, endpoint_count, JSON_STRING, .optional = true,
		  .max = PEER_ENDPOINTS_MAX, .check = text_is_hostport, .what = "HOST:PORT"),
	JSON_FIELD(struct join_request, nonce, JSON_RUN),
	JSON_END,
};

const struct json_field membership_fields[] = {
	LABEL(struct membership, network),
	LABEL(struct membership, name),
	JSON_FIELD(struct membership, role, JSON_ENUM, .names = role_names),
	JSON_LIST(struct membership, addresses, address_count, JSON_PREFIX, .min = 1, .max = 2),
	JSON_FIELD(struct membership, mtu, JSON_U64, .min = 1280, .max = 65535),
	JSON_FIELD(struct membership, keepalive, JSON_U64, .max = 65535),
	JSON_FIELD(struct membership, port, JSON_U16, .min = 1, .max = 65535),
	JSON_LIST(struct membership, tags, tag_count, JSON_STRING, .optional = true,
		  .max = TAGS_MAX, .check = text_is_label, .what = "a label"),
	JSON_END,
};

static const struct json_field refusal_body_fields[] = {
	JSON_FIELD(struct refusal_body, code, JSON_STRING, .check = is_code,
		   .what = "a word of a-z, 0-9 and '_'"),
	JSON_FIELD(struct refusal_body, message, JSON_STRING, .min = 1, .max = 1024),
	JSON_END,
};

static const struct json_field journal_minimum_fields[] = {
	JSON_FIELD(struct journal_minimum, epoch, JSON_U64, .min = 1, .max = INT64_MAX),
	JSON_FIELD(struct journal_minimum, ver, JSON_U64, .max = INT64_MAX),
	JSON_END,
};

static const struct json_field join_exporter_fields[] = {
	LABEL(struct join_exporter, network),
	LABEL(struct join_exporter, site),
	JSON_FIELD(struct join_exporter, generation, JSON_U64, .min = 1, .max = INT64_MAX),
	JSON_END,
};

const struct json_field join_answer_fields[] = {
	JSON_FIELD(struct join_answer, request, JSON_HASH),
	JSON_FIELD(struct join_answer, refused, JSON_OBJECT, .optional = true, .pointer = true,
		   .element_size = sizeof(struct refusal_body), .fields = refusal_body_fields),
	JSON_FIELD(struct join_answer, trust, JSON_STRING, .optional = true, .min = 1,
		   .max = DOCUMENT_MAX),
	JSON_FIELD(struct join_answer, certificate, JSON_STRING, .optional = true,
		   .max = X509_PEM_MAX, .check = text_is_certificates,
		   .what = "certificates in PEM"),
	LABEL(struct join_answer, site, .optional = true),
	JSON_LIST(struct join_answer, memberships, membership_count, JSON_OBJECT, .optional = true,
		  .max = MEMBERSHIPS_MAX, .fields = membership_fields),
	JSON_LIST(struct join_answer, journals, journal_count, JSON_OBJECT, .optional = true,
		  .max = JOURNALS_MAX, .map = true,
		  .key_offset = offsetof(struct journal_minimum, path), .check = is_journal_path,
		  .what = "a journal's path", .fields = journal_minimum_fields),
	JSON_POINTER(struct join_answer, exporter, join_exporter_fields, .optional = true),
	JSON_END,
};

static const struct json_field ended_fields[] = {
	LABEL(struct ended, network),
	JSON_FIELD(struct ended, why, JSON_STRING, .check = is_ended_why,
		   .what = "one of removed, left, silent, replaced"),
	JSON_END,
};

const struct json_field node_config_fields[] = {
	SEQ(struct node_config),
	JSON_LIST(struct node_config, memberships, membership_count, JSON_OBJECT,
		  .max = MEMBERSHIPS_MAX, .fields = membership_fields),
	JSON_LIST(struct node_config, ended, ended_count, JSON_OBJECT, .optional = true,
		  .max = ENDED_MAX, .fields = ended_fields),
	JSON_END,
};

const struct json_field node_request_fields[] = {
	JSON_FIELD(struct node_request, rid, JSON_STRING, .check = is_rid,
		   .what = "16 lower-case hex digits"),
	JSON_FIELD(struct node_request, op, JSON_ENUM, .names = node_op_names),
	LABEL(struct node_request, network, .optional = true),
	JSON_FIELD(struct node_request, join, JSON_OBJECT, .optional = true, .pointer = true,
		   .element_size = sizeof(struct join_request), .fields = join_request_fields),
	JSON_FIELD(struct node_request, csr, JSON_STRING, .optional = true, .max = X509_PEM_MAX,
		   .check = text_is_csr, .what = "a certificate request in PEM"),
	JSON_END,
};

const struct json_field node_response_fields[] = {
	JSON_FIELD(struct node_response, rid, JSON_STRING, .check = is_rid,
		   .what = "16 lower-case hex digits"),
	JSON_FIELD(struct node_response, refused, JSON_OBJECT, .optional = true, .pointer = true,
		   .element_size = sizeof(struct refusal_body), .fields = refusal_body_fields),
	JSON_FIELD(struct node_response, join, JSON_OBJECT, .optional = true, .pointer = true,
		   .element_size = sizeof(struct join_answer), .fields = join_answer_fields),
	JSON_FIELD(struct node_response, certificate, JSON_STRING, .optional = true,
		   .max = X509_PEM_MAX, .check = text_is_certificates,
		   .what = "certificates in PEM"),
	JSON_END,
};

static const struct json_field holder_state_fields[] = {
	JSON_FIELD(struct holder_state, network, JSON_STRING, .check = text_is_label,
		   .what = "a label"),
	JSON_FIELD(struct holder_state, gone, JSON_TIME, .optional = true),
	JSON_END,
};

const struct json_field node_state_fields[] = {
	SEQ(struct node_state),
	JSON_FIELD(struct node_state, instance, JSON_STRING, .check = is_word,
		   .what = "a word of at most 64"),
	JSON_FIELD(struct node_state, online, JSON_BOOL),
	JSON_FIELD(struct node_state, boot, JSON_STRING, .optional = true, .check = is_word,
		   .what = "a word of at most 64"),
	JSON_LIST(struct node_state, holders, holder_count, JSON_OBJECT, .optional = true,
		  .fields = holder_state_fields, .max = 256),
	JSON_LIST(struct node_state, ranges, range_count, JSON_PREFIX, .optional = true,
		  .max = STATE_RANGES_MAX),
	JSON_END,
};

const struct json_field coordinator_state_fields[] = {
	SEQ(struct coordinator_state),
	JSON_FIELD(struct coordinator_state, instance, JSON_STRING, .check = is_word,
		   .what = "a word of at most 64"),
	JSON_FIELD(struct coordinator_state, online, JSON_BOOL),
	JSON_FIELD(struct coordinator_state, time, JSON_TIME),
	JSON_END,
};

const struct json_field mark_fields[] = {
	SEQ(struct mark),
	JSON_FIELD(struct mark, mark, JSON_RUN),
	JSON_END,
};

const struct json_field revoked_fields[] = {
	SEQ(struct revoked),
	JSON_FIELD(struct revoked, not_before, JSON_TIME),
	JSON_END,
};

/* ---- what the tables cannot say ---- */

static enum refusal missing(struct json_error *err, const char *under, const char *path)
{
	if (err) {
		*err = (struct json_error){ 0 };
		snprintf(err->path, sizeof(err->path), "%s%s", under, path);
		snprintf(err->reason, sizeof(err->reason), "is missing");
	}
	return REFUSED_SCHEMA;
}

/* `under`: the answer's place in the document, with a dot behind it. */
static enum refusal check_answer(const struct join_answer *a, const char *under,
				 struct json_error *err)
{
	if (a->refused)
		return REFUSED_NOT;
	if (!a->trust)
		return missing(err, under, "trust");
	if (!a->certificate)
		return missing(err, under, "certificate");
	if (!a->membership_count && !a->exporter)
		return missing(err, under, "memberships");
	return REFUSED_NOT;
}

enum refusal join_answer_decode(struct arena *arena, const char *text, size_t len,
				struct join_answer *ret, struct json_error *err)
{
	enum refusal refused = body_decode(arena, text, len, join_answer_fields, ret, err);

	return refused ? refused : check_answer(ret, "", err);
}

enum refusal node_request_decode(struct arena *arena, const struct document *d,
				 struct node_request *ret, struct json_error *err)
{
	enum refusal refused;

	refused = body_decode(arena, d->body, d->body_len, node_request_fields, ret, err);
	if (refused)
		return refused;
	if ((ret->op == NODE_OP_JOIN) != (d->signature_count == 2))
		return REFUSED_SIGNER;
	switch ((enum node_op)ret->op) {
	case NODE_OP_JOIN:
		return ret->join ? REFUSED_NOT : missing(err, "", "join");
	case NODE_OP_RENEW:
		return ret->csr ? REFUSED_NOT : missing(err, "", "csr");
	case NODE_OP_LEAVE:
	case NODE_OP_ROTATE:
		break;
	}
	return ret->network ? REFUSED_NOT : missing(err, "", "network");
}

enum refusal node_response_decode(struct arena *arena, const char *text, size_t len,
				  struct node_response *ret, struct json_error *err)
{
	enum refusal refused = body_decode(arena, text, len, node_response_fields, ret, err);

	if (refused || !ret->join)
		return refused;
	return check_answer(ret->join, "join.", err);
}
