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

static void exporters_print(void)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_exporter *e = client_list(SERVER_COORDINATOR, "/v1/exporters", &a,
					     api_exporter_fields, sizeof(*e), &count);

	table_begin(&t, "ID", "NETWORK", "SITE", "GENERATION", "RECORDS", "ONLINE", "SEEN", NULL);
	for (size_t i = 0; i < count; i++) {
		table_text(&t, e[i].id);
		table_text(&t, e[i].network);
		table_text(&t, e[i].site);
		table_cell(&t, "%llu", (unsigned long long)e[i].generation);
		table_cell(&t, "%llu", (unsigned long long)e[i].records);
		table_text(&t, e[i].online ? "yes" : "no");
		table_ago(&t, e[i].last_seen);
	}
	table_print(&t);
	arena_done(&a);
}

int cmd_exporter_list(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = { COMMAND_JSON(json), { 0 } };

	opt_parse(argc, argv,
		  &(struct opt_command){
			  .synopsis = "exporter list",
			  .about = "Lists the exporters, one for each network and site.",
			  .opts = opts });
	if (json)
		client_get_json(SERVER_COORDINATOR, "/v1/exporters");
	else
		exporters_print();
	return 0;
}

int cmd_exporter_remove(int argc, char **argv)
{
	struct buf path = { 0 };

	opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = "exporter remove ID",
			.about =
				"Takes an exporter out, and its names with it. It needs a token made "
				"after that to join again.",
			.min_args = 1,
			.max_args = 1 });
	client_path(&path, "/v1/exporters/", argv[1], NULL);
	client_call(SERVER_COORDINATOR, "DELETE", buf_cstr(&path), NULL, NULL);
	say("exporter %s is removed", argv[1]);
	buf_done(&path);
	return 0;
}
