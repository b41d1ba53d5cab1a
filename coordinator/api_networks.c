/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /v1/networks.
 */
#include <stdio.h>
#include <string.h>

#include "coordinator/api_private.h"

static void log_network(const struct api_call *c, const char *event, const char *name)
{
	char what[256];

	snprintf(what, sizeof(what), "network=%s", log_quote(name));
	api_log(c, event, what);
}

/* A network that the database lost, and the broker still holds: says how to get it back. */
static void explain_lost(struct api_call *c, const char *name)
{
	const char *const *unknown;
	size_t count = publisher_unknown_networks(c->authority->publisher, &unknown);

	for (size_t i = 0; i < count; i++)
		if (strcmp(unknown[i], name) == 0)
			refuse(&c->why, 404, "unknown_network",
			       "the database does not know network %s, but the broker holds it: "
			       "was the database lost or restored? Create it again with the same "
			       "ranges; its members stay in force and are shown as orphans",
			       name);
}

/* The network as it is now, for the answer. */
static int show(struct api_call *c, const char *name)
{
	struct api_network n = { 0 };
	int r = network_show(c->authority, &c->arena, name, &n, &c->why);

	if (r == 0)
		json_encode(&c->answer, api_network_fields, &n);
	else if (c->why.status == 404)
		explain_lost(c, name);
	return r;
}

int api_network_list(struct api_call *c)
{
	struct api_network *networks;
	size_t count;
	int r = network_list(c->authority, &c->arena, &networks, &count, &c->why);

	if (r == 0)
		api_array(c, api_network_fields, networks, sizeof(*networks), count);
	return r;
}

int api_network_create(struct api_call *c)
{
	struct api_network wish = { 0 };
	int r;

	network_defaults(&wish);
	r = api_body(c, api_network_create_fields, &wish);
	if (r == 0)
		r = network_create(c->authority, &wish, &c->why);
	if (r < 0)
		return r;
	log_network(c, "network-created", wish.name);
	return show(c, wish.name);
}

int api_network_show(struct api_call *c)
{
	return show(c, c->name);
}

int api_network_set(struct api_call *c)
{
	struct api_network wish = { 0 };
	int r = network_show(c->authority, &c->arena, c->name, &wish, &c->why);

	/* What the body does not name stays. */
	if (r == 0)
		r = api_body(c, api_network_set_fields, &wish);
	if (r == 0)
		r = network_set(c->authority, &wish, &c->why);
	if (r < 0)
		return r;
	log_network(c, "network-set", c->name);
	return show(c, c->name);
}

int api_network_delete(struct api_call *c)
{
	int r = network_delete(c->authority, c->name, &c->why);

	if (r == 0)
		log_network(c, "network-deleted", c->name);
	return r;
}

int api_network_release(struct api_call *c)
{
	struct api_released released = { 0 };
	char what[300];
	int r = network_release(c->authority, c->name, &released.released, &c->why);

	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "network=%s released=%llu", log_quote(c->name),
		 (unsigned long long)released.released);
	api_log(c, "network-released", what);
	json_encode(&c->answer, api_released_fields, &released);
	return 0;
}
