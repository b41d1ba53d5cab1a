/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Certificates: made, read, verified; and everything that must not pass.
 */
#include "tests/test.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/base.h"
#include "lib/x509.h"

#define NOW INT64_C(1795558296) /* 2026-11-24 */
#define DAY INT64_C(86400)

/* Everything a test needs; freed at its end. */
struct world {
	struct buf ca_key, ca, other_ca_key, other_ca, key, csr;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	x509_key_generate(&w->ca_key);
	CHECK_INT(x509_ca_create(w->ca_key.data, "mesh", NOW - DAY, NOW + 3650 * DAY, &w->ca), 0);
	x509_key_generate(&w->other_ca_key);
	CHECK_INT(x509_ca_create(w->other_ca_key.data, "mesh", NOW - DAY, NOW + 3650 * DAY,
				 &w->other_ca),
		  0);
	x509_key_generate(&w->key);
	CHECK_INT(x509_csr_create(w->key.data, &w->csr), 0);
}

static void world_done(struct world *w)
{
	buf_done(&w->ca_key);
	buf_done(&w->ca);
	buf_done(&w->other_ca_key);
	buf_done(&w->other_ca);
	buf_done(&w->key);
	buf_done(&w->csr);
}

static const char *const uris[] = { "warren:node:abc", "warren:net:office" };
static const char *const hosts[] = { "broker.example.org", "192.0.2.1", "2001:db8::1" };
static const struct x509_issue client = {
	.uris = uris, .uri_count = 2, .not_before = NOW - 60, .not_after = NOW + 7 * DAY
};
static const struct x509_issue server = {
	.hosts = hosts, .host_count = 3, .not_before = NOW - 60, .not_after = NOW + 7 * DAY
};

static X509 *parse(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);

	BIO_free(b);
	CHECK(cert);
	return cert;
}

TEST(issued_certificate_carries_its_names)
{
	struct buf cert = { 0 };
	struct x509_info info;
	struct world w;

	world_init(&w);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &client, &cert), 0);
	CHECK_INT(x509_info_read(cert.data, &info), 0);
	CHECK_INT(info.not_before, NOW - 60);
	CHECK_INT(info.not_after, NOW + 7 * DAY);
	CHECK_INT(info.uri_count, 2);
	CHECK_STR(info.uris[0], uris[0]);
	CHECK_STR(info.uris[1], uris[1]);
	x509_info_done(&info);
	x509_info_done(&info);
	CHECK_INT(x509_verify(w.ca.data, cert.data, NOW), 0);
	CHECK(x509_key_matches(cert.data, w.key.data));
	CHECK(!x509_key_matches(cert.data, w.ca_key.data));
	CHECK(!x509_key_matches(w.csr.data, w.key.data));
	buf_done(&cert);
	world_done(&w);
}

/* What OpenSSL thinks of them: purposes, constraints, host names, serial numbers. */
TEST(certificates_are_what_tls_wants)
{
	struct buf c = { 0 }, s = { 0 };
	struct world w;
	X509 *ca, *cc, *sc;

	world_init(&w);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &client, &c), 0);
	CHECK_INT(x509_issue_key(w.ca.data, w.ca_key.data, w.key.data, &server, &s), 0);
	ca = parse(w.ca.data);
	cc = parse(c.data);
	sc = parse(s.data);
	CHECK_INT(X509_check_ca(ca), 1);
	CHECK_INT(X509_get_pathlen(ca), 0);
	CHECK_INT(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	CHECK_INT(X509_check_ca(cc), 0);
	CHECK_INT(X509_get_key_usage(cc), KU_DIGITAL_SIGNATURE);
	CHECK_INT(X509_get_extended_key_usage(cc), XKU_SSL_CLIENT);
	CHECK_INT(X509_get_extended_key_usage(sc), XKU_SSL_SERVER);
	CHECK_INT(X509_check_purpose(cc, X509_PURPOSE_SSL_CLIENT, 0), 1);
	CHECK_INT(X509_check_purpose(cc, X509_PURPOSE_SSL_SERVER, 0), 0);
	CHECK_INT(X509_check_purpose(sc, X509_PURPOSE_SSL_SERVER, 0), 1);
	CHECK_INT(X509_check_host(sc, "broker.example.org", 0, 0, NULL), 1);
	CHECK_INT(X509_check_host(sc, "example.org", 0, 0, NULL), 0);
	CHECK_INT(X509_check_host(sc, "warren", 0, 0, NULL), 0);
	CHECK_INT(X509_check_ip_asc(sc, "192.0.2.1", 0), 1);
	CHECK_INT(X509_check_ip_asc(sc, "2001:db8::1", 0), 1);
	CHECK_INT(X509_check_ip_asc(sc, "192.0.2.2", 0), 0);
	CHECK(ASN1_STRING_length(X509_get0_serialNumber(cc)) == 16);
	CHECK(ASN1_INTEGER_cmp(X509_get0_serialNumber(cc), X509_get0_serialNumber(sc)) != 0);
	CHECK_INT(X509_check_issued(ca, cc), X509_V_OK);
	X509_free(ca);
	X509_free(cc);
	X509_free(sc);
	buf_done(&c);
	buf_done(&s);
	world_done(&w);
}

TEST(only_the_given_ca_is_trusted)
{
	struct buf cert = { 0 }, both = { 0 };
	struct world w;

	world_init(&w);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &client, &cert), 0);
	CHECK_INT(x509_verify(w.other_ca.data, cert.data, NOW), -EKEYREJECTED);
	/* Two of one name, in either order. */
	buf_str(&both, w.other_ca.data);
	buf_str(&both, w.ca.data);
	CHECK_INT(x509_verify(both.data, cert.data, NOW), 0);
	buf_clear(&both);
	buf_str(&both, w.ca.data);
	buf_str(&both, w.other_ca.data);
	CHECK_INT(x509_verify(both.data, cert.data, NOW), 0);
	/* Neither a CA nor a certificate by itself is proof of anything. */
	CHECK_INT(x509_verify(w.ca.data, w.ca.data, NOW), -EKEYREJECTED);
	CHECK_INT(x509_verify(cert.data, cert.data, NOW), -EBADMSG);
	CHECK_INT(x509_verify("", cert.data, NOW), -EBADMSG);
	CHECK_INT(x509_verify(w.ca.data, "", NOW), -EBADMSG);
	buf_done(&cert);
	buf_done(&both);
	world_done(&w);
}

TEST(time_is_the_given_one)
{
	struct buf cert = { 0 };
	struct world w;

	world_init(&w);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &client, &cert), 0);
	CHECK_INT(x509_verify(w.ca.data, cert.data, client.not_before - 1), -EKEYEXPIRED);
	CHECK_INT(x509_verify(w.ca.data, cert.data, client.not_before), 0);
	CHECK_INT(x509_verify(w.ca.data, cert.data, client.not_after - 1), 0);
	CHECK_INT(x509_verify(w.ca.data, cert.data, client.not_after + 1), -EKEYEXPIRED);
	CHECK_INT(x509_verify(w.other_ca.data, cert.data, client.not_after + 1), -EKEYREJECTED);
	CHECK_INT(x509_verify(w.ca.data, cert.data, NOW + 4000 * DAY), -EKEYEXPIRED);
	buf_done(&cert);
	world_done(&w);
}

/* Any byte of the DER changed: refused, or (where it is not covered, as in PEM's line ends) equal. */
TEST(tampered_certificates_are_refused)
{
	struct buf cert = { 0 };
	struct world w;
	X509 *good;
	unsigned char *der = NULL;
	int len;

	world_init(&w);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &client, &cert), 0);
	good = parse(cert.data);
	len = i2d_X509(good, &der);
	X509_free(good);
	for (int i = 0; i < len; i++) {
		BIO *b = BIO_new(BIO_s_mem());
		char pem[4096];
		int n;

		der[i] ^= 1;
		PEM_write_bio(b, "CERTIFICATE", "", der, len);
		n = BIO_read(b, pem, sizeof(pem) - 1);
		CHECK(n > 0);
		pem[n] = '\0';
		CHECK(x509_verify(w.ca.data, pem, NOW) < 0);
		BIO_free(b);
		der[i] ^= 1;
	}
	OPENSSL_free(der);
	buf_done(&cert);
	world_done(&w);
}

/* A certificate signed by a certificate that is not a CA. */
TEST(members_cannot_issue)
{
	struct buf cert = { 0 }, forged = { 0 };
	struct world w;

	world_init(&w);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &client, &cert), 0);
	CHECK_INT(x509_issue_key(cert.data, w.key.data, w.other_ca_key.data, &client, &forged),
		  -EBADMSG);
	CHECK_INT(forged.len, 0);
	CHECK_INT(x509_issue_key(w.ca.data, w.other_ca_key.data, w.key.data, &client, &forged),
		  -EBADMSG);
	buf_done(&cert);
	world_done(&w);
}

TEST(requests_prove_possession)
{
	struct buf out = { 0 };
	struct world w;
	BIO *b;
	X509_REQ *r;
	EVP_PKEY *other;
	char pem[4096];
	int n;

	world_init(&w);
	/* Someone else's public key under our signature. */
	b = BIO_new_mem_buf(w.csr.data, -1);
	r = PEM_read_bio_X509_REQ(b, NULL, NULL, NULL);
	BIO_free(b);
	other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	CHECK(r && other && X509_REQ_set_pubkey(r, other));
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509_REQ(b, r);
	n = BIO_read(b, pem, sizeof(pem) - 1);
	CHECK(n > 0);
	pem[n] = '\0';
	BIO_free(b);
	X509_REQ_free(r);
	EVP_PKEY_free(other);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, pem, &client, &out), -EBADMSG);
	CHECK_INT(out.len, 0);
	world_done(&w);
}

static int make_request(const char *type, const char *curve, char *pem, size_t size)
{
	EVP_PKEY *key = curve ? EVP_PKEY_Q_keygen(NULL, NULL, type, curve) :
				EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)2048);
	X509_REQ *r = X509_REQ_new();
	BIO *b = BIO_new(BIO_s_mem());
	int n;

	CHECK(key && X509_REQ_set_pubkey(r, key) && X509_REQ_sign(r, key, EVP_sha256()));
	PEM_write_bio_X509_REQ(b, r);
	n = BIO_read(b, pem, (int)size - 1);
	pem[n] = '\0';
	BIO_free(b);
	X509_REQ_free(r);
	EVP_PKEY_free(key);
	return n;
}

TEST(only_p256_keys)
{
	struct buf out = { 0 };
	struct world w;
	char pem[8192];

	world_init(&w);
	CHECK(make_request("EC", "P-256", pem, sizeof(pem)) > 0);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, pem, &client, &out), 0);
	CHECK(make_request("EC", "P-384", pem, sizeof(pem)) > 0);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, pem, &client, &out), -EBADMSG);
	CHECK(make_request("RSA", NULL, pem, sizeof(pem)) > 0);
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, pem, &client, &out), -EBADMSG);
	buf_done(&out);
	world_done(&w);
}

TEST(bad_orders_are_refused)
{
	static const char *const bad_uris[] = { "", "warren:node:a b", "warren:\n", "\xc3\xa4" };
	struct buf out = { 0 };
	struct x509_issue what = client;
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(bad_uris); i++) {
		what.uris = &bad_uris[i];
		what.uri_count = 1;
		CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &what, &out),
			  -EBADMSG);
		what = server;
		what.hosts = &bad_uris[i];
		what.host_count = 1;
		CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &what, &out),
			  -EBADMSG);
	}
	what = client;
	what.uri_count = 0;
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &what, &out), -EBADMSG);
	what = client;
	what.not_after = what.not_before - 1;
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &what, &out), -EBADMSG);
	what.not_after = INT64_C(1) << 60;
	CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &what, &out), -EBADMSG);
	CHECK_INT(out.len, 0);
	/* Words of OpenSSL's configuration language are plain text here. */
	{
		static const char *const odd[] = { "warren:node:a,URI:warren:node:b" };
		struct x509_info info;

		what = client;
		what.uris = odd;
		what.uri_count = 1;
		CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, w.csr.data, &what, &out), 0);
		CHECK_INT(x509_info_read(out.data, &info), 0);
		CHECK_INT(info.uri_count, 1);
		CHECK_STR(info.uris[0], odd[0]);
		x509_info_done(&info);
	}
	buf_done(&out);
	world_done(&w);
}

/* A name that ends earlier for C than for whoever signed it. */
TEST(names_with_nul_are_refused)
{
	static const char *const names[] = { "warren:node:a", "warren:node:a\0b",
					     "warren:node:a b" };
	static const int lengths[] = { 13, 15, 15 }, want[] = { 0, -EBADMSG, -EBADMSG };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		X509 *cert = X509_new();
		GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *s = ASN1_IA5STRING_new();
		BIO *b = BIO_new(BIO_s_mem());
		struct x509_info info = { 0 };
		char pem[4096];
		int n;

		ASN1_STRING_set(s, names[i], lengths[i]);
		GENERAL_NAME_set0_value(name, GEN_URI, s);
		sk_GENERAL_NAME_push(list, name);
		X509_set_version(cert, X509_VERSION_3);
		X509_gmtime_adj(X509_getm_notBefore(cert), 0);
		X509_gmtime_adj(X509_getm_notAfter(cert), 60);
		X509_set_pubkey(cert, key);
		CHECK(X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, 0) == 1);
		CHECK(X509_sign(cert, key, EVP_sha256()));
		PEM_write_bio_X509(b, cert);
		n = BIO_read(b, pem, sizeof(pem) - 1);
		CHECK(n > 0);
		pem[n] = '\0';
		CHECK_INT(x509_info_read(pem, &info), want[i]);
		x509_info_done(&info);
		BIO_free(b);
		GENERAL_NAMES_free(list);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
}

/* Encrypted with "x": must be refused at once, not asked about on the terminal. */
static const char encrypted_key[] =
	"-----BEGIN EC PRIVATE KEY-----\n"
	"Proc-Type: 4,ENCRYPTED\n"
	"DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	"-----END EC PRIVATE KEY-----\n";

TEST(text_that_is_no_pem)
{
	static const char *const bad[] = {
		"",
		"x",
		"-----BEGIN CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE REQUEST-----\n!!\n"
		"-----END CERTIFICATE REQUEST-----\n",
		encrypted_key
	};
	struct buf out = { 0 };
	struct x509_info info;
	struct world w;
	char *big;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_INT(x509_info_read(bad[i], &info), -EBADMSG);
		CHECK_INT(x509_csr_create(bad[i], &out), -EBADMSG);
		CHECK_INT(x509_ca_create(bad[i], "x", NOW, NOW + 1, &out), -EBADMSG);
		CHECK_INT(x509_issue_csr(w.ca.data, w.ca_key.data, bad[i], &client, &out),
			  -EBADMSG);
		CHECK_INT(x509_issue_csr(bad[i], w.ca_key.data, w.csr.data, &client, &out),
			  -EBADMSG);
		CHECK_INT(x509_issue_key(w.ca.data, w.ca_key.data, bad[i], &client, &out),
			  -EBADMSG);
		CHECK_INT(x509_verify(w.ca.data, bad[i], NOW), -EBADMSG);
		CHECK_INT(x509_verify(bad[i], w.ca.data, NOW), -EBADMSG);
	}
	/* Longer than allowed, although a good one is at its end. */
	big = calloc(1, X509_PEM_MAX + 8192);
	memset(big, '\n', X509_PEM_MAX);
	strcat(big, w.ca.data);
	CHECK_INT(x509_info_read(big, &info), -EBADMSG);
	free(big);
	CHECK_INT(out.len, 0);
	CHECK_INT(ERR_peek_error(), 0);
	world_done(&w);
}

TEST_MAIN("x509")
