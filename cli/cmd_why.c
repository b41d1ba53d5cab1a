/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren why | diff: what the agent decided, and what it would do now.
 */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/opt.h"
#include "schemas/api.h"

static bool why_print(const struct buf *answer)
{
	struct api_why w = { 0 };
	struct arena a = { 0 };
	bool failed = false, ok;

	client_decode(SERVER_AGENT, answer, &a, api_why_fields, &w);
	for (size_t i = 0; i < w.step_count; i++) {
		const struct api_why_step *s = &w.steps[i];

		/* What comes behind the failure is told, but it is not where to look. */
		say("%-4s  %-9s  %s", s->ok ? "ok" : failed ? "-" : "FAIL", s->step, s->text);
		failed |= !s->ok;
	}
	ok = w.ok;
	arena_done(&a);
	return ok;
}

int cmd_why(int argc, char **argv)
{
	struct buf path = { 0 }, answer = { 0 };
	bool json = false, ok = true;
	const struct opt opts[] = { COMMAND_JSON(json), { 0 } };

	opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = "why NODE|ADDRESS|NAME",
			.about =
				"Says step by step which document, peer, route, rule and gateway "
				"serve a node, an address or a name, or at which step it fails: then "
				"the exit status is 1.",
			.opts = opts,
			.min_args = 1,
			.max_args = 1 });
	client_path(&path, "/v1/why?what=", argv[1], NULL);
	client_call(SERVER_AGENT, "GET", buf_cstr(&path), NULL, &answer);
	if (json)
		client_print_json(SERVER_AGENT, &answer);
	else
		ok = why_print(&answer);
	buf_done(&path);
	buf_done(&answer);
	return ok ? 0 : 1;
}

static void diff_print(void)
{
	struct api_diff d = { 0 };
	struct arena a = { 0 };

	client_get(SERVER_AGENT, "/v1/diff", &a, api_diff_fields, &d);
	for (size_t i = 0; i < d.op_count; i++)
		say("%s", d.ops[i]);
	if (!d.op_count)
		say("nothing: the kernel is as the documents say");
	arena_done(&a);
}

int cmd_diff(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = { COMMAND_JSON(json), { 0 } };

	opt_parse(
		argc, argv,
		&(struct opt_command){ .synopsis = "diff",
				       .about = "Shows what a full pass would change in the kernel "
						"now. It changes nothing.",
				       .opts = opts });
	if (json)
		client_get_json(SERVER_AGENT, "/v1/diff");
	else
		diff_print();
	return 0;
}
