/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The node's certificate: when it is renewed, and what is said when it cannot be (design section 6).
 * It lives for seven days; a new one is asked for at a random point between 50 and 75 % of its life,
 * with a back-off from a minute to an hour, and taken into use by reconnecting within 60 s.
 *
 * Time is the latest of what is known: this machine's clock (there are nodes whose clock begins in
 * 1970), and what the coordinator has signed, counted on since it was read.
 */
#pragma once

#include "agent/identity.h"
#include "lib/loop.h"
#include "schemas/trust.h"

struct renew;

struct renew_config {
	struct loop *loop;
	const struct identity *identity;
	/* Sends the request; its end is told by renew_answered or renew_unanswered, or taken back by
	 * renew_use. False: there is no connection; renew_soon is called when there is one. */
	bool (*ask)(void *owner, const char *csr);
	/* A new certificate, checked: to be stored. */
	void (*renewed)(void *owner, const char *certificate);
	/* Connect with the stored certificate. False: something waits for an answer over the connection
	 * that there is, ask again. `now`: it must be now. A new connection is told by renew_use. */
	bool (*reconnect)(void *owner, bool now);
	/* Is there no broker or no coordinator to be seen? */
	bool (*is_alone)(void *owner);
	void *owner;
};

struct renew *renew_new(const struct renew_config *c);
void renew_free(struct renew *r);

/* A connection is made with this certificate; what was asked for over another one is forgotten. */
void renew_use(struct renew *r, const char *certificate);
/* The coordinator signed something at this time (wall seconds). */
void renew_signed_time(struct renew *r, int64_t wall);
/* There is a connection, or the coordinator has come: what is due is asked for within some seconds,
 * whatever the back-off says. */
void renew_soon(struct renew *r);

/* The coordinator's answer: a certificate, or the sentence of a refusal. */
void renew_answered(struct renew *r, const struct trust *trust, const char *certificate,
		    const char *refusal);
void renew_unanswered(struct renew *r);

bool renew_has_ended(const struct renew *r);
/* A sentence for `status`: less than three days left and nobody to renew it, or ended. False: all is
 * well. */
bool renew_problem(const struct renew *r, char *ret, size_t size);
