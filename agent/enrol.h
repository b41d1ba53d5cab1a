/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enrolling: the first connection of a node that is in no network of the mesh yet, with the token's
 * certificate (design section 6). It ends before the lasting one begins.
 *
 * The request is signed by the token's and by the identity key; the same bytes go out again when the
 * connection was lost before the answer.
 */
#pragma once

#include "agent/identity.h"
#include "lib/loop.h"
#include "schemas/enrol.h"

#define ENROL_SECONDS 30

struct enrol;
struct enrol_result {
	/* NULL: joined. Else one sentence, and whether another attempt may change that. */
	const char *error;
	const char *code; /* of the coordinator's refusal; NULL: it is not its */
	bool unreachable; /* broker or coordinator did not answer */
	const struct enrol_answer *answer;
};
/* Starts. `done` is called once, from the loop; the connection is ended then, and `e` is freed after
 * it. All is copied but `who`. */
struct enrol *enrol_start(struct loop *l, const struct token *token, const struct identity *who,
			  const struct enrol_wish *wish, int64_t (*wall)(void),
			  void (*done)(void *owner, const struct enrol_result *r), void *owner);
/* `sending` is called before the request goes out for the first time: the broker is there. */
void enrol_before_sending(struct enrol *e, void (*sending)(void *owner));
void enrol_cancel(struct enrol *e);
