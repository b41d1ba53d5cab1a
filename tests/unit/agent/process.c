/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other programs: run to their end, or set free.
 */
#include <errno.h>

#include "agent/process.h"
#include "tests/test.h"

TEST(run_waits_and_keeps_what_it_said)
{
	const char *const argv[] = { "/bin/sh", "-c", "read a; echo \"got $a\" >&2; exit 3", NULL };
	const char *const none[] = { "/nonexistent/program", NULL };
	char said[64];

	CHECK_INT(process_run(argv, "hello\n", 6, said, sizeof(said)), 3);
	CHECK_STR(said, "got hello");
	CHECK_INT(process_run(none, "", 0, said, sizeof(said)), -ENOENT);
	CHECK_STR(said, "");
}

TEST(run_gives_nothing_of_ours_away)
{
	const char *const argv[] = { "/bin/sh", "-c",
				     "ls /proc/self/fd | wc -w >&2; env | grep -c SECRET >&2",
				     NULL };
	char said[64];

	setenv("SECRET", "token", 1);
	CHECK_INT(process_run(argv, "", 0, said, sizeof(said)), 1);
	/* 0, 1, 2 and the folder itself. */
	CHECK_STR(said, "4\n0");
}

static pid_t detached(const char *command, struct process *p)
{
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	const char *const env[] = { "A=b", NULL };

	CHECK_INT(process_detach(argv, env, p), 0);
	CHECK(p->pid > 0);
	return p->pid;
}

TEST(detached_is_nobodys_child)
{
	struct process p;
	char words[64];

	detached("echo \"first\" >&2; echo \"last $A\" >&2; exit 1", &p);
	for (int i = 0; i < 500 && !process_ended(&p); i++)
		usleep(10000);
	CHECK(process_ended(&p));
	CHECK_INT(waitpid(p.pid, NULL, 0), -1);
	CHECK_INT(errno, ECHILD);
	process_last_words(&p, words, sizeof(words));
	CHECK_STR(words, "last b");
	process_forget(&p);
}

TEST(detached_may_write_for_ever)
{
	struct process p;
	char words[64];

	detached("i=0; while [ $i -lt 3000 ]; do echo 0123456789 >&2; i=$((i+1)); done 2>&2; "
		 "exit 0",
		 &p);
	for (int i = 0; i < 1000 && !process_ended(&p); i++)
		usleep(10000);
	CHECK(process_ended(&p));
	process_last_words(&p, words, sizeof(words));
	CHECK(strncmp(words, "0123456789", strlen(words)) == 0);
	process_forget(&p);
}

TEST(detached_that_is_not_there)
{
	const char *const argv[] = { "/nonexistent/program", NULL };
	struct process p;

	CHECK_INT(process_detach(argv, NULL, &p), -ENOENT);
}

TEST_MAIN("process")
