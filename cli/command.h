/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands. Each is a function that gets its own words (argv[0] is the program's name), reads
 * its options, asks, prints and returns the exit status, or ends the program with it: 0 done,
 * 1 refused or failed, 2 wrong usage, 3 the coordinator or the agent cannot be reached.
 */
#pragma once

#include <stdbool.h>

/* Finds the command in the table of all and runs it; knows --help and --version. */
int command_run(int argc, char **argv);

int cmd_network_create(int argc, char **argv);
int cmd_network_set(int argc, char **argv);
int cmd_network_list(int argc, char **argv);
int cmd_network_show(int argc, char **argv);
int cmd_network_delete(int argc, char **argv);
int cmd_network_release(int argc, char **argv);
int cmd_token_create(int argc, char **argv);
int cmd_token_list(int argc, char **argv);
int cmd_token_revoke(int argc, char **argv);
int cmd_node_list(int argc, char **argv);
int cmd_node_show(int argc, char **argv);
int cmd_node_rename(int argc, char **argv);
int cmd_node_remove(int argc, char **argv);
int cmd_gateway_create(int argc, char **argv);
int cmd_gateway_set(int argc, char **argv);
int cmd_gateway_list(int argc, char **argv);
int cmd_gateway_show(int argc, char **argv);
int cmd_gateway_delete(int argc, char **argv);
int cmd_name_add(int argc, char **argv);
int cmd_name_list(int argc, char **argv);
int cmd_name_delete(int argc, char **argv);
int cmd_dns_list(int argc, char **argv);
int cmd_dns_stanza(int argc, char **argv);
int cmd_exporter_list(int argc, char **argv);
int cmd_exporter_remove(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_leave(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_ping(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_diff(int argc, char **argv);

/* Most lists: [--network NAME] [--json], a GET of `path` (`/v1/nodes`) at the coordinator. */
struct command_list {
	const char *synopsis, *about, *path;
	bool by_network;		 /* it knows --network */
	void (*print)(const char *path); /* a table, without --json */
};
int command_list(int argc, char **argv, const struct command_list *c);
/* Most that take away: one word, a DELETE of `path` (`/v1/nodes/`) and the word at the coordinator, and
 * `NOUN WORD is DONE`. */
struct command_delete {
	const char *synopsis, *about, *path, *noun, *done;
};
int command_delete(int argc, char **argv, const struct command_delete *c);

/* --json, for an array of struct opt. */
#define COMMAND_JSON(variable)                                                                     \
	{                                                                                          \
		.name = "json", .kind = OPT_FLAG, .help = "print one JSON document",               \
		.flag = &(variable)                                                                \
	}
