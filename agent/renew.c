/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The renewal of the node's certificate. Owns a copy of the one in use and one timer. One thread.
 */
#include "agent/renew.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/enrol.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/x509.h"

#define HOUR 3600
#define DAY (24 * HOUR)
#define WARN_FIRST (3 * DAY)
#define WARN_LAST (1 * DAY)

/* The wall clock may be set at any time, so it is looked at again and again. */
#define LOOK (60 * USEC_PER_SEC)
#define AGAIN_FIRST (60 * USEC_PER_SEC)
#define AGAIN_MAX (3600 * USEC_PER_SEC)
#define SOON (3 * USEC_PER_SEC)		  /* many nodes may have waited for the same coordinator */
#define RECONNECT_TRY USEC_PER_SEC	  /* while an answer is waited for */
#define RECONNECT_MAX (50 * USEC_PER_SEC) /* then it is cut */

struct renew {
	struct renew_config c;
	struct loop_timer timer;
	char *certificate; /* in use; NULL: none */
	int64_t not_before, not_after, due;
	int64_t word; /* the coordinator's latest time, and when we heard it */
	uint64_t word_at;

	bool asking;
	bool woken; /* renew_soon came while it was asked */
	unsigned failures;
	uint64_t backoff, not_sooner;
	uint64_t rest;	       /* one that was due when it was new: not at once the next */
	uint64_t reconnect_by; /* 0: the one in use is the newest */
	char why[256];	       /* the last attempt failed */
	int64_t warned;	       /* time that was left when it was logged */
};

static uint64_t below(uint64_t n)
{
	uint32_t x;

	crypto_random(&x, sizeof(x));
	return x % n;
}

static int64_t since(int64_t wall, uint64_t at)
{
	return wall + (int64_t)((clock_mono() - at) / USEC_PER_SEC);
}

static int64_t now(const struct renew *r)
{
	return MAX(MAX(clock_wall(), r->not_before), since(r->word, r->word_at));
}

static int64_t left(const struct renew *r)
{
	return r->not_after - now(r);
}

/* ---- what is said ---- */

static bool is_to_be_told(const struct renew *r)
{
	int64_t l = left(r);

	if (!r->certificate || l > WARN_FIRST)
		return false;
	return l <= 0 || r->failures || r->c.is_alone(r->c.owner);
}

bool renew_problem(const struct renew *r, char *ret, size_t size)
{
	char when[CLOCK_RFC3339_SIZE];
	int64_t l = left(r);

	if (!is_to_be_told(r))
		return false;
	clock_rfc3339(r->not_after, when);
	if (l <= 0)
		snprintf(
			ret, size,
			"this node's certificate ended at %s: once disconnected it is not let in by"
			" the broker any more (tunnels stay); join again with a new token",
			when);
	else
		snprintf(ret, size,
			 "this node's certificate ends at %s, in %" PRId64
			 " hours, and is not renewed: %s",
			 when, l / HOUR,
			 *r->why ? r->why : "the coordinator is away; is it running?");
	return true;
}

/* Once for each of the three. */
static void warn(struct renew *r)
{
	static const int64_t levels[] = { 0, WARN_LAST, WARN_FIRST };
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (left(r) > levels[i])
			continue;
		if (r->warned > levels[i] && renew_problem(r, text, sizeof(text))) {
			r->warned = levels[i];
			log_warn("certificate", "%s", text);
		}
		return;
	}
}

/* ---- asking ---- */

static void failed(struct renew *r, const char *why)
{
	r->asking = false;
	r->failures++;
	r->backoff = r->backoff ? MIN(2 * r->backoff, AGAIN_MAX) : AGAIN_FIRST;
	r->not_sooner =
		clock_mono() + (r->woken ? below(SOON) : r->backoff / 2 + below(r->backoff / 2));
	r->woken = false;
	snprintf(r->why, sizeof(r->why), "%s", why);
	log_warn("renewal-failed", "why=%s", log_quote(why));
}

static void ask(struct renew *r)
{
	struct buf csr = { 0 };

	identity_csr(r->c.identity, &csr);
	r->asking = r->c.ask(r->c.owner, buf_cstr(&csr));
	buf_done(&csr);
}

static void check(struct renew *r)
{
	uint64_t mono = clock_mono(), next = LOOK;

	if (!r->certificate) {
		loop_timer_del(r->c.loop, &r->timer);
		return;
	}
	if (r->reconnect_by) {
		if (r->c.reconnect(r->c.owner, mono >= r->reconnect_by))
			r->reconnect_by = 0;
		else
			next = RECONNECT_TRY;
	} else if (!r->asking && now(r) >= r->due) {
		uint64_t sooner = MAX(r->not_sooner, r->rest);

		if (mono >= sooner)
			ask(r);
		else
			next = MIN(next, sooner - mono);
	}
	warn(r);
	loop_timer_set(r->c.loop, &r->timer, mono + next);
}

static void fired(struct loop_timer *t)
{
	check(container_of(t, struct renew, timer));
}

void renew_soon(struct renew *r)
{
	r->woken = r->asking;
	r->backoff = 0;
	r->not_sooner = clock_mono() + (r->failures ? below(SOON) : 0);
	check(r);
}

void renew_unanswered(struct renew *r)
{
	if (!r->asking)
		return;
	failed(r, "the coordinator does not answer; is it running?");
	check(r);
}

void renew_answered(struct renew *r, const struct trust *trust, const char *certificate,
		    const char *refusal)
{
	char why[256];

	if (!r->asking)
		return;
	if (refusal) {
		failed(r, refusal);
	} else if (!certificate) {
		failed(r, "the coordinator's answer has no certificate");
	} else if (enrol_check_certificate(r->c.identity, trust, certificate, clock_wall(), why,
					   sizeof(why))) {
		failed(r, why);
	} else {
		r->asking = false;
		r->reconnect_by = clock_mono() + RECONNECT_MAX;
		log_info("certificate-renewed", "node=%s", r->c.identity->key.id);
		r->c.renewed(r->c.owner, certificate);
	}
	check(r);
}

/* ---- the certificate ---- */

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

void renew_use(struct renew *r, const char *certificate)
{
	struct x509_info info = { 0 };
	int64_t life;

	r->asking = r->woken = false;
	r->reconnect_by = 0;
	if (is_same(certificate, r->certificate))
		return;
	free(TAKE(r->certificate));
	if (certificate && x509_info_read(certificate, &info) == 0) {
		r->certificate = xstrdup(certificate);
		r->not_before = info.not_before;
		r->not_after = info.not_after;
		life = MAX(info.not_after - info.not_before, INT64_C(4));
		r->due = r->not_before + life / 2 + (int64_t)below((uint64_t)life / 4);
		/* It was not signed before that. */
		renew_signed_time(r, info.not_before);
		if (now(r) >= r->due)
			r->rest = clock_mono() + AGAIN_FIRST;
		r->failures = 0;
		*r->why = '\0';
		r->warned = INT64_MAX;
	} else if (certificate) {
		log_error("certificate-unreadable", "it is not renewed");
	}
	x509_info_done(&info);
	check(r);
}

void renew_signed_time(struct renew *r, int64_t wall)
{
	r->word = wall;
	r->word_at = clock_mono();
}

bool renew_has_ended(const struct renew *r)
{
	return r->certificate && left(r) <= 0;
}

/* ---- */

struct renew *renew_new(const struct renew_config *c)
{
	struct renew *r = xcalloc(1, sizeof(*r));

	r->c = *c;
	r->timer.fired = fired;
	return r;
}

void renew_free(struct renew *r)
{
	if (!r)
		return;
	loop_timer_del(r->c.loop, &r->timer);
	free(r->certificate);
	free(r);
}
