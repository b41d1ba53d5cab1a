/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asking the coordinator and the agent: HTTP and JSON over WARREN_COORDINATOR and WARREN_AGENT, by
 * default their Unix sockets. Every failure ends the program with one sentence on standard error
 * and its exit status, so a command reads straight on: 1 refused, or an answer that makes no sense;
 * 3 when there is no answer, or the one asked cannot reach the other (status 503 and 504).
 */
#pragma once

#include "lib/buf.h"
#include "lib/json.h"

enum server { SERVER_COORDINATOR, SERVER_AGENT };

/* Sends a request; the answer's body is appended to `out` (may be NULL). `body` NULL: none. */
void client_call(enum server s, const char *method, const char *path, const char *body,
		 struct buf *out);
/* The same for a program that goes on whatever happens: the HTTP status, or a negative errno. `timeout_ms`
 * 0: as long as it takes. */
int client_try(enum server s, const char *method, const char *path, const char *body,
	       long timeout_ms, struct buf *out);
/* Code and sentence of a refusal, in the arena; "" where it has none. */
void client_refusal(const struct buf *answer, struct arena *a, const char **ret_code,
		    const char **ret_message);
/* A GET whose answer is one object. */
void client_get(enum server s, const char *path, struct arena *a, const struct json_field *fields,
		void *ret);
/* A GET whose answer is an array: `fields` describes one element of `size` bytes. The elements are
 * returned, *ret_count says how many. */
void *client_list(enum server s, const char *path, struct arena *a, const struct json_field *fields,
		  size_t size, size_t *ret_count);
/* Decodes an answer that should be right. */
void client_decode(enum server s, const struct buf *answer, struct arena *a,
		   const struct json_field *fields, void *ret);
/* A path of literals and words by turns: client_path(&b, "/v1/nodes/", word, "/part", word, NULL).
 * Words are escaped; an empty one, which is a script's mistake, ends the program with 2. */
void client_path(struct buf *out, const char *literal, ...) __attribute__((sentinel));
/* Prints an answer as it came, indented (--json). */
void client_print_json(enum server s, const struct buf *answer);
/* A GET whose answer is printed so. */
void client_get_json(enum server s, const char *path);
