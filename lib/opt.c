/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command lines and their environment. Owns the memory of what it read from files and split from
 * lists, until the process ends. Main thread, at the start.
 */
#include "lib/opt.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/mem.h"

#define HELP_WIDTH 80
#define HELP_COLUMN 30 /* the texts of options begin here at the latest */
#define FILE_MAX 65536
#define STATUS_USAGE 2

struct parser {
	const struct opt_command *command;
	bool *seen;	/* one for each option: given on the command line */
	size_t *counts; /* entries in its list */
};

static struct arena kept;

static const char *program(void)
{
	return program_invocation_short_name;
}

PRINTF(3, 0)
__attribute__((noreturn)) static void fail(int status, const char *hint, const char *fmt,
					   va_list ap)
{
	struct buf sentence = { 0 };
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	buf_printf(&sentence, "%s: %s%s\n", program(), text, hint);
	fputs(buf_cstr(&sentence), stderr);
	free(text);
	buf_done(&sentence);
	exit(status);
}

PRINTF(1, 2) __attribute__((noreturn)) static void usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(STATUS_USAGE, "; try --help", fmt, ap);
}

void opt_fail(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(status, "", fmt, ap);
}

static size_t opt_count(const struct opt_command *c)
{
	size_t n = 0;

	while (c->opts && c->opts[n].name)
		n++;
	return n;
}

/* Words of `text` in lines of HELP_WIDTH, from column `at` on, following lines at `indent`. What
 * stands in brackets is one word. */
static void wrap(struct buf *out, const char *text, size_t at, size_t indent)
{
	bool first = true;

	while (*text) {
		size_t n = *text == '[' ? strcspn(text, "]") : 0;

		n += strcspn(text + n, " ");
		if (!first && at + 1 + n > HELP_WIDTH) {
			buf_printf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			buf_char(out, ' ');
			at++;
		}
		buf_add(out, text, n);
		at += n;
		text += n;
		text += strspn(text, " ");
		first = false;
	}
	buf_char(out, '\n');
}

/* `--name ARG`, `--name ARG...` for a list. */
static void option_text(const struct opt *o, struct buf *out)
{
	buf_printf(out, "--%s", o->name);
	if (o->kind != OPT_FLAG)
		buf_printf(out, " %s%s", o->arg ? o->arg : "VALUE",
			   o->kind == OPT_LIST ? "..." : "");
}

static void option_help(const struct opt *o, size_t column, struct buf *out)
{
	struct buf left = { 0 };
	size_t at;

	buf_str(&left, "  ");
	option_text(o, &left);
	at = left.len;
	buf_add(out, left.data, left.len);
	if (at + 2 > column) {
		buf_char(out, '\n');
		at = 0;
	}
	buf_printf(out, "%*s", (int)(column - at), "");
	wrap(out, o->help ? o->help : "", column, column);
	buf_done(&left);
}

/* WARREN_NAME for --name. */
static void variable_name(const char *name, struct buf *out)
{
	buf_str(out, "WARREN_");
	for (; *name; name++)
		buf_char(out, *name == '-' ? '_' : (char)toupper((unsigned char)*name));
}

static bool has_list(const struct opt_command *c)
{
	for (size_t i = 0; i < opt_count(c); i++)
		if (c->opts[i].kind == OPT_LIST)
			return true;
	return false;
}

__attribute__((noreturn)) static void help(const struct opt_command *c)
{
	static const struct opt help_option = { .name = "help", .help = "show this text" };
	static const struct opt version_option = { .name = "version", .help = "print the version" };
	size_t column = 2 + strlen(c->version ? "--version" : "--help") + 2;
	struct buf out = { 0 };

	buf_printf(&out, "Usage: %s ", program());
	wrap(&out, c->synopsis ? c->synopsis : "", out.len, 8);
	if (c->about) {
		buf_char(&out, '\n');
		wrap(&out, c->about, 0, 0);
	}
	for (size_t i = 0; i < opt_count(c); i++) {
		struct buf left = { 0 };

		option_text(&c->opts[i], &left);
		if (left.len + 4 <= HELP_COLUMN)
			column = MAX(column, left.len + 4);
		buf_done(&left);
	}
	buf_str(&out, "\nOptions:\n");
	for (size_t i = 0; i < opt_count(c); i++)
		option_help(&c->opts[i], column, &out);
	if (c->version)
		option_help(&version_option, column, &out);
	option_help(&help_option, column, &out);
	if (opt_count(c)) {
		struct buf sentence = { 0 };

		buf_printf(&sentence, "Each option can also come from the environment: --%s is ",
			   c->opts[0].name);
		variable_name(c->opts[0].name, &sentence);
		buf_str(&sentence, has_list(c) ? "; a repeated option is a comma-separated list"
						 " there." :
						 ".");
		buf_char(&out, '\n');
		wrap(&out, buf_cstr(&sentence), 0, 0);
		buf_done(&sentence);
	}
	fputs(buf_cstr(&out), stdout);
	buf_done(&out);
	exit(fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* `value`, or what the file holds that it names. `where` is for the message. */
static const char *resolved(const struct opt *o, const char *where, const char *value)
{
	struct buf b = { 0 };
	const char *text;
	int r;

	if (!o->file || value[0] != '@')
		return value;
	r = file_read(value + 1, FILE_MAX, &b);
	if (r < 0)
		usage("%s: cannot read %s: %s", where, value + 1, strerror(-r));
	if (b.len && memchr(b.data, '\0', b.len))
		usage("%s: %s is not a text file", where, value + 1);
	if (b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	text = arena_strdup(&kept, buf_cstr(&b));
	buf_done(&b);
	return text;
}

static void store(struct parser *p, size_t i, const char *where, const char *value)
{
	const struct opt *o = &p->command->opts[i];

	if (o->kind == OPT_VALUE) {
		*o->value = resolved(o, where, value);
		return;
	}
	if (p->counts[i] == o->list_max)
		usage("%s is given more than %zu times", where, o->list_max);
	o->list[p->counts[i]++] = resolved(o, where, value);
	o->list[p->counts[i]] = NULL;
}

/* The option of this name (`n` characters); exits when there is none. */
static size_t find(const struct opt_command *c, const char *name, size_t n)
{
	for (size_t i = 0; i < opt_count(c); i++)
		if (strlen(c->opts[i].name) == n && memcmp(c->opts[i].name, name, n) == 0)
			return i;
	usage("there is no option --%.*s", (int)MIN(n, (size_t)64), name);
}

/* Reads the option at argv[at]; returns the place of the next argument. */
static int read_option(struct parser *p, int argc, char **argv, int at)
{
	const char *name = argv[at] + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	_cleanup_(freep) char *where = xasprintf("--%.*s", (int)MIN(n, (size_t)64), name);
	const struct opt *o;
	size_t i;

	if (strcmp(name, "help") == 0)
		help(p->command);
	if (p->command->version && strcmp(name, "version") == 0) {
		printf("%s %s\n", program(), p->command->version);
		exit(fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	i = find(p->command, name, n);
	o = &p->command->opts[i];
	p->seen[i] = true;
	if (o->kind == OPT_FLAG) {
		if (equals)
			usage("%s takes no value", where);
		*o->flag = true;
		return at + 1;
	}
	if (equals) {
		store(p, i, where, equals + 1);
		return at + 1;
	}
	if (at + 1 >= argc || strncmp(argv[at + 1], "--", 2) == 0)
		usage("%s needs a value: %s", where, o->arg ? o->arg : "VALUE");
	store(p, i, where, argv[at + 1]);
	return at + 2;
}

static void flag_from_variable(const struct opt *o, const char *variable, const char *value)
{
	static const char *const yes[] = { "1", "true", "yes", "on" };
	static const char *const no[] = { "0", "false", "no", "off" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
			*o->flag = strcmp(value, yes[i]) == 0;
			return;
		}
	}
	usage("%s must be 1 or 0", variable);
}

static void list_from_variable(struct parser *p, size_t i, const char *variable, const char *value)
{
	char *rest = arena_strdup(&kept, value), *entry;

	while ((entry = strsep(&rest, ",")))
		if (*entry)
			store(p, i, variable, entry);
}

static void read_environment(struct parser *p)
{
	for (size_t i = 0; i < opt_count(p->command); i++) {
		const struct opt *o = &p->command->opts[i];
		struct buf variable = { 0 };
		const char *value;

		variable_name(o->name, &variable);
		value = getenv(buf_cstr(&variable));
		if (p->seen[i] || !value || !*value)
			;
		else if (o->kind == OPT_FLAG)
			flag_from_variable(o, buf_cstr(&variable), value);
		else if (o->kind == OPT_LIST)
			list_from_variable(p, i, buf_cstr(&variable), value);
		else
			store(p, i, buf_cstr(&variable), value);
		buf_done(&variable);
	}
}

int opt_parse(int argc, char **argv, const struct opt_command *c)
{
	size_t count = opt_count(c);
	struct parser p = { .command = c };
	bool only_words = false;
	int words = 0;

	assert(argc >= 1);
	p.seen = xcalloc(count, sizeof(*p.seen));
	p.counts = xcalloc(count, sizeof(*p.counts));
	for (int at = 1; at < argc;) {
		if (only_words || argv[at][0] != '-' || argv[at][1] == '\0') {
			argv[++words] = argv[at++];
		} else if (strcmp(argv[at], "--") == 0) {
			only_words = true;
			at++;
		} else if (strcmp(argv[at], "-h") == 0) {
			help(c);
		} else if (argv[at][1] != '-') {
			usage("there is no option %.64s", argv[at]);
		} else {
			at = read_option(&p, argc, argv, at);
		}
	}
	argv[words + 1] = NULL;
	read_environment(&p);
	if (words < c->min_args)
		usage("something is missing: %s %s", program(), c->synopsis);
	if (c->max_args >= 0 && words > c->max_args)
		usage("\"%.64s\" is too much: %s %s", argv[c->max_args + 1], program(),
		      c->synopsis);
	free(p.seen);
	free(p.counts);
	return words;
}
