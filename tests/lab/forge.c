/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A joiner that claims another's identity key (scenario I09): it holds a good token and the
 * victim's public key, but not the victim's private key.
 *
 *	lab_forge DIR VICTIM_IDENTITY_KEY < TOKEN
 *
 * writes DIR/ca.pem, token.pem, token.key (to connect with), topic (where the request goes),
 * client (the client id) and request (the document: signed by the token's key, and under the
 * victim's key id by a key of its own). With VICTIM_IDENTITY_KEY `own` the request is honest: the
 * control that shows that only the identity is what is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "schemas/document.h"
#include "schemas/join.h"
#include "schemas/token.h"

static void put(const char *dir, const char *name, const void *p, size_t n)
{
	char *path = xasprintf("%s/%s", dir, name);

	if (file_write(path, p, n, 0600) < 0)
		opt_fail(1, "%s cannot be written", path);
	free(path);
}

static void request_make(const struct token *token, const struct sign_key *identity,
			 struct buf *body)
{
	struct buf tls = { 0 }, csr = { 0 };
	struct join_request request = { .token = token->id };
	uint8_t secret[KEY_LEN];

	x509_key_generate(&tls);
	if (x509_csr_create(buf_cstr(&tls), &csr) < 0)
		opt_fail(1, "no certificate request");
	request.csr = csr.data;
	memcpy(request.identity_key, identity->public_key, KEY_LEN);
	wireguard_key_generate(secret, request.wireguard_key);
	crypto_random(request.nonce, sizeof(request.nonce));
	json_encode(body, join_request_fields, &request);
	buf_done(&tls);
	buf_done(&csr);
}

int main(int argc, char **argv)
{
	struct buf text = { 0 }, body = { 0 }, document = { 0 }, pem = { 0 };
	struct sign_key token_key, identity;
	const struct sign_key *keys[2] = { &token_key, &identity };
	struct topic t = { .kind = TOPIC_ENROL_REQ };
	char error[256], place[TOPIC_SIZE], client[LABEL_SIZE];
	struct token token;
	uint64_t random;

	if (argc != 3)
		opt_fail(2, "usage: lab_forge DIR VICTIM_IDENTITY_KEY|own < TOKEN");
	if (file_read("/dev/stdin", TOKEN_MAX, &text) < 0 ||
	    token_parse(buf_cstr(&text), &token, error, sizeof(error)) < 0)
		opt_fail(1, "no token on standard input");
	sign_key_from_secret(token.private_key, &token_key);
	sign_key_generate(&identity);
	if (strcmp(argv[2], "own") != 0) {
		if (base64_decode(argv[2], strlen(argv[2]), identity.public_key, KEY_LEN) !=
		    KEY_LEN)
			opt_fail(2, "%s is no key", argv[2]);
		key_id(identity.public_key, identity.id);
	}
	request_make(&token, &identity, &body);
	crypto_random(&random, sizeof(random));
	snprintf(client, sizeof(client), "j-%s-%08x", token.id, (unsigned)random);
	snprintf(t.id, sizeof(t.id), "%s", token.id);
	snprintf(t.other, sizeof(t.other), "%s", client);
	topic_place(token.mesh, &t, place);
	document_sign(&document, place, buf_cstr(&body), body.len, keys, 2);
	sign_key_pem(&token_key, &pem);
	put(argv[1], "ca.pem", token.ca, strlen(token.ca));
	put(argv[1], "token.pem", token.certificate, strlen(token.certificate));
	put(argv[1], "token.key", pem.data, pem.len);
	put(argv[1], "topic", place, strlen(place));
	put(argv[1], "client", client, strlen(client));
	put(argv[1], "request", document.data, document.len);
	token_done(&token);
	sign_key_done(&token_key);
	sign_key_done(&identity);
	buf_done(&text);
	buf_done(&body);
	buf_done(&document);
	buf_done(&pem);
	return 0;
}
