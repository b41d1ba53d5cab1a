/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes over the lasting connection: opened, decoded, handed to the part it is for. Everything
 * is checked; what is refused is counted by cause.
 */
#pragma once

#include "agent/agent.h"
#include "lib/mqtt.h"

/* REFUSED_NOT, or why. Does not count. */
enum refusal inbox_take(struct agent *a, const char *topic, const void *bytes, size_t len);
/* The session's `message`: takes and counts. */
void inbox_message(void *agent, const struct mqtt_message *m);
