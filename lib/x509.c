/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Certificates of a private CA over OpenSSL. Owns nothing; any thread.
 *
 * Names go in and out as structures, never through OpenSSL's configuration language, in which a comma
 * in a name begins the next one. Encrypted PEM is refused: OpenSSL would ask for the password on the
 * terminal.
 */
#include "lib/x509.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"

#define SERIAL_LEN 16
#define SUBJECT "warren" /* nobody reads it; some tools want one */

#define CLEANUP(type, name, free_it)                                                               \
	static void name(type **p)                                                                 \
	{                                                                                          \
		free_it(*p);                                                                       \
	}

CLEANUP(BIO, bio_freep, BIO_free)
CLEANUP(EVP_PKEY, key_freep, EVP_PKEY_free)
CLEANUP(X509, cert_freep, X509_free)
CLEANUP(X509_REQ, request_freep, X509_REQ_free)
CLEANUP(X509_STORE, store_freep, X509_STORE_free)
CLEANUP(X509_STORE_CTX, store_ctx_freep, X509_STORE_CTX_free)
CLEANUP(GENERAL_NAMES, names_freep, GENERAL_NAMES_free)

/* ---- PEM ---- */

static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* NULL when the text is longer than anything of ours. */
static BIO *open_pem(const char *pem)
{
	size_t len = strnlen(pem, X509_PEM_MAX + 1);

	return len > X509_PEM_MAX ? NULL : BIO_new_mem_buf(pem, (int)len);
}

static X509 *read_cert(const char *pem)
{
	_cleanup_(bio_freep) BIO *b = open_pem(pem);
	X509 *cert = b ? PEM_read_bio_X509(b, NULL, no_password, NULL) : NULL;

	crypto_forget_errors();
	return cert;
}

static X509_REQ *read_request(const char *pem)
{
	_cleanup_(bio_freep) BIO *b = open_pem(pem);
	X509_REQ *request = b ? PEM_read_bio_X509_REQ(b, NULL, no_password, NULL) : NULL;

	crypto_forget_errors();
	return request;
}

static bool is_p256(const EVP_PKEY *key)
{
	char group[32];

	return key && EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static EVP_PKEY *read_any_key(const char *pem)
{
	_cleanup_(bio_freep) BIO *b = open_pem(pem);
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;

	crypto_forget_errors();
	return key;
}

static EVP_PKEY *read_key(const char *pem)
{
	_cleanup_(key_freep) EVP_PKEY *key = read_any_key(pem);

	return is_p256(key) ? TAKE(key) : NULL;
}

/* A key that a certificate may be for: ours, or the Ed25519 key of a token. */
static EVP_PKEY *read_subject_key(const char *pem)
{
	_cleanup_(key_freep) EVP_PKEY *key = read_any_key(pem);

	return key && (is_p256(key) || EVP_PKEY_is_a(key, "ED25519")) ? TAKE(key) : NULL;
}

static void take_pem(BIO *b, struct buf *out)
{
	char *text;
	long len = BIO_get_mem_data(b, &text);

	buf_add(out, text, (size_t)len);
}

static int write_cert(X509 *cert, struct buf *out)
{
	_cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_mem());

	if (!b || !PEM_write_bio_X509(b, cert))
		return -EBADMSG;
	take_pem(b, out);
	return 0;
}

void x509_key_generate(struct buf *ret_pem)
{
	_cleanup_(key_freep) EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	_cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_secmem());

	if (!key || !b || !PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL)) {
		fputs("error crypto-failed why=openssl\n", stderr);
		abort();
	}
	take_pem(b, ret_pem);
}

/* ---- making certificates ---- */

static bool add_extension(X509 *cert, int nid, void *value, bool critical)
{
	return value && X509_add1_ext_i2d(cert, nid, value, critical, X509V3_ADD_DEFAULT) == 1;
}

static bool add_constraints(X509 *cert, bool ca)
{
	BASIC_CONSTRAINTS *c = BASIC_CONSTRAINTS_new();
	ASN1_INTEGER *zero = ASN1_INTEGER_new();
	bool ok = c && zero && ASN1_INTEGER_set(zero, 0);

	if (ok) {
		c->ca = ca ? 0xff : 0;
		if (ca)
			c->pathlen = TAKE(zero);
		ok = add_extension(cert, NID_basic_constraints, c, true);
	}
	ASN1_INTEGER_free(zero);
	BASIC_CONSTRAINTS_free(c);
	return ok;
}

/* The bits are numbered from the highest of the first byte: digitalSignature 0, keyCertSign 5, cRLSign 6. */
static bool add_key_usage(X509 *cert, uint8_t bits)
{
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	bool ok = usage && ASN1_BIT_STRING_set(usage, &bits, 1) &&
		  add_extension(cert, NID_key_usage, usage, true);

	ASN1_BIT_STRING_free(usage);
	return ok;
}

static bool add_extended_usage(X509 *cert, int nid)
{
	EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();
	bool ok = usage && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(nid)) &&
		  add_extension(cert, NID_ext_key_usage, usage, false);

	sk_ASN1_OBJECT_pop_free(usage, ASN1_OBJECT_free);
	return ok;
}

/* Subject and authority key identifiers: they tell two CAs of one name apart. */
static bool add_key_ids(X509 *cert, X509 *issuer)
{
	X509V3_CTX ctx;
	X509_EXTENSION *subject, *authority;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	subject = X509V3_EXT_nconf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
	ok = subject && X509_add_ext(cert, subject, -1);
	X509_EXTENSION_free(subject);
	if (!ok)
		return false;
	authority = X509V3_EXT_nconf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
	ok = authority && X509_add_ext(cert, authority, -1);
	X509_EXTENSION_free(authority);
	return ok;
}

static bool is_name(const char *s)
{
	if (!*s || strlen(s) > 512)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	return true;
}

static bool add_name(GENERAL_NAMES *names, int type, const void *value, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *s = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	if (!name || !s || !ASN1_STRING_set(s, value, (int)len)) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(s);
		return false;
	}
	GENERAL_NAME_set0_value(name, type, s);
	if (sk_GENERAL_NAME_push(names, name))
		return true;
	GENERAL_NAME_free(name);
	return false;
}

static bool add_host(GENERAL_NAMES *names, const char *host)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, host, bytes) == 1)
		return add_name(names, GEN_IPADD, bytes, 4);
	if (inet_pton(AF_INET6, host, bytes) == 1)
		return add_name(names, GEN_IPADD, bytes, 16);
	return is_name(host) && strlen(host) <= 253 && add_name(names, GEN_DNS, host, strlen(host));
}

static bool add_names(X509 *cert, const struct x509_issue *what)
{
	_cleanup_(names_freep) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

	if (!names || what->uri_count > X509_URIS_MAX || what->uri_count + what->host_count == 0)
		return false;
	for (size_t i = 0; i < what->uri_count; i++)
		if (!is_name(what->uris[i]) ||
		    !add_name(names, GEN_URI, what->uris[i], strlen(what->uris[i])))
			return false;
	for (size_t i = 0; i < what->host_count; i++)
		if (!add_host(names, what->hosts[i]))
			return false;
	return add_extension(cert, NID_subject_alt_name, names, false);
}

static bool set_times(X509 *cert, int64_t not_before, int64_t not_after)
{
	return not_before <= not_after && ASN1_TIME_set(X509_getm_notBefore(cert), not_before) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), not_after);
}

static bool set_serial(X509 *cert)
{
	uint8_t random[SERIAL_LEN];
	BIGNUM *n;
	bool ok;

	crypto_random(random, sizeof(random));
	random[0] = (random[0] & 0x7f) | 0x40; /* positive, and always of one length */
	n = BN_bin2bn(random, sizeof(random), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return ok;
}

/* All that a CA's and other certificates have in common. `issuer` NULL: itself. */
static X509 *new_cert(EVP_PKEY *key, X509 *issuer, const char *subject, int64_t not_before,
		      int64_t not_after)
{
	_cleanup_(cert_freep) X509 *cert = X509_new();
	X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;

	if (!cert || !X509_set_version(cert, X509_VERSION_3) || !set_serial(cert) ||
	    !set_times(cert, not_before, not_after) || !X509_set_pubkey(cert, key) ||
	    !X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
					(const unsigned char *)subject, -1, -1, 0) ||
	    !X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)) ||
	    !add_key_ids(cert, issuer ? issuer : cert))
		return NULL;
	return TAKE(cert);
}

int x509_ca_create(const char *key_pem, const char *name, int64_t not_before, int64_t not_after,
		   struct buf *ret_pem)
{
	_cleanup_(key_freep) EVP_PKEY *key = read_key(key_pem);
	_cleanup_(cert_freep) X509 *cert = NULL;
	int r = -EBADMSG;

	if (key)
		cert = new_cert(key, NULL, name, not_before, not_after);
	if (cert && add_constraints(cert, true) && add_key_usage(cert, 0x06) &&
	    X509_sign(cert, key, EVP_sha256()))
		r = write_cert(cert, ret_pem);
	crypto_forget_errors();
	return r;
}

int x509_csr_create(const char *key_pem, struct buf *ret_pem)
{
	_cleanup_(key_freep) EVP_PKEY *key = read_key(key_pem);
	_cleanup_(request_freep) X509_REQ *request = X509_REQ_new();
	_cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_mem());
	int r = -EBADMSG;

	if (key && request && b && X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
	    X509_REQ_set_pubkey(request, key) && X509_REQ_sign(request, key, EVP_sha256()) &&
	    PEM_write_bio_X509_REQ(b, request)) {
		take_pem(b, ret_pem);
		r = 0;
	}
	crypto_forget_errors();
	return r;
}

static int issue(const char *ca_pem, const char *ca_key_pem, EVP_PKEY *subject,
		 const struct x509_issue *what, struct buf *ret_pem)
{
	_cleanup_(cert_freep) X509 *ca = read_cert(ca_pem);
	_cleanup_(key_freep) EVP_PKEY *ca_key = read_key(ca_key_pem);
	_cleanup_(cert_freep) X509 *cert = NULL;
	int r = -EBADMSG;

	if (ca && ca_key && X509_check_ca(ca) == 1 && X509_check_private_key(ca, ca_key))
		cert = new_cert(subject, ca, SUBJECT, what->not_before, what->not_after);
	if (cert && add_constraints(cert, false) && add_key_usage(cert, 0x80) &&
	    add_extended_usage(cert, what->hosts ? NID_server_auth : NID_client_auth) &&
	    add_names(cert, what) && X509_sign(cert, ca_key, EVP_sha256()))
		r = write_cert(cert, ret_pem);
	crypto_forget_errors();
	return r;
}

int x509_issue_csr(const char *ca_pem, const char *ca_key_pem, const char *csr_pem,
		   const struct x509_issue *what, struct buf *ret_pem)
{
	_cleanup_(request_freep) X509_REQ *request = read_request(csr_pem);
	EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
	int verified = is_p256(key) ? X509_REQ_verify(request, key) : 0;

	crypto_forget_errors();
	return verified == 1 ? issue(ca_pem, ca_key_pem, key, what, ret_pem) : -EBADMSG;
}

int x509_issue_key(const char *ca_pem, const char *ca_key_pem, const char *key_pem,
		   const struct x509_issue *what, struct buf *ret_pem)
{
	_cleanup_(key_freep) EVP_PKEY *key = read_subject_key(key_pem);

	return key ? issue(ca_pem, ca_key_pem, key, what, ret_pem) : -EBADMSG;
}

/* ---- reading certificates ---- */

static bool read_time(const ASN1_TIME *t, int64_t *ret)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(t, &tm))
		return false;
	*ret = timegm(&tm);
	return true;
}

static bool take_uri(const ASN1_STRING *s, struct x509_info *ret)
{
	size_t len = (size_t)ASN1_STRING_length(s);
	char *uri;

	if (ret->uri_count == X509_URIS_MAX)
		return false;
	uri = xstrndup((const char *)ASN1_STRING_get0_data(s), len);
	ret->uris[ret->uri_count++] = uri;
	return strlen(uri) == len && is_name(uri);
}

/* A certificate without names is fine; one with names that cannot be read, or twice, is not. */
static bool read_uris(const X509 *cert, struct x509_info *ret)
{
	int found = -1;
	_cleanup_(names_freep)
		GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &found, NULL);

	if (!names)
		return found == -1;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_URI && !take_uri(name->d.uniformResourceIdentifier, ret))
			return false;
	}
	return true;
}

int x509_info_read(const char *cert_pem, struct x509_info *ret)
{
	_cleanup_(cert_freep) X509 *cert = read_cert(cert_pem);
	struct x509_info info = { 0 };
	bool ok = cert && read_time(X509_get0_notBefore(cert), &info.not_before) &&
		  read_time(X509_get0_notAfter(cert), &info.not_after) && read_uris(cert, &info);

	crypto_forget_errors();
	if (!ok) {
		x509_info_done(&info);
		return -EBADMSG;
	}
	*ret = info;
	return 0;
}

void x509_info_done(struct x509_info *i)
{
	if (!i)
		return;
	for (size_t k = 0; k < i->uri_count; k++)
		free(i->uris[k]);
	*i = (struct x509_info){ 0 };
}

static X509_STORE *read_store(const char *pem)
{
	_cleanup_(bio_freep) BIO *b = open_pem(pem);
	_cleanup_(store_freep) X509_STORE *store = X509_STORE_new();
	int count = 0;

	while (b && store) {
		_cleanup_(cert_freep) X509 *ca = PEM_read_bio_X509(b, NULL, no_password, NULL);

		if (!ca)
			break;
		if (X509_check_ca(ca) != 1 || !X509_STORE_add_cert(store, ca))
			return NULL;
		count++;
	}
	return count > 0 ? TAKE(store) : NULL;
}

static bool verify(X509_STORE *store, X509 *cert, int64_t now, unsigned long flags)
{
	_cleanup_(store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;

	if (!ctx || !X509_STORE_CTX_init(ctx, store, cert, NULL))
		return false;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_VERIFY_PARAM_set_auth_level(param, 2); /* 112 bits: no SHA-1, no short RSA */
	if (flags)
		X509_VERIFY_PARAM_set_flags(param, flags);
	else
		X509_VERIFY_PARAM_set_time(param, now);
	return X509_verify_cert(ctx) == 1;
}

int x509_verify(const char *ca_pem, const char *cert_pem, int64_t now)
{
	_cleanup_(store_freep) X509_STORE *store = read_store(ca_pem);
	_cleanup_(cert_freep) X509 *cert = read_cert(cert_pem);
	int r = -EKEYREJECTED;

	/* A CA's own certificate is no identity. */
	if (!store || !cert)
		r = -EBADMSG;
	else if (X509_check_ca(cert) == 0) {
		if (verify(store, cert, now, 0))
			r = 0;
		else if (verify(store, cert, now, X509_V_FLAG_NO_CHECK_TIME))
			r = -EKEYEXPIRED;
	}
	crypto_forget_errors();
	return r;
}

bool x509_key_matches(const char *cert_pem, const char *key_pem)
{
	_cleanup_(cert_freep) X509 *cert = read_cert(cert_pem);
	_cleanup_(key_freep) EVP_PKEY *key = read_subject_key(key_pem);
	bool ok = cert && key && X509_check_private_key(cert, key) == 1;

	crypto_forget_errors();
	return ok;
}
