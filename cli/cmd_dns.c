/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren dns list | stanza
 */
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/opt.h"
#include "schemas/api.h"

#define FORWARDS_MAX 15 /* CoreDNS takes no more */

static void names_print(const char *path)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_dns *d =
		client_list(SERVER_COORDINATOR, path, &a, api_dns_fields, sizeof(*d), &count);

	table_begin(&t, "NAME", "ADDRESSES", "FROM", "SITE", NULL);
	for (size_t i = 0; i < count; i++) {
		table_text(&t, d[i].name);
		table_addresses(&t, d[i].addresses, d[i].address_count);
		table_text(&t, d[i].from);
		table_text(&t, d[i].site);
	}
	table_print(&t);
	arena_done(&a);
}

int cmd_dns_list(int argc, char **argv)
{
	return command_list(
		argc, argv,
		&(struct command_list){
			.synopsis = "dns list [--network NAME]",
			.about =
				"Lists the names that agents answer for: of nodes, added ones, and of exporters' services.",
			.path = "/v1/dns",
			.by_network = true,
			.print = names_print });
}

/* ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT. */
static bool is_forward(const char *text)
{
	struct endpoint e;
	struct addr a;

	return addr_parse(text, &a) == 0 || endpoint_parse(text, &e) == 0;
}

static bool is_gateway(const struct api_gateway *g, size_t count, const char *node)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < g[i].node_count; k++)
			if (strcmp(g[i].nodes[k], node) == 0)
				return true;
	return false;
}

/* The gateways' own addresses in the network: their agents answer there. */
static void forward_to_gateways(const char *network, struct buf *out)
{
	struct buf gateways = { 0 }, nodes = { 0 };
	size_t gateway_count, node_count, count = 0;
	struct arena a = { 0 };
	char text[ADDR_SIZE];
	struct api_gateway *g;
	struct api_node *n;

	client_path(&gateways, "/v1/gateways?network=", network, NULL);
	client_path(&nodes, "/v1/nodes?network=", network, NULL);
	g = client_list(SERVER_COORDINATOR, buf_cstr(&gateways), &a, api_gateway_fields, sizeof(*g),
			&gateway_count);
	n = client_list(SERVER_COORDINATOR, buf_cstr(&nodes), &a, api_node_fields, sizeof(*n),
			&node_count);
	for (size_t i = 0; i < node_count; i++)
		for (size_t k = 0; is_gateway(g, gateway_count, n[i].name) &&
				   k < n[i].address_count && count < FORWARDS_MAX;
		     k++, count++)
			buf_printf(out, " %s", addr_format(&n[i].addresses[k], text));
	if (!count)
		opt_fail(1,
			 "network %s has no gateway whose agent could be asked; give --forward "
			 "ADDRESS[:PORT] of an agent in that network",
			 network);
	buf_done(&gateways);
	buf_done(&nodes);
	arena_done(&a);
}

int cmd_dns_stanza(int argc, char **argv)
{
	const char *network = NULL, *typed[FORWARDS_MAX + 1] = { 0 };
	struct buf forward = { 0 };
	const struct opt opts[] = {
		{ .name = "network",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "the network whose names are to be resolved",
		  .value = &network },
		{ .name = "forward",
		  .kind = OPT_LIST,
		  .arg = "ADDRESS[:PORT]",
		  .help = "where an agent of that network answers (the gateways' addresses in it); "
			  "may be repeated",
		  .list = typed,
		  .list_max = FORWARDS_MAX },
		{ 0 },
	};

	opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = "dns stanza --network NAME [--forward ADDRESS[:PORT]]...",
			.about =
				"Prints what a cluster's CoreDNS needs in its Corefile to resolve a "
				"network's names.",
			.opts = opts });
	if (!network)
		opt_fail(2, "--network is missing; try --help");
	for (size_t i = 0; typed[i]; i++) {
		if (!is_forward(typed[i]))
			opt_fail(2, "--forward: %s is not ADDRESS[:PORT]", typed[i]);
		buf_printf(&forward, " %s", typed[i]);
	}
	if (!typed[0])
		forward_to_gateways(network, &forward);
	say("%s:53 {", network);
	say("    errors");
	say("    cache 30");
	say("    forward .%s", buf_cstr(&forward));
	say("}");
	buf_done(&forward);
	return 0;
}
