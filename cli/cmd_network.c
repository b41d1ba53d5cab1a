/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren network create | set | list | show | delete | release
 */
#include <stdio.h>

#include "cli/body.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/opt.h"
#include "schemas/api.h"

#define RANGES_MAX 2

/* The settings that create and set share, as typed. */
struct settings_text {
	const char *mtu, *keepalive, *port, *max_stale;
};

#define SETTING(name_, arg_, help_, variable)                                                      \
	{                                                                                          \
		.name = name_, .kind = OPT_VALUE, .arg = arg_, .help = help_, .value = &(variable) \
	}
#define SETTINGS_OPTS(t)                                                                           \
	SETTING("mtu", "N", "MTU of its interfaces (1420)", (t).mtu),                              \
		SETTING("keepalive", "SECONDS", "WireGuard's keepalive (20)", (t).keepalive),      \
		SETTING("port", "N", "the first UDP port that is tried (51830)", (t).port),        \
		SETTING("max-stale", "DURATION",                                                   \
			"drop the peers of whom nothing was heard for so long: 10m, 24h, 30d, "    \
			"never (never)",                                                           \
			(t).max_stale)

static void settings_encode(const struct settings_text *t, struct buf *body)
{
	body_number(body, "mtu", "mtu", t->mtu, 1280, 65535);
	body_number(body, "keepalive", "keepalive", t->keepalive, 0, 65535);
	body_number(body, "port", "port", t->port, 1, 65535);
	body_word(body, "max_stale", t->max_stale);
}

static void orphans_print(const struct api_network *n)
{
	struct table t = { .indent = "  " };

	if (!n->orphan_count)
		return;
	say("orphans    %zu, in force until `warren network release %s`:", n->orphan_count,
	    n->name);
	table_begin(&t, "NAME", "ID", "ADDRESSES", NULL);
	for (size_t i = 0; i < n->orphan_count; i++) {
		table_text(&t, n->orphans[i].name);
		table_text(&t, n->orphans[i].id);
		table_addresses(&t, n->orphans[i].addresses, n->orphans[i].address_count);
	}
	table_print(&t);
}

static void network_print(const struct buf *answer)
{
	struct api_network n = { 0 };
	struct arena a = { 0 };
	char text[PREFIX_SIZE];

	client_decode(SERVER_COORDINATOR, answer, &a, api_network_fields, &n);
	say("network    %s", n.name);
	for (size_t i = 0; i < n.range_count; i++)
		say("range      %s", prefix_format(&n.ranges[i], text));
	say("nodes      %llu", (unsigned long long)n.nodes);
	say("mtu        %llu", (unsigned long long)n.mtu);
	say("keepalive  %llus", (unsigned long long)n.keepalive);
	say("port       %u", n.port);
	say("max-stale  %s", n.max_stale ? n.max_stale : "never");
	if (n.waiting)
		say("waiting    %llu silent, not forgotten before `warren network release %s`",
		    (unsigned long long)n.waiting, n.name);
	orphans_print(&n);
	arena_done(&a);
}

/* `body` NULL: none. */
static void network_send(const char *method, const char *path, const char *body, bool json)
{
	struct buf answer = { 0 };

	client_call(SERVER_COORDINATOR, method, path, body, &answer);
	if (json)
		client_print_json(SERVER_COORDINATOR, &answer);
	else
		network_print(&answer);
	buf_done(&answer);
}

int cmd_network_create(int argc, char **argv)
{
	struct settings_text typed = { 0 };
	const char *ranges[RANGES_MAX + 1] = { 0 };
	struct buf body = { 0 };
	bool json = false;
	const struct opt opts[] = {
		{ .name = "range",
		  .kind = OPT_LIST,
		  .arg = "CIDR",
		  .help = "its addresses: an IPv4 range, an IPv6 range, or one of each",
		  .list = ranges,
		  .list_max = RANGES_MAX },
		SETTINGS_OPTS(typed),
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis =
						 "network create NAME --range CIDR... [OPTION...]",
					 .about = "Makes a network.",
					 .opts = opts,
					 .min_args = 1,
					 .max_args = 1 });
	if (!ranges[0])
		opt_fail(2, "--range is missing, for example --range 10.36.50.0/24; try --help");
	body_begin(&body);
	body_word(&body, "name", argv[1]);
	body_words(&body, "ranges", ranges);
	settings_encode(&typed, &body);
	network_send("POST", "/v1/networks", body_end(&body), json);
	buf_done(&body);
	return 0;
}

int cmd_network_set(int argc, char **argv)
{
	struct settings_text typed = { 0 };
	struct buf body = { 0 }, path = { 0 };
	bool json = false;
	const struct opt opts[] = {
		SETTINGS_OPTS(typed),
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(
		argc, argv,
		&(struct opt_command){ .synopsis = "network set NAME OPTION...",
				       .about = "Changes the settings of a network that are given, "
						"on all its nodes.",
				       .opts = opts,
				       .min_args = 1,
				       .max_args = 1 });
	body_begin(&body);
	settings_encode(&typed, &body);
	if (body_is_empty(&body))
		opt_fail(2, "there is nothing to change: give --mtu, --keepalive, --port or "
			    "--max-stale; try --help");
	client_path(&path, "/v1/networks/", argv[1], NULL);
	network_send("PATCH", buf_cstr(&path), body_end(&body), json);
	buf_done(&body);
	buf_done(&path);
	return 0;
}

static void networks_print(const char *path)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_network *n =
		client_list(SERVER_COORDINATOR, path, &a, api_network_fields, sizeof(*n), &count);

	table_begin(&t, "NAME", "RANGES", "NODES", "ORPHANS", "MTU", "PORT", NULL);
	for (size_t i = 0; i < count; i++) {
		table_text(&t, n[i].name);
		table_prefixes(&t, n[i].ranges, n[i].range_count);
		table_cell(&t, "%llu", (unsigned long long)n[i].nodes);
		table_cell(&t, "%zu", n[i].orphan_count);
		table_cell(&t, "%llu", (unsigned long long)n[i].mtu);
		table_cell(&t, "%u", n[i].port);
	}
	table_print(&t);
	arena_done(&a);
}

int cmd_network_list(int argc, char **argv)
{
	return command_list(argc, argv,
			    &(struct command_list){ .synopsis = "network list",
						    .about = "Lists the networks.",
						    .path = "/v1/networks",
						    .print = networks_print });
}

int cmd_network_show(int argc, char **argv)
{
	struct buf path = { 0 };
	bool json = false;
	const struct opt opts[] = { COMMAND_JSON(json), { 0 } };

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis = "network show NAME",
					 .about = "Shows a network, its settings and its orphans.",
					 .opts = opts,
					 .min_args = 1,
					 .max_args = 1 });
	client_path(&path, "/v1/networks/", argv[1], NULL);
	network_send("GET", buf_cstr(&path), NULL, json);
	buf_done(&path);
	return 0;
}

int cmd_network_delete(int argc, char **argv)
{
	return command_delete(
		argc, argv,
		&(struct command_delete){ .synopsis = "network delete NAME",
					  .about = "Deletes a network that has no nodes.",
					  .path = "/v1/networks/",
					  .noun = "network",
					  .done = "deleted" });
}

static void released_print(const char *network, const struct buf *answer)
{
	struct api_released released = { 0 };
	struct arena a = { 0 };

	client_decode(SERVER_COORDINATOR, answer, &a, api_released_fields, &released);
	say("network %s: %llu node%s released", network, (unsigned long long)released.released,
	    released.released == 1 ? "" : "s");
	arena_done(&a);
}

int cmd_network_release(int argc, char **argv)
{
	struct buf path = { 0 }, answer = { 0 };
	bool json = false;
	const struct opt opts[] = { COMMAND_JSON(json), { 0 } };

	opt_parse(argc, argv,
		  &(struct opt_command){
			  .synopsis = "network release NAME",
			  .about =
				  "Ends the orphans of a network: members that agents hold and the "
				  "coordinator does not know, after a restore or the loss of its "
				  "database.",
			  .opts = opts,
			  .min_args = 1,
			  .max_args = 1 });
	client_path(&path, "/v1/networks/", argv[1], "/release", NULL);
	client_call(SERVER_COORDINATOR, "POST", buf_cstr(&path), "{}", &answer);
	if (json)
		client_print_json(SERVER_COORDINATOR, &answer);
	else
		released_print(argv[1], &answer);
	buf_done(&path);
	buf_done(&answer);
	return 0;
}
