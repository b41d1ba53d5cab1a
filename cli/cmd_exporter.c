/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren exporter list | remove
 */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/opt.h"
#include "schemas/api.h"

/* Below the table: what is wrong with one, and what to do. */
static void unpublished_print(const struct api_exporter *e)
{
	say("%s has published nothing yet: until it does, agents that have nothing of site %s "
	    "answer SERVFAIL for names that network %s does not have; start warren-exporter there, "
	    "or take it out with `warren exporter remove %s`",
	    e->id, e->site, e->network, e->id);
}

static void exporters_print(const char *path)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_exporter *e =
		client_list(SERVER_COORDINATOR, path, &a, api_exporter_fields, sizeof(*e), &count);

	table_begin(&t, "ID", "NETWORK", "SITE", "RECORDS", "OFFERED", "NOT-CARRIED", "ONLINE",
		    "SEEN", NULL);
	for (size_t i = 0; i < count; i++) {
		table_text(&t, e[i].id);
		table_text(&t, e[i].network);
		table_text(&t, e[i].site);
		table_cell(&t, "%llu", (unsigned long long)e[i].records);
		table_prefixes(&t, e[i].offered, e[i].offered_count);
		table_prefixes(&t, e[i].not_carried, e[i].not_carried_count);
		table_text(&t, e[i].online ? "yes" : "no");
		table_ago(&t, e[i].last_seen);
	}
	table_print(&t);
	for (size_t i = 0; i < count; i++)
		if (!e[i].published)
			unpublished_print(&e[i]);
	arena_done(&a);
}

int cmd_exporter_list(int argc, char **argv)
{
	return command_list(argc, argv,
			    &(struct command_list){
				    .synopsis = "exporter list [--network NAME]",
				    .about = "Lists the exporters, one for each network and site.",
				    .path = "/v1/exporters",
				    .by_network = true,
				    .print = exporters_print });
}

int cmd_exporter_remove(int argc, char **argv)
{
	return command_delete(
		argc, argv,
		&(struct command_delete){
			.synopsis = "exporter remove ID",
			.about =
				"Takes an exporter out, and its names with it. It needs a token made after that to join again.",
			.path = "/v1/exporters/",
			.noun = "exporter",
			.done = "removed" });
}
