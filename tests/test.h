/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The whole of the unit test framework. A test program is one .c file:
 *
 *	TEST(parse_refuses_empty)
 *	{
 *		CHECK_INT(addr_parse(&a, ""), -EINVAL);
 *	}
 *
 *	TEST_MAIN("addr")
 *
 * and prints one line per test, in the order of the file: `PASS|FAIL|SKIP NAME SECONDS [why]`, where
 * NAME is addr-parse-refuses-empty. It exits with 1 if a test failed. With --list it prints the names.
 *
 * $ONLY (an extended regular expression) picks tests by name; $TEST_PREFIX is put before every name
 * (the sanitizer build runs as asan-).
 *
 * Each test runs in a child process of its own: one that crashes, leaks (under a sanitizer) or exits
 * fails alone, and none sees what another left in memory. A CHECK that fails ends the test at once, also
 * from a helper function; its file, line and values are the `why`. SKIP("why") ends it as skipped.
 * In gdb: `set follow-fork-mode child`.
 */
#pragma once

#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct test_case {
	const char *name;
	int line;
	void (*run)(void);
	struct test_case *next;
};

/* Shared with the child that runs the test. `why` may be set beforehand, to be shown if it crashes. */
struct test_result {
	bool failed, skipped, finished;
	char why[512];
};

static struct test_case *test_cases;
static struct test_result *test_result;

static inline void test_register(struct test_case *t)
{
	struct test_case **at = &test_cases;

	while (*at && (*at)->line < t->line)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
}

#define TEST(what)                                                                                 \
	static void test_##what(void);                                                             \
	__attribute__((constructor)) static void test_register_##what(void)                        \
	{                                                                                          \
		static struct test_case t = { #what, __LINE__, test_##what, NULL };                \
		test_register(&t);                                                                 \
	}                                                                                          \
	static void test_##what(void)

__attribute__((noreturn, format(printf, 2, 3))) static inline void test_end(bool skipped,
									    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(test_result->why, sizeof(test_result->why), fmt, ap);
	va_end(ap);
	test_result->skipped = skipped;
	test_result->failed = !skipped;
	test_result->finished = true;
	fflush(NULL);
	_exit(!skipped);
}

#define SKIP(why) test_end(true, "%s", why)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			test_end(false, "%s:%d: %s", __FILE__, __LINE__, #cond);                   \
	} while (0)

#define CHECK_INT(is, want)                                                                        \
	do {                                                                                       \
		long long test_is_ = (long long)(is), test_want_ = (long long)(want);              \
		if (test_is_ != test_want_)                                                        \
			test_end(false, "%s:%d: %s is %lld, not %s (%lld)", __FILE__, __LINE__,    \
				 #is, test_is_, #want, test_want_);                                \
	} while (0)

#define CHECK_STR(is, want)                                                                        \
	do {                                                                                       \
		const char *test_is_ = (is), *test_want_ = (want);                                 \
		if (!test_is_ || !test_want_ ? test_is_ != test_want_ :                            \
					       strcmp(test_is_, test_want_) != 0)                  \
			test_end(false, "%s:%d: %s is \"%s\", not \"%s\"", __FILE__, __LINE__,     \
				 #is, test_is_ ? test_is_ : "(null)",                              \
				 test_want_ ? test_want_ : "(null)");                              \
	} while (0)

static inline void test_run(struct test_case *t)
{
	int status = 0;
	pid_t pid;

	memset(test_result, 0, sizeof(*test_result));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		t->run();
		test_result->finished = true;
		exit(0); /* where LeakSanitizer looks */
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		perror("test");
		exit(2);
	}
	if (WIFSIGNALED(status) || !test_result->finished ||
	    (WEXITSTATUS(status) && !test_result->failed)) {
		char before[sizeof(test_result->why)];

		memcpy(before, test_result->why, sizeof(before));
		snprintf(test_result->why, sizeof(test_result->why), "%s%s %d%s%.400s",
			 test_result->finished ? "passed, then " : "",
			 WIFSIGNALED(status) ? "killed by signal" : "exited with",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
			 *before ? " " : "", before);
		test_result->failed = true;
	}
}

static inline int test_main(const char *module, int argc, char **argv)
{
	const char *only = getenv("ONLY"), *prefix = getenv("TEST_PREFIX");
	bool list = argc > 1 && strcmp(argv[1], "--list") == 0, failed = false;
	char name[256];
	regex_t re;

	if (regcomp(&re, only ? only : "", REG_EXTENDED | REG_NOSUB) != 0) {
		fprintf(stderr, "ONLY is not a regular expression: %s\n", only);
		return 2;
	}
	test_result = mmap(NULL, sizeof(*test_result), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (test_result == MAP_FAILED)
		return 2;
	for (struct test_case *t = test_cases; t; t = t->next) {
		struct timespec a, b;

		snprintf(name, sizeof(name), "%s%s-%s", prefix ? prefix : "", module, t->name);
		for (char *p = name + strlen(name) - strlen(t->name); *p; p++)
			*p = *p == '_' ? '-' : *p;
		if (regexec(&re, name, 0, NULL, 0) != 0)
			continue;
		if (list) {
			puts(name);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &a);
		test_run(t);
		clock_gettime(CLOCK_MONOTONIC, &b);
		for (char *p = test_result->why; *p; p++)
			*p = *p == '\n' ? ' ' : *p;
		printf("%s %s %.3f%s%s\n",
		       test_result->failed  ? "FAIL" :
		       test_result->skipped ? "SKIP" :
					      "PASS",
		       name, (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9,
		       *test_result->why ? " " : "", test_result->why);
		failed |= test_result->failed;
	}
	regfree(&re);
	munmap(test_result, sizeof(*test_result));
	return failed;
}

#define TEST_MAIN(module)                                                                          \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return test_main(module, argc, argv);                                              \
	}
