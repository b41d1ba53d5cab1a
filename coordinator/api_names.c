/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /v1/names, /v1/exporters, /v1/dns.
 */
#include <stdio.h>

#include "coordinator/api_private.h"
#include "coordinator/dns.h"

static void log_name(const struct api_call *c, const char *event, const char *network,
		     const char *name)
{
	char what[500];

	snprintf(what, sizeof(what), "network=%s name=%s", log_quote(network), log_quote(name));
	api_log(c, event, what);
}

int api_name_list(struct api_call *c)
{
	struct api_name *rows;
	size_t count;
	int r = name_list(c->authority, &c->arena, http_query(c->request, "network"), &rows, &count,
			  &c->why);

	if (r == 0)
		api_array(c, api_name_fields, rows, sizeof(*rows), count);
	return r;
}

int api_name_add(struct api_call *c)
{
	struct api_name wish = { 0 };
	int r = api_body(c, api_name_fields, &wish);

	if (r == 0)
		r = name_add(c->authority, &wish, &c->why);
	if (r < 0)
		return r;
	log_name(c, "name-added", wish.network, wish.name);
	json_encode(&c->answer, api_name_fields, &wish);
	return 0;
}

int api_name_delete(struct api_call *c)
{
	int r = name_delete(c->authority, c->name, c->second, &c->why);

	if (r == 0)
		log_name(c, "name-deleted", c->name, c->second);
	return r;
}

int api_exporter_list(struct api_call *c)
{
	struct api_exporter *rows;
	size_t count;
	int r = exporter_list(c->authority, &c->arena, http_query(c->request, "network"), &rows,
			      &count, &c->why);

	if (r == 0)
		api_array(c, api_exporter_fields, rows, sizeof(*rows), count);
	return r;
}

int api_exporter_remove(struct api_call *c)
{
	char what[128];
	int r = exporter_remove(c->authority, c->name, &c->why);

	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "exporter=%s", log_quote(c->name));
	api_log(c, "exporter-removed", what);
	return 0;
}

int api_dns_list(struct api_call *c)
{
	struct api_dns *rows;
	size_t count;
	int r = dns_list(c->authority, &c->arena, http_query(c->request, "network"), &rows, &count,
			 &c->why);

	if (r == 0)
		api_array(c, api_dns_fields, rows, sizeof(*rows), count);
	return r;
}
