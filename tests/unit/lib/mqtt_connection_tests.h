/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What both MQTT back ends promise about connections, against a real broker.
 */
#pragma once

#include <netinet/tcp.h>
#include <sched.h>

#include "tests/unit/lib/mqtt_client.h"

TEST(connects_within_100_ms)
{
	struct loop *l = loop_new();
	uint64_t best = UINT64_MAX;
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	for (int i = 0; i < 5; i++) {
		uint64_t start = clock_mono();

		client_up(&c, l, "fast");
		best = MIN(best, clock_mono() - start);
		CHECK(mqtt_error(c.mqtt) == NULL);
		CHECK_STR(mqtt_broker(c.mqtt), broker.url);
		mqtt_free(c.mqtt);
	}
	snprintf(test_result->why, sizeof(test_result->why), "connect_ms=%.1f",
		 (double)best / 1000);
	CHECK(best < 100 * MSEC);
	teardown(l);
}

/* How many connections to the broker wait with small messages (Nagle's algorithm), and how many do not. */
static void count_connections(unsigned ret[static 2])
{
	for (int fd = 3; fd < 64; fd++) {
		struct sockaddr_in6 peer = { 0 }; /* its port is where IPv4's is */
		socklen_t len = sizeof(peer), size = sizeof(int);
		int at_once = 0;

		if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
		    (peer.sin6_family == AF_INET || peer.sin6_family == AF_INET6) &&
		    ntohs(peer.sin6_port) == broker.port &&
		    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, &size) == 0)
			ret[at_once != 0]++;
	}
}

TEST(small_messages_do_not_wait)
{
	struct loop *l = loop_new();
	unsigned count[2] = { 0 };
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "hasty");
	count_connections(count);
	CHECK_INT(count[0], 0);
	CHECK_INT(count[1], 1);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(connects_again_at_once)
{
	struct loop *l = loop_new();
	uint64_t best = UINT64_MAX;
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	/* The join: one client that is used, ended, and another. */
	for (int i = 0; i < 3; i++) {
		uint64_t start;

		client_up(&c, l, "first");
		CHECK_INT(mqtt_subscribe(c.mqtt, "x"), 0);
		CHECK_INT(mqtt_publish(c.mqtt, "x", "1", 1, 1, false), 0);
		TURN_UNTIL(l, c.messages == 1, 2000);
		start = clock_mono();
		mqtt_free(c.mqtt);
		client_up(&c, l, "second");
		best = MIN(best, clock_mono() - start);
		mqtt_free(c.mqtt);
	}
	snprintf(test_result->why, sizeof(test_result->why), "free_and_connect_ms=%.1f",
		 (double)best / 1000);
	CHECK(best < 100 * MSEC);
	teardown(l);
}

TEST(refuses_another_ca)
{
	struct loop *l = loop_new();
	struct client c = { .loop = l };
	const char *url = broker.url;
	struct mqtt_config config;

	setup("localhost", "");
	broker_start(&broker);
	config = config_of(&c, "ca", &url);
	config.ca_pem = buf_cstr(&pki.other_ca);
	c.mqtt = MQTT_NEW(l, &config);
	TURN_UNTIL(l, c.disconnected >= 1, 5000);
	CHECK_INT(c.connected, 0);
	CHECK_HAS(c.error, "certificate of the broker");
	CHECK_HAS(c.error, "refused");
	CHECK_STR(mqtt_error(c.mqtt), c.error);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(is_refused_with_a_certificate_of_another_ca)
{
	struct loop *l = loop_new();
	struct client c = { .loop = l };
	const char *url = broker.url;
	struct mqtt_config config;

	setup("localhost", "");
	broker_start(&broker);
	config = config_of(&c, "stranger", &url);
	config.cert_pem = buf_cstr(&pki.other_client);
	c.mqtt = MQTT_NEW(l, &config);
	TURN_UNTIL(l, c.disconnected >= 1, 5000);
	CHECK_INT(c.connected, 0);
	CHECK_HAS(c.error, "cannot be used: ");
	snprintf(test_result->why, sizeof(test_result->why), "%s",
		 strstr(c.error, "cannot be used: "));
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(refuses_another_host)
{
	struct loop *l = loop_new();
	struct client c;

	setup("other.example", "");
	broker_start(&broker);
	client_init(&c, l, "host");
	TURN_UNTIL(l, c.disconnected >= 1, 5000);
	CHECK_INT(c.connected, 0);
	CHECK_HAS(c.error, "is not for localhost");
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(checks_a_numeric_host)
{
	struct loop *l = loop_new();
	struct client c;

	setup("127.0.0.1", "");
	broker_start(&broker);
	snprintf(broker.url, sizeof(broker.url), "mqtts://127.0.0.1:%u", (unsigned)broker.port);
	client_up(&c, l, "numeric");
	mqtt_free(c.mqtt);
	broker_stop(&broker, SIGTERM);
	pki_done(&pki);
	setup("localhost", "");
	broker_start(&broker);
	snprintf(broker.url, sizeof(broker.url), "mqtts://127.0.0.1:%u", (unsigned)broker.port);
	client_init(&c, l, "numeric");
	TURN_UNTIL(l, c.disconnected >= 1, 5000);
	CHECK_INT(c.connected, 0);
	CHECK_HAS(c.error, "is not for 127.0.0.1");
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(connects_over_ipv6)
{
	struct loop *l = loop_new();
	struct client c;

	if (access("/proc/sys/net/ipv6", F_OK) != 0)
		SKIP("no IPv6 here");
	pki_make(&pki, "::1");
	broker_make(&broker, &pki, true, "");
	broker_start(&broker);
	client_up(&c, l, "six");
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(speaks_tls_1_3_only)
{
	struct loop *l = loop_new();
	char cert[32], key[32], port[8];
	const char *const argv[] = {
		"/usr/bin/openssl", "s_server", "-accept", port, "-cert", cert, "-key", key,
		"-tls1_2",	    "-quiet",	NULL
	};
	struct client c;
	pid_t pid;

	if (access(argv[0], X_OK) != 0)
		SKIP("openssl is not installed");
	setup("localhost", "");
	snprintf(port, sizeof(port), "%u", (unsigned)broker.port);
	snprintf(cert, sizeof(cert), "/proc/self/fd/%d", memfile(buf_cstr(&pki.server)));
	snprintf(key, sizeof(key), "/proc/self/fd/%d", memfile(buf_cstr(&pki.server_key)));
	pid = spawn(argv);
	tcp_wait(broker.port, false);
	client_init(&c, l, "old");
	/* It finds no version or no cipher. Its alert may be lost when it closes; then once more. */
	TURN_UNTIL(l, strstr(c.error, "alert"), 12000);
	CHECK_INT(c.connected, 0);
	mqtt_free(c.mqtt);
	kill(pid, SIGKILL);
	teardown(l);
}

TEST(says_what_is_wrong_with_its_configuration)
{
	static const char *const urls[] = { "mqtt://localhost:1", "mqtts://localhost", "",
					    "mqtts://:1" };
	struct loop *l = loop_new();

	setup("localhost", "");
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct client c = { .loop = l };
		struct mqtt_config config = config_of(&c, "config", &urls[i]);

		c.mqtt = MQTT_NEW(l, &config);
		TURN_UNTIL(l, c.disconnected >= 1, 2000);
		CHECK_HAS(c.error, "is not mqtts://HOST:PORT");
		mqtt_free(c.mqtt);
	}
	for (int i = 0; i < 3; i++) {
		struct client c = { .loop = l };
		const char *url = broker.url;
		struct mqtt_config config = config_of(&c, "config", &url);

		*(i == 0 ? &config.ca_pem : i == 1 ? &config.cert_pem : &config.key_pem) = "no PEM";
		broker_start(&broker);
		c.mqtt = MQTT_NEW(l, &config);
		TURN_UNTIL(l, c.disconnected >= 1, 2000);
		CHECK_INT(c.connected, 0);
		mqtt_free(c.mqtt);
		broker_stop(&broker, SIGTERM);
	}
	teardown(l);
}

TEST(connects_once_the_broker_is_there)
{
	struct loop *l = loop_new();
	struct client c;

	setup("localhost", "");
	client_init(&c, l, "early");
	TURN_UNTIL(l, c.disconnected >= 2, 8000);
	CHECK(!mqtt_is_connected(c.mqtt) && mqtt_error(c.mqtt));
	broker_start(&broker);
	TURN_UNTIL(l, mqtt_is_connected(c.mqtt), 20000);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(waits_for_a_slow_connection)
{
	static const char lossy[] =
		"ip link set lo up && nft 'add table t; add chain t i { type filter hook input "
		"priority 0; }; add rule t i tcp flags & (syn|ack) == syn numgen inc mod 2 0 drop'";
	struct loop *l = loop_new();
	uint64_t start;
	struct client c;

	if (unshare(CLONE_NEWNET) < 0 || system("nft --version >/dev/null 2>&1") != 0)
		SKIP("needs root and nft");
	CHECK_INT(system(lossy), 0);
	setup("localhost", "");
	broker_start(&broker);
	start = clock_mono();
	client_up(&c, l, "slow"); /* its first packet is lost, the second comes a second later */
	CHECK(clock_mono() - start > 900 * MSEC);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(takes_the_broker_that_answers)
{
	struct loop *l = loop_new();
	struct client c = { .loop = l };
	const char *urls[2];
	struct mqtt_config config;
	char dead[64];

	setup("localhost", "");
	snprintf(dead, sizeof(dead), "mqtts://localhost:%u", (unsigned)free_port());
	broker_start(&broker);
	for (int i = 0; i < 2; i++) {
		urls[i] = dead;
		urls[1 - i] = broker.url;
		config = config_of(&c, "several", urls);
		config.broker_count = 2;
		c.mqtt = MQTT_NEW(l, &config);
		TURN_UNTIL(l, mqtt_is_connected(c.mqtt), 5000);
		CHECK_STR(mqtt_broker(c.mqtt), broker.url);
		mqtt_free(c.mqtt);
	}
	CHECK(c.disconnected >= 1); /* the hash chose the dead one in one of the two orders */
	teardown(l);
}

TEST(connects_again_after_the_broker_died)
{
	struct loop *l = loop_new();
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "loyal");
	CHECK_INT(mqtt_subscribe(c.mqtt, "a"), 0);
	broker_stop(&broker, SIGKILL);
	TURN_UNTIL(l, c.disconnected >= 1, 5000);
	CHECK_HAS(c.error, "is lost");
	CHECK_INT(mqtt_publish(c.mqtt, "a", "x", 1, 1, false), -ENOTCONN);
	CHECK_INT(mqtt_subscribe(c.mqtt, "a"), -ENOTCONN);
	CHECK_INT(mqtt_unsubscribe(c.mqtt, "a"), -ENOTCONN);
	CHECK_INT(mqtt_in_flight(c.mqtt), 0);
	CHECK_INT(c.refused, 0);
	broker_start(&broker);
	TURN_UNTIL(l, c.connected == 2, 20000);
	CHECK_INT(mqtt_subscribe(c.mqtt, "a"), 0);
	CHECK_INT(mqtt_publish(c.mqtt, "a", "again", 5, 1, false), 0);
	TURN_UNTIL(l, c.messages >= 1, 5000);
	turn_for(l, 100);
	CHECK_INT(c.messages, 1); /* nothing that was refused is sent later */
	CHECK_STR(c.last, "again");
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(may_be_freed_by_its_own_callback)
{
	struct loop *l = loop_new();
	struct client c, second;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "short");
	CHECK_INT(mqtt_subscribe(c.mqtt, "a"), 0);
	for (int i = 0; i < 10; i++)
		CHECK_INT(mqtt_publish(c.mqtt, "a", "x", 1, 1, false), 0);
	c.free_on_message = true;
	TURN_UNTIL(l, c.messages == 1, 2000);
	CHECK(c.mqtt == NULL);
	client_up(&second, l, "second");
	turn_for(l, 50);
	CHECK_INT(c.messages, 1);
	mqtt_free(second.mqtt);
	mqtt_free(NULL);
	teardown(l);
}

TEST(may_be_freed_at_any_time)
{
	struct loop *l = loop_new();
	struct client c;

	setup("localhost", "");
	client_init(&c, l, "none");
	mqtt_free(c.mqtt);
	for (int i = 0; i < 2; i++) { /* without a broker, then with one */
		for (int turns = 1; turns < 12; turns++) {
			client_init(&c, l, "soon");
			for (int k = 0; k < turns; k++)
				loop_turn(l, 3 * MSEC);
			mqtt_free(c.mqtt);
		}
		if (i == 0)
			broker_start(&broker);
	}
	client_up(&c, l, "last");
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(two_at_a_time_work)
{
	struct loop *l = loop_new();
	struct client a, b;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&a, l, "a");
	client_up(&b, l, "b");
	CHECK_INT(mqtt_subscribe(a.mqtt, "x"), 0);
	turn_for(l, 50);
	CHECK_INT(mqtt_publish(b.mqtt, "x", "hello", 5, 1, false), 0);
	TURN_UNTIL(l, a.messages == 1, 2000);
	mqtt_free(b.mqtt);
	turn_for(l, 50);
	CHECK(mqtt_is_connected(a.mqtt));
	mqtt_free(a.mqtt);
	teardown(l);
}

TEST(a_broker_that_stands_still_is_noticed)
{
	struct loop *l = loop_new();
	const char *url = broker.url;
	struct client a = { .loop = l }, b = { .loop = l };
	struct mqtt_config config;
	uint64_t start;

	setup("localhost", "");
	broker_start(&broker);
	config = config_of(&a, "a", &url);
	config.keepalive = 5;
	a.mqtt = MQTT_NEW(l, &config);
	TURN_UNTIL(l, mqtt_is_connected(a.mqtt), 5000);
	kill(broker.pid, SIGSTOP);
	start = clock_mono();
	/* One whose connection stands, one whose TCP connection is never answered. */
	client_init(&b, l, "b");
	TURN_UNTIL(l, a.disconnected >= 1 && b.disconnected >= 1, 20000);
	CHECK_HAS(b.error, "does not answer");
	start = clock_mono() - start;
	kill(broker.pid, SIGCONT);
	TURN_UNTIL(l, mqtt_is_connected(a.mqtt) && mqtt_is_connected(b.mqtt), 20000);
	snprintf(test_result->why, sizeof(test_result->why), "seconds=%.1f", (double)start / 1e6);
	mqtt_free(a.mqtt);
	mqtt_free(b.mqtt);
	teardown(l);
}

/* Kilobytes of a field of /proc/self/status. */
static long status_kb(const char *field)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long kb = -1;

	CHECK(f);
	while (kb < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0)
			kb = strtol(line + strlen(field) + 1, NULL, 10);
	fclose(f);
	return kb;
}

TEST(memory_of_a_connected_client)
{
	struct loop *l = loop_new();
	long before, after;
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	before = status_kb("RssAnon");
	client_up(&c, l, "memory");
	CHECK_INT(mqtt_subscribe(c.mqtt, "x"), 0);
	CHECK_INT(mqtt_publish(c.mqtt, "x", "x", 1, 1, false), 0);
	TURN_UNTIL(l, c.messages == 1, 2000);
	after = status_kb("RssAnon");
	snprintf(test_result->why, sizeof(test_result->why),
		 "rss_anon_kb=%ld of_it_the_client_kb=%ld", after, after - before);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	CHECK(after < 6 * 1024);
#endif
	mqtt_free(c.mqtt);
	teardown(l);
}
