/* SPDX-License-Identifier: GPL-3.0-or-later */
#define MQTT_NEW mqtt_paho_new
#include "tests/unit/lib/mqtt_connection_tests.h"
#include "tests/unit/lib/mqtt_message_tests.h"

#define FLOOD 100

static int acknowledged;

static void on_publish(struct mosquitto *h, void *obj, int id)
{
	(void)h;
	(void)obj;
	(void)id;
	acknowledged++;
}

static void publish_flood(struct mosquitto *h)
{
	static char payload[60000];

	mosquitto_publish_callback_set(h, on_publish);
	for (int i = 0; i < FLOOD; i++)
		mosquitto_publish(h, NULL, "flood", sizeof(payload), payload, 1, false);
	for (int i = 0; i < 5000 && acknowledged < FLOOD; i++)
		mosquitto_loop(h, 10, 1);
}

/* The loop is away while 6 MB arrive. */
TEST(queue_is_bounded)
{
	struct loop *l = loop_new();
	struct client c;

	setup("localhost", "");
	broker_start(&broker);
	client_up(&c, l, "busy");
	CHECK_INT(mqtt_subscribe(c.mqtt, "flood"), 0);
	turn_for(l, 100);
	elsewhere(publish_flood);
	for (int i = 0; i < 500 && mqtt_dropped(c.mqtt) == 0; i++)
		usleep(10000);
	TURN_UNTIL(l, c.messages + mqtt_dropped(c.mqtt) == FLOOD, 5000);
	CHECK(mqtt_dropped(c.mqtt) > 0 && c.messages > FLOOD / 2);
	CHECK(mqtt_is_connected(c.mqtt));
	/* It goes on. */
	CHECK_INT(mqtt_publish(c.mqtt, "flood", "x", 1, 1, false), 0);
	TURN_UNTIL(l, c.last_len == 1, 2000);
	mqtt_free(c.mqtt);
	teardown(l);
}

TEST_MAIN("mqtt-paho")
