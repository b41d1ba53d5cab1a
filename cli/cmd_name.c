/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren name add | list | delete
 */
#include "cli/body.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/opt.h"
#include "schemas/api.h"

#define ADDRESSES_MAX 16

/* Where names stand: the network's option of add and delete. */
#define NETWORK_OPT(variable)                                                                      \
	{                                                                                          \
		.name = "network", .kind = OPT_VALUE, .arg = "NAME",                               \
		.help = "the network in whose zone it stands", .value = &(variable)                \
	}

static void name_print(const struct buf *answer)
{
	struct api_name n = { 0 };
	struct arena a = { 0 };
	struct buf line = { 0 };
	char text[ADDR_SIZE];

	client_decode(SERVER_COORDINATOR, answer, &a, api_name_fields, &n);
	for (size_t i = 0; i < n.address_count; i++)
		buf_printf(&line, " %s", addr_format(&n.addresses[i], text));
	say("%s.%s is%s", n.name, n.network, buf_cstr(&line));
	buf_done(&line);
	arena_done(&a);
}

int cmd_name_add(int argc, char **argv)
{
	struct buf body = { 0 }, answer = { 0 };
	const char *network = NULL, *words[ADDRESSES_MAX + 1] = { 0 };
	bool json = false;
	const struct opt opts[] = {
		NETWORK_OPT(network),
		COMMAND_JSON(json),
		{ 0 },
	};
	int n = opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = "name add NAME ADDRESS... --network NAME",
			.about = "Adds a name to a network's zone: NAME.NETWORK has these "
				 "addresses. One that is there gets them instead of its own.",
			.opts = opts,
			.min_args = 2,
			.max_args = 1 + ADDRESSES_MAX });

	if (!network)
		opt_fail(2, "--network is missing; try --help");
	for (int i = 2; i <= n; i++)
		words[i - 2] = argv[i];
	body_begin(&body);
	body_word(&body, "name", argv[1]);
	body_word(&body, "network", network);
	body_words(&body, "addresses", words);
	client_call(SERVER_COORDINATOR, "POST", "/v1/names", body_end(&body), &answer);
	if (json)
		client_print_json(SERVER_COORDINATOR, &answer);
	else
		name_print(&answer);
	buf_done(&answer);
	buf_done(&body);
	return 0;
}

static void names_print(const char *path)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_name *n =
		client_list(SERVER_COORDINATOR, path, &a, api_name_fields, sizeof(*n), &count);

	table_begin(&t, "NAME", "NETWORK", "ADDRESSES", NULL);
	for (size_t i = 0; i < count; i++) {
		table_text(&t, n[i].name);
		table_text(&t, n[i].network);
		table_addresses(&t, n[i].addresses, n[i].address_count);
	}
	table_print(&t);
	arena_done(&a);
}

int cmd_name_list(int argc, char **argv)
{
	return command_list(
		argc, argv,
		&(struct command_list){
			.synopsis = "name list [--network NAME]",
			.about =
				"Lists the names that were added by hand. `warren dns list` has all that are answered.",
			.path = "/v1/names",
			.by_network = true,
			.print = names_print });
}

int cmd_name_delete(int argc, char **argv)
{
	const char *network = NULL;
	struct buf path = { 0 };
	const struct opt opts[] = { NETWORK_OPT(network), { 0 } };

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis = "name delete NAME --network NAME",
					 .about = "Deletes a name that was added by hand.",
					 .opts = opts,
					 .min_args = 1,
					 .max_args = 1 });
	if (!network)
		opt_fail(2, "--network is missing; try --help");
	client_path(&path, "/v1/names/", network, "/", argv[1], NULL);
	client_call(SERVER_COORDINATOR, "DELETE", buf_cstr(&path), NULL, NULL);
	say("%s.%s is deleted", argv[1], network);
	buf_done(&path);
	return 0;
}
