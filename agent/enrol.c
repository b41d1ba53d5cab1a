/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enrolling. Owns the connection with the token's certificate and the request. One
 * thread.
 */
#include "agent/enrol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mqtt.h"
#include "lib/x509.h"

#define KEEPALIVE 15
#define AGAIN (3 * USEC_PER_SEC) /* the same bytes again: the coordinator may have been away */
#define ATTEMPTS 2		 /* before a broker with a wrong certificate is given up */

struct enrol {
	struct loop *loop;
	const struct identity *who;
	struct token token; /* only for what is checked: strings are in `arena` */
	struct arena arena;
	int64_t (*wall)(void);
	struct mqtt *mqtt;
	struct loop_timer timer, again;
	struct enrol_letter letter;
	bool sent;
	unsigned attempts;
	char error[512];
	char code[64];	 /* "": the coordinator refused nothing */
	char doubt[256]; /* why an answer was not the coordinator's; "": none came */
	void (*done)(void *owner, const struct enrol_result *r);
	void (*sending)(void *owner); /* NULL: nobody asks, or it was called */
	void *owner;
};

static void finish(struct enrol *e, const struct enrol_result *r)
{
	void (*done)(void *owner, const struct enrol_result *r) = e->done;
	void *owner = e->owner;

	/* The lasting connection may begin in `done`: this one has to be gone. */
	mqtt_free(TAKE(e->mqtt));
	loop_timer_del(e->loop, &e->timer);
	loop_timer_del(e->loop, &e->again);
	done(owner, r);
	enrol_cancel(e);
}

static void fail(struct enrol *e, bool unreachable)
{
	finish(e, &(struct enrol_result){ .error = e->error,
					  .code = *e->code ? e->code : NULL,
					  .unreachable = unreachable });
}

static void late(struct loop_timer *t)
{
	struct enrol *e = container_of(t, struct enrol, timer);

	if (e->sent)
		snprintf(e->error, sizeof(e->error),
			 "the coordinator does not answer (the broker %s does); is it running?%s%s",
			 e->token.brokers[0], *e->doubt ? " An answer was not taken: " : "",
			 e->doubt);
	fail(e, true);
}

/* The request is not retained, and whoever is away when it passes does not hear it. */
static void send_request(struct enrol *e)
{
	if (mqtt_publish(e->mqtt, e->letter.topic, e->letter.document.data, e->letter.document.len,
			 1, false) == 0)
		e->sent = true;
	loop_timer_set(e->loop, &e->again, loop_now(e->loop) + AGAIN);
}

static void again(struct loop_timer *t)
{
	struct enrol *e = container_of(t, struct enrol, again);

	if (e->sent)
		send_request(e);
}

static void connected(void *owner)
{
	struct enrol *e = owner;

	if (e->sending)
		TAKE(e->sending)(e->owner);
	if (mqtt_subscribe(e->mqtt, e->letter.answer_topic) == 0)
		send_request(e);
}

static void disconnected(void *owner, const char *error)
{
	struct enrol *e = owner;

	e->sent = false;
	snprintf(e->error, sizeof(e->error), "%s", error);
	/* Another attempt does not change a certificate. */
	if (++e->attempts >= ATTEMPTS * MAX(e->token.broker_count, (size_t)1) &&
	    strstr(error, "certificate"))
		fail(e, true);
}

static void message(void *owner, const struct mqtt_message *m)
{
	struct enrol_answer answer;
	struct enrol *e = owner;
	struct arena a = { 0 };
	char why[256];
	enum refusal refused;

	if (m->len == 0 || strcmp(m->topic, e->letter.answer_topic) != 0)
		return;
	refused = enrol_check(&a, &e->token, e->who, m->topic, e->letter.hash, m->payload, m->len,
			      e->wall(), &answer, why, sizeof(why));
	if (refused) {
		/* Not the coordinator's word: go on waiting for that. */
		log_warn("join-answer-refused", "cause=%s why=%s", refusal_names[refused],
			 log_quote(why));
		snprintf(e->doubt, sizeof(e->doubt), "%s", why);
	} else if (answer.body.refused) {
		snprintf(e->error, sizeof(e->error), "%s", answer.body.refused->message);
		snprintf(e->code, sizeof(e->code), "%s", answer.body.refused->code);
		fail(e, false);
	} else {
		finish(e, &(struct enrol_result){ .answer = &answer });
	}
	arena_done(&a);
}

static bool token_is_expired(struct enrol *e)
{
	char when[CLOCK_RFC3339_SIZE];
	struct x509_info info = { 0 };
	bool expired = false;

	if (x509_info_read(e->token.certificate, &info) == 0)
		expired = info.not_after <= e->wall();
	if (expired) {
		clock_rfc3339(info.not_after, when);
		snprintf(e->error, sizeof(e->error),
			 "token %s expired at %s by this machine's clock; ask for a new one",
			 e->token.id, when);
	}
	x509_info_done(&info);
	return expired;
}

static void expired(struct loop_timer *t)
{
	fail(container_of(t, struct enrol, timer), false);
}

static void copy_token(struct enrol *e, const struct token *t)
{
	struct arena *a = &e->arena;

	e->token.id = arena_strdup(a, t->id);
	e->token.mesh = arena_strdup(a, t->mesh);
	e->token.network = arena_strdup(a, t->network);
	e->token.brokers = arena_array(a, t->broker_count, sizeof(*e->token.brokers));
	for (size_t i = 0; i < t->broker_count; i++)
		e->token.brokers[i] = arena_strdup(a, t->brokers[i]);
	e->token.broker_count = t->broker_count;
	memcpy(e->token.root_key, t->root_key, KEY_LEN);
	e->token.ca = arena_strdup(a, t->ca);
	e->token.certificate = arena_strdup(a, t->certificate);
}

struct enrol *enrol_start(struct loop *l, const struct token *token, const struct identity *who,
			  const struct enrol_wish *wish, int64_t (*wall)(void),
			  void (*done)(void *owner, const struct enrol_result *r), void *owner)
{
	struct enrol *e = xcalloc(1, sizeof(*e));

	e->loop = l;
	e->who = who;
	e->wall = wall;
	e->done = done;
	e->owner = owner;
	copy_token(e, token);
	if (token_is_expired(e)) {
		e->timer.fired = expired;
		loop_timer_set(l, &e->timer, loop_now(l));
		return e;
	}
	enrol_letter(token, who, wish, &e->letter);
	e->timer.fired = late;
	e->again.fired = again;
	loop_timer_set(l, &e->timer, clock_mono() + ENROL_SECONDS * USEC_PER_SEC);
	snprintf(e->error, sizeof(e->error), "the broker %s does not answer", token->brokers[0]);
	e->mqtt = mqtt_paho_new(l, &(struct mqtt_config){
					   .brokers = (const char *const *)(void *)e->token.brokers,
					   .broker_count = e->token.broker_count,
					   .client_id = e->letter.client,
					   .ca_pem = e->token.ca,
					   .cert_pem = e->token.certificate,
					   .key_pem = buf_cstr(&e->letter.tls_key),
					   .keepalive = KEEPALIVE,
					   .connected = connected,
					   .disconnected = disconnected,
					   .message = message,
					   .owner = e,
				   });
	return e;
}

void enrol_before_sending(struct enrol *e, void (*sending)(void *owner))
{
	e->sending = sending;
}

void enrol_cancel(struct enrol *e)
{
	if (!e)
		return;
	mqtt_free(e->mqtt);
	loop_timer_del(e->loop, &e->timer);
	loop_timer_del(e->loop, &e->again);
	enrol_letter_done(&e->letter);
	arena_done(&e->arena);
	free(e);
}
