/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <openssl/ssl.h>

#define MQTT_NEW mqtt_mosquitto_new
#include "tests/unit/lib/mqtt_connection_tests.h"
#include "tests/unit/lib/mqtt_message_tests.h"

/* ---- a broker that answers connections and pings, and nothing else ---- */

static bool read_all(SSL *ssl, uint8_t *p, size_t n)
{
	while (n > 0) {
		int got = SSL_read(ssl, p, (int)n);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static void mute_serve(SSL *ssl)
{
	uint8_t body[256], type, len;

	while (read_all(ssl, &type, 1) && read_all(ssl, &len, 1) && len < 128 &&
	       read_all(ssl, body, len)) {
		if (type >> 4 == 1)
			SSL_write(ssl, "\x20\x02\x00\x00", 4);
		else if (type >> 4 == 12)
			SSL_write(ssl, "\xd0\x00", 2);
	}
}

static SSL_CTX *mute_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	BIO *cert = BIO_new_mem_buf(buf_cstr(&pki.server), -1);
	BIO *key = BIO_new_mem_buf(buf_cstr(&pki.server_key), -1);

	if (SSL_CTX_use_certificate(ctx, PEM_read_bio_X509(cert, NULL, NULL, NULL)) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, PEM_read_bio_PrivateKey(key, NULL, NULL, NULL)) != 1)
		_exit(1);
	return ctx;
}

/* On the broker's port, in a child. */
static pid_t mute_start(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(broker.port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL_CTX *ctx;
	pid_t pid;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CHECK_INT(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	CHECK_INT(listen(fd, 8), 0);
	pid = fork();
	if (pid) {
		close(fd);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ctx = mute_context();
	for (;;) {
		SSL *ssl = SSL_new(ctx);
		int peer = accept(fd, NULL, NULL);

		SSL_set_fd(ssl, peer);
		if (SSL_accept(ssl) == 1)
			mute_serve(ssl);
		SSL_free(ssl);
		close(peer);
	}
}

TEST(broker_that_acknowledges_nothing_is_left)
{
	struct loop *l = loop_new();
	const char *url = broker.url;
	struct client c = { .loop = l };
	struct mqtt_config config;
	pid_t pid;

	setup("localhost", "");
	pid = mute_start();
	config = config_of(&c, "mute", &url);
	config.keepalive = 5;
	c.mqtt = MQTT_NEW(l, &config);
	TURN_UNTIL(l, c.connected == 1, 5000);
	turn_for(l, 500);
	CHECK_INT(mqtt_publish(c.mqtt, "t", "x", 1, 1, true), 0);
	TURN_UNTIL(l, c.disconnected == 1, 12000);
	CHECK_HAS(c.error, "does not acknowledge");
	TURN_UNTIL(l, c.connected == 2, 5000);
	mqtt_free(c.mqtt);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	teardown(l);
}

/* The owner learns by a new connection that something of it is missing, once the broker has the rest. */
TEST(more_than_can_be_acknowledged)
{
	struct loop *l = loop_new();
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "full");
	kill(broker.pid, SIGSTOP);
	for (unsigned i = 0; i < 60000; i++)
		CHECK_INT(mqtt_publish(c.mqtt, "t", "x", 1, 1, false), 0);
	CHECK_INT(mqtt_publish(c.mqtt, "t", "x", 1, 1, false), -EAGAIN);
	CHECK_INT(mqtt_publish(c.mqtt, "t", "x", 1, 0, false), 0);
	kill(broker.pid, SIGCONT);
	TURN_UNTIL(l, mqtt_in_flight(c.mqtt) < 59000, 5000);
	CHECK_INT(c.disconnected, 0);
	/* In order, or not at all. */
	CHECK_INT(mqtt_publish(c.mqtt, "t", "x", 1, 1, false), -EAGAIN);
	TURN_UNTIL(l, c.connected == 2, 30000);
	CHECK_HAS(c.error, "was full");
	CHECK_INT(mqtt_publish(c.mqtt, "t", "x", 1, 1, false), 0);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST_MAIN("mqtt-mosquitto")
