/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The envelope of documents: taken apart, checked, made. Owns nothing; any thread.
 */
#include "schemas/document.h"

#include <assert.h>
#include <string.h>

#include "lib/json.h"
#include "lib/text.h"
#include "schemas/member.h"

#define MAGIC "warren1"
#define SIGNATURE_TEXT_LEN 86 /* base64url of 64 bytes */
#define PAIR_LEN (1 + KEY_ID_LEN + 1 + SIGNATURE_TEXT_LEN)

const char *const refusal_names[REFUSED_COUNT + 1] = {
	[REFUSED_NOT] = "none",
	[REFUSED_SIZE] = "size",
	[REFUSED_JSON] = "json",
	[REFUSED_SCHEMA] = "schema",
	[REFUSED_DUPLICATE_KEY] = "duplicate_key",
	[REFUSED_KEY] = "key",
	[REFUSED_SIGNER] = "signer",
	[REFUSED_PLACE] = "place",
	[REFUSED_OLD] = "old",
	[REFUSED_CHUNK] = "chunk",
	[REFUSED_MESH] = "mesh",
	[REFUSED_GRANT] = "grant",
};

/* The keys that a join says it is signed by. */
struct joiner {
	char *token;
	uint8_t identity_key[KEY_LEN];
};

static const struct json_field joiner_fields[] = {
	JSON_FIELD(struct joiner, token, JSON_STRING, .check = text_is_id, .what = "a token's id"),
	JSON_FIELD(struct joiner, identity_key, JSON_KEY),
	JSON_END,
};

struct further_joiner {
	struct joiner join;
};

static const struct json_field further_joiner_fields[] = {
	JSON_FIELD(struct further_joiner, join, JSON_OBJECT, .fields = joiner_fields),
	JSON_END,
};

/* ` <key id> <signature>`, PAIR_LEN characters of it. */
static bool split_pair(const char *p, struct document_signature *ret)
{
	if (p[0] != ' ' || p[1 + KEY_ID_LEN] != ' ')
		return false;
	memcpy(ret->key, p + 1, KEY_ID_LEN);
	ret->key[KEY_ID_LEN] = '\0';
	return text_is_id(ret->key) &&
	       base64url_decode(p + 1 + KEY_ID_LEN + 1, SIGNATURE_TEXT_LEN, ret->bytes,
				sizeof(ret->bytes)) == SIGNATURE_LEN;
}

enum refusal document_split(const void *bytes, size_t len, struct document *ret)
{
	const size_t magic = strlen(MAGIC);
	struct document d = { 0 };
	const char *p = bytes, *lf;
	size_t head;

	if (len == 0 || len > DOCUMENT_MAX)
		return REFUSED_SIZE;
	lf = memchr(p, '\n', MIN(len, magic + DOCUMENT_SIGNATURES_MAX * PAIR_LEN + 1));
	if (!lf)
		return REFUSED_JSON;
	head = (size_t)(lf - p);
	if (head < magic || memcmp(p, MAGIC, magic) != 0)
		return REFUSED_JSON;
	d.signature_count = (head - magic) / PAIR_LEN;
	if (d.signature_count == 0 || head != magic + d.signature_count * PAIR_LEN)
		return REFUSED_JSON;
	for (size_t i = 0; i < d.signature_count; i++)
		if (!split_pair(p + magic + i * PAIR_LEN, &d.signatures[i]))
			return REFUSED_JSON;
	d.body = lf + 1;
	d.body_len = len - head - 1;
	if (d.body_len == 0)
		return REFUSED_JSON;
	*ret = d;
	return REFUSED_NOT;
}

/* What a signature covers. */
static void add_signed_bytes(struct buf *out, const char *place, const char *body, size_t body_len)
{
	buf_add(out, MAGIC, sizeof(MAGIC));
	buf_add(out, place, strlen(place) + 1);
	buf_add(out, body, body_len);
}

bool document_verify(const struct document *d, size_t i, const char *place,
		     const struct verify_key *key)
{
	struct buf covered = { 0 };
	bool fits;

	add_signed_bytes(&covered, place, d->body, d->body_len);
	fits = verify_key_check(key, covered.data, covered.len, d->signatures[i].bytes);
	buf_done(&covered);
	return fits;
}

/* Signature `i` has to be by `who`: which key is that, and does it fit? */
static enum refusal check_signature(const struct keyring *keys, const struct document *d, size_t i,
				    const char *place, const struct signers *who,
				    const struct verify_key **ret_key)
{
	bool own_id = who->class == SIGNER_NODE || who->class == SIGNER_JOINER, known = false;
	const char *id = d->signatures[i].key;
	const struct verify_key *key = keys->find(keys->owner, who, 0, id, &known);

	if (!key)
		return known ? REFUSED_SIGNER : REFUSED_KEY;
	if (own_id && strcmp(id, who->id) != 0)
		return REFUSED_SIGNER;
	if (!document_verify(d, i, place, key))
		return REFUSED_PLACE;
	*ret_key = key;
	return REFUSED_NOT;
}

/* A join's second signature is by a key that nobody knows yet; the body tells it. `known`: the
 * node's key when it joined before. */
static enum refusal check_joiner(const struct document *d, const char *place,
				 const struct joiner *joiner, const struct verify_key *known)
{
	enum refusal refused = REFUSED_NOT;
	struct verify_key key;

	if (strcmp(joiner->token, d->signatures[0].key) != 0)
		return REFUSED_SIGNER;
	if (known)
		return memcmp(known->public_key, joiner->identity_key, KEY_LEN) == 0 ?
			       REFUSED_NOT :
			       REFUSED_SIGNER;
	verify_key_init(&key, joiner->identity_key);
	if (strcmp(key.id, d->signatures[1].key) != 0)
		refused = REFUSED_SIGNER;
	else if (!document_verify(d, 1, place, &key))
		refused = REFUSED_PLACE;
	verify_key_done(&key);
	return refused;
}

static enum refusal open_enrolment(const struct keyring *keys, const struct document *d,
				   const char *place, const struct signers *token)
{
	const struct verify_key *key;
	struct joiner joiner = { 0 };
	struct arena arena = { 0 };
	enum refusal refused;

	if (d->signature_count != 2)
		return REFUSED_SIGNER;
	refused = check_signature(keys, d, 0, place, token, &key);
	if (!refused)
		refused = body_decode(&arena, d->body, d->body_len, joiner_fields, &joiner, NULL);
	if (!refused)
		refused = check_joiner(d, place, &joiner, NULL);
	arena_done(&arena);
	return refused;
}

/* A node that joined before joins a further network. */
static enum refusal open_further_join(const struct keyring *keys, const struct document *d,
				      const char *place, const struct signers *node)
{
	const struct signers token = { .class = SIGNER_JOINER, .id = d->signatures[0].key };
	const struct verify_key *key;
	struct further_joiner further = { 0 };
	struct arena arena = { 0 };
	enum refusal refused;

	refused = check_signature(keys, d, 0, place, &token, &key);
	if (!refused)
		refused = check_signature(keys, d, 1, place, node, &key);
	if (!refused)
		refused = body_decode(&arena, d->body, d->body_len, further_joiner_fields, &further,
				      NULL);
	if (!refused)
		refused = check_joiner(d, place, &further.join, key);
	arena_done(&arena);
	return refused;
}

enum refusal document_open(const struct keyring *keys, const char *mesh, const struct topic *t,
			   const void *bytes, size_t len, struct document *ret)
{
	const struct signers who = signers_of(t);
	const struct verify_key *key;
	char place[TOPIC_SIZE];
	enum refusal refused;
	struct document d;

	refused = document_split(bytes, len, &d);
	if (refused)
		return refused;
	topic_place(mesh, t, place);
	if (who.class == SIGNER_JOINER)
		refused = open_enrolment(keys, &d, place, &who);
	else if (d.signature_count == 2 && t->kind == TOPIC_REQ)
		refused = open_further_join(keys, &d, place, &who);
	else if (d.signature_count != 1)
		refused = REFUSED_SIGNER;
	else
		refused = check_signature(keys, &d, 0, place, &who, &key);
	if (!refused)
		*ret = d;
	return refused;
}

void document_sign(struct buf *out, const char *place, const char *body, size_t body_len,
		   const struct sign_key *const *keys, size_t key_count)
{
	char text[SIGNATURE_TEXT_LEN + 1];
	uint8_t signature[SIGNATURE_LEN];
	struct buf covered = { 0 };

	assert(key_count >= 1 && key_count <= DOCUMENT_SIGNATURES_MAX);
	add_signed_bytes(&covered, place, body, body_len);
	buf_str(out, MAGIC);
	for (size_t i = 0; i < key_count; i++) {
		sign_key_sign(keys[i], covered.data, covered.len, signature);
		base64url_encode(signature, sizeof(signature), text);
		buf_printf(out, " %s %s", keys[i]->id, text);
	}
	buf_char(out, '\n');
	buf_add(out, body, body_len);
	buf_done(&covered);
}
