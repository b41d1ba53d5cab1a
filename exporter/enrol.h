/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enrolling: the first connection, with the token's certificate (design section 6). It ends before the
 * lasting one begins.
 */
#pragma once

#include "lib/loop.h"
#include "schemas/enrol.h"

struct enrol;

/* The outcome. `answer` NULL: none, and `error` is one sentence; `refused`: the coordinator's own word,
 * which another attempt does not change. */
struct enrol_result {
	const struct enrol_answer *answer;
	const char *error;
	bool refused;
};

/* Starts. `done` is called once, from the loop, when the connection has ended; the enrolment is freed
 * after it. Borrowed: `token` and `who`. */
struct enrol *enrol_start(struct loop *l, const struct token *token, const struct identity *who,
			  void (*done)(void *owner, const struct enrol_result *r), void *owner);
void enrol_cancel(struct enrol *e);
