/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren join | leave
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/hold.h"
#include "cli/say.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/opt.h"
#include "schemas/api.h"
#include "schemas/token.h"

/* The word itself, @FILE, or - for standard input; without the newline at its end. The word is wiped:
 * a process list shows it no longer than it must. */
static char *token_read(char *word)
{
	const char *path = word[0] == '@' ? word + 1 : "/dev/stdin";
	struct buf b = { 0 };
	char *token;
	int r;

	if (word[0] != '@' && strcmp(word, "-") != 0) {
		token = xstrdup(word);
		crypto_wipe(word, strlen(word));
		return token;
	}
	r = file_read(path, TOKEN_MAX, &b);
	if (r < 0)
		opt_fail(1, "the token cannot be read from %s: %s", path, strerror(-r));
	while (b.len && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == '\r'))
		b.data[--b.len] = '\0';
	if (!b.len || strlen(b.data) != b.len)
		opt_fail(1, "there is no token in %s; `warren token create` prints one", path);
	return buf_take(&b);
}

static void token_of(const char *text, const char *network)
{
	struct token token;
	char why[256];

	if (token_parse(text, &token, why, sizeof(why)) < 0)
		opt_fail(1, "the token cannot be read: %s", why);
	if (strcmp(token.network, network) != 0)
		opt_fail(1,
			 "the token is of network %s, not of %s; make one with "
			 "`warren token create --network %s`",
			 token.network, network, network);
	token_done(&token);
}

static void joined_print(const struct buf *answer)
{
	struct api_joined joined = { 0 };
	struct buf line = { 0 };
	struct arena a = { 0 };
	char text[ADDR_SIZE];

	client_decode(SERVER_AGENT, answer, &a, api_joined_fields, &joined);
	for (size_t i = 0; i < joined.address_count; i++)
		buf_printf(&line, " %s", addr_format(&joined.addresses[i], text));
	say("joined %s as %s: %s%s", joined.network, joined.name, joined.interface,
	    buf_cstr(&line));
	buf_done(&line);
	arena_done(&a);
}

int cmd_join(int argc, char **argv)
{
	struct buf body = { 0 }, answer = { 0 };
	struct api_join request = { 0 };
	const char *name = NULL, *network = NULL;
	bool json = false, hold = false;
	const struct opt opts[] = {
		{ .name = "name",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "the wished name (the host's)",
		  .value = &name },
		{ .name = "network",
		  .kind = OPT_VALUE,
		  .arg = "NETWORK",
		  .help = "refuse a token of another network",
		  .value = &network },
		{ .name = "hold",
		  .kind = OPT_FLAG,
		  .help = "stay, as the holder of the membership: another node gets a place "
			  "of a token made with --at-most when its holder is gone",
		  .flag = &hold },
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(argc, argv,
		  &(struct opt_command){
			  .synopsis = "join TOKEN [--name NAME] [--network NETWORK] [--hold]",
			  .about = "Joins this machine to the token's network, and "
				   "returns when the network is there. TOKEN may be "
				   "@FILE, or - for standard input.",
			  .opts = opts,
			  .min_args = 1,
			  .max_args = 1 });
	request.token = token_read(argv[1]);
	if (network)
		token_of(request.token, network);
	if (hold) {
		int status = hold_run(request.token, name);

		free(request.token);
		return status;
	}
	request.name = name ? xstrdup(name) : NULL;
	json_encode(&body, api_join_fields, &request);
	crypto_wipe(request.token, strlen(request.token));
	client_call(SERVER_AGENT, "POST", "/v1/join", buf_cstr(&body), &answer);
	if (json)
		client_print_json(SERVER_AGENT, &answer);
	else
		joined_print(&answer);
	free(request.token);
	free(request.name);
	buf_done(&body);
	buf_done(&answer);
	return 0;
}

static void left_print(const struct buf *answer)
{
	struct api_left left = { 0 };
	struct arena a = { 0 };

	client_decode(SERVER_AGENT, answer, &a, api_left_fields, &left);
	for (size_t i = 0; i < left.network_count; i++)
		say("left %s", left.networks[i]);
	if (!left.network_count)
		say("this machine is in no network");
	else if (!left.told)
		say("the coordinator is out of reach; it is told as soon as it is back");
	arena_done(&a);
}

int cmd_leave(int argc, char **argv)
{
	struct buf body = { 0 }, answer = { 0 };
	struct api_leave request = { 0 };
	bool json = false;
	const struct opt opts[] = {
		{ .name = "all",
		  .kind = OPT_FLAG,
		  .help = "leave every network",
		  .flag = &request.all },
		COMMAND_JSON(json),
		{ 0 },
	};
	int words = opt_parse(argc, argv,
			      &(struct opt_command){
				      .synopsis = "leave NETWORK|--all",
				      .about = "Takes this machine out of a network and leaves the "
					       "host as it was before.",
				      .opts = opts,
				      .max_args = 1 });

	if (request.all == (words == 1))
		opt_fail(2, "leave what? give one network, or --all; try --help");
	request.network = request.all ? NULL : argv[1];
	json_encode(&body, api_leave_fields, &request);
	client_call(SERVER_AGENT, "POST", "/v1/leave", buf_cstr(&body), &answer);
	if (json)
		client_print_json(SERVER_AGENT, &answer);
	else
		left_print(&answer);
	buf_done(&body);
	buf_done(&answer);
	return 0;
}
