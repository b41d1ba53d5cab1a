/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter as a whole. One thread.
 */
#include "exporter/exporter.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/cluster.h"
#include "exporter/inbox.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/x509.h"
#include "schemas/record.h"

#define RETRY_FIRST (2 * USEC_PER_SEC)
#define RETRIES_DOUBLED 5 /* up to 64 s */
#define CHECK_USEC (300 * USEC_PER_MSEC)
#define OUTSIDE_TOLD 5 /* of so many at most the names are logged */

static int PRINTF(3, 4) fail(struct exporter *x, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->failed, sizeof(x->failed), fmt, ap);
	va_end(ap);
	loop_stop(x->loop);
	return r;
}

void exporter_fail(struct exporter *x, const char *sentence)
{
	(void)fail(x, -EPERM, "%s", sentence);
}

void exporter_reconnect(struct exporter *x)
{
	x->reconnect = true;
	loop_timer_set(x->loop, &x->work, loop_now(x->loop));
}

int exporter_store_mesh(struct exporter *x)
{
	int r = state_mesh_put(x->state, &x->mesh);

	if (r < 0)
		log_error("state-not-stored", "error=%s", log_quote(state_message()));
	else if (x->cluster)
		cluster_store(x->cluster);
	return r;
}

/* ---- the grant ---- */

static bool is_granted(const struct grant *g, const char *name, const char *body, bool told)
{
	const struct addr *outside = NULL;
	struct record record = { 0 };
	struct arena a = { 0 };
	struct json_error err;
	char text[ADDR_SIZE];

	if (json_decode(&a, body, strlen(body), record_fields, &record, &err) == 0)
		outside = record_limit(&record, g->ranges, g->range_count);
	if (outside && !told)
		log_warn("outside-grant", "service=%s address=%s", log_quote(name),
			 addr_format(outside, text));
	arena_done(&a);
	return !outside;
}

static size_t count_outside(struct exporter *x, const struct grant *g, size_t tell)
{
	size_t outside = 0;

	for (const char *name = NULL; (name = publish_next(x->publish, name));)
		outside += !is_granted(g, name, publish_get(x->publish, name), outside >= tell);
	return outside;
}

/* The agents are those who refuse; here is said what they will, once. */
static void check_grant(struct loop_timer *t)
{
	struct exporter *x = container_of(t, struct exporter, check);
	const struct grant *g = granted_get(x->granted);
	size_t outside;

	if (!g)
		return;
	outside = count_outside(x, g, 0);
	if (outside > x->outside)
		(void)count_outside(x, g, OUTSIDE_TOLD);
	if (outside != x->outside)
		log_line(outside ? LOG_WARN : LOG_INFO, "grant", "records=%zu outside=%zu",
			 publish_count(x->publish), outside);
	x->outside = outside;
}

/* Not so soon that it is in the way of what is to be published. */
static void check_soon(struct exporter *x)
{
	loop_timer_set(x->loop, &x->check, loop_now(x->loop) + CHECK_USEC);
}

static void grant_changed(void *owner)
{
	struct exporter *x = owner;

	x->mesh.gateways = granted_position(x->granted);
	(void)exporter_store_mesh(x);
	check_soon(x);
}

static void grant_ended(void *owner, bool replaced)
{
	struct exporter *x = owner;

	if (replaced) {
		fail(x, -EPERM,
		     "another exporter for network %s and site %s has taken this one's place; one "
		     "of them is enough%s. To take it back, remove %s and start it with a token",
		     x->mesh.network, x->mesh.site,
		     x->cluster ? ", and two clusters need a site each" : "", x->o.state);
		return;
	}
	if (state_mesh_forget(x->state) < 0)
		log_error("state-not-stored", "error=%s", log_quote(state_message()));
	fail(x, -EPERM,
	     "this exporter was taken out of network %s; start it with a token made after that",
	     x->mesh.network);
}

/* ---- certificates ---- */

/* Asks for another certificate between 50 and 75 % of this one's life, and every while until it is
 * there. */
static void renewal_plan(struct exporter *x)
{
	struct x509_info info = { 0 };
	int64_t life, at, now = clock_wall();
	uint16_t random;

	if (x509_info_read(x->mesh.certificate, &info) < 0)
		return;
	crypto_random(&random, sizeof(random));
	life = MAX(info.not_after - info.not_before, 0);
	at = info.not_before + life / 2 + life / 4 * random / UINT16_MAX;
	x509_info_done(&info);
	loop_timer_set(x->loop, &x->renewal,
		       loop_now(x->loop) + (uint64_t)MAX(at - now, 1) * USEC_PER_SEC);
}

static void renew(struct loop_timer *t)
{
	struct exporter *x = container_of(t, struct exporter, renewal);
	struct x509_info info = { 0 };
	uint64_t again = 60;

	if (session_is_connected(x->session))
		session_renew(x->session, x->rid);
	if (x509_info_read(x->mesh.certificate, &info) == 0)
		again = (uint64_t)MAX((info.not_after - info.not_before) / 50, 1);
	x509_info_done(&info);
	loop_timer_set(x->loop, t, loop_now(x->loop) + MIN(again, (uint64_t)3600) * USEC_PER_SEC);
}

void exporter_take_certificate(struct exporter *x, const char *certificate)
{
	char why[256];

	*x->rid = '\0';
	if (enrol_check_certificate(&x->identity, x->trust, certificate, clock_wall(), why,
				    sizeof(why)) != REFUSED_NOT) {
		log_warn("certificate-refused", "why=%s", log_quote(why));
		return;
	}
	x->mesh.certificate = arena_strdup(&x->arena, certificate);
	if (exporter_store_mesh(x) == 0)
		log_info("renewed", "exporter=%s", x->identity.key.id);
	renewal_plan(x);
	exporter_reconnect(x);
}

/* ---- the connection ---- */

static void connected(void *owner)
{
	struct exporter *x = owner;

	*x->broker_error = '\0';
	publish_connected(x->publish, x->session);
	granted_connected(x->granted, x->session);
}

static void disconnected(void *owner, const char *error)
{
	struct exporter *x = owner;

	if (strcmp(x->broker_error, error) != 0)
		log_warn("broker-disconnected", "error=%s", log_quote(error));
	snprintf(x->broker_error, sizeof(x->broker_error), "%s", error);
	publish_disconnected(x->publish);
	granted_disconnected(x->granted);
}

static void message(void *owner, const struct mqtt_message *m)
{
	inbox_message(owner, m);
}

static void connect_broker(struct exporter *x)
{
	x->session = session_new(&(struct session_config){ .loop = x->loop,
							   .state = x->state,
							   .identity = &x->identity,
							   .trust = x->trust,
							   .certificate = x->mesh.certificate,
							   .connected = connected,
							   .disconnected = disconnected,
							   .message = message,
							   .owner = x });
	session_offer(x->session, x->offer, x->offer_count);
}

/* ---- the source ---- */

static int take_records(void *owner, const struct map *records)
{
	struct exporter *x = owner;
	int r = publish_records(x->publish, records);

	if (r < 0)
		return r;
	check_soon(x);
	if (!x->session)
		connect_broker(x);
	return 0;
}

static int take_changes(void *owner, const struct map *changes)
{
	struct exporter *x = owner;
	int r = publish_changes(x->publish, changes);

	if (r == 0)
		check_soon(x);
	return r;
}

static void take_ranges(void *owner, const struct prefix *ranges, size_t count)
{
	struct exporter *x = owner;

	x->offer_count = MIN(count, ARRAY_SIZE(x->offer));
	for (size_t i = 0; i < x->offer_count; i++)
		x->offer[i] = ranges[i];
	if (x->session)
		session_offer(x->session, x->offer, x->offer_count);
}

static size_t count_published(void *owner)
{
	struct exporter *x = owner;

	return publish_count(x->publish);
}

static void source_failed(void *owner, const char *sentence)
{
	exporter_fail(owner, sentence);
}

static const struct source_events source_events = { .records = take_records,
						    .changes = take_changes,
						    .ranges = take_ranges,
						    .failed = source_failed,
						    .count = count_published };

static void work(struct loop_timer *t)
{
	struct exporter *x = container_of(t, struct exporter, work);

	if (!x->reconnect || !x->session)
		return;
	x->reconnect = false;
	publish_disconnected(x->publish);
	granted_disconnected(x->granted);
	session_free(TAKE(x->session), true);
	connect_broker(x);
}

/* The mesh is known: everything begins. */
static int begin(struct exporter *x)
{
	const struct publish_config c = { .loop = x->loop,
					  .state = x->state,
					  .identity = &x->identity,
					  .trust = x->trust,
					  .network = x->mesh.network };

	if (publish_new(&c, &x->publish) < 0)
		return fail(x, -EIO, "the journal in %s: %s", x->o.state, state_message());
	x->granted = granted_new(&(struct granted_config){ .loop = x->loop,
							   .trust = x->trust,
							   .network = x->mesh.network,
							   .id = x->identity.key.id,
							   .site = x->mesh.site,
							   .minimum = x->mesh.gateways,
							   .changed = grant_changed,
							   .ended = grant_ended,
							   .owner = x });
	renewal_plan(x);
	if (x->cluster) {
		/* What the broker has is not touched before the cluster was listed. */
		cluster_follow(x->cluster, &source_events);
		return 0;
	}
	source_file_start(x->file);
	if (!x->session)
		connect_broker(x);
	return 0;
}

/* ---- joining ---- */

static int take_trust(struct exporter *x)
{
	x->trust = trust_new(x->mesh.root_key);
	if (trust_take(x->trust, x->mesh.trust, strlen(x->mesh.trust), NULL) == REFUSED_NOT)
		return 0;
	return fail(x, -EBADMSG,
		    "the trust document in %s is damaged; remove the folder and start "
		    "with a new token",
		    x->o.state);
}

/* The position of the gateways journal at which our grant was there. */
static struct journal_position minimum_of(const struct join_answer *a)
{
	for (size_t i = 0; i < a->journal_count; i++) {
		struct topic t;

		if (journal_path_parse(a->journals[i].path, &t) == 0 &&
		    t.journal == JOURNAL_GATEWAYS && strcmp(t.network, a->exporter->network) == 0)
			return (struct journal_position){ a->journals[i].epoch,
							  a->journals[i].ver };
	}
	return (struct journal_position){ 0 };
}

static int take_answer(struct exporter *x, const struct join_answer *a)
{
	x->mesh = (struct state_mesh){
		.token = arena_strdup(&x->arena, x->token.id),
		.trust = arena_strdup(&x->arena, a->trust),
		.certificate = arena_strdup(&x->arena, a->certificate),
		.network = arena_strdup(&x->arena, a->exporter->network),
		.site = arena_strdup(&x->arena, a->exporter->site),
		.generation = a->exporter->generation,
		.gateways = minimum_of(a),
	};
	memcpy(x->mesh.root_key, x->token.root_key, KEY_LEN);
	trust_free(TAKE(x->trust));
	if (exporter_store_mesh(x) < 0)
		return fail(x, -EIO, "the state in %s: %s", x->o.state, state_message());
	log_info("joined", "network=%s site=%s exporter=%s generation=%llu", x->mesh.network,
		 x->mesh.site, x->identity.key.id, (unsigned long long)x->mesh.generation);
	return take_trust(x);
}

static void join_later(struct exporter *x)
{
	unsigned doubled = MIN(x->retries, (unsigned)RETRIES_DOUBLED);

	x->retries++;
	loop_timer_set(x->loop, &x->retry, loop_now(x->loop) + (RETRY_FIRST << doubled));
}

static void enrolled(void *owner, const struct enrol_result *r)
{
	struct exporter *x = owner;

	x->enrol = NULL;
	if (r->answer) {
		if (take_answer(x, &r->answer->body) == 0)
			(void)begin(x);
		return;
	}
	if (x->trust) {
		log_error("join-failed", "error=%s going_on_in=%s", log_quote(r->error),
			  x->mesh.network);
		(void)begin(x);
	} else if (r->refused) {
		fail(x, -EPERM, "%s", r->error);
	} else {
		log_error("join-failed", "error=%s", log_quote(r->error));
		join_later(x);
	}
}

static void join(struct exporter *x)
{
	x->enrol = enrol_start(x->loop, &x->token, &x->identity, enrolled, x);
}

static void retry(struct loop_timer *t)
{
	join(container_of(t, struct exporter, retry));
}

/* A token that admitted us once is not needed again; another one is. */
static int join_or_begin(struct exporter *x)
{
	int r = state_mesh_get(x->state, &x->arena, &x->mesh);
	char why[256];

	if (r < 0 && r != -ENOENT)
		return fail(x, r, "the state in %s: %s", x->o.state, state_message());
	if (r == 0 && (r = take_trust(x)) < 0)
		return r;
	if (!x->o.token && !x->trust)
		return fail(x, -EINVAL,
			    "--token is missing; `warren token create --role exporter` "
			    "prints one");
	if (x->o.token) {
		if (token_parse(x->o.token, &x->token, why, sizeof(why)) < 0)
			return fail(x, -EINVAL, "--token: %s", why);
		x->has_token = true;
	}
	if (x->trust && (!x->has_token || strcmp(x->token.id, x->mesh.token) == 0))
		return begin(x);
	join(x);
	return 0;
}

int exporter_open(struct exporter *x)
{
	int r = 0;

	if (!x->state)
		r = state_open(x->o.state, &x->state, x->failed, sizeof(x->failed));
	if (r < 0) {
		loop_stop(x->loop);
		return r;
	}
	if (!x->identity.tls_key && state_identity(x->state, &x->identity) < 0)
		return fail(x, -EIO, "the state in %s: %s", x->o.state, state_message());
	if (!x->cluster) {
		r = source_file_new(x->loop, x->o.services, &source_events, x, &x->file);
		if (r < 0)
			return fail(x, r, "the folder of %s: %s", x->o.services, strerror(-r));
	}
	return join_or_begin(x);
}

void exporter_lost(struct exporter *x)
{
	x->lost = true;
	session_free(TAKE(x->session), true);
	loop_stop(x->loop);
}

bool exporter_is_ready(const struct exporter *x, char ret_why[static EXPORTER_WHY_SIZE])
{
	*ret_why = '\0';
	if (x->cluster && cluster_is_standby(x->cluster))
		return true;
	if (x->cluster && !cluster_is_ready(x->cluster, ret_why))
		return false;
	if (session_is_connected(x->session))
		return true;
	snprintf(ret_why, EXPORTER_WHY_SIZE, "not connected to a broker%s%s",
		 *x->broker_error ? ": " : "", x->broker_error);
	return false;
}

int exporter_start(struct exporter *x, struct loop *l, const struct exporter_options *o)
{
	x->loop = l;
	x->o = *o;
	x->work.fired = work;
	x->renewal.fired = renew;
	x->retry.fired = retry;
	x->check.fired = check_grant;
	return o->kubernetes ? cluster_new(x, &x->cluster) : exporter_open(x);
}

void exporter_stop(struct exporter *x)
{
	enrol_cancel(TAKE(x->enrol));
	/* Of one that was taken out nothing is to be left at the broker. */
	session_free(TAKE(x->session), !*x->failed);
	loop_timer_del(x->loop, &x->work);
	loop_timer_del(x->loop, &x->renewal);
	loop_timer_del(x->loop, &x->retry);
	loop_timer_del(x->loop, &x->check);
	cluster_free(TAKE(x->cluster));
	source_file_free(x->file);
	publish_free(x->publish);
	granted_free(x->granted);
	trust_free(x->trust);
	if (x->has_token)
		token_done(&x->token);
	state_identity_done(&x->identity);
	state_close(x->state);
	arena_done(&x->arena);
}
