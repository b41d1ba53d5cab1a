/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Join tokens, read and written. Holds secrets while it works, and wipes them. Any thread.
 */
#include "schemas/token.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"
#include "lib/x509.h"
#include "schemas/member.h"
#include "schemas/trust.h"

#define MAGIC "warren"
#define VERSION "1-"
#define BROKERS_MAX 16
#define AGAIN "; copy the whole token again"

const char *const role_names[] = { "node", "exporter", "leaf", NULL };

static bool is_mesh_id(const char *s)
{
	return strnlen(s, MESH_ID_SIZE) == MESH_ID_LEN &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz234567") == MESH_ID_LEN;
}

const struct json_field token_fields[] = {
	JSON_FIELD(struct token, id, JSON_STRING, .check = text_is_id, .what = "a token's id"),
	JSON_FIELD(struct token, mesh, JSON_STRING, .check = is_mesh_id, .what = "a mesh's id"),
	JSON_FIELD(struct token, network, JSON_STRING, .check = text_is_label, .what = "a label"),
	JSON_LIST(struct token, brokers, broker_count, JSON_STRING, .min = 1, .max = BROKERS_MAX,
		  .check = text_is_broker, .what = "mqtts://HOST:PORT"),
	JSON_FIELD(struct token, root_key, JSON_KEY),
	JSON_FIELD(struct token, ca, JSON_STRING, .max = X509_PEM_MAX,
		   .check = text_is_certificates, .what = "certificates in PEM"),
	JSON_FIELD(struct token, private_key, JSON_KEY),
	JSON_FIELD(struct token, certificate, JSON_STRING, .max = X509_PEM_MAX,
		   .check = text_is_certificates, .what = "certificates in PEM"),
	JSON_END,
};

struct reason {
	char *text;
	size_t size;
};

static PRINTF(2, 3) int refuse(const struct reason *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->size, fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

static int altered(const struct reason *why, const char *what, const char *which)
{
	return refuse(why, "the token was altered: %s%s" AGAIN, what, which);
}

/* The base64url text between the prefix and white space at the end. */
static int find_payload(const char *text, const struct reason *why, const char **ret,
			size_t *ret_len)
{
	const char *p = text;
	size_t len, good;

	if (strncmp(p, MAGIC, strlen(MAGIC)) != 0)
		return refuse(why, "this is no token of Warren: it does not begin with "
				   "`" MAGIC VERSION "`" AGAIN);
	p += strlen(MAGIC);
	if (strncmp(p, VERSION, strlen(VERSION)) != 0) {
		size_t digits = strspn(p, "0123456789");

		if (digits && digits < 10 && p[digits] == '-')
			return refuse(why,
				      "the token is of version %.*s, this program reads version 1: "
				      "install the Warren that made it",
				      (int)digits, p);
		return refuse(why, "this is no token of Warren: it does not begin with "
				   "`" MAGIC VERSION "`" AGAIN);
	}
	p += strlen(VERSION);
	len = strnlen(text, TOKEN_MAX + 1);
	if (len > TOKEN_MAX)
		return refuse(why, "the token is longer than a token can be (%d characters)" AGAIN,
			      TOKEN_MAX);
	len -= (size_t)(p - text);
	while (len > 0 && strchr(" \t\r\n", p[len - 1]))
		len--;
	good = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
	if (good < len)
		return refuse(why, "the token was altered: character %zu belongs in no token" AGAIN,
			      (size_t)(p - text) + good + 1);
	*ret = p;
	*ret_len = len;
	return 0;
}

/* An object that does not end with a brace was cut, whatever else is wrong with it. */
static int explain(const struct json_error *err, const uint8_t *json, long len,
		   const struct reason *why)
{
	char text[JSON_ERROR_SIZE];

	if (len == 0 || json[len - 1] != '}')
		return refuse(why, "the token is truncated: its end is missing" AGAIN);
	if (err->syntax || err->duplicate_key)
		return altered(why, "what is in it is not JSON", "");
	return altered(why, "in it ", json_error_text(err, text));
}

/* The certificate of this token: its name, its key, its CA. */
static int check_certificate(const struct token *t, const struct sign_key *key,
			     const struct reason *why)
{
	struct x509_info info = { 0 };
	struct buf pem = { 0 };
	bool named = false, issued, fits;
	char uri[64];
	int r;

	if (x509_info_read(t->certificate, &info) < 0)
		return altered(why, "its certificate cannot be read", "");
	snprintf(uri, sizeof(uri), "warren:join:%s", t->id);
	for (size_t i = 0; i < info.uri_count; i++)
		named = named || strcmp(info.uris[i], uri) == 0;
	x509_info_done(&info);
	/* Only who issued it: whether it is still valid is a question of the clock. */
	r = x509_verify(t->ca, t->certificate, 0);
	issued = r == 0 || r == -EKEYEXPIRED;
	sign_key_pem(key, &pem);
	fits = x509_key_matches(t->certificate, buf_cstr(&pem));
	buf_done(&pem);
	if (!named)
		return altered(why, "its certificate is not that of token ", t->id);
	if (!fits)
		return altered(why, "its certificate and its key do not fit", "");
	if (!issued)
		return altered(why, "its certificate is not its CA's", "");
	return 0;
}

/* Do the parts belong together? */
static int check_parts(const struct token *t, const struct reason *why)
{
	struct sign_key key = { 0 };
	char mesh[MESH_ID_SIZE];
	int r;

	mesh_id(t->root_key, mesh);
	if (strcmp(mesh, t->mesh) != 0)
		return altered(why, "its root key is not that of mesh ", t->mesh);
	sign_key_from_secret(t->private_key, &key);
	if (strcmp(key.id, t->id) != 0)
		r = altered(why, "its key is not that of token ", t->id);
	else
		r = check_certificate(t, &key, why);
	sign_key_done(&key);
	return r;
}

int token_parse(const char *text, struct token *ret, char *ret_error, size_t error_size)
{
	const struct reason why = { ret_error, error_size };
	uint8_t json[TOKEN_MAX];
	struct json_error err;
	struct token t = { 0 };
	const char *payload = NULL;
	size_t payload_len = 0;
	long len;
	int r;

	r = find_payload(text, &why, &payload, &payload_len);
	if (r < 0)
		return r;
	len = base64url_decode(payload, payload_len, json, sizeof(json));
	if (len < 0) {
		r = refuse(&why,
			   "the token is truncated or was altered: its end does not fit" AGAIN);
	} else if (json_decode(&t.arena, (char *)json, (size_t)len, token_fields, &t, &err) < 0) {
		r = explain(&err, json, len, &why);
	} else {
		r = check_parts(&t, &why);
	}
	crypto_wipe(json, sizeof(json));
	if (r < 0)
		token_done(&t);
	else
		*ret = t;
	crypto_wipe(&t, sizeof(t));
	return r;
}

void token_format(const struct token *t, struct buf *out)
{
	char text[4 * TOKEN_MAX / 3 + 2];
	struct buf json = { .max = TOKEN_MAX / 4 * 3 - 16 };

	json_encode(&json, token_fields, t);
	if (!json.failed) {
		base64url_encode(json.data, json.len, text);
		buf_str(out, MAGIC VERSION);
		buf_str(out, text);
	}
	crypto_wipe(text, sizeof(text));
	out->failed = out->failed || json.failed;
	buf_done(&json);
}

void token_done(struct token *t)
{
	arena_done(&t->arena);
	crypto_wipe(t, sizeof(*t));
}
