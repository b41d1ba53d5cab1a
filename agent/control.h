/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The agent's HTTP API on its Unix socket (schemas/openapi-agent.yaml): root, and group `warren` where
 * there is one.
 *
 *	GET /v1/status    POST /v1/join    POST /v1/hold    POST /v1/leave
 *	GET /v1/resolve?what=NODE|ADDRESS|NAME    GET /v1/why?what=NODE|ADDRESS|NAME    GET /v1/diff
 */
#pragma once

#include "agent/agent.h"
#include "lib/http.h"
#include "schemas/api.h"

struct control;

/* Listens on a->o.control; its folder is made. */
int control_new(struct agent *a, struct control **ret, char *why, size_t why_size) MUST_CHECK;
/* Requests that wait are answered 503. NULL is allowed. */
void control_free(struct control *c);

/* ---- control_status.c: the documents, in `arena` */
void control_status(struct agent *a, struct arena *arena, struct api_status *ret);
/* Which network, node and address `what` means. False: none. */
bool control_resolve(const struct agent *a, const char *what, struct api_resolved *ret);
