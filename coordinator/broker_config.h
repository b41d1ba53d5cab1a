/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A mosquitto configuration directory that starts as it is with `mosquitto -c DIR/mosquitto.conf`.
 * broker-config/mosquitto/README.md explains each setting.
 *
 *   mosquitto.conf           absolute paths, mTLS only, TLS 1.3
 *   ca.crt server.crt server.key
 *   data/                    the broker's retained messages
 *
 * mosquitto that is started as root becomes user mosquitto before it reads the key: where we are
 * root and that user exists, the key is readable by its group and `data` belongs to it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "coordinator/keys.h"

struct broker_config {
	const char *dir;  /* made when it is not there */
	const char *host; /* the name or address that clients use */
	uint16_t port;	  /* the first one */
	unsigned listeners;
	const char *ca_pem;
	const char *ca_key_pem;
	int64_t not_before, not_after; /* of the broker's certificate */
};

/* Can it be made there? Makes the directory; -EEXIST when there is a mosquitto.conf, -EACCES when
 * user mosquitto could not enter it, with a sentence in `error`. */
int broker_config_prepare(const char *dir, char *error, size_t error_size);
/* 0, or a negative errno with a sentence in `error`. */
int broker_config_write(const struct broker_config *c, char *error, size_t error_size);
/* The text of mosquitto.conf; `dir` is an absolute path. */
void broker_config_text(struct buf *out, const char *dir, uint16_t port, unsigned listeners);
