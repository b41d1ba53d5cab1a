/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The renewal of a certificate, with clocks that the test sets: no broker. */
#include "agent/renew.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/x509.h"
#include "tests/fakes/clock_fake.h"
#include "tests/test.h"

#define HOUR 3600
#define DAY (24 * HOUR)
#define LIFE (7 * DAY)

static struct loop *loop;
static struct renew *renew;
static struct identity who;
static struct trust *trust;
static char *ca, *ca_key;
static bool connected, alone, busy;
static unsigned asked, reconnects;
static char *stored; /* what the agent would connect with */

static char *take(struct buf *b)
{
	char *s = xstrdup(buf_cstr(b));

	buf_done(b);
	return s;
}

static char *issue(const char *tls_key, const char *id, int64_t from, int64_t until)
{
	char uri[64];
	const char *uris[] = { uri };
	const struct x509_issue what = {
		.uris = uris, .uri_count = 1, .not_before = from, .not_after = until
	};
	struct buf b = { 0 };

	snprintf(uri, sizeof(uri), "warren:node:%s", id);
	CHECK_INT(x509_issue_key(ca, ca_key, tls_key, &what, &b), 0);
	return take(&b);
}

/* As the coordinator does. */
static char *fresh(void)
{
	return issue(who.tls_key, who.key.id, clock_wall() - HOUR, clock_wall() + LIFE);
}

static bool on_ask(void *owner, const char *csr)
{
	(void)owner;
	CHECK(strstr(csr, "CERTIFICATE REQUEST") != NULL);
	asked += connected;
	return connected;
}

static void on_renewed(void *owner, const char *certificate)
{
	(void)owner;
	free(stored);
	stored = xstrdup(certificate);
}

static bool on_reconnect(void *owner, bool now)
{
	(void)owner;
	if (busy && !now)
		return false;
	reconnects++;
	renew_use(renew, stored);
	return true;
}

static bool on_alone(void *owner)
{
	(void)owner;
	return alone;
}

static void begin(void)
{
	struct sign_key root;
	struct buf b = { 0 };
	char *certificate;

	log_set_level(LOG_ERROR);
	loop = loop_new();
	sign_key_generate(&root);
	sign_key_generate(&who.key);
	x509_key_generate(&b);
	who.tls_key = take(&b);
	x509_key_generate(&b);
	ca_key = take(&b);
	CHECK_INT(x509_ca_create(ca_key, "test", clock_wall() - DAY, clock_wall() + 1000 * DAY, &b),
		  0);
	ca = take(&b);
	trust = trust_new(root.public_key);
	trust->body.cas = &ca;
	trust->body.ca_count = 1;
	sign_key_done(&root);
	connected = true;
	alone = busy = false;
	asked = reconnects = 0;
	renew = renew_new(&(struct renew_config){ .loop = loop,
						  .identity = &who,
						  .ask = on_ask,
						  .renewed = on_renewed,
						  .reconnect = on_reconnect,
						  .is_alone = on_alone });
	certificate = fresh();
	renew_use(renew, certificate);
	free(certificate);
}

static void end(void)
{
	renew_free(renew);
	trust->body = (struct trust_body){ 0 };
	trust_free(trust);
	identity_done(&who);
	free(TAKE(stored));
	free(ca);
	free(ca_key);
	loop_free(loop);
}

/* Lets time pass in steps that a timer of a minute notices. */
static void pass(int64_t seconds)
{
	while (seconds > 0) {
		int64_t step = MIN(seconds, INT64_C(61));

		clock_fake_step(step);
		seconds -= step;
		CHECK_INT(loop_turn(loop, 0), 0);
	}
}

static void answer(char *certificate, const char *refusal)
{
	renew_answered(renew, trust, certificate, refusal);
	free(certificate);
}

static bool says(const char *what)
{
	char text[512] = "";

	return renew_problem(renew, text, sizeof(text)) && strstr(text, what);
}

static bool is_silent(void)
{
	char text[512];

	return !renew_problem(renew, text, sizeof(text));
}

TEST(asked_between_50_and_75_percent)
{
	int64_t least = INT64_MAX, most = 0;

	begin();
	for (unsigned i = 0; i < 40; i++) {
		char *certificate = fresh();
		int64_t at = 3 * DAY + 10 * HOUR;

		renew_use(renew, certificate);
		free(certificate);
		asked = 0;
		pass(at);
		CHECK_INT(asked, 0);
		for (; !asked && at < 6 * DAY; at += HOUR)
			pass(HOUR);
		CHECK_INT(asked, 1);
		CHECK(at <= 5 * DAY + 7 * HOUR);
		least = MIN(least, at);
		most = MAX(most, at);
		CHECK(is_silent());
	}
	/* They do not all come at once. */
	CHECK(most - least > DAY / 2);
	end();
}

TEST(a_new_one_is_stored_and_used_within_a_minute)
{
	begin();
	pass(5 * DAY + 8 * HOUR);
	CHECK_INT(asked, 1);
	answer(fresh(), NULL);
	CHECK_INT(reconnects, 1);
	pass(3 * DAY);
	CHECK_INT(asked, 1);
	/* Somebody waits for an answer: not yet, but within 60 s. */
	busy = true;
	pass(2 * DAY + 8 * HOUR);
	CHECK_INT(asked, 2);
	answer(fresh(), NULL);
	for (unsigned i = 0; i < 40; i++) {
		clock_fake_step(1);
		CHECK_INT(loop_turn(loop, 0), 0);
	}
	CHECK_INT(reconnects, 1);
	for (unsigned i = 0; i < 20; i++) {
		clock_fake_step(1);
		CHECK_INT(loop_turn(loop, 0), 0);
	}
	CHECK_INT(reconnects, 2);
	end();
}

/* The coordinator's clock is behind by days. */
TEST(one_that_is_due_when_it_is_new_is_not_asked_for_at_once)
{
	begin();
	pass(5 * DAY + 8 * HOUR);
	CHECK_INT(asked, 1);
	answer(issue(who.tls_key, who.key.id, clock_wall() - 6 * DAY, clock_wall() + DAY), NULL);
	CHECK_INT(reconnects, 1);
	renew_soon(renew);
	pass(50);
	CHECK_INT(asked, 1);
	pass(20);
	CHECK_INT(asked, 2);
	end();
}

TEST(a_wrong_certificate_is_not_taken)
{
	char *other_ca = NULL, *other_ca_key = NULL, *other_key = NULL;
	struct buf b = { 0 };

	begin();
	x509_key_generate(&b);
	other_key = take(&b);
	pass(5 * DAY + 8 * HOUR);
	CHECK_INT(asked, 1);
	answer(issue(other_key, who.key.id, clock_wall() - HOUR, clock_wall() + LIFE), NULL);
	pass(2 * HOUR);
	CHECK_INT(asked, 2);
	answer(issue(who.tls_key, "aaaaaaaaaaaaaaaa", clock_wall() - HOUR, clock_wall() + LIFE),
	       NULL);
	pass(2 * HOUR);
	CHECK_INT(asked, 3);
	answer(issue(who.tls_key, who.key.id, clock_wall() - LIFE, clock_wall() - HOUR), NULL);
	pass(2 * HOUR);
	CHECK_INT(asked, 4);
	other_ca = ca;
	other_ca_key = ca_key;
	x509_key_generate(&b);
	ca_key = take(&b);
	CHECK_INT(x509_ca_create(ca_key, "x", clock_wall() - DAY, clock_wall() + 9 * DAY, &b), 0);
	ca = take(&b);
	trust->body.cas = &other_ca;
	answer(fresh(), NULL);
	CHECK_STR(stored, NULL);
	CHECK(says("not of the mesh's CA"));
	/* Nobody asked for this one. */
	free(ca);
	free(ca_key);
	ca = other_ca;
	ca_key = other_ca_key;
	trust->body.cas = &ca;
	answer(fresh(), NULL);
	CHECK_STR(stored, NULL);
	CHECK_INT(reconnects, 0);
	free(other_key);
	end();
}

TEST(refused_or_unanswered_it_is_asked_ever_more_rarely)
{
	unsigned before;

	begin();
	pass(5 * DAY + 8 * HOUR);
	CHECK_INT(asked, 1);
	renew_unanswered(renew);
	pass(20);
	CHECK_INT(asked, 1);
	CHECK(says("does not answer"));
	pass(65);
	CHECK_INT(asked, 2);
	for (unsigned i = 0; i < 10; i++) {
		answer(NULL, "this node is in no network any more; join again with a token");
		before = asked;
		pass(HOUR + 122);
		CHECK_INT(asked, before + 1);
	}
	answer(NULL, "this node is in no network any more; join again with a token");
	CHECK(says("in no network any more"));
	before = asked;
	pass(20 * 60);
	CHECK_INT(asked, before);
	/* The coordinator has come again: within seconds. */
	renew_soon(renew);
	clock_fake_step(4);
	renew_soon(renew);
	pass(5);
	CHECK_INT(asked, before + 1);
	answer(fresh(), NULL);
	CHECK(is_silent());
	CHECK_INT(reconnects, 1);
	end();
}

TEST(three_days_one_day_and_ended)
{
	begin();
	connected = false;
	alone = true;
	pass(3 * DAY + 23 * HOUR);
	CHECK(is_silent());
	pass(2 * HOUR + HOUR / 2);
	CHECK(says("in 70 hours"));
	/* With a coordinator there is still time. */
	alone = false;
	CHECK(is_silent());
	alone = true;
	pass(2 * DAY);
	CHECK(says("in 22 hours"));
	CHECK(!renew_has_ended(renew));
	pass(DAY);
	CHECK(renew_has_ended(renew));
	CHECK(says("certificate ended at"));
	CHECK(says("join again with a new token"));
	CHECK_INT(asked, 0);
	/* A connection that still lives is good for it. */
	connected = true;
	alone = false;
	CHECK(says("certificate ended at"));
	renew_soon(renew);
	CHECK_INT(asked, 1);
	answer(fresh(), NULL);
	CHECK(is_silent());
	CHECK(!renew_has_ended(renew));
	end();
}

TEST(an_ended_connection_takes_the_request_with_it)
{
	begin();
	pass(5 * DAY + 8 * HOUR);
	CHECK_INT(asked, 1);
	stored = fresh();
	renew_use(renew, stored); /* a join brought it */
	renew_unanswered(renew);
	CHECK(is_silent());
	answer(fresh(), NULL);
	CHECK_INT(reconnects, 0);
	pass(3 * DAY);
	CHECK_INT(asked, 1);
	end();
}

TEST(a_clock_that_begins_in_1970)
{
	int64_t real;

	begin();
	real = clock_wall();
	clock_fake_step_wall(-real);
	/* Counted on from when it was signed, one hour behind. */
	pass(3 * DAY);
	CHECK_INT(asked, 0);
	pass(2 * DAY + 10 * HOUR);
	CHECK_INT(asked, 1);
	answer(issue(who.tls_key, who.key.id, real + 5 * DAY, real + 12 * DAY), NULL);
	CHECK_INT(reconnects, 1);
	/* After a reboot only the coordinator's word says how late it is. */
	renew_signed_time(renew, real + 11 * DAY);
	pass(61);
	CHECK_INT(asked, 2);
	renew_signed_time(renew, real + 13 * DAY);
	CHECK(renew_has_ended(renew));
	clock_fake_step_wall(real);
	end();
}

TEST_MAIN("renew")
