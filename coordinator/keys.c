/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The data directory's keys: made once by `init`, loaded at each start. Owns nothing between calls;
 * main thread.
 */
#include "coordinator/keys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/x509.h"

#define DAY INT64_C(86400)
#define CA_DAYS 3653
#define SEED_HEX_SIZE (2 * KEY_LEN + 1)

static const char *const names[] = { "root.key", "root.pub", "signing.key", "ca.key",
				     "ca.crt",	 "tls.key",  "tls.crt",	    "trust.doc" };

static char *path_of(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* ---- making ---- */

static int write_text(const char *dir, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_of(dir, name);

	return file_write(path, text, strlen(text), 0600);
}

static int write_seed(const char *path, const struct sign_key *key)
{
	char hex[SEED_HEX_SIZE + 1];
	int r;

	hex_encode(key->secret, KEY_LEN, hex);
	strcat(hex, "\n");
	r = file_write(path, hex, strlen(hex), 0600);
	crypto_wipe(hex, sizeof(hex));
	return r;
}

static int write_root(const char *dir, const char *root_out, const struct sign_key *root)
{
	_cleanup_(freep) char *path = root_out ? xstrdup(root_out) : path_of(dir, "root.key");
	char hex[SEED_HEX_SIZE + 1];
	int r = write_seed(path, root);

	hex_encode(root->public_key, KEY_LEN, hex);
	strcat(hex, "\n");
	return r < 0 ? r : write_text(dir, "root.pub", hex);
}

static int write_signing(const char *dir, const struct sign_key *signing)
{
	_cleanup_(freep) char *path = path_of(dir, "signing.key");

	return write_seed(path, signing);
}

/* The CA, and the coordinator's own certificate by it. */
static int write_certificates(const char *dir, const char *mesh, int64_t now, struct buf *ret_ca)
{
	static const char *const uris[] = { "warren:coordinator" };
	const struct x509_issue own = { .uris = uris,
					.uri_count = 1,
					.not_before = now - DAY,
					.not_after = now + CA_DAYS * DAY };
	_cleanup_(freep) char *name = xasprintf("Warren mesh %s", mesh);
	struct buf ca_key = { 0 }, key = { 0 }, cert = { 0 };
	int r;

	x509_key_generate(&ca_key);
	x509_key_generate(&key);
	r = x509_ca_create(buf_cstr(&ca_key), name, own.not_before, own.not_after, ret_ca);
	if (r == 0)
		r = x509_issue_key(buf_cstr(ret_ca), buf_cstr(&ca_key), buf_cstr(&key), &own,
				   &cert);
	if (r == 0)
		r = write_text(dir, "ca.key", buf_cstr(&ca_key));
	if (r == 0)
		r = write_text(dir, "ca.crt", buf_cstr(ret_ca));
	if (r == 0)
		r = write_text(dir, "tls.key", buf_cstr(&key));
	if (r == 0)
		r = write_text(dir, "tls.crt", buf_cstr(&cert));
	buf_done(&ca_key);
	buf_done(&key);
	buf_done(&cert);
	return r;
}

/* The first c/trust document. */
static int write_trust(const char *dir, const char *mesh, const struct sign_key *root,
		       const struct sign_key *signing, char *ca_pem, const char *const *brokers,
		       size_t broker_count)
{
	const struct topic topic = { .kind = TOPIC_TRUST };
	struct trust_key signing_key;
	struct arena arena = { 0 };
	struct trust_body body = { .seq = 1,
				   .signing_keys = &signing_key,
				   .signing_key_count = 1,
				   .cas = &ca_pem,
				   .ca_count = 1,
				   .broker_count = broker_count };
	struct buf json = { 0 }, document = { 0 };
	char place[TOPIC_SIZE];
	int r;

	memcpy(signing_key.key, signing->public_key, KEY_LEN);
	body.brokers = arena_array(&arena, broker_count, sizeof(*body.brokers));
	for (size_t i = 0; i < broker_count; i++)
		body.brokers[i] = arena_strdup(&arena, brokers[i]);
	topic_place(mesh, &topic, place);
	json_encode(&json, trust_fields, &body);
	document_sign(&document, place, json.data, json.len, &root, 1);
	r = write_text(dir, "trust.doc", buf_cstr(&document));
	buf_done(&json);
	buf_done(&document);
	arena_done(&arena);
	return r;
}

bool keys_exist(const char *dir, const char *root_out)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(freep) char *path = path_of(dir, names[i]);

		if (access(path, F_OK) == 0)
			return true;
	}
	return root_out && access(root_out, F_OK) == 0;
}

void keys_remove(const char *dir, const char *root_out)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(freep) char *path = path_of(dir, names[i]);

		unlink(path);
	}
	if (root_out)
		unlink(root_out);
}

int keys_create(const char *dir, const char *root_out, const char *const *brokers,
		size_t broker_count, int64_t now)
{
	struct sign_key root = { 0 }, signing = { 0 };
	struct buf ca = { 0 };
	char mesh[MESH_ID_SIZE];
	int r = file_mkdir(dir, 0700);

	if (r == 0 && keys_exist(dir, root_out))
		r = -EEXIST;
	if (r < 0)
		return r;
	sign_key_generate(&root);
	sign_key_generate(&signing);
	mesh_id(root.public_key, mesh);
	r = write_root(dir, root_out, &root);
	if (r == 0)
		r = write_signing(dir, &signing);
	if (r == 0)
		r = write_certificates(dir, mesh, now, &ca);
	if (r == 0) {
		_cleanup_(freep) char *ca_pem = xstrdup(buf_cstr(&ca));

		r = write_trust(dir, mesh, &root, &signing, ca_pem, brokers, broker_count);
	}
	if (r < 0)
		keys_remove(dir, root_out);
	buf_done(&ca);
	sign_key_done(&root);
	sign_key_done(&signing);
	return r;
}

/* ---- loading ---- */

struct loader {
	const char *dir;
	char *error;
	size_t error_size;
};

PRINTF(3, 4) static int explain(const struct loader *l, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->error, l->error_size, fmt, ap);
	va_end(ap);
	return r;
}

static int read_text(const struct loader *l, const char *name, struct buf *ret)
{
	_cleanup_(freep) char *path = path_of(l->dir, name);
	int r = file_read(path, DOCUMENT_MAX, ret);

	if (r == -ENOENT && strcmp(name, "root.pub") == 0)
		return explain(l, r, "%s holds no keys: run warren-coordinator init first", l->dir);
	if (r < 0)
		return explain(l, r, "cannot read %s: %s", path, strerror(-r));
	return 0;
}

static int read_pem(const struct loader *l, const char *name, char **ret)
{
	struct buf text = { 0 };
	int r = read_text(l, name, &text);

	if (r == 0)
		*ret = buf_take(&text);
	buf_done(&text);
	return r;
}

static int read_hex(const struct loader *l, const char *name, uint8_t ret[static KEY_LEN])
{
	struct buf text = { 0 };
	int r = read_text(l, name, &text);

	if (r == 0) {
		if (text.len && text.data[text.len - 1] == '\n')
			text.data[--text.len] = '\0';
		if (hex_decode(buf_cstr(&text), ret, KEY_LEN) < 0)
			r = explain(l, -EBADMSG, "%s/%s is not %d hex digits", l->dir, name,
				    2 * KEY_LEN);
	}
	buf_done(&text);
	return r;
}

static int load_trust(const struct loader *l, struct keys *k)
{
	uint8_t root[KEY_LEN];
	struct buf document = { 0 };
	enum refusal refused;
	int r = read_hex(l, "root.pub", root);

	if (r == 0)
		r = read_text(l, "trust.doc", &document);
	if (r == 0) {
		k->trust = trust_new(root);
		memcpy(k->mesh, k->trust->mesh, sizeof(k->mesh));
		refused = trust_take(k->trust, document.data, document.len, NULL);
		if (refused)
			r = explain(l, -EBADMSG,
				    "%s/trust.doc is refused (%s): it is not what the root key of "
				    "%s/root.pub signed",
				    l->dir, refusal_names[refused], l->dir);
	}
	buf_done(&document);
	return r;
}

static int load_signing(const struct loader *l, struct keys *k)
{
	uint8_t seed[KEY_LEN];
	int r = read_hex(l, "signing.key", seed);

	if (r == 0)
		sign_key_from_secret(seed, &k->signing);
	crypto_wipe(seed, sizeof(seed));
	if (r == 0 && !trust_is_valid(k->trust, k->signing.id))
		r = explain(l, -EKEYREJECTED,
			    "the key of %s/signing.key (%s) is not listed in trust.doc", l->dir,
			    k->signing.id);
	return r;
}

static int load_certificates(const struct loader *l, struct keys *k)
{
	int r;

	if ((r = read_pem(l, "ca.crt", &k->ca_pem)) < 0 ||
	    (r = read_pem(l, "ca.key", &k->ca_key_pem)) < 0 ||
	    (r = read_pem(l, "tls.crt", &k->tls_cert_pem)) < 0 ||
	    (r = read_pem(l, "tls.key", &k->tls_key_pem)) < 0)
		return r;
	if (!x509_key_matches(k->ca_pem, k->ca_key_pem))
		return explain(l, -EBADMSG, "ca.crt and ca.key in %s do not fit", l->dir);
	if (!x509_key_matches(k->tls_cert_pem, k->tls_key_pem))
		return explain(l, -EBADMSG, "tls.crt and tls.key in %s do not fit", l->dir);
	r = x509_verify(k->ca_pem, k->tls_cert_pem, clock_wall());
	if (r == -EKEYEXPIRED)
		return explain(l, r, "%s/tls.crt is not valid at this time: is the clock right?",
			       l->dir);
	if (r < 0)
		return explain(l, r, "%s/tls.crt was not issued by ca.crt", l->dir);
	return 0;
}

int keys_load(const char *dir, struct keys *ret, char *error, size_t error_size)
{
	const struct loader l = { .dir = dir, .error = error, .error_size = error_size };
	struct keys k = { .dir = xstrdup(dir) };
	int r;

	if ((r = load_trust(&l, &k)) < 0 || (r = load_signing(&l, &k)) < 0 ||
	    (r = load_certificates(&l, &k)) < 0)
		keys_done(&k);
	else
		*ret = k;
	return r;
}

static void wipe_text(char *s)
{
	if (s)
		crypto_wipe(s, strlen(s));
	free(s);
}

void keys_done(struct keys *k)
{
	sign_key_done(&k->signing);
	trust_free(k->trust);
	free(k->dir);
	free(k->ca_pem);
	free(k->tls_cert_pem);
	wipe_text(k->ca_key_pem);
	wipe_text(k->tls_key_pem);
	memset(k, 0, sizeof(*k));
}

enum refusal keys_trust_take(const struct keys *k, const void *bytes, size_t len, int *ret_error)
{
	enum refusal refused = trust_take(k->trust, bytes, len, NULL);

	*ret_error = refused ? 0 : write_text(k->dir, "trust.doc", k->trust->bytes.data);
	return refused;
}

int keys_issue(const struct keys *k, const char *csr_pem, const char *const *uris, size_t count,
	       int64_t not_before, int64_t not_after, struct buf *ret_pem)
{
	const struct x509_issue what = {
		.uris = uris, .uri_count = count, .not_before = not_before, .not_after = not_after
	};

	return x509_issue_csr(k->ca_pem, k->ca_key_pem, csr_pem, &what, ret_pem);
}
