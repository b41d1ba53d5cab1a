/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren token create | list | revoke
 */
#include <stdio.h>
#include <string.h>

#include "cli/body.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/clock.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "schemas/api.h"

#define TAGS_MAX 32
#define RANGES_MAX 64

static unsigned role_parse(const char *text)
{
	for (unsigned i = 0; role_names[i]; i++)
		if (strcmp(role_names[i], text) == 0)
			return i;
	opt_fail(2, "--role: %s is no role; leave it away, or use node or exporter", text);
}

static void token_print(const struct buf *answer)
{
	struct api_token token = { 0 };
	struct arena a = { 0 };

	client_decode(SERVER_COORDINATOR, answer, &a, api_token_fields, &token);
	if (!token.token)
		opt_fail(1, "the coordinator's answer holds no token; are both of one version?");
	say("%s", token.token);
	arena_done(&a);
}

int cmd_token_create(int argc, char **argv)
{
	const char *network = NULL, *role = "node", *uses = NULL, *at_most = NULL, *expires = NULL,
		   *site = NULL, *forget = NULL, *tags[TAGS_MAX + 1] = { 0 },
		   *ranges[RANGES_MAX + 1] = { 0 };
	struct buf body = { 0 }, answer = { 0 };
	bool json = false;
	const struct opt opts[] = {
		{ .name = "network",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "the network that it admits to",
		  .value = &network },
		{ .name = "role",
		  .kind = OPT_VALUE,
		  .arg = "ROLE",
		  .help = "what its holders become: node (the default) or exporter",
		  .value = &role },
		{ .name = "uses",
		  .kind = OPT_VALUE,
		  .arg = "N",
		  .help = "how many nodes it admits (unlimited)",
		  .value = &uses },
		{ .name = "at-most",
		  .kind = OPT_VALUE,
		  .arg = "K",
		  .help = "how many nodes it admits at a time: one more takes the place of "
			  "the one whose `warren join --hold` is gone longest (unlimited)",
		  .value = &at_most },
		{ .name = "expires",
		  .kind = OPT_VALUE,
		  .arg = "DURATION",
		  .help = "how long it admits: 90s, 10m, 24h, 30d, never (24h)",
		  .value = &expires },
		{ .name = "tag",
		  .kind = OPT_LIST,
		  .arg = "TAG",
		  .help = "a tag that its nodes get; may be repeated",
		  .list = tags,
		  .list_max = TAGS_MAX },
		{ .name = "site",
		  .kind = OPT_VALUE,
		  .arg = "SITE",
		  .help = "the site of its nodes: it admits no others",
		  .value = &site },
		{ .name = "range",
		  .kind = OPT_LIST,
		  .arg = "CIDR",
		  .help = "role exporter: a range that its records may name beside those of "
			  "the site's gateways; may be repeated",
		  .list = ranges,
		  .list_max = RANGES_MAX },
		{ .name = "forget",
		  .kind = OPT_VALUE,
		  .arg = "DURATION",
		  .help = "how long a silent node is remembered (30d)",
		  .value = &forget },
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis = "token create --network NAME [OPTION...]",
					 .about = "Makes a join token and prints it, alone on "
						  "standard output. It is shown this once.",
					 .opts = opts });
	if (!network)
		opt_fail(2, "--network is missing; try --help");
	body_begin(&body);
	body_word(&body, "network", network);
	body_word(&body, "role", role_names[role_parse(role)]);
	body_number(&body, "uses", "uses", uses ? uses : "0", uses ? 1 : 0, 1000000);
	if (at_most)
		body_number(&body, "at_most", "at-most", at_most, 1, 1000000);
	body_word(&body, "expires", expires);
	body_word(&body, "site", site);
	body_word(&body, "forget", forget);
	body_words(&body, "tags", tags);
	body_words(&body, "ranges", ranges);
	client_call(SERVER_COORDINATOR, "POST", "/v1/tokens", body_end(&body), &answer);
	if (json)
		client_print_json(SERVER_COORDINATOR, &answer);
	else
		token_print(&answer);
	buf_done(&answer);
	buf_done(&body);
	return 0;
}

static void token_row(struct table *t, const struct api_token *k)
{
	char when[CLOCK_RFC3339_SIZE] = "never";

	if (k->expires)
		clock_rfc3339(k->expires, when);
	table_text(t, k->id);
	table_text(t, k->network);
	table_text(t, role_names[k->role]);
	if (k->uses)
		table_cell(t, "%llu/%llu", (unsigned long long)k->used,
			   (unsigned long long)k->uses);
	else
		table_cell(t, "%llu", (unsigned long long)k->used);
	table_text(t, k->revoked			       ? "revoked" :
		      k->expires && k->expires <= clock_wall() ? "expired" :
								 when);
	table_text(t, k->site);
	table_words(t, k->tags, k->tag_count);
}

static void tokens_print(const char *path)
{
	struct table t = { 0 };
	struct arena a = { 0 };
	size_t count;
	struct api_token *k =
		client_list(SERVER_COORDINATOR, path, &a, api_token_fields, sizeof(*k), &count);

	table_begin(&t, "ID", "NETWORK", "ROLE", "USED", "EXPIRES", "SITE", "TAGS", NULL);
	for (size_t i = 0; i < count; i++)
		token_row(&t, &k[i]);
	table_print(&t);
	arena_done(&a);
}

int cmd_token_list(int argc, char **argv)
{
	return command_list(
		argc, argv,
		&(struct command_list){
			.synopsis = "token list [--network NAME]",
			.about =
				"Lists the join tokens (not the tokens themselves: they are shown once).",
			.path = "/v1/tokens",
			.by_network = true,
			.print = tokens_print });
}

int cmd_token_revoke(int argc, char **argv)
{
	return command_delete(
		argc, argv,
		&(struct command_delete){
			.synopsis = "token revoke ID",
			.about =
				"Revokes a token: it admits nobody any more. Nodes that joined with it stay.",
			.path = "/v1/tokens/",
			.noun = "token",
			.done = "revoked" });
}
