/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command lines: long options from a table, each also from the environment (--broker is
 * WARREN_BROKER; a repeated option is a comma-separated list there; --token also takes @FILE).
 * `--help` is made from the table, errors are one sentence on standard error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"

enum opt_kind { OPT_FLAG, OPT_VALUE, OPT_LIST };

struct opt {
	const char *name; /* without dashes; NULL ends the table */
	enum opt_kind kind;
	const char *arg; /* for --help: "HOST:PORT"; NULL for flags */
	const char *help;
	bool file; /* @FILE is replaced by the file's content without its last newline */
	/* where it goes */
	bool *flag;
	const char **value;
	const char **list; /* NULL-terminated array of at most list_max entries + 1 */
	size_t list_max;
};

struct opt_command {
	const char *synopsis; /* "network create NAME --range CIDR..." */
	const char *about;    /* one sentence */
	const struct opt *opts;
	int min_args, max_args; /* words beside the options; max -1: any number */
	const char *version;	/* "1.2.3": there is --version; NULL: there is none */
};

/* Reads `argv[1..]`: `--name VALUE`, `--name=VALUE`; `--` ends the options, which may stand before,
 * between and after the words. Words are gathered in argv[1..n] (argv[0] stays) with a NULL behind
 * them, and n (0 or more) is returned. An option on the command line hides its variable (an empty
 * variable counts as unset; a flag's is 1 or 0); of a value given twice the last counts. It prints
 * and exits itself: 0 after --help and --version, 2 on wrong usage (with the sentence and "try --help"). Strings
 * point into argv, the environment, or memory that is kept. */
int opt_parse(int argc, char **argv, const struct opt_command *c);
/* Prints "PROGRAM: SENTENCE" and exits. Status 1: refused, 2: usage, 3: cannot be reached. */
void opt_fail(int status, const char *fmt, ...) PRINTF(2, 3) __attribute__((noreturn));
