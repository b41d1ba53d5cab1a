/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren node list | show | rename | remove
 */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/clock.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "schemas/api.h"

static void nodes_print(const char *path)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_node *n =
		client_list(SERVER_COORDINATOR, path, &a, api_node_fields, sizeof(*n), &count);

	table_begin(&t, "NAME", "NETWORK", "ADDRESSES", "SITE", "ONLINE", "SEEN", NULL);
	for (size_t i = 0; i < count; i++) {
		table_text(&t, n[i].name);
		table_text(&t, n[i].network);
		table_addresses(&t, n[i].addresses, n[i].address_count);
		table_text(&t, n[i].site);
		table_text(&t, n[i].online ? "yes" : "no");
		table_ago(&t, n[i].last_seen);
	}
	table_print(&t);
	arena_done(&a);
}

int cmd_node_list(int argc, char **argv)
{
	return command_list(
		argc, argv,
		&(struct command_list){
			.synopsis = "node list [--network NAME]",
			.about = "Lists the nodes, one line for each network they are in.",
			.path = "/v1/nodes",
			.by_network = true,
			.print = nodes_print });
}

static void membership_print(const struct api_node *n)
{
	char text[ADDR_SIZE], key[KEY_BASE64_SIZE], when[CLOCK_RFC3339_SIZE] = "never";

	if (n->last_seen)
		clock_rfc3339(n->last_seen, when);
	base64_encode(n->wireguard_key, KEY_LEN, key);
	say("network    %s", n->network);
	say("name       %s", n->name);
	say("role       %s", role_names[n->role]);
	for (size_t i = 0; i < n->address_count; i++)
		say("address    %s", addr_format(&n->addresses[i], text));
	for (size_t i = 0; i < n->endpoint_count; i++)
		say("endpoint   %s", n->endpoints[i]);
	for (size_t i = 0; i < n->tag_count; i++)
		say("tag        %s", n->tags[i]);
	say("wireguard  %s", key);
	say("online     %s", n->online ? "yes" : "no");
	say("last seen  %s", when);
}

static void node_print(const char *node, const char *path)
{
	struct arena a = { 0 };
	size_t count;
	struct api_node *n =
		client_list(SERVER_COORDINATOR, path, &a, api_node_fields, sizeof(*n), &count);

	say("node       %s", count ? n[0].id : node);
	if (count)
		say("site       %s", n[0].site ? n[0].site : "-");
	else
		say("network    none");
	for (size_t i = 0; i < count; i++) {
		puts("");
		membership_print(&n[i]);
	}
	arena_done(&a);
}

int cmd_node_show(int argc, char **argv)
{
	struct buf path = { 0 };
	bool json = false;
	const struct opt opts[] = {
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis = "node show NODE",
					 .about = "Shows a node, by name or id.",
					 .opts = opts,
					 .min_args = 1,
					 .max_args = 1 });
	client_path(&path, "/v1/nodes/", argv[1], NULL);
	if (json)
		client_get_json(SERVER_COORDINATOR, buf_cstr(&path));
	else
		node_print(argv[1], buf_cstr(&path));
	buf_done(&path);
	return 0;
}

int cmd_node_rename(int argc, char **argv)
{
	struct buf path = { 0 }, body = { 0 };
	char name[LABEL_SIZE];

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis = "node rename NODE NEW",
					 .about = "Gives a node another name in all its networks.",
					 .min_args = 2,
					 .max_args = 2 });
	client_path(&path, "/v1/nodes/", argv[1], NULL);
	json_encode(&body, api_node_rename_fields, &(struct api_node_rename){ .name = argv[2] });
	client_call(SERVER_COORDINATOR, "PATCH", buf_cstr(&path), buf_cstr(&body), NULL);
	text_make_label(argv[2], name); /* as the coordinator does */
	say("node %s is now named %s", argv[1], name);
	buf_done(&path);
	buf_done(&body);
	return 0;
}

int cmd_node_remove(int argc, char **argv)
{
	return command_delete(
		argc, argv,
		&(struct command_delete){
			.synopsis = "node remove NODE",
			.about =
				"Takes a node out of all its networks. It needs a token made after that to join again.",
			.path = "/v1/nodes/",
			.noun = "node",
			.done = "removed" });
}
