/* SPDX-License-Identifier: GPL-3.0-or-later */
#define MQTT_NEW mqtt_mosquitto_new
#include "tests/unit/lib/mqtt_connection_tests.h"
#include "tests/unit/lib/mqtt_message_tests.h"

TEST_MAIN("mqtt-mosquitto")
