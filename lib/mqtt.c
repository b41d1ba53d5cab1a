/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What both MQTT back ends have in common: which broker, which address, when, how long; and the
 * calls that the owner makes. Owns the configuration's copies, the back-off and the one timer. The
 * loop's thread.
 */
#include "lib/mqtt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/mqtt_backend.h"

#define ATTEMPT_USEC (10 * USEC_PER_SEC) /* from the first packet to the broker's consent */
#define ADDRESS_USEC (3 * USEC_PER_SEC)	 /* the same while the host has further addresses */
#define BACKOFF_USEC USEC_PER_SEC
#define BACKOFF_DOUBLINGS 5 /* 32 s, cut at BACKOFF_MAX_USEC */
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)
/* A connection that ends sooner counts as a failure: two clients with one id throw each other out. */
#define PROVEN_USEC (10 * USEC_PER_SEC)

static PRINTF(2, 0) void set_error(struct mqtt *m, const char *fmt, va_list ap)
{
	vsnprintf(m->error, sizeof(m->error), fmt, ap);
	/* Parts of it may come from the broker. */
	for (char *p = m->error; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static void forget_subscriptions(struct mqtt *m)
{
	while (m->subscriptions) {
		struct mqtt_subscription *s = m->subscriptions;

		m->subscriptions = s->next;
		free(s->filter);
		free(s);
	}
}

static void destroy(struct mqtt *m)
{
	m->ops->close(m, m->state == MQTT_CONNECTED);
	forget_subscriptions(m);
	for (size_t i = 0; i < m->target_count; i++)
		free(m->targets[i].url);
	free(m->targets);
	free(m->client_id);
	free(m->ca_pem);
	free(m->cert_pem);
	if (m->key_pem)
		crypto_wipe(m->key_pem, strlen(m->key_pem));
	free(m->key_pem);
	free(m->will_topic);
	free(m->will);
	m->ops->free(m);
}

static uint64_t random_below(uint64_t top)
{
	uint64_t r;

	crypto_random(&r, sizeof(r));
	return r % top;
}

/* Full jitter: anything between nothing and the bound, which doubles once all brokers were tried. */
static void try_later(struct mqtt *m)
{
	unsigned round = m->failures / (unsigned)m->target_count;
	uint64_t top = BACKOFF_USEC << MIN(round, (unsigned)BACKOFF_DOUBLINGS);

	m->state = MQTT_WAITING;
	loop_timer_set(m->loop, &m->timer,
		       loop_now(m->loop) + random_below(MIN(top, BACKOFF_MAX_USEC)));
}

static void tell_disconnected(struct mqtt *m)
{
	if (!m->dead && m->config.disconnected)
		m->config.disconnected(m->config.owner, m->error);
}

static void attempt_failed(struct mqtt *m)
{
	m->failures++;
	m->target_at = (m->target_at + 1) % m->target_count;
	try_later(m);
	tell_disconnected(m);
}

/* Tries the host's addresses from address_at on, until one can at least be begun with. */
static void open_next(struct mqtt *m)
{
	for (; m->address_at < m->address_count; m->address_at++) {
		bool last = m->address_at + 1 == m->address_count;

		if (m->connecting)
			m->connecting(m->config.owner);
		if (m->dead)
			return;
		m->state = MQTT_CONNECTING;
		loop_timer_set(m->loop, &m->timer,
			       clock_mono() + (last ? ATTEMPT_USEC : ADDRESS_USEC));
		if (m->ops->open(m, &m->addresses[m->address_at]) == 0)
			return;
		m->ops->close(m, false);
	}
	attempt_failed(m);
}

static void resolved(void *owner, const struct endpoint *e, size_t count, const char *error)
{
	struct mqtt *m = owner;

	m->resolve = NULL;
	mqtt_enter(m);
	if (count == 0) {
		snprintf(m->error, sizeof(m->error), "%s", error);
		attempt_failed(m);
	} else {
		m->address_count = m->ops->own_lookup ? 1 : MIN(count, (size_t)RESOLVE_MAX);
		m->address_at = 0;
		memcpy(m->addresses, e, m->address_count * sizeof(*e));
		open_next(m);
	}
	mqtt_leave(m);
}

static void fired(struct loop_timer *t)
{
	struct mqtt *m = container_of(t, struct mqtt, timer);
	const struct mqtt_target *target = mqtt_target(m);

	mqtt_enter(m);
	if (m->state == MQTT_WAITING && *target->host) {
		m->state = MQTT_RESOLVING;
		loop_timer_set(m->loop, &m->timer, loop_now(m->loop) + ATTEMPT_USEC);
		m->resolve = resolve_start(m->loop, target->host, target->port, resolved, m);
	} else if (m->state == MQTT_WAITING) {
		snprintf(m->error, sizeof(m->error),
			 "broker address %.100s is not mqtts://HOST:PORT", target->url);
		attempt_failed(m);
	} else if (m->state == MQTT_RESOLVING) {
		resolve_cancel(m->resolve);
		m->resolve = NULL;
		snprintf(m->error, sizeof(m->error), "looking up %.200s takes too long",
			 target->host);
		attempt_failed(m);
	} else if (m->state == MQTT_CONNECTING) {
		mqtt_down(m, "the broker %s does not answer", target->url);
	}
	mqtt_leave(m);
}

static void target_init(struct mqtt_target *t, const char *url)
{
	static const char scheme[] = "mqtts://";

	t->url = xstrdup(url);
	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 ||
	    hostport_parse(url + sizeof(scheme) - 1, t->host, &t->port) < 0)
		t->host[0] = '\0';
}

/* FNV-1a: it only spreads clients over the listeners. */
static size_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

void mqtt_init(struct mqtt *m, const struct mqtt_ops *ops, struct loop *l,
	       const struct mqtt_config *c)
{
	m->ops = ops;
	m->loop = l;
	m->config = *c;
	m->target_count = MAX(c->broker_count, (size_t)1);
	m->targets = xcalloc(m->target_count, sizeof(*m->targets));
	for (size_t i = 0; i < m->target_count; i++)
		target_init(&m->targets[i], i < c->broker_count ? c->brokers[i] : "(none)");
	m->target_at = hash(c->client_id) % m->target_count;
	m->client_id = xstrdup(c->client_id);
	m->ca_pem = copy(c->ca_pem);
	m->cert_pem = copy(c->cert_pem);
	m->key_pem = copy(c->key_pem);
	m->will_topic = copy(c->will_topic);
	mqtt_set_will(m, c->will, c->will_len);
	snprintf(m->error, sizeof(m->error), "not tried yet");
	m->timer.fired = fired;
	loop_timer_set(l, &m->timer, loop_now(l));
}

const struct mqtt_target *mqtt_target(const struct mqtt *m)
{
	return &m->targets[m->target_at];
}

void mqtt_enter(struct mqtt *m)
{
	m->depth++;
}

bool mqtt_leave(struct mqtt *m)
{
	if (--m->depth > 0 || !m->dead)
		return true;
	destroy(m);
	return false;
}

void mqtt_up(struct mqtt *m)
{
	m->state = MQTT_CONNECTED;
	m->since = clock_mono();
	loop_timer_del(m->loop, &m->timer);
	if (!m->dead && m->config.connected)
		m->config.connected(m->config.owner);
}

void mqtt_down(struct mqtt *m, const char *fmt, ...)
{
	bool was_up = m->state == MQTT_CONNECTED;
	va_list ap;

	va_start(ap, fmt);
	set_error(m, fmt, ap);
	va_end(ap);
	m->ops->close(m, false);
	forget_subscriptions(m);
	if (m->dead)
		return;
	if (!was_up && m->address_at + 1 < m->address_count) {
		m->address_at++;
		open_next(m);
	} else if (was_up && clock_mono() - m->since >= PROVEN_USEC) {
		m->failures = 0;
		try_later(m);
		tell_disconnected(m);
	} else if (was_up) {
		m->failures++;
		try_later(m);
		tell_disconnected(m);
	} else {
		attempt_failed(m);
	}
}

void mqtt_deliver(struct mqtt *m, const struct mqtt_message *msg)
{
	if (msg->len > MQTT_PAYLOAD_MAX || strnlen(msg->topic, MQTT_TOPIC_MAX + 1) > MQTT_TOPIC_MAX)
		m->oversize++;
	else if (!m->dead && m->config.message)
		m->config.message(m->config.owner, msg);
}

void mqtt_subscribed(struct mqtt *m, int id, bool accepted)
{
	struct mqtt_subscription **link = &m->subscriptions, *s;

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	s = *link;
	if (!s)
		return;
	*link = s->next;
	if (!accepted && !m->dead && m->config.refused)
		m->config.refused(m->config.owner, s->filter);
	free(s->filter);
	free(s);
}

void mqtt_free(struct mqtt *m)
{
	if (!m || m->dead)
		return;
	m->dead = true;
	loop_timer_del(m->loop, &m->timer);
	resolve_cancel(TAKE(m->resolve));
	if (m->depth == 0) {
		destroy(m);
	} else if (m->ops->closes_inside) {
		m->ops->close(m, m->state == MQTT_CONNECTED);
		m->state = MQTT_WAITING;
	}
}

void mqtt_set_will(struct mqtt *m, const void *will, size_t len)
{
	free(m->will);
	m->will = len ? xmemdup(will, len) : NULL;
	m->will_len = len;
}

void mqtt_on_connecting(struct mqtt *m, void (*connecting)(void *owner))
{
	m->connecting = connecting;
}

bool mqtt_is_connected(const struct mqtt *m)
{
	return m->state == MQTT_CONNECTED;
}

const char *mqtt_broker(const struct mqtt *m)
{
	return mqtt_target(m)->url;
}

const char *mqtt_error(const struct mqtt *m)
{
	return m->state == MQTT_CONNECTED ? NULL : m->error;
}

uint64_t mqtt_oversize(const struct mqtt *m)
{
	return m->oversize;
}

uint64_t mqtt_dropped(const struct mqtt *m)
{
	return m->dropped;
}

int mqtt_subscribe(struct mqtt *m, const char *filter)
{
	struct mqtt_subscription *s;
	int r, id;

	if (m->state != MQTT_CONNECTED)
		return -ENOTCONN;
	r = m->ops->subscribe(m, filter, &id);
	if (r < 0)
		return r;
	s = xcalloc(1, sizeof(*s));
	s->id = id;
	s->filter = xstrdup(filter);
	s->next = m->subscriptions;
	m->subscriptions = s;
	return 0;
}

int mqtt_unsubscribe(struct mqtt *m, const char *filter)
{
	if (m->state != MQTT_CONNECTED)
		return -ENOTCONN;
	return m->ops->unsubscribe(m, filter);
}

int mqtt_publish(struct mqtt *m, const char *topic, const void *p, size_t n, int qos, bool retain)
{
	if (m->state != MQTT_CONNECTED)
		return -ENOTCONN;
	if (n > MQTT_PAYLOAD_MAX || strnlen(topic, MQTT_TOPIC_MAX + 1) > MQTT_TOPIC_MAX)
		return -EMSGSIZE;
	return m->ops->publish(m, topic, p, n, qos, retain);
}

size_t mqtt_in_flight(const struct mqtt *m)
{
	return m->state == MQTT_CONNECTED ? m->in_flight : 0;
}
