/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other programs: run one to its end, or start one that outlives us. They get no descriptor of ours
 * and none of our environment but PATH (tokens may be in it). Safe with threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base.h"

#define PROCESS_PATH_SIZE 256

/* Looks a program up in PATH and in the sbin folders. -ENOENT. */
int process_find(const char *name, char ret[static PROCESS_PATH_SIZE]) MUST_CHECK;

/* Runs a program (argv[0] is its path) with `input` as its standard input and waits at most 10 s.
 * Returns its exit status, or a negative errno: -ETIMEDOUT (it was killed), -ECANCELED (a signal
 * ended it), or why it could not be started. `output` gets the beginning of what it wrote to
 * standard error, without line ends at its end. */
int process_run(const char *const *argv, const char *input, size_t len, char *output, size_t size)
	MUST_CHECK;

/* A program that was started by process_detach, as long as somebody waits for it to be ready. */
struct process {
	pid_t pid;  /* nobody's child: for messages only */
	int alive;  /* pidfd: readable once it has ended; -1 unknown */
	int output; /* what it wrote to standard error, at most PROCESS_OUTPUT_MAX bytes */
};
#define PROCESS_OUTPUT_MAX 4096

/* Starts a program in its own session and not as our child. `env`: NAME=VALUE strings beside PATH,
 * NULL at its end. Only its standard error is kept, in memory and up to PROCESS_OUTPUT_MAX bytes:
 * later it writes into the void. */
int process_detach(const char *const *argv, const char *const *env, struct process *ret) MUST_CHECK;
bool process_ended(const struct process *p);
/* The last line that it wrote, "" when none. */
void process_last_words(const struct process *p, char *ret, size_t size);
/* Forgets it; it goes on running. */
void process_forget(struct process *p);
