/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The shapes that many commands have: a list, and taking one thing away.
 */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "lib/base.h"
#include "lib/opt.h"

int command_list(int argc, char **argv, const struct command_list *c)
{
	const char *network = NULL;
	struct buf path = { 0 };
	bool json = false;
	const struct opt opts[] = {
		{ .name = "network",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "only those of this network",
		  .value = &network },
		COMMAND_JSON(json),
		{ 0 },
	};

	opt_parse(argc, argv,
		  &(struct opt_command){ .synopsis = c->synopsis,
					 .about = c->about,
					 .opts = c->by_network ? opts : opts + 1 });
	buf_str(&path, c->path);
	if (network)
		client_path(&path, "?network=", network, NULL);
	if (json)
		client_get_json(SERVER_COORDINATOR, buf_cstr(&path));
	else
		c->print(buf_cstr(&path));
	buf_done(&path);
	return 0;
}

int command_delete(int argc, char **argv, const struct command_delete *c)
{
	struct buf path = { 0 };

	opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = c->synopsis, .about = c->about, .min_args = 1, .max_args = 1 });
	client_path(&path, c->path, argv[1], NULL);
	client_call(SERVER_COORDINATOR, "DELETE", buf_cstr(&path), NULL, NULL);
	say("%s %s is %s", c->noun, argv[1], c->done);
	buf_done(&path);
	return 0;
}
