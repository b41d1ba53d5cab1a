/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/keys.h"

#include <errno.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/x509.h"
#include "tests/test.h"

static const char *const brokers[] = { "mqtts://broker.example:8883",
				       "mqtts://broker.example:8884" };
static char dir[64], error[512];

static void make(const char *root_out)
{
	snprintf(dir, sizeof(dir), "/tmp/warren-test-XXXXXX");
	CHECK(mkdtemp(dir));
	CHECK_INT(keys_create(dir, root_out, brokers, 2, clock_wall()), 0);
}

static char *in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void remove_all(void)
{
	keys_remove(dir, NULL);
	CHECK_INT(rmdir(dir), 0);
}

static void write_file(const char *name, const char *text)
{
	char *path = in_dir(name);

	CHECK_INT(file_write(path, text, strlen(text), 0600), 0);
	free(path);
}

static void copy_file(const char *from, const char *name)
{
	struct buf text = { 0 };

	CHECK_INT(file_read(from, 65536, &text), 0);
	write_file(name, buf_cstr(&text));
	buf_done(&text);
}

TEST(create_then_load)
{
	struct keys k;
	struct stat st;

	make(NULL);
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), 0);
	CHECK_INT(strlen(k.mesh), MESH_ID_LEN);
	CHECK_STR(k.mesh, k.trust->mesh);
	CHECK(trust_is_valid(k.trust, k.signing.id));
	CHECK_INT(k.trust->body.seq, 1);
	CHECK_INT(k.trust->body.broker_count, 2);
	CHECK_STR(k.trust->body.brokers[1], brokers[1]);
	CHECK_INT(k.trust->body.ca_count, 1);
	CHECK_STR(k.trust->body.cas[0], k.ca_pem);
	CHECK_INT(x509_verify(k.ca_pem, k.tls_cert_pem, clock_wall()), 0);
	CHECK_INT(x509_verify(k.ca_pem, k.tls_cert_pem, clock_wall() + 3650 * 86400LL), 0);
	CHECK_INT(x509_verify(k.ca_pem, k.tls_cert_pem, clock_wall() + 3660 * 86400LL),
		  -EKEYEXPIRED);
	keys_done(&k);
	static const char *const secret[] = { "root.key", "signing.key", "ca.key", "tls.key" };
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		char *path = in_dir(secret[i]);

		CHECK_INT(stat(path, &st), 0);
		CHECK_INT(st.st_mode & 0777, 0600);
		free(path);
	}
	remove_all();
}

TEST(own_certificate_names_the_coordinator)
{
	struct x509_info info;
	struct keys k;

	make(NULL);
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), 0);
	CHECK_INT(x509_info_read(k.tls_cert_pem, &info), 0);
	CHECK_INT(info.uri_count, 1);
	CHECK_STR(info.uris[0], "warren:coordinator");
	x509_info_done(&info);
	keys_done(&k);
	remove_all();
}

TEST(create_twice_is_refused)
{
	struct buf before = { 0 }, after = { 0 };
	char *path;

	make(NULL);
	path = in_dir("signing.key");
	CHECK_INT(file_read(path, 4096, &before), 0);
	CHECK_INT(keys_create(dir, NULL, brokers, 2, clock_wall()), -EEXIST);
	CHECK_INT(file_read(path, 4096, &after), 0);
	CHECK_STR(buf_cstr(&before), buf_cstr(&after));
	buf_done(&before);
	buf_done(&after);
	free(path);
	remove_all();
}

TEST(root_goes_elsewhere)
{
	char out[64], *inside;
	struct keys k;

	snprintf(out, sizeof(out), "/tmp/warren-test-root-%ld", (long)getpid());
	make(out);
	inside = in_dir("root.key");
	CHECK_INT(access(inside, F_OK), -1);
	CHECK_INT(access(out, R_OK), 0);
	/* The root key is not needed to run. */
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), 0);
	keys_done(&k);
	unlink(out);
	free(inside);
	remove_all();
}

TEST(load_without_keys_says_init)
{
	struct keys k;

	CHECK_INT(keys_load("/nonexistent", &k, error, sizeof(error)), -ENOENT);
	CHECK(strstr(error, "warren-coordinator init"));
}

TEST(load_refuses_another_roots_trust)
{
	char other[64], *doc;
	struct keys k;

	make(NULL);
	memcpy(other, dir, sizeof(other));
	make(NULL);
	doc = xasprintf("%s/trust.doc", other);
	copy_file(doc, "trust.doc");
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), -EBADMSG);
	CHECK(strstr(error, "trust.doc"));
	free(doc);
	keys_remove(other, NULL);
	rmdir(other);
	remove_all();
}

TEST(load_refuses_an_unlisted_signing_key)
{
	char hex[65];
	struct keys k;

	make(NULL);
	memset(hex, 'a', 64);
	hex[64] = 0;
	write_file("signing.key", hex);
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), -EKEYREJECTED);
	CHECK(strstr(error, "not listed"));
	remove_all();
}

TEST(load_refuses_a_foreign_ca)
{
	char other[64], *cert, *key;
	struct keys k;

	make(NULL);
	memcpy(other, dir, sizeof(other));
	make(NULL);
	cert = xasprintf("%s/ca.crt", other);
	key = xasprintf("%s/ca.key", other);
	copy_file(cert, "ca.crt");
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), -EBADMSG);
	copy_file(key, "ca.key");
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), -EKEYREJECTED);
	CHECK(strstr(error, "not issued by"));
	free(cert);
	free(key);
	keys_remove(other, NULL);
	rmdir(other);
	remove_all();
}

TEST(issue_takes_the_key_of_the_request)
{
	static const char *const uris[] = { "warren:node:aaaaaaaaaaaaaaaa", "warren:net:dc1" };
	struct buf key = { 0 }, csr = { 0 }, cert = { 0 };
	struct x509_info info;
	struct keys k;

	make(NULL);
	CHECK_INT(keys_load(dir, &k, error, sizeof(error)), 0);
	x509_key_generate(&key);
	CHECK_INT(x509_csr_create(buf_cstr(&key), &csr), 0);
	CHECK_INT(keys_issue(&k, buf_cstr(&csr), uris, 2, 1000, 2000, &cert), 0);
	CHECK(x509_key_matches(buf_cstr(&cert), buf_cstr(&key)));
	CHECK_INT(x509_info_read(buf_cstr(&cert), &info), 0);
	CHECK_INT(info.uri_count, 2);
	CHECK_STR(info.uris[1], "warren:net:dc1");
	CHECK_INT(info.not_after, 2000);
	x509_info_done(&info);
	buf_clear(&cert);
	CHECK_INT(keys_issue(&k, "no request", uris, 2, 1000, 2000, &cert), -EBADMSG);
	buf_done(&key);
	buf_done(&csr);
	buf_done(&cert);
	keys_done(&k);
	remove_all();
}

TEST_MAIN("keys")
