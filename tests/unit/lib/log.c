/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/log: the form of a line, levels, quoting, the limit. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "lib/log.h"

static int lines = -1; /* standard error, to be read; a datagram is a write(2) */

static void capture(void)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
	CHECK(dup2(pair[1], STDERR_FILENO) >= 0);
	lines = pair[0];
	unsetenv("JOURNAL_STREAM");
}

/* The next write, "" when there is none. */
static const char *next(void)
{
	static char line[8192];
	ssize_t n = recv(lines, line, sizeof(line) - 1, 0);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

TEST(form)
{
	capture();
	log_info("peer-added", "node=%s port=%d", "a1", 7);
	CHECK_STR(next(), "info peer-added node=a1 port=7\n");
	log_error("broken", "%s", "");
	CHECK_STR(next(), "error broken \n");
	log_line(LOG_WARN, "odd", "why=x");
	CHECK_STR(next(), "warn odd why=x\n");
	CHECK_STR(next(), "");
}

TEST(journal_prefix)
{
	capture();
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_set_level(LOG_DEBUG);
	log_error("a", "k=1");
	CHECK_STR(next(), "<3>error a k=1\n");
	log_warn("a", "k=1");
	CHECK_STR(next(), "<4>warn a k=1\n");
	log_info("a", "k=1");
	CHECK_STR(next(), "<6>info a k=1\n");
	log_debug("a", "k=1");
	CHECK_STR(next(), "<7>debug a k=1\n");
}

TEST(levels)
{
	enum log_level level = LOG_ERROR;

	capture();
	log_debug("hidden", "k=1");
	CHECK_STR(next(), "");
	CHECK_INT(log_level_parse("debug", &level), 0);
	CHECK_INT(level, LOG_DEBUG);
	log_set_level(level);
	log_debug("shown", "k=1");
	CHECK_STR(next(), "debug shown k=1\n");
	log_set_level(LOG_ERROR);
	log_warn("hidden", "k=1");
	CHECK_STR(next(), "");
	CHECK_INT(log_level_parse("Debug", &level), -EINVAL);
	CHECK_INT(log_level_parse("", &level), -EINVAL);
}

TEST(one_event_is_one_line)
{
	char *large = malloc(10001);
	const char *line;

	capture();
	log_info("two", "a=%s", "x\ny\rz");
	CHECK_STR(next(), "info two a=x y z\n");
	memset(large, 'a', 10000);
	large[10000] = '\0';
	log_info("long", "a=%s", large);
	line = next();
	CHECK(strlen(line) > 1000 && strlen(line) <= 2048);
	CHECK_INT(line[strlen(line) - 1], '\n');
	CHECK_STR(next(), "");
	free(large);
}

TEST(errno_is_kept)
{
	capture();
	errno = ENOENT;
	log_info("e", "error=%m");
	CHECK_INT(errno, ENOENT);
	CHECK_STR(next(), "info e error=No such file or directory\n");
}

TEST(quote)
{
	char text[300];
	const char *q;

	CHECK_STR(log_quote(NULL), "-");
	CHECK_STR(log_quote(""), "\"\"");
	CHECK_STR(log_quote("a b=c"), "\"a b=c\"");
	CHECK_STR(log_quote("\"\\"), "\"\\\"\\\\\"");
	CHECK_STR(log_quote("\n\x1b\x7f\xff"), "\"\\x0a\\x1b\\x7f\\xff\"");
	memset(text, 'x', sizeof(text));
	text[200] = '\0';
	CHECK_INT(strlen(log_quote(text)), 202);
	text[200] = 'x';
	text[201] = '\0';
	q = log_quote(text);
	CHECK_INT(strlen(q), 205);
	CHECK_STR(q + 201, "...\"");
	memset(text, 1, 299);
	text[299] = '\0';
	CHECK_INT(strlen(log_quote(text)), 805);
}

TEST(quotes_fit_into_one_line)
{
	const char *q[8];
	char name[2] = "a";

	for (int i = 0; i < 8; i++, name[0]++)
		q[i] = log_quote(name);
	CHECK_STR(q[0], "\"a\"");
	CHECK_STR(q[7], "\"h\"");
}

TEST(limit_counts_what_it_refuses)
{
	struct log_limit l = { .per_minute = 600 };
	int allowed = 0;

	for (int i = 0; i < 1000; i++)
		allowed += log_allowed(&l);
	/* One more each 100 ms: the loop may have been slow. */
	CHECK(allowed >= 600 && allowed < 700);
	CHECK_INT(l.dropped, 1000 - allowed);
	usleep(250000);
	CHECK(log_allowed(&l));
	CHECK(log_allowed(&l));
}

TEST(limit_fills_up_to_its_size)
{
	struct log_limit l = { .per_minute = 3 };

	CHECK(log_allowed(&l) && log_allowed(&l) && log_allowed(&l));
	CHECK(!log_allowed(&l));
	l.filled -= 20 * 1000 * 1000ULL;
	CHECK(log_allowed(&l));
	CHECK(!log_allowed(&l));
	l.filled -= 3600 * 1000 * 1000ULL;
	CHECK(log_allowed(&l) && log_allowed(&l) && log_allowed(&l));
	CHECK(!log_allowed(&l));
	CHECK_INT(l.dropped, 3);
}

TEST_MAIN("log")
