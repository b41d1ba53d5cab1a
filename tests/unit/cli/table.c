/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/table.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/mman.h>
#include <termios.h>

#include "cli/say.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/test.h"

static char printed[65536];

/* Prints the table; what came out on `fd` is in `printed`. */
static void print_to(struct table *t, int write_fd, int read_fd)
{
	int saved = dup(STDOUT_FILENO);
	ssize_t n;

	fflush(stdout);
	CHECK(dup2(write_fd, STDOUT_FILENO) >= 0);
	table_print(t);
	fflush(stdout);
	CHECK(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	n = read_fd == write_fd ? pread(read_fd, printed, sizeof(printed) - 1, 0) :
				  read(read_fd, printed, sizeof(printed) - 1);
	CHECK(n >= 0);
	printed[n] = '\0';
}

static void print(struct table *t)
{
	int fd = memfd_create("table", MFD_CLOEXEC);

	CHECK(fd >= 0);
	print_to(t, fd, fd);
	close(fd);
}

/* The same on a terminal, without colours and without the terminal's \r. */
static void print_on_terminal(struct table *t)
{
	struct termios raw = { 0 };
	int master, slave;

	setenv("NO_COLOR", "1", 1);
	cfmakeraw(&raw);
	CHECK_INT(openpty(&master, &slave, NULL, &raw, NULL), 0);
	print_to(t, slave, master);
	close(slave);
	close(master);
}

/* Characters of the longest line. */
static size_t widest_line(void)
{
	size_t widest = 0, n = 0;

	for (const char *p = printed; *p; p++) {
		n = *p == '\n' ? 0 : n + (((unsigned char)*p & 0xc0) != 0x80);
		widest = MAX(widest, n);
	}
	return widest;
}

static void repeat(char *ret, const char *what, size_t count)
{
	*ret = '\0';
	while (count--)
		strcat(ret, what);
}

TEST(columns_are_as_wide_as_they_must_be)
{
	struct table t = { 0 };

	table_begin(&t, "NAME", "N", "LAST", NULL);
	table_text(&t, "a");
	table_cell(&t, "%d", 12345);
	table_text(&t, "x");
	table_text(&t, "somebody");
	table_text(&t, "");
	table_text(&t, NULL);
	print(&t);
	CHECK_STR(printed, "NAME      N      LAST\n"
			   "a         12345  x\n"
			   "somebody  -      -\n");
}

TEST(indent_and_empty)
{
	struct table t = { .indent = "  " };

	table_begin(&t, "NAME", "ID", NULL);
	print(&t);
	CHECK_STR(printed, "  NAME  ID\n");
	CHECK(!t.cells && t.count == 0);
}

TEST(a_table_is_usable_again)
{
	struct table t = { .indent = " " };

	for (int i = 0; i < 2; i++) {
		table_begin(&t, "A", NULL);
		table_text(&t, "b");
		print(&t);
		CHECK_STR(printed, " A\n b\n");
	}
}

TEST(cuts_the_widest_at_80_columns)
{
	char wide[200], want[400], cut[200];
	struct table t = { 0 };

	repeat(wide, "w", 100);
	table_begin(&t, "NAME", "WIDE", "END", NULL);
	table_text(&t, "n1");
	table_text(&t, wide);
	table_text(&t, "end");
	print_on_terminal(&t);
	repeat(cut, "w", 80 - 4 - 2 - 2 - 3 - 1);
	snprintf(want, sizeof(want), "n1    %s…  end\n", cut);
	CHECK_STR(strchr(printed, '\n') + 1, want);
	CHECK_INT(widest_line(), 80);
}

/* What is piped into grep or kept in a file has every word. */
TEST(nothing_is_cut_elsewhere)
{
	char wide[200], want[400];
	struct table t = { 0 };

	repeat(wide, "w", 100);
	table_begin(&t, "NAME", "WIDE", "END", NULL);
	table_text(&t, "n1");
	table_text(&t, wide);
	table_text(&t, "end");
	print(&t);
	snprintf(want, sizeof(want), "n1    %s  end\n", wide);
	CHECK_STR(strchr(printed, '\n') + 1, want);
}

TEST(exactly_80_columns_are_not_cut)
{
	struct table t = { .indent = "  " };
	char wide[200];

	repeat(wide, "w", 80 - 2 - 4 - 2);
	table_begin(&t, "NAME", "WIDE", NULL);
	table_text(&t, "name");
	table_text(&t, wide);
	print_on_terminal(&t);
	CHECK_INT(widest_line(), 80);
	CHECK(!strstr(printed, "…"));
}

TEST(the_name_of_a_row_is_cut_last)
{
	char wide[200], id[] = "abcdefghijklmnop";
	struct table t = { 0 };

	repeat(wide, "w", 63);
	table_begin(&t, "ID", "B", "C", "D", "E", "F", "G", "H", NULL);
	table_text(&t, id);
	for (int i = 1; i < TABLE_COLUMNS_MAX; i++)
		table_text(&t, wide);
	table_text(&t, wide);
	for (int i = 1; i < TABLE_COLUMNS_MAX; i++)
		table_text(&t, wide);
	print_on_terminal(&t);
	CHECK(strstr(printed, "\nabcdefghijklmnop      w"));
	CHECK(strstr(printed, "\nwwwwwwwwwwwwwwwwwww…  w"));
	CHECK(widest_line() <= 80);
}

TEST(utf8_is_counted_in_characters)
{
	char wide[400], want[512], cut[400];
	struct table t = { 0 };

	repeat(wide, "ü", 100);
	table_begin(&t, "NAME", "B", NULL);
	table_text(&t, "zürich");
	table_text(&t, "x");
	table_text(&t, "bern");
	table_text(&t, wide);
	print_on_terminal(&t);
	repeat(cut, "ü", 80 - 6 - 2 - 1);
	snprintf(want, sizeof(want), "NAME    B\nzürich  x\nbern    %s…\n", cut);
	CHECK_STR(printed, want);
}

TEST(control_characters_do_not_reach_the_terminal)
{
	struct table t = { 0 };
	char text[] = "a\033[2J\r.\n\x7f.\xc2\x9b.\xc3\xbc";

	table_begin(&t, "NAME", NULL);
	table_text(&t, "a\033[31mb\nc\xc2\x85");
	print(&t);
	CHECK_STR(printed, "NAME\na?[31mb?c??\n");
	CHECK_STR(say_clean(text), "a?[2J?.??.??.\xc3\xbc");
}

TEST(bold_on_a_terminal_only)
{
	struct table t = { 0 };
	int master, slave;

	unsetenv("NO_COLOR");
	table_begin(&t, "NAME", NULL);
	table_text(&t, "a");
	print(&t);
	CHECK_STR(printed, "NAME\na\n");
	CHECK_INT(openpty(&master, &slave, NULL, NULL, NULL), 0);
	table_begin(&t, "NAME", NULL);
	table_text(&t, "a");
	print_to(&t, slave, master);
	CHECK_STR(printed, "\033[1mNAME\033[0m\r\na\r\n");
	setenv("NO_COLOR", "1", 1);
	table_begin(&t, "NAME", NULL);
	table_text(&t, "a");
	print_to(&t, slave, master);
	CHECK_STR(printed, "NAME\r\na\r\n");
}

TEST(lists)
{
	struct table t = { 0 };
	struct addr a[2];
	struct prefix p[2];
	char one[] = "one", two[] = "two", *words[] = { one, two };

	CHECK_INT(addr_parse("10.0.0.1", &a[0]), 0);
	CHECK_INT(addr_parse("fd00::1", &a[1]), 0);
	CHECK_INT(prefix_parse("10.0.0.0/24", &p[0]), 0);
	CHECK_INT(prefix_parse("fd00::/64", &p[1]), 0);
	table_begin(&t, "A", "P", "W", NULL);
	table_addresses(&t, a, 2);
	table_prefixes(&t, p, 2);
	table_words(&t, words, 2);
	table_addresses(&t, NULL, 0);
	table_prefixes(&t, NULL, 0);
	table_words(&t, NULL, 0);
	print(&t);
	CHECK_STR(printed, "A                 P                      W\n"
			   "10.0.0.1 fd00::1  10.0.0.0/24 fd00::/64  one,two\n"
			   "-                 -                      -\n");
}

TEST(ago_and_bytes)
{
	static const struct {
		int age;
		const char *text;
	} ages[] = { { 5, "5s ago" },	   { 119, "119s ago" },	       { 125, "2m ago" },
		     { 7190, "119m ago" }, { 7210, "2h ago" },	       { 172700, "47h ago" },
		     { 172810, "2d ago" }, { 400 * 86400, "400d ago" } };
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = { { 0, "0 B" },
		      { 1023, "1023 B" },
		      { 1024, "1.0 KiB" },
		      { 17715, "17.3 KiB" },
		      { UINT64_C(5) << 30, "5.0 GiB" },
		      { UINT64_MAX, "16384.0 PiB" } };
	struct table t = { 0 };
	char want[512] = "X\nnever\nnow\n";

	table_begin(&t, "X", NULL);
	table_ago(&t, 0);
	table_ago(&t, clock_wall() + 100);
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		table_ago(&t, clock_wall() - ages[i].age);
		sprintf(want + strlen(want), "%s\n", ages[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		table_bytes(&t, sizes[i].bytes);
		sprintf(want + strlen(want), "%s\n", sizes[i].text);
	}
	print(&t);
	CHECK_STR(printed, want);
}

TEST_MAIN("table")
