/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/opt: command lines, variables, files, help. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>

#include "lib/opt.h"

static bool json;
static const char *name, *token, *max_stale;
static const char *ranges[3 + 1], *tokens[2 + 1];

static const struct opt opts[] = {
	{ .name = "json", .kind = OPT_FLAG, .help = "one JSON document", .flag = &json },
	{ .name = "name",
	  .kind = OPT_VALUE,
	  .arg = "NAME",
	  .help = "the wished name",
	  .value = &name },
	{ .name = "max-stale",
	  .kind = OPT_VALUE,
	  .arg = "DURATION",
	  .help = "drop the peers of a journal that has been stale for so long, and say so in the "
		  "status; without it nothing is ever dropped because of time alone",
	  .value = &max_stale },
	{ .name = "range",
	  .kind = OPT_LIST,
	  .arg = "CIDR",
	  .help = "a range",
	  .list = ranges,
	  .list_max = 3 },
	{ .name = "token",
	  .kind = OPT_VALUE,
	  .arg = "TOKEN",
	  .help = "the token",
	  .file = true,
	  .value = &token },
	{ .name = "tokens",
	  .kind = OPT_LIST,
	  .arg = "TOKEN",
	  .help = "tokens",
	  .file = true,
	  .list = tokens,
	  .list_max = 2 },
	{ .name = "an-option-with-a-name-that-is-long",
	  .kind = OPT_VALUE,
	  .arg = "HOST:PORT",
	  .help = "its text begins on the next line",
	  .value = &name },
	{ .name = NULL },
};

static const struct opt_command command = {
	.synopsis =
		"network create NAME [MORE] --range CIDR [--range CIDR6] [--mtu N] [--keepalive S] "
		"[--port N] [--max-stale 7d]",
	.about =
		"Makes a network with one or two ranges of addresses, one of each family, from which "
		"each node gets its own.",
	.opts = opts,
	.min_args = 1,
	.max_args = 2,
};

static char *words[20];

/* Splits at blanks, parses; returns opt_parse's value. */
static int parse(const char *line)
{
	static char text[400];
	char *rest = text, *word;
	int argc = 0;

	snprintf(text, sizeof(text), "%s", line);
	while ((word = strsep(&rest, " ")))
		words[argc++] = word;
	words[argc] = NULL;
	return opt_parse(argc, words, &command);
}

static char said[8192];

/* The same in a child; what it wrote is in `said`. Returns its exit status, 99 when it parsed. */
static int outcome(const char *line)
{
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	CHECK(pipe(fds) == 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		parse(line);
		_exit(99);
	}
	close(fds[1]);
	while ((n = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fds[0]);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void quiet_environment(void)
{
	static char program[] = "warren";

	clearenv();
	program_invocation_short_name = program;
}

TEST(words_and_options_in_any_order)
{
	quiet_environment();
	CHECK_INT(parse("x one --name n --json two --range=a --range b"), 2);
	CHECK_STR(words[0], "x");
	CHECK_STR(words[1], "one");
	CHECK_STR(words[2], "two");
	CHECK(!words[3]);
	CHECK(json);
	CHECK_STR(name, "n");
	CHECK_STR(ranges[0], "a");
	CHECK_STR(ranges[1], "b");
	CHECK(!ranges[2]);
	CHECK(!max_stale && !token);
}

TEST(double_dash_ends_the_options)
{
	quiet_environment();
	CHECK_INT(parse("x --name=a -- --json --"), 2);
	CHECK_STR(words[1], "--json");
	CHECK_STR(words[2], "--");
	CHECK(!json);
}

TEST(odd_values)
{
	quiet_environment();
	CHECK_INT(parse("x - --name= --max-stale=a=b"), 1);
	CHECK_STR(words[1], "-");
	CHECK_STR(name, "");
	CHECK_STR(max_stale, "a=b");
	CHECK_INT(parse("x w --name -5 --max-stale=--json"), 1);
	CHECK_STR(name, "-5");
	CHECK_STR(max_stale, "--json");
	CHECK_INT(parse("x w --name first --name last"), 1);
	CHECK_STR(name, "last");
}

TEST(defaults_stay)
{
	quiet_environment();
	name = "default";
	json = true;
	CHECK_INT(parse("x w"), 1);
	CHECK_STR(name, "default");
	CHECK(json);
}

TEST(environment)
{
	quiet_environment();
	setenv("WARREN_JSON", "1", 1);
	setenv("WARREN_NAME", "from-env", 1);
	setenv("WARREN_MAX_STALE", "7d", 1);
	setenv("WARREN_RANGE", "a,,b,c", 1);
	CHECK_INT(parse("x w"), 1);
	CHECK(json);
	CHECK_STR(name, "from-env");
	CHECK_STR(max_stale, "7d");
	CHECK_STR(ranges[0], "a");
	CHECK_STR(ranges[1], "b");
	CHECK_STR(ranges[2], "c");
	CHECK(!ranges[3]);
}

TEST(command_line_hides_the_environment)
{
	quiet_environment();
	setenv("WARREN_NAME", "from-env", 1);
	setenv("WARREN_MAX_STALE", "", 1);
	setenv("WARREN_RANGE", "a,b,c,too,many", 1);
	setenv("WARREN_JSON", "false", 1);
	max_stale = "default";
	json = true;
	CHECK_INT(parse("x w --name mine --range mine"), 1);
	CHECK_STR(name, "mine");
	CHECK_STR(ranges[0], "mine");
	CHECK(!ranges[1]);
	CHECK_STR(max_stale, "default");
	CHECK(!json);
}

TEST(wrong_usage)
{
	static const struct {
		const char *line, *says;
	} table[] = {
		{ "x", "warren: something is missing: warren network create NAME" },
		{ "x a b c", "warren: \"c\" is too much" },
		{ "x a --nane n", "warren: there is no option --nane; try --help" },
		{ "x a --nane=n", "warren: there is no option --nane; try --help" },
		{ "x a --nam n", "warren: there is no option --nam; try --help" },
		{ "x a -j", "warren: there is no option -j; try --help" },
		{ "x a --json=1", "warren: --json takes no value; try --help" },
		{ "x a --name", "warren: --name needs a value: NAME; try --help" },
		{ "x a --name --json", "warren: --name needs a value: NAME; try --help" },
		{ "x a --range 1 --range 2 --range 3 --range 4",
		  "warren: --range is given more than 3 times; try --help" },
		{ "x a --=5", "warren: there is no option --; try --help" },
		{ "x a --token @none", "warren: --token: cannot read none: No such file" },
	};

	quiet_environment();
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		CHECK_INT(outcome(table[i].line), 2);
		if (strncmp(said, table[i].says, strlen(table[i].says)) != 0)
			test_end(false, "%s: %s", table[i].line, said);
		/* One sentence, one line. */
		CHECK(strchr(said, '\n') == said + strlen(said) - 1);
		CHECK(strstr(said, "; try --help\n"));
	}
}

TEST(wrong_variables)
{
	quiet_environment();
	setenv("WARREN_JSON", "maybe", 1);
	CHECK_INT(outcome("x a"), 2);
	CHECK_STR(said, "warren: WARREN_JSON must be 1 or 0; try --help\n");
	CHECK_INT(outcome("x a --json"), 99);
	unsetenv("WARREN_JSON");
	setenv("WARREN_RANGE", "1,2,3,4", 1);
	CHECK_INT(outcome("x a"), 2);
	CHECK_STR(said, "warren: WARREN_RANGE is given more than 3 times; try --help\n");
}

TEST(values_from_files)
{
	char path[] = "/tmp/warren-test-XXXXXX", line[200];
	int fd = mkstemp(path);

	quiet_environment();
	CHECK(fd >= 0 && write(fd, "secret\n\n", 8) == 8);
	snprintf(line, sizeof(line), "x w --token @%s --tokens a --tokens @%s --name @%s", path,
		 path, path);
	CHECK_INT(parse(line), 1);
	CHECK_STR(token, "secret\n"); /* only the last newline goes */
	CHECK_STR(tokens[0], "a");
	CHECK_STR(tokens[1], "secret\n");
	CHECK(name[0] == '@'); /* not marked as a file */
	snprintf(line, sizeof(line), "@%s,b", path);
	setenv("WARREN_TOKENS", line, 1);
	CHECK_INT(parse("x w"), 1);
	CHECK_STR(tokens[0], "secret\n");
	CHECK_STR(tokens[1], "b");
	CHECK(ftruncate(fd, 0) == 0);
	snprintf(line, sizeof(line), "x w --token=@%s", path);
	CHECK_INT(parse(line), 1);
	CHECK_STR(token, "");
	CHECK(pwrite(fd, "a\0b", 3, 0) == 3);
	CHECK_INT(outcome(line), 2);
	CHECK(strstr(said, "is not a text file"));
	CHECK(ftruncate(fd, 65537) == 0);
	CHECK_INT(outcome(line), 2);
	CHECK(strstr(said, "File too large"));
	close(fd);
	unlink(path);
}

TEST(help_fits_80_columns)
{
	static const char *const lines[] = { "x --help", "x a b c --help", "x -h",
					     "x --name n --help" };

	quiet_environment();
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		CHECK_INT(outcome(lines[i]), 0);
		CHECK(strncmp(said, "Usage: warren network create NAME ", 33) == 0);
		for (const char *p = said; *p; p += strcspn(p, "\n") + 1) {
			size_t n = strcspn(p, "\n");

			if (n > 80 || (n > 0 && p[n - 1] == ' '))
				test_end(false, "%zu columns: %.*s", n, (int)n, p);
		}
		for (const struct opt *o = opts; o->name; o++)
			CHECK(strstr(said, o->name));
		CHECK(strstr(said, "  --json                one JSON document\n"));
		CHECK(strstr(said, "  --range CIDR...       a range\n"));
		CHECK(strstr(said, "  --an-option-with-a-name-that-is-long HOST:PORT\n"
				   "                        its text begins on the next line\n"));
		CHECK(strstr(said, "  --help                show this text\n"));
		CHECK(strstr(said, "        [--keepalive S] ")); /* not broken inside */
		CHECK(strstr(said, "WARREN_JSON"));
	}
}

TEST(command_without_options)
{
	static const struct opt_command bare = { .synopsis = "version", .max_args = -1 };
	char *argv[] = { (char[]){ "x" }, (char[]){ "a" }, (char[]){ "b" }, NULL };

	quiet_environment();
	CHECK_INT(opt_parse(3, argv, &bare), 2);
	CHECK_INT(opt_parse(1, argv, &bare), 0);
	CHECK(!argv[1]);
}

TEST(fail_says_and_exits)
{
	int fds[2], status;
	pid_t pid;
	ssize_t n;

	quiet_environment();
	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		opt_fail(3, "cannot reach %s", "it");
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(WEXITSTATUS(status), 3);
	n = read(fds[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	CHECK_STR(said, "warren: cannot reach it\n");
}

TEST_MAIN("opt")
