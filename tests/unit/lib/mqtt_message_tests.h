/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What both MQTT back ends promise about messages and wills, against a real broker.
 */
#pragma once

#include <mosquitto.h>

#include "tests/unit/lib/mqtt_client.h"

/* In a process of its own: it publishes what mqtt_publish refuses to, or ends without goodbye. */
static void elsewhere(void (*what)(struct mosquitto *h))
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		char ca[32], cert[32], key[32];
		struct mosquitto *h;

		mosquitto_lib_init();
		h = mosquitto_new("elsewhere", true, NULL);
		snprintf(ca, sizeof(ca), "/proc/self/fd/%d", memfile(buf_cstr(&pki.ca)));
		snprintf(cert, sizeof(cert), "/proc/self/fd/%d", memfile(buf_cstr(&pki.client)));
		snprintf(key, sizeof(key), "/proc/self/fd/%d", memfile(buf_cstr(&pki.client_key)));
		if (mosquitto_tls_set(h, ca, NULL, cert, key, NULL) ||
		    mosquitto_connect(h, "localhost", broker.port, 30))
			_exit(1);
		what(h);
		for (int i = 0; i < 20; i++)
			mosquitto_loop(h, 10, 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A client in a child that is killed, or says goodbye, once something was written to the pipe. The
 * child is made before there are clients: a library's threads are not forked. */
static pid_t live_and_die(int go, bool killed)
{
	pid_t pid = fork();
	char byte;

	CHECK(pid >= 0);
	if (pid == 0) {
		struct loop *l = loop_new();
		struct client c = { .loop = l };
		const char *url = broker.url;
		struct mqtt_config config = config_of(&c, "mortal", &url);

		if (read(go, &byte, 1) != 1)
			_exit(1);
		config.will_topic = "will";
		config.will = "dead";
		config.will_len = 4;
		c.mqtt = MQTT_NEW(l, &config);
		TURN_UNTIL(l, mqtt_is_connected(c.mqtt), 5000);
		mqtt_publish(c.mqtt, "state", "online", 6, 1, true);
		TURN_UNTIL(l, mqtt_in_flight(c.mqtt) == 0, 5000);
		if (killed)
			kill(getpid(), SIGKILL);
		mqtt_publish(c.mqtt, "state", "offline", 7, 1, true);
		mqtt_free(c.mqtt); /* takes the last word along */
		_exit(0);
	}
	return pid;
}

TEST(will_is_sent_for_the_dead_only)
{
	struct loop *l = loop_new();
	int go[2][2];
	struct client c;
	pid_t pids[2];

	setup("localhost", "");
	broker_start(&broker);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(pipe2(go[i], O_CLOEXEC), 0);
		pids[i] = live_and_die(go[i][0], i == 1);
	}
	client_up(&c, l, "heir");
	CHECK_INT(mqtt_subscribe(c.mqtt, "will"), 0);
	CHECK_INT(mqtt_subscribe(c.mqtt, "state"), 0);
	turn_for(l, 100);
	CHECK_INT(write(go[0][1], "x", 1), 1);
	TURN_UNTIL(l, c.messages == 2, 2000);
	turn_for(l, 300);
	CHECK_INT(c.messages, 2);
	CHECK_STR(c.last, "offline");
	CHECK_INT(write(go[1][1], "x", 1), 1);
	TURN_UNTIL(l, c.messages == 4, 5000);
	CHECK_STR(c.last, "dead");
	mqtt_free(c.mqtt);
	for (int i = 0; i < 2; i++)
		waitpid(pids[i], NULL, 0);
	/* It is retained. */
	client_up(&c, l, "late");
	CHECK_INT(mqtt_subscribe(c.mqtt, "will"), 0);
	TURN_UNTIL(l, c.messages == 1, 2000);
	CHECK_INT(c.retained, 1);
	CHECK_STR(c.last, "dead");
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(will_belongs_to_its_connection)
{
	struct loop *l = loop_new();
	const char *url = broker.url;
	struct client c = { .loop = l }, heir;
	struct mqtt_config config;
	char want[16];

	setup("localhost", "");
	broker_start(&broker);
	config = config_of(&c, "will", &url);
	config.will_topic = "will";
	c.mqtt = MQTT_NEW(l, &config);
	mqtt_on_connecting(c.mqtt, on_connecting);
	TURN_UNTIL(l, mqtt_is_connected(c.mqtt), 5000);
	CHECK_INT(c.connecting, 1);
	for (unsigned i = 1; i <= 2; i++) {
		cut();
		TURN_UNTIL(l, c.connected == i + 1, 10000);
		CHECK_INT(c.connecting, i + 1);
		client_up(&heir, l, "heir");
		CHECK_INT(mqtt_subscribe(heir.mqtt, "will"), 0);
		TURN_UNTIL(l, heir.messages == 1, 5000);
		snprintf(want, sizeof(want), "%u", i);
		CHECK_STR(heir.last, want);
		mqtt_free(heir.mqtt);
	}
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(retained_flag_is_handed_on)
{
	struct loop *l = loop_new();
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "flag");
	CHECK_INT(mqtt_subscribe(c.mqtt, "a/+"), 0);
	CHECK_INT(mqtt_publish(c.mqtt, "a/1", "live", 4, 1, true), 0);
	CHECK_INT(mqtt_publish(c.mqtt, "a/2", NULL, 0, 0, false), 0);
	TURN_UNTIL(l, c.messages == 2, 2000);
	CHECK_INT(c.retained, 0);
	CHECK_INT(c.last_len, 0);
	CHECK_INT(mqtt_unsubscribe(c.mqtt, "a/+"), 0);
	CHECK_INT(mqtt_subscribe(c.mqtt, "a/+"), 0);
	TURN_UNTIL(l, c.messages == 3, 2000);
	CHECK_INT(c.retained, 1);
	CHECK_STR(c.last, "live");
	CHECK_INT(mqtt_unsubscribe(c.mqtt, "a/+"), 0);
	CHECK_INT(mqtt_publish(c.mqtt, "a/1", "x", 1, 1, false), 0);
	TURN_UNTIL(l, mqtt_in_flight(c.mqtt) == 0, 2000);
	turn_for(l, 50);
	CHECK_INT(c.messages, 3);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(a_thousand_publishes_keep_their_order)
{
	struct loop *l = loop_new();
	uint64_t start;
	struct client c;
	char topic[16], text[16];

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "order");
	CHECK_INT(mqtt_subscribe(c.mqtt, "o/+"), 0);
	start = clock_mono();
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(topic, sizeof(topic), "o/%u", i);
		snprintf(text, sizeof(text), "%u", i);
		CHECK_INT(mqtt_publish(c.mqtt, topic, text, strlen(text), 1, true), 0);
	}
	CHECK(mqtt_in_flight(c.mqtt) > 0);
	TURN_UNTIL(l, c.in_order == 1000, 10000);
	TURN_UNTIL(l, mqtt_in_flight(c.mqtt) == 0, 5000);
	snprintf(test_result->why, sizeof(test_result->why), "there_and_back_ms=%.0f",
		 (double)(clock_mono() - start) / 1000);
	CHECK_INT(c.messages, 1000);
	mqtt_free(c.mqtt);
	/* And they are retained. */
	client_up(&c, l, "reader");
	CHECK_INT(mqtt_subscribe(c.mqtt, "o/+"), 0);
	TURN_UNTIL(l, c.messages == 1000, 10000);
	CHECK_INT(c.retained, 1000);
	CHECK_INT(mqtt_dropped(c.mqtt), 0);
	mqtt_free(c.mqtt);
	teardown(l);
}

static void publish_long(struct mosquitto *h)
{
	static char long_payload[MQTT_PAYLOAD_MAX + 1], long_topic[MQTT_TOPIC_MAX + 2];

	memset(long_payload, 'x', sizeof(long_payload));
	memset(long_topic, 't', sizeof(long_topic) - 1);
	mosquitto_publish(h, NULL, "l/1", sizeof(long_payload), long_payload, 1, false);
	mosquitto_publish(h, NULL, long_topic, 1, "x", 1, false);
	mosquitto_publish(h, NULL, "l/2", MQTT_PAYLOAD_MAX, long_payload, 1, false);
}

TEST(too_long_is_counted_and_dropped)
{
	static char payload[MQTT_PAYLOAD_MAX + 1];
	struct loop *l = loop_new();
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "long");
	CHECK_INT(mqtt_publish(c.mqtt, "l/3", payload, sizeof(payload), 1, false), -EMSGSIZE);
	CHECK_INT(mqtt_subscribe(c.mqtt, "#"), 0);
	turn_for(l, 100);
	elsewhere(publish_long);
	TURN_UNTIL(l, c.messages == 1 && mqtt_oversize(c.mqtt) == 2, 5000);
	CHECK_INT(c.last_len, MQTT_PAYLOAD_MAX);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST(says_which_subscription_was_refused)
{
	static const char plugin[] = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so";
	static const char rules[] = "{\"defaultACLAccess\":{\"publishClientSend\":true,"
				    "\"publishClientReceive\":true,\"subscribe\":false,"
				    "\"unsubscribe\":true}}";
	struct loop *l = loop_new();
	struct client c;
	char *more;

	if (access(plugin, R_OK) != 0)
		SKIP("mosquitto has no dynamic security plugin here");
	more = xasprintf("plugin %s\nplugin_opt_config_file /proc/self/fd/%d\n", plugin,
			 memfile(rules));
	setup("localhost", more);
	free(more);
	broker_start(&broker);
	client_up(&c, l, "refused");
	CHECK_INT(mqtt_subscribe(c.mqtt, "not/for/you"), 0);
	TURN_UNTIL(l, c.refused == 1, 2000);
	CHECK_STR(c.last, "not/for/you");
	CHECK(mqtt_is_connected(c.mqtt));
	mqtt_free(c.mqtt);
	teardown(l);
}
