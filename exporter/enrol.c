/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enrolling. Owns the connection with the token's certificate and the request. One thread.
 */
#include "exporter/enrol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mqtt.h"

#define KEEPALIVE 15
#define PATIENCE (30 * USEC_PER_SEC)
#define AGAIN (3 * USEC_PER_SEC) /* the same bytes again: the coordinator may have been away */

struct enrol {
	struct loop *loop;
	const struct token *token;
	const struct identity *who;
	struct mqtt *mqtt;
	struct loop_timer timer, again;
	struct enrol_letter letter;
	char error[512];
	void (*done)(void *owner, const struct enrol_result *r);
	void *owner;
};

static void finish(struct enrol *e, const struct enrol_result *r)
{
	/* The lasting connection may begin in `done`: this one has to be gone. */
	mqtt_free(TAKE(e->mqtt));
	loop_timer_del(e->loop, &e->timer);
	loop_timer_del(e->loop, &e->again);
	e->done(e->owner, r);
	enrol_cancel(e);
}

static void late(struct loop_timer *t)
{
	struct enrol *e = container_of(t, struct enrol, timer);

	finish(e, &(struct enrol_result){ .error = e->error });
}

/* The request is not retained, and whoever is away when it passes does not hear it. */
static void send_request(struct enrol *e)
{
	const struct enrol_letter *l = &e->letter;

	if (mqtt_publish(e->mqtt, l->topic, l->document.data, l->document.len, 1, false) == 0)
		snprintf(e->error, sizeof(e->error),
			 "the coordinator does not answer (the broker %s does); is it running?",
			 mqtt_broker(e->mqtt));
	loop_timer_set(e->loop, &e->again, loop_now(e->loop) + AGAIN);
}

static void again(struct loop_timer *t)
{
	send_request(container_of(t, struct enrol, again));
}

static void connected(void *owner)
{
	struct enrol *e = owner;

	if (mqtt_subscribe(e->mqtt, e->letter.answer_topic) == 0)
		send_request(e);
}

static void disconnected(void *owner, const char *error)
{
	struct enrol *e = owner;

	loop_timer_del(e->loop, &e->again);
	snprintf(e->error, sizeof(e->error), "%s", error);
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
	refused = enrol_check(&a, e->token, e->who, m->topic, e->letter.hash, m->payload, m->len,
			      clock_wall(), &answer, why, sizeof(why));
	if (refused) {
		/* Not the coordinator's word: go on waiting for that. */
		log_warn("join-answer-refused", "cause=%s why=%s", refusal_names[refused],
			 log_quote(why));
		snprintf(e->error, sizeof(e->error), "%s", why);
	} else if (answer.body.refused) {
		finish(e, &(struct enrol_result){ .error = answer.body.refused->message,
						  .refused = true });
	} else {
		finish(e, &(struct enrol_result){ .answer = &answer });
	}
	arena_done(&a);
}

struct enrol *enrol_start(struct loop *l, const struct token *token, const struct identity *who,
			  void (*done)(void *owner, const struct enrol_result *r), void *owner)
{
	const struct enrol_wish wish = { 0 };
	struct enrol *e = xcalloc(1, sizeof(*e));

	e->loop = l;
	e->token = token;
	e->who = who;
	e->done = done;
	e->owner = owner;
	e->timer.fired = late;
	e->again.fired = again;
	enrol_letter(token, who, &wish, &e->letter);
	loop_timer_set(l, &e->timer, clock_mono() + PATIENCE);
	snprintf(e->error, sizeof(e->error), "the broker %s does not answer", token->brokers[0]);
	e->mqtt = mqtt_paho_new(
		l, &(struct mqtt_config){ .brokers = (const char *const *)(void *)token->brokers,
					  .broker_count = token->broker_count,
					  .client_id = e->letter.client,
					  .ca_pem = token->ca,
					  .cert_pem = token->certificate,
					  .key_pem = buf_cstr(&e->letter.tls_key),
					  .keepalive = KEEPALIVE,
					  .connected = connected,
					  .disconnected = disconnected,
					  .message = message,
					  .owner = e });
	return e;
}

void enrol_cancel(struct enrol *e)
{
	if (!e)
		return;
	mqtt_free(e->mqtt);
	loop_timer_del(e->loop, &e->timer);
	loop_timer_del(e->loop, &e->again);
	enrol_letter_done(&e->letter);
	free(e);
}
