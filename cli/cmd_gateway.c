/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren gateway create | set | list | show | delete
 */
#include <stdio.h>
#include <string.h>

#include "cli/body.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/opt.h"
#include "schemas/api.h"

#define PRIORITY_MAX 1000000

/* What create and set share, as typed. */
struct settings_text {
	const char *ranges[GATEWAY_RANGES_MAX + 1], *as[GATEWAY_RANGES_MAX + 1];
	const char *from_site;
	const char *priority, *nat;
};

#define SETTINGS_OPTS(t)                                                                             \
	{ .name = "range",                                                                           \
	  .kind = OPT_LIST,                                                                          \
	  .arg = "CIDR",                                                                             \
	  .help = "a range of the site that it carries into the network; may be repeated",           \
	  .list = (t).ranges,                                                                        \
	  .list_max = GATEWAY_RANGES_MAX },                                                          \
		{ .name = "from-site",                                                               \
		  .kind = OPT_VALUE,                                                                 \
		  .arg = "SITE",                                                                     \
		  .help = "instead of --range: what the exporters of its site offer, now and later", \
		  .value = &(t).from_site },                                                         \
		{ .name = "as",                                                                      \
		  .kind = OPT_LIST,                                                                  \
		  .arg = "CIDR",                                                                     \
		  .help = "for sites that overlap: refused by this version",                         \
		  .list = (t).as,                                                                    \
		  .list_max = GATEWAY_RANGES_MAX },                                                  \
		{ .name = "priority",                                                                \
		  .kind = OPT_VALUE,                                                                 \
		  .arg = "N",                                                                        \
		  .help = "of several gateways of a range the lowest number is used (100)",          \
		  .value = &(t).priority },                                                          \
	{                                                                                            \
		.name = "nat", .kind = OPT_VALUE, .arg = "MODE",                                     \
		.help = "masquerade: what comes from the network bears the gateway's address in "    \
			"its site (the default); none: it keeps its own",                            \
		.value = &(t).nat                                                                    \
	}

static void settings_encode(const struct settings_text *t, struct buf *body)
{
	bool known = !t->nat;

	if (t->ranges[0] && t->from_site)
		opt_fail(2, "--range and --from-site exclude each other; try --help");
	for (unsigned i = 0; !known && nat_mode_names[i]; i++)
		known = strcmp(nat_mode_names[i], t->nat) == 0;
	if (!known)
		opt_fail(2, "--nat: %s is neither masquerade nor none", t->nat);
	body_words(body, "ranges", t->ranges);
	body_words(body, "as", t->as);
	body_word(body, "from_site", t->from_site);
	body_number(body, "priority", "priority", t->priority, 0, PRIORITY_MAX);
	body_word(body, "nat", t->nat);
}

static void gateway_print(const struct buf *answer)
{
	struct api_gateway g = { 0 };
	struct arena a = { 0 };
	char range[PREFIX_SIZE], as[PREFIX_SIZE];

	client_decode(SERVER_COORDINATOR, answer, &a, api_gateway_fields, &g);
	say("gateway    %s", g.id);
	say("network    %s", g.network);
	say("site       %s", g.site ? g.site : "-");
	if (g.tag)
		say("tag        %s", g.tag);
	for (size_t i = 0; i < g.node_count; i++)
		say("node       %s", g.nodes[i]);
	if (!g.node_count)
		say("node       none");
	for (size_t i = 0; i < g.range_count; i++) {
		prefix_format(&g.ranges[i], range);
		if (g.as_count == g.range_count)
			say("range      %s as %s", range, prefix_format(&g.as[i], as));
		else
			say("range      %s", range);
	}
	if (g.from_site)
		say("follows    the offers of site %s", g.from_site);
	for (size_t i = 0; i < g.not_carried_count; i++)
		say("not carried %s: %s", prefix_format(&g.not_carried[i].range, range),
		    g.not_carried[i].why);
	say("priority   %llu", (unsigned long long)g.priority);
	say("nat        %s", nat_mode_names[g.nat]);
	arena_done(&a);
}

static void id_print(const struct buf *answer)
{
	struct api_gateway g = { 0 };
	struct arena a = { 0 };

	client_decode(SERVER_COORDINATOR, answer, &a, api_gateway_fields, &g);
	say("%s", g.id);
	arena_done(&a);
}

int cmd_gateway_create(int argc, char **argv)
{
	const char *network = NULL, *node = NULL, *tag = NULL, *site = NULL;
	struct settings_text typed = { 0 };
	struct buf body = { 0 }, answer = { 0 };
	bool json = false;
	const struct opt opts[] = {
		{ .name = "network",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "the network that it carries the ranges into",
		  .value = &network },
		{ .name = "node",
		  .kind = OPT_VALUE,
		  .arg = "NODE",
		  .help = "the node that is the gateway",
		  .value = &node },
		{ .name = "tag",
		  .kind = OPT_VALUE,
		  .arg = "TAG",
		  .help = "or all nodes of the site that joined with this tag",
		  .value = &tag },
		{ .name = "site",
		  .kind = OPT_VALUE,
		  .arg = "SITE",
		  .help = "with --tag: whose nodes, and whose ranges these are",
		  .value = &site },
		SETTINGS_OPTS(typed),
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(argc, argv,
		  &(struct opt_command){
			  .synopsis =
				  "gateway create --network NAME (--node NODE | --tag TAG --site "
				  "SITE) (--range CIDR... | --from-site SITE) [OPTION...]",
			  .about = "Makes a gateway: it carries ranges of its site, of pods, "
				   "services or a LAN, into a network. Prints its id.",
			  .opts = opts });
	if (!network)
		opt_fail(2, "--network is missing; try --help");
	if (!node == !tag)
		opt_fail(2, "give one of --node NODE and --tag TAG; try --help");
	if (tag && !site)
		opt_fail(2, "--tag needs --site, whose nodes these are; try --help");
	if (!typed.ranges[0] && !typed.from_site)
		opt_fail(2, "--range is missing, for example --range 10.42.0.0/16, or --from-site "
			    "SITE; try --help");
	body_begin(&body);
	body_word(&body, "network", network);
	body_word(&body, "node", node);
	body_word(&body, "tag", tag);
	body_word(&body, "site", site);
	settings_encode(&typed, &body);
	client_call(SERVER_COORDINATOR, "POST", "/v1/gateways", body_end(&body), &answer);
	if (json)
		client_print_json(SERVER_COORDINATOR, &answer);
	else
		id_print(&answer);
	buf_done(&answer);
	buf_done(&body);
	return 0;
}

/* `body` NULL: none. */
static void gateway_send(const char *method, const char *id, const char *body, bool json)
{
	struct buf path = { 0 }, answer = { 0 };

	client_path(&path, "/v1/gateways/", id, NULL);
	client_call(SERVER_COORDINATOR, method, buf_cstr(&path), body, &answer);
	if (json)
		client_print_json(SERVER_COORDINATOR, &answer);
	else
		gateway_print(&answer);
	buf_done(&answer);
	buf_done(&path);
}

int cmd_gateway_set(int argc, char **argv)
{
	struct settings_text typed = { 0 };
	struct buf body = { 0 };
	bool json = false;
	const struct opt opts[] = {
		SETTINGS_OPTS(typed),
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(
		argc, argv,
		&(struct opt_command){ .synopsis = "gateway set ID OPTION...",
				       .about = "Changes what is given of a gateway. --range names "
						"all its ranges anew, --from-site takes just those "
						"that the exporters of its site offer now, and "
						"those that they add.",
				       .opts = opts,
				       .min_args = 1,
				       .max_args = 1 });
	body_begin(&body);
	settings_encode(&typed, &body);
	if (body_is_empty(&body))
		opt_fail(2,
			 "there is nothing to change: give --range, --from-site, --as, --priority "
			 "or --nat; "
			 "try --help");
	gateway_send("PATCH", argv[1], body_end(&body), json);
	buf_done(&body);
	return 0;
}

static void gateways_print(const char *path)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_gateway *g =
		client_list(SERVER_COORDINATOR, path, &a, api_gateway_fields, sizeof(*g), &count);

	table_begin(&t, "ID", "NETWORK", "SITE", "NODES", "RANGES", "FOLLOWS", "PRIORITY", "NAT",
		    NULL);
	for (size_t i = 0; i < count; i++) {
		table_text(&t, g[i].id);
		table_text(&t, g[i].network);
		table_text(&t, g[i].site);
		table_words(&t, g[i].nodes, g[i].node_count);
		table_prefixes(&t, g[i].ranges, g[i].range_count);
		table_text(&t, g[i].from_site);
		table_cell(&t, "%llu", (unsigned long long)g[i].priority);
		table_text(&t, nat_mode_names[g[i].nat]);
	}
	table_print(&t);
	arena_done(&a);
}

int cmd_gateway_list(int argc, char **argv)
{
	return command_list(argc, argv,
			    &(struct command_list){ .synopsis = "gateway list [--network NAME]",
						    .about = "Lists the gateways.",
						    .path = "/v1/gateways",
						    .by_network = true,
						    .print = gateways_print });
}

int cmd_gateway_show(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = { COMMAND_JSON(json), { 0 } };

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis = "gateway show ID",
					 .about = "Shows a gateway, its nodes and its ranges.",
					 .opts = opts,
					 .min_args = 1,
					 .max_args = 1 });
	gateway_send("GET", argv[1], NULL, json);
	return 0;
}

int cmd_gateway_delete(int argc, char **argv)
{
	return command_delete(
		argc, argv,
		&(struct command_delete){ .synopsis = "gateway delete ID",
					  .about = "Takes a gateway's ranges out of the network.",
					  .path = "/v1/gateways/",
					  .noun = "gateway",
					  .done = "deleted" });
}
