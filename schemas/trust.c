/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The register c/trust and the keys that it gives. Owned by its daemon; its thread only.
 */
#include "schemas/trust.h"

#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "schemas/member.h"

#define KEYS_MAX 16
#define REVOKED_MAX 256
#define CAS_MAX 8
#define BROKERS_MAX 16

const struct json_field trust_fields[] = {
	JSON_FIELD(struct trust_body, seq, JSON_U64, .min = 1, .max = INT64_MAX),
	JSON_LIST(struct trust_body, signing_keys, signing_key_count, JSON_KEY, .max = KEYS_MAX),
	JSON_LIST(struct trust_body, revoked, revoked_count, JSON_STRING, .max = REVOKED_MAX,
		  .check = text_is_id, .what = "a key id"),
	JSON_LIST(struct trust_body, cas, ca_count, JSON_STRING, .min = 1, .max = CAS_MAX,
		  .check = text_is_certificates, .what = "certificates in PEM"),
	JSON_LIST(struct trust_body, brokers, broker_count, JSON_STRING, .min = 1,
		  .max = BROKERS_MAX, .check = text_is_broker, .what = "mqtts://HOST:PORT"),
	JSON_END,
};

/* Behind the block at `s`: `-----BEGIN label-----` LF base64 lines `-----END label-----` LF. NULL:
 * there is none. */
static const char *skip_pem(const char *s, const char *begin, const char *end)
{
	if (strncmp(s, begin, strlen(begin)) != 0)
		return NULL;
	s += strlen(begin);
	s += strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n");
	return strncmp(s, end, strlen(end)) == 0 ? s + strlen(end) : NULL;
}

bool text_is_certificates(const char *s)
{
	do
		s = skip_pem(s, "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n");
	while (s && *s);
	return s;
}

bool text_is_csr(const char *s)
{
	s = skip_pem(s, "-----BEGIN CERTIFICATE REQUEST-----\n",
		     "-----END CERTIFICATE REQUEST-----\n");
	return s && !*s;
}

bool text_is_broker(const char *s)
{
	static const char scheme[] = "mqtts://";

	return strncmp(s, scheme, strlen(scheme)) == 0 && text_is_hostport(s + strlen(scheme));
}

/* ---- the checked document ---- */

static bool is_revoked(const struct trust_body *body, const char *key)
{
	for (size_t i = 0; i < body->revoked_count; i++)
		if (strcmp(body->revoked[i], key) == 0)
			return true;
	return false;
}

static const struct verify_key *find_signing_key(const struct trust *t, const char *key)
{
	if (is_revoked(&t->body, key))
		return NULL;
	for (size_t i = 0; i < t->body.signing_key_count; i++)
		if (strcmp(t->signing_keys[i].id, key) == 0)
			return &t->signing_keys[i];
	return NULL;
}

/* What one document brought. */
static void forget(struct trust *t)
{
	for (size_t i = 0; i < t->body.signing_key_count; i++)
		verify_key_done(&t->signing_keys[i]);
	free(t->signing_keys);
	t->signing_keys = NULL;
	t->body = (struct trust_body){ 0 };
	arena_done(&t->arena);
	buf_done(&t->bytes);
}

/* The keys of the body, ready for use. */
static enum refusal make_keys(struct trust *t)
{
	t->signing_keys = xcalloc(MAX(t->body.signing_key_count, 1U), sizeof(*t->signing_keys));
	for (size_t i = 0; i < t->body.signing_key_count; i++)
		verify_key_init(&t->signing_keys[i], t->body.signing_keys[i].key);
	for (size_t i = 0; i < t->body.signing_key_count; i++)
		if (!t->signing_keys[i].pkey)
			return REFUSED_SCHEMA;
	return REFUSED_NOT;
}

static const struct verify_key *find_for_trust(void *owner, const struct signers *who, size_t index,
					       const char *key, bool *ret_known)
{
	(void)index;
	return trust_find(owner, who, key, ret_known);
}

struct trust *trust_new(const uint8_t root_key[static KEY_LEN])
{
	struct trust *t = xcalloc(1, sizeof(*t));

	memcpy(t->root_key, root_key, KEY_LEN);
	mesh_id(root_key, t->mesh);
	verify_key_init(&t->root, root_key);
	return t;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	forget(t);
	verify_key_done(&t->root);
	free(t);
}

enum refusal trust_take(struct trust *t, const void *bytes, size_t len, size_t *ret_revoked)
{
	const struct keyring keys = { .find = find_for_trust, .owner = t };
	const struct topic topic = { .kind = TOPIC_TRUST };
	struct trust next = { 0 };
	struct document d;
	enum refusal refused;
	size_t revoked = 0;

	refused = document_open(&keys, t->mesh, &topic, bytes, len, &d);
	if (refused)
		return refused;
	refused = body_decode(&next.arena, d.body, d.body_len, trust_fields, &next.body, NULL);
	if (refused) {
		arena_done(&next.arena);
		return refused;
	}
	if (next.body.seq <= t->body.seq) {
		bool same = len == t->bytes.len && memcmp(bytes, t->bytes.data, len) == 0;

		arena_done(&next.arena);
		if (same && ret_revoked)
			*ret_revoked = 0;
		return same ? REFUSED_NOT : REFUSED_OLD;
	}
	refused = make_keys(&next);
	if (refused) {
		forget(&next);
		return refused;
	}
	for (size_t i = 0; i < t->body.signing_key_count; i++) {
		const char *id = t->signing_keys[i].id;

		revoked += find_signing_key(t, id) && !find_signing_key(&next, id);
	}
	forget(t);
	buf_add(&t->bytes, bytes, len);
	t->signing_keys = next.signing_keys;
	t->body = next.body;
	t->arena = next.arena;
	if (ret_revoked)
		*ret_revoked = revoked;
	return REFUSED_NOT;
}

const struct verify_key *trust_find(const struct trust *t, const struct signers *who,
				    const char *key, bool *ret_known)
{
	const struct verify_key *root = strcmp(key, t->root.id) == 0 ? &t->root : NULL;
	const struct verify_key *signing = find_signing_key(t, key);

	*ret_known = root || signing;
	switch (who->class) {
	case SIGNER_ROOT:
		return root;
	case SIGNER_COORDINATOR:
		return signing;
	case SIGNER_NODE:
	case SIGNER_EXPORTER:
	case SIGNER_JOINER:
		break;
	}
	return NULL;
}

bool trust_is_valid(const struct trust *t, const char *signing_key_id)
{
	return find_signing_key(t, signing_key_id);
}
