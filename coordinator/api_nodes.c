/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /v1/nodes: one row per node and network.
 */
#include <stdio.h>
#include <string.h>

#include "coordinator/api_private.h"

static int show(struct api_call *c, const char *node)
{
	struct api_node *rows;
	size_t count;
	int r = node_show(c->authority, &c->arena, node, &rows, &count, &c->why);

	if (r == 0)
		api_array(c, api_node_fields, rows, sizeof(*rows), count);
	return r;
}

int api_node_list(struct api_call *c)
{
	struct api_node *rows;
	size_t count;
	int r = node_list(c->authority, &c->arena, http_query(c->request, "network"), &rows, &count,
			  &c->why);

	if (r == 0)
		api_array(c, api_node_fields, rows, sizeof(*rows), count);
	return r;
}

int api_node_show(struct api_call *c)
{
	return show(c, c->name);
}

int api_node_rename(struct api_call *c)
{
	struct api_node_rename wish = { 0 };
	struct api_node *rows;
	char what[500];
	size_t count;
	int r = api_body(c, api_node_rename_fields, &wish);

	/* By name or id; afterwards only the id is sure to be the same. */
	if (r == 0)
		r = node_show(c->authority, &c->arena, c->name, &rows, &count, &c->why);
	if (r == 0)
		r = node_rename(c->authority, c->name, wish.name, &c->why);
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "node=%s name=%s", count ? rows[0].id : "-",
		 log_quote(wish.name));
	api_log(c, "node-renamed", what);
	return show(c, count ? rows[0].id : c->name);
}

int api_node_remove(struct api_call *c)
{
	char what[256];
	int r = node_remove(c->authority, c->name, &c->why);

	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "node=%s", log_quote(c->name));
	api_log(c, "node-removed", what);
	return 0;
}
