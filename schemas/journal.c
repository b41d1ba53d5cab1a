/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading and writing what a journal's topics hold. Owns nothing; any thread.
 */
#include "schemas/journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "schemas/member.h"

const char *const journal_why_names[] = {
	[WHY_REMOVED] = "removed", [WHY_LEFT] = "left",		[WHY_SILENT] = "silent",
	[WHY_EXPIRED] = "expired", [WHY_REPLACED] = "replaced", [WHY_GONE] = "gone",
	[WHY_GONE + 1] = NULL,
};

static const char *const proof_names[] = {
	[PROOF_DELTA] = "delta", [PROOF_MANIFEST] = "manifest", [PROOF_BEAT] = "beat",
	[PROOF_JOIN] = "join",	 [PROOF_JOIN + 1] = NULL,
};

#define MEMBER_NAME .max = JOURNAL_NAME_MAX, .check = text_is_member_name, .what = "a member's name"

static const struct json_field op_fields[] = {
	JSON_FIELD(struct journal_op, put, JSON_STRING, .optional = true, MEMBER_NAME),
	JSON_FIELD(struct journal_op, body, JSON_RAW, .optional = true, .max = JOURNAL_BODY_MAX),
	JSON_FIELD(struct journal_op, del, JSON_STRING, .optional = true, MEMBER_NAME),
	JSON_FIELD(struct journal_op, why, JSON_ENUM, .optional = true, .names = journal_why_names),
	JSON_FIELD(struct journal_op, drop, JSON_BOOL, .optional = true),
	JSON_END,
};

const struct json_field journal_delta_fields[] = {
	JSON_FIELD(struct journal_delta, epoch, JSON_U64, .min = 1),
	JSON_FIELD(struct journal_delta, ver, JSON_U64, .min = 1),
	JSON_FIELD(struct journal_delta, prev, JSON_HASH),
	JSON_FIELD(struct journal_delta, run, JSON_RUN),
	JSON_LIST(struct journal_delta, ops, op_count, JSON_OBJECT, .fields = op_fields,
		  .max = JOURNAL_OPS_MAX),
	JSON_END,
};

static const struct json_field run_fields[] = {
	JSON_FIELD(struct journal_run, run, JSON_RUN),
	JSON_FIELD(struct journal_run, first, JSON_U64),
	JSON_END,
};

/* Names of 127 bytes at most: what DOCUMENT_MAX holds of them, or a chunk. */
#define GONE_MAX (JOURNAL_INFLATED_MAX / 4)

const struct json_field journal_manifest_fields[] = {
	JSON_FIELD(struct journal_manifest, epoch, JSON_U64, .min = 1),
	JSON_FIELD(struct journal_manifest, ver, JSON_U64),
	JSON_FIELD(struct journal_manifest, run, JSON_RUN),
	JSON_LIST(struct journal_manifest, runs, run_count, JSON_OBJECT, .optional = true,
		  .fields = run_fields, .max = JOURNAL_RUNS_MAX),
	JSON_FIELD(struct journal_manifest, at, JSON_HASH),
	JSON_FIELD(struct journal_manifest, slot, JSON_U64, .max = 1),
	JSON_FIELD(struct journal_manifest, count, JSON_U64),
	JSON_LIST(struct journal_manifest, gone, gone_count, JSON_STRING, .optional = true,
		  .max = GONE_MAX, .check = text_is_member_name, .what = "a member's name"),
	JSON_FIELD(struct journal_manifest, drop, JSON_BOOL, .optional = true),
	JSON_LIST(struct journal_manifest, chunks, chunk_count, JSON_HASH,
		  .max = JOURNAL_CHUNKS_MAX),
	JSON_END,
};

const struct json_field journal_lists_fields[] = {
	JSON_LIST(struct journal_lists, runs, run_count, JSON_OBJECT, .optional = true,
		  .fields = run_fields, .max = JOURNAL_RUNS_MAX),
	JSON_LIST(struct journal_lists, gone, gone_count, JSON_STRING, .optional = true,
		  .max = GONE_MAX, .check = text_is_member_name, .what = "a member's name"),
	JSON_END,
};

const struct json_field journal_beat_fields[] = {
	JSON_FIELD(struct journal_beat, epoch, JSON_U64, .min = 1),
	JSON_FIELD(struct journal_beat, ver, JSON_U64),
	JSON_FIELD(struct journal_beat, hash, JSON_HASH),
	JSON_FIELD(struct journal_beat, run, JSON_RUN),
	JSON_FIELD(struct journal_beat, time, JSON_U64),
	JSON_END,
};

static const struct json_field proof_fields[] = {
	JSON_FIELD(struct journal_proof, kind, JSON_ENUM, .names = proof_names),
	JSON_FIELD(struct journal_proof, document, JSON_STRING, .min = 1, .max = DOCUMENT_MAX),
	JSON_FIELD(struct journal_proof, topic, JSON_STRING, .optional = true, .max = TOPIC_SIZE),
	JSON_END,
};

const struct json_field journal_ask_fields[] = {
	JSON_LIST(struct journal_ask, proofs, proof_count, JSON_OBJECT, .fields = proof_fields,
		  .max = JOURNAL_PROOFS_MAX),
	JSON_FIELD(struct journal_ask, unproven, JSON_BOOL, .optional = true),
	JSON_END,
};

int journal_position_cmp(struct journal_position a, struct journal_position b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return a.ver < b.ver ? -1 : a.ver > b.ver;
}

bool text_is_member_name(const char *s)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-./");

	return len > 0 && len <= JOURNAL_NAME_MAX && s[len] == '\0';
}

bool text_is_member_body(const char *s, size_t len)
{
	return len >= 2 && len <= JOURNAL_BODY_MAX && s[0] == '{' && s[len - 1] == '}';
}

bool journal_runs_hold(const struct journal_run *runs, size_t count,
		       const uint8_t run[static RUN_LEN], uint64_t ver)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(runs[i].run, run, RUN_LEN) == 0)
			return runs[i].first <= ver && (i + 1 == count || ver < runs[i + 1].first);
	return false;
}

bool journal_runs_in_order(const struct journal_run *runs, size_t count, uint64_t ver)
{
	for (size_t i = 0; i < count; i++)
		if (runs[i].first > ver || (i > 0 && runs[i].first <= runs[i - 1].first))
			return false;
	return true;
}

/* ---- decoding ---- */

/* What a table cannot say is wrong. */
static PRINTF(3, 4) enum refusal
	refuse(struct json_error *err, const char *path, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return REFUSED_SCHEMA;
	*err = (struct json_error){ 0 };
	snprintf(err->path, sizeof(err->path), "%s", path);
	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof(err->reason), fmt, ap);
	va_end(ap);
	return REFUSED_SCHEMA;
}

enum refusal journal_delta_decode(struct arena *a, const char *text, size_t len,
				  struct journal_delta *ret, struct json_error *err)
{
	enum refusal refused = body_decode(a, text, len, journal_delta_fields, ret, err);
	char path[32];

	for (size_t i = 0; !refused && i < ret->op_count; i++) {
		const struct journal_op *op = &ret->ops[i];

		snprintf(path, sizeof(path), "ops[%zu]", i);
		if (!!op->put + !!op->del + op->drop != 1)
			refused = refuse(err, path, "is not one of put, del, drop");
		else if (!op->put != !op->body)
			refused = refuse(err, path, "has a put without body, or the reverse");
		else if (op->body && !text_is_member_body(op->body, strlen(op->body)))
			refused = refuse(err, path, "has a body that is no object");
	}
	return refused;
}

enum refusal journal_manifest_decode(struct arena *a, const char *text, size_t len,
				     struct journal_manifest *ret, struct json_error *err)
{
	enum refusal refused = body_decode(a, text, len, journal_manifest_fields, ret, err);

	if (!refused && !journal_runs_in_order(ret->runs, ret->run_count, ret->ver))
		refused = refuse(err, "runs", "is not in order, or above ver");
	return refused;
}

enum refusal journal_beat_decode(struct arena *a, const char *text, size_t len,
				 struct journal_beat *ret, struct json_error *err)
{
	return body_decode(a, text, len, journal_beat_fields, ret, err);
}

enum refusal journal_ask_decode(struct arena *a, const char *text, size_t len,
				struct journal_ask *ret, struct json_error *err)
{
	enum refusal refused = body_decode(a, text, len, journal_ask_fields, ret, err);
	char path[32];

	for (size_t i = 0; !refused && i < ret->proof_count; i++) {
		snprintf(path, sizeof(path), "proofs[%zu]", i);
		if ((ret->proofs[i].kind == PROOF_JOIN) != !!ret->proofs[i].topic)
			refused = refuse(err, path, "has a topic and is no join, or the reverse");
	}
	return refused;
}

/* ---- chunks ---- */

/* The line at *at; its LF becomes NUL. NULL when there is none, or it has no LF or a NUL inside. */
static char *next_line(char **at, char *end, size_t *ret_len)
{
	char *line = *at, *lf = memchr(line, '\n', (size_t)(end - line));

	if (!lf || memchr(line, '\0', (size_t)(lf - line)))
		return NULL;
	*lf = '\0';
	*at = lf + 1;
	*ret_len = (size_t)(lf - line);
	return line;
}

int journal_chunk_lists(struct arena *a, char **at, char *end, struct journal_lists *ret)
{
	size_t len;
	char *line;

	if (*at == end || **at != '{')
		return 0;
	line = next_line(at, end, &len);
	if (!line || body_decode(a, line, len, journal_lists_fields, ret, NULL))
		return -EBADMSG;
	return 0;
}

int journal_chunk_next(char **at, char *end, char **ret_name, char **ret_body)
{
	char *line, *sp;
	size_t len;

	if (*at == end)
		return 0;
	line = next_line(at, end, &len);
	sp = line ? memchr(line, ' ', MIN(len, JOURNAL_NAME_MAX + 1)) : NULL;
	if (!sp || !text_is_member_body(sp + 1, len - (size_t)(sp + 1 - line)))
		return -EBADMSG;
	*sp = '\0';
	if (!text_is_member_name(line))
		return -EBADMSG;
	*ret_name = line;
	*ret_body = sp + 1;
	return 1;
}

void journal_chunk_add(struct buf *out, const char *name, const char *body)
{
	buf_str(out, name);
	buf_char(out, ' ');
	buf_str(out, body);
	buf_char(out, '\n');
}

size_t journal_quoted_len(const char *document)
{
	struct buf text = { 0 };
	size_t len;

	json_encode_string(&text, document);
	len = text.len;
	buf_done(&text);
	return len;
}
