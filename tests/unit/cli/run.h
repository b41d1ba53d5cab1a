/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs `warren` in a child process against a server that plays the coordinator and the agent: a real
 * lib/http server on a Unix socket, turned by the test while it waits for the child. What the
 * child asked is in `asked`, one line for each request: METHOD PATH [network=.. what=..] [BODY].
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "lib/clock.h"
#include "lib/http.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "tests/test.h"

struct run {
	/* Set by the test before. */
	unsigned status;    /* of the answer */
	const char *answer; /* its body */
	size_t answer_len;  /* 0: strlen */
	const char *input;  /* standard input; NULL: /dev/null */
	const char *base;   /* instead of the server: WARREN_COORDINATOR and WARREN_AGENT */
	bool nobody;	    /* run as a user who may open nothing */
	bool silent;	    /* never answer */
	const char *path, *path_answer; /* what this one path is answered instead */
	unsigned path_status;
	/* Filled by run(). */
	struct buf asked, out, err;
	int exit;
	/* Private. */
	struct loop *loop;
	struct httpd *httpd;
	struct http_request *kept; /* not answered */
	char dir[64], address[96];
};

static void run_handle(void *owner, struct http_request *r)
{
	struct run *w = owner;
	const char *network = http_query(r, "network"), *what = http_query(r, "what"), *body;
	size_t len;

	body = http_body(r, &len);
	buf_printf(&w->asked, "%s %s", http_method(r), http_path(r));
	if (network)
		buf_printf(&w->asked, " network=%s", network);
	if (what)
		buf_printf(&w->asked, " what=%s", what);
	buf_printf(&w->asked, "%s%s\n", len ? " " : "", len ? body : "");
	if (w->silent)
		w->kept = r;
	else if (w->path && strcmp(http_path(r), w->path) == 0)
		http_reply(r, w->path_status, NULL, w->path_answer, strlen(w->path_answer));
	else
		http_reply(r, w->status, NULL, w->answer,
			   w->answer_len ? w->answer_len : strlen(w->answer));
}

/* The program's words are split at blanks, `+` in one is a blank. */
static int run_split(char *line, char **argv)
{
	int argc = 0;
	char *word;

	argv[argc++] = line; /* the name, for those who print argv[0] */
	while ((word = strsep(&line, " "))) {
		for (char *p = word; *p; p++)
			*p = *p == '+' ? ' ' : *p;
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	return argc;
}

static int run_file(const char *content)
{
	int fd = memfd_create("run", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void run_read(int fd, struct buf *out)
{
	char chunk[4096];
	ssize_t n;

	buf_clear(out);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(out, chunk, (size_t)n);
	close(fd);
}

__attribute__((noreturn)) static void run_child(const struct run *w, const char *line, int in,
						int out, int err)
{
	const char *base = w->base ? w->base : w->address;
	static char text[32768];
	char *argv[64];

	snprintf(text, sizeof(text), "%s", line);
	setenv("WARREN_COORDINATOR", base, 1);
	setenv("WARREN_AGENT", base, 1);
	program_invocation_short_name = (char[]){ "warren" };
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    (w->nobody && (setgid(65534) < 0 || setuid(65534) < 0)))
		_exit(100);
	exit(command_run(run_split(text, argv), argv));
}

/* Answers until the child has ended. */
static int run_wait(struct run *w, pid_t pid)
{
	uint64_t end = clock_mono() + 60 * USEC_PER_SEC;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		CHECK(clock_mono() < end);
		loop_turn(w->loop, USEC_PER_MSEC);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void run_begin(struct run *w)
{
	struct httpd_config c = {
		.address = w->address,
		.mode = 0600,
		.gid = (unsigned)-1,
		.handler = run_handle,
		.owner = w,
	};

	snprintf(w->dir, sizeof(w->dir), "/tmp/warren-cli-XXXXXX");
	CHECK(mkdtemp(w->dir));
	CHECK_INT(chmod(w->dir, 0755), 0);
	snprintf(w->address, sizeof(w->address), "unix:%s/socket", w->dir);
	w->loop = loop_new();
	CHECK_INT(httpd_new(w->loop, &c, &w->httpd), 0);
}

static void run_end(struct run *w)
{
	if (w->kept)
		http_reply(w->kept, 500, NULL, "", 0);
	httpd_free(w->httpd);
	loop_free(w->loop);
	rmdir(w->dir);
}

/* Runs `warren LINE` once. */
static void run(struct run *w, const char *line)
{
	int in = w->input ? run_file(w->input) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = run_file(""), err = run_file("");
	pid_t pid;

	buf_clear(&w->asked);
	run_begin(w);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_child(w, line, in, out, err);
	CHECK(pid > 0);
	w->exit = run_wait(w, pid);
	run_end(w);
	close(in);
	run_read(out, &w->out);
	run_read(err, &w->err);
}

static void run_done(struct run *w)
{
	buf_done(&w->asked);
	buf_done(&w->out);
	buf_done(&w->err);
}

/* Runs it once more with another answer; all there is to see is checked. NULL: not looked at. */
static inline void run_check(const char *line, unsigned status, const char *answer, int exit_status,
			     const char *asked, const char *out, const char *err)
{
	struct run w = { .status = status, .answer = answer };

	run(&w, line);
	if (asked)
		CHECK_STR(buf_cstr(&w.asked), asked);
	if (err)
		CHECK_STR(buf_cstr(&w.err), err);
	if (out)
		CHECK_STR(buf_cstr(&w.out), out);
	CHECK_INT(w.exit, exit_status);
	run_done(&w);
}
