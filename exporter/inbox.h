/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes from the broker, checked and handed on; and what it makes the exporter do.
 */
#pragma once

#include "exporter/exporter.h"

/* Any message, of any topic. */
void inbox_message(struct exporter *x, const struct mqtt_message *m);

/* ---- exporter.c */
/* In the next turn: with another certificate, CA or brokers. */
void exporter_reconnect(struct exporter *x);
void exporter_take_certificate(struct exporter *x, const char *certificate);
int exporter_store_mesh(struct exporter *x);
