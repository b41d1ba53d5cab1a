/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is asked and what is believed when joining. Owns nothing; one thread.
 */
#include "schemas/enrol.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"
#include "lib/x509.h"

static enum refusal PRINTF(4, 5)
	say(enum refusal refused, char *why, size_t why_size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_size, fmt, ap);
	va_end(ap);
	return refused;
}

/* ---- the request ---- */

void enrol_request(struct arena *arena, const struct token *token, const struct identity *who,
		   const struct enrol_wish *wish, struct join_request *ret)
{
	struct buf csr = { 0 };

	memset(ret, 0, sizeof(*ret));
	if (x509_csr_create(who->tls_key, &csr) < 0)
		csr.failed = true; /* the coordinator says that it is none */
	ret->token = token->id;
	memcpy(ret->identity_key, who->key.public_key, KEY_LEN);
	ret->csr = arena_strdup(arena, buf_cstr(&csr));
	if (wish->wireguard_key)
		memcpy(ret->wireguard_key, wish->wireguard_key, KEY_LEN);
	ret->wished_name = wish->name && *wish->name ? arena_strdup(arena, wish->name) : NULL;
	ret->site = wish->site ? arena_strdup(arena, wish->site) : NULL;
	ret->endpoints = arena_array(arena, wish->endpoint_count, sizeof(*ret->endpoints));
	for (size_t i = 0; i < wish->endpoint_count; i++)
		ret->endpoints[i] = arena_strdup(arena, wish->endpoints[i]);
	ret->endpoint_count = wish->endpoint_count;
	crypto_random(ret->nonce, sizeof(ret->nonce));
	buf_done(&csr);
}

static void make_client(const char *token, char ret[static LABEL_SIZE])
{
	uint8_t random[5];
	char text[9];

	crypto_random(random, sizeof(random));
	base32_prefix(random, sizeof(random), text, 8);
	snprintf(ret, LABEL_SIZE, "j-%s-%s", token, text);
}

void enrol_letter(const struct token *token, const struct identity *who,
		  const struct enrol_wish *wish, struct enrol_letter *ret)
{
	struct topic t = { .kind = TOPIC_ENROL_REQ };
	struct sign_key token_key;
	const struct sign_key *keys[] = { &token_key, &who->key };
	struct arena arena = { 0 };
	struct buf body = { 0 };
	struct join_request q;

	memset(ret, 0, sizeof(*ret));
	make_client(token->id, ret->client);
	snprintf(t.id, sizeof(t.id), "%s", token->id);
	snprintf(t.other, sizeof(t.other), "%s", ret->client);
	topic_format(token->mesh, &t, ret->topic);
	t.kind = TOPIC_ENROL_RSP;
	topic_format(token->mesh, &t, ret->answer_topic);
	sign_key_from_secret(token->private_key, &token_key);
	sign_key_pem(&token_key, &ret->tls_key);
	enrol_request(&arena, token, who, wish, &q);
	json_encode(&body, join_request_fields, &q);
	document_sign(&ret->document, ret->topic, buf_cstr(&body), body.len, keys, 2);
	sha256(ret->document.data, ret->document.len, ret->hash);
	sign_key_done(&token_key);
	buf_done(&body);
	arena_done(&arena);
}

void enrol_letter_done(struct enrol_letter *l)
{
	if (l->tls_key.data)
		crypto_wipe(l->tls_key.data, l->tls_key.len);
	buf_done(&l->tls_key);
	buf_done(&l->document);
}

/* ---- the answer ---- */

static bool has_uri(const struct x509_info *info, const struct identity *who)
{
	char want[32 + KEY_ID_SIZE];

	snprintf(want, sizeof(want), "warren:%s:%s", who->exporter ? "exporter" : "node",
		 who->key.id);
	for (size_t i = 0; i < info->uri_count; i++)
		if (strcmp(info->uris[i], want) == 0)
			return true;
	return false;
}

enum refusal enrol_check_certificate(const struct identity *who, const struct trust *trust,
				     const char *certificate, int64_t now, char *why,
				     size_t why_size)
{
	struct x509_info info = { 0 };
	struct buf cas = { 0 };
	enum refusal refused = REFUSED_NOT;
	int r;

	if (x509_info_read(certificate, &info) < 0)
		return say(REFUSED_SCHEMA, why, why_size,
			   "the coordinator's answer has no certificate");
	for (size_t i = 0; i < trust->body.ca_count; i++)
		buf_str(&cas, trust->body.cas[i]);
	/* A clock that is behind (there are nodes without one) is no reason to refuse. */
	r = x509_verify(buf_cstr(&cas), certificate, MAX(now, info.not_before));
	if (!x509_key_matches(certificate, who->tls_key) || !has_uri(&info, who))
		refused = say(REFUSED_KEY, why, why_size,
			      "the certificate in the coordinator's answer is not this node's");
	else if (r < 0)
		refused = say(REFUSED_KEY, why, why_size,
			      "the certificate in the coordinator's answer is %s",
			      r == -EKEYEXPIRED ? "expired: is this machine's clock right?" :
						  "not of the mesh's CA");
	buf_done(&cas);
	x509_info_done(&info);
	return refused;
}

enum refusal enrol_check_body(const struct identity *who, const struct trust *trust,
			      const uint8_t request_hash[static HASH_LEN],
			      const struct join_answer *a, int64_t now, char *why, size_t why_size)
{
	if (memcmp(a->request, request_hash, HASH_LEN) != 0)
		return say(REFUSED_OLD, why, why_size,
			   "the coordinator's answer is for another request");
	if (a->refused)
		return REFUSED_NOT;
	if (who->exporter ? !a->exporter : !a->membership_count)
		return say(REFUSED_SCHEMA, why, why_size,
			   who->exporter ? "the answer is for a node, not for an exporter: which "
					   "role has the token?" :
					   "the answer is for an exporter, not for a node: which "
					   "role has the token?");
	return enrol_check_certificate(who, trust, a->certificate, now, why, why_size);
}

static const struct verify_key *find_key(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known)
{
	(void)index;
	return trust_find(owner, who, key, ret_known);
}

static enum refusal open_answer(struct arena *arena, struct trust *trust, const char *topic,
				const void *bytes, size_t len, struct join_answer *ret, char *why,
				size_t why_size)
{
	const struct keyring keys = { .find = find_key, .owner = trust };
	enum refusal refused;
	struct document d;
	struct topic t;

	if (topic_parse(trust->mesh, topic, &t) < 0 || t.kind != TOPIC_ENROL_RSP)
		return say(REFUSED_MESH, why, why_size, "the answer is not of the token's mesh");
	refused = document_split(bytes, len, &d);
	if (!refused)
		refused = join_answer_decode(arena, d.body, d.body_len, ret, NULL);
	if (refused)
		return say(refused, why, why_size, "the answer is no answer to a join");
	/* Whom to believe stands in the answer itself, signed by the root that the token names. */
	if (!ret->trust || trust_take(trust, ret->trust, strlen(ret->trust), NULL))
		return say(REFUSED_SIGNER, why, why_size,
			   "the answer's trust document is not signed by the mesh's root key");
	refused = document_open(&keys, trust->mesh, &t, bytes, len, &d);
	if (refused)
		return say(refused, why, why_size,
			   "the answer is not signed by the mesh's coordinator (%s)",
			   refusal_names[refused]);
	return REFUSED_NOT;
}

enum refusal enrol_check(struct arena *arena, const struct token *token, const struct identity *who,
			 const char *topic, const uint8_t request_hash[static HASH_LEN],
			 const void *bytes, size_t len, int64_t now, struct enrol_answer *ret,
			 char *why, size_t why_size)
{
	struct trust *trust = trust_new(token->root_key);
	enum refusal refused;

	memset(ret, 0, sizeof(*ret));
	refused = open_answer(arena, trust, topic, bytes, len, &ret->body, why, why_size);
	if (!refused)
		refused =
			enrol_check_body(who, trust, request_hash, &ret->body, now, why, why_size);
	if (!refused) {
		ret->topic = arena_strdup(arena, topic);
		ret->document = arena_strndup(arena, bytes, len);
	}
	trust_free(trust);
	return refused;
}
