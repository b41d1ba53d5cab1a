/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the API, for coordinator/api*.c only: api.c finds the handler of a request, api_*.c
 * are the handlers.
 */
#pragma once

#include "coordinator/api.h"
#include "lib/log.h"

struct api {
	struct authority *authority;
	struct session *session;
	struct httpd *httpd;
};

/* One request and what is said to it. */
struct api_call {
	struct api *api;
	struct authority *authority;
	struct http_request *request;
	const char *name;   /* the segment in the route's first braces; NULL when it has none */
	const char *second; /* that in its second ones */
	struct arena arena;
	struct refusal_reason why;
	struct buf answer; /* JSON */
};

/* A handler returns 0 (200, or 204 when there is no answer), or -ECANCELED with `why`. */
typedef int api_handler(struct api_call *c);

/* The body by its table, over what `ret` holds already; refuses with path and reason. */
int api_body(struct api_call *c, const struct json_field *fields, void *ret);
/* Appends a JSON array. */
void api_array(struct api_call *c, const struct json_field *fields, const void *elements,
	       size_t size, size_t count);
/* One line per change: who, what. */
void api_log(const struct api_call *c, const char *event, const char *what);

api_handler api_network_list, api_network_create, api_network_show, api_network_set,
	api_network_delete, api_network_release;
api_handler api_token_list, api_token_create, api_token_revoke;
api_handler api_node_list, api_node_show, api_node_rename, api_node_remove;
api_handler api_gateway_list, api_gateway_create, api_gateway_show, api_gateway_set,
	api_gateway_delete;
api_handler api_name_list, api_name_add, api_name_delete;
api_handler api_exporter_list, api_exporter_remove;
api_handler api_dns_list;
api_handler api_status;
