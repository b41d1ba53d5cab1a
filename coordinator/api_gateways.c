/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /v1/gateways.
 */
#include <stdio.h>

#include "coordinator/api_private.h"

static void log_gateway(const struct api_call *c, const char *event, const struct api_gateway *g)
{
	char what[400], range[PREFIX_SIZE] = "-";

	if (g->range_count)
		prefix_format(&g->ranges[0], range);
	snprintf(what, sizeof(what), "gateway=%s network=%s site=%s range=%s ranges=%zu", g->id,
		 g->network, g->site ? g->site : "-", range, g->range_count);
	api_log(c, event, what);
}

int api_gateway_list(struct api_call *c)
{
	struct api_gateway *rows;
	size_t count;
	int r = gateway_list(c->authority, &c->arena, http_query(c->request, "network"), &rows,
			     &count, &c->why);

	if (r == 0)
		api_array(c, api_gateway_fields, rows, sizeof(*rows), count);
	return r;
}

int api_gateway_create(struct api_call *c)
{
	struct api_gateway_create wish = { 0 };
	struct api_gateway g = { 0 };
	int r;

	gateway_defaults(&wish);
	r = api_body(c, api_gateway_create_fields, &wish);
	if (r == 0)
		r = gateway_create(c->authority, &c->arena, &wish, &g, &c->why);
	if (r < 0)
		return r;
	log_gateway(c, "gateway-created", &g);
	json_encode(&c->answer, api_gateway_fields, &g);
	return 0;
}

int api_gateway_show(struct api_call *c)
{
	struct api_gateway g = { 0 };
	int r = gateway_show(c->authority, &c->arena, c->name, &g, &c->why);

	if (r == 0)
		json_encode(&c->answer, api_gateway_fields, &g);
	return r;
}

int api_gateway_set(struct api_call *c)
{
	struct api_gateway_create wish = { 0 };
	struct api_gateway g = { 0 };
	int r = gateway_show(c->authority, &c->arena, c->name, &g, &c->why);

	/* What the body does not name stays. */
	wish.nat = g.nat;
	wish.priority = g.priority;
	if (r == 0)
		r = api_body(c, api_gateway_set_fields, &wish);
	if (r == 0)
		r = gateway_set(c->authority, c->name, &wish, &c->why);
	if (r == 0)
		r = gateway_show(c->authority, &c->arena, c->name, &g, &c->why);
	if (r < 0)
		return r;
	log_gateway(c, "gateway-set", &g);
	json_encode(&c->answer, api_gateway_fields, &g);
	return 0;
}

int api_gateway_delete(struct api_call *c)
{
	char what[128];
	int r = gateway_delete(c->authority, c->name, &c->why);

	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "gateway=%s", log_quote(c->name));
	api_log(c, "gateway-deleted", what);
	return 0;
}
