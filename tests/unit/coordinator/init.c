/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/init.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pwd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/x509.h"
#include "tests/unit/coordinator/broker.h"

/* Connects as the given client and sends an MQTT CONNECT: true when it is let in. */
static bool let_in(const struct test_broker *b, unsigned port, bool with_certificate, int version,
		   const char *host)
{
	static const uint8_t connect_packet[] = { 0x10, 16, 0,	4, 'M', 'Q', 'T', 'T', 4,
						  2,	0,  60, 0, 4,	't', 'e', 's', 't' };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char path[160];
	uint8_t answer[4] = { 0 };
	bool in = false;
	SSL *ssl;
	int fd;

	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	snprintf(path, sizeof(path), "%s/ca.crt", b->data);
	CHECK_INT(SSL_CTX_load_verify_locations(ctx, path, NULL), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (with_certificate) {
		snprintf(path, sizeof(path), "%s/tls.crt", b->data);
		CHECK_INT(SSL_CTX_use_certificate_file(ctx, path, SSL_FILETYPE_PEM), 1);
		snprintf(path, sizeof(path), "%s/tls.key", b->data);
		CHECK_INT(SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM), 1);
	}
	if (!X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(ctx), host))
		X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(ctx), host, 0);
	fd = test_tcp_connect(port);
	CHECK(fd >= 0);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1 && SSL_write(ssl, connect_packet, sizeof(connect_packet)) > 0 &&
	    SSL_read(ssl, answer, sizeof(answer)) == 4)
		in = answer[0] == 0x20 && answer[3] == 0;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return in;
}

TEST(broker_starts_as_it_is)
{
	struct test_broker b;

	test_broker_init(&b, "broker.example", 1);
	test_broker_start(&b);
	CHECK(let_in(&b, b.port, true, TLS1_3_VERSION, "broker.example"));
	CHECK(let_in(&b, b.port, true, TLS1_3_VERSION, "localhost"));
	CHECK(let_in(&b, b.port, true, TLS1_3_VERSION, "127.0.0.1"));
	CHECK(let_in(&b, b.port, true, TLS1_3_VERSION, "::1"));
	test_broker_done(&b);
}

TEST(broker_certificate_has_no_other_names)
{
	struct test_broker b;

	test_broker_init(&b, "192.0.2.1", 1);
	test_broker_start(&b);
	CHECK(let_in(&b, b.port, true, TLS1_3_VERSION, "192.0.2.1"));
	CHECK(!let_in(&b, b.port, true, TLS1_3_VERSION, "192.0.2.2"));
	CHECK(!let_in(&b, b.port, true, TLS1_3_VERSION, "broker.example"));
	test_broker_done(&b);
}

TEST(client_without_certificate_is_refused)
{
	struct test_broker b;

	test_broker_init(&b, "127.0.0.1", 1);
	test_broker_start(&b);
	CHECK(let_in(&b, b.port, true, TLS1_3_VERSION, "127.0.0.1"));
	CHECK(!let_in(&b, b.port, false, TLS1_3_VERSION, "127.0.0.1"));
	test_broker_done(&b);
}

TEST(tls_1_2_is_refused)
{
	struct test_broker b;

	test_broker_init(&b, "127.0.0.1", 1);
	test_broker_start(&b);
	CHECK(!let_in(&b, b.port, true, TLS1_2_VERSION, "127.0.0.1"));
	CHECK(let_in(&b, b.port, true, TLS1_3_VERSION, "127.0.0.1"));
	test_broker_done(&b);
}

TEST(listeners_on_consecutive_ports)
{
	struct test_broker b;

	test_broker_init(&b, "localhost", 3);
	test_broker_start(&b);
	for (unsigned i = 0; i < 3; i++)
		CHECK(let_in(&b, b.port + i, true, TLS1_3_VERSION, "localhost"));
	test_broker_done(&b);
}

/* The broker as root becomes user mosquitto: it reads its key, nobody else does. */
TEST(key_is_for_the_broker_alone)
{
	struct passwd *user = geteuid() == 0 ? getpwnam("mosquitto") : NULL;
	struct test_broker b;
	struct stat st;
	char path[128];

	test_broker_init(&b, "localhost", 1);
	snprintf(path, sizeof(path), "%s/server.key", b.conf);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, user ? 0640 : 0600);
	CHECK_INT(st.st_uid, geteuid());
	if (user)
		CHECK_INT(st.st_gid, user->pw_gid);
	test_broker_done(&b);
}

/* As an ordinary user all of it works too: in a child, since there is no way back. */
TEST(works_for_an_ordinary_user)
{
	struct passwd *user = getpwnam("nobody");
	int status;
	pid_t pid;

	if (geteuid() != 0 || !user)
		SKIP("needs root and user nobody");
	pid = fork();
	if (pid == 0) {
		struct test_broker b;

		if (setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
			_exit(2);
		test_broker_init(&b, "localhost", 1);
		test_broker_start(&b);
		if (!let_in(&b, b.port, true, TLS1_3_VERSION, "localhost"))
			_exit(3);
		test_broker_done(&b);
		_exit(0);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST(second_init_is_refused)
{
	struct init_options o = { .broker = "mqtts://localhost:8883", .listeners = 1 };
	struct buf before = { 0 }, after = { 0 };
	char error[512] = "", elsewhere[96], path[128];
	struct test_broker b;

	test_broker_init(&b, "localhost", 1);
	snprintf(elsewhere, sizeof(elsewhere), "%s/other", b.dir);
	snprintf(path, sizeof(path), "%s/trust.doc", b.data);
	CHECK_INT(file_read(path, 65536, &before), 0);
	o.data = b.data;
	o.broker_dir = elsewhere;
	CHECK_INT(init_run(&o, error, sizeof(error)), -EEXIST);
	CHECK(strstr(error, "already"));
	CHECK_INT(access(elsewhere, F_OK), -1);
	CHECK_INT(file_read(path, 65536, &after), 0);
	CHECK_STR(buf_cstr(&before), buf_cstr(&after));
	/* A new mesh may not take the old one's broker directory either, and then makes no keys. */
	o.data = elsewhere;
	o.broker_dir = b.conf;
	CHECK_INT(init_run(&o, error, sizeof(error)), -EEXIST);
	CHECK_INT(access(elsewhere, F_OK), -1);
	buf_done(&before);
	buf_done(&after);
	test_broker_done(&b);
}

TEST(bad_options_make_nothing)
{
	static const char *const bad[] = { "localhost:8883",	   "mqtt://localhost:8883",
					   "mqtts://localhost",	   "mqtts://localhost:0",
					   "mqtts://:8883",	   "mqtts://localhost:65536",
					   "mqtts://local host:1", "mqtts://::1:8883" };
	struct init_options o = { .data = "/tmp/warren-test-none", .listeners = 1 };
	char error[512];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		o.broker = bad[i];
		CHECK_INT(init_run(&o, error, sizeof(error)), -EINVAL);
		CHECK_INT(access(o.data, F_OK), -1);
	}
	o.broker = "mqtts://localhost:65535";
	o.listeners = 2;
	CHECK_INT(init_run(&o, error, sizeof(error)), -EINVAL);
}

/* A folder that user mosquitto cannot enter is refused before anything is made. */
TEST(closed_folder_is_refused)
{
	struct init_options o = { .broker = "mqtts://localhost:8883", .listeners = 1 };
	char dir[] = "/tmp/warren-test-XXXXXX", data[64], conf[64], error[512];

	if (geteuid() != 0 || !getpwnam("mosquitto"))
		SKIP("needs root and user mosquitto");
	CHECK(mkdtemp(dir));
	snprintf(data, sizeof(data), "%s/data", dir);
	snprintf(conf, sizeof(conf), "%s/broker", dir);
	o.data = data;
	o.broker_dir = conf;
	CHECK_INT(init_run(&o, error, sizeof(error)), -EACCES);
	CHECK(strstr(error, dir));
	CHECK_INT(access(data, F_OK), -1);
	test_remove_tree(dir);
}

TEST_MAIN("init")
