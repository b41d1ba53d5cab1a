/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren dns list | stanza
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/dns_stanza.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/mem.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "schemas/api.h"

#define DNS_PORT 53
#define BINDS_MAX 8
#define NODELOCALDNS "169.254.20.10"

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
static bool parse_forward(const char *text, struct endpoint *ret)
{
	*ret = (struct endpoint){ .port = DNS_PORT };
	return addr_parse(text, &ret->addr) == 0 || endpoint_parse(text, ret) == 0;
}

static void read_network(const char *name, struct arena *a, struct api_network *ret)
{
	struct buf path = { 0 };

	client_path(&path, "/v1/networks/", name, NULL);
	client_get(SERVER_COORDINATOR, buf_cstr(&path), a, api_network_fields, ret);
	buf_done(&path);
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
static void forward_to_gateways(const char *network, struct stanza *s)
{
	struct buf gateways = { 0 }, nodes = { 0 };
	size_t gateway_count, node_count;
	struct api_network network_row = { 0 };
	struct arena a = { 0 };
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
				   k < n[i].address_count && s->forward_count < STANZA_FORWARDS_MAX;
		     k++)
			s->forwards[s->forward_count++] =
				(struct endpoint){ n[i].addresses[k], DNS_PORT };
	buf_done(&gateways);
	buf_done(&nodes);
	arena_done(&a);
	if (!s->forward_count) {
		/* There may be no such network. */
		read_network(network, &a, &network_row);
		arena_done(&a);
		opt_fail(1,
			 "network %s has no gateway whose agent could be asked; give --forward "
			 "ADDRESS[:PORT] of an agent in that network",
			 network);
	}
}

struct zones {
	char *list[STANZA_ZONES_MAX + 1];
	size_t count;
};

static void add_zone(void *owner, const char *zone)
{
	struct zones *z = owner;

	for (size_t i = 0; i < z->count; i++)
		if (strcmp(z->list[i], zone) == 0)
			return;
	if (z->count == STANZA_ZONES_MAX)
		opt_fail(1, "the ranges have more than %d zones", STANZA_ZONES_MAX);
	z->list[z->count++] = xstrdup(zone);
}

/* Of the network's ranges, and of those whose addresses exporters publish. */
static void add_reverse_zones(const char *network, struct zones *z)
{
	struct api_network n = { 0 };
	struct api_exporter *e;
	struct arena a = { 0 };
	size_t count;

	read_network(network, &a, &n);
	for (size_t i = 0; i < n.range_count; i++)
		stanza_reverse(&n.ranges[i], add_zone, z);
	e = client_list(SERVER_COORDINATOR, "/v1/exporters", &a, api_exporter_fields, sizeof(*e),
			&count);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; strcmp(e[i].network, network) == 0 && k < e[i].range_count; k++)
			stanza_reverse(&e[i].ranges[k], add_zone, z);
	arena_done(&a);
}

/* None: the usual one. There is room for it. */
static void check_binds(const char **binds)
{
	struct addr a;

	for (size_t i = 0; binds[i]; i++)
		if (addr_parse(binds[i], &a) < 0)
			opt_fail(2, "--bind: %s is not an address", binds[i]);
	if (!binds[0])
		binds[0] = NODELOCALDNS;
}

static enum stanza_form form_of(const char *name)
{
	for (unsigned i = 0; stanza_form_names[i]; i++)
		if (strcmp(stanza_form_names[i], name) == 0)
			return (enum stanza_form)i;
	opt_fail(2,
		 "--for: %s is none of coredns, coredns-custom, nodelocaldns, dnsmasq, unbound, "
		 "kube-dns",
		 name);
}

/* What the options mean, or what the network has. */
static void make_stanza(const char *network, const char *const *typed, bool clusterset,
			bool reverse, struct zones *z, struct stanza *s)
{
	for (size_t i = 0; typed[i]; i++)
		if (!parse_forward(typed[i], &s->forwards[s->forward_count++]))
			opt_fail(2, "--forward: %s is not ADDRESS[:PORT]", typed[i]);
	if (!typed[0])
		forward_to_gateways(network, s);
	add_zone(z, network);
	if (clusterset)
		add_zone(z, "clusterset.local");
	if (reverse)
		add_reverse_zones(network, z);
	s->zones = (const char *const *)z->list;
}

int cmd_dns_stanza(int argc, char **argv)
{
	const char *network = NULL, *form = "coredns", *typed[STANZA_FORWARDS_MAX + 1] = { 0 };
	const char *binds[BINDS_MAX + 1] = { 0 };
	bool clusterset = false, reverse = false;
	struct stanza s = { .binds = binds };
	struct zones z = { 0 };
	struct buf out = { 0 };
	const struct opt opts[] = {
		{ .name = "network",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "the network whose names are to be resolved",
		  .value = &network },
		{ .name = "for",
		  .kind = OPT_VALUE,
		  .arg = "FORM",
		  .help = "what it is to be pasted into: coredns (its Corefile, the default), "
			  "coredns-custom, nodelocaldns, dnsmasq, unbound or kube-dns",
		  .value = &form },
		{ .name = "forward",
		  .kind = OPT_LIST,
		  .arg = "ADDRESS[:PORT]",
		  .help = "where an agent of that network answers (the gateways' addresses in it); "
			  "may be repeated",
		  .list = typed,
		  .list_max = STANZA_FORWARDS_MAX },
		{ .name = "clusterset",
		  .kind = OPT_FLAG,
		  .help = "clusterset.local, too",
		  .flag = &clusterset },
		{ .name = "reverse",
		  .kind = OPT_FLAG,
		  .help = "names of addresses, too",
		  .flag = &reverse },
		{ .name = "bind",
		  .kind = OPT_LIST,
		  .arg = "ADDRESS",
		  .help = "of nodelocaldns: the addresses that it has (" NODELOCALDNS ")",
		  .list = binds,
		  .list_max = BINDS_MAX },
		{ 0 },
	};
	enum stanza_form f;

	opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = "dns stanza --network NAME [OPTION...]",
			.about = "Prints what a cluster's DNS server needs in its configuration to "
				 "resolve a network's names.",
			.opts = opts });
	if (!network)
		opt_fail(2, "--network is missing; try --help");
	if (!text_is_label(network))
		opt_fail(2, "--network: %s is not a label of a-z, 0-9 and '-'", network);
	f = form_of(form);
	if (binds[0] && f != STANZA_NODELOCALDNS)
		opt_fail(2, "--bind goes with --for nodelocaldns; try --help");
	check_binds(binds);
	s.network = network;
	make_stanza(network, typed, clusterset, reverse, &z, &s);
	stanza_write(f, &s, &out);
	fputs(buf_cstr(&out), stdout);
	buf_done(&out);
	while (z.count)
		free(z.list[--z.count]);
	return 0;
}
