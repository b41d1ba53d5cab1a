/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who leads: one step after another, and replicas whose requests, answers and watches are lost, late and out
 * of order. Never two lead at one time.
 */
#include "exporter/lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/json.h"
#include "tests/test.h"

#define S USEC_PER_SEC

static struct lease_record record(const char *version, const char *holder)
{
	struct lease_record r = { .seconds = LEASE_DURATION_SECONDS };

	snprintf(r.version, sizeof(r.version), "%s", version);
	snprintf(r.holder, sizeof(r.holder), "%s", holder);
	return r;
}

static enum lease_step step_at(const struct lease *l, uint64_t now)
{
	uint64_t due;

	return lease_next(l, now, &due);
}

static struct lease make(const char *self)
{
	struct lease l = { 0 };

	snprintf(l.self, sizeof(l.self), "%s", self);
	return l;
}

/* Takes it at `now`. */
static struct lease leader(uint64_t now)
{
	struct lease_record none = record("", ""), ours = record("1", "a");
	struct lease l = make("a");

	lease_seen(&l, now, &none);
	lease_sent(&l, now, LEASE_CREATE);
	lease_answered(&l, now, 201, &ours);
	return l;
}

TEST(a_free_one_is_taken_at_once)
{
	struct lease_record none = record("", ""), released = record("7", "");
	struct lease l = make("a");

	CHECK_INT(step_at(&l, 5 * S), LEASE_WAIT);
	lease_seen(&l, 5 * S, &none);
	CHECK_INT(step_at(&l, 5 * S), LEASE_CREATE);
	l = make("a");
	lease_seen(&l, 5 * S, &released);
	CHECK_INT(step_at(&l, 5 * S), LEASE_TAKE);
	lease_sent(&l, 5 * S, LEASE_TAKE);
	CHECK_INT(step_at(&l, 5 * S), LEASE_WAIT);
}

TEST(anothers_is_taken_when_it_was_seen_unchanged_for_its_time)
{
	struct lease_record r = record("7", "b");
	struct lease l = make("a");
	uint64_t due;

	lease_seen(&l, 5 * S, &r);
	CHECK_INT(lease_next(&l, 14 * S, &due), LEASE_WAIT);
	CHECK_INT(due, 15 * S);
	lease_seen(&l, 9 * S, &r); /* told again: not a change */
	CHECK_INT(lease_next(&l, 14 * S, &due), LEASE_WAIT);
	CHECK_INT(due, 15 * S);
	r = record("8", "b");
	lease_seen(&l, 14 * S, &r);
	CHECK_INT(step_at(&l, 23 * S), LEASE_WAIT);
	CHECK_INT(step_at(&l, 24 * S), LEASE_TAKE);
	/* One that was deleted may still be thought to be held. */
	r = record("", "");
	lease_seen(&l, 24 * S, &r);
	CHECK_INT(step_at(&l, 33 * S), LEASE_WAIT);
	CHECK_INT(step_at(&l, 34 * S), LEASE_CREATE);
}

TEST(a_leader_renews_and_ends_in_time)
{
	struct lease l = leader(100 * S);
	struct lease_record r = record("2", "a");
	uint64_t due;

	CHECK(l.leads);
	CHECK_INT(lease_next(&l, 100 * S, &due), LEASE_WAIT);
	CHECK_INT(due, 100 * S + LEASE_RENEW);
	CHECK_INT(step_at(&l, due), LEASE_TAKE);
	lease_sent(&l, 103 * S, LEASE_TAKE);
	/* The answer is late: the time counts from the question. */
	lease_answered(&l, 105 * S, 200, &r);
	CHECK_INT(step_at(&l, 103 * S + LEASE_DEADLINE - 1), LEASE_TAKE);
	CHECK_INT(step_at(&l, 103 * S + LEASE_DEADLINE), LEASE_END);
	lease_sent(&l, 106 * S, LEASE_TAKE);
	CHECK_INT(lease_next(&l, 106 * S, &due), LEASE_WAIT);
	CHECK_INT(due, 103 * S + LEASE_DEADLINE);
	lease_answered(&l, 109 * S, -ETIMEDOUT, NULL);
	CHECK_INT(step_at(&l, 109 * S), LEASE_WAIT);
	CHECK_INT(step_at(&l, 110 * S), LEASE_END);
}

TEST(an_answer_that_is_too_late_makes_no_leader)
{
	struct lease_record none = record("", ""), r = record("1", "a");
	struct lease l = make("a");

	lease_seen(&l, S, &none);
	lease_sent(&l, S, LEASE_CREATE);
	lease_answered(&l, S + LEASE_DEADLINE, 201, &r);
	CHECK(!l.leads);
	CHECK_INT(step_at(&l, S + LEASE_DEADLINE), LEASE_TAKE);
}

TEST(a_conflict_is_looked_at)
{
	struct lease l = leader(100 * S);
	struct lease_record mine = record("3", "a"), other = record("4", "b");

	lease_sent(&l, 103 * S, LEASE_TAKE);
	lease_answered(&l, 103 * S, 409, NULL);
	CHECK_INT(step_at(&l, 103 * S), LEASE_LOOK);
	lease_sent(&l, 103 * S, LEASE_LOOK);
	lease_answered(&l, 103 * S, 200, &mine);
	CHECK_INT(step_at(&l, 103 * S), LEASE_TAKE);
	/* The watch is only a hint. */
	lease_seen(&l, 103 * S, &other);
	CHECK_INT(step_at(&l, 103 * S), LEASE_LOOK);
	lease_sent(&l, 103 * S, LEASE_LOOK);
	lease_answered(&l, 103 * S, 200, &other);
	CHECK_INT(step_at(&l, 103 * S), LEASE_END);
	l = leader(100 * S);
	lease_sent(&l, 103 * S, LEASE_TAKE);
	lease_answered(&l, 103 * S, 404, NULL);
	CHECK_INT(step_at(&l, 103 * S), LEASE_END);
}

/* ---- the object */

TEST(the_object)
{
	static const char real[] =
		"{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\",\"metadata\":{\"name\":"
		"\"warren-exporter\",\"namespace\":\"warren\",\"uid\":\"9a8f\",\"resourceVersion\":\"311\","
		"\"creationTimestamp\":\"2026-11-25T01:56:20Z\",\"managedFields\":[{\"manager\":\"x\"}]},"
		"\"spec\":{\"holderIdentity\":\"e1_0011\",\"leaseDurationSeconds\":10,\"acquireTime\":"
		"\"2026-11-25T01:56:20.000001Z\",\"renewTime\":\"2026-11-25T01:56:21.000001Z\","
		"\"leaseTransitions\":3}}";
	static const char no_version[] =
		"{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"},\"spec\":{}}";
	char name[LEASE_HOLDER_SIZE];
	struct buf out = { 0 };
	struct lease_record r;

	CHECK_INT(lease_decode(real, strlen(real), &r, name), 0);
	CHECK_STR(name, "warren-exporter");
	CHECK_STR(r.version, "311");
	CHECK_STR(r.holder, "e1_0011");
	CHECK_INT(r.transitions, 3);
	/* A renewal keeps since when, and how often it changed hands. */
	lease_encode(&out, "warren", "warren-exporter", "e1_0011", &r, 1795572000000007);
	CHECK_STR(
		buf_cstr(&out),
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"
		"\"warren-exporter\",\"namespace\":\"warren\",\"resourceVersion\":\"311\"},\"spec\":{"
		"\"holderIdentity\":\"e1_0011\",\"leaseDurationSeconds\":10,\"acquireTime\":"
		"\"2026-11-25T01:56:20.000001Z\",\"renewTime\":\"2026-11-25T02:00:00.000007Z\","
		"\"leaseTransitions\":3}}");
	buf_clear(&out);
	lease_encode(&out, "warren", "warren-exporter", "e2_0022", &r, 1795572000000007);
	CHECK(strstr(buf_cstr(&out), "\"acquireTime\":\"2026-11-25T02:00:00.000007Z\""));
	CHECK(strstr(buf_cstr(&out), "\"leaseTransitions\":4"));
	buf_done(&out);
	CHECK_INT(lease_decode("{}", 2, &r, name), -EBADMSG);
	CHECK_INT(lease_decode(no_version, strlen(no_version), &r, name), -EBADMSG);
}

/* ---- replicas in a world that is not kind */

#define REPLICAS 3
#define FLIGHTS 128
#define TIMEOUT (3 * S)

enum flight_kind { NOTHING, REQUEST, ANSWER, EVENT };

struct flight { /* something under way */
	enum flight_kind kind;
	unsigned who, id;
	enum lease_step step;
	struct lease_record record; /* a request's is over this one, and with this holder */
	int status;
	uint64_t at;
};

struct replica {
	struct lease lease;
	unsigned id; /* of what it asked last */
	uint64_t skew, asked;
};

struct world {
	struct lease_record record;
	unsigned version, names;
	struct replica replicas[REPLICAS];
	struct flight flights[FLIGHTS];
};

static struct flight *fly(struct world *w, uint64_t at)
{
	static struct flight lost;

	for (size_t i = 0; i < FLIGHTS; i++)
		if (w->flights[i].kind == NOTHING) {
			w->flights[i].at = at;
			return &w->flights[i];
		}
	return &lost;
}

/* Mostly short, at times longer than a lease lasts. */
static uint64_t delay(void)
{
	return (uint64_t)rand() % (rand() % 8 ? 50000 : 15 * S);
}

static void change(struct world *w, const char *holder, uint64_t now)
{
	snprintf(w->record.version, sizeof(w->record.version), "%u", ++w->version);
	snprintf(w->record.holder, sizeof(w->record.holder), "%s", holder);
	w->record.seconds = LEASE_DURATION_SECONDS;
	for (unsigned i = 0; i < REPLICAS; i++)
		if (rand() % 8) {
			struct flight *f = fly(w, now + delay());

			f->kind = EVENT;
			f->who = i;
			f->record = w->record;
		}
}

/* The API server: by version, or not at all. */
static int serve(struct world *w, const struct flight *f, uint64_t now)
{
	bool there = *w->record.version != '\0';

	if (f->step == LEASE_LOOK)
		return there ? 200 : 404;
	if (f->step == LEASE_CREATE && there)
		return 409;
	if (f->step == LEASE_TAKE && !there)
		return 404;
	if (f->step == LEASE_TAKE && strcmp(f->record.version, w->record.version) != 0)
		return 409;
	change(w, f->record.holder, now);
	return 200;
}

static void land(struct world *w, struct flight *f, uint64_t now)
{
	struct flight was = *f, *back;
	struct replica *r = &w->replicas[was.who];

	f->kind = NOTHING;
	if (was.kind == EVENT) {
		lease_seen(&r->lease, now + r->skew, &was.record);
	} else if (was.kind == ANSWER) {
		if (r->lease.asks && r->id == was.id)
			lease_answered(&r->lease, now + r->skew, was.status, &was.record);
	} else {
		was.status = serve(w, &was, now);
		was.record = w->record;
		was.kind = ANSWER;
		back = fly(w, now + delay());
		was.at = back->at;
		*back = was;
	}
}

/* A process of that place, which has not led. */
static void start(struct world *w, unsigned i, uint64_t now)
{
	char name[32];

	snprintf(name, sizeof(name), "r%u-%u", i, ++w->names);
	w->replicas[i].lease = make(name);
	w->replicas[i].skew = (uint64_t)rand() % (1000 * S);
	lease_seen(&w->replicas[i].lease, now + w->replicas[i].skew, &w->record);
}

static void live(struct world *w, unsigned i, uint64_t now)
{
	struct replica *r = &w->replicas[i];
	enum lease_step step;
	struct flight *f;

	if (r->lease.asks && now >= r->asked + TIMEOUT)
		lease_answered(&r->lease, now + r->skew, -ETIMEDOUT, NULL);
	step = step_at(&r->lease, now + r->skew);
	if (step == LEASE_END)
		start(w, i, now);
	if (step == LEASE_END || step == LEASE_WAIT)
		return;
	lease_sent(&r->lease, now + r->skew, step);
	r->asked = now;
	r->id++;
	f = fly(w, now + delay());
	*f = (struct flight){ REQUEST, i, r->id, step, r->lease.record, 0, f->at };
	snprintf(f->record.holder, sizeof(f->record.holder), "%s", r->lease.self);
}

static unsigned count_leaders(const struct world *w, uint64_t now)
{
	unsigned n = 0;

	for (unsigned i = 0; i < REPLICAS; i++)
		n += w->replicas[i].lease.leads &&
		     step_at(&w->replicas[i].lease, now + w->replicas[i].skew) != LEASE_END;
	return n;
}

static void turn(struct world *w, uint64_t now)
{
	for (size_t k = 0; k < FLIGHTS; k++)
		if (w->flights[k].kind != NOTHING && w->flights[k].at <= now)
			land(w, &w->flights[k], now);
	for (unsigned i = 0; i < REPLICAS; i++)
		live(w, i, now);
	if (rand() % 4000 == 0) {
		unsigned i = (unsigned)rand() % REPLICAS;

		/* One that ends well gives it away, after it has stopped. */
		if (w->replicas[i].lease.leads &&
		    strcmp(w->record.holder, w->replicas[i].lease.self) == 0)
			change(w, "", now);
		start(w, i, now);
	}
}

TEST(never_two_lead)
{
	unsigned led = 0;

	for (unsigned seed = 0; seed < 60; seed++) {
		static struct world w;
		unsigned before = 0;

		srand(seed);
		w = (struct world){ 0 };
		for (unsigned i = 0; i < REPLICAS; i++)
			start(&w, i, 0);
		for (uint64_t now = 0; now < 600 * S; now += 20000) {
			unsigned n;

			turn(&w, now);
			n = count_leaders(&w, now);
			CHECK(n <= 1);
			led += n && !before;
			before = n;
		}
	}
	/* And it was about something. */
	CHECK(led > 300);
}

TEST_MAIN("lease")
