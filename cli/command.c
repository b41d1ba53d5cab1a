/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of commands, from which usage and help are made.
 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/opt.h"
#include "schemas/api.h"

#define ABOUT_COLUMN 42

static const struct command {
	const char *noun, *verb; /* verb NULL: the noun alone is the command */
	int (*run)(int argc, char **argv);
	const char *words, *about;
} commands[] = {
	{ "network", "create", cmd_network_create, "NAME --range CIDR...", "make a network" },
	{ "network", "set", cmd_network_set, "NAME OPTION...", "change its settings" },
	{ "network", "list", cmd_network_list, "", "list the networks" },
	{ "network", "show", cmd_network_show, "NAME", "show one, with its orphans" },
	{ "network", "delete", cmd_network_delete, "NAME", "delete one that has no nodes" },
	{ "network", "release", cmd_network_release, "NAME", "end its orphans" },
	{ "token", "create", cmd_token_create, "--network NAME", "make a join token" },
	{ "token", "list", cmd_token_list, "[--network NAME]", "list the tokens" },
	{ "token", "revoke", cmd_token_revoke, "ID", "let it admit nobody any more" },
	{ "node", "list", cmd_node_list, "[--network NAME]", "list the nodes" },
	{ "node", "show", cmd_node_show, "NODE", "show one" },
	{ "node", "rename", cmd_node_rename, "NODE NEW", "give it another name" },
	{ "node", "remove", cmd_node_remove, "NODE", "take it out of all networks" },
	{ "gateway", "create", cmd_gateway_create, "--network NAME ...",
	  "carry a site's ranges into it" },
	{ "gateway", "set", cmd_gateway_set, "ID OPTION...", "change what is given" },
	{ "gateway", "list", cmd_gateway_list, "[--network NAME]", "list the gateways" },
	{ "gateway", "show", cmd_gateway_show, "ID", "show one" },
	{ "gateway", "delete", cmd_gateway_delete, "ID", "take its ranges out" },
	{ "name", "add", cmd_name_add, "NAME ADDRESS... --network N", "add a name to its zone" },
	{ "name", "list", cmd_name_list, "[--network NAME]", "list the added names" },
	{ "name", "delete", cmd_name_delete, "NAME --network NAME", "delete one" },
	{ "dns", "list", cmd_dns_list, "[--network NAME]", "list all names" },
	{ "dns", "stanza", cmd_dns_stanza, "--network NAME",
	  "what other DNS servers need for them" },
	{ "exporter", "list", cmd_exporter_list, "[--network NAME]", "list the exporters" },
	{ "exporter", "remove", cmd_exporter_remove, "ID", "take one out, with its names" },
	{ "join", NULL, cmd_join, "TOKEN [--name NAME] [--hold]",
	  "join this machine to a network" },
	{ "leave", NULL, cmd_leave, "NETWORK|--all", "take this machine out" },
	{ "status", NULL, cmd_status, "[--ready [--network NAME]]",
	  "this machine's networks and peers" },
	{ "ping", NULL, cmd_ping, "NODE|ADDRESS|NAME", "is it there?" },
	{ "why", NULL, cmd_why, "NODE|ADDRESS|NAME", "what serves it, or where it fails" },
	{ "diff", NULL, cmd_diff, "", "what the agent would change now" },
};

/* `noun` NULL: all commands. */
static void help(FILE *to, const char *noun)
{
	fprintf(to, "Usage: warren %s\n\n", noun ? noun : "COMMAND [OPTION...]");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];
		int n;

		if (noun && strcmp(c->noun, noun) != 0)
			continue;
		n = fprintf(to, "  %s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
			    *c->words ? " " : "", c->words);
		fprintf(to, "%*s%s\n", MAX(2, ABOUT_COLUMN - n), "", c->about);
	}
	fputs("\n`warren COMMAND --help` says more of each, warren(1) all of it. join, leave,\n"
	      "status, ping, why and diff ask this machine's agent, all others the coordinator.\n",
	      to);
}

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].noun, word) == 0)
			return true;
	return false;
}

/* `network` without a verb that we know. */
__attribute__((noreturn)) static void fail_verb(const char *noun, const char *verb)
{
	struct buf verbs = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].noun, noun) == 0)
			buf_printf(&verbs, "%s%s", verbs.len ? ", " : "", commands[i].verb);
	if (verb)
		opt_fail(2, "there is no command %s %.64s, only %s; try `warren %s --help`", noun,
			 verb, buf_cstr(&verbs), noun);
	opt_fail(2, "%s needs one of %s; try `warren %s --help`", noun, buf_cstr(&verbs), noun);
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* The command sees its options and words only, behind the program's name. */
static int run(const struct command *c, int argc, char **argv, int words)
{
	argv[words] = argv[0];
	return c->run(argc - words, argv + words);
}

int command_run(int argc, char **argv)
{
	const char *noun = argc > 1 ? argv[1] : NULL, *verb = argc > 2 ? argv[2] : NULL;

	if (!noun) {
		help(stderr, NULL);
		return 2;
	}
	if (is_help(noun) || strcmp(noun, "help") == 0) {
		help(stdout, verb && is_noun(verb) ? verb : NULL);
		return 0;
	}
	if (strcmp(noun, "--version") == 0) {
		puts("warren " WARREN_VERSION);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->noun, noun) != 0)
			continue;
		if (!c->verb)
			return run(c, argc, argv, 1);
		if (verb && strcmp(c->verb, verb) == 0)
			return run(c, argc, argv, 2);
	}
	if (!is_noun(noun))
		opt_fail(2, "there is no command %.64s; try `warren --help`", noun);
	if (!verb || !is_help(verb))
		fail_verb(noun, verb);
	help(stdout, noun);
	return 0;
}
