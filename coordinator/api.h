/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The coordinator's HTTP API (schemas/openapi-coordinator.yaml, schemas/api.h): on its Unix socket,
 * or on HOST:PORT. Every change is logged with who and what. Main thread.
 */
#pragma once

#include "coordinator/authority.h"
#include "coordinator/session.h"
#include "lib/http.h"

struct api;

struct api_config {
	const char *address;			 /* unix:PATH or HOST:PORT */
	const char *cert_pem, *key_pem, *bearer; /* for HOST:PORT; NULL: none */
};

/* 0, or a negative errno with a sentence in `error`. Borrowed: loop, authority, session. */
int api_new(struct loop *l, struct authority *a, struct session *s, const struct api_config *c,
	    struct api **ret, char *error, size_t error_size);
void api_free(struct api *a);
